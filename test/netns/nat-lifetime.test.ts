import { afterAll, expect, it } from "vitest";
import type { AgentStatus } from "../../src/agent/agent-status.ts";
import { describeWhere } from "../support/requires.ts";
import { type Cluster, figure, kernelNeeds } from "./cluster.ts";
import { addHome, startInternet } from "./homes.ts";

/** By the kernel's timers; they are looked at once a second. */
const LIFE_SECONDS = 12;

describeWhere("a NAT that forgets UDP mappings after 12 s", kernelNeeds("conntrack"), () => {
  let cluster: Cluster;
  afterAll(() => cluster?.remove());

  it("is told by `weft netcheck --lifetime`, in words and as JSON", async () => {
    cluster = await startInternet("natlife");
    const options = { kind: "symmetric", udpSeconds: LIFE_SECONDS } as const;
    const { agent } = await addHome(cluster, "inside", options);
    await cluster.startAll();
    const asked = await agent.weft("netcheck", "--lifetime", "--json");
    expect(asked.stderr).toBe("");
    const { nat } = JSON.parse(asked.stdout) as { readonly nat: AgentStatus["nat"] };
    const { state, aliveSeconds, goneSeconds } = nat.mappingLife;
    figure(`mapping ${state}: serves after ${aliveSeconds} s, not after ${goneSeconds} s`);
    expect(nat.mappingLife).toEqual({ state: "known", aliveSeconds: 10, goneSeconds: 15 });
    const { stdout } = await agent.weft("netcheck");
    expect(stdout).toMatch(/Lifetime: +a mapping silent for 10 s serves, for 15 s no more/);
  }, 180_000);
});
