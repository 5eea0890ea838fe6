import type { Millis } from "../base/time.ts";

/** What is known of our place in the net; asked anew each time. */
export interface OwnPlace {
  /** Some peer sees us at an address that is not ours. */
  readonly isBehindNat: boolean;
  /** The same, where the mode of traversal has anything done about it. */
  readonly needsPunching: boolean;
  /** Our NAT keeps a mapping that is silent for so long, and not much longer; undefined = not measured. */
  readonly mappingLifeMs?: Millis | undefined;
}
