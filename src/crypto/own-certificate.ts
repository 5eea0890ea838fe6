import type { Identity } from "./identity.ts";
import type { Member, Membership } from "./membership.ts";

/** This node's certificate, which a renewal replaces while others hold on to it. */
export class OwnCertificate {
  readonly #membership: Membership;
  readonly #identity: Identity;
  #own: Member & { readonly bytes: Uint8Array };

  constructor(
    membership: Membership,
    identity: Identity,
    own: Member & { readonly bytes: Uint8Array },
  ) {
    this.#membership = membership;
    this.#identity = identity;
    this.#own = own;
  }

  get member(): Member {
    return this.#own;
  }

  /** As it travels. */
  get bytes(): Uint8Array {
    return this.#own.bytes;
  }

  /** @returns false when it is not for this key and this place on the ring: nothing changed then */
  replace(bytes: Uint8Array): boolean {
    const next = this.#membership.adoptOwn(this.#identity, bytes);
    if (!next.ok || next.value.address !== this.#own.address) return false;
    this.#own = next.value;
    return true;
  }
}
