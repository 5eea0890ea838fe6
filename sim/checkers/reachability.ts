/** Probes that change the world a little: they send, let time pass, and see what came back. */
import type { Cluster } from "../cluster.ts";
import type { Host } from "../host.ts";

/** A ping over the virtual Ethernet may need ARP, a look-up, a handshake and a relay first. */
const PING_LIMIT_MS = 6_000;

/** One ping over the TAPs for every ordered pair that has addresses: what users do. */
export function checkPings(cluster: Pick<Cluster, "up" | "world">): string[] {
  const pairs = pairsOf(cluster.up).flatMap(([from, to]) => {
    const ip = to.ip;
    return ip === undefined || from.ip === undefined
      ? []
      : [{ from, to, ping: from.stack.ping(ip) }];
  });
  const open = () => pairs.filter(({ from, ping }) => !from.stack.isAnswered(ping));
  cluster.world.runUntilHolds(() => open().length === 0, PING_LIMIT_MS);
  return open().map(({ from, to }) => `${from.name} cannot ping ${to.name}`);
}

/** One look-up of every address from every node: the same holder everywhere. */
export function checkLookups(cluster: Cluster): string[] {
  const asked = pairsOf(cluster.up).flatMap(([from, to]) => {
    const ip = to.ip;
    return ip === undefined ? [] : [{ from, to, ip, id: from.command({ name: "resolve", ip }) }];
  });
  const open = () => asked.filter(({ from, id }) => from.reply(id) === undefined);
  cluster.world.runUntilHolds(() => open().length === 0, PING_LIMIT_MS);
  return asked.flatMap(({ from, to, ip, id }) => {
    const reply = from.reply(id);
    if (reply?.kind === "lease" && reply.lease.mac === to.mac) return [];
    return [`${from.name} resolves ${ip} of ${to.name} to ${JSON.stringify(reply ?? "nothing")}`];
  });
}

function pairsOf(hosts: readonly Host[]): [Host, Host][] {
  return hosts.flatMap((from) =>
    hosts.flatMap((to): [Host, Host][] => (from === to ? [] : [[from, to]])),
  );
}
