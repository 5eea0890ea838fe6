/** Where a site of a pair is: on the internet itself or behind which NATs. */
import type { Lab, Site } from "./lab.ts";
import { NatBox } from "./nat-box.ts";
import { isNatKind, NAT_KINDS, type NatKind } from "./nat-kind.ts";
import type { NatOptions } from "./nat-rules.ts";
import { run } from "./shell.ts";

/**
 * `public` has IPv4 only, `dual_stack` both families, `ipv6_only` no IPv4; none of them is behind
 * anything. `cgn` is the usual home router behind a carrier's NAT without hairpin.
 */
export type PlaceKind = NatKind | "public" | "dual_stack" | "ipv6_only" | "cgn";

export const PLACE_KINDS: readonly PlaceKind[] = [
  "public",
  "dual_stack",
  "ipv6_only",
  ...NAT_KINDS,
  "cgn",
];

export function isPlaceKind(text: string): text is PlaceKind {
  return PLACE_KINDS.includes(text as PlaceKind);
}

/**
 * What both sites of a pair are behind: the same router (of the first one's kind), or the same
 * carrier's NAT, each with a router of its own.
 */
export type Shared = "lan" | "carrier" | "carrier-hairpin";

export interface PairKinds {
  readonly a: PlaceKind;
  readonly b: PlaceKind;
  readonly shared?: Shared;
}

export function pairText({ a, b, shared }: PairKinds): string {
  return `${a} x ${b}${shared === undefined ? "" : `, same ${shared}`}`;
}

/** One end of a pair as it stands in the lab. */
export interface Place {
  readonly site: Site;
  /** From the site outwards; empty without NAT. */
  readonly boxes: readonly NatBox[];
}

export async function makePair(
  lab: Lab,
  kinds: PairKinds,
  options: NatOptions = {},
): Promise<[Place, Place]> {
  const { a, b, shared } = kinds;
  if (shared === undefined) {
    return [await makePlace(lab, "a", a, options), await makePlace(lab, "b", b, options)];
  }
  if (!isNatKind(a) || !isNatKind(b)) throw new Error(`${pairText(kinds)}: not behind a NAT`);
  if (shared === "lan") {
    const box = await NatBox.create(lab, "ab-nat", { kind: a, ...options });
    const boxes = [box];
    return [
      { site: await box.addSite("a"), boxes },
      { site: await box.addSite("b"), boxes },
    ];
  }
  const hairpin = shared === "carrier-hairpin";
  const carrier = await makeCarrier(lab, "carrier", { ...options, hairpin });
  return [
    await makeHome(lab, "a", { kind: a, behind: carrier, ...options }),
    await makeHome(lab, "b", { kind: b, behind: carrier, ...options }),
  ];
}

async function makePlace(
  lab: Lab,
  name: string,
  kind: PlaceKind,
  options: NatOptions,
): Promise<Place> {
  if (isNatKind(kind)) return makeHome(lab, name, { kind, ...options });
  if (kind === "cgn") {
    const behind = await makeCarrier(lab, `${name}-carrier`, options);
    return makeHome(lab, name, { kind: "portrestricted", behind, ...options });
  }
  const site = await lab.addSite(name);
  if (kind !== "public") await addIpv6(site);
  if (kind === "ipv6_only") {
    await run(["ip", "-n", site.namespace, "-4", "addr", "flush", "dev", "eth0"]);
  }
  return { site, boxes: [] };
}

/** RFC 6888 asks carriers for endpoint-independent mapping; filtering is left to them. */
function makeCarrier(lab: Lab, name: string, options: NatOptions): Promise<NatBox> {
  return NatBox.create(lab, name, { kind: "portrestricted", isCarrier: true, ...options });
}

async function makeHome(
  lab: Lab,
  name: string,
  options: Parameters<typeof NatBox.create>[2],
): Promise<Place> {
  const box = await NatBox.create(lab, `${name}-nat`, options);
  const site = await box.addSite(name);
  return { site, boxes: options.behind === undefined ? [box] : [box, options.behind] };
}

/** Without duplicate address detection, which would take a second. */
export async function addIpv6(site: Site): Promise<void> {
  const address = ["addr", "add", `${site.ip6}/64`, "dev", "eth0", "nodad"];
  await run(["ip", "-n", site.namespace, ...address]);
}
