/** What the paths of a session are told about, and what they tell of their probes. */
import type { SessionId, SocketIndex } from "../base/engine.ts";
import type { Endpoint, IpFamily } from "../base/net.ts";
import type { Rng } from "../base/rng.ts";
import type { Millis } from "../base/time.ts";
import type { OwnPlace } from "./own-place.ts";

export interface PathsOptions {
  readonly session: SessionId;
  readonly rng: Rng;
  readonly sockets: readonly IpFamily[];
  readonly periodMs: Millis;
  /** This side calls the rounds of probing. */
  readonly isCaller: boolean;
  readonly place: OwnPlace;
}

/** A probe that nothing follows unless it is answered. */
export interface LoneProbe {
  readonly socket: SocketIndex;
  readonly to: Endpoint;
  /** It is to die on the way, beyond our own NATs. */
  readonly isOpener: boolean;
}

/** A probe of ours that was answered. */
export interface AnsweredProbe {
  readonly tookMs: Millis;
  /** The socket it left from, and where it went; undefined through a relay. */
  readonly from: { readonly socket: SocketIndex; readonly endpoint: Endpoint } | undefined;
}
