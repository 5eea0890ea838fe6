/** Everything a cluster's 32-byte network key turns into. */
import { assert } from "../base/assert.ts";
import { concat, utf8 } from "../base/bytes.ts";
import { MAJOR_VERSION } from "../wire/message-type.ts";
import { deriveKey } from "./hkdf.ts";
import type { CryptoSuite, KeyPair } from "./suite.ts";

export const NETWORK_KEY_BYTES = 32;
export const NETWORK_ID_BYTES = 16;

export interface ClusterKeys {
  /** 16 bytes; names the network, secret to nobody. */
  readonly networkId: Uint8Array;
  /** 32 bytes, the psk of XXpsk3. */
  readonly psk: Uint8Array;
  /** 32 bytes; strangers without it get silence. */
  readonly mac1Key: Uint8Array;
  /** 32 bytes; password of members' STUN. */
  readonly stunKey: Uint8Array;
  /** 32 bytes, Ed25519; undefined in `secret:` mode. */
  readonly authority?: Uint8Array;
  /** Signs certificates in `secret:` mode. */
  readonly signing: KeyPair;
  /** 32 bytes; gives each public key its salt in `secret:` mode. */
  readonly saltKey: Uint8Array;
  /** 32 bytes; seals what members on one switch tell one another by multicast. */
  readonly lanKey: Uint8Array;
  /** 32 bytes; by it members bridged onto one LAN know each other. */
  readonly beaconKey: Uint8Array;
}

/**
 * @param networkKey 32 random bytes out of the cluster file
 * @param authority 32 bytes, Ed25519, out of the file too; undefined in `secret:` mode
 */
export function deriveClusterKeys(
  suite: CryptoSuite,
  networkKey: Uint8Array,
  authority?: Uint8Array,
): ClusterKeys {
  assert(networkKey.length === NETWORK_KEY_BYTES, "a network key has 32 bytes");
  const derive = (label: string, length: number): Uint8Array =>
    deriveKey(suite, networkKey, { label }, length);
  return {
    ...(authority === undefined ? {} : { authority }),
    networkId: derive("network id", NETWORK_ID_BYTES),
    psk: derive("handshake psk", 32),
    mac1Key: derive("mac1", 32),
    stunKey: derive("stun", 32),
    signing: suite.signingKeyPair(derive("certificate signing seed", 32)),
    saltKey: derive("certificate salt", 32),
    lanKey: derive("lan hello", 32),
    beaconKey: derive("bridge beacon", 32),
  };
}

/**
 * What both sides must agree on before the first byte of a handshake: "weft" | major | network id.
 *
 * @param networkId 16 bytes
 */
export function handshakePrologue(networkId: Uint8Array): Uint8Array {
  return concat(utf8("weft"), Uint8Array.of(MAJOR_VERSION), networkId);
}
