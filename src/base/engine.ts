/**
 * The engine contract: what the core may ask of a data plane, and what a data plane tells the core.
 *
 *      core  -- EngineCommand[] -->  engine  -- Upcall[] -->  core
 *
 * Two implementations pass one contract suite: the native one (native/engine) and the software one
 * (sim/engine.ts). The engine decides nothing: it obeys tables that commands write. Commands of one
 * batch take effect in order. Every table is bounded (ENGINE_LIMITS); a command past a bound, or one
 * that names something unknown, is ignored and counted, never fatal.
 *
 * Byte arrays in commands are borrowed until `apply` returns; those in upcalls are owned by the
 * receiver.
 */
import type { DropReason } from "./drop-reason.ts";
import type { Endpoint, Ip, IpFamily, Mac } from "./net.ts";
import type { Millis } from "./time.ts";

/**
 * The engine's name for one end-to-end association with a peer, chosen by the core, u32, not zero.
 * It outlives rekeying; each handshake or rekey adds keys to it.
 */
export type SessionId = number;
/** u32 chosen at random by the side that receives with it; fresh for every key pair. */
export type ReceiverIndex = number;
/** 0..MAX_PATHS-1 within one session. */
export type PathIndex = number;
/**
 * A UDP socket or a TLS stream of the engine. 0..n-1 are the UDP sockets given when the engine was
 * opened; n..acceptedStreams-1 are chosen by the core (`socket-open`, `stream-open`); the rest are
 * streams that the engine accepted. The twenty before acceptedStreams are STUN's (stun/stun.ts).
 */
export type SocketIndex = number;
/** 32-bit relay label, not zero. It has meaning only together with the session it arrives on. */
export type Label = number;

export type Cipher = "aes256gcm" | "chacha20poly1305";

export const ENGINE_LIMITS = {
  /** Sessions at once: 1,024 members that all talk, four times over. */
  sessions: 4_096,
  pathsPerSession: 8,
  /** Socket indexes: 400 sockets of the one birthday search, 256 of rounds, and those kept below. */
  sockets: 1_024,
  /** The first index of accepted streams: 256 members at once whose networks let no UDP out. */
  acceptedStreams: 768,
  /** Largest datagram that a stream carries: the largest frame with its headers and shim. */
  streamDatagramBytes: 10_240,
  /** Characters of a proxy's authorization. */
  proxyAuthorizationChars: 512,
  /** Forwarding entries: 64 bridged machines at each of 1,024 members. */
  forward: 65_536,
  labelsPerSession: 1_024,
  /** MACs one peer may speak for (a bridged site), and addresses for one MAC. */
  macsPerSession: 1_024,
  ipsPerMac: 16,
  /** Access rules that apply to one peer, and port ranges in one of them. */
  aclRules: 256,
  aclPortsPerRule: 16,
  /** Flows that our side began and the rules alone would not answer: what Linux tracks on a small machine. */
  aclFlows: 65_536,
  /** Packets of one peer whose fragments are on their way. */
  aclFragments: 64,
  /**
   * How long flows live without a packet. TCP: RFC 5382 REQ-5, once data flows and before and after
   * that; UDP: RFC 4787 REQ-5; ICMP queries: RFC 5508 REQ-2; others: as Linux does.
   */
  aclTcpSeconds: 7_440,
  aclTcpTransitorySeconds: 240,
  aclUdpSeconds: 300,
  aclIcmpSeconds: 60,
  aclOtherSeconds: 600,
  /**
   * TCP flows older than this process are taken up in the middle for so long after a session's first
   * rules: an agent that was restarted keeps the connections of its host. Only from ports that a
   * program gets without asking (Linux, ip_local_port_range), which tells ours from theirs.
   */
  aclTakeUpMs: 120_000,
  aclTakeUpPort: 32_768,
  /** Fragments follow their first one for so long: as long as Linux puts packets together. */
  aclFragmentMs: 30_000,
  /** Frames that wait for a forwarding decision. */
  waitingFramesPerMac: 64,
  waitingBytesPerMac: 262_144,
  waitingBytes: 4_194_304,
  waitingMs: 3_000,
  /** Frames held while a session has no filter, or one without entries. */
  heldFramesPerSession: 64,
  heldMs: 2_000,
  /** "Packet too big" for the frames of one session. */
  tooBigAnswersPerSecond: 100,
  replayWindow: 8_192,
  /** Keys are refused for sealing past 2^60 messages; the core is told to rekey at 2^27. */
  rekeyAfterMessages: 2 ** 27,
  /** Upcalls that wait for the JS loop; past this they are dropped and counted. */
  upcalls: 4_096,
  upcallBytes: 8_388_608,
  /** Largest inner frame including its 14-byte Ethernet header. */
  frameBytes: 9_216,
  /** Largest control message sealed as one datagram. */
  controlBytes: 8_960,
  /** First bytes of a frame that a miss carries upwards. */
  missHeadBytes: 128,
} as const;

