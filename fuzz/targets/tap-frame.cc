// The TX path behind the TAP: the virtio header and any frame of the machines behind it, towards a
// peer, towards a stranger, up to the core; superframes are cut, too large ones answered.
//
//      input = | path size u16 | settled u8 | [virtio header 10 | frame] |
#include <fcntl.h>

#include "input.h"
#include "members.h"
#include "thread-doors.h"
#include "tx-thread.h"

namespace weft {

/// Friend of TxThread: what its loop does around one frame.
struct TxDoor {
  TxThread& tx;

  void command(const Command& command) {
    fuzz::deliver(command, [this](Mail& mail) { tx.on(mail); });
  }
  void begin(uint64_t nowMs) { tx.nowMs_ = nowMs; }
  void frame(const VnetHeader& vnet, std::span<uint8_t> frame) { tx.classify(vnet, frame); }
  void endOfTurn() {
    tx.runTimers();
    tx.sender_.flush();
  }
};

}  // namespace weft

using namespace weft;

namespace {

constexpr SessionId toB = 1;
const std::vector<uint8_t> key(36, 0x42);

class World {
 public:
  World()
      : tap_(Tap::adopt(open("/dev/null", O_WRONLY | O_CLOEXEC), true, {true, true, true})),
        ring_([](void*) {}, nullptr),
        tx_(sockets_, &tap_, ring_, false),
        door_{tx_} {}

  void reset(uint16_t maxDatagram, bool settled) {
    ring_.drain(upcalls_);
    upcalls_.clear();
    // Past the time of everything that waited for a forwarding decision.
    door_.begin(nowMs_ += 10'000);
    door_.command(SessionClose{toB});
    door_.command(SessionOpen{toB});
    Keys keys;
    keys.session = toB;
    keys.receive = keys.send = 5;
    keys.sealing = keys.opening = {Bytes(key).first(32), Bytes(key).subspan(32)};
    keys.rejectAfterMs = 1'000'000;
    door_.command(keys);
    Path path;
    path.session = toB;
    path.to = DirectTarget{0, {{192, 0, 2, 1}, Family::v4, 7117}};
    path.maxDatagram = maxDatagram;
    path.settled = settled;
    door_.command(path);
    door_.command(PathActive{toB, 0});
    Forward forward;
    forward.mac = fuzz::macB;
    forward.to = toB;
    forward.ttlMs = 60'000;
    door_.command(forward);
  }
  void frame(const VnetHeader& vnet, std::span<uint8_t> frame) {
    door_.frame(vnet, frame);
    door_.endOfTurn();
  }

 private:
  std::array<UdpSocket, 1> sockets_;
  Tap tap_;
  UpcallRing ring_;
  TxThread tx_;
  TxDoor door_;
  uint64_t nowMs_ = 1;
  std::vector<Upcall> upcalls_;
};

}  // namespace

FUZZ_TARGET(input) {
  static World& world = *new World;
  const uint16_t maxDatagram = std::clamp<uint16_t>(input.word(), 576, limits::singleReceiveBytes);
  world.reset(maxDatagram, (input.byte() & 1) != 0);
  VnetHeader vnet;
  const auto head = fuzz::copyOf(input.take(sizeof vnet));
  if (head.size() < sizeof vnet) return;
  std::memcpy(&vnet, head.data(), sizeof vnet);
  auto frame = fuzz::copyOf(input.rest());
  if (frame.size() < etherHeaderBytes) return;
  world.frame(vnet, frame);
}
