/** Both ends of a handshake payload: what this node says of itself, and what it accepts of a peer. */
import { equalBytes } from "../base/bytes.ts";
import { dropped, type Parsed, parsed } from "../base/drop-reason.ts";
import type { Cipher, ReceiverIndex, SocketIndex } from "../base/engine.ts";
import type { Endpoint } from "../base/net.ts";
import type { RingAddress } from "../base/ring-address.ts";
import type { Rng } from "../base/rng.ts";
import type { Millis } from "../base/time.ts";
import { type DateFault, endOf } from "../crypto/authority-rules.ts";
import { parseChain } from "../crypto/certificate-chain.ts";
import { type ClusterKeys, handshakePrologue } from "../crypto/cluster-keys.ts";
import type { Identity } from "../crypto/identity.ts";
import { appendMacs } from "../crypto/mac.ts";
import type { Member, Membership } from "../crypto/membership.ts";
import { NoiseHandshake } from "../crypto/noise.ts";
import type { NoticeBoard } from "../crypto/notice-board.ts";
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
import { CAPABILITY_SHARED_PART } from "../wire/shared-part.ts";
import { CAPABILITY_POST_QUANTUM } from "./rekey-exchange.ts";
import { CAPABILITY_NO_RELAY, type RelayPolicy } from "./relay-policy.ts";
import { CAPABILITY_AGGRESSIVE, type TraversalMode } from "./traversal-mode.ts";

/** How a handshake message travels. */
export type Channel =
  | { readonly kind: "socket"; readonly socket: SocketIndex; readonly endpoint: Endpoint }
  | { readonly kind: "ring"; readonly address: RingAddress };

/** What a valid certificate says of its holder. */
export interface CertifiedFacts {
  readonly address: RingAddress;
  readonly publicKey: Uint8Array;
  readonly certificate: Uint8Array;
  readonly name: string;
  readonly groups: readonly string[];
  readonly serial: bigint;
  readonly issuers: readonly Uint8Array[];
  /** Unix seconds, 0 = never. */
  readonly certificateEnd: number;
}

/** What a finished handshake proved about the peer. */
export interface PeerFacts extends CertifiedFacts {
  readonly boot: bigint;
  readonly minorVersion: number;
  readonly capabilities: number;
  readonly digest: Uint8Array;
  /** Of its newest revocations, 0 = none. */
  readonly revocation: number;
  /** Of the shared part that the authority signed; undefined: none. */
  readonly sharedNumber?: number;
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
  /** What the authority told this node so far; default: nothing. */
  readonly board?: NoticeBoard;
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
  /** As it travels; replaced when it is renewed. */
  certificate: Uint8Array;
  readonly #prologue: Uint8Array;
  readonly #ciphers: number;
  readonly #own: OwnWhereabouts;
  wallSeconds = 0;
  /** Told of certificates that were refused for their dates alone. */
  onDateFault: (fault: DateFault) => void = () => undefined;

  constructor(options: SelfOptions, own: OwnWhereabouts) {
    this.options = options;
    this.certificate = options.certificate;
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
    const { board, boot, digest } = this.options;
    const { endpoints: candidates, relays } = this.#own.whereabouts();
    const sharedNumber = board?.number("shared") ?? 0;
    return emitHandshakePayload({
      minorVersion: MINOR_VERSION,
      capabilities: capabilitiesOf(this.options),
      revocation: board?.number("revocations") ?? 0,
      digest,
      boot,
      ciphers: this.#ciphers,
      certificate: this.certificate,
      ...(channel.kind === "socket" ? { observed: channel.endpoint } : {}),
      candidates,
      relays,
      ...(sharedNumber > 0 ? { sharedNumber } : {}),
    });
  }

  /** Reasons: too-long, bad-field, bad-certificate, foreign-network, revoked. */
  judge(payload: Uint8Array, remoteStatic: Uint8Array): Parsed<PeerFacts> {
    const said = parseHandshakePayload(payload);
    if (!said.ok) return said;
    const { certificate, ciphers, observed, ...rest } = said.value;
    const { membership } = this.options;
    const member = membership.verifyPeer(certificate, remoteStatic, this.wallSeconds);
    if (!member.ok) {
      const fault = membership.dateFault(certificate, this.wallSeconds);
      if (fault !== undefined) this.onDateFault(fault);
      return member;
    }
    return parsed({
      ...rest,
      ...certifiedFacts(member.value, certificate),
      observed,
      cipher: settleCipher(this.#ciphers, ciphers),
    });
  }

  /**
   * A certificate in place of the one that a linked peer showed: for the same key and address, and not
   * an older one that grants what the newer does not. Reasons: those of `Membership.verify`, replayed.
   */
  judgeRenewed(
    bytes: Uint8Array,
    peer: Pick<PeerFacts, "publicKey" | "address" | "certificate">,
  ): Parsed<CertifiedFacts> {
    const member = this.options.membership.verify(bytes, this.wallSeconds);
    if (!member.ok) return member;
    const held = parseChain(peer.certificate);
    const since = held.ok ? held.value.leaf.certificate.notBefore : 0;
    if (member.value.certificate.notBefore < since) return dropped("replayed");
    const facts = certifiedFacts(member.value, bytes);
    const isSame = facts.address === peer.address && equalBytes(facts.publicKey, peer.publicKey);
    return isSame ? parsed(facts) : dropped("bad-certificate");
  }

  sessionKeys(noise: NoiseHandshake, initiator: boolean): SessionKeys {
    return deriveSession(this.options.suite, noise.split(), initiator);
  }
}

function certifiedFacts(
  { certificate, address, issuers }: Member,
  bytes: Uint8Array,
): CertifiedFacts {
  const { publicKey, name, groups, serial } = certificate;
  return {
    address,
    publicKey,
    certificate: bytes,
    name,
    groups,
    serial,
    issuers: issuers.map((issuer) => issuer.publicKey),
    certificateEnd: endOf([certificate, ...issuers]),
  };
}

function capabilitiesOf({ relay, traversal, suite }: SelfOptions): number {
  const noRelay = relay?.kind === "off" ? CAPABILITY_NO_RELAY : 0;
  const guesses = traversal === "aggressive" ? CAPABILITY_AGGRESSIVE : 0;
  const mixes = suite.kem === undefined ? 0 : CAPABILITY_POST_QUANTUM;
  return CAPABILITY_SHARED_PART | noRelay | guesses | mixes;
}
