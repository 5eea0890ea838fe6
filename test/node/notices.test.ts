/** Revocation in virtual time: how the list spreads, whom it cuts off, who hears of it later. */
import { describe, expect, it } from "vitest";
import { checkOnline, checkRing } from "../../sim/checkers/invariants.ts";
import { checkPings } from "../../sim/checkers/reachability.ts";
import { Cluster, type ClusterOptions, underlayIp } from "../../sim/cluster.ts";
import { fastSuite } from "../../sim/fast-suite.ts";
import type { Host } from "../../sim/host.ts";
import { deriveClusterKeys } from "../../src/crypto/cluster-keys.ts";
import { NoticeBoard, signNotice } from "../../src/crypto/notice-board.ts";
import { emitRevocations } from "../../src/crypto/revocations.ts";
import type { NodeConfig } from "../../src/node/config.ts";
import { Notices } from "../../src/node/notices.ts";
import { emitNoticeMessage } from "../../src/wire/notice.ts";
import { AUTHORITY, configOfMember, identityOf, networkKeyOf, serialOf } from "./members.ts";

const SEED = 31;
const { networkId } = deriveClusterKeys(fastSuite, networkKeyOf(SEED));

function start(size: number, options: Partial<ClusterOptions> = {}): Cluster {
  const configOf = (i: number): Partial<NodeConfig> => configOfMember(SEED, i);
  const bootstrap = Array.from({ length: size }, (_, i) => i);
  const cluster = new Cluster({ seed: SEED, size, bootstrap, configOf, ...options });
  for (const host of cluster.hosts) host.start();
  settle(cluster, cluster.hosts);
  return cluster;
}

function settle(cluster: Cluster, hosts: readonly Host[]): void {
  const wrong = () => [...checkRing(hosts), ...checkOnline(hosts)];
  cluster.world.runUntilHolds(() => wrong().length === 0, 40_000);
  expect(wrong()).toEqual([]);
}

/** The list with these members' keys, and these serial numbers. */
function listOf(
  number: number,
  members: readonly number[],
  serials: readonly bigint[] = [],
): Uint8Array {
  const keys = members.map((i) => identityOf(i).signing.publicKey);
  const body = emitRevocations({ keys, serials });
  return signNotice(fastSuite, AUTHORITY, { kind: "revocations", number, networkId, body });
}

function post(cluster: Cluster, at: number, notice: Uint8Array): unknown {
  const host = cluster.host(at);
  return host.reply(host.command({ name: "post-notice", notice }));
}

function others(cluster: Cluster, out: number): Host[] {
  return cluster.up.filter((host) => host !== cluster.host(out));
}

/** Whoever still has a link with `name`. */
function linkedWith(hosts: readonly Host[], name: string): string[] {
  return hosts
    .filter((host) => host.status()?.peers.some((peer) => peer.name === name))
    .map((host) => host.name);
}

function numbers(hosts: readonly Host[]): (number | undefined)[] {
  return hosts.map((host) => host.status()?.notices.revocations);
}

describe("a member is revoked at one node", () => {
  it("every node cuts its session within a second, and it does not come back", () => {
    const cluster = start(6);
    const rest = others(cluster, 2);
    expect(linkedWith(rest, "n2").length).toBe(5);
    expect(post(cluster, 4, listOf(1, [2]))).toMatchObject({ kind: "posted", number: 1 });
    cluster.world.runUntil(cluster.world.now + 1_000);
    expect(linkedWith(rest, "n2")).toEqual([]);
    expect(numbers(rest)).toEqual([1, 1, 1, 1, 1]);
    for (let i = 0; i < 12; i++) {
      cluster.world.runUntil(cluster.world.now + 5_000);
      expect(linkedWith(rest, "n2")).toEqual([]);
    }
    settle(cluster, rest);
    expect(cluster.host(0).node?.drops().revoked).toBeGreaterThan(0);
  });

  it("it hears why", () => {
    const cluster = start(3);
    post(cluster, 0, listOf(1, [2]));
    cluster.world.runUntil(cluster.world.now + 1_000);
    expect(cluster.host(2).status()?.health.join()).toContain("the authority revoked this node");
  });

  it("nothing of it passes any more, neither through relays, and its lease is free for others", () => {
    const cluster = start(4);
    cluster.network.block(underlayIp(1), underlayIp(2));
    cluster.world.runUntil(cluster.world.now + 60_000);
    expect(checkPings(cluster)).toEqual([]);
    const ip = cluster.host(2).ip ?? "";
    post(cluster, 3, listOf(1, [2]));
    cluster.world.runUntil(cluster.world.now + 1_000);
    const pings = others(cluster, 2).map((host) => ({ host, ping: host.stack.ping(ip) }));
    const back = others(cluster, 2).map((host) => cluster.host(2).stack.ping(host.ip ?? ""));
    cluster.world.runUntil(cluster.world.now + 10_000);
    expect(pings.filter(({ host, ping }) => host.stack.isAnswered(ping))).toEqual([]);
    expect(back.filter((ping) => cluster.host(2).stack.isAnswered(ping))).toEqual([]);
    const asked = cluster.host(0).command({ name: "resolve", ip });
    cluster.world.runUntil(cluster.world.now + 5_000);
    expect(cluster.host(0).reply(asked)).toMatchObject({ kind: "failed", code: "not-found" });
  });

  it("what others hold stays, although it vouched for it", () => {
    const cluster = start(5);
    const before = others(cluster, 2).map((host) => host.ip);
    post(cluster, 0, listOf(1, [2]));
    cluster.world.runUntil(cluster.world.now + 120_000);
    expect(others(cluster, 2).map((host) => host.ip)).toEqual(before);
    expect(checkPings({ world: cluster.world, up: others(cluster, 2) })).toEqual([]);
  });
});

