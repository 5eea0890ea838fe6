import { describe, expect, it } from "vitest";
import { bootstrapText, parseBootstrapEntry } from "../../src/agent/bootstrap-entry.ts";
import { type Resolver, resolveBootstrap } from "../../src/agent/bootstrap-names.ts";
import { Refusal } from "../../src/agent/host-port.ts";

function resolver(
  names: Record<string, readonly string[]>,
  services: Record<string, readonly [string, number, number?, number?][]> = {},
): Resolver {
  const none = (): never => {
    throw Object.assign(new Error("no"), { code: "ENOTFOUND" });
  };
  return {
    addresses: async (host) => names[host] ?? none(),
    services: async (name) =>
      services[name]?.map(([target, port, priority = 0, weight = 0]) => ({
        name: target,
        port,
        priority,
        weight,
      })) ?? none(),
  };
}

async function resolved(text: string, by: Resolver) {
  const entry = parseBootstrapEntry(text);
  if (entry instanceof Refusal) throw new Error(entry.text);
  const { endpoints, problems } = await resolveBootstrap([entry], by);
  return { endpoints: endpoints.map(({ ip, port }) => `${ip} ${port}`), problems };
}

describe("dns:NAME", () => {
  it("takes the addresses of both families with the default port", async () => {
    const by = resolver({ "m.example": ["192.0.2.1", "2001:db8::1"] });
    expect(await resolved("dns:m.example", by)).toEqual({
      endpoints: ["192.0.2.1 7117", "2001:db8::1 7117"],
      problems: [],
    });
  });

  it("prefers SRV records, lower priority and higher weight first", async () => {
    const by = resolver(
      { "m.example": ["192.0.2.1"], "a.example": ["192.0.2.2"], "b.example": ["192.0.2.3"] },
      {
        "_weft._udp.m.example": [
          ["a.example", 9, 10, 1],
          ["b.example", 8, 10, 5],
          ["a.example", 7, 0, 0],
        ],
      },
    );
    const { endpoints } = await resolved("dns:m.example", by);
    expect(endpoints).toEqual(["192.0.2.2 7", "192.0.2.3 8", "192.0.2.2 9"]);
  });

  it("finds nobody where SRV says that there is no such service", async () => {
    const by = resolver({ "m.example": ["192.0.2.1"] }, { "_weft._udp.m.example": [[".", 0]] });
    expect(await resolved("dns:m.example", by)).toEqual({ endpoints: [], problems: [] });
  });

  it("says which target has no address", async () => {
    const by = resolver({}, { "_weft._udp.m.example": [["gone.example", 7117]] });
    const { problems } = await resolved("dns:m.example", by);
    expect(problems).toEqual([
      "bootstrap name gone.example has no address (ENOTFOUND): check its spelling and this machine's DNS",
    ]);
  });

  it("looks up a bounded number of targets", async () => {
    const many = Array.from({ length: 100 }, (_, i): [string, number] => ["a.example", 1 + i]);
    const by = resolver({ "a.example": ["192.0.2.1"] }, { "_weft._udp.m.example": many });
    expect((await resolved("dns:m.example", by)).endpoints).toHaveLength(8);
  });
});

describe("entries", () => {
  it.each(["192.0.2.1:7", "[2001:db8::1]:9", "a.example:7117", "dns:m.example", "lan"])(
    "%s is written as it was read",
    (text) => {
      const entry = parseBootstrapEntry(text);
      expect(entry instanceof Refusal ? entry.text : bootstrapText(entry)).toBe(text);
    },
  );
});
