/** One item of `bootstrap:`, the places where a member may be found. */
import {
  type HostPort,
  hostPortText,
  isHostName,
  parseHostPort,
  quote,
  Refusal,
} from "./host-port.ts";
import { editDistance } from "./nearest.ts";

export type BootstrapEntry =
  | ({ readonly kind: "host" } & HostPort)
  /** SRV records `_weft._udp.NAME`, else the addresses of NAME with the default port. */
  | { readonly kind: "dns"; readonly name: string }
  /** Members on the same switch answer. */
  | { readonly kind: "lan" }
  /** Members that left their endpoints in the BitTorrent DHT. */
  | { readonly kind: "mainline" };

const WORDS = ["lan", "mainline"] as const;
const SCHEMES = ["dns"] as const;
/** Slips of one or two letters are mistakes; more make another word. */
const SLIPS_MAX = 2;

/** `host`, `host:port`, `dns:NAME`, `lan`, `mainline`. */
export function parseBootstrapEntry(text: string): BootstrapEntry | Refusal {
  const word = WORDS.find((known) => known === text);
  if (word !== undefined) return { kind: word };
  const [, scheme, rest] = /^([A-Za-z]+):(?!\d+$)(.*)$/.exec(text) ?? [];
  if (scheme !== undefined && rest !== undefined) return parseScheme(text, scheme, rest);
  const meant = WORDS.find((known) => isSlipOf(text, known));
  if (meant !== undefined) {
    return new Refusal(
      `${quote(text)} is no place to look: did you mean ${meant}? A host of that name needs its port, ${text}:7117`,
    );
  }
  const endpoint = parseHostPort(text);
  return endpoint instanceof Refusal ? endpoint : { kind: "host", ...endpoint };
}

/** The inverse of `parseBootstrapEntry`. */
export function bootstrapText(entry: BootstrapEntry): string {
  if (entry.kind === "host") return hostPortText(entry);
  return entry.kind === "dns" ? `dns:${entry.name}` : entry.kind;
}

function parseScheme(text: string, scheme: string, rest: string): BootstrapEntry | Refusal {
  const known = SCHEMES.find((name) => editDistance(scheme.toLowerCase(), name) <= SLIPS_MAX);
  if (known === undefined) return unknownScheme(text);
  if (scheme !== known) {
    return new Refusal(
      `${quote(text)} is no place to look: did you mean ${known}:${rest.slice(0, 60)}?`,
    );
  }
  if (isHostName(rest)) return { kind: "dns", name: rest };
  return new Refusal(`${quote(text)} has no host name behind dns: write dns:members.example.org`);
}

function unknownScheme(text: string): Refusal {
  return new Refusal(
    `${quote(text)} is no place to look: write host:port, dns:NAME, lan or mainline`,
  );
}

/** Another spelling of a long word, or another case of any. */
function isSlipOf(text: string, word: string): boolean {
  const lower = text.toLowerCase();
  if (lower === word) return true;
  return word.length > 2 * SLIPS_MAX && editDistance(lower, word) <= SLIPS_MAX;
}
