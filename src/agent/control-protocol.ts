/**
 * The control socket's language: one JSON object a line.
 *
 *     -> {"id":1,"method":"ping","params":{"target":"alpha","size":64}}
 *     <- {"id":1,"ok":{"peer":"alpha","rttMs":1.2,"via":"direct 192.0.2.1:7117"}}
 *     <- {"id":1,"error":{"code":"unknown-peer","message":"..."}}
 */
import { z } from "zod";
import { parseIp } from "../base/net.ts";
import { isValidName, MAX_CLAIMS, MAX_GROUPS } from "../crypto/certificate.ts";
import { MAX_NOTICE_BYTES } from "../wire/notice.ts";

/** The longest notice, in base64, with what is around it; a longer line is no request. */
export const MAX_REQUEST_BYTES = 98_304;
const MAX_NOTICE_TEXT = Math.ceil(MAX_NOTICE_BYTES / 3) * 4;
/** A status of 1,024 peers is about 400 KiB. */
export const MAX_ANSWER_BYTES = 16_777_216;
/** Long enough to paste it. */
export const MIN_INVITE_SECONDS = 60;
/** A token that lies about for longer is found by somebody else; `weft sign` has no such limit. */
export const MAX_INVITE_SECONDS = 30 * 86_400;
export const MAX_PING_BYTES = 1_024;

export const requestSchema = z.strictObject({
  id: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER),
  method: z.string().max(64),
  params: z.record(z.string(), z.unknown()).optional(),
});

export type Request = z.infer<typeof requestSchema>;

const memberName = z.string().refine(isValidName);
const nothing = z.strictObject({});

/** Parameters of each method: the one list of methods there are. */
export const METHODS = {
  status: nothing,
  peers: nothing,
  lease: nothing,
  ring: nothing,
  version: nothing,
  metrics: nothing,
  stop: nothing,
  leave: nothing,
  journal: z.strictObject({ limit: z.number().int().min(1).max(1_000).default(100) }),
  ping: z.strictObject({
    target: z.string().min(1).max(255),
    size: z.number().int().min(0).max(MAX_PING_BYTES).default(56),
  }),
  explain: z.strictObject({
    to: z.string().min(1).max(255),
    from: z.string().min(1).max(255).optional(),
  }),
  members: nothing,
  rotate: nothing,
  invite: z.strictObject({
    name: memberName,
    groups: z.array(memberName).max(MAX_GROUPS).default([]),
    claims: z
      .array(z.string().refine((text) => parseIp(text) === text))
      .max(MAX_CLAIMS)
      .default([]),
    seconds: z.number().int().min(MIN_INVITE_SECONDS).max(MAX_INVITE_SECONDS),
  }),
  survey: nothing,
  release: z.strictObject({ target: z.string().min(1).max(510) }),
  resolve: z.strictObject({ ip: z.string().refine((text) => parseIp(text) !== undefined) }),
  notices: nothing,
  "post-notice": z.strictObject({ notice: z.base64url().min(1).max(MAX_NOTICE_TEXT) }),
  "dht-get": z.strictObject({ key: z.string().regex(/^[0-9a-f]{40}$/) }),
} as const;

export type Method = keyof typeof METHODS;
export type Params<M extends Method> = z.output<(typeof METHODS)[M]>;

export function isMethod(text: string): text is Method {
  return Object.hasOwn(METHODS, text);
}

export const responseSchema = z.object({
  id: z.number(),
  ok: z.record(z.string(), z.unknown()).optional(),
  error: z.object({ code: z.string(), message: z.string() }).optional(),
});
