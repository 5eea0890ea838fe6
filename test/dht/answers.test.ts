import { describe, expect, it } from "vitest";
import { type Heard, largestGroup, quorumAttestations, readGroup } from "../../src/dht/answers.ts";
import { type RecordRules, VERSION_RULE } from "../../src/dht/record-rule.ts";

const rules: RecordRules = { lease: VERSION_RULE, mac: VERSION_RULE };

function heard(replica: bigint, view: readonly bigint[], over: Partial<Heard> = {}): Heard {
  return { replica, view, status: "value", shown: [], attestation: undefined, ...over };
}

describe("answers", () => {
  it("of different views are never added up", () => {
    const [three, four] = [
      [1n, 2n, 3n],
      [1n, 2n, 3n, 4n],
    ];
    const group = largestGroup([heard(1n, three), heard(2n, four), heard(3n, four)]);
    expect(group?.view).toEqual(four);
    expect(group?.answers.map((one) => one.replica)).toEqual([2n, 3n]);
    expect(group && readGroup(group, rules, true)).toEqual({ kind: "undecided" });
    const whole = largestGroup([heard(2n, four), heard(3n, four), heard(4n, four)]);
    expect(whole && readGroup(whole, rules, false)).toEqual({ kind: "absent" });
    expect(largestGroup([])).toBeUndefined();
  });

  it("prove the highest renewal count that a quorum signed", () => {
    const view = [1n, 2n, 3n, 4n, 5n];
    const signed = (replica: bigint, renewals: number) => {
      const parts = { replica: new Uint8Array(1), signature: new Uint8Array(64), members: 5 };
      return heard(replica, view, { attestation: { ...parts, renewals } });
    };
    const counts = (...renewals: number[]) => {
      const answers = renewals.map((count, i) => signed(BigInt(i + 1), count));
      return quorumAttestations({ view, answers }).map((one) => one.renewals);
    };
    expect(counts(3, 3, 4)).toEqual([]);
    expect(counts(3, 3, 4, 3, 4)).toEqual([3, 3, 3]);
    expect(counts(4, 4, 4, 4, 4)).toEqual([4, 4, 4]);
  });
});
