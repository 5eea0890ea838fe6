/** An ssh session over virtual addresses that counts aloud. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Site } from "../../lab/lab.ts";
import { eventually, type Running, run } from "../../lab/shell.ts";

export const SSH_PORT = 2222;
/** Nothing of this machine's own settings; the key is all that a stranger needs. */
export const SSH_CLIENT = [
  "-F",
  "/dev/null",
  ...["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "BatchMode=yes"].flatMap(
    (option) => ["-o", option],
  ),
];

/** An agent, or whatever else has a namespace. */
interface Machine {
  readonly site: Site;
}

/** A server of its own with keys of its own. @returns the path of the client's key */
export async function startSshServer({ site }: Machine, ip: string): Promise<string> {
  const folder = join(site.folder, "ssh");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const [hostKey, userKey] = [join(folder, "host"), join(folder, "user")];
  for (const key of [hostKey, userKey]) {
    await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key]);
  }
  const config = join(folder, "config");
  writeFileSync(config, sshdConfig(ip, hostKey, `${userKey}.pub`));
  // /run/sshd must exist; the namespace has mounts of its own, so the machine's /run stays as it is
  const prepare = "mount -t tmpfs tmpfs /run && mkdir -m 755 /run/sshd";
  const server = site.start([
    "sh",
    "-c",
    `${prepare} && exec $(command -v sshd) -D -e -f ${config}`,
  ]);
  const listens = async () => server.output.includes("Server listening");
  await eventually("sshd listens", listens, 10_000);
  return userKey;
}

function sshdConfig(ip: string, hostKey: string, authorized: string): string {
  return `ListenAddress ${ip}
Port ${SSH_PORT}
HostKey ${hostKey}
AuthorizedKeysFile ${authorized}
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
PidFile none
Subsystem sftp internal-sftp
`;
}

/** A remote loop that counts aloud, so that a gap or a new session would show. */
export function openSession({ site }: Machine, key: string, ip: string): Running {
  const loop = "i=0; while echo tick $i; do i=$((i+1)); sleep 0.2; done";
  return site.start(["ssh", ...SSH_CLIENT, "-p", `${SSH_PORT}`, "-i", key, `root@${ip}`, loop]);
}

export function ticks(session: Running): number[] {
  return [...session.output.matchAll(/^tick (\d+)$/gm)].map((match) => Number(match[1]));
}

export function lastTick(session: Running): number {
  return ticks(session).at(-1) ?? 0;
}

export async function ticksPast(session: Running, least: number): Promise<void> {
  const further = async () => lastTick(session) > least;
  try {
    await eventually(`the session counts past ${least}`, further, 20_000);
  } catch (error) {
    throw new Error(`${(error as Error).message}: ${session.output.slice(-800)}`);
  }
}
