/** Every message number of weft, in one place; docs/WIRE.md repeats them and a test compares. */

/**
 * Changes when members of two versions could not understand each other. A clear byte of handshake 1
 * and part of every handshake's prologue.
 */
export const MAJOR_VERSION = 1;
/** Changes with additions that older members ignore. */
export const MINOR_VERSION = 1;

/** First byte of a UDP datagram. 0-3 is STUN; RFC 7983 leaves 192-255 free. */
export const DATAGRAM_TYPES = {
  "handshake-1": 192,
  "handshake-2": 193,
  "handshake-3": 194,
  cookie: 195,
  "version-refused": 196,
  "issue-question": 197,
  "issue-answer": 198,
  data: 200,
  relay: 201,
} as const;

/** First byte of a whole control message between two linked nodes. */
export const MESSAGE_TYPES = {
  probe: 0x01,
  "probe-ack": 0x02,
  "rekey-1": 0x03,
  "rekey-2": 0x04,
  candidates: 0x05,
  "relay-open": 0x06,
  "relay-ok": 0x07,
  "relay-fail": 0x08,
  "relay-close": 0x09,
  goodbye: 0x0a,
  "rekey-1-kem": 0x0b,
  "rekey-2-kem": 0x0c,
  certificate: 0x0e,
  nat: 0x0f,
  routed: 0x10,
  neighbours: 0x11,
  "probe-request": 0x12,
  "probe-report": 0x13,
  flood: 0x30,
  "own-records": 0x40,
  "shared-part": 0x50,
  notice: 0x51,
} as const;

/** Message types below this stay inside the link; the rest goes up to ring, vnet and node. */
export const FIRST_UPPER_MESSAGE = 0x10;

/** Payload type of a routed envelope (message type `routed`). */
export const PAYLOAD_TYPES = {
  "connect-to-me": 0x20,
  "neighbours-answer": 0x21,
  handshake: 0x22,
  "dht-request": 0x23,
  "dht-answer": 0x24,
  "echo-request": 0x25,
  "echo-reply": 0x26,
  find: 0x27,
  "find-answer": 0x28,
  "issue-question": 0x2a,
  "issue-answer": 0x2b,
} as const;

export type DatagramType = keyof typeof DATAGRAM_TYPES;
export type MessageType = keyof typeof MESSAGE_TYPES;
export type PayloadType = keyof typeof PAYLOAD_TYPES;
