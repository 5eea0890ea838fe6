/** The node's own report and what only the agent knows, as one JSON value (docs/OPERATING.md). */
import type { NodeStatus } from "../node/status.ts";

export interface AgentStatus extends NodeStatus {
  readonly interface: string;
  readonly range: string;
  readonly addressMode: string;
  /** Bound UDP endpoints. */
  readonly listen: readonly string[];
  readonly agentVersion: string;
  readonly pid: number;
  readonly loopLagMs: number;
}