/** One direction's key material for one key pair. */
export interface DirectionKeys {
  /** 32 bytes */
  readonly key: Uint8Array;
  /** 4 bytes; the last one is replaced by the lane number in each nonce */
  readonly salt: Uint8Array;
}

/** Where a path leads. A relay path names a session with a direct active path, never another relay path. */
export type PathTarget =
  | { readonly kind: "direct"; readonly socket: SocketIndex; readonly endpoint: Endpoint }
  | { readonly kind: "relay"; readonly via: SessionId; readonly label: Label };

/** An HTTP proxy that a stream is to be made through (CONNECT, RFC 9110 section 9.3.6). */
export interface StreamProxy {
  readonly endpoint: Endpoint;
  /** The whole value of Proxy-Authorization; printable ASCII, at most proxyAuthorizationChars. */
  readonly authorization?: string;
}

/** Why a socket or a stream could not be had, or why one that was set up ended. */
export const SOCKET_FAILURES = [
  "in-use",
  "not-permitted",
  "unsupported",
  "refused",
  "unreachable",
  "timed-out",
  "proxy-refused",
  "proxy-authorization",
  "tls",
  "limit",
  "system",
] as const;

export type SocketFailure = (typeof SOCKET_FAILURES)[number];

/** What one peer may say: each MAC with the IPv4 and IPv6 addresses it may claim. EUI-64 link-locals are implied. */
export interface FilterEntry {
  readonly mac: Mac;
  readonly ips: readonly Ip[];
}

/** Destination ports, both included. */
export interface AclPorts {
  readonly first: number;
  readonly last: number;
}

export interface AclRule {
  readonly allow: boolean;
  /** Of IP, 0..255; undefined = whatever, frames that carry no IP included. ICMP (1) means ICMPv6 too. */
  readonly protocol: number | undefined;
  /** Empty = all; only with TCP and UDP. */
  readonly ports: readonly AclPorts[];
}

/** What one peer may begin towards this node: the first rule that matches decides, else the rest. */
export interface AclPolicy {
  readonly allowsRest: boolean;
  readonly rules: readonly AclRule[];
}

