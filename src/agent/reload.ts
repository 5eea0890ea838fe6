/** What a running agent takes over from a changed cluster file, and what waits for a restart. */
import { toHex } from "../base/bytes.ts";
import type { Config } from "./config.ts";

/** Read anew whenever they are used, so that another value counts at once. */
const LIVE = ["log", "bootstrap", "stunServers"] as const satisfies readonly (keyof Config)[];
/** Not settings themselves. */
const APART: readonly (keyof Config)[] = ["origins", "warnings", "nodeName"];
/** Fields whose name differs from their key by more than the spelling. */
const KEY_OF: Partial<Record<keyof Config, string>> = {
  networkKey: "secret",
  leaseSeconds: "lease",
  interfaceName: "interface",
  addressMode: "address",
  claims: "nodes",
  nodeGroups: "nodes",
  nodeNames: "nodes",
  metricsPort: "metrics",
};

export interface Reload {
  /** The running configuration with the live keys of the fresh one. */
  readonly config: Config;
  /** Keys that changed and count from now on. */
  readonly taken: readonly string[];
  /** Keys that changed and count after a restart. */
  readonly waiting: readonly string[];
}

export function planReload(running: Config, fresh: Config): Reload {
  const changed = (Object.keys({ ...running, ...fresh }) as (keyof Config)[]).filter(
    (field) => !APART.includes(field) && textOf(running[field]) !== textOf(fresh[field]),
  );
  // The BitTorrent DHT needs another filter in the engine, which is set when it opens.
  const otherMainline = usesMainline(running) !== usesMainline(fresh);
  const live = changed.filter(
    (field) =>
      (LIVE as readonly string[]).includes(field) && !(field === "bootstrap" && otherMainline),
  );
  const taken = Object.fromEntries(live.map((field) => [field, fresh[field]]));
  return {
    config: { ...running, ...taken },
    taken: live.map(keyOf),
    waiting: [...new Set(changed.filter((field) => !live.includes(field)).map(keyOf))],
  };
}

function usesMainline({ bootstrap }: Config): boolean {
  return bootstrap.some(({ kind }) => kind === "mainline");
}

function keyOf(field: keyof Config): string {
  return KEY_OF[field] ?? field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function textOf(value: unknown): string | undefined {
  return value instanceof Uint8Array ? toHex(value) : JSON.stringify(value);
}
