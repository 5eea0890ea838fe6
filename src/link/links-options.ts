import type { IpFamily } from "../base/net.ts";
import type { SelfOptions } from "./handshake-self.ts";

/** What this node is, and what its engine has. */
export interface LinksOptions extends SelfOptions {
  readonly name: string;
  /** The family of each of the engine's UDP sockets, in order. */
  readonly sockets: readonly IpFamily[];
}
