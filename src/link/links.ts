/**
 * All links of a node: the dispatch between the engine, the layers above, and the parts that each do
 * one thing.
 *
 *      connect, datagrams, routed --> handshakes --> Link (transport, paths, keys) <--> session
 *                                                      \--> relays (as origin, relay, target)
 */
import type { DropReason } from "../base/drop-reason.ts";
import type { EngineCommand, SocketIndex, Upcall } from "../base/engine.ts";
import type { CoreEvent } from "../base/event.ts";
import { type Machine, Outbox } from "../base/machine.ts";
import type { Endpoint } from "../base/net.ts";
import type { RingAddress } from "../base/ring-address.ts";
import { type Millis, NEVER, TimerTable } from "../base/time.ts";
import { actOnRelays } from "./act-on-relays.ts";
import { CertificateWatch, type RefusedDate } from "./certificate-watch.ts";
import { DropCounters } from "./drop-counters.ts";
import type { ConnectRequest, FreshLinks } from "./handshake-initiator.ts";
import {
  type Channel,
  type HandshakeResult,
  HandshakeSelf,
  type OwnWhereabouts,
} from "./handshake-self.ts";
import { Handshakes, type HandshakesOutput } from "./handshakes.ts";
import { Lingering } from "./lingering.ts";
import { Link } from "./link.ts";
import { linkClosed, linkOpened, pathChanged, wokeUp } from "./link-events.ts";
import type { LinkOutput } from "./link-output.ts";
import { LinkTable } from "./link-table.ts";
import {
  type ConnectTarget,
  type LinkId,
  type LinkRole,
  type LinksInput,
  type LinksOutput,
  type LinkView,
  REOPENED,
} from "./link-types.ts";
import type { LinksOptions } from "./links-options.ts";
import { OwnCandidates, type Witness } from "./own-candidates.ts";
import { PeerCertificates } from "./peer-certificates.ts";
import { greetedBy, peerInfo } from "./peer-info.ts";
import { noteRefusedSize } from "./refused-size.ts";
import { convictionOf, directLinksOf, relayHintsOf } from "./relay-choice.ts";
import { type DirectLink, Relays } from "./relays.ts";
import { isStream } from "./stream-sockets.ts";
import { Traversal, type TraversalLinks } from "./traversal.ts";

/** `now` this far past the deadline: the machine slept, or this process was stopped. */
export const SUSPEND_GAP_MS: Millis = 5_000;
/** How often the engine is asked what passed; bounds how late a size hole is noticed. */
const TRAFFIC_MS = 4_000;
/** Changes of our own candidates are told together. */
const ANNOUNCE_MS = 1_000;
/** As long as handshakes that began together may take to end. */
const FRESH_MS = 5_000;
/** Endpoints of a peer that are worth a datagram when its link is renewed. */
const RENEWAL_ENDPOINTS = 8;

type Timer = "traffic" | "announce";

