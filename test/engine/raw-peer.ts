/** A peer made of a bare socket and the real ciphers: it can do what an engine never would. */

import {
  fillNonce,
  HEADER_BYTES,
  layOut,
  type SealForm,
  SHIM_BYTES,
  TYPE_RELAY,
  writeHeader,
} from "../../sim/datagram.ts";
import type { Label } from "../../src/base/engine.ts";
import type { Endpoint } from "../../src/base/net.ts";
import {
  directionKeys,
  type EngineNode,
  type KeySet,
  type Lab,
  type RawSocket,
  receiverIndex,
} from "./lab.ts";
import { NODE_AEAD } from "./node-aead.ts";

export class RawPeer {
  readonly socket: RawSocket;
  readonly #to: Endpoint;
  readonly #keys: KeySet;
  counter = 0;

  constructor(socket: RawSocket, to: Endpoint, keys: KeySet) {
    this.socket = socket;
    this.#to = to;
    this.#keys = keys;
  }

  static async make(lab: Lab, node: EngineNode, keys: KeySet): Promise<RawPeer> {
    return new RawPeer(await lab.raw(), node.endpoint, keys);
  }

  /** A sealed datagram with the next counter, or the given one. */
  seal(
    body: Uint8Array,
    form: SealForm,
    options: { counter?: number; label?: Label } = {},
  ): Uint8Array {
    const { generation, side, cipher = "aes256gcm" } = this.#keys;
    const other = side === 0 ? 1 : 0;
    const counter = options.counter ?? this.counter++;
    const header = { to: receiverIndex(generation, other), counter };
    const datagram = layOut(header, body, form, options.label);
    const data = options.label === undefined ? datagram : datagram.subarray(SHIM_BYTES);
    const key = directionKeys(generation, side);
    const nonce = new Uint8Array(12);
    fillNonce(nonce, key.salt, data, 0);
    NODE_AEAD.seal(NODE_AEAD.prepare(cipher, key), nonce, data, HEADER_BYTES);
    return datagram;
  }

  send(datagram: Uint8Array): void {
    this.socket.send(this.#to, datagram);
  }

  sendSealed(
    body: Uint8Array,
    form: SealForm,
    options: { counter?: number; label?: Label } = {},
  ): void {
    this.send(this.seal(body, form, options));
  }

  /** Opens what the engine sealed for us; descriptor and body, undefined when the tag is wrong. */
  open(datagram: Uint8Array): Uint8Array | undefined {
    const { generation, side, cipher = "aes256gcm" } = this.#keys;
    const data = datagram[0] === TYPE_RELAY ? datagram.subarray(SHIM_BYTES) : datagram;
    const key = directionKeys(generation, side === 0 ? 1 : 0);
    const nonce = new Uint8Array(12);
    fillNonce(nonce, key.salt, data, 0);
    return NODE_AEAD.open(NODE_AEAD.prepare(cipher, key), nonce, data, HEADER_BYTES);
  }
}

/** A data datagram that nobody holds keys for. */
export function opaqueData(length: number): Uint8Array {
  const out = new Uint8Array(length).fill(0x5a);
  out.fill(0, 0, HEADER_BYTES);
  writeHeader(out, 0, 0xdead_beef, 1);
  return out;
}
