/**
 * Around the whole run of kernel tests: afterwards the machine is as it was. Everything a lab makes
 * carries the number of this run in its name, so that other labs on the machine are left alone.
 */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";

export function setup(): () => void {
  const run = `${process.pid}`;
  process.env["WEFT_KERNEL_RUN"] = run;
  const before = new Set(interfaces());
  return () => {
    const left = leftBehind(run);
    left.push(...interfaces().filter((name) => isOurs(name) && !before.has(name)));
    if (left.length > 0) throw new Error(`the kernel tests left behind: ${left.join(", ")}`);
    console.log("kernel tests: no namespace, process, interface or file is left");
  };
}

/** Namespaces, folders and processes whose names or arguments carry the run's number. */
export function leftBehind(run: string): string[] {
  const ours = new RegExp(`weft-[a-z]+-${run}-`);
  return [
    ...namespaces().filter((name) => ours.test(name)),
    ...readdirSync(tmpdir()).filter((name) => ours.test(name)),
    ...processes().filter((line) => ours.test(line)),
  ];
}

function namespaces(): string[] {
  return lines(["ip", "-o", "netns", "list"]).map((line) => line.split(" ")[0] ?? "");
}

function interfaces(): string[] {
  return lines(["ip", "-o", "link"]).map((line) => /^\d+: ([^:@]+)/.exec(line)?.[1] ?? "");
}

/** A TAP of weft, or a cable of a lab. */
function isOurs(name: string): boolean {
  return /^(weft|p\d+$)/.test(name);
}

function processes(): string[] {
  return readdirSync("/proc").flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    const words = commandOf(pid);
    return words === "" ? [] : [`process ${pid}: ${words}`];
  });
}

/** Empty when the process is gone, or is one of the kernel's. */
function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
  } catch {
    return "";
  }
}

function lines(argv: readonly string[]): string[] {
  const { stdout } = spawnSync(argv[0] ?? "", argv.slice(1), { encoding: "utf8" });
  return (stdout ?? "").split("\n").filter((line) => line !== "");
}
