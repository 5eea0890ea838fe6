// Every bound of the engine with its reason. The first part is ENGINE_LIMITS of src/base/engine.ts
// and must stay equal to it; the second part is the engine's own.
#pragma once

#include <cstddef>
#include <cstdint>

namespace weft::limits {

// --- as in src/base/engine.ts ---

/// 1,024 members that all talk, four times over.
inline constexpr size_t sessions = 4'096;
inline constexpr size_t pathsPerSession = 8;
/// Socket indexes: 400 sockets of the one birthday search, 256 of rounds, and those kept below.
inline constexpr size_t sockets = 1'024;
/// The first index of accepted streams: 256 members at once whose networks let no UDP out.
inline constexpr size_t acceptedStreams = 768;
/// Largest datagram that a stream carries: the largest frame with its headers and shim.
inline constexpr size_t streamDatagramBytes = 10'240;
/// Characters of a proxy's authorization.
inline constexpr size_t proxyAuthorizationChars = 512;
/// 64 bridged machines at each of 1,024 members.
inline constexpr size_t forward = 65'536;
inline constexpr size_t labelsPerSession = 1'024;
/// MACs one peer may speak for (a bridged site), and addresses for one MAC.
inline constexpr size_t macsPerSession = 1'024;
inline constexpr size_t ipsPerMac = 16;
/// Rules that apply to one peer, and port ranges in one of them.
inline constexpr size_t aclRules = 256;
inline constexpr size_t aclPortsPerRule = 16;
/// Flows that our side began and the rules alone would not answer: what Linux tracks on a small
/// machine. 1 MiB, and only where there are rules.
inline constexpr size_t aclFlows = 65'536;
/// Packets of one peer whose fragments are on their way: those of one come one behind the other.
inline constexpr size_t aclFragments = 64;
/// How long flows live without a packet. TCP: RFC 5382 REQ-5, once data flows and before and after
/// that; UDP: RFC 4787 REQ-5; ICMP queries: RFC 5508 REQ-2; others: as Linux does.
inline constexpr uint64_t aclTcpSeconds = 7'440;
inline constexpr uint64_t aclTcpTransitorySeconds = 240;
inline constexpr uint64_t aclUdpSeconds = 300;
inline constexpr uint64_t aclIcmpSeconds = 60;
inline constexpr uint64_t aclOtherSeconds = 600;
/// TCP flows older than this process are taken up in the middle for so long after a session's first
/// rules: an agent that was restarted keeps the connections of its host. Only from ports that a
/// program gets without asking (Linux, ip_local_port_range), which tells ours from theirs.
inline constexpr uint64_t aclTakeUpMs = 120'000;
inline constexpr uint16_t aclTakeUpPort = 32'768;
/// Fragments follow their first one for so long: as long as Linux puts packets together.
inline constexpr uint64_t aclFragmentMs = 30'000;
/// Frames that wait for a forwarding decision.
inline constexpr size_t waitingFramesPerMac = 64;
inline constexpr size_t waitingBytesPerMac = 262'144;
inline constexpr size_t waitingBytes = 4'194'304;
inline constexpr uint64_t waitingMs = 3'000;
/// Frames held while a session has no filter.
inline constexpr size_t heldFramesPerSession = 64;
inline constexpr uint64_t heldMs = 2'000;
/// "Packet too big" to the machines behind one session's frames: each needs one in ten minutes for
/// each destination, a whole bridged site starting at once fits.
inline constexpr uint32_t tooBigAnswersPerSecond = 100;
inline constexpr uint64_t replayWindow = 8'192;
/// The core is told to rekey here ...
inline constexpr uint64_t rekeyAfterMessages = 1ULL << 27;
/// ... and sealing is refused here, far from a counter that wraps.
inline constexpr uint64_t rejectAfterMessages = 1ULL << 60;
inline constexpr size_t upcalls = 4'096;
inline constexpr size_t upcallBytes = 8'388'608;
/// Largest inner frame including its 14-byte Ethernet header.
inline constexpr size_t frameBytes = 9'216;
/// Largest control message sealed as one datagram.
inline constexpr size_t controlBytes = 8'960;
inline constexpr size_t missHeadBytes = 128;

// --- the engine's own ---

/// UDP sockets given at open: both families on a few interfaces or ports.
inline constexpr size_t fixedSockets = 8;
/// Sending lanes a peer may use towards us: one for each core of a large peer's data plane.
inline constexpr size_t lanes = 4;
/// IP packet in a superframe: the length field has 16 bits.
inline constexpr size_t superframeBytes = 65'535;
/// Largest TAP read: a superframe with its Ethernet header and two VLAN tags.
inline constexpr size_t tapReadBytes = superframeBytes + 14 + 8;
/// Largest UDP payload over IPv6 without jumbograms; IPv4 has 20 bytes more.
inline constexpr size_t datagramBytes = 65'487;
/// Datagrams in one UDP_SEGMENT send (UDP_MAX_SEGMENTS of kernels before 6.9).
inline constexpr size_t segmentsPerSend = 64;
/// Messages in one sendmmsg or recvmmsg: the gain is flat past it.
inline constexpr size_t batch = 32;
/// One datagram when the kernel does not coalesce: the largest frame, its headers and shim.
inline constexpr size_t singleReceiveBytes = 10'240;
/// Superframes or frames read from the TAP before control messages and timers get their turn.
inline constexpr size_t tapReadsPerTurn = 16;
/// Receives from one socket before the next one gets its turn.
inline constexpr size_t receivesPerTurn = 16;
/// Bytes sealed before they are handed to the kernel: one full superframe, so that the receiver
/// works on it while the next one is sealed.
inline constexpr size_t sendFlushBytes = 61'440;
/// How long a full socket buffer may hold up the sender before the datagrams are dropped: about
/// one buffer (4 MiB) at 10 Gb/s.
inline constexpr int sendWaitMs = 4;
/// SO_SNDBUF and SO_RCVBUF: 3 ms at 10 Gb/s.
inline constexpr int socketBufferBytes = 4'194'304;
/// MACs with waiting frames: what waitingBytes holds of frames of 1 KiB.
inline constexpr size_t waitingMacs = 4'096;
/// A miss is repeated at this rate while frames wait.
inline constexpr uint64_t missIntervalMs = 1'000;
inline constexpr uint64_t heldUpcallIntervalMs = 500;
inline constexpr uint64_t endpointUpcallIntervalMs = 250;
/// Frames of one session of which one half has come: the reordering of a path, not its loss.
inline constexpr size_t fragmentsPending = 16;
inline constexpr uint64_t fragmentMs = 1'000;
/// Reports of datagrams larger than the link below: a search asks for four sizes at once, so this
/// is 64 paths that begin in the same second.
inline constexpr uint32_t sizeUpcallsPerSecond = 256;
/// Extension headers of one IPv6 packet, options of one neighbour discovery message.
inline constexpr size_t ipv6ExtensionHeaders = 8;
inline constexpr size_t ndOptions = 8;
inline constexpr size_t vlanTags = 2;
/// Sessions that may use one label value towards us at once; labels are drawn at random.
inline constexpr size_t sessionsPerLabel = 8;
/// A relayed datagram passes at most this many relays.
inline constexpr uint8_t relayTtl = 4;
/// Commands with bytes to send that wait for a data thread.
inline constexpr size_t mailboxBytes = 8'388'608;
/// Commands of any kind that wait: every table full and written once more.
inline constexpr size_t mailboxCommands = 524'288;
/// Share of the upcall ring that datagrams of no session may take: a replayed handshake in a flood
/// leaves room for established sessions.
inline constexpr size_t strangerUpcalls = 1'024;
/// Share of that which first messages without a cookie may take: those that show a cookie, answers
/// and STUN get through a flood of them, and sessions wait for at most so many between two drains.
inline constexpr size_t unprovenUpcalls = 64;
/// First messages without a cookie that the core gets to see: each costs it about 0.1 ms, so a
/// flood takes a fifth of a core; of 5,000 a second an honest one gets its cookie at the third try.
inline constexpr uint64_t unprovenPerSecond = 2'000;
/// First messages that show a mac2, right or wrong: more than members join within a second.
inline constexpr uint64_t claimedPerSecond = 1'000;
/// After a TAP error that does not go away (interface deleted) it is tried again this much later.
inline constexpr uint64_t tapRetryMs = 100;
/// Sockets and streams that one turn of the RX thread serves before the fixed ones get theirs.
inline constexpr size_t socketsPerTurn = 32;
/// What a stream reads at once: as much as one coalesced UDP receive.
inline constexpr size_t streamReadBytes = 65'536;
/// Sealed bytes that wait in a stream: 2 ms at 1 Gb/s, 200 ms at 10 Mb/s.
inline constexpr size_t streamSendBytes = 262'144;
/// Bytes that TCP holds and has not sent yet: more would only wait longer.
inline constexpr int streamUnsentBytes = 131'072;
/// Name lookup is done by then; connect, proxy and TLS handshake: three lost packets in a row.
inline constexpr uint64_t streamSetupMs = 5'000;
/// An accepted stream must carry something authenticated within this time of its handshake ...
inline constexpr uint64_t streamProveMs = 10'000;
/// ... and from then on within the life of a key pair.
inline constexpr uint64_t streamSilentMs = 180'000;
/// TCP gives up on an unanswered segment, and asks an idle peer.
inline constexpr int streamUnansweredMs = 15'000;
inline constexpr int streamProbeIdleSeconds = 20;
/// Accepted streams that carried nothing authenticated yet, in all and from one source (an IPv4
/// address or an IPv6 /64). Past the first the oldest goes, past the second newcomers do.
inline constexpr size_t streamsUnproven = 64;
inline constexpr size_t streamsUnprovenPerSource = 8;
/// After that: one member needs a stream, and a second one while the first dies; the oldest goes.
/// A site behind one address may have a quarter of all.
inline constexpr size_t streamsPerSession = 4;
inline constexpr size_t streamsPerSource = 64;
/// Handshakes cost about 0.2 ms: at most 2 % of a core in all, and one source no more than a tenth.
inline constexpr uint64_t streamAcceptsPerSecond = 100;
inline constexpr uint64_t streamAcceptsPerSourceSecond = 10;
/// Connections that the kernel holds until they are accepted.
inline constexpr int streamBacklog = 128;
/// Accepts in one turn.
inline constexpr size_t streamAcceptsPerTurn = 16;
/// While descriptors or memory are short, connections wait in the backlog this long before the next
/// try: they would wake the thread all the time.
inline constexpr uint64_t acceptRetryMs = 1'000;
/// A proxy's answer: status line and headers.
inline constexpr size_t proxyAnswerBytes = 4'096;
/// Longest sleep of a data thread: bounds what a lost wake-up could cost.
inline constexpr uint64_t idleMs = 1'000;

}  // namespace weft::limits
