/**
 * NO_PROXY: who is asked without the proxy. As curl and Go read it: entries parted by commas or blanks;
 * `example.com`, `.example.com` and `*.example.com` stand for that name and all below it; an address or
 * a CIDR block for itself; `*` for everybody. A port behind an entry is passed over: a member may accept
 * streams on several.
 */
import { isIpv6, type Network, parseIp } from "../base/net.ts";

export interface NoProxy {
  readonly networks: readonly Network[];
  /** In lower case, without dots around. */
  readonly names: readonly string[];
}

/** Lists of real sites have a few dozen; each is compared with a handful of hosts. */
const MAX_ENTRIES = 256;
const EVERYBODY: readonly Network[] = [
  { ip: "0.0.0.0", prefix: 0 },
  { ip: "::", prefix: 0 },
];

/** What cannot be read exempts nobody. */
export function parseNoProxy(text: string): NoProxy {
  const entries = text.toLowerCase().split(/[\s,]+/);
  const kept = entries.filter((entry) => entry !== "").slice(0, MAX_ENTRIES);
  const read = kept.map((entry) => ({ entry, networks: networksOf(entry) }));
  const names = read.filter(({ networks }) => networks.length === 0).map(({ entry }) => entry);
  return {
    networks: read.flatMap(({ networks }) => networks),
    names: names.map(bareName).filter((name) => name !== ""),
  };
}

/** By name alone; addresses are `networks`' matter. */
export function isNameExempt({ names }: NoProxy, host: string): boolean {
  const name = bareName(host.toLowerCase());
  return names.some((suffix) => name === suffix || name.endsWith(`.${suffix}`));
}

function networksOf(entry: string): readonly Network[] {
  if (entry === "*") return EVERYBODY;
  const [, bracketed, bare, prefix] = /^(?:\[([^\]]*)\]|([^/]*))(?:\/(\d{1,3}))?/.exec(entry) ?? [];
  const text = bracketed ?? bare ?? "";
  const ip = parseIp(text) ?? parseIp(text.replace(/:\d+$/, ""));
  if (ip === undefined) return [];
  const most = isIpv6(ip) ? 128 : 32;
  const bits = prefix === undefined ? most : Number(prefix);
  return bits <= most ? [{ ip, prefix: bits }] : [];
}

function bareName(entry: string): string {
  return entry
    .replace(/^\*?\.+/, "")
    .replace(/(:\d+)?$/, "")
    .replace(/\.$/, "");
}
