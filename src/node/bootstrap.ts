/**
 * Keeps trying to reach the cluster: the bootstrap endpoints of the file and the peers remembered
 * from earlier runs. Any reachable member introduces, so one link is enough; the others are asked
 * now and then all the same, because two rings that formed apart merge over any link.
 *
 *      no link:  every endpoint, again after RETRY_ALONE_MS
 *      linked:   every endpoint that no link uses, again after RETRY_LINKED_MS (merge)
 */
import { Outbox } from "../base/machine.ts";
import { type Endpoint, endpointText, sameEndpoint } from "../base/net.ts";
import { jitter, type Rng } from "../base/rng.ts";
import { type Millis, TimerTable } from "../base/time.ts";
import type { ConnectTarget } from "../link/link-types.ts";

/** Without any link each second costs the user; the links machine retries within one attempt. */
const RETRY_ALONE_MS = 2_000;
/** A merge of rings may take this long to be noticed; one handshake per endpoint is the price. */
const RETRY_LINKED_MS = 15_000;
/** Endpoints asked at one time: file entries first, then remembered peers. */
const ENDPOINTS_MAX = 32;

export class Bootstrap {
  readonly #rng: Rng;
  readonly #timers = new TimerTable<"retry">();
  readonly #outbox = new Outbox<ConnectTarget>();
  readonly #self = new Set<string>();
  #file: readonly Endpoint[];
  #remembered: readonly Endpoint[];

  constructor(rng: Rng, file: readonly Endpoint[], remembered: readonly Endpoint[]) {
    this.#rng = rng;
    this.#file = file;
    this.#remembered = remembered;
  }

  /** True when there is nobody to ask: the first node of a cluster. */
  get isEmpty(): boolean {
    return this.#targets().length === 0;
  }

  setFile(now: Millis, endpoints: readonly Endpoint[]): void {
    this.#file = endpoints;
    this.#timers.set("retry", now);
  }

  /** The endpoint turned out to be our own: never asked again. */
  markSelf(endpoint: Endpoint): void {
    if (this.#self.size < ENDPOINTS_MAX) this.#self.add(endpointText(endpoint));
  }

  /** Ask everyone now; `linked` = endpoints that links use by UDP, `isAlone` = nobody is reached. */
  attempt(now: Millis, linked: readonly Endpoint[], isAlone: boolean): void {
    for (const endpoint of this.#targets()) {
      if (!linked.some((used) => sameEndpoint(used, endpoint))) {
        this.#outbox.push({ kind: "endpoint", endpoint });
      }
    }
    const wait = isAlone ? RETRY_ALONE_MS : RETRY_LINKED_MS;
    this.#timers.set("retry", now + jitter(this.#rng, wait, 0.2));
  }

  /** Whom to ask besides the file's; those met in this run, once nobody is reached. */
  remember(endpoints: readonly Endpoint[]): void {
    this.#remembered = endpoints;
  }

  /** The last link went down: do not wait for the slow retry. */
  lostAll(now: Millis): void {
    this.#timers.setEarlier("retry", now);
  }

  isDue(now: Millis): boolean {
    return this.#timers.takeExpired(now).length > 0;
  }

  poll(): ConnectTarget | undefined {
    return this.#outbox.poll();
  }

  deadline(): Millis {
    return this.#timers.deadline();
  }

  /** Everyone who may be asked. */
  get targets(): readonly Endpoint[] {
    return this.#targets();
  }

  #targets(): Endpoint[] {
    const unique = new Map<string, Endpoint>();
    for (const endpoint of [...this.#file, ...this.#remembered]) {
      const text = endpointText(endpoint);
      if (!this.#self.has(text) && unique.size < ENDPOINTS_MAX) unique.set(text, endpoint);
    }
    return [...unique.values()];
  }
}
