# SPDX-License-Identifier: Apache-2.0
"""Upstream proxies: what weir does goes on as before with a proxy between it and the servers, of
each kind; and what becomes of proxies that fail."""
import hashlib
import json
import os
import re
import signal
import socket
import time
import unittest

import harness
import origins
import proxies
from harness import program, rule, run

MIB = 1 << 20
SECRET = "hush:open:sesame"  # the password has a colon
ENCODED = "aHVzaDpvcGVuOnNlc2FtZQ=="
KINDS = {"clear": "http", "tls": "https", "socks": "socks5"}


class ChainsCase(harness.WeirCase):
    """A proxy of each kind, and rules that go through each of them, by the host's first label:
    clear.origin.test is intercepted through the proxy `clear`, t-clear.origin.test tunnelled."""

    LIMITS = {"connect_timeout": "2s", "handshake_timeout": "2s"}
    UPSTREAM = {}

    @classmethod
    def prepare(cls):
        cls.tls_origin = origins.HttpOrigin(origins.server_context(cls.certificate))
        cls.plain_origin = origins.HttpOrigin()
        cls.echo = origins.EchoServer()
        cls.talker = origins.Server(lambda sock: (sock.sendall(b"220 hello\r\n"), sock.recv(10)))
        front = cls.authority.issue("proxy", ["proxy.test"])
        cls.clear = proxies.HttpProxy(credentials=SECRET)
        cls.tls_proxy = proxies.HttpProxy(origins.server_context(front), credentials=SECRET)
        cls.socks = proxies.SocksProxy(credentials=SECRET)
        cls.proxy = {"clear": cls.clear, "tls": cls.tls_proxy, "socks": cls.socks}
        for server in (cls.tls_origin, cls.plain_origin, cls.echo, cls.talker, *cls.proxy.values()):
            cls.addClassCleanup(server.close)
        cls.secret_path = os.path.join(cls.folder, "secret")
        with open(cls.secret_path, "w", encoding="ascii") as out:
            out.write(SECRET + "\n")
        cls.CONFIG = {
            "upstream": {"proxies": [cls.proxy_row(kind) for kind in KINDS], "retry": "1s"},
            "intercept": {"rules": cls.rules()},
            "limits": cls.LIMITS,
        }
        cls.CONFIG["upstream"].update(cls.UPSTREAM)

    @classmethod
    def proxy_row(cls, kind, **more):
        return {"name": kind, "url": f"{KINDS[kind]}://proxy.test:{cls.proxy[kind].port}",
                "credentials": cls.secret_path, **more}

    @classmethod
    def rules(cls):
        return [rule(f"{action} {kind}", action, host=[prefix + kind + ".origin.test"], via=[kind])
                for action, prefix in (("intercept", ""), ("tunnel", "t-")) for kind in KINDS]

    def setUp(self):
        super().setUp()
        for server in self.proxy.values():
            server.mode = "work"
            server.targets.clear()
            server.heads.clear()

    def record_of(self, kind, target):
        return self.weir.wait_record(lambda r: r.kind == kind and r.target == target, target)

    def assert_no_secret(self):
        texts = [self.weir.stderr(), *(r.line for r in self.weir.records())]
        for request in self.tls_origin.requests + self.plain_origin.requests:
            texts.append(request.head.decode("latin-1"))
        for text in texts:
            for word in ("sesame", ENCODED, "roxy-Auth"):
                self.assertNotIn(word, text)


