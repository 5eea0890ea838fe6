import type { Millis } from "./time.ts";

/** The areas of the core, as they appear in the journal and in logs. */
export type Area = "link" | "stun" | "ring" | "dht" | "lease" | "vnet" | "node";

/**
 * One act the node took of its own accord: logged, counted, kept in the bounded journal.
 * All text is for people; `fields` carries the same facts for programs.
 */
export interface CoreEvent {
  readonly area: Area;
  /** Stable name in kebab case, e.g. `link-opened`; a row of docs/OPERATING.md. */
  readonly what: string;
  /** What was observed that made the node act. */
  readonly condition: string;
  /** What the node did. */
  readonly action: string;
  /** What this changes for the user; empty when nothing. */
  readonly effect: string;
  /** The node will not act on the same condition again before this long. */
  readonly coolDownMs: Millis;
  readonly fields: Readonly<Record<string, string | number>>;
}
