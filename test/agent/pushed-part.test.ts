import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { authorityKeyText } from "../../src/agent/authority-key.ts";
import { type Config, loadConfig, type Pushed } from "../../src/agent/config.ts";
import { noticeFile } from "../../src/agent/notice-file.ts";
import { emitPushed, parsePushed, withPushed } from "../../src/agent/pushed-part.ts";
import { planReload } from "../../src/agent/reload.ts";
import { subnetText } from "../../src/base/net.ts";
import type { KeyPair } from "../../src/crypto/suite.ts";
import { writePushedFile } from "../support/pushed-file.ts";
import { suite } from "../support/suite.ts";

const KEY = suite.blake2b(32, new Uint8Array(32).fill(5));
const authority = suite.signingKeyPair(new Uint8Array(32).fill(6));

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weft-pushed-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function read(more: string, pushed?: Pushed): Config {
  const file = join(folder, "lab.yaml");
  const secret = Buffer.from(KEY).toString("base64");
  const text = `secret: ${secret}\nauthority: ${authorityKeyText(authority.publicKey)}\nstate_dir: ${folder}\n${more}`;
  writeFileSync(file, text, { mode: 0o600 });
  const sources = { file, flags: {}, env: {}, uid: 0, nodeName: "alpha" };
  return loadConfig(pushed === undefined ? sources : { ...sources, pushed });
}

function save(body: Uint8Array, signer: KeyPair = authority): void {
  writePushedFile(join(folder, "lab"), { networkKey: KEY, authority: signer, body });
}

function whole(more: string) {
  return withPushed(suite, read(more), (pushed) => read(more, pushed));
}

describe("the pushed shared part", () => {
  it("is the shared keys of a file and no others, both ways", () => {
    const values = { range: "10.1.0.0/16", secret: "no", nodes: { beta: { ip: "10.1.0.9" } } };
    const text = Buffer.from(emitPushed(values)).toString();
    expect(text).toBe('{"nodes":{"beta":{"ip":"10.1.0.9"}},"range":"10.1.0.0/16"}');
    expect(parsePushed(emitPushed(values))).toEqual({ nodes: values.nodes, range: values.range });
    const odd = Buffer.from('{"range":"10.1.0.0/16","secret":"x","colour":"red"}');
    expect(parsePushed(odd)).toEqual({ range: "10.1.0.0/16" });
    for (const text of ["", "[]", "null", "7", "{"])
      expect(parsePushed(Buffer.from(text))).toBeUndefined();
  });

  it("counts before the file, and what it leaves out is as by default", () => {
    save(emitPushed({ range: "10.1.0.0/16", nodes: { beta: { ip: "10.1.0.9" } } }));
    const { config, problem } = whole("range: 10.2.0.0/16\nlease: 30m\nmtu: 1400\nlog: debug\n");
    expect(problem).toBeUndefined();
    expect(subnetText(config.range)).toBe("10.1.0.0/16");
    expect(config.claims).toEqual([{ name: "beta", ip: "10.1.0.9" }]);
    expect([config.leaseSeconds, config.mtu, config.log]).toEqual([3_600, "auto", "debug"]);
    expect(config.origins.range).toBe("the authority's shared part 3");
    expect(planReload(read("range: 10.2.0.0/16\nlog: debug\n"), config).waiting).toEqual([
      "range",
      "nodes",
    ]);
  });

  it("moves the address that it promises this node, whatever the file promised", () => {
    const file = "range: 10.2.0.0/16\nnodes:\n  alpha: {ip: 10.2.0.5}\n";
    save(emitPushed({ range: "10.1.0.0/16", nodes: { alpha: { ip: "10.1.0.6" } } }));
    const { config, problem } = whole(file);
    expect(problem).toBeUndefined();
    expect(config.claims).toEqual([{ name: "alpha", ip: "10.1.0.6" }]);
    save(emitPushed({ range: "10.1.0.0/16" }));
    expect(whole(file).problem).toBeUndefined();
  });

  it("whose range leaves out this node's own static address is not used, and that is said", () => {
    const file = "range: 10.2.0.0/16\naddress: static\nip: 10.2.0.5\n";
    save(emitPushed({ range: "10.1.0.0/16" }));
    const { config, problem, pushed } = whole(file);
    expect([subnetText(config.range), config.ip]).toEqual(["10.2.0.0/16", "10.2.0.5"]);
    expect(problem).toMatch(/own file, .* cannot be used: \S+lab\.yaml:\d+:\d+: ip: 10\.2\.0\.5 /);
    expect(pushed).toBeUndefined();
    save(emitPushed({ range: "10.1.0.0/16", acl: "default deny" }));
    expect(() => whole(file)).toThrow(/access rules and cannot be used here: .*10\.2\.0\.5/);
    const claimed = "range: 10.2.0.0/16\naddress: static\nnodes:\n  alpha: {ip: 10.2.0.5}\n";
    save(emitPushed({ range: "10.1.0.0/16" }));
    expect(whole(claimed).config.ip).toBe("10.2.0.5");
    expect(whole(claimed).problem).toMatch(
      /cannot be used: .*address: is static but there is no ip/,
    );
    save(emitPushed({ range: "10.1.0.0/16", nodes: { alpha: { ip: "10.1.0.6" } } }));
    expect(whole(claimed)).toMatchObject({ config: { ip: "10.1.0.6" }, pushed: { number: 3 } });
  });

  it("with access rules that cannot be used, the node does not start without them", () => {
    save(emitPushed({ range: "10.1.0.0/99", acl: "default deny" }));
    expect(() => whole("range: 10.2.0.0/16\n")).toThrow(/access rules and cannot be used here/);
  });

  it("without one, by another authority, or in another network, the file stands", () => {
    expect(subnetText(whole("range: 10.2.0.0/16\n").config.range)).toBe("10.2.0.0/16");
    save(emitPushed({ range: "10.1.0.0/16" }), suite.signingKeyPair(new Uint8Array(32).fill(7)));
    expect(subnetText(whole("range: 10.2.0.0/16\n").config.range)).toBe("10.2.0.0/16");
  });

  it("in a file that cannot be read is one line, and not a bug", () => {
    mkdirSync(noticeFile(join(folder, "lab")), { recursive: true });
    expect(() => whole("")).toThrow(
      expect.objectContaining({
        code: "state-unwritable",
        message: expect.stringMatching(
          /notices cannot be read \(not a regular file\): run as its owner$/,
        ),
      }),
    );
  });

  it("one that cannot be used does not keep the node from starting, and is said", () => {
    save(emitPushed({ range: "10.1.0.0/99" }));
    const { config, problem } = whole("range: 10.2.0.0/16\n");
    expect(subnetText(config.range)).toBe("10.2.0.0/16");
    expect(problem).toMatch(/cannot be used: the authority's shared part 3: .*10\.1\.0\.0\/99/);
  });
});
