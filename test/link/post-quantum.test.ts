import { describe, expect, it } from "vitest";
import { SeededRng } from "../../src/base/rng.ts";
import type { SessionKeys } from "../../src/crypto/session-keys.ts";
import { REJECT_AFTER_MS, REKEY_AFTER_MS, Rekeying } from "../../src/link/rekeying.ts";
import { emitLinkMessage, parseLinkMessage, type Rekey1 } from "../../src/wire/link-messages.ts";
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
const { kem: _, ...withoutKem } = suite;

function rekeying(session: number, peerMixes = true): Rekeying {
  return new Rekeying({ suite, rng: new SeededRng(session), session, peerMixes });
}

/** Both ends of one session after its handshake at time 0; `a` began it and heard its peer. */
function pair(): [Rekeying, Rekeying] {
  const [a, b] = [rekeying(1), rekeying(2)];
  a.install(0, { keys, initiator: true, receive: 11, send: 22 });
  b.install(0, { keys, initiator: false, receive: 22, send: 11 });
  a.heard(20);
  b.heard(20);
  return [a, b];
}

function begun(side: Rekeying, now: number): Rekey1 {
  const message = side.begin(now);
  if (message === undefined) throw new Error("nothing to rekey");
  return message;
}

/** A whole rekey begun by `a`; the new keys of both. */
function rekeyed(a: Rekeying, b: Rekeying, now: number): [SessionKeys, SessionKeys] {
  const answer = b.answer(now, begun(a, now));
  const finished = answer && a.finish(answer.reply);
  if (answer === undefined || finished === undefined) throw new Error("no new keys");
  b.install(now, answer.pair);
  a.install(now, finished);
  b.confirm(answer.pair.receive);
  return [finished.keys, answer.pair.keys];
}

describe("the first rekey", () => {
  it("is due when the peer was heard, at the handshake's initiator alone", () => {
    const a = rekeying(1);
    a.install(0, { keys, initiator: true, receive: 11, send: 22 });
    expect(a.rekeyAt).toBe(REKEY_AFTER_MS);
    a.heard(30);
    expect(a.rekeyAt).toBe(30);
    const [, b] = pair();
    expect(b.rekeyAt).toBeGreaterThan(REKEY_AFTER_MS);
  });

  it("gives both sides the same keys, with X-Wing's secret in them", () => {
    const [a, b] = pair();
    expect([a.isPostQuantum, b.isPostQuantum]).toEqual([false, false]);
    const [ours, theirs] = rekeyed(a, b, 30);
    expect(ours).toEqual(theirs);
    expect([a.isPostQuantum, b.isPostQuantum]).toEqual([true, true]);
    expect(a.rekeyAt).toBe(30 + REKEY_AFTER_MS);
  });

  it("counts at the answerer only once the peer seals with the new keys", () => {
    const [a, b] = pair();
    const answer = b.answer(30, begun(a, 30));
    if (answer === undefined) throw new Error("no answer");
    b.install(30, answer.pair);
    expect(b.isPostQuantum).toBe(false);
    b.confirm(answer.pair.receive);
    expect(b.isPostQuantum).toBe(true);
  });

  it("needs no repetition: later rekeys are small and keep the secret by the chain", () => {
    const [a, b] = pair();
    const [first] = rekeyed(a, b, 30);
    const message = begun(a, 200_000);
    expect(message.type).toBe("rekey-1");
    const answer = b.answer(200_000, message);
    if (answer === undefined) throw new Error("no answer");
    a.install(200_001, a.finish(answer.reply) ?? answer.pair);
    expect(a.isPostQuantum).toBe(true);
    expect(answer.pair.keys.chain).not.toEqual(first.chain);
  });

  it("is needed again after a whole handshake", () => {
    const [a, b] = pair();
    rekeyed(a, b, 30);
    a.install(5_000, { keys, initiator: true, receive: 33, send: 44 });
    expect(a.isPostQuantum).toBe(false);
    a.heard(5_020);
    expect(begun(a, 5_020).type).toBe("rekey-1-kem");
  });

  it("is not begun with a peer that cannot", () => {
    const old = rekeying(1, false);
    const bare = new Rekeying({
      ...{ suite: withoutKem, rng: new SeededRng(2), session: 2, peerMixes: true },
    });
    for (const side of [old, bare]) {
      side.install(0, { keys, initiator: true, receive: 11, send: 22 });
      side.heard(20);
      expect(side.rekeyAt).toBe(REKEY_AFTER_MS);
      expect(begun(side, 20).type).toBe("rekey-1");
    }
  });

  it("is tried three times, then by each regular rekey, whose retries are plain", () => {
    const [a] = pair();
    const at: number[] = [];
    for (let i = 0; i < 6; i++) {
      at.push(a.rekeyAt);
      at.push(begun(a, a.rekeyAt).type === "rekey-1-kem" ? 1 : 0);
    }
    const regular = [REKEY_AFTER_MS, 1, REKEY_AFTER_MS + 10_000, 0, REKEY_AFTER_MS + 20_000, 0];
    expect(at).toEqual([20, 1, 10_020, 1, 20_020, 1, ...regular]);
    expect([a.isOverdue, a.expiresAt]).toEqual([true, REJECT_AFTER_MS]);
  });

  it("that failed is made up for by a later one, also by the side that began no handshake", () => {
    const [a, b] = pair();
    for (const now of [20, 10_020, 20_020]) begun(a, now);
    expect(begun(a, REKEY_AFTER_MS).type).toBe("rekey-1-kem");
    // It got no answer: the keys are renewed without.
    const plain = rekeyed(a, b, REKEY_AFTER_MS + 10_000);
    expect(plain[0]).toEqual(plain[1]);
    expect([a.isPostQuantum, b.isPostQuantum]).toEqual([false, false]);
    const next = a.rekeyAt;
    expect(begun(b, next).type).toBe("rekey-1-kem");
    const [ours, theirs] = rekeyed(a, b, next);
    expect(ours).toEqual(theirs);
    expect([a.isPostQuantum, b.isPostQuantum]).toEqual([true, true]);
    expect(begun(a, a.rekeyAt).type).toBe("rekey-1");
  });

  it("goes on with one of two that cross, the same on both sides", () => {
    const [a, b] = pair();
    b.install(0, { keys, initiator: true, receive: 22, send: 11 });
    b.heard(20);
    const [fromA, fromB] = [begun(a, 100), begun(b, 100)];
    expect([fromA.type, fromB.type]).toEqual(["rekey-1-kem", "rekey-1-kem"]);
    expect(a.outranks(fromB)).toBe(!b.outranks(fromA));
    const [winner, loser, message] = a.outranks(fromB) ? [a, b, fromA] : [b, a, fromB];
    const answer = loser.answer(105, message);
    if (answer === undefined) throw new Error("no answer");
    loser.install(105, answer.pair);
    expect(winner.finish(answer.reply)?.keys).toEqual(answer.pair.keys);
    expect(loser.rekeyAt).toBeGreaterThan(100_000);
  });
});

