/** Durations as people write them: `90s`, `15m`, `1h30m`, `2d`; a bare number is seconds. */
const UNITS = { d: 86_400, h: 3_600, m: 60, s: 1 } as const;

/** Seconds; undefined when the text is no duration. */
export function parseDuration(text: string): number | undefined {
  const trimmed = text.trim();
  if (/^\d{1,9}$/.test(trimmed)) return Number(trimmed);
  const match = /^(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,9})s)?$/.exec(trimmed);
  if (match === null || trimmed === "") return undefined;
  const [, days, hours, minutes, seconds] = match.map((part) => Number(part ?? 0));
  const parts = [days, hours, minutes, seconds];
  return Object.values(UNITS).reduce((sum, unit, i) => sum + unit * (parts[i] ?? 0), 0);
}

/** The two largest units that matter: `1h`, `59m 12s`, `3d 4h`. */
export function durationText(seconds: number): string {
  let rest = Math.max(0, Math.floor(seconds));
  const parts: string[] = [];
  for (const [name, unit] of Object.entries(UNITS)) {
    const count = Math.floor(rest / unit);
    rest -= count * unit;
    if (count > 0) parts.push(`${count}${name}`);
    else if (parts.length > 0) break;
  }
  return parts.length === 0 ? "0s" : parts.slice(0, 2).join(" ");
}
