#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "engine-limits.h"

namespace weft {
namespace {

constexpr uint32_t leastMtu = 68;  // RFC 791
constexpr uint32_t mostMtu = limits::frameBytes - 14;

OpenError failure(const std::string& what, int error) {
  const bool denied = error == EPERM || error == EACCES;
  return {denied ? OpenErrorCode::notPermitted : OpenErrorCode::tap, what + ": " + strerror(error),
          error};
}

/// An ioctl on the interface by its name; 0 or -errno. `request` gets the name filled in.
int interfaceIoctl(const std::string& name, unsigned long number, ifreq& request) {
  if (name.empty()) return -ENODEV;
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
  const int result = ioctl(fd, number, &request) == 0 ? 0 : -errno;
  ::close(fd);
  return result;
}

unsigned offloadFlags(const TapOffloads& offloads) {
  unsigned flags = 0;
  if (offloads.checksum) flags |= TUN_F_CSUM;
  if (offloads.tso4) flags |= TUN_F_TSO4;
  if (offloads.tso6) flags |= TUN_F_TSO6;
  return flags;
}

/// Tries all that is wanted, then checksums alone, then nothing. The last is always set: a
/// persistent interface may still have what another process enabled.
TapOffloads negotiateOffloads(int fd, const TapOffloads& wanted) {
  for (const TapOffloads& attempt : {wanted, TapOffloads{wanted.checksum, false, false}}) {
    if (attempt.any() && ioctl(fd, TUNSETOFFLOAD, offloadFlags(attempt)) == 0) return attempt;
  }
  ioctl(fd, TUNSETOFFLOAD, 0U);
  return {};
}

/// The descriptor, non-blocking and not for children; -1 with errno.
int openDevice(std::optional<int> given) {
  if (!given) return open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  const int flags = fcntl(*given, F_GETFL);
  if (flags < 0 || fcntl(*given, F_SETFL, flags | O_NONBLOCK) != 0) return -1;
  return fcntl(*given, F_SETFD, FD_CLOEXEC) == 0 ? *given : -1;
}

std::optional<OpenError> checkOptions(const TapOptions& options) {
  if (options.name.size() >= IFNAMSIZ || options.name.find('/') != std::string::npos) {
    return OpenError{OpenErrorCode::badOption, "TAP name '" + options.name + "' is not usable", 0};
  }
  if (options.mtu && (*options.mtu < leastMtu || *options.mtu > mostMtu)) {
    return OpenError{OpenErrorCode::badOption,
                     "TAP mtu " + std::to_string(*options.mtu) + " is outside 68.." +
                         std::to_string(mostMtu),
                     0};
  }
  return std::nullopt;
}

}  // namespace

Opened<Tap> Tap::open(const TapOptions& options) {
  if (auto bad = checkOptions(options)) return *bad;
  Tap tap;
  tap.fd_ = openDevice(options.deviceFd);
  if (tap.fd_ < 0) return failure("cannot open /dev/net/tun", errno);
  ifreq request{};
  strncpy(request.ifr_name, options.name.c_str(), IFNAMSIZ - 1);
  request.ifr_flags = IFF_TAP | IFF_NO_PI | (options.vnetHeader ? IFF_VNET_HDR : 0);
  if (ioctl(tap.fd_, TUNSETIFF, &request) != 0) {
    return failure("cannot make TAP '" + options.name + "'", errno);
  }
  tap.name_ = request.ifr_name;
  tap.vnetHeader_ = options.vnetHeader;
  if (options.vnetHeader) {
    int headerBytes = 10;
    ioctl(tap.fd_, TUNSETVNETHDRSZ, &headerBytes);
    tap.offloads_ = negotiateOffloads(tap.fd_, options.offloads);
  }
  if (options.ownerUid && ioctl(tap.fd_, TUNSETOWNER, *options.ownerUid) != 0) {
    return failure("cannot set the owner of " + tap.name_, errno);
  }
  if (options.mac) {
    if (const int error = tap.setMac(*options.mac)) {
      return failure("cannot set the MAC of " + tap.name_, -error);
    }
  }
  if (options.mtu) {
    if (const int error = tap.setMtu(*options.mtu)) {
      return failure("cannot set the MTU of " + tap.name_, -error);
    }
  }
  if (options.persistent) {
    if (const int error = tap.setPersistent(true)) {
      return failure("cannot make " + tap.name_ + " persistent", -error);
    }
  }
  if (options.up) {
    if (const int error = tap.setUp(true)) {
      return failure("cannot set " + tap.name_ + " up", -error);
    }
  }
  return tap;
}

Tap Tap::adopt(int fd, bool vnetHeader, TapOffloads offloads) {
  Tap tap;
  tap.fd_ = fd;
  tap.vnetHeader_ = vnetHeader;
  tap.offloads_ = offloads;
  ifreq request{};
  if (ioctl(fd, TUNGETIFF, &request) == 0) tap.name_ = request.ifr_name;
  const int flags = fcntl(fd, F_GETFL);
  if (flags >= 0) fcntl(fd, F_SETFL, flags | O_NONBLOCK);
  return tap;
}

Tap::Tap(Tap&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      vnetHeader_(other.vnetHeader_),
      offloads_(other.offloads_),
      name_(std::move(other.name_)) {}

Tap& Tap::operator=(Tap&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(vnetHeader_, other.vnetHeader_);
  std::swap(offloads_, other.offloads_);
  std::swap(name_, other.name_);
  return *this;
}

Tap::~Tap() { close(); }

ssize_t Tap::read(std::span<uint8_t> into) {
  const ssize_t bytes = ::read(fd_, into.data(), into.size());
  return bytes < 0 ? -errno : bytes;
}

ssize_t Tap::write(std::span<const uint8_t> frame) {
  const ssize_t bytes = ::write(fd_, frame.data(), frame.size());
  return bytes < 0 ? -errno : bytes;
}

ssize_t Tap::write(std::span<const iovec> pieces) {
  const ssize_t bytes = ::writev(fd_, pieces.data(), static_cast<int>(pieces.size()));
  return bytes < 0 ? -errno : bytes;
}

std::optional<uint32_t> Tap::mtu() const {
  ifreq request{};
  if (interfaceIoctl(name_, SIOCGIFMTU, request) != 0) return std::nullopt;
  return static_cast<uint32_t>(request.ifr_mtu);
}

std::optional<Mac> Tap::mac() const {
  ifreq request{};
  if (interfaceIoctl(name_, SIOCGIFHWADDR, request) != 0) return std::nullopt;
  return macAt(reinterpret_cast<const uint8_t*>(request.ifr_hwaddr.sa_data));
}

int Tap::setMtu(uint32_t mtu) {
  if (mtu < leastMtu || mtu > mostMtu) return -EINVAL;
  if (this->mtu() == mtu) return 0;
  ifreq request{};
  request.ifr_mtu = static_cast<int>(mtu);
  return interfaceIoctl(name_, SIOCSIFMTU, request);
}

int Tap::setMac(const Mac& mac) {
  if (this->mac() == mac) return 0;
  ifreq request{};
  request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
  memcpy(request.ifr_hwaddr.sa_data, mac.data(), mac.size());
  return interfaceIoctl(name_, SIOCSIFHWADDR, request);
}

int Tap::setUp(bool up) {
  ifreq request{};
  if (const int error = interfaceIoctl(name_, SIOCGIFFLAGS, request)) return error;
  if (((request.ifr_flags & IFF_UP) != 0) == up) return 0;
  request.ifr_flags = static_cast<short>(up ? request.ifr_flags | IFF_UP
                                            : request.ifr_flags & ~IFF_UP);
  return interfaceIoctl(name_, SIOCSIFFLAGS, request);
}

int Tap::setCarrier(bool on) {
  unsigned value = on ? 1 : 0;
  return ioctl(fd_, TUNSETCARRIER, &value) == 0 ? 0 : -errno;
}

int Tap::setPersistent(bool persistent) {
  return ioctl(fd_, TUNSETPERSIST, persistent ? 1UL : 0UL) == 0 ? 0 : -errno;
}

void Tap::close() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

}  // namespace weft