export class Links
  implements Machine<LinksInput, LinksOutput>, FreshLinks, OwnWhereabouts, TraversalLinks
{
  readonly #options: LinksOptions;
  readonly #out = new Outbox<LinksOutput>();
  readonly #drops = new DropCounters();
  readonly #links: LinkTable;
  readonly #lingering = new Lingering();
  readonly #self: HandshakeSelf;
  readonly #watch = new CertificateWatch();
  readonly #certificates: PeerCertificates;
  readonly #own: OwnCandidates;
  readonly #handshakes: Handshakes;
  readonly #relays: Relays;
  readonly #traversal: Traversal;
  readonly #timers = new TimerTable<Timer>();
  #deadline: Millis = NEVER;
  #lastNow: Millis = Number.NEGATIVE_INFINITY;
  #wantsTraffic = false;

  constructor(options: LinksOptions) {
    this.#options = options;
    this.#links = new LinkTable(options.rng, (id) => this.#lingering.has(id));
    this.#self = new HandshakeSelf({ ...options, rng: options.rng.fork("handshake") }, this);
    this.#certificates = new PeerCertificates(this.#self, this.#watch, this.#drops);
    this.#self.onDateFault = (fault) => this.#watch.refused(this.#lastNow, fault);
    this.#handshakes = new Handshakes({
      self: this.#self,
      sockets: options.sockets,
      drops: this.#drops,
      links: this,
    });
    const { traversal: mode = "standard" } = options;
    this.#own = new OwnCandidates(mode !== "off");
    this.#traversal = new Traversal({
      mode,
      rng: options.rng.fork("traversal"),
      sockets: options.sockets,
      links: this,
      place: this.#own,
      drops: this.#drops,
    });
    const rng = options.rng.fork("relays");
    const { address: self, relay: policy } = options;
    this.#relays = new Relays({
      self,
      rng,
      links: this,
      drops: this.#drops,
      ...(policy && { policy }),
    });
  }

  handle(now: Millis, input: LinksInput): void {
    this.#self.wallSeconds = this.#watch.wallSeconds(now);
    this.#noticeGap(now);
    this.#dispatch(now, input);
    this.#settle(now);
    this.#lastNow = now;
    this.#deadline = this.#earliest();
  }

  poll(): LinksOutput | undefined {
    return this.#out.poll();
  }

  deadline(): Millis {
    return this.#deadline;
  }

  views(): readonly LinkView[] {
    return this.#links.all().map((link) => link.view());
  }

  byAddress(address: RingAddress): LinkView | undefined {
    return this.#links.at(address)?.view();
  }

  drops(): Partial<Record<DropReason, number>> {
    return this.#drops.snapshot();
  }

  /** Peers that were refused lately for the dates of their certificates alone. */
  refusedDates(now: Millis): readonly RefusedDate[] {
    return this.#watch.refusals(now);
  }

  directLinks(): readonly DirectLink[] {
    return directLinksOf(this.#links);
  }

  whereabouts(): { endpoints: readonly Endpoint[]; relays: readonly RingAddress[] } {
    return { endpoints: this.#own.list(), relays: relayHintsOf(this.#links) };
  }

  isFresh(now: Millis, address: RingAddress, boot: bigint): boolean {
    const link = this.#links.at(address);
    return link !== undefined && link.peer.boot === boot && now - link.keyedAt < FRESH_MS;
  }

  use(link: LinkId): Link | undefined {
    return this.#links.use(link);
  }

  rttMs(link: LinkId): Millis | undefined {
    return this.#links.get(link)?.paths.rttMs;
  }

  #dispatch(now: Millis, input: LinksInput): void {
    switch (input.kind) {
      case "timeout":
        return this.#timeout(now);
      case "upcall":
        return this.#receive(now, input.upcall);
      case "wall":
        this.#watch.tellWall(now, input.wallSeconds);
        return;
      case "certificate":
        this.#self.certificate = input.bytes;
        return this.#links.tellCertificate(now, input.bytes);
      case "local-endpoints":
        if (this.#own.setLocal(input.endpoints)) this.#links.doubtAll(now);
        return this.#timers.setEarlier("announce", now + ANNOUNCE_MS);
      case "reflexive":
        return this.#noteReflexive(now, `stun ${input.socket}`, input);
      case "nat":
        this.#traversal.nat = input;
        return this.#timers.setEarlier("announce", now + ANNOUNCE_MS);
      case "mapping-life":
        this.#own.mappingLifeMs = input.aliveMs;
        for (const link of this.#links.useAll()) link.renewKeepalives(now);
        return;
      case "connect":
        return this.#connect(now, { to: input.to, role: input.role, isRenewal: false });
      case "routed-handshake":
        return this.#handshakes.receive(now, { kind: "ring", address: input.source }, input.bytes);
      case "send":
        return this.#send(now, input);
      case "set-role":
        return this.#links.use(input.link)?.setRole(now, input.role);
      case "path-broken":
        return this.#links.use(input.link)?.reachedByOthers(now);
      case "close": {
        const link = this.#links.use(input.link);
        if (link !== undefined) return this.#end(now, link, input.reason, true);
        return;
      }
      case "revoked":
        for (const link of this.#links.useRevoked(this.#options.membership)) {
          this.#end(now, link, "revoked", false);
        }
    }
  }

  #timeout(now: Millis): void {
    this.#handshakes.timeout(now);
    this.#relays.timeout(now);
    this.#traversal.timeout(now);
    for (const id of this.#watch.takeEnded(now)) {
      const link = this.#links.use(id);
      if (link !== undefined) this.#end(now, link, "certificate ended", true);
    }
    for (const session of this.#lingering.takeDue(now))
      this.#engine({ op: "session-close", session });
    for (const link of this.#links.useDue(now)) if (this.#links.has(link)) link.timeout(now);
    for (const timer of this.#timers.takeExpired(now)) {
      if (timer === "traffic") this.#wantsTraffic = true;
      else this.#announceAll(now);
    }
  }

  /** The process slept while others may have given us up: renew every link. */
  #noticeGap(now: Millis): void {
    const expected = Math.max(this.#deadline, this.#lastNow);
    if (this.#deadline === NEVER || now - expected < SUSPEND_GAP_MS) return;
    this.#event(wokeUp(now - expected, this.#links.size));
    for (const link of this.#links.all()) this.#renew(now, link);
  }

  #connect(now: Millis, request: ConnectRequest): void {
    const { to } = request;
    if (to.kind === "address") {
      if (to.address === this.#options.address) return this.#fail(request, "self");
      if (!request.isRenewal && this.#links.at(to.address) !== undefined) return;
    } else if (this.#isLinkedAt(to.endpoint)) return;
    this.#handshakes.start(now, request);
  }

  #isLinkedAt(endpoint: Endpoint): boolean {
    return this.#links.all().some((link) => link.paths.worksAt(endpoint));
  }

  #renew(now: Millis, link: Link): void {
    const endpoints = link.paths.knownEndpoints.slice(0, RENEWAL_ENDPOINTS);
    const to: ConnectTarget = { kind: "address", address: link.address, endpoints };
    this.#connect(now, { to, role: link.view().role, isRenewal: true });
  }

  #send(now: Millis, input: Extract<LinksInput, { kind: "send" }>): void {
    const link = this.#links.use(input.link);
    if (link !== undefined) return link.send(now, input);
    this.#drops.count("no-path");
    const { owner, token, reliable } = input;
    if (reliable && token !== 0) this.#out.push({ kind: "sent", owner, token, ok: false });
  }

  // what comes up from the engine or over the ring

  #receive(now: Millis, upcall: Upcall): void {
    switch (upcall.kind) {
      case "datagram": {
        const { socket, from: endpoint, bytes } = upcall;
        // No authentication covers the source, and nobody can be answered there.
        if (endpoint.port === 0) return this.#drops.count("bad-field");
        return this.#handshakes.receive(now, { kind: "socket", socket, endpoint }, bytes);
      }
      case "control": {
        const from = upcall.from?.port === 0 ? undefined : upcall.from;
        const isAside = this.#traversal.isForeign(upcall);
        return this.#links.use(upcall.session)?.receiveControl(now, { ...upcall, from, isAside });
      }
      case "keys-confirmed":
        return this.#links.use(upcall.session)?.keysConfirmed(now, upcall.receive);
      case "endpoint":
        if (upcall.from.port === 0) return this.#drops.count("bad-field");
        if (this.#traversal.isForeign(upcall)) return;
        return this.#links.use(upcall.session)?.seenAt(now, upcall);
      case "size-refused":
        return noteRefusedSize(now, this.#links, upcall);
      case "rekey-due":
        return this.#links.use(upcall.session)?.beginRekey(now);
      case "traffic":
        for (const traffic of upcall.sessions) {
          this.#links.use(traffic.session)?.noteTraffic(now, traffic);
        }
        return;
      case "socket-failed":
      case "socket-closed":
        for (const link of this.#links.useAll()) link.paths.forgetSocket(now, upcall.socket);
        return this.#traversal.lost(now, upcall.socket);
      case "miss":
      case "frame":
      case "held":
      case "socket-opened":
      case "listening":
      case "listen-failed":
        return;
    }
  }

  // sessions

  #complete(now: Millis, result: HandshakeResult, request: ConnectRequest | undefined): void {
    const { facts, channel } = result;
    const before = this.#links.useAddress(facts.address);
    if (before !== undefined && before.peer.boot !== facts.boot) {
      this.#end(now, before, "restarted", false);
    }
    const existing = this.#links.useAddress(facts.address);
    const link = existing ?? this.#open(now, result, request?.role ?? "onDemand");
    if (link === undefined) {
      if (request !== undefined) this.#fail(request, "too many links");
      return;
    }
    const endpoint = channel.kind === "socket" ? channel.endpoint : undefined;
    this.#handshakes.settle(facts.address, endpoint);
    link.relayHints = facts.relays;
    link.install(now, result);
    if (this.#certificates.shown(now, link, facts)) this.#reopen(now, link);
    this.#out.push(greetedBy(link.id, facts));
    if (existing === undefined) this.#attachEarlyRelays(now, link);
    if (channel.kind === "socket" && facts.observed !== undefined) {
      const { socket, endpoint: by } = channel;
      const seen = { socket, endpoint: facts.observed };
      this.#noteObserved(now, facts.address, { kind: "observed", by, ...seen });
    }
  }

  #open(now: Millis, result: HandshakeResult, role: LinkRole): Link | undefined {
    if (this.#links.isFull) {
      this.#drops.count("table-full");
      return undefined;
    }
    const { facts, initiator } = result;
    const peer = peerInfo(this.#links.drawId(), facts, initiator);
    const { suite, rng, sockets } = this.#options;
    const link = new Link(now, {
      suite,
      rng: rng.fork(`link ${peer.link}`),
      drops: this.#drops,
      sockets,
      place: this.#own,
      peer,
      role,
      relayHints: facts.relays,
    });
    this.#links.add(link);
    this.#timers.setEarlier("traffic", now + TRAFFIC_MS);
    this.#event(linkOpened(peer));
    this.#out.push({ kind: "link-up", peer });
    link.sayPath();
    this.#drainLink(now, link);
    return link;
  }

  /** The peer may have built its relay before our side of the handshake was done. */
  #attachEarlyRelays(now: Millis, link: Link): void {
    for (const { via, viaAddress, label } of this.#relays.endsOf(link.address)) {
      link.addRelay(now, via, viaAddress, label);
    }
  }

  #end(now: Millis, link: Link, reason: string, tellPeer: boolean): void {
    if (!this.#links.has(link)) return;
    this.#links.remove(link);
    this.#relays.linkLost(now, link.id, true);
    for (const { via, label } of link.paths.relays) this.#relays.release(via, label);
    const isTold = link.end(reason, tellPeer);
    this.#traversal.forget(link.id);
    this.#certificates.forget(link.id);
    this.#drainLink(now, link);
    if (!isTold || !this.#lingering.add(now, link.id)) {
      this.#engine({ op: "session-close", session: link.id });
    }
    this.#out.push({ kind: "link-down", link: link.id, address: link.address, reason });
    this.#event(linkClosed(link.peer, reason));
  }

  // outputs of the parts

  /** Lets every part act on what the others put out, until nothing is left. */
  #settle(now: Millis): void {
    const engine = (command: EngineCommand): void => this.#engine(command);
    for (let isIdle = false; !isIdle; ) {
      isIdle = !this.#drainHandshakes(now);
      for (const link of this.#links.touched()) if (this.#drainLink(now, link)) isIdle = false;
      if (actOnRelays(now, this.#relays, this.#links, engine)) isIdle = false;
      if (this.#drainTraversal(now)) isIdle = false;
    }
    this.#links.settle();
    if (!this.#wantsTraffic) return;
    this.#wantsTraffic = false;
    if (this.#links.size === 0) return;
    this.#engine({ op: "report-traffic" });
    this.#timers.set("traffic", now + TRAFFIC_MS);
  }

  #drainHandshakes(now: Millis): boolean {
    let isBusy = false;
    for (let out = this.#handshakes.poll(); out !== undefined; out = this.#handshakes.poll()) {
      isBusy = true;
      this.#takeHandshake(now, out);
    }
    return isBusy;
  }

  #takeHandshake(now: Millis, out: HandshakesOutput): void {
    switch (out.kind) {
      case "send":
        return this.#sendHandshake(out.channel, out.bytes);
      case "done":
        return this.#complete(now, out.result, out.request);
      case "failed":
        if (!out.request.isRenewal) this.#fail(out.request, out.reason, out.major);
        return;
      case "unconfirmed": {
        const link = this.#links.useAddress(out.peer);
        if (link !== undefined) this.#renew(now, link);
      }
    }
  }

  #drainLink(now: Millis, link: Link): boolean {
    let isBusy = false;
    for (let out = link.poll(); out !== undefined; out = link.poll()) {
      isBusy = true;
      this.#takeLink(now, link, out);
    }
    return isBusy;
  }

  #takeLink(now: Millis, link: Link, out: LinkOutput): void {
    switch (out.kind) {
      case "relay-message":
        if (out.message.type === "certificate") {
          const { certificate } = out.message;
          if (this.#certificates.renewed(now, link, certificate)) this.#reopen(now, link);
          return;
        }
        return this.#relays.receive(now, { link: link.id, address: link.address }, out.message);
      case "want-relay":
        return this.#relays.open(now, link.address, link.relayHints, link.paths.deadRelays);
      case "relay-lossy":
        this.#relays.avoid(now, out.via, link.address);
        return this.#event(convictionOf(this.#links, link, out));
      case "release-relay":
        return this.#relays.release(out.via, out.label);
      case "moved":
        return this.#moved(now, link);
      case "heard":
        return this.#handshakes.confirm(link.address);
      case "renew":
        return this.#renew(now, link);
      case "reopened":
        return this.#reopen(now, link);
      case "want-traffic":
        this.#wantsTraffic = true;
        return;
      case "want-round":
        return this.#traversal.wantRound(now, link);
      case "told":
        return this.#traversal.told(now, link, out.answer);
      case "socket-unused":
        return this.#traversal.unused(link.id, out.socket);
      case "ended":
        return this.#end(now, link, out.reason, false);
      case "observed":
        return this.#noteObserved(now, link.address, out);
      default:
        this.#out.push(out);
    }
  }

  #drainTraversal(now: Millis): boolean {
    const isBusy = this.#traversal.settle(now);
    for (let out = this.#traversal.poll(); out !== undefined; out = this.#traversal.poll()) {
      this.#engine(out);
    }
    return isBusy;
  }

  #moved(now: Millis, link: Link): void {
    const path = link.paths.view();
    if (path.kind === "direct" && !isStream(path.socket)) this.#traversal.found(link, path.socket);
    if (!link.isDirect) this.#relays.linkLost(now, link.id, false);
    // The first thing the peer hears by the relay: perhaps we moved, and it sends to where we were.
    if (link.paths.view().kind === "relay") link.announce(now, this.whereabouts(), false);
    this.#event(pathChanged(link.peer, link.paths.view()));
    if (link.paths.view().kind !== "none") link.tellNat(now, this.#traversal.nat);
  }

  #reopen(now: Millis, link: Link): void {
    const { id, address, peer } = link;
    this.#out.push({ kind: "link-down", link: id, address, reason: REOPENED });
    this.#out.push({ kind: "link-up", peer });
    link.sayPath();
    link.tellNat(now, this.#traversal.nat);
  }

  #noteObserved(
    now: Millis,
    witness: RingAddress,
    seen: Extract<LinksOutput, { kind: "observed" }>,
  ): void {
    const { socket, endpoint } = seen;
    // The address of a TCP connection is nobody's candidate.
    if (isStream(socket)) return;
    if (this.#traversal.owns(socket)) {
      return this.#traversal.observed(now, socket, endpoint);
    }
    this.#noteReflexive(now, witness, seen);
    this.#out.push(seen);
  }

  #noteReflexive(
    now: Millis,
    witness: Witness,
    seen: { readonly socket: SocketIndex; readonly endpoint: Endpoint },
  ): void {
    const { socket, endpoint } = seen;
    if (!this.#own.noteReflexive(now, witness, endpoint)) return;
    this.#out.push({ kind: "reflexive", socket, endpoint });
    this.#timers.setEarlier("announce", now + ANNOUNCE_MS);
  }

  #announceAll(now: Millis): void {
    this.#links.announceAll(now, this.whereabouts(), this.#traversal.nat);
  }

  #sendHandshake(channel: Channel, bytes: Uint8Array): void {
    if (channel.kind === "ring") {
      this.#out.push({ kind: "route-handshake", to: channel.address, bytes });
    } else {
      const { socket, endpoint } = channel;
      this.#engine({ op: "datagram", socket, to: endpoint, bytes });
    }
  }

  #fail({ to }: ConnectRequest, reason: string, major?: number): void {
    const foreign = major === undefined ? {} : { major };
    this.#out.push({ kind: "connect-failed", to, reason, ...foreign });
  }

  #engine(command: EngineCommand): void {
    this.#out.push({ kind: "engine", command });
  }

  #event(event: CoreEvent): void {
    this.#out.push({ kind: "event", event });
  }

  #earliest(): Millis {
    return Math.min(
      this.#handshakes.deadline(),
      this.#relays.deadline(),
      this.#traversal.deadline(),
      this.#timers.deadline(),
      this.#lingering.deadline(),
      this.#watch.deadline(),
      this.#links.deadline(),
    );
  }
}
