"""Many DHCP clients on one cable, each with a MAC of its own: dhcp-swarm.py INTERFACE FIRST COUNT

All ask within a second and go on asking every three seconds until they are bound. Prints `offer N IP`, `bound N IP
SECONDS`, `nak N`, `released N IP`. SIGUSR1: the bound client with the smallest number releases its lease and falls silent.
"""
import select
import signal
import socket
import struct
import sys
import time

DISCOVER, OFFER, REQUEST, ACK, NAK, RELEASE = 1, 2, 3, 5, 6, 7
RETRY_SECONDS = 3.0
BROADCAST = b"\xff" * 6
NOBODY = b"\0" * 4


class Client:
    def __init__(self, number, begin):
        self.number = number
        self.mac = bytes([2, 0xD5]) + struct.pack("!I", number)
        self.xid = 0x5EED0000 + number
        self.next = begin
        self.offer = None
        self.ip = None
        self.server = None
        self.server_mac = BROADCAST
        self.silent = False


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def frame(client, kind, options, ciaddr=NOBODY, to_mac=BROADCAST, to_ip=b"\xff" * 4):
    head = struct.pack("!BBBBIHH", 1, 1, 6, 0, client.xid, 0, 0)
    dhcp = head + ciaddr + NOBODY * 3 + client.mac + bytes(10 + 64 + 128)
    dhcp += b"\x63\x82\x53\x63" + bytes([53, 1, kind])
    for code, value in options:
        dhcp += bytes([code, len(value)]) + value
    dhcp = (dhcp + b"\xff").ljust(300, b"\0")
    udp = struct.pack("!HHHH", 68, 67, 8 + len(dhcp), 0) + dhcp
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + ciaddr + to_ip
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    return to_mac + client.mac + b"\x08\x00" + ip + udp


def parse(packet):
    """-> (xid, kind, yiaddr, server identifier, source MAC), or None when it is no answer to a client."""
    if len(packet) < 14 + 20 + 8 + 240 or packet[12:14] != b"\x08\x00" or packet[23] != 17:
        return None
    start = 14 + (packet[14] & 15) * 4
    if packet[start : start + 4] != b"\0\x43\0\x44":
        return None
    dhcp = packet[start + 8 :]
    options, at = {}, 240
    while at + 1 < len(dhcp) and dhcp[at] != 255:
        if dhcp[at] == 0:
            at += 1
            continue
        options[dhcp[at]] = dhcp[at + 2 : at + 2 + dhcp[at + 1]]
        at += 2 + dhcp[at + 1]
    kind = options.get(53, b"\0")[0]
    return struct.unpack("!I", dhcp[4:8])[0], kind, dhcp[16:20], options.get(54, NOBODY), packet[6:12]


def say(*words):
    print(*words, flush=True)


def ask(link, client, now):
    client.next = now + RETRY_SECONDS
    if client.offer is None:
        link.send(frame(client, DISCOVER, []))
    else:
        # An offer that is not confirmed is asked for once more by DISCOVER.
        link.send(frame(client, REQUEST, [(50, client.offer), (54, client.server)]))
        client.offer = None


def take(link, client, answer, now, began):
    _, kind, yiaddr, server, source = answer
    if client.ip is not None:
        return
    if kind == OFFER and client.offer is None:
        client.offer, client.server, client.server_mac = yiaddr, server, source
        say("offer", client.number, socket.inet_ntoa(yiaddr))
        ask(link, client, now)
    elif kind == ACK:
        client.ip = yiaddr
        say("bound", client.number, socket.inet_ntoa(yiaddr), f"{now - began:.2f}")
    elif kind == NAK:
        say("nak", client.number)
        client.offer, client.next = None, now


def release(link, clients):
    client = min((one for one in clients if one.ip is not None), key=lambda one: one.number)
    link.send(frame(client, RELEASE, [(54, client.server)], client.ip, client.server_mac, client.server))
    say("released", client.number, socket.inet_ntoa(client.ip))
    client.ip, client.silent = None, True


def main():
    device, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    link.bind((device, 0x0800))
    began = time.monotonic()
    clients = [Client(first + i, began + i / count) for i in range(count)]
    by_xid = {client.xid: client for client in clients}
    signal.signal(signal.SIGUSR1, lambda *_: release(link, clients))
    while True:
        now = time.monotonic()
        waiting = [client for client in clients if client.ip is None and not client.silent]
        for client in waiting:
            if client.next <= now:
                ask(link, client, now)
        pause = min((client.next for client in waiting), default=now + 1) - now
        if not select.select([link], [], [], max(0, min(1, pause)))[0]:
            continue
        answer = parse(link.recv(65535))
        client = by_xid.get(answer[0]) if answer else None
        if client is not None and not client.silent:
            take(link, client, answer, time.monotonic(), began)


main()
