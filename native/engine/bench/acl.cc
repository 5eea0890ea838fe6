// What access rules cost a frame, in nanoseconds of one core: reading it and asking the 256 rules,
// looking up the flow that it answers, and remembering a flow on the way out.
#include <time.h>

#include <cstdio>

#include "acl-gate.h"
#include "acl-table.h"
#include "bytes.h"

namespace {

using namespace weft;

constexpr int rounds = 2'000'000;

std::vector<uint8_t> tcpFrame(uint8_t from, uint8_t to, uint16_t fromPort, uint16_t toPort) {
  std::vector<uint8_t> frame(14 + 1'390, 0);
  frame[0] = frame[6] = 2;
  storeBe16(&frame[12], etherTypeIpv4);
  frame[14] = 0x45;
  storeBe16(&frame[16], 1'390);
  frame[23] = protocolTcp;
  const uint8_t addresses[] = {10, 7, 0, from, 10, 7, 0, to};
  std::copy(std::begin(addresses), std::end(addresses), &frame[26]);
  storeBe16(&frame[34], fromPort);
  storeBe16(&frame[36], toPort);
  frame[46] = 0x50;
  frame[47] = tcpAck;
  return frame;
}

double cpuNs() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

/// Other ports each time, so that no look-up is the same as the one before.
template <typename Act>
void measure(const char* what, uint8_t from, uint8_t to, size_t countedAt, Act act) {
  std::vector<uint8_t> frame = tcpFrame(from, to, 5'201, 5'201);
  FrameView view;
  (void)parseFrame(frame, view);
  size_t passed = 0;
  const double begin = cpuNs();
  for (int i = 0; i < rounds; i++) {
    storeBe16(&frame[countedAt], static_cast<uint16_t>(40'000 + i % 1'000));
    passed += act(1'000'000U + static_cast<uint64_t>(i) / 1'000, frame, view);
  }
  const double end = cpuNs();
  std::printf("%-44s %6.1f ns   %zu of %d\n", what, (end - begin) / rounds, passed, rounds);
}

}  // namespace

int main() {
  AclPolicy policy;
  for (uint16_t i = 0; i + 1 < 256; i++) {
    const auto port = static_cast<uint16_t>(10'000 + 100 * i);
    policy.rules.push_back({i % 2 == 0, uint8_t{6}, {{port, static_cast<uint16_t>(port + 9)}}});
  }
  policy.rules.push_back({true, uint8_t{6}, {{5201, 5201}}});
  const auto table = AclTable::make(policy);
  const auto closed = AclTable::make(AclPolicy{});
  const auto flows = std::make_shared<AclFlows>();
  AclGate open(table, flows), answers(closed, flows);
  AclWatch watch(closed, flows, 0), free(table, flows, 0);
  const auto sent = [](AclWatch& by) {
    return [&by](uint64_t nowMs, Bytes frame, const FrameView& view) {
      by.sent(nowMs, frame, view);
      return true;
    };
  };
  const auto judged = [](AclGate& by) {
    return [&by](uint64_t nowMs, Bytes frame, const FrameView& view) {
      return by.judge(nowMs, frame, view) == DropReason::none;
    };
  };
  measure("sent, remembered (1,000 flows)", 2, 1, 34, sent(watch));
  measure("sent, a rule lets the answer in (256 rules)", 2, 1, 36, sent(free));
  measure("received, let in by the last of 256 rules", 1, 2, 34, judged(open));
  measure("received, an answer (1,000 flows)", 1, 2, 36, judged(answers));
  return 0;
}
