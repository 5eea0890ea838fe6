import type { HandshakeResult } from "./handshake-self.ts";
import type { LinkId, PeerInfo } from "./link-types.ts";

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
