/** The node's own report and what only the agent knows, as one JSON value (docs/OPERATING.md). */
import type { NodeStatus } from "../node/status.ts";
import type { PortMappingStatus } from "./port-mapper.ts";

export interface AgentStatus extends NodeStatus {
  readonly interface: string;
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
