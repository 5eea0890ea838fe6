/** The image of docker/Dockerfile, from nothing, and the network key that its compose files ask for. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Lab } from "../../lab/lab.ts";
import { run } from "../../lab/shell.ts";
import { generateNetworkKey } from "../../src/agent/network-key.ts";
import { figure, secondsSince } from "./cluster.ts";
import { type Podman, PREPARE_MS, ROOT } from "./podman.ts";

export async function buildImage(podman: Podman): Promise<void> {
  const packing = ["scripts/pack.mjs", "--no-deb", "--arch", process.arch];
  await run([process.execPath, ...packing], { timeoutMs: PREPARE_MS });
  await podman.prepare();
  await podman.provideNode();
  const started = performance.now();
  await podman.build(join(ROOT, "docker/Dockerfile"), "weft");
  figure(`containers: the image was built in ${secondsSince(started)}`);
}

/** Where the compose file's own folder would have it. */
export function writeSecret(lab: Lab): void {
  writeFileSync(join(lab.folder, "secret"), `${generateNetworkKey()}\n`, { mode: 0o644 });
}
