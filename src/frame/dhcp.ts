/**
 * DHCP messages (RFC 2131, options RFC 2132), the payload of UDP 67 and 68; big endian.
 *
 *      0        1        2        3        4          8        10       12       16
 *      +--------+--------+--------+--------+----------+--------+--------+--------+--------+
 *      | op     | htype 1| hlen 6 | hops   | xid      | secs   | flags  | ciaddr | yiaddr |
 *      +--------+--------+--------+--------+----------+--------+--------+--------+--------+
 *      | siaddr | giaddr | chaddr 16       | sname 64 | file 128        | 63825363        |
 *      20       24       28                44         108               236      options 240
 *
 *      option: code u8 | length u8 | value;   0 = pad, 255 = end
 *      option 52 says that file (1), sname (2) or both (3) hold further options
 */
import { ByteReader, ByteWriter, concat } from "../base/bytes.ts";
import { dropped, type Parsed, parsed } from "../base/drop-reason.ts";
import {
  type Ip,
  ipFromBytes,
  ipToBytes,
  type Mac,
  macFromBytes,
  macToBytes,
} from "../base/net.ts";

export const DHCP_SERVER_PORT = 67;
export const DHCP_CLIENT_PORT = 68;

/** Value of option 53. */
export const DHCP_TYPES = {
  discover: 1,
  offer: 2,
  request: 3,
  decline: 4,
  ack: 5,
  nak: 6,
  release: 7,
  inform: 8,
} as const;
export type DhcpType = keyof typeof DHCP_TYPES;

export const DHCP_OPTIONS = {
  subnetMask: 1,
  hostName: 12,
  domainName: 15,
  interfaceMtu: 26,
  broadcastAddress: 28,
  requestedIp: 50,
  leaseSeconds: 51,
  overload: 52,
  messageType: 53,
  serverIdentifier: 54,
  message: 56,
  renewalSeconds: 58,
  rebindingSeconds: 59,
  clientIdentifier: 61,
} as const;

export interface DhcpMessage {
  readonly op: "request" | "reply";
  readonly type: DhcpType;
  readonly xid: number;
  readonly secs: number;
  readonly broadcast: boolean;
  /** `0.0.0.0` where a field is not used. */
  readonly ciaddr: Ip;
  readonly yiaddr: Ip;
  readonly siaddr: Ip;
  readonly giaddr: Ip;
  readonly chaddr: Mac;
  /** All but 52 and 53; a code that came several times is joined (RFC 3396). */
  readonly options: ReadonlyMap<number, Uint8Array>;
}

const FIXED_BYTES = 240;
const MAGIC = 0x63825363;
const SNAME_AT = 44;
const FILE_AT = 108;
const FLAG_BROADCAST = 0x8000;
const PAD = 0;
const END = 255;
/** BOOTP's smallest message (RFC 1542, 2.1); some clients refuse shorter replies. */
const MIN_BYTES = 300;
/** What a client may send on a jumbo link; longer is no DHCP message. */
const MAX_BYTES = 9_000;
const MAX_OPTION_BYTES = 255;
/** A host has one Ethernet card: hardware type 1 with 6-byte addresses. */
const HARDWARE_ETHERNET = 1;

/** Errors: `short-frame`, `too-long`, `bad-field`. Plain BOOTP (no option 53) is `bad-field`. */
export function parseDhcp(bytes: Uint8Array): Parsed<DhcpMessage> {
  if (bytes.length < FIXED_BYTES) return dropped("short-frame");
  if (bytes.length > MAX_BYTES) return dropped("too-long");
  const reader = new ByteReader(bytes);
  const op = reader.u8();
  const hardware = reader.u8();
  const hardwareBytes = reader.u8();
  reader.skip(1);
  const xid = reader.u32be();
  const secs = reader.u16be();
  const broadcast = (reader.u16be() & FLAG_BROADCAST) !== 0;
  const [ciaddr, yiaddr, siaddr, giaddr] = [
    readIp(reader),
    readIp(reader),
    readIp(reader),
    readIp(reader),
  ];
  const chaddr = macFromBytes(reader.bytes(6));
  reader.skip(FIXED_BYTES - 4 - 34);
  const isDhcp = reader.u32be() === MAGIC && hardware === HARDWARE_ETHERNET && hardwareBytes === 6;
  if (!isDhcp || (op !== 1 && op !== 2)) return dropped("bad-field");
  const options = readAllOptions(bytes);
  if (!options.ok) return options;
  const type = typeOf(options.value);
  if (type === undefined) return dropped("bad-field");
  options.value.delete(DHCP_OPTIONS.messageType);
  options.value.delete(DHCP_OPTIONS.overload);
  const fields = { xid, secs, broadcast, ciaddr, yiaddr, siaddr, giaddr, chaddr };
  return parsed({ op: op === 1 ? "request" : "reply", type, ...fields, options: options.value });
}

