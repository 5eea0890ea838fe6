#include "mailbox.h"

#include <string.h>

#include <utility>

#include "engine-limits.h"

namespace weft {
namespace {

size_t borrowedBytes(const Command& command) {
  if (const auto* keys = std::get_if<Keys>(&command)) {
    return keys->sealing.key.size() + keys->sealing.salt.size() + keys->opening.key.size() +
           keys->opening.salt.size();
  }
  if (const auto* control = std::get_if<Control>(&command)) return control->bytes.size();
  if (const auto* datagram = std::get_if<Datagram>(&command)) return datagram->bytes.size();
  if (const auto* frame = std::get_if<FrameToTap>(&command)) return frame->bytes.size();
  if (const auto* frame = std::get_if<FrameToPeer>(&command)) return frame->bytes.size();
  return 0;
}

}  // namespace

Mail::Mail(const Command& from, std::shared_ptr<SessionShared> with, ExtraSocket about,
           Listeners at)
    : command(from),
      shared(std::move(with)),
      socket(std::move(about)),
      listeners(std::move(at)) {
  storage_.reserve(borrowedBytes(from));  // keeps the spans below in place
  if (auto* keys = std::get_if<Keys>(&command)) {
    for (DirectionKeys* direction : {&keys->sealing, &keys->opening}) {
      direction->key = keep(direction->key);
      direction->salt = keep(direction->salt);
    }
  } else if (auto* control = std::get_if<Control>(&command)) {
    control->bytes = keep(control->bytes);
  } else if (auto* datagram = std::get_if<Datagram>(&command)) {
    datagram->bytes = keep(datagram->bytes);
  } else if (auto* toTap = std::get_if<FrameToTap>(&command)) {
    toTap->bytes = keep(toTap->bytes);
  } else if (auto* toPeer = std::get_if<FrameToPeer>(&command)) {
    toPeer->bytes = keep(toPeer->bytes);
  }
}

Mail::~Mail() {
  if (std::holds_alternative<Keys>(command) && !storage_.empty()) {
    explicit_bzero(storage_.data(), storage_.size());
  }
}

Bytes Mail::keep(Bytes borrowed) {
  const size_t at = storage_.size();
  storage_.insert(storage_.end(), borrowed.begin(), borrowed.end());
  return {storage_.data() + at, borrowed.size()};
}

DropReason Mailbox::post(Mail&& mail) {
  bool ring = false;
  {
    const std::lock_guard lock(mutex_);
    const bool carriesData = mail.bytes() > 0 && !std::holds_alternative<Keys>(mail.command);
    if (carriesData && bytes_ + mail.bytes() > limits::mailboxBytes) {
      return DropReason::sendQueueFull;
    }
    if (mails_.size() >= limits::mailboxCommands) return DropReason::tableFull;
    bytes_ += mail.bytes();
    mails_.push_back(std::move(mail));
    ring = !pending_.exchange(true, std::memory_order_release);
  }
  if (ring) wake_.ring();
  return DropReason::none;
}

void Mailbox::take(std::vector<Mail>& into) {
  into.clear();
  const std::lock_guard lock(mutex_);
  into.swap(mails_);
  bytes_ = 0;
  pending_.store(false, std::memory_order_relaxed);
}

}  // namespace weft
