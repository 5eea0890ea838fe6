/** Wall clocks that a test sets (libfaketime), for agents that it starts. */
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Reason, requireFile } from "../support/requires.ts";

const LIBRARY = "faketime/libfaketimeMT.so.1";

export function requireFakeClock(): Reason {
  return requireFile(libraryPath());
}

/** Set to an offset of libfaketime, such as `+15y`; agents that run follow it at once. */
export class FakeClock {
  readonly #file: string;

  /** It is right until it is set. */
  constructor(folder: string) {
    this.#file = join(folder, "clock");
    this.set("+0");
  }

  set(offset: string): void {
    writeFileSync(this.#file, `${offset}\n`);
  }

  /** The clocks that count on stay as they are: those of a machine whose wall clock is set do too. */
  get env(): Record<string, string> {
    return {
      LD_PRELOAD: libraryPath(),
      FAKETIME_TIMESTAMP_FILE: this.#file,
      FAKETIME_NO_CACHE: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
    };
  }
}

/** Of Debian's libfaketime, in the folder of this processor. */
function libraryPath(): string {
  const paths = readdirSync("/usr/lib").map((name) => join("/usr/lib", name, LIBRARY));
  return paths.find((path) => existsSync(path)) ?? join("/usr/lib", LIBRARY);
}
