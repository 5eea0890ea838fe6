/** The package's own entry: asking a running agent from a program. Frames: `weft/tap`. */
export type { AgentStatus } from "./agent/agent-status.ts";
export { type CallOptions, callAgent, type Reply } from "./agent/control-client.ts";
export { METHODS, type Method } from "./agent/control-protocol.ts";
export { ERRORS, type ErrorCode, WeftError } from "./agent/errors.ts";
export type { JournalEntry } from "./agent/journal.ts";
export type { LeaseStatus, NodeState, NodeStatus, PeerStatus, RingStatus } from "./node/status.ts";
