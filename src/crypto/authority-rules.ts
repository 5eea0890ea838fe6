/**
 * What holds in authority mode: the authority signs members, and those that it says may issue sign others.
 * The word of a member that may issue reaches no further than the authority's word about itself: it grants
 * only groups and claims it has, never the right to issue, and nothing that outlives its own certificate.
 */
import { equalBytes } from "../base/bytes.ts";
import { type Certificate, hasValidSignature } from "./certificate.ts";
import type { CertificateChain } from "./certificate-chain.ts";
import type { CryptoSuite } from "./suite.ts";

/** Why a certificate is not good at a wall-clock time, and whose it is. */
export interface DateFault {
  readonly name: string;
  readonly kind: "early" | "ended";
  /** Unix seconds: its first or its last. */
  readonly date: number;
}

/** Everything but the dates: who signed what, and whether they might. */
export function isSignedIn(
  suite: CryptoSuite,
  authority: Uint8Array,
  { leaf, issuer }: CertificateChain,
): boolean {
  const top = issuer ?? leaf;
  if (!equalBytes(top.certificate.issuer, authority)) return false;
  if (!hasValidSignature(suite, top.certificate, top.bytes)) return false;
  if (issuer === undefined) return true;
  return (
    equalBytes(leaf.certificate.issuer, issuer.certificate.publicKey) &&
    reachesNoFurther(leaf.certificate, issuer.certificate) &&
    hasValidSignature(suite, leaf.certificate, leaf.bytes)
  );
}

/** Whether this issuer may say that of a member. */
export function reachesNoFurther(
  leaf: Pick<Certificate, "mayIssue" | "groups" | "claims" | "notAfter">,
  issuer: Certificate,
): boolean {
  const end = issuer.notAfter;
  return (
    issuer.mayIssue &&
    !leaf.mayIssue &&
    leaf.groups.every((group) => issuer.groups.includes(group)) &&
    leaf.claims.every((claim) => issuer.claims.includes(claim)) &&
    (end === 0 || (leaf.notAfter !== 0 && leaf.notAfter <= end))
  );
}

export function dateFaultOf(
  { leaf, issuer }: CertificateChain,
  wallSeconds: number,
): DateFault | undefined {
  return (
    faultOf(leaf.certificate, wallSeconds) ?? (issuer && faultOf(issuer.certificate, wallSeconds))
  );
}

/** When the first of the chain ends, in unix seconds; 0 = never. */
export function endOf(certificates: readonly Certificate[]): number {
  const ends = certificates.map(({ notAfter }) => notAfter).filter((end) => end !== 0);
  return ends.length === 0 ? 0 : Math.min(...ends);
}

function faultOf(certificate: Certificate, wallSeconds: number): DateFault | undefined {
  const { name, notBefore, notAfter } = certificate;
  if (notBefore !== 0 && wallSeconds < notBefore) return { name, kind: "early", date: notBefore };
  if (notAfter !== 0 && wallSeconds > notAfter) return { name, kind: "ended", date: notAfter };
  return undefined;
}
