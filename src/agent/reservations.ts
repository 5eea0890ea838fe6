/**
 * `reservations:` of the cluster file: who gets which address, at any site.
 *
 *     52:54:00:12:34:56: 10.117.0.50      MAC
 *     id:01525400123456: 10.117.0.51      DHCP client identifier, hex
 *     printer: 10.117.0.52                host name that the machine sends
 */
import { fromHex, toHex } from "../base/bytes.ts";
import {
  type Ip,
  ipv4FromNumber,
  ipv4Number,
  parseMac,
  type Subnet,
  subnetContains,
  subnetSize,
  subnetText,
} from "../base/net.ts";
import type { Reservation } from "../lease/leases.ts";
import { quote, Refusal } from "./host-port.ts";

/** Several for each member that a network has. */
export const MAX_RESERVATIONS = 4_096;
/** What one DHCP option carries. */
const MAX_CLIENT_BYTES = 255;

/** What `reservations:` is checked against. */
export interface Ground {
  readonly range: Subnet;
  readonly claims: readonly { readonly name: string; readonly ip: Ip }[];
}

export interface ReadReservations {
  readonly reservations: readonly Reservation[];
  /** `who` as written, and what is wrong with it. */
  readonly faults: readonly { readonly who: string; readonly text: string }[];
}

export function readReservations(
  written: Readonly<Record<string, Ip>>,
  ground: Ground,
): ReadReservations {
  const reservations: Reservation[] = [];
  const faults: { who: string; text: string }[] = [];
  const holders = new Map(ground.claims.map(({ name, ip }) => [ip, name]));
  const known = new Set<string>();
  for (const [who, ip] of Object.entries(written).slice(0, MAX_RESERVATIONS)) {
    const by = parseReservedBy(who);
    const text = by instanceof Refusal ? by.text : faultOf({ ip, by }, ground, { holders, known });
    if (by instanceof Refusal || text !== undefined) {
      faults.push({ who, text: text ?? "" });
      continue;
    }
    reservations.push({ ip, by });
    holders.set(ip, who);
    known.add(reservedByText(by));
  }
  return { reservations, faults };
}

export function parseReservedBy(text: string): Reservation["by"] | Refusal {
  const mac = parseMac(text);
  if (mac !== undefined) return { kind: "mac", mac };
  const digits = /^id:([0-9a-f:]+)$/i.exec(text)?.[1]?.replaceAll(":", "") ?? "";
  const client = fromHex(digits.toLowerCase());
  if (client !== undefined && client.length > 0 && client.length <= MAX_CLIENT_BYTES) {
    return { kind: "client", client: toHex(client) };
  }
  if (/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i.test(text)) {
    return { kind: "name", name: text.toLowerCase() };
  }
  return new Refusal(
    `${quote(text)} is no MAC, id:HEX or host name: write 52:54:00:12:34:56, id:01525400123456 or printer`,
  );
}

export function reservedByText(by: Reservation["by"]): string {
  switch (by.kind) {
    case "mac":
      return by.mac;
    case "client":
      return `id:${by.client}`;
    case "name":
      return by.name;
  }
}

/** Why nobody may hold this address; the first host address answers DHCP at every member. */
export function addressFault(range: Subnet, ip: Ip): string | undefined {
  const first = ipv4Number(range.first);
  if (!subnetContains(range, ip))
    return `${ip} is outside the range ${subnetText(range)}: choose one inside`;
  const offset = ipv4Number(ip) - first;
  if (offset === 0) return `${ip} is the network's own address: choose another`;
  if (offset === subnetSize(range) - 1) return `${ip} is the broadcast address: choose another`;
  if (offset === 1)
    return `${ip} is kept for DHCP itself: choose from ${ipv4FromNumber(first + 2)} upwards`;
  return undefined;
}

function faultOf(
  { ip, by }: Reservation,
  { range }: Ground,
  taken: { readonly holders: ReadonlyMap<Ip, string>; readonly known: ReadonlySet<string> },
): string | undefined {
  const holder = taken.holders.get(ip);
  if (holder !== undefined) return `${ip} is kept for ${holder} too: give one of them another`;
  if (taken.known.has(reservedByText(by)))
    return `${reservedByText(by)} has a reservation already: keep one of the two`;
  return addressFault(range, ip);
}
