import type { HostAddress } from "../io/interface.ts";
import { messageOf, systemCodeOf } from "./errors.ts";
import type { Log } from "./log.ts";

/**
 * The kernel tells no addresses while descriptors or memory are short (EMFILE, ENOMEM). What it said last
 * counts until it answers again: a node that took its addresses for gone would tell its peers so.
 * The log says when that begins, and when it is over after how many tries.
 */
export function steadyAddresses(
  read: () => readonly HostAddress[],
  log: Pick<Log, "warn" | "info">,
): () => readonly HostAddress[] {
  let last: readonly HostAddress[] = [];
  let failures = 0;
  return () => {
    try {
      last = read();
    } catch (error) {
      const reason = systemCodeOf(error) ?? messageOf(error);
      if (failures++ === 0)
        log.warn({ reason }, "own addresses cannot be read: the last ones stay");
      return last;
    }
    if (failures > 0) log.info({ failures }, "own addresses are read again");
    failures = 0;
    return last;
  };
}
