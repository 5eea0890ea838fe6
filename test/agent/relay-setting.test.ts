import { describe, expect, it } from "vitest";
import { parseRelay, relayText } from "../../src/agent/relay-setting.ts";

describe("relay:", () => {
  it("reads what a file may say and says it again", () => {
    for (const text of ["off", "members", "limit 64kbit", "limit 100mbit", "limit 2gbit"]) {
      const policy = parseRelay(text);
      expect(policy && relayText(policy)).toBe(text);
    }
    expect(parseRelay("limit 100mbit")).toEqual({ kind: "limit", bytesPerSecond: 12_500_000 });
    expect(relayText({ kind: "limit", bytesPerSecond: 125_000_000 })).toBe("limit 1gbit");
  });

  it("refuses everything else", () => {
    for (const text of ["on", "limit", "limit 10", "limit 1kbit", "limit -1mbit", "100mbit", ""]) {
      expect(parseRelay(text)).toBeUndefined();
    }
  });
});
