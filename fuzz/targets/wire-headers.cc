// The clear headers and the descriptor: what parses is what emits.
#include "wire.h"

#include "input.h"

using namespace weft;
using fuzz::require;

FUZZ_TARGET(input) {
  const auto datagram = fuzz::copyOf(input.rest());
  wire::DataHeader data;
  if (wire::parseDataHeader(datagram, data) == DropReason::none) {
    std::array<uint8_t, wire::dataHeaderBytes> again;
    wire::emitDataHeader(data, again.data());
    require(std::equal(again.begin(), again.end(), datagram.begin()));
    require(data.lane < limits::lanes);
  }
  wire::RelayHeader relay;
  if (wire::parseRelayHeader(datagram, relay) == DropReason::none && datagram[0] == wire::relay) {
    std::array<uint8_t, wire::relayHeaderBytes> again;
    wire::emitRelayHeader(relay, again.data());
    require(std::equal(again.begin(), again.end(), datagram.begin()));
  }
  if (datagram.size() < wire::descriptorBytes) return;
  wire::Descriptor descriptor;
  if (wire::parseDescriptor(datagram.data(), descriptor) != DropReason::none) return;
  std::array<uint8_t, wire::descriptorBytes> again;
  wire::emitDescriptor(descriptor, again.data());
  // The ECN bit is carried by nobody yet.
  require(again[0] == (datagram[0] & 0x7f));
  require(std::equal(again.begin() + 1, again.end(), datagram.begin() + 1));
}
