/** Days and minutes for people, without a clock or a time zone: the core has no Date. */

const DAY_SECONDS = 86_400;

/** `2026-12-01 14:05 UTC`. @param seconds unix time; Howard Hinnant, "chrono-compatible date algorithms" */
export function dateText(seconds: number): string {
  const days = Math.floor(seconds / DAY_SECONDS);
  const { year, month, day } = civilOf(days);
  const minutes = Math.floor((seconds - days * DAY_SECONDS) / 60);
  const clock = `${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
  return `${year}-${two(month)}-${two(day)} ${clock} UTC`;
}

/** The Gregorian date of a day counted from 1970-01-01; years begin in March, eras have 400 of them. */
function civilOf(days: number): { year: number; month: number; day: number } {
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const leapDays =
    -Math.floor(dayOfEra / 1_460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096);
  const yearOfEra = Math.floor((dayOfEra + leapDays) / 365);
  const dayOfYear =
    dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const fromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * fromMarch + 2) / 5) + 1;
  const month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9;
  return { year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day };
}

function two(value: number): string {
  return `${value}`.padStart(2, "0");
}
