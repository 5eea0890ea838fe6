// Commands on their way from the owner to one data thread. Each data thread owns its tables and
// applies the commands itself, so no table is ever shared and a batch keeps its order.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "commands.h"
#include "counters.h"
#include "drop-reason.h"
#include "listener.h"
#include "socket-table.h"
#include "wake-event.h"

namespace weft {

/// A command that owns its bytes. Key material is wiped when it goes.
class Mail {
 public:
  /// Copies what `command` borrows. `shared` is set for SessionOpen; `socket` for commands about
  /// sockets that one exists for, `listeners` for StreamListen.
  Mail(const Command& command, std::shared_ptr<SessionShared> shared, ExtraSocket socket = {},
       Listeners listeners = {});
  Mail(Mail&&) noexcept = default;
  Mail& operator=(Mail&&) noexcept = default;
  ~Mail();

  Command command;
  std::shared_ptr<SessionShared> shared;
  ExtraSocket socket;
  Listeners listeners;
  size_t bytes() const { return storage_.size(); }

 private:
  Bytes keep(Bytes borrowed);

  std::vector<uint8_t> storage_;
};

class Mailbox {
 public:
  WakeEvent& wake() { return wake_; }

  /// Appends and wakes the reader. `sendQueueFull` or `tableFull` when it does not fit.
  DropReason post(Mail&& mail);
  /// Whether `take` has something; cheap.
  bool pending() const { return pending_.load(std::memory_order_acquire); }
  /// Everything posted so far, in order, into `into` (cleared first).
  void take(std::vector<Mail>& into);
  /// Wakes the reader without mail (used to stop).
  void ring() { wake_.ring(); }

 private:
  WakeEvent wake_;
  std::mutex mutex_;
  std::vector<Mail> mails_;
  size_t bytes_ = 0;
  std::atomic<bool> pending_{false};
};

}  // namespace weft
