import { describe, expect, it } from "vitest";
import { addressFromBytes } from "../../src/base/ring-address.ts";
import { SeededRng, unit } from "../../src/base/rng.ts";
import { Attempts } from "../../src/ring/attempts.ts";
import { ContactBook } from "../../src/ring/contact-book.ts";
import { Expiring } from "../../src/ring/expiring.ts";
import { DHT_REQUEST_RATE, HANDSHAKE_RATE, LinkGate } from "../../src/ring/link-gate.ts";
import { clockwiseFrom, sidesOf } from "../../src/ring/near-set.ts";
import { Ring } from "../../src/ring/ring.ts";
import { estimateSize, gapOf } from "../../src/ring/size-estimate.ts";
import { PAYLOAD_TYPES } from "../../src/wire/message-type.ts";
import { emitEnvelope } from "../../src/wire/ring-messages.ts";
import { evenAddresses, VirtualNet } from "./virtual-net.ts";

describe("near set", () => {
  it("turns the order so that it starts clockwise of self", () => {
    expect(clockwiseFrom(5n, [1n, 9n, 5n, 7n, 1n])).toEqual([7n, 9n, 1n]);
    expect(clockwiseFrom(9n, [1n, 2n])).toEqual([1n, 2n]);
    expect(clockwiseFrom(0n, [])).toEqual([]);
  });

  it("four a side, the same nodes on both sides in small rings", () => {
    const all = Array.from({ length: 11 }, (_, i) => BigInt(i));
    expect(sidesOf(0n, all).successors).toEqual([1n, 2n, 3n, 4n]);
    expect(sidesOf(0n, all).predecessors).toEqual([10n, 9n, 8n, 7n]);
    expect(sidesOf(1n, [2n, 3n])).toEqual({ successors: [2n, 3n], predecessors: [3n, 2n] });
  });
});

describe("size estimate", () => {
  it("is exact up to nine members and on an even ring", () => {
    for (const count of [1, 2, 8, 9, 50, 1_000]) {
      const all = evenAddresses(count);
      const self = all[0] ?? 0n;
      expect(estimateSize(self, sidesOf(self, all), [])).toBe(count);
    }
  });

  it("averages gaps: the whole ring's gaps give the true size, zeros do not count", () => {
    const net = new VirtualNet({ seed: 3 });
    const all = Array.from({ length: 100 }, () => net.randomAddress());
    const gaps = all.map((one) => gapOf(one, sidesOf(one, all)));
    const self = all[0] ?? 0n;
    const estimate = estimateSize(self, sidesOf(self, all), [...gaps, 0n, 0n]);
    expect(Math.abs(estimate - 100)).toBeLessThan(10);
  });
});

describe("contact book", () => {
  it("stays bounded whatever is put in, keeps the near ones and known endpoints", () => {
    const net = new VirtualNet({ seed: 9 });
    const book = new ContactBook(0n);
    for (let i = 1n; i <= 8n; i++) book.note(i, "near", [{ ip: "192.0.2.1", port: Number(i) }]);
    for (let i = 0; i < 5_000; i++) book.note(net.randomAddress(), "", []);
    expect(book.size).toBeLessThanOrEqual(256);
    expect(book.addresses().filter((one) => one <= 8n).length).toBe(8);
    book.note(3n, "near", []);
    expect(book.endpointsOf(3n)).toEqual([{ ip: "192.0.2.1", port: 3 }]);
    book.note(0n, "self", []);
    book.forget(3n);
    expect(book.endpointsOf(3n)).toEqual([]);
    expect(book.addresses()).not.toContain(0n);
  });
});

describe("expiring facts", () => {
  it("end on time, and the oldest makes room", () => {
    const facts = new Expiring<string>(2);
    facts.set(1n, "a", 10);
    facts.set(2n, "b", 20);
    expect(facts.has(9, 1n)).toBe(true);
    expect(facts.has(10, 1n)).toBe(false);
    facts.set(3n, "c", 30);
    expect(facts.current(0).map(([address]) => address)).toEqual([2n, 3n]);
    expect(facts.get(25, 2n)).toBeUndefined();
  });
});

