import { describe, expect, it } from "vitest";
import type { Endpoint } from "../../src/base/net.ts";
import { SeededRng } from "../../src/base/rng.ts";
import { DropCounters } from "../../src/link/drop-counters.ts";
import { emitBindingRequest, LONGEST_ANSWER_BYTES } from "../../src/stun/member-request.ts";
import {
  MAX_STRANGER_PER_SECOND,
  MAX_STRANGERS_PER_SECOND,
  type StunMode,
  StunServer,
} from "../../src/stun/stun-server.ts";
import { emitStun, findStun, parseStun, type ReceivedStun } from "../../src/wire/stun.ts";
import { KINDS, type NatKind } from "./nat-model.ts";
import { type Host, KEY, World } from "./world.ts";

const FAR: Endpoint = { ip: "198.51.100.9", port: 40_000 };
const rng = new SeededRng(3);

function parse(bytes: Uint8Array): ReceivedStun {
  const message = parseStun(bytes);
  if (!message.ok) throw new Error(message.reason);
  return message.value;
}

describe("the server", () => {
  const own = { ip: "192.0.2.1", port: 7117 };
  const sockets = [
    { socket: 0, endpoint: own },
    { socket: 1, endpoint: { ip: own.ip, port: 7118 } },
    { socket: 2, endpoint: { ip: "192.0.2.2", port: 7117 } },
    { socket: 3, endpoint: { ip: "192.0.2.2", port: 7118 } },
  ];

  function server(mode: StunMode, has = sockets) {
    const drops = new DropCounters();
    const machine = new StunServer({ mode, key: KEY, drops });
    const ask = (request: Uint8Array, now = 0, from = FAR) => {
      const message = parse(request);
      const { answer, wantsPort } = machine.answer(now, { socket: 0, from, message }, has);
      if (answer?.op !== "datagram") return wantsPort === undefined ? undefined : "wants-port";
      return { ...answer, wantsPort, message: parse(answer.bytes) };
    };
    return { ask, drops: () => drops.snapshot() };
  }
  const request = (key?: Uint8Array, wish = {}) => emitBindingRequest(rng.bytes(12), wish, key);

  it("tells members where it sees them, never with more bytes than they sent", () => {
    for (const from of [FAR, { ip: "2001:db8::9", port: 1 }]) {
      const asked = request(KEY);
      expect(asked.length).toBe(LONGEST_ANSWER_BYTES);
      const answer = server("members").ask(asked, 0, from);
      if (typeof answer !== "object") throw new Error("no answer");
      expect(answer.to).toEqual(from);
      expect(findStun(answer.message, "xor-mapped-address")?.endpoint).toEqual(from);
      expect(answer.bytes.length).toBeLessThanOrEqual(asked.length);
    }
  });

  it.each<[StunMode, string, Uint8Array, string]>([
    ["members", "a stranger", request(), "not-for-us"],
    ["members", "another network's member", request(new Uint8Array(32)), "bad-tag"],
    ["anyone", "another network's member", request(new Uint8Array(32)), "bad-tag"],
    ["off", "a member", request(KEY), "not-for-us"],
  ])("%s: %s gets silence, counted", (mode, _who, asked, reason) => {
    const { ask, drops } = server(mode);
    expect(ask(asked)).toBeUndefined();
    expect(drops()).toEqual({ [reason]: 1 });
  });

  it("a short keyed request is not answered", () => {
    const padded = parse(request(KEY));
    const attributes = padded.attributes.filter(({ type }) => type !== "padding");
    const short = emitStun({ ...padded, attributes }, { sha256: KEY, fingerprint: true });
    const { ask, drops } = server("members");
    expect(ask(short)).toBeUndefined();
    expect(drops()).toEqual({ truncated: 1 });
  });

  it("anyone: ten a second for a source, two hundred in all", () => {
    const { ask, drops } = server("anyone");
    const served = (now: number, from = FAR) => typeof ask(request(), now, from) === "object";
    const burst = Array.from({ length: 15 }, () => served(0));
    expect(burst.filter(Boolean).length).toBe(MAX_STRANGER_PER_SECOND);
    let others = 0;
    for (let i = 0; i < 400; i++) {
      if (served(10, { ip: `203.0.${i >> 8}.${i & 255}`, port: 9 })) others++;
    }
    expect(others + MAX_STRANGER_PER_SECOND).toBe(MAX_STRANGERS_PER_SECOND);
    expect(drops()).toEqual({ "rate-limited": 5 + 210 });
    expect(served(2_000)).toBe(true);
  });

  it("answers from the address and port that were asked for", () => {
    const { ask } = server("members");
    const from = (ip: boolean, port: boolean) => {
      const answer = ask(request(KEY, { change: { ip, port } }));
      return typeof answer === "object" ? answer.socket : answer;
    };
    expect([from(false, false), from(false, true), from(true, false), from(true, true)]).toEqual([
      0, 1, 2, 3,
    ]);
    const answer = ask(request(KEY));
    if (typeof answer !== "object") throw new Error("no answer");
    expect(findStun(answer.message, "response-origin")?.endpoint).toEqual(own);
    expect(findStun(answer.message, "other-address")?.endpoint).toEqual(sockets[3]?.endpoint);
  });

  it("refuses what it cannot do, and what it does not understand (420)", () => {
    const alone = sockets.slice(0, 1);
    const wish = { change: { ip: true, port: true } };
    for (const asked of [request(KEY, wish), request(undefined, wish)]) {
      const answer = server("anyone", alone).ask(asked);
      if (typeof answer !== "object") throw new Error("no answer");
      expect(findStun(answer.message, "error-code")?.code).toBe(420);
      expect(findStun(answer.message, "unknown-attributes")?.types).toEqual([3]);
    }
    const strange = emitStun(
      {
        ...parse(request()),
        attributes: [{ type: "other", number: 0x24, value: new Uint8Array(4) }],
      },
      { fingerprint: false },
    );
    const answer = server("anyone").ask(strange);
    if (typeof answer !== "object") throw new Error("no answer");
    expect(findStun(answer.message, "unknown-attributes")?.types).toEqual([0x24]);
  });

  it("wants another socket when a member asks for another port only", () => {
    const change = { ip: false, port: true };
    expect(server("members", sockets.slice(0, 1)).ask(request(KEY, { change }))).toBe("wants-port");
  });

  it("tells members, and nobody else, another port of its one address", () => {
    const two = sockets.slice(0, 2);
    const otherPort = (key: Uint8Array | undefined, has: typeof sockets) => {
      const answer = server("anyone", has).ask(request(key));
      if (typeof answer !== "object") throw new Error("no answer");
      return [findStun(answer.message, "other-port")?.port, answer.wantsPort];
    };
    expect(otherPort(KEY, two)).toEqual([7118, undefined]);
    expect(otherPort(undefined, two)).toEqual([undefined, undefined]);
    expect(otherPort(KEY, sockets.slice(0, 1))).toEqual([undefined, 4]);
    expect(otherPort(undefined, sockets.slice(0, 1))).toEqual([undefined, undefined]);
    expect(otherPort(KEY, sockets), "told by OTHER-ADDRESS").toEqual([undefined, undefined]);
  });

  it("answers to another port of the asker", () => {
    const answer = server("members").ask(request(KEY, { responsePort: 5_000 }));
    expect(answer).toMatchObject({ to: { ip: FAR.ip, port: 5_000 } });
  });
});

