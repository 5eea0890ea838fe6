/** Invites of one issuer: each makes one machine a member, once. */
import { equalSecret, fromHex, toHex } from "../base/bytes.ts";
import type { Ip } from "../base/net.ts";

/** Open ones and those of the last days; an issuer that hands out more at a time uses `weft sign`. */
export const MAX_INVITES = 256;
/** So long a token that ended, or was used, is answered with that reason and not as unknown. */
const REMEMBERED_SECONDS = 7 * 86_400;

/** As it is stored: whoever reads the file learns no secret. */
export interface Invite {
  /** 16 hex digits, drawn at random */
  readonly number: string;
  /** Of the member to be */
  readonly name: string;
  readonly groups: readonly string[];
  readonly claims: readonly Ip[];
  /** 64 hex digits: BLAKE2b-256 of the secret in the token */
  readonly secretHash: string;
  /** Unix seconds */
  readonly ends: number;
  /** Who used it: its key and what it got, in hex. */
  readonly used?: { readonly publicKey: string; readonly certificate: string };
}

export class Invites {
  #invites: readonly Invite[];

  constructor(saved: readonly Invite[]) {
    this.#invites = saved;
  }

  list(): readonly Invite[] {
    return this.#invites;
  }

  /** @returns false when too many are open */
  add(wallSeconds: number, invite: Invite): boolean {
    this.#forgetOld(wallSeconds);
    if (this.#invites.length >= MAX_INVITES) return false;
    this.#invites = [...this.#invites, invite];
    return true;
  }

  /** The invite of this number, when the secret is right too. */
  find(number: bigint, secretHash: Uint8Array): Invite | undefined {
    const name = number.toString(16).padStart(16, "0");
    const invite = this.#invites.find((one) => one.number === name);
    const hash = fromHex(invite?.secretHash ?? "");
    return hash !== undefined && equalSecret(hash, secretHash) ? invite : undefined;
  }

  /** Puts this one in the place of the one with its number. */
  set(invite: Invite): void {
    this.#invites = this.#invites.map((one) => (one.number === invite.number ? invite : one));
  }

  remove(number: string): void {
    this.#invites = this.#invites.filter((one) => one.number !== number);
  }

  #forgetOld(wallSeconds: number): void {
    this.#invites = this.#invites.filter(({ ends }) => wallSeconds < ends + REMEMBERED_SECONDS);
  }
}

export function usedBy(invite: Invite, publicKey: Uint8Array, certificate: Uint8Array): Invite {
  return {
    ...invite,
    used: { publicKey: toHex(publicKey), certificate: toHex(certificate) },
  };
}