describe("what goes wrong in it", () => {
  it("a changed byte of the question or the answer leaves the old keys in use", () => {
    const changedAt = (bytes: Uint8Array, at: number): Uint8Array =>
      bytes.map((byte, i) => (i === at ? byte ^ 1 : byte));
    const [a, b] = pair();
    const question = emitLinkMessage(begun(a, 30));
    const good = b.answer(30, parsedRekey(question, "rekey-1-kem"));
    if (good === undefined) throw new Error("no answer");
    const answer = emitLinkMessage(good.reply);
    let refused = 0;
    // Each third place: every field of both messages, in a second or so.
    for (let at = 1; at < question.length; at += 3) {
      const reply = b.answer(30, parsedRekey(changedAt(question, at), "rekey-1-kem"))?.reply;
      if (reply === undefined || a.finish(reply) === undefined) refused++;
    }
    expect(refused).toBe(Math.ceil((question.length - 1) / 3));
    for (let at = 1; at < answer.length; at++) {
      const reply = parsedRekey(changedAt(answer, at), "rekey-2-kem");
      expect(a.finish(reply), `byte ${at}`).toBeUndefined();
    }
    expect(a.finish(good.reply)?.keys).toEqual(good.pair.keys);
  });

  it("an answer without the part that was asked for is refused", () => {
    const [a, b] = pair();
    const { sender, base, publicKey } = begun(a, 30);
    const plain = b.answer(30, { type: "rekey-1", sender, base, publicKey });
    if (plain === undefined) throw new Error("no answer");
    expect(a.finish(plain.reply)).toBeUndefined();
  });

  it("keys that no side can use get no answer", () => {
    const [a, b] = pair();
    const message = begun(a, 30);
    if (message.type !== "rekey-1-kem") throw new Error("no X-Wing key");
    const bad = { ...message, kemPublic: new Uint8Array(1_216).fill(0xff) };
    expect(b.answer(30, bad)).toBeUndefined();
  });

  it("an earlier try that comes late does not push out the keys of a later one", () => {
    const [a, b] = pair();
    const first = begun(a, 20);
    const second = b.answer(10_050, begun(a, 10_020));
    if (second === undefined) throw new Error("no answer");
    b.install(10_050, second.pair);
    expect(b.answer(10_060, first)).toBeUndefined();
    expect(a.finish(second.reply)?.keys).toEqual(second.pair.keys);
  });

  it("keys that the peer was not heard with are nothing to build on", () => {
    const [a, b] = pair();
    const lost = b.answer(20, begun(a, 20));
    if (lost === undefined) throw new Error("no answer");
    b.install(20, lost.pair);
    const message = begun(b, REKEY_AFTER_MS);
    expect(message.base).toBe(11);
    expect(a.outranks(message) || a.answer(REKEY_AFTER_MS, message) !== undefined).toBe(true);
  });

  it("answers that never arrive do not use up the keys in use", () => {
    const [a, b] = pair();
    for (const now of [20, 10_020, 20_020]) {
      const answer = b.answer(now, begun(a, now));
      if (answer === undefined) throw new Error(`no answer at ${now}`);
      b.install(now, answer.pair);
    }
    const [ours, theirs] = rekeyed(a, b, REKEY_AFTER_MS);
    expect(ours).toEqual(theirs);
  });
});

