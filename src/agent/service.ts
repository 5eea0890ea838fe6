/**
 * The agent as a service that a manager starts (sd_notify(3)): ready after the lease, alive as long as
 * its event loop turns, one line of what it does. Without NOTIFY_SOCKET nothing happens.
 *
 *     start ──status──> READY=1 ──> WATCHDOG=1, STATUS= ... ──> STOPPING=1
 *                         │ SIGHUP: RELOADING=1 ... READY=1
 */
import { type AgentStatus, isReady } from "./agent-status.ts";
import type { Env } from "./paths.ts";

/** Until it is ready: whoever waits for the unit waits for this. */
const STARTING_EVERY_MS = 250;
/** Then: people read it. */
const RUNNING_EVERY_MS = 5_000;
/** sd_watchdog_enabled(3): "half of the time". */
const WATCHDOG_SHARE = 2;

export interface ServiceOptions {
  readonly env: Env;
  readonly pid: number;
  readonly status: () => AgentStatus;
  /** To the manager's socket, lines `NAME=value`. */
  readonly send: (socket: string, text: string) => void;
  /** CLOCK_MONOTONIC, in which the manager tells an old reload from a new one. */
  readonly monotonicUs: () => bigint;
}

export class Service {
  readonly #options: ServiceOptions;
  readonly #socket: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #watchdog: NodeJS.Timeout | undefined;
  #said = "";
  #isReady = false;
  #isStopping = false;

  constructor(options: ServiceOptions) {
    this.#options = options;
    const socket = options.env["NOTIFY_SOCKET"];
    this.#socket = socket === "" ? undefined : socket;
  }

  start(): void {
    if (this.#socket === undefined) return;
    this.#timer = setInterval(() => this.#look(), STARTING_EVERY_MS);
    const everyMs = watchdogMs(this.#options);
    if (everyMs === undefined) return;
    this.#watchdog = setInterval(() => this.#tell("WATCHDOG=1"), everyMs);
  }

  reloading(): void {
    this.#tell(`RELOADING=1\nMONOTONIC_USEC=${this.#options.monotonicUs()}`);
  }

  reloaded(): void {
    if (this.#isReady) this.#tell("READY=1");
  }

  /** A stop takes seconds at most; the manager keeps watching until the process is gone. */
  stopping(): void {
    this.#isStopping = true;
    clearInterval(this.#timer);
    this.#tell("STOPPING=1\nSTATUS=Saying goodbye");
  }

  close(): void {
    clearInterval(this.#timer);
    clearInterval(this.#watchdog);
  }

  #look(): void {
    if (this.#isStopping) return;
    const status = this.#options.status();
    const line = statusLine(status);
    const becameReady = !this.#isReady && isReady(status);
    if (becameReady) {
      this.#isReady = true;
      clearInterval(this.#timer);
      this.#timer = setInterval(() => this.#look(), RUNNING_EVERY_MS);
    }
    if (line === this.#said && !becameReady) return;
    this.#said = line;
    this.#tell(`${becameReady ? "READY=1\n" : ""}STATUS=${line}`);
  }

  #tell(text: string): void {
    if (this.#socket !== undefined) this.#options.send(this.#socket, text);
  }
}

/** undefined: the manager does not watch, or watches another process. */
function watchdogMs({ env, pid }: ServiceOptions): number | undefined {
  const us = /^\d{1,15}$/.exec(env["WATCHDOG_USEC"] ?? "")?.[0];
  const watched = env["WATCHDOG_PID"];
  if (us === undefined || Number(us) === 0) return undefined;
  if (watched !== undefined && watched !== `${pid}`) return undefined;
  return Math.max(1, Math.floor(Number(us) / 1_000 / WATCHDOG_SHARE));
}

/** One line; `systemctl status` shows it. */
function statusLine({ state, lease, peers, health }: AgentStatus): string {
  const address = lease === undefined ? "no address" : `${lease.ip}/${lease.prefix}`;
  const others = `${peers.length} ${peers.length === 1 ? "peer" : "peers"}`;
  const need = health[0] === undefined ? "" : `; ! ${health[0]}`;
  return `${state}, ${address}, ${others}${need}`.replace(/\p{Cc}/gu, " ");
}
