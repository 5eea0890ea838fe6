/**
 * How this node is seen from outside, and what the NAT in front of it does.
 *
 *      STUN datagrams --> server  (others ask us)
 *                    \--> client: reflexive rounds from the data sockets, surveys from a fresh one
 *      what peers saw --> samples --> classifyNat --> nat
 *
 * Who is asked: the servers of the file and the members that a link reaches directly, at their data
 * port. Without servers the peers' own word on the data sockets is enough, and only surveys ask.
 */

import type { DropReason } from "../base/drop-reason.ts";
import {
  ENGINE_LIMITS,
  type EngineCommand,
  type SocketIndex,
  type Upcall,
} from "../base/engine.ts";
import type { CoreEvent } from "../base/event.ts";
import { type Machine, Outbox } from "../base/machine.ts";
import { type NatReport, natKind, sameNat, UNKNOWN_NAT } from "../base/nat.ts";
import { type Endpoint, endpointText, familyOf, type IpFamily, sameEndpoint } from "../base/net.ts";
import { jitter, type Rng } from "../base/rng.ts";
import { type Millis, NEVER, TimerTable } from "../base/time.ts";
import { DropCounters } from "../link/drop-counters.ts";
import { parseStun, type ReceivedStun } from "../wire/stun.ts";
import { AlternatePorts } from "./alternate-ports.ts";
import { classifyNat } from "./classify-nat.ts";
import {
  type LifeAsk,
  type MappingLife,
  MeasuredLife,
  SILENCE_SECONDS,
  UNKNOWN_LIFE,
} from "./mapping-life.ts";
import { NatSamples } from "./nat-samples.ts";
import { type BoundSocket, type StunMode, StunServer } from "./stun-server.ts";
import {
  type Destination,
  MAX_SURVEYED,
  SURVEY_SENDINGS,
  Survey,
  type SurveyAsk,
  type SurveySocket,
} from "./survey.ts";
import { type StunAsked, type StunOutcome, Transactions } from "./transactions.ts";

export type { BoundSocket, StunMode };

/** Sockets by command that are this machine's: the last before the accepted streams. */
const MAX_SOCKETS = 20;
const FIRST_STUN_SOCKET: SocketIndex = ENGINE_LIMITS.acceptedStreams - MAX_SOCKETS;
const SURVEY_SOCKETS: readonly SocketIndex[] = [FIRST_STUN_SOCKET, FIRST_STUN_SOCKET + 1];
/** One for each family, to answer from another port. */
const ALTERNATE_SOCKETS: Readonly<Record<IpFamily, SocketIndex>> = {
  4: FIRST_STUN_SOCKET + 2,
  6: FIRST_STUN_SOCKET + 3,
};

/** One for each silence that is tried. */
const LIFE_SOCKETS = SILENCE_SECONDS.map((_, i): SocketIndex => FIRST_STUN_SOCKET + 4 + i);

/** Whoever else opens sockets by command takes lower indexes. */
export function isStunSocket(socket: SocketIndex): boolean {
  return socket >= FIRST_STUN_SOCKET && socket < FIRST_STUN_SOCKET + MAX_SOCKETS;
}

/** Links forget a reflexive address that nobody confirmed for five minutes. */
const REFLEXIVE_MS = 120_000;
/** Nobody answered: the network may be coming up. */
const REFLEXIVE_RETRY_MS = 10_000;
/** Servers asked from each socket; the second speaks when the first is gone. */
const REFLEXIVE_DESTINATIONS = 2;
/** A NAT changes its ways when it is replaced, which changes our address too. */
const SURVEY_MS = 1_800_000;
/** Links of one join come up together: the survey may ask several. */
const SURVEY_DELAY_MS = 1_000;
/** However often addresses change. */
const SURVEY_GAP_MS = 20_000;
/** An engine that has no more sockets need not say so. */
const OPENING_MS = 1_000;
/** How long mappings live is measured with a survey, but not more often: it takes minutes. */
const LIFE_AGAIN_MS = 86_400_000;
const SPREAD = 0.2;
/** Servers of the file, after their names were looked up. */
const MAX_SERVERS = 16;

