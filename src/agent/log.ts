/** The log: one JSON object a line on standard error, field names as in docs/OPERATING.md. */
import { type DestinationStream, pino } from "pino";
import type { LogLevel } from "./config-schema.ts";

export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Its level may be changed at any time. */
export interface AdjustableLog extends Log {
  level: string;
}

/** @param to standard error unless a test reads it; written synchronously, so that a crash loses nothing */
export function createLog(
  level: LogLevel,
  node: string,
  to: DestinationStream = pino.destination({ dest: 2, sync: true }),
): AdjustableLog {
  return pino(
    {
      level,
      base: { node },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    to,
  );
}
