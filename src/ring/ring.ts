/**
 * The ring: keeps this node linked to its neighbours and routes messages between ring addresses.
 *
 *      links --link-up, path, silent, message, sent--> ring --connect, set-role, close, send--> links
 *      dht, link handshakes --route--> ring --deliver, undeliverable, view--> dht, links, node
 *
 * This file only dispatches. The parts: repair (who should be near), join (finding one's place),
 * lists (what neighbours tell), forward and route (messages), convict (dead or only silent),
 * shortcuts (long links), idle (links nobody needs).
 */
import type { DropReason, Parsed } from "../base/drop-reason.ts";
import type { CoreEvent } from "../base/event.ts";
import { type Machine, Outbox } from "../base/machine.ts";
import { addressText, type RingAddress } from "../base/ring-address.ts";
import { jitter, type Rng } from "../base/rng.ts";
import { type Millis, TimerTable } from "../base/time.ts";
import type { LinkId, LinkRole, PathView, PeerInfo } from "../link/link-types.ts";
import { MESSAGE_TYPES, PAYLOAD_TYPES } from "../wire/message-type.ts";
import {
  type Envelope,
  emitListAnswer,
  MAX_ROUTED_PAYLOAD,
  parseConnectToMe,
  parseEnvelope,
  parseFind,
  parseListAnswer,
  parseNeighbours,
  parseProbeReport,
  parseProbeRequest,
} from "../wire/ring-messages.ts";
import { Agents } from "./agents.ts";
import { Attempts } from "./attempts.ts";
import { Connects } from "./connects.ts";
import { ContactBook } from "./contact-book.ts";
import { Convictions } from "./convict.ts";
import { Drops } from "./drops.ts";
import { Expiring } from "./expiring.ts";
import { Forwarder, HOP_LIMIT } from "./forward.ts";
import { IdleLinks } from "./idle.ts";
import { Join } from "./join.ts";
import { DHT_REQUEST_RATE, HANDSHAKE_RATE, ISSUE_QUESTION_RATE, LinkGate } from "./link-gate.ts";
import { isUsable, LinkTable, type RingLink } from "./link-table.ts";
import { Lists } from "./lists.ts";
import { nearOf } from "./near-set.ts";
import { Repair } from "./repair.ts";
import type { RingInput, RingOptions, RingOutput } from "./ring-types.ts";
import { Shortcuts } from "./shortcuts.ts";
import { estimateSize } from "./size-estimate.ts";
import { Tokens } from "./tokens.ts";
import { aloneView, type RingView, sameView } from "./view.ts";

export type { RingInput, RingOptions, RingOutput, RouteMode } from "./ring-types.ts";
export type { RingView } from "./view.ts";

/** Lists are exchanged so often without any news; often enough while the ring still forms. */
const ROUND_MS = 4_000;
const FORMING_ROUND_MS = 1_000;
const ROUND_SPREAD = 0.25;
/** Changes within this time travel in one list. */
const GATHER_MS = 20;
/** Lists come in bursts; one look at all of them is enough. */
const LISTEN_MS = 5;
/** Links that are not near get a list in turn, so many a round: anti-entropy for meeting rings. */
const OTHERS_PER_ROUND = 4;
/** Others hear of a dead node within two rounds; until then their lists still name it. */
const QUARANTINE_MS = 10_000;
const QUARANTINED_MAX = 256;

type TimerName = "round" | "tell" | "evidence";

/** How links begin the reason of a link that the peer itself closed. */
const GOODBYE = "peer: ";

