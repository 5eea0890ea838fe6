/** What is known of the NAT: one sample for each socket and destination, and the latest tests. */
import type { SocketIndex } from "../base/engine.ts";
import { type Endpoint, endpointText, sameEndpoint } from "../base/net.ts";
import type { Millis } from "../base/time.ts";
import type { NatSample } from "./classify-nat.ts";

/** A full ring of neighbours for both families and a survey; each comparison is of two of them. */
const MAX_MAPPINGS = 48;
/** Links in use are probed every 20 s at least: a mapping nobody saw for so long tells nothing now. */
const MAPPING_LIFE_MS: Millis = 90_000;
/** A survey's own mappings are not refreshed; the next survey replaces them. */
const SURVEY_LIFE_MS: Millis = 3_600_000;

export interface Sighting {
  readonly socket: SocketIndex;
  readonly localPort: number;
  readonly isSurvey: boolean;
  /** Who saw us. */
  readonly destination: Endpoint;
  readonly mapped: Endpoint;
}

interface Mapping {
  readonly sighting: Sighting;
  readonly at: Millis;
  seenAt: Millis;
}

export class NatSamples {
  readonly #mappings = new Map<string, Mapping>();
  readonly #tests = new Map<string, NatSample>();

  /** @returns whether it is news */
  note(now: Millis, sighting: Sighting, madeAt = now): boolean {
    const key = `${sighting.socket} ${endpointText(sighting.destination)}`;
    const known = this.#mappings.get(key);
    if (known !== undefined && sameEndpoint(known.sighting.mapped, sighting.mapped)) {
      known.seenAt = now;
      return false;
    }
    // The outside address changed: what others saw before belongs to the network we left.
    if (known !== undefined && known.sighting.mapped.ip !== sighting.mapped.ip) this.clear();
    this.#mappings.set(key, { sighting, at: madeAt, seenAt: now });
    this.#expire(now);
    return true;
  }

  noteTest(sample: Exclude<NatSample, { kind: "mapping" }>): void {
    this.#tests.set(sample.kind === "filtering" ? sample.from : sample.kind, sample);
  }

  /** Before a survey: it looks at everything anew. */
  dropSurvey(): void {
    for (const [key, { sighting }] of this.#mappings) {
      if (sighting.isSurvey) this.#mappings.delete(key);
    }
    for (const name of ["another-address", "another-port", "hairpin"]) this.#tests.delete(name);
  }

  /** Another network: nothing holds any more. */
  clear(): void {
    this.#mappings.clear();
    this.#tests.clear();
  }

  /** @param own addresses of this host */
  list(now: Millis, own: readonly Endpoint[]): NatSample[] {
    this.#expire(now);
    const mappings = [...this.#mappings.values()].map(({ sighting, at }): NatSample => {
      const { socket, localPort, destination, mapped } = sighting;
      const isOwn = own.some(({ ip }) => ip === mapped.ip) && mapped.port === localPort;
      return { kind: "mapping", socket, localPort, isOwn, destination, mapped, at };
    });
    return [...mappings, ...this.#tests.values()];
  }

  #expire(now: Millis): void {
    for (const [key, { sighting, seenAt }] of this.#mappings) {
      const lifeMs = sighting.isSurvey ? SURVEY_LIFE_MS : MAPPING_LIFE_MS;
      const isSurplus = this.#mappings.size > MAX_MAPPINGS;
      if (isSurplus || now - seenAt >= lifeMs) this.#mappings.delete(key);
    }
  }
}
