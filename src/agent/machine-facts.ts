/** What the agent learns about this machine and this start. */
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";

/** AES instructions: without them ChaCha20-Poly1305 is the faster cipher. */
export function processorHasAes(): boolean {
  try {
    return hasAesFlag(readFileSync("/proc/cpuinfo", "utf8"));
  } catch {
    return false;
  }
}

/** @param cpuinfo /proc/cpuinfo: `flags` on x86, `Features` on ARM */
export function hasAesFlag(cpuinfo: string): boolean {
  return /^(flags|Features)\s*:.*\baes\b/m.test(cpuinfo);
}

/** False when the kernel runs without IPv6: binding `::` would fail. */
export function kernelHasIpv6(): boolean {
  return existsSync("/proc/net/if_inet6");
}

/** Tells peers that this process is not the one they had sessions with. */
export function drawBoot(): bigint {
  return randomBytes(8).readBigUInt64LE();
}
