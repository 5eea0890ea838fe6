// The owner's part in sockets by command: it makes them, so that commands behind one find it, and
// hands them to both data threads.
#pragma once

#include "counters.h"
#include "listener.h"
#include "socket-table.h"
#include "upcall-ring.h"

namespace weft {

class SocketOpener {
 public:
  struct Opened {
    ExtraSocket socket;
    Listeners listeners;
  };

  SocketOpener(std::span<const UdpSocket> fixed, bool wantGro, UpcallRing& upcalls,
               ThreadCounters& counters)
      : table_(fixed), wantGro_(wantGro), upcalls_(upcalls), counters_(counters) {}

  static bool handles(const Command& command);
  /// Makes what the command asks for. False when it goes no further: refused, counted or told.
  bool open(const Command& command, Opened& into);
  /// Both threads have their mail: what is usable at once is told to the core.
  void announce(const Command& command, const Opened& opened);
  void forgetAll() { table_.clear(); }

 private:
  bool openUdp(const SocketOpen& open, ExtraSocket& into);
  bool openStream(const StreamOpen& open, ExtraSocket& into);
  bool listen(const StreamListen& listen, Listeners& into);
  bool isFree(SocketIndex index);
  bool refuse(SocketIndex index, SocketFailure reason);
  void push(Upcall&& upcall);

  SocketTable table_;  // what the core opened; an ended stream stays until its index is used again
  bool wantGro_;
  UpcallRing& upcalls_;
  ThreadCounters& counters_;
};

}  // namespace weft
