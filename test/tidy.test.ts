/**
 * Style is a test: import order, purity of the core, sizes, names. Each rule says why it is there, so
 * that whoever breaks it learns the reason from the failure.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const CORE = [
  "base",
  "wire",
  "frame",
  "crypto",
  "link",
  "stun",
  "ring",
  "dht",
  "lease",
  "vnet",
  "node",
];
/** Lower may not import higher: a protocol must not know who uses it. wire and frame are equals. */
const ORDER = [...CORE, "io", "agent", "cli"];
const EQUALS: ReadonlySet<string> = new Set(["wire>frame", "frame>wire"]);

const tracked = listFiles();
const sources = tracked.filter((path) => /^(src|sim|test|demo|bench|fuzz)\/.*\.ts$/.test(path));
const text = (path: string): string => readFileSync(join(ROOT, path), "utf8");

/** What git tracks or would track: build outputs and other people's packages stay out. */
function listFiles(): string[] {
  const args = ["ls-files", "--cached", "--others", "--exclude-standard"];
  const names = execFileSync("git", args, { cwd: ROOT, encoding: "utf8" }).split("\n");
  return names.filter((name) => name !== "" && existsQuietly(name));
}

function existsQuietly(name: string): boolean {
  try {
    readFileSync(join(ROOT, name));
    return true;
  } catch {
    return false;
  }
}

function importsOf(path: string): string[] {
  const found = text(path).matchAll(/^(?:import|export)\b[^;]*?from\s+"([^"]+)"/gms);
  return [...found].map((match) => match[1] ?? "");
}

function areaOf(path: string): string {
  const [top = "", second = ""] = path.split("/");
  return top === "src" && ORDER.includes(second) ? second : top;
}

function resolveArea(from: string, specifier: string): string | undefined {
  if (!specifier.startsWith(".")) return undefined;
  const target = new URL(specifier, `file:///${from}`).pathname.slice(1);
  return areaOf(target);
}

describe("import order", () => {
  it("lower areas never import higher or sideways ones", () => {
    const wrong: string[] = [];
    for (const path of sources.filter((source) => source.startsWith("src/"))) {
      const from = areaOf(path);
      for (const specifier of importsOf(path)) {
        const to = resolveArea(path, specifier);
        if (to === undefined || to === from) continue;
        const allowed = from === "src" || ORDER.indexOf(to) < ORDER.indexOf(from);
        const simFromCli = from === "cli" && to === "sim";
        if ((!allowed && !simFromCli) || EQUALS.has(`${from}>${to}`))
          wrong.push(`${path}: ${specifier}`);
      }
    }
    expect(wrong, `an area may import only areas before it: ${ORDER.join(" < ")}`).toEqual([]);
  });

  it("the simulator runs the core and never the machine", () => {
    const wrong = sources
      .filter((path) => path.startsWith("sim/"))
      .flatMap((path) => importsOf(path).map((specifier) => ({ path, specifier })))
      .filter(({ path, specifier }) => ["io", "cli"].includes(resolveArea(path, specifier) ?? ""));
    expect(wrong, "sim imports up to node, plus agent/config, never io").toEqual([]);
  });

  it("only src/io/engine.ts and src/io/tap.ts load the addon", () => {
    const users = sources.filter(
      (path) => path.startsWith("src/") && /weft\.node|createRequire/.test(text(path)),
    );
    expect(users.every((path) => path.startsWith("src/io/"))).toBe(true);
  });
});

describe("purity of the core", () => {
  const core = sources.filter((path) => path.startsWith("src/") && CORE.includes(areaOf(path)));

  it("names no clock, no randomness, no host", () => {
    const banned =
      /\bDate\b|Math\.random|\bsetTimeout\b|\bsetInterval\b|\bprocess\.|\bBuffer\b|\basync\b|\bawait\b|from "node:|\bEventEmitter\b|performance\.now/;
    const wrong = core.filter((path) => banned.test(stripComments(text(path))));
    expect(wrong, "time, randomness and bytes are arguments of the core").toEqual([]);
  });

  it("does not even know the host's globals: `process` has no type there", () => {
    const folder = mkdtempSync(join(ROOT, "src/base/.purity-"));
    try {
      writeFileSync(join(folder, "probe.ts"), "export const probe = process.pid;\n");
      const config = {
        extends: join(ROOT, "tsconfig.core.json"),
        include: [],
        files: [join(folder, "probe.ts")],
      };
      const options = { composite: false, noEmit: true, rootDir: ROOT };
      const project = join(folder, "tsconfig.json");
      writeFileSync(project, JSON.stringify({ ...config, compilerOptions: options }));
      expect(() => runTsc(project)).toThrow(/Cannot find name 'process'/);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

function runTsc(project: string): void {
  try {
    execFileSync(join(ROOT, "node_modules/.bin/tsc"), ["-p", project], { encoding: "utf8" });
  } catch (error) {
    throw new Error(String((error as { stdout?: string }).stdout));
  }
}

/** Comments may speak of clocks; code may not. Good enough for code that Biome has formatted. */
function stripComments(code: string): string {
  return code.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/.*$/gm, "");
}

describe("sizes", () => {
  const written = tracked.filter((path) =>
    /^(src|sim|test|demo|native|scripts|bench)\/.*\.(ts|mjs|cc|h|sh)$/.test(path),
  );

  it("no file is longer than 600 lines", () => {
    const long = written.filter((path) => text(path).split("\n").length > 601);
    expect(long, "past 600 lines the cut is wrong").toEqual([]);
  });

  it("no line is longer than 100 columns in C++ (Biome keeps TypeScript)", () => {
    const native = tracked.filter((path) => /^native\/.*\.(cc|h)$/.test(path));
    const wide = native.flatMap((path) =>
      text(path)
        .split("\n")
        .flatMap((line, i) => (line.length > 100 ? [`${path}:${i + 1}`] : [])),
    );
    expect(wide).toEqual([]);
  });
});

describe("names", () => {
  it("files are kebab-case and none is a drawer", () => {
    const files = sources.map((path) => path.split("/").at(-1) ?? "");
    const wrong = files.filter(
      (name) => !/^[a-z0-9]+(-[a-z0-9]+)*(\.test|\.config|\.d)?\.ts$/.test(name),
    );
    expect(wrong).toEqual([]);
    const drawers = files.filter((name) => /^(utils?|types|helpers|common|misc)\.ts$/.test(name));
    expect(drawers, "a file is named after the one thing in it").toEqual([]);
  });

  it("there is one barrel file, the package's own", () => {
    const barrels = sources.filter((path) => /^src\/.*\/index\.ts$/.test(path));
    expect(barrels).toEqual([]);
  });
});

describe("the code stands on its own", () => {
  it("no escape from the type checker, no unfinished work", () => {
    const directive = /@ts-ignore|@ts-expect-error|@ts-nocheck|\bTODO\b|\bFIXME\b|\bXXX\b/;
    const untyped = /\bas any\b|: any\b/;
    const wrong = [...sources, ...tracked.filter((path) => path.startsWith("native/"))]
      .filter((path) => path !== "test/tidy.test.ts")
      .filter((path) => directive.test(text(path)) || untyped.test(stripComments(text(path))));
    expect(wrong).toEqual([]);
  });

  it("no skipped or focused tests: what cannot run says why through test/support/requires.ts", () => {
    const banned = /\b(it|test|describe)\.(only|todo|skip)\b/;
    const tests = sources.filter(
      (path) => path.startsWith("test/") && path !== "test/tidy.test.ts",
    );
    expect(tests.filter((path) => banned.test(text(path)))).toEqual([]);
  });
});
