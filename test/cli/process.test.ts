/** The command as a process of its own: exit codes and streams as a shell sees them. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";

const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "weft-cli-"));
afterAll(() => rmSync(folder, { recursive: true }));

function weft(...words: readonly string[]) {
  const env = {
    PATH: process.env["PATH"],
    HOME: folder,
    WEFT_CONFIG_DIR: join(folder, "etc"),
    WEFT_RUN_DIR: join(folder, "run"),
    WEFT_STATE_DIR: join(folder, "state"),
  };
  const ran = spawnSync(process.execPath, ["--import", "tsx", MAIN, ...words], {
    encoding: "utf8",
    env,
    timeout: 20_000,
  });
  return { code: ran.status, out: ran.stdout, err: ran.stderr.replaceAll(folder, "DIR") };
}

describe("exit codes of the process", () => {
  it("0 with the answer on standard output", () => {
    expect(weft("init", "lab")).toMatchObject({ code: 0, err: "" });
  });

  it("2 for wrong usage, one line on standard error", () => {
    const ran = weft("status", "--frob");
    expect([ran.code, ran.out]).toEqual([2, ""]);
    expect(ran.err).toMatch(/^weft: .*frob.*: see weft status --help\n$/);
  });

  it("3 when no agent runs", () => {
    expect(weft("peers", "lab")).toEqual({
      code: 3,
      out: "",
      err: "weft: no agent runs behind DIR/run/lab.sock: start it with `weft up`\n",
    });
  });

  it("1 when the answer cannot be written, 0 when its reader has seen enough", () => {
    const command = `"${process.execPath}" --import tsx "${MAIN}" --help`;
    const shell = (text: string) => spawnSync("bash", ["-c", text], { encoding: "utf8" });
    expect(shell(`${command} > /dev/full`)).toMatchObject({
      status: 1,
      stderr: "weft: the answer cannot be written (ENOSPC): free space there\n",
    });
    expect(shell(`set -o pipefail; ${command} | true`)).toMatchObject({ status: 0, stderr: "" });
  });

  it("weft join does not show its token to those who list processes", () => {
    const look =
      "import { readFileSync } from 'node:fs'; process.on('exit', () => console.error(readFileSync('/proc/self/cmdline', 'utf8')))";
    const preload = `data:text/javascript,${encodeURIComponent(look)}`;
    const cmdline = (...words: string[]) =>
      spawnSync(process.execPath, ["--import", "tsx", "--import", preload, MAIN, ...words], {
        encoding: "utf8",
        timeout: 20_000,
      }).stderr;
    expect(cmdline("ping", "weft1.c2VjcmV0", "--frob")).toContain("weft1.c2VjcmV0");
    const shown = cmdline("join", "weft1.c2VjcmV0");
    expect(shown).toMatch(/\nweft join/);
    expect(shown).not.toContain("c2VjcmV0");
  });

  it("a key from the environment stays with weft: what it starts and a report do not get it", () => {
    const look = "process.on('exit', () => console.error(JSON.stringify(process.env)))";
    const preload = `data:text/javascript,${encodeURIComponent(look)}`;
    const words = ["--import", "tsx", "--import", preload, MAIN, "config", "check"];
    const key = "oG2hZo0mVuY7zq9mUu0xkq0S3y9n6Wb8Qb1c5dF7aJk=";
    const env = { PATH: process.env["PATH"], HOME: folder, WEFT_NETWORK: "env", WEFT_SECRET: key };
    const proxy = "http://name:hidden-word@192.0.2.1:3128";
    const ran = spawnSync(process.execPath, words, {
      encoding: "utf8",
      env: { ...env, WEFT_PROXY: proxy },
      timeout: 20_000,
    });
    expect(ran.status).toBe(0);
    expect(ran.stderr).toContain('"WEFT_NETWORK":"env"');
    for (const secret of [key, "hidden-word"]) expect(ran.stderr).not.toContain(secret);
  });

  it("5 for a file that has no end, at once", () => {
    const pipe = join(folder, "pipe.yaml");
    spawnSync("mkfifo", [pipe]);
    for (const path of [pipe, "/dev/zero", folder]) {
      const ran = weft("config", "check", "--config", path);
      expect([ran.code, ran.err.replace(path, "FILE").replace("DIR/pipe.yaml", "FILE")]).toEqual([
        5,
        expect.stringMatching(/^weft: (FILE|DIR) is no regular file: name a cluster file\n$/),
      ]);
    }
  });

  it("5 for a file with a mistake", () => {
    writeFileSync(join(folder, "bad.yaml"), "frob: 1\n", { mode: 0o600 });
    const ran = weft("up", "--config", join(folder, "bad.yaml"));
    expect(ran.code).toBe(5);
    expect(ran.err).toMatch(/^weft: DIR\/bad\.yaml:1:1: unknown key frob: did you mean \w+\?\n/);
  });

  it("a detached agent's failure becomes the starter's, with the agent's own line", () => {
    writeFileSync(join(folder, "state"), "in the way");
    const ran = weft("up", "lab");
    expect(ran).toMatchObject({ code: 4, out: "" });
    expect(ran.err).toMatch(
      /^weft: DIR\/state\/lab cannot be made \(E\w+\): run as root, or set --state-dir\n$/,
    );
  });
});
