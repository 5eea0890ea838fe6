/** The three protocols by which routers map ports, each as one question with one answer. */
import { equalBytes } from "../base/bytes.ts";
import { dropped } from "../base/drop-reason.ts";
import type { Rng } from "../base/rng.ts";
import { askGateway } from "../io/gateway.ts";
import { runUpnpErrand } from "../io/upnp.ts";
import {
  emitPmpAddressRequest,
  emitPmpMapping,
  GATEWAY_PORT,
  parsePmpAddress,
  parsePmpMapping,
} from "../wire/nat-pmp.ts";
import { emitPcpRequest, PCP_NONCE_BYTES, parsePcpAnswer } from "../wire/pcp.ts";
import type { MappingAnswer, MappingClient, MappingClients } from "./port-mapper.ts";

const SILENT: MappingAnswer = { ok: false, reason: "no answer" };

/** PCP first: it says the address in the same answer, and newer routers know nothing else. */
export function mappingClients(rng: Rng): MappingClients {
  // A mapping is renewed and removed with the nonce that it was made with.
  const nonce = rng.bytes(PCP_NONCE_BYTES);
  return [
    ["pcp", pcpClient(nonce)],
    ["nat-pmp", mapByNatPmp],
    ["upnp", mapByUpnp],
  ];
}

function pcpClient(nonce: Uint8Array): MappingClient {
  return async ({ gateway, inside, outsidePort, lifeSeconds }) => {
    const wish = { client: inside.ip, nonce, insidePort: inside.port, outsidePort, lifeSeconds };
    const answer = await askGateway({
      gateway,
      port: GATEWAY_PORT,
      request: emitPcpRequest(wish),
      accept: (bytes) => {
        const read = parsePcpAnswer(bytes);
        if (!read.ok || read.value.map === undefined) return read;
        return equalBytes(read.value.map.nonce, nonce) ? read : dropped("bad-field");
      },
    });
    if (answer === undefined) return SILENT;
    if (answer.map === undefined) return refused(answer.result);
    return { ok: true, outside: answer.map.outside, lifeSeconds: answer.lifeSeconds };
  };
}

const mapByNatPmp: MappingClient = async ({ gateway, inside, outsidePort, lifeSeconds }) => {
  const ask = { gateway, port: GATEWAY_PORT };
  const address = await askGateway({
    ...ask,
    request: emitPmpAddressRequest(),
    accept: parsePmpAddress,
  });
  if (address === undefined) return SILENT;
  if (address.value === undefined) return refused(address.result);
  const isRemoval = lifeSeconds === 0;
  const wish = { insidePort: inside.port, outsidePort: isRemoval ? 0 : outsidePort, lifeSeconds };
  const mapping = await askGateway({
    ...ask,
    request: emitPmpMapping(wish),
    accept: parsePmpMapping,
  });
  if (mapping === undefined) return SILENT;
  if (mapping.value?.insidePort !== inside.port) return refused(mapping.result);
  const outside = { ip: address.value, port: mapping.value.outsidePort };
  return { ok: true, outside, lifeSeconds: mapping.value.lifeSeconds };
};

const mapByUpnp: MappingClient = async ({ gateway, inside, outsidePort, lifeSeconds }) => {
  const result = await runUpnpErrand({
    action: lifeSeconds === 0 ? "unmap" : "map",
    gateway,
    insideIp: inside.ip,
    insidePort: inside.port,
    outsidePort,
    lifeSeconds,
  });
  if (!result.ok) return result;
  return { ok: true, outside: { ip: result.ip, port: result.port }, lifeSeconds };
};

function refused(result: number): MappingAnswer {
  return { ok: false, reason: `refused (result ${result})` };
}
