import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { clockwise, type RingAddress } from "../../src/base/ring-address.ts";
import { below, SeededRng } from "../../src/base/rng.ts";
import { emitEthernet } from "../../src/frame/ethernet.ts";
import { emitIpv4 } from "../../src/frame/ipv4.ts";
import { emitUdp } from "../../src/frame/udp.ts";
import type { AccessOptions } from "../../src/vnet/access.ts";
import { FANOUT_MAX, splitRange } from "../../src/vnet/flood-split.ts";
import { FloodWindow } from "../../src/vnet/flood-window.ts";
import { emitFlood, emitFloodBody, floodSignedText, parseFlood } from "../../src/wire/flood.ts";
import { suite } from "../support/suite.ts";
import { hex } from "../support/vectors.ts";
import { Bench, FakeDht, keys, type Member, makeMember } from "./harness.ts";

const NO_TAGS = new Uint8Array(0);

/** An mDNS-like broadcast. */
function broadcast(source: string, mac: string, byte = 0): Uint8Array {
  const ports = { sourcePort: 5353, destinationPort: 5353 };
  const destination = "255.255.255.255";
  const payload = emitUdp({ ...ports, payload: Uint8Array.of(byte) }, source, destination);
  const packet = emitIpv4({ source, destination, protocol: 17, ttl: 1, payload });
  const head = { destination: "ff:ff:ff:ff:ff:ff", source: mac, tags: NO_TAGS, type: 0x0800 };
  return emitEthernet({ ...head, payload: packet });
}

/** Several Vnets joined by links that deliver at once, unless the receiver is dead. */
class Net {
  readonly benches: Bench[];
  readonly dead = new Set<number>();
  readonly #numbers = new Map<RingAddress, number>();
  messages = 0;

  constructor(count: number, links: ReadonlySet<string>) {
    const dht = new FakeDht();
    const unsorted = Array.from({ length: count }, (_, i) => new Bench(i + 1, dht));
    this.benches = unsorted.sort((a, b) => (a.member.address < b.member.address ? -1 : 1));
    for (const [i, bench] of this.benches.entries()) {
      this.#numbers.set(bench.member.address, i);
      bench.input({ kind: "timeout" });
      bench.bind(`10.9.0.${i + 10}`);
    }
    for (const link of links) this.#link(link);
    for (const bench of this.benches) bench.take();
  }

  #link(link: string): void {
    const [a = 0, b = 0] = link.split("-").map(Number);
    this.#up(a, b);
    this.#up(b, a);
  }

  #up(at: number, to: number): void {
    const { member } = this.benches[to] as Bench;
    this.benches[at]?.linkUp(member, to + 1);
  }

  /** Until nothing is under way. @returns frames that reached each TAP */
  run(): number[] {
    const arrived = this.benches.map(() => 0);
    for (let busy = true; busy; ) {
      busy = false;
      for (const [from, bench] of this.benches.entries()) {
        for (const output of bench.take()) {
          if (output.kind === "engine" && output.command.op === "frame-to-tap") {
            arrived[from] = (arrived[from] ?? 0) + 1;
          }
          if (output.kind !== "send") continue;
          busy = true;
          this.#deliver(from, output.link - 1, output);
        }
      }
    }
    return arrived;
  }

  #deliver(from: number, to: number, send: { bytes: Uint8Array; token: number }): void {
    const ok = !this.dead.has(to);
    const { address } = (this.benches[from] as Bench).member;
    if (ok && send.bytes[0] === 0x30) {
      this.messages += 1;
      this.benches[to]?.input({ kind: "message", link: from + 1, address, bytes: send.bytes });
    }
    this.benches[from]?.input({ kind: "sent", token: send.token, ok });
  }

  flood(from: number): void {
    const bench = this.benches[from] as Bench;
    bench.frame(broadcast(`10.9.0.${from + 10}`, bench.mac));
  }
}

/** The ring's near links (`near` on each side) and some long ones. */
function ringLinks(count: number, near: number, seed: number): Set<string> {
  const rng = new SeededRng(seed);
  const links = new Set<string>();
  const add = (a: number, b: number): void => {
    if (a !== b) links.add(`${Math.min(a, b)}-${Math.max(a, b)}`);
  };
  for (let i = 0; i < count; i++) {
    for (let k = 1; k <= near; k++) add(i, (i + k) % count);
    if (below(rng, 2) === 0) add(i, below(rng, count));
  }
  return links;
}

