/** Builds the machines of one node from its configuration. */
import { assert } from "../base/assert.ts";
import { type Mac, macFromBytes } from "../base/net.ts";
import type { RingAddress } from "../base/ring-address.ts";
import type { Rng } from "../base/rng.ts";
import { deriveClusterKeys } from "../crypto/cluster-keys.ts";
import { type Identity, identityFromSeed } from "../crypto/identity.ts";
import { type Member, Membership } from "../crypto/membership.ts";
import { NoticeBoard } from "../crypto/notice-board.ts";
import { OwnCertificate } from "../crypto/own-certificate.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import { Dht } from "../dht/dht.ts";
import { serverIpOf } from "../lease/leasable.ts";
import { Leases } from "../lease/leases.ts";
import { leaseRule } from "../lease/winner.ts";
import { Links } from "../link/links.ts";
import { StreamFallback } from "../link/stream-fallback.ts";
import { Ring } from "../ring/ring.ts";
import { Stun } from "../stun/stun.ts";
import type { Subject } from "../vnet/access-rules.ts";
import { macRule } from "../vnet/mac-record.ts";
import { Vnet, type VnetOptions } from "../vnet/vnet.ts";
import type { NodeConfig } from "./config.ts";
import { Issuing, type IssuingOptions } from "./issuing.ts";
import { Notices } from "./notices.ts";
import { SharedParts } from "./shared-parts.ts";

export interface Tools {
  readonly suite: CryptoSuite;
  readonly rng: Rng;
}

export interface Parts {
  readonly self: RingAddress;
  readonly own: OwnCertificate;
  /** Undefined in `secret:` mode. */
  readonly issuing: Issuing | undefined;
  readonly links: Links;
  readonly stun: Stun;
  readonly streams: StreamFallback;
  readonly ring: Ring;
  readonly dht: Dht;
  readonly leases: Leases;
  readonly vnet: Vnet;
  readonly shared: SharedParts;
  readonly board: NoticeBoard;
  readonly notices: Notices;
  /** The authority shut out this node itself. */
  readonly isShutOut: () => boolean;
}

export function buildParts(config: NodeConfig, tools: Tools): Parts {
  const { suite, rng } = tools;
  const keys = deriveClusterKeys(suite, config.networkKey, config.authority);
  const identity = identityFromSeed(suite, config.identitySeed);
  const board = new NoticeBoard(suite, keys);
  const membership = new Membership(suite, keys, board);
  const member = ownMember(config, membership, identity);
  const own = new OwnCertificate(membership, identity, member);
  const self = member.address;
  const { name } = member.certificate;
  const who = { suite, identity, membership, self, networkId: keys.networkId };
  const promised = { claims: config.claims, reservations: config.reservations ?? [] };
  const space = { range: config.range, leaseSeconds: config.leaseSeconds };
  const links = new Links({
    ...who,
    keys,
    board,
    rng: rng.fork("link"),
    certificate: own.bytes,
    address: self,
    name,
    boot: config.boot,
    digest: config.digest,
    sockets: config.sockets,
    hasAes: config.hasAes,
    ...(config.relay === undefined ? {} : { relay: config.relay }),
    ...(config.traversal === undefined ? {} : { traversal: config.traversal }),
  });
  return {
    self,
    own,
    issuing: issuingOf(config, { ...who, keys, own, rng }),
    links,
    board,
    notices: new Notices(board),
    isShutOut: () => membership.isRevoked(own.bytes),
    shared: new SharedParts(suite, { digest: config.digest, settings: config.shared ?? [] }),
    streams: new StreamFallback(config.streams, links),
    stun: stunOf(config, keys.stunKey, rng),
    ring: new Ring({ self, rng: rng.fork("ring"), name }),
    dht: new Dht({
      ...who,
      rng: rng.fork("dht"),
      get certificate() {
        return own.bytes;
      },
      rules: {
        lease: leaseRule({ ...who, range: config.range, ...promised }),
        mac: macRule(suite, keys.networkId),
      },
    }),
    leases: new Leases({
      ...who,
      ...space,
      rng: rng.fork("lease"),
      reserved: [serverIpOf(config.range)],
      ...promised,
      name,
    }),
    vnet: new Vnet({
      ...who,
      ...space,
      rng: rng.fork("vnet"),
      get certificate() {
        return own.bytes;
      },
      beaconKey: keys.beaconKey,
      mac: config.mac,
      mode: config.addressMode,
      bridged: config.bridged === true,
      dhcp: config.dhcp ?? "auto",
      mtu: config.mtu,
      serverIp: serverIpOf(config.range),
      serverMac: serverMacOf(suite, keys.networkId),
      ...(config.domain === undefined ? {} : { domain: config.domain }),
      ...accessOf(config, own),
    }),
  };
}

function stunOf(config: NodeConfig, key: Uint8Array, rng: Rng): Stun {
  const sockets = config.bound.map((endpoint, socket) => ({ socket, endpoint }));
  return new Stun({ mode: config.stun, key, rng: rng.fork("stun"), sockets });
}

/** The agent has checked that the certificate is this node's own (agent/certificate-file.ts). */
function ownMember(
  config: NodeConfig,
  membership: Membership,
  identity: Identity,
): Member & { readonly bytes: Uint8Array } {
  if (config.authority === undefined) return membership.issueOwn(identity, config.nodeName);
  const own = membership.adoptOwn(identity, config.certificate ?? new Uint8Array(0));
  assert(own.ok, "a certificate of this node's own");
  return own.value;
}

function issuingOf(
  config: NodeConfig,
  options: Omit<IssuingOptions, "invites">,
): Issuing | undefined {
  if (config.authority === undefined) return undefined;
  const rng = options.rng.fork("issuing");
  return new Issuing({ ...options, rng, invites: config.invites ?? [] });
}

/** What the rules need to know of this node, as its certificate names it now. */
function accessOf(config: NodeConfig, own: OwnCertificate): Pick<VnetOptions, "access"> {
  const { acl: rules, digest } = config;
  if (rules === undefined) return {};
  const entries = (config.nodeGroups ?? []).map(({ name, groups }) => [name, groups] as const);
  const nodeGroups = new Map(entries);
  const self = (): Subject => {
    const { name, groups } = own.member.certificate;
    return { name, groups: [...groups, ...(nodeGroups.get(name) ?? [])] };
  };
  return { access: { rules, self, nodeGroups, digest } };
}

/** Locally administered, unicast, the same at every node of one network. */
function serverMacOf(suite: CryptoSuite, networkId: Uint8Array): Mac {
  const bytes = suite.blake2b(16, networkId).subarray(0, 6);
  bytes[0] = ((bytes[0] ?? 0) & 0xfc) | 0x02;
  return macFromBytes(bytes);
}
