import { describe, expect, it } from "vitest";
import { concat, toHex, utf8 } from "../../src/base/bytes.ts";
import { dhKeyPairOf } from "../../src/crypto/identity.ts";
import { NoiseHandshake, type NoiseOptions, noiseNonce } from "../../src/crypto/noise.ts";
import { suite } from "../support/suite.ts";
import { hex, loadVectors } from "../support/vectors.ts";

const NONE = new Uint8Array(0);

interface NoiseVector {
  protocol_name: string;
  init_prologue: string;
  init_psks?: string[];
  init_static: string;
  init_ephemeral: string;
  resp_prologue: string;
  resp_psks?: string[];
  resp_static: string;
  resp_ephemeral: string;
  handshake_hash: string;
  messages: { payload: string; ciphertext: string }[];
}

const vectors = loadVectors<{ vectors: NoiseVector[] }>("noise-cacophony-25519.json");
const NAMES = ["Noise_XX_25519_ChaChaPoly_BLAKE2b", "Noise_XXpsk3_25519_ChaChaPoly_BLAKE2b"];

function side(initiator: boolean, options: Partial<NoiseOptions> = {}): NoiseHandshake {
  const fill = initiator ? 1 : 2;
  return new NoiseHandshake({
    suite,
    initiator,
    prologue: utf8("prologue"),
    psk: new Uint8Array(32).fill(9),
    static: dhKeyPairOf(suite, new Uint8Array(32).fill(fill)),
    ephemeralSecret: new Uint8Array(32).fill(fill + 0x10),
    ...options,
  });
}

/** The sides after `steps` messages, and those messages. */
function run(steps: number, plain = false) {
  const options = plain ? { psk: undefined as never } : {};
  const sides = [side(true, options), side(false, options)] as const;
  const messages: Uint8Array[] = [];
  for (let i = 0; i < steps; i++) {
    const [writer, reader] = i % 2 === 0 ? sides : [sides[1], sides[0]];
    const message = writer.write(utf8(`payload ${i}`));
    messages.push(message);
    expect(reader.read(message)).toEqual(utf8(`payload ${i}`));
  }
  return { initiator: sides[0], responder: sides[1], messages };
}

function handshakeOf(vector: NoiseVector, initiator: boolean): NoiseHandshake {
  const psk = (initiator ? vector.init_psks : vector.resp_psks)?.[0];
  return new NoiseHandshake({
    suite,
    initiator,
    prologue: hex(initiator ? vector.init_prologue : vector.resp_prologue),
    ...(psk === undefined ? {} : { psk: hex(psk) }),
    static: dhKeyPairOf(suite, hex(initiator ? vector.init_static : vector.resp_static)),
    ephemeralSecret: hex(initiator ? vector.init_ephemeral : vector.resp_ephemeral),
  });
}

function checkVector(vector: NoiseVector): number {
  const sides = [handshakeOf(vector, true), handshakeOf(vector, false)] as const;
  vector.messages.forEach(({ payload, ciphertext }, i) => {
    const [writer, reader] = i % 2 === 0 ? sides : [sides[1], sides[0]];
    if (i < 3) {
      expect(toHex(writer.write(hex(payload)))).toBe(ciphertext);
      expect(reader.read(hex(ciphertext))).toEqual(hex(payload));
      return;
    }
    const nonce = noiseNonce(Math.floor((i - 3) / 2));
    const [sending, receiving] = [writer.split().send, reader.split().receive];
    expect(toHex(suite.seal(sending, nonce, NONE, hex(payload)))).toBe(ciphertext);
    expect(suite.open(receiving, nonce, NONE, hex(ciphertext))).toEqual(hex(payload));
  });
  for (const one of sides) expect(toHex(one.split().hash)).toBe(vector.handshake_hash);
  return vector.messages.length;
}

describe("published vectors", () => {
  it.skipIf(vectors === undefined)("XX and XXpsk3, handshake and transport", () => {
    let messages = 0;
    const chosen = vectors?.vectors.filter((v) => NAMES.includes(v.protocol_name)) ?? [];
    expect(chosen.map((v) => v.protocol_name).sort()).toEqual(NAMES);
    for (const vector of chosen) messages += checkVector(vector);
    console.log(`Noise vectors: ${chosen.length} handshakes, ${messages} messages`);
  });
});

