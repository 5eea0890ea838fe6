/** Writes the state file behind the node's wishes: at most once a second, and at the end. */
import type { SavedState } from "../node/config.ts";

/** Each write costs two fsyncs; losing a second of it costs one question at the next start. */
const SAVE_EVERY_MS = 1_000;

export class StateSaver {
  readonly #write: (state: SavedState) => void;
  #latest: SavedState | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(write: (state: SavedState) => void) {
    this.#write = write;
  }

  save(state: SavedState): void {
    this.#latest = state;
    this.#timer ??= setTimeout(() => this.flush(), SAVE_EVERY_MS);
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const state = this.#latest;
    this.#latest = undefined;
    if (state !== undefined) this.#write(state);
  }
}
