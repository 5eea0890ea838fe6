import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Agent } from "../../lab/agent.ts";
import { eventually } from "../../lab/shell.ts";
import { NotifySocket } from "../support/notify-socket.ts";
import { describeWhere } from "../support/requires.ts";
import { Cluster, figure, kernelNeeds } from "./cluster.ts";

const TITLE = "an agent under a service manager";
/** WatchdogSec=1: two words a second. */
const WATCHDOG_US = "1000000";

describeWhere(TITLE, kernelNeeds("python3"), () => {
  let cluster: Cluster;
  let manager: NotifySocket;
  let agent: Agent;

  beforeAll(async () => {
    cluster = await Cluster.create("service");
    manager = new NotifySocket(join(cluster.lab.folder, "notify"));
    await eventually("the manager listens", async () => manager.isListening, 10_000, 20);
    const env = { NOTIFY_SOCKET: manager.path, WATCHDOG_USEC: WATCHDOG_US };
    agent = await cluster.addAgent("a", { env });
    agent.start();
  });
  afterAll(async () => {
    await manager?.end();
    await cluster?.remove();
  });

  it("is ready when its address is on the interface", async () => {
    const isReady = async () => manager.heard.find(([first]) => first === "READY=1");
    const ready = await agent.explain(() => eventually("READY=1", isReady, 20_000, 20));
    const ip = await agent.online(1_000);
    expect(ready).toEqual(["READY=1", expect.stringMatching(`^STATUS=online, ${ip}/16, 0 peers$`)]);
    const started = manager.heard.findIndex(([first]) => first === "READY=1");
    figure(`service: ready after ${started} other words`);
  });

  it("turns the watchdog's wheel", async () => {
    const turns = () => manager.lines.filter((line) => line === "WATCHDOG=1").length;
    const before = turns();
    await eventually("four more turns", async () => turns() >= before + 4, 20_000);
  });

  it("SIGHUP takes a new log level over and says what waits for a restart", async () => {
    const text = readFileSync(cluster.file, "utf8");
    writeFileSync(cluster.file, `${text}log: debug\nmetrics: 7118\n`, { mode: 0o600 });
    agent.kill("SIGHUP");
    const said = (msg: string) => agent.logLines().find((line) => line.msg === msg);
    await eventually("it says so", async () => said("configuration reloaded"), 10_000, 20);
    expect(said("configuration reloaded")).toMatchObject({ taken: ["log"], waiting: ["metrics"] });
    expect(said("changes wait for a restart")).toMatchObject({ keys: ["metrics"] });
    const { lines } = manager;
    const began = lines.indexOf("RELOADING=1");
    expect(lines[began + 1]).toMatch(/^MONOTONIC_USEC=\d+$/);
    const isReady = async () => manager.lines.indexOf("READY=1", began) > began;
    await eventually("READY=1 again", isReady, 10_000, 20);
    writeFileSync(cluster.file, text, { mode: 0o600 });
  });

  it("a broken file is refused in a line of status, until it is right again", async () => {
    const text = readFileSync(cluster.file, "utf8");
    writeFileSync(cluster.file, text.replace("range:", "rnage:"), { mode: 0o600 });
    agent.kill("SIGHUP");
    const health = async () => (await agent.status())?.health.join("\n") ?? "";
    const refused = async () => /not reloaded: .*did you mean range/.test(await health());
    await eventually("the line is there", refused, 10_000);
    expect((await agent.status())?.lease).toBeDefined();
    writeFileSync(cluster.file, text, { mode: 0o600 });
    agent.kill("SIGHUP");
    const gone = async () => !(await health()).includes("not reloaded");
    await eventually("the line is gone", gone, 10_000);
  });

  it("says that it stops", async () => {
    expect(await agent.stop()).toBe(0);
    expect(manager.lines).toContain("STOPPING=1");
    expect(manager.lines.indexOf("READY=1", manager.lines.indexOf("STOPPING=1"))).toBe(-1);
  });
});