describe("own golden bytes", () => {
  it("XXpsk3 with fixed keys", () => {
    const { initiator, messages } = run(3);
    const golden = [
      hex(`
        7b 4e 90 9b be 7f fe 44 c4 65 a2 20 03 7d 60 8e e3 58 97 d3 1e f9 72 f0 7f 74 89
        2c b0 f7 3f 13 52 0f e1 68 f5 3d 7b da 08 11 1f 36 42 0e 5c 58 02 e9 c1 e8 ee fd
        b2 10 8d
      `),
      hex(`
        05 2a 50 77 3a c8 d9 17 73 f2 dc 96 62 e1 2f 0d ef e9 15 e4 15 b8 a1 c8 e2 0a 5a
        3d 6a b2 b8 43 7f 98 ba b0 c2 32 ca a5 82 84 85 98 29 c8 dc 3a 6b 07 1b b4 96 19
        24 22 30 24 e5 b6 55 70 89 ce 4d c3 71 59 62 c4 84 75 69 7b b7 06 4c d5 6e 20 9f
        c8 c9 f5 b3 31 b9 3f 88 2e aa 92 2c 75 07 36 36 ee e0 8d 76 85 a6 53 e2
      `),
      hex(`
        79 e2 2c d4 43 76 11 16 3a 08 76 38 63 b2 f4 8c 5e 83 95 1b 27 ed 7a a8 80 48 ce
        d0 ce dd dc 14 23 e2 af f9 e6 39 73 fe 3f 41 69 f1 f1 fe e5 11 a7 36 68 91 cb 06
        a3 ac 95 25 da e0 e0 18 2e ca 7a 03 34 9d 16 46 42 22 b7
      `),
    ];
    expect(messages).toEqual(golden);
    expect(initiator.split().hash).toEqual(
      hex(`
      8b 6d e0 35 92 fa 7e 6b 95 4f 7d 81 c5 5d d3 6a e2 1c 91 b5 9b 8d a3 38 28 bd 44
      56 73 8d ce 68 1a 13 f6 0a 6b 8c 3a a5 44 ff 9d b0 64 e5 70 24 f2 33 c3 f6 79 52
      f1 3b 26 2f 2e 59 e7 6e 2c fe
    `),
    );
  });

  it("message 1 with an empty payload has 48 bytes", () => {
    expect(side(true).write(NONE).length).toBe(48);
  });
});

describe("a whole handshake", () => {
  for (const plain of [false, true]) {
    it(`both sides agree (${plain ? "XX" : "XXpsk3"})`, () => {
      const { initiator, responder } = run(3, plain);
      const [a, b] = [initiator.split(), responder.split()];
      expect(initiator.done && responder.done).toBe(true);
      expect(a.send).toEqual(b.receive);
      expect(a.receive).toEqual(b.send);
      expect(a.send).not.toEqual(a.receive);
      expect(a.hash).toEqual(b.hash);
      expect(initiator.remoteStatic).toEqual(
        dhKeyPairOf(suite, new Uint8Array(32).fill(2)).publicKey,
      );
      expect(responder.remoteStatic).toEqual(
        dhKeyPairOf(suite, new Uint8Array(32).fill(1)).publicKey,
      );
    });
  }

  it("every changed byte of every message fails, and the true one still passes", () => {
    for (let step = 0; step < 3; step++) {
      const { initiator, responder } = run(step);
      const [writer, reader] = step % 2 === 0 ? [initiator, responder] : [responder, initiator];
      const message = writer.write(utf8("hello"));
      for (let at = 0; at < message.length; at++) {
        const forged = message.slice();
        forged[at] = (forged[at] ?? 0) ^ (1 << (at % 8));
        expect(reader.read(forged), `message ${step + 1}, byte ${at}`).toBeUndefined();
      }
      expect(reader.read(message)).toEqual(utf8("hello"));
    }
  });

  it("every other length fails, and the true message still passes", () => {
    for (let step = 0; step < 3; step++) {
      const { initiator, responder } = run(step);
      const [writer, reader] = step % 2 === 0 ? [initiator, responder] : [responder, initiator];
      const message = writer.write(utf8("hello"));
      for (let length = 0; length < message.length; length++) {
        expect(reader.read(message.subarray(0, length))).toBeUndefined();
      }
      expect(reader.read(concat(message, Uint8Array.of(0)))).toBeUndefined();
      expect(reader.read(message)).toEqual(utf8("hello"));
    }
  });

  it("another prologue fails at message 1", () => {
    const message = side(true, { prologue: utf8("other") }).write(NONE);
    expect(side(false).read(message)).toBeUndefined();
  });

  it("another psk fails at message 3, which proves it", () => {
    const [initiator, responder] = [side(true, { psk: new Uint8Array(32) }), side(false)];
    expect(responder.read(initiator.write(NONE))).toBeDefined();
    expect(initiator.read(responder.write(NONE))).toBeDefined();
    expect(responder.read(initiator.write(NONE))).toBeUndefined();
    expect(responder.done).toBe(false);
  });

  it("an ephemeral key of low order is refused when read", () => {
    const zero = side(true).write(NONE);
    zero.fill(0, 0, 32);
    expect(side(false).read(zero)).toBeUndefined();
    const plain = side(false, { psk: undefined as never });
    expect(plain.read(new Uint8Array(32))).toBeUndefined();
    expect(plain.read(Uint8Array.of(1, ...new Uint8Array(31)))).toBeUndefined();
  });

  it("reads out of turn and replays change nothing", () => {
    const { initiator, responder, messages } = run(2);
    const [first = NONE, second = NONE] = messages;
    expect(responder.read(first)).toBeUndefined();
    expect(initiator.read(second)).toBeUndefined();
    expect(responder.read(initiator.write(NONE))).toEqual(NONE);
    expect(responder.read(first)).toBeUndefined();
    expect(side(true).read(side(true).write(NONE))).toBeUndefined();
    expect(() => initiator.write(NONE)).toThrow("out of turn");
    expect(() => side(true).split()).toThrow("unfinished");
  });
});
