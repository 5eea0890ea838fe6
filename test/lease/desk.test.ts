/** In which order a node asks the DHT for its clients. */
import { describe, expect, it } from "vitest";
import { SeededRng } from "../../src/base/rng.ts";
import { identityFromSeed } from "../../src/crypto/identity.ts";
import type { Claim } from "../../src/lease/claim.ts";
import { Desk } from "../../src/lease/desk.ts";
import type { LeasesOutput } from "../../src/lease/leases.ts";
import { networkId } from "../dht/world.ts";

import { suite } from "../support/suite.ts";

const DRAFT = { ip: "10.9.0.7", epoch: 1, version: 1, alone: false, attestations: [] };
const UNDER_WAY = 8;

const claimOf = (i: number): Claim => ({
  client: `01${i.toString(16).padStart(12, "0")}`,
  mac: "02:00:00:00:00:07",
  requested: undefined,
  fixed: undefined,
  isExact: false,
  isOffer: false,
  state: { kind: "waiting" },
});

/** A desk, what it asked in order, and a DHT that answers one question at a time. */
function counter() {
  const asked: { readonly kind: string; readonly request: number }[] = [];
  const take = (out: LeasesOutput) => {
    if (out.kind !== "dht" || !("request" in out.input)) return;
    asked.push({ kind: out.input.kind, request: out.input.request });
  };
  const desk = new Desk({
    suite,
    rng: new SeededRng(1),
    networkId,
    identity: identityFromSeed(suite, new Uint8Array(32).fill(1)),
    self: 7n,
    leaseSeconds: 60,
    output: take,
  });
  let answered = 0;
  const answer = () => desk.takeWaiting(asked[answered++]?.request ?? 0);
  return { desk, asked, answer };
}

describe("the order of questions", () => {
  it("renewals without end leave every fourth question to those who look for an address", () => {
    const { desk, asked, answer } = counter();
    for (let i = 0; i < 100; i++) desk.write(claimOf(i), "put", DRAFT);
    for (let i = 0; i < 3; i++) desk.write(claimOf(200 + i), "create", DRAFT);
    for (let i = 0; i < 12; i++) answer();
    const kinds = asked.slice(UNDER_WAY).map(({ kind }) => kind);
    const rest = ["put", "put", "put"];
    expect(kinds).toEqual(["create", ...rest, "create", ...rest, "create", ...rest]);
  });

  it("what is held comes first while its turn lasts, and loses nothing when nobody looks", () => {
    const { desk, asked, answer } = counter();
    for (let i = 0; i < UNDER_WAY; i++) desk.write(claimOf(i), "create", DRAFT);
    for (let i = 0; i < 5; i++) desk.write(claimOf(100 + i), "create", DRAFT);
    for (let i = 0; i < 3; i++) desk.write(claimOf(200 + i), "put", DRAFT);
    for (let i = 0; i < 8; i++) answer();
    const kinds = asked.slice(UNDER_WAY).map(({ kind }) => kind);
    expect(kinds.slice(0, 3)).toEqual(["put", "put", "put"]);
    expect(kinds.slice(3)).toEqual(Array(5).fill("create"));
  });
});