export type EngineCommand =
  /** Make an empty session slot. */
  | { readonly op: "session-open"; readonly session: SessionId }
  /**
   * Add a key pair. `use: "now"` (the initiator: the peer is known to hold the keys) makes it current
   * at once; `use: "confirmed"` (the responder) makes it current with the first packet that opens
   * under it. The current one becomes previous and still opens packets until `rejectAfterMs`.
   */
  | {
      readonly op: "keys";
      readonly session: SessionId;
      readonly receive: ReceiverIndex;
      readonly send: ReceiverIndex;
      readonly use: "now" | "confirmed";
      readonly cipher: Cipher;
      readonly sealing: DirectionKeys;
      readonly opening: DirectionKeys;
      /** Neither sealing nor opening with these keys after this long (engine's own clock). */
      readonly rejectAfterMs: Millis;
    }
  /** Remove the slot with its keys, paths, filter, labels of that ingress and forward entries. */
  | { readonly op: "session-close"; readonly session: SessionId }
  /** Create or replace a path. Nothing is sent over it by itself until it is active. */
  | {
      readonly op: "path";
      readonly session: SessionId;
      readonly path: PathIndex;
      readonly to: PathTarget;
      /** Largest UDP payload known to pass, shim and header included; frames above it go as two. */
      readonly maxDatagram: number;
      /**
       * `maxDatagram` is not about to grow. Then frames above it that nobody may cut (IPv4 with DF,
       * IPv6 above 1,280 bytes, and what two halves cannot carry) are dropped and answered into the
       * TAP with ICMP "packet too big" from their own destination, at most `tooBigAnswersPerSecond`
       * a session. The MSS option of TCP's SYN is lowered to what fits, in two halves before that,
       * both of ours and of the peer's.
       */
      readonly settled?: boolean;
      /** When active and silent this long, the engine sends an empty control message. 0 = never. */
      readonly keepaliveMs: Millis;
    }
  | { readonly op: "path-remove"; readonly session: SessionId; readonly path: PathIndex }
  /** Frames and unaddressed control messages of the session go this way from now on. */
  | { readonly op: "path-active"; readonly session: SessionId; readonly path: PathIndex }
  /**
   * Seal one control message and send it once. Without `path`: the active one. `padTo` pads the whole
   * datagram to that many bytes (path MTU probes). `ttl` sets the outer IP TTL for this datagram.
   */
  | {
      readonly op: "control";
      readonly session: SessionId;
      readonly path?: PathIndex;
      readonly bytes: Uint8Array;
      readonly padTo?: number;
      readonly ttl?: number;
    }
  /** Send one datagram outside any session (handshakes, cookies, STUN). */
  | {
      readonly op: "datagram";
      readonly socket: SocketIndex;
      readonly to: Endpoint;
      readonly bytes: Uint8Array;
      readonly ttl?: number;
    }
  /**
   * Bind one more UDP socket to every address of `family`; port 0 = any. Usable by the commands
   * behind it; answered by `socket-opened` or `socket-failed`.
   */
  | {
      readonly op: "socket-open";
      readonly socket: SocketIndex;
      readonly family: IpFamily;
      readonly port: number;
    }
  /**
   * Make a TLS stream over TCP to `to`; it carries datagrams like a socket, each with its length
   * (u16) in front, and only to and from `to`. Nobody checks the certificate: the sessions inside
   * authenticate themselves. Answered by `socket-opened` or `socket-failed`; before that, and while
   * its buffer is full, what is sent over it is dropped.
   */
  | {
      readonly op: "stream-open";
      readonly socket: SocketIndex;
      readonly to: Endpoint;
      readonly proxy?: StreamProxy;
    }
  /** Accept TLS streams on this TCP port, both families; 0 = no longer. Streams that are there stay. */
  | { readonly op: "stream-listen"; readonly port: number }
  /** Close a socket or stream that is not of the ones given at open. Its paths carry nothing then. */
  | { readonly op: "socket-close"; readonly socket: SocketIndex }
  /**
   * Frames for `mac` go there; releases frames that waited for it, in order, before any later one.
   * `local` = the machine behind our TAP (a frame from a peer for it is written there).
   */
  | {
      readonly op: "forward";
      readonly mac: Mac;
      readonly to: SessionId | "local" | "drop";
      /** The entry is gone this long after it was published. */
      readonly ttlMs: Millis;
    }
  /** Forget the entry, and drop (count `no-route`) whatever waits for this MAC. */
  | { readonly op: "forward-remove"; readonly mac: Mac }
  /** Write one frame into the TAP. The bytes start with the Ethernet header. */
  | { readonly op: "frame-to-tap"; readonly bytes: Uint8Array }
  /** Seal and send one frame to a peer as if the TAP had sent it (no forwarding look-up). */
  | { readonly op: "frame-to-peer"; readonly session: SessionId; readonly bytes: Uint8Array }
  /**
   * Replace what the peer may speak for. Before the first filter, and after one without entries,
   * opened frames are held (heldFramesPerSession, heldMs) and announced by the upcall `held`; with
   * the next filter they pass or are dropped.
   */
  | {
      readonly op: "filter";
      readonly session: SessionId;
      readonly entries: readonly FilterEntry[];
    }
  /**
   * Replace the rules for what the peer may send us; without `policy` it may send anything, as at
   * the start. They come after the filter and let through, whatever they say: ARP and neighbour
   * discovery; what answers a flow that our side began (an echo reply, an ICMP error about a packet
   * of ours too); later fragments of a packet whose first one passed. Everything else that they do
   * not allow is dropped and counted `acl`, so are IPv6 packets behind a header that is not known.
   * TCP that the peer began ends with the rule that allowed it. Rules past the bounds are refused and
   * counted `table-full`: those before them stay, and where there were none, nothing may be begun.
   */
  | { readonly op: "acl"; readonly session: SessionId; readonly policy?: AclPolicy }
  /** A relayed datagram from `ingress` with `label` goes on with another label, or ends here. */
  | {
      readonly op: "label";
      readonly ingress: SessionId;
      readonly label: Label;
      readonly to: { readonly session: SessionId; readonly label: Label } | "ends-here";
    }
  | { readonly op: "label-remove"; readonly ingress: SessionId; readonly label: Label }
  /**
   * What goes on by labels from one session, and what goes on to one, and all of it together: bytes
   * per second with one second of burst (65,536 at least), 0 = no limit, as at the start.
   */
  | { readonly op: "relay-limit"; readonly perSession: number; readonly inAll: number }
  /** Asks for one `traffic` upcall that covers every session. */
  | { readonly op: "report-traffic" }
  /** Carrier of the TAP (TUNSETCARRIER): off makes DHCP clients start over. */
  | { readonly op: "carrier"; readonly on: boolean };

