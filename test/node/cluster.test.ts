/** Whole nodes in virtual time: what a user sees of joining, leaving, relaying and coming back. */
import { describe, expect, it } from "vitest";
import { checkOnline, checkRing } from "../../sim/checkers/invariants.ts";
import { checkLookups, checkPings } from "../../sim/checkers/reachability.ts";
import { Cluster, underlayIp } from "../../sim/cluster.ts";
import { suite } from "../support/suite.ts";

function startAll(cluster: Cluster): void {
  for (const host of cluster.hosts) host.start();
}

function settled(cluster: Cluster): string[] {
  const wrong = () => [...checkRing(cluster.up), ...checkOnline(cluster.up)];
  cluster.world.runUntilHolds(() => wrong().length === 0, 20_000);
  return wrong();
}

describe("joining", () => {
  it("a lone first node that waits for a dead bootstrap has its lease within 2 s", () => {
    const cluster = new Cluster({ seed: 1, size: 2, bootstrap: [1] });
    cluster.host(0).start();
    cluster.world.runUntil(2_000);
    expect(cluster.host(0).status()?.lease?.alone).toBe(true);
    expect(cluster.host(0).ip).toBeDefined();
  });

  it("a first node whose only bootstrap endpoint is itself has its lease at once", () => {
    const cluster = new Cluster({ seed: 14, size: 1 });
    cluster.host(0).start();
    cluster.world.runUntil(300);
    expect(cluster.host(0).ip).toBeDefined();
  });

  it("a joining node has its lease within 5 s, and the first node's is claimed by quorum then", () => {
    const cluster = new Cluster({ seed: 2, size: 2 });
    cluster.host(0).start();
    cluster.world.runUntil(3_000);
    cluster.host(1).start();
    cluster.world.runUntil(8_000);
    expect(cluster.host(1).ip).toBeDefined();
    expect(cluster.host(0).status()?.lease?.alone).toBe(false);
    expect(cluster.host(0).ip).not.toBe(cluster.host(1).ip);
  });

  it("works with the real primitives as with the simulation's", () => {
    const cluster = new Cluster({ seed: 3, size: 4, suite });
    startAll(cluster);
    expect(settled(cluster)).toEqual([]);
    expect(checkPings(cluster)).toEqual([]);
  });

  it("two clusters with different keys on one internet never meet", () => {
    const cluster = new Cluster({ seed: 4, size: 3, strangers: [2] });
    startAll(cluster);
    cluster.world.runUntil(15_000);
    expect(
      cluster
        .host(0)
        .status()
        ?.peers.map((peer) => peer.name),
    ).toEqual(["n1"]);
    expect(cluster.host(2).status()?.peers).toEqual([]);
    expect(cluster.host(2).status()?.health.join()).toContain("no bootstrap endpoint answers");
  });
});

describe("pairs without a direct path", () => {
  it("one relay: the first ping arrives, and the path becomes direct when it may", () => {
    const cluster = new Cluster({ seed: 5, size: 3 });
    cluster.network.block(underlayIp(1), underlayIp(2));
    startAll(cluster);
    expect(settled(cluster)).toEqual([]);
    expect(checkPings(cluster)).toEqual([]);
    const linkOf = () =>
      cluster
        .host(1)
        .status()
        ?.peers.find((peer) => peer.name === "n2")?.link;
    expect(linkOf()).toBe("relay");
    cluster.network.unblock(underlayIp(1), underlayIp(2));
    expect(cluster.world.runUntilHolds(() => linkOf() === "direct", 120_000)).toBe(true);
  });

  it("two relays: n1 - n0 - n3 - n2, nothing else connects n1 and n2", () => {
    const cluster = new Cluster({ seed: 6, size: 4, bootstrap: [0, 3] });
    for (const [a, b] of [
      [1, 2],
      [1, 3],
      [0, 2],
    ] as const) {
      cluster.network.block(underlayIp(a), underlayIp(b));
    }
    cluster.host(0).start();
    cluster.host(3).start();
    cluster.world.runUntil(3_000);
    startAll(cluster);
    expect(settled(cluster)).toEqual([]);
    expect(checkPings(cluster)).toEqual([]);
  });
});

