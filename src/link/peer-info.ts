import type { HandshakeResult } from "./handshake-self.ts";
import type { LinkId, LinksOutput, PeerInfo } from "./link-types.ts";

type SaidByCertificate = Pick<PeerInfo, "certificate" | "name" | "groups" | "serial" | "issuers">;

/** What upper layers learn of a peer when its link opens. */
export function peerInfo(
  link: LinkId,
  facts: HandshakeResult["facts"],
  initiatedHere: boolean,
): PeerInfo {
  const { address, publicKey, certificate, name, groups, serial, issuers, boot } = facts;
  const { minorVersion, capabilities, digest, candidates } = facts;
  return {
    link,
    address,
    publicKey,
    certificate,
    name,
    groups,
    serial,
    issuers,
    boot,
    minorVersion,
    capabilities,
    digest,
    candidates,
    initiatedHere,
  };
}

/** What a handshake said of the newest notices that the peer has. */
export function greetedBy(
  link: LinkId,
  { revocation, sharedNumber = 0 }: HandshakeResult["facts"],
): Extract<LinksOutput, { kind: "greeted" }> {
  return { kind: "greeted", link, revocations: revocation, shared: sharedNumber };
}

/**
 * Takes what a new certificate of the same peer says.
 *
 * @returns whether upper layers have to hear of it: its name or its groups changed
 */
export function replacePeer(link: { peer: PeerInfo }, said: SaidByCertificate): boolean {
  const before = link.peer;
  const { certificate, name, groups, serial, issuers } = said;
  link.peer = { ...before, certificate, name, groups, serial, issuers };
  return before.name !== name || before.groups.join() !== groups.join();
}
