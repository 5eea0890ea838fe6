/** The verbs of an authority's network, without an agent: what they write, and what they refuse. */
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readAuthority } from "../../src/agent/authority-file.ts";
import { readCertificates } from "../../src/agent/certificate-file.ts";
import { ControlServer } from "../../src/agent/control-server.ts";
import { decodeToken } from "../../src/agent/join-token.ts";
import { emitPushed, parsePushed } from "../../src/agent/pushed-part.ts";
import { fromHex } from "../../src/base/bytes.ts";
import type { Terminal } from "../../src/cli/terminal.ts";
import type { Certificate } from "../../src/crypto/certificate.ts";
import { parseChain } from "../../src/crypto/certificate-chain.ts";
import type { KeyPair } from "../../src/crypto/suite.ts";
import { parseNotice } from "../../src/wire/notice.ts";
import { STATUS } from "../agent/fake-machine.ts";
import { writePushedFile } from "../support/pushed-file.ts";
import { suite } from "../support/suite.ts";
import { type Ran, runWords } from "./cli-bench.ts";

/** What standard error says of a certificate that was made. */
const NOTED =
  /^(\S+) has public key (\S{44}), serial number ([0-9a-f]{16}): note them, weft revoke takes either\n$/;

let folder = "";
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "weft-authority-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** On a machine of that name, with files of its own. */
function at(
  machine: string,
  words: readonly string[],
  given: Partial<Terminal> = {},
): Promise<Ran> {
  const env = {
    WEFT_CONFIG_DIR: join(folder, machine, "etc"),
    WEFT_STATE_DIR: join(folder, machine, "state"),
    WEFT_RUN_DIR: join(folder, machine, "run"),
  };
  return runWords(words, folder, { hostname: machine, ...given, env });
}

async function init(...more: readonly string[]): Promise<Ran> {
  return at("alpha", ["init", "lab", "--authority", ...more]);
}

function certificateAt(machine: string): Certificate | undefined {
  return certificateIn(readCertificates(join(folder, machine, "state/lab"))[0]);
}

function certificateIn(bytes: Uint8Array | undefined): Certificate | undefined {
  const chain = parseChain(bytes ?? new Uint8Array(0));
  return chain.ok ? chain.value.leaf.certificate : undefined;
}

/** Signed on the first machine for the key of another one. */
async function signed(machine: string, ...more: readonly string[]): Promise<string> {
  const key = (await at(machine, ["keygen", "lab"])).out.trim();
  const ran = await at("alpha", ["sign", key, "lab", "--name", machine, ...more]);
  expect([ran.code, ran.err]).toEqual([0, expect.stringMatching(NOTED)]);
  return ran.out.trim().replace(/^weft join /, "");
}

/** As if the first machine had heard it from its peers. */
function push(values: object, signer = authorityOfAlpha()): void {
  const secret = /^secret: (\S+)$/m.exec(readFileSync(join(folder, "alpha/etc/lab.yaml"), "utf8"));
  const networkKey = new Uint8Array(Buffer.from(secret?.[1] ?? "", "base64"));
  const body = emitPushed(values);
  writePushedFile(join(folder, "alpha/state/lab"), { networkKey, authority: signer, body });
}

function authorityOfAlpha(): KeyPair {
  return suite.signingKeyPair(readAuthority(join(folder, "alpha/etc/lab.authority")));
}

/** An agent that invites whoever is named, and takes what is pushed. */
async function agentAtAlpha() {
  let posted: unknown;
  const grant = { number: "01".repeat(8), secret: "02".repeat(32), issuer: "03".repeat(32) };
  const control = new ControlServer(join(folder, "alpha/run/lab.sock"), async (method, params) => {
    if (method === "status") return { ...STATUS, portMapping: { state: "off" } };
    if (method === "notices") return { notices: [] };
    if (method === "invite") {
      const { name } = params as { name: string };
      return { ...grant, name, address: "04".repeat(20), ends: 2_000_000_000 };
    }
    const { notice } = params as { notice: string };
    const parsed = parseNotice(new Uint8Array(Buffer.from(notice, "base64url")));
    posted = parsed.ok ? parsePushed(parsed.value.body) : undefined;
    return { notice: "shared", number: 4 };
  });
  await control.listen();
  return { posted: () => posted, close: () => control.close() };
}

