/**
 * The way out of a network that lets no UDP through: TLS streams to the hosts that a node knows.
 *
 *      asked, no answer --HEAD_START_MS--> streams to each host, all ports at once --opened--> handshake
 *          ^                                   | none leads to a link
 *          \---------- 4, 8 .. 60 s -----------/
 *      a stream that carries no link after UNUSED_MS goes, or once UDP has worked for RETIRE_MS
 *
 * A handshake over a stream makes a path like any other (decisions/0012). Links prefer UDP paths by
 * themselves, so coming back needs nothing from here.
 */
import type {
  EngineCommand,
  SocketFailure,
  SocketIndex,
  StreamProxy,
  Upcall,
} from "../base/engine.ts";
import type { CoreEvent } from "../base/event.ts";
import { type Machine, Outbox } from "../base/machine.ts";
import {
  type Endpoint,
  endpointText,
  isInNetwork,
  isPrivate,
  type Network,
  sameEndpoint,
} from "../base/net.ts";
import { type Millis, TimerTable } from "../base/time.ts";
import { listenFailed, proxyFailed, streamOpened } from "./link-events.ts";
import type { PathView } from "./link-types.ts";
import { FIRST_STREAM, isStream, MAX_STREAMS } from "./stream-sockets.ts";

/** UDP answers within this nearly everywhere; where it is slower, a stream too many is all it costs. */
const HEAD_START_MS: Millis = 250;
/** Between two attempts without any link over the hosts: doubled each time. */
const FIRST_RETRY_MS: Millis = 2_000;
const LAST_RETRY_MS: Millis = 60_000;
/** A handshake over a stream takes two round trips; what carries nothing then was not needed. */
const UNUSED_MS: Millis = 6_000;
/** UDP that comes and goes must not cost the way that works. */
const RETIRE_MS: Millis = 30_000;
/** Hosts tried in one attempt, the next ones in the next: any member introduces. */
const MAX_HOSTS = 4;
/** The port that every firewall lets out. */
const HTTPS_PORT = 443;

export interface StreamOptions {
  /** Where to accept streams; undefined = nowhere. */
  readonly listen: number | undefined;
}

/** The proxy that streams are made through, and who is asked without it. */
export interface ProxyRoute {
  readonly proxy: StreamProxy;
  readonly exempt: readonly Network[];
}

export type StreamInput =
  | { readonly kind: "timeout" }
  | { readonly kind: "upcall"; readonly upcall: Upcall }
  /** The node asks these members for a link: its bootstrap list and remembered peers. */
  | { readonly kind: "asked"; readonly endpoints: readonly Endpoint[] }
  /** From the file or the environment, its name looked up; may change. */
  | { readonly kind: "proxy"; readonly route: ProxyRoute }
  /** Links or their paths changed. */
  | { readonly kind: "links" };

export type StreamOutput =
  | { readonly kind: "engine"; readonly command: EngineCommand }
  | { readonly kind: "event"; readonly event: CoreEvent }
  | { readonly kind: "connect"; readonly endpoint: Endpoint; readonly stream: SocketIndex };

/** Where the links lead at present. */
export interface LinkPaths {
  views(): readonly { readonly path: PathView }[];
}

type DirectWay = Extract<PathView, { kind: "direct" }>;

interface Stream {
  readonly to: Endpoint;
  /** Since then it could have carried a link; undefined while it is being set up. */
  openSince: Millis | undefined;
  /** A link went over it: it stays until UDP has worked for a while. */
  hasServed: boolean;
}

export class StreamFallback implements Machine<StreamInput, StreamOutput> {
  readonly #options: StreamOptions | undefined;
  readonly #links: LinkPaths;
  readonly #out = new Outbox<StreamOutput>();
  readonly #timers = new TimerTable<"attempt" | "unused" | "retire">();
  readonly #streams = new Map<SocketIndex, Stream>();
  #hosts: readonly Endpoint[] = [];
  #route: ProxyRoute | undefined;
  /** Where in `#hosts` the next attempt begins. */
  #nextHost = 0;
  #retryMs: Millis = FIRST_RETRY_MS;
  #nextIndex: SocketIndex = FIRST_STREAM;

  /** @param options undefined = no streams, neither way */
  constructor(options: StreamOptions | undefined, links: LinkPaths) {
    this.#options = options;
    this.#links = links;
    const port = options?.listen;
    if (port !== undefined) this.#command({ op: "stream-listen", port });
  }

