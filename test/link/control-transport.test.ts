import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { below, SeededRng, unit } from "../../src/base/rng.ts";
import {
  ControlTransport,
  MAX_IN_FLIGHT,
  MAX_QUEUED,
  type TransportOutput,
} from "../../src/link/control-transport.ts";
import { Reassembly } from "../../src/link/reassembly.ts";
import { RttEstimate } from "../../src/link/rtt.ts";
import { emitControl } from "../../src/wire/control.ts";

/** Two transports joined by a lossy channel of virtual time; a slow, obvious scheduler. */
class Pipe {
  now = 0;
  readonly ends: ControlTransport[];
  readonly outputs: TransportOutput[][] = [[], []];
  readonly #rng: SeededRng;
  #flying: { at: number; to: number; bytes: Uint8Array }[] = [];
  loss = 0;
  duplication = 0;
  jitterMs = 0;
  latencyMs = 10;

  constructor(seed: number) {
    this.#rng = new SeededRng(seed, 3);
    this.ends = [0, 1].map(() => new ControlTransport(this.#rng, new RttEstimate()));
    for (const end of this.ends) end.setOpen(0, true);
  }

  send(from: number, length: number, token: number): void {
    const bytes = new Uint8Array(length);
    new DataView(bytes.buffer).setUint32(0, token);
    this.ends[from]?.send(this.now, { bytes, reliable: true, owner: "ring", token });
    this.drain();
  }

  run(untilMs: number): void {
    for (;;) {
      const times = [...this.ends.map((end) => end.deadline()), ...this.#flying.map((f) => f.at)];
      const next = Math.min(...times);
      if (next > untilMs) break;
      this.now = Math.max(this.now, next);
      for (const end of this.ends) end.timeout(this.now);
      const due = this.#flying.filter(({ at }) => at <= this.now);
      this.#flying = this.#flying.filter(({ at }) => at > this.now);
      for (const { to, bytes } of due) this.ends[to]?.receive(this.now, bytes);
      this.drain();
    }
    this.now = untilMs;
  }

  drain(): void {
    for (const [from, end] of this.ends.entries()) {
      for (let out = end.poll(); out !== undefined; out = end.poll()) {
        this.outputs[from]?.push(out);
        if (out.kind === "emit") this.#fly(1 - from, out.bytes);
      }
    }
  }

  #fly(to: number, bytes: Uint8Array): void {
    if (unit(this.#rng) < this.loss) return;
    const copies = unit(this.#rng) < this.duplication ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      const jitter = this.jitterMs > 0 ? below(this.#rng, this.jitterMs) : 0;
      this.#flying.push({ at: this.now + this.latencyMs + jitter, to, bytes });
    }
  }

  /** Tokens of the messages that arrived at `end`. */
  arrived(end: number): number[] {
    return (this.outputs[end] ?? []).flatMap((out) =>
      out.kind === "message" ? [new DataView(out.bytes.buffer).getUint32(0)] : [],
    );
  }

  outcomes(end: number): Map<number, boolean> {
    const sent = (this.outputs[end] ?? []).flatMap((out) => (out.kind === "sent" ? [out] : []));
    const map = new Map(sent.map(({ token, ok }) => [token, ok]));
    expect(map.size).toBe(sent.length);
    return map;
  }
}

describe("the control transport", () => {
  it("delivers each message at most once and tells the truth about it, through loss", () => {
    fc.assert(
      fc.property(
        fc.record({
          seed: fc.nat(),
          loss: fc.double({ min: 0, max: 0.6, noNaN: true }),
          duplication: fc.double({ min: 0, max: 0.5, noNaN: true }),
          jitterMs: fc.nat(300),
          sizes: fc.array(fc.integer({ min: 4, max: 9_000 }), { minLength: 1, maxLength: 40 }),
        }),
        ({ seed, loss, duplication, jitterMs, sizes }) => {
          const pipe = new Pipe(seed);
          Object.assign(pipe, { loss, duplication, jitterMs });
          for (const [i, size] of sizes.entries()) pipe.send(i % 2, size, i + 1);
          pipe.run(600_000);
          for (const [i] of sizes.entries()) {
            const from = i % 2;
            const count = pipe.arrived(1 - from).filter((token) => token === i + 1).length;
            const ok = pipe.outcomes(from).get(i + 1);
            expect(count).toBeLessThanOrEqual(1);
            expect(ok).toBeDefined();
            if (ok) expect(count).toBe(1);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it("loses nothing at 10 % loss", () => {
    const pipe = new Pipe(9);
    pipe.loss = 0.1;
    for (let token = 1; token <= 200; token++) {
      pipe.send(0, 500, token);
      pipe.run(pipe.now + 20);
    }
    pipe.run(60_000);
    expect([...pipe.outcomes(0).values()].filter((ok) => !ok).length).toBeLessThanOrEqual(1);
    expect(new Set(pipe.arrived(1)).size).toBeGreaterThanOrEqual(199);
  });

  it("gives up after four tries", () => {
    const pipe = new Pipe(1);
    pipe.loss = 1;
    pipe.send(0, 10, 1);
    pipe.run(7_499);
    expect(pipe.outcomes(0).size).toBe(0);
    pipe.run(7_500);
    expect(pipe.outcomes(0)).toEqual(new Map([[1, false]]));
    expect(pipe.outputs[0]?.filter(({ kind }) => kind === "emit")).toHaveLength(4);
  });

  it("keeps a bounded number in flight, queues a bounded number, refuses the rest by name", () => {
    const pipe = new Pipe(1);
    pipe.loss = 1;
    for (let token = 1; token <= MAX_IN_FLIGHT + MAX_QUEUED + 5; token++) pipe.send(0, 10, token);
    expect(pipe.outputs[0]?.filter(({ kind }) => kind === "emit")).toHaveLength(MAX_IN_FLIGHT);
    expect(pipe.outcomes(0).size).toBe(5);
    const dropped = pipe.outputs[0]?.filter(({ kind }) => kind === "dropped");
    expect(dropped).toEqual(new Array(5).fill({ kind: "dropped", reason: "send-queue-full" }));
    pipe.ends[0]?.abandon();
    pipe.drain();
    expect([...pipe.outcomes(0).values()]).toEqual(
      new Array(MAX_IN_FLIGHT + MAX_QUEUED + 5).fill(false),
    );
  });

  it("carries seventy messages a second over half a second of round trip", () => {
    const pipe = new Pipe(1);
    pipe.latencyMs = 225;
    for (let token = 1; token <= 70; token++) pipe.send(0, 200, token);
    pipe.run(1_500);
    expect(pipe.outcomes(0).size).toBe(70);
  });

  it("refuses what is empty or longer than 64 KiB", () => {
    const pipe = new Pipe(1);
    const end = pipe.ends[0];
    for (const length of [0, 65_537]) {
      const bytes = new Uint8Array(length);
      end?.send(0, { bytes, reliable: true, owner: "vnet", token: 1 + length });
    }
    pipe.drain();
    expect([...pipe.outcomes(0).values()]).toEqual([false, false]);
    pipe.send(0, 65_536, 3);
    pipe.run(10_000);
    expect(pipe.outcomes(0).get(3)).toBe(true);
  });

  it("waits without a path and sends when there is one", () => {
    const pipe = new Pipe(1);
    pipe.ends[0]?.setOpen(0, false);
    pipe.send(0, 10, 1);
    pipe.run(100_000);
    expect(pipe.arrived(1)).toEqual([]);
    pipe.ends[0]?.setOpen(pipe.now, true);
    pipe.drain();
    pipe.run(101_000);
    expect(pipe.arrived(1)).toEqual([1]);
  });

  it("never throws on random bytes and remembers only a bounded amount", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 50 }), (datagrams) => {
        const transport = new ControlTransport(new SeededRng(1), new RttEstimate());
        for (const bytes of datagrams) transport.receive(0, bytes);
      }),
    );
  });
});

describe("reassembly", () => {
  const part = (messageId: number, index: number, count: number, length = 1_100) =>
    ({ form: "fragment", messageId, index, count, part: new Uint8Array(length) }) as const;

  it("holds 256 KiB of unfinished messages and no more", () => {
    const reassembly = new Reassembly();
    let taken = 0;
    for (let id = 0; id < 100; id++) {
      for (let index = 0; index < 59; index++) {
        if (reassembly.add(0, part(id, index, 60)).kind === "part") taken += 1_100;
      }
    }
    expect(taken).toBeLessThanOrEqual(262_144);
    expect(taken).toBeGreaterThan(250_000);
    expect(reassembly.add(0, part(1_000, 0, 2))).toMatchObject({ reason: "reassembly-full" });
    expect(reassembly.add(20_000, part(1_000, 0, 2)).kind).toBe("part");
  });

  it("knows a repetition by its id, also one far behind", () => {
    const reassembly = new Reassembly();
    for (let i = 0; i < 3_000; i++) {
      const id = (0xffff_fc00 + i) >>> 0;
      expect(reassembly.add(0, part(id, 0, 1)).kind).toBe("whole");
    }
    for (const i of [0, 1_500, 2_999]) {
      const outcome = reassembly.add(0, part((0xffff_fc00 + i) >>> 0, 0, 1));
      expect(outcome).toMatchObject({ kind: "refused", isDelivered: true });
    }
  });

  it("refuses a count that changes", () => {
    const reassembly = new Reassembly();
    reassembly.add(0, part(1, 0, 3));
    expect(reassembly.add(0, part(1, 1, 4))).toMatchObject({ reason: "bad-field" });
  });

  it("takes every envelope of the wire", () => {
    const bytes = emitControl(part(1, 0, 1, 5));
    expect(bytes.length).toBe(14);
  });
});
