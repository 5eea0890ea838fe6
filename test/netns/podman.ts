/**
 * Containers without a registry and without a daemon: podman in a namespace of the lab, so that its
 * bridges and filter rules are none of the machine's. Images are kept between runs in .cache/containers;
 * what stands for the official Node image is a Debian of debootstrap with the running Node in it.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Lab } from "../../lab/lab.ts";
import { type Finished, finish, type RunOptions, run } from "../../lab/shell.ts";
import type { Reason } from "../support/requires.ts";
import { Turn } from "./turn.ts";

export const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const CACHE = join(ROOT, ".cache", "containers");
const STORAGE = join(CACHE, "storage");
/** Always the same places: what a run left that was cut off, the next one can remove. */
const STATE = join(CACHE, "run");
const NETWORKS = join(CACHE, "networks");
const PLACES = ["--root", STORAGE, "--runroot", STATE, "--network-config-dir", NETWORKS];
const MANNER = [...PLACES, "--runtime", "runc", "--cgroup-manager", "cgroupfs"];

/** A Debian and what is in it besides the least. */
interface Base {
  readonly release: string;
  readonly packages: string;
  /** The running Node and its npm, where the official image has them. */
  readonly hasOurNode: boolean;
}

/** curl is in node:22-bookworm, iproute2 and udhcpc are what the image would fetch itself. */
const NODE_IMAGE: Base = {
  release: "bookworm",
  packages: "ca-certificates,curl,iproute2,iputils-ping,udhcpc",
  hasOurNode: true,
};
/** A machine that Debian's package is installed on, with Debian's own Node. */
const TRIXIE: Base = {
  release: "trixie",
  packages: "iproute2,iputils-ping,nodejs",
  hasOurNode: false,
};
export const TRIXIE_IMAGE = "debian:trixie";
/** As podman lists them: the name that `#provide` gives, at home. */
const BASES = "localhost/weft-base";
const NOT_IMPORTED = "--exclude=./var/cache/apt --exclude=./var/lib/apt/lists";
/** Names that Dockerfile and compose file ask for. */
const NODE_IMAGES = ["node:22-bookworm-slim", "node:22-bookworm"];
const MINUTE_MS = 60_000;
export const CONTAINER_TOOLS = [
  "podman",
  "buildah",
  "runc",
  "catatonit",
  "debootstrap",
  "nsenter",
  "setpriv",
];
/** A Debian, a package, two images: minutes on a busy machine, seconds when they are kept. */
export const PREPARE_MS = 20 * MINUTE_MS;
/** Containers that share the network of one that shares another's: more than any compose file here has. */
const DEPTH_MAX = 3;
/** The kernel of a test machine may not let these be raised. */
const LIMITS = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"];

/** podman makes its storage and looks at what the kernel has. */
export async function requirePodman(): Promise<Reason> {
  const turn = await Turn.take(CACHE, PREPARE_MS);
  const { status, stderr } = spawnSync("podman", [...MANNER, "info"], {
    encoding: "utf8",
    timeout: MINUTE_MS,
  });
  await turn.give();
  const why = stderr?.trim().split("\n").at(-1) ?? "";
  return status === 0 ? undefined : `needs a podman that runs here (${why.slice(0, 120)})`;
}

/** Where the mirror cannot be reached there is nothing to make an image of. */
export function requireDebian(): Reason {
  const url = "http://deb.debian.org/debian/dists/bookworm/Release";
  const script = `fetch("${url}", { method: "HEAD", signal: AbortSignal.timeout(10_000) }).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))`;
  const { status } = spawnSync(process.execPath, ["-e", script]);
  return status === 0 ? undefined : "needs a Debian mirror";
}

export class Podman {
  readonly #words: readonly string[];
  readonly #lab: Lab;
  readonly #turn: Turn;

  /** Of one checkout there is one at a time: its images, its networks and build/packages are shared. */
  static async create(lab: Lab): Promise<Podman> {
    return new Podman(lab, await Turn.take(CACHE, PREPARE_MS));
  }

  private constructor(lab: Lab, turn: Turn) {
    this.#lab = lab;
    this.#turn = turn;
    for (const folder of [STATE, NETWORKS]) mkdirSync(folder, { recursive: true });
    this.#words = ["nsenter", `--net=/run/netns/${lab.internet}`, "podman", ...MANNER];
  }