describe("going and coming back", () => {
  it("a crashed node comes back with its address; the others miss nothing", () => {
    const cluster = new Cluster({ seed: 7, size: 5 });
    startAll(cluster);
    expect(settled(cluster)).toEqual([]);
    const before = cluster.host(3).ip;
    cluster.host(3).crash();
    expect(checkPings(cluster)).toEqual([]);
    cluster.world.runUntil(cluster.world.now + 3_000);
    const startedAt = cluster.world.now;
    cluster.host(3).stack.configure(undefined);
    cluster.host(3).start();
    cluster.world.runUntilHolds(() => cluster.host(3).ip === before, 10_000);
    expect(cluster.host(3).ip).toBe(before);
    expect(cluster.world.now - startedAt).toBeLessThanOrEqual(5_000);
  });

  it("a process suspended for 60 s carries traffic again within 10 s", () => {
    const cluster = new Cluster({ seed: 8, size: 4 });
    startAll(cluster);
    expect(settled(cluster)).toEqual([]);
    cluster.host(2).freeze();
    cluster.world.runUntil(cluster.world.now + 60_000);
    cluster.host(2).thaw();
    cluster.world.runUntil(cluster.world.now + 10_000);
    expect(checkPings(cluster)).toEqual([]);
  });

  it("leaving gives the address back: another node may have it at once", () => {
    const claims = { range: { first: "10.99.0.0", prefix: 30 } } as const;
    const cluster = new Cluster({ seed: 9, size: 2, config: claims });
    cluster.host(0).start();
    cluster.world.runUntil(3_000);
    expect(cluster.host(0).ip).toBe("10.99.0.2");
    cluster.host(1).start();
    cluster.world.runUntil(8_000);
    expect(cluster.host(1).ip, "the only address is taken").toBeUndefined();
    cluster.host(0).command({ name: "leave" });
    cluster.world.runUntilHolds(() => cluster.host(1).ip === "10.99.0.2", 60_000);
    expect(cluster.host(1).ip).toBe("10.99.0.2");
  });

  it("two rings that formed apart become one, and clashing addresses are settled", () => {
    const cluster = new Cluster({ seed: 10, size: 6, bootstrap: [0, 3] });
    const sides = cluster.hosts.map((host, i): [string, number] => [
      host.endpoint.ip,
      i < 3 ? 0 : 1,
    ]);
    cluster.network.partition(new Map(sides));
    startAll(cluster);
    cluster.world.runUntil(20_000);
    expect(cluster.host(0).status()?.ring.successors.length).toBe(2);
    cluster.network.heal();
    cluster.world.runUntil(90_000);
    expect(settled(cluster)).toEqual([]);
    expect(checkLookups(cluster)).toEqual([]);
  });
});

