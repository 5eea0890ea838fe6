/** A TAP interface for users of the package (`weft/tap`): Ethernet frames as byte arrays. */
import { constants } from "node:os";
import type { Mac } from "../base/net.ts";
import { type AddonTap, loadAddon, openOrExplain, type TapDeviceOptions } from "./engine.ts";

export { EngineOpenError, type OpenErrorCode, type TapDeviceOptions } from "./engine.ts";

/** A system call on an open TAP failed. `errno` is positive. */
export class TapError extends Error {
  readonly errno: number;

  constructor(what: string, errno: number) {
    super(`${what}: ${errnoName(errno)}`);
    this.name = "TapError";
    this.errno = errno;
  }
}

/**
 * One open TAP. Frames start with the Ethernet header and carry no checksum at the end.
 *
 *      const tap = Tap.open({ name: "weft0", mtu: 1390, up: true });
 *      for await (const frame of tap) tap.write(answer(frame));
 */
export class Tap {
  readonly #tap: AddonTap;
  readonly name: string;
  #isClosed = false;
  #isReading = false;

  private constructor(tap: AddonTap) {
    this.#tap = tap;
    this.name = tap.facts().name;
  }

  /** @throws EngineOpenError no-tun-device, no-capability, tap-busy, bad-option, no-addon */
  static open(options: TapDeviceOptions = {}): Tap {
    const addon = loadAddon();
    return new Tap(openOrExplain(() => new addon.Tap(options)));
  }

  /** Takes over a descriptor that keeps packet borders, such as a TAP opened by a starter. */
  static adopt(fd: number): Tap {
    return new Tap(new (loadAddon().Tap)({ fd }));
  }

  /**
   * The next frame; undefined once the TAP is closed. One reader at a time.
   * @throws TapError
   */
  async read(): Promise<Uint8Array | undefined> {
    if (this.#isReading) throw new Error("another read of this TAP is waiting");
    this.#isReading = true;
    try {
      for (;;) {
        if (this.#isClosed) return undefined;
        const frame = this.tryRead();
        if (frame !== undefined) return frame;
        await new Promise<void>((resolve) => this.#tap.whenReadable(resolve));
      }
    } finally {
      this.#isReading = false;
    }
  }

  /**
   * A frame that is there already, else undefined.
   * @throws TapError
   */
  tryRead(): Uint8Array | undefined {
    const frame = this.#tap.read();
    if (typeof frame !== "number") return frame;
    if (-frame === constants.errno.EAGAIN) return undefined;
    throw new TapError(`cannot read ${this.name}`, -frame);
  }

  /** False when the interface's queue is full; @throws TapError otherwise. */
  write(frame: Uint8Array): boolean {
    const result = this.#tap.write(frame);
    if (result === 0) return true;
    if ([constants.errno.EAGAIN, constants.errno.ENOBUFS].includes(-result)) return false;
    throw new TapError(`cannot write to ${this.name}`, -result);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void> {
    for (let frame = await this.read(); frame !== undefined; frame = await this.read()) yield frame;
  }

  /** undefined when there is no interface behind the descriptor. */
  get mtu(): number | undefined {
    return this.#tap.facts().mtu;
  }

  get mac(): Mac | undefined {
    return this.#tap.facts().mac;
  }

  /** @throws TapError */
  setMtu(mtu: number): void {
    this.#set({ mtu });
  }

  /** Off makes DHCP clients on the interface start over. @throws TapError */
  setCarrier(carrier: boolean): void {
    this.#set({ carrier });
  }

  /** Whether the interface outlives this process. @throws TapError */
  setPersistent(persistent: boolean): void {
    this.#set({ persistent });
  }

  #set(changes: Parameters<AddonTap["set"]>[0]): void {
    const result = this.#tap.set(changes);
    if (result !== 0) throw new TapError(`cannot set up ${this.name}`, -result);
  }

  /** Ends a waiting read too. Twice is fine; a persistent interface stays. */
  close(): void {
    this.#isClosed = true;
    this.#tap.close();
  }
}

function errnoName(errno: number): string {
  const found = Object.entries(constants.errno).find(([, value]) => value === errno);
  return found?.[0] ?? `errno ${errno}`;
}
