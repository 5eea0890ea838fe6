import type { DropReason } from "../src/base/drop-reason.ts";
import {
  ENGINE_LIMITS,
  type EngineCommand,
  type Label,
  type SocketIndex,
} from "../src/base/engine.ts";
import type { Endpoint } from "../src/base/net.ts";
import type { LabelRoute, Session } from "./engine-session.ts";

export type LabelCommand = Extract<EngineCommand, { op: "label" }>;

/**
 * Relay labels of all sessions. A label belongs to its ingress session: it is found by its number and
 * accepted only from an address that is a path of that session.
 */
export class LabelTable {
  readonly #byLabel = new Map<Label, LabelRoute[]>();

  /** Creates or replaces; a reason when it was not taken. */
  set(session: Session, command: LabelCommand): DropReason | undefined {
    const { label, to } = command;
    if (label === 0) return "bad-field";
    this.remove(session, label);
    if (session.labels.size >= ENGINE_LIMITS.labelsPerSession) return "table-full";
    const route = { ingress: session, to };
    session.labels.set(label, route);
    const routes = this.#byLabel.get(label);
    if (routes === undefined) this.#byLabel.set(label, [route]);
    else routes.push(route);
    return undefined;
  }

  /** False when the session has no such label. */
  remove(session: Session, label: Label): boolean {
    const route = session.labels.get(label);
    if (route === undefined) return false;
    session.labels.delete(label);
    const others = (this.#byLabel.get(label) ?? []).filter((other) => other !== route);
    if (others.length === 0) this.#byLabel.delete(label);
    else this.#byLabel.set(label, others);
    return true;
  }

  removeAll(session: Session): void {
    for (const label of [...session.labels.keys()]) this.remove(session, label);
  }

  /** The route of a datagram that came with `label` from there, or why it has none. */
  find(label: Label, socket: SocketIndex, from: Endpoint): LabelRoute | DropReason {
    const routes = this.#byLabel.get(label);
    if (routes === undefined) return "unknown-label";
    const isFrom = ({ ingress }: LabelRoute) => ingress.directPath(socket, from) !== undefined;
    return routes.find(isFrom) ?? "label-source";
  }
}
