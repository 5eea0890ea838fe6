// flood IF FILE PPS COUNT: sends the Ethernet frames of FILE, over and over in their order, until
// COUNT of them went out, at PPS frames a second. Only for namespaces of a lab: it asks nobody
// before it sends. FILE is repeated (length u16 little endian, frame). Prints one line when done:
// `sent N in MS ms`, where N is what the interface took.
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

// 60 s at 100,000 a second: nothing measured here needs more.
constexpr long kCountMax = 6'000'000;
constexpr long kPpsMax = 200'000;
constexpr size_t kFrameMax = 1'514;
constexpr size_t kPoolMax = 64 << 20;
// One system call; at 50,000 a second a batch is on its way each 1.3 ms.
constexpr size_t kBatch = 64;
// Behind by more than this the clock starts anew: a burst to catch up would be another flood.
constexpr auto kLagMax = std::chrono::milliseconds(100);

struct Frame {
  size_t at;
  size_t bytes;
};

int openPort(const char* name) {
  const int port = socket(AF_PACKET, SOCK_RAW, 0);
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_ifindex = static_cast<int>(if_nametoindex(name));
  const int on = 1;
  if (port < 0 || address.sll_ifindex == 0 ||
      bind(port, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      setsockopt(port, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on) != 0) {
    perror(name);
    exit(1);
  }
  return port;
}

std::vector<uint8_t> readAll(const char* path) {
  FILE* file = fopen(path, "rb");
  if (file == nullptr) {
    perror(path);
    exit(1);
  }
  std::vector<uint8_t> pool(kPoolMax);
  pool.resize(fread(pool.data(), 1, pool.size(), file));
  fclose(file);
  return pool;
}

std::vector<Frame> framesOf(const std::vector<uint8_t>& pool) {
  std::vector<Frame> frames;
  for (size_t at = 0; at + 2 <= pool.size();) {
    const size_t bytes = static_cast<size_t>(pool[at] | pool[at + 1] << 8);
    at += 2;
    if (bytes < ETH_HLEN || bytes > kFrameMax || at + bytes > pool.size()) {
      fprintf(stderr, "a frame of %zu bytes at %zu\n", bytes, at);
      exit(1);
    }
    frames.push_back({at, bytes});
    at += bytes;
  }
  return frames;
}

long bounded(const char* word, long most) {
  const long value = atol(word);
  if (value >= 1 && value <= most) return value;
  fprintf(stderr, "%s is not within 1 and %ld\n", word, most);
  exit(2);
}

struct Batch {
  mmsghdr headers[kBatch]{};
  iovec parts[kBatch]{};
};

}  // namespace

int main(int words, char** word) {
  if (words != 5) {
    fprintf(stderr, "usage: flood IF FILE PPS COUNT\n");
    return 2;
  }
  const int port = openPort(word[1]);
  std::vector<uint8_t> pool = readAll(word[2]);
  const std::vector<Frame> frames = framesOf(pool);
  const long pps = bounded(word[3], kPpsMax);
  const long count = bounded(word[4], kCountMax);
  if (frames.empty()) return 2;
  Batch batch;
  const Clock::time_point start = Clock::now();
  const std::chrono::nanoseconds step(1'000'000'000L * static_cast<long>(kBatch) / pps);
  Clock::time_point due = start;
  size_t next = 0;
  long sent = 0;
  for (long tried = 0; tried < count; tried += static_cast<long>(kBatch)) {
    std::this_thread::sleep_until(due);
    due += step;
    if (Clock::now() - due > kLagMax) due = Clock::now();
    for (size_t i = 0; i < kBatch; i++) {
      const Frame& frame = frames[next++ % frames.size()];
      batch.parts[i] = {&pool[frame.at], frame.bytes};
      batch.headers[i].msg_hdr.msg_iov = &batch.parts[i];
      batch.headers[i].msg_hdr.msg_iovlen = 1;
    }
    const int taken = sendmmsg(port, batch.headers, kBatch, 0);
    if (taken > 0) sent += taken;
  }
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start);
  printf("sent %ld in %ld ms\n", sent, static_cast<long>(took.count()));
}
