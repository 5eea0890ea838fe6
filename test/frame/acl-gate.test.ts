/**
 * The evaluator for floods and for the software engine against a slow, obvious model. The native
 * engine has a larger one of its own (native/engine/test/acl-test.cc).
 */
import fc from "fast-check";
import { expect, it } from "vitest";
import { AclFlows } from "../../sim/acl-flows.ts";
import { AclWatch } from "../../sim/acl-watch.ts";
import { concat } from "../../src/base/bytes.ts";
import type { AclPolicy, AclRule } from "../../src/base/engine.ts";
import { below, SeededRng } from "../../src/base/rng.ts";
import { AclGate } from "../../src/frame/acl-gate.ts";
import { readAclPacket, readQuoted } from "../../src/frame/acl-packet.ts";
import { ethernet, extension, icmp, ipv4, ipv6, tcp, udp } from "../engine/frames.ts";
import { MAC_A, MAC_B } from "../engine/lab.ts";

const PACKETS = 60_000;
const PORTS = [22, 80, 443, 40_000];
const [FIN, SYN, RST, ACK] = [1, 2, 4, 16];
const FLAGS = [SYN, SYN | ACK, ACK, ACK, FIN | ACK, RST];

/** A packet as it is meant, seen from us. */
interface Meant {
  readonly isV6: boolean;
  readonly ours: number;
  readonly theirs: number;
  readonly kind: "tcp" | "udp" | "request" | "reply" | "error" | "gre";
  readonly ourPort: number;
  readonly theirPort: number;
  readonly flags: number;
  readonly headers: number;
  readonly part: "whole" | "first" | "later";
  readonly id: number;
  /** What an error is about: a packet of ours. */
  readonly about?: Meant;
}

class Model {
  policy: AclPolicy = { allowsRest: false, rules: [] };
  #takeUpEndsAt = 0;
  readonly #flows = new Map<string, { second: number; phase: string; kind: Meant["kind"] }>();
  readonly #let = new Map<string, number>();

  /** The peer is linked anew: what was remembered stays. */
  openSession(now: number): void {
    this.#takeUpEndsAt = now + 120_000;
  }

  setPolicy(policy: AclPolicy): void {
    const allowed = (port: number) => this.#rule(6, port);
    const before = Array.from({ length: 65_536 }, (_, port) => allowed(port));
    this.policy = policy;
    if (before.some((isIn, port) => isIn && !allowed(port))) this.#takeUpEndsAt = 0;
  }

