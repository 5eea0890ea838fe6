/**
 * The native engine as the agent sees it. The only file that touches the addon: everything that the
 * addon exports is typed here, and its errors become EngineOpenError.
 */
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Cipher, Engine, EngineCommand, EngineCounters, Upcall } from "../base/engine.ts";
import type { Endpoint, Ip, Mac } from "../base/net.ts";

/** Why an engine or a TAP cannot be had: one line each in the CLI. */
export type OpenErrorCode =
  | "no-addon"
  | "no-tun-device"
  | "no-capability"
  | "port-busy"
  | "tap-busy"
  | "no-crypto"
  | "bad-option"
  | "system";

export class EngineOpenError extends Error {
  readonly code: OpenErrorCode;
  /** What the machine said; names the object. */
  readonly detail: string;

  constructor(code: OpenErrorCode, detail: string) {
    super(`${code}: ${detail}`);
    this.name = "EngineOpenError";
    this.code = code;
    this.detail = detail;
  }
}

export interface TapDeviceOptions {
  /** At most 15 bytes, `%d` allowed; without it the kernel chooses tapN. */
  readonly name?: string;
  /** 68..9202; without it left as it is. */
  readonly mtu?: number;
  /** The interface outlives this process. */
  readonly persistent?: boolean;
  /** Who may open a persistent interface later. */
  readonly ownerUid?: number;
  readonly mac?: Mac;
  /** /dev/net/tun, opened by a starter with more rights than ours; the addon takes it over. */
  readonly deviceFd?: number;
  /** Set the interface up once everything else succeeded. */
  readonly up?: boolean;
}

/** A descriptor that keeps packet borders, opened elsewhere; the engine owns it from then on. */
export interface TapDescriptorOptions {
  readonly fd: number;
  /** Every frame has a 10-byte virtio_net_hdr in front. */
  readonly vnetHeader?: boolean;
}

export interface OffloadSwitches {
  readonly tapSuperframes: boolean;
  readonly udpSegment: boolean;
  readonly udpGro: boolean;
}

export interface NativeEngineOptions {
  /** UDP sockets in the order of `SocketIndex`; port 0 = any, `0.0.0.0` or `::` = every address. */
  readonly sockets: readonly { readonly ip: Ip; readonly port: number }[];
  /** Without it frames come and go only through commands. */
  readonly tap?: TapDeviceOptions | TapDescriptorOptions;
  /** 32 bytes */
  readonly mac1Key: Uint8Array;
  /** Datagrams that begin with `d`, as those of the BitTorrent DHT, come up as well. Default: no. */
  readonly bencode?: boolean;
  /** Kernel offloads that may be used; all by default, each is probed as well. */
  readonly offloads?: Partial<OffloadSwitches>;
}

interface EngineFacts {
  readonly endpoints: readonly Endpoint[];
  readonly tapName: string;
  readonly tapMtu: number | undefined;
  readonly tapMac: Mac | undefined;
  readonly offloads: OffloadSwitches;
}

interface AddonEngine {
  apply(commands: readonly EngineCommand[]): void;
  drain(): Upcall[];
  counters(): EngineCounters;
  facts(): EngineFacts | undefined;
  setTapMtu(mtu: number): number;
  setKeepsAlive(keepsAlive: boolean): void;
  close(): void;
}

/** The addon's TAP: negative numbers are -errno. */
export interface AddonTap {
  read(): Uint8Array | number;
  write(frame: Uint8Array): number;
  /** Calls back once when `read` is worth trying, or when the TAP is closed. */
  whenReadable(callback: () => void): void;
  facts(): {
    readonly name: string;
    readonly fd: number;
    readonly mtu: number | undefined;
    readonly mac: Mac | undefined;
  };
  set(changes: {
    mtu?: number;
    mac?: Mac;
    up?: boolean;
    carrier?: boolean;
    persistent?: boolean;
  }): number;
  close(): void;
}

/** The addon's word that addresses, interfaces or routes of this host changed. */
export interface AddonNetworkWatch {
  /** Calls back once, at the next change since this call; keeps nothing alive. */
  whenChanged(callback: () => void): void;
  close(): void;
}

export interface AeadRequest {
  readonly cipher: Cipher;
  /** 32 bytes */
  readonly key: Uint8Array;
  /** 12 bytes */
  readonly nonce: Uint8Array;
  readonly associated: Uint8Array;
  readonly bytes: Uint8Array;
}

/** Everything the addon exports. */
export interface Addon {
  readonly Engine: new (options: NativeEngineOptions, onReady: () => void) => AddonEngine;
  readonly Tap: new (options: TapDeviceOptions | { readonly fd: number }) => AddonTap;
  /** Throws where there is no rtnetlink. */
  readonly NetworkWatch: new () => AddonNetworkWatch;
  /** Ciphertext and tag. */
  seal(request: AeadRequest): Uint8Array;
  /** The plaintext; undefined when the tag is wrong. */
  open(request: AeadRequest): Uint8Array | undefined;
  mac1(request: { readonly key: Uint8Array; readonly bytes: Uint8Array }): Uint8Array;
  boottimeMs(): number;
  /** One datagram to a Unix socket, a path or `@name`; 0 or -errno. */
  notifyService(request: { readonly socket: string; readonly text: string }): number;
  /** Two connected descriptors that keep packet borders: a TAP that needs no privilege. */
  framePair(): [number, number];
}

