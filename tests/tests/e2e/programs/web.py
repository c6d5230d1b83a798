#!/usr/bin/env python3
"""Serves pages over HTTP on port 80 of all addresses: NAME DELAY_MS, the time that it lets each visitor wait, and 6 for
IPv6.

Every page says who served it, at which address, and what was asked for; any cache may keep it. /bytes/N is N bytes
longer. Prints the visitor's address, the address that it came to and the path of each visit.
"""
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

name, delay_ms, *version = sys.argv[1:]


class Pages(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        address = self.connection.getsockname()[0]
        print(self.client_address[0], address, self.path, flush=True)
        time.sleep(float(delay_ms) / 1000)
        page = f"{name} {address} {self.path}\n".encode()
        if self.path.startswith("/bytes/"):
            page += b"x" * int(self.path.rsplit("/", 1)[1])
        self.send_response(200)
        self.send_header("Content-Length", str(len(page)))
        self.send_header("Content-Type", "text/plain")
        self.send_header("Cache-Control", "max-age=600")
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    address_family = socket.AF_INET6 if version == ["6"] else socket.AF_INET
    daemon_threads = True
    request_queue_size = 256


Server(("", 80), Pages).serve_forever()
