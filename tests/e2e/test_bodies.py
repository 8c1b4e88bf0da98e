# SPDX-License-Identifier: Apache-2.0
"""Bodies of every size and framing, both ways, by digest, over plain HTTP, tunnel and interception."""
import hashlib
import json
import os
import random
import socket
import sys
import threading
import time
import unittest

import harness
import origins

MIB = 1 << 20
BIG_BYTES = 64 * MIB if harness.SANITIZED else 1024 * MIB
TCP_INFO_BYTES = 160  # up to tcpi_data_segs_in and _out
SIZES = (0, 1, 16 * 1024, 16 * 1024 + 1, 1000003)


class BodiesCase(harness.WeirCase):
    CONFIG = {"intercept": {"rules": [
        harness.rule("passed by", "tunnel", host=["tunnel.origin.test"])]}}
    WAYS = ("plain", "tunnel", "intercept")

    @classmethod
    def prepare(cls):
        cls.clear = origins.HttpOrigin()
        cls.secure = origins.HttpOrigin(origins.server_context(cls.certificate))
        cls.addClassCleanup(cls.clear.close)
        cls.addClassCleanup(cls.secure.close)

    def open(self, way):
        """A connection on which requests can be sent, and the prefix of their targets."""
        if way == "plain":
            return self.dial(), f"http://origin.test:{self.clear.port}"
        host = "tunnel.origin.test" if way == "tunnel" else "origin.test"
        root = self.authority.certificate if way == "tunnel" else self.weir.ca
        return self.tls(f"{host}:{self.secure.port}", ca=root), ""

    def ask(self, sock, target, method="GET", fields="", body=b""):
        host = f"origin.test:{self.clear.port}" if target.startswith("http:") else "origin.test"
        sock.sendall(f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n".encode() + body)


class Down(BodiesCase):
    def test_sizes_and_framings(self):
        """Every size in every framing arrives complete and equal, several on one connection."""
        for way in self.WAYS:
            sock, prefix = self.open(way)
            reader = origins.Reader(sock)
            for framing in ("bytes", "chunked"):
                for size in SIZES:
                    with self.subTest(way=way, framing=framing, size=size):
                        self.ask(sock, f"{prefix}/{framing}/{size}")
                        answer = harness.read_answer(reader)
                        self.assertEqual(answer.status, 200)
                        self.assertEqual(answer.body, origins.pattern(0, size))

    def test_one_piece(self):
        """What a server sends in one piece, head and body, the client gets in one segment."""
        def answer(sock):
            reader = origins.Reader(sock)
            while reader.until(b"\r\n\r\n"):
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1024\r\n\r\n" + b"x" * 1024)

        server = origins.Server(answer)
        self.addCleanup(server.close)
        sock = self.dial()
        reader = origins.Reader(sock)
        for _ in range(5):
            self.ask(sock, f"http://origin.test:{server.port}/")
            self.assertEqual(harness.read_answer(reader).body, b"x" * 1024)
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_BYTES)
        data_segments_in = int.from_bytes(info[152:156], sys.byteorder)
        self.assertEqual(data_segments_in, 5)

    def test_close_delimited(self):
        """A body that ends with the connection arrives whole, and the end is passed on."""
        for way in self.WAYS:
            for size in SIZES:
                with self.subTest(way=way, size=size):
                    sock, prefix = self.open(way)
                    self.ask(sock, f"{prefix}/close/{size}")
                    answer = harness.read_answer(origins.Reader(sock))
                    self.assertEqual(answer.body, origins.pattern(0, size))

    def test_no_body(self):
        """HEAD, 204 and 304 end with their head; the next request on the connection works."""
        for way in self.WAYS:
            sock, prefix = self.open(way)
            reader = origins.Reader(sock)
            for method, path, status in (("HEAD", "/bytes/5000", 200), ("GET", "/status/204", 204),
                                         ("GET", "/status/304", 304), ("GET", "/bytes/7", 200)):
                with self.subTest(way=way, method=method, path=path):
                    self.ask(sock, prefix + path, method)
                    answer = harness.read_answer(reader, method)
                    self.assertEqual(answer.status, status)
            self.assertEqual(answer.body, origins.pattern(0, 7))

    def test_informational(self):
        """103 comes through before the final answer."""
        for way in self.WAYS:
            with self.subTest(way=way):
                sock, prefix = self.open(way)
                self.ask(sock, prefix + "/early")
                early = []
                answer = harness.read_answer(origins.Reader(sock), informational=early)
                self.assertEqual([one.status for one in early], [103])
                self.assertEqual(early[0].get("link"), "</style.css>; rel=preload")
                self.assertEqual((answer.status, answer.body), (200, b"after the hints\n"))

    def test_trailers(self):
        """Trailer fields behind a chunked body reach a client that said it takes them."""
        for way in self.WAYS:
            with self.subTest(way=way):
                sock, prefix = self.open(way)
                self.ask(sock, prefix + "/trailers", fields="TE: trailers\r\nConnection: TE\r\n")
                answer = harness.read_answer(origins.Reader(sock))
                self.assertEqual(answer.body, b"hello")
                self.assertEqual(answer.trailers, {"x-sum": "2cf24dba"})

    def test_cut_short(self):
        """A server that ends in the middle of a body: the client must not see a complete answer."""
        for way in self.WAYS:
            with self.subTest(way=way):
                server = self.clear if way == "plain" else self.secure
                server.script = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this"
                sock, prefix = self.open(way)
                self.ask(sock, prefix + "/script")
                with self.assertRaises(OSError):
                    harness.read_answer(origins.Reader(sock))


