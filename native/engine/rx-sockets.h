// What the RX thread keeps beside the sockets given at open: UDP sockets opened by command, streams
// either way, and the TCP port that streams are accepted on. One epoll set holds them all, so that
// the fixed sockets wait for one descriptor more, however many these are.
#pragma once

#include <memory>
#include <vector>

#include "accept-limits.h"
#include "counters.h"
#include "listener.h"
#include "mailbox.h"
#include "socket-table.h"
#include "upcall-ring.h"

namespace weft {

class RxSockets {
 public:
  /// @param tx where the TX thread learns of accepted streams and ended ones
  RxSockets(std::span<const UdpSocket> fixed, Mailbox& tx, UpcallRing& upcalls,
            ThreadCounters& counters);
  ~RxSockets();

  bool open();
  int epollFd() const { return epoll_; }
  const SocketTable& table() const { return table_; }
  /// Something is to be read without waiting.
  bool hungry() const { return !hungry_.empty(); }

  /// Serves connects, accepts, handshakes and blocked writes that are due, and lists the sockets
  /// to read. Valid until the next call.
  std::span<const SocketIndex> serve(uint64_t nowMs);
  /// The stream has more than one turn allows.
  void readLater(SocketIndex index) { hungry_.push_back(index); }
  /// The stream is over by itself.
  void end(SocketIndex index, const std::shared_ptr<Stream>& stream);
  /// Something that came over the stream was authentic.
  void prove(uint64_t nowMs, SocketIndex index, SessionId by);

  void add(uint64_t nowMs, SocketIndex index, ExtraSocket socket);
  void close(SocketIndex index, const ExtraSocket& socket);
  void listen(Listeners listeners, uint16_t port);
  void closeAll();

  /// Ends streams whose time is over, and a pause of the listeners.
  void runTimers(uint64_t nowMs);
  /// When to call `runTimers` at the latest.
  uint64_t timerMs(uint64_t nowMs) const;

 private:
  void accept(uint64_t nowMs, const Listener& listener);
  void pauseAccepts(uint64_t nowMs);
  void watchListeners(int operation, uint32_t events);
  void take(uint64_t nowMs, int fd, const Endpoint& from);
  bool makeRoom(const Endpoint& from);
  void endOldestOf(SessionId session, SocketIndex newest);
  SocketIndex freeIndex();
  void advance(uint64_t nowMs, SocketIndex index, const std::shared_ptr<Stream>& stream);
  void announce(uint64_t nowMs, SocketIndex index, Stream& stream);
  void fail(SocketIndex index, const std::shared_ptr<Stream>& stream, SocketFailure reason);
  void forget(SocketIndex index, const std::shared_ptr<Stream>& stream);
  void push(Upcall&& upcall);

  SocketTable table_;
  Mailbox& tx_;
  UpcallRing& upcalls_;
  ThreadCounters& counters_;
  int epoll_ = -1;
  Listeners listeners_;
  uint64_t acceptAgainMs_ = UINT64_MAX;  // when a pause of the listeners ends
  AcceptLimits acceptLimits_;
  std::vector<SocketIndex> streams_;   // every stream, in the order they came
  std::vector<SocketIndex> readable_;  // what `serve` returned
  std::vector<SocketIndex> hungry_;
  SocketIndex nextAccepted_ = limits::acceptedStreams;
};

}  // namespace weft
