/**
 * The MAC record: behind which member a MAC address is. Kept in the DHT under hash(network, MAC).
 *
 *      0        1        2              8
 *      +--------+--------+--------------+---------------------------+
 *      | form 1 | 0      | mac 6 B      | holder's ring address 20 B |   body of a record of kind `mac`
 *      +--------+--------+--------------+---------------------------+
 */
import { ByteReader, ByteWriter, concat, utf8 } from "../base/bytes.ts";
import { dropped, type Parsed, parsed } from "../base/drop-reason.ts";
import { type Mac, macFromBytes, macToBytes } from "../base/net.ts";
import {
  ADDRESS_BYTES,
  addressFromBytes,
  addressToBytes,
  type RingAddress,
} from "../base/ring-address.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import { type RecordRule, VERSION_RULE } from "../dht/record-rule.ts";
import type { DhtRecord } from "../wire/record.ts";

export interface MacFacts {
  readonly mac: Mac;
  readonly holder: RingAddress;
  /** Ed25519 public key of the record's signer; the holder only if a link proves that they belong together. */
  readonly holderKey: Uint8Array;
}

const FORM = 1;
const KEY_LABEL = utf8("weft mac key 1");

export function macKey(suite: CryptoSuite, networkId: Uint8Array, mac: Mac): RingAddress {
  const text = concat(KEY_LABEL, networkId, macToBytes(mac));
  return addressFromBytes(suite.blake2b(ADDRESS_BYTES, text));
}

export function emitMacBody(mac: Mac, holder: RingAddress): Uint8Array {
  return new ByteWriter()
    .u8(FORM)
    .u8(0)
    .bytes(macToBytes(mac))
    .bytes(addressToBytes(holder))
    .finish();
}

/** Errors: `unknown-type`, `unknown-version`, `bad-field`, `truncated`, `trailing-bytes`. */
export function parseMacRecord(record: DhtRecord): Parsed<MacFacts> {
  if (record.kind !== "mac") return dropped("unknown-type");
  const reader = new ByteReader(record.body);
  if (reader.u8() !== FORM) return dropped("unknown-version");
  if (reader.u8() !== 0) return dropped("bad-field");
  const mac = macFromBytes(reader.bytes(6));
  const holder = addressFromBytes(reader.bytes(ADDRESS_BYTES));
  if (!reader.ok) return dropped("truncated");
  if (!reader.finished()) return dropped("trailing-bytes");
  return parsed({ mac, holder, holderKey: record.signer });
}

/** For the DHT's door: the key is the MAC's, the holder is the signer. */
export function macRule(suite: CryptoSuite, networkId: Uint8Array): RecordRule {
  return {
    ...VERSION_RULE,
    inspect(record, signer, wallSeconds) {
      const facts = parseMacRecord(record);
      if (!facts.ok) return facts;
      const isRight =
        facts.value.holder === signer.address &&
        record.key === macKey(suite, networkId, facts.value.mac);
      return isRight
        ? VERSION_RULE.inspect(record, signer, wallSeconds)
        : dropped("foreign-record");
    },
  };
}
