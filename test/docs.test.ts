/** Documents are part of the change: their tables are compared with the code they speak of. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { DROP_REASONS } from "../src/base/drop-reason.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const read = (path: string): string => readFileSync(`${ROOT}/${path}`, "utf8");

interface LockEntry {
  readonly version?: string;
  readonly license?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

/** Rows of every table under a heading, cells trimmed, header and rule left out. */
function rowsUnder(path: string, heading: string): string[][] {
  const section =
    read(path)
      .split(/^## /m)
      .find((part) => part.startsWith(heading)) ?? "";
  const lines = section.split("\n");
  const isRule = (line: string | undefined): boolean => line?.startsWith("|---") === true;
  return lines
    .filter((line, i) => line.startsWith("|") && !isRule(line) && !isRule(lines[i + 1]))
    .map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

describe("docs/DEPENDENCIES.md", () => {
  const lock = (JSON.parse(read("package-lock.json")) as { packages: Record<string, LockEntry> })
    .packages;

  it.each([
    ["At run time", "dependencies"],
    ["To build and test", "devDependencies"],
  ] as const)("%s: names, counts and licences are those of the lock file", (heading, field) => {
    const names = Object.keys(lock[""]?.[field] ?? {}).sort();
    const expected = names.map((name) => {
      const brings = String(bringsOf(lock, name) - 1);
      return [name, brings, lock[`node_modules/${name}`]?.license ?? ""];
    });
    const written = rowsUnder("docs/DEPENDENCIES.md", heading).map((row) => row.slice(0, 3));
    expect(written.sort()).toEqual(expected);
  });
});

/** Packages installed for the sake of this one, itself included; nested copies count. */
function bringsOf(lock: Record<string, LockEntry>, name: string): number {
  const seen = new Set<string>();
  const visit = (wanted: string, from: string): void => {
    const path = resolveFrom(lock, wanted, from);
    if (path === undefined || seen.has(path)) return;
    seen.add(path);
    for (const next of Object.keys(lock[path]?.dependencies ?? {})) visit(next, path);
  };
  visit(name, "");
  return seen.size;
}

/** Node's own rule: the nearest node_modules above. */
function resolveFrom(
  lock: Record<string, LockEntry>,
  wanted: string,
  from: string,
): string | undefined {
  for (
    let base = from;
    ;
    base = base.slice(0, Math.max(0, base.lastIndexOf("node_modules/") - 1))
  ) {
    const path = `${base === "" ? "" : `${base}/`}node_modules/${wanted}`;
    if (path in lock) return path;
    if (base === "") return undefined;
  }
}

describe("SECURITY.md", () => {
  it("names only tests that there are, and every promise has some", () => {
    const rows = rowsUnder("SECURITY.md", "Promises");
    expect(rows.length).toBeGreaterThan(0);
    const wrong = rows.flatMap(([number, , tests = ""]) => {
      const paths = [...tests.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? "");
      const missing = paths.filter((path) => !existsSync(`${ROOT}/${path}`));
      return paths.length === 0 ? [`${number}: no test`] : missing;
    });
    expect(wrong).toEqual([]);
  });

  it("can be found from the README, and its links lead somewhere", () => {
    expect(read("README.md")).toContain("(SECURITY.md)");
    const links = [...read("SECURITY.md").matchAll(/\]\(([^)#:]+)\)/g)];
    expect(links.filter(([, path]) => !existsSync(`${ROOT}/${path}`))).toEqual([]);
  });
});

describe("docs/ERRORS.md", () => {
  it("has one row for every drop reason and no other", () => {
    const rows = rowsUnder("docs/ERRORS.md", "Drop reasons").map((row) =>
      row[0]?.replaceAll("`", ""),
    );
    expect(rows).toEqual([...DROP_REASONS]);
  });
});

describe("docs/PROTOCOL.md", () => {
  const AREAS = ["link", "stun", "ring", "dht", "lease", "vnet", "node"];
  const rows = rowsUnder("docs/PROTOCOL.md", "Timers and bounds").map(([name, file, value]) => ({
    name: plain(name),
    file: plain(file),
    value: value ?? "",
  }));

  it("gives each timer and bound the value of the code", () => {
    const wrong = rows.flatMap(({ name, file, value }) => {
      const actual = constantsOf(`src/${file}`).get(name);
      const same = actual !== undefined && valueText(value) === valueText(actual);
      return same ? [] : [`${file} ${name}: ${value} in the document, ${actual} in the code`];
    });
    expect(rows.length).toBeGreaterThan(200);
    expect(wrong).toEqual([]);
  });

  it("leaves no timer and no bound of a machine out", () => {
    const known = new Set(rows.map(({ name, file }) => `${file} ${name}`));
    const missing = AREAS.flatMap(sourcesOf).flatMap((path) =>
      [...constantsOf(path).keys()]
        .filter((name) => /(_MS|_MAX|PER_SECOND)$|^MAX_/.test(name))
        .map((name) => `${path.slice("src/".length)} ${name}`)
        .filter((name) => !known.has(name)),
    );
    expect(missing, "one row each under Timers and bounds").toEqual([]);
  });
});

/** Constants of one file by name, as written; members of ENGINE_LIMITS by both names. */
function constantsOf(path: string): Map<string, string> {
  const found = new Map<string, string>();
  const text = existsSync(`${ROOT}/${path}`) ? read(path) : "";
  const declared =
    /^(?:export | {2}static )?(?:const|readonly) ([A-Z][A-Z0-9_]*)(?:: [^=]+)? = ([^;]+);/gm;
  for (const [, name = "", value = ""] of text.matchAll(declared)) found.set(name, value);
  const limits = /ENGINE_LIMITS = \{(.*?)\n\}/s.exec(text)?.[1] ?? "";
  for (const [, name, value = ""] of limits.matchAll(/^ {2}(\w+): ([^,]+),$/gm)) {
    found.set(`ENGINE_LIMITS.${name}`, value);
  }
  return found;
}

/** One text for `[1_000, 500]` of the code and `1,000, 500` of a document. */
function valueText(value: string): string {
  return plain(value)
    .replaceAll("_", "")
    .replaceAll(/(\d),(?=\d{3})/g, "$1")
    .replaceAll(/[[\]]/g, "");
}

function plain(cell: string | undefined): string {
  return (cell ?? "").replaceAll("`", "");
}

function sourcesOf(area: string): string[] {
  return readdirSync(`${ROOT}/src/${area}`)
    .filter((name) => name.endsWith(".ts"))
    .map((name) => `src/${area}/${name}`);
}

describe("docs/WIRE.md", () => {
  it.each(["Message types", "Routed payload types"])("%s: each has a form below", (heading) => {
    const rows = rowsUnder("docs/WIRE.md", heading);
    const lost = rows.filter((row) => !read("docs/WIRE.md").includes(`\n## ${row.at(-1)}\n`));
    expect(rows.length).toBeGreaterThan(0);
    expect(lost).toEqual([]);
  });
});

describe("docs/OPERATING.md", () => {
  it("lists every event of the journal and no other", () => {
    const written = rowsUnder("docs/OPERATING.md", "Journal").map(
      ([area, what]) => `${area} ${plain(what)}`,
    );
    const areas = ["link", "stun", "ring", "dht", "lease", "vnet", "node", "agent"];
    const raised = areas.flatMap((area) =>
      sourcesOf(area).flatMap((path) =>
        [...read(path).matchAll(/(?:\bwhat: |\bownEvent\(\s*)"([a-z-]+)"/g)].map(
          (match) => `${area === "agent" ? "node" : area} ${match[1]}`,
        ),
      ),
    );
    expect([...new Set(written)].sort()).toEqual([...new Set(raised)].sort());
    expect(written.length).toBe(new Set(written).size);
  });
});

describe("documents that the code refers to", () => {
  it("have the heading that a comment names", () => {
    const areas = readdirSync(`${ROOT}/src`).filter((name) => !name.includes("."));
    const broken = areas.flatMap(sourcesOf).flatMap((path) =>
      [...read(path).matchAll(/(docs\/[A-Z]+\.md)(?:, "?([A-Z][A-Za-z ]*))?/g)]
        .filter(([, document = "", heading]) => {
          if (!existsSync(`${ROOT}/${document}`)) return true;
          return heading !== undefined && !read(document).includes(`\n## ${heading}\n`);
        })
        .map((match) => `${path}: ${match[0]}`),
    );
    expect(broken).toEqual([]);
  });

  it("name only files that exist", () => {
    const documents = readdirSync(`${ROOT}/docs`).filter((name) => name.endsWith(".md"));
    const gone = documents.flatMap((document) =>
      [...read(`docs/${document}`).matchAll(/`([a-z0-9/.-]+\.(?:ts|cc|h|mjs|sh))`/g)]
        .map((match) => match[1] ?? "")
        .filter(
          (name) =>
            !["", "src/", "native/engine/"].some((at) => existsSync(`${ROOT}/${at}${name}`)),
        )
        .map((name) => `docs/${document}: ${name}`),
    );
    expect(gone).toEqual([]);
  });

  it("have working links to one another", () => {
    const documents = readdirSync(`${ROOT}/docs`).filter((name) => name.endsWith(".md"));
    const broken = documents.flatMap((name) =>
      [...read(`docs/${name}`).matchAll(/\]\(([^)#]+)(#[^)]*)?\)/g)]
        .filter(([, to = ""]) => !to.startsWith("http") && !existsSync(`${ROOT}/docs/${to}`))
        .map(([, to]) => `docs/${name}: ${to}`),
    );
    expect(broken).toEqual([]);
  });
});

describe("the README's promises", () => {
  it("every document it links exists", () => {
    const links = [...read("README.md").matchAll(/\]\(([^)#]+)(#[^)]*)?\)/g)].map(
      (match) => match[1],
    );
    const local = links.filter((link) => link !== undefined && !link.startsWith("http"));
    expect(local.filter((link) => !existsSync(`${ROOT}/${link}`))).toEqual([]);
  });

  it("every script it names is in package.json", () => {
    const scripts = Object.keys((JSON.parse(read("package.json")) as { scripts: object }).scripts);
    const named = [...read("README.md").matchAll(/npm (?:run )?([a-z:]+)/g)].map(
      (match) => match[1],
    );
    const builtIn = ["install", "ci"];
    const unknown = named.filter(
      (name) => !scripts.includes(name ?? "") && !builtIn.includes(name ?? ""),
    );
    expect(unknown).toEqual([]);
  });
});
