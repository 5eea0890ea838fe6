import { describe, expect, it } from "vitest";
import { isSensibleCandidate } from "../../src/link/candidate-filter.ts";
import { ExtraSockets } from "../../src/link/extra-sockets.ts";
import { PeerCandidates } from "../../src/link/peer-candidates.ts";
import { PunchRounds } from "../../src/link/punch-rounds.ts";
import { FIRST_STREAM } from "../../src/link/stream-sockets.ts";
import { introduce, natPair, runUntil } from "./nat-pair.ts";

describe("a candidate", () => {
  it("must be an address where a peer can be", () => {
    const sensible = [
      "192.0.2.1",
      "10.0.0.1",
      "169.254.1.1",
      "100.64.0.1",
      "2001:db8::1",
      "fd00::1",
    ];
    const foolish = ["0.0.0.0", "127.0.0.1", "224.0.0.1", "239.9.9.9", "255.255.255.255"];
    const foolish6 = ["::", "::1", "::ffff:127.0.0.1", "fe80::1", "febf::1", "ff02::1"];
    const isSensible = (ip: string) => isSensibleCandidate({ ip, port: 4_000 });
    expect(sensible.filter(isSensible)).toEqual(sensible);
    expect([...foolish, ...foolish6].filter(isSensible)).toEqual([]);
    expect(isSensibleCandidate({ ip: "192.0.2.1", port: 0 })).toBe(false);
  });

  it("is tried in the order told, and after the others once it was tried", () => {
    const [a, b, c] = [1, 2, 3].map((port) => ({ ip: "192.0.2.1", port })) as never[];
    const candidates = new PeerCandidates();
    expect(candidates.learn([a] as never)).toBe("addresses");
    expect(candidates.learn([a, b] as never)).toBe("ports");
    expect(candidates.learn([b] as never)).toBe("none");
    expect(candidates.all()).toEqual([b]);
    candidates.keep(c as never);
    candidates.learn([b, a] as never);
    expect(candidates.all()).toEqual([b, a, c]);
    candidates.postpone(b as never);
    expect(candidates.all()).toEqual([a, c, b]);
  });
});

describe("rounds", () => {
  function gapsOf(rounds: PunchRounds, count: number): number[] {
    rounds.want(0);
    const at: number[] = [0];
    while (at.length <= count) {
      const next = rounds.deadline();
      expect(rounds.takeRound(next)).toBe(true);
      at.push(next);
    }
    return at.slice(1).map((ms, i) => ms - (at[i] ?? 0));
  }

  it("come quickly at first, then ever more rarely", () => {
    const eager = [1_500, ...new Array(8).fill(2_000)];
    const late = [4_000, 8_000, 16_000, 32_000, 60_000, 60_000];
    expect(gapsOf(new PunchRounds(true), 15)).toEqual([...eager, ...late]);
  });

  it("are left to the caller", () => {
    expect(gapsOf(new PunchRounds(false), 2)).toEqual([6_500, 7_000]);
  });
});

describe("indexes of further sockets", () => {
  it("go round, never to one in use, and end", () => {
    const [low, high] = [FIRST_STREAM - 2, FIRST_STREAM - 1];
    const sockets = new ExtraSockets<number>(FIRST_STREAM - 2);
    expect([sockets.take(1), sockets.take(2), sockets.take(3)]).toEqual([low, high, undefined]);
    expect(sockets.close(low)).toEqual({ op: "socket-close", socket: low });
    expect(sockets.close(low)).toBeUndefined();
    expect([sockets.take(3), sockets.ownerOf(low), sockets.ownedBy(2)]).toEqual([low, 3, [high]]);
  });
});

describe("a round of punching", () => {
  it("begins on both sides within a few milliseconds", () => {
    const pair = natPair("portrestricted", "portrestricted", { guard: false });
    const { world, a, b } = pair;
    const firstOf = new Map<string, number>();
    for (const box of world.boxes) {
      const send = box.send.bind(box);
      box.send = (from, to) => {
        const isFresh = from.port >= 50_000 || to.port >= 50_000;
        const isPeer = world.boxes.some(({ outside }) => outside === to.ip);
        if (isFresh && isPeer && !firstOf.has(box.outside)) firstOf.set(box.outside, world.now);
        return send(from, to);
      };
    }
    introduce(pair);
    expect(runUntil(pair, "direct", 10_000)).toBeDefined();
    const [one = 0, other = 0] = [...firstOf.values()];
    expect(firstOf.size).toBe(2);
    expect(Math.abs(one - other)).toBeLessThanOrEqual(5);
    expect([a.linkTo(b)?.path.kind, b.linkTo(a)?.path.kind]).toEqual(["direct", "direct"]);
  });

  it("leaves no path at the witness", () => {
    const pair = natPair("portrestricted", "symmetric");
    introduce(pair);
    const { world, introducer, a } = pair;
    world.run(120_000);
    const paths = introducer.of("path").filter(({ address }) => address === a.address);
    const ports = paths.flatMap(({ path }) => (path.kind === "direct" ? [path.endpoint.port] : []));
    expect(new Set(ports)).toEqual(new Set([4_000]));
  });
});