describe("who comes again", () => {
  /** Member 2 starts anew with another certificate, after it was revoked. */
  function comesAgain(again: Partial<NodeConfig>, list: Uint8Array): string[] {
    let certified = configOfMember(SEED, 2);
    const cluster = start(4, {
      configOf: (i) => (i === 2 ? certified : configOfMember(SEED, i)),
    });
    post(cluster, 0, list);
    cluster.world.runUntil(cluster.world.now + 2_000);
    cluster.host(2).crash();
    certified = again;
    cluster.host(2).start();
    cluster.world.runUntil(cluster.world.now + 20_000);
    const address = cluster.host(2).status()?.address;
    return others(cluster, 2)
      .filter((host) => host.status()?.peers.some((peer) => peer.address === address))
      .map((host) => host.name);
  }

  it.each([
    ["with the same certificate", {}],
    ["under another name", { name: "n9", serial: 77n }],
    ["at another place of the ring", { salt: new Uint8Array(16).fill(9), serial: 78n }],
  ])("%s: its key is out", (_, facts) => {
    expect(comesAgain(configOfMember(SEED, 2, facts), listOf(1, [2]))).toEqual([]);
  });

  it("with another key and the serial number that was revoked", () => {
    const again = configOfMember(SEED, 9, { serial: serialOf(2) });
    expect(comesAgain(again, listOf(1, [], [serialOf(2)]))).toEqual([]);
  });

  it("with another key and another serial number it is somebody else", () => {
    const again = configOfMember(SEED, 9);
    expect(comesAgain(again, listOf(1, [2], [serialOf(2)])).length).toBe(3);
  });
});

describe("who was away", () => {
  it.each([
    ["a while", 3_000],
    ["until it was given up", 120_000],
  ])("asleep for %s: it refuses the revoked within 10 s of its waking", (_, ms) => {
    const cluster = start(5);
    cluster.host(1).freeze();
    post(cluster, 0, listOf(1, [2]));
    cluster.world.runUntil(cluster.world.now + ms);
    expect(linkedWith([cluster.host(1)], "n2")).toEqual(["n1"]);
    cluster.host(1).thaw();
    cluster.world.runUntil(cluster.world.now + 10_000);
    expect(linkedWith([cluster.host(1)], "n2")).toEqual([]);
    expect(numbers([cluster.host(1)])).toEqual([1]);
  });

  it("down meanwhile, and the one that was asked first is dead: another one tells it", () => {
    const cluster = start(5);
    cluster.host(1).crash();
    post(cluster, 0, listOf(1, [2]));
    cluster.world.runUntil(cluster.world.now + 5_000);
    cluster.host(0).crash();
    cluster.host(1).start();
    cluster.world.runUntilHolds(() => numbers([cluster.host(1)])[0] === 1, 10_000);
    expect(numbers([cluster.host(1)])).toEqual([1]);
    expect(linkedWith([cluster.host(1)], "n2")).toEqual([]);
  });

  it("a whole cluster that starts again keeps it, from what each node saved", () => {
    const cluster = start(4);
    post(cluster, 0, listOf(1, [2]));
    cluster.world.runUntil(cluster.world.now + 2_000);
    for (const host of cluster.up) host.crash();
    cluster.world.runUntil(cluster.world.now + 5_000);
    for (const host of cluster.hosts) host.start();
    cluster.world.runUntil(cluster.world.now + 30_000);
    expect(numbers(others(cluster, 2))).toEqual([1, 1, 1]);
    expect(linkedWith(others(cluster, 2), "n2")).toEqual([]);
    settle(cluster, others(cluster, 2));
  });

  it("two halves of a split network agree on the newer list when it heals", () => {
    const cluster = start(6);
    const sides = cluster.hosts.map((host, i): [string, number] => [
      host.endpoint.ip,
      i < 3 ? 0 : 1,
    ]);
    cluster.network.partition(new Map(sides));
    post(cluster, 0, listOf(1, [1]));
    post(cluster, 5, listOf(2, [1, 4]));
    cluster.world.runUntil(cluster.world.now + 30_000);
    expect(numbers(cluster.hosts)).toEqual([1, 1, 1, 2, 2, 2].map((n, i) => (i === 1 ? 1 : n)));
    cluster.network.heal();
    const rest = [0, 2, 3, 5].map((i) => cluster.host(i));
    cluster.world.runUntilHolds(() => numbers(rest).every((number) => number === 2), 120_000);
    expect(numbers(rest)).toEqual([2, 2, 2, 2]);
    cluster.world.runUntil(cluster.world.now + 2_000);
    expect(linkedWith(rest, "n1")).toEqual([]);
    expect(linkedWith(rest, "n4")).toEqual([]);
  });
});

