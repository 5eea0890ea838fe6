import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Endpoint } from "../../src/base/net.ts";
import { SeededRng } from "../../src/base/rng.ts";
import { deriveClusterKeys, handshakePrologue } from "../../src/crypto/cluster-keys.ts";
import { openCookieReply } from "../../src/crypto/cookie-jar.ts";
import { identityFromSeed } from "../../src/crypto/identity.ts";
import { appendMacs, mac1Of } from "../../src/crypto/mac.ts";
import { Membership } from "../../src/crypto/membership.ts";
import { NoiseHandshake } from "../../src/crypto/noise.ts";
import { DropCounters } from "../../src/link/drop-counters.ts";
import {
  COOKIE_ABOVE_PER_SECOND,
  HALF_OPEN_MS,
  HandshakeResponder,
  MAX_HALF_OPEN,
} from "../../src/link/handshake-responder.ts";
import { HandshakeSelf } from "../../src/link/handshake-self.ts";
import { parseCookieReply } from "../../src/wire/cookie.ts";
import { emitHandshake1 } from "../../src/wire/handshake.ts";
import { suite } from "../support/suite.ts";
import { DEFAULT_NETWORK, World } from "./world.ts";

const keys = deriveClusterKeys(suite, DEFAULT_NETWORK);
const identity = identityFromSeed(suite, new Uint8Array(32).fill(9));

/** A valid message 1 from a stranger who holds the network key. */
function message1(seed: number, padded = true): Uint8Array {
  const noise = new NoiseHandshake({
    suite,
    initiator: true,
    prologue: handshakePrologue(keys.networkId),
    psk: keys.psk,
    static: identity.dh,
    ephemeralSecret: new SeededRng(seed).bytes(32),
  });
  const body = emitHandshake1({ sender: seed, noise: noise.write(new Uint8Array(0)) }, padded);
  return appendMacs(suite, keys.mac1Key, body);
}

function responder(): { responder: HandshakeResponder; drops: DropCounters } {
  const membership = new Membership(suite, keys);
  const own = membership.issueOwn(identity, "x");
  const options = {
    suite,
    rng: new SeededRng(4),
    membership,
    keys,
    identity,
    certificate: own.bytes,
    address: own.address,
    boot: 1n,
    digest: new Uint8Array(32),
    hasAes: false,
  };
  const self = new HandshakeSelf(options, { whereabouts: () => ({ endpoints: [], relays: [] }) });
  const drops = new DropCounters();
  return { responder: new HandshakeResponder(self, drops), drops };
}

/** Each costs three hashes here. */
const COOKIED = process.env["WEFT_ATTACK"] === "full" ? 100_000 : 20_000;

const from = (i: number): Endpoint => ({ ip: `198.51.${i >> 8}.${i & 255}`, port: 1_000 });

describe("half-open handshakes", () => {
  it("stay within their table, by number and by age", () => {
    const { responder: table, drops } = responder();
    let now = 0;
    for (let i = 1; i <= MAX_HALF_OPEN + 20; i++) {
      const channel = { kind: "socket", socket: 0, endpoint: from(i) } as const;
      table.receive1(now, channel, message1(i));
      while (table.poll() !== undefined);
    }
    // One second lets 32 in without a cookie.
    expect(table.halfOpenCount).toBe(COOKIE_ABOVE_PER_SECOND);
    expect(drops.snapshot()).toEqual({
      "bad-mac2": MAX_HALF_OPEN + 20 - COOKIE_ABOVE_PER_SECOND,
    });
    now = HALF_OPEN_MS;
    table.timeout(now);
    expect(table.halfOpenCount).toBe(0);
    expect(table.deadline()).toBe(Number.POSITIVE_INFINITY);
  });

  it("of 20,000 with cookies (WEFT_ATTACK=full: 100,000) stay within their table, and one address leaves room for others", () => {
    const { responder: table, drops } = responder();
    const jar = new Map<string, Uint8Array>();
    const body = message1(1).subarray(0, -32);
    /** As message1, with a sender index of its own: a handshake of its own to the table. */
    const ask = (sender: number, endpoint: Endpoint): void => {
      const cookie = jar.get(endpoint.ip);
      const own = body.slice();
      new DataView(own.buffer).setUint32(4, sender, true);
      const bytes = appendMacs(suite, keys.mac1Key, own, cookie);
      table.receive1(0, { kind: "socket", socket: 0, endpoint }, bytes);
      for (let out = table.poll(); out !== undefined; out = table.poll()) {
        const reply = out.kind === "send" ? parseCookieReply(out.bytes) : undefined;
        if (reply?.ok !== true) continue;
        const opened = openCookieReply(suite, keys.mac1Key, reply.value, mac1Of(bytes));
        if (opened !== undefined) jar.set(endpoint.ip, opened);
      }
    };
    for (let sender = 1; sender <= COOKIED; sender++) ask(sender, from(1));
    expect(table.halfOpenCount).toBe(MAX_HALF_OPEN / 2);
    for (let i = 2; i <= 300; i++) {
      for (let n = 0; n < 4; n++) ask(COOKIED + 4 * i + n, from(i));
    }
    expect(table.halfOpenCount).toBe(MAX_HALF_OPEN);
    expect(drops.snapshot()["rate-limited"]).toBeGreaterThan(COOKIED - MAX_HALF_OPEN);
    expect(drops.snapshot()["table-full"]).toBeGreaterThan(0);
    table.timeout(HALF_OPEN_MS);
    expect(table.halfOpenCount).toBe(0);
  });

  it("share by IPv4 address and by IPv6 /64 when they crowd, and get the share back with time", () => {
    const { responder: table, drops } = responder();
    const cookies = new Map<string, Uint8Array>();
    const body = message1(1).subarray(0, -32);
    let sender = 0;
    /** So many from there, each with a cookie; how many of them were taken. */
    const taken = (now: number, count: number, ipOf: (i: number) => string): number => {
      const before = table.halfOpenCount;
      for (let i = 0; i < count; i++) {
        const endpoint = { ip: ipOf(i), port: 1_000 };
        const own = body.slice();
        new DataView(own.buffer).setUint32(4, ++sender, true);
        for (let round = 0; round < 2; round++) {
          const bytes = appendMacs(suite, keys.mac1Key, own, cookies.get(endpoint.ip));
          table.receive1(now, { kind: "socket", socket: 0, endpoint }, bytes);
          let isAsked = false;
          for (let out = table.poll(); out !== undefined; out = table.poll()) {
            const reply = out.kind === "send" ? parseCookieReply(out.bytes) : undefined;
            if (reply?.ok !== true) continue;
            const opened = openCookieReply(suite, keys.mac1Key, reply.value, mac1Of(bytes));
            if (opened !== undefined) cookies.set(endpoint.ip, opened);
            isAsked = true;
          }
          if (!isAsked) break;
        }
      }
      return table.halfOpenCount - before;
    };
    const host = (i: number): string => `2001:db8:0:1::${(i + 1).toString(16)}`;
    const others = (i: number): string => `2001:db8:0:${(i + 2).toString(16)}::1`;
    expect(taken(0, 500, others)).toBe(500);
    expect(taken(0, 64 + 20, host)).toBe(64);
    expect(drops.snapshot()).toMatchObject({ "rate-limited": 20 });
    expect(taken(0, 3, (i) => `2001:db8:1:${i}::1`)).toBe(3);
    expect(taken(0, 64 + 5, () => "203.0.113.7")).toBe(64);
    expect(taken(0, 5, (i) => `203.0.113.${10 + i}`)).toBe(5);
    // A crowd again after the first one's end: their shares did not stay used up.
    table.timeout(HALF_OPEN_MS);
    expect(table.halfOpenCount).toBe(0);
    expect(taken(HALF_OPEN_MS, 520, others)).toBe(520);
    expect(taken(HALF_OPEN_MS, 64 + 1, host)).toBe(64);
  });

  it("over the ring are limited per source and in all, and the table is bounded", () => {
    const { responder: table, drops } = responder();
    for (let i = 1; i <= 30; i++) {
      table.receive1(0, { kind: "ring", address: 5n }, message1(i, false));
    }
    expect(table.halfOpenCount).toBe(10);
    let i = 1_000;
    for (let now = 1_000; now < 8_000; now += 1) {
      table.receive1(now, { kind: "ring", address: BigInt(i) }, message1(i, false));
      i++;
      while (table.poll() !== undefined);
    }
    expect(table.halfOpenCount).toBeLessThanOrEqual(MAX_HALF_OPEN);
    expect(drops.snapshot()["rate-limited"]).toBeGreaterThan(0);
  });
});

