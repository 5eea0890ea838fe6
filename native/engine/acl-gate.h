// Who may talk to us: the verdict on each frame of a session that has rules. One half in each data
// thread; what the TX half sees leave, the RX half lets the answer to in.
//
//      TAP ──> AclWatch (TX) ──> peer          flow we began ──> AclFlows
//      peer ──> source filter ──> AclGate (RX) ──> TAP
//               a rule allows it? answer to a flow of ours? error about one? more of a packet?
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "acl-flows.h"
#include "acl-packet.h"
#include "acl-table.h"
#include "drop-reason.h"

namespace weft {

/// First fragments that were let in, of one peer. The oldest makes room.
class AclFragments {
 public:
  void allow(uint64_t nowMs, uint64_t name);
  /// Another first fragment of that name was not let in.
  void forget(uint64_t name);
  bool has(uint64_t nowMs, uint64_t name) const;

 private:
  struct Entry {
    uint64_t name = 0;
    uint64_t endMs = 0;
  };
  std::array<Entry, limits::aclFragments> entries_{};
  size_t next_ = 0;
};

/// RX's half for one session.
class AclGate {
 public:
  AclGate(std::shared_ptr<const AclTable> table, std::shared_ptr<AclFlows> flows)
      : table_(std::move(table)), flows_(std::move(flows)) {}

  /// Other rules; fragments on their way keep their verdict.
  void setTable(std::shared_ptr<const AclTable> table) { table_ = std::move(table); }
  /// `none` when the frame may pass, else `acl`. `view` is the frame's own.
  DropReason judge(uint64_t nowMs, Bytes frame, const FrameView& view);

 private:
  bool allows(uint64_t nowMs, const AclPacket& packet) const;
  bool isAnswer(uint64_t nowMs, const AclPacket& packet) const;
  bool isAboutOurs(uint64_t nowMs, const AclPacket& error) const;

  std::shared_ptr<const AclTable> table_;
  std::shared_ptr<AclFlows> flows_;
  AclFragments fragments_;
};

/// TX's half for one session.
class AclWatch {
 public:
  /// @param takeUpEndsMs until then TCP flows of ours are taken up in their middle
  AclWatch(std::shared_ptr<const AclTable> table, std::shared_ptr<AclFlows> flows,
           uint64_t takeUpEndsMs)
      : table_(std::move(table)), flows_(std::move(flows)), takeUpEndsMs_(takeUpEndsMs) {}

  /// Other rules. Stricter ones end the taking up: what we send on a connection that they began and
  /// that is no longer allowed must not make it one of ours.
  void setTable(std::shared_ptr<const AclTable> table);
  /// A frame is about to leave. Of flows whose answers the rules let in anyway only TCP's that we
  /// begin are remembered: a peer that may begin flows cannot fill the table with them.
  void sent(uint64_t nowMs, Bytes frame, const FrameView& view);

 private:
  std::shared_ptr<const AclTable> table_;
  std::shared_ptr<AclFlows> flows_;
  uint64_t takeUpEndsMs_;
};

}  // namespace weft
