/**
 * One look at the NAT from a socket of its own, whose mappings nobody else made or keeps alive:
 *
 *      mapping    ask up to four destinations, one right after the other
 *      filtering  one of them is to answer from another address and port, and from another port;
 *                 meanwhile ask ourselves by our outside address (hairpin)
 *      others     ask that other address and port too: does the mapping differ by port?
 *
 * RFC 5780, 4.3 and 4.4, with members in place of a server's second address where there is none.
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

export type SurveyStep = "mapping" | "another-address" | "another-port" | "hairpin" | "others";

export interface SurveyAsk {
  readonly to: Destination;
  readonly wish: BindingWish;
  readonly step: SurveyStep;
  /** Our own outside endpoint of the survey's socket: a data socket sends there first (hairpin). */
  readonly opens?: Endpoint;
}

type Answered = Extract<StunOutcome<unknown>, { ok: true }>;

export interface SurveyOptions {
  readonly socket: SocketIndex;
  readonly localPort: number;
  readonly destinations: readonly Destination[];
  /** Our own outside endpoint on a data socket, if one is known by now. */
  readonly reflexive: () => Endpoint | undefined;
  readonly samples: NatSamples;
}

export class Survey {
  readonly #options: SurveyOptions;
  readonly #answers: { readonly to: Destination; readonly answer: Answered }[] = [];
  #phase: "mapping" | "filtering" | "others" = "mapping";
  #waiting = 0;
  #judge: { readonly to: Destination; readonly answer: Answered } | undefined;
  #otherPort: Endpoint | undefined;

  constructor(options: SurveyOptions) {
    this.#options = options;
  }

  get socket(): SocketIndex {
    return this.#options.socket;
  }

  /** Somebody answered: UDP gets out and back. */
  get isHeard(): boolean {
    return this.#answers.length > 0;
  }

  begin(): SurveyAsk[] {
    const { destinations } = this.#options;
    return this.#count(destinations.map((to) => ({ to, wish: {}, step: "mapping" })));
  }

  /** @returns what to ask next; "done" after the last answer or failure */
  take(now: Millis, ask: SurveyAsk, outcome: StunOutcome<unknown>): SurveyAsk[] | "done" {
    this.#waiting--;
    this.#note(now, ask, outcome);
    if (this.#waiting > 0) return [];
    for (;;) {
      const next = this.#nextPhase();
      if (next === "done" || next.length > 0) return next;
    }
  }

  #nextPhase(): SurveyAsk[] | "done" {
    switch (this.#phase) {
      case "mapping":
        this.#phase = "filtering";
        return this.#count(this.#tests());
      case "filtering":
        this.#phase = "others";
        return this.#count(this.#others());
      case "others":
        return "done";
    }
  }

  #note(now: Millis, ask: SurveyAsk, outcome: StunOutcome<unknown>): void {
    const { samples, socket, localPort } = this.#options;
    switch (ask.step) {
      case "mapping":
      case "others":
        if (!outcome.ok) return;
        if (ask.step === "mapping") this.#answers.push({ to: ask.to, answer: outcome });
        samples.note(now, {
          socket,
          localPort,
          isSurvey: true,
          destination: ask.to.endpoint,
          mapped: outcome.mapped,
        });
        return;
      case "hairpin":
        return samples.noteTest({ kind: "hairpin", answered: outcome.ok });
      case "another-port":
        if (outcome.ok && !sameEndpoint(outcome.from, ask.to.endpoint)) {
          this.#otherPort = outcome.from;
        }
        return samples.noteTest({ kind: "filtering", from: ask.step, answered: outcome.ok });
      case "another-address":
        return samples.noteTest({ kind: "filtering", from: ask.step, answered: outcome.ok });
    }
  }

  /** Who has another address is the better judge; members can answer from another port at least. */
  #tests(): SurveyAsk[] {
    const reflexive = this.#options.reflexive();
    const [first] = this.#answers;
    this.#judge =
      this.#answers.find(({ answer }) => answer.other !== undefined) ??
      this.#answers.find(({ to }) => to.isMember);
    const asks: SurveyAsk[] = [];
    if (this.#judge !== undefined) {
      const { to, answer } = this.#judge;
      if (answer.other !== undefined) {
        const wish = { change: { ip: true, port: true } };
        asks.push({ to, wish, step: "another-address" });
      }
      asks.push({ to, wish: { change: { ip: false, port: true } }, step: "another-port" });
    }
    if (reflexive !== undefined && first !== undefined) {
      const to = { endpoint: reflexive, isMember: true };
      asks.push({ to, wish: {}, step: "hairpin", opens: first.answer.mapped });
    }
    return asks;
  }

  #others(): SurveyAsk[] {
    const judge = this.#judge;
    if (judge === undefined) return [];
    const { isMember, endpoint } = judge.to;
    const { other } = judge.answer;
    const endpoints =
      other === undefined
        ? [this.#otherPort]
        : [{ ip: other.ip, port: endpoint.port }, other].filter(
            (to) => familyOf(to.ip) === familyOf(endpoint.ip) && isSensibleCandidate(to),
          );
    return endpoints
      .filter((to) => to !== undefined)
      .map((to) => ({ to: { endpoint: to, isMember }, wish: {}, step: "others" }));
  }

  #count(asks: SurveyAsk[]): SurveyAsk[] {
    this.#waiting += asks.length;
    return asks;
  }
}
