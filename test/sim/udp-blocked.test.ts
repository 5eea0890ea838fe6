import { expect, it } from "vitest";
import { Cluster } from "../../sim/cluster.ts";
import type { Host } from "../../sim/host.ts";

const STREAMS = { streams: { listen: 443, proxy: undefined } };
/** From a switched-on machine to its first answered ping, address and all. */
const FIRST_PING_MS = 3_000;

function pinged(cluster: Cluster, from: Host, to: Host, limitMs: number): boolean {
  const numbers: number[] = [];
  let nextAt = cluster.world.now;
  return cluster.world.runUntilHolds(() => {
    if (from.ip !== undefined && to.ip !== undefined && cluster.world.now >= nextAt) {
      nextAt = cluster.world.now + 200;
      numbers.push(from.stack.ping(to.ip));
    }
    return numbers.some((number) => from.stack.isAnswered(number));
  }, limitMs);
}

function transports(host: Host): (string | undefined)[] {
  const peers = host.status()?.peers ?? [];
  return peers.filter(({ link }) => link === "direct").map(({ transport }) => transport);
}

it("a node without UDP joins over a stream, is reached by all, and goes back to UDP", () => {
  const cluster = new Cluster({ seed: 4, size: 4, config: STREAMS });
  const [a, b, c, blocked] = [0, 1, 2, 3].map((i) => cluster.host(i));
  if (a === undefined || b === undefined || c === undefined || blocked === undefined) return;
  for (const host of [a, b, c]) host.start();
  expect(pinged(cluster, b, c, 30_000)).toBe(true);
  cluster.network.blockUdp(blocked.endpoint.ip);
  blocked.start();
  expect(pinged(cluster, blocked, b, FIRST_PING_MS)).toBe(true);
  expect(pinged(cluster, c, blocked, FIRST_PING_MS)).toBe(true);
  expect(pinged(cluster, a, blocked, FIRST_PING_MS)).toBe(true);
  expect(new Set(transports(blocked))).toEqual(new Set(["tls"]));
  cluster.network.allowUdp(blocked.endpoint.ip);
  const isBack = (): boolean =>
    transports(blocked).length > 0 && transports(blocked).every((one) => one === "udp");
  let lost = 0;
  const isBackWhilePinging = cluster.world.runUntilHolds(() => {
    if (a.ip === undefined) return false;
    const number = blocked.stack.ping(a.ip);
    cluster.world.runUntil(cluster.world.now + 150);
    if (!blocked.stack.isAnswered(number)) lost++;
    return isBack();
  }, 90_000);
  expect(isBackWhilePinging).toBe(true);
  expect(lost).toBe(0);
  cluster.network.blockUdp(blocked.endpoint.ip);
  expect(pinged(cluster, blocked, a, 60_000)).toBe(true);
});

it("comes back without UDP and without its bootstrap node, over a stream to a member it met", () => {
  const cluster = new Cluster({ seed: 5, size: 4, config: STREAMS });
  const [first, other, , blocked] = [0, 1, 2, 3].map((i) => cluster.host(i));
  if (first === undefined || other === undefined || blocked === undefined) return;
  cluster.network.blockUdp(blocked.endpoint.ip);
  for (const host of cluster.hosts) host.start();
  expect(pinged(cluster, blocked, other, 30_000)).toBe(true);
  cluster.world.runUntil(cluster.world.now + 30_000);
  expect(transports(blocked)).toEqual(["tls"]); // the others through the first one
  first.crash();
  expect(pinged(cluster, blocked, other, 20_000)).toBe(true);
  expect(new Set(transports(blocked))).toEqual(new Set(["tls"]));
  blocked.crash();
  cluster.world.runUntil(cluster.world.now + 60_000);
  blocked.start();
  expect(pinged(cluster, blocked, other, 10_000)).toBe(true);
  expect(new Set(transports(blocked))).toEqual(new Set(["tls"]));
});