/** What passed since the session was opened. Bytes of inner frames, not of control messages. */
export interface SessionTraffic {
  readonly session: SessionId;
  readonly framesIn: number;
  readonly framesOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly controlBytesIn: number;
  readonly controlBytesOut: number;
  /** Relayed for others with this session as ingress. */
  readonly relayedBytes: number;
  /** Milliseconds since anything authenticated arrived; undefined = never. */
  readonly silentMs: Millis | undefined;
}

export type Upcall =
  /** A datagram of no session: a handshake message whose mac1 is right, or STUN. */
  | {
      readonly kind: "datagram";
      readonly socket: SocketIndex;
      readonly from: Endpoint;
      readonly bytes: Uint8Array;
    }
  /**
   * A control message that opened. `path` is the session's path it came in on; undefined when the
   * address it came from is none of the session's paths, or it came behind a relay label that no path uses.
   * `from` is given for direct datagrams only. Empty keepalives are not passed up.
   */
  | {
      readonly kind: "control";
      readonly session: SessionId;
      readonly path: PathIndex | undefined;
      readonly socket: SocketIndex;
      readonly from: Endpoint | undefined;
      /** Whole length of the outer datagram: what a path MTU probe proves. */
      readonly datagramBytes: number;
      readonly bytes: Uint8Array;
    }
  /** The first packet under these keys opened: both sides hold them. Only for `use: "confirmed"`. */
  | {
      readonly kind: "keys-confirmed";
      readonly session: SessionId;
      readonly receive: ReceiverIndex;
    }
  /** An authenticated, newest-counter datagram came straight from an address that is no path of its session (at most one each 250 ms a session). */
  | {
      readonly kind: "endpoint";
      readonly session: SessionId;
      readonly socket: SocketIndex;
      readonly from: Endpoint;
    }
  /**
   * The kernel refused a datagram of this length: it is larger than the link it would leave by.
   * The same length to the same endpoint is reported once a second.
   */
  | {
      readonly kind: "size-refused";
      readonly socket: SocketIndex;
      readonly to: Endpoint;
      readonly datagramBytes: number;
    }
  /** The current keys have sealed `rekeyAfterMessages`. */
  | { readonly kind: "rekey-due"; readonly session: SessionId }
  /** A unicast frame from the TAP has no forward entry; it waits. Once per MAC and second while frames wait. */
  | { readonly kind: "miss"; readonly mac: Mac; readonly head: Uint8Array }
  /** A frame from the TAP that the core answers or floods: broadcast, multicast, or DHCP to us. Whole. */
  | { readonly kind: "frame"; readonly bytes: Uint8Array }
  /** Frames of this session wait for a filter, or one was dropped by it (at most one each 500 ms a session). */
  | {
      readonly kind: "held";
      readonly session: SessionId;
      readonly mac: Mac;
      /** The IPv4/IPv6 source or ARP sender; undefined for other frames. */
      readonly ip: Ip | undefined;
    }
  | { readonly kind: "traffic"; readonly sessions: readonly SessionTraffic[] }
  /**
   * A `socket-open` or `stream-open` succeeded, or a stream was accepted. `port` is the local one;
   * `from` is the TCP peer of an accepted stream and undefined for what the core opened.
   */
  | {
      readonly kind: "socket-opened";
      readonly socket: SocketIndex;
      readonly family: IpFamily;
      readonly port: number;
      readonly from: Endpoint | undefined;
    }
  /** A `socket-open` or `stream-open` failed; the index is free again unless it is `in-use`. */
  | {
      readonly kind: "socket-failed";
      readonly socket: SocketIndex;
      readonly reason: SocketFailure;
    }
  /** A stream ended by itself; the index is free again. */
  | { readonly kind: "socket-closed"; readonly socket: SocketIndex }
  /** Streams are accepted on `port`. */
  | { readonly kind: "listening"; readonly port: number }
  | { readonly kind: "listen-failed"; readonly port: number; readonly reason: SocketFailure };

/** Totals of the engine by drop reason and by kind of work; names without prefix. */
export interface EngineCounters {
  readonly dropped: Readonly<Partial<Record<DropReason, number>>>;
  readonly datagramsIn: number;
  readonly datagramsOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly tapFramesIn: number;
  readonly tapFramesOut: number;
  readonly relayedDatagrams: number;
}

/**
 * A data plane as the core's callers see it. `apply` never blocks and never throws on a command's
 * content; `drain` returns what came up since the last call, oldest first.
 */
export interface Engine {
  apply(commands: readonly EngineCommand[]): void;
  drain(): Upcall[];
  counters(): EngineCounters;
  /** Stops the data threads and closes sockets; a persistent TAP stays. Safe in every state, twice too. */
  close(): void;
}
