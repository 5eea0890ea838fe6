// Datagrams over TLS over TCP, for networks that let no UDP through.
//
//   connecting -> [asking the proxy] -> TLS handshake -> open -> closed
//
// The RX thread sets a stream up, reads it, finishes blocked writes and closes it; TX and RX thread
// append and flush. OpenSSL allows one thread at a time: each call of it holds the stream's lock,
// never longer than one buffer takes.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "commands.h"
#include "drop-reason.h"
#include "stream-frames.h"
#include "tls-session.h"
#include "upcalls.h"

namespace weft {

class Stream {
 public:
  /// Begins to connect; never blocks.
  static std::variant<std::shared_ptr<Stream>, SocketFailure> connect(const StreamOpen& open);
  /// Takes over the descriptor of an accepted connection; null when TLS refuses.
  static std::shared_ptr<Stream> accept(int fd, const Endpoint& from);

  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream();

  /// Who the core thinks it talks to; behind a proxy not the TCP peer.
  const Endpoint& peer() const { return peer_; }
  bool accepted() const { return accepted_; }

  // from any thread

  /// Queues one datagram behind the others; `noSocket` before it is open and after its end,
  /// `streamFull` while the buffer has no room for it.
  DropReason append(Bytes datagram);
  /// Hands to the kernel what it takes now; once it takes no more, `resume` goes on.
  void flush();
  /// No longer of use; its index may be given away.
  bool closed() const { return closed_.load(std::memory_order_acquire); }

  // from the RX thread

  enum class Setup : uint8_t { pending, open, failed };
  /// Goes on with connecting and handshakes after an event of the descriptor.
  Setup advance();
  bool open() const { return phase_ == Phase::open; }
  SocketFailure failure() const { return failure_; }
  uint16_t localPort() const;
  /// The kernel takes more again.
  void resume();
  /// Joins an epoll set with `index` as data; events come while something is awaited.
  bool watch(int epoll, uint64_t index);

  /// `garbled`: the peer does not keep to the framing.
  enum class Reading : uint8_t { more, drained, ended, garbled };
  /// Reads into `buffer` (limits::streamReadBytes + one datagram) and lists whole datagrams in it.
  Reading read(std::span<uint8_t> buffer, std::vector<std::span<uint8_t>>& datagrams);
  void close();

  /// RX thread: when the setup must be done, or something authenticated must have come.
  uint64_t deadlineMs = UINT64_MAX;
  /// RX thread: whose authentic message an accepted stream carried first; 0 = none came yet.
  SessionId provenBy = 0;

 private:
  enum class Phase : uint8_t { tcp, proxy, tls, open, closed };

  Stream(int fd, const Endpoint& peer, bool accepted);

  Setup fail(SocketFailure reason);
  Setup connected();
  Setup readProxyAnswer();
  Setup startTls();
  bool prepareTls(TlsSession::Side side);
  Setup shakeHands();
  void write();
  void await(uint32_t events);
  TlsSession::Transfer readTls(std::span<uint8_t> into);

  const Endpoint peer_;
  const bool accepted_;
  std::optional<StreamProxy> proxy_;
  Phase phase_ = Phase::tcp;
  SocketFailure failure_ = SocketFailure::system;
  std::string answer_;  // the proxy's, so far
  StreamFrames frames_;
  std::atomic<bool> closed_{false};

  std::mutex mutex_;  // covers what follows once the stream is open
  int fd_ = -1;
  int epoll_ = -1;
  uint64_t index_ = 0;
  uint32_t awaited_ = 0;
  std::optional<TlsSession> tls_;
  bool open_ = false;
  std::vector<uint8_t> out_;  // framed datagrams; the first sent_ bytes are gone
  size_t sent_ = 0;
};

}  // namespace weft
