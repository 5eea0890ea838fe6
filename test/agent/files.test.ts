import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { writeDurable } from "../../src/agent/durable-file.ts";
import {
  emitIdentity,
  identityFile,
  loadIdentity,
  parseIdentity,
  prepareFolder,
} from "../../src/agent/identity-file.ts";
import { acquireLock } from "../../src/agent/instance-lock.ts";
import {
  emitState,
  loadState,
  parseState,
  saveState,
  stateFile,
} from "../../src/agent/state-file.ts";
import type { SavedState } from "../../src/node/config.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weft-files-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const STATE: SavedState = {
  version: 1,
  leases: [
    { client: "01020000000001", mac: "02:00:00:00:00:01", ip: "10.117.0.9", epoch: 3, version: 7 },
  ],
  peers: [{ address: "ab".repeat(20), name: "beta", endpoint: { ip: "192.0.2.1", port: 7117 } }],
};

/** Every text that differs from `good` by one bit, one byte less at the end, or one byte more. */
function* damages(good: Buffer): Generator<Buffer> {
  for (let i = 0; i < good.length; i++) {
    for (const bit of [1, 2, 32, 128]) {
      const copy = Buffer.from(good);
      copy[i] = (copy[i] ?? 0) ^ bit;
      yield copy;
    }
    yield good.subarray(0, i);
  }
  yield Buffer.concat([good, Buffer.from("\n")]);
}

describe("the identity file", () => {
  it("is made once, 0600, and read again", () => {
    prepareFolder(join(folder, "net"));
    const seed = loadIdentity(join(folder, "net"));
    expect(seed).toHaveLength(32);
    expect(loadIdentity(join(folder, "net"))).toEqual(seed);
    expect(statSync(identityFile(join(folder, "net"))).mode & 0o777).toBe(0o600);
    expect(statSync(join(folder, "net")).mode & 0o777).toBe(0o700);
    expect(readdirSync(join(folder, "net"))).toEqual(["identity.key"]);
  });

  it("cut or flipped at any byte it is refused with text, and stays as it is", () => {
    const good = Buffer.from(emitIdentity(loadIdentity(folder)));
    for (const bad of damages(good)) {
      writeFileSync(identityFile(folder), bad);
      expect(() => loadIdentity(folder)).toThrow(
        /identity\.key is damaged: restore it from a backup/,
      );
      expect(readFileSync(identityFile(folder))).toEqual(Buffer.from(bad));
    }
  });

  it("parses only its own exact form", () => {
    const seed = Uint8Array.from({ length: 32 }, (_, i) => i);
    expect(emitIdentity(seed)).toBe(
      "weft identity 1\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\ncb3ee7b46b435dd9378bc704e7283325\n",
    );
    expect(parseIdentity(emitIdentity(seed))).toEqual(seed);
  });

  it("a missing one beside a state file is no reason for another identity", () => {
    saveState(folder, STATE);
    expect(() => loadIdentity(folder)).toThrow(/identity\.key is missing beside a state file/);
    expect(existsSync(identityFile(folder))).toBe(false);
  });

  it("one that others can read is refused", () => {
    loadIdentity(folder);
    chmodSync(identityFile(folder), 0o640);
    expect(() => loadIdentity(folder)).toThrow(/has mode 0640: run chmod 600/);
  });

  it("a half-written temporary file is never read", () => {
    writeFileSync(`${identityFile(folder)}.new`, "weft identity 1\nAAAA");
    expect(loadIdentity(folder)).toEqual(loadIdentity(folder));
  });
});

describe("the state file", () => {
  it("comes back as it was saved", () => {
    expect(loadState(folder)).toEqual({ kind: "fresh" });
    saveState(folder, STATE);
    expect(loadState(folder)).toEqual({ kind: "loaded", state: STATE });
  });

  it("cut or flipped at any byte it is set aside and the node starts fresh", () => {
    for (const bad of damages(Buffer.from(emitState(STATE))))
      expect(parseState(bad.toString("utf8"))).toBeUndefined();
    writeFileSync(stateFile(folder), emitState(STATE).slice(0, 50));
    expect(loadState(folder)).toEqual({ kind: "damaged", movedTo: `${stateFile(folder)}.damaged` });
    expect(loadState(folder)).toEqual({ kind: "fresh" });
  });

  it("a right checksum over wrong contents is damage too", () => {
    const wrong = [
      { ...STATE, version: 2 },
      { ...STATE, more: 1 },
      { ...STATE, leases: [{ ...STATE.leases[0], ip: "10.117.0.09" }] },
      { ...STATE, peers: [{ ...STATE.peers[0], endpoint: { ip: "1.2.3.4", port: 0 } }] },
      { ...STATE, leases: [{ ...STATE.leases[0], epoch: -1 }] },
    ];
    for (const state of wrong)
      expect(parseState(emitState(state as unknown as SavedState))).toBeUndefined();
  });

  it("a failed write leaves the old file whole", () => {
    saveState(folder, STATE);
    mkdirSync(`${stateFile(folder)}.new`);
    expect(() => saveState(folder, { ...STATE, peers: [] })).toThrow();
    expect(loadState(folder)).toEqual({ kind: "loaded", state: STATE });
  });

  it("keeps the mode it is written with", () => {
    writeDurable(join(folder, "x"), "text", 0o640);
    expect(statSync(join(folder, "x")).mode & 0o777).toBe(0o640);
  });
});

describe("the instance lock", () => {
  it("is one process's at a time, and free again after release", async () => {
    const first = await acquireLock(folder);
    await expect(acquireLock(folder)).rejects.toThrow(/an agent already runs for/);
    first.release();
    const second = await acquireLock(folder);
    second.release();
  });

  it("of twenty at once exactly one wins", async () => {
    const all = await Promise.allSettled(Array.from({ length: 20 }, () => acquireLock(folder)));
    const won = all.filter((result) => result.status === "fulfilled");
    expect(won).toHaveLength(1);
    for (const result of won) result.value.release();
  });
});

describe("a folder that others may change", () => {
  it("is refused: they could put an identity of their choice there", () => {
    for (const mode of [0o770, 0o707, 0o777]) {
      chmodSync(folder, mode);
      expect(() => prepareFolder(folder)).toThrow(
        `${folder} holds this node's key and has mode 0${mode.toString(8)}: run chmod 700 ${folder}`,
      );
    }
    chmodSync(folder, 0o755);
    expect(() => prepareFolder(folder)).not.toThrow();
  });

  it("no link that stands at the temporary name is followed", () => {
    const [victim, path] = [join(folder, "victim"), join(folder, "state.json")];
    writeFileSync(victim, "untouched");
    symlinkSync(victim, `${path}.new`);
    writeDurable(path, "new", 0o600);
    expect([readFileSync(victim, "utf8"), readFileSync(path, "utf8")]).toEqual([
      "untouched",
      "new",
    ]);
    expect(statSync(path).isFile()).toBe(true);
  });
});