  /** Loopback for the name server, and nothing of a run that was cut off. */
  async prepare(): Promise<void> {
    await run(["ip", "-n", this.#lab.internet, "link", "set", "lo", "up"]);
    await this.#removeContainers();
    await this.finish(["volume", "rm", "--force", "--all"]);
  }

  finish(words: readonly string[], options: RunOptions = {}): Promise<Finished> {
    return finish([...this.#words, ...words], { timeoutMs: 2 * MINUTE_MS, ...options });
  }

  run(words: readonly string[], options: RunOptions = {}): Promise<string> {
    return run([...this.#words, ...words], { timeoutMs: 2 * MINUTE_MS, ...options });
  }

  /** Starts a container in the background. */
  async start(words: readonly string[]): Promise<void> {
    await this.run(["run", "--detach", "--log-driver", "none", ...LIMITS, ...words]);
  }

  /** Runs a container to its end and removes it. */
  attend(words: readonly string[]): Promise<Finished> {
    const manner = ["--rm", "--no-healthcheck", "--log-driver", "none"];
    return this.finish(["run", ...manner, ...LIMITS, ...words]);
  }

  exec(container: string, ...words: readonly string[]): Promise<Finished> {
    return this.finish(["exec", container, ...words]);
  }

  /** Of the container's first program, as this machine numbers it. */
  async pidOf(container: string): Promise<number> {
    return Number(await this.run(["inspect", "--format", "{{.State.Pid}}", container]));
  }

  /** What stands for the official images of Node. */
  provideNode(): Promise<void> {
    return this.#provide(NODE_IMAGE, NODE_IMAGES);
  }

  provideTrixie(): Promise<void> {
    return this.#provide(TRIXIE, [TRIXIE_IMAGE]);
  }

  /** Made once, and once more for another Node. */
  async #provide(base: Base, names: readonly string[]): Promise<void> {
    const image = `weft-base:${keyOf(base)}`;
    const { status } = await this.finish(["image", "exists", image]);
    if (status !== 0) {
      await this.#forgetBases();
      await this.#import(base, image);
    }
    for (const name of names) await this.run(["tag", image, name]);
  }

  /**
   * Of other Nodes and other Debians: what is kept does not grow. podman lists an image under all of its
   * names, also those that the other base of this run was just given.
   */
  async #forgetBases(): Promise<void> {
    const kept = [NODE_IMAGE, TRIXIE].map((base) => `${BASES}:${keyOf(base)}`);
    const listed = await this.run(["images", "--format", "{{.Repository}}:{{.Tag}}", "weft-base"]);
    const bases = listed.split("\n").filter((name) => name.startsWith(`${BASES}:`));
    const old = bases.filter((name) => !kept.includes(name));
    if (old.length > 0) await this.finish(["rmi", "--force", ...old]);
  }

  async #import(base: Base, image: string): Promise<void> {
    const folder = mkdtempSync(join(tmpdir(), `${this.#lab.prefix}-base-`));
    try {
      const options = ["--variant=minbase", `--include=${base.packages}`];
      const words = ["debootstrap", ...options, base.release, folder];
      await run(words, { timeoutMs: 15 * MINUTE_MS });
      if (base.hasOurNode) addNode(folder);
      const importing = [...this.#words, "import", "-", image].map((word) => `'${word}'`);
      const script = `tar -C "$1" ${NOT_IMPORTED} -cf - . | ${importing.join(" ")}`;
      await run(["sh", "-c", script, "sh", folder], { timeoutMs: 5 * MINUTE_MS });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }

  async build(dockerfile: string, tag: string): Promise<void> {
    const manner = ["--isolation", "chroot", "--pull=never", "--format", "docker", "--layers"];
    const words = ["build", ...manner, "--file", dockerfile, "--tag", tag, ROOT];
    await this.run(words, { timeoutMs: 10 * MINUTE_MS });
  }

  /** Everything but the images that the next run can use. */
  async remove(): Promise<void> {
    try {
      await this.#removeContainers();
      await this.finish(["volume", "rm", "--force", "--all"]);
      await this.finish(["network", "prune", "--force"]);
      await this.finish(["image", "prune", "--force"]);
      await finish(["umount", "--lazy", join(STORAGE, "overlay")]);
      for (const folder of [STATE, NETWORKS]) rmSync(folder, { recursive: true, force: true });
    } finally {
      await this.#turn.give();
    }
  }

  /** One whose network another shares goes after it, and podman does not see to the order. */
  async #removeContainers(): Promise<void> {
    const removing = ["rm", "--force", "--all", "--time", "0"];
    for (let depth = 1; depth < DEPTH_MAX; depth++) {
      if ((await this.finish(removing)).status === 0) return;
    }
    await this.run(removing);
  }
}

function keyOf(base: Base): string {
  const facts = JSON.stringify([base, base.hasOurNode ? process.version : ""]);
  return createHash("sha256").update(facts).digest("hex").slice(0, 16);
}

/** Where the official image has them. */
function addNode(folder: string): void {
  cpSync(process.execPath, join(folder, "usr/local/bin/node"));
  const modules = join(folder, "usr/local/lib/node_modules");
  mkdirSync(modules, { recursive: true });
  cpSync(npmFolder(), join(modules, "npm"), { recursive: true });
  symlinkSync("../lib/node_modules/npm/bin/npm-cli.js", join(folder, "usr/local/bin/npm"));
}

/** npm lies beside its Node, under lib/node_modules. */
function npmFolder(): string {
  return join(dirname(dirname(process.execPath)), "lib/node_modules/npm");
}

/** `Name: value` of /proc/PID/status. */
export function processFact(pid: number, name: string): string {
  const line = new RegExp(`^${name}:\\s*(.*)$`, "m");
  return line.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "";
}
