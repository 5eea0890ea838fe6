/** Turns an invite into a certificate for this machine's key, by asking the member that made it. */
import { randomBytes } from "node:crypto";
import { fromHex } from "../base/bytes.ts";
import type { Endpoint } from "../base/net.ts";
import { addressFromBytes } from "../base/ring-address.ts";
import { type ClusterKeys, deriveClusterKeys } from "../crypto/cluster-keys.ts";
import { dhKeyPairOf, identityFromSeed } from "../crypto/identity.ts";
import { openAnswer, sealQuestion } from "../crypto/issue-seal.ts";
import { appendMacs, checkMac1 } from "../crypto/mac.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import { dateText } from "../node/date-text.ts";
import {
  emitIssueDatagram,
  type IssueAnswer,
  parseAnswer,
  parseAnswerDatagram,
  type Refusal,
} from "../wire/issue.ts";
import { wearable } from "./certificate-file.ts";
import type { Config } from "./config.ts";
import { type ErrorCode, WeftError } from "./errors.ts";
import type { InviteGrant } from "./join-grant.ts";

/** Enough for a member that routes to the issuer while the ring repairs itself. */
const WITHIN_MS = 15_000;
const AGAIN = "ask for another one (weft invite)";

export interface Redemption {
  readonly suite: CryptoSuite;
  readonly config: Pick<Config, "name" | "networkKey" | "authority">;
  readonly seed: Uint8Array;
  readonly invite: InviteGrant;
  /** Members to ask. */
  readonly to: readonly Endpoint[];
  readonly wallSeconds: number;
}

/** Sends the datagram until one that `read` accepts comes back; undefined: none did in time. */
export type AskMembers = (question: {
  readonly to: readonly Endpoint[];
  readonly bytes: Uint8Array;
  readonly withinMs: number;
  readonly read: (bytes: Uint8Array) => IssueAnswer | undefined;
}) => Promise<IssueAnswer | undefined>;

/**
 * The certificate, checked. The same machine may ask again and gets the same.
 *
 * @throws WeftError invite-ended | invite-refused | no-issuer | token-invalid
 */
export async function redeemInvite(asked: Redemption, ask: AskMembers): Promise<Uint8Array> {
  refuseEnded(asked);
  const keys = deriveClusterKeys(asked.suite, asked.config.networkKey, asked.config.authority);
  const { bytes, answerKey } = questionFor(asked, keys);
  const read = (datagram: Uint8Array): IssueAnswer | undefined =>
    answerIn(asked.suite, keys, answerKey, datagram);
  const answer = await ask({ to: asked.to, bytes, withinMs: WITHIN_MS, read });
  if (answer === undefined) throw nobodyAnswered(asked);
  if (answer.kind === "refused") throw refusal(asked, answer.reason, answer.date);
  const own = wearable(asked.suite, asked.config, asked.seed, answer.certificate);
  if (own !== undefined) return own.bytes;
  throw new WeftError(
    "token-invalid",
    `the certificate that came back is not signed by the authority in the token: the token was changed on its way, ${AGAIN}`,
  );
}

/** Its own clock may be the wrong one, so the line names it. */
function refuseEnded({ invite, wallSeconds }: Redemption): void {
  if (wallSeconds <= invite.ends) return;
  throw new WeftError(
    "invite-ended",
    `the invite ended on ${dateText(invite.ends)} (the clock here says ${dateText(wallSeconds)}): ${AGAIN}`,
  );
}

function questionFor(asked: Redemption, keys: ClusterKeys) {
  const { suite, invite, seed } = asked;
  const ephemeral = dhKeyPairOf(suite, new Uint8Array(randomBytes(32)));
  const next = identityFromSeed(suite, seed);
  const sealed = sealQuestion(
    suite,
    keys,
    { issuer: bytesOf(invite.issuer), ephemeral },
    {
      question: {
        kind: "redeem",
        invite: BigInt(`0x${invite.number}`),
        secret: bytesOf(invite.secret),
        publicKey: next.signing.publicKey,
      },
      asker: { next, holder: undefined },
    },
  );
  if (sealed === undefined) {
    throw new WeftError("token-invalid", `the token names an issuer without a key: ${AGAIN}`);
  }
  const id = randomBytes(4).readUInt32LE();
  const issuer = addressFromBytes(bytesOf(invite.address));
  const body = emitIssueDatagram({ id, issuer, sealed: sealed.sealed });
  return { bytes: appendMacs(suite, keys.mac1Key, body), answerKey: sealed.answerKey };
}

function answerIn(
  suite: CryptoSuite,
  keys: ClusterKeys,
  answerKey: Uint8Array,
  datagram: Uint8Array,
): IssueAnswer | undefined {
  if (!checkMac1(suite, keys.mac1Key, datagram)) return undefined;
  const message = parseAnswerDatagram(datagram);
  const body = message.ok ? openAnswer(suite, answerKey, message.value.sealed) : undefined;
  const answer = body && parseAnswer(body);
  return answer?.ok === true ? answer.value : undefined;
}

function nobodyAnswered({ to, config }: Redemption): WeftError {
  const asked = to.length === 1 ? "the member" : `all ${to.length} places`;
  return new WeftError(
    "no-issuer",
    `nobody of ${config.name} answered (${asked} in the token asked by UDP): see that the member that made the invite is up and can be reached`,
  );
}

function refusal({ invite }: Redemption, reason: Refusal, date: number): WeftError {
  const [code, text] = REFUSALS[reason];
  const when = date === 0 ? "" : ` on ${dateText(date)}`;
  return new WeftError(code, text.replace("NAME", invite.name).replace("WHEN", when));
}

const REFUSALS: Readonly<Record<Refusal, readonly [ErrorCode, string]>> = {
  used: ["invite-refused", `the invite for NAME was used already, by another machine: ${AGAIN}`],
  ended: ["invite-ended", `the invite for NAME endedWHEN: ${AGAIN}`],
  unknown: [
    "invite-refused",
    `the member that the token names made no such invite, or forgot it: ${AGAIN}`,
  ],
  "may-not-issue": [
    "invite-refused",
    "the member that made the invite may not issue now (its certificate ended?): see weft status there",
  ],
  "not-saved": [
    "invite-refused",
    "the member that made the invite cannot write to its disk, so the invite is still open: see weft status there, then try again",
  ],
  "bad-question": ["invite-refused", `the invite was not understood: ${AGAIN}`],
  "not-valid": ["invite-refused", `the invite was not understood: ${AGAIN}`],
  "too-much": [
    "invite-refused",
    "the member that made the invite may no longer grant what it promised: see weft members there",
  ],
};

function bytesOf(text: string): Uint8Array {
  return fromHex(text) ?? new Uint8Array(0);
}
