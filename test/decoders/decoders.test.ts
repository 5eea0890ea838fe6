/**
 * Every decoder of outside bytes, under the same promise: whatever comes in, it never throws, never
 * hangs, and keeps no more than ten times what came in. The tables are held against the sources: a
 * decoder without a row fails here.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BYTE_DECODERS } from "./byte-decoders.ts";
import { type Decoder, isTaken, mostBytes, weigh } from "./decoder.ts";
import { TEXT_DECODERS } from "./text-decoders.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const RUNS = 1_000;
const MAX_RANDOM_BYTES = 1_500;
/** One input; a parser that loops on it would take forever. */
const HANG_MS = 30_000;

/** Exported, named like a decoder, and none: with what they read instead. */
const NO_DECODERS: Readonly<Record<string, string>> = {
  "src/agent/authority-file.ts:readAuthority": "a file, by parseSealedText",
  "src/agent/certificate-file.ts:readCertificates": "a file, by parseSealedText",
  "src/agent/notice-file.ts:readNotices": "a file, by parseNotices",
  "src/agent/sealed-text.ts:readStateFile": "a file's bytes as they are; its readers are listed",
  "src/agent/durable-file.ts:readIfThere": "a file's bytes as they are; its readers are listed",
  "src/dht/answers.ts:readGroup": "answers that parseAnswer made",
};

const table: readonly Decoder[] = [...BYTE_DECODERS, ...TEXT_DECODERS];

describe("the tables", () => {
  it("list every exported parse, decode and read function", () => {
    const listed = new Set([...table.map(({ name }) => name), ...Object.keys(NO_DECODERS)]);
    const missing = decodersInSources().filter((name) => !listed.has(name));
    expect(missing, "give it a row in byte-decoders.ts or text-decoders.ts").toEqual([]);
  });

  it("list nothing that is gone, and nothing twice", () => {
    const names = table.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    const found = new Set(decodersInSources());
    const functions = [...names, ...Object.keys(NO_DECODERS)].filter((name) =>
      /:(parse|decode|read)/.test(name),
    );
    expect(functions.filter((name) => !found.has(name))).toEqual([]);
  });
});

describe.each(table.map((decoder) => [decoder.name, decoder] as const))("%s", (_, decoder) => {
  it("takes its samples", () => {
    expect(decoder.samples.length).toBeGreaterThan(0);
    for (const sample of decoder.samples) expect(isTaken(decode(decoder, sample))).toBe(true);
  });

  it("random bytes never throw, hang or grow", { timeout: HANG_MS }, () => {
    const bytes = fc.uint8Array({ maxLength: MAX_RANDOM_BYTES });
    fc.assert(
      fc.property(bytes, (input) => holds(decoder, input)),
      { numRuns: RUNS },
    );
  });

  it("mutated messages never throw, hang or grow", { timeout: HANG_MS }, () => {
    fc.assert(
      fc.property(mutated(decoder.samples), (input) => holds(decoder, input)),
      { numRuns: RUNS },
    );
  });

  it("messages cut anywhere, and with any byte at its ends, never throw, hang or grow", () => {
    for (const sample of decoder.samples) {
      for (let at = 0; at < sample.length; at++) {
        holds(decoder, sample.subarray(0, at));
        for (const byte of [0, 0x7f, 0x80, 0xff]) holds(decoder, sample.with(at, byte));
      }
    }
  });
});

function decode(decoder: Decoder, input: Uint8Array): unknown {
  try {
    return decoder.decode(input);
  } catch (error) {
    if (decoder.refuses?.(error) === true) return undefined;
    throw error;
  }
}

function holds(decoder: Decoder, input: Uint8Array): void {
  const before = input.slice();
  const kept = weigh(decode(decoder, input));
  if (kept > mostBytes(decoder, input.length))
    throw new Error(`${input.length} bytes became ${kept}`);
  // A decoder borrows its input.
  expect(Buffer.compare(before, input)).toBe(0);
}

type Edit = readonly [kind: "set" | "insert" | "cut" | "repeat" | "end", at: number, byte: number];

/** A sample with a few bytes changed, put in, taken out or repeated; lengths and counts lie then. */
function mutated(samples: readonly Uint8Array[]): fc.Arbitrary<Uint8Array> {
  const kind = fc.constantFrom<Edit[0]>("set", "set", "set", "insert", "cut", "repeat", "end");
  const byte = fc.oneof(fc.constantFrom(0, 1, 0x7f, 0x80, 0xff), fc.nat(255));
  const edits = fc.array(fc.tuple(kind, fc.nat(2 ** 20), byte), { minLength: 1, maxLength: 6 });
  return fc.tuple(fc.constantFrom(...samples), edits).map(([sample, all]) => {
    return Uint8Array.from(all.reduce(edited, [...sample]));
  });
}

function edited(bytes: readonly number[], [kind, place, byte]: Edit): number[] {
  const at = bytes.length === 0 ? 0 : place % bytes.length;
  const [front, back] = [bytes.slice(0, at), bytes.slice(at)];
  switch (kind) {
    case "set":
      return [...front, byte, ...back.slice(1)];
    case "insert":
      return [...front, byte, ...back];
    case "cut":
      return [...front, ...back.slice(1 + (byte % 8))];
    case "repeat":
      return [...front, ...back.slice(0, byte), ...back];
    case "end":
      return front;
  }
}

/** `file:function` of each exported function that is named like a decoder. */
function decodersInSources(): string[] {
  const files = readdirSync(join(ROOT, "src"), { recursive: true, encoding: "utf8" });
  return files
    .filter((file) => file.endsWith(".ts") && !file.endsWith(".d.ts"))
    .flatMap((file) => {
      const code = readFileSync(join(ROOT, "src", file), "utf8");
      const found = code.matchAll(/^export (?:async )?function ((?:parse|decode|read)[A-Z]\w*)/gm);
      return [...found].map((match) => `src/${file}:${match[1]}`);
    })
    .sort();
}