describe("attempts", () => {
  it("fail after their patience, back off, and forget what nobody pursues", () => {
    const attempts = new Attempts();
    const pass = (now: number): boolean => {
      attempts.beginPass();
      const due = attempts.pursue(now, 1n, 500);
      attempts.endPass(now);
      return due;
    };
    expect(pass(0)).toBe(false);
    expect(attempts.deadline()).toBe(500);
    expect(pass(500)).toBe(true);
    expect(pass(600)).toBe(false);
    expect(attempts.deadline()).toBe(6_500);
    expect(pass(6_500)).toBe(false);
    expect(attempts.failuresOf(1n)).toBe(1);
    expect(attempts.deadline()).toBe(8_500);
    expect(pass(8_500)).toBe(true);
    attempts.beginPass();
    attempts.endPass(100_000);
    expect(attempts.failuresOf(1n)).toBe(0);
  });

  it("fail at their own deadline whatever the clock's fraction is", () => {
    const rng = new SeededRng(1);
    for (let i = 0; i < 2_000; i++) {
      const start = 65_536 - 5_999 * unit(rng);
      const attempts = new Attempts();
      attempts.beginPass();
      attempts.pursue(start, 1n, start);
      const at = attempts.deadline();
      attempts.pursue(at, 1n, at);
      expect(attempts.deadline()).toBeGreaterThan(at);
    }
  });
});

describe("contact book under attack", () => {
  it("keeps room at every distance, however many made-up members crowd around", () => {
    const rng = new SeededRng(11);
    const self = addressFromBytes(rng.bytes(20));
    const book = new ContactBook(self);
    // whoever makes keys until they fall near one member: a thousandth of the ring, ten thousand times
    const crowd = new Set<bigint>();
    for (let i = 0; i < 10_000; i++) {
      const near = self ^ (addressFromBytes(rng.bytes(20)) >> 10n);
      crowd.add(near);
      book.note(near, "crowd", []);
    }
    const honest = Array.from({ length: 200 }, () => addressFromBytes(rng.bytes(20)));
    for (const address of honest) book.note(address, "honest", []);
    const kept = book.addresses();
    const far = kept.filter((address) => !crowd.has(address));
    // the buckets of the other 1,023 thousandths are theirs alone
    expect(far.length).toBeGreaterThanOrEqual(35);
    expect(kept.length).toBeLessThanOrEqual(256);
  });
});

describe("gate of a link", () => {
  it("admits a burst, then ten a second, per link", () => {
    const gate = new LinkGate(HANDSHAKE_RATE);
    const admitted = (now: number, link: number): number =>
      Array.from({ length: 100 }, () => gate.admit(now, link)).filter(Boolean).length;
    expect(admitted(0, 1)).toBe(64);
    expect(admitted(0, 2)).toBe(64);
    expect(admitted(1_000, 1)).toBe(10);
  });

  it("is not emptied by random draws of time", () => {
    const gate = new LinkGate(HANDSHAKE_RATE);
    const rng = new SeededRng(2);
    let now = 0;
    let refused = 0;
    for (let i = 0; i < 1_000; i++) {
      now += 100 + (rng.u32() % 100);
      if (!gate.admit(now, 1)) refused++;
    }
    expect(refused).toBe(0);
  });

  it("lets a site's records through, and no flood of questions", () => {
    const gate = new LinkGate(DHT_REQUEST_RATE);
    let admitted = 0;
    for (let i = 0; i < 10_000; i++) if (gate.admit(i / 10, 1)) admitted++;
    expect(admitted).toBe(2_000 + 499);
  });

  it("holds for questions for certificates, whoever they say they are from", () => {
    const ring = new Ring({ self: 1n, rng: new SeededRng(3) });
    const neighbours = [7n, 8n];
    for (const [link, address] of neighbours.entries()) {
      ring.handle(0, { kind: "link-up", peer: peerOf(link, address), role: "near" });
      const endpoint = { ip: "192.0.2.1", port: 1 + link };
      const path = { kind: "direct", socket: 0, endpoint } as const;
      ring.handle(0, { kind: "path", link, address, path, rttMs: 10 });
    }
    const arrived = (link: number): number => {
      for (let i = 0; i < 100; i++) {
        const bytes = emitEnvelope({ ...QUESTION, source: BigInt(1_000 + i) });
        ring.handle(0, { kind: "message", link, address: neighbours[link] ?? 0n, bytes });
      }
      let count = 0;
      for (let out = ring.poll(); out !== undefined; out = ring.poll()) {
        if (out.kind === "deliver") count++;
      }
      return count;
    };
    expect(arrived(0)).toBe(64);
    expect(ring.drops().get("rate-limited")).toBe(36);
    expect(arrived(1)).toBe(64);
  });
});

const QUESTION = {
  ...{ destination: 1n, nearest: false, excludeSource: false, hopLimit: 50 },
  ...{ payloadType: PAYLOAD_TYPES["issue-question"], payload: new Uint8Array(40) },
  ...{ visited: [], sourceAgent: undefined, destinationAgent: undefined },
};

function peerOf(link: number, address: bigint) {
  return {
    ...{ link, address, publicKey: new Uint8Array(32), certificate: new Uint8Array(0) },
    ...{ name: `n${address}`, boot: 1n, minorVersion: 0, capabilities: 0 },
    ...{ groups: [], serial: 0n, issuers: [], digest: new Uint8Array(32) },
    ...{ candidates: [], initiatedHere: true },
  };
}
