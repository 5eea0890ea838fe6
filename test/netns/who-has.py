"""Asks for every address by ARP: who-has.py INTERFACE MAC IP SECONDS, one address a line on standard input.

MAC and IP are those of the machine that asks. At most a hundred questions a second; each address is asked for every
two seconds until somebody answers or SECONDS are over. Prints `IP MAC` for each answer.
"""
import select
import socket
import struct
import sys
import time

RETRY_SECONDS = 2.0
PER_SECOND = 100


def parse(mac, ip):
    return bytes.fromhex(mac.replace(":", "")), socket.inet_aton(ip)


def main():
    device, mac, own, limit = sys.argv[1], *parse(sys.argv[2], sys.argv[3]), float(sys.argv[4])
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
    link.bind((device, 0x0806))
    wanted = {socket.inet_aton(line.strip()): 0.0 for line in sys.stdin if line.strip()}
    end = time.monotonic() + limit
    while wanted and time.monotonic() < end:
        now = time.monotonic()
        target = min(wanted, key=wanted.get)
        if wanted[target] <= now:
            wanted[target] = now + RETRY_SECONDS
            arp = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + mac + own + bytes(6) + target
            link.send(b"\xff" * 6 + mac + b"\x08\x06" + arp)
        until = now + 1 / PER_SECOND
        while (left := until - time.monotonic()) > 0 and select.select([link], [], [], left)[0]:
            packet = link.recv(65535)
            if packet[20:22] == b"\0\x02" and packet[28:32] in wanted:
                del wanted[packet[28:32]]
                print(socket.inet_ntoa(packet[28:32]), packet[22:28].hex(":"), flush=True)


main()