/** Option 53 first, then the others in the map's order; long values are split (RFC 3396). */
export function emitDhcp(message: DhcpMessage): Uint8Array {
  const out = new ByteWriter()
    .u8(message.op === "request" ? 1 : 2)
    .u8(HARDWARE_ETHERNET)
    .u8(6)
    .u8(0)
    .u32be(message.xid)
    .u16be(message.secs)
    .u16be(message.broadcast ? FLAG_BROADCAST : 0)
    .bytes(ipToBytes(message.ciaddr))
    .bytes(ipToBytes(message.yiaddr))
    .bytes(ipToBytes(message.siaddr))
    .bytes(ipToBytes(message.giaddr))
    .bytes(macToBytes(message.chaddr))
    .zeros(FIXED_BYTES - 4 - 34)
    .u32be(MAGIC);
  writeOption(out, DHCP_OPTIONS.messageType, Uint8Array.of(DHCP_TYPES[message.type]));
  for (const [code, value] of message.options) writeOption(out, code, value);
  out.u8(END);
  return out.zeros(Math.max(0, MIN_BYTES - out.length)).finish();
}

/** Address in an option of 4 bytes; undefined when absent or of another length. */
export function ipOption(message: DhcpMessage, code: number): Ip | undefined {
  const value = message.options.get(code);
  return value?.length === 4 ? ipFromBytes(value) : undefined;
}

function readIp(reader: ByteReader): Ip {
  return ipFromBytes(reader.bytes(4));
}

/** Order of RFC 3396: the options field, then `file`, then `sname`. */
function readAllOptions(bytes: Uint8Array): Parsed<Map<number, Uint8Array>> {
  const options = new Map<number, Uint8Array>();
  if (!readOptions(bytes.subarray(FIXED_BYTES), options)) return dropped("bad-field");
  const overload = options.get(DHCP_OPTIONS.overload)?.[0] ?? 0;
  const file = bytes.subarray(FILE_AT, FIXED_BYTES - 4);
  const sname = bytes.subarray(SNAME_AT, FILE_AT);
  if ((overload & 1) !== 0 && !readOptions(file, options)) return dropped("bad-field");
  if ((overload & 2) !== 0 && !readOptions(sname, options)) return dropped("bad-field");
  return parsed(options);
}

/** @returns false when an option runs past the end of its field; a missing end option is tolerated */
function readOptions(bytes: Uint8Array, into: Map<number, Uint8Array>): boolean {
  let at = 0;
  while (at < bytes.length) {
    const code = bytes[at++];
    if (code === END) return true;
    if (code === PAD || code === undefined) continue;
    const length = bytes[at++];
    if (length === undefined || at + length > bytes.length) return false;
    const value = bytes.slice(at, at + length);
    const before = into.get(code);
    into.set(code, before === undefined ? value : concat(before, value));
    at += length;
  }
  return true;
}

function typeOf(options: ReadonlyMap<number, Uint8Array>): DhcpType | undefined {
  const value = options.get(DHCP_OPTIONS.messageType);
  if (value?.length !== 1) return undefined;
  const names = Object.keys(DHCP_TYPES) as DhcpType[];
  return names.find((name) => DHCP_TYPES[name] === value[0]);
}

function writeOption(out: ByteWriter, code: number, value: Uint8Array): void {
  let at = 0;
  do {
    const part = value.subarray(at, at + MAX_OPTION_BYTES);
    out.u8(code).u8(part.length).bytes(part);
    at += MAX_OPTION_BYTES;
  } while (at < value.length);
}