  sent(now: number, packet: Meant): void {
    const { kind, flags, part } = packet;
    if (part === "later" || kind === "reply" || kind === "error") return;
    const isRuled = this.#ruled(packet, packet.ourPort);
    if (isRuled && kind !== "tcp") return;
    const name = flowName(packet);
    const isAlive = this.#isAlive(now, name);
    let phase = isAlive ? (this.#flows.get(name)?.phase ?? "open") : "open";
    const isSyn = (flags & (SYN | ACK | RST | FIN)) === SYN;
    if (kind === "tcp" && isSyn) phase = "opening";
    else if (kind === "tcp") {
      const takesUp = !isRuled && now < this.#takeUpEndsAt && packet.ourPort >= 32_768;
      if (!isAlive && !(takesUp && (flags & (SYN | RST)) === 0)) return;
      if ((flags & (FIN | RST)) !== 0) phase = "closing";
      else if (phase === "opening" && (flags & SYN) === 0) phase = "open";
    }
    this.#flows.set(name, { second: Math.floor(now / 1_000), phase, kind });
  }

  passes(now: number, packet: Meant): boolean {
    const { isV6, ours, theirs, id, part } = packet;
    const name = `${isV6} ${ours} ${theirs} ${isV6 ? "" : protocolOf(packet)} ${id}`;
    if (part === "later") return (this.#let.get(name) ?? 0) > now;
    const passes = this.#passesWhole(now, packet);
    if (part === "first" && passes) this.#let.set(name, now + 30_000);
    if (part === "first" && !passes) this.#let.delete(name);
    return passes;
  }

  #passesWhole(now: number, packet: Meant): boolean {
    const { kind, flags, about } = packet;
    if (this.#ruled(packet, packet.ourPort)) return true;
    if (kind === "error") {
      if (about === undefined || about.part === "later") return false;
      if (about.kind === "error" || about.ours !== packet.ours) return false;
      if (this.#ruled(about, about.ourPort)) return true;
      return about.kind !== "reply" && this.#isAlive(now, flowName(about));
    }
    if (kind === "request" || (kind === "tcp" && (flags & (SYN | ACK)) === SYN)) return false;
    const name = flowName(packet);
    const flow = this.#flows.get(name);
    if (flow === undefined || !this.#isAlive(now, name)) return false;
    const isEnd = kind === "tcp" && (flags & (FIN | RST)) !== 0;
    const phase = isEnd ? "closing" : flow.phase === "opening" ? "open" : flow.phase;
    this.#flows.set(name, { ...flow, second: Math.floor(now / 1_000), phase });
    return true;
  }

  #isAlive(now: number, name: string): boolean {
    const flow = this.#flows.get(name);
    if (flow === undefined) return false;
    const tcpSeconds = flow.phase === "open" ? 7_440 : 240;
    const seconds = { tcp: tcpSeconds, udp: 300, gre: 600, request: 60, reply: 60, error: 0 };
    return Math.floor(now / 1_000) < flow.second + seconds[flow.kind];
  }

  #ruled(packet: Meant, port: number): boolean {
    return this.#rule(protocolOf(packet) === 58 ? 1 : protocolOf(packet), port);
  }

  #rule(protocol: number, port: number): boolean {
    for (const rule of this.policy.rules) {
      if (rule.protocol !== undefined && rule.protocol !== protocol) continue;
      const isInside = rule.ports.some(({ first, last }) => first <= port && port <= last);
      if (rule.ports.length === 0 || isInside) return rule.allow;
    }
    return this.policy.allowsRest;
  }
}

function flowName({ isV6, ours, theirs, kind, ourPort, theirPort }: Meant): string {
  const what = kind === "reply" ? "request" : kind;
  return `${isV6} ${what} ${ours} ${theirs} ${ourPort} ${kind === "gre" ? 0 : theirPort}`;
}

function protocolOf({ isV6, kind }: Meant): number {
  if (kind === "tcp") return 6;
  if (kind === "udp") return 17;
  return kind === "gre" ? 47 : isV6 ? 58 : 1;
}

/** @param isOurs we send it, else the peer does */
function ipBytes(packet: Meant, isOurs: boolean): Uint8Array {
  const { isV6, part, id } = packet;
  const address = (host: number): string => (isV6 ? `fd00::${host}` : `10.9.0.${host}`);
  const [from, to] = isOurs ? [packet.ours, packet.theirs] : [packet.theirs, packet.ours];
  const body = transportBytes(packet, isOurs);
  if (!isV6) {
    const bytes = ipv4(address(from), address(to), protocolOf(packet), body);
    const field = part === "whole" ? 0 : part === "first" ? 0x2000 : 64;
    bytes.set([id >> 8, id & 255, field >> 8, field & 255], 4);
    return bytes;
  }
  let chain = { next: protocolOf(packet), bytes: body };
  const offset = part === "first" ? [0, 1] : [1, 0];
  if (part !== "whole") {
    const header = Uint8Array.of(chain.next, 0, ...offset, 0, 0, id >> 8, id & 255);
    chain = { next: 44, bytes: concat(header, chain.bytes) };
  }
  for (let i = 0; i < packet.headers; i++) {
    chain = { next: [0, 43, 60][i] ?? 0, bytes: extension(chain.next, chain.bytes) };
  }
  return ipv6(address(from), address(to), chain.next, chain.bytes);
}

function transportBytes(packet: Meant, isOurs: boolean): Uint8Array {
  const { isV6, kind, flags, ourPort } = packet;
  const [from, to] = isOurs ? [ourPort, packet.theirPort] : [packet.theirPort, ourPort];
  if (kind === "tcp") return tcp(from, to, flags);
  if (kind === "udp") return udp(from, to);
  if (kind === "gre") return new Uint8Array(16);
  const about = packet.about === undefined ? new Uint8Array() : ipBytes(packet.about, true);
  const type = { request: [8, 128], reply: [0, 129], error: [11, 3] }[kind][isV6 ? 1 : 0] ?? 0;
  return icmp(type, kind === "error" ? 0 : ourPort, about);
}

it("equals the model over random packets, both ways, with headers, fragments and time", () => {
  const rng = new SeededRng(17);
  const pick = <T>(items: readonly T[]): T => items[below(rng, items.length)] as T;
  const kinds = ["tcp", "tcp", "tcp", "udp", "udp", "request", "reply", "error", "gre"] as const;
  const random = (): Meant => {
    const kind = pick(kinds);
    const isEcho = kind === "request" || kind === "reply";
    const port = isEcho ? below(rng, 3) : kind === "gre" || kind === "error" ? 0 : pick(PORTS);
    const isV6 = below(rng, 2) === 0;
    return {
      isV6,
      ours: 1 + below(rng, 2),
      theirs: 5 + below(rng, 2),
      kind,
      ourPort: port,
      theirPort: isEcho || port === 0 ? port : pick(PORTS),
      flags: pick(FLAGS),
      headers: isV6 ? below(rng, 4) : 0,
      part: pick(["whole", "whole", "whole", "first", "later"] as const),
      id: 1 + below(rng, 6),
    };
  };
  const withAbout = (packet: Meant): Meant =>
    packet.kind === "error" ? { ...packet, about: { ...random(), isV6: packet.isV6 } } : packet;
  const rule = (): AclRule => ({
    allow: below(rng, 2) === 0,
    protocol: pick([6, 6, 17, 1, 47]),
    ports: [],
  });
  const ported = (): AclRule => ({ ...rule(), protocol: 6, ports: [{ first: 80, last: 443 }] });
  const policy = (): AclPolicy => ({
    allowsRest: below(rng, 4) === 0,
    rules: Array.from({ length: below(rng, 4) }, () => (below(rng, 2) === 0 ? rule() : ported())),
  });

  const model = new Model();
  const flows = new AclFlows();
  const gate = new AclGate(model.policy, flows);
  const counts = { passed: 0, dropped: 0 };
  let now = 1_000;
  let watch = new AclWatch(model.policy, flows, now + 120_000);
  model.openSession(now);
  for (let i = 0; i < PACKETS; i++) {
    now += below(rng, 500) === 0 ? below(rng, 1_000_000) : below(rng, 1_000);
    if (below(rng, 2_000) === 0) {
      model.setPolicy(policy());
      gate.policy = model.policy;
      watch.setPolicy(model.policy);
    }
    if (below(rng, 1_000) === 0) {
      watch = new AclWatch(model.policy, flows, now + 120_000);
      model.openSession(now);
    }
    const packet = withAbout(random());
    const isOurs = below(rng, 2) === 0;
    const [to, from] = isOurs ? [MAC_A, MAC_B] : [MAC_B, MAC_A];
    const frame = ethernet(to, from, packet.isV6 ? 0x86dd : 0x0800, ipBytes(packet, isOurs));
    if (isOurs) {
      watch.sent(now, frame);
      model.sent(now, packet);
      continue;
    }
    const passes = gate.passes(now, frame);
    counts[passes ? "passed" : "dropped"]++;
    if (passes !== model.passes(now, packet)) {
      expect.fail(`packet ${i} ${passes ? "passed" : "was dropped"}: ${JSON.stringify(packet)}`);
    }
  }
  expect(counts.passed).toBeGreaterThan(PACKETS / 10);
  expect(counts.dropped).toBeGreaterThan(PACKETS / 10);
});

it("any bytes are a packet of some kind, and never an error", () => {
  const gate = new AclGate({ allowsRest: false, rules: [] }, new AclFlows());
  const types = fc.constantFrom([8, 0], [0x86, 0xdd], [8, 6], [0x81, 0], [0x88, 0xb5]);
  const firsts = fc.constantFrom(0x45, 0x46, 0x60, 0);
  const bytes = fc.uint8Array({ maxLength: 120 });
  fc.assert(
    fc.property(types, firsts, bytes, (type, first, rest) => {
      const frame = concat(new Uint8Array(12), Uint8Array.from([...type, first]), rest);
      for (let length = 0; length <= frame.length; length += 7) {
        const cut = frame.subarray(0, length);
        expect(["exempt", "other", "opaque", "later", "transport"]).toContain(
          readAclPacket(cut).kind,
        );
        readQuoted(cut);
        gate.passes(1_000, cut);
      }
    }),
  );
});

it("a TCP flow begins with a SYN; in its middle it is taken up for a while only", () => {
  const flows = new AclFlows();
  const watch = new AclWatch({ allowsRest: false, rules: [] }, flows, 125_000);
  const sends = (now: number, port: number, flags: number): boolean => {
    watch.sent(now, tcpFrame(port, flags));
    return flows.hasSent(now, tcpPacket(port, flags));
  };
  expect(sends(5_000, 40_001, ACK)).toBe(true);
  expect(sends(5_000, 40_002, SYN | ACK)).toBe(false);
  expect(sends(5_000, 40_003, RST)).toBe(false);
  expect(sends(5_000, 32_767, ACK)).toBe(false);
  expect(sends(124_999, 32_768, FIN | ACK)).toBe(true);
  expect(sends(125_000, 40_005, ACK)).toBe(false);
  expect(sends(125_000, 40_006, FIN | ACK)).toBe(false);
  expect(sends(125_000, 22, SYN)).toBe(true);
  expect(sends(125_000, 40_001, ACK)).toBe(true);
});

it("a packet of another version than its Ethernet type says is none that rules let in", () => {
  const whole = ipv4("10.9.0.1", "10.9.0.5", 6, tcp(9, 80, SYN));
  const bent = whole.slice();
  bent[0] = 0x55;
  const kindOf = (packet: Uint8Array) => readAclPacket(ethernet(MAC_A, MAC_B, 0x0800, packet)).kind;
  expect(kindOf(whole)).toBe("transport");
  expect(kindOf(bent)).not.toBe("transport");
});

function tcpFrame(port: number, flags: number): Uint8Array {
  const ip = ipv4("10.9.0.1", "10.9.0.5", 6, tcp(port, 80, flags));
  return ethernet(MAC_A, MAC_B, 0x0800, ip);
}

function tcpPacket(port: number, flags: number) {
  const read = readAclPacket(tcpFrame(port, flags));
  if (read.kind !== "transport") throw new Error("no TCP packet");
  return read;
}

it("remembers a bounded number of flows; the one that would end first gives way", () => {
  const flows = new AclFlows();
  const packet = tcpPacket;
  const limit = 65_536;
  flows.sent(1_000, packet(0, SYN), false);
  for (let port = 1; port < limit; port++) flows.sent(2_000, packet(port, ACK), true);
  expect(flows.size).toBe(limit);
  const other = { ...packet(0, ACK), destinationPort: 81 };
  flows.sent(2_000, other, true);
  expect(flows.size).toBe(limit);
  expect(flows.hasSent(2_000, packet(0, SYN))).toBe(false);
  expect(flows.hasSent(2_000, other)).toBe(true);
});
