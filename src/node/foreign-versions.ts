/** Members that cannot understand us: they refused our handshake and named their major version. */
import { endpointText } from "../base/net.ts";
import { addressText } from "../base/ring-address.ts";
import type { Millis } from "../base/time.ts";
import type { ConnectTarget } from "../link/link-types.ts";
import { MAJOR_VERSION } from "../wire/message-type.ts";

/** Lines that a person reads; a cluster half of which was upgraded says the same thing often. */
const SHOWN_MAX = 4;
/** Whoever is wanted is asked again each 15 s: past this it is no news any more. */
const KEPT_MS = 60_000;

interface Refusal {
  readonly major: number;
  readonly at: Millis;
}

export class ForeignVersions {
  readonly #refusals = new Map<string, Refusal>();

  refused(now: Millis, to: ConnectTarget, major: number): void {
    const who = to.kind === "endpoint" ? endpointText(to.endpoint) : addressText(to.address);
    this.#refusals.delete(who);
    this.#refusals.set(who, { major, at: now });
    const oldest = this.#refusals.keys().next();
    if (this.#refusals.size > SHOWN_MAX && !oldest.done) this.#refusals.delete(oldest.value);
  }

  /** Empty when all is well. */
  health(now: Millis): string[] {
    return [...this.#refusals]
      .filter(([, { at }]) => now - at < KEPT_MS)
      .map(
        ([who, { major }]) =>
          `${who} speaks version ${major} of the protocol and this node version ${MAJOR_VERSION}: run weft of one major version everywhere`,
      );
  }
}
