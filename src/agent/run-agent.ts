/** The agent as a process: real engine, real node, sockets, signals, exit code. */

import { notifyService } from "../io/service-notify.ts";
import { Agent, type AgentEnd } from "./agent.ts";
import { controlAnswers, httpPages } from "./agent-requests.ts";
import type { AgentTools } from "./agent-tools.ts";
import type { Config, Pushed } from "./config.ts";
import { KEY_NAMES, KEYS } from "./config-schema.ts";
import { ControlServer } from "./control-server.ts";
import { EXIT, type ExitCode, messageOf, WeftError } from "./errors.ts";
import { HttpServer } from "./http-server.ts";
import { Metrics } from "./metrics.ts";
import { type Env, socketPath } from "./paths.ts";
import { type Whole, withPushed } from "./pushed-part.ts";
import type { Reload } from "./reload.ts";
import { Service } from "./service.ts";

/** What a starter that waits is told, over the process's own channel. */
export type StartReport =
  | { readonly kind: "listening"; readonly socket: string }
  | { readonly kind: "failed"; readonly code: string; readonly message: string };

/** The process around the agent. */
export interface AgentHost {
  readonly report: (told: StartReport) => void;
  /** Aborted by SIGTERM or SIGINT, with the signal's name as reason. */
  readonly interrupted: AbortSignal;
  /** Of the process: a service manager leaves its socket there. */
  readonly env: Env;
  /** The sources of the configuration read again, and what the authority pushed. @throws WeftError */
  readonly reread: (pushed?: Pushed) => Config;
}

/**
 * Runs until the agent is stopped. SIGTERM ends with 0, SIGINT with 130; a second signal does not
 * wait for goodbyes. SIGHUP reads the configuration again and looks the bootstrap names up.
 *
 * @throws WeftError when it cannot start
 */
export async function runAgent(
  file: Config,
  tools: AgentTools,
  host: AgentHost,
): Promise<ExitCode> {
  const whole = withPushed(tools.suite, file, host.reread);
  const { config } = whole;
  const agent = new Agent(config, tools);
  agent.onSharedPart = () => takeSharedPart(agent, tools, host);
  for (const line of config.warnings) tools.log.warn({}, line);
  await agent.start();
  sayPushed(agent, whole, []);
  const metrics = new Metrics({
    counters: () => agent.counters(),
    status: () => agent.status(),
    totals: () => agent.traffic.totals,
    journal: agent.journal,
  });
  const control = new ControlServer(
    socketPath(config.runDir, config.name),
    controlAnswers(agent, tools.version, metrics),
  );
  const http = new HttpServer(httpPages(agent, metrics));
  try {
    await control.listen();
    if (config.metricsPort !== "off") await http.listen(config.metricsPort);
  } catch (error) {
    control.close();
    agent.stop();
    throw error;
  }
  agent.run();
  const service = createService(agent, host.env);
  followSignals(agent, host.interrupted, service);
  process.on("SIGHUP", () => reload(agent, tools, host, service));
  service.start();
  const socket = socketPath(config.runDir, config.name);
  tools.log.info(
    { socket, version: tools.version, interface: config.interfaceName },
    "agent started",
  );
  host.report({ kind: "listening", socket });
  const end = await agent.finished;
  service.close();
  http.close();
  control.close();
  return exitCodeOf(end, tools, host.interrupted.reason === "SIGINT");
}

function exitCodeOf(end: AgentEnd, tools: AgentTools, interrupted: boolean): ExitCode {
  if (end.kind === "bug") {
    const stack = end.error instanceof Error ? end.error.stack : undefined;
    tools.log.error({ stack }, "a bug in weft ended the agent");
    throw new WeftError(
      "internal",
      `${messageOf(end.error)}: this is a bug in weft; restart the agent with \`weft up\``,
    );
  }
  tools.log.info({ how: end.kind }, "agent ended");
  return interrupted ? EXIT.interrupted : EXIT.ok;
}

/** @param interrupted aborted with the signal's name as reason; it may have come before the agent ran */
function followSignals(agent: Agent, interrupted: AbortSignal, service: Service): void {
  const stop = (): void => {
    service.stopping();
    agent.stop();
    setImmediate(exitAtNextSignal);
  };
  if (interrupted.aborted) setImmediate(stop);
  else interrupted.addEventListener("abort", stop, { once: true });
}

function createService(agent: Agent, env: Env): Service {
  return new Service({
    env,
    pid: process.pid,
    status: () => agent.status(),
    send: notifyService,
    monotonicUs: () => process.hrtime.bigint() / 1_000n,
  });
}

function rereadWhole({ suite }: AgentTools, host: AgentHost): Whole {
  return withPushed(suite, host.reread(), host.reread);
}

/** The authority pushed another one: as a changed file, it counts at once as far as it can. */
function takeSharedPart(agent: Agent, tools: AgentTools, host: AgentHost): void {
  try {
    takeWhole(agent, rereadWhole(tools, host));
  } catch (error) {
    if (!(error instanceof WeftError)) throw error;
    agent.refuseReload(error.message);
  }
}

function reload(agent: Agent, tools: AgentTools, host: AgentHost, service: Service): void {
  const { log } = tools;
  service.reloading();
  try {
    const { taken, waiting } = takeWhole(agent, rereadWhole(tools, host));
    log.info({ taken, waiting }, "configuration reloaded");
    if (waiting.length > 0) log.warn({ keys: waiting }, "changes wait for a restart");
  } catch (error) {
    if (!(error instanceof WeftError)) throw error;
    log.error({ why: error.message }, "configuration not reloaded");
    agent.refuseReload(error.message);
  }
  service.reloaded();
}

function takeWhole(agent: Agent, whole: Whole): Reload {
  const reload = agent.reload(whole.config);
  sayPushed(agent, whole, reload.waiting);
  return reload;
}

/** @param waiting keys that count after a restart; where something was pushed, the shared ones are its own */
function sayPushed(agent: Agent, { pushed, problem }: Whole, waiting: readonly string[]): void {
  const keys = waiting.filter((key) => pushed !== undefined && isShared(key)).join(", ");
  const waits = `the authority changed the shared part (${keys}): it counts when this agent is started anew`;
  agent.saySharedPart(problem ?? (keys === "" ? undefined : waits));
}

function isShared(key: string): boolean {
  return KEY_NAMES.some((name) => name === key && KEYS[name].shared);
}

/** Registered after the first signal was delivered, else that one would count twice. */
function exitAtNextSignal(): void {
  process.once("SIGTERM", () => process.exit(EXIT.negative));
  process.once("SIGINT", () => process.exit(EXIT.interrupted));
}
