// Why input from outside was dropped. The same closed list, in the same order and with the same
// names, as src/base/drop-reason.ts; a name that only the core can count stays at zero here.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace weft {

enum class DropReason : uint8_t {
  truncated,
  trailingBytes,
  unknownType,
  unknownVersion,
  badField,
  tooLong,
  badMac1,
  badMac2,
  badHandshake,
  badCertificate,
  foreignNetwork,
  lowOrderKey,
  unknownReceiver,
  badTag,
  replayed,
  counterLimit,
  expiredKeys,
  rateLimited,
  tableFull,
  reassemblyFull,
  duplicateFragment,
  sendQueueFull,
  noPath,
  unknownLabel,
  labelSource,
  relayTtl,
  relayRefused,
  hopLimit,
  noProgress,
  notForUs,
  badSignature,
  quota,
  staleVersion,
  foreignRecord,
  shortFrame,
  sourceMac,
  sourceIp,
  arpSender,
  ndTarget,
  routerAdvertisement,
  dhcpOverOverlay,
  linkControl,
  duplicateFlood,
  waitingFull,
  waitingExpired,
  fenceFull,
  noRoute,
  tooBig,
  upcallFull,
  socketError,
  noSocket,
  streamFull,
  tapError,
  none,  // not a reason: the packet passes
};

inline constexpr size_t dropReasons = static_cast<size_t>(DropReason::none);

inline constexpr std::array<std::string_view, dropReasons> dropReasonNames = {
    "truncated",
    "trailing-bytes",
    "unknown-type",
    "unknown-version",
    "bad-field",
    "too-long",
    "bad-mac1",
    "bad-mac2",
    "bad-handshake",
    "bad-certificate",
    "foreign-network",
    "low-order-key",
    "unknown-receiver",
    "bad-tag",
    "replayed",
    "counter-limit",
    "expired-keys",
    "rate-limited",
    "table-full",
    "reassembly-full",
    "duplicate-fragment",
    "send-queue-full",
    "no-path",
    "unknown-label",
    "label-source",
    "relay-ttl",
    "relay-refused",
    "hop-limit",
    "no-progress",
    "not-for-us",
    "bad-signature",
    "quota",
    "stale-version",
    "foreign-record",
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
    "no-route",
    "too-big",
    "upcall-full",
    "socket-error",
    "no-socket",
    "stream-full",
    "tap-error",
};

/// The name the core and docs/ERRORS.md use.
inline constexpr std::string_view dropReasonName(DropReason reason) {
  return dropReasonNames[static_cast<size_t>(reason)];
}

}  // namespace weft
