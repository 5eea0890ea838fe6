/** Says when this host's addresses, interfaces or routes change, as soon as the kernel says so. */
import { type AddonNetworkWatch, loadAddon } from "./engine.ts";

/**
 * An interface that comes up makes a dozen messages; they are gathered for so long, and a host whose
 * routes never rest is looked at ten times a second at most.
 */
const GATHER_MS = 100;

export interface NetworkWatch {
  close(): void;
}

/**
 * @param onChange reads what it wants to know: a change may be of anything, also of nothing
 * @param open replaced in tests
 * @returns undefined where the kernel does not tell: then only looking now and then helps
 */
export function watchNetwork(
  onChange: () => void,
  open: () => AddonNetworkWatch = () => new (loadAddon().NetworkWatch)(),
): NetworkWatch | undefined {
  let watch: AddonNetworkWatch;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;
  const arm = (): void => watch.whenChanged(gather);
  const gather = (): void => {
    timer = setTimeout(tell, GATHER_MS);
    timer.unref();
  };
  const tell = (): void => {
    if (isClosed) return;
    // armed first: what changes while it is read is told again
    arm();
    onChange();
  };
  try {
    watch = open();
    arm();
  } catch {
    return undefined;
  }
  return {
    close: () => {
      isClosed = true;
      clearTimeout(timer);
      watch.close();
    },
  };
}
