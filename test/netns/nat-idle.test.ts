import { afterAll, expect, it } from "vitest";
import { describeWhere } from "../support/requires.ts";
import { type Cluster, figure, kernelNeeds, readPing } from "./cluster.ts";
import { addHome, linkOf, startInternet, untilDirect } from "./homes.ts";

const TITLE = "a NAT that forgets UDP mappings after 10 s, and nobody has anything to say";
/** Two lives of a mapping here; five minutes with `npm run test:nat`. */
const IDLE_MS = process.env["WEFT_NAT"] === "full" ? 300_000 : 25_000;

describeWhere(TITLE, kernelNeeds("conntrack"), () => {
  let cluster: Cluster;
  afterAll(() => cluster?.remove());

  it(
    "a ping from outside is answered at the first packet",
    async () => {
      cluster = await startInternet("natidle");
      const { agent: inside } = await addHome(cluster, "inside", {
        kind: "portrestricted",
        udpSeconds: 10,
      });
      const { agent: outside } = await addHome(cluster, "outside", { kind: "fullcone" });
      await cluster.startAll();
      await untilDirect(outside, inside);
      const ip = await cluster.ip("inside");
      await new Promise((resolve) => setTimeout(resolve, IDLE_MS));

      const ping = ["ping", "-n", "-c", "3", "-i", "0.5", "-W", "2", ip];
      const { stdout } = await outside.site.finish(ping);
      figure(`10 s timers, ${IDLE_MS / 1000} s idle: answered ${readPing(stdout).answered}`);
      expect(readPing(stdout).answered).toEqual([1, 2, 3]);
      expect(await linkOf(outside, inside)).toBe("direct");
    },
    IDLE_MS + 120_000,
  );
});
