/**
 * Faults that other programs of this kind had are regression tests here, by name: docs/TESTING.md lists
 * each with the test that keeps it out, and this file sees that none is missing.
 */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const HEADING = "## Faults of others";
const FAULTS = [
  "a forged packet advances the nonce",
  "a counter wraps",
  "replays are taken",
  "replays through a relay are taken",
  "the replay window under two threads",
  "a packet with a flipped bit is taken",
  "a race while roaming sends to the wrong host",
  "half-dead relay entries stay",
  "odd lengths",
  "valid self-signed records grow memory",
  "half-open sessions grow memory",
  "odd times are believed",
  "secrets are compared byte by byte",
  "a web page reaches the control API",
  "key files that others can read",
  "parse bombs",
  "queues without a bound in bytes",
  "DHCP option 121",
  "a member speaks as another",
  "floods stop established traffic",
  "answers to strangers are longer than what they sent",
  "relay abuse",
  "labels are guessed",
  "floods are amplified",
  "a few members surround one",
  "one forged DHCP message ends a service",
];

interface Row {
  readonly fault: string;
  readonly file: string;
  readonly name: string;
}

function rows(): Row[] {
  const text = readFileSync(`${ROOT}/docs/TESTING.md`, "utf8");
  const section = text.split(HEADING)[1]?.split(/^## /m)[0] ?? "";
  return [...section.matchAll(/^\| ([^|`]+) \| `([^`|]+)` \| ([^|]+) \|$/gm)].map(
    ([, fault = "", file = "", name = ""]) => ({ fault, file, name }),
  );
}

/** The title of a test, also one that a loop makes of a template. */
function holdsTest(file: string, name: string): boolean {
  if (!existsSync(`${ROOT}/${file}`)) return false;
  const text = readFileSync(`${ROOT}/${file}`, "utf8");
  return [`"${name}"`, `\`${name}\``].some((title) => text.includes(title));
}

describe("faults of others", () => {
  it("have a row each, and no row has another name", () => {
    expect([...new Set(rows().map(({ fault }) => fault))].sort()).toEqual([...FAULTS].sort());
  });

  it.each(rows())("$fault: $file has its test", ({ file, name }) => {
    expect(holdsTest(file, name), `${file}: ${name}`).toBe(true);
  });
});
