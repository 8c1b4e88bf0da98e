# SPDX-License-Identifier: Apache-2.0
"""ClientHellos in odd shapes, TLS on odd ports, and things behind CONNECT that are not TLS."""
import json
import os
import ssl
import subprocess
import time

import harness
import hello
import origins


class Hello(harness.WeirCase):
    CONFIG = {"intercept": {"rules": [
        harness.rule("passed by", "tunnel", sni=["tunnel.origin.test"])]}}

    @classmethod
    def prepare(cls):
        cls.secure = origins.HttpOrigin(origins.server_context(cls.certificate))
        cls.clear = origins.HttpOrigin()
        cls.echo = origins.EchoServer()
        for server in (cls.secure, cls.clear, cls.echo):
            cls.addClassCleanup(server.close)

    def client(self, name="origin.test", context=None, ca=None):
        context = context or harness.client_context(ca or self.weir.ca, ["http/1.1"])
        sock = self.tunnel(f"{name}:{self.secure.port}")
        return hello.ManualClient(sock, context, name)

    def finish(self, client):
        """The handshake and one request behind it."""
        client.handshake()
        client.send(b"GET /bytes/100 HTTP/1.1\r\nHost: origin.test\r\n\r\n")
        self.assertEqual(harness.read_answer(origins.Reader(client)).body,
                         origins.pattern(0, 100))

    def both(self):
        """(name, root): intercepted, and tunnelled by a rule that had to read the hello."""
        return (("www.origin.test", self.weir.ca),
                ("tunnel.origin.test", self.authority.certificate))

    def test_one_byte_a_segment(self):
        """A hello that arrives byte by byte, each in a segment of its own."""
        for name, root in self.both():
            with self.subTest(name=name):
                client = self.client(name, ca=root)
                for at in range(len(client.hello)):
                    client.sock.sendall(client.hello[at:at + 1])
                    if at % 16 == 0:
                        time.sleep(0.001)  # lets the kernel send what it has: not a wait for anything
                self.finish(client)

    def test_many_records(self):
        """A hello split over 2, 10 and 50 TLS records."""
        for name, root in self.both():
            for count in (2, 10, 50):
                with self.subTest(name=name, count=count):
                    client = self.client(name, ca=root)
                    client.sock.sendall(hello.records_of(hello.message_of(client.hello), count))
                    self.finish(client)

    def test_fingerprints_in_the_log(self):
        """The log names JA3 and JA4 of the client's hello, intercepted and tunnelled, as
        `weir fingerprint` computes them from the same bytes."""
        for name, root in self.both():
            with self.subTest(name=name):
                before = len(self.weir.records())
                client = self.client(name, ca=root)
                client.sock.sendall(client.hello)
                self.finish(client)
                client.sock.close()
                line = json.dumps({"client_hello": client.hello.hex()}) + "\n"
                printed = subprocess.run([harness.BINARY, "fingerprint", "--json", "-"],
                                         input=line.encode(), capture_output=True, check=True)
                expected = json.loads(printed.stdout)
                record = harness.wait_for("the record", lambda: next(
                    (r for r in self.weir.records()[before:] if r.kind == "tunnel"), None))
                self.assertEqual(record.ja3, expected["ja3"])
                self.assertEqual(record.ja4, expected["ja4"])
                self.assertRegex(record.ja4, "^t13d")

    def test_pause_within_a_hello(self):
        """One or two bytes of a hello and then nothing for a while: no way around interception."""
        for name, root in self.both():
            for count in (1, 2, 3):
                with self.subTest(name=name, count=count):
                    client = self.client(name, ca=root)
                    client.sock.sendall(client.hello[:count])
                    time.sleep(0.8)  # longer than bytes that fit no TLS would be held
                    client.sock.sendall(client.hello[count:])
                    self.finish(client)

    def test_long_hello(self):
        """Hellos of 2, 8 and almost 16 KiB."""
        for name, root in self.both():
            for size in (2048, 8192, 16200):
                with self.subTest(name=name, size=size):
                    client = self.client(name, hello.padded_context(root, size))
                    self.assertGreater(len(client.hello), size - 700)
                    client.sock.sendall(client.hello)
                    self.finish(client)

    def test_coalesced_with_connect(self):
        """CONNECT and the hello in one segment."""
        context = harness.client_context(self.weir.ca, ["http/1.1"])
        sock = self.dial()
        client = hello.ManualClient(sock, context, "origin.test")
        authority = f"origin.test:{self.secure.port}"
        sock.sendall(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode()
                     + client.hello)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += sock.recv(1)
        self.assertIn(b" 200 ", head)
        self.finish(client)

    def test_versions(self):
        """TLS 1.2 alone and 1.3 alone, with and without SNI."""
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            for name in ("origin.test", None):
                with self.subTest(version=version, name=name):
                    context = harness.client_context(None, ["http/1.1"], version, version)
                    sock = self.tunnel(f"origin.test:{self.secure.port}")
                    client = hello.ManualClient(sock, context, name)
                    sock.sendall(client.hello)
                    self.finish(client)

    def test_no_alpn(self):
        """A client that offers no ALPN speaks HTTP/1.1 all the same."""
        context = harness.client_context(self.weir.ca)
        sock = self.tunnel(f"origin.test:{self.secure.port}")
        client = hello.ManualClient(sock, context, "origin.test")
        sock.sendall(client.hello)
        self.finish(client)

    def test_resumption(self):
        """A client that kept its ticket resumes its session with weir, or is served in full; the
        bytes are right either way."""
        context = harness.client_context(self.weir.ca, ["http/1.1"],
                                         maximum=ssl.TLSVersion.TLSv1_2)
        sock = self.tunnel(f"origin.test:{self.secure.port}")
        first = context.wrap_socket(sock, server_hostname="origin.test")
        self.assertEqual(self.get(first, "/bytes/1").status, 200)
        session = first.session
        first.close()
        sock = self.tunnel(f"origin.test:{self.secure.port}")
        second = self.keep(context.wrap_socket(sock, server_hostname="origin.test",
                                               session=session))
        self.assertEqual(self.get(second, "/bytes/2").body, origins.pattern(0, 2))
        self.assertTrue(second.session_reused)

    def test_not_tls_passes(self):
        """Behind CONNECT, something that is no TLS goes through unchanged: text, binary, and bytes
        that begin like a record and then are none."""
        for data in (b"SSH-2.0-client\r\n", b"EHLO client\r\n", b"\x00\x01\x02\x03" * 10,
                     b"\x17\x03\x03 not a hello", b"\x80\x2e\x01\x00\x02", bytes(range(255, -1, -1)) * 8):
            with self.subTest(data=data[:20]):
                sock = self.tunnel(f"origin.test:{self.echo.port}")
                sock.sendall(data)
                self.assertEqual(origins.Reader(sock).exactly(len(data)), data)

    def test_plain_http_in_connect(self):
        """HTTP without TLS behind CONNECT reaches the server."""
        sock = self.tunnel(f"origin.test:{self.clear.port}")
        self.assertEqual(self.get(sock, "/bytes/10").body, origins.pattern(0, 10))

    def test_hostile_hellos(self):
        """Broken hellos end in an alert or the connection's end, soon, and never in bytes from the
        server that the client could take for an answer; weir goes on serving."""
        usual = hello.USUAL
        good = hello.client_hello(hello.sni(b"origin.test") + usual)
        shapes = {
            "empty body": b"\x16\x03\x01\x00\x04\x01\x00\x00\x00",
            "lying length": hello.records_of(b"\x01\x00\x00\x05" + good[4:]),
            "cut extensions": hello.records_of(good[:-3]),
            "record of 2^14+1": b"\x16\x03\x01\x40\x01" + b"\x01" + b"\x00" * 0x4000,
            "hello of 64 KiB + 1": hello.records_of(
                b"\x01\x01\x00\x01" + os.urandom(65537), 5),
            "two names": hello.records_of(hello.client_hello(
                hello.sni(b"origin.test", b"evil.test") + usual)),
            "empty name": hello.records_of(hello.client_hello(hello.sni(b"") + usual)),
            "NUL in name": hello.records_of(hello.client_hello(
                hello.sni(b"origin.test\x00.evil") + usual)),
            "255+ bytes of name": hello.records_of(hello.client_hello(
                hello.sni(b"a" * 300 + b".test") + usual)),
            "two SNI extensions": hello.records_of(hello.client_hello(
                hello.sni(b"origin.test") + hello.sni(b"evil.test") + usual)),
            "dots": hello.records_of(hello.client_hello(hello.sni(b"a..test") + usual)),
            "slash": hello.records_of(hello.client_hello(hello.sni(b"../../etc") + usual)),
            "line end": hello.records_of(hello.client_hello(
                hello.sni(b"a.test\r\nX: y") + usual)),
            "star": hello.records_of(hello.client_hello(hello.sni(b"*.test") + usual)),
            "non-ASCII": hello.records_of(hello.client_hello(
                hello.sni("ü.test".encode()) + usual)),
            "SSLv3": hello.records_of(hello.client_hello(b"", version=0x0300)),
            "TLS 1.0": hello.records_of(hello.client_hello(
                hello.sni(b"origin.test") + usual, version=0x0301)),
            "no common suite": hello.records_of(hello.client_hello(
                hello.sni(b"origin.test") + usual, suites=(0x0005, 0x000A))),
            "no suite": hello.records_of(hello.client_hello(
                hello.sni(b"origin.test") + usual, suites=())),
            "an alert first": bytes([21, 3, 1, 0, 2, 2, 40]),
            "empty records": b"\x16\x03\x01\x00\x00" * 100,
            "half a hello, then the end": hello.records_of(good)[:40],
        }
        before = len(self.secure.requests)
        for name, data in shapes.items():
            with self.subTest(shape=name):
                sock = self.tunnel(f"origin.test:{self.secure.port}")
                try:
                    sock.sendall(data)
                    sock.shutdown(harness.socket.SHUT_WR)
                except OSError:
                    pass  # weir has already turned it away
                got, _ = harness.read_to_end(sock)
                self.assertIn(got[:1], (b"", b"\x15", b"\x16"), got[:50])
                self.assertNotIn(b"HTTP/1.1 200", got)
                sock.close()
        self.assertEqual(len(self.secure.requests), before)
        client = self.client()
        client.sock.sendall(client.hello)
        self.finish(client)

    def test_reset_in_the_hello(self):
        """Clients that reset in the middle of their hello, or behind it, leave nothing behind."""
        for part in (1, 100, None):
            with self.subTest(part=part):
                client = self.client()
                client.sock.sendall(client.hello[:part])
                origins.reset_on_close(client.sock)
                client.sock.close()


class SlowHello(harness.WeirCase):
    CONFIG = {"limits": {"hello_timeout": "1s"}}

    @classmethod
    def prepare(cls):
        cls.secure = origins.HttpOrigin(origins.server_context(cls.certificate))
        cls.addClassCleanup(cls.secure.close)

    def test_hello_that_never_ends(self):
        """Part of a hello and then silence: weir ends the connection by itself, in the time set."""
        context = harness.client_context(self.weir.ca)
        for count in (1, 2, 3, 100):
            with self.subTest(count=count):
                sock = self.tunnel(f"origin.test:{self.secure.port}")
                client = hello.ManualClient(sock, context, "origin.test")
                before = len(self.weir.records())
                sock.sendall(client.hello[:count])
                sock.settimeout(20)
                started = time.monotonic()
                self.assertEqual(harness.read_to_end(sock)[0], b"")
                took = time.monotonic() - started
                self.assertTrue(0.9 < took < 10, took)
                record = harness.wait_for("the record", lambda: next(
                    iter(self.weir.records()[before:]), None))
                self.assertEqual(record.close, "hello_timeout")


if __name__ == "__main__":
    harness.main()
