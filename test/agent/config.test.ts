import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { type Config, loadConfig } from "../../src/agent/config.ts";
import { fileSchema, KEY_NAMES, KEYS, NODE_KEY_NAMES } from "../../src/agent/config-schema.ts";
import { ConfigFile, strayVariables } from "../../src/agent/config-source.ts";
import { durationText, parseDuration } from "../../src/agent/duration.ts";
import { WeftError } from "../../src/agent/errors.ts";
import { editDistance, nearestWord } from "../../src/agent/nearest.ts";
import { generateNetworkKey, parseNetworkKey } from "../../src/agent/network-key.ts";
import { canonicalShared, sharedDigest } from "../../src/agent/shared-digest.ts";
import { suite } from "../support/suite.ts";

const folder = mkdtempSync(join(tmpdir(), "weft-config-"));
afterAll(() => rmSync(folder, { recursive: true }));
const KEY = Buffer.from(Array.from({ length: 32 }, (_, i) => (i * 37 + 201) % 256)).toString(
  "base64",
);
const EXAMPLE = fileURLToPath(new URL("../../examples/cluster.yaml", import.meta.url));

interface Given {
  readonly env?: Record<string, string>;
  readonly flags?: Record<string, string>;
  readonly node?: string;
  readonly mode?: number;
}

function load(text: string, given: Given = {}): Config {
  const file = join(folder, "lab.yaml");
  writeFileSync(file, text, { mode: 0o600 });
  chmodSync(file, given.mode ?? 0o600);
  return loadConfig({
    file,
    flags: given.flags ?? {},
    env: given.env ?? {},
    uid: 0,
    nodeName: given.node ?? "alpha",
  });
}

/** The error's text with the temporary folder cut off. */
function fault(text: string, given: Given = {}): string {
  try {
    load(text, given);
  } catch (error) {
    if (error instanceof WeftError)
      return `${error.code} ${error.message.replaceAll(`${folder}/`, "")}`;
    throw error;
  }
  return "no error";
}

describe("proxy:", () => {
  const secret = `secret: ${KEY}\n`;
  const authorization = `Basic ${Buffer.from("me:pa:ss@").toString("base64")}`;

  it("takes the file before the environment, and NO_PROXY with either", () => {
    const env = { HTTPS_PROXY: "proxy.lab:3128", https_proxy: "", no_proxy: "10.0.0.0/8,lab" };
    const { proxy, origins } = load(secret, { env });
    const noProxy = { networks: [{ ip: "10.0.0.0", prefix: 8 }], names: ["lab"] };
    const host = { host: "proxy.lab", port: 3_128 };
    expect(proxy).toEqual({ host, authorization: undefined, noProxy });
    expect(origins.proxy).toBe("HTTPS_PROXY");
    const written = load(`${secret}proxy: http://me:pa%3ass%40@[2001:db8::1]/\n`, { env });
    const own = { host: { host: "2001:db8::1", port: 80 }, authorization, noProxy };
    expect(written.proxy).toEqual(own);
    expect(load(`${secret}proxy: off\n`, { env }).proxy).toBeUndefined();
    expect(load(secret).proxy).toBeUndefined();
  });

  it("refuses at its line and never says what was written", () => {
    const shape = "write http://host:port or http://user:password@host:port";
    for (const bad of ["https://h:1", "socks5://u:hunter2@h", "u:hunter2@h:1", "http://h:0"]) {
      expect(fault(`${secret}proxy: ${bad}\n`)).toBe(
        `config-invalid lab.yaml:2:1: proxy: is no proxy of HTTP: ${shape}`,
      );
    }
    for (const bad of ["u:%zz", `u:${"p".repeat(380)}`]) {
      expect(fault(`${secret}proxy: http://${bad}@h:1\n`)).toContain("cannot be used");
    }
  });

  it("only warns of a variable that is meant for other programs", () => {
    const { proxy, warnings } = load(secret, { env: { https_proxy: "socks5://u:hunter2@h" } });
    expect(proxy).toBeUndefined();
    expect(warnings).toEqual([expect.stringMatching(/^https_proxy is no proxy of HTTP/)]);
    expect(warnings[0]).not.toContain("hunter2");
  });
});

