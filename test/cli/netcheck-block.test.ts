import { describe, expect, it } from "vitest";
import type { AgentStatus } from "../../src/agent/agent-status.ts";
import { lifetimeText, netcheckBlock } from "../../src/cli/netcheck-block.ts";

const UNKNOWN = { state: "unknown", aliveSeconds: 0, goneSeconds: undefined } as const;

/** Nobody was asked by UDP; the peers are reached as given. */
function udpLine(...transports: ("tls" | "udp" | undefined)[]): string | undefined {
  const nat = { mapping: "unknown", filtering: "unknown", allocation: "unknown" } as const;
  const status = {
    nat: {
      ...nat,
      local: [],
      reflexive: [],
      udp: "unknown",
      asked: 0,
      isLooking: false,
      mappingLife: UNKNOWN,
    },
    peers: transports.map((transport) => ({ link: "relay", maxDatagram: 0, transport })),
    portMapping: { state: "off" },
    mtu: 1_400,
  } as unknown as AgentStatus;
  return netcheckBlock(status)
    .split("\n")
    .find((line) => line.startsWith("UDP"));
}

describe("netcheck", () => {
  it("says that UDP does not pass where members are reached by TLS alone", () => {
    expect(udpLine("tls", undefined)).toContain("TLS serves: let UDP out");
    expect(udpLine("tls", "udp")).toContain("unknown: nobody to ask");
    expect(udpLine()).toContain("unknown: nobody to ask");
  });

  it("says how long the NAT keeps a mapping, as far as that is known", () => {
    const text = (state: "unknown" | "measuring" | "known", aliveSeconds = 0, gone?: number) => {
      const mappingLife = { state, aliveSeconds, goneSeconds: gone };
      return lifetimeText({ nat: { mapping: "address", mappingLife } } as unknown as AgentStatus);
    };
    expect(text("unknown")).toContain("unknown: it takes a member");
    expect(text("measuring", 45)).toContain("is being measured: a mapping silent for 45 s serves");
    expect(text("known", 7, 10)).toBe("a mapping silent for 7 s serves, for 10 s no more");
    expect(text("known", 300)).toBe("a mapping silent for 300 s still serves");
  });
});
