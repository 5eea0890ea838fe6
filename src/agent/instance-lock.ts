/**
 * One agent for one state folder. The lock is an abstract Unix socket: the kernel gives it to exactly
 * one process of the network namespace and takes it back however that process ends, so there is
 * nothing stale to clean up.
 */
import { createHash } from "node:crypto";
import { realpathSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { systemCodeOf, WeftError } from "./errors.ts";

export interface InstanceLock {
  release(): void;
}

/** @throws WeftError already-running */
export async function acquireLock(folder: string): Promise<InstanceLock> {
  const digest = createHash("sha256").update(realpathSync(folder)).digest("hex").slice(0, 32);
  const server = createServer((socket) => socket.destroy());
  await listen(server, `\0weft-${digest}`).catch((error: unknown) => {
    if (systemCodeOf(error) !== "EADDRINUSE") throw error;
    throw new WeftError(
      "already-running",
      `an agent already runs for ${folder}: \`weft status\` shows it, \`weft down\` stops it`,
    );
  });
  server.unref();
  return { release: () => server.close() };
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ path }, resolve);
  });
}
