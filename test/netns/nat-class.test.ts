import { afterAll, expect, it } from "vitest";
import type { Agent } from "../../lab/agent.ts";
import { eventually } from "../../lab/shell.ts";
import { describeWhere } from "../support/requires.ts";
import { type Cluster, figure, kernelNeeds } from "./cluster.ts";
import { addHome, startInternet } from "./homes.ts";

/** Pairwise without a direct path: the public member of one address is all that each can ask. */
const HOMES = [
  ["portrestricted", "port-restricted"],
  ["symmetric", "symmetric"],
  ["symmetric_sequential", "symmetric-sequential"],
] as const;

describeWhere("one public member of one address", kernelNeeds("conntrack"), () => {
  let cluster: Cluster;
  afterAll(() => cluster?.remove());

  it("is enough to tell each NAT what it is", async () => {
    cluster = await startInternet("natclass");
    const agents = new Map<string, Agent>();
    for (const [kind] of HOMES) {
      agents.set(kind, (await addHome(cluster, kind.replace("_", "-"), { kind })).agent);
    }
    await cluster.startAll();
    for (const [kind, expected] of HOMES) {
      const agent = agents.get(kind) as Agent;
      const isKnown = async () => (await agent.status())?.nat.filtering === "address-and-port";
      await eventually(`${kind} is surveyed`, isKnown, 60_000);
      const nat = (await agent.status())?.nat;
      figure(`${kind}: ${nat?.kind}, ports ${nat?.allocation}, step ${nat?.step ?? "-"}`);
      expect(nat?.kind).toBe(expected);
      if (kind === "symmetric_sequential") expect(nat?.step).toBe(1);
    }
  }, 180_000);
});
