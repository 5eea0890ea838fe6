/** Builds the machines of one node from its configuration. */
import { type Ip, ipv4FromNumber, ipv4Number, type Mac, macFromBytes } from "../base/net.ts";
import type { RingAddress } from "../base/ring-address.ts";
import type { Rng } from "../base/rng.ts";
import { deriveClusterKeys } from "../crypto/cluster-keys.ts";
import { identityFromSeed } from "../crypto/identity.ts";
import { Membership } from "../crypto/membership.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import { Dht } from "../dht/dht.ts";
import { Leases } from "../lease/leases.ts";
import { leaseRule } from "../lease/winner.ts";
import { Links } from "../link/links.ts";
import { StreamFallback } from "../link/stream-fallback.ts";
import { Ring } from "../ring/ring.ts";
import { Stun } from "../stun/stun.ts";
import { certifiedGroups } from "../vnet/access.ts";
import { macRule } from "../vnet/mac-record.ts";
import { Vnet, type VnetOptions } from "../vnet/vnet.ts";
import type { NodeConfig } from "./config.ts";

export interface Tools {
  readonly suite: CryptoSuite;
  readonly rng: Rng;
}

export interface Parts {
  readonly self: RingAddress;
  readonly links: Links;
  readonly stun: Stun;
  readonly streams: StreamFallback;
  readonly ring: Ring;
  readonly dht: Dht;
  readonly leases: Leases;
  readonly vnet: Vnet;
}

export function buildParts(config: NodeConfig, tools: Tools): Parts {
  const { suite, rng } = tools;
  const keys = deriveClusterKeys(suite, config.networkKey);
  const identity = identityFromSeed(suite, config.identitySeed);
  const membership = new Membership(suite, keys);
  const own = membership.issueOwn(identity, config.nodeName);
  const who = { suite, identity, membership, self: own.address, networkId: keys.networkId };
  const promised = { claims: config.claims, reservations: config.reservations ?? [] };
  const space = { range: config.range, leaseSeconds: config.leaseSeconds };
  const links = new Links({
    ...who,
    keys,
    rng: rng.fork("link"),
    certificate: own.bytes,
    address: own.address,
    name: config.nodeName,
    boot: config.boot,
    digest: config.digest,
    sockets: config.sockets,
    hasAes: config.hasAes,
    ...(config.relay === undefined ? {} : { relay: config.relay }),
    ...(config.traversal === undefined ? {} : { traversal: config.traversal }),
  });
  return {
    self: own.address,
    links,
    streams: new StreamFallback(config.streams, links),
    stun: new Stun({
      mode: config.stun,
      key: keys.stunKey,
      rng: rng.fork("stun"),
      sockets: config.bound.map((endpoint, socket) => ({ socket, endpoint })),
    }),
    ring: new Ring({ self: own.address, rng: rng.fork("ring"), name: config.nodeName }),
    dht: new Dht({
      ...who,
      rng: rng.fork("dht"),
      certificate: own.bytes,
      rules: {
        lease: leaseRule({ ...who, range: config.range, ...promised }),
        mac: macRule(suite, keys.networkId),
      },
    }),
    leases: new Leases({
      ...who,
      ...space,
      rng: rng.fork("lease"),
      reserved: [serverIpOf(config)],
      ...promised,
      name: config.nodeName,
    }),
    vnet: new Vnet({
      ...who,
      ...space,
      rng: rng.fork("vnet"),
      certificate: own.bytes,
      beaconKey: keys.beaconKey,
      mac: config.mac,
      mode: config.addressMode,
      bridged: config.bridged === true,
      dhcp: config.dhcp ?? "auto",
      mtu: config.mtu,
      serverIp: serverIpOf(config),
      serverMac: serverMacOf(suite, keys.networkId),
      ...(config.domain === undefined ? {} : { domain: config.domain }),
      ...accessOf(config, own.bytes),
    }),
  };
}

/** What the rules need to know of this node. */
function accessOf(config: NodeConfig, certificate: Uint8Array): Pick<VnetOptions, "access"> {
  if (config.acl === undefined) return {};
  const entries = (config.nodeGroups ?? []).map(({ name, groups }) => [name, groups] as const);
  const nodeGroups = new Map(entries);
  const groups = [...certifiedGroups(certificate), ...(nodeGroups.get(config.nodeName) ?? [])];
  const { acl: rules, digest, nodeName: name } = config;
  return { access: { rules, groups, nodeGroups, digest, name } };
}

/** The DHCP server identifier: the first host address of the range, the same at every node. */
function serverIpOf(config: NodeConfig): Ip {
  return ipv4FromNumber(ipv4Number(config.range.first) + 1);
}

/** Locally administered, unicast, the same at every node of one network. */
function serverMacOf(suite: CryptoSuite, networkId: Uint8Array): Mac {
  const bytes = suite.blake2b(16, networkId).subarray(0, 6);
  bytes[0] = ((bytes[0] ?? 0) & 0xfc) | 0x02;
  return macFromBytes(bytes);
}