export interface StunOptions {
  readonly mode: StunMode;
  /** 32 bytes of the network key */
  readonly key: Uint8Array;
  readonly rng: Rng;
  /** The engine's UDP sockets as bound. */
  readonly sockets: readonly BoundSocket[];
}

export type StunInput =
  | { readonly kind: "timeout" }
  | { readonly kind: "upcall"; readonly upcall: Upcall }
  | { readonly kind: "servers"; readonly endpoints: readonly Endpoint[] }
  | { readonly kind: "local-endpoints"; readonly endpoints: readonly Endpoint[] }
  /** Where a link reaches a member directly; undefined when none does any more. */
  | { readonly kind: "member"; readonly link: number; readonly endpoint: Endpoint | undefined }
  /** A member told how it sees us. */
  | {
      readonly kind: "observed";
      readonly socket: SocketIndex;
      readonly by: Endpoint;
      readonly endpoint: Endpoint;
    }
  /** A person asks: look again now. */
  | { readonly kind: "survey" };

export type StunOutput =
  | { readonly kind: "engine"; readonly command: EngineCommand }
  | { readonly kind: "event"; readonly event: CoreEvent }
  | { readonly kind: "reflexive"; readonly socket: SocketIndex; readonly endpoint: Endpoint }
  | { readonly kind: "nat"; readonly report: NatReport }
  | { readonly kind: "mapping-life"; readonly life: MappingLife };

/** For people. */
export interface StunView {
  readonly nat: NatReport;
  readonly local: readonly Endpoint[];
  readonly reflexive: readonly Endpoint[];
  /** "blocked": everybody was asked and nobody answered. */
  readonly udp: "works" | "blocked" | "unknown";
  readonly asked: number;
  readonly isSurveying: boolean;
  readonly life: MappingLife;
}

type Purpose =
  | { readonly kind: "reflexive" }
  /** Lets the NAT expect the hairpin test; its answer tells nothing. */
  | { readonly kind: "opener" }
  | { readonly kind: "survey"; readonly survey: Survey; readonly ask: SurveyAsk }
  | { readonly kind: "life"; readonly life: MeasuredLife; readonly ask: LifeAsk };

type Timer = "reflexive" | "survey" | "opening";

export class Stun implements Machine<StunInput, StunOutput> {
  readonly #options: StunOptions;
  readonly #out = new Outbox<StunOutput>();
  readonly #drops = new DropCounters();
  readonly #timers = new TimerTable<Timer>();
  readonly #transactions: Transactions<Purpose>;
  readonly #server: StunServer;
  readonly #samples = new NatSamples();
  readonly #members = new Map<number, Endpoint>();
  readonly #reflexive = new Map<SocketIndex, Endpoint>();
  readonly #alternates = new AlternatePorts(ALTERNATE_SOCKETS);
  #servers: readonly Endpoint[] = [];
  #local: readonly Endpoint[] = [];
  #report: NatReport = UNKNOWN_NAT;
  #udp: StunView["udp"] = "unknown";
  /** Destinations of the last survey. */
  #asked = 0;
  #surveyedAt: Millis = Number.NEGATIVE_INFINITY;
  #survey: Survey | "opening" | undefined;
  /** One more will begin before long. */
  #isWanted = false;
  /** Its sockets that are open, and those the engine has not spoken of yet. */
  #surveyBound: BoundSocket[] = [];
  readonly #awaited = new Set<SocketIndex>();
  #life: MappingLife = UNKNOWN_LIFE;
  #measured: MeasuredLife | undefined;
  #measuredAt: Millis = Number.NEGATIVE_INFINITY;

  constructor(options: StunOptions) {
    this.#options = options;
    this.#transactions = new Transactions(options.rng);
    this.#server = new StunServer({ ...options, drops: this.#drops });
  }

