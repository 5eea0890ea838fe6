/** What an issuer grants and refuses, and whose questions keep whose from being heard. */
import { describe, expect, it } from "vitest";
import { SeededRng } from "../../src/base/rng.ts";
import { parseChain } from "../../src/crypto/certificate-chain.ts";
import { dhKeyPairOf, type Identity } from "../../src/crypto/identity.ts";
import { openAnswer, sealQuestion } from "../../src/crypto/issue-seal.ts";
import { appendMacs } from "../../src/crypto/mac.ts";
import { Membership } from "../../src/crypto/membership.ts";
import { OwnCertificate } from "../../src/crypto/own-certificate.ts";
import type { NodeOutput } from "../../src/node/config.ts";
import { Issuer, type IssuerOutput } from "../../src/node/issuer.ts";
import { Issuing, type IssuingOutput } from "../../src/node/issuing.ts";
import { drainIssuing } from "../../src/node/issuing-ties.ts";
import type { Parts } from "../../src/node/parts.ts";
import { ISSUE_QUESTION_RATE, LinkGate } from "../../src/ring/link-gate.ts";
import {
  emitIssueDatagram,
  emitIssueMessage,
  type IssueAnswer,
  type IssueQuestion,
  parseAnswer,
} from "../../src/wire/issue.ts";
import { PAYLOAD_TYPES } from "../../src/wire/message-type.ts";
import { DAY, identityOf, NOW, Papers } from "../crypto/papers.ts";
import { suite } from "../support/suite.ts";

const papers = new Papers();
/** As many and as long as a certificate's own rules allow. */
const LONG_GROUPS = Array.from({ length: 8 }, (_, i) => `${"g".repeat(20)}${i}`);
const own = identityOf(1);
const certificate = papers.signed(own, { mayIssue: true, name: "n0", groups: LONG_GROUPS });
const asker = identityOf(2);

function options() {
  const membership = new Membership(suite, papers.keys);
  const adopted = membership.adoptOwn(own, certificate);
  if (!adopted.ok) throw new Error(adopted.reason);
  return {
    suite,
    rng: new SeededRng(1),
    keys: papers.keys,
    identity: own,
    membership,
    own: new OwnCertificate(membership, own, adopted.value),
    invites: [],
  };
}

/** @param holder whose certificate is renewed */
function sealed(question: IssueQuestion, holder?: Identity) {
  const ephemeral = dhKeyPairOf(suite, new Uint8Array(32).fill(9));
  const to = { issuer: own.signing.publicKey, ephemeral };
  const made = sealQuestion(suite, papers.keys, to, { question, asker: { next: asker, holder } });
  if (made === undefined) throw new Error("the issuer has a key");
  return made;
}

function renewing(bytes: Uint8Array) {
  const { publicKey } = asker.signing;
  return sealed({ kind: "renew", certificate: bytes, publicKey }, asker);
}

class Desk {
  readonly issuer = new Issuer<string>(options());

  ask(wallSeconds: number, question: ReturnType<typeof sealed>): IssueAnswer | undefined {
    expect(this.issuer.ask(wallSeconds, "way", question.sealed)).toBeUndefined();
    const answers = this.#outputs().filter((out) => out.kind === "answer");
    const body = answers[0] && openAnswer(suite, question.answerKey, answers[0].sealed);
    const answer = body && parseAnswer(body);
    return answer?.ok === true ? answer.value : undefined;
  }

  invite(groups: readonly string[]): IssuerOutput<string> | undefined {
    this.issuer.invite(NOW, 1, { name: "guest", groups, claims: [], seconds: DAY });
    return this.#outputs().find((out) => out.kind === "invited" || out.kind === "not-invited");
  }

  /** Every file is written at once. */
  #outputs(): IssuerOutput<string>[] {
    const all: IssuerOutput<string>[] = [];
    for (let out = this.issuer.poll(); out !== undefined; out = this.issuer.poll()) {
      all.push(out);
      if (out.kind === "keep") this.issuer.kept(out.keeping, true);
    }
    return all;
  }
}

describe("an issuer", () => {
  it("renews what a member signed, and not what the authority did", () => {
    const desk = new Desk();
    const ofMember = papers.chain({ identity: own, bytes: certificate }, asker, { name: "n1" });
    expect(desk.ask(NOW, renewing(ofMember))?.kind).toBe("granted");
    const ofAuthority = papers.signed(asker, { name: "n1" });
    expect(desk.ask(NOW, renewing(ofAuthority))).toMatchObject({ reason: "too-much" });
  });

  it("makes no invite that would be too long for a certificate", () => {
    const desk = new Desk();
    expect(desk.invite(LONG_GROUPS)).toMatchObject({ kind: "not-invited", why: /too long/ });
    expect(desk.invite(LONG_GROUPS.slice(0, 2))).toMatchObject({ kind: "invited" });
  });

  it("answers the same machine again until what it got has ended, then says so", () => {
    const desk = new Desk();
    const made = desk.invite([]);
    if (made?.kind !== "invited") throw new Error("there is an invite");
    const { invite, secret } = made.invited;
    const { publicKey } = asker.signing;
    const number = BigInt(`0x${invite.number}`);
    const question = sealed({ kind: "redeem", invite: number, secret, publicKey });
    const first = desk.ask(NOW, question);
    if (first?.kind !== "granted") throw new Error("the invite is good");
    const chain = parseChain(first.certificate);
    // Known to who holds the invite, before it is used: by it the machine is shut out.
    expect(chain.ok && chain.value.leaf.certificate.serial).toBe(number);
    expect(desk.ask(NOW + 29 * DAY, question)).toEqual(first);
    const late = desk.ask(NOW + 31 * DAY, question);
    expect(late).toMatchObject({ kind: "refused", reason: "ended", date: NOW + 30 * DAY });
  });
});

