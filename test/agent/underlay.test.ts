import { describe, expect, it } from "vitest";
import { isOnLan } from "../../src/agent/underlay.ts";

const OWN = [
  { interface: "eth0", ip: "192.168.4.7", prefix: 22 },
  { interface: "eth1", ip: "203.0.113.9", prefix: 24 },
  { interface: "eth1", ip: "fd00:1:2:3::1", prefix: 60 },
  { interface: "eth1", ip: "2001:db8::1", prefix: 64 },
];

describe("a path over the LAN", () => {
  it("leads to a private address of a network of ours", () => {
    const endpoints = ["192.168.7.200:7117", "[fd00:1:2:f::9]:7117"];
    expect(endpoints.map((endpoint) => isOnLan(endpoint, OWN))).toEqual([true, true]);
  });

  it("is no path to a public address, to another network, or to nothing that is an endpoint", () => {
    const others = ["192.168.8.1:7117", "10.0.0.1:7117", "[fd00:1:2:13::9]:7117"];
    const open = ["203.0.113.10:7117", "[2001:db8::2]:7117", "beta:7117", ""];
    for (const endpoint of [...others, ...open]) expect(isOnLan(endpoint, OWN)).toBe(false);
  });
});
