/**
 * One look at the NAT from two sockets of its own, whose mappings nobody else made or keeps alive:
 *
 *      mapping    the first asks up to four destinations, one right after the other
 *      others     the first asks another address or port of that one: does the mapping differ by port?
 *                 the second asks that one too: its port tells in which order they are given
 *      filtering  that one is to answer the second from another address and port, and from another
 *                 port, which it never sent to; meanwhile the first asks ourselves by our outside
 *                 address (hairpin)
 *
 * RFC 5780, 4.3, 4.4 and 4.5, with members in place of a server's second address where there is none: one
 * member of one address is enough. With one socket filtering comes first, or the other port were open.
 */
import type { SocketIndex } from "../base/engine.ts";
import { type Endpoint, familyOf, sameEndpoint } from "../base/net.ts";
import type { Millis } from "../base/time.ts";
import { isSensibleCandidate } from "../link/candidate-filter.ts";
import type { BindingWish } from "./member-request.ts";
import type { NatSamples } from "./nat-samples.ts";
import type { StunOutcome } from "./transactions.ts";

/** Three tell sequence from chance; a fourth may be silent. */
export const MAX_SURVEYED = 4;
/**
 * Three: a silent test must mean that the NAT holds the answer back, not that a datagram was lost, and
 * a member behind a NAT that does not know this socket never answers.
 */
export const SURVEY_SENDINGS = 3;

export interface Destination {
  readonly endpoint: Endpoint;
  readonly isMember: boolean;
}

export type SurveyStep =
  | "mapping"
  | "others"
  | "second"
  | "another-address"
  | "another-port"
  | "hairpin";

export interface SurveySocket {
  readonly socket: SocketIndex;
  readonly localPort: number;
}

export interface SurveyAsk {
  readonly from: SurveySocket;
  readonly to: Destination;
  readonly wish: BindingWish;
  readonly step: SurveyStep;
  /** Our own outside endpoint of the survey's socket: a data socket sends there first (hairpin). */
  readonly opens?: Endpoint;
}

type Answered = Extract<StunOutcome<unknown>, { ok: true }>;

interface Witness {
  readonly to: Destination;
  readonly answer: Answered;
}

export interface SurveyOptions {
  readonly first: SurveySocket;
  /** Undefined when there is no second one to be had. */
  readonly second: SurveySocket | undefined;
  readonly destinations: readonly Destination[];
  /** Our own outside endpoint on a data socket, if one is known by now. */
  readonly reflexive: () => Endpoint | undefined;
  readonly samples: NatSamples;
}

export class Survey {
  readonly #options: SurveyOptions;
  readonly #answers: Witness[] = [];
  readonly #phases: (() => SurveyAsk[])[];
  #waiting = 0;
  #judge: Witness | undefined;
  #otherPort: Endpoint | undefined;
  /** The judge told of another port by then, though not in its first answer. */
  #hasOpened = false;

