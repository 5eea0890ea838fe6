/** Kernel tests whose agents sit behind NATs: clusters of homes, and the questions asked of them. */
import type { Agent } from "../../lab/agent.ts";
import { type BoxOptions, NatBox } from "../../lab/nat-box.ts";
import { eventually } from "../../lab/shell.ts";
import { Cluster, type ClusterOptions } from "./cluster.ts";

/** An internet without multicast, and one public member that introduces the others. */
export async function startInternet(name: string, options: ClusterOptions = {}): Promise<Cluster> {
  const cluster = await Cluster.create(name, options);
  await cluster.lab.dropMulticast();
  for (let i = 1; i <= (options.bootstraps ?? 1); i++) await cluster.addAgent(`public${i}`);
  return cluster;
}

/** A router with its NAT, and one agent behind it. */
export async function addHome(
  cluster: Cluster,
  name: string,
  options: BoxOptions = { kind: "portrestricted" },
): Promise<{ agent: Agent; box: NatBox }> {
  const box = await NatBox.create(cluster.lab, `${name}-nat`, options);
  return { box, agent: cluster.addAgentAt(await box.addSite(name)) };
}

export async function linkOf(from: Agent, to: Agent): Promise<string | undefined> {
  return (await from.status())?.peers.find((peer) => peer.name === to.name)?.link;
}

export async function untilDirect(from: Agent, to: Agent, limitMs = 30_000): Promise<void> {
  const isDirect = async () => (await linkOf(from, to)) === "direct";
  await eventually(`${from.name} reaches ${to.name} directly`, isDirect, limitMs);
}
