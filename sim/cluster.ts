/** A whole simulated cluster from one seed: world, network, trace and hosts. */

import type { Endpoint, Ip } from "../src/base/net.ts";
import { type Rng, SeededRng } from "../src/base/rng.ts";
import type { CryptoSuite } from "../src/crypto/suite.ts";
import type { NodeConfig } from "../src/node/config.ts";
import { fastSuite } from "./fast-suite.ts";
import { Host, SIM_PORT } from "./host.ts";
import { CALM, Network, type NetworkOptions } from "./network.ts";
import { Trace } from "./trace.ts";
import { World } from "./world.ts";

export interface ClusterOptions {
  readonly seed: number;
  readonly size: number;
  readonly network?: NetworkOptions;
  readonly suite?: CryptoSuite;
  /** Which hosts everyone asks first; default: host 0. */
  readonly bootstrap?: readonly number[];
  readonly config?: Partial<NodeConfig>;
  /** What one host's file says beside that; asked at each of its starts. */
  readonly configOf?: (host: number) => Partial<NodeConfig>;
  /** Hosts that hold another network's key. */
  readonly strangers?: readonly number[];
}

export class Cluster {
  readonly world = new World();
  readonly trace = new Trace();
  readonly network: Network;
  readonly rng: Rng;
  readonly hosts: readonly Host[];

  constructor(options: ClusterOptions) {
    this.rng = new SeededRng(options.seed);
    this.network = new Network(
      this.world,
      this.rng.fork("network"),
      this.trace,
      options.network ?? CALM,
    );
    const bootstrap = (options.bootstrap ?? [0]).map(endpointOf);
    const [networkKey, foreignKey] = [
      this.rng.fork("key").bytes(32),
      this.rng.fork("foreign").bytes(32),
    ];
    this.hosts = Array.from({ length: options.size }, (_, i) => {
      const host = new Host(this.world, this.network, {
        name: `n${i}`,
        ip: underlayIp(i),
        suite: options.suite ?? fastSuite,
        seed: options.seed,
        networkKey: options.strangers?.includes(i) === true ? foreignKey : networkKey,
        bootstrap,
        config: () => ({ ...options.config, ...options.configOf?.(i) }),
      });
      this.trace.name(host.endpoint, host.name);
      return host;
    });
  }

  host(i: number): Host {
    const host = this.hosts[i];
    if (host === undefined) throw new Error(`no host ${i}`);
    return host;
  }

  get up(): Host[] {
    return this.hosts.filter((host) => host.isUp);
  }
}

export function underlayIp(i: number): Ip {
  return `192.0.2.${i + 1}`;
}

function endpointOf(i: number): Endpoint {
  return { ip: underlayIp(i), port: SIM_PORT };
}
