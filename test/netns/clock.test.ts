import { afterAll, beforeAll, expect, it } from "vitest";
import type { Agent } from "../../lab/agent.ts";
import { eventually } from "../../lab/shell.ts";
import type { JournalEntry } from "../../src/agent/journal.ts";
import { describeWhere } from "../support/requires.ts";
import { Cluster, figure, kernelNeeds, LongPing, reaches, secondsSince } from "./cluster.ts";
import { FakeClock, requireFakeClock } from "./fake-clock.ts";

const YEAR_MS = 365 * 86_400_000;
/** Renewed each third of it: several times after each jump. */
const LEASE = "30s";
const RENEWALS = 2;
const TITLE =
  "a wall clock that jumps by years: nothing established notices, and members still join";

describeWhere(TITLE, [...kernelNeeds(), requireFakeClock()], () => {
  let cluster: Cluster;
  let clock: FakeClock;

  beforeAll(async () => {
    cluster = await Cluster.create("clock", { lease: LEASE });
    clock = new FakeClock(cluster.lab.folder);
    for (const name of ["a", "b"]) await cluster.addAgent(name, { env: clock.env });
    await cluster.startAll();
  });
  afterAll(() => cluster?.remove());

  for (const [jump, newcomer, aheadMs] of [
    ["+15y", "c", 15 * YEAR_MS],
    ["-2d", "d", -2 * 86_400_000],
  ] as const) {
    it(`${jump}: no ping lost, no link closed, leases renewed, ${newcomer} joins`, async () => {
      const [a, b] = [cluster.agent("a"), cluster.agent("b")];
      const before = await Promise.all([a, b].map(renewals));
      const ips = [await cluster.ip("a"), await cluster.ip("b")];
      const ping = new LongPing(a, ips[1] ?? "");
      await ping.answering();
      const last = (await journal(a)).at(-1)?.number ?? 0;

      clock.set(jump);
      const started = performance.now();
      for (const [i, agent] of [a, b].entries()) {
        const isRenewed = async () => (await renewals(agent)) >= (before[i] ?? 0) + RENEWALS;
        await eventually(`${agent.name} renews its lease`, isRenewed, 90_000, 200);
      }
      figure(`clock ${jump}: ${RENEWALS} renewals ${secondsSince(started)} later`);
      // The newcomer's clock is right; those of the other two are not.
      const third = await cluster.addAgent(newcomer, {});
      third.start();
      await third.online();
      await cluster.settled();
      for (const agent of [a, b]) {
        const answers = () => reaches(third, ips[agent === a ? 0 : 1] ?? "");
        await eventually(`${newcomer} reaches ${agent.name}`, answers, 15_000, 50);
      }

      const report = await ping.end();
      figure(`clock ${jump}: ${report.lost.length} of ${report.sent} pings lost`);
      expect(report.lost).toEqual([]);
      const since = (await journal(a)).filter(({ number }) => number > last);
      const acts = since.map(({ what, fields }) => `${what} ${fields["peer"] ?? ""}`.trim());
      expect(acts).toContain(`link-opened ${newcomer}`);
      expect(acts.filter((act) => /^(link-(closed|opened) b|woke-up)$/.test(act))).toEqual([]);
      // It did live in the other time: else this test proved nothing.
      const saidMs = Date.parse(since.at(-1)?.at ?? "") - Date.now();
      expect(Math.abs(saidMs - aheadMs)).toBeLessThan(20 * 86_400_000);
      expect([await cluster.ip("a"), await cluster.ip("b")]).toEqual(ips);
    });
  }

  it("an agent starts two days before it saved its state, with its address and identity", async () => {
    const b = cluster.agent("b");
    const [ip, other] = [await cluster.ip("b"), await cluster.ip("a")];
    const address = (await b.status())?.address;
    await b.stop();
    b.start();
    expect(await b.online()).toBe(ip);
    expect((await b.status())?.address).toBe(address);
    await eventually("traffic is back", () => reaches(b, other), 15_000, 50);
  });
});

async function renewals(agent: Agent): Promise<number> {
  return (await agent.status())?.lease?.renewals ?? 0;
}

async function journal(agent: Agent): Promise<readonly JournalEntry[]> {
  const { entries } = (await agent.ask("journal", { limit: 1_000 })) as unknown as {
    readonly entries: readonly JournalEntry[];
  };
  return entries;
}
