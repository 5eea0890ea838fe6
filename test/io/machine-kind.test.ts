import { expect, it } from "vitest";
import { machineKind } from "../../src/io/engine.ts";

const GLIBC = "7f0000000000-7f0000001000 r-xp 00000000 08:01 1 /lib/x86_64-linux-gnu/libc.so.6\n";
const MUSL = "7f0000000000-7f0000001000 r-xp 00000000 08:01 1 /lib/ld-musl-x86_64.so.1\n";

it("names the prebuilt addon by processor and C library", () => {
  expect(machineKind(GLIBC)).toBe(`linux-${process.arch}`);
  expect(machineKind(MUSL)).toBe(`linux-${process.arch}-musl`);
  expect(machineKind("")).toBe(`linux-${process.arch}`);
});
