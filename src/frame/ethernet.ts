/**
 * Ethernet II with at most two IEEE 802.1Q tags.
 *
 *      0                 6                 12       14
 *      +-----------------+-----------------+--------+-----------
 *      | destination 6   | source 6        | type 2 | payload
 *      +-----------------+-----------------+--------+-----------
 *      a tag is `8100 | TCI 2` (or 88a8) in front of the type; big endian
 */
import { ByteWriter } from "../base/bytes.ts";
import { dropped, type Parsed, parsed } from "../base/drop-reason.ts";
import { type Mac, macFromBytes, macToBytes } from "../base/net.ts";

export const TYPE_IPV4 = 0x0800;
export const TYPE_ARP = 0x0806;
export const TYPE_IPV6 = 0x86dd;
const TYPE_VLAN = 0x8100;
const TYPE_VLAN_SERVICE = 0x88a8;
/** MAC control (pause) and the slow protocols (LACP): they steer one cable, not an overlay. */
const TYPE_MAC_CONTROL = 0x8808;
const TYPE_SLOW = 0x8809;
const TYPE_LLDP = 0x88cc;
const TAG_BYTES = 4;
/** Provider bridges stack two tags; more is no frame of an honest host. */
const MAX_TAGS = 2;

export interface EthernetFrame {
  readonly destination: Mac;
  readonly source: Mac;
  /** The raw tags, 0, 4 or 8 bytes, so that an answer can carry the same ones. */
  readonly tags: Uint8Array;
  readonly type: number;
  /** Borrowed: a view into the parsed bytes. */
  readonly payload: Uint8Array;
}

/** Looks through the tags to the type behind them. Errors: `short-frame`, `bad-field` (a third tag). */
export function parseEthernet(bytes: Uint8Array): Parsed<EthernetFrame> {
  let at = 2 * 6;
  for (let tags = 0; tags < MAX_TAGS && isTag(typeAt(bytes, at)); tags++) at += TAG_BYTES;
  if (bytes.length < at + 2) return dropped("short-frame");
  // A receiver that looks further than we do would see a protocol that nobody checked.
  if (isTag(typeAt(bytes, at))) return dropped("bad-field");
  return parsed({
    destination: macFromBytes(bytes),
    source: macFromBytes(bytes.subarray(6, 12)),
    tags: bytes.subarray(12, at),
    type: typeAt(bytes, at),
    payload: bytes.subarray(at + 2),
  });
}

/** Without padding to 60 bytes: a TAP takes short frames and nothing else ever carries them. */
export function emitEthernet(frame: EthernetFrame): Uint8Array {
  return new ByteWriter()
    .bytes(macToBytes(frame.destination))
    .bytes(macToBytes(frame.source))
    .bytes(frame.tags)
    .u16be(frame.type)
    .bytes(frame.payload)
    .finish();
}

/** Spanning tree, LLDP, LACP, pause: by reserved address (IEEE 802.1Q table 8-1) or by type. */
export function isLinkControl(frame: EthernetFrame): boolean {
  if (/^01:80:c2:00:00:0[0-9a-f]$/.test(frame.destination)) return true;
  return frame.type === TYPE_MAC_CONTROL || frame.type === TYPE_SLOW || frame.type === TYPE_LLDP;
}

function isTag(type: number): boolean {
  return type === TYPE_VLAN || type === TYPE_VLAN_SERVICE;
}

function typeAt(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}
