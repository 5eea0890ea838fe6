/**
 * How long the NAT keeps a mapping that carries nothing (RFC 5780, 4.6): a member is asked from one socket to
 * answer to the outside port of another, which was silent for so long. A sample is one such silent socket;
 * all wait at once, and the first that hears nothing any more ends the measurement.
 *
 *      opening --> warming: asked twice, 3 s apart --> silent for its time --> heard, or gone
 *                  (NATs keep a flow longer that went on than a question and its answer)
 *
 * Who hears nothing asks for an ordinary answer before he believes it: the member may be gone. The sample
 * without silence tells whether such answers arrive at all.
 */
import type { EngineCommand, SocketIndex } from "../base/engine.ts";
import { type Endpoint, familyOf } from "../base/net.ts";
import { type Millis, NEVER } from "../base/time.ts";
import type { StunOutcome } from "./transactions.ts";

/** Up to the five minutes that RFC 4787 (REQ-5) recommends; the short ones are those that matter. */
export const SILENCE_SECONDS = [0, 2, 4, 7, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300];
/** Linux takes a flow that still lives after two seconds for more than a question. */
const WARM_MS = 3_000;
/** An engine that has no more sockets need not say so. */
const OPENING_MS = 1_000;
/** Asked later than this the silence was another one: the machine slept, or the process stood still. */
const LATE_MS = 1_000;

export interface MappingLife {
  /** "unknown": nobody to ask, or no answer to the control. */
  readonly state: "unknown" | "measuring" | "known";
  /** A mapping silent for so long still served; 0 until the first one did. */
  readonly aliveMs: Millis;
  /** One silent for so long did not; undefined when all did, or none was reached yet. */
  readonly goneMs: Millis | undefined;
}

export const UNKNOWN_LIFE: MappingLife = { state: "unknown", aliveMs: 0, goneMs: undefined };

export interface LifeAsk {
  readonly from: SocketIndex;
  readonly sample: SocketIndex;
  readonly step: "warm" | "test" | "control";
  /** Answer there; undefined = to where it came from. */
  readonly responsePort?: number;
}

export interface MappingLifeOptions {
  /** As many as SILENCE_SECONDS, ours alone. */
  readonly sockets: readonly SocketIndex[];
  /** In the open, with one address: what it answers comes from where it was asked. */
  readonly member: Endpoint;
  /** A socket that asks for answers to the others. */
  readonly asker: SocketIndex;
}

interface Sample {
  readonly socket: SocketIndex;
  readonly silenceMs: Millis;
  warmings: number;
  step: LifeAsk["step"];
  /** Its outside port. */
  port: number | undefined;
  /** When to ask next; NEVER while an answer is awaited. */
  nextAt: Millis;
}

export class MeasuredLife {
  readonly #options: MappingLifeOptions;
  readonly #samples = new Map<SocketIndex, Sample>();
  readonly #open = new Set<SocketIndex>();
  #openBy: Millis = NEVER;
  #life: MappingLife = { ...UNKNOWN_LIFE, state: "measuring" };

  constructor(options: MappingLifeOptions) {
    this.#options = options;
  }

  get member(): Endpoint {
    return this.#options.member;
  }

  get life(): MappingLife {
    return this.#life;
  }

  get isOver(): boolean {
    return this.#life.state !== "measuring";
  }

  begin(now: Millis): EngineCommand[] {
    const { sockets, member } = this.#options;
    this.#openBy = now + OPENING_MS;
    const family = familyOf(member.ip);
    return SILENCE_SECONDS.flatMap((seconds, i): EngineCommand[] => {
      const socket = sockets[i];
      if (socket === undefined) return [];
      const silenceMs = 1_000 * seconds;
      const sample = { socket, silenceMs, warmings: 0, step: "warm", port: undefined } as const;
      this.#samples.set(socket, { ...sample, nextAt: NEVER });
      return [{ op: "socket-open", socket, family, port: 0 }];
    });
  }

