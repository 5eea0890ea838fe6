import { afterAll, expect, it } from "vitest";
import { describeWhere } from "../support/requires.ts";
import { type Cluster, figure, kernelNeeds, readPing } from "./cluster.ts";
import { addHome, startInternet, untilDirect } from "./homes.ts";

const TITLE = "two agents behind one NAT with the same port";

describeWhere(TITLE, kernelNeeds("conntrack"), () => {
  let cluster: Cluster;
  afterAll(() => cluster?.remove());

  it("both reach a third one directly, each from an outside port of its own", async () => {
    cluster = await startInternet("natneighbours");
    const { box, agent: first } = await addHome(cluster, "a1");
    const second = cluster.addAgentAt(await box.addSite("a2"));
    const { agent: third, box: thirdBox } = await addHome(cluster, "b");
    await cluster.startAll();
    const started = performance.now();
    for (const agent of [first, second]) await untilDirect(agent, third, 10_000);
    for (const agent of [first, second]) await untilDirect(third, agent, 10_000);
    figure(
      `same port twice: both direct ${(performance.now() - started).toFixed(0)} ms after the last lease`,
    );

    const ip = await cluster.ip("b");
    const peers = (await third.status())?.peers ?? [];
    const seen = ["a1", "a2"].map((name) => peers.find((peer) => peer.name === name)?.endpoint);
    expect(new Set(seen).size).toBe(2);
    for (const endpoint of seen) expect(endpoint).toContain(`${box.outside}:`);
    const counts = async () =>
      Number(
        /packets (\d+)/.exec(
          await thirdBox.machine.run(["nft", "list", "table", "ip", "seen"]),
        )?.[1],
      );
    await thirdBox.addRules(`table ip seen {
  chain forward { type filter hook forward priority -5; ip saddr ${box.outside} udp length 980-1020 counter; }
}
`);
    const pings = await Promise.all(
      [first, second].map((agent) =>
        agent.site.finish(["ping", "-n", "-c", "10", "-i", "0.2", "-s", "900", ip]),
      ),
    );
    expect(pings.map(({ stdout }) => readPing(stdout).received)).toEqual([10, 10]);
    // from outside: all twenty came straight from the neighbours' router
    expect(await counts()).toBe(20);
  });
});
