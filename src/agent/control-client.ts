/** Asks a running agent over its control socket. */
import { connect, type Socket } from "node:net";
import { MAX_ANSWER_BYTES, type Method, responseSchema } from "./control-protocol.ts";
import { isErrorCode, messageOf, systemCodeOf, WeftError } from "./errors.ts";
import { LineSplitter } from "./line-splitter.ts";

export type Reply = Readonly<Record<string, unknown>>;

export interface CallOptions {
  readonly params?: Readonly<Record<string, unknown>>;
  readonly timeoutMs?: number;
}

/** The agent's own longest answer (a ping) takes 5 s. */
const DEFAULT_TIMEOUT_MS = 10_000;

/**
 * One request on a connection of its own.
 *
 * @throws WeftError agent-not-running | socket-permission | agent-silent, or what the agent answered
 */
export function callAgent(path: string, method: Method, options: CallOptions = {}): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    const socket = connect({ path });
    const finish = (step: () => void): void => {
      clearTimeout(timer);
      socket.destroy();
      step();
    };
    const timer = setTimeout(
      () =>
        finish(() =>
          reject(
            new WeftError(
              "agent-silent",
              `the agent at ${path} does not answer: see its log, or restart it`,
            ),
          ),
        ),
      timeoutMs,
    );
    socket.on("error", (error) => finish(() => reject(connectError(path, error))));
    socket.on("end", () => finish(() => reject(stopped(path))));
    socket.on("connect", () => send(socket, method, options.params ?? {}));
    const lines = new LineSplitter(MAX_ANSWER_BYTES);
    socket.on("data", (chunk) => {
      const complete = lines.push(chunk);
      if (complete === undefined) finish(() => reject(foreign(path)));
      else if (complete[0] !== undefined) settle(path, complete[0], { resolve, reject, finish });
    });
  });
}

function send(socket: Socket, method: Method, params: Reply): void {
  socket.write(`${JSON.stringify({ id: 1, method, params })}\n`);
}

interface Settle {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: WeftError) => void;
  readonly finish: (step: () => void) => void;
}

function settle(path: string, line: string, { resolve, reject, finish }: Settle): void {
  finish(() => {
    try {
      const answer = responseSchema.parse(JSON.parse(line));
      if (answer.ok !== undefined) resolve(answer.ok);
      else reject(answerError(answer.error));
    } catch {
      reject(foreign(path));
    }
  });
}

function answerError(
  error: { readonly code: string; readonly message: string } | undefined,
): WeftError {
  const code = error?.code ?? "";
  return new WeftError(isErrorCode(code) ? code : "internal", error?.message ?? "empty answer");
}

function connectError(path: string, error: Error): WeftError {
  const code = systemCodeOf(error);
  if (code === "ENOENT" || code === "ECONNREFUSED") return notRunning(path);
  if (code === "EACCES" || code === "EPERM") {
    return new WeftError(
      "socket-permission",
      `${path} may not be opened: run as root, or join the group weft`,
    );
  }
  return new WeftError(
    "agent-not-running",
    `${path}: ${messageOf(error)}: start the agent with \`weft up\``,
  );
}

function notRunning(path: string): WeftError {
  return new WeftError(
    "agent-not-running",
    `no agent runs behind ${path}: start it with \`weft up\``,
  );
}

function stopped(path: string): WeftError {
  return new WeftError(
    "agent-not-running",
    `the agent behind ${path} stopped while it was asked: start it with \`weft up\``,
  );
}

function foreign(path: string): WeftError {
  return new WeftError(
    "internal",
    `${path} speaks another protocol: use the same version of weft for agent and command`,
  );
}
