/**
 * What this host's networks say: its own addresses, and where members may be found. Names, the LAN
 * and the rest each keep a list of their own; the node gets one.
 *
 *     rtnetlink ──> look
 *     host addresses ──> endpoints (candidates for peers) ──┬──> onLocal
 *                   ├──> port mapping ──────────────────────┘
 *                   └──> LAN search ──┐
 *     BitTorrent DHT ─────────────────┤
 *     names of the file ──────────────┴──> onFound
 */
import type { DropReason } from "../base/drop-reason.ts";
import { type Endpoint, endpointText } from "../base/net.ts";
import type { Rng } from "../base/rng.ts";
import type { Millis } from "../base/time.ts";
import { deriveClusterKeys } from "../crypto/cluster-keys.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import type { Gateway } from "../io/gateway.ts";
import type { HostAddress } from "../io/interface.ts";
import type { MainlineDht, MainlineOptions } from "../io/mainline-dht.ts";
import type { NetworkWatch } from "../io/network-watch.ts";
import type { LanInterface } from "../node/lan-search.ts";
import type { Config } from "./config.ts";
import { hostPortText } from "./host-port.ts";
import { LanFinder, type OpenLanSocket } from "./lan-finder.ts";
import type { Log } from "./log.ts";
import { type Mainline, MainlineFinder } from "./mainline-finder.ts";
import {
  type LocalEndpoint,
  type MappingClients,
  PortMapper,
  type PortMappingStatus,
} from "./port-mapper.ts";
import { sameEndpoints, underlayEndpoints } from "./underlay.ts";

export interface SurroundingsTools {
  readonly suite: CryptoSuite;
  readonly rng: Rng;
  readonly log: Log;
  readonly now: () => Millis;
  readonly hostAddresses: () => readonly HostAddress[];
  readonly openLanSocket: OpenLanSocket;
  readonly mappingClients: MappingClients;
  readonly defaultGateway: () => Gateway | undefined;
  readonly wallMs: () => number;
  readonly openMainline: (options: MainlineOptions) => Promise<OpenedMainline>;
  /** undefined where the kernel does not tell of changes. */
  readonly watchNetwork: (onChange: () => void) => NetworkWatch | undefined;
}

export type OpenedMainline = Mainline & Pick<MainlineDht, "receive">;

export interface SurroundingsOptions {
  readonly config: Config;
  readonly tools: SurroundingsTools;
  /** Where the engine's sockets are bound. */
  readonly bound: readonly Endpoint[];
  readonly boot: bigint;
  /** What the file's names stand for; the node was given them already. */
  readonly names: readonly Endpoint[];
  /** From the node's IPv4 data port, if it has one. */
  readonly send: (to: Endpoint, bytes: Uint8Array) => void;
  readonly hasPeers: () => boolean;
  /** Own addresses changed. */
  readonly onLocal: (endpoints: readonly Endpoint[]) => void;
  /** Where members may be, all sources together. */
  readonly onFound: (endpoints: readonly Endpoint[]) => void;
}

/** Joining comes first: a search for a router by UPnP takes a good part of a small processor. */
const MAPPING_AFTER_MS = 3_000;

/** In the order in which they are asked. */
const SOURCES = ["names", "lan", "mainline"] as const;
type Source = (typeof SOURCES)[number];

export class Surroundings {
  readonly #options: SurroundingsOptions;
  readonly #lan: LanFinder | undefined;
  readonly #mapper: PortMapper | undefined;
  #dht: OpenedMainline | undefined;
  #mainline: MainlineFinder | undefined;
  #watch: NetworkWatch | undefined;
  readonly #places = new Map<Source, readonly Endpoint[]>();
  #local: readonly Endpoint[];
  #mapped: Endpoint | undefined;
  #mapping: NodeJS.Timeout | undefined;
  #isClosed = false;
  #interfaces: readonly LanInterface[] = [];

  constructor(options: SurroundingsOptions) {
    this.#options = options;
    this.#places.set("names", options.names);
    this.#local = this.#endpointsOf(options.tools.hostAddresses());
    this.#lan = options.config.lan === "on" ? this.#createLan() : undefined;
    this.#mapper = options.config.portMapping === "auto" ? this.#createMapper() : undefined;
  }

  /** Own endpoints as last read. */
  get local(): readonly Endpoint[] {
    return this.#local;
  }

