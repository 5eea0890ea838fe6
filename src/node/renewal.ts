/**
 * A certificate that a member issued renews itself: from the middle of its life on its holder asks the
 * issuer, and then any member it is linked to that may issue, until one grants a new one.
 */
import { toHex } from "../base/bytes.ts";
import type { RingAddress } from "../base/ring-address.ts";
import { jitter, type Rng } from "../base/rng.ts";
import { type Millis, NEVER } from "../base/time.ts";
import { dateFaultOf, endOf } from "../crypto/authority-rules.ts";
import type { Certificate } from "../crypto/certificate.ts";
import { parseChain } from "../crypto/certificate-chain.ts";
import { ringAddressOf } from "../crypto/membership.ts";
import type { OwnCertificate } from "../crypto/own-certificate.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import { dateText } from "./date-text.ts";

const DAY_SECONDS = 86_400;
/** After everybody was asked once. */
const AGAIN_MS: Millis = 3_600_000;
/** With less than a day left. */
const HURRIED_MS: Millis = 300_000;
/** The ring may still settle when a node starts. */
const FIRST_MS: Millis = 20_000;
/** Issuers asked in one round; most clusters have two or three. */
const MAX_ASKED = 8;
const WARN_SECONDS = 7 * DAY_SECONDS;
/** What only the authority can sign again needs a person, and people need time. */
const WARN_BY_HAND_SECONDS = 30 * DAY_SECONDS;

/** A member that may issue. */
export interface IssuingPeer {
  /** 32 bytes, Ed25519 */
  readonly publicKey: Uint8Array;
  readonly address: RingAddress;
}

export class Renewal {
  readonly #suite: CryptoSuite;
  readonly #rng: Rng;
  readonly #own: OwnCertificate;
  readonly #asked = new Set<string>();
  #nextAt: Millis;
  #lastFault: string | undefined;

  constructor(suite: CryptoSuite, rng: Rng, own: OwnCertificate) {
    this.#suite = suite;
    this.#rng = rng;
    this.#own = own;
    this.#nextAt = NEVER;
  }

  start(now: Millis): void {
    if (this.#own.member.issuers.length > 0) this.#nextAt = now + FIRST_MS;
  }

  deadline(): Millis {
    return this.#nextAt;
  }

  /** Whom to ask now; undefined when nothing is due or everybody was asked. */
  due(
    now: Millis,
    wallSeconds: number,
    linked: () => readonly IssuingPeer[],
  ): IssuingPeer | undefined {
    if (now < this.#nextAt) return undefined;
    const left = this.#end - wallSeconds;
    if (this.#end === 0 || left > this.#renewBefore) return this.#rest(now, left);
    const all = [...this.issuers(), ...linked()].slice(0, MAX_ASKED);
    const next = all.find(({ publicKey }) => !this.#asked.has(toHex(publicKey)));
    if (next === undefined) return this.#rest(now, left);
    this.#asked.add(toHex(next.publicKey));
    // Until its answer comes, or is given up.
    this.#nextAt = NEVER;
    return next;
  }

  /** The one asked last refused, did not answer, or gave nothing of use: the next one may be asked. */
  failed(now: Millis, why: string): void {
    this.#lastFault = why;
    this.#nextAt = now;
  }

  renewed(now: Millis): void {
    this.#lastFault = undefined;
    this.#asked.clear();
    this.#nextAt = now + AGAIN_MS;
  }

  /** A line for status, while somebody has to know. */
  health(wallSeconds: number): string | undefined {
    const chain = parseChain(this.#own.bytes);
    const fault = chain.ok ? dateFaultOf(chain.value, wallSeconds) : undefined;
    const clock = `the clock here says ${dateText(wallSeconds)}`;
    if (fault?.kind === "early") {
      return `this node's certificate starts in the future (${dateText(fault.date)}): check the clock, ${clock}`;
    }
    if (fault?.kind === "ended") {
      return `this node's certificate ended on ${dateText(fault.date)} and peers refuse it: have its key signed again, or check the clock, ${clock}`;
    }
    const left = this.#end - wallSeconds;
    if (this.#end === 0) return undefined;
    const ends = `this node's certificate ends on ${dateText(this.#end)}`;
    if (this.#own.member.issuers.length === 0) {
      return left > WARN_BY_HAND_SECONDS
        ? undefined
        : `${ends}: have its key signed again by weft sign`;
    }
    if (left > WARN_SECONDS) return undefined;
    return `${ends} and could not be renewed (${this.#lastFault ?? "no issuer was asked yet"}): see that a member that may issue is up`;
  }

  #rest(now: Millis, left: number): undefined {
    this.#asked.clear();
    const wait = left < DAY_SECONDS ? HURRIED_MS : AGAIN_MS;
    this.#nextAt = this.#end === 0 ? NEVER : now + jitter(this.#rng, wait, 0.1);
    return undefined;
  }

  get #end(): number {
    const { certificate, issuers } = this.#own.member;
    return endOf([certificate, ...issuers]);
  }

  /** Half of its life, in seconds. */
  get #renewBefore(): number {
    const { notBefore, notAfter } = this.#own.member.certificate;
    return (notAfter - notBefore) / 2;
  }

  /** Who signed the certificate that this node has. */
  issuers(): IssuingPeer[] {
    return this.#own.member.issuers.map(({ salt, publicKey }: Certificate) => ({
      publicKey,
      address: ringAddressOf(this.#suite, salt, publicKey),
    }));
  }
}
