import { ENGINE_LIMITS, type PathIndex, type SocketIndex } from "../base/engine.ts";
import { type Endpoint, sameEndpoint } from "../base/net.ts";
import type { Rng } from "../base/rng.ts";
import type { Millis } from "../base/time.ts";
import { type NewPath, newPath, type Path, type RelayHop } from "./path.ts";

/** Paths through relays; the rest of the engine's eight are direct. */
export const MAX_RELAY_PATHS = 2;
export const MAX_DIRECT_PATHS = ENGINE_LIMITS.pathsPerSession - MAX_RELAY_PATHS;

/** The paths of one session by the engine's index. */
export class PathTable {
  readonly #rng: Rng;
  readonly #paths = new Map<PathIndex, Path>();

  constructor(rng: Rng) {
    this.#rng = rng;
  }

  /** A copy: the caller may add and remove while it walks. */
  all(): readonly Path[] {
    return [...this.#paths.values()];
  }

  direct(): readonly Path[] {
    return this.all().filter(({ to }) => to.kind === "direct");
  }

  relayed(): readonly Path[] {
    return this.all().filter(({ to }) => to.kind === "relay");
  }

  get(index: PathIndex): Path | undefined {
    return this.#paths.get(index);
  }

  /** Whether this very path is still in use, not another one under its index. */
  has(path: Path): boolean {
    return this.#paths.get(path.index) === path;
  }

  findDirect(socket: SocketIndex, endpoint: Endpoint): Path | undefined {
    for (const path of this.#paths.values()) {
      const { to } = path;
      if (to.kind !== "direct" || to.socket !== socket) continue;
      if (sameEndpoint(to.endpoint, endpoint)) return path;
    }
    return undefined;
  }

  findRelay({ via, label }: RelayHop): Path | undefined {
    for (const path of this.#paths.values()) {
      const { to } = path;
      if (to.kind === "relay" && to.via === via && to.label === label) return path;
    }
    return undefined;
  }

  /** Undefined when the engine has no index left. */
  add(now: Millis, asked: NewPath): Path | undefined {
    const index = this.#freeIndex();
    if (index === undefined) return undefined;
    const path = newPath(now, index, asked, this.#rng);
    this.#paths.set(index, path);
    return path;
  }

  remove(path: Path): void {
    this.#paths.delete(path.index);
  }

  #freeIndex(): PathIndex | undefined {
    for (let index = 0; index < ENGINE_LIMITS.pathsPerSession; index++) {
      if (!this.#paths.has(index)) return index;
    }
    return undefined;
  }
}
