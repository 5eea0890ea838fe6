/**
 * Why input from outside was dropped. Closed on purpose: each name is a counter
 * (`weft_dropped_total{reason}`), a row of docs/ERRORS.md, and nothing is dropped without one.
 */
export const DROP_REASONS = [
  // decoding
  "truncated",
  "trailing-bytes",
  "unknown-type",
  "unknown-version",
  "bad-field",
  "too-long",
  // handshake and sessions
  "bad-mac1",
  "bad-mac2",
  "bad-handshake",
  "bad-certificate",
  "foreign-network",
  "revoked",
  "low-order-key",
  "unknown-receiver",
  "bad-tag",
  "replayed",
  "counter-limit",
  "expired-keys",
  "rate-limited",
  "table-full",
  // control transport
  "reassembly-full",
  "duplicate-fragment",
  "send-queue-full",
  "no-path",
  // relay
  "unknown-label",
  "label-source",
  "relay-ttl",
  "relay-refused",
  "relay-member-rate",
  "relay-total-rate",
  // routing
  "hop-limit",
  "no-progress",
  "not-for-us",
  // dht
  "bad-signature",
  "quota",
  "stale-version",
  "foreign-record",
  // frames
  "short-frame",
  "source-mac",
  "source-ip",
  "arp-sender",
  "nd-target",
  "router-advertisement",
  "dhcp-over-overlay",
  "link-control",
  "duplicate-flood",
  "waiting-full",
  "waiting-expired",
  "fence-full",
  "acl",
  "no-route",
  "too-big",
  // engine
  "upcall-full",
  "socket-error",
  "no-socket",
  "stream-full",
  "tap-error",
] as const;

export type DropReason = (typeof DROP_REASONS)[number];

/** The outcome of parsing bytes from outside: a whole value or one reason, never something between. */
export type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reason: DropReason };

export function parsed<T>(value: T): Parsed<T> {
  return { ok: true, value };
}

export function dropped(reason: DropReason): Parsed<never> {
  return { ok: false, reason };
}