class Up(BodiesCase):
    def test_uploads(self):
        """Uploads with a length and chunked, in writes of random sizes: the server's digest is
        ours."""
        rng = random.Random(7)
        for way in self.WAYS:
            sock, prefix = self.open(way)
            reader = origins.Reader(sock)
            for size in SIZES:
                for framing in ("length", "chunked"):
                    with self.subTest(way=way, framing=framing, size=size):
                        body = origins.pattern(size, size)
                        if framing == "length":
                            self.ask(sock, prefix + "/upload", "POST",
                                     f"Content-Length: {size}\r\n")
                            wire = body
                        else:
                            self.ask(sock, prefix + "/upload", "POST",
                                     "Transfer-Encoding: chunked\r\n")
                            wire = chunked(body, rng)
                        send_in_pieces(sock, wire, rng)
                        seen = json.loads(harness.read_answer(reader).body)
                        self.assertEqual(seen, {"length": size, "trailers": {},
                                                "chunked": framing == "chunked",
                                                "sha256": hashlib.sha256(body).hexdigest()})

    def test_expect(self):
        """Expect: 100-continue: the server's 100 comes before the body is sent; its refusal comes
        as the final answer."""
        for way in self.WAYS:
            with self.subTest(way=way):
                sock, prefix = self.open(way)
                reader = origins.Reader(sock)
                self.ask(sock, prefix + "/upload", "POST",
                         "Content-Length: 5\r\nExpect: 100-continue\r\n")
                self.assertEqual(harness.read_head(reader).status, 100)
                sock.sendall(b"hello")
                self.assertEqual(json.loads(harness.read_answer(reader).body)["length"], 5)
                sock, prefix = self.open(way)
                self.ask(sock, prefix + "/upload?refuse=1", "POST",
                         "Content-Length: 5\r\nExpect: 100-continue\r\n")
                self.assertEqual(harness.read_answer(origins.Reader(sock)).status, 417)

    def test_waits_for_acknowledgements(self):
        """A client that sends the rest of its request only when what it sent before is acknowledged
        (Nagle's algorithm) is not kept waiting."""
        head = (f"POST http://origin.test:{self.clear.port}/upload HTTP/1.1\r\n"
                f"Host: origin.test:{self.clear.port}\r\nContent-Length: 5\r\n\r\n").encode()
        for pieces in ((head[:20], head[20:] + b"hello"), (head, b"hello")):
            with self.subTest(first=pieces[0]):
                took_s = []
                for _ in range(5):
                    sock = self.dial()
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
                    begin = time.monotonic()
                    for piece in pieces:
                        sock.sendall(piece)
                    answer = harness.read_answer(origins.Reader(sock))
                    took_s.append(time.monotonic() - begin)
                    self.assertEqual(json.loads(answer.body)["length"], 5)
                self.assertLess(min(took_s), 0.03)  # the kernel would wait for 40 ms

    def test_both_ways_at_once(self):
        """A pipelined pair of requests is answered in order."""
        for way in self.WAYS:
            with self.subTest(way=way):
                sock, prefix = self.open(way)
                reader = origins.Reader(sock)
                host = f"origin.test:{self.clear.port}" if prefix else "origin.test"
                sock.sendall("".join(f"GET {prefix}/bytes/{size} HTTP/1.1\r\nHost: {host}\r\n\r\n"
                                     for size in (11, 22)).encode())
                self.assertEqual(harness.read_answer(reader).body, origins.pattern(0, 11))
                self.assertEqual(harness.read_answer(reader).body, origins.pattern(0, 22))