describe("a good file", () => {
  it("takes defaults for everything but the key", () => {
    const config = load(`secret: ${KEY}\n`);
    expect(config).toMatchObject({
      name: "lab",
      nodeName: "alpha",
      bootstrap: [],
      lan: "on",
      range: { first: "10.117.0.0", prefix: 16 },
      leaseSeconds: 3600,
      mtu: "auto",
      listen: [{ ip: undefined, port: 7117 }],
      interfaceName: "weft-lab",
      addressMode: "auto",
      claims: [],
      cipher: "auto",
      metricsPort: "off",
      log: "info",
      stateDir: "/var/lib/weft",
      runDir: "/run/weft",
    });
    expect(config.networkKey).toEqual(new Uint8Array(Buffer.from(KEY, "base64")));
  });

  it("parses lists, endpoints and addresses", () => {
    const config = load(
      `secret: ${KEY}\nbootstrap: [a.example, "[2001:DB8::1]:9", 192.0.2.1:8]\nlisten: ["[::]:7", 192.0.2.9:0]\nlease: 1h30m\nmetrics: 127.0.0.1:7118\n`,
    );
    expect(config.bootstrap).toEqual([
      { kind: "host", host: "a.example", port: 7117 },
      { kind: "host", host: "2001:db8::1", port: 9 },
      { kind: "host", host: "192.0.2.1", port: 8 },
    ]);
    expect(config.listen).toEqual([
      { ip: "::", port: 7 },
      { ip: "192.0.2.9", port: 0 },
    ]);
    expect(config.leaseSeconds).toBe(5400);
    expect(config.metricsPort).toBe(7118);
  });

  it("takes names to look up, the switch, and hosts that are called like a word", () => {
    const config = load(`secret: ${KEY}\nbootstrap: [dns:members.example, lan, "lan:7117", lab]\n`);
    expect(config.bootstrap).toEqual([
      { kind: "dns", name: "members.example" },
      { kind: "lan" },
      { kind: "host", host: "lan", port: 7117 },
      { kind: "host", host: "lab", port: 7117 },
    ]);
    expect(config.lan).toBe("on");
    expect(load(`secret: ${KEY}\nlan: off\n`).lan).toBe("off");
  });

  it("orders flag > environment > nodes.NAME > file > default, and says which one counted", () => {
    const text = `secret: ${KEY}\nlisten: 1\nlog: warn\ncipher: auto\nnodes:\n  alpha: {listen: 2, log: debug}\n  beta: {listen: 9}\n`;
    const plain = load(text);
    expect([plain.listen[0]?.port, plain.log]).toEqual([2, "debug"]);
    const config = load(text, {
      env: { WEFT_LISTEN: "3", WEFT_LOG: "error" },
      flags: { listen: "4" },
    });
    expect([config.listen[0]?.port, config.log]).toEqual([4, "error"]);
    const origins = config.origins;
    expect([origins.listen, origins.log, origins.cipher.replace(/^.*\//, ""), origins.mtu]).toEqual(
      ["--listen", "WEFT_LOG", "lab.yaml:4:1", "default"],
    );
  });

  it("collects claims and takes the own one", () => {
    const config = load(
      `secret: ${KEY}\nnodes: {alpha: {ip: 10.117.0.5}, beta: {ip: 10.117.0.6}}\n`,
    );
    expect(config.claims).toEqual([
      { name: "alpha", ip: "10.117.0.5" },
      { name: "beta", ip: "10.117.0.6" },
    ]);
    expect(config.ip).toBe("10.117.0.5");
  });

  it("works without a file when the environment has the key", () => {
    const missing = { file: join(folder, "none.yaml"), flags: {}, uid: 0, nodeName: "a" };
    expect(loadConfig({ ...missing, env: { WEFT_SECRET: KEY } }).name).toBe("none");
    expect(() => loadConfig({ ...missing, env: {} })).toThrow(
      /does not exist: make it with `weft init`/,
    );
  });

  it("reads the key from secret_file; the stronger source wins", () => {
    const path = join(folder, "net.key");
    writeFileSync(path, `${KEY}\n`, { mode: 0o600 });
    expect(load(`secret_file: ${path}\n`).networkKey.length).toBe(32);
    const other = generateNetworkKey();
    const config = load(`secret_file: ${path}\n`, { env: { WEFT_SECRET: other } });
    expect(Buffer.from(config.networkKey).toString("base64")).toBe(other);
    chmodSync(path, 0o640);
    expect(fault(`secret_file: ${path}\n`)).toBe(
      "key-file-open net.key holds the network key and has mode 0640: run chmod 600 net.key",
    );
  });
});

describe("mistakes, one line each with place, cause and cure", () => {
  const S = `secret: ${KEY}\n`;
  const cases: readonly (readonly [string, string, Given?])[] = [
    [
      "",
      "lab.yaml:1:1: secret: is missing: make one with `weft init`, or copy the file from another machine of the network",
    ],
    [`${S}lisen: 1\n`, "lab.yaml:2:1: unknown key lisen: did you mean listen?"],
    [
      `${S}nodes:\n  beta:\n    interfase: x\n`,
      "lab.yaml:4:5: unknown key interfase: did you mean interface?",
    ],
    [
      `${S}nodes:\n  beta: {range: 10.0.0.0/8}\n`,
      "lab.yaml:3:10: unknown key range under nodes.beta: it is the same for all members, write it at the top level",
    ],
    [
      `${S}range: 10.1.2.3/8\n`,
      'lab.yaml:2:1: range: "10.1.2.3/8" is no IPv4 range: write the network address and a prefix of 8 to 30, like 10.117.0.0/16',
    ],
    [
      `${S}range: 10.0.0.0/31\n`,
      'lab.yaml:2:1: range: "10.0.0.0/31" is no IPv4 range: write the network address and a prefix of 8 to 30, like 10.117.0.0/16',
    ],
    [`${S}lease: 1w\n`, 'lab.yaml:2:1: lease: "1w" is no duration: write 1h, 30m or 90s'],
    [`${S}lease: 0\n`, 'lab.yaml:2:1: lease: "0" is outside 20s to 1d'],
    [
      `${S}lease: 9007199254740992\n`,
      'lab.yaml:2:1: lease: "9007199254740992" is no duration: write 1h, 30m or 90s',
    ],
    [`${S}lease: -5\n`, 'lab.yaml:2:1: lease: "-5" is no duration: write 1h, 30m or 90s'],
    [`${S}mtu: 1000\n`, 'lab.yaml:2:1: mtu: "1000" must be auto or a number from 1280 to 9202'],
    [
      `${S}listen: [1, 70000]\n`,
      'lab.yaml:2:13: listen[2]: "70000" is no port or ip:port: write 7117, 192.0.2.1:7117 or [::]:7117',
    ],
    [
      `${S}bootstrap:\n  - a:b\n`,
      'lab.yaml:3:5: bootstrap[1]: "a:b" is no place to look: write host:port, dns:NAME, lan or mainline',
    ],
    [
      `${S}bootstrap:\n  - 192.0.2.1\n  - dsn:m.example\n`,
      'lab.yaml:4:5: bootstrap[2]: "dsn:m.example" is no place to look: did you mean dns:m.example?',
    ],
    [
      `${S}bootstrap: "dns:a b"\n`,
      'lab.yaml:2:1: bootstrap[1]: "dns:a b" has no host name behind dns: write dns:members.example.org',
    ],
    [
      `${S}bootstrap: [LAN]\n`,
      'lab.yaml:2:13: bootstrap[1]: "LAN" is no place to look: did you mean lan? A host of that name needs its port, LAN:7117',
    ],
    [
      `${S}lan: off\nbootstrap: [h.example, lan]\n`,
      "lab.yaml:3:24: bootstrap: lan stands here and lan: off elsewhere: remove one of the two",
    ],
    [`${S}lan: no\n`, 'lab.yaml:2:1: lan: must be on or off, not "no"'],
    [
      `${S}bootstrap: 1.2.3.400\n`,
      'lab.yaml:2:1: bootstrap[1]: "1.2.3.400" is no host:port: write 192.0.2.1:7117, [2001:db8::1]:7117 or a name',
    ],
    [
      `${S}interface: a-very-long-interface\n`,
      'lab.yaml:2:1: interface: "a-very-long-interface" is no interface name: use 1 to 15 letters, digits, - and _',
    ],
    [`${S}address: dhpc\n`, 'lab.yaml:2:1: address: must be auto or dhcp or static, not "dhpc"'],
    [
      `${S}address: static\n`,
      "lab.yaml:2:1: address: is static but there is no ip: add ip: ADDRESS",
    ],
    [
      `${S}address: static\nip: 10.9.0.1\n`,
      "lab.yaml:3:1: ip: 10.9.0.1 is outside the range 10.117.0.0/16: choose one inside",
    ],
    [
      `${S}ip: 10.117.0.9\n`,
      "lab.yaml:2:1: ip: is set but address is auto: set address: static, or claim it under nodes: alpha",
    ],
    [
      `${S}address: static\nip: 10.117.0.9\nnodes: {beta: {ip: 10.117.0.9}}\n`,
      "lab.yaml:3:1: ip: 10.117.0.9 is claimed by beta: choose another address",
    ],
    [
      `${S}nodes:\n  a: {ip: 10.117.0.9}\n  b: {ip: 10.117.0.9}\n`,
      "lab.yaml:4:7: nodes: 10.117.0.9 is claimed by a too: give one of them another address",
    ],
    [
      `${S}nodes:\n  a: {ip: 10.118.0.9}\n`,
      "lab.yaml:3:7: nodes: 10.118.0.9 is outside the range 10.117.0.0/16: choose one inside",
    ],
    [
      `${S}nodes:\n  a: {ip: 10.117.0.0}\n`,
      "lab.yaml:3:7: nodes: 10.117.0.0 is the network's own address: choose another",
    ],
    [
      `${S}nodes:\n  a: {ip: 10.117.255.255}\n`,
      "lab.yaml:3:7: nodes: 10.117.255.255 is the broadcast address: choose another",
    ],
    [
      `${S}nodes:\n  a: {ip: 10.117.0.1}\n`,
      "lab.yaml:3:7: nodes: 10.117.0.1 is kept for DHCP itself: choose from 10.117.0.2 upwards",
    ],
    [
      `${S}reservations:\n  52:54:00:12:34:5: 10.117.0.9\n`,
      'lab.yaml:3:3: reservations: "52:54:00:12:34:5" is no MAC, id:HEX or host name: write 52:54:00:12:34:56, id:01525400123456 or printer',
    ],
    [
      `${S}reservations:\n  id:: 10.117.0.9\n`,
      'lab.yaml:3:3: reservations: "id:" is no MAC, id:HEX or host name: write 52:54:00:12:34:56, id:01525400123456 or printer',
    ],
    [
      `${S}reservations:\n  printer: 10.118.0.9\n`,
      "lab.yaml:3:3: reservations: 10.118.0.9 is outside the range 10.117.0.0/16: choose one inside",
    ],
    [
      `${S}reservations:\n  printer: 10.117.0.1\n`,
      "lab.yaml:3:3: reservations: 10.117.0.1 is kept for DHCP itself: choose from 10.117.0.2 upwards",
    ],
    [
      `${S}reservations:\n  printer: ten\n`,
      'lab.yaml:3:3: reservations.printer: "ten" is no IPv4 address: write it like 10.117.0.10',
    ],
    [
      `${S}reservations:\n  a: 10.117.0.9\n  b: 10.117.0.9\n`,
      "lab.yaml:4:3: reservations: 10.117.0.9 is kept for a too: give one of them another",
    ],
    [
      `${S}nodes: {c: {ip: 10.117.0.9}}\nreservations:\n  b: 10.117.0.9\n`,
      "lab.yaml:4:3: reservations: 10.117.0.9 is kept for c too: give one of them another",
    ],
    [
      `${S}reservations:\n  02:00:00:00:00:AA: 10.117.0.8\n  02-00-00-00-00-aa: 10.117.0.9\n`,
      "lab.yaml:4:3: reservations: 02:00:00:00:00:aa has a reservation already: keep one of the two",
    ],
    [
      `${S}address: static\nip: 10.117.0.9\nreservations: {b: 10.117.0.9}\n`,
      "lab.yaml:3:1: ip: 10.117.0.9 stands under reservations: choose another address",
    ],
    [
      `${S}nodes:\n  Big_One: {}\n`,
      'lab.yaml:3:3: nodes: "Big_One" is no node name: use 1 to 63 of a-z 0-9 and -',
    ],
    [
      `${S}nodes: [a]\n`,
      "lab.yaml:2:1: nodes: must be a map of keys: write key: value lines, indented",
    ],
    ["- a\n", "lab.yaml:1:1: the file: must be a map of keys: write key: value lines, indented"],
    [
      `${S}metrics: 0.0.0.0:7118\n`,
      'lab.yaml:2:1: metrics: "0.0.0.0:7118" must be off or a port on 127.0.0.1, like 7118',
    ],
    [`${S}state_dir: here\n`, 'lab.yaml:2:1: state_dir: "here" must be an absolute path'],
    [
      `${S}domain: "a b"\n`,
      'lab.yaml:2:1: domain: "a b" is no domain name: write it like lab.internal',
    ],
    [
      `${S}name: Lab\n`,
      'lab.yaml:2:1: name: "Lab" is no network name: use 1 to 32 of a-z 0-9 and -',
    ],
    [`${S}name: [x]\n`, "lab.yaml:2:1: name: is no plain value"],
    [`${S}secret: ${KEY}\n`, "lab.yaml:2:1: Map keys must be unique: correct the YAML"],
    [
      `${S}a: b: c\n`,
      "lab.yaml:2:4: Nested mappings are not allowed in compact mappings: correct the YAML",
    ],
    [`${S}`, '--mtu: mtu: "1" must be auto or a number from 1280 to 9202', { flags: { mtu: "1" } }],
    [
      `${S}`,
      'WEFT_LEASE: lease: "soon" is no duration: write 1h, 30m or 90s',
      { env: { WEFT_LEASE: "soon" } },
    ],
    [
      `${S}`,
      "WEFT_NODES: nodes: 10.1.1.1 is outside the range 10.117.0.0/16: choose one inside",
      { env: { WEFT_NODES: "{a: {ip: 10.1.1.1}}" } },
    ],
    [
      "secret: hunter2\n",
      "lab.yaml:1:1: secret: the network key is 5 bytes long, not 32: use one that `weft init` made",
    ],
    [
      "secret: correct horse battery\n",
      "lab.yaml:1:1: secret: the network key is not base64: use one that `weft init` made",
    ],
    [
      `secret: ${"A".repeat(43)}=\n`,
      "lab.yaml:1:1: secret: the network key looks made up by hand, not random: use one that `weft init` made",
    ],
    [
      `secret: ${Buffer.from("the quick brown fox jumps over 1").toString("base64")}\n`,
      "lab.yaml:1:1: secret: the network key looks made up by hand, not random: use one that `weft init` made",
    ],
    [
      `${S}secret_file: /nowhere\n`,
      "lab.yaml:2:1: secret_file: stands beside secret: keep one of the two",
    ],
    [
      "secret_file: /nowhere/key\n",
      "lab.yaml:1:1: secret_file: /nowhere/key cannot be read (ENOENT): correct the path or its owner",
    ],
  ];
  it.each(cases.map(([text, wanted, given]) => ({ text, wanted, given })))(
    "$wanted",
    ({ text, wanted, given }) => {
      expect(fault(text, given)).toBe(`config-invalid ${wanted}`);
    },
  );

  it("all at once, in the order of the schema", () => {
    expect(fault(`${S}lisen: 1\nmtu: 1\n`).split("\n")).toHaveLength(2);
  });

  it("an open file that holds the key", () => {
    expect(fault(S, { mode: 0o644 })).toBe(
      "key-file-open lab.yaml holds the network key and has mode 0644: run chmod 600 lab.yaml",
    );
  });

  it("thousands of mistakes are twenty lines and a last one", () => {
    const lines = fault(Array.from({ length: 5_000 }, (_, i) => `wrong${i}: 1\n`).join("")).split(
      "\n",
    );
    expect(lines).toHaveLength(21);
    expect(lines[20]).toBe("there are more problems: correct these first");
  });

  it("the YAML parser's words for programmers are replaced", () => {
    expect(fault(`secret: ${KEY}\n---\nname: b\n`)).toBe(
      "config-invalid lab.yaml:2:1: a second document begins here (---): correct the YAML",
    );
    expect(fault(`nodes: ${"[".repeat(20_000)}`)).toMatch(/: nested too deeply: correct the YAML/);
  });

  it("aliases cannot blow the file up", () => {
    const bomb = `${S}a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n`;
    expect(fault(bomb)).toMatch(/^config-invalid .*alias/i);
  });

  it("any text gives a configuration or lines with a place, never another error", () => {
    const piece = fc.constantFrom(
      ...KEY_NAMES,
      ...NODE_KEY_NAMES,
      ":",
      " ",
      "\n",
      "  ",
      "- ",
      "10.117.0.9",
      "{",
      "}",
      "[",
      "]",
      "&a",
      "*a",
      '"',
      "1h",
      "\0",
      "é",
      "#",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        for (const line of fault(`${S}${pieces.join("")}`).split("\n")) {
          expect(line).toMatch(/^no error$|lab\.yaml:\d+:\d+: .+|key-file-open/);
        }
      }),
      { numRuns: 500 },
    );
  });

  it("no message contains the key", () => {
    for (const bad of [KEY.slice(0, 40), `${KEY}x`, `x${KEY}`])
      expect(fault(`secret: ${bad}\n`)).not.toContain(KEY.slice(4, 30));
  });
});

