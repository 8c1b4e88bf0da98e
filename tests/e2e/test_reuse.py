# SPDX-License-Identifier: Apache-2.0
"""A server's connection outlives its intercepted session and serves the next client that wants the
same, and no other: which connections are kept, for whom, and which requests may go over them."""
import socket
import ssl
import threading
import time

import h2_client
import harness
import hello
import origins
import proxies
from harness import rule, wait_for
from reuse_case import Client, ENDS, ReuseCase, get
import visits

GET = b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Handover(ReuseCase):
    def test_next_client(self):
        """However a client leaves: the next two come to the server over its connection, which shows
        nothing but their requests, and the log says so."""
        for how in ENDS:
            with self.subTest(how=how):
                host = self.new_host()
                first = self.enter(host)
                targets = [first.ask()]
                visit = self.visit_of(targets[0])
                told = [first.leave(how)]
                for _ in range(2):
                    client = self.enter(host)
                    self.assertEqual(client.leaf, first.leaf)  # verified with the handshake
                    targets.append(client.ask())
                    told += [client.record("request"), client.leave(how)]
                self.assertEqual(visit.received, b"".join(get(target) for target in targets))
                self.assertEqual([v for v in self.origin.visits if v.sni == host], [visit])
                self.assertIsNone(told[0].server_reused)
                self.assertLessEqual({"dns", "connect", "server_tls"}, set(told[0].phases))
                for record in told[1:]:
                    self.assertIs(record.server_reused, True)
                    self.assertEqual(
                        (record.server_tls, record.server_cipher, record.dialled),
                        (told[0].server_tls, told[0].server_cipher, told[0].dialled))
                    self.assertIn(record.leaf, ("hit", "recalled"))
                    self.assertNotIn("dns", record.phases)
                    self.assertNotIn("connect", record.phases)

    def test_versions(self):
        """TLS 1.2 on either side; and the client's version is not the server's."""
        old = ssl.TLSVersion.TLSv1_2
        for mine, its in ((None, old), (old, None), (old, old)):
            with self.subTest(client=mine, server=its):
                host = self.new_host()
                self.origin.tls_context.maximum_version = its or ssl.TLSVersion.MAXIMUM_SUPPORTED
                self.addCleanup(setattr, self.origin.tls_context, "maximum_version",
                                ssl.TLSVersion.MAXIMUM_SUPPORTED)
                self.assert_reused(self.pooled(host, maximum=mine), host, maximum=mine)

    def test_two_at_once(self):
        """Clients at the same time have a connection each, and so have those after them."""
        host = self.new_host()
        pair = [self.enter(host), self.enter(host)]
        before = {self.visit_of(client.ask()) for client in pair}
        for client in pair:
            client.leave()
        pair = [self.enter(host), self.enter(host)]
        after = {self.visit_of(client.ask()) for client in pair}
        self.assertEqual(len(before), 2)
        self.assertEqual(before, after)

    def test_hello_in_pieces(self):
        """A hello byte by byte finds what is kept, too."""
        host = self.new_host()
        visit = self.pooled(host)
        sock = self.tunnel(f"{host}:{self.origin.port}")
        client = hello.ManualClient(sock, harness.client_context(self.weir.ca, ["http/1.1"]), host)
        for index in range(len(client.hello)):
            sock.sendall(client.hello[index:index + 1])
        client.handshake()
        target = self.new_target()
        client.send(get(target))
        self.assertIn(target.encode(), client.recv(1000))
        self.assertIs(self.visit_of(target), visit)

    def test_failed_client(self):
        """Clients that leave before they have asked anything, or do not trust weir: the connection
        stays for the next one, and nothing came over it."""
        host = self.new_host()
        visit = self.pooled(host)
        before = visit.received

        def distrusts():
            sock = self.tunnel(f"{host}:{self.origin.port}")
            address = "%s:%d" % sock.getsockname()
            with self.assertRaises(ssl.SSLCertVerificationError):
                harness.client_context(self.authority.certificate, ["http/1.1"]).wrap_socket(
                    sock, server_hostname=host)
            sock.close()
            self.assertIs(self.log_of(self.weir).wait(address, "tunnel").server_reused, True)

        def stops_in_its_handshake():
            sock = self.tunnel(f"{host}:{self.origin.port}")
            address = "%s:%d" % sock.getsockname()
            context = harness.client_context(self.weir.ca, ["http/1.1"])
            sock.sendall(hello.ManualClient(None, context, host).hello)
            sock.recv(1)
            origins.reset_on_close(sock)
            sock.close()
            self.log_of(self.weir).wait(address, "tunnel")

        def has_no_hello():
            sock = self.tunnel(f"{host}:{self.origin.port}")
            address = "%s:%d" % sock.getsockname()
            sock.close()
            self.log_of(self.weir).wait(address, "tunnel")

        visitors = {"distrust": distrusts, "stop": stops_in_its_handshake, "no hello": has_no_hello}
        for how in ENDS:
            visitors[f"nothing, {how}"] = lambda how=how: self.enter(host).leave(how)
        for name, action in visitors.items():
            with self.subTest(client=name):
                action()
                self.assertEqual(visit.received, before)
                client = self.enter(host)
                self.assertIs(self.visit_of(client.ask()), visit)
                client.leave()
                before = visit.received
        self.assertEqual([v for v in self.origin.visits if v.sni == host], [visit])

    def test_expired_meanwhile(self):
        """A certificate that was good when the connection was opened is looked at again."""
        host = "expiring.origin.test"
        lifetime = 5 if harness.SANITIZED else 2
        until = time.time() + lifetime
        server = self.expiring
        server.tls_context = server.told(origins.server_context(
            self.authority.issue("expiring", [host], days=(-1, lifetime / 86400))))
        visit = self.pooled(host, origin=server)
        self.assert_reused(visit, host, origin=server)
        received = visit.received
        wait_for("the certificate to expire", lambda: time.time() > until + 1)
        client = self.enter(host, origin=server)
        answer = self.get(client.sock, "/secret")
        self.assertEqual(answer.status, 502)
        self.assertIn("error=tls_certificate_error", answer.get("proxy-status"))
        self.assertEqual(visit.received, received)
        self.assertEqual(server.requests_for("/secret"), [])

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.expiring = cls.new_origin()


