/**
 * Decides who gets a certificate of this member, where the authority lets it issue. That an invite is used
 * is written down before its answer leaves: of many that use it at once exactly one gets in, also across
 * a restart.
 *
 *      question ──> refused ──────────────────────────────> answer
 *          └──> granted ──> keep (the agent writes) ──> kept ──> answer
 */
import { equalBytes, fromHex, toHex } from "../base/bytes.ts";
import type { DropReason } from "../base/drop-reason.ts";
import { Outbox } from "../base/machine.ts";
import type { Ip } from "../base/net.ts";
import type { Rng } from "../base/rng.ts";
import { dateFaultOf } from "../crypto/authority-rules.ts";
import { type Certificate, SALT_BYTES } from "../crypto/certificate.ts";
import { parseChain } from "../crypto/certificate-chain.ts";
import type { ClusterKeys } from "../crypto/cluster-keys.ts";
import type { Identity } from "../crypto/identity.ts";
import {
  isSignedByAsker,
  type OpenedQuestion,
  openQuestion,
  sealAnswer,
} from "../crypto/issue-seal.ts";
import { signAsMember } from "../crypto/issuing.ts";
import type { Membership } from "../crypto/membership.ts";
import type { OwnCertificate } from "../crypto/own-certificate.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import { emitAnswer, INVITE_SECRET_BYTES, type IssueAnswer, type Refusal } from "../wire/issue.ts";
import { type Invite, Invites, usedBy } from "./invites.ts";

const NONCE_BYTES = 12;
const SERIAL_BYTES = 8;

export interface IssuerOptions {
  readonly suite: CryptoSuite;
  readonly rng: Rng;
  readonly keys: ClusterKeys;
  readonly identity: Identity;
  readonly membership: Membership;
  readonly own: OwnCertificate;
  readonly invites: readonly Invite[];
}

export interface InviteWish {
  readonly name: string;
  readonly groups: readonly string[];
  readonly claims: readonly Ip[];
  readonly seconds: number;
}

/** What the token of an invite holds. */
export interface Invited {
  readonly invite: Invite;
  readonly secret: Uint8Array;
}

/** `W` is the way an answer goes back, `K` what waits for the file. */
export type IssuerOutput<W> =
  | { readonly kind: "answer"; readonly way: W; readonly sealed: Uint8Array }
  | { readonly kind: "keep"; readonly keeping: number; readonly invites: readonly Invite[] }
  | { readonly kind: "invited"; readonly id: number; readonly invited: Invited }
  | { readonly kind: "not-invited"; readonly id: number; readonly why: string };

interface Answerable<W> {
  readonly way: W;
  readonly opened: OpenedQuestion;
}

/** What happens once the invites are on disk, or are not. */
type Keeping<W> =
  | { readonly kind: "grant"; readonly before: Invite; readonly to: Answerable<W> }
  | { readonly kind: "invite"; readonly id: number; readonly invited: Invited };

interface Rotated {
  readonly publicKey: Uint8Array;
  readonly salt: Uint8Array;
  /** Unix seconds */
  readonly until: number;
}

/** Keys are replaced when one is lost, not as a habit. */
const ROTATE_AGAIN_SECONDS = 86_400;
/** As many as one issuer's members that replace a key within a day. */
const MAX_ROTATED = 1_024;

export class Issuer<W> {
  readonly #options: IssuerOptions;
  readonly #invites: Invites;
  readonly #out = new Outbox<IssuerOutput<W>>();
  /** The agent answers each before the next input: one at a time in practice. */
  readonly #keeping = new Map<number, Keeping<W>>();
  /** Other keys that were certified for a serial number, oldest first. */
  readonly #rotated = new Map<bigint, Rotated>();
  #nextKeeping = 1;

  constructor(options: IssuerOptions) {
    this.#options = options;
    this.#invites = new Invites(options.invites);
  }

  poll(): IssuerOutput<W> | undefined {
    return this.#out.poll();
  }