describe("commands", () => {
  it("ping by name, by address and to nobody", () => {
    const cluster = new Cluster({ seed: 11, size: 3 });
    startAll(cluster);
    expect(settled(cluster)).toEqual([]);
    const host = cluster.host(0);
    const byName = host.command({ name: "ping", target: "n1", size: 100 });
    const byIp = host.command({ name: "ping", target: cluster.host(2).ip ?? "", size: 0 });
    const nobody = host.command({ name: "ping", target: "n9", size: 0 });
    cluster.world.runUntil(cluster.world.now + 1_000);
    expect(host.reply(byName)).toMatchObject({ kind: "pong", peer: "n1" });
    expect(host.reply(byIp)).toMatchObject({ kind: "pong", peer: "n2" });
    expect(host.reply(nobody)).toMatchObject({ kind: "failed", code: "unknown-peer" });
  });

  it("a ping to a member that just died times out instead of hanging", () => {
    const cluster = new Cluster({ seed: 12, size: 3 });
    startAll(cluster);
    expect(settled(cluster)).toEqual([]);
    cluster.host(1).crash();
    const id = cluster.host(0).command({ name: "ping", target: "n1", size: 0 });
    cluster.world.runUntil(cluster.world.now + 6_000);
    expect(cluster.host(0).reply(id)).toMatchObject({ kind: "failed", code: "timeout" });
  });

  it("dht-get shows a record, misses say so, bad keys are refused", () => {
    const cluster = new Cluster({ seed: 13, size: 2 });
    startAll(cluster);
    expect(settled(cluster)).toEqual([]);
    const absent = cluster.host(0).command({ name: "dht-get", key: "00".repeat(20) });
    const bad = cluster.host(0).command({ name: "dht-get", key: "nonsense" });
    cluster.world.runUntil(cluster.world.now + 4_000);
    expect(cluster.host(0).reply(absent)).toMatchObject({ kind: "failed", code: "not-found" });
    expect(cluster.host(0).reply(bad)).toMatchObject({ kind: "failed", code: "bad-argument" });
  });
});

describe("what a node says of itself", () => {
  it("cut off from everybody it is not well", () => {
    const cluster = new Cluster({ seed: 21, size: 3 });
    startAll(cluster);
    expect(settled(cluster)).toEqual([]);
    expect(cluster.host(2).status()?.state).toBe("online");
    cluster.host(0).crash();
    cluster.host(1).crash();
    cluster.world.runUntil(cluster.world.now + 60_000);
    expect(cluster.host(2).status()?.state).toBe("degraded");
    expect(cluster.host(2).status()?.health.join()).toContain("no bootstrap endpoint answers");
    cluster.host(0).start();
    cluster.world.runUntil(cluster.world.now + 10_000);
    expect(cluster.host(2).status()?.health).toEqual([]);
  });

  it("without an address it is not well", () => {
    const config = { range: { first: "10.99.0.0", prefix: 30 } } as const;
    const cluster = new Cluster({ seed: 9, size: 2, config });
    cluster.host(0).start();
    cluster.world.runUntil(3_000);
    cluster.host(1).start();
    cluster.world.runUntil(30_000);
    expect(cluster.host(0).status()?.health).toEqual([]);
    expect(cluster.host(1).status()?.health.join()).toContain("no address");
  });

  it("everybody who asked it to go is answered", () => {
    const cluster = new Cluster({ seed: 23, size: 3 });
    startAll(cluster);
    expect(settled(cluster)).toEqual([]);
    const host = cluster.host(2);
    const first = host.command({ name: "leave" });
    const second = host.command({ name: "leave" });
    const third = host.command({ name: "stop" });
    cluster.world.runUntil(cluster.world.now + 4_000);
    expect([first, second, third].map((id) => host.reply(id)?.kind)).toEqual([
      "done",
      "done",
      "done",
    ]);
  });

  it("after its last word it says nothing", () => {
    const cluster = new Cluster({ seed: 22, size: 3 });
    startAll(cluster);
    expect(settled(cluster)).toEqual([]);
    const { node } = cluster.host(2);
    const said: string[] = [];
    const drain = () => {
      for (let out = node?.poll(); out !== undefined; out = node?.poll()) {
        said.push(out.kind === "engine" ? out.command.op : out.kind);
      }
    };
    node?.handle(cluster.world.now, { kind: "command", id: 1, command: { name: "stop" } });
    drain();
    expect(said).toContain("stopped");
    expect(said, "no new handshakes").not.toContain("datagram");
    said.length = 0;
    for (let i = 1; i < 30; i++) {
      node?.handle(cluster.world.now + i * 1_000, { kind: "timeout" });
      drain();
    }
    expect(said).toEqual([]);
    expect(node?.deadline()).toBe(Number.POSITIVE_INFINITY);
  });
});