  handle(now: Millis, input: StreamInput): void {
    if (this.#options === undefined) return;
    switch (input.kind) {
      case "timeout":
        return this.#timeout(now);
      case "upcall":
        return this.#receive(now, input.upcall);
      case "asked":
        return this.#setHosts(now, outermostFirst(input.endpoints));
      case "proxy":
        return this.#setRoute(now, input.route);
      case "links":
        return this.#consider(now);
    }
  }

  poll(): StreamOutput | undefined {
    return this.#out.poll();
  }

  deadline(): Millis {
    return this.#timers.deadline();
  }

  #timeout(now: Millis): void {
    for (const timer of this.#timers.takeExpired(now)) {
      if (timer === "attempt") this.#attempt(now);
      else if (timer === "unused") this.#closeUnused(now);
      else this.#closeIdle();
    }
    this.#consider(now);
  }

  #receive(now: Millis, upcall: Upcall): void {
    switch (upcall.kind) {
      case "socket-opened":
        return this.#opened(now, upcall.socket);
      case "socket-failed":
        return this.#failed(now, upcall.socket, upcall.reason);
      case "socket-closed":
        if (this.#streams.delete(upcall.socket)) this.#consider(now);
        return;
      case "listen-failed":
        return this.#tellListenFailed(upcall.port, upcall.reason);
    }
  }

  /** Proxies often refuse some ports: it is news when nothing is left to wait for. */
  #failed(now: Millis, socket: SocketIndex, reason: SocketFailure): void {
    if (!this.#streams.delete(socket)) return;
    const isProxys = reason === "proxy-refused" || reason === "proxy-authorization";
    if (isProxys && this.#route !== undefined && this.#streams.size === 0) {
      const event = proxyFailed(this.#route.proxy.endpoint, reason);
      this.#out.push({ kind: "event", event });
    }
    this.#consider(now);
  }

  /** Hosts that were not tried yet do not wait for the next round. */
  #setHosts(now: Millis, hosts: readonly Endpoint[]): void {
    const isKnown = (host: Endpoint): boolean =>
      this.#hosts.some((other) => sameEndpoint(other, host));
    const news = hosts.findIndex((host) => !isKnown(host));
    if (news >= 0) {
      this.#nextHost = news;
      this.#retryMs = FIRST_RETRY_MS;
      this.#timers.clear("attempt");
    }
    this.#hosts = hosts;
    this.#consider(now);
  }

