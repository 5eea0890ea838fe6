import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { mappingClients } from "../../src/agent/mapping-clients.ts";
import { SeededRng } from "../../src/base/rng.ts";
import { GATEWAY_PORT } from "../../src/wire/nat-pmp.ts";

/** Of this test alone, so that it finds the gateway's port free. */
const GATEWAY = "127.53.51.1";
const WISH = {
  gateway: GATEWAY,
  inside: { ip: "192.168.1.2", port: 7117 },
  outsidePort: 7117,
  lifeSeconds: 3_600,
};

describe("questions to a gateway on loopback", () => {
  let gateway: Socket;
  let requests: Buffer[] = [];
  let answer: (request: Buffer) => Uint8Array | undefined = () => undefined;

  beforeAll(async () => {
    gateway = createSocket("udp4");
    gateway.on("message", (request, from) => {
      requests.push(request);
      const bytes = answer(request);
      if (bytes !== undefined) gateway.send(bytes, from.port, from.address);
    });
    gateway.bind(GATEWAY_PORT, GATEWAY);
    await once(gateway, "listening");
  });
  afterAll(() => void gateway.close());
  beforeEach(() => {
    requests = [];
  });

  const [pcp, natPmp] = mappingClients(new SeededRng(1)).map(([, client]) => client);

  it("PCP: the answer with our nonce is taken, another one is not", async () => {
    answer = (request) => {
      const out = Buffer.concat([request.subarray(0, 4), Buffer.alloc(20), request.subarray(24)]);
      out.writeUInt8(0x81, 1);
      out.writeUInt32BE(600, 4);
      out.writeUInt16BE(9_000, 42);
      Buffer.from([0xff, 0xff, 44, 128, 0, 1]).copy(out, 54);
      if (requests.length === 1) out.writeUInt8(out.readUInt8(24) ^ 1, 24);
      return out;
    };
    expect(await pcp?.(WISH)).toEqual({
      ok: true,
      outside: { ip: "44.128.0.1", port: 9_000 },
      lifeSeconds: 600,
    });
    expect(requests.length).toBe(2);
  });

  it("NAT-PMP: the address, then the mapping; a removal asks for port 0", async () => {
    answer = (request) =>
      request.length === 2
        ? Buffer.from("00800000000000092c800001", "hex")
        : Buffer.concat([Buffer.from("0081000000000009", "hex"), request.subarray(4)]);
    expect(await natPmp?.(WISH)).toMatchObject({ ok: true, outside: { port: 7117 } });
    expect(await natPmp?.({ ...WISH, lifeSeconds: 0 })).toMatchObject({ ok: true });
    expect(requests.at(-1)?.toString("hex")).toBe("000100001bcd000000000000");
  });

  it("a refusal says its number, a gateway that knows nothing says nothing", async () => {
    answer = () => Buffer.from("0081000100000000", "hex");
    expect(await pcp?.(WISH)).toEqual({ ok: false, reason: "refused (result 1)" });
    answer = () => undefined;
    expect(await natPmp?.(WISH)).toEqual({ ok: false, reason: "no answer" });
  });
});
