# SPDX-License-Identifier: Apache-2.0
"""Steady load for tests of what must not disturb anybody: new connections all the time, and long
downloads, in every way there is. Each failure is kept with the times at which its connection began
and failed, and the client's address as the access log has it."""
import socket
import threading
import time

import harness
import origins

TIMEOUT_S = 60
DRIP_PIECES, DRIP_PIECE = 60, 2000
REQUESTS = 3  # on a connection, while the answers let it live


class Origin(origins.HttpOrigin):
    """/drip/SECONDS sends a body slowly."""

    def _do_drip(self, sock, _reader, _request, parts):
        length = DRIP_PIECES * DRIP_PIECE
        sock.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode())
        for index in range(DRIP_PIECES):
            sock.sendall(origins.pattern(index * DRIP_PIECE, DRIP_PIECE))
            time.sleep(float(parts[0]) / DRIP_PIECES)


class Load:
    """`dial()` gives a connection to the proxy. Ways: explicit HTTP, a tunnel to clear HTTP, and
    TLS that is intercepted, with the CA file `ca`."""

    def __init__(self, dial, clear, secure, ca, rate=20, drip_s=4):
        self._dial = dial
        self.client = threading.local()  # .name: of the thread's last connection
        self.clear = f"origin.test:{clear.port}"
        self.secure = f"origin.test:{secure.port}"
        self.ca = ca
        self.rate = rate  # connections a second, each way
        self.drip_s = drip_s
        self.failures = []
        self.answers = 0
        self.downloads = 0
        self.closed = 0  # connections whose answer said that they end
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(way, long), daemon=True)
                        for way in (self._explicit, self._tunnel, self._intercepted)
                        for long in (False, True)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(TIMEOUT_S)

    def dial(self):
        self.client.name = None
        sock = self._dial()
        self.client.name = "{}:{}".format(*sock.getsockname())
        return sock

    def _run(self, way, long):
        while not self.stopping.is_set():
            began, at = time.monotonic(), time.time()
            try:
                way(f"/drip/{self.drip_s}" if long else "/bytes/3000", 1 if long else REQUESTS)
            except (OSError, AssertionError, ValueError, IndexError) as error:
                with self.lock:
                    self.failures.append((at, time.time(), self.client.name, way.__name__, long,
                                          repr(error)))
            if not long:
                self.stopping.wait(max(0, 1 / self.rate - (time.monotonic() - began)))

    def _ask(self, sock, target, host, count):
        reader = origins.Reader(sock)
        length = DRIP_PIECES * DRIP_PIECE if count == 1 else 3000
        for _ in range(count):
            sock.sendall(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            answer = harness.read_answer(reader)
            if answer.status != 200 or answer.body != origins.pattern(0, length):
                raise AssertionError(f"{target}: {answer.status}, {len(answer.body)} bytes, "
                                     f"{answer.body[:300]}")
            ends = answer.get("connection").lower() == "close"
            with self.lock:
                self.answers += 1
                self.downloads += count == 1
                self.closed += ends
            if ends:
                return

    def _explicit(self, path, count):
        with self.dial() as sock:
            sock.settimeout(TIMEOUT_S)
            self._ask(sock, f"http://{self.clear}{path}", self.clear, count)

    def _connect(self, sock, authority):
        sock.settimeout(TIMEOUT_S)
        sock.sendall(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = sock.recv(1)
            if not byte:
                raise AssertionError(f"CONNECT ended after {head!r}")
            head += byte
        if not head.startswith(b"HTTP/1.1 200 "):
            raise AssertionError(f"CONNECT: {head!r}")

    def _tunnel(self, path, count):
        with self.dial() as sock:
            self._connect(sock, self.clear)
            self._ask(sock, path, self.clear, count)

    def _intercepted(self, path, count):
        with self.dial() as raw:
            self._connect(raw, self.secure)
            context = harness.client_context(self.ca, ["http/1.1"])
            with context.wrap_socket(raw, server_hostname="origin.test") as sock:
                self._ask(sock, path, "origin.test", count)


def dialler(port, source="127.0.0.1"):
    return lambda: socket.create_connection(("127.0.0.1", port), TIMEOUT_S, (source, 0))


def admin(port, path, method="GET", host=None, address="127.0.0.1", source="127.0.0.1"):
    """One request to the admin listener, on a connection of its own."""
    with socket.create_connection((address, port), 10, source_address=(source, 0)) as sock:
        host = f"{address}:{port}" if host is None else host
        sock.sendall(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
                     .encode())
        return harness.read_answer(origins.Reader(sock), method)
