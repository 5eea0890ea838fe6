import { describe, expect, it } from "vitest";
import { NAT_KINDS } from "../../lab/nat-kind.ts";
import { SOME_PAIRS } from "../../lab/nat-pairs.ts";
import { type PlaceKind, pairText } from "../../lab/nat-place.ts";
import { Gate, runPair } from "../../lab/nat-run.ts";
import { expectedPath } from "../../lab/nat-theory.ts";
import { faultsOf, runText } from "../../lab/nat-verdict.ts";
import { describeWhere } from "../support/requires.ts";
import { figure, kernelNeeds } from "./cluster.ts";

/** Labs at once, and how many of them may be starting agents: more would wait for the processor. */
const LABS = new Gate(5);
const STARTS = new Gate(1);

describe("theory of NAT pairs", () => {
  /** Measured with plain sockets by hand, and the same in every text about NATs. */
  it("is the known table for the four classic kinds", () => {
    const kinds = ["fullcone", "restricted", "portrestricted", "symmetric"] as const;
    const relayed = kinds.flatMap((a) =>
      kinds.filter((b) => expectedPath({ a, b }).path === "relay").map((b) => `${a} x ${b}`),
    );
    expect(relayed).toEqual([
      "portrestricted x symmetric",
      "symmetric x portrestricted",
      "symmetric x symmetric",
    ]);
  });

  it("is the same from both ends", () => {
    const kinds: readonly PlaceKind[] = [...NAT_KINDS, "public", "ipv6_only", "cgn"];
    for (const a of kinds) {
      for (const b of kinds)
        expect(expectedPath({ a, b })).toMatchObject({ path: expectedPath({ a: b, b: a }).path });
    }
  });
});

const TITLE = "pairs behind NATs: an answer at once, and the path that theory says";

describeWhere(TITLE, kernelNeeds("conntrack", "bridge"), () => {
  it.concurrent.for(SOME_PAIRS.map((pair) => [pairText(pair), pair] as const))(
    "%s",
    { timeout: 240_000 },
    async ([name, pair]) => {
      const verdict = expectedPath(pair);
      const run = await LABS.pass(() => runPair(pair, {}, STARTS));
      figure(`${name}: ${runText(run)}`);
      const claim = `${name} should be ${verdict.path}: ${runText(run)}`;
      expect(faultsOf(run, verdict), claim).toEqual([]);
    },
  );
});
