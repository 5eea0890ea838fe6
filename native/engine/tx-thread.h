// The TX thread: TAP -> classify -> seal -> UDP, and everything else that is sealed or sent.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "counters.h"
#include "data-thread.h"
#include "forward-table.h"
#include "sealed-sender.h"
#include "send-batch.h"
#include "socket-table.h"
#include "tap.h"
#include "tx-sessions.h"
#include "upcall-ring.h"
#include "waiting-frames.h"

namespace weft {

/// Owns the tables that sending needs. `tap` is nullptr without one; all references outlive it.
class TxThread {
 public:
  TxThread(std::span<const UdpSocket> sockets, Tap* tap, UpcallRing& upcalls, bool segmentation);

  /// Where closed sockets go on to: what was sent before leaves first. Before `start`.
  void passClosedTo(Mailbox& rx) { rx_ = &rx; }

  bool start();
  void stop() { thread_.stop(); }
  /// After `stop`: lets go of the sockets opened by command.
  void closeSockets() { sockets_.clear(); }
  Mailbox& mailbox() { return thread_.mailbox(); }
  const ThreadCounters& counters() const { return counters_; }
  /// Commands this thread has a part in.
  static bool handles(const Command& command);

 private:
  /// fuzz/targets/tap-frame.cc: enters behind the TAP, without a thread.
  friend struct TxDoor;

  void run();
  void sleep();
  void readMail();
  void runTimers();

  /// False when the TAP has nothing more.
  bool readTap();
  void tapFailed(ssize_t result);
  void classify(const VnetHeader& vnet, std::span<uint8_t> frame);
  void passUp(const VnetHeader& vnet, std::span<const uint8_t> frame,
              const std::optional<FrameView>& view);
  void wait(const Mac& mac, const VnetHeader& vnet, std::span<const uint8_t> frame);
  void sendTo(SessionId session, const VnetHeader& vnet, std::span<uint8_t> frame,
              const std::optional<FrameView>& view);
  void push(Upcall&& upcall);

  void on(Mail& mail);
  void onForward(const Forward& forward);
  void onAcl(const Acl& acl);
  void onFrameToPeer(const FrameToPeer& frame);
  void onSocketClose(SocketIndex index, const ExtraSocket& ended);
  void release(const Mac& mac, const ForwardTarget& target);

  DataThread thread_;
  ThreadCounters counters_;
  Tap* tap_;
  UpcallRing& upcalls_;
  Mailbox* rx_ = nullptr;
  TxSessions sessions_;
  SocketTable sockets_;
  SendBatch batch_;
  SealedSender sender_;
  ForwardTable forward_;
  WaitingFrames waiting_;
  std::vector<Mail> mails_;
  std::unique_ptr<uint8_t[]> readBuffer_;
  uint64_t nowMs_ = 0;
  uint64_t nextTimerMs_ = 0;
  uint64_t tapRetryAtMs_ = 0;  // not zero: the TAP failed and is left alone until then
  bool tapDrained_ = false;
};

}  // namespace weft
