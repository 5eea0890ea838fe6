/** From a checked configuration to what the engine and the node are opened with. */
import { concat, utf8 } from "../base/bytes.ts";
import { type Endpoint, familyOf, type Mac, macFromBytes } from "../base/net.ts";
import { identityFromSeed } from "../crypto/identity.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import { AUTO_MTU } from "../node/auto-mtu.ts";
import type { NodeConfig, SavedState } from "../node/config.ts";
import type { Config } from "./config.ts";
import { sharedDigest, sharedSettings } from "./shared-digest.ts";

/** The port that networks without UDP let out. */
const HTTPS_PORT = 443;

export interface PlanFacts {
  readonly seed: Uint8Array;
  readonly boot: bigint;
  readonly hasAes: boolean;
  readonly version: string;
  readonly wallSeconds: number;
  /** The engine's UDP sockets as bound. */
  readonly bound: readonly Endpoint[];
  readonly bootstrap: readonly Endpoint[];
  readonly localEndpoints: readonly Endpoint[];
  readonly saved: SavedState | undefined;
  /** In authority mode: this node's certificate, the name it gives, the invites it made. */
  readonly credentials: Pick<NodeConfig, "certificate" | "invites"> & { readonly name?: string };
  /** What the authority told this node before. */
  readonly notices: readonly Uint8Array[];
  /** Of the bridge's own interface, where the TAP is a port of a bridge. */
  readonly bridgeMac?: Mac;
}

/** UDP sockets to bind: a port without address takes one of each family the kernel has. */
export function socketsOf(config: Config, hasIpv6: boolean): Endpoint[] {
  return config.listen.flatMap(({ ip, port }) => {
    if (ip !== undefined) return [{ ip, port }];
    const v4 = { ip: "0.0.0.0", port };
    return hasIpv6 ? [v4, { ip: "::", port }] : [v4];
  });
}

export function mtuOf(config: Config): number {
  return config.mtu === "auto" ? AUTO_MTU : config.mtu;
}

/** The TAP's address follows from the identity: a restart keeps it, two nodes never share it. */
export function tapMac(suite: CryptoSuite, seed: Uint8Array): Mac {
  const mac = ownMacBytes(suite, seed);
  // Locally administered, not a group (IEEE 802, first octet).
  mac[0] = ((mac[0] ?? 0) | 2) & 0xfe;
  return macFromBytes(mac);
}

/** As a port of a bridge: a bridge takes the lowest MAC of its ports, which must not be this one. */
export function portMac(suite: CryptoSuite, seed: Uint8Array): Mac {
  const mac = ownMacBytes(suite, seed);
  mac[0] = 0xfe;
  return macFromBytes(mac);
}

function ownMacBytes(suite: CryptoSuite, seed: Uint8Array): Uint8Array {
  const { publicKey } = identityFromSeed(suite, seed).signing;
  return suite.blake2b(16, concat(utf8("weft tap mac"), publicKey)).slice(0, 6);
}

function streamsOf({ stream }: Config): Pick<NodeConfig, "streams"> {
  if (stream === "off") return {};
  return { streams: { listen: stream === "auto" ? HTTPS_PORT : stream } };
}

export function planNode(config: Config, suite: CryptoSuite, facts: PlanFacts): NodeConfig {
  const { name = config.nodeName, ...certified } = facts.credentials;
  const digest = sharedDigest((length, message) => suite.blake2b(length, message), config);
  return {
    networkName: config.name,
    networkKey: config.networkKey,
    ...(config.authority === undefined ? {} : { authority: config.authority }),
    notices: facts.notices,
    identitySeed: facts.seed,
    // Peers know a member by its certificate, whatever its host is called.
    nodeName: name,
    ...certified,
    boot: facts.boot,
    digest,
    shared: sharedSettings(config),
    range: config.range,
    leaseSeconds: config.leaseSeconds,
    addressMode: config.addressMode,
    ...(config.addressMode === "static" && config.ip !== undefined ? { staticIp: config.ip } : {}),
    claims: config.claims,
    reservations: config.reservations,
    ...(config.acl === undefined ? {} : { acl: config.acl, nodeGroups: config.nodeGroups }),
    mac: facts.bridgeMac ?? tapMac(suite, facts.seed),
    bridged: facts.bridgeMac !== undefined,
    dhcp: config.dhcp,
    mtu: mtuOf(config),
    // A DHCP client sets what its lease says, and a bridge takes the least of its ports.
    raisesMtu:
      config.mtu === "auto" && config.addressMode !== "dhcp" && facts.bridgeMac === undefined,
    sockets: facts.bound.map((endpoint) => familyOf(endpoint.ip)),
    bound: facts.bound,
    relay: config.relay,
    traversal: config.traversal,
    stun: config.stun,
    ...streamsOf(config),
    hasAes: config.cipher === "auto" ? facts.hasAes : config.cipher === "aes256gcm",
    bootstrap: facts.bootstrap,
    searchesNearby: config.lan === "on",
    localEndpoints: facts.localEndpoints,
    ...(config.domain === undefined ? {} : { domain: config.domain }),
    version: facts.version,
    wallSeconds: facts.wallSeconds,
    ...(facts.saved === undefined ? {} : { saved: facts.saved }),
  };
}
