import { afterAll, beforeAll, expect, it } from "vitest";
import type { Agent } from "../../lab/agent.ts";
import { eventually } from "../../lab/shell.ts";
import { describeWhere } from "../support/requires.ts";
import { Cluster, figure, kernelNeeds, reaches } from "./cluster.ts";

const TITLE = "changes of the machine's own network are taken up at once";
/** From the command `ip` to the word of the agent, which looks by itself every five seconds only. */
const WITHIN_MS = 2_000;
/** Of a storm: what one interface goes through in this test. */
const FLAPS = 20;

describeWhere(TITLE, kernelNeeds(), () => {
  let cluster: Cluster;
  let b: Agent;

  beforeAll(async () => {
    cluster = await Cluster.start("interfaces", ["a", "b"]);
    b = cluster.agent("b");
  });
  afterAll(() => cluster?.remove());

  it("addresses of both families come and go", async () => {
    await noticed("an IPv4 address", ["addr", "add", "198.51.100.77/24", "dev", "eth0"], {
      with: ["198.51.100.77:7117"],
    });
    const ipv6 = ["addr", "add", "2001:db8::77/64", "dev", "eth0", "nodad"];
    await noticed("an IPv6 address", ipv6, { with: ["[2001:db8::77]:7117"] });
    await noticed("an address less", ["addr", "del", "198.51.100.77/24", "dev", "eth0"], {
      with: ["[2001:db8::77]:7117"],
      without: ["198.51.100.77:7117"],
    });
  });

  it("an interface that appears, loses its carrier and gets it back", async () => {
    const { site } = b;
    await site.run(["ip", "link", "add", "wl0", "type", "veth", "peer", "name", "wl0-peer"]);
    await site.run(["ip", "link", "set", "wl0", "up"]);
    await site.run(["ip", "addr", "add", "203.0.113.5/24", "dev", "wl0"]);
    const endpoint = "203.0.113.5:7117";
    const peer = ["link", "set", "wl0-peer"];
    await noticed("a carrier", [...peer, "up"], { with: [endpoint] });
    await noticed("a lost carrier", [...peer, "down"], { without: [endpoint] });
    await noticed("a carrier again", [...peer, "up"], { with: [endpoint] });
  });

  it("a storm is gathered, ends with the truth, and nothing of it is the TAP's", async () => {
    const before = words(b).length;
    const started = performance.now();
    const line = "ip link set wl0-peer down; ip link set wl0-peer up";
    await b.site.run(["sh", "-c", `for i in $(seq ${FLAPS}); do ${line}; done`]);
    const tookMs = performance.now() - started;
    const settled = async () => words(b).at(-1)?.endpoints.includes("203.0.113.5:7117") === true;
    await eventually("the last word is the truth", settled, 5_000);
    const told = words(b).length - before;
    figure(`interfaces: ${FLAPS} flaps in ${Math.round(tookMs)} ms were told ${told} times`);
    expect(told).toBeLessThanOrEqual(tookMs / 100 + 5);
    for (const { endpoints } of words(b)) expect(endpoints.join()).not.toMatch(/10\.86\./);
    expect(await reaches(cluster.agent("a"), await cluster.ip("b"))).toBe(true);
  });

  /** Runs `ip` at the site and waits for the agent's log to follow. */
  async function noticed(
    what: string,
    command: readonly string[],
    expected: { readonly with?: readonly string[]; readonly without?: readonly string[] },
  ): Promise<void> {
    const heardBefore = words(b).length;
    const startedMs = Date.now();
    await b.site.run(["ip", ...command]);
    const found = await eventually(
      `${what} is noticed`,
      async () =>
        words(b)
          .slice(heardBefore)
          .find(
            ({ endpoints }) =>
              (expected.with ?? []).every((one) => endpoints.includes(one)) &&
              (expected.without ?? []).every((one) => !endpoints.includes(one)),
          ),
      10_000,
      20,
    );
    figure(`interfaces: ${what} noticed after ${found.atMs - startedMs} ms`);
    expect(found.atMs - startedMs).toBeLessThan(WITHIN_MS);
  }
});

/** What the agent said about its own addresses. */
function words(agent: Agent): { readonly atMs: number; readonly endpoints: readonly string[] }[] {
  return agent
    .logLines()
    .filter((line) => line.msg === "own addresses")
    .map((line) => ({ atMs: Date.parse(line.time), endpoints: line["endpoints"] as string[] }));
}
