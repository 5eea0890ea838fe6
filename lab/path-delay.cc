// path-delay IF_A IF_B MS: passes Ethernet frames between two interfaces, each MS later. The kernel of
// a small machine may lack netem; this needs packet sockets only. One thread a direction; frames keep
// their order. Offloads must be off on whatever sends into the interfaces.
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

// A jumbo frame and its header.
constexpr size_t kFrameMax = 9'300;
// At 100 Mbit/s and 200 ms about 1,700 full frames are on their way; more is a queue that never empties.
constexpr size_t kQueueMax = 20'000;
constexpr int kSocketBuffer = 8 << 20;

struct Frame {
  Clock::time_point due;
  std::vector<char> bytes;
};

int openPort(const char* name) {
  const int port = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(if_nametoindex(name));
  const int on = 1;
  // What we send ourselves must not come back as if it had arrived.
  if (port < 0 || address.sll_ifindex == 0 ||
      bind(port, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      setsockopt(port, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) != 0) {
    perror(name);
    exit(1);
  }
  setsockopt(port, SOL_SOCKET, SO_RCVBUFFORCE, &kSocketBuffer, sizeof kSocketBuffer);
  setsockopt(port, SOL_SOCKET, SO_SNDBUFFORCE, &kSocketBuffer, sizeof kSocketBuffer);
  return port;
}

void sendDue(std::deque<Frame>& queue, int out) {
  while (!queue.empty() && queue.front().due <= Clock::now()) {
    const Frame& frame = queue.front();
    send(out, frame.bytes.data(), frame.bytes.size(), 0);
    queue.pop_front();
  }
}

timespec untilNext(const std::deque<Frame>& queue) {
  if (queue.empty()) return {1, 0};
  const auto wait = std::chrono::nanoseconds(queue.front().due - Clock::now()).count();
  return wait <= 0 ? timespec{0, 0} : timespec{wait / 1'000'000'000, wait % 1'000'000'000};
}

void pass(int in, int out, Clock::duration delay) {
  std::deque<Frame> queue;
  std::vector<char> buffer(kFrameMax);
  for (;;) {
    sendDue(queue, out);
    pollfd waiting{in, POLLIN, 0};
    const timespec wait = untilNext(queue);
    if (ppoll(&waiting, 1, &wait, nullptr) <= 0) continue;
    ssize_t length;
    while ((length = recv(in, buffer.data(), buffer.size(), MSG_DONTWAIT)) > 0) {
      if (queue.size() >= kQueueMax) continue;
      queue.push_back({Clock::now() + delay, {buffer.data(), buffer.data() + length}});
    }
  }
}

}  // namespace

int main(int count, char** words) {
  if (count != 4) {
    fprintf(stderr, "usage: path-delay IF_A IF_B MS\n");
    return 2;
  }
  const int a = openPort(words[1]);
  const int b = openPort(words[2]);
  const auto delay = std::chrono::microseconds(static_cast<long>(atof(words[3]) * 1'000));
  puts("ready");
  fflush(stdout);
  std::thread there(pass, a, b, delay);
  pass(b, a, delay);
}