describe("flood", () => {
  it("reaches every node exactly once, in N - 1 messages, over any links that hold the ring", () => {
    const any = fc.tuple(
      fc.integer({ min: 1, max: 24 }),
      fc.nat(1_000),
      fc.integer({ min: 1, max: 4 }),
    );
    fc.assert(
      fc.property(any, ([count, seed, near]) => {
        const net = new Net(count, ringLinks(count, near, seed));
        const from = seed % count;
        net.flood(from);
        const arrived = net.run();
        expect(arrived).toEqual(arrived.map((_, i) => (i === from ? 0 : 1)));
        expect(net.messages).toBe(count - 1);
      }),
      { numRuns: 25 },
    );
  });

  it("goes around nodes that do not answer", () => {
    fc.assert(
      fc.property(fc.nat(1_000), fc.integer({ min: 6, max: 24 }), (seed, count) => {
        const net = new Net(count, ringLinks(count, 4, seed));
        const dead = (seed * 7) % count;
        const from = (dead + 1 + (seed % (count - 1))) % count;
        net.dead.add(dead);
        net.flood(from);
        const arrived = net.run();
        expect(arrived).toEqual(arrived.map((_, i) => (i === from || i === dead ? 0 : 1)));
      }),
      // The example needs a stand-in that hands the range on to a node nearer to the dead one.
      { numRuns: 25, examples: [[1_000, 17]] },
    );
  });

  it("what a frame claims must be its origin's", () => {
    const net = new Net(3, ringLinks(3, 1, 1));
    const [a, b] = net.benches as [Bench, Bench];
    a.frame(broadcast("10.9.0.11", a.mac));
    a.frame(broadcast("10.9.0.10", b.mac));
    expect(net.run()).toEqual([0, 0, 0]);
    expect(a.vnet.drops().get("source-ip")).toBe(1);
    expect(a.vnet.drops().get("source-mac")).toBe(1);
  });
});

/** Bench 1 with a link to member 2, and floods made by hand. */
function pair(access?: AccessOptions): {
  bench: Bench;
  send: (fields?: Partial<Handmade>) => void;
} {
  const bench = new Bench(1, new FakeDht(), access === undefined ? {} : { access });
  const B = makeMember(2);
  bench.input({ kind: "timeout" });
  bench.bind("10.9.0.5");
  bench.dht.lease("10.9.0.6", "02:00:00:00:00:02", B);
  bench.dht.mac("02:00:00:00:00:02", B);
  bench.linkUp(B, 7);
  bench.take();
  const send = (fields: Partial<Handmade> = {}): void => {
    const bytes = handmade({ origin: B, to: bench.member.address, ...fields });
    bench.input({ kind: "message", link: 7, address: B.address, bytes });
  };
  return { bench, send };
}

interface Handmade {
  readonly origin: Member;
  readonly to: RingAddress;
  readonly sequence: number;
  readonly run: bigint;
  readonly frame: Uint8Array;
  readonly signedBy: Member;
}

function handmade(fields: Partial<Handmade> & Pick<Handmade, "origin" | "to">): Uint8Array {
  const { origin, to, signedBy = origin } = fields;
  const frame = fields.frame ?? broadcast("10.9.0.6", "02:00:00:00:00:02");
  const { run = 1n, sequence = 0 } = fields;
  const signed = emitFloodBody({ run, sequence, certificate: origin.certificate, frame });
  const text = floodSignedText(keys.networkId, signed);
  const signature = suite.sign(signedBy.identity.signing.secretKey, text);
  return emitFlood({ hops: 5, range: { from: to, to: origin.address }, signed, signature });
}