describe("a cookie", () => {
  it("lets an honest peer in while strangers flood", () => {
    const world = new World();
    const [a, b] = [world.add("a"), world.add("b")];
    let seed = 1;
    let asked = 0;
    world.allows = (_from, to, bytes) => {
      if (bytes[0] === 195 && to.ip === a.endpoint.ip) asked++;
      return true;
    };
    const flood = () => {
      for (let i = 0; i < 4; i++) b.receive(0, from(seed), message1(seed++));
    };
    for (let i = 0; i < 20; i++) flood();
    a.connect(b.endpoint);
    for (let i = 0; i < 100 && a.linkTo(b) === undefined; i++) {
      flood();
      world.run(20);
    }
    expect(a.linkTo(b)?.peer.name).toBe("b");
    expect(asked).toBeGreaterThan(0);
    world.run(1_000);
    expect(b.linkTo(a)?.path.kind).toBe("direct");
  });
});

describe("tables", () => {
  it("begin 256 connects at once and fail the rest by name", () => {
    const world = new World();
    const a = world.add("a");
    for (let i = 1; i <= 300; i++) a.connect(from(i));
    expect(a.of("connect-failed").map(({ reason }) => reason)).toEqual(
      new Array(44).fill("too many connects"),
    );
    world.run(6_000);
    expect(a.of("connect-failed")).toHaveLength(300);
  });
});

describe("bytes from outside", () => {
  const datagram = fc
    .tuple(fc.integer({ min: 190, max: 202 }), fc.uint8Array({ maxLength: 1_300 }))
    .map(([type, rest]) => Uint8Array.of(type, ...rest));

  it("never throw as datagram, as routed handshake or as control message", () => {
    const world = new World();
    const [a, b] = [world.add("a"), world.add("b")];
    a.connect(b.endpoint);
    world.run(2_000);
    const session = a.linkTo(b)?.peer.link ?? 0;
    fc.assert(
      fc.property(datagram, fc.uint8Array({ maxLength: 80 }), (bytes, control) => {
        const sealed = { kind: "control", session, socket: 0, datagramBytes: 100 } as const;
        a.input({
          kind: "upcall",
          upcall: { kind: "datagram", socket: 0, from: b.endpoint, bytes },
        });
        a.input({ kind: "routed-handshake", source: 9n, bytes });
        for (const body of [control, Uint8Array.of(0, ...control)]) {
          // A goodbye ends the link and with it the test.
          if (body[1] === 0x0a) continue;
          a.input({
            kind: "upcall",
            upcall: { ...sealed, path: 0, from: b.endpoint, bytes: body },
          });
          a.input({
            kind: "upcall",
            upcall: { ...sealed, path: undefined, from: undefined, bytes: body },
          });
        }
      }),
      { numRuns: 500 },
    );
    expect(a.linkTo(b)).toBeDefined();
  });
});
