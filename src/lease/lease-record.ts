/**
 * The body of a lease record, and the key it is kept under.
 *
 *   0        1        2          3        4
 *  +--------+--------+----------+--------+---------------------+
 *  | form 1 | flags  | renewals | members| IPv4 address 4 B    |
 *  +--------+--------+----------+--------+---------------------+
 *  | mac 6 B | holder's ring address 20 B                      |  8
 *  | client length u8 | client id 1..255 B                     | 34
 *  | count u8 (0..5), count x { certificate u16 + bytes | signature 64 B } |
 *  +-----------------------------------------------------------+
 *
 * flags: bit 0 alone, others zero. The attestations prove the renewal count (dht/attestation.ts);
 * `members` is the replica set's size they were signed for. count 0 goes with renewals 0.
 */
import { ByteReader, ByteWriter, concat, fromHex, toHex, utf8 } from "../base/bytes.ts";
import { dropped, type Parsed, parsed } from "../base/drop-reason.ts";
import {
  type Ip,
  ipFromBytes,
  ipToBytes,
  type Mac,
  macFromBytes,
  macToBytes,
} from "../base/net.ts";
import {
  ADDRESS_BYTES,
  addressFromBytes,
  addressToBytes,
  type RingAddress,
} from "../base/ring-address.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import type { Attestation } from "../dht/result.ts";
import { MAX_CHAIN_BYTES } from "../wire/certificate-block.ts";
import type { DhtRecord } from "../wire/record.ts";

export interface LeaseFacts {
  readonly ip: Ip;
  readonly mac: Mac;
  readonly holder: RingAddress;
  /** The holder's Ed25519 public key: the record's signer. */
  readonly holderKey: Uint8Array;
  /** hex */
  readonly client: string;
  readonly alone: boolean;
  /** 0..16 as claimed; proven only together with valid attestations. */
  readonly renewals: number;
}

/** The body's fields, attestations included. */
export interface LeaseBody extends Omit<LeaseFacts, "holderKey"> {
  readonly attestations: readonly Attestation[];
}

/** Past this a longer life proves nothing more. */
export const MAX_RENEWALS = 16;
const MAX_ATTESTATIONS = 5;
const SIGNATURE_BYTES = 64;
const FORM = 1;
const ALONE = 1;
const KEY_LABEL = utf8("weft lease key 1");

/** Where the lease of an address is kept; the network id keeps clusters apart. */
export function leaseKey(suite: CryptoSuite, networkId: Uint8Array, ip: Ip): RingAddress {
  const text = concat(KEY_LABEL, networkId, ipToBytes(ip));
  return addressFromBytes(suite.blake2b(ADDRESS_BYTES, text));
}

/** What a lease record says; the caller trusts it as far as it trusts where the record came from. */
export function parseLeaseRecord(record: DhtRecord): Parsed<LeaseFacts> {
  if (record.kind !== "lease") return dropped("unknown-type");
  const body = parseLeaseBody(record.body);
  if (!body.ok) return body;
  const { attestations: _, ...facts } = body.value;
  return parsed({ ...facts, holderKey: record.signer });
}

export function parseLeaseBody(bytes: Uint8Array): Parsed<LeaseBody> {
  const reader = new ByteReader(bytes);
  if (reader.u8() !== FORM) return dropped("unknown-version");
  const flags = reader.u8();
  const renewals = reader.u8();
  const members = reader.u8();
  const ip = reader.bytes(4);
  const mac = reader.bytes(6);
  const holder = reader.bytes(ADDRESS_BYTES);
  const client = reader.bytes(reader.u8());
  const attestations = readAttestations(reader, members, renewals);
  if (!reader.ok) return dropped("truncated");
  if (!reader.finished()) return dropped("trailing-bytes");
  const proofFits = renewals > 0 === attestations.length > 0 && members <= MAX_ATTESTATIONS;
  if (flags > ALONE || renewals > MAX_RENEWALS || client.length === 0 || !proofFits) {
    return dropped("bad-field");
  }
  return parsed({
    ip: ipFromBytes(ip),
    mac: macFromBytes(mac),
    holder: addressFromBytes(holder),
    client: toHex(client),
    alone: flags === ALONE,
    renewals,
    attestations,
  });
}

/** @param body `ip` is IPv4; `client` is hex of 1..255 bytes; all attestations are of one kind */
export function emitLeaseBody(body: LeaseBody): Uint8Array {
  const client = fromHex(body.client) ?? new Uint8Array(0);
  const writer = new ByteWriter()
    .u8(FORM)
    .u8(body.alone ? ALONE : 0)
    .u8(body.renewals)
    .u8(body.attestations[0]?.members ?? 0)
    .bytes(ipToBytes(body.ip))
    .bytes(macToBytes(body.mac))
    .bytes(addressToBytes(body.holder))
    .u8(client.length)
    .bytes(client)
    .u8(body.attestations.length);
  for (const { replica, signature } of body.attestations) writer.block(replica).bytes(signature);
  return writer.finish();
}

function readAttestations(reader: ByteReader, members: number, renewals: number): Attestation[] {
  const out: Attestation[] = [];
  const count = reader.u8();
  if (count > MAX_ATTESTATIONS) reader.ok = false;
  for (let i = 0; i < count && reader.ok; i++) {
    const replica = reader.block(MAX_CHAIN_BYTES);
    out.push({ replica, signature: reader.bytes(SIGNATURE_BYTES), members, renewals });
  }
  return out;
}
