// A TAP device: Ethernet frames of the local machine as a file descriptor. The engine reads and
// writes it in its data threads; the package's entry weft/tap hands the same class to users.
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "address.h"
#include "open-error.h"

namespace weft {

/// What the kernel may hand over and take as one superframe (TUNSETOFFLOAD).
struct TapOffloads {
  bool checksum = false;
  bool tso4 = false;
  bool tso6 = false;

  bool any() const { return checksum || tso4 || tso6; }
};

struct TapOptions {
  /// Interface name, at most 15 bytes, `%d` allowed; empty = the kernel chooses tapN.
  std::string name;
  /// 68 .. 9202; nothing = leave as it is.
  std::optional<uint32_t> mtu;
  /// The interface outlives this process (TUNSETPERSIST).
  bool persistent = false;
  /// Who may open a persistent interface later (TUNSETOWNER).
  std::optional<uint32_t> ownerUid;
  /// Hardware address; nothing = leave as it is.
  std::optional<Mac> mac;
  /// Set IFF_UP after everything else succeeded.
  bool up = false;
  /// /dev/net/tun, opened by a starter with more rights than ours; taken over.
  std::optional<int> deviceFd;
  /// Put a 10-byte virtio_net_hdr in front of every frame (IFF_VNET_HDR).
  bool vnetHeader = false;
  /// Offloads wanted; only with vnetHeader. What the kernel refuses is left out.
  TapOffloads offloads;
};

/// Owns the descriptor; movable. Every call is safe on a closed Tap (it answers -EBADF or nothing).
class Tap {
 public:
  static Opened<Tap> open(const TapOptions& options);
  /// Takes over a descriptor that somebody else opened; it is made non-blocking.
  static Tap adopt(int fd, bool vnetHeader, TapOffloads offloads = {});

  Tap() = default;
  Tap(Tap&& other) noexcept;
  Tap& operator=(Tap&& other) noexcept;
  Tap(const Tap&) = delete;
  Tap& operator=(const Tap&) = delete;
  ~Tap();

  /// One frame (behind its virtio header when vnetHeader). Bytes read, or -errno (-EAGAIN: nothing
  /// there).
  ssize_t read(std::span<uint8_t> into);
  /// Writes one frame (behind its virtio header when vnetHeader). Bytes written, or -errno.
  ssize_t write(std::span<const uint8_t> frame);
  /// The same from pieces.
  ssize_t write(std::span<const iovec> pieces);

  const std::string& name() const { return name_; }
  int fd() const { return fd_; }
  bool hasVnetHeader() const { return vnetHeader_; }
  const TapOffloads& offloads() const { return offloads_; }

  std::optional<uint32_t> mtu() const;
  std::optional<Mac> mac() const;
  /// 0 or -errno. A value that is set already needs no privilege.
  int setMtu(uint32_t mtu);
  int setMac(const Mac& mac);
  int setUp(bool up);
  /// TUNSETCARRIER: off makes DHCP clients start over.
  int setCarrier(bool on);
  /// TUNSETPERSIST: whether the interface outlives its descriptor.
  int setPersistent(bool persistent);
  /// Closes the descriptor; twice is fine. A persistent interface stays.
  void close();

 private:
  int fd_ = -1;
  bool vnetHeader_ = false;
  TapOffloads offloads_;
  std::string name_;
};

}  // namespace weft
