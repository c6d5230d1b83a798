"""Clients that ask a web server for its name again and again: visitors.py IPV4 IPV6 PORT CLIENT...

They stop when standard input ends.

Each client asks the server's address of its own family, and rests when it was answered. A client that gets no answer
asks anew at once. Prints JSON: how many clients were answered, how often by whom, when last and when all
was over, how many connections broke, and the longest time that a client was without an answer.
"""

import json
import socket
import sys
import threading
import time

hosts, port = sys.argv[1:3], int(sys.argv[3])
clients = sys.argv[4:]
# 200 clients ask 250 times a second: two cores carry that, with the servers and two gateways.
REST_S = 0.8
begun = time.monotonic()
over = threading.Event()
lock = threading.Lock()
answers = {}
last = {}
broken = 0
longest = 0.0
answered = set()


def ask(client):
    is_ipv6 = ":" in client
    with socket.socket(socket.AF_INET6 if is_ipv6 else socket.AF_INET, socket.SOCK_STREAM) as connection:
        connection.settimeout(5)
        connection.bind((client, 0))
        connection.connect((hosts[is_ipv6], port))
        connection.sendall(b"GET /name HTTP/1.0\r\n\r\n")
        page = b""
        while part := connection.recv(4096):
            page += part
    head, _, name = page.partition(b"\r\n\r\n")
    if b" 200 " not in head or not name:
        raise OSError("no whole page")
    return name.decode()


def visit(number, client):
    global broken, longest
    # They come one after another, not all in the same moment.
    over.wait(REST_S * number / len(clients))
    heard = time.monotonic()
    while not over.is_set():
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
            answered.add(client)
        over.wait(REST_S)
        heard = time.monotonic()


threads = [threading.Thread(target=visit, args=numbered) for numbered in enumerate(clients)]
for thread in threads:
    thread.start()
sys.stdin.read()
over.set()
over_s = time.monotonic() - begun
for thread in threads:
    thread.join()
report = {"clients": len(answered), "answers": answers, "last_s": last, "over_s": over_s}
report |= {"broken": broken, "longest_s": longest}
print(json.dumps(report))
