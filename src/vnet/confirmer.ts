/**
 * May this member speak for this MAC and address? Yes when the live lease of the address names both,
 * and the MAC record is the member's own or there is none. The second half keeps a member from
 * leasing an address under a neighbour's MAC and drawing the neighbour's frames.
 */
import { equalBytes } from "../base/bytes.ts";
import { type Ip, isIpv6, linkLocalOf, type Mac } from "../base/net.ts";
import type { Millis } from "../base/time.ts";
import type { Question, Resolver } from "./resolver.ts";

/** `asking`: an answer is on its way. `unknown`: the DHT could not say. */
export type Verdict =
  | { readonly is: "own"; readonly until: Millis }
  | { readonly is: "foreign" }
  | { readonly is: "asking" }
  | { readonly is: "unknown" };

export interface Claim {
  readonly mac: Mac;
  /** undefined: the MAC alone, with its EUI-64 link-local address */
  readonly ip: Ip | undefined;
}

/** An answer to the question may settle the claim. */
export function concerns(question: Question, claim: Claim): boolean {
  return question.kind === "mac" ? question.mac === claim.mac : question.ip === claim.ip;
}

type Finding =
  | { readonly is: "own"; readonly until: Millis }
  | { readonly is: "absent" | "foreign" | "asking" | "unknown" };

export class Confirmer {
  readonly #resolver: Resolver;

  constructor(resolver: Resolver) {
    this.#resolver = resolver;
  }

  /** @param key the member's Ed25519 public key */
  confirm(now: Millis, key: Uint8Array, claim: Claim): Verdict {
    const { mac, ip } = claim;
    const onMac = this.#find(now, key, mac, { kind: "mac", mac });
    if (ip === undefined || ip === linkLocalOf(mac)) return onlyOwn(onMac);
    if (isIpv6(ip)) return { is: "foreign" };
    const onIp = onlyOwn(this.#find(now, key, mac, { kind: "lease", ip }));
    if (onIp.is === "foreign" || onMac.is === "foreign") return { is: "foreign" };
    if (onIp.is !== "own") return onIp;
    return onMac.is === "asking" || onMac.is === "unknown" ? { is: onMac.is } : onIp;
  }

  /** Makes the next `confirm` of the claim ask anew. */
  forget(claim: Claim): void {
    this.#resolver.forget({ kind: "mac", mac: claim.mac });
    if (claim.ip !== undefined) this.#resolver.forget({ kind: "lease", ip: claim.ip });
  }

  #find(now: Millis, key: Uint8Array, mac: Mac, question: Question): Finding {
    const answer = this.#resolver.ask(now, question);
    if (answer === "asked") return { is: "asking" };
    if (answer.status === "unavailable") return { is: "unknown" };
    if (answer.status === "absent") return { is: "absent" };
    const { binding } = answer;
    const isOwn = equalBytes(binding.holderKey, key) && binding.mac === mac;
    return isOwn ? { is: "own", until: binding.expiresAt } : { is: "foreign" };
  }
}

function onlyOwn(finding: Finding): Verdict {
  if (finding.is === "own") return finding;
  return { is: finding.is === "absent" ? "foreign" : finding.is };
}
