/** `relay:` of the cluster file: `off`, `members`, `limit 100mbit`, `limit 100mbit total 1gbit`. */
import { type RelayPolicy, TOTAL_PER_MEMBER } from "../link/relay-policy.ts";

const UNITS = { kbit: 125, mbit: 125_000, gbit: 125_000_000 } as const;
/** Less than a telephone call is no relay. */
const LEAST_BYTES_PER_SECOND = UNITS.kbit * 64;
const RATE = /(\d{1,6})(kbit|mbit|gbit)/.source;
const LIMIT = new RegExp(`^limit ${RATE}(?: total ${RATE})?$`);

/** Undefined when the text is none of these, a rate is under 64kbit, or the total under the rate. */
export function parseRelay(text: string): RelayPolicy | undefined {
  if (text === "off" || text === "members") return { kind: text };
  const match = LIMIT.exec(text);
  if (match === null) return undefined;
  const [, amount, unit, total, totalUnit] = match;
  const perMember = bytesPerSecond(amount, unit);
  const inAll =
    total === undefined ? perMember * TOTAL_PER_MEMBER : bytesPerSecond(total, totalUnit);
  if (perMember < LEAST_BYTES_PER_SECOND || inAll < perMember) return undefined;
  return { kind: "limit", perMember, inAll };
}

/** As the file would say it, in the largest unit that gives a whole number. */
export function relayText(policy: RelayPolicy): string {
  if (policy.kind !== "limit") return policy.kind;
  const { perMember, inAll } = policy;
  const limit = `limit ${rateText(perMember)}`;
  return inAll === perMember * TOTAL_PER_MEMBER ? limit : `${limit} total ${rateText(inAll)}`;
}

function bytesPerSecond(amount: string | undefined, unit: string | undefined): number {
  return Number(amount) * UNITS[unit as keyof typeof UNITS];
}

function rateText(rate: number): string {
  const fitting = Object.entries(UNITS).filter(([, bytes]) => rate % bytes === 0);
  const [unit, bytes] = fitting.at(-1) ?? ["kbit", UNITS.kbit];
  return `${Math.round(rate / bytes)}${unit}`;
}
