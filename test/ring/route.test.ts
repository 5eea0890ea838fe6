import { describe, expect, it } from "vitest";
import type { RingAddress } from "../../src/base/ring-address.ts";
import type { RingLink } from "../../src/ring/link-table.ts";
import { chooseNextHop, type Place } from "../../src/ring/route.ts";
import type { Envelope } from "../../src/wire/ring-messages.ts";

const SELF = 1_000n;

function link(
  address: RingAddress,
  more: Partial<RingLink> = {},
  listed: RingAddress[] = [],
): RingLink {
  const entries = listed.map((one) => ({ address: one, inRing: true, name: "", endpoints: [] }));
  return {
    ...{ link: Number(address), address, name: "", candidates: [], openedAt: 0, role: "near" },
    ...{ owned: true, rttMs: 10, suspect: false, listAt: 0, listBytes: new Uint8Array(0) },
    path: { kind: "relay", via: 1n },
    list: { wantsReply: false, inRing: true, gap: 0n, entries },
    idleSince: undefined,
    ...more,
  };
}

function joining(address: RingAddress): RingLink {
  return link(address, { list: { wantsReply: false, inRing: false, gap: 0n, entries: [] } });
}

function envelope(destination: RingAddress, more: Partial<Envelope> = {}): Envelope {
  return {
    ...{ source: 5n, destination, nearest: false, excludeSource: false, hopLimit: 9 },
    ...{ payloadType: 1, sourceAgent: undefined, destinationAgent: undefined, visited: [] },
    payload: new Uint8Array(0),
    ...more,
  };
}

function choose(message: Envelope, links: RingLink[], place: Partial<Place> = {}): string {
  const at = { self: SELF, inRing: true, links, from: 900n, tried: new Set<number>() };
  const hop = chooseNextHop(message, { ...at, ...place });
  if (hop.kind !== "forward") return hop.kind;
  return `${hop.link.address}${hop.detour ? " detour" : ""}`;
}

describe("exact", () => {
  it("delivers at the destination and prefers a link to it", () => {
    expect(choose(envelope(SELF), [])).toBe("deliver");
    expect(choose(envelope(2_000n), [link(1_999n), link(2_000n)])).toBe("2000");
  });

  it("takes the nearest link that makes progress, relayed ones too", () => {
    expect(choose(envelope(2_000n), [link(1_500n), link(1_900n), link(2_500n)])).toBe("1900");
  });

  it("passes over links without a path, suspects, joining nodes, failed links and the way back", () => {
    const bad = [
      link(1_950n, { path: { kind: "none" } }),
      link(1_951n, { suspect: true }),
      joining(1_952n),
      link(1_953n),
      link(1_954n),
    ];
    const place = { from: 1_953n, tried: new Set([1_954]) };
    expect(choose(envelope(2_000n), [...bad, link(1_400n)], place)).toBe("1400");
  });

  it("hands a message to a joining node only when it is for it", () => {
    expect(choose(envelope(1_952n), [joining(1_952n), link(1_900n)])).toBe("1952");
  });

  it("goes by a neighbour that lists the destination, though it is farther", () => {
    const links = [link(1_900n), link(500n, {}, [2_000n])];
    expect(choose(envelope(2_000n), links)).toBe("500 detour");
  });

  it("makes a bounded detour at a dead end and visits nobody twice", () => {
    const links = [link(500n), link(400n)];
    expect(choose(envelope(1_100n), links)).toBe("500 detour");
    expect(choose(envelope(1_100n, { visited: [500n] }), links)).toBe("400 detour");
    expect(choose(envelope(1_100n, { visited: [500n, 400n] }), links)).toBe("stuck");
    const full = [1n, 2n, 3n, 4n, 6n, 7n];
    expect(choose(envelope(1_100n, { visited: full }), links)).toBe("stuck");
  });

  it("routes to the agent of a joining destination", () => {
    const message = envelope(2_000n, { destinationAgent: 300n });
    expect(choose(message, [link(1_900n), link(300n)])).toBe("300");
    expect(choose(message, [link(2_000n), link(300n)])).toBe("2000");
    expect(choose(message, [link(1_900n)])).toBe("agent-lost");
    expect(choose(envelope(SELF, { destinationAgent: 300n }), [link(300n)])).toBe("deliver");
  });

  it("a joining source uses the member nearest to the destination, else any link", () => {
    const place = { inRing: false, from: undefined };
    expect(choose(envelope(2_000n), [link(10n), joining(1_990n)], place)).toBe("10");
    expect(choose(envelope(2_000n), [joining(10n)], place)).toBe("10 detour");
  });
});

describe("nearest", () => {
  const near = { nearest: true };

  it("delivers where no link is strictly nearer", () => {
    expect(choose(envelope(1_010n, near), [link(1_100n), joining(1_010n)])).toBe("deliver");
    expect(choose(envelope(1_010n, near), [link(1_011n)])).toBe("1011");
  });

  it("a tie goes clockwise of the key", () => {
    expect(choose(envelope(1_050n, near), [link(1_100n)])).toBe("1100");
    expect(choose(envelope(950n, near), [link(900n)], { from: 1n })).toBe("deliver");
  });

  it("never comes back to a source that excluded itself", () => {
    const message = envelope(1_010n, { ...near, excludeSource: true, source: 1_010n });
    expect(choose(message, [link(1_010n)])).toBe("deliver");
    const own = envelope(SELF, { ...near, excludeSource: true, source: SELF });
    expect(choose(own, [link(1n)], { from: undefined })).toBe("1");
    expect(choose(own, [], { from: undefined })).toBe("stuck");
  });

  it("goes by a neighbour that lists a nearer member, once", () => {
    const links = [link(400n, {}, [1_011n])];
    expect(choose(envelope(1_012n, near), links)).toBe("400 detour");
    expect(choose(envelope(1_012n, { ...near, visited: [SELF] }), links)).toBe("deliver");
  });

  it("a joining source owns nothing while it has a link", () => {
    const place = { inRing: false, from: undefined };
    expect(choose(envelope(SELF, near), [link(1n)], place)).toBe("1");
    expect(choose(envelope(SELF, near), [], place)).toBe("deliver");
  });
});
