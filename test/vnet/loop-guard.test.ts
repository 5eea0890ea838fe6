import { describe, expect, it } from "vitest";
import { BROADCAST_MAC, type Ip, type Mac } from "../../src/base/net.ts";
import { SeededRng } from "../../src/base/rng.ts";
import { ARP_REQUEST, emitArp } from "../../src/frame/arp.ts";
import { emitEthernet, TYPE_ARP } from "../../src/frame/ethernet.ts";
import { Bench, FakeDht, keys, makeMember, peerOf } from "./harness.ts";

const GUEST: Mac = "02:00:00:00:00:33";
const GUEST_IP: Ip = "10.9.0.7";
const REMOTE_MAC: Mac = "02:00:00:00:00:55";
const REMOTE_IP: Ip = "10.9.0.50";
const REMOTE = makeMember(3);
const NO_TAGS = new Uint8Array(0);

/** Two bridged sites and what goes between their LANs while they are one. */
class Pair {
  readonly low: Bench;
  readonly high: Bench;
  isJoined = false;
  /** Frames of `low` reach `high`, but not the other way. */
  isOneWay = false;

  constructor() {
    const dht = new FakeDht();
    dht.lease(REMOTE_IP, REMOTE_MAC, REMOTE);
    dht.mac(REMOTE_MAC, REMOTE);
    const options = { bridged: true, dhcp: "force" } as const;
    const both = [new Bench(1, dht, options), new Bench(2, dht, options)];
    both.sort((a, b) => (a.member.address < b.member.address ? -1 : 1));
    const [low, high] = both;
    if (low === undefined || high === undefined) throw new Error("two sites");
    [this.low, this.high] = [low, high];
    for (const bench of both) bench.input({ kind: "timeout" });
  }