describe("a received flood", () => {
  it("is delivered once and carries the frame unchanged", () => {
    const { bench, send } = pair();
    send();
    send();
    expect(bench.tapFrames()).toEqual([broadcast("10.9.0.6", "02:00:00:00:00:02")]);
    expect(bench.vnet.drops().get("duplicate-flood")).toBe(1);
  });

  it("with a wrong signature, or another's certificate, is dropped", () => {
    const { bench, send } = pair();
    send({ signedBy: makeMember(3) });
    expect(bench.vnet.drops().get("bad-signature")).toBe(1);
    send();
    expect(bench.tapFrames().length).toBe(1);
  });

  it("under another member's MAC or address is dropped", () => {
    const { bench, send } = pair();
    const C = makeMember(3);
    bench.dht.lease("10.9.0.7", "02:00:00:00:00:03", C);
    bench.dht.mac("02:00:00:00:00:03", C);
    send({ sequence: 1, frame: broadcast("10.9.0.7", "02:00:00:00:00:03") });
    send({ sequence: 2, frame: broadcast("10.9.0.7", "02:00:00:00:00:02") });
    send({ sequence: 3, frame: broadcast("10.9.0.6", "02:00:00:00:00:03") });
    send({ sequence: 4, frame: broadcast("10.9.0.5", bench.mac) });
    expect(bench.tapFrames()).toEqual([]);
    expect(bench.vnet.drops().get("source-mac")).toBe(4);
  });

  it("in a role that nobody has is dropped before any question", () => {
    const { bench, send } = pair();
    bench.asked.length = 0;
    const router = `33 33 00 00 00 01 02 00 00 00 00 02 86 dd 60 00 00 00 00 04 3a ff ${"00 ".repeat(32)} 86 00 00 00`;
    send({ frame: hex(router) });
    send({ frame: hex("01 80 c2 00 00 00 02 00 00 00 00 02 00 26 42 42") });
    expect(bench.asked).toEqual([]);
    expect(bench.vnet.drops().get("router-advertisement")).toBe(1);
    expect(bench.vnet.drops().get("link-control")).toBe(1);
  });

  it("passes to our host as the rules say, and is carried on in any case", () => {
    const access = (...ports: number[]): AccessOptions => ({
      rules: {
        allowsRest: false,
        rules: ports.map((port) => ({
          allow: true,
          from: [{ kind: "group", name: "friends" }],
          to: [{ kind: "any" }],
          protocol: 17,
          ports: [{ first: port, last: port }],
        })),
      },
      self: () => ({ name: "node-1", groups: [] }),
      nodeGroups: new Map([["node-2", ["friends"]]]),
      digest: new Uint8Array(32),
    });
    const open = pair(access(5_353));
    open.send();
    expect(open.bench.tapFrames().length).toBe(1);
    const closed = pair(access(53));
    const { address: self } = closed.bench.member;
    const isBefore = ({ address }: Member) =>
      clockwise(self, address) < clockwise(self, makeMember(2).address);
    const next = [3, 4, 5, 6, 7, 8].map(makeMember).find(isBefore);
    if (next !== undefined) closed.bench.linkUp(next, 8);
    closed.bench.take();
    closed.send();
    expect(closed.bench.take().map((output) => output.kind)).toEqual(["send"]);
    expect(closed.bench.vnet.drops().get("acl")).toBe(1);
    // Others ask for addresses whatever the rules say.
    const arp = hex(
      "ff ff ff ff ff ff 02 00 00 00 00 02 08 06 00 01 08 00 06 04 00 01 02 00 00 00 00 02 0a 09 00 06 00 00 00 00 00 00 0a 09 00 05",
    );
    closed.send({ sequence: 2, frame: arp });
    expect(closed.bench.tapFrames()).toEqual([arp]);
  });

  it("waits for the DHT, at most two seconds and 64 frames", () => {
    const { bench, send } = pair();
    bench.holdsDht = true;
    for (let sequence = 0; sequence < 70; sequence++) send({ sequence });
    expect(bench.tapFrames()).toEqual([]);
    expect(bench.vnet.drops().get("fence-full")).toBe(6);
    bench.answerDht();
    expect(bench.tapFrames().length).toBe(64);
    const late = pair();
    late.bench.holdsDht = true;
    late.send();
    late.bench.sleep(2_000);
    expect(late.bench.vnet.drops().get("waiting-expired")).toBe(1);
  });

  it("over the rate of its origin is dropped", () => {
    const { bench, send } = pair();
    for (let sequence = 0; sequence < 300; sequence++) send({ sequence });
    expect(bench.tapFrames().length).toBe(200);
    expect(bench.vnet.drops().get("rate-limited")).toBe(100);
    bench.now += 500;
    for (let sequence = 300; sequence < 500; sequence++) send({ sequence });
    expect(bench.tapFrames().length).toBe(100);
  });

  it("under ever new runs has one rate, and leaves the node's to others", () => {
    const { bench, send } = pair();
    for (let run = 0n; run < 1_500n; run++) send({ run });
    expect(bench.tapFrames().length).toBe(200);
    const other = makeMember(3);
    const mac = "02:00:00:00:00:03";
    bench.dht.lease("10.9.0.7", mac, other);
    send({ origin: other, frame: broadcast("10.9.0.7", mac) });
    expect(bench.tapFrames().length).toBe(1);
  });

  it("wrong signatures of one link stop being looked at", () => {
    const { bench, send } = pair();
    for (let sequence = 0; sequence < 100; sequence++) send({ sequence, signedBy: makeMember(3) });
    expect(bench.vnet.drops().get("bad-signature")).toBe(20);
    expect(bench.vnet.drops().get("rate-limited")).toBe(80);
  });

  it("of a restarted origin begins at 0 again", () => {
    const { bench, send } = pair();
    send({ sequence: 1_000 });
    send({ sequence: 0 });
    expect(bench.tapFrames().length).toBe(1);
    send({ sequence: 0, run: 2n });
    expect(bench.tapFrames().length).toBe(1);
  });

  it("repeated without end is carried on a few times only", () => {
    const { bench, send } = pair();
    bench.linkUp(makeMember(4), 8);
    bench.take();
    const C = makeMember(4).address;
    const B = makeMember(2).address;
    const self = bench.member.address;
    const inside = clockwise(self, C) < clockwise(self, B);
    for (let i = 0; i < 50; i++) send();
    expect(bench.takeKind("send").length).toBe(inside ? FloodWindow.CARRIES_MAX : 0);
  });

  it("from a stranger's link is dropped", () => {
    const { bench } = pair();
    const bytes = handmade({ origin: makeMember(2), to: bench.member.address });
    bench.input({ kind: "message", link: 99, address: 1n, bytes });
    expect(bench.tapFrames()).toEqual([]);
  });
});

