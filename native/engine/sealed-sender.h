// Seals frames and control messages and sends them: the one owner of every session's counter. Lives
// in the TX thread.
//
//      slot in the arena:  [shim 8] | data header 16 | descriptor 4 | body | pad | tag 16
//
// Slots lie side by side, so equal-sized neighbours leave in one UDP_SEGMENT send.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "commands.h"
#include "counters.h"
#include "frame-parse.h"
#include "send-batch.h"
#include "tap.h"
#include "tx-sessions.h"
#include "upcall-ring.h"
#include "vnet-header.h"

namespace weft {

class SealedSender {
 public:
  /// `tap` gets the answers to frames that are too big; nullptr without one.
  SealedSender(TxSessions& sessions, SendBatch& batch, Tap* tap, UpcallRing& upcalls,
               ThreadCounters& counters);

  /// Sends one frame or superframe on the active path. `view` is nothing when the frame could not
  /// be parsed. May complete a checksum in `frame`.
  void sendFrame(uint64_t nowMs, TxSession& session, const VnetHeader& vnet,
                 std::span<uint8_t> frame, const std::optional<FrameView>& view);
  void sendControl(uint64_t nowMs, const Control& control);
  /// An empty control message on the active path.
  void sendKeepalive(uint64_t nowMs, TxSession& session);
  /// A datagram outside of any session.
  void sendPlain(const Datagram& datagram);
  void flush();

 private:
  /// Everything a message of one session needs on its way.
  struct Way {
    TxSession& session;
    SealingKeys& keys;
    Route route;
    uint64_t nowMs;
  };

  std::optional<Way> wayOf(uint64_t nowMs, TxSession& session, std::optional<PathIndex> path);
  void sendSuperframe(Way& way, const VnetHeader& vnet, Bytes frame, const FrameView& view);
  void sendMessage(Way& way, const Control& control);
  template <typename Write>
  bool sendBody(Way& way, const wire::Descriptor& descriptor, size_t bodyBytes, Write write);
  template <typename Write>
  void sendFrameBody(Way& way, const wire::Descriptor& descriptor, size_t frameBytes, Write write);
  bool sendHalves(Way& way, const wire::Descriptor& descriptor, Bytes frame);
  /// Whether a frame of this length is dropped and its sender told so, instead of being sent.
  static bool refuses(const Route& route, Bytes frame, size_t frameBytes, const FrameView& view);
  void answerTooBig(Way& way, Bytes frame, const FrameView& view);
  uint8_t* reserve(size_t bytes);

  TxSessions& sessions_;
  SendBatch& batch_;
  Tap* tap_;
  UpcallRing& upcalls_;
  ThreadCounters& counters_;
  std::unique_ptr<uint8_t[]> arena_;
  size_t used_ = 0;
  std::unique_ptr<uint8_t[]> scratch_;  // one frame on its way to become two halves
};

/// Descriptor of a frame that is no superframe. A checksum that the descriptor cannot carry is
/// completed in place. Nothing when the virtio header makes no sense.
std::optional<wire::Descriptor> describeFrame(const VnetHeader& vnet, std::span<uint8_t> frame,
                                              const std::optional<FrameView>& view);

}  // namespace weft
