/** The part of `bittorrent-dht` that mainline-dht.ts uses; the package has no types of its own. */
declare module "bittorrent-dht" {
  import type { EventEmitter } from "node:events";

  interface Peer {
    readonly host: string;
    readonly port: number;
  }
  interface ClientOptions {
    /** `host:port` each; false = none. */
    readonly bootstrap?: readonly string[];
    /** As of node:dgram, as far as the package uses it. */
    readonly socket?: EventEmitter;
    /** Questions under way. */
    readonly concurrency?: number;
  }
  export class Client extends EventEmitter {
    constructor(options: ClientOptions);
    /** Peers come as events `peer` (Peer, infohash). */
    lookup(infohash: Buffer, callback: (error: Error | null) => void): void;
    /** Port 0: the one that our datagrams come from. */
    announce(infohash: Buffer, port: number, callback: (error: Error | null) => void): void;
    destroy(callback?: () => void): void;
  }
}
