import { deflateRawSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { WeftError } from "../../src/agent/errors.ts";
import { decodeToken, encodeToken, type JoinToken } from "../../src/agent/join-token.ts";
import { concat } from "../../src/base/bytes.ts";
import { crc32 } from "../../src/base/crc32.ts";
import { KEY } from "./fake-machine.ts";

const LAB: JoinToken = {
  name: "lab",
  secret: KEY,
  values: { name: "lab", range: "10.9.0.0/16", bootstrap: ["192.0.2.1:7117", "dns:seed.example"] },
};

const GOLDEN =
  "weft1.eAAAAMlc0qfJ7hM4XYKnzPEWO2CFqs_0GT5jiK3S9xxBZouw1fofRBXHMQ6AIAwF0Lv8mdSWQSJXMQ4lNC6IBhhMjHc3vu09qHoYIoomODSt-z9hWoiJJ5nhkM5z9NH0QlwhiycmTxKDSIBDrj12s0x263EVw_Z-";

/** The bytes behind `weft1.` */
function bytesOf(token: string): Uint8Array {
  return new Uint8Array(Buffer.from(token.replace(/^weft1\./, ""), "base64url"));
}

/** A token with any body, its length and checksum right. */
function tokenOf(body: Uint8Array, version = 1): string {
  const head = Buffer.alloc(8);
  head.writeUInt32LE(8 + body.length, 0);
  head.writeUInt32LE(crc32(body), 4);
  return `weft${version}.${Buffer.concat([head, body]).toString("base64url")}`;
}

function refusal(text: string): string {
  try {
    decodeToken(text);
  } catch (error) {
    if (error instanceof WeftError && error.code === "token-invalid") return error.message;
    throw error;
  }
  return "taken";
}

describe("the token of weft join", () => {
  it("carries key and keys, and stays short", () => {
    const token = encodeToken(LAB);
    expect(decodeToken(token)).toEqual(LAB);
    expect(token.length).toBeLessThan(220);
    expect(token).toMatch(/^weft1\.[A-Za-z0-9_-]+$/);
  });

  it("has this form, byte by byte", () => {
    const bytes = bytesOf(encodeToken(LAB));
    const key = Buffer.from(KEY, "base64");
    expect(Buffer.from(bytes.subarray(8, 40))).toEqual(key);
    const view = new DataView(bytes.buffer);
    expect(view.getUint32(0, true)).toBe(bytes.length);
    expect(view.getUint32(4, true)).toBe(crc32(bytes.subarray(8)));
  });

  it("of the first release is read for ever", () => {
    expect(decodeToken(GOLDEN)).toEqual(LAB);
  });

  it("with a certificate or an invite is of form 2, and without its grant nothing", () => {
    const invite = {
      kind: "invite",
      name: "beta",
      number: "00000000000000a1",
      secret: "ab".repeat(32),
      issuer: "cd".repeat(32),
      address: "ef".repeat(20),
      ends: 1_800_000_000,
    } as const;
    for (const grant of [invite, { kind: "certificate", certificate: "0102" } as const]) {
      const token = encodeToken({ ...LAB, grant });
      expect(token).toMatch(/^weft2\./);
      expect(decodeToken(token)).toEqual({ ...LAB, grant });
    }
    const key = Buffer.from(KEY, "base64");
    for (const grant of [undefined, {}, { ...invite, number: "1" }, { ...invite, more: 1 }]) {
      const inner = deflateRawSync(JSON.stringify({ file: LAB.values, grant }));
      expect(refusal(tokenOf(concat(key, inner), 2))).toMatch(/carries no cluster file/);
    }
  });

  it("leaves out what belongs to one machine", () => {
    const values = { ...LAB.values, state_dir: "/a", run_dir: "/b", ip: "10.9.0.1", secret: KEY };
    expect(decodeToken(encodeToken({ ...LAB, values })).values).toEqual(LAB.values);
  });

  it("made by others with paths or a second key says nothing about this machine", () => {
    const paths = { state_dir: "/a", run_dir: "/b", secret_file: "/etc/shadow" };
    const values = { ...LAB.values, ...paths, secret: Buffer.alloc(32, 9).toString("base64") };
    const body = concat(Buffer.from(KEY, "base64"), deflateRawSync(JSON.stringify(values)));
    expect(decodeToken(tokenOf(body))).toEqual(LAB);
  });

  it("is found in the whole line, and in a line that a terminal wrapped", () => {
    const token = encodeToken(LAB);
    const wrapped = `  weft join ${token.slice(0, 60)}\n  ${token.slice(60)}\n`;
    expect(decodeToken(wrapped)).toEqual(LAB);
    expect(decodeToken(`sudo weft join ${token}`)).toEqual(LAB);
  });

  it("cut anywhere says that it was cut short", () => {
    const token = encodeToken(LAB);
    for (let length = 6; length < token.length - 1; length++)
      expect(refusal(token.slice(0, length)), `${length} characters`).toMatch(/is cut short: copy/);
  });

  it("with any one character changed is refused, in one line", () => {
    const token = encodeToken(LAB);
    fc.assert(
      fc.property(fc.nat(token.length - 7), fc.constantFrom(..."AZaz09_-"), (at, letter) => {
        const i = at + 6;
        if (token[i] === letter || i === token.length - 1) return;
        const said = refusal(token.slice(0, i) + letter + token.slice(i + 1));
        expect(said).toMatch(/^the token (is cut short|is damaged)[^\n]*: [^\n]+$/);
      }),
    );
  });

  it("of another form names the version that is needed", () => {
    expect(refusal("weft3.AAAA")).toBe(
      "the token has form 3, this weft reads forms 1 and 2: install the same version on both machines (here is the older one)",
    );
    expect(refusal("weft0.AAAA")).toContain("(there is the older one)");
  });

  it.each([
    ["", /is no token of weft/],
    ["weft", /is no token of weft/],
    ["nebula1.AAAA", /is no token of weft/],
    ["weft1.", /is cut short/],
    ["weft1.a!b", /a character that is none of its own/],
  ])("%j: cause and cure", (text, says) => {
    expect(refusal(text)).toMatch(says);
  });

  it("with a right checksum around nonsense is refused", () => {
    const key = new Uint8Array(Buffer.from(KEY, "base64"));
    const carrying = (text: string): string => tokenOf(concat(key, deflateRawSync(text)));
    expect(refusal(tokenOf(new Uint8Array(3)))).toContain("carries no cluster file");
    expect(refusal(tokenOf(concat(key, Uint8Array.of(1, 2, 3))))).toContain("no cluster file");
    expect(refusal(carrying("[]"))).toContain("no cluster file");
    expect(refusal(carrying("{}"))).toContain("no cluster file");
    expect(refusal(carrying('{"name":"lab","rnage":"x"}'))).toContain(
      "carries the key rnage that this weft does not know: install the same version",
    );
    expect(refusal(carrying('{"name":"../x"}'))).toContain("is no network name");
    expect(refusal(carrying(" ".repeat(5_000_000)))).toContain("no cluster file");
  });

  it("random text and random bodies never do anything but be refused", () => {
    fc.assert(
      fc.property(fc.string(), fc.uint8Array({ maxLength: 200 }), (text, body) => {
        refusal(`weft1.${text}`);
        refusal(tokenOf(body));
      }),
    );
  });
});
