/** Adds up the sessions' counters over the life of the agent, control apart from data. */
import type { SessionId, SessionTraffic } from "../base/engine.ts";

export interface Totals {
  dataIn: number;
  dataOut: number;
  controlIn: number;
  controlOut: number;
  relayed: number;
}

export class TrafficTotals {
  /** As large as the engine's own table of sessions. */
  #last = new Map<SessionId, SessionTraffic>();
  readonly totals: Totals = { dataIn: 0, dataOut: 0, controlIn: 0, controlOut: 0, relayed: 0 };

  /** @param sessions every open session; those that are missing are closed */
  take(sessions: readonly SessionTraffic[]): void {
    for (const now of sessions) this.#add(now, this.#last.get(now.session));
    this.#last = new Map(sessions.map((session) => [session.session, session]));
  }

  /** A session id used anew starts from zero again. */
  #add(now: SessionTraffic, before: SessionTraffic | undefined): void {
    const { totals } = this;
    totals.dataIn += growth(now.bytesIn, before?.bytesIn);
    totals.dataOut += growth(now.bytesOut, before?.bytesOut);
    totals.controlIn += growth(now.controlBytesIn, before?.controlBytesIn);
    totals.controlOut += growth(now.controlBytesOut, before?.controlBytesOut);
    totals.relayed += growth(now.relayedBytes, before?.relayedBytes);
  }
}

function growth(now: number, before = 0): number {
  return now >= before ? now - before : now;
}