describe("our own floods", () => {
  it("are limited, signed and numbered", () => {
    const { bench } = pair();
    for (let i = 0; i < 300; i++) bench.frame(broadcast("10.9.0.5", bench.mac, i & 255));
    const sends = bench.takeKind("send");
    expect(sends.length).toBe(200);
    const floods = sends.map((send) => parseFlood(send.bytes));
    const sequences = floods.map((flood) => (flood.ok ? flood.value.body.sequence : -1));
    expect(sequences).toEqual(Array.from({ length: 200 }, (_, i) => i));
  });

  it("come back to nobody's TAP twice", () => {
    const { bench } = pair();
    bench.frame(broadcast("10.9.0.5", bench.mac));
    const bytes = bench.takeKind("send")[0]?.bytes ?? hex("");
    bench.input({ kind: "message", link: 7, address: 1n, bytes });
    expect(bench.tapFrames()).toEqual([]);
  });
});

describe("range split", () => {
  it("shares are disjoint, in order, cover the range with their receivers, and start with the first", () => {
    const address = fc.bigInt({ min: 0n, max: (1n << 160n) - 1n });
    fc.assert(
      fc.property(
        address,
        address,
        fc.uniqueArray(address, { maxLength: 40 }),
        (from, to, linked) => {
          const shares = splitRange({ from, to }, linked);
          expect(shares.length).toBeLessThanOrEqual(FANOUT_MAX);
          const size = from === to ? 1n << 160n : clockwise(from, to);
          const inside = linked
            .map((each) => clockwise(from, each))
            .filter((way) => way > 0n && way < size)
            .sort((a, b) => (a < b ? -1 : 1));
          const chosen = shares.map((share) => clockwise(from, share.to));
          expect(chosen).toEqual([...chosen].sort((a, b) => (a < b ? -1 : 1)));
          expect(chosen[0]).toBe(inside[0]);
          if (inside.length <= FANOUT_MAX) expect(chosen).toEqual(inside);
          for (const [i, share] of shares.entries()) {
            expect(share.range).toEqual({ from: share.to, to: shares[i + 1]?.to ?? to });
          }
        },
      ),
    );
  });
});

describe("window", () => {
  it("agrees with a plain list of what was seen", () => {
    const ahead = { weight: 5, arbitrary: fc.integer({ min: 1, max: 6 }) };
    const behind = { weight: 4, arbitrary: fc.integer({ min: -40, max: 0 }) };
    const far = { weight: 1, arbitrary: fc.integer({ min: -600, max: 300 }) };
    const anyStep = fc.oneof(ahead, behind, far);
    fc.assert(
      fc.property(fc.array(anyStep, { minLength: 300, maxLength: 900 }), (steps) => {
        const window = new FloodWindow();
        const seen = new Map<number, number>();
        let newest = -1;
        for (const step of steps) {
          const sequence = Math.max(0, newest + step);
          const count = seen.get(sequence) ?? 0;
          const isOld = sequence <= newest - FloodWindow.SIZE;
          const expected =
            isOld || count >= FloodWindow.CARRIES_MAX ? "spent" : count > 0 ? "seen" : "new";
          expect(window.look(sequence)).toBe(expected);
          if (expected === "spent") continue;
          window.mark(sequence);
          seen.set(sequence, count + 1);
          newest = Math.max(newest, sequence);
        }
      }),
    );
  });
});