  /** Attempts that go another way than the new one are given up; links stay. */
  #setRoute(now: Millis, route: ProxyRoute): void {
    this.#route = route;
    for (const [socket, { openSince }] of this.#streams) {
      if (openSince === undefined) this.#close(socket);
    }
    this.#retryMs = FIRST_RETRY_MS;
    this.#timers.clear("attempt");
    this.#consider(now);
  }

  #opened(now: Millis, socket: SocketIndex): void {
    const stream = this.#streams.get(socket);
    if (stream === undefined) return;
    stream.openSince = now;
    this.#timers.setEarlier("unused", now + UNUSED_MS);
    this.#out.push({ kind: "event", event: streamOpened(stream.to) });
    this.#out.push({ kind: "connect", endpoint: stream.to, stream: socket });
  }

  /** Sets or clears what the present links call for. */
  #consider(now: Millis): void {
    this.#noteServing();
    const isLinked = this.#isLinked(() => true);
    if (isLinked) {
      this.#retryMs = FIRST_RETRY_MS;
      this.#nextHost = 0;
    }
    if (isLinked || this.#hosts.length === 0) this.#timers.clear("attempt");
    else if (!this.#timers.isSet("attempt")) {
      const hasTried = this.#retryMs > FIRST_RETRY_MS;
      this.#timers.set("attempt", now + (hasTried ? this.#retryMs : HEAD_START_MS));
    }
    const canRetire = this.#streams.size > 0 && this.#isLinked((socket) => !isStream(socket));
    if (!canRetire) this.#timers.clear("retire");
    else if (!this.#timers.isSet("retire")) this.#timers.set("retire", now + RETIRE_MS);
  }

  /** Whether a link leads to one of the asked hosts, those outside first of all, over such a socket. */
  #isLinked(over: (socket: SocketIndex) => boolean): boolean {
    const ips = new Set(outermost(this.#hosts).map(({ ip }) => ip));
    return this.#directWays().some(({ socket, endpoint }) => over(socket) && ips.has(endpoint.ip));
  }

  #directWays(): DirectWay[] {
    const paths = this.#links.views().map(({ path }) => path);
    return paths.filter((path) => path.kind === "direct");
  }

  #attempt(now: Millis): void {
    const targets = this.#targets(this.#nextHosts());
    const isTarget = (to: Endpoint): boolean => targets.some((other) => sameEndpoint(other, to));
    for (const [socket, { to, openSince }] of this.#streams) {
      if (openSince === undefined && !isTarget(to)) this.#close(socket);
    }
    const isOpening = (to: Endpoint): boolean =>
      [...this.#streams.values()].some((stream) => sameEndpoint(stream.to, to));
    for (const to of targets) if (!isOpening(to)) this.#open(to);
    this.#timers.setEarlier("unused", now + UNUSED_MS);
  }

  /** The wait grows with the first attempt, and each time that everybody was tried in vain. */
  #nextHosts(): readonly Endpoint[] {
    const isFirst = this.#retryMs === FIRST_RETRY_MS;
    const hosts = this.#hosts.slice(this.#nextHost, this.#nextHost + MAX_HOSTS);
    this.#nextHost += MAX_HOSTS;
    const isRoundOver = this.#nextHost >= this.#hosts.length;
    if (isRoundOver) this.#nextHost = 0;
    if (isFirst || isRoundOver) this.#retryMs = Math.min(2 * this.#retryMs, LAST_RETRY_MS);
    return hosts;
  }

  /** Each host at every port that a member may accept streams on. */
  #targets(hosts: readonly Endpoint[]): Endpoint[] {
    const targets = new Map<string, Endpoint>();
    for (const { ip, port } of hosts) {
      for (const at of [HTTPS_PORT, this.#options?.listen ?? HTTPS_PORT, port]) {
        targets.set(endpointText({ ip, port: at }), { ip, port: at });
      }
    }
    return [...targets.values()];
  }

  #open(to: Endpoint): void {
    const socket = this.#freeIndex();
    if (socket === undefined) return;
    this.#streams.set(socket, { to, openSince: undefined, hasServed: false });
    const route = this.#route;
    const isExempt = route?.exempt.some((network) => isInNetwork(network, to.ip)) !== false;
    const command = { op: "stream-open", socket, to } as const;
    this.#command(isExempt ? command : { ...command, proxy: route.proxy });
  }

  /** Indexes go round: news of a stream that just ended is not taken for news of the next one. */
  #freeIndex(): SocketIndex | undefined {
    for (let tries = 0; tries < MAX_STREAMS; tries++) {
      const socket = this.#nextIndex;
      const isLast = socket + 1 === FIRST_STREAM + MAX_STREAMS;
      this.#nextIndex = isLast ? FIRST_STREAM : socket + 1;
      if (!this.#streams.has(socket)) return socket;
    }
    return undefined;
  }

  #noteServing(): void {
    for (const socket of this.#usedSockets()) {
      const stream = this.#streams.get(socket);
      if (stream !== undefined) stream.hasServed = true;
    }
  }

  /** Two ports of one host led to the same member, or nobody answered behind the stream. */
  #closeUnused(now: Millis): void {
    for (const [socket, { openSince, hasServed }] of this.#streams) {
      if (hasServed) continue;
      if (openSince !== undefined && now - openSince >= UNUSED_MS) this.#close(socket);
      else this.#timers.setEarlier("unused", now + UNUSED_MS);
    }
  }

  /** One host is reached by UDP; another one may still be by its stream alone. */
  #closeIdle(): void {
    const used = this.#usedSockets();
    for (const socket of this.#streams.keys()) if (!used.has(socket)) this.#close(socket);
  }

  #usedSockets(): ReadonlySet<SocketIndex> {
    return new Set(this.#directWays().map(({ socket }) => socket));
  }

  #close(socket: SocketIndex): void {
    this.#streams.delete(socket);
    this.#command({ op: "socket-close", socket });
  }

  #tellListenFailed(port: number, reason: SocketFailure): void {
    if (port === this.#options?.listen) {
      this.#out.push({ kind: "event", event: listenFailed(port, reason) });
    }
  }

  #command(command: EngineCommand): void {
    this.#out.push({ kind: "engine", command });
  }
}

/** A member on the same LAN is behind the same firewall: it shows no way out where others may. */
function outermost(endpoints: readonly Endpoint[]): readonly Endpoint[] {
  const outside = endpoints.filter(({ ip }) => !isPrivate(ip));
  return outside.length > 0 ? outside : endpoints;
}

function outermostFirst(endpoints: readonly Endpoint[]): readonly Endpoint[] {
  return [...endpoints].sort((a, b) => Number(isPrivate(a.ip)) - Number(isPrivate(b.ip)));
}
