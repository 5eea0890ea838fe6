import { describe, expect, it } from "vitest";
import { SeededRng } from "../../src/base/rng.ts";
import { NEVER } from "../../src/base/time.ts";
import { Membership } from "../../src/crypto/membership.ts";
import { CertificateWatch } from "../../src/link/certificate-watch.ts";
import { DropCounters } from "../../src/link/drop-counters.ts";
import { HandshakeSelf } from "../../src/link/handshake-self.ts";
import type { PeerInfo } from "../../src/link/link-types.ts";
import { PeerCertificates } from "../../src/link/peer-certificates.ts";
import { replacePeer } from "../../src/link/peer-info.ts";
import { DAY, identityOf, NOW, Papers } from "../crypto/papers.ts";
import { suite } from "../support/suite.ts";

const papers = new Papers();
const [first, second, other] = [identityOf(1), identityOf(2), identityOf(3)];
const issuer = {
  identity: first,
  bytes: papers.signed(first, { mayIssue: true, groups: ["ops", "web"] }),
};

describe("the end of a certificate", () => {
  it("is a moment of the monotonic clock; the wall clock may do what it likes afterwards", () => {
    const watch = new CertificateWatch();
    watch.tellWall(1_000, NOW);
    watch.linked(11_000, 5, "beta", NOW + 70);
    expect(watch.deadline()).toBe(71_000);
    watch.tellWall(20_000, NOW + 15 * 365 * DAY);
    expect(watch.takeEnded(70_999)).toEqual([]);
    expect(watch.takeEnded(71_000)).toEqual([5]);
    expect(watch.deadline()).toBe(NEVER);
  });

  it("goes with the link, and with a certificate that ends later or never", () => {
    const watch = new CertificateWatch();
    watch.tellWall(0, NOW);
    watch.linked(0, 5, "beta", NOW + 10);
    watch.linked(0, 5, "beta", NOW + 20);
    expect(watch.deadline()).toBe(20_000);
    watch.linked(0, 5, "beta", 0);
    expect(watch.deadline()).toBe(NEVER);
    watch.linked(0, 6, "gamma", NOW + 10);
    watch.forget(6);
    expect(watch.deadline()).toBe(NEVER);
  });

  it("a refused peer is told of for five minutes, sixteen of them at most", () => {
    const watch = new CertificateWatch();
    watch.tellWall(0, NOW);
    for (let i = 0; i < 20; i++) watch.refused(i, { name: `n${i}`, kind: "ended", date: NOW - 1 });
    const names = watch.refusals(100).map(({ name }) => name);
    expect(names).toEqual(Array.from({ length: 16 }, (_, i) => `n${i + 4}`));
    watch.linked(200, 5, "n19", 0);
    expect(watch.refusals(200)).toHaveLength(15);
    expect(watch.refusals(301_000)).toEqual([]);
  });
});

describe("a certificate in place of the one of the handshake", () => {
  const self = new HandshakeSelf(
    {
      ...{ suite, rng: new SeededRng(1), membership: new Membership(suite, papers.keys) },
      ...{ keys: papers.keys, identity: first, certificate: issuer.bytes, address: 1n },
      ...{ boot: 1n, digest: new Uint8Array(32), hasAes: false },
    },
    { whereabouts: () => ({ endpoints: [], relays: [] }) },
  );
  self.wallSeconds = NOW;
  const facts = self.judgeRenewed(papers.chain(issuer, second, { serial: 4n }), peerOf());

  function peerOf() {
    const certificate = papers.chain(issuer, second);
    const member = new Membership(suite, papers.keys).verify(certificate, NOW);
    if (!member.ok) throw new Error(member.reason);
    return { publicKey: second.signing.publicKey, address: member.value.address, certificate };
  }

  function peerInfoOf(): PeerInfo {
    if (!facts.ok) throw new Error(facts.reason);
    return {
      ...{ link: 1, ...facts.value, boot: 1n, minorVersion: 0, capabilities: 0 },
      ...{ digest: new Uint8Array(32), candidates: [], initiatedHere: true },
    };
  }

  it("tells groups, serial, issuers and end of the peer", () => {
    expect(facts).toMatchObject({
      ok: true,
      value: { name: "beta", groups: [], serial: 4n, certificateEnd: NOW + 30 * DAY },
    });
    expect(facts.ok && facts.value.issuers).toEqual([first.signing.publicKey]);
  });

  it("must be for the same key and place, valid and in date", () => {
    const refused = [
      papers.chain(issuer, other),
      papers.chain(issuer, second, { salt: new Uint8Array(16).fill(9) }),
      papers.chain(issuer, second, { groups: ["root"] }),
      papers.chain(issuer, second, { notAfter: NOW - 1 }),
    ];
    for (const bytes of refused) {
      expect(self.judgeRenewed(bytes, peerOf())).toEqual({ ok: false, reason: "bad-certificate" });
    }
  });

  it("is no older one, with what it granted", () => {
    const older = papers.chain(issuer, second, { notBefore: NOW - 2 * DAY, groups: ["web"] });
    expect(self.judgeRenewed(older, peerOf())).toEqual({ ok: false, reason: "replayed" });
  });

  it("is looked at once in ten seconds, for each link", () => {
    const drops = new DropCounters();
    const certificates = new PeerCertificates(self, new CertificateWatch(), drops);
    const linkOf = (id: number) => ({ id, peer: { ...peerInfoOf(), link: id } });
    const [link, another] = [linkOf(1), linkOf(2)];
    const show = (now: number, to: typeof link, group: string) =>
      certificates.renewed(now, to, papers.chain(issuer, second, { groups: [group] }));
    expect(show(0, link, "web")).toBe(true);
    for (let i = 0; i < 100; i++) expect(show(9_999, link, "ops")).toBe(false);
    expect(drops.snapshot()).toEqual({ "rate-limited": 100 });
    expect(show(9_999, another, "ops")).toBe(true);
    expect(show(10_000, link, "ops")).toBe(true);
    expect(link.peer.groups).toEqual(["ops"]);
  });

  it("is news for the layers above when name or groups changed", () => {
    if (!facts.ok) throw new Error(facts.reason);
    const link = { peer: peerInfoOf() };
    expect(replacePeer(link, { ...facts.value, serial: 5n })).toBe(false);
    expect(link.peer.serial).toBe(5n);
    expect(replacePeer(link, { ...facts.value, groups: ["web"] })).toBe(true);
    expect(link.peer.groups).toEqual(["web"]);
  });
});