  constructor(options: SurveyOptions) {
    this.#options = options;
    const [others, filtering] = [() => this.#others(), () => this.#tests()];
    const rest = options.second === undefined ? [filtering, others] : [others, filtering];
    this.#phases = rest;
  }

  /** Somebody answered: UDP gets out and back. */
  get isHeard(): boolean {
    return this.#answers.length > 0;
  }

  /** A member that answered, and is behind no NAT of its own. */
  get member(): Endpoint | undefined {
    const isFit = ({ to, answer }: Witness) => to.isMember && isInTheOpen(to, answer);
    return this.#answers.find(isFit)?.to.endpoint;
  }

  begin(): SurveyAsk[] {
    const { destinations, first } = this.#options;
    return this.#count(destinations.map((to) => ask(first, to, "mapping")));
  }

  /** @returns what to ask next; "done" after the last answer or failure */
  take(now: Millis, asked: SurveyAsk, outcome: StunOutcome<unknown>): SurveyAsk[] | "done" {
    this.#waiting--;
    this.#note(now, asked, outcome);
    if (this.#waiting > 0) return [];
    if (this.#judge === undefined) this.#chooseJudge();
    for (;;) {
      const phase = this.#phases.shift();
      if (phase === undefined) return "done";
      const next = phase();
      if (next.length > 0) return this.#count(next);
    }
  }

  #note(now: Millis, { from, to, step }: SurveyAsk, outcome: StunOutcome<unknown>): void {
    const { samples } = this.#options;
    switch (step) {
      case "mapping":
        if (outcome.ok) this.#answers.push({ to, answer: outcome });
        return this.#noteMapping(now, { from, to }, outcome);
      case "second":
        if (outcome.ok && outcome.otherPort !== undefined) this.#hasOpened = true;
        return this.#noteMapping(now, { from, to }, outcome);
      case "others":
        return this.#noteMapping(now, { from, to }, outcome);
      case "hairpin":
        return samples.noteTest({ kind: "hairpin", answered: outcome.ok });
      case "another-port":
        if (outcome.ok && !sameEndpoint(outcome.from, to.endpoint)) this.#otherPort = outcome.from;
        return samples.noteTest({ kind: "filtering", from: step, answered: outcome.ok });
      case "another-address":
        return samples.noteTest({ kind: "filtering", from: step, answered: outcome.ok });
    }
  }

  #noteMapping(
    now: Millis,
    { from, to }: Pick<SurveyAsk, "from" | "to">,
    outcome: StunOutcome<unknown>,
  ): void {
    if (!outcome.ok) return;
    const { mapped, askedAt } = outcome;
    const sighting = { ...from, isSurvey: true, destination: to.endpoint, mapped };
    this.#options.samples.note(now, sighting, askedAt);
  }

  /** Who has another address is the better judge; members can answer from another port at least. */
  #chooseJudge(): void {
    this.#judge =
      this.#answers.find(({ answer }) => answer.other !== undefined) ??
      this.#answers.find(({ to, answer }) => to.isMember && isInTheOpen(to, answer)) ??
      this.#answers.find(({ to }) => to.isMember);
    if (this.#judge === undefined) return;
    const { to, answer } = this.#judge;
    const port = to.isMember ? answer.otherPort : undefined;
    // Behind a NAT of its own its other port is not where it says.
    if (port === undefined || !isInTheOpen(to, answer)) return;
    this.#otherPort = { ip: to.endpoint.ip, port };
  }

  #tests(): SurveyAsk[] {
    const { first, second = first } = this.#options;
    const reflexive = this.#options.reflexive();
    const [witness] = this.#answers;
    const asks: SurveyAsk[] = [];
    if (this.#judge !== undefined) {
      const { to, answer } = this.#judge;
      if (answer.other !== undefined) {
        const change = { ip: true, port: true };
        asks.push({ ...ask(second, to, "another-address"), wish: { change } });
      }
      const hasPort = answer.other !== undefined || answer.otherPort !== undefined;
      const change = { ip: false, port: true };
      // Silence of one without another port would be taken for the NAT's.
      if (hasPort || this.#hasOpened) {
        asks.push({ ...ask(second, to, "another-port"), wish: { change } });
      }
    }
    if (reflexive !== undefined && witness !== undefined) {
      const to = { endpoint: reflexive, isMember: true };
      asks.push({ ...ask(first, to, "hairpin"), opens: witness.answer.mapped });
    }
    return asks;
  }

  #others(): SurveyAsk[] {
    const judge = this.#judge;
    if (judge === undefined) return [];
    const { first, second } = this.#options;
    const { isMember, endpoint } = judge.to;
    const { other } = judge.answer;
    const endpoints =
      other === undefined
        ? [this.#otherPort]
        : [{ ip: other.ip, port: endpoint.port }, other].filter(
            (to) => familyOf(to.ip) === familyOf(endpoint.ip) && isSensibleCandidate(to),
          );
    const others = endpoints
      .filter((to) => to !== undefined)
      .map((to) => ask(first, { endpoint: to, isMember }, "others"));
    return second === undefined ? others : [...others, ask(second, judge.to, "second")];
  }

  #count(asks: SurveyAsk[]): SurveyAsk[] {
    this.#waiting += asks.length;
    return asks;
  }
}

function ask(from: SurveySocket, to: Destination, step: SurveyStep): SurveyAsk {
  return { from, to, wish: {}, step };
}

/** Unknown counts as yes: a host of several addresses does not say which one it is. */
function isInTheOpen({ endpoint }: Destination, { origin }: Answered): boolean {
  return origin === undefined || sameEndpoint(origin, endpoint);
}
