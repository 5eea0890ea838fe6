/** One line for each new state on standard error, with the time it took to get there. */
import type { Terminal } from "./terminal.ts";

export interface Progress {
  say(state: string): void;
}

export function createProgress(terminal: Terminal): Progress {
  const started = performance.now();
  let last = "";
  return {
    say(state) {
      if (!terminal.errIsTty || state === last) return;
      last = state;
      terminal.err(
        `${((performance.now() - started) / 1_000).toFixed(1).padStart(5)} s  ${state}\n`,
      );
    },
  };
}
