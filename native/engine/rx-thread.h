// The RX thread: UDP -> open -> filter -> TAP, relays, and everything strangers send.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "counters.h"
#include "data-thread.h"
#include "forward-table.h"
#include "label-table.h"
#include "relay-limits.h"
#include "rx-sessions.h"
#include "rx-sockets.h"
#include "send-batch.h"
#include "stranger-gate.h"
#include "tap-writer.h"
#include "udp-receiver.h"
#include "upcall-ring.h"

namespace weft {

class RxThread {
 public:
  struct Parts {
    std::span<const UdpSocket> sockets;
    Tap* tap;  // nullptr without one
    UpcallRing& upcalls;
    Mailbox& tx;
  };
  RxThread(const Parts& parts, const Admission& admission, bool segmentation);

  bool start();
  void stop() { thread_.stop(); }
  Mailbox& mailbox() { return thread_.mailbox(); }
  const ThreadCounters& counters() const { return counters_; }
  /// Commands this thread has a part in.
  static bool handles(const Command& command);

 private:
  /// fuzz/targets/rx-datagram.cc: enters behind the socket, without a thread.
  friend struct RxDoor;

  /// How a datagram came in.
  struct Arrival {
    SocketIndex socket = 0;
    Endpoint from;
    size_t datagramBytes = 0;       // the outer one, shim included
    const RxSession* via = nullptr;  // not null: behind a relay shim of this session
    Label label = 0;
  };

  void run();
  void sleep();
  void readMail();
  void runTimers();
  void readExtra(SocketIndex index);
  void readSocket(SocketIndex index, const UdpSocket& socket);
  void readStream(SocketIndex index, const std::shared_ptr<Stream>& stream);
  void split(SocketIndex socket, const Received& received);
  void onDatagram(const Arrival& arrival, std::span<uint8_t> datagram);
  void onStranger(const Arrival& arrival, Bytes datagram);
  void onRelay(const Arrival& arrival, std::span<uint8_t> datagram);
  void forwardRelayed(const LabelEntry& entry, RxSession& ingress, std::span<uint8_t> datagram);
  void onData(const Arrival& arrival, std::span<uint8_t> datagram);

  void onOpened(const Arrival& arrival, RxSession& session, std::span<uint8_t> inner);
  void onControl(const Arrival& arrival, RxSession& session, const wire::Descriptor& descriptor,
                 Bytes body);
  void onAggregate(RxSession& session, std::span<uint8_t> body);
  void onFragment(RxSession& session, const wire::Descriptor& descriptor, Bytes body);
  void onFrame(RxSession& session, const wire::Descriptor& descriptor, std::span<uint8_t> frame);
  /// `none` when the frame went on to the TAP.
  DropReason deliver(RxSession& session, const wire::Descriptor& descriptor,
                     std::span<uint8_t> frame, const FrameView& view);
  void hold(RxSession& session, const wire::Descriptor& descriptor, Bytes frame,
            const FrameView& view);
  void announceHeld(RxSession& session, Bytes frame, const FrameView& view);
  void noticeEndpoint(const Arrival& arrival, RxSession& session, bool newest);
  std::optional<PathIndex> pathOf(const Arrival& arrival, const RxSession& session) const;
  void push(Upcall&& upcall);

  void on(Mail& mail);
  void onFilter(const Filter& filter);
  void onAcl(const Acl& acl);
  void onForward(const Forward& forward);
  void onLabel(const LabelRoute& route);
  void onSessionClose(SessionId session);
  void releaseHeld(RxSession& session);
  void reportTraffic();

  DataThread thread_;
  ThreadCounters counters_;
  std::span<const UdpSocket> sockets_;
  UpcallRing& upcalls_;
  RxSockets extra_;
  StrangerGate strangers_;
  RxSessions sessions_;
  ForwardTable local_;  // only entries that lead to our TAP
  LabelTable labels_;
  RelayLimits relayLimits_;
  UdpReceiver receiver_;
  TapWriter tapWriter_;
  SendBatch relays_;
  std::vector<Mail> mails_;
  std::vector<char> readable_;
  bool extraReadable_ = false;
  std::unique_ptr<uint8_t[]> streamBuffer_;
  std::vector<std::span<uint8_t>> streamDatagrams_;
  uint64_t nowMs_ = 0;
  uint64_t nextTimerMs_ = UINT64_MAX;
  size_t heldFrames_ = 0;
};

}  // namespace weft
