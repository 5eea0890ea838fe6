/**
 * Everything that can go wrong for a person, under a stable code. A row of docs/ERRORS.md for each
 * (a test compares). Exit codes are part of the command line's contract (docs/OPERATING.md).
 */
export const EXIT = {
  ok: 0,
  negative: 1,
  usage: 2,
  notRunning: 3,
  permission: 4,
  config: 5,
  timeout: 6,
  notFound: 7,
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Code -> exit code of the command that ends with it. */
export const ERRORS = {
  // command line
  usage: EXIT.usage,
  interrupted: EXIT.interrupted,
  "network-unknown": EXIT.usage,
  // files and configuration
  "config-missing": EXIT.config,
  "config-invalid": EXIT.config,
  "config-unreadable": EXIT.permission,
  "config-exists": EXIT.config,
  "token-invalid": EXIT.config,
  "already-joined": EXIT.config,
  "key-file-open": EXIT.config,
  "identity-damaged": EXIT.config,
  "no-certificate": EXIT.config,
  "certificate-foreign": EXIT.config,
  "certificate-damaged": EXIT.config,
  "invite-refused": EXIT.negative,
  "invite-ended": EXIT.negative,
  "no-issuer": EXIT.timeout,
  "state-damaged": EXIT.config,
  "state-unwritable": EXIT.permission,
  // the machine
  "no-tun-device": EXIT.permission,
  "no-capability": EXIT.permission,
  "port-busy": EXIT.config,
  "tap-busy": EXIT.config,
  // Not a mistake for ever: at boot the bridge may come later, and a service is started again then.
  "no-bridge": EXIT.negative,
  "no-crypto": EXIT.negative,
  "bad-option": EXIT.config,
  "no-engine": EXIT.negative,
  "engine-failed": EXIT.negative,
  "overlapping-subnet": EXIT.config,
  "no-ip-command": EXIT.negative,
  "interface-failed": EXIT.negative,
  "metrics-busy": EXIT.config,
  "socket-busy": EXIT.config,
  // the agent
  "agent-not-running": EXIT.notRunning,
  "agent-silent": EXIT.timeout,
  "agent-died": EXIT.negative,
  "already-running": EXIT.negative,
  "socket-permission": EXIT.permission,
  "no-lease-yet": EXIT.timeout,
  "peers-missing": EXIT.timeout,
  // answers of the control socket
  "bad-request": EXIT.usage,
  "unknown-method": EXIT.usage,
  "too-large": EXIT.usage,
  "too-many-connections": EXIT.negative,
  "unknown-peer": EXIT.notFound,
  "not-found": EXIT.notFound,
  timeout: EXIT.timeout,
  unavailable: EXIT.negative,
  "bad-argument": EXIT.usage,
  "not-newer": EXIT.negative,
  "notice-refused": EXIT.config,
  internal: EXIT.negative,
} as const satisfies Record<string, ExitCode>;

export type ErrorCode = keyof typeof ERRORS;

/** A failure with its cause and its cure, one line each; shown as it is, never with a stack. */
export class WeftError extends Error {
  override readonly name = "WeftError";
  readonly code: ErrorCode;

  /** @param text one line `cause: cure`, or several such lines (config problems) */
  constructor(code: ErrorCode, text: string) {
    super(text);
    this.code = code;
  }

  get exitCode(): ExitCode {
    return ERRORS[this.code];
  }
}

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERRORS, text);
}

/** The message of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** `EACCES`, `ENOENT`, ... of a failed system call; undefined for other errors. */
export function systemCodeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}
