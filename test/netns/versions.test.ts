/**
 * Members of different builds: one that landed before (scripts/previous-release.sh, with its own native
 * engine), this one, and one of a later day that this one knows nothing about. Six agents; twelve with
 * `WEFT_ATTACK=full`.
 */
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Agent, CLI } from "../../lab/agent.ts";
import { eventually, type Running } from "../../lab/shell.ts";
import { describeWhere, requireFile } from "../support/requires.ts";
import { Cluster, figure, kernelNeeds, reaches, secondsSince } from "./cluster.ts";
import { lastTick, openSession, startSshServer, ticks, ticksPast } from "./ssh-session.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const PREVIOUS = ".cache/previous/build/dist/src/cli/main.js";
const AGENTS = process.env["WEFT_ATTACK"] === "full" ? 12 : 6;
/** Twelve agents on two cores, and whatever else runs there. */
const ONLINE_MS = 60_000;
const NAMES = Array.from({ length: AGENTS }, (_, i) => `n${i + 1}`);
const needs = [...kernelNeeds("ssh", "sshd", "ssh-keygen"), requireFile(PREVIOUS)];

/** What is changed in a copy of this build. */
interface Change {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

describeWhere("members of several versions", needs, () => {
  let cluster: Cluster;
  let previous: string;
  let later: string;
  let session: Running;
  let leases: ReadonlyMap<string, string>;

  beforeAll(async () => {
    cluster = await Cluster.create("versions", { lease: "5m" });
    previous = join(ROOT, PREVIOUS);
    later = buildWith("later", [
      { file: "wire/message-type.js", from: "MINOR_VERSION = 1", to: "MINOR_VERSION = 9" },
      {
        file: "link/handshake-self.js",
        from: "return CAPABILITY_SHARED_PART |",
        to: "return 0x40000000 | CAPABILITY_SHARED_PART |",
      },
    ]);
    for (const [i, name] of NAMES.entries()) {
      const cli = i === AGENTS - 1 ? later : i % 2 === 0 ? previous : CLI;
      await cluster.addAgent(name, { cli });
    }
    for (const agent of cluster.agents) {
      agent.start();
      await agent.online(ONLINE_MS);
    }
    await cluster.settled(ONLINE_MS);
    leases = await leasesNow();
  }, 600_000);
  afterAll(async () => {
    await session?.stop();
    await cluster?.remove();
  });

  it("of different minor versions and capabilities form one ring", async () => {
    const seen = new Set<string>();
    for (const agent of cluster.agents) {
      const peers = (await agent.status())?.peers ?? [];
      for (const { version } of peers) seen.add(version);
    }
    expect([...seen].sort()).toEqual(["0.0", "0.1", "0.9"]);
    const first = cluster.agent("n1");
    for (const name of NAMES.slice(1)) {
      expect(await reaches(first, await cluster.ip(name)), name).toBe(true);
    }
  });

  it("a rolling restart over two builds loses no lease and no ssh session", async () => {
    const [client, server] = [cluster.agent("n2"), cluster.agent("n3")];
    const ip = await cluster.ip("n3");
    session = openSession(client, await startSshServer(server, ip), ip);
    await ticksPast(session, 2);
    const started = performance.now();
    for (const agent of cluster.agents) {
      await agent.stop();
      agent.cli = agent.cli === previous ? CLI : previous;
      agent.start();
      expect(await agent.online(ONLINE_MS), agent.name).toBe(leases.get(agent.name));
      await ticksPast(session, lastTick(session));
    }
    figure(`rolling restart of ${AGENTS} agents: ${secondsSince(started)}`);
    await cluster.settled(ONLINE_MS);
    await ticksPast(session, lastTick(session) + 5);
    expect(await leasesNow()).toEqual(leases);
    expect(session.isRunning).toBe(true);
    expect(ticks(session)).toEqual(Array.from({ length: ticks(session).length }, (_, i) => i));
  }, 600_000);

  it("another major version is refused, and status names both", async () => {
    const site = await cluster.lab.addSite("x");
    const major = {
      file: "wire/message-type.js",
      from: "MAJOR_VERSION = 1",
      to: "MAJOR_VERSION = 2",
    };
    const stranger = new Agent(site, cluster.file, { cli: buildWith("major", [major]) });
    stranger.start();
    const told = async () =>
      (await stranger.status())?.health.find((line) => line.includes("speaks version 1"));
    const line = await eventually("status names the versions", told, 20_000, 200);
    // the bootstrap member, or whoever was heard on the LAN first
    expect(line).toMatch(
      /^198\.51\.100\.\d+:7117 speaks version 1 of the protocol and this node version 2: run weft of one major version everywhere$/,
    );
    expect((await stranger.status())?.peers).toEqual([]);
    const drops = await Promise.all(cluster.agents.map((agent) => agent.drops()));
    expect(drops.some((counts) => (counts.get("unknown-version") ?? 0) > 0)).toBe(true);
    await stranger.stop();
  });

  async function leasesNow(): Promise<Map<string, string>> {
    const ips = NAMES.map(async (name) => [name, await cluster.ip(name)] as const);
    return new Map(await Promise.all(ips));
  }

  /** A copy of this build in the lab's folder. @returns its command line */
  function buildWith(name: string, changes: readonly Change[]): string {
    const folder = join(cluster.lab.folder, `build-${name}`);
    mkdirSync(folder);
    cpSync(join(ROOT, "dist/src"), join(folder, "dist/src"), { recursive: true });
    for (const shared of ["build", "node_modules", "package.json"]) {
      symlinkSync(join(ROOT, shared), join(folder, shared));
    }
    for (const { file, from, to } of changes) {
      const path = join(folder, "dist/src", file);
      const text = readFileSync(path, "utf8");
      expect(text).toContain(from);
      writeFileSync(path, text.replace(from, to));
    }
    return join(folder, "dist/src/cli/main.js");
  }
});