class Through(ChainsCase):
    @classmethod
    def prepare(cls):
        super().prepare()
        if origins.Nginx.find():
            cls.nginx = origins.Nginx(os.path.join(cls.folder, "nginx"), cls.certificate,
                                      harness.free_port)
            cls.addClassCleanup(cls.nginx.close)
            cls.digest = cls.nginx.write("file", MIB)

    def test_intercepted(self):
        """1 MiB each way inside intercepted TLS, through each kind of proxy; the proxy was asked
        for the name, and the log says which it was."""
        for kind, server in self.proxy.items():
            with self.subTest(kind=kind):
                authority = f"{kind}.origin.test:{self.tls_origin.port}"
                sock = self.tls(authority)
                answer = self.get(sock, f"/bytes/{MIB}")
                self.assertEqual(hashlib.sha256(answer.body).hexdigest(),
                                 origins.pattern_digest(MIB))
                self.assertEqual(self.upload(sock), origins.pattern_digest(MIB))
                self.assertEqual(self.issuer_of(sock), self.issuer_of(self.tls(authority)))
                sock.close()
                self.assertEqual(server.targets, [authority] * 2)
                record = self.record_of("tunnel", authority)
                self.assertEqual((record.upstream, record.decision), (kind, "intercept"))
                self.assertEqual(record.dialled, f"127.0.0.1:{server.port}")
        self.assert_no_secret()

    def test_bulk(self):
        """More than all buffers hold, each way, with TLS in the proxy's TLS and without."""
        size = (8 if harness.SANITIZED else 64) * MIB
        for host in ("tls", "t-tls"):
            with self.subTest(host=host):
                root = self.weir.ca if host == "tls" else self.authority.certificate
                sock = self.tls(f"{host}.origin.test:{self.tls_origin.port}", ca=root)
                self.assertEqual(self.upload(sock, size), origins.pattern_digest(size))
                sock.sendall(f"GET /bytes/{size} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                reader = origins.Reader(sock)
                harness.read_head(reader)
                time.sleep(0.5)  # what may not be taken in waits where it is
                digest = hashlib.sha256()
                for piece in reader.pieces(size):
                    digest.update(piece)
                self.assertEqual(digest.hexdigest(), origins.pattern_digest(size))

    @staticmethod
    def upload(sock, size=MIB):
        sock.sendall(f"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode())
        for at in range(0, size, MIB):
            sock.sendall(origins.pattern(at, MIB))
        return json.loads(harness.read_answer(origins.Reader(sock)).body)["sha256"]

    def test_tunnelled(self):
        """Tunnels through each kind: the server's own certificate, and bytes as they are, both in
        TLS and in clear, with the client's end passed on."""
        for kind in self.proxy:
            with self.subTest(kind=kind):
                sock = self.tls(f"t-{kind}.origin.test:{self.tls_origin.port}",
                                ca=self.authority.certificate)
                self.assertEqual(self.get(sock, f"/bytes/{MIB}").body, origins.pattern(0, MIB))
                self.assertEqual(self.upload(sock), origins.pattern_digest(MIB))
                sock.close()
                sock = self.tunnel(f"t-{kind}.origin.test:{self.echo.port}")
                data = origins.pattern(0, 300000)
                for at in range(0, len(data), 30000):
                    sock.sendall(data[at:at + 30000])
                self.assertEqual(origins.Reader(sock).exactly(len(data)), data)
                sock.shutdown(socket.SHUT_WR)
                self.assertEqual(harness.read_to_end(sock), (b"", True))

    @program("curl", "curl")
    @unittest.skipUnless(origins.Nginx.find(), "nginx is absent: install nginx-light")
    def test_curl(self):
        """curl in HTTP/1.1 and HTTP/2, intercepted through each kind."""
        for kind in self.proxy:
            for version, expected in (("--http1.1", b"1.1"), ("--http2", b"2")):
                with self.subTest(kind=kind, version=version):
                    path = os.path.join(self.folder, "got")
                    url = f"https://{kind}.origin.test:{self.nginx.port['tls']}/file"
                    done = run(["curl", "-sS", "--max-time", "30", "-x",
                                f"http://127.0.0.1:{self.weir.port}", "--cacert", self.weir.ca,
                                version, "-o", path, "-w", "%{http_version}", url, url + "?2",
                                "-o", path + "2"])
                    self.assertEqual((done.returncode, done.stderr), (0, b""))
                    self.assertEqual(done.stdout, expected * 2)
                    for name in (path, path + "2"):
                        with open(name, "rb") as got:
                            self.assertEqual(hashlib.sha256(got.read()).hexdigest(), self.digest)

    def test_plain(self):
        """Explicit HTTP goes to an HTTP proxy as a whole URL with the credentials, through SOCKS
        as to the server itself; the server sees none of them."""
        for kind, server in self.proxy.items():
            with self.subTest(kind=kind):
                host = f"{kind}.origin.test:{self.plain_origin.port}"
                answer = self.get_plain(f"http://{host}/bytes/{MIB}")
                self.assertEqual(answer.body, origins.pattern(0, MIB))
                answer = self.get_plain(f"http://{host}/echo-head?a=b")
                self.assertEqual(json.loads(answer.body)["target"], "/echo-head?a=b")
                if kind == "socks":
                    self.assertEqual(server.targets[-1], host)
                else:
                    request = server.heads[-1]
                    self.assertEqual((request.method, request.target),
                                     ("GET", f"http://{host}/echo-head?a=b"))
                    self.assertEqual(request.get("proxy-authorization"), "Basic " + ENCODED)
                    self.assertEqual(request.get("host"), host)
                record = self.record_of("request", host)
                self.assertEqual(record.upstream, kind)
        self.assert_no_secret()

    def test_asterisk(self):
        """OPTIONS for the server as a whole is a URL without a path towards an HTTP proxy."""
        host = f"clear.origin.test:{self.plain_origin.port}"
        self.get_plain(f"http://{host}", method="OPTIONS")
        self.assertEqual(self.clear.heads[-1].target, f"http://{host}")

    def test_guard(self):
        """An address that the guard refuses is refused without asking the proxy."""
        folder = os.path.join(self.folder, "guarded")
        weir = harness.Weir(folder, harness.merge(self.base_config(folder), {
            "upstream": {"proxies": [self.proxy_row("clear")], "via": ["clear"]},
            "connect": {"allow_private": False}}))
        weir.start()
        self.addCleanup(weir.stop)
        before = self.clear.accepted
        for url in ("http://127.0.0.1:80/", "http://[::1]:80/", "http://169.254.169.254/"):
            self.assertEqual(self.get_plain(url, weir=weir).status, 403)
        _, _, answer = self.connect_answer("127.0.0.1:443", weir)
        self.assertEqual(answer.status, 403)
        self.assertEqual(self.clear.accepted, before)

    def test_trickle(self):
        """A proxy that answers byte by byte is understood."""
        for kind, server in self.proxy.items():
            with self.subTest(kind=kind):
                server.mode = "trickle"
                sock = self.tls(f"{kind}.origin.test:{self.tls_origin.port}")
                self.assertEqual(self.get(sock, "/bytes/1000").body, origins.pattern(0, 1000))

    def test_unreachable(self):
        """What a proxy cannot reach is told so, in the page inside the client's TLS."""
        for kind, server in self.proxy.items():
            with self.subTest(kind=kind):
                server.mode = "far"
                answer = self.connect_outcome(f"{kind}.origin.test:{self.tls_origin.port}")
                self.assertEqual(answer.status, 502)
                self.assertIn(f"upstream proxy {kind}", answer.get("proxy-status"))

    def test_server_first(self):
        """A server that speaks first is heard through a proxy too."""
        for kind in self.proxy:
            with self.subTest(kind=kind):
                sock = self.tunnel(f"t-{kind}.origin.test:{self.talker.port}")
                self.assertEqual(origins.Reader(sock).until(b"\r\n"), b"220 hello")


class Faults(ChainsCase):
    """Lists of two: the first of them fails. Nothing is kept: each visit tries them."""

    UPSTREAM = {"idle_connections": 0}

    @classmethod
    def rules(cls):
        return [rule(f"first {kind}", "intercept", host=[f"{kind}.origin.test"],
                     via=[kind, "clear" if kind == "socks" else "socks"]) for kind in KINDS]

    def get_through(self, kind):
        sock = self.tls(f"{kind}.origin.test:{self.tls_origin.port}")
        answer = self.get(sock, "/bytes/1000")
        sock.close()
        return answer.status

    def last_upstream(self, kind):
        target = f"{kind}.origin.test:{self.tls_origin.port}"
        count = self.count.get(kind, 0) + 1
        self.count[kind] = count
        found = harness.wait_for("the record", lambda: [
            r for r in self.weir.records() if r.kind == "tunnel" and r.target == target][count - 1:])
        return found[-1].upstream

    def lines(self, words):
        return [line for line in self.weir.stderr().splitlines() if words in line]

    def setUp(self):
        super().setUp()
        self.count = {}
        for kind in KINDS:
            target = f"{kind}.origin.test:{self.tls_origin.port}"
            self.count[kind] = len([r for r in self.weir.records()
                                    if r.kind == "tunnel" and r.target == target])
        for kind in KINDS:  # whatever an earlier test left: all work, and are known to
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                self.assertEqual(self.get_through(kind), 200)
                if self.last_upstream(kind) == kind:
                    break
                time.sleep(0.3)
        self.failed_before = len(self.lines("failed:"))
        self.works_before = len(self.lines("works again"))

    def check_failover(self, kind, reason):
        other = "clear" if kind == "socks" else "socks"
        for _ in range(3):
            self.assertEqual(self.get_through(kind), 200)
            self.assertEqual(self.last_upstream(kind), other)
        lines = self.lines("failed:")[self.failed_before:]
        self.assertEqual(len(lines), 1, lines)
        self.assertRegex(lines[0], rf"warn .*upstream proxy {kind} failed: .*{reason}.*; using "
                                   rf"instead: {other}")
        self.proxy[kind].mode = "work"

        def recovered():
            self.assertEqual(self.get_through(kind), 200)
            return self.last_upstream(kind) == kind
        harness.wait_for("the proxy to be used again", recovered)
        lines = self.lines("works again")[self.works_before:]
        self.assertEqual(len(lines), 1, lines)
        self.assertIn(f"upstream proxy {kind} works again", lines[0])
        self.assert_no_secret()

    def test_hang(self):
        for kind in ("clear", "socks"):
            with self.subTest(kind=kind):
                self.setUp()
                self.proxy[kind].mode = "hang"
                self.check_failover(kind, "did not answer in time")

    def test_hang_after_handshake(self):
        """Who was alive a moment ago may be waiting for the target: another is tried, no blame."""
        self.tls_proxy.mode = "hang"
        self.assertEqual(self.get_through("tls"), 200)
        self.assertEqual(self.last_upstream("tls"), "socks")
        self.assertEqual(self.lines("failed:")[self.failed_before:], [])

    def test_garbage(self):
        for kind, reason in (("clear", "no HTTP response"), ("socks", "SOCKS")):
            with self.subTest(kind=kind):
                self.setUp()
                self.proxy[kind].mode = "garbage"
                self.check_failover(kind, reason)

    def test_cut(self):
        for kind in KINDS:
            with self.subTest(kind=kind):
                self.setUp()
                self.proxy[kind].mode = "cut"
                self.check_failover(kind, "ended the connection")

    def test_full(self):
        self.clear.mode = "full"
        self.check_failover("clear", "503")

    def test_credentials(self):
        """Credentials that a proxy does not accept: the next one is used, the line says why."""
        for kind, reason in (("clear", "407"), ("tls", "407"), ("socks", "")):
            with self.subTest(kind=kind):
                self.setUp()
                self.proxy[kind].credentials = "some:body else"
                try:
                    for _ in range(2):
                        self.assertEqual(self.get_through(kind), 200)
                        self.assertNotEqual(self.last_upstream(kind), kind)
                finally:
                    self.proxy[kind].credentials = SECRET
                lines = self.lines("failed:")[self.failed_before:]
                self.assertEqual(len(lines), 1, lines)
                self.assertIn(reason, lines[0])

    def test_far(self):
        """Who says that the target cannot be reached is not to blame, but another may reach it."""
        for kind in KINDS:
            with self.subTest(kind=kind):
                self.proxy[kind].mode = "far"
                self.assertEqual(self.get_through(kind), 200)
                self.assertNotEqual(self.last_upstream(kind), kind)
                self.proxy[kind].mode = "work"
                self.assertEqual(self.get_through(kind), 200)
                self.assertEqual(self.last_upstream(kind), kind)
        self.assertEqual(self.lines("failed:")[self.failed_before:], [])

    def test_forbidden(self):
        """Who forbids the target is believed: nobody else is asked."""
        for kind in KINDS:
            with self.subTest(kind=kind):
                self.proxy[kind].mode = "forbidden"
                before = {name: server.accepted for name, server in self.proxy.items()}
                answer = self.connect_outcome(f"{kind}.origin.test:443")
                self.assertEqual(answer.status, 403)
                self.assertIn("http_request_denied", answer.get("proxy-status"))
                used = [name for name, server in self.proxy.items()
                        if server.accepted != before[name]]
                self.assertEqual(used, [kind])
                self.count[kind] += 1

    def test_plain(self):
        """Of plain HTTP a proxy has the request before it refuses: what may be sent twice is sent
        to the next one, the rest is answered; once known, the next one is used at once."""
        url = f"http://clear.origin.test:{self.plain_origin.port}/upload"
        for number, (method, status) in enumerate((("GET", 200), ("POST", 502), ("POST", 200))):
            if number < 2:
                self.setUp()
            self.clear.credentials = "some:body else"
            try:
                answer = self.get_plain(url, method=method, fields="Content-Length: 0\r\n"
                                        if method == "POST" else "")
            finally:
                self.clear.credentials = SECRET
            self.assertEqual(answer.status, status, method)
            self.assertEqual(answer.get("proxy-authenticate"), "")
        lines = self.lines("failed:")[self.failed_before:]
        self.assertEqual(len(lines), 1, lines)
        self.assertIn("(407); using instead: socks", lines[0])
        self.assert_no_secret()

    def test_all_failed(self):
        """When none is left the error names each, with its reason."""
        self.clear.mode = "full"
        self.socks.mode = "cut"
        answer = self.connect_outcome("clear.origin.test:443")
        self.count["clear"] += 1
        self.assertEqual(answer.status, 502)
        text = answer.get("proxy-status")
        for words in ("upstream proxy clear: it answered 503", "upstream proxy socks: it ended"):
            self.assertIn(words, text)
        url = f"http://clear.origin.test:{self.plain_origin.port}/"
        self.clear.mode = "work"
        self.clear.credentials = "some:body else"
        self.socks.mode = "cut"
        try:
            answer = self.get_plain(url)
        finally:
            self.clear.credentials = SECRET
        self.assertEqual(answer.status, 502)
        self.assertIn("credentials (407)", answer.get("proxy-status"))
        self.assertEqual(answer.get("proxy-authenticate"), "")


class Dead(harness.WeirCase):
    """A proxy that nobody listens for, one with a certificate for another name, and none at all."""

    @classmethod
    def prepare(cls):
        cls.origin = origins.HttpOrigin()
        cls.tls_origin = origins.HttpOrigin(origins.server_context(cls.certificate))
        wrong = cls.authority.issue("wrong", ["other.test"])
        cls.wrong = proxies.HttpProxy(origins.server_context(wrong))
        for server in (cls.origin, cls.tls_origin, cls.wrong):
            cls.addClassCleanup(server.close)
        cls.CONFIG = {
            "upstream": {
                "proxies": [
                    {"name": "dead", "url": f"http://127.0.0.1:{harness.free_port()}"},
                    {"name": "wrong", "url": f"https://proxy.test:{cls.wrong.port}"},
                    {"name": "nowhere", "url": "socks5://nowhere.invalid:1080"},
                    {"name": "no better", "url": f"https://proxy.test:{cls.wrong.port}"}],
                "via": ["dead", "wrong", "nowhere", "direct"], "retry": "1h"},
            "intercept": {"rules": [
                rule("alone", "tunnel", host=["alone.origin.test"], via=["no better"])]}}

    def test_direct_at_last(self):
        """Each that fails is told of once, with its reason; then the server is dialled directly."""
        for _ in range(4):
            self.assertEqual(self.get_plain(f"http://origin.test:{self.origin.port}/").status, 200)
            sock = self.tls(f"origin.test:{self.tls_origin.port}")
            self.assertEqual(self.get(sock, "/").status, 200)
        lines = [line for line in self.weir.stderr().splitlines() if "upstream proxy" in line and "no better" not in line]
        self.assertEqual(len(lines), 3, lines)
        for line, words in zip(lines, ("dead failed: .*Connection refused; using instead: wrong",
                                       "wrong failed: .*other.test.*; using instead: nowhere",
                                       "nowhere failed: .*; using instead: direct")):
            self.assertRegex(line, words)
        self.assertEqual(self.wrong.heads, [])
        self.assertEqual({r.upstream for r in self.weir.records()}, {None})

    def test_alone(self):
        """The only proxy of a rule cannot be trusted: CONNECT is answered with the reason."""
        _, _, answer = self.connect_answer(f"alone.origin.test:{self.tls_origin.port}")
        self.assertEqual(answer.status, 502)
        self.assertIn("tls_certificate_error", answer.get("proxy-status"))
        self.assertIn("upstream proxy no better", answer.get("proxy-status"))


class BySni(harness.WeirCase):
    """Rules on the SNI that go different ways: nothing is dialled before the hello is there."""

    @classmethod
    def prepare(cls):
        cls.origin = origins.HttpOrigin(origins.server_context(cls.certificate))
        cls.raw = origins.Server(lambda sock: (sock.sendall(b"220 hello\r\n"), sock.recv(100)))
        cls.one, cls.two = proxies.HttpProxy(), proxies.SocksProxy()
        for server in (cls.origin, cls.raw, cls.one, cls.two):
            cls.addClassCleanup(server.close)
        cls.CONFIG = {
            "upstream": {"proxies": [
                {"name": "one", "url": f"http://127.0.0.1:{cls.one.port}"},
                {"name": "two", "url": f"socks5://127.0.0.1:{cls.two.port}"}]},
            "intercept": {"rules": [
                rule("a", "intercept", sni=["a.origin.test"], via=["one"]),
                rule("b", "intercept", sni=["b.origin.test"], via=["two"]),
                rule("refused", "refuse", sni=["c.origin.test"])]}}

    def test_each(self):
        authority = f"127.0.0.1:{self.origin.port}"
        for sni, server, name in (("a.origin.test", self.one, "one"),
                                  ("b.origin.test", self.two, "two"), ("origin.test", None, None)):
            with self.subTest(sni=sni):
                before = [self.one.accepted, self.two.accepted]
                sock = self.tls(authority, server_hostname=sni)
                self.assertEqual(self.get(sock, "/").status, 200)
                sock.close()
                record = self.weir.wait_record(lambda r: r.kind == "tunnel" and r.sni == sni)
                self.assertEqual(record.upstream, name)
                after = [before[0] + (server is self.one), before[1] + (server is self.two)]
                self.assertEqual([self.one.accepted, self.two.accepted], after)

    def test_silent_client(self):
        """A client that waits for the server's first word hears it: silence has no SNI."""
        sock = self.tunnel(f"127.0.0.1:{self.raw.port}")
        self.assertEqual(origins.Reader(sock).until(b"\r\n"), b"220 hello")

    def test_late_hello(self):
        """A hello that comes after a long silence still decides the way."""
        before = self.two.accepted
        sock = self.tunnel(f"127.0.0.1:{self.origin.port}")
        time.sleep(1.2)
        tls = self.keep(harness.client_context(self.weir.ca).wrap_socket(
            sock, server_hostname="b.origin.test"))
        self.assertEqual(self.get(tls, "/").status, 200)
        self.assertEqual(self.two.accepted, before + 1)


class Header:
    """A PROXY protocol header at the front of what a socket sends."""

    def __init__(self, reader):
        first = reader.exactly(6)
        if first == b"PROXY ":
            self.version, self.line = 1, reader.until(b"\r\n").decode()
            words = self.line.split(" ")
            self.source, self.destination = (words[1], int(words[3])), (words[2], int(words[4]))
            return
        self.version = 2
        assert first + reader.exactly(6) == b"\r\n\r\n\x00\r\nQUIT\n", first
        assert reader.exactly(2) == b"\x21\x11"  # PROXY, TCP over IPv4
        length = int.from_bytes(reader.exactly(2), "big")
        block = reader.exactly(length)
        self.source = socket.inet_ntoa(block[:4]), int.from_bytes(block[8:10], "big")
        self.destination = socket.inet_ntoa(block[4:8]), int.from_bytes(block[10:12], "big")


class ProxyProtocol(harness.WeirCase):
    """The PROXY protocol towards servers that are dialled directly, and towards a proxy."""

    @classmethod
    def prepare(cls):
        cls.headers = []

        def serve(sock):
            reader = origins.Reader(sock)
            cls.headers.append(Header(reader))
            while True:
                request = origins.Request(reader.until(b"\r\n\r\n"))
                origins.HttpOrigin._reply(sock, request, b"seen\n")

        def serve_tls(sock):
            reader = origins.Reader(sock)
            data = sock.recv(107, socket.MSG_PEEK)
            header = data[:data.index(b"\r\n") + 2] if data.startswith(b"PROXY") else \
                data[:16 + int.from_bytes(data[14:16], "big")]
            reader.data = sock.recv(len(header))
            cls.headers.append(Header(reader))
            tls = origins.server_context(cls.certificate).wrap_socket(sock, server_side=True)
            request = origins.Request(origins.Reader(tls).until(b"\r\n\r\n"))
            origins.HttpOrigin._reply(tls, request, b"seen in TLS\n")
            tls.close()

        cls.server = origins.Server(serve)
        cls.tls_server = origins.Server(serve_tls)
        for server in (cls.server, cls.tls_server):
            cls.addClassCleanup(server.close)
        cls.CONFIG = {"upstream": {
            "proxies": [{"name": "told", "url": f"http://127.0.0.1:{cls.server.port}",
                         "send_proxy_protocol": "v2"},
                        {"name": "told-tls", "url": f"https://origin.test:{cls.tls_server.port}",
                         "send_proxy_protocol": "v1"}]},
            "intercept": {"rules": [
                rule("told", "intercept", host=["told.test"], via=["told"]),
                rule("told-tls", "intercept", host=["tls.test"], via=["told-tls"])]}}

    def start(self, version):
        folder = os.path.join(self.folder, version)
        weir = harness.Weir(folder, harness.merge(self.base_config(folder), self.CONFIG))
        write = weir.write_config

        def write_config():
            weir.config["listeners"][0]["send_proxy_protocol"] = version
            write()
        weir.write_config = write_config
        weir.start()
        self.addCleanup(weir.stop)
        return weir

    def test_direct(self):
        for number, version in ((1, "v1"), (2, "v2")):
            with self.subTest(version=version):
                weir = self.start(version)
                self.headers.clear()
                url = f"http://127.0.0.1:{self.server.port}/"
                sock = self.dial(weir)
                for _ in range(2):  # one connection for this client's two requests
                    sock.sendall(f"GET {url} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                    self.assertEqual(harness.read_answer(origins.Reader(sock)).body, b"seen\n")
                self.assertEqual(len(self.headers), 1)
                self.check(self.headers[0], number, sock.getsockname(), self.server.port)
                self.get_plain(url, weir=weir)  # another client's is never shared with it
                self.assertEqual(len(self.headers), 2)
                sock = self.tls(f"origin.test:{self.tls_server.port}", weir=weir)
                self.assertEqual(self.get(sock, "/").body, b"seen in TLS\n")
                self.check(self.headers[2], number, sock.getsockname(), self.tls_server.port)

    def check(self, header, version, client, port):
        self.assertEqual(header.version, version)
        self.assertEqual(header.source, client)
        self.assertEqual(header.destination, ("127.0.0.1", port))

    def test_to_proxy(self):
        self.headers.clear()
        sock = self.dial()
        sock.sendall(b"GET http://told.test/ HTTP/1.1\r\nHost: told.test\r\n\r\n")
        self.assertEqual(harness.read_answer(origins.Reader(sock)).body, b"seen\n")
        self.check(self.headers[0], 2, sock.getsockname(), self.server.port)

    def test_to_tls_proxy(self):
        """The header goes before the TLS to the proxy."""
        self.headers.clear()
        sock = self.dial()
        sock.sendall(b"GET http://tls.test/ HTTP/1.1\r\nHost: tls.test\r\n\r\n")
        self.assertEqual(harness.read_answer(origins.Reader(sock)).body, b"seen in TLS\n")
        self.check(self.headers[0], 1, sock.getsockname(), self.tls_server.port)


class Real(harness.WeirCase):
    """weir behind weir, squid and mitmproxy, and mitmproxy behind weir."""

    START_WEIR = False

    @classmethod
    def prepare(cls):
        if not origins.Nginx.find():
            raise unittest.SkipTest("nginx is absent: install nginx-light")
        cls.nginx = origins.Nginx(os.path.join(cls.folder, "nginx"), cls.certificate,
                                  harness.free_port)
        cls.addClassCleanup(cls.nginx.close)
        cls.digest = cls.nginx.write("file", MIB)

    def chain(self, name, proxy_port, trust=(), action="intercept"):
        weir = self.new_weir(name, {
            "intercept": {"default": action},
            "upstream": {"trust_files": [self.authority.certificate, *trust], "via": ["next"],
                         "proxies": [{"name": "next", "url": f"http://127.0.0.1:{proxy_port}"}]}})
        weir.start()
        self.addCleanup(weir.stop)
        return weir

    def fetch(self, port, root, version="--http1.1", scheme="https", host="origin.test"):
        server = "tls" if scheme == "https" else "plain"
        done = run(["curl", "-sS", "--max-time", "30", "-x", f"http://127.0.0.1:{port}", "--cacert",
                    root, version, "-w", "%{stderr}%{http_version} %{http_code}",
                    f"{scheme}://{host}:{self.nginx.port[server]}/file"])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(hashlib.sha256(done.stdout).hexdigest(), self.digest)
        return done.stderr.decode()

    @program("curl", "curl")
    def test_weir(self):
        """Both intercept, in both HTTP versions; and a tunnel through both; and plain HTTP."""
        last = self.new_weir("last")
        last.start()
        self.addCleanup(last.stop)
        first = self.chain("first", last.port, [last.ca])
        tunnels = self.chain("tunnels", last.port, [], "tunnel")
        for version, expected in (("--http1.1", "1.1 200"), ("--http2", "2 200")):
            self.assertEqual(self.fetch(first.port, first.ca, version), expected)
            self.assertEqual(self.fetch(tunnels.port, last.ca, version), expected)
        self.assertEqual(self.fetch(first.port, first.ca, scheme="http"), "1.1 200")
        for weir, upstream in ((last, None), (first, "next")):
            record = weir.wait_record(lambda r: r.kind == "request" and r.path == "/file")
            self.assertEqual(record.upstream, upstream)

    @program("curl", "curl")
    @unittest.skipUnless(proxies.Squid.find(), "squid is absent: install squid-openssl")
    def test_squid(self):
        port = harness.free_port()
        squid = proxies.Squid(os.path.join(self.folder, "squid"), port, [self.nginx.port["tls"]],
                              ["origin.test"])
        self.addCleanup(squid.close)
        weir = self.chain("before-squid", port)
        self.assertEqual(self.fetch(weir.port, weir.ca, "--http2"), "2 200")
        self.assertEqual(self.fetch(weir.port, weir.ca), "1.1 200")
        self.assertEqual(self.fetch(weir.port, weir.ca, scheme="http"), "1.1 200")
        harness.wait_for("squid's log of the last one", lambda: "GET" in squid.log())
        self.assertRegex(squid.log(), r"CONNECT origin\.test:")
        self.assertRegex(squid.log(), r"GET http://origin\.test:\d+/file")

    @program("mitmdump", "mitmproxy")
    @program("curl", "curl")
    def test_mitmproxy(self):
        """On either side."""
        port = harness.free_port()
        proxy = proxies.Mitmproxy(os.path.join(self.folder, "mitm"), port,
                                  trusts=self.authority.certificate)
        self.addCleanup(proxy.close)
        weir = self.chain("before-mitm", port, [proxy.ca])
        here = "127.0.0.1"  # it has no other way to look up a name than the system's
        self.assertEqual(self.fetch(weir.port, weir.ca, "--http2", host=here), "2 200")
        self.assertEqual(self.fetch(weir.port, weir.ca, host=here), "1.1 200")
        self.assertEqual(self.fetch(weir.port, weir.ca, scheme="http", host=here), "1.1 200")
        last = self.new_weir("after-mitm")
        last.start()
        self.addCleanup(last.stop)
        port = harness.free_port()
        proxy = proxies.Mitmproxy(os.path.join(self.folder, "mitm2"), port,
                                  f"http://127.0.0.1:{last.port}", last.ca)
        self.addCleanup(proxy.close)
        self.assertEqual(self.fetch(port, proxy.ca), "1.1 200")
        self.assertEqual(self.fetch(port, proxy.ca, scheme="http"), "1.1 200")


class Secrets(harness.WeirCase):
    """The file of credentials: read at the start and at each reload, and refused with its name."""

    START_WEIR = False

    @classmethod
    def prepare(cls):
        cls.proxy = proxies.HttpProxy(credentials="a:b")
        cls.origin = origins.HttpOrigin()
        for server in (cls.proxy, cls.origin):
            cls.addClassCleanup(server.close)

    def config(self, path):
        return {"upstream": {"via": ["up"], "retry": "100ms", "proxies": [
            {"name": "up", "url": f"http://127.0.0.1:{self.proxy.port}", "credentials": path}]}}

    def test_reload(self):
        path = os.path.join(self.folder, "good")
        with open(path, "w", encoding="ascii") as out:
            out.write("a:wrong")
        weir = self.new_weir("reload", self.config(path)).start()
        self.addCleanup(weir.stop)
        url = f"http://origin.test:{self.origin.port}/"
        self.assertEqual(self.get_plain(url, weir=weir).status, 502)
        with open(path, "w", encoding="ascii") as out:
            out.write("a:b\r\n")
        weir.signal(signal.SIGHUP)
        harness.wait_for("the new credentials",
                         lambda: self.get_plain(url, weir=weir).status == 200)
        with open(path, "w", encoding="ascii") as out:
            out.write("nothing")
        weir.signal(signal.SIGHUP)
        harness.wait_for("the refusal", lambda: "no colon" in weir.stderr())
        self.assertRegex(weir.stderr(), re.escape(path) + ".*expected one line: user:password")
        self.assertEqual(self.get_plain(url, weir=weir).status, 200)

    def test_bad_files(self):
        for content, words in ((b"", "no colon"), (b":x", "1 to 255 bytes"),
                               (b"a:b\nc:d\n", "more than one line"), (b"u:" + b"p" * 256, "255"),
                               (b"u:" + b"p" * 5000, "too large")):
            with self.subTest(words=words):
                path = os.path.join(self.folder, "bad")
                with open(path, "wb") as out:
                    out.write(content)
                weir = self.new_weir("bad-files", self.config(path))
                with self.assertRaises(AssertionError) as raised:
                    weir.start()
                self.assertRegex(str(raised.exception), words)
                self.assertIn(path, str(raised.exception))


if __name__ == "__main__":
    harness.main()
