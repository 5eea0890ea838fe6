import type { CoreEvent } from "../base/event.ts";

/** What the agent itself has to say, beside the events of the core. */
export function ownEvent(what: string, condition: string, fields: CoreEvent["fields"]): CoreEvent {
  return { area: "node", what, condition, action: "", effect: "", coolDownMs: 0, fields };
}

/** A line whose count grows is the same line. */
export function withoutFigures(line: string): string {
  return line.replace(/\d+/g, "");
}
