/**
 * What members say of the shared part of their cluster files. Digests travel in the handshake; where
 * they differ both sides send their values (wire/shared-part.ts), and each names the keys to its people.
 *
 *      link-up ── equal digests ─────────────> nothing to say
 *         └────── other, peer cannot tell ───> "uses another cluster file"
 *         └────── other ── awaited ── told ──> "has another range: ..."
 *
 * A node asks for no address while it has no majority for its own range among itself and the linked
 * members: an address that others would hold by other rules is nobody's (docs/PROTOCOL.md, Leases).
 */
import { equalBytes, toHex, utf8 } from "../base/bytes.ts";
import type { DropReason } from "../base/drop-reason.ts";
import { type Millis, NEVER } from "../base/time.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import type { LinkId, PeerInfo } from "../link/link-types.ts";
import {
  CAPABILITY_SHARED_PART,
  emitSharedPart,
  parseSharedPart,
  type SharedValue,
  VALUE_DIGEST_BYTES,
} from "../wire/shared-part.ts";

/** One key of the shared part, its value as canonical text. */
export interface SharedSetting {
  readonly key: string;
  readonly text: string;
}

interface Told {
  readonly name: string;
  readonly state: "equal" | "silent" | "awaited" | "told";
  /** What differs, by key. */
  readonly differences: readonly Difference[];
}

interface Difference {
  readonly key: string;
  /** Empty when it was not told; undefined when the key is not there. */
  readonly there: string | undefined;
  readonly here: string | undefined;
}

/** As for notices: a link that carried nothing for four transmissions is rarely well a second later. */
const RETRY_MS: Millis = 2_000;
/** Shortest digest the suites make; the message carries its head. */
const DIGEST_BYTES = 16;

export class SharedParts {
  readonly #digest: Uint8Array;
  readonly #own: readonly SharedValue[];
  /** One for each link: as many as the link table holds. */
  readonly #told = new Map<LinkId, Told>();
  /** When to tell whom once more, at most once for each link. */
  readonly #again = new Map<LinkId, Millis>();

  constructor(
    suite: CryptoSuite,
    own: { readonly digest: Uint8Array; readonly settings: readonly SharedSetting[] },
  ) {
    this.#digest = own.digest;
    this.#own = own.settings
      .map(({ key, text }) => {
        const digest = suite.blake2b(DIGEST_BYTES, utf8(text)).slice(0, VALUE_DIGEST_BYTES);
        return { key, digest, text: isPrintable(text) ? text : "" };
      })
      .sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  /** @returns what the peer has to be told, when its file is another one */
  linkUp(peer: PeerInfo): Uint8Array | undefined {
    const { name } = peer;
    const isEqual = equalBytes(peer.digest, this.#digest);
    const canTell = (peer.capabilities & CAPABILITY_SHARED_PART) !== 0;
    const state = isEqual ? "equal" : canTell ? "awaited" : "silent";
    this.#told.set(peer.link, { name, state, differences: [] });
    return this.messageFor(peer.link);
  }

  /** What the peer behind a link has to be told, as long as its file may be another one. */
  messageFor(link: LinkId): Uint8Array | undefined {
    const state = this.#told.get(link)?.state;
    return state === "awaited" || state === "told" ? emitSharedPart(this.#own) : undefined;
  }

  /** Without it the peer goes on as if our range were another one: it is said until it was heard. */
  notHeard(now: Millis, link: LinkId): void {
    if (this.#told.has(link)) this.#again.set(link, now + RETRY_MS);
  }

  deadline(): Millis {
    let at = NEVER;
    for (const again of this.#again.values()) at = Math.min(at, again);
    return at;
  }

  /** Links whose peers have to be told again now. */
  takeDue(now: Millis): LinkId[] {
    const due = [...this.#again].filter(([, at]) => at <= now).map(([link]) => link);
    for (const link of due) this.#again.delete(link);
    return due;
  }

  linkDown(link: LinkId): void {
    this.#told.delete(link);
    this.#again.delete(link);
  }

  /** @returns why the message was dropped, if it was */
  receive(link: LinkId, bytes: Uint8Array): DropReason | undefined {
    const said = parseSharedPart(bytes);
    if (!said.ok) return said.reason;
    const before = this.#told.get(link);
    // One whose digest is ours has nothing to say, and is not asked to contradict itself.
    if (before === undefined || before.state === "equal") return undefined;
    const differences = differencesOf(this.#own, said.value);
    this.#told.set(link, { name: before.name, state: "told", differences });
    return undefined;
  }

  /** Members of older versions cannot tell: the replicas' own rules stand against them. */
  get isRangeDisputed(): boolean {
    let others = 0;
    for (const told of this.#told.values()) if (hasOtherRange(told)) others++;
    return others > 0 && 2 * others >= this.#told.size + 1;
  }

  /** Lines for people, each with its cure. */
  lines(): string[] {
    const lines: string[] = [];
    if (this.isRangeDisputed) {
      lines.push(
        "no new address is leased: most linked members have another range; make it the same in every file and restart",
      );
    }
    for (const told of this.#told.values()) {
      const { name, state, differences } = told;
      if (state === "equal") continue;
      lines.push(
        differences.length > 0
          ? `${name} has another ${differences.map(differenceText).join("; another ")}: make both files the same and restart`
          : `${name} uses another cluster file: compare range, lease, mtu, domain, nodes and reservations on both sides`,
      );
    }
    return lines;
  }
}

/** As long as it is not known what differs it may be the range. */
function hasOtherRange({ state, differences }: Told): boolean {
  return state === "awaited" || differences.some(({ key }) => key === "range");
}

function differencesOf(here: readonly SharedValue[], there: readonly SharedValue[]): Difference[] {
  const keys = new Set([...here, ...there].map(({ key }) => key));
  const out: Difference[] = [];
  for (const key of [...keys].sort()) {
    const own = here.find((value) => value.key === key);
    const other = there.find((value) => value.key === key);
    const isSame = own && other && toHex(own.digest) === toHex(other.digest);
    if (!isSame) out.push({ key, here: own?.text, there: other?.text });
  }
  return out;
}

function differenceText({ key, here, there }: Difference): string {
  if (here === "" || there === "") return key;
  return `${key}: ${there ?? "none"} there, ${here ?? "none"} here`;
}

function isPrintable(text: string): boolean {
  return /^[\x20-\x7e]*$/.test(text);
}