describe("questions for certificates", () => {
  const self = 7n;
  const garbage = new Uint8Array(100).fill(1);
  const datagramTo = (issuer: bigint) => {
    const bytes = emitIssueDatagram({ id: 1, issuer, sealed: garbage });
    const whole = appendMacs(suite, papers.keys.mac1Key, bytes);
    return { socket: 0, from: { ip: "198.51.100.9", port: 9_000 }, bytes: whole };
  };

  function outputsOf(issuing: Issuing): IssuingOutput[] {
    const all: IssuingOutput[] = [];
    for (let out = issuing.poll(); out !== undefined; out = issuing.poll()) all.push(out);
    return all;
  }

  it("of strangers without end leave room for those of members", () => {
    const issuing = new Issuing({ ...options(), self });
    for (let i = 0; i < 1_000; i++) issuing.datagram(0, NOW, datagramTo(self));
    expect(issuing.drops()["rate-limited"]).toBe(900);
    expect(issuing.drops()["bad-tag"]).toBe(100);
    const ofMember = papers.chain({ identity: own, bytes: certificate }, asker, { name: "n1" });
    const payload = emitIssueMessage({ id: 5, sealed: renewing(ofMember).sealed });
    const payloadType = PAYLOAD_TYPES["issue-question"];
    issuing.routed(0, NOW, { source: 8n, payloadType, payload });
    expect(outputsOf(issuing)).toMatchObject([{ kind: "route", to: 8n }]);
  });

  it("are passed on for strangers at a rate that starves no other issuer", () => {
    const issuing = new Issuing({ ...options(), self });
    for (let i = 0; i < 90; i++) issuing.datagram(0, NOW, datagramTo(99n));
    expect(outputsOf(issuing).length).toBe(20);
    expect(issuing.drops()["rate-limited"]).toBe(70);
    for (let i = 0; i < 90; i++) issuing.datagram(1_000, NOW, datagramTo(99n));
    expect(outputsOf(issuing).length).toBe(5);
  });

  it("of a member pass its link to the issuer, however many strangers it is asked to carry", () => {
    const member = new Issuing({ ...options(), self });
    const gateOfIssuer = new LinkGate(ISSUE_QUESTION_RATE);
    let carried = 0;
    for (let now = 0; now < 120_000; now += 20) {
      member.datagram(now, NOW, datagramTo(99n));
      for (const _ of outputsOf(member)) if (gateOfIssuer.admit(now, 1)) carried++;
      if (now % 1_020 === 0) expect(gateOfIssuer.admit(now, 1)).toBe(true);
    }
    expect(carried).toBeGreaterThan(500);
  });
});

describe("another key for this node", () => {
  const linked = { publicKey: own.signing.publicKey, address: 9n };

  it("is not asked of members where the authority signed the certificate itself", () => {
    const membership = new Membership(suite, papers.keys);
    const adopted = membership.adoptOwn(asker, papers.signed(asker, { name: "n1" }));
    if (!adopted.ok) throw new Error(adopted.reason);
    const worn = new OwnCertificate(membership, asker, adopted.value);
    const issuing = new Issuing({ ...options(), identity: asker, own: worn, self: 7n });
    issuing.rotate(0, 1, { seed: new Uint8Array(32).fill(3), issuers: [linked] });
    expect(issuing.poll()).toMatchObject({
      kind: "reply",
      reply: { kind: "failed", detail: expect.stringMatching(/only the authority .* weft sign/) },
    });
    expect(issuing.poll()).toBeUndefined();
  });
});

describe("a renewed certificate of this node", () => {
  it("is told to the links and to who lets members in", () => {
    const told: unknown[] = [];
    const part = (name: string) => ({
      handle: (_now: number, { kind }: { readonly kind: string }) => told.push([name, kind]),
    });
    const says = [{ kind: "certificate", bytes: certificate }];
    const issuing = { poll: () => says.shift() };
    const parts = { issuing, links: part("links"), vnet: part("vnet") } as unknown as Parts;
    const outputs: NodeOutput[] = [];
    drainIssuing(0, parts, (output) => outputs.push(output));
    expect(told).toEqual([
      ["links", "certificate"],
      ["vnet", "certificate"],
    ]);
    expect(outputs).toEqual([{ kind: "certificate", bytes: certificate }]);
  });
});
