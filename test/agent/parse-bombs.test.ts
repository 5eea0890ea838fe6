/** Files that are small and would become large, or deep. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { loadConfig } from "../../src/agent/config.ts";
import { WeftError } from "../../src/agent/errors.ts";

const folder = mkdtempSync(join(tmpdir(), "weft-bombs-"));
afterAll(() => rmSync(folder, { recursive: true }));

function fault(text: string): string {
  const file = join(folder, "c.yaml");
  writeFileSync(file, text, { mode: 0o600 });
  try {
    loadConfig({ file, flags: {}, env: {}, uid: 0, nodeName: "a" });
  } catch (error) {
    if (error instanceof WeftError) return error.message;
    throw error;
  }
  return "no fault";
}

describe("a cluster file", () => {
  it("of nine levels of nine aliases each is refused with a line, not unfolded", () => {
    const levels = Array.from({ length: 9 }, (_, i) => {
      const inner = i === 0 ? '"lol"' : `*l${i - 1}`;
      return `l${i}: &l${i} [${new Array(9).fill(inner).join(", ")}]`;
    });
    expect(fault(`${levels.join("\n")}\nnodes: *l8\n`)).toMatch(/alias/i);
  });

  it("of ten thousand brackets is refused with a line", () => {
    expect(fault(`nodes: ${"[".repeat(10_000)}${"]".repeat(10_000)}\n`)).toMatch(/deep/);
    expect(fault(`nodes: ${"{a: ".repeat(10_000)}\n`)).not.toBe("no fault");
  });
});
