/**
 * What a restart takes up again: leases and peers. The file only saves time, so a damaged one is set
 * aside and the node starts without it.
 *
 *     {"checksum":"<SHA-256 of the state's JSON>","state":{"version":1,...}}
 */
import { createHash } from "node:crypto";
import { renameSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { parseIp, parseMac } from "../base/net.ts";
import type { SavedState } from "../node/config.ts";
import { readIfThere, writeDurable } from "./durable-file.ts";

/** 64 peers and 1,024 leases of a bridged site fit many times over. */
const MAX_BYTES = 4_194_304;
const MAX_LEASES = 4_096;
const MAX_PEERS = 1_024;

const ip = z.string().refine((text) => parseIp(text) === text);
const counter = z.number().int().nonnegative();

const savedSchema = z.strictObject({
  version: z.literal(1),
  leases: z
    .array(
      z.strictObject({
        client: z.string().max(512),
        mac: z.string().refine((text) => parseMac(text) === text),
        ip,
        epoch: counter,
        version: counter,
      }),
    )
    .max(MAX_LEASES),
  peers: z
    .array(
      z.strictObject({
        address: z.string().regex(/^[0-9a-f]{40}$/),
        name: z.string().max(255),
        endpoint: z.strictObject({ ip, port: z.number().int().min(1).max(65_535) }),
      }),
    )
    .max(MAX_PEERS),
});

export type LoadedState =
  | { readonly kind: "fresh" }
  | { readonly kind: "loaded"; readonly state: SavedState }
  /** The damaged file now has this name. */
  | { readonly kind: "damaged"; readonly movedTo: string };

export function stateFile(folder: string): string {
  return join(folder, "state.json");
}

/** @throws Error of the file system other than "no such file" */
export function loadState(folder: string): LoadedState {
  const path = stateFile(folder);
  const bytes = readIfThere(path, MAX_BYTES);
  if (bytes === undefined) return { kind: "fresh" };
  const state = parseState(bytes.toString("utf8"));
  if (state !== undefined) return { kind: "loaded", state };
  const movedTo = `${path}.damaged`;
  renameSync(path, movedTo);
  return { kind: "damaged", movedTo };
}

export function saveState(folder: string, state: SavedState): void {
  writeDurable(stateFile(folder), emitState(state), 0o600);
}

export function emitState(state: SavedState): string {
  const body = JSON.stringify(state);
  return `{"checksum":"${checksum(body)}","state":${body}}\n`;
}

/** The text must be exactly what `emitState` writes and have the right shape. */
export function parseState(text: string): SavedState | undefined {
  const match = /^\{"checksum":"([0-9a-f]{64})","state":(.*)\}\n$/.exec(text);
  const body = match?.[2];
  if (body === undefined || checksum(body) !== match?.[1]) return undefined;
  try {
    const result = savedSchema.safeParse(JSON.parse(body));
    return result.success ? result.data : undefined;
  } catch {
    return undefined;
  }
}

function checksum(body: string): string {
  return createHash("sha256").update(body).digest("hex");
}
