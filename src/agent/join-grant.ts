/**
 * What a token brings besides the cluster file, in a network with an authority: a certificate for a key
 * that the machine has (`weft sign`), or an invite that one machine may turn into one (`weft invite`).
 * Bytes are hex.
 */
import { z } from "zod";
import { isValidName } from "../crypto/certificate.ts";

const hex = (digits: number) => z.string().regex(new RegExp(`^[0-9a-f]{${digits}}$`));

const inviteSchema = z.strictObject({
  kind: z.literal("invite"),
  /** Of the member to be. */
  name: z.string().refine(isValidName),
  number: hex(16),
  secret: hex(64),
  /** The issuer's key and ring address. */
  issuer: hex(64),
  address: hex(40),
  /** Unix seconds */
  ends: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER),
});

const certificateSchema = z.strictObject({
  kind: z.literal("certificate"),
  certificate: z.string().regex(/^([0-9a-f]{2}){1,640}$/),
});

const grantSchema = z.discriminatedUnion("kind", [inviteSchema, certificateSchema]);

export type InviteGrant = z.infer<typeof inviteSchema>;
export type Grant = z.infer<typeof grantSchema>;

/** undefined: it is none, or of a later form. */
export function grantOf(value: unknown): Grant | undefined {
  const checked = grantSchema.safeParse(value);
  return checked.success ? checked.data : undefined;
}
