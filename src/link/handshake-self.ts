/** Both ends of a handshake payload: what this node says of itself, and what it accepts of a peer. */
import { type Parsed, parsed } from "../base/drop-reason.ts";
import type { Cipher, ReceiverIndex, SocketIndex } from "../base/engine.ts";
import type { Endpoint } from "../base/net.ts";
import type { RingAddress } from "../base/ring-address.ts";
import type { Rng } from "../base/rng.ts";
import type { Millis } from "../base/time.ts";
import { type ClusterKeys, handshakePrologue } from "../crypto/cluster-keys.ts";
import type { Identity } from "../crypto/identity.ts";
import { appendMacs } from "../crypto/mac.ts";
import type { Membership } from "../crypto/membership.ts";
import { NoiseHandshake } from "../crypto/noise.ts";
import { deriveSession, type SessionKeys } from "../crypto/session-keys.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import {
  CIPHER_BIT_AES,
  CIPHER_BIT_CHACHA,
  emitHandshakePayload,
  parseHandshakePayload,
  settleCipher,
} from "../wire/handshake-payload.ts";
import { MINOR_VERSION } from "../wire/message-type.ts";
import { CAPABILITY_POST_QUANTUM } from "./rekey-exchange.ts";
import { CAPABILITY_NO_RELAY, type RelayPolicy } from "./relay-policy.ts";
import { CAPABILITY_AGGRESSIVE, type TraversalMode } from "./traversal-mode.ts";

/** How a handshake message travels. */
export type Channel =
  | { readonly kind: "socket"; readonly socket: SocketIndex; readonly endpoint: Endpoint }
  | { readonly kind: "ring"; readonly address: RingAddress };

/** What a finished handshake proved about the peer. */
export interface PeerFacts {
  readonly address: RingAddress;
  readonly publicKey: Uint8Array;
  readonly certificate: Uint8Array;
  readonly name: string;
  readonly boot: bigint;
  readonly minorVersion: number;
  readonly capabilities: number;
  readonly digest: Uint8Array;
  readonly candidates: readonly Endpoint[];
  readonly relays: readonly RingAddress[];
  /** Where the peer sees us; undefined when it heard us over the ring. */
  readonly observed: Endpoint | undefined;
  readonly cipher: Cipher;
}

/** One end's result of a finished handshake. */
export interface HandshakeResult {
  readonly facts: PeerFacts;
  readonly keys: SessionKeys;
  readonly initiator: boolean;
  readonly receive: ReceiverIndex;
  readonly send: ReceiverIndex;
  /** The way the peer's last message came. */
  readonly channel: Channel;
  /** What we sent to that address and to no other was answered from there: the peer is there. */
  readonly isProven: boolean;
  /** At the initiator: from its last message 1 to the answer; 0 at the responder. */
  readonly roundTripMs: Millis;
}

/** What a node says of itself in handshakes, and proves it with. */
export interface SelfOptions {
  readonly suite: CryptoSuite;
  readonly rng: Rng;
  readonly membership: Membership;
  readonly keys: ClusterKeys;
  readonly identity: Identity;
  readonly certificate: Uint8Array;
  readonly address: RingAddress;
  readonly boot: bigint;
  readonly digest: Uint8Array;
  readonly hasAes: boolean;
  /** What this node relays for others; default: DEFAULT_RELAY_POLICY. */
  readonly relay?: RelayPolicy;
  /** How hard NATs are worked on; default: standard. */
  readonly traversal?: TraversalMode;
}

/** Where we may be found as of now: changes with every link. */
export interface OwnWhereabouts {
  whereabouts(): {
    readonly endpoints: readonly Endpoint[];
    readonly relays: readonly RingAddress[];
  };
}

export class HandshakeSelf {
  readonly options: SelfOptions;
  readonly #prologue: Uint8Array;
  readonly #ciphers: number;
  readonly #own: OwnWhereabouts;
  wallSeconds = 0;

  constructor(options: SelfOptions, own: OwnWhereabouts) {
    this.options = options;
    this.#own = own;
    this.#prologue = handshakePrologue(options.keys.networkId);
    this.#ciphers = CIPHER_BIT_CHACHA | (options.hasAes ? CIPHER_BIT_AES : 0);
  }

  drawIndex(): ReceiverIndex {
    return this.options.rng.u32() || 1;
  }

  noise(initiator: boolean, ephemeralSecret: Uint8Array): NoiseHandshake {
    const { suite, keys, identity } = this.options;
    return new NoiseHandshake({
      suite,
      initiator,
      prologue: this.#prologue,
      psk: keys.psk,
      static: identity.dh,
      ephemeralSecret,
    });
  }

  /** A finished datagram: the body with its MACs. */
  withMacs(body: Uint8Array, cookie?: Uint8Array): Uint8Array {
    const { suite, keys } = this.options;
    return appendMacs(suite, keys.mac1Key, body, cookie);
  }

  /** The payload for a peer at the other end of `channel`. */
  payload(channel: Channel): Uint8Array {
    const { certificate, boot, digest } = this.options;
    const { endpoints: candidates, relays } = this.#own.whereabouts();
    return emitHandshakePayload({
      minorVersion: MINOR_VERSION,
      capabilities: capabilitiesOf(this.options),
      revocation: 0,
      digest,
      boot,
      ciphers: this.#ciphers,
      certificate,
      ...(channel.kind === "socket" ? { observed: channel.endpoint } : {}),
      candidates,
      relays,
    });
  }

  /** Reasons: too-long, bad-field, bad-certificate, foreign-network. */
  judge(payload: Uint8Array, remoteStatic: Uint8Array): Parsed<PeerFacts> {
    const said = parseHandshakePayload(payload);
    if (!said.ok) return said;
    const { certificate, ciphers, observed, ...rest } = said.value;
    const { membership } = this.options;
    const member = membership.verifyPeer(certificate, remoteStatic, this.wallSeconds);
    if (!member.ok) return member;
    return parsed({
      ...rest,
      certificate,
      observed,
      address: member.value.address,
      publicKey: member.value.certificate.publicKey,
      name: member.value.certificate.name,
      cipher: settleCipher(this.#ciphers, ciphers),
    });
  }

  sessionKeys(noise: NoiseHandshake, initiator: boolean): SessionKeys {
    return deriveSession(this.options.suite, noise.split(), initiator);
  }
}

function capabilitiesOf({ relay, traversal, suite }: SelfOptions): number {
  const noRelay = relay?.kind === "off" ? CAPABILITY_NO_RELAY : 0;
  const mixes = suite.kem === undefined ? 0 : CAPABILITY_POST_QUANTUM;
  return noRelay | (traversal === "aggressive" ? CAPABILITY_AGGRESSIVE : 0) | mixes;
}
