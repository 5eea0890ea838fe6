// The paths of one session and which of them is active.
#pragma once

#include <array>
#include <optional>
#include <variant>

#include "commands.h"
#include "engine-limits.h"
#include "wire.h"

namespace weft {

struct PathState {
  PathTarget to;
  uint16_t maxDatagram = 0;
  bool settled = false;
  uint32_t keepaliveMs = 0;

  /// The largest frame that leaves whole.
  size_t frameRoom() const {
    const bool relayed = std::holds_alternative<RelayTarget>(to);
    const size_t overhead = wire::overheadBytes + (relayed ? wire::relayHeaderBytes : 0);
    return maxDatagram > overhead ? maxDatagram - overhead : 0;
  }

  /// The largest frame that passes, so that TCP never has to wait for the size: whole once it
  /// is settled, in two halves before.
  size_t mssRoom() const {
    const size_t whole = frameRoom();
    if (settled || whole < wire::fragmentIdBytes) return whole;
    return 2 * (whole - wire::fragmentIdBytes);
  }
};

class PathTable {
 public:
  /// False when the index is out of bounds or a relay label is zero.
  bool set(const Path& path) {
    const auto* relay = std::get_if<RelayTarget>(&path.to);
    if (path.path >= paths_.size() || (relay != nullptr && relay->label == 0)) return false;
    paths_[path.path] = PathState{path.to, path.maxDatagram, path.settled, path.keepaliveMs};
    return true;
  }

  /// False when there is no such path.
  bool remove(PathIndex index) {
    if (at(index) == nullptr) return false;
    paths_[index].reset();
    if (active_ == index) active_.reset();
    return true;
  }

  bool activate(PathIndex index) {
    if (at(index) == nullptr) return false;
    active_ = index;
    return true;
  }

  const PathState* at(PathIndex index) const {
    return index < paths_.size() && paths_[index] ? &*paths_[index] : nullptr;
  }

  const PathState* active() const { return active_ ? at(*active_) : nullptr; }

  /// The active path if it leads straight to the peer: what a relay path may ride on.
  const DirectTarget* activeDirect() const {
    const PathState* path = active();
    return path == nullptr ? nullptr : std::get_if<DirectTarget>(&path->to);
  }

  std::optional<PathIndex> findDirect(SocketIndex socket, const Endpoint& from) const {
    return findIf([&](const PathTarget& to) {
      const auto* direct = std::get_if<DirectTarget>(&to);
      return direct != nullptr && direct->socket == socket && direct->endpoint == from;
    });
  }

  std::optional<PathIndex> findRelay(SessionId via, Label label) const {
    return findIf([&](const PathTarget& to) {
      const auto* relay = std::get_if<RelayTarget>(&to);
      return relay != nullptr && relay->via == via && relay->label == label;
    });
  }

 private:
  template <typename Matches>
  std::optional<PathIndex> findIf(Matches matches) const {
    // The active path is nearly always the answer.
    if (active_ && matches(paths_[*active_]->to)) return active_;
    for (PathIndex i = 0; i < paths_.size(); i++) {
      if (paths_[i] && matches(paths_[i]->to)) return i;
    }
    return std::nullopt;
  }

  std::array<std::optional<PathState>, limits::pathsPerSession> paths_;
  std::optional<PathIndex> active_;
};

}  // namespace weft