  /** The node runs now: it may be told what is found. */
  start(): void {
    this.#watch = this.#options.tools.watchNetwork(() => this.look());
    if (this.#watch === undefined) {
      this.#options.tools.log.warn({}, "no rtnetlink: changes of addresses are noticed late");
    }
    this.#searchLan();
    const askRouter = (): void => this.#mapper?.look(this.#byInterface());
    this.#mapping = setTimeout(askRouter, MAPPING_AFTER_MS);
    if (this.#options.config.bootstrap.some(({ kind }) => kind === "mainline")) {
      void this.#startMainline();
    }
  }

  /** A datagram for the guest in the BitTorrent DHT. */
  receiveForeign(from: Endpoint, bytes: Uint8Array): void {
    this.#dht?.receive(from, bytes);
  }

  /** Reads the host's addresses again: at once when the kernel says so, and now and then. */
  look(): void {
    const local = this.#endpointsOf(this.#options.tools.hostAddresses());
    this.#searchLan();
    this.#mapper?.look(this.#byInterface());
    if (sameEndpoints(local, this.#local)) return;
    this.#local = local;
    this.#options.tools.log.info({ endpoints: local.map(endpointText) }, "own addresses");
    this.#tellLocal();
  }

  get portMapping(): PortMappingStatus {
    return this.#mapper?.status ?? { state: "off" };
  }

  /** Tells the node even when nothing changed: somebody asked for it. */
  setNames(endpoints: readonly Endpoint[]): void {
    this.#places.set("names", endpoints);
    this.#tell();
  }

  drops(): Partial<Record<DropReason, number>> {
    return this.#lan?.drops() ?? {};
  }

  /** Ends everything at once; resolves when the router was told too. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#mapping);
    this.#watch?.close();
    this.#lan?.close();
    this.#mainline?.close();
    await this.#mapper?.stop();
  }

  async #startMainline(): Promise<void> {
    const { config, tools, send, hasPeers } = this.#options;
    const nodes = config.mainlineNodes.map(hostPortText);
    const dht = await tools.openMainline({ nodes, now: tools.now, send });
    if (this.#isClosed) return dht.close();
    this.#dht = dht;
    this.#mainline = new MainlineFinder({
      ...tools,
      hasPeers,
      networkKey: config.networkKey,
      mainline: dht,
      onFound: (endpoints) => {
        this.#places.set("mainline", endpoints);
        this.#tell();
      },
    });
    this.#mainline.start();
  }

  #createMapper(): PortMapper {
    const { log, mappingClients, defaultGateway } = this.#options.tools;
    return new PortMapper({
      log,
      clients: mappingClients,
      defaultGateway,
      onChange: (external) => {
        this.#mapped = external;
        this.#tellLocal();
      },
    });
  }

  /** A mapped endpoint goes first: it reaches furthest. */
  #tellLocal(): void {
    const mapped = this.#mapped === undefined ? [] : [this.#mapped];
    this.#options.onLocal([...mapped, ...this.#local]);
  }

  #byInterface(): LocalEndpoint[] {
    const all = this.#options.tools.hostAddresses();
    return all.flatMap((address) => {
      const endpoints = this.#endpointsOf([address]);
      return endpoints.map((endpoint) => ({ interface: address.interface, endpoint }));
    });
  }

  #createLan(): LanFinder {
    const { tools, config, boot } = this.#options;
    const { lanKey } = deriveClusterKeys(tools.suite, config.networkKey);
    return new LanFinder({
      ...tools,
      lanKey,
      boot,
      openSocket: tools.openLanSocket,
      onFound: (endpoints) => {
        this.#places.set("lan", endpoints);
        this.#tell();
      },
    });
  }

  #tell(): void {
    this.#options.onFound(SOURCES.flatMap((source) => this.#places.get(source) ?? []));
  }

  #searchLan(): void {
    if (this.#lan === undefined) return;
    const interfaces = this.#lanInterfaces();
    if (JSON.stringify(interfaces) === JSON.stringify(this.#interfaces)) return;
    this.#interfaces = interfaces;
    void this.#lan.setInterfaces(interfaces);
  }

  /** Those where a peer could reach us; a link-local address alone is no place to send datagrams to. */
  #lanInterfaces(): LanInterface[] {
    const all = this.#options.tools.hostAddresses();
    const names = [...new Set(all.map((address) => address.interface))].sort();
    return names.flatMap((name) => {
      const addresses = all.filter((address) => address.interface === name);
      const endpoints = this.#endpointsOf(addresses);
      if (endpoints.length === 0) return [];
      return [{ name, addresses: addresses.map(({ ip, prefix }) => ({ ip, prefix })), endpoints }];
    });
  }

  #endpointsOf(addresses: readonly HostAddress[]): Endpoint[] {
    const { interfaceName, range } = this.#options.config;
    return underlayEndpoints(addresses, { tap: interfaceName, range, bound: this.#options.bound });
  }
}
