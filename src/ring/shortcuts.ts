/**
 * Long links after Symphony (Manku, Bawa, Raghavan 2003): k = ceil(0.5 log2 N) links whose clockwise
 * lengths are drawn log-uniformly from [ring / N, ring). The drawn point is found by a routed
 * question; of the nodes around it, a few are linked on trial and the one with the lowest round trip
 * stays (proximity choice: any node near the point serves routing equally well).
 *
 *      idle --fewer than k--> asked --answer--> trial --TRIAL_MS--> best kept, others let go
 *                               | ASK_MS, no answer: idle
 *
 * Integer arithmetic only: every machine draws the same lengths from the same random numbers.
 */
import type { Outbox } from "../base/machine.ts";
import { addressFromBytes, type RingAddress } from "../base/ring-address.ts";
import { below, jitter, type Rng, shuffled } from "../base/rng.ts";
import { type Millis, NEVER } from "../base/time.ts";
import { PAYLOAD_TYPES } from "../wire/message-type.ts";
import { emitFind, type ListAnswer } from "../wire/ring-messages.ts";
import type { Connects } from "./connects.ts";
import { type Forwarder, HOP_LIMIT } from "./forward.ts";
import { isUsable, type LinkTable, type RingLink } from "./link-table.ts";
import { FULL_MESH_MEMBERS } from "./near-set.ts";
import type { RingOutput } from "./ring-types.ts";

/** Shortcuts only speed things up; one try in so long keeps their traffic in the noise. */
const PERIOD_MS = 5_000;
const SPREAD = 0.25;
/** A question crosses the ring within a second; no answer, no shortcut this time. */
const ASK_MS = 3_000;
/** Handshake, path and first round-trip measure. */
const TRIAL_MS = 4_000;
/** Four candidates bring most of the gain; each costs a handshake. */
const TRIAL_LINKS = 4;
const RING_SIZE = 1n << 160n;

/** k = ceil(0.5 log2 N): the smallest k with 4^k >= N. */
export function shortcutCount(members: number): number {
  let count = 0;
  for (let reach = 1; reach < members; reach *= 4) count++;
  return count;
}

/**
 * A clockwise length in [2^160 / N, 2^160), log-uniform. Octave by octave: every octave is equally
 * likely, and inside one, x in [1, 2) is accepted with probability 1/x, which is log-uniform.
 */
export function drawDistance(rng: Rng, members: number): bigint {
  const shortest = RING_SIZE / BigInt(Math.max(2, members));
  let octaves = 0;
  while (RING_SIZE >> BigInt(octaves) > shortest) octaves++;
  for (;;) {
    const octave = BigInt(below(rng, octaves));
    const mantissa = (1n << 32n) | BigInt(rng.u32());
    if (BigInt(rng.u32()) * mantissa >= 1n << 64n) continue;
    const rest = addressFromBytes(rng.bytes(20)) >> 32n;
    const distance = ((mantissa << 127n) | (rest & ((1n << 127n) - 1n))) >> octave;
    if (distance >= shortest) return distance;
  }
}

export interface ShortcutsOptions {
  readonly self: RingAddress;
  readonly rng: Rng;
  readonly links: LinkTable;
  readonly connects: Connects;
  readonly forwarder: Forwarder;
  readonly outbox: Outbox<RingOutput>;
}

type State =
  | { readonly kind: "idle" }
  | { readonly kind: "asked"; readonly nonce: number }
  | { readonly kind: "trial"; readonly addresses: readonly RingAddress[] };

export class Shortcuts {
  readonly #options: ShortcutsOptions;
  #state: State = { kind: "idle" };
  #nextAt: Millis = NEVER;

  constructor(options: ShortcutsOptions) {
    this.#options = options;
  }

  /** The ring is stable and has `members`: shortcuts are worth having above a full mesh. */
  enable(now: Millis, members: number): void {
    const worth = members > FULL_MESH_MEMBERS;
    if (worth && this.#nextAt === NEVER) this.#wait(now, PERIOD_MS);
    if (!worth && this.#state.kind === "idle") this.#nextAt = NEVER;
  }

  deadline(): Millis {
    return this.#nextAt;
  }

  timeout(now: Millis, members: number): void {
    if (this.#nextAt > now) return;
    if (this.#state.kind === "trial") this.#choose(this.#state.addresses);
    const idle = this.#state.kind === "idle";
    this.#state = { kind: "idle" };
    if (!idle || !this.#adjust(members)) return this.#wait(now, PERIOD_MS);
    this.#ask(now, members);
  }

  /** Nodes around the drawn point. */
  answered(now: Millis, answer: ListAnswer): void {
    const { self, rng, links, connects } = this.#options;
    if (this.#state.kind !== "asked" || this.#state.nonce !== answer.nonce) return;
    const fresh = answer.entries.filter(
      (one) => one.inRing && one.address !== self && links.byAddress(one.address) === undefined,
    );
    const chosen = shuffled(rng, fresh).slice(0, TRIAL_LINKS);
    for (const one of chosen) connects.ask(now, one.address, one.endpoints, "shortcut");
    this.#state = { kind: "trial", addresses: chosen.map((one) => one.address) };
    this.#wait(now, TRIAL_MS);
  }

  /** Links that are no shortcuts any more keep their link for a while, as any former neighbour. */
  #letGo(link: RingLink): void {
    link.role = "leaf";
    this.#options.outbox.push({ kind: "set-role", link: link.link, role: "leaf" });
  }

  #choose(addresses: readonly RingAddress[]): void {
    const { links } = this.#options;
    const trial = this.#shortcuts().filter((link) => addresses.includes(link.address));
    const best = trial.filter(isUsable).sort(byRoundTrip)[0];
    for (const link of trial) if (link !== best) this.#letGo(links.get(link.link) ?? link);
  }

  /** Drops one surplus shortcut. @returns true when one more is wanted */
  #adjust(members: number): boolean {
    const have = this.#shortcuts();
    const want = members > FULL_MESH_MEMBERS ? shortcutCount(members) : 0;
    const worst = have.sort(byRoundTrip).at(-1);
    if (have.length > want && worst !== undefined) this.#letGo(worst);
    return have.length < want;
  }

  #ask(now: Millis, members: number): void {
    const { self, rng, forwarder } = this.#options;
    const nonce = rng.u32();
    this.#state = { kind: "asked", nonce };
    this.#wait(now, ASK_MS);
    forwarder.start(now, {
      source: self,
      destination: (self + drawDistance(rng, members)) % RING_SIZE,
      nearest: true,
      excludeSource: true,
      hopLimit: HOP_LIMIT,
      payloadType: PAYLOAD_TYPES.find,
      sourceAgent: undefined,
      destinationAgent: undefined,
      visited: [],
      payload: emitFind(nonce),
    });
  }

  #shortcuts(): RingLink[] {
    return this.#options.links.all().filter((link) => link.role === "shortcut" && link.owned);
  }

  #wait(now: Millis, periodMs: Millis): void {
    this.#nextAt = now + jitter(this.#options.rng, periodMs, SPREAD);
  }
}

/** Unmeasured links last. */
function byRoundTrip(a: RingLink, b: RingLink): number {
  return (a.rttMs ?? Number.MAX_VALUE) - (b.rttMs ?? Number.MAX_VALUE);
}
