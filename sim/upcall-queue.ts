import { ENGINE_LIMITS, type Upcall } from "../src/base/engine.ts";

/** Upcalls on their way to the core, bounded by number and by bytes: a flood is dropped here. */
export class UpcallQueue {
  #items: Upcall[] = [];
  #bytes = 0;

  get length(): number {
    return this.#items.length;
  }

  /** False when the queue is full and the upcall was not taken. */
  push(upcall: Upcall): boolean {
    const bytes = byteLength(upcall);
    if (this.#items.length >= ENGINE_LIMITS.upcalls) return false;
    if (this.#bytes + bytes > ENGINE_LIMITS.upcallBytes) return false;
    this.#items.push(upcall);
    this.#bytes += bytes;
    return true;
  }

  takeAll(): Upcall[] {
    const items = this.#items;
    if (items.length === 0) return items;
    this.#items = [];
    this.#bytes = 0;
    return items;
  }
}

function byteLength(upcall: Upcall): number {
  if ("bytes" in upcall) return upcall.bytes.length;
  return upcall.kind === "miss" ? upcall.head.length : 0;
}
