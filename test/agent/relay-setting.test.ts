import { describe, expect, it } from "vitest";
import { parseRelay, relayText } from "../../src/agent/relay-setting.ts";

const TOTALS = [
  "limit 10mbit total 9mbit",
  "limit 1mbit total",
  "limit total 1mbit",
  "total 1mbit",
];

describe("relay:", () => {
  it("reads what a file may say and says it again", () => {
    const texts = [
      "off",
      "members",
      "limit 64kbit",
      "limit 100mbit",
      "limit 2gbit",
      "limit 100mbit total 1gbit",
      "limit 5mbit total 5mbit",
    ];
    for (const text of texts) {
      const policy = parseRelay(text);
      expect(policy && relayText(policy)).toBe(text);
    }
    expect(parseRelay("limit 100mbit")).toEqual({
      kind: "limit",
      perMember: 12_500_000,
      inAll: 50_000_000,
    });
    const total = parseRelay("limit 8mbit total 1gbit");
    expect(total).toEqual({ kind: "limit", perMember: 1_000_000, inAll: 125_000_000 });
    expect(relayText(parseRelay("limit 1000mbit total 4gbit") ?? { kind: "off" })).toBe(
      "limit 1gbit",
    );
  });

  it("refuses everything else", () => {
    for (const text of [
      "on",
      "limit",
      "limit 10",
      "limit 1kbit",
      "limit -1mbit",
      "100mbit",
      "",
      ...TOTALS,
    ]) {
      expect(parseRelay(text)).toBeUndefined();
    }
  });
});