const mapped = (host: Host) =>
  host.outputs.flatMap((out) => (out.kind === "reflexive" ? [out.endpoint] : []));
const report = (host: Host) => host.stun.view().nat;

describe("the client and its NAT", () => {
  /** Two servers with two addresses and ports each, as RFC 5780 wants one to be. */
  function withServer(kind: NatKind, isPoor = false) {
    const world = new World();
    const server = world.host({
      ip: "203.0.113.10",
      ips: ["203.0.113.10", "203.0.113.11"],
      ports: [3478, 3479],
      mode: "anyone",
    });
    const second = world.host({ ip: "203.0.113.20", ports: [3478], mode: "anyone" });
    const nat = world.nat("198.51.100.1", kind);
    const home = world.host({ ip: "192.168.1.2", nat, isPoor });
    home.input({ kind: "servers", endpoints: [server.endpoint, second.endpoint] });
    return { world, home };
  }

  it.each(Object.entries(KINDS))("%s, asked of servers", (_name, kind) => {
    const { world, home } = withServer(kind);
    world.run(12_000);
    expect(report(home)).toMatchObject(kind);
    expect(mapped(home)[0]?.ip).toBe("198.51.100.1");
    expect(home.openSockets, "the survey's socket is closed again").toBe(1);
    expect(home.stun.view()).toMatchObject({ udp: "works", asked: 2, isSurveying: false });
  });

  it.each(Object.entries(KINDS))("%s, from a data socket when there is no other", (_n, kind) => {
    const { world, home } = withServer(kind, true);
    world.run(14_000);
    const { mapping, filtering } = kind;
    expect(report(home)).toMatchObject({ mapping, filtering });
  });

  it.each(Object.entries(KINDS))("%s, asked of three members", (_name, kind) => {
    const world = new World();
    const members = [11, 12, 13].map((n) => world.host({ ip: `203.0.113.${n}` }));
    const home = world.host({ ip: "192.168.1.2", nat: world.nat("198.51.100.1", kind) });
    for (const [i, member] of members.entries()) home.meet(member.endpoint, i);
    world.run(12_000);
    // Members have one address each: an answer from another port is the widest test there is.
    const filtering = kind.filtering === "endpoint-independent" ? "address" : kind.filtering;
    const { allocation, mapping } = kind;
    expect(report(home)).toMatchObject({ mapping, filtering, allocation });
    // The life of mappings is measured, and nobody asks for a minute.
    world.run(400_000);
    for (const member of members) expect(member.openSockets).toBe(1);
  });

  it.each(Object.entries(KINDS))("%s, asked of one member of one address", (_name, kind) => {
    const world = new World();
    const member = world.host({ ip: "203.0.113.11" });
    const home = world.host({ ip: "192.168.1.2", nat: world.nat("198.51.100.1", kind) });
    home.meet(member.endpoint, 1);
    world.run(12_000);
    const filtering = kind.filtering === "endpoint-independent" ? "address" : kind.filtering;
    // One address cannot tell a mapping for each address from one for all.
    const mapping = kind.mapping === "address" ? "unknown" : kind.mapping;
    const step = kind.allocation === "sequential" ? { step: 1 } : {};
    expect(report(home)).toMatchObject({ mapping, filtering, ...step });
    if (mapping !== "unknown") expect(report(home).allocation).toBe(kind.allocation);
    world.run(400_000);
    expect([home.openSockets, member.openSockets]).toEqual([1, 1]);
  });

  it("a member that has no second port to answer from does not mislead", () => {
    const world = new World();
    const member = world.host({ ip: "203.0.113.11", isPoor: true });
    const kind = KINDS["fullcone"] as NatKind;
    const home = world.host({ ip: "192.168.1.2", nat: world.nat("198.51.100.1", kind) });
    home.meet(member.endpoint, 1);
    world.run(30_000);
    expect(home.stun.view()).toMatchObject({ udp: "works", isSurveying: false });
    expect(report(home).filtering).toBe("unknown");
  });

  it("a member behind a NAT does not mislead", () => {
    const world = new World();
    const full = KINDS["fullcone"] as NatKind;
    const member = world.host({ ip: "192.168.7.7", nat: world.nat("203.0.113.11", full) });
    // It keeps the way open, as a link does.
    const keep = () => member.input({ kind: "servers", endpoints: [{ ip: "192.0.2.1", port: 1 }] });
    keep();
    const kind = KINDS["symmetric"] as NatKind;
    const home = world.host({ ip: "192.168.1.2", nat: world.nat("198.51.100.1", kind) });
    home.meet({ ip: "203.0.113.11", port: 7117 }, 1);
    world.run(12_000);
    expect(home.stun.view()).toMatchObject({ udp: "works", isSurveying: false });
    expect(report(home).mapping).toBe("unknown");
  });

  it("what linked peers saw on the data socket is enough to know a cone", () => {
    const world = new World();
    const home = world.host({ ip: "192.168.1.2", isPoor: true });
    const endpoint = { ip: "198.51.100.1", port: 7117 };
    for (const [i, ip] of ["203.0.113.1", "203.0.113.2"].entries()) {
      home.input({ kind: "observed", socket: 0, by: { ip, port: 7117 + i }, endpoint });
    }
    expect(report(home)).toMatchObject({
      mapping: "endpoint-independent",
      allocation: "preserved",
    });
  });

  it("a public host is public", () => {
    const world = new World();
    const members = [11, 12].map((n) => world.host({ ip: `203.0.113.${n}` }));
    const open = world.host({ ip: "198.51.100.4" });
    for (const [i, member] of members.entries()) open.meet(member.endpoint, i);
    world.run(10_000);
    expect(report(open).mapping).toBe("none");
  });

  it("UDP that never comes back is blocked", () => {
    const { world, home } = withServer(KINDS["fullcone"] as NatKind);
    world.loses = () => true;
    world.run(30_000);
    expect(home.stun.view().udp).toBe("blocked");
  });

  it("loss of one in three changes nothing but time", () => {
    const { world, home } = withServer(KINDS["portrestricted"] as NatKind);
    let sent = 0;
    world.loses = () => sent++ % 3 === 0;
    world.run(20_000);
    expect(report(home)).toMatchObject({ mapping: "endpoint-independent" });
    expect(mapped(home).length).toBeGreaterThan(0);
  });

  it("repeats as RFC 8489 says and then stops", () => {
    const world = new World();
    const home = world.host({ ip: "198.51.100.4" });
    world.loses = () => true;
    home.input({ kind: "servers", endpoints: [FAR] });
    const times: number[] = [];
    for (let ms = 0; ms < 8_000; ms += 100) {
      const before = world.wire.length;
      world.run(100);
      if (world.wire.length > before) times.push(world.now);
    }
    // Sendings of the data socket and, in the same milliseconds, of the survey.
    expect(times).toEqual([100, 500, 1_500, 3_500]);
  });

  it("asks rarely: an hour costs a few dozen datagrams", () => {
    const { world, home } = withServer(KINDS["portrestricted"] as NatKind);
    world.run(3_600_000);
    const ours = world.wire.filter(({ from }) => from.ip === "198.51.100.1");
    expect(ours.length).toBeLessThan(120);
    expect(report(home).mapping).toBe("endpoint-independent");
  });

  it("a new network is looked at anew", () => {
    const { world, home } = withServer(KINDS["symmetric"] as NatKind);
    world.run(12_000);
    home.input({ kind: "local-endpoints", endpoints: [{ ip: "10.0.0.9", port: 7117 }] });
    expect(home.stun.view().reflexive).toEqual([]);
    world.run(30_000);
    expect(home.stun.view().reflexive.length).toBe(1);
  });

  it("answers that were not asked for, or are not keyed as they should, change nothing", () => {
    const world = new World();
    const liar = world.host({ ip: "203.0.113.66", key: new Uint8Array(32), mode: "anyone" });
    const home = world.host({ ip: "198.51.100.4" });
    home.meet(liar.endpoint, 1);
    world.run(10_000);
    expect(report(home).mapping).toBe("unknown");
    const bytes = emitStun(
      {
        kind: "success",
        method: 1,
        transaction: new Uint8Array(12),
        attributes: [{ type: "xor-mapped-address", endpoint: FAR }],
      },
      { fingerprint: false },
    );
    home.deliver(liar.endpoint, home.endpoint, bytes);
    expect(home.stun.drops()["unknown-receiver"]).toBe(1);
    expect(home.stun.view().reflexive).toEqual([]);
  });

  it("off: neither asks nor answers", () => {
    const world = new World();
    const quiet = world.host({ ip: "203.0.113.10", mode: "off" });
    quiet.input({ kind: "servers", endpoints: [FAR] });
    quiet.deliver(FAR, quiet.endpoint, emitBindingRequest(rng.bytes(12), {}, KEY));
    world.run(60_000);
    expect(world.wire).toEqual([]);
  });
});
