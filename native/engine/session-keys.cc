#include "session-keys.h"

#include <algorithm>
#include <utility>

namespace weft {
namespace {

bool isWellFormed(const DirectionKeys& direction) {
  return direction.key.size() == Aead::keyBytes && direction.salt.size() == sizeof(wire::Salt);
}

/// Both directions are checked on both sides, so that the data threads agree about a command.
bool isWellFormed(const Keys& keys) {
  return isWellFormed(keys.sealing) && isWellFormed(keys.opening) && keys.receive != 0 &&
         keys.send != 0;
}

}  // namespace

SealingKeys::SealingKeys(Aead&& aead, const Keys& keys, uint64_t order)
    : aead_(std::move(aead)), send_(keys.send), receive_(keys.receive), order_(order) {
  std::copy(keys.sealing.salt.begin(), keys.sealing.salt.end(), salt_.begin());
}

std::optional<SealingKeys> SealingKeys::make(uint64_t nowMs, const Keys& keys, uint64_t order,
                                             uint64_t firstCounter) {
  if (!isWellFormed(keys)) return std::nullopt;
  auto aead = Aead::make(keys.cipher, Aead::Direction::seal, keys.sealing.key);
  if (!aead) return std::nullopt;
  SealingKeys made(std::move(*aead), keys, order);
  made.counter_ = firstCounter;
  made.rejectAtMs_ = deadlineAfter(nowMs, keys.rejectAfterMs);
  return made;
}

DropReason SealingKeys::seal(uint64_t nowMs, uint8_t* datagram, size_t innerBytes) {
  if (nowMs >= rejectAtMs_) return DropReason::expiredKeys;
  if (counter_ >= limits::rejectAfterMessages) return DropReason::counterLimit;
  // The counter is spent whatever happens next: a nonce is never used twice.
  const uint64_t counter = counter_++;
  wire::emitDataHeader({0, send_, counter}, datagram);
  uint8_t* inner = datagram + wire::dataHeaderBytes;
  const bool sealed =
      aead_.seal(wire::nonceOf(salt_, 0, counter), {}, {inner, innerBytes}, inner);
  return sealed ? DropReason::none : DropReason::badTag;
}

bool SealingKeys::takeRekeyDue() {
  if (rekeyAnnounced_ || counter_ < limits::rekeyAfterMessages) return false;
  rekeyAnnounced_ = true;
  return true;
}

OpeningKeys::OpeningKeys(Aead&& aead, const Keys& keys, uint64_t order)
    : aead_(std::move(aead)), receive_(keys.receive), order_(order) {
  std::copy(keys.opening.salt.begin(), keys.opening.salt.end(), salt_.begin());
}

std::optional<OpeningKeys> OpeningKeys::make(uint64_t nowMs, const Keys& keys, uint64_t order) {
  if (!isWellFormed(keys)) return std::nullopt;
  auto aead = Aead::make(keys.cipher, Aead::Direction::open, keys.opening.key);
  if (!aead) return std::nullopt;
  OpeningKeys made(std::move(*aead), keys, order);
  made.rejectAtMs_ = deadlineAfter(nowMs, keys.rejectAfterMs);
  return made;
}

OpeningKeys::Opened OpeningKeys::open(uint64_t nowMs, const wire::DataHeader& header,
                                      std::span<uint8_t> datagram) {
  if (nowMs >= rejectAtMs_) return {DropReason::expiredKeys};
  if (header.counter >= limits::rejectAfterMessages) return {DropReason::counterLimit};
  std::unique_ptr<ReplayWindow>& window = windows_[header.lane];
  if (window != nullptr && !window->accepts(header.counter)) return {DropReason::replayed};
  const std::span<uint8_t> sealed = datagram.subspan(wire::dataHeaderBytes);
  const auto nonce = wire::nonceOf(salt_, header.lane, header.counter);
  if (!aead_.open(nonce, {}, sealed, sealed.data())) return {DropReason::badTag};
  if (window == nullptr) window = std::make_unique<ReplayWindow>();
  return {DropReason::none, window->mark(header.counter)};
}

}  // namespace weft
