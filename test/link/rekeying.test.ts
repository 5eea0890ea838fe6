import { describe, expect, it } from "vitest";
import { SeededRng } from "../../src/base/rng.ts";
import type { SessionKeys } from "../../src/crypto/session-keys.ts";
import {
  REJECT_AFTER_MS,
  REKEY_AFTER_MS,
  REKEY_GRACE_MS,
  Rekeying,
} from "../../src/link/rekeying.ts";
import { suite } from "../support/suite.ts";
import { type TestNode, World } from "./world.ts";

const direction = (fill: number) => ({
  key: new Uint8Array(32).fill(fill),
  salt: new Uint8Array(4).fill(fill),
});
const keys: SessionKeys = {
  fromInitiator: direction(1),
  fromResponder: direction(2),
  chain: new Uint8Array(32).fill(3),
};

/** Both ends of one session after its handshake at time 0. */
function pair(): [Rekeying, Rekeying] {
  const [a, b] = [1, 2].map(
    (seed) => new Rekeying({ suite, rng: new SeededRng(seed), session: seed, peerMixes: false }),
  ) as [Rekeying, Rekeying];
  a.install(0, { keys, initiator: true, receive: 11, send: 22 });
  b.install(0, { keys, initiator: false, receive: 22, send: 11 });
  return [a, b];
}

function begun(side: Rekeying, now: number) {
  const message = side.begin(now);
  if (message === undefined) throw new Error("nothing to rekey");
  return message;
}

describe("rekeying", () => {
  it("is the initiator's after 120 s, the other's 10 s later", () => {
    const [a, b] = pair();
    expect([a.rekeyAt, b.rekeyAt]).toEqual([REKEY_AFTER_MS, REKEY_AFTER_MS + REKEY_GRACE_MS]);
    expect([a.expiresAt, b.expiresAt]).toEqual([REJECT_AFTER_MS, REJECT_AFTER_MS]);
  });

  it("gives both sides the same new keys, crosswise", () => {
    const [a, b] = pair();
    const answer = b.answer(105, begun(a, 100));
    const finished = answer && a.finish(answer.reply);
    if (answer === undefined || finished === undefined) throw new Error("no new keys");
    expect(finished.keys).toEqual(answer.pair.keys);
    expect([finished.receive, finished.send]).toEqual([answer.pair.send, answer.pair.receive]);
    const [ours, theirs] = [a.install(110, finished), b.install(105, answer.pair)];
    expect(ours).toMatchObject({ use: "now", session: 1 });
    expect(theirs).toMatchObject({ use: "confirmed", session: 2 });
    if (ours.op !== "keys" || theirs.op !== "keys") throw new Error("no keys");
    expect(ours.sealing).toEqual(theirs.opening);
    expect(ours.opening).toEqual(theirs.sealing);
    expect(ours.sealing).not.toEqual(ours.opening);
  });

  it("goes on with one of two that cross, the same on both sides", () => {
    const [a, b] = pair();
    const [fromA, fromB] = [begun(a, 100), begun(b, 100)];
    expect(a.outranks(fromB)).toBe(!b.outranks(fromA));
    const [winner, loser] = a.outranks(fromB) ? [a, b] : [b, a];
    const answer = loser.answer(105, winner === a ? fromA : fromB);
    if (answer === undefined) throw new Error("no answer");
    expect(winner.finish(answer.reply)?.keys).toEqual(answer.pair.keys);
    // what the loser began is given up
    loser.install(105, answer.pair);
    expect(loser.outranks(winner === a ? fromA : fromB)).toBe(false);
  });

  it("loses nothing when two cross, nor at the next one", () => {
    const world = new World({ latencyMs: 50 });
    const [a, b] = [world.add("a"), world.add("b")];
    a.connect(b.endpoint);
    world.run(5_000);
    const beginAt = (node: TestNode, peer: TestNode): void => {
      const session = node.linkTo(peer)?.peer.link ?? 0;
      node.input({ kind: "upcall", upcall: { kind: "rekey-due", session } });
    };
    for (let i = 0; i < 400; i++) {
      if (i === 100) for (const node of [a, b]) beginAt(node, node === a ? b : a);
      if (i === 300) beginAt(a, b);
      a.say(b, Uint8Array.of(1), 0, false);
      b.say(a, Uint8Array.of(1), 0, false);
      world.run(4);
    }
    world.run(1_000);
    expect([a.of("message").length, b.of("message").length]).toEqual([400, 400]);
    expect([a.engine.counters().dropped, b.engine.counters().dropped]).toEqual([{}, {}]);
  });

  it("does not let keys age anew that the peer never used", () => {
    const [a, b] = pair();
    const answer = b.answer(120_000, begun(a, 120_000));
    if (answer === undefined) throw new Error("no answer");
    b.install(120_000, answer.pair);
    expect(b.expiresAt).toBe(REJECT_AFTER_MS);
    b.confirm(answer.pair.receive);
    expect(b.expiresAt).toBe(120_000 + REJECT_AFTER_MS);
  });

  it("refuses an unknown base, a repeated answer and a key of low order", () => {
    const [a, b] = pair();
    const message = begun(a, 100);
    expect(b.answer(105, { ...message, base: 99 })).toBeUndefined();
    expect(b.answer(105, { ...message, publicKey: new Uint8Array(32) })).toBeUndefined();
    const answer = b.answer(105, message);
    const finished = answer && a.finish(answer.reply);
    if (answer === undefined || finished === undefined) throw new Error("no new keys");
    a.install(110, finished);
    expect(a.finish(answer.reply)).toBeUndefined();
  });
});
