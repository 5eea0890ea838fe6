import { describe, expect, it } from "vitest";
import { toHex } from "../../src/base/bytes.ts";
import { mainlineInfohash, utcDay } from "../../src/crypto/mainline-infohash.ts";
import { suite } from "../support/suite.ts";

const KEY = new Uint8Array(32).fill(7);

describe("the key in the BitTorrent DHT", () => {
  it("has 20 bytes, the same everywhere for one network and day", () => {
    expect(toHex(mainlineInfohash(suite, KEY, 20_000))).toBe(
      "89f6c14ed831dcfff0c186cade338a205f04a9bf",
    );
  });

  it("is another one each day and for each network", () => {
    const other = new Uint8Array(32).fill(8);
    const hashes = [
      mainlineInfohash(suite, KEY, 20_000),
      mainlineInfohash(suite, KEY, 20_001),
      mainlineInfohash(suite, other, 20_000),
    ];
    expect(new Set(hashes.map(toHex)).size).toBe(3);
  });

  it("changes at midnight UTC", () => {
    expect(utcDay(20_000 * 86_400 - 1)).toBe(19_999);
    expect(utcDay(20_000 * 86_400)).toBe(20_000);
  });
});
