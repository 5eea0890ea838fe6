import { describe, expect, it } from "vitest";
import { NAT_KINDS } from "./nat-box.ts";
import { introduce, natPair, PAIR_KINDS, type PairKind, runUntil } from "./nat-pair.ts";

/** Every pair of RFC 4787's kinds, after the lab's own table. */
describe("two members behind NATs", () => {
  for (const kindA of PAIR_KINDS) {
    for (const kindB of PAIR_KINDS) {
      const expected = isPunchable(kindA, kindB) ? "direct" : "relay";
      it(`${kindA} x ${kindB}: ${expected}`, () => {
        const pair = natPair(kindA, kindB);
        introduce(pair);
        expect(runUntil(pair, "relay", 1_000)).toBeDefined();
        const { world, a, b } = pair;
        if (expected === "direct") expect(runUntil(pair, "direct", 10_000)).toBeDefined();
        else world.run(30_000);
        expect([a.linkTo(b)?.path.kind, b.linkTo(a)?.path.kind]).toEqual([expected, expected]);
        world.run(5_000);
        const changes = [a, b].map((node) => node.of("path").length);
        world.run(60_000);
        expect([a, b].map((node) => node.of("path").length)).toEqual(changes);
        expect(a.linkTo(b)?.path.kind).toBe(expected);
      });
    }
  }
});

/** Whether the two let each other in when each only knows the port the introducer saw. */
function isPunchable(kindA: PairKind, kindB: PairKind): boolean {
  if (kindA === "public" || kindB === "public") return true;
  const [a, b] = [NAT_KINDS[kindA], NAT_KINDS[kindB]];
  const isHard = (kind: typeof a) => kind.mapping !== "endpoint-independent";
  const isStrict = (kind: typeof a) => kind.filtering === "address-and-port";
  if (isHard(a)) return !isStrict(b);
  if (isHard(b)) return !isStrict(a);
  return true;
}
