import { beforeEach, describe, expect, it } from "vitest";
import type { Endpoint } from "../../src/base/net.ts";
import { SeededRng } from "../../src/base/rng.ts";
import {
  type LanInput,
  type LanInterface,
  type LanOutput,
  LanSearch,
} from "../../src/node/lan-search.ts";
import { suite } from "../support/suite.ts";

const KEY = new Uint8Array(32).fill(1);
const DAY_MS = 86_400_000;

function eth(host: number): LanInterface {
  const ip = `192.0.2.${host}`;
  const addresses = [
    { ip, prefix: 24 },
    { ip: `fe80::${host}`, prefix: 64 },
  ];
  return { name: "eth0", addresses, endpoints: [{ ip, port: 7117 }] };
}

/** Members on one switch: a group datagram reaches everybody, its sender too. */
class Member {
  readonly search: LanSearch;
  readonly at: Endpoint;
  announced: Uint8Array[] = [];
  answered: { readonly to: Endpoint; readonly bytes: Uint8Array }[] = [];
  found: readonly Endpoint[] = [];

  constructor(host: number, key = KEY) {
    const rng = new SeededRng(host);
    this.search = new LanSearch({ suite, rng, key, boot: BigInt(host) });
    this.at = { ip: `192.0.2.${host}`, port: 40_000 + host };
  }

  handle(now: number, input: LanInput): LanOutput[] {
    this.search.handle(now, input);
    const outputs: LanOutput[] = [];
    for (let out = this.search.poll(); out !== undefined; out = this.search.poll()) {
      outputs.push(out);
      if (out.kind === "announce") this.announced.push(out.bytes);
      else if (out.kind === "answer") this.answered.push(out);
      else this.found = out.endpoints;
    }
    return outputs;
  }

  start(now: number): void {
    const host = Number(this.at.ip.split(".")[3]);
    this.handle(now, { kind: "interfaces", interfaces: [eth(host)] });
  }

  hears(now: number, from: Endpoint, bytes: Uint8Array): LanOutput[] {
    return this.handle(now, { kind: "hello", from, bytes });
  }
}

let a: Member;
let b: Member;
beforeEach(() => {
  a = new Member(1);
  b = new Member(2);
  a.start(0);
  b.start(0);
});

function hello(from: Member): Uint8Array {
  const bytes = from.announced.at(-1);
  if (bytes === undefined) throw new Error("nothing announced");
  return bytes;
}

describe("two members", () => {
  it("find each other: announcement, answer, endpoint of the data port", () => {
    a.hears(1, b.at, hello(b));
    expect(a.answered.map(({ to }) => to)).toEqual([b.at]);
    expect(a.found).toEqual([]);
    b.hears(2, { ip: "192.0.2.1", port: 7119 }, a.answered[0]?.bytes ?? new Uint8Array());
    expect(b.found).toEqual([{ ip: "192.0.2.1", port: 7117 }]);
  });

  it("no answer is longer than its question", () => {
    a.hears(1, b.at, hello(b));
    expect(a.answered[0]?.bytes.length).toBe(hello(b).length);
  });

  it("over IPv6 the answer comes from a link-local address: all it names are asked", () => {
    a.hears(1, { ip: "fe80::2%eth0", port: 9 }, hello(b));
    b.hears(2, { ip: "fe80::1%eth0", port: 7119 }, a.answered[0]?.bytes ?? new Uint8Array());
    expect(b.found).toEqual([{ ip: "192.0.2.1", port: 7117 }]);
  });

  it("who was found and answers no more is forgotten", () => {
    a.hears(1, b.at, hello(b));
    b.hears(2, { ip: "192.0.2.1", port: 7119 }, a.answered[0]?.bytes ?? new Uint8Array());
    for (let now = 2; now < 400_000; now = b.search.deadline()) b.handle(now, { kind: "timeout" });
    expect(b.found).toEqual([]);
  });
});

describe("what is not answered", () => {
  it("one's own announcement, looped back", () => {
    expect(a.hears(1, a.at, hello(a))).toEqual([]);
    expect(a.search.drops()).toEqual({});
  });

  it("another network, and every bit of a datagram changed", () => {
    const foreign = new Member(3, new Uint8Array(32).fill(2));
    foreign.start(0);
    expect(a.hears(1, foreign.at, hello(foreign))).toEqual([]);
    expect(a.search.drops()).toEqual({ "foreign-network": 1 });
    const bytes = hello(b);
    for (let at = 0; at < bytes.length; at++) {
      expect(a.hears(1 + at, b.at, bytes.with(at, (bytes[at] ?? 0) ^ 1))).toEqual([]);
    }
  });

  it("a copy, at once or a day later; a member that started anew is answered again", () => {
    a.hears(1, b.at, hello(b));
    for (let i = 0; i < 100; i++) expect(a.hears(2 + i, b.at, hello(b))).toEqual([]);
    expect(a.hears(DAY_MS, b.at, hello(b))).toEqual([]);
    expect(a.search.drops()).toEqual({ replayed: 101 });
  });

  it("an answer that was recorded: its question is not open any more", () => {
    a.hears(1, b.at, hello(b));
    const answer = a.answered[0]?.bytes ?? new Uint8Array();
    expect(b.hears(5_001, a.at, answer)).toEqual([]);
    const c = new Member(4);
    c.start(0);
    expect(c.hears(2, a.at, answer)).toEqual([]);
    expect(c.search.drops()).toEqual({ replayed: 1 });
  });

  it("who sends from port 0, where no answer can go", () => {
    expect(a.hears(1, { ip: "192.0.2.2", port: 0 }, hello(b))).toEqual([]);
    expect(a.search.drops()).toEqual({ "bad-field": 1 });
  });

  it("who sends from no network of ours", () => {
    expect(a.hears(1, { ip: "203.0.113.9", port: 9 }, hello(b))).toEqual([]);
    expect(a.hears(1, { ip: "fe80::9%eth7", port: 9 }, hello(b))).toEqual([]);
  });
});

describe("bounds", () => {
  it("five announcements at the start, then one in two minutes or so", () => {
    const times: number[] = [];
    for (let now = 0; now < 600_000; now = a.search.deadline()) {
      const before = a.announced.length;
      a.handle(now, { kind: "timeout" });
      if (a.announced.length > before) times.push(now);
    }
    const early = times.filter((at) => at < 6_000);
    expect(early.length).toBe(4);
    expect(times.length - early.length).toBeGreaterThan(3);
    expect(times.length - early.length).toBeLessThan(7);
  });

  it("an interface that flaps ten times a second makes one announcement a second", () => {
    for (let now = 0; now < 60_000; now += 100) a.start(now);
    expect(a.announced.length).toBeLessThan(70);
  });

  it("no interface: nothing is announced", () => {
    a.handle(1, { kind: "interfaces", interfaces: [] });
    expect(a.search.deadline()).toBe(Number.POSITIVE_INFINITY);
  });

  it("a thousand members in one second are answered at our own pace", () => {
    for (let host = 0; host < 1_000; host++) {
      const other = new Member(10_000 + host);
      other.handle(0, { kind: "interfaces", interfaces: [eth(9)] });
      a.hears(host, { ip: "192.0.2.9", port: 1 + host }, hello(other));
    }
    expect(a.answered.length).toBeLessThan(35);
    expect(a.answered.length).toBeGreaterThan(20);
  });
});
