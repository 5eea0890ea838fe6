/** Rows of what members say of membership: certificates, questions for them, notices, their files. */
import { parseProtocol, readAcl } from "../../src/agent/acl-setting.ts";
import { parseAuthorityKey } from "../../src/agent/authority-key.ts";
import { parseInvites } from "../../src/agent/invites-file.ts";
import { emitNotices, parseNotices } from "../../src/agent/notice-file.ts";
import { parsePushed } from "../../src/agent/pushed-part.ts";
import { emitSealedText, parseSealedText } from "../../src/agent/sealed-text.ts";
import { emitChain, parseChain } from "../../src/crypto/certificate-chain.ts";
import { emitRevocations, parseRevocations } from "../../src/crypto/revocations.ts";
import { readAclPacket, readQuoted } from "../../src/frame/acl-packet.ts";
import { emitIpv4 } from "../../src/frame/ipv4.ts";
import {
  emitAnswer,
  emitAnswerDatagram,
  emitIssueDatagram,
  emitIssueMessage,
  emitQuestion,
  parseAnswer,
  parseAnswerDatagram,
  parseIssueDatagram,
  parseIssueMessage,
  parseQuestion,
} from "../../src/wire/issue.ts";
import { emitNotice, parseNotice } from "../../src/wire/notice.ts";
import { emitSharedPart, parseSharedPart } from "../../src/wire/shared-part.ts";

type ByteRow = [(input: Uint8Array) => unknown, ...Uint8Array[]];
type TextRow = [name: string, decode: (words: string) => unknown, ...samples: string[]];

const filled = (length: number, byte: number): Uint8Array => new Uint8Array(length).fill(byte);
const joined = (...parts: Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));
const MACS = filled(32, 0);
const UDP = Uint8Array.of(0, 67, 0, 68, 0, 11, 0, 0, 1, 2, 3);
const PACKET = emitIpv4({
  source: "10.9.0.5",
  destination: "10.9.0.6",
  ttl: 64,
  protocol: 17,
  payload: UDP,
});
const NOTICE = emitNotice({
  kind: "revocations",
  number: 7,
  networkId: filled(16, 1),
  body: emitRevocations({ keys: [filled(32, 2)], serials: [3n] }),
  signature: filled(64, 4),
});

/** @param certificate a valid one */
export function memberBytes(certificate: Uint8Array): Record<string, ByteRow> {
  const redeem = { kind: "redeem", invite: 1n, secret: filled(32, 2) } as const;
  const publicKey = filled(32, 3);
  const chain = emitChain(certificate, certificate);
  return {
    "crypto/certificate-chain.ts:parseChain": [
      parseChain,
      certificate,
      ...(chain === undefined ? [] : [chain]),
    ],
    "crypto/revocations.ts:parseRevocations": [
      parseRevocations,
      emitRevocations({ keys: [filled(32, 2), filled(32, 3)], serials: [1n, 9n] }),
    ],
    "frame/acl-packet.ts:readAclPacket": [
      readAclPacket,
      joined(filled(12, 2), Uint8Array.of(8, 0), PACKET),
    ],
    "frame/acl-packet.ts:readQuoted": [readQuoted, PACKET],
    "wire/issue.ts:parseIssueDatagram": [
      parseIssueDatagram,
      joined(emitIssueDatagram({ id: 7, issuer: 5n, sealed: filled(200, 6) }), MACS),
    ],
    "wire/issue.ts:parseAnswerDatagram": [
      parseAnswerDatagram,
      joined(emitAnswerDatagram({ id: 7, sealed: filled(200, 6) }), MACS),
    ],
    "wire/issue.ts:parseIssueMessage": [
      parseIssueMessage,
      emitIssueMessage({ id: 7, sealed: filled(200, 6) }),
    ],
    "wire/issue.ts:parseQuestion": [
      parseQuestion,
      joined(emitQuestion({ ...redeem, publicKey }), filled(64, 5)),
      joined(emitQuestion({ kind: "renew", certificate, publicKey }), filled(128, 5)),
    ],
    "wire/issue.ts:parseAnswer": [
      parseAnswer,
      emitAnswer({ kind: "granted", certificate }),
      emitAnswer({ kind: "refused", reason: "ended", date: 1_800_000_000 }),
    ],
    "wire/notice.ts:parseNotice": [parseNotice, NOTICE],
    "wire/shared-part.ts:parseSharedPart": [
      parseSharedPart,
      emitSharedPart([{ key: "range", digest: filled(8, 9), text: "10.9.0.0/16" }]),
    ],
    "agent/pushed-part.ts:parsePushed": [
      parsePushed,
      new Uint8Array(Buffer.from('{"range":"10.9.0.0/16","lease":"1h"}')),
    ],
  };
}

const INVITE = {
  number: "0".repeat(16),
  name: "beta",
  groups: ["web"],
  claims: ["10.9.0.5"],
  secretHash: "1".repeat(64),
  ends: 1_800_000_000,
};

export const MEMBER_TEXTS: readonly TextRow[] = [
  ["agent/acl-setting.ts:parseProtocol", parseProtocol, "tcp", "icmp", "47"],
  [
    "agent/acl-setting.ts:readAcl",
    (words) => {
      const whole = readAcl(words);
      const asRule = readAcl({ default: "deny", rules: [words] });
      return [whole, asRule].find(({ faults }) => faults.length === 0)?.acl;
    },
    "default deny",
    "allow from clients,amy to servers tcp 80,443,8000-8100",
  ],
  [
    "agent/authority-key.ts:parseAuthorityKey",
    parseAuthorityKey,
    Buffer.from(filled(32, 7)).toString("base64"),
  ],
  [
    "agent/invites-file.ts:parseInvites",
    parseInvites,
    emitSealedText("weft invites 1", [JSON.stringify([INVITE])]),
  ],
  ["agent/notice-file.ts:parseNotices", parseNotices, emitNotices([NOTICE])],
  [
    "agent/sealed-text.ts:parseSealedText",
    (words) => parseSealedText("weft things 1", words),
    emitSealedText("weft things 1", ["one", "two"]),
  ],
];
