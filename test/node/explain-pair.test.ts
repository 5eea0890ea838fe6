import { describe, expect, it } from "vitest";
import { type Endpoint, endpointText } from "../../src/base/net.ts";
import { below, SeededRng } from "../../src/base/rng.ts";
import { canBeDirect, explainPair, type PairEnd } from "../../src/node/explain-pair.ts";
import { KINDS, type NatKind, NatModel } from "../stun/nat-model.ts";

const KNOWN = Object.entries(KINDS);
const SERVER: Endpoint = { ip: "203.0.113.10", port: 3478 };

function end(name: string, kind: NatKind): PairEnd {
  return { name, udp: "works", ...kind };
}

/** What two ends that punch as long as they like achieve: each sends where it knows the other. */
function punches(a: NatKind, b: NatKind, seed: number): boolean {
  const rng = new SeededRng(seed);
  const draw = (limit: number) => below(rng, limit);
  const nats = [new NatModel("198.51.100.1", a, draw), new NatModel("198.51.100.2", b, draw)];
  const inside: Endpoint = { ip: "192.168.1.2", port: 7117 };
  const knownAt = nats.map((nat) => [nat.send(inside, SERVER)]);
  for (let round = 0; round < 4; round++) {
    for (const [i, nat] of nats.entries()) {
      const other = nats[1 - i] as NatModel;
      for (const to of [...(knownAt[1 - i] ?? [])]) {
        const from = nat.send(inside, to);
        if (other.receive(from, to.port) === undefined) continue;
        // It arrived: the other side answers where it came from, and learns that endpoint.
        const back = other.send(inside, from);
        if (nat.receive(back, from.port) !== undefined) return true;
        if (!knownAt[i]?.some((known) => endpointText(known) === endpointText(from)))
          knownAt[i]?.push(from);
      }
    }
  }
  return false;
}

describe("which pairs can be direct", () => {
  for (const [nameA, a] of KNOWN) {
    it(`${nameA} with every other kind, as the reference model punches`, () => {
      for (const [nameB, b] of KNOWN) {
        for (let seed = 1; seed <= 5; seed++) {
          expect(canBeDirect(end("a", a), end("b", b)), nameB).toBe(punches(a, b, seed));
        }
      }
    });
  }

  it("nobody can tell while one of the NATs is not known", () => {
    const unknown = { ...end("a", KINDS["symmetric"] as NatKind), mapping: "unknown" } as const;
    expect(canBeDirect(unknown, end("b", KINDS["fullcone"] as NatKind))).toBeUndefined();
  });
});

describe("one reason and one cure", () => {
  it("names the mode of traversal that may reach what a round cannot", () => {
    const { cure } = explainPair(named("symmetric"), named("portrestricted"), false);
    expect(cure).toContain("traversal: aggressive");
  });

  const named = (kind: string) => end(kind, KINDS[kind] as NatKind);

  it.each([
    ["symmetric", "symmetric", "both-symmetric"],
    ["address_dependent", "symmetric_sequential", "both-symmetric"],
    ["symmetric", "portrestricted", "symmetric-and-restricted"],
    ["portrestricted", "symmetric", "symmetric-and-restricted"],
    ["portrestricted", "portrestricted", "should-be-direct"],
    ["restricted", "symmetric", "should-be-direct"],
  ])("%s and %s: %s", (one, other, verdict) => {
    const told = explainPair(named(one), named(other), false);
    expect(told.verdict).toBe(verdict);
    expect(told.cure).not.toBe("");
    expect(explainPair(named(one), named(other), true)).toMatchObject({
      verdict: "direct",
      cure: "",
    });
  });

  it("names the end that has to act", () => {
    const told = explainPair(named("portrestricted"), named("symmetric"), false);
    expect(told.reason).toContain("the NAT of symmetric uses another port");
    expect(told.reason).toContain("that of portrestricted lets in only");
  });

  it("blocked UDP comes before all NATs", () => {
    const blocked = { ...named("symmetric"), name: "office", udp: "blocked" } as const;
    expect(explainPair(named("symmetric"), blocked, false)).toMatchObject({
      verdict: "udp-blocked",
      reason: "UDP does not come back to office",
    });
  });

  it("an unknown NAT is said to be unknown", () => {
    const unknown = { ...named("fullcone"), name: "x", mapping: "unknown" } as const;
    expect(explainPair(unknown, named("symmetric"), false).verdict).toBe("nat-unknown");
  });
});
