import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  DATAGRAM_TYPES,
  FIRST_UPPER_MESSAGE,
  MAJOR_VERSION,
  MESSAGE_TYPES,
  MINOR_VERSION,
  PAYLOAD_TYPES,
} from "../../src/wire/message-type.ts";

const document = readFileSync(new URL("../../docs/WIRE.md", import.meta.url), "utf8");

/** Name -> number of the table under a heading of docs/WIRE.md: `| number | name | ...`. */
function tableUnder(heading: string): Record<string, number> {
  const section = document.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? "";
  const rows = section.matchAll(/^\| (0x[0-9a-f]{2}|\d+) \| ([a-z0-9-]+) \|/gm);
  return Object.fromEntries([...rows].map(([, number, name]) => [name, Number(number)]));
}

describe("docs/WIRE.md lists what the code knows", () => {
  it("datagram types", () => expect(tableUnder("Datagram types")).toEqual(DATAGRAM_TYPES));
  it("message types", () => expect(tableUnder("Message types")).toEqual(MESSAGE_TYPES));
  it("payload types", () => expect(tableUnder("Routed payload types")).toEqual(PAYLOAD_TYPES));
  it("versions", () => {
    expect(document).toContain(`Major version ${MAJOR_VERSION}, minor version ${MINOR_VERSION}.`);
  });
});

it("no number is used twice, none leaves its range", () => {
  for (const table of [DATAGRAM_TYPES, MESSAGE_TYPES, PAYLOAD_TYPES]) {
    const numbers = Object.values(table);
    expect(new Set(numbers).size).toBe(numbers.length);
  }
  for (const number of Object.values(DATAGRAM_TYPES)) expect(number).toBeGreaterThanOrEqual(192);
  const link = Object.values(MESSAGE_TYPES).filter((number) => number < FIRST_UPPER_MESSAGE);
  expect(link).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 15]);
});
