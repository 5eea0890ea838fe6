import { afterAll, beforeAll, expect, it } from "vitest";
import { eventually } from "../../lab/shell.ts";
import { describeWhere } from "../support/requires.ts";
import { Cluster, figure, kernelNeeds, LongPing } from "./cluster.ts";

/** lab/block-on-signal.mjs blocks for three seconds. */
const BLOCKED_MS = 3_000;
const PRELOAD = new URL("../../lab/block-on-signal.mjs", import.meta.url).pathname;
const TITLE = "JS loops blocked at both ends: established traffic does not notice";

describeWhere(TITLE, kernelNeeds(), () => {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await Cluster.start("stall", ["a", "b"], { nodeFlags: ["--import", PRELOAD] });
  });
  afterAll(() => cluster?.remove());

  it("loses no ping while neither agent runs a line of JavaScript for 3 s", async () => {
    const [a, b] = [cluster.agent("a"), cluster.agent("b")];
    const ping = new LongPing(a, await cluster.ip("b"));
    await ping.answering();

    const started = performance.now();
    for (const agent of [a, b]) agent.kill("SIGUSR2");
    const isOver = async () => [a, b].every((agent) => agent.log.includes("js loop was blocked"));
    await eventually("both loops were blocked", isOver, 20_000, 20);
    const blockedMs = performance.now() - started;
    // the rest of the second after the loops woke up: what they catch up on must not hurt either
    await new Promise((resolve) => setTimeout(resolve, 1_000));

    const report = await ping.end();
    figure(
      `JS blocked ${(blockedMs / 1000).toFixed(1)} s at both ends: ${report.lost.length} of ${report.sent} pings lost`,
    );
    expect(blockedMs).toBeGreaterThan(BLOCKED_MS * 0.9);
    expect(report.sent).toBeGreaterThan(BLOCKED_MS / 100);
    expect(report.lost).toEqual([]);
  });
});
