/** The agent as a process, on a machine that the test plays: what it says of a shared part that was pushed. */
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { authorityKeyText } from "../../src/agent/authority-key.ts";
import { writeCertificates } from "../../src/agent/certificate-file.ts";
import { type Config, loadConfig, type Pushed } from "../../src/agent/config.ts";
import { callAgent } from "../../src/agent/control-client.ts";
import { EXIT, type ExitCode } from "../../src/agent/errors.ts";
import { loadIdentity, prepareFolder } from "../../src/agent/identity-file.ts";
import { emitPushed } from "../../src/agent/pushed-part.ts";
import { runAgent } from "../../src/agent/run-agent.ts";
import { signMember } from "../../src/cli/sign-member.ts";
import { identityFromSeed } from "../../src/crypto/identity.ts";
import { writePushedFile } from "../support/pushed-file.ts";
import { suite } from "../support/suite.ts";
import { FakeMachine, KEY } from "./fake-machine.ts";

const authority = suite.signingKeyPair(new Uint8Array(32).fill(6));
const networkKey = new Uint8Array(Buffer.from(KEY, "base64"));
const UNUSABLE =
  /^this node goes by its own file, for the authority's shared part cannot be used: .*10\.1\.0\.0\/99/;
const WAITS =
  "the authority changed the shared part (range): it counts when this agent is started anew";

let machine = new FakeMachine();
let running: Promise<ExitCode> | undefined;

beforeEach(() => {
  machine = new FakeMachine();
});
afterEach(async () => {
  await callAgent(socket(), "stop");
  expect(await running).toBe(EXIT.ok);
  process.removeAllListeners("SIGHUP");
  machine.remove();
});

function socket(): string {
  return join(machine.folder, "run/lab.sock");
}

function push(values: object): void {
  const body = emitPushed(values);
  writePushedFile(join(machine.folder, "state/lab"), { networkKey, authority, body });
}

function reread(pushed?: Pushed): Config {
  const file = join(machine.folder, "lab.yaml");
  const sources = { file, flags: {}, env: {}, uid: 0, nodeName: "alpha" };
  return loadConfig(pushed === undefined ? sources : { ...sources, pushed });
}

/** A member of the authority's network, up to where the agent can be asked. */
async function start(): Promise<void> {
  const config = machine.config(`authority: ${authorityKeyText(authority.publicKey)}\n`);
  const folder = join(machine.folder, "state/lab");
  prepareFolder(folder);
  const { publicKey } = identityFromSeed(suite, loadIdentity(folder)).signing;
  const said = { name: "alpha", groups: [], claims: [], mayIssue: false, days: 1 };
  const member = { ...said, publicKey, salt: undefined };
  writeCertificates(folder, [signMember(suite, authority, config, member)]);
  const interrupted = new AbortController().signal;
  await new Promise<void>((resolve) => {
    const report = (): void => resolve();
    running = runAgent(config, machine.tools(), { report, interrupted, env: {}, reread });
  });
}

async function health(): Promise<readonly string[]> {
  return (await callAgent(socket(), "status"))["health"] as string[];
}

function noted(): readonly string[] {
  return machine.logged.map(({ fields }) => String((fields as { condition?: string }).condition));
}

describe("a shared part that cannot be used", () => {
  it("is said in status, journal and log from the first start on", async () => {
    push({ range: "10.1.0.0/99" });
    await start();
    expect(await health()).toEqual([expect.stringMatching(UNUSABLE)]);
    expect(noted()).toContainEqual(expect.stringMatching(UNUSABLE));
  });

  it("is said after a SIGHUP too, until one that can be used is there", async () => {
    await start();
    expect(await health()).toEqual([]);
    push({ range: "10.1.0.0/99" });
    process.emit("SIGHUP");
    expect(await health()).toEqual([expect.stringMatching(UNUSABLE)]);
    push({ range: "10.1.0.0/16" });
    process.emit("SIGHUP");
    expect(await health()).toEqual([WAITS]);
    appendFileSync(join(machine.folder, "lab.yaml"), "listen: 7200\nlease: 30m\n");
    process.emit("SIGHUP");
    expect(await health(), "the file's own changes are not the authority's").toEqual([WAITS]);
  });
});
