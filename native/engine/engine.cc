#include "engine.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <utility>

#include "acl-flows.h"
#include "acl-table.h"
#include "aead.h"
#include "engine-limits.h"
#include "rx-thread.h"
#include "socket-opener.h"
#include "tx-thread.h"
#include "udp-socket.h"
#include "upcall-ring.h"

namespace weft {

class Engine::Impl {
 public:
  Impl(const Options& options, std::vector<UdpSocket>&& sockets, std::optional<Tap>&& tap,
       bool segmentation)
      : sockets_(std::move(sockets)),
        tap_(std::move(tap)),
        segmentation_(segmentation),
        upcalls_(options.doorbell, options.doorbellContext),
        tx_(sockets_, tapPointer(), upcalls_, segmentation),
        rx_({sockets_, tapPointer(), upcalls_, tx_.mailbox()}, {options.mac1Key, options.bencode},
            segmentation),
        opener_(sockets_, options.offloads.udpGro, upcalls_, counters_) {
    tx_.passClosedTo(rx_.mailbox());
    for (const UdpSocket& socket : sockets_) endpoints_.push_back(socket.bound());
  }
  ~Impl() { close(); }

  bool start() {
    open_ = rx_.start() && tx_.start();
    return open_;
  }

  void close() {
    open_ = false;
    tx_.stop();
    rx_.stop();
    tx_.closeSockets();
    opener_.forgetAll();
    for (UdpSocket& socket : sockets_) socket.close();
    if (tap_) tap_->close();
  }

  void apply(const Command& command) {
    if (const auto* acl = std::get_if<Acl>(&command)) return applyAcl(*acl);
    SocketOpener::Opened opened;
    if (SocketOpener::handles(command) && !opener_.open(command, opened)) return;
    std::shared_ptr<SessionShared> shared;
    if (std::holds_alternative<SessionOpen>(command)) shared = std::make_shared<SessionShared>();
    // RX first: an answer to what TX sends must find its keys (see RxThread::readSocket).
    if (RxThread::handles(command)) {
      post(rx_.mailbox(), Mail(command, shared, opened.socket, opened.listeners));
    }
    if (TxThread::handles(command)) post(tx_.mailbox(), Mail(command, shared, opened.socket));
    opener_.announce(command, opened);
  }

  Counters counters() const {
    Counters sum;
    for (const ThreadCounters* each : {&tx_.counters(), &rx_.counters(), &counters_}) {
      for (size_t i = 0; i < dropReasons; i++) sum.dropped[i] += each->dropped[i].get();
      sum.datagramsIn += each->datagramsIn.get();
      sum.datagramsOut += each->datagramsOut.get();
      sum.bytesIn += each->bytesIn.get();
      sum.bytesOut += each->bytesOut.get();
      sum.tapFramesIn += each->tapFramesIn.get();
      sum.tapFramesOut += each->tapFramesOut.get();
      sum.relayedDatagrams += each->relayedDatagrams.get();
    }
    return sum;
  }

  OffloadOptions offloads() const {
    OffloadOptions on;
    on.tapSuperframes = tap_ && tap_->offloads().any();
    on.udpSegment = segmentation_;
    on.udpGro = true;
    for (const UdpSocket& socket : sockets_) on.udpGro = on.udpGro && socket.coalesces();
    return on;
  }

  bool isOpen() const { return open_; }
  UpcallRing& upcalls() { return upcalls_; }
  Tap* tapPointer() { return tap_ ? &*tap_ : nullptr; }
  const std::vector<Endpoint>& endpoints() const { return endpoints_; }

 private:
  /// Both threads get the same table, made here, and the one flow table, made with the first rules.
  void applyAcl(Acl command) {
    if (command.policy) {
      command.table = AclTable::make(*command.policy);
      if (command.table == nullptr) {
        counters_.drop(DropReason::tableFull);
        // Rules that cannot be kept are no leave: a peer without any may begin nothing.
        command.table = AclTable::make(AclPolicy{});
        command.onlyWhereNone = true;
      }
      if (flows_ == nullptr) flows_ = std::make_shared<AclFlows>();
      command.flows = flows_;
      command.policy.reset();
    }
    // TX first: from the first frame that RX judges on, the flows of our side are known.
    post(tx_.mailbox(), Mail(command, nullptr));
    post(rx_.mailbox(), Mail(command, nullptr));
  }
  void post(Mailbox& mailbox, Mail&& mail) { counters_.drop(mailbox.post(std::move(mail))); }

