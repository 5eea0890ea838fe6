/** A lab with a compose file of the repository and the image that it needs. */
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { Lab } from "../../lab/lab.ts";
import type { Reason } from "../support/requires.ts";
import { kernelNeeds } from "./cluster.ts";
import { Compose } from "./compose.ts";
import {
  CONTAINER_TOOLS,
  Podman,
  PREPARE_MS,
  ROOT,
  requireDebian,
  requirePodman,
} from "./podman.ts";
import { buildImage, writeSecret } from "./weft-image.ts";

export interface Containers {
  readonly podman: Podman;
  readonly compose: Compose;
}

export async function containerNeeds(): Promise<readonly Reason[]> {
  return [...kernelNeeds(...CONTAINER_TOOLS), await requirePodman(), requireDebian()];
}

/**
 * Makes them before the tests, and takes away afterwards whatever was made.
 *
 * @param file below the repository's root
 */
export function useContainers(
  name: string,
  file: string,
  removeMs: number,
  made: (containers: Containers) => void,
): void {
  let lab: Lab | undefined;
  let podman: Podman | undefined;

  beforeAll(async () => {
    lab = await Lab.create(`${name}-${process.env["WEFT_KERNEL_RUN"] ?? "alone"}`);
    podman = await Podman.create(lab);
    await buildImage(podman);
    writeSecret(lab);
    made({ podman, compose: new Compose(podman, join(ROOT, file), lab.folder) });
  }, PREPARE_MS);
  afterAll(async () => {
    await podman?.remove();
    await lab?.remove();
  }, removeMs);
}
