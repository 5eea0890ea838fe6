/**
 * Digest of what must be the same in every member's file: range, lease time, MTU, domain, claims,
 * reservations, access rules and groups.
 * It travels in the handshake; members whose digests differ do not honour each other's claims.
 */
import { utf8 } from "../base/bytes.ts";
import { subnetText } from "../base/net.ts";
import type { SharedSetting } from "../node/shared-parts.ts";
import type { AccessRules, Party } from "../vnet/access-rules.ts";
import { ruleText } from "./acl-setting.ts";
import type { Config } from "./config.ts";
import { reservedByText } from "./reservations.ts";

export const DIGEST_BYTES = 32;

/** Version of the canonical form; another version never equals this one. */
const FORM = 1;

export type SharedPart = Pick<
  Config,
  "range" | "leaseSeconds" | "mtu" | "domain" | "claims" | "reservations" | "acl" | "nodeGroups"
>;

/** @param blake2b (length, message) -> digest */
export function sharedDigest(
  blake2b: (length: number, message: Uint8Array) => Uint8Array,
  shared: SharedPart,
): Uint8Array {
  return blake2b(DIGEST_BYTES, utf8(canonicalShared(shared)));
}

/** JSON with sorted keys and claims sorted by name: one text for one meaning. */
export function canonicalShared(shared: SharedPart): string {
  const claims = shared.claims.map(({ name, ip }) => [name, ip] as const);
  const reservations = shared.reservations.map(({ by, ip }) => [reservedByText(by), ip] as const);
  const groups = shared.nodeGroups.map((node) => [node.name, node.groups] as const);
  return JSON.stringify({
    claims: claims.sort(byFirst),
    domain: shared.domain ?? "",
    form: FORM,
    lease: shared.leaseSeconds,
    mtu: shared.mtu,
    range: subnetText(shared.range),
    // Absent where there are none: members that do not know them agree with those that have none.
    ...(reservations.length === 0 ? {} : { reservations: reservations.sort(byFirst) }),
    ...(shared.acl === undefined ? {} : { acl: accessValue(shared.acl) }),
    ...(groups.length === 0 ? {} : { groups: groups.sort(byFirst) }),
  });
}

/** The same, key by key as the file names them: what members tell one another when digests differ. */
export function sharedSettings(shared: SharedPart): SharedSetting[] {
  const list = (pairs: readonly string[]): string =>
    pairs.length === 0 ? "none" : [...pairs].sort().join(", ");
  return [
    { key: "range", text: subnetText(shared.range) },
    { key: "lease", text: `${shared.leaseSeconds} s` },
    { key: "mtu", text: String(shared.mtu) },
    { key: "domain", text: shared.domain ?? "none" },
    { key: "nodes", text: list(shared.claims.map(({ name, ip }) => `${name} ${ip}`)) },
    {
      key: "reservations",
      text: list(shared.reservations.map(({ by, ip }) => `${reservedByText(by)} ${ip}`)),
    },
    { key: "acl", text: shared.acl === undefined ? "none" : aclText(shared.acl) },
    {
      key: "groups",
      text: list(
        shared.nodeGroups.map(({ name, groups }) => `${name} ${[...groups].sort().join("+")}`),
      ),
    },
  ];
}

function aclText(acl: AccessRules): string {
  return [`default ${acl.allowsRest ? "allow" : "deny"}`, ...acl.rules.map(ruleText)].join("; ");
}

/** The order of rules has a meaning; that of names in one of them has none. */
function accessValue({ allowsRest, rules }: AccessRules): unknown {
  const who = (parties: readonly Party[]): string[] => parties.map(partyText).sort();
  return {
    default: allowsRest ? "allow" : "deny",
    rules: rules.map(({ allow, from, to, protocol, ports }) => [
      allow ? "allow" : "deny",
      who(from),
      who(to),
      protocol ?? "any",
      ports.map(({ first, last }) => [first, last]),
    ]),
  };
}

function partyText(party: Party): string {
  return party.kind === "any" ? "any" : `${party.kind} ${party.name}`;
}

function byFirst([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
