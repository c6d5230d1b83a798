#!/usr/bin/env python3
"""Stands in for pppd, which needs /dev/ppp: speaks PPP's framing on a terminal, and nothing more of PPP.

As pptpd's PPP program it sends frames on its terminal. With CLIENT and SERVER it has pptp make a tunnel from one to
the other, and once frames arrive it sends some, too; it succeeds when enough have come.
"""
import os
import pty
import select
import subprocess
import sys
import time
import tty

FRAMES = 20
PERIOD_S = 0.02
# What each end says in its frames.
CALLER, CALLED = b"from", b"back"


def framed(number, word):
    """An LCP echo request in HDLC framing (RFC 1661, RFC 1662)."""
    body = b"\xff\x03\xc0\x21\x09" + bytes([number]) + b"\x00\x08" + word
    check = 0xFFFF
    for byte in body:
        check ^= byte
        for _ in range(8):
            check = (check >> 1) ^ (0x8408 if check & 1 else 0)
    body += (check ^ 0xFFFF).to_bytes(2, "little")
    escaped = b"".join(bytes([0x7D, b ^ 0x20]) if b < 0x20 or b in (0x7D, 0x7E) else bytes([b]) for b in body)
    return b"~" + escaped + b"~"


def talk(terminal, say, hear, give_up_s):
    """Sends frames until as many came back or time is up; whether they came. A caller lets the other end begin."""
    tty.setraw(terminal)
    heard, deadline = b"", time.monotonic() + give_up_s
    number = 0
    while time.monotonic() < deadline:
        if heard or say != CALLER:
            os.write(terminal, framed(number % 256, say))
            number += 1
        if select.select([terminal], [], [], PERIOD_S)[0]:
            heard += os.read(terminal, 4096)
        if heard.count(hear) >= FRAMES and number >= FRAMES:
            return True
    return False


def call(client, server):
    """Makes a tunnel and talks through it."""
    ours, theirs = pty.openpty()
    tty.setraw(ours)
    words = ["pptp", server, "--nolaunchpppd", "--nohostroute", "--localbind", client]
    tunnel = subprocess.Popen(words, stdin=theirs, stdout=theirs)
    try:
        return talk(ours, CALLER, CALLED, 8)
    finally:
        tunnel.terminate()
        tunnel.wait()


if len(sys.argv) == 3:
    sys.exit(0 if call(*sys.argv[1:]) else 1)
talk(0, CALLED, CALLER, 10)
