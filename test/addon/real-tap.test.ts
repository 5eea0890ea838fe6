/**
 * Two engines on real TAPs, each in a network namespace of its own: the kernels ping each other. Needs
 * root and /dev/net/tun; says why when it is skipped.
 */
import { execFile, execFileSync } from "node:child_process";
import { accessSync, constants, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, describe, expect, it } from "vitest";

const BODY = fileURLToPath(new URL("./real-tap-body.ts", import.meta.url));
const run = promisify(execFile);

function reasonToSkip(): string | undefined {
  if (process.getuid?.() !== 0) return "not root";
  try {
    accessSync("/dev/net/tun", constants.R_OK | constants.W_OK);
    execFileSync("ip", ["netns", "list"]);
    return undefined;
  } catch (error) {
    return (error as Error).message.split("\n")[0];
  }
}

const skipped = reasonToSkip();
const spaces: string[] = [];

function addSpace(): string {
  const name = `weft-tap-${process.pid}-${spaces.length}`;
  execFileSync("ip", ["netns", "add", name]);
  spaces.push(name);
  execFileSync("ip", ["-n", name, "link", "set", "lo", "up"]);
  return name;
}

afterEach(() => {
  for (const name of spaces.splice(0)) execFileSync("ip", ["netns", "delete", name]);
});

describe.skipIf(skipped !== undefined)(
  `a real TAP${skipped ? ` (skipped: ${skipped})` : ""}`,
  () => {
    it("carries ping and TCP between two kernels", { timeout: 60_000 }, async () => {
      const [left, right] = [addSpace(), addSpace()];
      const name = `wt${process.pid}`;
      const link = ["link", "add", `${name}a`, "netns", left, "type", "veth"];
      execFileSync("ip", [...link, "peer", "name", `${name}b`, "netns", right]);
      const sides = [
        { space: left, device: `${name}a`, side: "0" },
        { space: right, device: `${name}b`, side: "1" },
      ] as const;
      for (const { space, device, side } of sides) {
        execFileSync("ip", [
          "-n",
          space,
          "address",
          "add",
          `192.0.2.${1 + Number(side)}/24`,
          "dev",
          device,
        ]);
        execFileSync("ip", ["-n", space, "link", "set", device, "up"]);
      }
      const meeting = mkdtempSync(join(tmpdir(), "weft-tap-"));
      const ends = sides.map(({ space, side }) =>
        run("ip", [
          "netns",
          "exec",
          space,
          process.execPath,
          "--import",
          "tsx",
          BODY,
          side,
          meeting,
        ]),
      );
      const [first, second] = await Promise.all(ends).finally(() => {
        rmSync(meeting, { recursive: true, force: true });
      });
      expect(first?.stdout).toContain("ping: 0% packet loss");
      expect(first?.stdout).toContain("tcp: 3000000 bytes");
      expect(second?.stdout).toContain("tcp: 3000000 bytes");
      for (const end of [first, second])
        expect(end?.stdout).toContain("tap closed, interface gone");
    });
  },
);