/** An open native engine. Nothing about it keeps the event loop alive until `setKeepsAlive(true)`. */
export class NativeEngine implements Engine {
  readonly #engine: AddonEngine;
  readonly #facts: EngineFacts;
  #onUpcalls: ((upcalls: Upcall[]) => void) | undefined;
  #isReady = false;

  /** @throws EngineOpenError */
  constructor(options: NativeEngineOptions) {
    const addon = loadAddon();
    this.#engine = openOrExplain(() => new addon.Engine(options, () => this.#ready()));
    const facts = this.#engine.facts();
    if (facts === undefined) throw new EngineOpenError("system", "the engine closed at once");
    this.#facts = facts;
  }

  /** Calls back with what came up, once for each doorbell, in one drain. */
  onUpcalls(callback: (upcalls: Upcall[]) => void): void {
    this.#onUpcalls = callback;
    if (this.#isReady) this.#ready();
  }

  #ready(): void {
    this.#isReady = true;
    if (this.#onUpcalls === undefined) return;
    const upcalls = this.drain();
    if (upcalls.length > 0) this.#onUpcalls(upcalls);
  }

  apply(commands: readonly EngineCommand[]): void {
    this.#engine.apply(commands);
  }

  drain(): Upcall[] {
    this.#isReady = false;
    return this.#engine.drain();
  }

  counters(): EngineCounters {
    return this.#engine.counters();
  }

  close(): void {
    this.#engine.close();
  }

  /** Where each socket is bound, in the order of the options. */
  get boundEndpoints(): readonly Endpoint[] {
    return this.#facts.endpoints;
  }

  /** The TAP's name; empty without one. */
  get tapName(): string {
    return this.#facts.tapName;
  }

  get tapMac(): Mac | undefined {
    return this.#facts.tapMac;
  }

  /** The TAP's MTU as it is now. */
  get tapMtu(): number | undefined {
    return this.#engine.facts()?.tapMtu;
  }

  /** False when the kernel refused. */
  setTapMtu(mtu: number): boolean {
    return this.#engine.setTapMtu(mtu) === 0;
  }

  /** What the probes at start left on. */
  get offloads(): OffloadSwitches {
    return this.#facts.offloads;
  }

  setKeepsAlive(keepsAlive: boolean): void {
    this.#engine.setKeepsAlive(keepsAlive);
  }
}

/** @throws EngineOpenError */
export function openNativeEngine(options: NativeEngineOptions): NativeEngine {
  return new NativeEngine(options);
}

/** Runs an addon constructor and turns its error into an EngineOpenError; TypeErrors stay. */
export function openOrExplain<T>(open: () => T): T {
  try {
    return open();
  } catch (error) {
    const { code, errno, message } = error as { code?: string; errno?: number; message: string };
    if (code === undefined) throw error;
    throw new EngineOpenError(openErrorCode(code, errno ?? 0), message);
  }
}

/** @param code as in native/engine/open-error.h */
function openErrorCode(code: string, errno: number): OpenErrorCode {
  const { EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT, EBUSY, ENODEV, ENOENT, ENXIO } = constants.errno;
  if (code === "bad-option" || code === "no-crypto") return code;
  if (code === "not-permitted") return "no-capability";
  if (code === "tap") {
    if ([ENOENT, ENODEV, ENXIO].includes(errno)) return "no-tun-device";
    return errno === EBUSY ? "tap-busy" : "system";
  }
  if (code !== "socket") return "system";
  if (errno === EADDRINUSE) return "port-busy";
  return [EADDRNOTAVAIL, EAFNOSUPPORT].includes(errno) ? "bad-option" : "system";
}

let loaded: Addon | undefined;

/** @throws EngineOpenError no-addon */
export function loadAddon(): Addon {
  if (loaded !== undefined) return loaded;
  const file = findAddon();
  try {
    loaded = createRequire(import.meta.url)(file) as Addon;
  } catch (error) {
    throw new EngineOpenError(
      "no-addon",
      `cannot load ${file} (${(error as Error).message}): install or build weft for this machine anew`,
    );
  }
  return loaded;
}

/** One that came with the package, or the checkout's own build. */
function findAddon(): string {
  const root = packageRoot(dirname(fileURLToPath(import.meta.url)));
  const kind = machineKind(readFileSync("/proc/self/maps", "utf8"));
  const prebuilt = join(root, "prebuilds", kind, "weft.node");
  if (existsSync(prebuilt)) return prebuilt;
  const own = join(root, "build", "Release", "weft.node");
  if (existsSync(own)) return own;
  const cure = existsSync(join(root, "binding.gyp"))
    ? "run npm run build:native"
    : `this package has none for ${kind}: build weft from its sources here`;
  throw new EngineOpenError("no-addon", `no weft.node under ${root}: ${cure}`);
}

/**
 * As the folders of prebuilt addons are named: `linux-x64`, `linux-arm64-musl`.
 * @param maps /proc/self/maps: it names the C library that this process runs on
 */
export function machineKind(maps: string): string {
  const libc = /\/ld-musl-/.test(maps) ? "-musl" : "";
  return `${process.platform}-${process.arch}${libc}`;
}

/** The nearest folder above with a package.json: this file runs from src/ and from dist/src/. */
function packageRoot(folder: string): string {
  const parent = dirname(folder);
  return existsSync(join(folder, "package.json")) || parent === folder
    ? folder
    : packageRoot(parent);
}
