import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  emitPmpAddressRequest,
  emitPmpMapping,
  parsePmpAddress,
  parsePmpMapping,
} from "../../src/wire/nat-pmp.ts";
import { emitPcpRequest, parsePcpAnswer } from "../../src/wire/pcp.ts";
import { hex, spaced } from "../support/vectors.ts";

describe("NAT-PMP", () => {
  it("requests, golden", () => {
    expect(spaced(emitPmpAddressRequest())).toBe("00 00");
    const mapping = { insidePort: 7117, outsidePort: 7118, lifeSeconds: 3600 };
    expect(spaced(emitPmpMapping(mapping))).toBe("00 01 00 00 1b cd 1b ce 00 00 0e 10");
  });

  it("answers, golden", () => {
    expect(parsePmpAddress(hex("00 80 00 00 00 00 00 09 c0 00 02 01"))).toEqual({
      ok: true,
      value: { result: 0, value: "192.0.2.1" },
    });
    expect(parsePmpMapping(hex("00 81 00 00 00 00 00 09 1b cd 1b ce 00 00 0e 10"))).toEqual({
      ok: true,
      value: { result: 0, value: { insidePort: 7117, outsidePort: 7118, lifeSeconds: 3600 } },
    });
  });

  it("a refusal, whole or cut short, has a result and no value", () => {
    const refusal = { ok: true, value: { result: 2, value: undefined } };
    expect(parsePmpMapping(hex("00 81 00 02"))).toEqual(refusal);
    expect(parsePmpAddress(hex("00 80 00 02 00 00 00 00 00 00 00 00"))).toEqual(refusal);
  });

  it("answers to other questions, other lengths and versions are refused", () => {
    const address = hex("00 80 00 00 00 00 00 09 c0 00 02 01");
    expect(parsePmpMapping(address)).toEqual({ ok: false, reason: "unknown-type" });
    expect(parsePmpAddress(address.with(0, 1))).toEqual({ ok: false, reason: "unknown-version" });
    expect(parsePmpAddress(address.subarray(0, 11))).toEqual({ ok: false, reason: "truncated" });
    expect(parsePmpAddress(Uint8Array.of(...address, 0))).toEqual({
      ok: false,
      reason: "trailing-bytes",
    });
  });
});

describe("PCP", () => {
  const MAP = "a0 a1 a2 a3 a4 a5 a6 a7 a8 a9 aa ab 11 00 00 00 1b cd 1b ce";
  const V4 = "00 00 00 00 00 00 00 00 00 00 ff ff";
  const ANSWER = `02 81 00 00 00 00 0e 10 00 00 00 09${" 00".repeat(12)} ${MAP} ${V4} c0 00 02 01`;
  const nonce = hex("a0 a1 a2 a3 a4 a5 a6 a7 a8 a9 aa ab");

  it("request, golden", () => {
    const request = {
      client: "192.168.1.2",
      nonce,
      insidePort: 7117,
      outsidePort: 7118,
      lifeSeconds: 3600,
    };
    expect(spaced(emitPcpRequest(request))).toBe(
      `02 01 00 00 00 00 0e 10 ${V4} c0 a8 01 02 ${MAP} ${V4} 00 00 00 00`,
    );
  });

  it("answer, golden", () => {
    expect(parsePcpAnswer(hex(ANSWER))).toEqual({
      ok: true,
      value: {
        result: 0,
        lifeSeconds: 3600,
        map: { nonce, insidePort: 7117, outside: { ip: "192.0.2.1", port: 7118 } },
      },
    });
  });

  it("a gateway that knows NAT-PMP only, and one that refuses", () => {
    const old = { ok: true, value: { result: 1, lifeSeconds: 0, map: undefined } };
    expect(parsePcpAnswer(hex("00 81 00 01 00 00 00 00"))).toEqual(old);
    expect(parsePcpAnswer(hex("02 81 00 08 00 00 00 1e 00 00 00 00"))).toEqual({
      ok: true,
      value: { result: 8, lifeSeconds: 30, map: undefined },
    });
  });

  it("an IPv6 outside address, another protocol and other lengths are refused", () => {
    const answer = hex(ANSWER);
    expect(parsePcpAnswer(answer.with(44, 0x20))).toEqual({ ok: false, reason: "bad-field" });
    expect(parsePcpAnswer(answer.with(36, 6))).toEqual({ ok: false, reason: "bad-field" });
    expect(parsePcpAnswer(answer.subarray(0, 59))).toEqual({ ok: false, reason: "truncated" });
    expect(parsePcpAnswer(answer.with(1, 0x80))).toEqual({ ok: false, reason: "unknown-type" });
  });
});

it("random bytes never throw", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      parsePcpAnswer(bytes);
      parsePmpAddress(bytes);
      parsePmpMapping(bytes);
    }),
  );
});
