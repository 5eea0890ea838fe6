/**
 * Machines behind the bridge whose address is not leased by weft: they are neighbours of the bridge,
 * not of other sites, since nobody there would take their frames. Each is named once.
 */
import type { Ip, Mac } from "../base/net.ts";
import type { Millis } from "../base/time.ts";
import type { VnetContext } from "./context.ts";
import type { Host } from "./host.ts";
import { TokenBucket } from "./token-bucket.ts";

/** After a start of the agent leases come back within seconds; whoever still has none is named. */
const GRACE_MS = 10_000;
/** MACs that are remembered; the oldest makes room. */
const OUTSIDERS_MAX = 256;
/** Lines in the log: a whole LAN at once, then a few an hour, whatever MACs somebody makes up. */
const LINES_BURST = 64;
const LINES_PER_SECOND = 1 / 600;
const UNSPECIFIED: readonly Ip[] = ["0.0.0.0", "::"];

export class Outsiders {
  readonly #context: VnetContext;
  readonly #host: Host;
  readonly #lines = new TokenBucket(LINES_PER_SECOND, LINES_BURST);
  /** When each was seen first, and whether it was named. */
  readonly #seen = new Map<Mac, { readonly at: Millis; isNamed: boolean }>();

  constructor(context: VnetContext, host: Host) {
    this.#context = context;
    this.#host = host;
  }

  /**
   * Whether a machine that speaks as `mac` and `ip` may ask for addresses of other sites. A probe
   * (no address yet) may.
   */
  mayAsk(now: Millis, mac: Mac, ip: Ip): boolean {
    if (!this.#context.options.bridged || UNSPECIFIED.includes(ip)) return true;
    if (this.#host.leaseByIp(ip)?.mac === mac) return true;
    this.#note(now, mac, ip);
    return false;
  }

  #note(now: Millis, mac: Mac, ip: Ip): void {
    const known = this.#seen.get(mac) ?? { at: now, isNamed: false };
    if (!this.#seen.has(mac)) this.#makeRoom();
    this.#seen.set(mac, known);
    if (known.isNamed || now - known.at < GRACE_MS || !this.#lines.take(now)) return;
    known.isNamed = true;
    this.#context.event({
      what: "outsider",
      condition: `${mac} behind the bridge uses ${ip}, which weft did not lease to it`,
      action: "its questions for addresses of other sites are not answered",
      effect: "it reaches its neighbours on the bridge alone",
      coolDownMs: 0,
      fields: { mac, ip },
    });
  }

  #makeRoom(): void {
    const oldest = this.#seen.keys().next();
    if (this.#seen.size >= OUTSIDERS_MAX && !oldest.done) this.#seen.delete(oldest.value);
  }
}
