/**
 * What linked peers show of themselves: the certificate of their handshake, and later ones, of the same
 * key at the same place, in its stead.
 */
import type { DropReason } from "../base/drop-reason.ts";
import type { Millis } from "../base/time.ts";
import type { CertificateWatch } from "./certificate-watch.ts";
import type { DropCounters } from "./drop-counters.ts";
import type { CertifiedFacts, HandshakeSelf } from "./handshake-self.ts";
import type { LinkId, PeerInfo } from "./link-types.ts";
import { replacePeer } from "./peer-info.ts";

/** Each costs two checks of signatures, and members renew after half a month. */
const SHOWN_AGAIN_MS: Millis = 10_000;

interface Certified {
  readonly id: LinkId;
  peer: PeerInfo;
}

export class PeerCertificates {
  readonly #self: HandshakeSelf;
  readonly #watch: CertificateWatch;
  readonly #drops: DropCounters;
  /** Of each link, as many as there are: when it showed one in a message. */
  readonly #shownAt = new Map<LinkId, Millis>();

  constructor(self: HandshakeSelf, watch: CertificateWatch, drops: DropCounters) {
    this.#self = self;
    this.#watch = watch;
    this.#drops = drops;
  }

  /**
   * By a handshake. The link lives as long as the certificate shown last.
   *
   * @returns whether upper layers have to hear of it
   */
  shown(now: Millis, link: Certified, facts: CertifiedFacts): boolean {
    const { certificateEnd, ...said } = facts;
    this.#watch.linked(now, link.id, said.name, certificateEnd);
    return replacePeer(link, said);
  }

  /** By a message within the link. @returns whether upper layers have to hear of it */
  renewed(now: Millis, link: Certified, bytes: Uint8Array): boolean {
    if (now < (this.#shownAt.get(link.id) ?? Number.NEGATIVE_INFINITY) + SHOWN_AGAIN_MS) {
      return this.#drop("rate-limited");
    }
    this.#shownAt.set(link.id, now);
    const facts = this.#self.judgeRenewed(bytes, link.peer);
    return facts.ok ? this.shown(now, link, facts.value) : this.#drop(facts.reason);
  }

  forget(link: LinkId): void {
    this.#watch.forget(link);
    this.#shownAt.delete(link);
  }

  #drop(reason: DropReason): false {
    this.#drops.count(reason);
    return false;
  }
}