  handle(now: Millis, input: StunInput): void {
    if (this.#options.mode === "off") return;
    switch (input.kind) {
      case "timeout":
        return this.#timeout(now);
      case "upcall":
        return this.#receive(now, input.upcall);
      case "servers":
        return this.#setServers(now, input.endpoints);
      case "local-endpoints":
        return this.#setLocal(now, input.endpoints);
      case "member":
        return this.#setMember(now, input.link, input.endpoint);
      case "observed":
        return this.#observed(now, input);
      case "survey":
        this.#surveyedAt = Number.NEGATIVE_INFINITY;
        return this.#wantSurvey(now, 0);
    }
  }

  poll(): StunOutput | undefined {
    return this.#out.poll();
  }

  deadline(): Millis {
    return Math.min(
      this.#timers.deadline(),
      this.#transactions.deadline(),
      this.#alternates.deadline(),
      this.#measured?.deadline() ?? NEVER,
    );
  }

  view(): StunView {
    return {
      nat: this.#report,
      local: this.#local,
      reflexive: [...this.#reflexive.values()],
      udp: this.#udp,
      asked: this.#asked,
      isSurveying: this.#isWanted || this.#survey !== undefined,
      life: this.#measured?.life ?? this.#life,
    };
  }

  drops(): Partial<Record<DropReason, number>> {
    return this.#drops.snapshot();
  }

  #timeout(now: Millis): void {
    for (const timer of this.#timers.takeExpired(now)) {
      if (timer === "reflexive") this.#askReflexive(now);
      else if (timer === "survey") this.#openSurvey(now);
      else this.#beginSurvey(now);
    }
    for (const command of this.#alternates.timeout(now)) this.#engine(command);
    const { commands, failed } = this.#transactions.timeout(now);
    for (const command of commands) this.#engine(command);
    for (const outcome of failed) this.#settle(now, outcome);
    this.#runLife(now);
  }

  // whom to ask

  #setServers(now: Millis, endpoints: readonly Endpoint[]): void {
    const servers = endpoints.slice(0, MAX_SERVERS);
    if (sameEndpoints(servers, this.#servers)) return;
    this.#servers = servers;
    this.#timers.set("reflexive", now);
    this.#wantSurvey(now, 0);
  }

  /** The host moved to another network, or got a second one. */
  #setLocal(now: Millis, endpoints: readonly Endpoint[]): void {
    if (sameEndpoints(endpoints, this.#local)) return;
    this.#local = endpoints;
    this.#samples.clear();
    this.#reflexive.clear();
    if (this.#life.state === "known") this.#out.push({ kind: "mapping-life", life: UNKNOWN_LIFE });
    this.#forgetLife();
    this.#timers.set("reflexive", now);
    if (this.#destinations().length > 0) this.#wantSurvey(now, SURVEY_DELAY_MS);
  }

  #setMember(now: Millis, link: number, endpoint: Endpoint | undefined): void {
    const before = this.#destinations().length;
    if (endpoint === undefined) this.#members.delete(link);
    else this.#members.set(link, endpoint);
    const isMore = this.#destinations().length > before;
    // One destination says how we are seen, a second one whether that is the same for all.
    if (isMore && this.#report.mapping === "unknown") this.#wantSurvey(now, SURVEY_DELAY_MS);
  }

  /** Servers first, one endpoint for each address; of the family that most of them have. */
  #destinations(): Destination[] {
    const all = [
      ...this.#servers.map((endpoint) => ({ endpoint, isMember: false })),
      ...[...this.#members.values()].map((endpoint) => ({ endpoint, isMember: true })),
    ];
    const family = all.some(({ endpoint }) => familyOf(endpoint.ip) === 4) ? 4 : 6;
    const ips = new Set<string>();
    return all.filter(({ endpoint: { ip } }) => {
      const isNew = familyOf(ip) === family && !ips.has(ip);
      ips.add(ip);
      return isNew;
    });
  }

  // how the data sockets are seen

  #askReflexive(now: Millis): void {
    if (this.#servers.length === 0) return;
    this.#timers.set("reflexive", now + jitter(this.#options.rng, REFLEXIVE_RETRY_MS, SPREAD));
    for (const { socket, endpoint } of this.#options.sockets) {
      const servers = this.#servers.filter(({ ip }) => familyOf(ip) === familyOf(endpoint.ip));
      for (const to of servers.slice(0, REFLEXIVE_DESTINATIONS)) {
        this.#ask(now, { socket, to, wish: {}, key: undefined, purpose: { kind: "reflexive" } });
      }
    }
  }

  #observed(now: Millis, { socket, by, endpoint }: Extract<StunInput, { kind: "observed" }>): void {
    this.#udp = "works";
    const bound = this.#options.sockets.find((own) => own.socket === socket);
    if (bound === undefined) return;
    this.#reflexive.set(socket, endpoint);
    const localPort = bound.endpoint.port;
    const sighting = { socket, localPort, isSurvey: false, destination: by, mapped: endpoint };
    if (this.#samples.note(now, sighting)) this.#classify(now);
  }

  // surveys

  #wantSurvey(now: Millis, delayMs: Millis): void {
    const at = Math.max(now + delayMs, this.#surveyedAt + SURVEY_GAP_MS);
    this.#timers.setEarlier("survey", at);
    this.#isWanted = true;
  }

  #openSurvey(now: Millis): void {
    this.#timers.set("survey", now + jitter(this.#options.rng, SURVEY_MS, SPREAD));
    this.#isWanted = false;
    const [first] = this.#destinations();
    if (this.#survey !== undefined || first === undefined) return;
    this.#surveyedAt = now;
    this.#survey = "opening";
    const family = familyOf(first.endpoint.ip);
    for (const socket of SURVEY_SOCKETS) {
      this.#awaited.add(socket);
      this.#engine({ op: "socket-open", socket, family, port: 0 });
    }
    this.#timers.set("opening", now + OPENING_MS);
  }

  /** Where no socket is to be had a data socket tells the same, but for what its links changed. */
  #surveySockets(): SurveySocket[] {
    const family = familyOf(this.#destinations()[0]?.endpoint.ip ?? "");
    const data = this.#options.sockets.filter(({ endpoint }) => familyOf(endpoint.ip) === family);
    const bound = this.#surveyBound.length > 0 ? this.#surveyBound : data.slice(0, 1);
    return bound.map(({ socket, endpoint }) => ({ socket, localPort: endpoint.port }));
  }

  #beginSurvey(now: Millis): void {
    this.#timers.clear("opening");
    this.#awaited.clear();
    const destinations = this.#destinations().slice(0, MAX_SURVEYED);
    this.#asked = destinations.length;
    this.#samples.dropSurvey();
    const [first, second] = this.#surveySockets();
    if (first === undefined) return this.#endSurvey(now);
    const survey = new Survey({
      first,
      second,
      destinations,
      reflexive: () => this.#outside(destinations)?.endpoint,
      samples: this.#samples,
    });
    this.#survey = survey;
    if (destinations.length === 0) return this.#endSurvey(now);
    this.#askSurvey(now, survey, survey.begin());
  }

  /** A data socket and its endpoint beyond the NAT, of the family that is surveyed. */
  #outside(destinations: readonly Destination[]): BoundSocket | undefined {
    const family = familyOf(destinations[0]?.endpoint.ip ?? "");
    const all = [...this.#reflexive].map(([socket, endpoint]) => ({ socket, endpoint }));
    return all.find(
      ({ endpoint: { ip } }) =>
        familyOf(ip) === family && !this.#local.some((own) => own.ip === ip),
    );
  }

  #askSurvey(now: Millis, survey: Survey, asks: readonly SurveyAsk[]): void {
    const { key } = this.#options;
    for (const ask of asks) {
      const { from, to, wish, opens } = ask;
      const own = opens === undefined ? undefined : this.#outside([to])?.socket;
      if (opens !== undefined && own !== undefined) {
        const opener = { socket: own, to: opens, wish: {}, key, sendings: 1 };
        this.#ask(now, { ...opener, purpose: { kind: "opener" } });
      }
      this.#ask(now, {
        socket: from.socket,
        to: to.endpoint,
        wish,
        key: to.isMember ? key : undefined,
        purpose: { kind: "survey", survey, ask },
        sendings: SURVEY_SENDINGS,
      });
    }
  }

  #endSurvey(now: Millis): void {
    if (this.#survey instanceof Survey) {
      if (this.#survey.isHeard) this.#udp = "works";
      else if (this.#asked > 0 && this.#members.size === 0) this.#udp = "blocked";
    }
    const member = this.#survey instanceof Survey ? this.#survey.member : undefined;
    this.#survey = undefined;
    for (const { socket } of this.#surveyBound) this.#engine({ op: "socket-close", socket });
    this.#surveyBound = [];
    this.#classify(now);
    if (member !== undefined) this.#measureLife(now, member);
  }

  // how long mappings live

  #measureLife(now: Millis, member: Endpoint): void {
    if (this.#report.mapping === "none" || this.#measured !== undefined) return;
    const isKnown = this.#life.state === "known" && now - this.#measuredAt < LIFE_AGAIN_MS;
    const asker = this.#options.sockets.find(
      ({ endpoint }) => familyOf(endpoint.ip) === familyOf(member.ip),
    )?.socket;
    if (isKnown || asker === undefined) return;
    this.#measured = new MeasuredLife({ sockets: LIFE_SOCKETS, member, asker });
    for (const command of this.#measured.begin(now)) this.#engine(command);
  }

  #runLife(now: Millis): void {
    const life = this.#measured;
    if (life === undefined) return;
    for (const ask of life.timeout(now)) {
      const { from: socket, responsePort } = ask;
      const wish = responsePort === undefined ? {} : { responsePort };
      const purpose = { kind: "life", life, ask } as const;
      this.#ask(now, { socket, to: life.member, wish, key: this.#options.key, purpose });
    }
    if (life.isOver && life === this.#measured) this.#endLife(now, life);
  }

  #endLife(now: Millis, { life }: MeasuredLife): void {
    this.#forgetLife();
    this.#life = life;
    this.#measuredAt = now;
    if (life.state !== "known") return;
    this.#out.push({ kind: "mapping-life", life });
    this.#event(lifeKnown(life));
  }

  #forgetLife(): void {
    for (const command of this.#measured?.close() ?? []) this.#engine(command);
    this.#measured = undefined;
    this.#life = UNKNOWN_LIFE;
  }

  // datagrams

  #receive(now: Millis, upcall: Upcall): void {
    switch (upcall.kind) {
      case "datagram":
        return this.#receiveDatagram(now, upcall);
      case "socket-opened":
        return this.#opened(now, upcall.socket, upcall.family, upcall.port);
      case "socket-failed":
        this.#settleAlternate(now, upcall.socket, undefined);
        this.#measured?.failed(upcall.socket);
        return this.#awaitSurvey(now, upcall.socket);
    }
  }

  #opened(now: Millis, socket: SocketIndex, family: IpFamily, port: number): void {
    const bound = { socket, endpoint: { ip: family === 4 ? "0.0.0.0" : "::", port } };
    if (this.#alternates.owns(socket)) this.#settleAlternate(now, socket, bound);
    else if (this.#awaited.has(socket)) this.#surveyBound.push(bound);
    else if (this.#measured?.opened(now, socket) === true) this.#runLife(now);
    else if (isStunSocket(socket)) this.#engine({ op: "socket-close", socket });
    this.#awaitSurvey(now, socket);
  }

  /** One of the survey's sockets is there, or will not be. */
  #awaitSurvey(now: Millis, socket: SocketIndex): void {
    if (this.#awaited.delete(socket) && this.#awaited.size === 0) this.#beginSurvey(now);
  }

  #receiveDatagram(now: Millis, upcall: Extract<Upcall, { kind: "datagram" }>): void {
    const { socket, from, bytes } = upcall;
    if (from.port === 0) return this.#drops.count("bad-field");
    const parsed = parseStun(bytes);
    if (!parsed.ok) return this.#drops.count(parsed.reason);
    const message = parsed.value;
    if (message.kind === "request") return this.#answer(now, socket, from, message);
    if (message.kind === "indication") return;
    const outcome = this.#transactions.receive(socket, from, message);
    if (outcome === undefined) return this.#drops.count("unknown-receiver");
    this.#settle(now, outcome);
  }

  #answer(now: Millis, socket: SocketIndex, from: Endpoint, message: ReceivedStun): void {
    // What a data socket of ours sends there only opens the way for the hairpin test.
    if (SURVEY_SOCKETS.includes(socket)) return;
    const question = { socket, from, message };
    const { answer, wantsPort } = this.#server.answer(now, question, this.#answering());
    // The hairpin test asks ourselves.
    const isFromHere = [...this.#reflexive.values()].some(({ ip }) => ip === from.ip);
    if (wantsPort !== undefined && !isFromHere) {
      const { isHeld, open } = this.#alternates.hold(question, wantsPort);
      if (open !== undefined) this.#engine(open);
      if (isHeld) return this.#alternates.use(now);
    }
    if (answer === undefined) return;
    this.#alternates.use(now);
    this.#engine(answer);
  }

  #settleAlternate(now: Millis, socket: SocketIndex, bound: BoundSocket | undefined): void {
    for (const question of this.#alternates.settle(socket, bound)) {
      const { answer } = this.#server.answer(now, question, this.#answering());
      if (answer !== undefined) this.#engine(answer);
    }
  }

  /** A socket bound to the only address of its family answers with that address. */
  #answering(): BoundSocket[] {
    return [...this.#options.sockets, ...this.#alternates.bound()].map(({ socket, endpoint }) => {
      const own = this.#local.filter(({ ip }) => familyOf(ip) === familyOf(endpoint.ip));
      const ips = [...new Set(own.map(({ ip }) => ip))];
      const isWild = endpoint.ip === "0.0.0.0" || endpoint.ip === "::";
      const ip = isWild && ips.length === 1 ? (ips[0] ?? endpoint.ip) : endpoint.ip;
      return { socket, endpoint: { ip, port: endpoint.port } };
    });
  }

