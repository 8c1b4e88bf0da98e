# SPDX-License-Identifier: Apache-2.0
"""Tunnels: bytes pass unread, exactly, in both directions; ends and resets are passed on."""
import hashlib
import random
import socket
import threading

import harness
import origins

MIB = 1 << 20
BULK_BYTES = 16 * MIB if harness.SANITIZED else 256 * MIB


class Tunnel(harness.WeirCase):
    CONFIG = {"intercept": {"default": "tunnel"}}

    @classmethod
    def prepare(cls):
        cls.behave = None  # what the next connection of `raw` does

        def talk(sock):
            cls.behave(sock)

        cls.raw = origins.Server(talk)
        cls.addClassCleanup(cls.raw.close)
        cls.six = origins.Server(talk, address="::1")
        cls.addClassCleanup(cls.six.close)
        cls.echo = origins.EchoServer()
        cls.addClassCleanup(cls.echo.close)

    def serve(self, behave):
        type(self).behave = staticmethod(behave)

    def test_client_half_close(self):
        """The client ends its direction; the server sees the end, and answers afterwards."""
        def answer_after_end(sock):
            data, _ = harness.read_to_end(sock)
            sock.sendall(b"got %d" % len(data))

        self.serve(answer_after_end)
        sock = self.tunnel(f"origin.test:{self.raw.port}")
        sock.sendall(b"x" * 100000)
        sock.shutdown(socket.SHUT_WR)
        self.assertEqual(harness.read_to_end(sock), (b"got 100000", True))

    def test_server_half_close(self):
        """The server ends its direction first; the client's bytes still reach it, and its end."""
        seen = []

        def end_then_read(sock):
            sock.sendall(b"done")
            sock.shutdown(socket.SHUT_WR)
            seen.append(harness.read_to_end(sock))

        self.serve(end_then_read)
        sock = self.tunnel(f"origin.test:{self.raw.port}")
        self.assertEqual(harness.read_to_end(sock), (b"done", True))
        sock.sendall(b"y" * 100000)
        sock.shutdown(socket.SHUT_WR)
        harness.wait_for("the server's end", lambda: seen)
        self.assertEqual(seen[0], (b"y" * 100000, True))

    def test_server_reset(self):
        """A reset by the server is a reset for the client, not a clean end."""
        def reset(sock):
            sock.recv(1)
            origins.reset_on_close(sock)

        self.serve(reset)
        sock = self.tunnel(f"origin.test:{self.raw.port}")
        sock.sendall(b"x")
        with self.assertRaises(ConnectionResetError):
            while sock.recv(1000):
                pass

    def test_client_reset(self):
        """A reset by the client is a reset for the server."""
        seen = []

        def read(sock):
            sock.sendall(b"!")
            seen.append(harness.read_to_end(sock))

        self.serve(read)
        sock = self.tunnel(f"origin.test:{self.raw.port}")
        sock.recv(1)
        sock.sendall(b"half a mess")
        origins.reset_on_close(sock)
        sock.close()
        harness.wait_for("the server's end", lambda: seen)
        self.assertFalse(seen[0][1], "the server saw a clean end")

    def test_server_first(self):
        """Protocols in which the server speaks first (SSH, SMTP) pass: nobody waits for a hello."""
        for banner in (b"SSH-2.0-OpenSSH_9.2\r\n", b"220 mail.test ESMTP\r\n"):
            with self.subTest(banner=banner):
                def greet(sock, banner=banner):
                    sock.sendall(banner)
                    sock.sendall(b"echo " + sock.recv(1000))

                self.serve(greet)
                sock = self.tunnel(f"origin.test:{self.raw.port}")
                reader = origins.Reader(sock)
                self.assertEqual(reader.until(b"\r\n") + b"\r\n", banner)
                sock.sendall(b"EHLO me\r\n")
                self.assertEqual(reader.until(b"\r\n"), b"echo EHLO me")

    def test_bytes_behind_connect(self):
        """Bytes that the client sends in one segment with CONNECT are the tunnel's first bytes."""
        sock = self.dial()
        authority = f"origin.test:{self.echo.port}"
        sock.sendall(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\nearly bird"
                     .encode())
        reader = origins.Reader(sock)
        self.assertEqual(harness.read_head(reader).status, 200)
        self.assertEqual(reader.exactly(10), b"early bird")

    def test_addresses(self):
        """Targets as IPv4 and IPv6 literals, and as a name that has only an IPv6 address."""
        self.serve(lambda sock: sock.sendall(sock.recv(10)))
        for authority in (f"127.0.0.1:{self.raw.port}", f"[::1]:{self.six.port}",
                          f"only.six.test:{self.six.port}"):
            with self.subTest(authority=authority):
                sock = self.tunnel(authority)
                sock.sendall(b"ping")
                self.assertEqual(sock.recv(10), b"ping")

    def test_bulk_both_ways(self):
        """256 MiB each way at once (16 under sanitizers) in writes of random sizes, equal by
        digest on both sides, and so counted in the access log."""
        seen = {}

        def swap(sock):
            writer = threading.Thread(target=send_random, args=(sock, BULK_BYTES, 2))
            writer.start()
            seen["up"] = digest_of(sock, BULK_BYTES)
            writer.join()

        self.serve(swap)
        authority = f"origin.test:{self.raw.port}"
        sock = self.tunnel(authority)
        sock.settimeout(240)
        writer = threading.Thread(target=send_random, args=(sock, BULK_BYTES, 1))
        writer.start()
        self.assertEqual(digest_of(sock, BULK_BYTES), origins.pattern_digest(BULK_BYTES))
        writer.join(240)
        harness.wait_for("the server's digest", lambda: "up" in seen, 240)
        self.assertEqual(seen["up"], origins.pattern_digest(BULK_BYTES))
        sock.close()
        record = self.weir.wait_record(
            lambda r: r.kind == "tunnel" and (r.down_bytes or 0) >= BULK_BYTES)
        self.assertEqual((record.up_bytes, record.down_bytes), (BULK_BYTES, BULK_BYTES))


class ServerFirstUnderInterception(harness.WeirCase):
    @classmethod
    def prepare(cls):
        cls.raw = origins.Server(lambda sock: (sock.sendall(b"220 mail.test ESMTP\r\n"),
                                               sock.sendall(sock.recv(100))))
        cls.addClassCleanup(cls.raw.close)

    def test_banner(self):
        """With interception as the default a server that speaks first still gets through, once it
        is clear that no hello comes; what it says is not TLS, so it is passed by."""
        sock = self.tunnel(f"origin.test:{self.raw.port}")
        reader = origins.Reader(sock)
        self.assertEqual(reader.until(b"\r\n"), b"220 mail.test ESMTP")
        sock.sendall(b"QUIT\r\n")
        self.assertEqual(reader.until(b"\r\n"), b"QUIT")


def send_random(sock, total, seed):
    rng = random.Random(seed)
    offset = 0
    while offset < total:
        size = min(rng.choice((1, 100, 1460, 16384, 65536, 262144)), total - offset)
        sock.sendall(origins.pattern(offset, size))
        offset += size


def digest_of(sock, total):
    digest = hashlib.sha256()
    for piece in origins.Reader(sock).pieces(total):
        digest.update(piece)
    return digest.hexdigest()


if __name__ == "__main__":
    harness.main()
