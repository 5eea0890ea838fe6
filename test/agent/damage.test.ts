/**
 * Every file that an agent keeps, damaged at every byte and read by what reads it in production: a
 * defined start or a refusal with text, never another identity.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { loadConfig } from "../../src/agent/config.ts";
import { WeftError } from "../../src/agent/errors.ts";
import { emitIdentity, identityFile, loadIdentity } from "../../src/agent/identity-file.ts";
import { loadState, saveState, stateFile } from "../../src/agent/state-file.ts";
import type { SavedState } from "../../src/node/config.ts";

/** Thousands of files are written and read. */
const LONG = { timeout: 120_000 };
const SEED = Uint8Array.from({ length: 32 }, (_, i) => i * 7 + 3);
const STATE: SavedState = {
  version: 1,
  leases: [
    { client: "01020000000001", mac: "02:00:00:00:00:01", ip: "10.117.0.9", epoch: 3, version: 7 },
  ],
  peers: [{ address: "ab".repeat(20), name: "beta", endpoint: { ip: "192.0.2.1", port: 7117 } }],
};
const CLUSTER = `name: lab
secret: ${Buffer.from(SEED).toString("base64")}
range: 10.117.0.0/24
bootstrap: [192.0.2.1:7117]
`;

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weft-damage-"));
  writeFileSync(identityFile(folder), emitIdentity(SEED), { mode: 0o600 });
  saveState(folder, STATE);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Cut before each byte, each bit of each byte flipped, each byte doubled or blanked out. */
function* damages(good: Buffer): Generator<Buffer> {
  for (let at = 0; at < good.length; at++) {
    yield good.subarray(0, at);
    for (let bit = 1; bit < 256; bit *= 2) yield withByte(good, at, (good[at] ?? 0) ^ bit);
    yield withByte(good, at, 0);
    yield Buffer.concat([good.subarray(0, at), good.subarray(at, at + 1), good.subarray(at)]);
  }
  yield Buffer.concat([good, good]);
}

function withByte(good: Buffer, at: number, byte: number): Buffer {
  const copy = Buffer.from(good);
  copy[at] = byte;
  return copy;
}

describe("damaged at every byte", () => {
  it("identity.key: refused with text, left as it is, never another identity", LONG, () => {
    const file = identityFile(folder);
    const good = readFileSync(file);
    for (const bad of damages(good)) {
      writeFileSync(file, bad);
      expect(refusalOf(() => loadIdentity(folder))).toMatch(
        /^identity-damaged: .*identity\.key is damaged: restore it from a backup, or remove /,
      );
      expect(readFileSync(file).equals(bad)).toBe(true);
    }
    writeFileSync(file, good);
    expect(loadIdentity(folder)).toEqual(SEED);
  });

  it("identity.key gone: refused while there is a state file, never made anew", () => {
    rmSync(identityFile(folder));
    expect(refusalOf(() => loadIdentity(folder))).toMatch(/^identity-damaged: .* is missing/);
    expect(existsSync(identityFile(folder))).toBe(false);
  });

  it("state.json: set aside, a fresh start, the same identity", LONG, () => {
    const file = stateFile(folder);
    for (const bad of damages(readFileSync(file))) {
      writeFileSync(file, bad);
      expect(loadState(folder)).toEqual({ kind: "damaged", movedTo: `${file}.damaged` });
      expect(readFileSync(`${file}.damaged`).equals(bad)).toBe(true);
      expect(loadState(folder)).toEqual({ kind: "fresh" });
    }
    expect(loadIdentity(folder)).toEqual(SEED);
  });

  it("what a crash left at the temporary names is never read, nor in the way", () => {
    for (const file of [identityFile(folder), stateFile(folder)])
      writeFileSync(`${file}.new`, "half a fi");
    expect(loadIdentity(folder)).toEqual(SEED);
    expect(loadState(folder)).toEqual({ kind: "loaded", state: STATE });
    saveState(folder, { ...STATE, leases: [] });
    expect(loadState(folder)).toEqual({ kind: "loaded", state: { ...STATE, leases: [] } });
    expect(readdirSync(folder).sort()).toEqual(["identity.key", "identity.key.new", "state.json"]);
  });

  it("the cluster file: a start as it says, or a refusal with file and line", LONG, () => {
    const file = join(folder, "lab.yaml");
    let starts = 0;
    for (const bad of damages(Buffer.from(CLUSTER))) {
      writeFileSync(file, bad, { mode: 0o600 });
      const sources = { file, flags: {}, env: {}, uid: 0, nodeName: "alpha" };
      const refusal = refusalOf(() => loadConfig(sources));
      if (refusal === "") starts++;
      else expect(refusal).toMatch(/^config-\w+: /);
    }
    expect(starts).toBeGreaterThan(0);
    expect(loadIdentity(folder)).toEqual(SEED);
  });
});

/** `code: message` of the WeftError that `step` throws; empty when it throws none. */
function refusalOf(step: () => unknown): string {
  try {
    step();
    return "";
  } catch (error) {
    if (error instanceof WeftError) return `${error.code}: ${error.message}`;
    throw error;
  }
}
