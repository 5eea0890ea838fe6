/** Which sequence numbers of one origin were seen, and how often each was carried on. */
export class FloodWindow {
  /** At 200 floods a second: the last 1.3 s, above any time a flood is under way. */
  static readonly SIZE = 256;
  /** Once for the range we are given, the others for ranges of members that did not answer. */
  static readonly CARRIES_MAX = 8;
  readonly #carried = new Uint8Array(FloodWindow.SIZE);
  #newest = -1;

  /** How this sequence stands, without counting it. */
  look(sequence: number): "new" | "seen" | "spent" {
    if (sequence > this.#newest) return "new";
    if (sequence <= this.#newest - FloodWindow.SIZE) return "spent";
    const count = this.#carried[sequence % FloodWindow.SIZE] ?? 0;
    if (count === 0) return "new";
    return count < FloodWindow.CARRIES_MAX ? "seen" : "spent";
  }

  /** Counts one acceptance of a sequence that is not `spent`. */
  mark(sequence: number): void {
    this.#moveTo(sequence);
    const at = sequence % FloodWindow.SIZE;
    this.#carried[at] = (this.#carried[at] ?? 0) + 1;
  }

  #moveTo(sequence: number): void {
    const skipped = Math.min(sequence - this.#newest, FloodWindow.SIZE);
    for (let i = 0; i < skipped; i++) this.#carried[(sequence - i) % FloodWindow.SIZE] = 0;
    this.#newest = Math.max(this.#newest, sequence);
  }
}
