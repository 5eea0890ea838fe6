#include "too-big.h"

#include <algorithm>

#include "bytes.h"
#include "checksum.h"

namespace weft {
namespace {

constexpr size_t leastIpv6Mtu = 1'280;
constexpr size_t icmpHeaderBytes = 8;
/// RFC 1812, 4.3.2.3: as much of the packet as makes an answer of 576 bytes; IPv6: of 1,280.
constexpr size_t mostAnswer4 = 576;
constexpr size_t mostAnswer6 = leastIpv6Mtu;
constexpr uint16_t dontFragment = 0x4000;
constexpr uint8_t hopLimit = 64;

bool isGroup4(const uint8_t* ip) { return ip[0] >= 224 || ip[0] == 0; }
bool isGroup6(const uint8_t* ip) {
  return ip[0] == 0xff || std::all_of(ip, ip + 16, [](uint8_t byte) { return byte == 0; });
}

/// ICMP types that report errors: 3 to 5, 11 and 12.
bool isIcmpError(uint8_t type) { return (type >= 3 && type <= 5) || type == 11 || type == 12; }

/// Both addresses swapped; VLAN tags and EtherType as they came.
void appendEthernet(std::vector<uint8_t>& to, Bytes frame, const FrameView& view) {
  to.insert(to.end(), &frame[6], &frame[12]);
  to.insert(to.end(), &frame[0], &frame[6]);
  to.insert(to.end(), &frame[12], frame.data() + view.layer3Offset);
}

void appendTooBig4(std::vector<uint8_t>& to, Bytes packet, size_t mtu) {
  const Bytes quote =
      packet.first(std::min(packet.size(), mostAnswer4 - ipv4HeaderBytes - icmpHeaderBytes));
  const size_t at = to.size();
  const size_t bytes = ipv4HeaderBytes + icmpHeaderBytes + quote.size();
  to.resize(at + bytes - quote.size(), 0);
  to.insert(to.end(), quote.begin(), quote.end());
  uint8_t* ip = &to[at];
  ip[0] = 0x45;
  storeBe16(ip + 2, static_cast<uint16_t>(bytes));
  storeBe16(ip + 6, dontFragment);
  ip[8] = hopLimit;
  ip[9] = protocolIcmp;
  std::copy_n(&packet[16], 4, ip + 12);
  std::copy_n(&packet[12], 4, ip + 16);
  writeIpv4Checksum(ip, ipv4HeaderBytes);
  uint8_t* icmp = ip + ipv4HeaderBytes;
  icmp[0] = 3;  // destination unreachable
  icmp[1] = 4;  // fragmentation needed
  storeBe16(icmp + 6, static_cast<uint16_t>(mtu));
  const uint64_t sum = checksumAdd({icmp, icmpHeaderBytes + quote.size()});
  storeBe16(icmp + 2, static_cast<uint16_t>(~checksumFold(sum)));
}

void appendTooBig6(std::vector<uint8_t>& to, Bytes packet, size_t mtu) {
  const Bytes quote =
      packet.first(std::min(packet.size(), mostAnswer6 - ipv6HeaderBytes - icmpHeaderBytes));
  const size_t at = to.size();
  const size_t icmpBytes = icmpHeaderBytes + quote.size();
  to.resize(at + ipv6HeaderBytes + icmpHeaderBytes, 0);
  to.insert(to.end(), quote.begin(), quote.end());
  uint8_t* ip = &to[at];
  ip[0] = 0x60;
  storeBe16(ip + 4, static_cast<uint16_t>(icmpBytes));
  ip[6] = protocolIcmpv6;
  ip[7] = hopLimit;
  std::copy_n(&packet[24], 16, ip + 8);
  std::copy_n(&packet[8], 16, ip + 24);
  uint8_t* icmp = ip + ipv6HeaderBytes;
  icmp[0] = 2;  // packet too big
  storeBe32(icmp + 4, static_cast<uint32_t>(mtu));
  const uint64_t sum = checksumAdd({ip + 8, 32}, protocolIcmpv6 + icmpBytes);
  storeBe16(icmp + 2, static_cast<uint16_t>(~checksumFold(checksumAdd({icmp, icmpBytes}, sum))));
}

}  // namespace

bool forbidsFragments(Bytes frame, const FrameView& view, size_t frameBytes) {
  if (view.layer3 == Layer3::ipv4) {
    return (loadBe16(&frame[view.layer3Offset + 6U]) & dontFragment) != 0;
  }
  return view.layer3 == Layer3::ipv6 && frameBytes > view.layer3Offset + leastIpv6Mtu;
}

bool mayBeAnswered(Bytes frame, const FrameView& view) {
  const uint8_t* ip = frame.data() + view.layer3Offset;
  if (view.layer4Offset == 0 || view.layer4Offset >= view.end) return false;
  const uint8_t type = frame[view.layer4Offset];
  if (view.layer3 == Layer3::ipv4) {
    if (isGroup4(ip + 12) || isGroup4(ip + 16)) return false;
    return view.protocol != protocolIcmp || !isIcmpError(type);
  }
  if (isGroup6(ip + 8) || isGroup6(ip + 24)) return false;
  return view.protocol != protocolIcmpv6 || type >= 128;
}

void appendTooBig(std::vector<uint8_t>& to, Bytes frame, const FrameView& view,
                  size_t frameRoom) {
  const Bytes packet = frame.subspan(view.layer3Offset);
  const size_t mtu = frameRoom > view.layer3Offset ? frameRoom - view.layer3Offset : 0;
  appendEthernet(to, frame, view);
  if (view.layer3 == Layer3::ipv4) return appendTooBig4(to, packet, mtu);
  appendTooBig6(to, packet, std::max(mtu, leastIpv6Mtu));
}

}  // namespace weft
