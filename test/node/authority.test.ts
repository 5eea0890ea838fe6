/** An authority's network in virtual time: who gets in, who stays in, and what clocks do to them. */
import { describe, expect, it } from "vitest";
import { Cluster, type ClusterOptions } from "../../sim/cluster.ts";
import type { Host } from "../../sim/host.ts";
import type { WeftError } from "../../src/agent/errors.ts";
import type { InviteGrant } from "../../src/agent/join-grant.ts";
import { redeemInvite } from "../../src/agent/redeem-invite.ts";
import { fromHex, toHex } from "../../src/base/bytes.ts";
import type { Endpoint } from "../../src/base/net.ts";
import type { CertificateFacts } from "../../src/crypto/certificate.ts";
import { parseChain } from "../../src/crypto/certificate-chain.ts";
import { Membership } from "../../src/crypto/membership.ts";
import type { NodeReply } from "../../src/node/command.ts";
import { DAY, identityOf, NOW, Papers } from "../crypto/papers.ts";
import { suite } from "../support/suite.ts";

const NETWORK_KEY = new Uint8Array(32).fill(7);
const papers = new Papers(NETWORK_KEY);
const ISSUING = { mayIssue: true, groups: ["ops", "web"], name: "n0" };
const issuer = { identity: identityOf(1), bytes: papers.signed(identityOf(1), ISSUING) };

/** Host i has the identity i + 1; the first one may issue, the others were signed in by it. */
function network(
  size: number,
  more: Partial<ClusterOptions> & { facts?: Partial<CertificateFacts> } = {},
): Cluster {
  const { facts, ...options } = more;
  const cluster = new Cluster({
    seed: 9,
    size,
    suite,
    config: { networkKey: NETWORK_KEY, authority: papers.authority.publicKey },
    ...options,
    configOf: (i) => ({
      identitySeed: new Uint8Array(32).fill(i + 1),
      certificate:
        i === 0
          ? issuer.bytes
          : papers.chain(issuer, identityOf(i + 1), { ...facts, name: `n${i}` }),
      ...options.configOf?.(i),
    }),
  });
  for (const host of cluster.hosts) host.start();
  return cluster;
}

function peersOf(host: Host): string[] {
  return (host.status()?.peers ?? []).map(({ name }) => name).sort();
}

function replyTo(cluster: Cluster, host: Host, id: number): NodeReply | undefined {
  cluster.world.runUntilHolds(() => host.reply(id) !== undefined, 20_000);
  return host.reply(id);
}

function inviteOf(cluster: Cluster, host: Host, seconds = DAY): InviteGrant {
  const wish = { name: "guest", groups: ["web"], claims: [], seconds };
  const reply = replyTo(cluster, host, host.command({ name: "invite", wish }));
  if (reply?.kind !== "invited") throw new Error(JSON.stringify(reply));
  return { kind: "invite", ...reply.invited };
}

/** A machine without a link, at an address of its own, asks the member `via`. */
function redeem(
  cluster: Cluster,
  invite: InviteGrant,
  asked: { readonly machine: number; readonly via: Host; readonly wallSeconds?: number },
): Promise<Uint8Array> {
  const { machine, via, wallSeconds = NOW } = asked;
  const own: Endpoint = { ip: `198.51.100.${machine}`, port: 9_000 };
  const seed = new Uint8Array(32).fill(0x40 + machine);
  const config = { name: "sim", networkKey: NETWORK_KEY, authority: papers.authority.publicKey };
  const facts = { suite, config, seed, invite, to: [via.endpoint], wallSeconds };
  return redeemInvite(facts, async ({ to, bytes, read }) => {
    let answer: ReturnType<typeof read>;
    cluster.network.attach(own, (_, datagram) => {
      expect(datagram.length).toBeLessThanOrEqual(bytes.length);
      answer ??= read(datagram);
    });
    for (const endpoint of to) cluster.network.send(own, endpoint, bytes);
    cluster.world.runUntilHolds(() => answer !== undefined, 5_000);
    cluster.network.detach(own);
    return answer;
  });
}

async function codeOf(step: Promise<unknown>): Promise<string> {
  return step.then(
    () => "ok",
    (error: WeftError) => error.code,
  );
}

