# SPDX-License-Identifier: Apache-2.0
"""What must not be held back: server-sent events, and many WebSockets at once."""
import os
import random
import threading
import time

import harness
import origins

WEBSOCKETS = 30 if harness.SANITIZED else 100
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455 1.3


class StreamingCase(harness.WeirCase):
    CONFIG = {"intercept": {"rules": [
        harness.rule("passed by", "tunnel", host=["tunnel.origin.test"])]}}

    @classmethod
    def prepare(cls):
        cls.clear = origins.HttpOrigin()
        cls.secure = origins.HttpOrigin(origins.server_context(cls.certificate))
        cls.addClassCleanup(cls.clear.close)
        cls.addClassCleanup(cls.secure.close)

    def open(self, way):
        """Socket, prefix of targets and Host."""
        if way == "plain":
            host = f"origin.test:{self.clear.port}"
            return self.dial(), f"http://{host}", host
        host = "tunnel.origin.test" if way == "tunnel" else "origin.test"
        root = self.authority.certificate if way == "tunnel" else self.weir.ca
        return self.tls(f"{host}:{self.secure.port}", ca=root), "", host


class Events(StreamingCase):
    def test_events_arrive_as_sent(self):
        """Each event is in the client's hands before the server sends the next one: the delay,
        by one clock, is far under the interval."""
        for way in ("plain", "tunnel", "intercept"):
            with self.subTest(way=way):
                sock, prefix, host = self.open(way)
                sock.sendall(f"GET {prefix}/sse?count=5&interval=0.5 HTTP/1.1\r\n"
                             f"Host: {host}\r\n\r\n".encode())
                reader = origins.Reader(sock)
                answer = harness.read_head(reader)
                self.assertEqual(answer.get("content-type"), "text/event-stream")
                for number in range(5):
                    fields = reader.until(b"\n\n").decode().split()
                    arrived = time.monotonic()
                    self.assertEqual(fields[:2], ["data:", str(number)])
                    self.assertLess(arrived - float(fields[2]), 0.4)

    def test_one_byte_at_a_time(self):
        """Single bytes sent both ways over an intercepted WebSocket come back one by one."""
        sock, prefix, host = self.open("intercept")
        reader = upgrade(sock, prefix, host)
        for number in range(200):
            sock.sendall(origins.frame(2, bytes([number]), b"abcd"))
            self.assertEqual(origins.read_frame(reader), (2, bytes([number])))


class WebSockets(StreamingCase):
    def test_many_at_once(self):
        """A hundred echo connections at once, each with its own random messages up to 70 KiB,
        plain, tunnelled and intercepted; none sees a byte of another."""
        for way in ("plain", "tunnel", "intercept"):
            with self.subTest(way=way):
                errors = []
                start = threading.Barrier(WEBSOCKETS + 1)
                opened = [self.open(way) for _ in range(WEBSOCKETS)]
                threads = [threading.Thread(target=echo_client, args=(*one, start, errors, seed))
                           for seed, one in enumerate(opened)]
                for thread in threads:
                    thread.start()
                start.wait(harness.WAIT_S * 4)
                for thread in threads:
                    thread.join(harness.WAIT_S * 4)
                self.assertFalse(any(thread.is_alive() for thread in threads), "stuck echoes")
                self.assertEqual(errors, [])
                for sock, _, _ in opened:
                    sock.close()

    def test_refused_upgrade(self):
        """An Upgrade that the server answers with 200 stays HTTP: the next request on the
        connection is one."""
        for way in ("plain", "tunnel", "intercept"):
            with self.subTest(way=way):
                sock, prefix, host = self.open(way)
                reader = origins.Reader(sock)
                for fields in ("Upgrade: websocket\r\nConnection: Upgrade\r\n", ""):
                    sock.sendall(f"GET {prefix}/bytes/9 HTTP/1.1\r\nHost: {host}\r\n"
                                 f"{fields}\r\n".encode())
                    answer = harness.read_answer(reader)
                    self.assertEqual((answer.status, answer.body), (200, origins.pattern(0, 9)))


def upgrade(sock, prefix, host):
    sock.sendall(f"GET {prefix}/ws HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n"
                 f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                 f"Sec-WebSocket-Key: {KEY}\r\n\r\n".encode())
    reader = origins.Reader(sock)
    answer = harness.read_head(reader)
    if answer.status != 101 or answer.get("sec-websocket-accept") != ACCEPT:
        raise ConnectionError(f"no upgrade: {answer.status} {answer.fields}")
    return reader


def echo_client(sock, prefix, host, start, errors, seed):
    rng = random.Random(seed)
    try:
        reader = upgrade(sock, prefix, host)
        start.wait(harness.WAIT_S * 4)
        for size in (1, 125, 126, 4000, 65535, 70000):
            data = rng.randbytes(size)
            sock.sendall(origins.frame(2, data, os.urandom(4)))
            if origins.read_frame(reader) != (2, data):
                errors.append(f"client {seed}: {size} bytes came back changed")
        sock.sendall(origins.frame(8, b"\x03\xe8", os.urandom(4)))
        if origins.read_frame(reader)[0] != 8:
            errors.append(f"client {seed}: no close frame")
    except Exception as error: # reported by the test, with the client's number
        errors.append(f"client {seed}: {error!r}")
        start.abort()


if __name__ == "__main__":
    harness.main()
