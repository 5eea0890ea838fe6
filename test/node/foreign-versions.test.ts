import { describe, expect, it } from "vitest";
import { ForeignVersions } from "../../src/node/foreign-versions.ts";

const at = (port: number) => ({ kind: "endpoint", endpoint: { ip: "192.0.2.1", port } }) as const;

describe("members of another major version", () => {
  it("are one line each that names both versions, for as long as they refuse us", () => {
    const foreign = new ForeignVersions();
    expect(foreign.health(0)).toEqual([]);
    foreign.refused(0, at(7117), 2);
    foreign.refused(1_000, at(7117), 2);
    expect(foreign.health(50_000)).toEqual([
      "192.0.2.1:7117 speaks version 2 of the protocol and this node version 1: run weft of one major version everywhere",
    ]);
    expect(foreign.health(61_000)).toEqual([]);
  });

  it("are few lines, the newest", () => {
    const foreign = new ForeignVersions();
    for (let port = 1; port <= 100; port++) foreign.refused(port, at(port), 3);
    const lines = foreign.health(100);
    expect(lines).toHaveLength(4);
    expect(lines.at(-1)).toContain(":100 ");
  });
});
