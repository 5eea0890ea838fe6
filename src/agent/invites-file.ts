/**
 * Invites that this node made: which are open, and who used the others. That one is used must outlive any
 * crash; of a damaged file nothing is believed, so that its invites are void rather than open again.
 *
 *     weft invites 1
 *     <JSON list>
 *     <checksum, sealed-text.ts>
 */
import { renameSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { parseIp } from "../base/net.ts";
import { type Invite, MAX_INVITES } from "../node/invites.ts";
import { writeDurable } from "./durable-file.ts";
import { emitSealedText, parseSealedText, readStateFile } from "./sealed-text.ts";

const TITLE = "weft invites 1";
/** 256 invites of about 2 KB: names, groups, and the certificate that each gave. */
const MAX_BYTES = 1_048_576;
const hex = (digits: number) => z.string().regex(new RegExp(`^[0-9a-f]{${digits}}$`));
const name = z.string().regex(/^[a-z0-9-]{1,63}$/);

const invitesSchema = z
  .array(
    z.strictObject({
      number: hex(16),
      name,
      groups: z.array(name).max(8),
      claims: z.array(z.string().refine((text) => parseIp(text) === text)).max(8),
      secretHash: hex(64),
      ends: z.number().int().nonnegative(),
      used: z
        .strictObject({
          publicKey: hex(64),
          certificate: z.string().regex(/^([0-9a-f]{2}){1,640}$/),
        })
        .optional(),
    }),
  )
  .max(MAX_INVITES);

export function invitesFile(folder: string): string {
  return join(folder, "invites");
}

/** @throws Error of the file system */
export function saveInvites(folder: string, invites: readonly Invite[]): void {
  writeDurable(invitesFile(folder), emitSealedText(TITLE, [JSON.stringify(invites)]), 0o600);
}

export interface LoadedInvites {
  readonly invites: readonly Invite[];
  /** The name that a damaged file has now. */
  readonly movedTo: string | undefined;
}

/** @throws WeftError state-unwritable */
export function loadInvites(folder: string): LoadedInvites {
  const path = invitesFile(folder);
  const bytes = readStateFile(path, MAX_BYTES);
  if (bytes === undefined) return { invites: [], movedTo: undefined };
  const invites = parseInvites(bytes.toString("utf8"));
  if (invites !== undefined) return { invites, movedTo: undefined };
  const movedTo = `${path}.damaged`;
  renameSync(path, movedTo);
  return { invites: [], movedTo };
}

export function parseInvites(text: string): readonly Invite[] | undefined {
  const [line, ...more] = parseSealedText(TITLE, text) ?? [];
  if (line === undefined || more.length > 0) return undefined;
  try {
    const result = invitesSchema.safeParse(JSON.parse(line));
    return result.success ? (result.data as readonly Invite[]) : undefined;
  } catch {
    return undefined;
  }
}
