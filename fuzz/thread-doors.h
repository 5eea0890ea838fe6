// What the doors into the engine's threads have in common.
#pragma once

#include <memory>

#include "mailbox.h"

namespace weft::fuzz {

/// Hands a command to a thread as its mailbox would. `on` is the thread's own, so a friend passes it.
template <typename On>
void deliver(const Command& command, On on) {
  Mail mail(command, std::make_shared<SessionShared>());
  on(mail);
}

}  // namespace weft::fuzz
