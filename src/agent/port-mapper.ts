/**
 * Asks the router for a port: PCP, else NAT-PMP, else UPnP. What it grants is one more place where
 * peers reach this node. Nobody needs it, so failures are quiet and repeated rarely.
 *
 *     start, another gateway or address ──> asked ──granted──> renewed at half its life ──> removed at stop
 *                                             └──refused──> again after RETRY_FIRST_MS, doubled
 */
import type { Endpoint, Ip } from "../base/net.ts";
import { endpointText, isIpv6, parseIp, type Subnet, subnetContains } from "../base/net.ts";
import type { Gateway } from "../io/gateway.ts";
import type { Log } from "./log.ts";
import { isPrivateIpv4 } from "./underlay.ts";

export type MappingProtocol = "pcp" | "nat-pmp" | "upnp";

/** What is asked for. */
export interface MappingWish {
  readonly gateway: Ip;
  readonly inside: Endpoint;
  readonly outsidePort: number;
  /** 0 removes it. */
  readonly lifeSeconds: number;
}

export type MappingAnswer =
  | { readonly ok: true; readonly outside: Endpoint; readonly lifeSeconds: number }
  | { readonly ok: false; readonly reason: string };

/** One protocol; never throws, ends within seconds. */
export type MappingClient = (wish: MappingWish) => Promise<MappingAnswer>;

/** In the order they are tried. */
export type MappingClients = readonly (readonly [MappingProtocol, MappingClient])[];

/** As shown by status and netcheck. */
export type PortMappingStatus =
  | { readonly state: "mapped"; readonly protocol: MappingProtocol; readonly external: string }
  | { readonly state: "none"; readonly reason: string }
  | { readonly state: "off" };

/** A router that restarts forgets; one that we leave without a word forgets us after this. */
const LIFE_SECONDS = 3_600;
/** A shorter life than this would be renewed all the time: it is taken as this. */
const LIFE_SECONDS_MIN = 120;
/** A router may grant more than was asked for, up to "for ever": it is asked again all the same. */
const LIFE_SECONDS_MAX = LIFE_SECONDS;
/** A router without the function will not learn it; one that restarts comes back. */
const RETRY_FIRST_MS = 60_000;
const RETRY_LAST_MS = 3_600_000;

export interface PortMapperOptions {
  readonly clients: MappingClients;
  readonly defaultGateway: () => Gateway | undefined;
  readonly log: Log;
  /** The mapped endpoint, or that there is none any more. */
  readonly onChange: (external: Endpoint | undefined) => void;
}

export interface LocalEndpoint {
  readonly interface: string;
  readonly endpoint: Endpoint;
}

interface Place {
  readonly gateway: Ip;
  readonly inside: Endpoint;
}

interface Held extends Place {
  readonly protocol: MappingProtocol;
  readonly client: MappingClient;
  readonly outside: Endpoint;
}

