import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { NoticeFile, noticeFile, parseNotices } from "../../src/agent/notice-file.ts";
import { emitNotice } from "../../src/wire/notice.ts";

const noticeOf = (kind: "revocations" | "shared", number: number) =>
  emitNotice({
    ...{ kind, number, networkId: new Uint8Array(16), body: new Uint8Array(number) },
    signature: new Uint8Array(64).fill(number),
  });

let folder: string;
let damaged: string[];
let conditions: (string | undefined)[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weft-notices-"));
  damaged = [];
  conditions = [];
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function open(): NoticeFile {
  return new NoticeFile({
    folder,
    onDamaged: (movedTo) => damaged.push(movedTo),
    onCondition: (line) => conditions.push(line),
  });
}

describe("the file of notices", () => {
  it("keeps the newest of each kind, and a start writes nothing anew", () => {
    const file = open();
    expect(file.load()).toEqual([]);
    file.save("shared", noticeOf("shared", 1));
    file.save("revocations", noticeOf("revocations", 2));
    file.save("revocations", noticeOf("revocations", 3));
    expect(statSync(noticeFile(folder)).mode & 0o777).toBe(0o600);
    const again = open();
    const before = statSync(noticeFile(folder)).ino;
    expect(again.load()).toEqual([noticeOf("revocations", 3), noticeOf("shared", 1)]);
    again.save("revocations", noticeOf("revocations", 3));
    expect(statSync(noticeFile(folder)).ino).toBe(before);
    again.save("revocations", noticeOf("revocations", 4));
    expect(open().load()).toEqual([noticeOf("revocations", 4), noticeOf("shared", 1)]);
  });

  it("cut anywhere or with any bit turned it is put aside, and the start is a fresh one", () => {
    const file = open();
    file.save("revocations", noticeOf("revocations", 2));
    const text = readFileSync(noticeFile(folder));
    for (let at = 0; at < text.length; at++) {
      const cut = text.subarray(0, at);
      const turned = text.map((byte, i) => (i === at ? byte ^ (1 << (at & 7)) : byte));
      for (const bytes of [cut, turned]) {
        expect(parseNotices(Buffer.from(bytes).toString("utf8")), `byte ${at}`).toBeUndefined();
      }
    }
    writeFileSync(noticeFile(folder), text.subarray(0, 40));
    expect(open().load()).toEqual([]);
    expect(damaged).toEqual([`${noticeFile(folder)}.damaged`]);
    expect(existsSync(noticeFile(folder))).toBe(false);
    expect(open().load()).toEqual([]);
  });

  it("says that it cannot be written, and that it can again", () => {
    const file = open();
    mkdirSync(noticeFile(folder));
    file.save("revocations", noticeOf("revocations", 2));
    expect(conditions[0]).toMatch(/notices cannot be written \(\w+\): free space or correct/);
    rmSync(noticeFile(folder), { recursive: true });
    file.save("revocations", noticeOf("revocations", 2));
    expect(conditions[1]).toBeUndefined();
    expect(open().load().length).toBe(1);
  });
});
