import { appendFileSync, copyFileSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Site } from "../../lab/lab.ts";
import { eventually } from "../../lab/shell.ts";
import type { AgentStatus } from "../../src/agent/agent-status.ts";
import { callAgent, type Reply } from "../../src/agent/control-client.ts";
import type { MemberRow } from "../../src/node/member-report.ts";
import { describeWhere } from "../support/requires.ts";
import { Cluster, figure, kernelNeeds, secondsSince, within } from "./cluster.ts";
import { NOTED, weft, weftAs } from "./weft-words.ts";

const TITLE = "a member is shut out without any server";
const RANGE = "10.86.0.0/16";
const WITHIN_MS = within(10_000);
/** As long as the lost machine is watched in vain. */
const WATCHED_MS = 10_000;

describeWhere(TITLE, kernelNeeds(), () => {
  let cluster: Cluster;
  /** Bootstrap of all, and dead when it matters. */
  let first: Site;
  let alpha: Site;
  let beta: Site;
  let lost: Site;
  /** Public key of the lost machine. */
  let lostKey = "";
  let betaPid = 0;

  beforeAll(async () => {
    cluster = await Cluster.create("revocation");
    first = await cluster.lab.addSite("first");
    alpha = await cluster.lab.addSite("alpha");
    beta = await cluster.lab.addSite("beta");
    lost = await cluster.lab.addSite("lost");
    // They know each other by the first alone, and by what they remember.
    await cluster.lab.dropMulticast();
    const meet = ["--bootstrap", `${first.ip}:7117`];
    await run(first, ["init", "lab", "--authority", "--range", RANGE, ...meet]);
    await run(first, ["up", "lab"]);
    for (const site of [alpha, beta, lost]) await signedIn(site, site.name);
    for (const site of [first, alpha, beta, lost]) await run(site, ["wait", "--nodes", "4"]);
    lostKey = (await run(lost, ["keygen", "lab"])).trim();
    takeOffline();
  }, 180_000);
  afterAll(async () => {
    for (const site of [first, alpha, beta, lost]) if (site) await weft(site, ["down"]);
    await cluster?.remove();
  });

  it("with the authority's key offline and the bootstrap member dead every online node cuts its sessions", async () => {
    for (const site of [alpha, beta]) expect(await isLinkedWithLost(site)).toBe(true);
    const target = (await run(lost, ["ip"])).trim();
    expect(await reaches(alpha, target)).toBe(true);
    process.kill((await statusOf(first)).pid, "SIGKILL");
    betaPid = (await statusOf(beta)).pid;
    process.kill(betaPid, "SIGSTOP");
    const word = await offline(["revoke", lostKey, "lab", "--offline"]);
    const startedAt = performance.now();
    expect(await run(alpha, ["revoke", "--apply", word])).toMatch(/^list 1: 1 keys and 0 serial/);
    await eventually(
      "alpha cut it off",
      async () => !(await isLinkedWithLost(alpha)),
      WITHIN_MS,
      50,
    );
    figure(`revocation: cut off ${secondsSince(startedAt)} after the word was given`);
    expect(await reaches(alpha, target)).toBe(false);
    expect(await reaches(lost, (await run(alpha, ["ip"])).trim())).toBe(false);
    const why = async () =>
      (await statusOf(lost)).health.find((line) => line.includes("the authority revoked"));
    const said = await eventually("lost hears why", why, WITHIN_MS, 100);
    expect(said).toContain("every member refuses it");
  }, 90_000);

  it("a node that slept meanwhile refuses it within 10 s of meeting any other member", async () => {
    process.kill(betaPid, "SIGCONT");
    const startedAt = performance.now();
    const hasList = async () => (await statusOf(beta)).notices.revocations === 1;
    await eventually("beta has the list", hasList, WITHIN_MS, 50);
    await eventually("beta cut it off", async () => !(await isLinkedWithLost(beta)), WITHIN_MS, 50);
    figure(`revocation: refused ${secondsSince(startedAt)} after the sleeper woke`);
  }, 60_000);

  it("renamed and signed in anew with its key it stays out", async () => {
    await run(lost, ["down"]);
    const words = ["sign", lostKey, "lab", "--name", "somebody-else"];
    const token = /^weft join (\S+)/.exec(await offline(words, NOTED))?.[1] ?? "";
    await run(lost, ["join", "-", "--no-start"], `${token}\n`);
    await comesBackInVain();
  }, 90_000);

  it("a restart of all keeps it, and who comes later is told", async () => {
    for (const site of [alpha, beta, lost]) await run(site, ["down"]);
    for (const site of [alpha, beta]) await run(site, ["up", "lab"]);
    for (const site of [alpha, beta]) await run(site, ["wait", "--nodes", "2"]);
    expect((await statusOf(alpha)).notices).toMatchObject({ revocations: 1, revokedKeys: 1 });
    const list = /^Authority: +list 1: 1 keys and 0 serial numbers revoked$/m;
    expect(await run(alpha, ["status"])).toMatch(list);
    await comesBackInVain();
    // The dead bootstrap member never heard of it.
    await run(first, ["up", "lab"]);
    await eventually(
      "first has the list",
      async () => (await statusOf(first)).notices.revocations === 1,
      WITHIN_MS,
      50,
    );
    expect(await isLinkedWithLost(first)).toBe(false);
  }, 120_000);

  it("by name it is one word at a running member, and lifted it is in again", async () => {
    bringBack();
    expect(await run(first, ["revoke", "beta"])).toMatch(/^list 2: 2 keys and 1 serial/);
    const betaIsGone = async () => !(await membersAt(alpha)).some(({ name }) => name === "beta");
    await eventually("alpha cut beta off", betaIsGone, WITHIN_MS, 50);
    const lifted = await run(first, ["revoke", lostKey, "--lift"]);
    expect(lifted).toMatch(/^list 3: 1 keys and 1 serial/);
    await eventually("lost is a member", () => isLinkedWithLost(first), 60_000, 100);
    const stranger = await weft(first, ["revoke", "nobody"]);
    expect(stranger).toMatchObject({ status: 7, stdout: "" });
    expect(stranger.stderr).toMatch(
      /^weft: no member called nobody is linked here: give its public key/,
    );
    const old = await weft(first, [
      "revoke",
      "--apply",
      await offline(["revoke", lostKey, "lab", "--offline"]),
    ]);
    expect(old).toMatchObject({ status: 1, stdout: "" });
    expect(old.stderr).toMatch(
      /^weft: list 1 is older than 3, the newest here: sign a newer one\n$/,
    );
  }, 120_000);

  it("a pushed shared part waits for the restart, says so, and counts then", async () => {
    const file = join(first.folder, "etc", "lab.yaml");
    const more = "domain: example.org\nnodes:\n  alpha: { ip: 10.86.7.7 }\n";
    appendFileSync(file, more);
    expect(await run(first, ["config", "push", "lab"])).toMatch(/^shared part 1: members take it/);
    const waits = async () =>
      (await statusOf(alpha)).health.find((line) => line.includes("the authority changed"));
    const line = await eventually("alpha says so", waits, WITHIN_MS, 100);
    expect(line).toContain(
      "the shared part (domain, nodes): it counts when this agent is started anew",
    );
    await run(alpha, ["down"]);
    await run(alpha, ["up", "lab"]);
    expect((await run(alpha, ["ip"])).trim()).toBe("10.86.7.7");
    expect(await waits()).toBeUndefined();
  }, 90_000);

  async function signedIn(site: Site, name: string): Promise<void> {
    const key = (await run(site, ["keygen", "lab"])).trim();
    const signed = await run(first, ["sign", key, "lab", "--name", name]);
    await run(site, ["join", "-"], `${/^weft join (\S+)/.exec(signed)?.[1]}\n`);
  }

  /** The key and the file it belongs to go to a machine that runs no agent. */
  function takeOffline(): void {
    const offlineEtc = join(first.folder, "offline", "etc");
    mkdirSync(offlineEtc, { recursive: true });
    for (const name of ["lab.yaml", "lab.authority"]) {
      copyFileSync(join(first.folder, "etc", name), join(offlineEtc, name));
    }
    rmSync(join(first.folder, "etc", "lab.authority"));
  }

  function bringBack(): void {
    const at = join(first.folder, "offline", "etc", "lab.authority");
    copyFileSync(at, join(first.folder, "etc", "lab.authority"));
  }

  async function offline(words: readonly string[], says = /^$/): Promise<string> {
    const { status, stdout, stderr } = await weftAs(first, "offline", words);
    expect({ status, stderr }).toEqual({ status: 0, stderr: expect.stringMatching(says) });
    return stdout.trim();
  }

  /** The lost machine runs for a while and asks, and nobody takes it. */
  async function comesBackInVain(): Promise<void> {
    const refusedBefore = await refusals();
    await weft(lost, ["up", "lab", "--timeout", "1"]);
    const asked = async () => (await refusals()) > refusedBefore;
    await eventually("the lost machine was refused", asked, WITHIN_MS, 100);
    const until = performance.now() + WATCHED_MS;
    while (performance.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 200));
      for (const site of [alpha, beta]) expect(await isLinkedWithLost(site)).toBe(false);
    }
    expect((await statusOf(lost)).state).toBeDefined();
  }

  /** Handshakes of revoked keys at alpha and beta. */
  async function refusals(): Promise<number> {
    const counts = await Promise.all([alpha, beta].map(revokedAt));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  /** Whatever it calls itself, and wherever it is on the ring. */
  async function isLinkedWithLost(site: Site): Promise<boolean> {
    const key = Buffer.from(lostKey, "base64").toString("hex");
    return (await membersAt(site)).some(({ publicKey }) => publicKey === key);
  }
});

async function run(site: Site, words: readonly string[], input = ""): Promise<string> {
  const { status, stdout, stderr } = await weft(site, words, input);
  if (status !== 0)
    throw new Error(`${site.name}: weft ${words[0]} ended with ${status}: ${stderr}`);
  return stdout;
}

/** Over the control socket: a command line takes a second of a busy machine. */
function ask(site: Site, method: "status" | "members" | "metrics"): Promise<Reply> {
  return callAgent(join(site.folder, "run", "lab.sock"), method);
}

async function statusOf(site: Site): Promise<AgentStatus> {
  return (await ask(site, "status")) as unknown as AgentStatus;
}

async function revokedAt(site: Site): Promise<number> {
  const { text } = (await ask(site, "metrics")) as unknown as { readonly text: string };
  return Number(/^weft_dropped_total\{reason="revoked"\} (\d+)$/m.exec(text)?.[1] ?? 0);
}

async function membersAt(site: Site): Promise<readonly MemberRow[]> {
  return (await ask(site, "members"))["members"] as readonly MemberRow[];
}

function reaches(site: Site, ip: string): Promise<boolean> {
  const ping = ["ping", "-n", "-c", "2", "-W", "1", ip];
  return site.finish(ping).then(({ status }) => status === 0);
}
