/**
 * A link has gone silent: is the peer dead, or only this path? Up to three other neighbours are
 * asked to reach it. One "reachable" breaks the path, none within a second convicts the peer (one
 * direct and three indirect probes: a lost packet alone never costs a neighbour).
 *
 *      silent -> suspect --reachable reported--> path-broken
 *                   | heard from it             -> acquitted
 *                   | ASK_MS                    -> close("convicted")
 *
 * The neighbour asked passes the request on to the target; the link's own acknowledgement is the
 * proof of life, so the target has nothing to answer.
 */
import type { Outbox } from "../base/machine.ts";
import type { RingAddress } from "../base/ring-address.ts";
import type { Rng } from "../base/rng.ts";
import { type Millis, NEVER } from "../base/time.ts";
import type { LinkId } from "../link/link-types.ts";
import {
  emitProbeReport,
  emitProbeRequest,
  type ProbeReport,
  type ProbeRequest,
} from "../wire/ring-messages.ts";
import { isUsable, type LinkTable, lists, type RingLink } from "./link-table.ts";
import type { RingOutput } from "./ring-types.ts";
import type { Tokens } from "./tokens.ts";

/** Two retransmissions of the link transport each way. */
const ASK_MS = 1_000;
const WITNESSES = 3;
/** Requests of others under way here; past it they get no answer, which convicts nobody alone. */
const ERRANDS_MAX = 256;

interface Trial {
  readonly nonce: number;
  readonly link: RingLink;
  readonly witnesses: ReadonlySet<LinkId>;
  readonly until: Millis;
}

interface Errand {
  readonly asker: LinkId;
  readonly request: ProbeRequest;
}

export interface ConvictOptions {
  readonly self: RingAddress;
  readonly links: LinkTable;
  readonly rng: Rng;
  readonly tokens: Tokens;
  readonly outbox: Outbox<RingOutput>;
}

export class Convictions {
  readonly #options: ConvictOptions;
  readonly #trials = new Map<LinkId, Trial>();
  readonly #errands = new Map<number, Errand>();

  constructor(options: ConvictOptions) {
    this.#options = options;
  }

  silent(now: Millis, link: RingLink): void {
    if (this.#trials.has(link.link)) return;
    const { rng, outbox } = this.#options;
    const nonce = rng.u32();
    const chosen = this.#witnesses(link);
    const until = chosen.length === 0 ? now : now + ASK_MS;
    const witnesses = new Set(chosen.map((one) => one.link));
    this.#trials.set(link.link, { nonce, link, witnesses, until });
    link.suspect = true;
    const bytes = emitProbeRequest({ nonce, target: link.address });
    for (const one of witnesses) {
      outbox.push({ kind: "send", link: one, bytes, reliable: true, token: 0 });
    }
  }

  /** Anything that came over the link acquits it. */
  heard(link: LinkId): void {
    const trial = this.#trials.get(link);
    if (trial === undefined) return;
    trial.link.suspect = false;
    this.#trials.delete(link);
  }

  /** The link is gone. */
  dropped(link: LinkId): void {
    this.#trials.delete(link);
  }

  /** @returns the address whose path is broken although it lives, if the report settles a trial */
  report(from: LinkId, report: ProbeReport): RingAddress | undefined {
    for (const [link, trial] of this.#trials) {
      const fits = trial.nonce === report.nonce && trial.link.address === report.target;
      if (!fits || !report.reachable || !trial.witnesses.has(from)) continue;
      this.heard(link);
      this.#options.outbox.push({ kind: "path-broken", link });
      return trial.link.address;
    }
    return undefined;
  }

  /** Another node asks us to reach a third one. */
  request(from: LinkId, request: ProbeRequest): void {
    const { self, links, tokens, outbox } = this.#options;
    if (request.target === self) return;
    const link = links.byAddress(request.target);
    if (link === undefined || !isUsable(link)) return this.#answer(from, request, false);
    if (this.#errands.size >= ERRANDS_MAX) return;
    const token = tokens.next();
    this.#errands.set(token, { asker: from, request });
    const bytes = emitProbeRequest(request);
    outbox.push({ kind: "send", link: link.link, bytes, reliable: true, token });
  }

  /** @returns false when the token is not one of ours */
  sent(token: number, ok: boolean): boolean {
    const errand = this.#errands.get(token);
    if (errand === undefined) return false;
    this.#errands.delete(token);
    this.#answer(errand.asker, errand.request, ok);
    return true;
  }

  /** Trials that ran out: the caller closes these links. */
  takeConvicted(now: Millis): RingLink[] {
    const convicted: RingLink[] = [];
    for (const [link, trial] of this.#trials) {
      if (trial.until > now) continue;
      this.#trials.delete(link);
      convicted.push(trial.link);
    }
    return convicted;
  }

  deadline(): Millis {
    let earliest = NEVER;
    for (const { until } of this.#trials.values()) if (until < earliest) earliest = until;
    return earliest;
  }

  /** Those that name the suspect as their neighbour know best. */
  #witnesses(suspect: RingLink): RingLink[] {
    const able = this.#options.links.usable().filter((one) => !one.suspect && one !== suspect);
    const knowing = able.filter((one) => lists(one, suspect.address));
    return [...new Set([...knowing, ...able])].slice(0, WITNESSES);
  }

  #answer(to: LinkId, request: ProbeRequest, reachable: boolean): void {
    const { links, outbox } = this.#options;
    if (links.get(to) === undefined) return;
    const bytes = emitProbeReport({ ...request, reachable });
    outbox.push({ kind: "send", link: to, bytes, reliable: true, token: 0 });
  }
}
