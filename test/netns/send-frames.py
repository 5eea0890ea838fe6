"""Sends Ethernet frames as they are: send-frames.py INTERFACE, one frame of hex digits a line on standard input."""
import socket
import sys

link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
link.bind((sys.argv[1], 0))
for line in sys.stdin:
    link.send(bytes.fromhex(line.strip()))