describe("which list counts", () => {
  it("an older one, another of the same number and a stranger's are refused in words", () => {
    const cluster = start(3);
    post(cluster, 0, listOf(5, [2]));
    expect(post(cluster, 0, listOf(5, [2]))).toMatchObject({ kind: "posted", number: 5 });
    expect(post(cluster, 0, listOf(4, []))).toMatchObject({
      code: "not-newer",
      detail: "list 4 is older than 5, the newest here: sign a newer one",
    });
    expect(post(cluster, 0, listOf(5, [1]))).toMatchObject({
      code: "not-newer",
      detail: "another list with number 5 is here already: sign a newer one",
    });
    expect(cluster.host(0).status()?.health.join()).toContain("have number 5");
    const forged = listOf(9, [1]).map((byte, i) => (i === 40 ? byte ^ 1 : byte));
    expect(post(cluster, 0, forged)).toMatchObject({ code: "notice-refused" });
    expect(numbers([cluster.host(0)])).toEqual([5]);
    post(cluster, 0, listOf(6, [2]));
    expect(cluster.host(0).status()?.health).toEqual([]);
  });

  it("whom a newer one leaves out is let in again", () => {
    const cluster = start(3);
    post(cluster, 0, listOf(1, [2]));
    cluster.world.runUntil(cluster.world.now + 5_000);
    expect(linkedWith(others(cluster, 2), "n2")).toEqual([]);
    post(cluster, 1, listOf(2, []));
    cluster.world.runUntilHolds(() => linkedWith(others(cluster, 2), "n2").length === 2, 120_000);
    settle(cluster, cluster.hosts);
  });
});

describe("telling", () => {
  const notice = listOf(3, [2]);
  const at = (link: number, revocations = 0) => [link, { revocations, shared: 0 }] as const;

  function told(notices: Notices): { link: number; token: number }[] {
    const out: { link: number; token: number }[] = [];
    for (let one = notices.poll(); one !== undefined; one = notices.poll()) {
      if (one.kind === "send") out.push({ link: one.link, token: one.token });
    }
    return out;
  }

  function make(): Notices {
    const keys = deriveClusterKeys(fastSuite, networkKeyOf(SEED), AUTHORITY.publicKey);
    return new Notices(new NoticeBoard(fastSuite, keys));
  }

  it("goes over each link whose peer has an older one, and not back to who told it", () => {
    const notices = make();
    notices.greeted(...at(1));
    notices.greeted(...at(2, 3));
    notices.greeted(...at(3));
    expect(told(notices)).toEqual([]);
    expect(notices.receive(3, emitNoticeMessage(notice))).toBeUndefined();
    expect(told(notices).map(({ link }) => link)).toEqual([1]);
    notices.greeted(...at(4, 2));
    notices.greeted(...at(5, 4));
    expect(told(notices).map(({ link }) => link)).toEqual([4]);
  });

  it("is said again until it is acknowledged, one at a time", () => {
    const notices = make();
    notices.greeted(...at(1));
    notices.post(notice);
    const [first] = told(notices);
    notices.greeted(...at(1));
    expect(told(notices), "it is on its way").toEqual([]);
    expect(notices.sent(1_000, first?.token ?? 0, false)).toBe(true);
    expect(notices.deadline()).toBe(3_000);
    notices.timeout(3_000);
    const [second] = told(notices);
    notices.sent(4_000, second?.token ?? 0, true);
    expect(notices.deadline()).toBe(Number.POSITIVE_INFINITY);
    notices.timeout(1e9);
    expect(told(notices)).toEqual([]);
    expect(notices.sent(5_000, second?.token ?? 0, true), "once").toBe(false);
  });

  it("who shows an older one is told the newer one", () => {
    const notices = make();
    notices.greeted(...at(1, 3));
    notices.post(notice);
    expect(told(notices)).toEqual([]);
    notices.greeted(...at(2, 3));
    expect(notices.receive(2, emitNoticeMessage(listOf(2, [])))).toBeUndefined();
    expect(told(notices), "it said itself that it has it").toEqual([]);
  });

  it("what comes while one is on its way follows it", () => {
    const notices = make();
    notices.greeted(...at(1));
    notices.post(notice);
    const [first] = told(notices);
    notices.post(listOf(4, []));
    expect(told(notices)).toEqual([]);
    notices.sent(500, first?.token ?? 0, true);
    notices.timeout(notices.deadline());
    expect(told(notices).map(({ link }) => link)).toEqual([1]);
  });

  it("a saved notice of another authority is left out, and said", () => {
    const notices = make();
    notices.restore([notice.map((byte, i) => (i === 3 ? byte ^ 1 : byte)), notice]);
    const events: string[] = [];
    for (let one = notices.poll(); one !== undefined; one = notices.poll()) {
      if (one.kind === "event") events.push(one.event.what);
    }
    expect(events).toEqual(["notice-refused", "notice-taken"]);
  });
});
