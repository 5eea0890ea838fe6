/** Both sides of handshakes behind one door: sorts messages by type and direction. */
import { Outbox } from "../base/machine.ts";
import type { Endpoint, IpFamily } from "../base/net.ts";
import type { RingAddress } from "../base/ring-address.ts";
import type { Millis } from "../base/time.ts";
import { parseHandshake1 } from "../wire/handshake.ts";
import { DATAGRAM_TYPES } from "../wire/message-type.ts";
import type { DropCounters } from "./drop-counters.ts";
import {
  type ConnectRequest,
  type FailedConnect,
  type FreshLinks,
  HandshakeInitiator,
} from "./handshake-initiator.ts";
import { HandshakeResponder } from "./handshake-responder.ts";
import type { Channel, HandshakeResult, HandshakeSelf } from "./handshake-self.ts";

/** The lower address keeps the initiator's role for this long; then any handshake is welcome. */
const KEEP_ROLE_MS = 1_000;

export type HandshakesOutput =
  | { readonly kind: "send"; readonly channel: Channel; readonly bytes: Uint8Array }
  | {
      readonly kind: "done";
      readonly result: HandshakeResult;
      /** Undefined when the peer asked. */
      readonly request: ConnectRequest | undefined;
    }
  | FailedConnect
  | { readonly kind: "unconfirmed"; readonly peer: RingAddress };

export interface HandshakesOptions {
  readonly self: HandshakeSelf;
  readonly sockets: readonly IpFamily[];
  readonly drops: DropCounters;
  readonly links: FreshLinks;
}

export class Handshakes {
  readonly #self: HandshakeSelf;
  readonly #drops: DropCounters;
  readonly #initiator: HandshakeInitiator;
  readonly #responder: HandshakeResponder;
  readonly #out = new Outbox<HandshakesOutput>();

  constructor(options: HandshakesOptions) {
    this.#self = options.self;
    this.#drops = options.drops;
    this.#initiator = new HandshakeInitiator(options);
    this.#responder = new HandshakeResponder(options.self, options.drops);
  }

  start(now: Millis, request: ConnectRequest): void {
    this.#initiator.start(now, request);
    this.#drain();
  }

  /** A link to this peer exists: attempts for it are satisfied. */
  settle(address: RingAddress, endpoint: Endpoint | undefined): void {
    this.#initiator.settle(address, endpoint);
  }

  /** The peer was heard under a session: it needs message 3 no more. */
  confirm(peer: RingAddress): void {
    this.#initiator.confirm(peer);
  }

  receive(now: Millis, channel: Channel, bytes: Uint8Array): void {
    this.#dispatch(now, channel, bytes);
    this.#drain();
  }

  timeout(now: Millis): void {
    this.#initiator.timeout(now);
    this.#responder.timeout(now);
    this.#drain();
  }

  deadline(): Millis {
    return Math.min(this.#initiator.deadline(), this.#responder.deadline());
  }

  poll(): HandshakesOutput | undefined {
    return this.#out.poll();
  }

  #dispatch(now: Millis, channel: Channel, bytes: Uint8Array): void {
    switch (bytes[0]) {
      case DATAGRAM_TYPES["handshake-1"]:
        return this.#receive1(now, channel, bytes);
      case DATAGRAM_TYPES["handshake-2"]:
        return this.#initiator.receive2(now, channel, bytes);
      case DATAGRAM_TYPES["handshake-3"]:
        return this.#responder.receive3(now, channel, bytes);
      case DATAGRAM_TYPES.cookie:
        if (channel.kind !== "socket") return this.#drops.count("unknown-type");
        return this.#initiator.receiveCookie(now, channel.endpoint, bytes);
      case DATAGRAM_TYPES["version-refused"]:
        return this.#initiator.receiveRefusal(bytes);
      default:
        return this.#drops.count("unknown-type");
    }
  }

  #receive1(now: Millis, channel: Channel, bytes: Uint8Array): void {
    const message = parseHandshake1(bytes);
    if (message.ok && this.#initiator.recognise(message.value.noise)) return;
    if (channel.kind === "ring" && this.#keepsRole(now, channel.address)) return;
    this.#responder.receive1(now, channel, bytes);
  }

  /** Both asked each other: the lower address stays the initiator. */
  #keepsRole(now: Millis, peer: RingAddress): boolean {
    const askingSince = this.#initiator.askingSince(peer);
    if (askingSince === undefined || now - askingSince >= KEEP_ROLE_MS) return false;
    return this.#self.options.address < peer;
  }

  #drain(): void {
    for (let out = this.#initiator.poll(); out !== undefined; out = this.#initiator.poll()) {
      this.#out.push(out);
    }
    for (let out = this.#responder.poll(); out !== undefined; out = this.#responder.poll()) {
      this.#out.push(out.kind === "done" ? { ...out, request: undefined } : out);
    }
  }
}
