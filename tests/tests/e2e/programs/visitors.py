"""Clients that ask a web server for its name again and again: visitors.py URL_HOST PORT SECONDS CLIENT...

A client that gets no answer asks anew at once. Prints JSON: how often who answered, when last, how many connections
broke, and the longest time that a client was without an answer.
"""

import json
import socket
import sys
import threading
import time

host, port, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
clients = sys.argv[4:]
begun = time.monotonic()
lock = threading.Lock()
answers = {}
last = {}
broken = 0
longest = 0.0


def ask(client):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as connection:
        connection.settimeout(5)
        connection.bind((client, 0))
        connection.connect((host, port))
        connection.sendall(b"GET /name HTTP/1.0\r\n\r\n")
        page = b""
        while part := connection.recv(4096):
            page += part
    head, _, name = page.partition(b"\r\n\r\n")
    if b" 200 " not in head or not name:
        raise OSError("no whole page")
    return name.decode()


def visit(client):
    global broken, longest
    heard = time.monotonic()
    while time.monotonic() < begun + seconds:
        try:
            name = ask(client)
        except OSError:
            name = None
        now = time.monotonic()
        with lock:
            if name is None:
                broken += 1
                continue
            longest = max(longest, now - heard)
            answers[name] = answers.get(name, 0) + 1
            last[name] = now - begun
        time.sleep(0.05)
        heard = time.monotonic()


threads = [threading.Thread(target=visit, args=(client,)) for client in clients]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps({"answers": answers, "last_s": last, "broken": broken, "longest_s": longest}))