describe("a link that opens", () => {
  const linked = (options: ConstructorParameters<typeof World>[0], isOld = false) => {
    const world = new World(options);
    const a = world.add("a");
    const b = world.add("b", isOld ? { suite: withoutKem } : {});
    a.connect(b.endpoint);
    const isUp = () => a.linkTo(b)?.path.kind === "direct" && b.linkTo(a)?.path.kind === "direct";
    expect(world.run(10_000, isUp)).toBe(true);
    return { world, a, b };
  };
  const mixed = (a: TestNode, b: TestNode) => [
    a.linkTo(b)?.isPostQuantum,
    b.linkTo(a)?.isPostQuantum,
  ];

  it("is post-quantum three round trips later, and no message is lost meanwhile", () => {
    const { world, a, b } = linked({ latencyMs: 50 });
    for (let i = 0; i < 300; i++) {
      a.say(b, Uint8Array.of(1), 0, false);
      b.say(a, Uint8Array.of(1), 0, false);
      world.run(1);
    }
    expect(mixed(a, b)).toEqual([true, true]);
    world.run(1_000);
    expect([a.of("message").length, b.of("message").length]).toEqual([300, 300]);
    expect([a.engine.counters().dropped, b.engine.counters().dropped]).toEqual([{}, {}]);
  });

  it("gets there through loss, reordering and copies, whoever calls whom", () => {
    for (let seed = 1; seed <= 25; seed++) {
      const { world, a, b } = linked({ seed, jitterMs: 40, loss: 0.2, duplication: 0.2 });
      b.connect(a);
      expect(
        world.run(40_000, () => mixed(a, b).every((is) => is === true)),
        `${seed}`,
      ).toBe(true);
      world.loss = 0;
      a.say(b, Uint8Array.of(1), 1);
      b.say(a, Uint8Array.of(1), 1);
      world.run(2_000);
      for (const node of [a, b]) expect(node.of("sent"), `${seed}`).toMatchObject([{ ok: true }]);
    }
  });

  it("stays mixed over an hour of rekeys", () => {
    const { world, a, b } = linked({});
    for (let minute = 0; minute < 60; minute++) {
      world.run(60_000);
      expect(mixed(a, b)).toEqual([true, true]);
    }
  });

  it("with a member of an older version is as it was", () => {
    const { world, a, b } = linked({}, true);
    const before = world.datagrams;
    world.run(300_000);
    expect(mixed(a, b)).toEqual([false, false]);
    expect([a.links.drops(), b.links.drops()]).toEqual([{}, {}]);
    expect(world.datagrams).toBeGreaterThan(before);
    a.say(b, Uint8Array.of(1), 1);
    world.run(1_000);
    expect(a.of("sent")).toMatchObject([{ ok: true }]);
  });
});

function parsedRekey<T extends "rekey-1-kem" | "rekey-2-kem">(bytes: Uint8Array, type: T) {
  const message = parseLinkMessage(bytes);
  if (!message.ok || message.value.type !== type) throw new Error(`no ${type}`);
  return message.value as Extract<typeof message.value, { type: T }>;
}