  /** @returns events by name, in order */
  sleep(ms: number): string[] {
    const events: string[] = [];
    for (let at = 0; at < ms; at += 500) {
      for (const bench of [this.low, this.high]) bench.sleep(500);
      events.push(...this.#carry(this.low, this.high, "low", false));
      events.push(...this.#carry(this.high, this.low, "high", this.isOneWay));
    }
    return events;
  }

  #carry(from: Bench, to: Bench, name: string, isDeaf: boolean): string[] {
    const outputs = from.take();
    from.outputs = outputs;
    const beacons = from.beacons();
    if (this.isJoined && !isDeaf) for (const beacon of beacons) to.frame(beacon);
    return outputs.flatMap((output) =>
      output.kind === "event" ? [`${name} ${output.event.what}`] : [],
    );
  }
}

function whoHas(target: Ip): Uint8Array {
  const payload = emitArp({
    operation: ARP_REQUEST,
    senderMac: GUEST,
    senderIp: GUEST_IP,
    targetMac: "00:00:00:00:00:00",
    targetIp: target,
  });
  const head = { destination: BROADCAST_MAC, source: GUEST, tags: NO_TAGS };
  return emitEthernet({ ...head, type: TYPE_ARP, payload });
}

describe("two members on one LAN", () => {
  it("apart: nobody hears anything", () => {
    const pair = new Pair();
    expect(pair.sleep(60_000)).toEqual([]);
    expect([pair.low.vnet.health(), pair.high.vnet.health()]).toEqual([[], []]);
  });

  it("joined: the higher one stops within seconds, both say so; parted: it bridges again", () => {
    const pair = new Pair();
    pair.sleep(10_000);
    pair.isJoined = true;
    expect(pair.sleep(4_000).sort()).toEqual(["high bridge-loop", "low bridge-loop"]);
    expect(pair.sleep(60_000)).toEqual([]);
    expect(pair.high.vnet.health()).toEqual([expect.stringMatching(/this node stopped bridging/)]);
    expect(pair.low.vnet.health()).toEqual([expect.stringMatching(/that node stops bridging/)]);
    pair.isJoined = false;
    expect(pair.sleep(14_000).sort()).toEqual(["high bridge-loop-over", "low bridge-loop-over"]);
    expect([pair.low.vnet.health(), pair.high.vnet.health()]).toEqual([[], []]);
  });

  it("the lower one stops when the other does not hear it", () => {
    const pair = new Pair();
    pair.isJoined = true;
    pair.isOneWay = false;
    // `high` is heard by `low` alone
    const events: string[] = [];
    for (let i = 0; i < 10; i++) {
      pair.high.sleep(2_000);
      pair.low.sleep(2_000);
      for (const beacon of pair.high.beacons()) pair.low.frame(beacon);
      events.push(...pair.low.vnet.health());
    }
    expect(events[0]).toMatch(/that node stops bridging/);
    expect(events.at(-1)).toMatch(/this node stopped bridging/);
  });

  it("cut: nothing from the TAP is answered or sent on, nothing is written there", () => {
    const pair = new Pair();
    const { high } = pair;
    high.linkUp(REMOTE, 9);
    high.bind(GUEST_IP, GUEST);
    high.frame(whoHas(REMOTE_IP));
    expect(high.tapFrames()).toHaveLength(1);
    pair.isJoined = true;
    pair.low.sleep(2_000);
    high.take();
    for (const beacon of pair.low.beacons()) high.frame(beacon);
    expect(high.commands()).toEqual([
      { op: "forward-remove", mac: REMOTE_MAC },
      { op: "forward-remove", mac: high.mac },
      { op: "forward-remove", mac: GUEST },
      { op: "carrier", on: false },
    ]);
    pair.sleep(2_000);
    high.take();
    high.frame(whoHas(REMOTE_IP));
    high.input({ kind: "upcall", upcall: { kind: "miss", mac: REMOTE_MAC, head: NO_TAGS } });
    high.bind("10.9.0.8", "02:00:00:00:00:34");
    const after = high.commands();
    expect(after.filter(({ op }) => op === "frame-to-tap" || op === "forward")).toEqual([]);
    expect(after).toContainEqual({ op: "forward-remove", mac: REMOTE_MAC });
  });

  it("healed: forward entries and answers are back", () => {
    const pair = new Pair();
    const { high } = pair;
    high.linkUp(REMOTE, 9);
    high.bind(GUEST_IP, GUEST);
    pair.isJoined = true;
    pair.sleep(6_000);
    pair.isJoined = false;
    const forwards: string[] = [];
    for (let i = 0; i < 30; i++) {
      high.sleep(500);
      pair.low.sleep(500);
      for (const command of high.commands()) {
        if (command.op === "forward") forwards.push(command.mac);
      }
    }
    expect(new Set(forwards)).toEqual(new Set([high.mac, GUEST]));
    high.frame(whoHas(REMOTE_IP));
    expect(high.tapFrames()).toHaveLength(1);
  });

  it("the one that stays leaves the other's machines to answer for themselves", () => {
    const pair = new Pair();
    const { low, high } = pair;
    low.bind(GUEST_IP, GUEST);
    low.dht.lease("10.9.0.60", "02:00:00:00:00:66", high.member);
    pair.isJoined = true;
    pair.sleep(4_000);
    low.take();
    low.frame(whoHas("10.9.0.60"));
    low.frame(whoHas(REMOTE_IP));
    expect(low.tapFrames()).toHaveLength(1);
  });

  it("a recorded beacon heals nothing and cuts nobody for long; a stranger's is dropped", () => {
    const pair = new Pair();
    pair.isJoined = true;
    pair.low.sleep(2_000);
    const [recorded = NO_TAGS] = pair.low.beacons();
    pair.high.frame(recorded);
    expect(pair.high.vnet.health()).toHaveLength(1);
    for (let i = 0; i < 24; i++) {
      pair.high.frame(recorded);
      pair.high.sleep(500);
    }
    expect(pair.high.vnet.health()).toEqual([]);
    expect(pair.high.vnet.drops().get("replayed")).toBeGreaterThan(10);
    const stranger = new Bench(4, new FakeDht(), { bridged: true, beaconKey: keys.lanKey });
    stranger.input({ kind: "timeout" });
    for (const beacon of stranger.beacons()) pair.high.frame(beacon);
    expect(pair.high.vnet.health()).toEqual([]);
    expect(pair.high.vnet.drops().get("foreign-network")).toBe(1);
  });

  it("beacons recorded at two starts of a member cut once each, not in turns for ever", () => {
    const high = new Pair().high;
    const low = new Pair().low.member;
    const recorded = [1, 2].map((seed) => {
      const before = new Bench(low.name === "node-1" ? 1 : 2, new FakeDht(), {
        bridged: true,
        rng: new SeededRng(seed),
      });
      before.input({ kind: "timeout" });
      return before.beacons()[0] ?? NO_TAGS;
    });
    for (const beacon of recorded) high.frame(beacon);
    expect(high.vnet.health()).toHaveLength(1);
    for (let i = 0; i < 24; i++) {
      for (const beacon of recorded) high.frame(beacon);
      high.sleep(500);
    }
    expect(high.vnet.health()).toEqual([]);
  });

  it("its own beacon comes back: the LAN has another way round, the node stops", () => {
    const bench = new Bench(1, new FakeDht(), { bridged: true, dhcp: "force" });
    bench.input({ kind: "timeout" });
    for (const beacon of bench.beacons()) bench.frame(beacon);
    expect(bench.vnet.health()).toEqual([expect.stringMatching(/come back .* stopped bridging/)]);
    bench.sleep(14_000);
    expect(bench.vnet.health()).toEqual([]);
  });

  it("a TAP that is no port of a bridge says nothing and believes nothing", () => {
    const bench = new Bench(1, new FakeDht());
    bench.input({ kind: "timeout" });
    bench.sleep(10_000);
    expect(bench.beacons()).toEqual([]);
    const other = new Bench(2, new FakeDht(), { bridged: true });
    other.input({ kind: "timeout" });
    for (const beacon of other.beacons()) bench.frame(beacon);
    expect(bench.vnet.health()).toEqual([]);
    expect(bench.vnet.drops().get("link-control")).toBe(1);
  });

  it("the name of the other stands in the line once it is linked", () => {
    const pair = new Pair();
    pair.high.input({ kind: "link-up", peer: peerOf(pair.low.member, 5) });
    pair.isJoined = true;
    pair.sleep(4_000);
    expect(pair.high.vnet.health().join()).toContain(pair.low.member.name);
  });
});
