#include "udp-receiver.h"

#include <errno.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

#include "engine-limits.h"

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

namespace weft {
namespace {

constexpr size_t coalescedBytes = 65'536;
constexpr size_t bufferBytes =
    std::max(coalescedBytes, limits::batch * limits::singleReceiveBytes);

bool isEmpty(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

/// Size of each datagram in a coalesced buffer: an int in the control message, or none.
size_t segmentBytesOf(msghdr& header, size_t whole) {
  for (cmsghdr* at = CMSG_FIRSTHDR(&header); at != nullptr; at = CMSG_NXTHDR(&header, at)) {
    if (at->cmsg_level != IPPROTO_UDP || at->cmsg_type != UDP_GRO) continue;
    int value = 0;
    memcpy(&value, CMSG_DATA(at), sizeof value);
    if (value > 0) return static_cast<size_t>(value);
  }
  return whole;
}

}  // namespace

UdpReceiver::UdpReceiver() : buffer_(std::make_unique<uint8_t[]>(bufferBytes)) {
  received_.reserve(limits::batch);
}

std::span<const Received> UdpReceiver::receive(const UdpSocket& socket, int& error) {
  error = 0;
  received_.clear();
  return socket.coalesces() ? receiveCoalesced(socket.fd(), error)
                            : receiveMany(socket.fd(), error);
}

std::span<const Received> UdpReceiver::receiveCoalesced(int fd, int& error) {
  SocketAddress from{};
  iovec piece{buffer_.get(), coalescedBytes};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control;
  msghdr header{};
  header.msg_name = &from.any;
  header.msg_namelen = sizeof from.v6;
  header.msg_iov = &piece;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  const ssize_t bytes = recvmsg(fd, &header, 0);
  if (bytes < 0) {
    if (!isEmpty(errno)) error = errno;
    return {};
  }
  const size_t whole = static_cast<size_t>(bytes);
  received_.push_back({fromSocketAddress(from),
                       {buffer_.get(), whole},
                       segmentBytesOf(header, whole),
                       (header.msg_flags & MSG_TRUNC) != 0});
  return received_;
}

std::span<const Received> UdpReceiver::receiveMany(int fd, int& error) {
  std::array<SocketAddress, limits::batch> from;
  std::array<iovec, limits::batch> pieces;
  std::array<mmsghdr, limits::batch> headers{};
  for (size_t i = 0; i < limits::batch; i++) {
    pieces[i] = {buffer_.get() + i * limits::singleReceiveBytes, limits::singleReceiveBytes};
    headers[i].msg_hdr.msg_name = &from[i].any;
    headers[i].msg_hdr.msg_namelen = sizeof from[i].v6;
    headers[i].msg_hdr.msg_iov = &pieces[i];
    headers[i].msg_hdr.msg_iovlen = 1;
  }
  const int count = recvmmsg(fd, headers.data(), limits::batch, 0, nullptr);
  if (count < 0) {
    if (!isEmpty(errno)) error = errno;
    return {};
  }
  for (size_t i = 0; i < static_cast<size_t>(count); i++) {
    const size_t bytes = headers[i].msg_len;
    received_.push_back({fromSocketAddress(from[i]),
                         {static_cast<uint8_t*>(pieces[i].iov_base), bytes},
                         bytes,
                         (headers[i].msg_hdr.msg_flags & MSG_TRUNC) != 0});
  }
  return received_;
}

}  // namespace weft