  /** @returns whether the socket is one of ours */
  opened(now: Millis, socket: SocketIndex): boolean {
    const sample = this.#samples.get(socket);
    if (sample === undefined) return false;
    this.#open.add(socket);
    sample.nextAt = now;
    return true;
  }

  failed(socket: SocketIndex): void {
    this.#drop(socket);
  }

  deadline(): Millis {
    return Math.min(this.#openBy, ...[...this.#samples.values()].map(({ nextAt }) => nextAt));
  }

  /** What is to be asked now; each gets its outcome by `take`. */
  timeout(now: Millis): LifeAsk[] {
    if (this.#openBy <= now) this.#giveUpOpening();
    const due = [...this.#samples.values()].filter(({ nextAt }) => nextAt <= now);
    return due.flatMap((sample): LifeAsk[] => {
      const { socket, port, step, nextAt } = sample;
      sample.nextAt = NEVER;
      if (step === "warm") return [{ from: socket, sample: socket, step }];
      const from = this.#options.asker;
      if (step === "control" || port === undefined) return [{ from, sample: socket, step }];
      if (now - nextAt > LATE_MS) {
        this.#drop(socket);
        return [];
      }
      return [{ from, sample: socket, step, responsePort: port }];
    });
  }

  take(now: Millis, asked: LifeAsk, outcome: StunOutcome<unknown>): void {
    const sample = this.#samples.get(asked.sample);
    if (sample === undefined || this.isOver) return;
    switch (asked.step) {
      case "warm":
        return outcome.ok ? this.#warm(now, sample, outcome.mapped) : this.#drop(sample.socket);
      case "test":
        if (outcome.ok && outcome.socket === sample.socket) return this.#heard(sample);
        sample.step = "control";
        sample.nextAt = now;
        return;
      case "control":
        return this.#missed(sample, outcome.ok);
    }
  }

  /** What is still open, when it is over or of no use any more. */
  close(): EngineCommand[] {
    const sockets = [...this.#open];
    this.#open.clear();
    this.#samples.clear();
    return sockets.map((socket) => ({ op: "socket-close", socket }));
  }

  #warm(now: Millis, sample: Sample, mapped: Endpoint): void {
    sample.warmings++;
    sample.nextAt = now + WARM_MS;
    if (sample.warmings === 1) return;
    sample.port = mapped.port;
    sample.step = "test";
    sample.nextAt = now + sample.silenceMs;
  }

  #heard({ socket, silenceMs }: Sample): void {
    this.#samples.delete(socket);
    this.#settle({ ...this.#life, aliveMs: Math.max(this.#life.aliveMs, silenceMs) });
  }

  /** @param isMemberThere it answers us where we just asked from, so that the mapping is what is missing */
  #missed({ silenceMs }: Sample, isMemberThere: boolean): void {
    const { aliveMs } = this.#life;
    const isGone = isMemberThere && silenceMs > 0;
    if (isGone) return this.#settle({ state: "known", aliveMs, goneMs: silenceMs });
    this.#samples.clear();
    this.#settle(this.#life);
  }

  #giveUpOpening(): void {
    this.#openBy = NEVER;
    for (const socket of this.#samples.keys()) if (!this.#open.has(socket)) this.#drop(socket);
  }

  #drop(socket: SocketIndex): void {
    const sample = this.#samples.get(socket);
    if (sample === undefined) return;
    this.#samples.delete(socket);
    // Without the control nothing that is missed later would say anything.
    if (sample.silenceMs === 0) this.#samples.clear();
    this.#settle(this.#life);
  }

  /** Over when no sample is left; without any answer nobody can tell. */
  #settle(life: MappingLife): void {
    const isOver = this.#samples.size === 0 && life.state === "measuring";
    this.#life = isOver ? { ...life, state: life.aliveMs > 0 ? "known" : "unknown" } : life;
  }
}
