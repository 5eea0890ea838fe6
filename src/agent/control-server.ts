/** The agent's Unix socket: bounded requests, bounded connections, one answer for each request. */
import { chmodSync, chownSync, mkdirSync, readFileSync, unlinkSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import {
  isMethod,
  MAX_REQUEST_BYTES,
  METHODS,
  type Method,
  requestSchema,
} from "./control-protocol.ts";
import { type ErrorCode, messageOf, systemCodeOf, WeftError } from "./errors.ts";
import { LineSplitter } from "./line-splitter.ts";

/** People and monitors; a program that leaks connections must not use up the agent's descriptors. */
const MAX_CONNECTIONS = 32;
/** Requests of one connection that wait for their answers. */
const MAX_PENDING = 16;
/** sockaddr_un.sun_path with its final zero. */
const MAX_PATH_BYTES = 107;

/** Answers one checked request. A thrown WeftError becomes the error answer. */
export type Answer = (
  method: Method,
  params: Readonly<Record<string, unknown>>,
) => Promise<Readonly<Record<string, unknown>>>;

export class ControlServer {
  readonly #answer: Answer;
  readonly #path: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(path: string, answer: Answer) {
    this.#path = path;
    this.#answer = answer;
    this.#server = createServer((socket) => this.#accept(socket));
  }

  /** @throws WeftError socket-busy | state-unwritable | bad-option */
  async listen(): Promise<void> {
    if (Buffer.byteLength(this.#path) > MAX_PATH_BYTES) {
      throw new WeftError(
        "bad-option",
        `${this.#path} is too long for a socket (${MAX_PATH_BYTES} bytes): choose a shorter --run-dir`,
      );
    }
    if (await answers(this.#path)) {
      throw new WeftError(
        "socket-busy",
        `${this.#path} belongs to a running agent: give this one its own --run-dir`,
      );
    }
    try {
      this.#makeFolder();
      removeStale(this.#path);
      await this.#bind();
    } catch (error) {
      throw new WeftError(
        "state-unwritable",
        `${this.#path} cannot be made (${systemCodeOf(error) ?? messageOf(error)}): run as root, or set --run-dir`,
      );
    }
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    removeStale(this.#path);
  }

  #makeFolder(): void {
    const folder = dirname(this.#path);
    const group = groupId("weft");
    const made = mkdirSync(folder, { recursive: true, mode: group === undefined ? 0o700 : 0o750 });
    if (made !== undefined && group !== undefined) quietly(() => chownSync(folder, -1, group));
  }

  /** Made under a mask, so that there is no moment at which strangers may connect. */
  async #bind(): Promise<void> {
    const mask = process.umask(0o117);
    try {
      await new Promise<void>((resolve, reject) => {
        this.#server.once("error", reject);
        this.#server.listen({ path: this.#path }, resolve);
      });
    } finally {
      process.umask(mask);
    }
    chmodSync(this.#path, 0o660);
    const group = groupId("weft");
    if (group !== undefined) quietly(() => chownSync(this.#path, -1, group));
  }

  #accept(socket: Socket): void {
    socket.on("error", () => socket.destroy());
    if (this.#sockets.size >= MAX_CONNECTIONS) {
      socket.end(errorLine(0, "too-many-connections", "too many control connections: close some"));
      return;
    }
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    const lines = new LineSplitter(MAX_REQUEST_BYTES);
    let pending = 0;
    socket.on("data", (chunk: Buffer) => {
      const complete = lines.push(chunk);
      for (const line of complete ?? []) {
        if (++pending > MAX_PENDING)
          return refuse(
            socket,
            "too-large",
            `more than ${MAX_PENDING} requests at once: wait for the answers`,
          );
        void this.#reply(socket, line).finally(() => pending--);
      }
      if (complete === undefined)
        refuse(
          socket,
          "too-large",
          `a request is longer than ${MAX_REQUEST_BYTES} bytes: send shorter ones`,
        );
    });
  }

  async #reply(socket: Socket, line: string): Promise<void> {
    const request = requestSchema.safeParse(parseJson(line));
    if (!request.success) {
      socket.write(
        errorLine(0, "bad-request", "no request of this protocol: send {id, method, params}"),
      );
      return;
    }
    const { id, method, params } = request.data;
    try {
      socket.write(`${JSON.stringify({ id, ok: await this.#run(method, params ?? {}) })}\n`);
    } catch (error) {
      const failure =
        error instanceof WeftError ? error : new WeftError("internal", messageOf(error));
      socket.write(errorLine(id, failure.code, failure.message));
    }
  }

  #run(method: string, params: Readonly<Record<string, unknown>>): ReturnType<Answer> {
    if (!isMethod(method))
      throw new WeftError(
        "unknown-method",
        `unknown method: one of ${Object.keys(METHODS).join(" ")}`,
      );
    const checked = METHODS[method].safeParse(params);
    if (!checked.success)
      throw new WeftError(
        "bad-argument",
        `parameters of ${method} are wrong: ${issueText(checked.error.issues)}`,
      );
    return this.#answer(method, checked.data);
  }
}

function issueText(
  issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[],
): string {
  return issues
    .map((issue) => `${issue.path.map(String).join(".")} ${issue.message}`.trim())
    .join("; ");
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function errorLine(id: number, code: ErrorCode, message: string): string {
  return `${JSON.stringify({ id, error: { code, message } })}\n`;
}

function refuse(socket: Socket, code: ErrorCode, message: string): void {
  socket.pause();
  socket.end(errorLine(0, code, message));
}

/** Whether somebody listens there; a socket file without a listener is left over from a crash. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path }, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}

function removeStale(path: string): void {
  quietly(() => unlinkSync(path));
}

function quietly(step: () => void): void {
  try {
    step();
  } catch {
    // The next step fails with its own message when this one mattered.
  }
}

/** Group id by name; undefined when the system has no such group. */
function groupId(name: string): number | undefined {
  try {
    const line = readFileSync("/etc/group", "utf8")
      .split("\n")
      .find((entry) => entry.startsWith(`${name}:`));
    const id = Number(line?.split(":")[2]);
    return line === undefined || !Number.isInteger(id) ? undefined : id;
  } catch {
    return undefined;
  }
}
