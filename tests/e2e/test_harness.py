# SPDX-License-Identifier: Apache-2.0
"""The harness's own parts, without weir: if these fail, no other area's result means anything."""
import hashlib
import json
import os
import shutil
import socket
import ssl
import struct
import tempfile
import unittest

import access_log
import certs
import harness
import hello
import origins


class Direct(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="weir-e2e-")
        os.chmod(cls.folder, 0o755)
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.authority = certs.Authority(cls.folder, "root")
        cls.certificate = cls.authority.issue("origin", ["origin.test", "127.0.0.1"])
        cls.clear = origins.HttpOrigin()
        cls.secure = origins.HttpOrigin(origins.server_context(cls.certificate))
        cls.addClassCleanup(cls.clear.close)
        cls.addClassCleanup(cls.secure.close)

    def connect(self, port):
        sock = socket.create_connection(("127.0.0.1", port), 10)
        self.addCleanup(sock.close)
        return sock

    def ask(self, sock, path, method="GET", fields="", body=b""):
        sock.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n".encode() + body)
        return harness.read_answer(origins.Reader(sock), method)

    def test_pattern(self):
        """Pieces of the pattern join to the whole from any offset."""
        whole = origins.pattern(0, 300000)
        for offset, length in ((0, 1), (250, 5), (65535, 70000), (199999, 100001)):
            self.assertEqual(origins.pattern(offset, length), whole[offset:offset + length])
        self.assertEqual(origins.pattern_digest(300000), hashlib.sha256(whole).hexdigest())

    def test_framings(self):
        """The origin's framings, read back."""
        for size in (0, 1, 16384, 100000):
            for framing in ("bytes", "chunked", "close"):
                with self.subTest(framing=framing, size=size):
                    answer = self.ask(self.connect(self.clear.port), f"/{framing}/{size}")
                    self.assertEqual(answer.body, origins.pattern(0, size))

    def test_odd_answers(self):
        """HEAD, 204, 103 and trailers, on one connection."""
        sock = self.connect(self.clear.port)
        self.assertEqual(self.ask(sock, "/bytes/10", "HEAD").get("content-length"), "10")
        self.assertEqual(self.ask(sock, "/status/204").status, 204)
        self.assertEqual(self.ask(sock, "/early").body, b"after the hints\n")
        self.assertEqual(self.ask(sock, "/trailers").trailers, {"x-sum": "2cf24dba"})

    def test_uploads(self):
        """An upload's digest, with a length and chunked with a trailer."""
        sock = self.connect(self.clear.port)
        answer = self.ask(sock, "/upload", "POST", "Content-Length: 5\r\n", b"hello")
        self.assertEqual(json.loads(answer.body)["sha256"], hashlib.sha256(b"hello").hexdigest())
        answer = self.ask(sock, "/upload", "POST", "Transfer-Encoding: chunked\r\n",
                          b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nA: b\r\n\r\n")
        self.assertEqual(json.loads(answer.body), {
            "length": 5, "sha256": hashlib.sha256(b"hello").hexdigest(), "chunked": True,
            "trailers": {"a": "b"}})

    def test_websocket_frames(self):
        """Frames of each length form, masked, through the origin's echo."""
        sock = self.connect(self.clear.port)
        answer = self.ask(sock, "/ws", fields="Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")
        self.assertEqual(answer.get("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        reader = origins.Reader(sock)
        for size in (0, 125, 126, 65535, 65536):
            sock.sendall(origins.frame(2, b"q" * size, b"abcd"))
            self.assertEqual(origins.read_frame(reader), (2, b"q" * size))

    def test_certificates(self):
        """The good certificate is accepted; expired, future, foreign and self-signed ones are not,
        each for its own reason."""
        issue = self.authority.issue
        other = certs.Authority(self.folder, "other")
        for certificate, reason in (
                (issue("good", ["a.test"]), None),
                (issue("expired", ["a.test"], days=(-30, -1)), "expired"),
                (issue("future", ["a.test"], days=(5, 30)), "not yet valid"),
                (issue("wrong", ["b.test"]), "[Hh]ostname mismatch"),
                (issue("usage", ["a.test"], usage="clientAuth"), "purpose"),
                (other.issue("leaf", ["a.test"]), "unable to get local issuer"),
                (certs.self_signed(self.folder, "s", ["a.test"]), "self[- ]signed")):
            with self.subTest(reason=reason):
                server = origins.HttpOrigin(origins.server_context(certificate))
                self.addCleanup(server.close)
                context = harness.client_context(self.authority.certificate)
                sock = self.connect(server.port)
                if reason:
                    with self.assertRaisesRegex(ssl.SSLError, reason):
                        context.wrap_socket(sock, server_hostname="a.test")
                else:
                    with context.wrap_socket(sock, server_hostname="a.test") as tls:
                        self.assertEqual(self.ask(tls, "/bytes/2").body, origins.pattern(0, 2))

    def test_subject_names(self):
        """Names are read back from a certificate as they were put in."""
        with open(self.certificate.chain, encoding="ascii") as pem:
            self.assertEqual(certs.subject_names(pem.read()), (
                "origin.test", "root", {"DNS:origin.test", "IP Address:127.0.0.1"}))

    def test_manual_hello(self):
        """Hellos cut into records and segments, and long ones, against a plain TLS server."""
        for size, count in ((0, 1), (0, 50), (16200, 1)):
            with self.subTest(size=size, count=count):
                client = hello.ManualClient(
                    self.connect(self.secure.port),
                    hello.padded_context(self.authority.certificate, size), "origin.test")
                message = hello.message_of(client.hello)
                self.assertEqual(struct.unpack("!I", b"\0" + message[1:4])[0], len(message) - 4)
                client.sock.sendall(hello.records_of(message, count))
                client.handshake()
                client.send(b"GET /bytes/5 HTTP/1.1\r\nHost: x\r\n\r\n")
                answer = harness.read_answer(origins.Reader(client))
                self.assertEqual(answer.body, origins.pattern(0, 5))

    def test_hello_by_hand(self):
        """A hello made by hand is a hello: a server answers it with its own."""
        sock = self.connect(self.secure.port)
        sock.sendall(hello.records_of(hello.client_hello(hello.sni(b"origin.test") + hello.USUAL)))
        self.assertEqual(sock.recv(1), b"\x16")

    def test_echo_server(self):
        """The many-connection echo answers each its own."""
        echo = origins.EchoServer()
        self.addCleanup(echo.close)
        socks = [self.connect(echo.port) for _ in range(50)]
        for number, sock in enumerate(socks):
            sock.sendall(b"%d" % number)
        for number, sock in enumerate(socks):
            self.assertEqual(sock.recv(10), b"%d" % number)

    def test_dns_stub(self):
        """Names under .test are loopback, others do not exist, AAAA has no address."""
        dns = origins.DnsStub()
        self.addCleanup(dns.close)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(5)
            for name, kind, code, address in (
                    ("a.test", 1, 0, b"\x7f\0\0\x01"), ("a.test", 28, 0, None),
                    ("b.six.test", 28, 0, b"\0" * 15 + b"\1"), ("nowhere.org", 1, 3, None)):
                query = b"\x12\x34\x01\0\0\1\0\0\0\0\0\0" + b"".join(
                    bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"
                sock.sendto(query + struct.pack("!HH", kind, 1), ("127.0.0.1", dns.port))
                answer = sock.recv(512)
                self.assertEqual(answer[3] & 15, code)
                self.assertEqual(answer[7], 1 if address else 0)
                if address:
                    self.assertTrue(answer.endswith(address))

    @unittest.skipUnless(origins.Nginx.find(), "nginx is absent: install nginx-light")
    def test_nginx(self):
        """nginx serves its file in every variant; the one-version servers refuse the other."""
        folder = os.path.join(self.folder, "nginx")
        os.makedirs(folder)
        nginx = origins.Nginx(folder, self.certificate, harness.free_port)
        self.addCleanup(nginx.close)
        digest = nginx.write("file", 1000003)
        for name, maximum, minimum in (("plain", None, None), ("tls", None, None),
                                       ("h1", None, None),
                                       ("tls12", None, None), ("tls13", None, None)):
            with self.subTest(server=name):
                sock = self.connect(nginx.port[name])
                if name != "plain":
                    context = harness.client_context(self.authority.certificate, ["http/1.1"],
                                                     minimum, maximum)
                    sock = context.wrap_socket(sock, server_hostname="origin.test")
                    self.addCleanup(sock.close)
                    expected = {"tls12": "TLSv1.2"}.get(name, "TLSv1.3")
                    self.assertEqual(sock.version(), expected)
                answer = self.ask(sock, "/file", fields="Connection: close\r\n")
                self.assertEqual(hashlib.sha256(answer.body).hexdigest(), digest)

    def test_access_log(self):
        """Records are read by path, absent fields are None, a half-written line is left."""
        path = os.path.join(self.folder, "log")
        with open(path, "w", encoding="utf-8") as out:
            out.write('{"kind":"request","bytes":{"up":1,"down":2},"status":200}\n{"kin')
        records = access_log.read(path)
        self.assertEqual(len(records), 1)
        self.assertEqual((records[0].kind, records[0].down_bytes, records[0].rule),
                         ("request", 2, None))


if __name__ == "__main__":
    unittest.main(verbosity=2)
