/**
 * Cookies: under load a responder does no key exchange for a sender that has not shown that it
 * receives at its address (the idea is WireGuard's and, before it, DTLS's).
 *
 *   asker                                    responder under load
 *     | --- handshake, mac1, mac2 = 0 ---------> |  no state kept
 *     | <-- cookie, sealed, bound to that mac1 - |
 *     | --- handshake, mac1, mac2 -------------> |  address shown, work is done
 *
 * A cookie is a keyed hash of the source endpoint, so the responder remembers nothing per sender.
 */
import { ByteWriter } from "../base/bytes.ts";
import type { Endpoint } from "../base/net.ts";
import type { Rng } from "../base/rng.ts";
import type { Millis } from "../base/time.ts";
import { COOKIE_NONCE_BYTES, type CookieReply, emitCookieReply } from "../wire/cookie.ts";
import { writeEndpoint } from "../wire/endpoint.ts";
import { MACS_BYTES, readSenderIndex } from "../wire/handshake.ts";
import { deriveKey } from "./hkdf.ts";
import { appendMacs, checkMac2, mac1Of } from "./mac.ts";
import type { CryptoSuite } from "./suite.ts";

/** The secret's age at which a new one is drawn; the one before still counts for as long again. */
export const COOKIE_SECRET_MS: Millis = 120_000;

const COOKIE_BYTES = 16;
/** Each sealing key is derived from a fresh random nonce and used once. */
const ZERO_NONCE = new Uint8Array(12);

export interface CookieJarOptions {
  readonly suite: CryptoSuite;
  readonly rng: Rng;
  readonly mac1Key: Uint8Array;
}

interface Secret {
  readonly bytes: Uint8Array;
  readonly drawnAt: Millis;
}

/** The responder's side. When it is under load is the caller's decision. */
export class CookieJar {
  readonly #options: CookieJarOptions;
  #current: Secret | undefined;
  #previous: Secret | undefined;

  constructor(options: CookieJarOptions) {
    this.#options = options;
  }

  /** Whether mac2 was made with a cookie that this jar gave to `source`. */
  checkMac2(now: Millis, source: Endpoint, datagram: Uint8Array): boolean {
    this.#rotate(now);
    return [this.#current, this.#previous].some(
      (secret) =>
        secret !== undefined &&
        checkMac2(this.#options.suite, this.#cookieOf(secret, source), datagram),
    );
  }

  /**
   * The whole cookie datagram for a handshake message whose mac1 is right; never longer than it.
   * Undefined for one too short to carry a sender index and two MACs.
   */
  reply(now: Millis, source: Endpoint, datagram: Uint8Array): Uint8Array | undefined {
    const receiver = readSenderIndex(datagram);
    if (receiver === undefined || datagram.length < MACS_BYTES) return undefined;
    const { suite, rng, mac1Key } = this.#options;
    const nonce = rng.bytes(COOKIE_NONCE_BYTES);
    const cookie = this.#cookieOf(this.#secret(now), source);
    const key = sealingKey(suite, mac1Key, nonce);
    const sealed = suite.seal(key, ZERO_NONCE, mac1Of(datagram), cookie);
    const whole = appendMacs(suite, mac1Key, emitCookieReply({ receiver, nonce, sealed }));
    return whole.length <= datagram.length ? whole : undefined;
  }

  #cookieOf(secret: Secret, source: Endpoint): Uint8Array {
    const bytes = writeEndpoint(new ByteWriter(), source).finish();
    return this.#options.suite.blake2b(COOKIE_BYTES, bytes, secret.bytes);
  }

  #secret(now: Millis): Secret {
    this.#rotate(now);
    this.#current ??= { bytes: this.#options.rng.bytes(32), drawnAt: now };
    return this.#current;
  }

  /** Secrets age whether or not anybody asks; nothing is drawn until a cookie is wanted. */
  #rotate(now: Millis): void {
    if (this.#current !== undefined && now - this.#current.drawnAt >= COOKIE_SECRET_MS) {
      this.#previous = this.#current;
      this.#current = undefined;
    }
    if (this.#previous !== undefined && now - this.#previous.drawnAt >= 2 * COOKIE_SECRET_MS) {
      this.#previous = undefined;
    }
  }
}

/**
 * The asker's side: the cookie to use for mac2, or undefined when the reply does not answer the
 * message whose mac1 is given.
 */
export function openCookieReply(
  suite: CryptoSuite,
  mac1Key: Uint8Array,
  reply: CookieReply,
  mac1Sent: Uint8Array,
): Uint8Array | undefined {
  const key = sealingKey(suite, mac1Key, reply.nonce);
  return suite.open(key, ZERO_NONCE, mac1Sent, reply.sealed);
}

function sealingKey(suite: CryptoSuite, mac1Key: Uint8Array, nonce: Uint8Array): Uint8Array {
  return deriveKey(suite, mac1Key, { label: "cookie", context: nonce }, 32);
}
