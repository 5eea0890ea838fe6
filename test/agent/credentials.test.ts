import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { emitAuthority, readAuthority } from "../../src/agent/authority-file.ts";
import {
  certificateFile,
  loadCertificate,
  readCertificates,
  writeCertificates,
} from "../../src/agent/certificate-file.ts";
import { ascending, ascendingIps } from "../../src/agent/certificate-lists.ts";
import type { Config } from "../../src/agent/config.ts";
import { Credentials } from "../../src/agent/credentials.ts";
import type { WeftError } from "../../src/agent/errors.ts";
import {
  invitesFile,
  loadInvites,
  parseInvites,
  saveInvites,
} from "../../src/agent/invites-file.ts";
import { identityOf, Papers } from "../crypto/papers.ts";
import { suite } from "../support/suite.ts";

const papers = new Papers();
const config = {
  name: "lab",
  networkKey: papers.networkKey,
  authority: papers.authority.publicKey,
};
const seed = new Uint8Array(32).fill(1);
const own = papers.signed(identityOf(1), { name: "alpha" });
const others = papers.signed(identityOf(2));

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weft-credentials-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function codeOf(step: () => unknown): string {
  try {
    step();
    return "none";
  } catch (error) {
    return (error as WeftError).code;
  }
}

describe("a renewal", () => {
  it("leaves what another hand stored meanwhile for the next start", () => {
    const whole = config as unknown as Config;
    const credentials = new Credentials({ suite, config: whole, folder }, () => undefined);
    writeCertificates(folder, [own]);
    credentials.load(seed);
    writeCertificates(folder, [others, own]);
    const renewed = papers.signed(identityOf(1), { name: "alpha", serial: 9n });
    credentials.wear(renewed);
    expect(readCertificates(folder)).toEqual([others, renewed]);
  });
});

describe("the certificate of a node", () => {
  const load = () => loadCertificate(suite, config, folder, seed);

  it("is the one for its key, also while another key's lies beside it", () => {
    expect(codeOf(load)).toBe("no-certificate");
    writeCertificates(folder, [others]);
    expect(codeOf(load)).toBe("certificate-foreign");
    writeCertificates(folder, [others, own]);
    expect(load()).toEqual({ bytes: own, name: "alpha" });
    const { authority, ...secret } = config;
    expect(authority).toBeDefined();
    expect(
      loadCertificate(suite, { ...secret, authority: undefined }, folder, seed),
    ).toBeUndefined();
  });

  it("cut or flipped at any byte it is refused with text, never another one", () => {
    writeCertificates(folder, [own]);
    const path = certificateFile(folder);
    const whole = readFileSync(path);
    for (let at = 0; at < whole.length; at++) {
      writeFileSync(path, whole.subarray(0, at));
      expect(
        codeOf(() => readCertificates(folder)),
        `cut at ${at}`,
      ).toBe("certificate-damaged");
      const flipped = Buffer.from(whole);
      flipped[at] = (flipped[at] ?? 0) ^ 1;
      writeFileSync(path, flipped);
      expect(codeOf(load), `flipped at ${at}`).toMatch(/^certificate-(damaged|foreign)$/);
    }
  });
});

describe("the invites of an issuer", () => {
  const invite = {
    number: "00000000000000a1",
    name: "beta",
    groups: ["web"],
    claims: ["10.0.0.1"],
    secretHash: "ab".repeat(32),
    ends: 1_800_000_000,
    used: { publicKey: "cd".repeat(32), certificate: "0102" },
  };

  it("come back as they were; a damaged file opens none again", () => {
    expect(loadInvites(folder)).toEqual({ invites: [], movedTo: undefined });
    saveInvites(folder, [invite]);
    expect(loadInvites(folder).invites).toEqual([invite]);
    const path = invitesFile(folder);
    const whole = readFileSync(path, "utf8");
    for (let at = 0; at < whole.length; at += 7) {
      expect(parseInvites(whole.slice(0, at))).toBeUndefined();
      const other = String.fromCharCode(whole.charCodeAt(at) ^ 1);
      expect(parseInvites(whole.slice(0, at) + other + whole.slice(at + 1))).toBeUndefined();
    }
    writeFileSync(path, whole.slice(0, -1));
    expect(loadInvites(folder)).toEqual({ invites: [], movedTo: `${path}.damaged` });
  });
});

describe("the authority's key", () => {
  it("is read whole and closed to others, or not at all", () => {
    const path = join(folder, "lab.authority");
    expect(codeOf(() => readAuthority(path))).toBe("not-found");
    writeFileSync(path, emitAuthority(seed), { mode: 0o600 });
    expect(readAuthority(path)).toEqual(seed);
    for (const mode of [0o640, 0o604, 0o644]) {
      chmodSync(path, mode);
      expect(codeOf(() => readAuthority(path))).toBe("key-file-open");
    }
    chmodSync(path, 0o600);
    writeFileSync(path, emitAuthority(seed).slice(0, -2));
    expect(codeOf(() => readAuthority(path))).toBe("identity-damaged");
  });
});

it("lists of a certificate have each item once, in its order", () => {
  expect(ascending(["web", "ops", "web"])).toEqual(["ops", "web"]);
  const ips = ["2001:db8::1", "10.0.0.10", "10.0.0.9", "10.0.0.9"];
  expect(ascendingIps(ips)).toEqual(["10.0.0.9", "10.0.0.10", "2001:db8::1"]);
});
