/** Programs of the lab in C++: compiled when first needed, into build/lab. */
import { existsSync, mkdirSync, renameSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "./shell.ts";

const ROOT = new URL(import.meta.url.includes("/dist/") ? "../../" : "../", import.meta.url);

/** @returns the path of `build/lab/NAME`, made of `lab/NAME.cc` */
export async function buildProgram(name: "path-delay" | "flood"): Promise<string> {
  const source = fileURLToPath(new URL(`lab/${name}.cc`, ROOT));
  const program = fileURLToPath(new URL(`build/lab/${name}`, ROOT));
  if (existsSync(program) && statSync(program).mtimeMs > statSync(source).mtimeMs) return program;
  mkdirSync(dirname(program), { recursive: true });
  // By a rename: several tests may want it at once.
  const fresh = `${program}.${process.pid}`;
  await run(["g++", "-std=c++20", "-O2", "-Wall", "-Wextra", "-pthread", "-o", fresh, source]);
  renameSync(fresh, program);
  return program;
}
