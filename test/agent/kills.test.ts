/**
 * SIGKILL at random moments while the production writers write: what is there afterwards is the old
 * file or the new one, whole, and the identity is the one it was.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { identityFile, loadIdentity } from "../../src/agent/identity-file.ts";
import { loadState } from "../../src/agent/state-file.ts";
import { SeededRng } from "../../src/base/rng.ts";
import { describeWhere, requireFile } from "../support/requires.ts";

const KILLS = 200;
/** Hundreds where the disk is idle; one that is busy is slower than most kills. */
const LEAST_WRITTEN = 10;
/** Writers side by side, each in a folder of its own. */
const LINES = 4;
/** A write takes about a millisecond; a kill may come before the first and after some. */
const MAX_DELAY_US = 12_000;
const SEED = 5;

/** Writes states and first identities without end; every state says its number in each of its parts. */
const WRITER = `
  const [state, identity, fs] = await Promise.all([
    import(process.argv[1] + "/state-file.js"), import(process.argv[1] + "/identity-file.js"),
    import("node:fs"),
  ]);
  const folder = process.argv[2];
  const peersOf = (version) => Array.from({ length: 200 }, (_, i) => ({
    address: i.toString(16).padStart(40, "0"), name: "v" + version,
    endpoint: { ip: "192.0.2.1", port: 7117 },
  }));
  fs.writeSync(1, "writing\\n");
  for (let version = Number(process.argv[3]); ; version++) {
    state.saveState(folder, { version: 1, leases: [], peers: peersOf(version) });
    const fresh = folder + "/first-" + version;
    fs.mkdirSync(fresh, { mode: 0o700 });
    identity.loadIdentity(fresh);
  }`;

const DIST = fileURLToPath(new URL("../../dist/src/agent", import.meta.url));

describeWhere("kills during writes", [requireFile("dist/src/agent/state-file.js")], () => {
  it(`${KILLS} of them damage nothing`, { timeout: 300_000 }, async () => {
    const lines = Array.from({ length: LINES }, (_, line) => killAgainAndAgain(line));
    const written = await Promise.all(lines);
    // The kills came while something was written, not all before the first write.
    expect(written.reduce((sum, each) => sum + each, 0)).toBeGreaterThan(LEAST_WRITTEN);
  });
});

/** @returns how many states were written between the kills */
async function killAgainAndAgain(line: number): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "weft-kills-"));
  const rng = new SeededRng(SEED * LINES + line);
  try {
    const seed = loadIdentity(folder);
    let newest = 0;
    for (let kill = 0; kill < KILLS / LINES; kill++) {
      await writeUntilKilled(folder, newest + 1, rng.u32() % MAX_DELAY_US);
      newest = checkState(folder, newest);
      checkFirstIdentities(folder);
      expect(loadIdentity(folder)).toEqual(seed);
    }
    return newest;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function writeUntilKilled(folder: string, version: number, delayUs: number): Promise<void> {
  const argv = ["--input-type=module", "-e", WRITER, DIST, folder, String(version)];
  const child = spawn(process.execPath, argv, { stdio: ["ignore", "pipe", "inherit"] });
  const gone = once(child, "exit");
  await once(child.stdout, "data");
  const until = performance.now() + delayUs / 1_000;
  // Finer than a timer: kills shall hit any step of a write.
  while (performance.now() < until);
  child.kill("SIGKILL");
  expect(await gone).toEqual([null, "SIGKILL"]);
}

/** @returns the number of the state that is there: the newest before, or a newer one */
function checkState(folder: string, before: number): number {
  const loaded = loadState(folder);
  if (loaded.kind === "fresh") {
    expect(before).toBe(0);
    return 0;
  }
  if (loaded.kind !== "loaded") throw new Error(`the state file is ${loaded.kind}`);
  const names = new Set(loaded.state.peers.map(({ name }) => name));
  expect(names.size).toBe(1);
  const version = Number([...names][0]?.slice(1));
  expect(version).toBeGreaterThanOrEqual(before);
  return version;
}

/** Nodes that started for the first time: whole, or as if they had not. */
function checkFirstIdentities(folder: string): void {
  for (const name of readdirSync(folder).filter((each) => each.startsWith("first-"))) {
    const fresh = join(folder, name);
    if (existsSync(identityFile(fresh))) {
      const bytes = readFileSync(identityFile(fresh));
      loadIdentity(fresh);
      expect(readFileSync(identityFile(fresh)).equals(bytes)).toBe(true);
    }
    rmSync(fresh, { recursive: true });
  }
}
