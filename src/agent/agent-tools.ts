/** The machine as the agent sees it. */
import type { DropReason } from "../base/drop-reason.ts";
import type { Engine, Upcall } from "../base/engine.ts";
import type { Machine } from "../base/machine.ts";
import type { Endpoint, Mac } from "../base/net.ts";
import type { Millis } from "../base/time.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import type { HostInterface } from "../io/interface.ts";
import type { NodeConfig, NodeInput, NodeOutput } from "../node/config.ts";
import type { NodeStatus } from "../node/status.ts";
import type { Resolver } from "./bootstrap-names.ts";
import type { BridgeTools } from "./bridged-site.ts";
import type { AdjustableLog } from "./log.ts";
import type { SurroundingsTools } from "./surroundings.ts";

export interface EngineRequest {
  readonly sockets: readonly Endpoint[];
  readonly tap: { readonly name: string; readonly mac: Mac; readonly mtu: number };
  readonly mac1Key: Uint8Array;
  /** Datagrams of the BitTorrent DHT come up as well. */
  readonly bencode: boolean;
  /** What came up, one drain at a time, until the engine is closed. */
  readonly onUpcalls: (upcalls: readonly Upcall[]) => void;
}

export interface OpenedEngine {
  readonly engine: Engine;
  /** As bound, one for each socket. */
  readonly endpoints: readonly Endpoint[];
}

export type AgentNode = Machine<NodeInput, NodeOutput> & {
  status(now: Millis): NodeStatus;
  drops(): Partial<Record<DropReason, number>>;
};

/** The machine as the agent sees it; tests bring their own. */
export interface AgentTools extends SurroundingsTools {
  readonly suite: CryptoSuite;
  readonly log: AdjustableLog;
  readonly version: string;
  readonly hasAes: boolean;
  readonly hasIpv6: boolean;
  readonly now: () => Millis;
  readonly drawBoot: () => bigint;
  /** @throws WeftError */
  readonly openEngine: (request: EngineRequest) => OpenedEngine;
  readonly createNode: (config: NodeConfig) => AgentNode;
  readonly hostInterface: HostInterface;
  /** With `bridge:`. */
  readonly bridge?: BridgeTools;
  readonly resolver: Resolver;
}