describe("weft init --authority", () => {
  it("writes file, authority's key and a certificate that may issue, each 0600", async () => {
    const ran = await init("--groups", "web,ops", "--days", "10");
    expect([ran.code, ran.err]).toEqual([0, ""]);
    expect(ran.out).toContain("Wrote DIR/alpha/etc/lab.authority (mode 0600)");
    for (const file of ["etc/lab.yaml", "etc/lab.authority", "state/lab/certificate"]) {
      expect(statSync(join(folder, "alpha", file)).mode & 0o777, file).toBe(0o600);
    }
    const own = certificateAt("alpha");
    expect(own).toMatchObject({ name: "alpha", groups: ["ops", "web"], mayIssue: true });
    const now = Date.now() / 1_000;
    expect((own?.notAfter ?? 0) - now).toBeGreaterThan(10 * 86_400 - 3_600);
    expect((own?.notAfter ?? 0) - now).toBeLessThan(10 * 86_400 + 3_600);
    const text = readFileSync(join(folder, "alpha/etc/lab.yaml"), "utf8");
    expect(text).toMatch(/^authority: \S{44}$/m);
    expect((await at("alpha", ["config", "check", "lab"])).code).toBe(0);
  });

  it("does not overwrite a certificate, nor a key", async () => {
    await init();
    rmSync(join(folder, "alpha/etc"), { recursive: true });
    const again = await init();
    expect([again.code, again.err]).toEqual([
      5,
      "weft: DIR/alpha/state/lab holds a certificate of a network lab: choose another name, or another --state-dir\n",
    ]);
    expect(existsSync(join(folder, "alpha/etc/lab.authority"))).toBe(false);
  });
});