describe("who gets in", () => {
  it("whom the authority signed, or a member that it lets issue; nobody by the key alone", () => {
    const other = new Papers(NETWORK_KEY);
    const stranger = suite.signingKeyPair(new Uint8Array(32).fill(0xb0));
    const forged = Object.assign(other, { authority: stranger });
    const cluster = network(4, {
      configOf: (i) =>
        i < 3 ? {} : { authority: stranger.publicKey, certificate: forged.signed(identityOf(4)) },
    });
    cluster.world.runUntil(15_000);
    expect(peersOf(cluster.host(0))).toEqual(["n1", "n2"]);
    expect(peersOf(cluster.host(3))).toEqual([]);
    expect(cluster.host(3).node?.drops()["bad-certificate"]).toBeGreaterThan(0);
    expect(cluster.host(1).status()).toMatchObject({
      security: "authority",
      certificate: { issuer: "n0", mayIssue: false, ends: NOW + 30 * DAY },
    });
    expect(cluster.host(1).ip).toBeDefined();
  });

  it("an invite makes one machine a member, asked by way of any member, and no other", async () => {
    const cluster = network(3);
    cluster.world.runUntil(10_000);
    const invite = inviteOf(cluster, cluster.host(0));
    const via = cluster.host(2);
    const got = await redeem(cluster, invite, { machine: 1, via });
    const member = new Membership(suite, papers.keys).verify(got, NOW);
    expect(member).toMatchObject({
      ok: true,
      value: { certificate: { name: "guest", groups: ["web"], mayIssue: false } },
    });
    expect(await codeOf(redeem(cluster, invite, { machine: 2, via }))).toBe("invite-refused");
    const again = await redeem(cluster, invite, { machine: 1, via: cluster.host(1) });
    expect(again).toEqual(got);
    // The stranger never had a link.
    expect(peersOf(via)).toEqual(["n0", "n1"]);
  });

  it("used stays used when the issuer loses its memory", async () => {
    const cluster = network(2);
    cluster.world.runUntil(10_000);
    const [host] = [cluster.host(0)];
    const invite = inviteOf(cluster, host);
    const got = await redeem(cluster, invite, { machine: 1, via: host });
    host.crash();
    host.start();
    cluster.world.runUntil(cluster.world.now + 5_000);
    expect(await codeOf(redeem(cluster, invite, { machine: 2, via: host }))).toBe("invite-refused");
    expect(await redeem(cluster, invite, { machine: 1, via: host })).toEqual(got);
  });

  it("what cannot be written down is not granted, and the invite stays open", async () => {
    const cluster = network(2);
    cluster.world.runUntil(10_000);
    const host = cluster.host(0);
    const invite = inviteOf(cluster, host);
    host.isDiskFull = true;
    expect(await codeOf(redeem(cluster, invite, { machine: 1, via: host }))).toBe("invite-refused");
    const wish = { name: "guest", groups: [], claims: [], seconds: DAY };
    expect(replyTo(cluster, host, host.command({ name: "invite", wish }))?.kind).toBe("failed");
    host.isDiskFull = false;
    expect(await codeOf(redeem(cluster, invite, { machine: 2, via: host }))).toBe("ok");
  });

  it("an ended, a made-up and an unanswered invite have a reason each", async () => {
    const cluster = network(2);
    cluster.world.runUntil(10_000);
    const [host, via] = [cluster.host(0), cluster.host(1)];
    const invite = inviteOf(cluster, host, 60);
    const wallSeconds = NOW + 200;
    expect(await codeOf(redeem(cluster, invite, { machine: 1, via, wallSeconds }))).toBe(
      "invite-ended",
    );
    cluster.world.runUntil(cluster.world.now + 70_000);
    expect(await codeOf(redeem(cluster, invite, { machine: 1, via }))).toBe("invite-ended");
    const guessed = { ...inviteOf(cluster, host), secret: "00".repeat(32) };
    expect(await codeOf(redeem(cluster, guessed, { machine: 1, via }))).toBe("invite-refused");
    const elsewhere = { ...invite, ends: NOW + DAY, address: "11".repeat(20) };
    expect(await codeOf(redeem(cluster, elsewhere, { machine: 1, via }))).toBe("no-issuer");
  });

  it("a member that may not issue makes no invite, and an issuer none beyond its own groups", () => {
    const cluster = network(2);
    cluster.world.runUntil(10_000);
    const ask = (i: number, groups: string[]) => {
      const host = cluster.host(i);
      const wish = { name: "guest", groups, claims: [], seconds: DAY };
      return replyTo(cluster, host, host.command({ name: "invite", wish }));
    };
    expect(ask(1, [])).toMatchObject({ kind: "failed", detail: /may not issue/ });
    expect(ask(0, ["root"])).toMatchObject({ kind: "failed", detail: /no group root/ });
  });
});

