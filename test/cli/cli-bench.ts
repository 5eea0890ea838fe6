/** Command lines played in this process, and an agent that answers them, for the tests of the CLI. */
import { join } from "node:path";
import { controlAnswers } from "../../src/agent/agent-requests.ts";
import { ControlServer } from "../../src/agent/control-server.ts";
import { Metrics } from "../../src/agent/metrics.ts";
import { runCli } from "../../src/cli/run-cli.ts";
import type { Terminal } from "../../src/cli/terminal.ts";
import type { FakeMachine } from "../agent/fake-machine.ts";

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command line on a terminal that nobody looks at; the folder is called DIR in what it says. */
export async function runWords(
  words: readonly string[],
  folder: string,
  given: Partial<Terminal> = {},
): Promise<Ran> {
  const said = { out: "", err: "" };
  const terminal: Terminal = {
    out: (text) => {
      said.out += text;
    },
    err: (text) => {
      said.err += text;
    },
    readLine: () => Promise.resolve(""),
    inIsTty: false,
    outIsTty: false,
    errIsTty: false,
    columns: 100,
    uid: 1_000,
    hostname: "Alpha.example.org",
    cwd: folder,
    interrupted: new AbortController().signal,
    ...given,
    env: { HOME: folder, WEFT_CONFIG_DIR: join(folder, "etc"), ...given.env },
  };
  const code = await runCli(words, terminal);
  const hidden = (text: string) => text.replaceAll(folder, "DIR");
  return { code, out: hidden(said.out), err: hidden(said.err) };
}

/** Starts the agent of `machine` with a control socket where the CLI looks for it. */
export async function startAgent(machine: FakeMachine) {
  const agent = machine.agent();
  await agent.start();
  agent.run();
  const metrics = new Metrics({
    counters: () => agent.counters(),
    status: () => agent.status(),
    totals: () => agent.traffic.totals,
    journal: agent.journal,
  });
  const socket = join(machine.folder, "run/lab.sock");
  const control = new ControlServer(socket, controlAnswers(agent, "9.9.9", metrics));
  await control.listen();
  return { agent, control };
}
