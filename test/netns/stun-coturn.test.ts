/** Our client is judged by a server of others: coturn tells each agent how its NAT treats it. */
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Agent } from "../../lab/agent.ts";
import type { Site } from "../../lab/lab.ts";
import { NatBox } from "../../lab/nat-box.ts";
import { NAT_BEHAVIOURS, type NatKind } from "../../lab/nat-kind.ts";
import { eventually } from "../../lab/shell.ts";
import type { AgentStatus } from "../../src/agent/agent-status.ts";
import { describeWhere } from "../support/requires.ts";
import { Cluster, kernelNeeds } from "./cluster.ts";

/** Every mapping and every filtering is among them. */
const KINDS: readonly NatKind[] = [
  "fullcone",
  "restricted",
  "portrestricted",
  "address_dependent",
  "symmetric",
];
const SERVER_LIMIT_MS = 30_000;
const ANSWER_LIMIT_MS = 2_000;

const needs = kernelNeeds("turnserver", "turnutils_stunclient");

describeWhere("agents behind NATs that know coturn and no member", needs, () => {
  let cluster: Cluster;
  const behind = new Map<NatKind, { readonly agent: Agent; readonly box: NatBox }>();

  beforeAll(async () => {
    cluster = await Cluster.create("coturn", {
      bootstraps: 0,
      // the first address that the lab gives away
      extra: "lan: off\nstun_servers: [198.51.100.1:3478]",
    });
    const { lab } = cluster;
    const server = await lab.addSite("server");
    expect(server.ip).toBe("198.51.100.1");
    await startCoturn(server, lab.takeAddress().ip);
    for (const kind of KINDS) {
      const box = await NatBox.create(lab, `box-${kind}`, { kind });
      const agent = cluster.addAgentAt(await box.addSite(kind.replaceAll("_", "-")));
      behind.set(kind, { agent, box });
    }
  });
  afterAll(() => cluster?.remove());

  it.for(KINDS)("%s", async (kind) => {
    const { agent, box } = behind.get(kind) ?? {};
    if (agent === undefined || box === undefined) throw new Error(`no agent behind ${kind}`);
    agent.start();
    const answers = async () => (await agent.status()) !== undefined;
    await agent.explain(() => eventually(`${kind} runs`, answers, SERVER_LIMIT_MS));
    const { nat } = await netcheck(agent);
    await agent.stop();

    const { mapping, filtering } = NAT_BEHAVIOURS[kind];
    expect(nat.udp).toBe("works");
    expect(nat.reflexive.map((endpoint) => endpoint.split(":")[0])).toEqual([box.outside]);
    expect({ mapping: nat.mapping, filtering: nat.filtering }).toEqual({ mapping, filtering });
  });
});

/** A second address lets it answer from elsewhere (RFC 5780); the machine's own settings forbid that. */
async function startCoturn(site: Site, second: string): Promise<void> {
  await site.run(["ip", "addr", "add", `${second}/24`, "dev", "eth0"]);
  const files = [`--pidfile=${site.folder}/pid`, `--db=${site.folder}/db`];
  const quiet = ["--no-tls", "--no-dtls", "--no-cli", "--log-file=stdout", "--simple-log"];
  const addresses = [`--listening-ip=${site.ip}`, `--listening-ip=${second}`];
  const running = site.start(["turnserver", "-n", "--stun-only", ...quiet, ...files, ...addresses]);
  // it waits for ever for the answer to a question that was lost
  const ask = () => site.finish(["turnutils_stunclient", second], { timeoutMs: ANSWER_LIMIT_MS });
  const answers = async () => (await ask()).stdout.includes("UDP reflexive addr");
  try {
    await eventually("coturn answers", answers, SERVER_LIMIT_MS);
  } catch (error) {
    throw new Error(`${(error as Error).message}; it said:\n${running.output.slice(-3000)}`);
  }
}

async function netcheck(agent: Agent): Promise<Pick<AgentStatus, "nat">> {
  const { stdout } = await agent.weft("netcheck", "--json");
  return JSON.parse(stdout) as Pick<AgentStatus, "nat">;
}
