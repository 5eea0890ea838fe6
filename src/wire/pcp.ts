/**
 * Port Control Protocol (RFC 6887), the MAP operation for UDP over IPv4. Big endian. Sent to UDP port
 * 5351 of the default gateway; one that knows NAT-PMP only answers with version 0.
 *
 *     request   version 2 u8 | 1 u8 | 0 u16 | life u32 | client address 16 B | map
 *     answer    version 2 u8 | 129 u8 | 0 u8 | result u8 | life u32 | epoch u32 | 0 (12 B) | map
 *     map       nonce 12 B | protocol 17 u8 | 0 (3 B) | inside port u16 | outside port u16
 *               | outside address 16 B                                   60 B in all, both ways
 *
 * IPv4 addresses are written as ::ffff:a.b.c.d.
 */
import { ByteReader, ByteWriter, equalBytes } from "../base/bytes.ts";
import { dropped, type Parsed, parsed } from "../base/drop-reason.ts";
import { type Ip, ipFromBytes, ipToBytes } from "../base/net.ts";

export const PCP_NONCE_BYTES = 12;
/** Section 7.3: a server that does not speak this version. */
export const PCP_UNSUPPORTED_VERSION = 1;

const VERSION = 2;
const MAP = 1;
const ANSWER = 128;
const UDP = 17;
const ANSWER_BYTES = 60;
const MAPPED_PREFIX = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff);

export interface PcpRequest {
  /** Own IPv4 address, as the gateway sees it: there must be no other NAT in between. */
  readonly client: Ip;
  /** 12 bytes; whoever knows them may change the mapping. */
  readonly nonce: Uint8Array;
  readonly insidePort: number;
  /** A wish. */
  readonly outsidePort: number;
  /** 0 removes the mapping. */
  readonly lifeSeconds: number;
}

export interface PcpAnswer {
  /** 0 = done; else section 7.4. */
  readonly result: number;
  /** Of a refusal: when to try again. */
  readonly lifeSeconds: number;
  /** undefined with a refusal that ends before it. */
  readonly map:
    | {
        readonly nonce: Uint8Array;
        readonly insidePort: number;
        readonly outside: { readonly ip: Ip; readonly port: number };
      }
    | undefined;
}

export function emitPcpRequest(request: PcpRequest): Uint8Array {
  const { client, nonce, insidePort, outsidePort, lifeSeconds } = request;
  const writer = new ByteWriter().u8(VERSION).u8(MAP).zeros(2).u32be(lifeSeconds);
  writer.bytes(MAPPED_PREFIX).bytes(ipToBytes(client));
  writer.bytes(nonce).u8(UDP).zeros(3).u16be(insidePort).u16be(outsidePort);
  return writer.bytes(MAPPED_PREFIX).zeros(4).finish();
}

export function parsePcpAnswer(bytes: Uint8Array): Parsed<PcpAnswer> {
  const reader = new ByteReader(bytes);
  const version = reader.u8();
  const operation = reader.u8();
  reader.skip(1);
  const result = reader.u8();
  const lifeSeconds = reader.u32be();
  if (!reader.ok) return dropped("truncated");
  if (operation !== ANSWER + MAP) return dropped("unknown-type");
  if (version === 0)
    return parsed({ result: PCP_UNSUPPORTED_VERSION, lifeSeconds: 0, map: undefined });
  if (version !== VERSION) return dropped("unknown-version");
  if (result !== 0) return parsed({ result, lifeSeconds, map: undefined });
  if (bytes.length < ANSWER_BYTES) return dropped("truncated");
  if (bytes.length > ANSWER_BYTES) return dropped("trailing-bytes");
  reader.skip(16);
  return readMap(reader, lifeSeconds);
}

function readMap(reader: ByteReader, lifeSeconds: number): Parsed<PcpAnswer> {
  const nonce = reader.bytes(PCP_NONCE_BYTES);
  const protocol = reader.u8();
  reader.skip(3);
  const insidePort = reader.u16be();
  const port = reader.u16be();
  const prefix = reader.bytes(12);
  const ip = ipFromBytes(reader.bytes(4));
  if (protocol !== UDP || port === 0 || !equalBytes(prefix, MAPPED_PREFIX)) {
    return dropped("bad-field");
  }
  return parsed({ result: 0, lifeSeconds, map: { nonce, insidePort, outside: { ip, port } } });
}
