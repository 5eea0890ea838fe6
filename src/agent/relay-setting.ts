/** `relay:` of the cluster file: `off`, `members`, `limit 100mbit`. */
import type { RelayPolicy } from "../link/relay-policy.ts";

const UNITS = { kbit: 125, mbit: 125_000, gbit: 125_000_000 } as const;
/** Less than a telephone call is no relay. */
const LEAST_BYTES_PER_SECOND = UNITS.kbit * 64;

/** Undefined when the text is none of these, or a rate under 64kbit. */
export function parseRelay(text: string): RelayPolicy | undefined {
  if (text === "off" || text === "members") return { kind: text };
  const match = /^limit (\d{1,6})(kbit|mbit|gbit)$/.exec(text);
  if (match === null) return undefined;
  const bytesPerSecond = Number(match[1]) * UNITS[match[2] as keyof typeof UNITS];
  return bytesPerSecond < LEAST_BYTES_PER_SECOND ? undefined : { kind: "limit", bytesPerSecond };
}

/** As the file would say it, in the largest unit that gives a whole number. */
export function relayText(policy: RelayPolicy): string {
  if (policy.kind !== "limit") return policy.kind;
  const { bytesPerSecond } = policy;
  const fitting = Object.entries(UNITS).filter(([, bytes]) => bytesPerSecond % bytes === 0);
  const [unit, bytes] = fitting.at(-1) ?? ["kbit", UNITS.kbit];
  return `limit ${Math.round(bytesPerSecond / bytes)}${unit}`;
}
