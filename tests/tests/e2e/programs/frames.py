#!/usr/bin/env python3
"""Sends frames as they are by an interface: INTERFACE PERIOD_MS, and a frame in hexadecimal on each line of input."""
import socket
import sys
import time

interface, period_ms = sys.argv[1:]
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
    wire.bind((interface, 0))
    for line in sys.stdin:
        wire.send(bytes.fromhex(line))
        time.sleep(float(period_ms) / 1000)