describe("examples/cluster.yaml", () => {
  const text = readFileSync(EXAMPLE, "utf8");
  /** Every `# key: value` line taken for real. */
  const all = text
    .replace(/^# (?=( {2}|[a-z_]+:))/gm, "")
    .replace(/^secret: .*$/m, `secret: ${KEY}`)
    .replace(/^secret_file:.*$/m, "")
    // Groups stand in certificates then.
    .replace(/^authority:.*$/m, "");

  it("names every key", () => {
    for (const key of KEY_NAMES) expect(text).toMatch(new RegExp(`^(# )?${key}:`, "m"));
  });

  it("loads, and is refused until its key is replaced", () => {
    expect(load(text.replace(/^secret: .*$/m, `secret: ${KEY}`)).range.prefix).toBe(16);
    expect(fault(text)).toMatch(/the network key is not base64/);
  });

  it("shows the true defaults", () => {
    const shown = new ConfigFile("x", all).values as Record<string, unknown>;
    for (const key of KEY_NAMES) {
      const fallback = KEYS[key].fallback;
      if (fallback !== undefined) expect(String(shown[key]), key).toBe(fallback);
    }
  });

  it("is valid with every line taken for real", () => {
    expect(fault(all.replace("address: auto", "address: static"), { node: "gamma" })).toMatch(
      /10.117.0.10 is claimed by alpha/,
    );
    const result = load(all.replace(/^ip: .*$/m, "").replace("metrics: off", "metrics: 7118"), {
      node: "beta",
    });
    expect([result.addressMode, result.ip, result.domain]).toEqual([
      "dhcp",
      "10.117.0.11",
      "lab.internal",
    ]);
  });
});

describe("the network key", () => {
  it("what init makes is accepted", () => {
    for (let i = 0; i < 200; i++) expect(parseNetworkKey(generateNetworkKey()).ok).toBe(true);
  });
});

describe("the shared part's digest", () => {
  const blake2b = (length: number, message: Uint8Array): Uint8Array =>
    suite.blake2b(length, message);
  const base = load(`secret: ${KEY}\nnodes: {b: {ip: 10.117.0.6}, a: {ip: 10.117.0.5}}\n`);
  const hex = (config: Config): string =>
    Buffer.from(sharedDigest(blake2b, config)).toString("hex");

  it("depends on meaning, not on spelling or order", () => {
    const same = load(
      `# x\nlease: 3600\nlisten: 9\nsecret: ${KEY}\nrange: 10.117.0.0/16\nnodes: {a: {ip: 10.117.0.5}, b: {ip: 10.117.0.6, listen: 5}}\n`,
    );
    expect(hex(same)).toBe(hex(base));
    expect(canonicalShared(base)).toBe(
      '{"claims":[["a","10.117.0.5"],["b","10.117.0.6"]],"domain":"","form":1,"lease":3600,"mtu":"auto","range":"10.117.0.0/16"}',
    );
  });

  it("differs when range, lease, MTU, domain or a claim differs", () => {
    const S = `secret: ${KEY}\nnodes: {b: {ip: 10.117.0.6}, a: {ip: 10.117.0.5}}\n`;
    const others = ["range: 10.117.0.0/17", "lease: 2h", "mtu: 1400", "domain: a.b"].map((line) =>
      hex(load(`${S}${line}\n`)),
    );
    const claim = hex(load(S.replace("0.6", "0.7")));
    const reserved = ["{x: 10.117.0.9}", "{x: 10.117.0.8}", "{y: 10.117.0.9}"].map((map) =>
      hex(load(`${S}reservations: ${map}\n`)),
    );
    expect(new Set([hex(base), claim, ...others, ...reserved]).size).toBe(9);
  });

  it("depends on no spelling or order of reservations", () => {
    const of = (map: string): string => hex(load(`secret: ${KEY}\nreservations: ${map}\n`));
    expect(of("{x: 10.117.0.9, '02:00:00:00:00:AA': 10.117.0.8}")).toBe(
      of("{02-00-00-00-00-aa: 10.117.0.8, X: 10.117.0.9}"),
    );
    expect(of("{id:01AB: 10.117.0.9}")).toBe(of("{id:01:ab: 10.117.0.9}"));
    expect(of("{}")).toBe(hex(load(`secret: ${KEY}\n`)));
  });
});

describe("small parsers", () => {
  it("durations", () => {
    expect(["90", "90s", "1h30m", "2d", "1d1h1m1s"].map(parseDuration)).toEqual([
      90, 90, 5400, 172800, 90061,
    ]);
    expect(["", "h", "1x", "1h1h", "-1", "1.5h", "1m1h"].map(parseDuration)).toEqual(
      Array(7).fill(undefined),
    );
    expect([0, 59.9, 3600, 3661, 90061].map(durationText)).toEqual([
      "0s",
      "59s",
      "1h",
      "1h 1m",
      "1d 1h",
    ]);
    fc.assert(fc.property(fc.integer({ min: 0, max: 1e8 }), (s) => parseDuration(`${s}s`) === s));
  });

  it("edit distance is a metric on small words", () => {
    const word = fc.string({ maxLength: 6 });
    fc.assert(
      fc.property(word, word, word, (a, b, c) => {
        expect(editDistance(a, b)).toBe(editDistance(b, a));
        expect(editDistance(a, b) === 0).toBe(a === b);
        expect(editDistance(a, c)).toBeLessThanOrEqual(editDistance(a, b) + editDistance(b, c));
      }),
    );
    expect(nearestWord("bootsrap", KEY_NAMES)).toBe("bootstrap");
    expect(nearestWord("rnage", KEY_NAMES)).toBe("range");
  });

  it("stray variables are named, known ones are not", () => {
    expect(strayVariables({ WEFT_LISTEN: "1", WEFT_LISEN: "1", WEFT_NODE: "a", PATH: "" })).toEqual(
      ["WEFT_LISEN"],
    );
  });

  it("every key has a parser and a meaning", () => {
    expect(Object.keys(fileSchema.shape).sort()).toEqual([...KEY_NAMES].sort());
  });
});
