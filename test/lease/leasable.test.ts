import { describe, expect, it } from "vitest";
import type { Subnet } from "../../src/base/net.ts";
import { isLeasable, serverIpOf } from "../../src/lease/leasable.ts";

const RANGE: Subnet = { first: "10.9.1.0", prefix: 24 };

describe("leasable addresses", () => {
  it("are the hosts of the range but the first, which is the DHCP server's", () => {
    expect(serverIpOf(RANGE)).toBe("10.9.1.1");
    const isHost = (host: number) => isLeasable(RANGE, `10.9.1.${host}`);
    expect([0, 1, 2, 254, 255].map(isHost)).toEqual([false, false, true, true, false]);
    expect(isLeasable(RANGE, "10.9.0.255")).toBe(false);
    expect(isLeasable(RANGE, "10.9.2.2")).toBe(false);
    expect(isLeasable(RANGE, "fe80::2")).toBe(false);
    expect(isLeasable({ first: "0.0.0.0", prefix: 8 }, "fe80::2")).toBe(false);
  });
});