def with_fields(fields):
    return b"GET %s HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n"


def answered(start, fields, body=b"ok"):
    return start + b"\r\n" + fields + b"\r\n" + body


LENGTH = b"Content-Length: 2\r\n"
CHALLENGE = b"HTTP/1.1 401 Unauthorized"

# The request (%s: its target), its answer, and whether a usual exchange may follow.
UNCLEAN = {
    "POST with a body": (b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", OK, True),
    "PUT with a body": (b"PUT %s HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", OK, True),
    "GET with a body": (b"GET %s HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", OK, True),
    "a chunked body": (b"POST %s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                       b"3\r\nabc\r\n0\r\n\r\n", OK, True),
    "an empty chunked body": (b"GET %s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                              b"0\r\n\r\n", OK, True),
    "HEAD": (b"HEAD %s HTTP/1.1\r\nHost: a\r\n\r\n", answered(b"HTTP/1.1 200 OK", LENGTH, b""),
             True),
    "DELETE": (b"DELETE %s HTTP/1.1\r\nHost: a\r\n\r\n", OK, True),
    "the client's close": (with_fields(b"Connection: close\r\n"), OK, True),
    "a close in a list": (with_fields(b"Connection: x-one , CLOSE\r\n"), OK, True),
    "HTTP/1.0 request": (b"GET %s HTTP/1.0\r\nHost: a\r\n\r\n", OK, True),
    "HTTP/1.0 keep-alive request": (b"GET %s HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
                                    OK, True),
    "the server's close": (GET, answered(b"HTTP/1.1 200 OK", LENGTH + b"Connection: close\r\n"),
                           True),
    "HTTP/1.0 response": (GET, answered(b"HTTP/1.0 200 OK", LENGTH), True),
    "HTTP/1.0 keep-alive response": (
        GET, answered(b"HTTP/1.0 200 OK", LENGTH + b"Connection: keep-alive\r\n"), True),
    "a response until the end": (GET, answered(b"HTTP/1.1 200 OK", b""), False),
    "chunked and something else": (GET, answered(
        b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked, gzip\r\n", b"anything"), False),
    "Content-Length and chunked": (GET, answered(
        b"HTTP/1.1 200 OK", LENGTH + b"Transfer-Encoding: chunked\r\n", b"2\r\nok\r\n0\r\n\r\n"),
                                   False),
    "two lengths": (GET, answered(b"HTTP/1.1 200 OK", LENGTH + b"Content-Length: 3\r\n", b"oka"),
                    False),
    "a broken head": (GET, b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok", False),
    "Upgrade refused": (with_fields(b"Connection: Upgrade\r\nUpgrade: websocket\r\n"), OK, True),
    "Upgrade done": (with_fields(b"Connection: Upgrade\r\nUpgrade: any\r\n"),
                     answered(b"HTTP/1.1 101 Switching Protocols",
                              b"Connection: Upgrade\r\nUpgrade: any\r\n", b""), False),
    "NTLM": (with_fields(b"Authorization: NTLM TlRMTVNTUAAB\r\n"), OK, True),
    "Negotiate": (with_fields(b"authorization:  negotiate YII=\r\n"), OK, True),
    "Negotiate asked for": (GET, answered(CHALLENGE, LENGTH + b"WWW-Authenticate: Negotiate\r\n"),
                            True),
    "NTLM asked for": (GET, answered(CHALLENGE, LENGTH + b"www-authenticate: ntlm TlRMTQ==\r\n"),
                       True),
    "Negotiate asked for in a list": (GET, answered(
        CHALLENGE, LENGTH + b'WWW-Authenticate: Basic realm="a", Negotiate\r\n'), True),
    "Negotiate asked for in the second field": (GET, answered(
        CHALLENGE, LENGTH + b'WWW-Authenticate: Basic realm="a"\r\n'
        b"WWW-Authenticate: Negotiate\r\n"), True),
    "a byte behind the response": (GET, OK + b"x", False),
    "a response too many": (GET, OK + OK, False),
    "an empty line behind the request": (GET + b"\r\n", OK, True),
    "CONNECT": (b"CONNECT %s:443 HTTP/1.1\r\nHost: a\r\n\r\n",
                b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n", True),
    "not HTTP": (b"HELO %s\r\n", None, False),
}

CLEAN = {
    "nothing special": (GET, OK),
    "no content": (GET, b"HTTP/1.1 204 No Content\r\n\r\n"),
    "not modified": (GET, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n"),
    "chunked": (GET, answered(b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked\r\n",
                              b"2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n")),
    "not found": (GET, answered(b"HTTP/1.1 404 Not Found", LENGTH)),
    "hints before": (GET, b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK),
    "Basic": (with_fields(b"Authorization: Basic bmVnb3RpYXRlOm50bG0=\r\n"), OK),
    "Basic asked for": (GET, answered(
        CHALLENGE, LENGTH + b'WWW-Authenticate: Basic realm="ntlm"\r\n')),
    "keep-alive": (with_fields(b"Connection: keep-alive\r\n"),
                   answered(b"HTTP/1.1 200 OK", LENGTH + b"Connection: Keep-Alive\r\n")),
}


class Clean(ReuseCase):
    def visit(self, host, request, answer, more=False):
        """A usual exchange, this one, and, where `more`, a third; then the client leaves."""
        client = self.enter(host)
        visit = self.visit_of(client.ask())
        target = self.new_target()
        request = request.replace(b"%s", target.encode())
        if request.startswith(b"CONNECT "):
            target += ":443"
        self.origin.answers[target] = answer
        client.sock.sendall(request)
        client.expect_bytes(answer or request)
        if more:
            client.ask()
        client.leave()
        return visit

    def test_unclean(self):
        """What is not plain enough leaves a connection that nobody else gets, also when all is
        plain again afterwards."""
        for name, (request, answer, goes_on) in UNCLEAN.items():
            for more in (False, True)[:1 + goes_on]:
                with self.subTest(row=name, more=more):
                    host = self.new_host()
                    self.assert_own(self.visit(host, request, answer, more), host)

    def test_clean(self):
        """What is plain does not: the table above is not right for nothing."""
        for name, (request, answer) in CLEAN.items():
            with self.subTest(row=name):
                host = self.new_host()
                self.assert_reused(self.visit(host, request, answer), host)

    def test_pieces(self):
        """Requests and responses in pieces, and pipelined ones, are as clean as others."""
        for name in ("request", "response", "pipelined"):
            with self.subTest(row=name):
                host, targets = self.new_host(), [self.new_target(), self.new_target()]
                client = self.enter(host)
                if name == "request":
                    for byte in get(targets[0]):
                        client.sock.sendall(bytes([byte]))
                    targets.pop()
                elif name == "response":
                    self.origin.answers[targets[0]] = self.trickle
                    client.sock.sendall(get(targets[0]))
                    targets.pop()
                else:
                    client.sock.sendall(get(targets[0]) + get(targets[1]))
                for target in targets:
                    client.expect(target)
                client.leave()
                self.assert_reused(self.visit_of(targets[0]), host)

    @staticmethod
    def trickle(visit, request):
        body = f"GET {request.target} ".encode()
        for byte in b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body):
            visit.sock.sendall(bytes([byte]))

    def test_left_in_the_middle(self):
        """A client that leaves while something is under way takes the connection with it."""
        half = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nhalf"
        hints = b"HTTP/1.1 103 Early Hints\r\n\r\n"
        chunk = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"
        rows = {
            "request": (lambda target: get(target)[:-1], None, b""),
            "first byte": (lambda target: b"G", None, b""),
            "body": (lambda target: b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc" %
                     target.encode(), None, b""),
            "response": (get, half, half),
            "chunks": (get, chunk, chunk),
            "hints": (get, hints, hints),
            "no answer": (get, lambda visit, request: None, b""),
            "one of two answers": (lambda target: get(target) + get("/silent"), None, b""),
        }
        self.origin.answers["/silent"] = lambda visit, request: None
        for name, (request, answer, seen) in rows.items():
            for how in ENDS:
                with self.subTest(row=name, how=how):
                    host, target = self.new_host(), self.new_target()
                    client = self.enter(host)
                    visit = self.visit_of(client.ask())
                    if answer:
                        self.origin.answers[target] = answer
                    data = request(target)
                    client.sock.sendall(data)
                    wait_for("the request", lambda: visit.received.endswith(data))
                    client.expect_bytes(seen)
                    if name == "one of two answers":
                        client.expect(target)
                    client.leave(how)
                    self.assert_own(visit, host)

    def test_no_exchange(self):
        """A connection over which nothing was asked is not kept."""
        host = self.new_host()
        self.enter(host).leave()
        [visit] = wait_for("the origin's own handshake to end",  # the client's may be over before
                           lambda: [v for v in self.origin.visits if v.sni == host])
        self.assert_own(visit, host)

    def test_ended_or_spoken_on(self):
        """A server that has ended, or says something nobody asked for, before the client leaves or
        after."""
        def notify(visit):
            visits.send_close_notify(visit.sock)

        def speak(visit):
            visit.sock.sendall(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")

        def half(visit):
            socket.socket.shutdown(visit.sock, socket.SHUT_WR)

        def begin_a_record(visit):
            socket.socket.send(visit.sock, b"\x17\x03\x03")

        for action in (notify, speak, half, begin_a_record):
            with self.subTest(when="after", what=action.__name__):
                host = self.new_host()
                visit = self.pooled(host)
                visit.order(action)
                self.assertTrue(visit.ended.wait(harness.WAIT_S))
                self.assert_own(visit, host)
            with self.subTest(when="before", what=action.__name__):
                host = self.new_host()
                client = self.enter(host)
                visit = self.visit_of(client.ask())
                visit.order(action)
                if action is speak:
                    client.expect_bytes(b"HTTP/1.1 408 ")
                elif action is begin_a_record:
                    done = threading.Event()
                    visit.order(lambda _, done=done: done.set())
                    self.assertTrue(done.wait(harness.WAIT_S))
                else:
                    self.assertEqual(client.rest()[0], b"")
                client.leave()
                self.assert_own(visit, host)


class Keys(ReuseCase):
    CONFIG = {**ReuseCase.CONFIG, "intercept": {"rules": [
        rule("not read", "tunnel", sni=["tunnelled.origin.test"]),
        rule("turned away", "refuse", sni=["refused.origin.test"])]}}

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.other = cls.new_origin()
        cls.modern = cls.new_origin(alpn=("h2", "http/1.1"))

    def test_others(self):
        """Who wants anything else has a connection of its own; who wants the same, the one kept."""
        host, both = self.new_host(), ("h2", "http/1.1")
        rsa = {"maximum": ssl.TLSVersion.TLSv1_2, "ciphers": "ECDHE-RSA-AES128-GCM-SHA256"}
        # What the first has, and what is other at the next.
        rows = {
            "server name": ({}, {"sni": "other.origin.test"}),
            "no server name": ({}, {"sni": ""}),
            "a server name": ({"sni": ""}, {"sni": host}),
            "port": ({}, {"origin": self.other}),
            "no ALPN": ({}, {"alpn": ()}),
            "ALPN": ({"alpn": ()}, {"alpn": ("http/1.1",)}),
            "more ALPN": ({}, {"alpn": both}),
            "ALPN's order": ({"alpn": ("http/1.1", "http/1.0")},
                             {"alpn": ("http/1.0", "http/1.1")}),
            "ALPN's borders": ({"alpn": ("http/1.1", "ab", "c")},
                               {"alpn": ("http/1.1", "a", "bc")}),
            "leaf": ({}, rsa),
        }
        for name, (first, other) in rows.items():
            with self.subTest(other=name):
                visit = self.pooled(host, **first)
                with self.subTest(row="other"):
                    client = self.enter(host, **{**first, **other})
                    target = client.ask()
                    self.assertNotIn(visit, self.origin.requests_for(target))
                    client.leave()
                self.assert_reused(visit, host, **first)
                self.origin.close_connections()
                self.other.close_connections()
                for each in self.origin.visits + self.other.visits:
                    self.assertTrue(each.ended.wait(harness.WAIT_S))

    def test_target(self):
        """The same server name and address, but another host was asked for."""
        name, one, two = self.new_host(), self.new_host(), self.new_host()
        visit = self.pooled(one, sni=name)
        other = self.assert_own(visit, two, sni=name)
        self.assertEqual(other.sni, name)
        self.assert_reused(visit, one, sni=name)
        self.assert_reused(other, two, sni=name)
        self.assert_own(visit, "127.0.0.1", sni=name)

    def test_choice_of_two(self):
        """Of h2 and http/1.1 the server chose the latter."""
        host, both = self.new_host(), ("h2", "http/1.1")
        self.assert_reused(self.pooled(host, alpn=both), host, alpn=both)

    def test_h2(self):
        """HTTP/2 is nobody else's; HTTP/1.1 of the same server is shared beside it."""
        host, both = self.new_host(), ("h2", "http/1.1")
        for _ in range(3):
            client = self.enter(host, self.modern, alpn=both)
            self.assertEqual(client.sock.selected_alpn_protocol(), "h2")
            h2 = h2_client.Client(client.sock, host)
            stream = h2.request("/")
            h2.read_until(lambda stream=stream: stream in h2.ended)
            self.assertEqual(h2.statuses[stream], h2_client.STATUS_200)
            client.leave()
        self.assertEqual([visit.alpn for visit in self.modern.visits], ["h2"] * 3)
        visit = self.pooled(host, origin=self.modern)
        self.assertEqual(visit.alpn, "http/1.1")
        self.assert_reused(visit, host, origin=self.modern)

    def test_decided_otherwise(self):
        """While something is kept for the target: who is not intercepted after all has a connection
        of its own, or none."""
        host = self.new_host()
        visit = self.pooled(host)
        with self.subTest(what="tunnelled"):
            client = self.enter(host, sni="tunnelled.origin.test", ca=self.authority.certificate)
            tunnelled = self.visit_of(client.ask())
            self.assertIsNot(tunnelled, visit)
            client.leave()
            self.assertTrue(tunnelled.ended.wait(harness.WAIT_S))
        with self.subTest(what="refused"):
            count = len(self.origin.visits)
            client = self.enter(host, sni="refused.origin.test")
            self.assertEqual(self.get(client.sock, "/").status, 403)
            client.leave()
            self.assertEqual(len(self.origin.visits), count)
        for data in (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\x00not TLS"):
            with self.subTest(what="in clear", data=data):
                sock = self.tunnel(f"{host}:{self.origin.port}")
                sock.sendall(data)
                self.assertEqual(origins.Reader(sock).exactly(len(data)), data)
                sock.close()
        self.assert_reused(visit, host)

    def test_server_that_speaks_first(self):
        """While something is kept for the target, a client that says nothing has a connection to it
        after half a second, and gets what the server says."""
        host = self.new_host()
        visit = self.pooled(host)
        with self.subTest(server="silent"):
            count = self.origin.accepted
            sock = self.tunnel(f"{host}:{self.origin.port}")
            wait_for("a connection", lambda: self.origin.accepted > count)
            tls = self.keep(harness.client_context(self.weir.ca, ["http/1.1"]).wrap_socket(
                sock, server_hostname=host))
            late = Client(self, self.weir, tls)
            late.ask(method="POST", body=b"abc")  # so that nobody has this connection next
            self.assertEqual(self.origin.accepted, count + 1)
            late.leave()
        with self.subTest(server="greets"):
            self.addCleanup(setattr, self.origin, "greeting", b"")
            self.origin.greeting = b"220 hello\r\n"
            sock = self.tunnel(f"{host}:{self.origin.port}")
            began = time.monotonic()
            self.assertEqual(origins.Reader(sock).exactly(11), b"220 hello\r\n")
            self.assertLess(time.monotonic() - began, 5)
            sock.sendall(b"QUIT\r\n")
            self.assertEqual(origins.Reader(sock).exactly(6), b"QUIT\r\n")
            sock.close()
            self.origin.greeting = b""
        self.assert_reused(visit, host)


class Requests(ReuseCase):
    """What the first request must be to go over a connection that was another's."""

    def keep_one(self):
        self.host = self.new_host()
        self.kept = self.pooled(self.host)
        self.before = self.kept.received
        return self.enter(self.host)

    def own_visit(self):
        """That of the client that did not fit."""
        return wait_for("a connection of its own", lambda: next(
            (v for v in self.origin.visits if v.sni == self.host and v is not self.kept), None))

    def assert_untouched(self, sent):
        """The client's bytes, all of them and no more, came over its own connection; the one kept
        knows nothing of them and serves the next, who comes before the client has left."""
        own = self.own_visit()
        self.assertEqual(own.received, sent)
        self.assertEqual(self.kept.received, self.before)
        self.assert_reused(self.kept, self.host)

    def test_not_fitting(self):
        rows = {
            "POST": b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
            "POST of nothing": b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
            "PATCH": b"PATCH %s HTTP/1.1\r\nHost: a\r\n\r\n",
            "unknown method": b"FETCH %s HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET with a body": b"GET %s HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
            "chunked PUT": b"PUT %s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                           b"3\r\nabc\r\n0\r\n\r\n",
            "NTLM": with_fields(b"Authorization: NTLM TlRMTVNTUAAB\r\n"),
            "Negotiate": with_fields(b"Authorization: negotiate YII=\r\n"),
            "an empty line behind": GET + b"\r\n",
            "an empty line before": b"\r\n" + GET,
            "HTTP/1.0": b"GET %s HTTP/1.0\r\nHost: a\r\n\r\n",
            "a field that is wrong": with_fields(b"Broken : a\r\n"),
            "bare line ends": b"GET %s HTTP/1.1\nHost: a\r\n\r\n",
        }
        for name, request in rows.items():
            with self.subTest(row=name):
                client = self.keep_one()
                target = self.new_target()
                self.origin.answers[target] = OK
                request = request.replace(b"%s", target.encode())
                client.sock.sendall(request)
                if name == "bare line ends":  # to this origin no request line
                    self.assertTrue(wait_for("the bytes", lambda: self.own_visit().received))
                else:
                    client.expect_bytes(OK)
                self.assert_untouched(request)
                self.assertIsNone(client.leave().server_reused)

    def test_fitting(self):
        """What may be sent twice goes over the connection that is there, and arrives as it was."""
        rows = {name: b"%b %%s HTTP/1.1\r\nHost: a\r\n\r\n" % name.encode()
                for name in ("HEAD", "OPTIONS", "TRACE")}
        rows |= {
            "odd but right": b"GET %s HTTP/1.1\r\nhOsT:a\r\nX-Odd: \t \xe4\r\nEmpty:\r\n\r\n",
            "Basic": with_fields(b"Authorization: Basic bmVnb3RpYXRlOm50bG0=\r\n"),
            "its last": with_fields(b"Connection: close\r\n"),
            "many fields": with_fields(b"".join(b"X-%d: %s\r\n" % (i, b"x" * 90)
                                                for i in range(100))),
        }
        for name, request in rows.items():
            with self.subTest(row=name):
                client = self.keep_one()
                target = self.new_target()
                request = request.replace(b"%s", target.encode())
                client.sock.sendall(request)
                method = request.split(b" ")[0].decode()
                client.expect(target, method)
                self.assertEqual(self.kept.received, self.before + request)
                self.assertIs(client.leave().server_reused, True)

    def test_in_pieces(self):
        """A head that comes byte by byte, without pause; then another request, with a body."""
        client = self.keep_one()
        target = self.new_target()
        request = get(target)
        for byte in request:
            client.sock.sendall(bytes([byte]))
        client.expect(target)
        self.assertEqual(self.kept.received, self.before + request)
        client.ask(method="POST", body=b"abc")
        self.assertEqual(len(self.kept.requests), 3)
        client.leave()
        self.assert_own(self.kept, self.host)

    def test_long_head(self):
        """Longer than any buffer: it arrives as it was, over whichever connection."""
        for size in (20_000, 60_000):
            with self.subTest(size=size):
                client = self.keep_one()
                target = self.new_target()
                request = get(target, f"X-Long: {'x' * size}\r\n")
                client.sock.sendall(request)
                client.expect(target)
                self.assertTrue(self.visit_of(target).received.endswith(request))
                client.leave()

    def test_pipelined(self):
        """Two requests at once."""
        client = self.keep_one()
        targets = [self.new_target(), self.new_target()]
        sent = get(targets[0]) + get(targets[1])
        client.sock.sendall(sent)
        for target in targets:
            client.expect(target)
        self.assert_untouched(sent)

    def test_upgrade(self):
        """What comes behind a change of protocol goes both ways."""
        client = self.keep_one()
        target = self.new_target()
        switching = (b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                     b"Upgrade: any\r\n\r\n")
        self.origin.answers[target] = switching
        sent = get(target, "Connection: Upgrade\r\nUpgrade: any\r\n")
        client.sock.sendall(sent)
        client.expect_bytes(switching)
        for data in (b"\x00any\r\n\r\n", b"\xff" * 100_000):
            client.sock.sendall(data)
            client.expect_bytes(data)
            sent += data
        self.assert_untouched(sent)

    def test_not_http(self):
        """Bytes of another protocol arrive as they are."""
        for data in (b"HELO origin\r\n", b"\x16\x03\x01\x00\x05hello", b"\x00\x00\x00\x00"):
            with self.subTest(data=data):
                client = self.keep_one()
                client.sock.sendall(data)
                client.expect_bytes(data)
                self.assert_untouched(data)

    def test_a_pause(self):
        """The beginning of a head, and then nothing: after half a second it is on its way."""
        for part in (b"G", b"GET "):
            with self.subTest(part=part):
                client = self.keep_one()
                target = self.new_target()
                request = get(target)
                client.sock.sendall(part)
                own = self.own_visit()
                wait_for("the beginning", lambda own=own, part=part: own.received == part)
                client.sock.sendall(request[len(part):])
                client.expect(target)
                self.assert_untouched(request)

    def test_body_later(self):
        """A head that promises a body, which has not begun."""
        for fields in ("Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n",
                       "Content-Length: 3\r\nExpect: 100-continue\r\n"):
            with self.subTest(fields=fields):
                client = self.keep_one()
                target = self.new_target()
                request = get(target, fields)
                body = b"3\r\nabc\r\n0\r\n\r\n" if "chunked" in fields else b"abc"
                client.sock.sendall(request)
                own = self.own_visit()
                wait_for("the head", lambda own=own, request=request: own.received == request)
                client.sock.sendall(body)
                client.expect(target, body=b"abc")
                self.assert_untouched(request + body)

    def test_left_unasked(self):
        """A client that leaves in the middle of its head: the server gets nothing whole of it, and
        the connection that was kept is there for the next."""
        for how in ENDS:
            with self.subTest(how=how):
                client = self.keep_one()
                client.sock.sendall(get("/never")[:-2])
                client.leave(how)
                self.assertEqual(self.kept.received, self.before)
                self.assertEqual(self.origin.requests_for("/never"), [])
                self.assert_reused(self.kept, self.host)


class ToldProxy(proxies.HttpProxy):
    """One that has a PROXY protocol header before everything else."""

    def __init__(self):
        self.headers = []
        super().__init__()

    def _begin(self, sock):
        header = b""
        while not header.endswith(b"\r\n"):
            header += sock.recv(1)
        self.headers.append(header)
        return super()._begin(sock)


class Ways(ReuseCase):
    """The same server by different ways: each way has its own. Which way, the client's address
    decides."""

    BY = {"127.0.0.2": "clear", "127.0.0.3": "tls", "127.0.0.4": "socks", "127.0.0.5": "told"}

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.clear = proxies.HttpProxy()
        cls.tls_proxy = proxies.HttpProxy(origins.server_context(
            cls.authority.issue("proxy", ["proxy.test"])))
        cls.socks = proxies.SocksProxy()
        cls.told = ToldProxy()
        cls.proxy = {"clear": cls.clear, "tls": cls.tls_proxy, "socks": cls.socks, "told": cls.told}
        for server in cls.proxy.values():
            cls.addClassCleanup(server.close)
        schemes = {"tls": "https", "socks": "socks5"}
        rows = [{"name": name, "url": f"{schemes.get(name, 'http')}://proxy.test:{server.port}"}
                for name, server in cls.proxy.items()]
        rows[-1]["send_proxy_protocol"] = "v1"
        cls.CONFIG = {
            **ReuseCase.CONFIG, "upstream": {"proxies": rows},
            "intercept": {"rules": [rule(name, "intercept", client=[source], via=[name])
                                    for source, name in cls.BY.items()]}}

    def test_ways(self):
        """Behind a proxy it is shared, but not with who comes by another way, or directly."""
        host = self.new_host()
        shared = {None: "direct", **{s: n for s, n in self.BY.items() if n != "told"}}
        found = {}
        for self.source, name in shared.items():
            with self.subTest(way=name):
                visit = self.pooled(host)
                self.assertNotIn(visit, found.values())
                found[name] = visit
                client = self.enter(host)
                self.assertIs(self.visit_of(client.ask()), visit)
                record = client.leave()
                self.assertIs(record.server_reused, True)
                self.assertEqual(record.upstream, None if name == "direct" else name)
                if name != "direct":
                    self.assertEqual([target for target in self.proxy[name].targets
                                      if target.startswith(host)], [f"{host}:{self.origin.port}"])
                    self.assertEqual(record.dialled, f"127.0.0.1:{self.proxy[name].port}")
        for self.source, name in shared.items():
            with self.subTest(way=name, again=True):
                self.assert_reused(found[name], host)

    def test_proxy_ends(self):
        """A proxy that ends a connection that idles, or takes the request with it."""
        for self.source, name in list(self.BY.items())[:3]:
            with self.subTest(way=name):
                host, target = self.new_host(), self.new_target()
                visit = self.pooled(host)
                self.proxy[name].close_connections()
                self.assertTrue(visit.ended.wait(harness.WAIT_S))
                visit = self.assert_own(visit, host)
                times = []

                def ends_once(visit, request, times=times):
                    times.append(1)
                    return "fin" if len(times) == 1 else visits.Origin.reply(visit, request)
                self.origin.answers[target] = ends_once
                client = self.enter(host)
                client.ask(target)
                self.assertIs(self.origin.requests_for(target)[0], visit)
                self.assertEqual(len(times), 2)
                client.leave()

    def test_told_proxy(self):
        """A connection that told the proxy who its client is serves nobody else."""
        self.source, host = "127.0.0.5", self.new_host()
        for count in range(1, 4):
            client = self.enter(host)
            port = client.address.rpartition(":")[2]
            self.assertEqual(len(self.visit_of(client.ask()).requests), 1)
            self.assertEqual(len(self.told.headers), count)
            self.assertIn(f"PROXY TCP4 127.0.0.5 127.0.0.1 {port} ".encode(),
                          self.told.headers[-1])
            self.assertIsNone(client.leave().server_reused)


class ToldServer(ReuseCase):
    CONFIG = {**ReuseCase.CONFIG, "listeners": [{"send_proxy_protocol": "v1"}]}

    def test_never(self):
        """A connection that told the server who its client is serves nobody else."""
        host = self.new_host()
        for _ in range(3):
            client = self.enter(host)
            port = client.address.rpartition(":")[2]
            visit = self.visit_of(client.ask())
            self.assertIn(f"PROXY TCP4 127.0.0.1 127.0.0.1 {port} ".encode(), visit.header)
            self.assertEqual(len(visit.requests), 1)
            self.assertIsNone(client.leave().server_reused)


if __name__ == "__main__":
    harness.main()
