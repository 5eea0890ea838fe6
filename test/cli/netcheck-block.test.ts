import { describe, expect, it } from "vitest";
import type { AgentStatus } from "../../src/agent/agent-status.ts";
import { netcheckBlock } from "../../src/cli/netcheck-block.ts";

/** Nobody was asked by UDP; the peers are reached as given. */
function udpLine(...transports: ("tls" | "udp" | undefined)[]): string | undefined {
  const nat = { mapping: "unknown", filtering: "unknown", allocation: "unknown" } as const;
  const status = {
    nat: { ...nat, local: [], reflexive: [], udp: "unknown", asked: 0, isLooking: false },
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
});
