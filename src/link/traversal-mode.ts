/**
 * How hard NATs are worked on before a relay has to do: addresses that answer by themselves only; punching
 * at agreed moments; besides that, ports are guessed where a NAT uses another one for each destination.
 */
export type TraversalMode = "off" | "standard" | "aggressive";

/** In the handshake's capabilities: the sender guesses ports, and a search has two ends. */
export const CAPABILITY_AGGRESSIVE = 2;