describe("weft sign", () => {
  it("makes a line for one machine, which joins with it", async () => {
    await init();
    const token = await signed("beta", "--groups", "web", "--claims", "10.117.0.9", "--may-issue");
    const joined = await at("beta", ["join", "-", "--no-start"], {
      readLine: () => Promise.resolve(token),
    });
    expect([joined.code, joined.err]).toEqual([0, expect.stringMatching(NOTED)]);
    expect(certificateAt("beta")).toMatchObject({
      ...{ name: "beta", groups: ["web"], claims: ["10.117.0.9"], mayIssue: true },
    });
    const foreign = await at("gamma", ["join", token, "--no-start"]);
    expect(foreign.code).toBe(5);
    expect(foreign.err).toMatch(/^weft: the token is for another machine's key: [^\n]+\n$/);
    expect(existsSync(join(folder, "gamma/etc/lab.yaml"))).toBe(false);
  });

  it("and that machine say key and serial number, by which it is shut out when it is lost", async () => {
    await init();
    const key = (await at("beta", ["keygen", "lab"])).out.trim();
    const ran = await at("alpha", ["sign", key, "lab", "--name", "beta"]);
    const joined = await at("beta", ["join", ran.out.trim(), "--no-start"]);
    const serial = (certificateAt("beta")?.serial ?? 0n).toString(16).padStart(16, "0");
    for (const { err } of [ran, joined]) {
      expect(NOTED.exec(err)?.slice(1), err).toEqual(["beta", key, serial]);
    }
    const json = await at("alpha", ["sign", key, "lab", "--name", "beta", "--json"]);
    const facts = JSON.parse(json.out) as Record<string, string>;
    expect([json.err, facts["name"], facts["publicKey"]]).toEqual(["", "beta", key]);
    for (const word of [key, serial, facts["serial"] ?? ""]) {
      const revoked = await at("alpha", ["revoke", word, "lab", "--offline"]);
      expect([revoked.code, revoked.err], word).toEqual([0, ""]);
    }
  });

  it("again, by the line from before: what is not said anew stays, the salt and its place too", async () => {
    await init();
    const token = await signed("beta", "--groups", "web", "--days", "1");
    const ran = await at("alpha", ["sign", "-", "lab", "--groups", "ops"], {
      readLine: () => Promise.resolve(`weft join ${token}`),
    });
    const certificateOf = (text: string) => {
      const { grant } = decodeToken(text);
      return grant?.kind === "certificate" ? certificateIn(fromHex(grant.certificate)) : undefined;
    };
    const [before, after] = [certificateOf(token), certificateOf(ran.out)];
    expect(after).toMatchObject({ name: "beta", groups: ["ops"], salt: before?.salt });
    expect(after?.serial).not.toBe(before?.serial);
    expect(after?.notAfter).toBeGreaterThan(before?.notAfter ?? 0);
  });

  it("refuses with one line what is no key, no name, no group, no days", async () => {
    await init();
    const key = (await at("beta", ["keygen", "lab"])).out.trim();
    const lines = [
      ["sign", "abc", "lab", "--name", "x"],
      ["sign", `${"A".repeat(43)}=`, "lab", "--name", "x"],
      ["sign", key, "lab"],
      ["sign", key, "lab", "--name", "Über"],
      ["sign", key, "lab", "--name", "x", "--groups", "a b"],
      ["sign", key, "lab", "--name", "x", "--claims", "10.0.0"],
      ["sign", key, "lab", "--name", "x", "--days", "0"],
    ];
    for (const words of lines) {
      const ran = await at("alpha", words);
      expect([ran.code, ran.out], words.join(" ")).toEqual([2, ""]);
      expect(ran.err).toMatch(/^weft: [^\n]+\n$/);
    }
  });

  it("works with the file's own authority alone", async () => {
    await init();
    const key = (await at("beta", ["keygen", "lab"])).out.trim();
    await at("other", ["init", "lab", "--authority"]);
    const words = ["sign", key, "lab", "--name", "beta", "--key-file"];
    const ran = await at("alpha", [...words, join(folder, "other/etc/lab.authority")]);
    expect([ran.code, ran.out]).toEqual([2, ""]);
    expect(ran.err).toContain("is the key of another authority than the one in the cluster file");
    await at("plain", ["init", "lab"]);
    const plain = await at("plain", [...words, join(folder, "other/etc/lab.authority")]);
    expect(plain.err).toContain("lab has no authority");
  });
});

describe("a token made after a push", () => {
  it("carries the pushed shared part, whole, by sign and by invite; a push still sends the file's", async () => {
    await init("--range", "10.2.0.0/16");
    appendFileSync(join(folder, "alpha/etc/lab.yaml"), "lease: 30m\n");
    push({ range: "10.1.0.0/16", nodes: { beta: { ip: "10.1.0.9" } } });
    const signedFor = decodeToken(await signed("beta")).values;
    const { posted, close } = await agentAtAlpha();
    const invited = await at("alpha", ["invite", "gamma", "lab"]);
    const pushed = await at("alpha", ["config", "push", "lab"]);
    close();
    expect([invited.code, pushed.code, pushed.err]).toEqual([0, 0, ""]);
    expect(invited.err).toBe(
      `gamma gets serial number ${"01".repeat(8)}: note it, weft revoke takes it, before and after the invite is used\n`,
    );
    for (const values of [signedFor, decodeToken(invited.out).values]) {
      expect(values).toMatchObject({ range: "10.1.0.0/16", nodes: { beta: { ip: "10.1.0.9" } } });
      expect(values.lease, "as by default, for the pushed part leaves it out").toBeUndefined();
    }
    expect(posted()).toMatchObject({ range: "10.2.0.0/16", lease: "30m" });
  });

  it("carries the file's own where another authority pushed", async () => {
    await init("--range", "10.2.0.0/16");
    push({ range: "10.1.0.0/16" }, suite.signingKeyPair(new Uint8Array(32).fill(7)));
    expect(decodeToken(await signed("beta")).values).toMatchObject({ range: "10.2.0.0/16" });
  });
});

describe("weft keygen", () => {
  it("prints the same key each time, with no cluster file yet", async () => {
    const first = await at("beta", ["keygen", "lab"]);
    expect(first.out).toMatch(/^[A-Za-z0-9+/]{43}=\n$/);
    expect(await at("beta", ["keygen", "lab"])).toEqual(first);
    expect((await at("gamma", ["keygen", "lab"])).out).not.toBe(first.out);
  });
});
