/** What the issuing machine asks of the others, and what it has to know of them. */
import type { Ip } from "../base/net.ts";
import { subnetContains } from "../base/net.ts";
import type { Millis } from "../base/time.ts";
import { parseChain } from "../crypto/certificate-chain.ts";
import type { OwnCertificate } from "../crypto/own-certificate.ts";
import type { NodeConfig, NodeOutput } from "./config.ts";
import type { IssuingOutput } from "./issuing.ts";
import type { Parts } from "./parts.ts";
import type { IssuingPeer } from "./renewal.ts";

/** @returns whether there was anything to do */
export function drainIssuing(
  now: Millis,
  parts: Parts,
  push: (output: NodeOutput) => void,
): boolean {
  const { issuing } = parts;
  let isBusy = false;
  for (let out = issuing?.poll(); out !== undefined; out = issuing?.poll()) {
    isBusy = true;
    const output = act(now, parts, out);
    if (output !== undefined) push(output);
  }
  return isBusy;
}

/** Linked members that may issue. */
export function issuersOf({ links }: Parts): readonly IssuingPeer[] {
  return links.views().flatMap(({ peer }) => {
    const chain = parseChain(peer.certificate);
    const mayIssue = chain.ok && chain.value.leaf.certificate.mayIssue;
    return mayIssue ? [{ publicKey: peer.publicKey, address: peer.address }] : [];
  });
}

/** The first address of the range that the certificate lets this node hold for good. */
export function claimedIn({ range }: NodeConfig, own: OwnCertificate): Ip | undefined {
  return own.member.certificate.claims.find((ip) => subnetContains(range, ip));
}

function act(now: Millis, parts: Parts, out: IssuingOutput): NodeOutput | undefined {
  switch (out.kind) {
    case "datagram": {
      const { socket, to, bytes } = out;
      return { kind: "engine", command: { op: "datagram", socket, to, bytes } };
    }
    case "route":
      parts.ring.handle(now, { ...out, mode: "exact", excludeSelf: true });
      return undefined;
    case "keep":
      return { kind: "keep-invites", keeping: out.keeping, invites: out.invites };
    case "certificate":
      parts.links.handle(now, { kind: "certificate", bytes: out.bytes });
      parts.vnet.handle(now, { kind: "certificate" });
      return { kind: "certificate", bytes: out.bytes };
    case "reply":
    case "event":
      return out;
  }
}