  #ask(now: Millis, asked: StunAsked<Purpose>): void {
    const command = this.#transactions.ask(now, asked);
    if (command !== undefined) return this.#engine(command);
    this.#drops.count("table-full");
    this.#settle(now, { asked, ok: false });
  }

  #settle(now: Millis, outcome: StunOutcome<Purpose>): void {
    const { purpose } = outcome.asked;
    if (purpose.kind === "opener") return;
    if (purpose.kind === "reflexive") return this.#seen(now, outcome);
    if (purpose.kind === "life") {
      purpose.life.take(now, purpose.ask, outcome);
      return this.#runLife(now);
    }
    const { survey, ask } = purpose;
    if (survey !== this.#survey) return;
    const next = survey.take(now, ask, outcome);
    if (next === "done") return this.#endSurvey(now);
    if (this.#report.mapping === "unknown") this.#classify(now);
    this.#askSurvey(now, survey, next);
  }

  #seen(now: Millis, outcome: StunOutcome<Purpose>): void {
    if (!outcome.ok) return;
    const { socket, to } = outcome.asked;
    this.#timers.set("reflexive", now + jitter(this.#options.rng, REFLEXIVE_MS, SPREAD));
    this.#out.push({ kind: "reflexive", socket, endpoint: outcome.mapped });
    this.#observed(now, { kind: "observed", socket, by: to, endpoint: outcome.mapped });
  }

  #classify(now: Millis): void {
    const report = classifyNat(this.#samples.list(now, this.#local));
    if (sameNat(report, this.#report)) return;
    const before = natKind(this.#report);
    this.#report = report;
    this.#out.push({ kind: "nat", report });
    const kind = natKind(report);
    if (kind === undefined || kind === before) return;
    const seen = [...this.#reflexive.values()].map(endpointText).join(", ");
    this.#event({
      what: "nat-known",
      condition: `others see this node as ${seen === "" ? "-" : seen}`,
      action: `NAT kind ${kind}`,
      effect: "",
      fields: { kind, mapping: report.mapping, filtering: report.filtering },
    });
  }

  #event(event: Omit<CoreEvent, "area" | "coolDownMs">): void {
    this.#out.push({ kind: "event", event: { area: "stun", coolDownMs: 0, ...event } });
  }

  #engine(command: EngineCommand): void {
    this.#out.push({ kind: "engine", command });
  }
}

function lifeKnown({ aliveMs, goneMs }: MappingLife): Omit<CoreEvent, "area" | "coolDownMs"> {
  const isGone = goneMs !== undefined;
  return {
    what: "mapping-life-known",
    condition: `a mapping was silent for ${(goneMs ?? aliveMs) / 1_000} s`,
    action: isGone ? "it is gone" : "it still serves",
    effect: isGone ? "keepalives come sooner than that" : "",
    fields: { aliveMs, ...(isGone ? { goneMs } : {}) },
  };
}

function sameEndpoints(a: readonly Endpoint[], b: readonly Endpoint[]): boolean {
  return a.length === b.length && a.every((one) => b.some((other) => sameEndpoint(one, other)));
}