describe("certificates that end", () => {
  /** Past the middle of its life, two minutes before its end. */
  const ENDING = { notBefore: NOW - 20 * DAY, notAfter: NOW + 120 };

  it("renew themselves, keep the place on the ring, and the links go on", () => {
    const cluster = network(3, { facts: ENDING });
    cluster.world.runUntil(15_000);
    const before = cluster.host(1).status()?.address;
    cluster.world.runUntil(300_000);
    expect(peersOf(cluster.host(0))).toEqual(["n1", "n2"]);
    expect(peersOf(cluster.host(2))).toEqual(["n0", "n1"]);
    const after = cluster.host(1).status();
    expect(after?.address).toBe(before);
    expect(after?.certificate?.ends).toBeGreaterThan(NOW + 29 * DAY);
    const names = cluster.host(0).events.map(({ event }) => event.what);
    expect(names).not.toContain("link-closed");
    expect(cluster.host(1).events.map(({ event }) => event.what)).toContain("certificate-renewed");
    expect(after?.health.join()).not.toContain("certificate");
  });

  it("without an issuer they warn, and at their end every link is closed", () => {
    const cluster = network(3, { facts: ENDING });
    cluster.world.runUntil(15_000);
    cluster.host(0).crash();
    cluster.world.runUntil(100_000);
    expect(peersOf(cluster.host(1))).toContain("n2");
    expect(cluster.host(1).status()?.health.join()).toMatch(
      /certificate ends on 2027-01-15 08:02 UTC and could not be renewed \(no issuer answered\)/,
    );
    cluster.world.runUntil(125_000);
    expect(peersOf(cluster.host(1))).toEqual([]);
    const closed = cluster
      .host(1)
      .events.find(
        ({ event }) =>
          event.what === "link-closed" && event.condition.includes("certificate ended"),
      );
    expect(closed).toBeDefined();
    cluster.world.runUntil(200_000);
    expect(peersOf(cluster.host(1))).toEqual([]);
    expect(cluster.host(1).status()?.health.join()).toMatch(/certificate of n2 ended/);
  });

  it("another key for the same member is signed by old and new, and takes its name", () => {
    const cluster = network(2);
    cluster.world.runUntil(10_000);
    const seed = new Uint8Array(32).fill(0x77);
    const id = cluster.host(1).command({ name: "rotate", seed });
    const reply = replyTo(cluster, cluster.host(1), id);
    const bytes = reply?.kind === "certificate" ? fromHex(reply.certificate) : undefined;
    const chain = parseChain(bytes ?? new Uint8Array(0));
    const leaf = chain.ok ? chain.value.leaf.certificate : undefined;
    expect(leaf?.name).toBe("n1");
    expect(toHex(leaf?.publicKey ?? new Uint8Array(0))).toBe(
      toHex(identityOf(0x77).signing.publicKey),
    );
    expect(new Membership(suite, papers.keys).verify(bytes ?? new Uint8Array(0), NOW).ok).toBe(
      true,
    );
    const again = cluster.host(1).command({ name: "rotate", seed: new Uint8Array(32).fill(0x78) });
    const refused = replyTo(cluster, cluster.host(1), again);
    expect(refused?.kind === "failed" && refused.detail).toMatch(/one a day .* weft sign/);
  });
});

describe.each([
  ["15 years ahead", 15 * 365 * DAY, /certificate of n1 ended .*check the clock here \(2042-/],
  [
    "two days back",
    -2 * DAY,
    /certificate of n1 starts in the future .*check the clock here \(2027-01-13/,
  ],
])("a clock that jumps, %s", (_, jump, line) => {
  it("drops no link, breaks no lookup; newcomers are refused by name until it is right again", () => {
    const cluster = network(3);
    cluster.world.runUntil(20_000);
    const [host, peer, last] = [cluster.host(0), cluster.host(1), cluster.host(2)];
    host.input({ kind: "wall", wallSeconds: NOW + 20 + jump });
    cluster.world.runUntil(320_000);
    expect(peersOf(host)).toEqual(["n1", "n2"]);
    expect(host.events.map(({ event }) => event.what)).not.toContain("link-closed");
    const found = replyTo(cluster, host, host.command({ name: "resolve", ip: last.ip ?? "" }));
    expect(found?.kind).toBe("lease");
    peer.crash();
    cluster.world.runUntil(380_000);
    peer.start();
    cluster.world.runUntil(400_000);
    expect(peersOf(host)).toEqual(["n2"]);
    expect(host.status()?.health.join("\n")).toMatch(line);
    host.input({ kind: "wall", wallSeconds: NOW + 400 });
    expect(cluster.world.runUntilHolds(() => peersOf(host).includes("n1"), 120_000)).toBe(true);
    expect(host.status()?.health.join("\n")).not.toContain("certificate of n1");
  });
});

it("an address that the certificate claims is the node's, and the pool's leases give way", () => {
  const claim = "10.99.0.77";
  const claiming = papers.signed(identityOf(2), { name: "n1", claims: [claim] });
  const cluster = network(3, { configOf: (i) => (i === 1 ? { certificate: claiming } : {}) });
  cluster.world.runUntil(20_000);
  expect(cluster.host(1).ip).toBe(claim);
});