class Big(BodiesCase):
    @classmethod
    def prepare(cls):
        super().prepare()
        if not origins.Nginx.find():
            raise unittest.SkipTest("nginx is absent: install nginx-light")
        cls.nginx = origins.Nginx(cls.folder, cls.certificate, harness.free_port)
        cls.addClassCleanup(cls.nginx.close)
        cls.digest = cls.nginx.write("big", BIG_BYTES)

    def test_down(self):
        """1 GiB (64 MiB under sanitizers) from nginx, by digest, each way."""
        for way in self.WAYS:
            with self.subTest(way=way):
                if way == "plain":
                    sock = self.dial()
                    port = self.nginx.port["plain"]
                    prefix, host = f"http://origin.test:{port}", f"origin.test:{port}"
                else:
                    host = "tunnel.origin.test" if way == "tunnel" else "origin.test"
                    sock = self.tls(f"{host}:{self.nginx.port['h1']}", ca=(
                        self.authority.certificate if way == "tunnel" else self.weir.ca))
                    prefix = ""
                sock.sendall(f"GET {prefix}/big HTTP/1.1\r\nHost: {host}\r\n"
                             "Connection: close\r\n\r\n".encode())
                reader = origins.Reader(sock)
                answer = harness.read_head(reader)
                self.assertEqual((answer.status, answer.get("content-length")),
                                 (200, str(BIG_BYTES)))
                digest = hashlib.sha256()
                for piece in reader.pieces(BIG_BYTES):
                    digest.update(piece)
                self.assertEqual(digest.hexdigest(), self.digest)

    @harness.program("curl", "curl")
    def test_h2_down(self):
        """The same file over an intercepted HTTP/2 connection."""
        path = os.path.join(self.folder, "fetched")
        done = harness.run(["curl", "-sS", "-x", f"http://127.0.0.1:{self.weir.port}", "--http2",
                            "--cacert", self.weir.ca, "-o", path, "-w", "%{http_version}",
                            f"https://origin.test:{self.nginx.port['tls']}/big"], timeout=300)
        self.assertEqual((done.returncode, done.stdout), (0, b"2"), done.stderr)
        digest = hashlib.sha256()
        with open(path, "rb") as data:
            while part := data.read(MIB):
                digest.update(part)
        os.unlink(path)
        self.assertEqual(digest.hexdigest(), self.digest)

    def test_up(self):
        """256 MiB up (16 under sanitizers), by the server's digest, each way."""
        size = BIG_BYTES // 4
        expected = origins.pattern_digest(size)
        for way in self.WAYS:
            with self.subTest(way=way):
                sock, prefix = self.open(way)
                self.ask(sock, prefix + "/upload", "POST", f"Content-Length: {size}\r\n")
                answers = []
                reader = threading.Thread(target=lambda: answers.append(
                    harness.read_answer(origins.Reader(sock))))
                sock.settimeout(120)
                for offset in range(0, size, 65536):
                    sock.sendall(origins.pattern(offset, min(65536, size - offset)))
                reader.start()
                reader.join(120)
                seen = json.loads(answers[0].body)
                self.assertEqual((seen["length"], seen["sha256"]), (size, expected))


def chunked(body, rng):
    """The body in chunks of random sizes."""
    out, offset = [], 0
    while offset < len(body):
        size = rng.choice((1, 7, 255, 4096, 70000))
        part = body[offset:offset + size]
        out.append(b"%x\r\n%s\r\n" % (len(part), part))
        offset += len(part)
    return b"".join(out) + b"0\r\n\r\n"


def send_in_pieces(sock, wire, rng):
    offset = 0
    while offset < len(wire):
        size = rng.choice((1, 3, 1460, 16384, 40000))
        sock.sendall(wire[offset:offset + size])
        offset += size


if __name__ == "__main__":
    harness.main()