  /** @param id the command's, for the outcome */
  invite(wallSeconds: number, id: number, wish: InviteWish): void {
    const { suite, rng, own } = this.#options;
    const refuse = (why: string): void => this.#out.push({ kind: "not-invited", id, why });
    if (!this.#mayIssue(wallSeconds)) return refuse(mayNotIssue(own.member.certificate));
    const beyond = beyondOwn(wish, own.member.certificate);
    if (beyond !== undefined) return refuse(beyond);
    const secret = rng.bytes(INVITE_SECRET_BYTES);
    const { name, groups, claims, seconds } = wish;
    const trial = { publicKey: rng.bytes(32), name, groups, claims };
    if (this.#sign(wallSeconds, trial) === undefined) {
      return refuse("its certificate would be too long: give fewer or shorter groups and claims");
    }
    const invite: Invite = {
      number: toHex(rng.bytes(SERIAL_BYTES)),
      ...{ name, groups, claims },
      secretHash: toHex(suite.blake2b(32, secret)),
      ends: wallSeconds + seconds,
    };
    if (!this.#invites.add(wallSeconds, invite)) {
      return refuse("too many invites are open: wait until some ended, or use weft sign");
    }
    this.#keep({ kind: "invite", id, invited: { invite, secret } });
  }

  /** @returns why the question was dropped without an answer */
  ask(wallSeconds: number, way: W, sealed: Uint8Array): DropReason | undefined {
    const { suite, keys, identity } = this.#options;
    const opened = openQuestion(suite, keys, identity.dh, sealed);
    if (opened === undefined) return "bad-tag";
    const to = { way, opened };
    if (!this.#mayIssue(wallSeconds)) this.#refuse(to, "may-not-issue");
    else if (opened.question.kind === "redeem") this.#redeem(wallSeconds, to, opened.question);
    else this.#renew(wallSeconds, to, opened.question);
    return undefined;
  }

  /** The agent wrote what `keep` said, or could not. */
  kept(keeping: number, ok: boolean): void {
    const waiting = this.#keeping.get(keeping);
    this.#keeping.delete(keeping);
    if (waiting?.kind === "invite") this.#inviteKept(waiting, ok);
    else if (waiting !== undefined) this.#grantKept(waiting, ok);
  }

  #inviteKept({ id, invited }: Extract<Keeping<W>, { kind: "invite" }>, ok: boolean): void {
    if (ok) return this.#out.push({ kind: "invited", id, invited });
    this.#invites.remove(invited.invite.number);
    this.#out.push({
      kind: "not-invited",
      id,
      why: "the invite cannot be written: see weft status",
    });
  }

  #grantKept({ before, to }: Extract<Keeping<W>, { kind: "grant" }>, ok: boolean): void {
    const { invite, secret } = redeemed(to.opened);
    const now = this.#invites.find(invite, this.#hash(secret));
    const certificate = now?.used?.certificate;
    if (ok && certificate !== undefined) return this.#grant(to, certificate);
    this.#invites.set(before);
    this.#refuse(to, "not-saved");
  }

  #redeem(
    wallSeconds: number,
    to: Answerable<W>,
    question: Extract<OpenedQuestion["question"], { kind: "redeem" }>,
  ): void {
    const { suite, keys } = this.#options;
    const { publicKey } = question;
    if (!isSignedByAsker(suite, keys, to.opened, undefined))
      return this.#refuse(to, "bad-question");
    const invite = this.#invites.find(question.invite, this.#hash(question.secret));
    if (invite === undefined) return this.#refuse(to, "unknown");
    if (invite.used !== undefined) {
      if (invite.used.publicKey !== toHex(publicKey)) return this.#refuse(to, "used");
      // Its first answer was lost, or is still being written down.
      if (!this.#isBeingKept(invite)) this.#grantAgain(wallSeconds, to, invite.used.certificate);
      return;
    }
    if (wallSeconds > invite.ends) return this.#refuse(to, "ended", invite.ends);
    const { name, groups, claims } = invite;
    // Who holds the invite knows by which number its user is shut out, before there is one.
    const line = { serial: BigInt(`0x${invite.number}`) };
    const certificate = this.#sign(wallSeconds, { publicKey, name, groups, claims }, line);
    if (certificate === undefined) return this.#refuse(to, "too-much");
    this.#invites.set(usedBy(invite, publicKey, certificate));
    this.#keep({ kind: "grant", before: invite, to });
  }

  #renew(
    wallSeconds: number,
    to: Answerable<W>,
    question: Extract<OpenedQuestion["question"], { kind: "renew" }>,
  ): void {
    const { suite, keys, membership } = this.#options;
    const member = membership.verify(question.certificate, wallSeconds);
    if (!member.ok) return this.#refuse(to, "not-valid");
    const old = member.value.certificate;
    if (!isSignedByAsker(suite, keys, to.opened, old.publicKey)) {
      return this.#refuse(to, "bad-question");
    }
    // What the authority granted itself is the authority's to grant again.
    if (old.mayIssue || member.value.issuers.length === 0) return this.#refuse(to, "too-much");
    const { name, groups, claims } = old;
    const { publicKey } = question;
    const salt = this.#saltFor(wallSeconds, old, publicKey);
    if (salt === undefined) return this.#refuse(to, "too-much");
    // One serial number for all that came of one grant: revoked by it, no older key is left to return with.
    const line = { serial: old.serial, salt };
    const certificate = this.#sign(wallSeconds, { publicKey, name, groups, claims }, line);
    if (certificate === undefined) return this.#refuse(to, "too-much");
    this.#answer(to, { kind: "granted", certificate });
  }

  /**
   * Key and salt give a place on the ring. The same key keeps its salt, another one gets one of ours, and
   * the same again when it asks again; one grant has at most one other key a day.
   *
   * @returns undefined: not yet
   */
  #saltFor(wallSeconds: number, old: Certificate, publicKey: Uint8Array): Uint8Array | undefined {
    if (equalBytes(publicKey, old.publicKey)) return old.salt;
    const known = this.#rotated.get(old.serial);
    if (known !== undefined && equalBytes(known.publicKey, publicKey)) return known.salt;
    if (known !== undefined && wallSeconds < known.until) return undefined;
    const salt = this.#options.rng.bytes(SALT_BYTES);
    this.#rotated.delete(old.serial);
    this.#rotated.set(old.serial, { publicKey, salt, until: wallSeconds + ROTATE_AGAIN_SECONDS });
    const oldest = this.#rotated.keys().next();
    if (this.#rotated.size > MAX_ROTATED && !oldest.done) this.#rotated.delete(oldest.value);
    return salt;
  }

  /** @param line what stays of the certificate that this one replaces */
  #sign(
    wallSeconds: number,
    said: Pick<Certificate, "publicKey" | "name" | "groups" | "claims">,
    line: Partial<Pick<Certificate, "serial" | "salt">> = {},
  ): Uint8Array | undefined {
    const { suite, rng, identity, own } = this.#options;
    const { certificate } = own.member;
    const issuer = { signing: identity.signing, certificate, bytes: own.bytes };
    const serial = BigInt(`0x${toHex(rng.bytes(SERIAL_BYTES))}`);
    const salt = rng.bytes(SALT_BYTES);
    return signAsMember(suite, issuer, { ...said, serial, salt, ...line }, wallSeconds);
  }

  #mayIssue(wallSeconds: number): boolean {
    const { own, membership } = this.#options;
    const chain = parseChain(own.bytes);
    if (!chain.ok || !own.member.certificate.mayIssue) return false;
    if (membership.isRevoked(own.bytes)) return false;
    return dateFaultOf(chain.value, wallSeconds) === undefined;
  }

  #isBeingKept(invite: Invite): boolean {
    return [...this.#keeping.values()].some(
      (one) => one.kind === "grant" && one.before.number === invite.number,
    );
  }

  #keep(keeping: Keeping<W>): void {
    const number = this.#nextKeeping++;
    this.#keeping.set(number, keeping);
    this.#out.push({ kind: "keep", keeping: number, invites: this.#invites.list() });
  }

  #hash(secret: Uint8Array): Uint8Array {
    return this.#options.suite.blake2b(32, secret);
  }

  /** @param certificate hex; what ended meanwhile lets nobody in */
  #grantAgain(wallSeconds: number, to: Answerable<W>, certificate: string): void {
    const chain = parseChain(fromHex(certificate) ?? new Uint8Array(0));
    const fault = chain.ok ? dateFaultOf(chain.value, wallSeconds) : undefined;
    if (fault?.kind === "ended") return this.#refuse(to, "ended", fault.date);
    this.#grant(to, certificate);
  }

  /** @param certificate hex */
  #grant(to: Answerable<W>, certificate: string): void {
    const bytes = fromHex(certificate) ?? new Uint8Array(0);
    this.#answer(to, { kind: "granted", certificate: bytes });
  }

  #refuse(to: Answerable<W>, reason: Refusal, date = 0): void {
    this.#answer(to, { kind: "refused", reason, date });
  }

  #answer({ way, opened }: Answerable<W>, answer: IssueAnswer): void {
    const { suite, rng } = this.#options;
    const body = emitAnswer(answer);
    const sealed = sealAnswer(suite, opened.answerKey, rng.bytes(NONCE_BYTES), body);
    this.#out.push({ kind: "answer", way, sealed });
  }
}

function redeemed({ question }: OpenedQuestion): { invite: bigint; secret: Uint8Array } {
  return question.kind === "redeem" ? question : { invite: 0n, secret: new Uint8Array(0) };
}

function mayNotIssue({ mayIssue }: Certificate): string {
  return mayIssue
    ? "this member's certificate is not valid now: see weft status"
    : "this member may not issue: ask on one that may (weft members), or use weft sign";
}

function beyondOwn({ groups, claims }: InviteWish, own: Certificate): string | undefined {
  const group = groups.find((one) => !own.groups.includes(one));
  const claim = claims.find((one) => !own.claims.includes(one));
  if (group === undefined && claim === undefined) return undefined;
  const what = group === undefined ? `address ${claim ?? ""}` : `group ${group}`;
  return `this member's certificate has no ${what}, so it cannot give it: use weft sign`;
}
