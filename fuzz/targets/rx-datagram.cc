// The RX path behind the socket: strangers and mac1, data, relay shims, and everything that a
// member who holds the keys may seal: descriptors, aggregates, halves of frames, control messages.
//
//      input = repeated  | way u8 | length u16 | bytes |
#include <fcntl.h>

#include "aead.h"
#include "clock.h"
#include "input.h"
#include "members.h"
#include "rx-thread.h"
#include "thread-doors.h"

namespace weft {

/// Friend of RxThread: what its loop does around one datagram.
struct RxDoor {
  RxThread& rx;

  void command(const Command& command) {
    fuzz::deliver(command, [this](Mail& mail) { rx.on(mail); });
  }
  void datagram(const Endpoint& from, std::span<uint8_t> bytes) {
    rx.onDatagram({0, from, bytes.size(), nullptr, 0}, bytes);
  }
  void endOfTurn() {
    rx.tapWriter_.flush();
    if (!rx.relays_.empty()) rx.relays_.flush();
  }
  void begin(uint64_t nowMs) { rx.nowMs_ = nowMs; }
  void timers() { rx.runTimers(); }
  size_t held() const { return rx.heldFrames_; }
};

}  // namespace weft

using namespace weft;
using fuzz::require;

namespace {

/// What happens to the bytes of one record on their way in.
enum class Entry : uint8_t { asIs, mac1, sealed, behindShim, relayed, unfiltered, endOfTurn, later };
constexpr uint8_t entries = 8;

constexpr SessionId fromA = 1;
constexpr SessionId viaRelay = 2;
constexpr ReceiverIndex indexOfA = 0x11111111;
constexpr Label endsHere = 7;
constexpr Label goesOn = 8;
constexpr size_t mostRecords = 16;
constexpr Mac1Key mac1Key{1, 2, 3};

Endpoint endpointOf(uint8_t host) { return {{192, 0, 2, host}, Family::v4, 7117}; }
const std::vector<uint8_t> key(36, 0x42);

/// One RX thread that never runs; its sockets are closed, its TAP swallows everything.
class World {
 public:
  World()
      : tap_(Tap::adopt(open("/dev/null", O_WRONLY | O_CLOEXEC), true, {true, true, true})),
        ring_([](void*) {}, nullptr),
        rx_({sockets_, &tap_, ring_, tx_}, {mac1Key, true}, false),
        door_{rx_},
        sealing_(*Aead::make(Cipher::aes256gcm, Aead::Direction::seal, Bytes(key).first(32))) {
    std::copy(key.begin() + 32, key.end(), salt_.begin());
    openSession(viaRelay);
    door_.command(LabelRoute{viaRelay, endsHere, LabelEnds{}});
    Forward local;
    local.mac = fuzz::macB;
    local.to = ForwardLocal{};
    local.ttlMs = UINT64_MAX / 2;
    door_.command(local);
  }

  /// Every input finds the same tables; only the session that it speaks in is made anew.
  void reset() {
    ring_.drain(upcalls_);
    upcalls_.clear();
    tx_.take(mails_);
    door_.begin(nowMs_ += 10'000);
    counter_ = 0;
    openSession(fromA);
    Keys keys;
    keys.session = fromA;
    keys.receive = indexOfA;
    keys.sealing = keys.opening = {Bytes(key).first(32), Bytes(key).subspan(32)};
    keys.rejectAfterMs = 1'000'000;
    door_.command(keys);
    door_.command(Filter{fromA, {{fuzz::macA, fuzz::addressesOfA()}}});
    door_.command(LabelRoute{viaRelay, goesOn, LabelOut{fromA, 9}});
  }

  void record(Entry entry, Bytes bytes) {
    switch (entry) {
      case Entry::asIs: return send(fromA, fuzz::copyOf(bytes));
      case Entry::mac1: return send(fromA, withMac1(bytes));
      case Entry::sealed: return send(fromA, sealed(bytes));
      case Entry::behindShim: return send(viaRelay, shimmed(endsHere, sealed(bytes)));
      case Entry::relayed: return send(viaRelay, shimmed(goesOn, sealed(bytes)));
      case Entry::unfiltered: return door_.command(Filter{fromA, {}});
      case Entry::endOfTurn: return door_.endOfTurn();
      case Entry::later:
        door_.endOfTurn();
        door_.begin(nowMs_ += bytes.size() * 100);
        return door_.timers();
    }
  }
  void end() {
    door_.endOfTurn();
    require(door_.held() <= limits::heldFramesPerSession);
    turns_.clear();
  }

 private:
  void openSession(SessionId id) {
    door_.command(SessionClose{id});
    door_.command(SessionOpen{id});
    Path path;
    path.session = id;
    path.to = DirectTarget{0, endpointOf(static_cast<uint8_t>(id))};
    door_.command(path);
    door_.command(PathActive{id, 0});
  }
  /// Segments of one superframe are joined where they lie: the bytes stay until the turn is over.
  void send(SessionId from, std::vector<uint8_t>&& datagram) {
    if (datagram.empty()) return;
    turns_.push_back(std::move(datagram));
    door_.datagram(endpointOf(static_cast<uint8_t>(from)), turns_.back());
  }
  std::vector<uint8_t> withMac1(Bytes message) {
    auto datagram = fuzz::copyOf(message);
    const Mac1 mac = blake2bMac(mac1Key, message);
    datagram.insert(datagram.end(), mac.begin(), mac.end());
    datagram.resize(datagram.size() + wire::macBytes);
    return datagram;
  }
  std::vector<uint8_t> sealed(Bytes inner) {
    std::vector<uint8_t> datagram(wire::dataHeaderBytes + inner.size() + wire::tagBytes);
    wire::emitDataHeader({0, indexOfA, counter_}, datagram.data());
    sealing_.seal(wire::nonceOf(salt_, 0, counter_), {}, inner,
                  datagram.data() + wire::dataHeaderBytes);
    counter_++;
    return datagram;
  }
  static std::vector<uint8_t> shimmed(Label label, const std::vector<uint8_t>& datagram) {
    std::vector<uint8_t> whole(wire::relayHeaderBytes);
    wire::emitRelayHeader({3, label}, whole.data());
    whole.insert(whole.end(), datagram.begin(), datagram.end());
    return whole;
  }

  std::array<UdpSocket, 1> sockets_;
  Tap tap_;
  UpcallRing ring_;
  Mailbox tx_;
  RxThread rx_;
  RxDoor door_;
  Aead sealing_;
  wire::Salt salt_{};
  uint64_t counter_ = 0;
  uint64_t nowMs_ = 1;
  std::vector<std::vector<uint8_t>> turns_;
  std::vector<Upcall> upcalls_;
  std::vector<Mail> mails_;
};

}  // namespace

FUZZ_TARGET(input) {
  static World& world = *new World;
  world.reset();
  for (size_t records = 0; records < mostRecords && !input.empty(); records++) {
    const auto entry = static_cast<Entry>(input.byte() % entries);
    world.record(entry, input.take(input.word()));
  }
  world.end();
}