export class PortMapper {
  readonly #options: PortMapperOptions;
  #place: Place | undefined;
  #held: Held | undefined;
  #reason = "not asked yet";
  /** What `look` saw last. */
  #seen = "";
  #retryMs = RETRY_FIRST_MS;
  #timer: NodeJS.Timeout | undefined;
  /** Errands go one after the other. */
  #last: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(options: PortMapperOptions) {
    this.#options = options;
  }

  get status(): PortMappingStatus {
    const held = this.#held;
    if (held === undefined) return { state: "none", reason: this.#reason };
    return { state: "mapped", protocol: held.protocol, external: endpointText(held.outside) };
  }

  /** The host's network may have changed. */
  look(local: readonly LocalEndpoint[]): void {
    const place = placeAmong(local, this.#options.defaultGateway());
    const key =
      typeof place === "string" ? place : `${place.gateway} ${endpointText(place.inside)}`;
    if (key === this.#seen || this.#isStopped) return;
    this.#seen = key;
    this.#place = typeof place === "string" ? undefined : place;
    this.#reason = typeof place === "string" ? place : "not asked yet";
    this.#retryMs = RETRY_FIRST_MS;
    this.#enqueue(() => this.#try());
  }

  /** Takes the mapping back. Resolves when the router knows, or does not answer. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#enqueue(() => this.#giveBack());
    await this.#last;
  }

  #enqueue(step: () => Promise<void>): void {
    this.#last = this.#last.then(step).catch((error: unknown) => {
      this.#options.log.debug({ error: String(error) }, "port mapping failed");
    });
  }

  async #try(): Promise<void> {
    clearTimeout(this.#timer);
    const place = this.#place;
    if (this.#held !== undefined && !samePlace(this.#held, place)) await this.#giveBack();
    if (place === undefined || this.#isStopped) return;
    const held = this.#held;
    const known: MappingClients = held === undefined ? [] : [[held.protocol, held.client]];
    for (const [protocol, client] of [...known, ...this.#options.clients]) {
      const answer = await client(this.#wish(place, LIFE_SECONDS));
      const fault = answer.ok ? faultOf(answer.outside) : answer.reason;
      if (answer.ok && fault === undefined) {
        return this.#hold(
          { ...place, protocol, client, outside: answer.outside },
          answer.lifeSeconds,
        );
      }
      this.#reason = `${protocol}: ${fault}`;
      this.#options.log.debug({ protocol, reason: fault }, "no port mapping");
    }
    this.#lost();
    this.#again(this.#retryMs);
    this.#retryMs = Math.min(RETRY_LAST_MS, this.#retryMs * 2);
  }

  #wish(place: Place, lifeSeconds: number): MappingWish {
    const { gateway, inside } = place;
    return { gateway, inside, outsidePort: this.#held?.outside.port ?? inside.port, lifeSeconds };
  }

  #hold(held: Held, lifeSeconds: number): void {
    const isNews = endpointText(held.outside) !== this.#heldText();
    this.#held = held;
    this.#retryMs = RETRY_FIRST_MS;
    const heldSeconds = Math.min(LIFE_SECONDS_MAX, Math.max(LIFE_SECONDS_MIN, lifeSeconds));
    this.#again((heldSeconds * 1_000) / 2);
    if (!isNews) return;
    const { protocol, outside } = held;
    this.#options.log.info({ protocol, endpoint: endpointText(outside) }, "port mapped");
    this.#options.onChange(outside);
  }

  #heldText(): string {
    return this.#held === undefined ? "" : endpointText(this.#held.outside);
  }

  #lost(): void {
    if (this.#held === undefined) return;
    this.#held = undefined;
    this.#options.onChange(undefined);
  }

  async #giveBack(): Promise<void> {
    const held = this.#held;
    if (held === undefined) return;
    const wish = this.#wish(held, 0);
    this.#lost();
    await held.client(wish);
  }

  #again(ms: number): void {
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => this.#enqueue(() => this.#try()), ms);
    this.#timer.unref();
  }
}

function samePlace(a: Place | undefined, b: Place | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.gateway === b.gateway && endpointText(a.inside) === endpointText(b.inside);
}

/** @returns why there is nothing to ask for, else where */
function placeAmong(local: readonly LocalEndpoint[], gateway: Gateway | undefined): Place | string {
  if (gateway === undefined) return "there is no default gateway";
  const here = local.filter((one) => one.interface === gateway.interface);
  const inside = here.find(({ endpoint }) => !isIpv6(endpoint.ip))?.endpoint;
  if (inside === undefined) return "the data port has no address on the gateway's network";
  if (!isPrivateIpv4(inside.ip)) return "this machine has a public address itself";
  return { gateway: gateway.ip, inside };
}

/** Behind a second NAT the router's own outside address is of no use to anybody outside. */
function faultOf({ ip, port }: Endpoint): string | undefined {
  if (parseIp(ip) !== ip || isIpv6(ip) || isNobody(ip)) return "the router gives no address";
  if (port < 1 || port > 65_535) return "the router gives no port";
  return isPrivateIpv4(ip) ? `the router itself is behind a NAT, at ${ip}` : undefined;
}

/** What routers say while their line is down, and what would lead peers to themselves or to groups. */
function isNobody(ip: Ip): boolean {
  return NOBODY.some((subnet) => subnetContains(subnet, ip));
}

/** RFC 6890 (this host, loopback, link-local), and all from multicast upwards. */
const NOBODY: readonly Subnet[] = [
  { first: "0.0.0.0", prefix: 8 },
  { first: "127.0.0.0", prefix: 8 },
  { first: "169.254.0.0", prefix: 16 },
  { first: "224.0.0.0", prefix: 3 },
];
