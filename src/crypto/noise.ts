/**
 * Noise_XXpsk3_25519_ChaChaPoly_BLAKE2b and its sibling without psk, as a pure machine
 * (The Noise Protocol Framework, revision 34, sections 5, 9 and 10).
 *
 *   XX:   -> e     <- e, ee, s, es     -> s, se          XXpsk3 adds psk at the end of message 3
 *
 * With a psk every `e` is also mixed into the key (section 9.2), so message 1 ends in a tag. That
 * key is public, the tag finds damage only; the psk itself is proven by message 3.
 */
import { assert } from "../base/assert.ts";
import { concat, utf8 } from "../base/bytes.ts";
import { HASH_BYTES, noiseHkdf } from "./hkdf.ts";
import type { DhKeyPair } from "./identity.ts";
import type { CryptoSuite } from "./suite.ts";

export interface NoiseOptions {
  readonly suite: CryptoSuite;
  readonly initiator: boolean;
  readonly prologue: Uint8Array;
  /** 32 bytes; absent means plain XX. */
  readonly psk?: Uint8Array;
  readonly static: DhKeyPair;
  /** 32 random bytes, drawn by the caller, never used twice. */
  readonly ephemeralSecret: Uint8Array;
}

/** What a finished handshake leaves: 32-byte keys per direction and the 64-byte transcript hash. */
export interface NoiseSplit {
  readonly send: Uint8Array;
  readonly receive: Uint8Array;
  readonly hash: Uint8Array;
}

type Token = "e" | "s" | "ee" | "es" | "se" | "psk";

const XX: readonly (readonly Token[])[] = [["e"], ["e", "ee", "s", "es"], ["s", "se"]];
const XX_PSK3: readonly (readonly Token[])[] = [["e"], ["e", "ee", "s", "es"], ["s", "se", "psk"]];
const KEY_BYTES = 32;
const TAG_BYTES = 16;

/** All that a message changes; replaced as a whole, so that a bad message changes nothing. */
interface HandshakeState {
  readonly chainingKey: Uint8Array;
  readonly hash: Uint8Array;
  /** Undefined until the first key exchange. */
  readonly key: Uint8Array | undefined;
  readonly nonce: number;
  readonly remoteEphemeral: Uint8Array | undefined;
  readonly remoteStatic: Uint8Array | undefined;
  /** Messages written or read so far. */
  readonly step: number;
}

/** One side of one handshake. Write and read take turns; the initiator writes first. */
export class NoiseHandshake {
  readonly #options: NoiseOptions;
  readonly #ephemeral: DhKeyPair;
  readonly #pattern: readonly (readonly Token[])[];
  #state: HandshakeState;

