// A thread of the engine with its mailbox. Signals stay with the host process.
#pragma once

#include <pthread.h>

#include <atomic>

#include "mailbox.h"

namespace weft {

class DataThread {
 public:
  DataThread() = default;
  DataThread(const DataThread&) = delete;
  DataThread& operator=(const DataThread&) = delete;
  ~DataThread() { stop(); }

  /// Runs `body(context)` in a new thread. False when the machine has none to give.
  bool start(const char* name, void (*body)(void*), void* context);
  /// Asks the body to return and waits for it. Twice is fine, also when it never started.
  void stop();

  bool stopping() const { return stopping_.load(std::memory_order_acquire); }
  Mailbox& mailbox() { return mailbox_; }

 private:
  static void* enter(void* self);

  Mailbox mailbox_;
  std::atomic<bool> stopping_{false};
  bool running_ = false;
  pthread_t thread_{};
  void (*body_)(void*) = nullptr;
  void* context_ = nullptr;
};

}  // namespace weft
