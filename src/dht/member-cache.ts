import { toHex } from "../base/bytes.ts";
import type { Parsed } from "../base/drop-reason.ts";
import type { Member } from "../crypto/membership.ts";
import type { CryptoSuite } from "../crypto/suite.ts";

/** Certificates seen lately: members of a mid-size cluster, about 300 B each. */
const MAX_CACHED = 1_024;
const DIGEST_BYTES = 16;

type Verify = (certificate: Uint8Array, wallSeconds: number) => Parsed<Member>;

/** Remembers which certificates were found valid, so that each costs one signature check. */
export class MemberCache {
  readonly #suite: CryptoSuite;
  readonly #verify: Verify;
  readonly #members = new Map<string, Member>();
  #wallSeconds = 0;

  /** @param verify whom to count: who is a member, or also who was one */
  constructor(suite: CryptoSuite, verify: Verify) {
    this.#suite = suite;
    this.#verify = verify;
  }

  get wallSeconds(): number {
    return this.#wallSeconds;
  }

  /** Dates are judged anew: what was valid an hour ago may have ended. */
  setWall(wallSeconds: number): void {
    this.#wallSeconds = wallSeconds;
    this.forget();
  }

  /** Everybody is judged anew. */
  forget(): void {
    this.#members.clear();
  }

  /** Undefined when the certificate is not valid in this network now. */
  memberOf(certificate: Uint8Array): Member | undefined {
    const name = toHex(this.#suite.blake2b(DIGEST_BYTES, certificate));
    const known = this.#members.get(name);
    if (known !== undefined) return known;
    const verified = this.#verify(certificate, this.#wallSeconds);
    if (!verified.ok) return undefined;
    this.#remember(name, verified.value);
    return verified.value;
  }

  #remember(name: string, member: Member): void {
    if (this.#members.size >= MAX_CACHED) {
      const oldest = this.#members.keys().next();
      if (!oldest.done) this.#members.delete(oldest.value);
    }
    this.#members.set(name, member);
  }
}
