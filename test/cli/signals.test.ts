/** A foreground agent in a namespace of its own ends by signal as the manual says, and leaves its TAP. */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import {
  describeWhere,
  requireCommand,
  requireFile,
  requireRoot,
  requireTun,
} from "../support/requires.ts";

const path = (name: string): string => fileURLToPath(new URL(`../../${name}`, import.meta.url));
const SPACE = `weft-sig-${process.pid}`;
const reasons = [
  requireRoot(),
  requireTun(),
  requireCommand("ip"),
  requireFile(path("build/Release/weft.node")),
];

describeWhere("signals of a foreground agent", reasons, () => {
  const folder = mkdtempSync(join(tmpdir(), "weft-sig-"));
  const env = {
    PATH: process.env["PATH"],
    HOME: folder,
    WEFT_CONFIG_DIR: folder,
    WEFT_RUN_DIR: folder,
    WEFT_STATE_DIR: folder,
  };
  const words = (...rest: string[]): string[] => [
    "netns",
    "exec",
    SPACE,
    process.execPath,
    "--import",
    "tsx",
    path("src/cli/main.ts"),
    ...rest,
  ];

  beforeAll(() => {
    spawnSync("ip", ["netns", "add", SPACE]);
    spawnSync("ip", words("init", "lab"), { env });
  });
  afterAll(() => {
    spawnSync("ip", ["netns", "delete", SPACE]);
    rmSync(folder, { recursive: true });
  });

  /** Ends the agent once its log says that it runs; the exit code. */
  function run(signal: NodeJS.Signals): Promise<number | null> {
    return new Promise((resolve) => {
      const child = spawn("ip", words("up", "lab", "--foreground"), { env });
      let log = "";
      child.stderr.on("data", (chunk: Buffer) => {
        if (log.includes("agent started")) return;
        log += chunk.toString();
        if (log.includes("agent started")) child.kill(signal);
      });
      const limit = setTimeout(() => child.kill("SIGKILL"), 60_000);
      child.on("exit", (code) => {
        clearTimeout(limit);
        resolve(code);
      });
    });
  }

  it("SIGTERM 0, SIGINT 130, the interface stays, down removes it", async () => {
    expect(await run("SIGTERM")).toBe(0);
    expect(await run("SIGINT")).toBe(130);
    const show = () =>
      spawnSync("ip", ["-n", SPACE, "link", "show", "weft-lab"], { encoding: "utf8" }).status;
    expect(show()).toBe(0);
    const down = spawnSync("ip", words("down", "lab"), { env, encoding: "utf8" });
    expect([down.status, down.stdout]).toEqual([0, "lab: no agent ran; removed weft-lab\n"]);
    expect(show()).not.toBe(0);
  });
});