export class Ring implements Machine<RingInput, RingOutput> {
  readonly #self: RingAddress;
  readonly #rng: Rng;
  readonly #outbox = new Outbox<RingOutput>();
  readonly #timers = new TimerTable<TimerName>();
  readonly #links = new LinkTable();
  readonly #drops = new Drops();
  readonly #agents = new Agents();
  /** By payload type: what each link may bring us of it. */
  readonly #gates: ReadonlyMap<number, LinkGate> = new Map([
    [PAYLOAD_TYPES.handshake, new LinkGate(HANDSHAKE_RATE)],
    [PAYLOAD_TYPES["dht-request"], new LinkGate(DHT_REQUEST_RATE)],
    [PAYLOAD_TYPES["issue-question"], new LinkGate(ISSUE_QUESTION_RATE)],
  ]);
  readonly #attempts = new Attempts();
  readonly #quarantine = new Expiring<true>(QUARANTINED_MAX);
  readonly #contacts: ContactBook;
  readonly #connects: Connects;
  readonly #lists: Lists;
  readonly #forwarder: Forwarder;
  readonly #convictions: Convictions;
  readonly #repair: Repair;
  readonly #join: Join;
  readonly #shortcuts: Shortcuts;
  readonly #idle: IdleLinks;
  #view: RingView;
  #dirty = false;
  #othersTurn = 0;

  /** The deadline since the last input; undefined = to be found again. */
  #wakeAt: Millis | undefined;

  constructor(options: RingOptions) {
    const { self, rng, name = "" } = options;
    this.#self = self;
    this.#rng = rng;
    this.#view = aloneView(self);
    const outbox = this.#outbox;
    const links = this.#links;
    const tokens = new Tokens();
    const contacts = new ContactBook(self);
    const connects = new Connects(outbox);
    const lists = new Lists({ self, name, links, contacts, outbox });
    const deliver = this.#arrive.bind(this);
    const drops = this.#drops;
    const forwarder = new Forwarder({ self, links, tokens, drops, outbox, deliver });
    const { attempts, quarantine } = { attempts: this.#attempts, quarantine: this.#quarantine };
    this.#contacts = contacts;
    this.#connects = connects;
    this.#lists = lists;
    this.#forwarder = forwarder;
    this.#convictions = new Convictions({ self, links, rng: rng.fork("convict"), tokens, outbox });
    this.#repair = new Repair({
      ...{ self, links, lists, contacts, attempts, connects, quarantine, outbox },
    });
    this.#join = new Join({ self, name, rng: rng.fork("join"), links, lists, forwarder });
    const far = rng.fork("shortcuts");
    this.#shortcuts = new Shortcuts({ self, rng: far, links, connects, forwarder, outbox });
    this.#idle = new IdleLinks(self, links, outbox);
  }

  view(): RingView {
    return this.#view;
  }

  /** Messages dropped here on their way or on arrival, by reason. */
  drops(): ReadonlyMap<DropReason, number> {
    return this.#drops.all();
  }

  handle(now: Millis, input: RingInput): void {
    this.#wakeAt = undefined;
    switch (input.kind) {
      case "timeout":
        this.#timeout(now);
        break;
      case "link-up":
        this.#linkUp(now, input.peer, input.role);
        break;
      case "link-down":
        this.#linkDown(now, input.link, input.reason);
        break;
      case "path":
        this.#pathChanged(input.link, input.path, input.rttMs);
        break;
      case "silent":
        this.#silent(now, input.link);
        break;
      case "message":
        this.#message(now, input.link, input.bytes);
        break;
      case "sent":
        if (!this.#forwarder.sent(now, input.token, input.ok)) {
          this.#convictions.sent(input.token, input.ok);
        }
        break;
      case "route":
        this.#route(now, input);
        break;
      case "local-endpoints":
        this.#lists.setEndpoints(input.endpoints);
        break;
    }
    if (this.#dirty) this.#settle(now);
  }

  poll(): RingOutput | undefined {
    return this.#outbox.poll();
  }

  deadline(): Millis {
    this.#wakeAt ??= Math.min(
      this.#timers.deadline(),
      this.#attempts.deadline(),
      this.#convictions.deadline(),
      this.#join.deadline(),
      this.#forwarder.deadline(),
      this.#shortcuts.deadline(),
      this.#idle.deadline(),
    );
    return this.#wakeAt;
  }

  #timeout(now: Millis): void {
    if (!this.#view.stable || this.#attempts.deadline() <= now) this.#dirty = true;
    for (const name of this.#timers.takeExpired(now)) {
      if (name === "tell") this.#tellNear();
      else this.#dirty = true;
      if (name === "round") this.#round(now);
    }
    for (const link of this.#convictions.takeConvicted(now)) this.#convict(now, link);
    this.#forwarder.timeout(now);
    this.#join.timeout(now, nearOf(this.#repair.sides));
    this.#shortcuts.timeout(now, this.#view.sizeEstimate);
    this.#idle.timeout(now);
  }

  #linkUp(now: Millis, peer: PeerInfo, told: LinkRole | undefined): void {
    const asked = this.#connects.roleOf(now, peer.address);
    const first = peer.initiatedHere && !this.#forwarder.inRing ? "leaf" : "onDemand";
    const role = asked ?? told ?? first;
    this.#forwarder.leaning ||= this.#links.size === 0;
    const stranger = peer.initiatedHere && asked === undefined;
    const link = this.#links.add(now, peer, role, role !== "onDemand");
    this.#quarantine.delete(peer.address);
    this.#contacts.note(peer.address, peer.name, peer.candidates);
    this.#lists.tell(link, this.#forwarder.inRing, false);
    if (stranger || !this.#join.isAnswered) this.#join.askThrough(now, link);
    this.#timers.setEarlier("round", now + jitter(this.#rng, FORMING_ROUND_MS, ROUND_SPREAD));
    this.#dirty = true;
  }

  #linkDown(now: Millis, id: LinkId, reason: string): void {
    const link = this.#links.remove(id);
    this.#convictions.dropped(id);
    for (const gate of this.#gates.values()) gate.dropped(id);
    if (link === undefined) return;
    if (reason.startsWith(GOODBYE)) this.#doubt(now, link.address);
    this.#lost(now, link);
  }

  #lost(now: Millis, link: RingLink): void {
    if (link.role === "near") this.#join.hurry(now);
    if (this.#links.size === 0) {
      this.#join.reset();
      this.#forwarder.inRing = false;
    }
    this.#dirty = true;
  }

  #pathChanged(id: LinkId, path: PathView, rttMs: number | undefined): void {
    const link = this.#links.get(id);
    if (link === undefined) return;
    const was = isUsable(link);
    link.path = path;
    link.rttMs = rttMs;
    if (isUsable(link)) this.#convictions.heard(id);
    if (isUsable(link) !== was) this.#dirty = true;
  }

  #silent(now: Millis, id: LinkId): void {
    const link = this.#links.get(id);
    if (link === undefined) return;
    this.#convictions.silent(now, link);
  }

  #convict(now: Millis, link: RingLink): void {
    this.#links.remove(link.link);
    for (const gate of this.#gates.values()) gate.dropped(link.link);
    this.#doubt(now, link.address);
    this.#outbox.push({ kind: "close", link: link.link, reason: "convicted" });
    this.#event({
      what: "neighbour-convicted",
      condition: "silent to us and to every neighbour asked",
      action: "closed the link and looked for the next neighbour",
      effect: `${link.name || addressText(link.address)} is unreachable`,
      coolDownMs: QUARANTINE_MS,
      fields: { peer: addressText(link.address), name: link.name },
    });
    this.#lost(now, link);
  }

  /** Lists of others may name it a while longer. */
  #doubt(now: Millis, address: RingAddress): void {
    this.#quarantine.set(address, true, now + QUARANTINE_MS);
    this.#timers.setEarlier("evidence", now + QUARANTINE_MS);
  }

  #message(now: Millis, id: LinkId, bytes: Uint8Array): void {
    const link = this.#links.get(id);
    if (link === undefined) return this.#drops.count("not-for-us");
    this.#convictions.heard(id);
    switch (bytes[0]) {
      case MESSAGE_TYPES.routed:
        return this.#take(parseEnvelope(bytes), (one) => this.#forwarder.pass(now, one, link));
      case MESSAGE_TYPES.neighbours:
        return this.#neighbours(now, link, bytes);
      case MESSAGE_TYPES["probe-request"]:
        return this.#take(parseProbeRequest(bytes), (one) => this.#convictions.request(id, one));
      case MESSAGE_TYPES["probe-report"]:
        return this.#take(parseProbeReport(bytes), (one) => {
          const peer = this.#convictions.report(id, one);
          if (peer !== undefined) this.#pathBroken(peer);
        });
      default:
        return this.#drops.count("unknown-type");
    }
  }

  #neighbours(now: Millis, link: RingLink, bytes: Uint8Array): void {
    const repeated = this.#lists.isRepeated(now, link, bytes);
    if (!repeated || !this.#view.stable) this.#timers.setEarlier("evidence", now + LISTEN_MS);
    if (repeated && !(link.list?.wantsReply ?? false)) return;
    this.#take(parseNeighbours(bytes), (list) => {
      this.#lists.heard(now, link, list, bytes);
      if (list.wantsReply) this.#lists.tell(link, this.#forwarder.inRing, false);
    });
  }

  #pathBroken(peer: RingAddress): void {
    this.#event({
      what: "path-broken",
      condition: "silent to us, but a neighbour reaches it",
      action: "asked the link for another path",
      effect: "",
      coolDownMs: 0,
      fields: { peer: addressText(peer) },
    });
  }

  #take<T>(outcome: Parsed<T>, use: (value: T) => void): void {
    if (outcome.ok) use(outcome.value);
    else this.#drops.count(outcome.reason);
  }

  #route(now: Millis, input: Extract<RingInput, { kind: "route" }>): void {
    const { to, mode, payloadType, payload, excludeSelf } = input;
    if (payload.length > MAX_ROUTED_PAYLOAD) {
      this.#outbox.push({ kind: "undeliverable", to, payloadType, payload, reason: "too-long" });
      return;
    }
    const nearest = mode === "nearest";
    const excludeSource = nearest && excludeSelf;
    this.#forwarder.start(now, {
      ...{ source: this.#self, destination: to, nearest, excludeSource, payloadType, payload },
      ...{ hopLimit: HOP_LIMIT, visited: [] },
      sourceAgent: undefined,
      destinationAgent: this.#agentOf(now, to, nearest),
    });
  }

  #agentOf(now: Millis, to: RingAddress, nearest: boolean): RingAddress | undefined {
    const agent = nearest ? undefined : this.#agents.of(now, to);
    const linked = this.#links.byAddress(to);
    if (agent === this.#self || (linked !== undefined && isUsable(linked))) return undefined;
    return agent;
  }

  /** An envelope ends here. */
  #arrive(now: Millis, envelope: Envelope, from: LinkId | undefined): void {
    const { source, payloadType, payload, sourceAgent } = envelope;
    if (source !== this.#self) this.#agents.note(now, source, sourceAgent);
    switch (payloadType) {
      case PAYLOAD_TYPES["connect-to-me"]:
        return this.#take(parseConnectToMe(payload), (asked) => {
          const entry = { address: source, inRing: false, ...asked };
          if (this.#links.byAddress(source) === undefined) this.#lists.rumour(now, [entry], true);
          this.#answer(now, source, PAYLOAD_TYPES["neighbours-answer"], asked.nonce);
          this.#dirty = true;
        });
      case PAYLOAD_TYPES["neighbours-answer"]:
        return this.#take(parseListAnswer(payload), (answer) => {
          this.#join.answered(now, answer.nonce);
          this.#lists.rumour(now, answer.entries, false);
          this.#dirty = true;
        });
      case PAYLOAD_TYPES.find:
        return this.#take(parseFind(payload), (nonce) =>
          this.#answer(now, source, PAYLOAD_TYPES["find-answer"], nonce),
        );
      case PAYLOAD_TYPES["find-answer"]:
        return this.#take(parseListAnswer(payload), (one) => this.#shortcuts.answered(now, one));
    }
    const gate = this.#gates.get(payloadType);
    const isAdmitted = from === undefined || gate === undefined || gate.admit(now, from);
    if (!isAdmitted) return this.#drops.count("rate-limited");
    const hops = HOP_LIMIT - envelope.hopLimit;
    this.#outbox.push({ kind: "deliver", source, payloadType, payload, hops: Math.max(0, hops) });
  }

  #answer(now: Millis, to: RingAddress, payloadType: number, nonce: number): void {
    const entries = this.#lists.answerFor(to, this.#forwarder.inRing);
    const payload = emitListAnswer({ nonce, entries });
    this.#route(now, {
      ...{ kind: "route", to, mode: "exact", payloadType, payload, excludeSelf: false },
    });
  }

  /** After anything that may change who is near. */
  #settle(now: Millis): void {
    this.#dirty = false;
    if (this.#repair.settle(now)) this.#timers.setEarlier("tell", now + GATHER_MS);
    const stable = this.#isStable();
    this.#forwarder.leaning = !stable;
    if (stable && !this.#forwarder.inRing && this.#links.size > 0) this.#enterRing(now);
    this.#idle.update(now, nearOf(this.#repair.sides), stable);
    const sizeEstimate = estimateSize(this.#self, this.#repair.sides, this.#lists.gaps());
    if (stable) this.#shortcuts.enable(now, sizeEstimate);
    this.#show({ self: this.#self, ...this.#repair.sides, sizeEstimate, stable });
  }

  #isStable(): boolean {
    if (this.#links.size === 0) return true;
    return this.#join.isAnswered && this.#repair.isSettled();
  }

  #enterRing(now: Millis): void {
    this.#forwarder.inRing = true;
    for (const link of this.#links.all()) this.#lists.tell(link, true, false);
    this.#timers.setEarlier("round", now + jitter(this.#rng, ROUND_MS, ROUND_SPREAD));
    this.#event({
      what: "ring-joined",
      condition: "every near neighbour is linked and knows nobody nearer",
      action: "routes messages for others",
      effect: "this node is a member of the ring",
      coolDownMs: 0,
      fields: { neighbours: nearOf(this.#repair.sides).size },
    });
  }

  #show(view: RingView): void {
    if (sameView(view, this.#view)) return;
    this.#view = view;
    this.#outbox.push({ kind: "view", view });
  }

  #tellNear(): void {
    for (const address of nearOf(this.#repair.sides)) {
      const link = this.#links.byAddress(address);
      if (link !== undefined) this.#lists.tell(link, this.#forwarder.inRing, !this.#view.stable);
    }
  }

  /** Periodic exchange: the near links, and some of the others in turn. */
  #round(now: Millis): void {
    if (this.#links.size === 0) return;
    this.#tellNear();
    const near = nearOf(this.#repair.sides);
    const others = this.#links.usable().filter((link) => !near.has(link.address));
    for (let i = 0; i < Math.min(OTHERS_PER_ROUND, others.length); i++) {
      const link = others[this.#othersTurn++ % others.length];
      if (link !== undefined) this.#lists.tell(link, this.#forwarder.inRing, false);
    }
    const period = this.#view.stable ? ROUND_MS : FORMING_ROUND_MS;
    this.#timers.set("round", now + jitter(this.#rng, period, ROUND_SPREAD));
  }

  #event(event: Omit<CoreEvent, "area">): void {
    this.#outbox.push({ kind: "event", event: { area: "ring", ...event } });
  }
}
