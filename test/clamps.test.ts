/** Every time to live and interval that somebody else may write: at 0, below, at its most and past it. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { loadConfig } from "../src/agent/config.ts";
import { generateNetworkKey } from "../src/agent/network-key.ts";
import { parseCertificate } from "../src/crypto/certificate.ts";
import { deriveClusterKeys } from "../src/crypto/cluster-keys.ts";
import { identityFromSeed } from "../src/crypto/identity.ts";
import { Membership } from "../src/crypto/membership.ts";
import { keepaliveOf, type Path } from "../src/link/path.ts";
import { clampCounter, clampTtlSeconds } from "../src/wire/record.ts";
import { suite } from "./support/suite.ts";

const DAY = 86_400;
const ODD = [0, -0, -1, -(2 ** 53), Number.NaN, 2 ** 53, Number.POSITIVE_INFINITY];

describe("times from outside", () => {
  it("a record's ttl is within a day, its counters within 32 bits", () => {
    expect(ODD.map(clampTtlSeconds)).toEqual([0, 0, 0, 0, 0, DAY, DAY]);
    expect(ODD.map(clampCounter)).toEqual([0, 0, 0, 0, 0, 2 ** 32 - 1, 2 ** 32 - 1]);
  });

  it("a certificate's dates are exact seconds, or it is none", () => {
    const keys = deriveClusterKeys(suite, new Uint8Array(32).fill(1));
    const identity = identityFromSeed(suite, new Uint8Array(32).fill(2));
    const { bytes } = new Membership(suite, keys).issueOwn(identity, "a");
    for (const [seconds, isRead] of [
      [0n, true],
      [2n ** 53n - 1n, true],
      [2n ** 53n, false],
      [2n ** 64n - 1n, false],
    ] as const) {
      for (const at of [66, 74]) {
        const dated = bytes.slice();
        new DataView(dated.buffer).setBigUint64(at, seconds, true);
        expect(parseCertificate(dated).ok, `${seconds} at ${at}`).toBe(isRead);
      }
    }
  });

  it("a lease of the file is 20 seconds to a day, or the file is refused", () => {
    const folder = mkdtempSync(join(tmpdir(), "weft-clamps-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const [file, key] = [join(folder, "c.yaml"), generateNetworkKey()];
    const lease = (text: string) => {
      writeFileSync(file, `secret: ${key}\nlease: ${text}\n`, { mode: 0o600 });
      try {
        return loadConfig({ file, flags: {}, env: {}, uid: 0, nodeName: "a" }).leaseSeconds;
      } catch {
        return "refused";
      }
    };
    expect(["20s", "24h"].map(lease)).toEqual([20, DAY]);
    for (const odd of ["0", "-1", "19s", "86401", "9007199254740992", "1e9", "999999999d"]) {
      expect(lease(odd), odd).toBe("refused");
    }
  });

  it("whatever a NAT's mappings were measured to live, a keepalive comes after 1 to 25 s", () => {
    for (const mappingLifeMs of [...ODD.filter((ms) => !Number.isNaN(ms)), undefined]) {
      for (const isBehindNat of [true, false]) {
        const place = { isBehindNat, needsPunching: false, mappingLifeMs };
        const waitMs = keepaliveOf({ keepaliveMs: 25_000 } as Path, place);
        expect(waitMs, `${mappingLifeMs}`).toBeGreaterThanOrEqual(1_000);
        expect(waitMs).toBeLessThanOrEqual(25_000);
      }
    }
  });
});
