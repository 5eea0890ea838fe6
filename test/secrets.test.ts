/** Comparisons with a secret take as long whatever they compare, and nobody compares otherwise. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { equalSecret } from "../src/base/bytes.ts";

const SOURCES = fileURLToPath(new URL("../src", import.meta.url));
/** What holds a MAC, a tag or a token in this code. */
const SECRET_NAMES = /\b(mac1|mac2|tag|hmac|cookie|token|secret|integrity)\w*\b/i;
/** Comparisons whose operands only look like that. */
const PUBLIC = [
  // our own questions to a NAT: numbers, not proofs
  "agent/mapping-clients.ts",
];

/** Counts how often each byte is read. */
function counted(bytes: Uint8Array, reads: number[]): Uint8Array {
  return new Proxy(bytes, {
    get(target, name) {
      if (typeof name === "string" && /^\d+$/.test(name)) {
        reads[Number(name)] = (reads[Number(name)] ?? 0) + 1;
      }
      return Reflect.get(target, name, target) as unknown;
    },
  });
}

describe("comparisons with secrets", () => {
  it("read every byte once, wherever the first difference is", () => {
    const secret = new Uint8Array(16).fill(7);
    for (let at = 0; at <= 16; at++) {
      const guess = secret.slice();
      if (at < 16) guess[at] = 8;
      const reads: number[] = [];
      expect(equalSecret(counted(guess, reads), secret)).toBe(at === 16);
      expect(reads).toEqual(new Array(16).fill(1));
    }
  });

  it("are made by nothing else: no equalBytes on a MAC, a tag or a token", () => {
    const found: string[] = [];
    for (const file of readdirSync(SOURCES, { recursive: true, encoding: "utf8" })) {
      if (!file.endsWith(".ts") || PUBLIC.includes(file)) continue;
      const text = readFileSync(`${SOURCES}/${file}`, "utf8");
      for (const [call, args = ""] of text.matchAll(
        /equalBytes\(([^()]*(?:\([^()]*\))?[^()]*)\)/g,
      )) {
        if (SECRET_NAMES.test(args)) found.push(`${file}: ${call}`);
      }
    }
    expect(found).toEqual([]);
  });

  it("are of one form in the engine: every byte, then one answer", () => {
    const engine = fileURLToPath(new URL("../native/engine", import.meta.url));
    const hash = readFileSync(`${engine}/blake2b.cc`, "utf8");
    expect(hash).toContain("difference |= actual[i] ^ expected[i]");
    const gate = readFileSync(`${engine}/stranger-gate.cc`, "utf8");
    expect(gate).toContain("sameMac(");
    expect(gate).not.toContain("memcmp");
  });
});