  constructor(options: NoiseOptions) {
    assert(options.ephemeralSecret.length === KEY_BYTES, "an ephemeral secret has 32 bytes");
    const { suite, psk, ephemeralSecret } = options;
    this.#options = options;
    this.#ephemeral = {
      publicKey: suite.x25519Public(ephemeralSecret),
      secretKey: ephemeralSecret,
    };
    this.#pattern = psk === undefined ? XX : XX_PSK3;
    this.#state = startState(options);
  }

  /** True after message 3. */
  get done(): boolean {
    return this.#state.step === this.#pattern.length;
  }

  /** The peer's X25519 public key once its message has been read; proven when `done`. */
  get remoteStatic(): Uint8Array | undefined {
    return this.#state.remoteStatic;
  }

  /** The next message. Out of turn is a bug. */
  write(payload: Uint8Array): Uint8Array {
    assert(!this.done && this.#isOurTurn(), "Noise message out of turn");
    let state = this.#state;
    const parts: Uint8Array[] = [];
    for (const token of this.#tokens()) {
      const step = this.#writeToken(state, token);
      state = step.state;
      parts.push(step.out);
    }
    const sealed = encryptAndHash(this.#options.suite, state, payload);
    this.#state = { ...sealed.state, step: state.step + 1 };
    return concat(...parts, sealed.out);
  }

  /**
   * The payload, or undefined for a message that is not the peer's next one. Then nothing has
   * changed: a forged message must not keep out the true one (CVE-2021-4239).
   */
  read(message: Uint8Array): Uint8Array | undefined {
    if (this.done || this.#isOurTurn()) return undefined;
    let state = this.#state;
    let rest = message;
    for (const token of this.#tokens()) {
      const step = this.#readToken(state, token, rest);
      if (step === undefined) return undefined;
      state = step.state;
      rest = step.rest;
    }
    const opened = decryptAndHash(this.#options.suite, state, rest);
    if (opened === undefined) return undefined;
    this.#state = { ...opened.state, step: state.step + 1 };
    return opened.out;
  }

  /** Only when `done`. Giving the same answer each time, it does not end the machine's life. */
  split(): NoiseSplit {
    assert(this.done, "split of an unfinished handshake");
    const { suite, initiator } = this.#options;
    const { chainingKey, hash } = this.#state;
    const [first, second] = hkdfPair(suite, chainingKey, new Uint8Array(0));
    const [mine, theirs] = initiator ? [first, second] : [second, first];
    return {
      send: mine.slice(0, KEY_BYTES),
      receive: theirs.slice(0, KEY_BYTES),
      hash: hash.slice(),
    };
  }

  #isOurTurn(): boolean {
    return (this.#state.step % 2 === 0) === this.#options.initiator;
  }

  #tokens(): readonly Token[] {
    return this.#pattern[this.#state.step] ?? [];
  }

  #writeToken(state: HandshakeState, token: Token): { state: HandshakeState; out: Uint8Array } {
    const { suite } = this.#options;
    switch (token) {
      case "e": {
        const out = this.#ephemeral.publicKey;
        return { state: this.#mixEphemeral(state, out), out };
      }
      case "s":
        return encryptAndHash(suite, state, this.#options.static.publicKey);
      default: {
        const mixed = this.#mixToken(state, token);
        // Every remote key was tried against a low order when it was read.
        assert(mixed !== undefined, "key exchange with a checked key");
        return { state: mixed, out: new Uint8Array(0) };
      }
    }
  }

  #readToken(
    state: HandshakeState,
    token: Token,
    message: Uint8Array,
  ): { state: HandshakeState; rest: Uint8Array } | undefined {
    if (token === "e") return this.#readEphemeral(state, message);
    if (token === "s") return this.#readStatic(state, message);
    const mixed = this.#mixToken(state, token);
    return mixed && { state: mixed, rest: message };
  }

  #readEphemeral(
    state: HandshakeState,
    message: Uint8Array,
  ): { state: HandshakeState; rest: Uint8Array } | undefined {
    if (message.length < KEY_BYTES) return undefined;
    const remoteEphemeral = message.slice(0, KEY_BYTES);
    // A point of low order gives zero with any secret; found here, `write` can never meet it.
    const { suite } = this.#options;
    if (suite.x25519(this.#ephemeral.secretKey, remoteEphemeral) === undefined) return undefined;
    const mixed = this.#mixEphemeral(state, remoteEphemeral);
    return { state: { ...mixed, remoteEphemeral }, rest: message.subarray(KEY_BYTES) };
  }

  #readStatic(
    state: HandshakeState,
    message: Uint8Array,
  ): { state: HandshakeState; rest: Uint8Array } | undefined {
    const length = KEY_BYTES + TAG_BYTES;
    if (message.length < length) return undefined;
    const opened = decryptAndHash(this.#options.suite, state, message.subarray(0, length));
    if (opened === undefined) return undefined;
    const learned = { ...opened.state, remoteStatic: opened.out };
    return { state: learned, rest: message.subarray(length) };
  }

  #mixEphemeral(state: HandshakeState, publicKey: Uint8Array): HandshakeState {
    const { suite, psk } = this.#options;
    const hashed = mixHash(suite, state, publicKey);
    return psk === undefined ? hashed : mixKey(suite, hashed, publicKey);
  }

  /** The key exchanges and the psk; undefined when a result is all zero. */
  #mixToken(state: HandshakeState, token: "ee" | "es" | "se" | "psk"): HandshakeState | undefined {
    const { suite, initiator, psk } = this.#options;
    if (token === "psk") {
      assert(psk !== undefined && psk.length === KEY_BYTES, "a psk has 32 bytes");
      return mixKeyAndHash(suite, state, psk);
    }
    const ownStatic = token === (initiator ? "se" : "es");
    const theirStatic = token === (initiator ? "es" : "se");
    const secret = ownStatic ? this.#options.static.secretKey : this.#ephemeral.secretKey;
    const peer = theirStatic ? state.remoteStatic : state.remoteEphemeral;
    assert(peer !== undefined, "the pattern names a key before it arrived");
    const shared = suite.x25519(secret, peer);
    return shared && mixKey(suite, state, shared);
  }
}

function startState(options: NoiseOptions): HandshakeState {
  const modifier = options.psk === undefined ? "" : "psk3";
  const name = utf8(`Noise_XX${modifier}_25519_ChaChaPoly_BLAKE2b`);
  const hash = new Uint8Array(HASH_BYTES);
  hash.set(name);
  const state: HandshakeState = {
    chainingKey: hash,
    hash,
    key: undefined,
    nonce: 0,
    remoteEphemeral: undefined,
    remoteStatic: undefined,
    step: 0,
  };
  return mixHash(options.suite, state, options.prologue);
}

function mixHash(suite: CryptoSuite, state: HandshakeState, data: Uint8Array): HandshakeState {
  return { ...state, hash: suite.blake2b(HASH_BYTES, concat(state.hash, data)) };
}

function mixKey(suite: CryptoSuite, state: HandshakeState, input: Uint8Array): HandshakeState {
  const [chainingKey, key] = hkdfPair(suite, state.chainingKey, input);
  return { ...state, chainingKey, key: key.slice(0, KEY_BYTES), nonce: 0 };
}

function mixKeyAndHash(suite: CryptoSuite, state: HandshakeState, psk: Uint8Array): HandshakeState {
  const [chainingKey, toHash, key] = noiseHkdf(suite, state.chainingKey, psk, 3);
  assert(chainingKey && toHash && key, "three outputs");
  const hashed = mixHash(suite, { ...state, chainingKey }, toHash);
  return { ...hashed, key: key.slice(0, KEY_BYTES), nonce: 0 };
}

function encryptAndHash(
  suite: CryptoSuite,
  state: HandshakeState,
  plain: Uint8Array,
): { state: HandshakeState; out: Uint8Array } {
  if (state.key === undefined) return { state: mixHash(suite, state, plain), out: plain };
  const out = suite.seal(state.key, noiseNonce(state.nonce), state.hash, plain);
  return { state: { ...mixHash(suite, state, out), nonce: state.nonce + 1 }, out };
}

function decryptAndHash(
  suite: CryptoSuite,
  state: HandshakeState,
  sealed: Uint8Array,
): { state: HandshakeState; out: Uint8Array } | undefined {
  if (state.key === undefined) {
    return { state: mixHash(suite, state, sealed), out: sealed.slice() };
  }
  const out = suite.open(state.key, noiseNonce(state.nonce), state.hash, sealed);
  return out && { state: { ...mixHash(suite, state, sealed), nonce: state.nonce + 1 }, out };
}

/** Section 12.1: 32 zero bits, then the counter, little endian. A handshake stays below 2^8. */
export function noiseNonce(counter: number): Uint8Array {
  const nonce = new Uint8Array(12);
  nonce[4] = counter;
  return nonce;
}

function hkdfPair(
  suite: CryptoSuite,
  chainingKey: Uint8Array,
  input: Uint8Array,
): [Uint8Array, Uint8Array] {
  const [first, second] = noiseHkdf(suite, chainingKey, input, 2);
  assert(first && second, "two outputs");
  return [first, second];
}
