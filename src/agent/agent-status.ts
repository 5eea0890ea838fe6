/** The node's own report and what only the agent knows, as one JSON value (docs/OPERATING.md). */
import type { NodeStatus, PeerStatus } from "../node/status.ts";
import type { PortMappingStatus } from "./port-mapper.ts";

export interface AgentPeer extends PeerStatus {
  /** The direct path leads to a private address of a network this host is on. */
  readonly lan: boolean;
}

export interface AgentStatus extends NodeStatus {
  readonly peers: readonly AgentPeer[];
  readonly interface: string;
  /** The bridge that the interface is a port of. */
  readonly bridge: string | undefined;
  readonly range: string;
  readonly addressMode: string;
  /** Bound UDP endpoints. */
  readonly listen: readonly string[];
  /** What the router granted, or why it did not. */
  readonly portMapping: PortMappingStatus;
  readonly agentVersion: string;
  readonly pid: number;
  readonly loopLagMs: number;
}

/**
 * Frames pass: on the ring, and with an address. In dhcp mode the address comes when the host's own
 * client asks for it.
 */
export function isReady(status: Pick<AgentStatus, "state" | "lease" | "addressMode">): boolean {
  const isOnline = status.state === "online" || status.state === "degraded";
  return isOnline && (status.lease !== undefined || status.addressMode === "dhcp");
}
