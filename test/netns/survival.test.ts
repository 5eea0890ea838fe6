import { afterAll, beforeAll, expect, it } from "vitest";
import type { Agent } from "../../lab/agent.ts";
import { eventually } from "../../lab/shell.ts";
import { describeWhere } from "../support/requires.ts";
import { Cluster, figure, kernelNeeds, LongPing, reaches, secondsSince, TAP } from "./cluster.ts";
import { lastTick, openSession, startSshServer, ticks, ticksPast } from "./ssh-session.ts";

const FROZEN_MS = 60_000;
/** Long enough for the others to notice and to close the ring over the gap. */
const DEAD_MS = 5_000;
const TITLE = "agents that die, restart or freeze: the others go on and they come back";

describeWhere(TITLE, kernelNeeds("ssh", "sshd", "ssh-keygen"), () => {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await Cluster.start("survival", ["a", "b", "c", "d"]);
  });
  afterAll(() => cluster?.remove());

  it("kill -9: no ping between others is lost, the TAP stays, traffic is back soon", async () => {
    const [a, victim] = [cluster.agent("a"), cluster.agent("c")];
    const ip = await cluster.ip("c");
    await victim.site.run(["ip", "route", "add", "10.99.0.0/24", "dev", TAP]);
    expect(await reaches(a, ip)).toBe(true);
    const before = await interfaceFacts(victim);
    const ping = new LongPing(a, await cluster.ip("b"));
    await ping.answering();

    victim.kill("SIGKILL");
    await victim.exited();
    expect(await interfaceFacts(victim)).toEqual(before);
    await new Promise((resolve) => setTimeout(resolve, DEAD_MS));
    const started = performance.now();
    victim.start();
    await eventually("the victim carries traffic again", () => reaches(a, ip), 15_000, 50);
    figure(`kill -9: traffic again ${secondsSince(started)} after \`weft up\``);

    expect(await victim.online()).toBe(ip);
    expect(await interfaceFacts(victim)).toEqual(before);
    const report = await ping.end();
    figure(`kill -9 of another agent: ${report.lost.length} of ${report.sent} pings lost`);
    expect(report.lost).toEqual([]);
  });

  it("a restart at one end: an ssh session over the virtual addresses goes on", async () => {
    const [client, server] = [cluster.agent("a"), cluster.agent("b")];
    const key = await startSshServer(server, await cluster.ip("b"));
    const session = openSession(client, key, await cluster.ip("b"));
    await ticksPast(session, 2);

    await server.stop();
    server.start();
    const started = performance.now();
    const seen = lastTick(session);
    await server.online();
    await ticksPast(session, seen + 5);
    figure(`ssh: ${secondsSince(started)} from the restart to the session's next words`);

    expect(session.isRunning).toBe(true);
    expect(ticks(session)).toEqual(Array.from({ length: ticks(session).length }, (_, i) => i));
    await session.stop();
  });

  it("SIGSTOP for a minute: back within 10 s of SIGCONT, with the same address", async () => {
    const [a, frozen] = [cluster.agent("a"), cluster.agent("d")];
    const ip = await cluster.ip("d");
    expect(await reaches(a, ip)).toBe(true);
    frozen.kill("SIGSTOP");
    await new Promise((resolve) => setTimeout(resolve, FROZEN_MS));
    frozen.kill("SIGCONT");
    const started = performance.now();
    await eventually("the frozen agent carries traffic", () => reaches(a, ip), 20_000, 50);
    figure(`SIGSTOP ${FROZEN_MS / 1000} s: traffic again ${secondsSince(started)} after SIGCONT`);
    expect(performance.now() - started).toBeLessThan(10_000);
    expect(await frozen.online()).toBe(ip);
  }, 120_000);
});

/** What a restart must leave alone. Flags are no part of it: a TAP without reader has no carrier. */
async function interfaceFacts(agent: Agent): Promise<object> {
  const show = ["ip", "-j", "addr", "show", "dev", TAP];
  const [link] = JSON.parse(await agent.site.run(show)) as [InterfaceJson];
  const routes = JSON.parse(
    await agent.site.run(["ip", "-j", "-4", "route", "show", "dev", TAP]),
  ) as { dst: string }[];
  return {
    index: link.ifindex,
    mac: link.address,
    mtu: link.mtu,
    addresses: link.addr_info.filter((info) => info.family === "inet").map((info) => info.local),
    routes: routes.map((route) => route.dst).sort(),
  };
}

interface InterfaceJson {
  readonly ifindex: number;
  readonly address: string;
  readonly mtu: number;
  readonly addr_info: readonly { readonly family: string; readonly local: string }[];
}
