import { expect, it } from "vitest";
import { Membership } from "../../src/crypto/membership.ts";
import { FloodOrigins } from "../../src/vnet/flood-origin.ts";
import type { VnetOptions } from "../../src/vnet/vnet-messages.ts";
import { emitFlood, emitFloodBody, floodSignedText, parseFlood } from "../../src/wire/flood.ts";
import { DAY, identityOf, NOW, Papers } from "../crypto/papers.ts";
import { suite } from "../support/suite.ts";

const papers = new Papers();
const issuer = identityOf(1);
const holder = identityOf(2);

function floodOf(certificate: Uint8Array) {
  const signed = emitFloodBody({ run: 1n, sequence: 0, certificate, frame: new Uint8Array(60) });
  const text = floodSignedText(papers.keys.networkId, signed);
  const signature = suite.sign(holder.signing.secretKey, text);
  const bytes = emitFlood({ hops: 5, range: { from: 1n, to: 2n }, signed, signature });
  const flood = parseFlood(bytes);
  if (!flood.ok) throw new Error(flood.reason);
  return flood.value;
}

it("the origin of a flood is known only while its certificate is good", () => {
  const bytes = papers.signed(issuer, { mayIssue: true });
  const flood = floodOf(papers.chain({ identity: issuer, bytes }, holder, { notAfter: NOW + 60 }));
  const membership = new Membership(suite, papers.keys);
  const { networkId } = papers.keys;
  const origins = new FloodOrigins({ suite, networkId, membership } as unknown as VnetOptions);
  origins.setWall(NOW);
  expect(origins.verify(flood).ok).toBe(true);
  expect(origins.known(flood)).toBeDefined();
  origins.setWall(NOW + 61);
  expect(origins.known(flood)).toBeUndefined();
  expect(origins.verify(flood)).toEqual({ ok: false, reason: "bad-certificate" });
  origins.setWall(NOW);
  expect(origins.known(flood)).toBeDefined();
  origins.setWall(NOW - 2 * DAY);
  expect(origins.known(flood)).toBeUndefined();
  expect(origins.verify(flood)).toEqual({ ok: false, reason: "bad-certificate" });
});
