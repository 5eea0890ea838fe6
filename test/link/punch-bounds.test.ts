import { describe, expect, it } from "vitest";
import { SeededRng } from "../../src/base/rng.ts";
import { DropCounters } from "../../src/link/drop-counters.ts";
import { ExtraSockets } from "../../src/link/extra-sockets.ts";
import { Paths } from "../../src/link/paths.ts";
import { PunchRounds } from "../../src/link/punch-rounds.ts";
import { MAX_CALLED, Puncher } from "../../src/link/puncher.ts";
import { introduce, natPair, runUntil } from "./nat-pair.ts";

const LINK = 7;

function drain<O>(machine: { poll(): O | undefined }): O[] {
  const out: O[] = [];
  for (let one = machine.poll(); one !== undefined; one = machine.poll()) out.push(one);
  return out;
}

describe("a pair that cannot be direct", () => {
  it("punches ever more rarely, though each round tells a fresh port", () => {
    const pair = natPair("symmetric", "symmetric");
    introduce(pair);
    const { world, a, b } = pair;
    world.run(120_000);
    const [ofA, ofB] = [a.opened, b.opened];
    world.run(600_000);
    expect(a.linkTo(b)?.path.kind).toBe("relay");
    expect(a.opened - ofA).toBeGreaterThanOrEqual(8);
    expect(a.opened - ofA).toBeLessThanOrEqual(15);
    expect(b.opened - ofB).toBeLessThanOrEqual(15);
    expect(a.sockets.size + b.sockets.size).toBeLessThanOrEqual(2);
  });
});

describe("an engine that opens no more sockets", () => {
  it("has its pairs meet all the same, from the usual port", () => {
    const pair = natPair("portrestricted", "portrestricted", { guard: true });
    pair.a.canOpen = false;
    introduce(pair);
    expect(runUntil(pair, "direct", 10_000)).toBeDefined();
    expect(pair.a.opened).toBe(0);
  });
});

describe("a peer", () => {
  function bench() {
    const sockets = new ExtraSockets<number>(1);
    const links = { rttMs: () => 0 };
    const place = { isBehindNat: true, needsPunching: true };
    const drops = new DropCounters();
    const puncher = new Puncher({ sockets, links, place, hasIpv4: true, drops });
    /** The peer calls; nobody can be asked where the fresh port is. @returns whether we tried */
    const isJoined = (now: number): boolean => {
      puncher.told(now, LINK, true);
      puncher.asked(now, LINK, 0);
      puncher.timeout(now);
      return drain(puncher).some(({ kind }) => kind === "start");
    };
    return { puncher, sockets, drops, isJoined };
  }

  it("is told at once when the fresh socket cannot be had, and is tried from the usual one", () => {
    const { puncher, sockets } = bench();
    puncher.call(0, LINK);
    const [opened] = drain(puncher);
    if (opened?.kind !== "engine" || opened.command.op !== "socket-open") throw new Error("no");
    const { socket } = opened.command;
    puncher.asked(0, LINK, 2);
    sockets.lost(socket);
    // Another link's by now: it must not be closed.
    while (sockets.ownerOf(socket) === undefined) sockets.take(LINK + 1);
    puncher.lost(10, socket);
    expect(drain(puncher)).toEqual([{ kind: "tell", link: LINK, first: [], answer: true }]);
    puncher.told(20, LINK, false);
    expect(drain(puncher)).toEqual([{ kind: "start", link: LINK, socket: undefined }]);
  });

  it("has twenty of its rounds joined in a minute, however many it calls", () => {
    const { puncher, sockets, drops, isJoined } = bench();
    const calls = Array.from({ length: 600 }, (_, i) => i * 100);
    expect(calls.filter((now) => isJoined(now))).toHaveLength(MAX_CALLED);
    expect(drops.snapshot()).toEqual({ "rate-limited": 600 - MAX_CALLED });
    expect(isJoined(60_000)).toBe(true);
    puncher.forget(LINK);
    expect(sockets.size).toBe(0);
  });

  it("that says it moved all the time is tried eagerly once a minute", () => {
    const rounds = new PunchRounds(true);
    let count = 0;
    for (let now = 0; now < 600_000; now += 100) {
      rounds.renew(now);
      rounds.want(now);
      if (rounds.takeRound(now)) count++;
    }
    expect(count).toBeLessThanOrEqual(13 * 10);
  });
});

describe("the socket of a round", () => {
  it("is given back when no candidate is tried from it", () => {
    const paths = new Paths({
      session: LINK,
      rng: new SeededRng(1, 1),
      sockets: [4],
      periodMs: 3_000,
      isCaller: true,
      place: { isBehindNat: true, needsPunching: true },
    });
    paths.learnCandidates(0, [{ ip: "2001:db8::1" as never, port: 4_000 }]);
    paths.startRound(0, 5);
    expect(drain(paths)).toContainEqual({ kind: "socket-unused", socket: 5 });
  });
});
