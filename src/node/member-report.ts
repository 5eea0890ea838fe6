/** Who is a member, as far as this node is linked to them: what `weft members` shows. */
import { toHex } from "../base/bytes.ts";
import { addressToBytes, type RingAddress } from "../base/ring-address.ts";
import { endOf } from "../crypto/authority-rules.ts";
import { parseChain } from "../crypto/certificate-chain.ts";
import type { Parts } from "./parts.ts";

export interface MemberRow {
  readonly name: string;
  /** 40 hex digits */
  readonly address: string;
  readonly groups: readonly string[];
  /** Addresses that it may hold for good by its certificate. */
  readonly claims: readonly string[];
  /** Unix seconds, 0 = never */
  readonly ends: number;
  readonly mayIssue: boolean;
  /** `authority`, the name of the member that signed it, or `itself` in `secret:` mode. */
  readonly issuer: string;
  /** 16 hex digits */
  readonly serial: string;
  /** 64 hex digits */
  readonly publicKey: string;
  readonly isSelf: boolean;
}

export function memberRows(parts: Parts): readonly MemberRow[] {
  const hasAuthority = parts.issuing !== undefined;
  const own = memberRow(parts.own.bytes, { address: parts.self, hasAuthority, isSelf: true });
  const others = parts.links.views().map(({ peer }) => {
    const { address } = peer;
    return memberRow(peer.certificate, { address, hasAuthority, isSelf: false });
  });
  const rows = [own, ...others].filter((row) => row !== undefined);
  return rows.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

function memberRow(
  bytes: Uint8Array,
  about: {
    readonly address: RingAddress;
    readonly hasAuthority: boolean;
    readonly isSelf: boolean;
  },
): MemberRow | undefined {
  const chain = parseChain(bytes);
  if (!chain.ok) return undefined;
  const { leaf, issuer } = chain.value;
  const { name, groups, claims, mayIssue, serial, publicKey } = leaf.certificate;
  const above = issuer === undefined ? [] : [issuer.certificate];
  return {
    name,
    address: toHex(addressToBytes(about.address)),
    groups,
    claims,
    ends: endOf([leaf.certificate, ...above]),
    mayIssue,
    issuer: issuer?.certificate.name ?? (about.hasAuthority ? "authority" : "itself"),
    serial: serial.toString(16).padStart(16, "0"),
    publicKey: toHex(publicKey),
    isSelf: about.isSelf,
  };
}