  std::vector<UdpSocket> sockets_;
  std::optional<Tap> tap_;
  bool segmentation_;
  std::vector<Endpoint> endpoints_;
  UpcallRing upcalls_;
  ThreadCounters counters_;  // the owner's
  std::shared_ptr<AclFlows> flows_;
  TxThread tx_;
  RxThread rx_;
  SocketOpener opener_;
  bool open_ = false;
};

namespace {

Opened<std::optional<Tap>> openTap(const Options& options) {
  if (const auto* descriptor = std::get_if<TapDescriptor>(&options.tap)) {
    TapOffloads offloads = descriptor->offloads;
    if (!options.offloads.tapSuperframes) offloads = {};
    return std::optional(Tap::adopt(descriptor->fd, descriptor->vnetHeader, offloads));
  }
  const auto* wanted = std::get_if<TapOptions>(&options.tap);
  if (wanted == nullptr) return std::optional<Tap>();
  TapOptions tapOptions = *wanted;
  tapOptions.vnetHeader = true;
  tapOptions.offloads = {};
  if (options.offloads.tapSuperframes) tapOptions.offloads = {true, true, true};
  Opened<Tap> opened = Tap::open(tapOptions);
  if (auto* error = std::get_if<OpenError>(&opened)) return std::move(*error);
  return std::optional(std::move(*std::get_if<Tap>(&opened)));
}

Opened<std::vector<UdpSocket>> openSockets(const Options& options) {
  std::vector<UdpSocket> sockets;
  sockets.reserve(options.sockets.size());
  for (const SocketOptions& wanted : options.sockets) {
    auto opened = UdpSocket::open(wanted.ip, wanted.port, options.offloads.udpGro);
    if (auto* error = std::get_if<OpenError>(&opened)) return std::move(*error);
    sockets.push_back(std::move(*std::get_if<UdpSocket>(&opened)));
  }
  return sockets;
}

}  // namespace

Opened<std::unique_ptr<Engine>> Engine::open(const Options& options) {
  auto tap = openTap(options);  // first: a foreign descriptor is ours from here on
  if (auto* error = std::get_if<OpenError>(&tap)) return std::move(*error);
  if (options.sockets.empty() || options.sockets.size() > limits::fixedSockets) {
    return OpenError{OpenErrorCode::badOption,
                     "an engine has 1 to " + std::to_string(limits::fixedSockets) + " sockets", 0};
  }
  if (!loadCryptoLibrary().empty()) {
    return OpenError{OpenErrorCode::noCrypto, loadCryptoLibrary(), 0};
  }
  auto sockets = openSockets(options);
  if (auto* error = std::get_if<OpenError>(&sockets)) return std::move(*error);
  const bool segmentation = options.offloads.udpSegment && kernelHasUdpSegment();
  auto impl = std::make_unique<Impl>(
      options, std::move(*std::get_if<std::vector<UdpSocket>>(&sockets)),
      std::move(*std::get_if<std::optional<Tap>>(&tap)), segmentation);
  if (!impl->start()) {
    return OpenError{OpenErrorCode::thread, "cannot start the data threads", errno};
  }
  return std::unique_ptr<Engine>(new Engine(std::move(impl)));
}

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() = default;

void Engine::apply(std::span<const Command> commands) {
  if (!impl_->isOpen()) return;
  for (const Command& command : commands) impl_->apply(command);
}

void Engine::drain(std::vector<Upcall>& into) {
  if (impl_->isOpen()) impl_->upcalls().drain(into);
}

Counters Engine::counters() const { return impl_->counters(); }
void Engine::close() { impl_->close(); }
const std::vector<Endpoint>& Engine::endpoints() const { return impl_->endpoints(); }

const std::string& Engine::tapName() const {
  static const std::string none;
  const Tap* tap = impl_->tapPointer();
  return tap == nullptr ? none : tap->name();
}

std::optional<uint32_t> Engine::tapMtu() const {
  const Tap* tap = impl_->tapPointer();
  return tap == nullptr ? std::nullopt : tap->mtu();
}

std::optional<Mac> Engine::tapMac() const {
  const Tap* tap = impl_->tapPointer();
  return tap == nullptr ? std::nullopt : tap->mac();
}

int Engine::setTapMtu(uint32_t mtu) {
  Tap* tap = impl_->tapPointer();
  return tap == nullptr ? -ENODEV : tap->setMtu(mtu);
}

OffloadOptions Engine::offloads() const { return impl_->offloads(); }

}  // namespace weft
