// An eventfd in the poll set of a data thread: mail has come, or it is time to stop.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>

namespace weft {

class WakeEvent {
 public:
  WakeEvent() = default;
  WakeEvent(const WakeEvent&) = delete;
  WakeEvent& operator=(const WakeEvent&) = delete;
  ~WakeEvent() {
    if (fd_ >= 0) ::close(fd_);
  }

  /// False with errno set when the kernel has none to give.
  bool open() {
    fd_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return fd_ >= 0;
  }
  int fd() const { return fd_; }
  void ring() {
    const uint64_t one = 1;
    (void)!::write(fd_, &one, sizeof one);  // only fails when the counter is full: it is set anyway
  }
  void clear() {
    uint64_t count = 0;
    (void)!::read(fd_, &count, sizeof count);
  }

 private:
  int fd_ = -1;
};

}  // namespace weft
