import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseRevocations } from "../../src/crypto/revocations.ts";
import { parseNotice } from "../../src/wire/notice.ts";
import { type Ran, runWords } from "./cli-bench.ts";

const KEY = "ab".repeat(32);
const OTHER = Buffer.from("cd".repeat(32), "hex").toString("base64");
const SERIAL = "00000000000000ff";

let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "weft-revoke-"));
  const made = await run("init", "lab", "--authority", "--state-dir", join(folder, "state"));
  expect(made).toMatchObject({ code: 0, err: "" });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(...words: readonly string[]): Promise<Ran> {
  return runWords(words, folder, { uid: process.getuid?.() ?? 0 });
}

async function offline(...words: readonly string[]): Promise<string> {
  const ran = await run("revoke", ...words, "--offline");
  expect(ran).toMatchObject({ code: 0, err: "" });
  return ran.out.trim();
}

function listIn(word: string) {
  const notice = parseNotice(new Uint8Array(Buffer.from(word, "base64url")));
  if (!notice.ok) throw new Error(notice.reason);
  const lists = parseRevocations(notice.value.body);
  if (!lists.ok) throw new Error(lists.reason);
  const keys = lists.value.keys.map((key) => Buffer.from(key).toString("hex"));
  return { number: notice.value.number, keys, serials: lists.value.serials };
}

describe("weft revoke, offline", () => {
  it("signs a first list, and the next one onto it, by key in both spellings and by serial number", async () => {
    const first = await offline(KEY, "lab");
    expect(listIn(first)).toEqual({ number: 1, keys: [KEY], serials: [] });
    const second = await offline(OTHER, "lab", "--onto", first);
    expect(listIn(second)).toEqual({ number: 2, keys: [KEY, "cd".repeat(32)], serials: [] });
    const third = await offline(SERIAL, "lab", "--onto", second);
    expect(listIn(third)).toMatchObject({ number: 3, serials: [0xffn] });
    const same = await offline(KEY, "lab", "--onto", third);
    expect(same, "nothing to change").toBe(third);
    const lifted = await offline(KEY, "lab", "--onto", third, "--lift");
    expect(listIn(lifted)).toEqual({ number: 4, keys: ["cd".repeat(32)], serials: [0xffn] });
  });

  it("names no member: that takes an agent", async () => {
    const ran = await run("revoke", "laptop", "lab", "--offline");
    expect(ran).toMatchObject({ code: 7, out: "" });
    expect(ran.err).toBe(
      "weft: no member called laptop is linked here: give its public key or serial number, as weft members -o wide shows them where it is linked, and weft sign or weft join printed them\n",
    );
  });

  it.each([
    [
      "a cut word",
      ["--onto", "AQEB"],
      5,
      /^weft: that is no word of this network's authority \(truncated\)/,
    ],
    [
      "no key there",
      ["--key-file", "none"],
      7,
      /^weft: DIR\/none does not exist: name the authority's/,
    ],
  ])("%s is one line", async (_, words, code, says) => {
    const ran = await run("revoke", KEY, "lab", "--offline", ...words);
    expect(ran).toMatchObject({ code, out: "" });
    expect(ran.err).toMatch(says);
  });

  it("whom, is asked for; without an agent the rest says that none runs", async () => {
    expect((await run("revoke", "--offline")).err).toMatch(/^weft: name whom to shut out/);
    expect(await run("revoke", KEY, "lab")).toMatchObject({ code: 3, out: "" });
    expect(await run("revoke", "--list")).toMatchObject({ code: 3, out: "" });
    const word = await offline(KEY, "lab");
    expect(await run("revoke", "--apply", word)).toMatchObject({ code: 3, out: "" });
    expect(await run("config", "push", "lab")).toMatchObject({ code: 3, out: "" });
  });

  it("in a network without authority nobody can be shut out", async () => {
    expect(await run("init", "plain")).toMatchObject({ code: 0 });
    const ran = await run("revoke", KEY, "plain", "--offline");
    expect(ran).toMatchObject({ code: 2, out: "" });
    expect(ran.err).toMatch(/^weft: plain has no authority: whoever holds its file is a member/);
    rmSync(join(folder, "etc", "plain.yaml"));
  });
});
