/** A round-trip time is told again when it changed by both of these. */
const RTT_NEWS_MS = 2;
const RTT_NEWS_FRACTION = 0.25;

/** Whether the layers above, who were told `saidMs`, want to hear `rttMs`. */
export function isRttNews(saidMs: number | undefined, rttMs: number | undefined): boolean {
  if (rttMs === undefined) return false;
  if (saidMs === undefined) return true;
  return Math.abs(rttMs - saidMs) > Math.max(RTT_NEWS_MS, saidMs * RTT_NEWS_FRACTION);
}
