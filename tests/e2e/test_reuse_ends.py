# SPDX-License-Identifier: Apache-2.0
"""Server connections that outlive their sessions, and end: by servers that do it when they like, by
settings, reloads and weir's own end. What goes over them, and that nobody gets another's."""
import os
import random
import signal
import threading
import time

import certs
import harness
import origins
from harness import rule, wait_for
from reuse_case import ENDS, ReuseCase, get
import test_verdicts
import visits

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Ends(ReuseCase):
    """Servers that end connections while nobody uses them, or just when somebody does."""

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.leaving = [cls.new_origin() for _ in ENDS]
        cls.extra_ports = [server.port for server in cls.leaving]
        cls.changed = cls.new_origin()
        cls.upgraded = cls.new_origin()

    def ends_at(self, target, how, times=1, after=b"", origin=None):
        """The origin ends the connection when `target` is asked for, after these bytes."""
        left = [times]

        def answer(visit, request):
            if left[0] == 0:
                return visits.Origin.reply(visit, request)
            left[0] -= 1
            if after:
                visit.sock.sendall(after)
            return how
        (origin or self.origin).answers[target] = answer

    def test_sent_again(self):
        """No answer on a connection that was taken over: the request comes once more, over a new
        one, as it was, and that one is kept."""
        for how in ENDS:
            with self.subTest(how=how):
                host, target = self.new_host(), self.new_target()
                visit = self.pooled(host)
                self.ends_at(target, how)
                client = self.enter(host)
                client.ask(target)
                first, second = self.origin.requests_for(target)
                self.assertIs(first, visit)
                self.assertEqual(second.received, get(target))
                more = client.ask()
                client.leave()
                self.assertIs(self.visit_of(more), second)
                self.assert_reused(second, host)

    def test_sent_again_once(self):
        """A server that never answers is asked twice, and its client sees what it would have seen
        without all this."""
        for how in ENDS:
            with self.subTest(how=how):
                host, target, alone = self.new_host(), self.new_target(), self.new_target()
                self.ends_at(alone, how, times=9)
                self.ends_at(target, how, times=9)
                client = self.enter(host)
                client.sock.sendall(get(alone))
                expected = client.rest()
                client.leave()
                self.assertEqual(len(self.origin.requests_for(alone)), 1)
                self.pooled(host)
                client = self.enter(host)
                client.sock.sendall(get(target))
                self.assertEqual(client.rest(), expected)
                client.leave()
                self.assertEqual(len(self.origin.requests_for(target)), 2)

    def test_not_sent_again(self):
        """An answer that had begun, a request that is not the first, or that may not come twice."""
        for how in ENDS:
            for begun in (b"H", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"):
                with self.subTest(how=how, begun=begun):
                    host, target = self.new_host(), self.new_target()
                    visit = self.pooled(host)
                    self.ends_at(target, how, after=begun)
                    client = self.enter(host)
                    client.sock.sendall(get(target))
                    if how != "reset":  # else it may overtake the bytes
                        client.expect_bytes(begun)
                    self.assertLessEqual(len(client.rest()[0]), len(begun))
                    client.leave()
                    self.assertIs(self.visit_of(target), visit)
            for name, request in (
                    ("second", get("%s")), ("POST", b"POST %s HTTP/1.1\r\nHost: a\r\n"
                                            b"Content-Length: 1\r\n\r\na")):
                with self.subTest(how=how, request=name):
                    host, target = self.new_host(), self.new_target()
                    self.pooled(host)
                    self.ends_at(target, how)
                    client = self.enter(host)
                    if name == "second":
                        client.ask()
                    client.sock.sendall(request.replace(b"%s", target.encode()))
                    self.assertEqual(client.rest()[0], b"")
                    client.leave()
                    self.assertEqual(len(self.origin.requests_for(target)), 1)

    def test_ended_while_idle(self):
        """It has ended, and weir knows or is about to learn: the next client is served."""
        for how in ENDS:
            with self.subTest(how=how, when="before"):
                host = self.new_host()
                visit = self.pooled(host)
                visit.order(lambda _, how=how: how)
                self.assertTrue(visit.ended.wait(harness.WAIT_S))
                self.assert_own(visit, host)
            with self.subTest(how=how, when="just now"):
                for _ in range(8):
                    host = self.new_host()
                    visit = self.pooled(host)
                    visit.order(lambda _, how=how: how)
                    client = self.enter(host)
                    client.ask()
                    client.leave()

    def test_ended_at_once(self):
        """A server that ends every connection behind its answer, and says nothing of that."""
        self.addCleanup(setattr, self.origin, "after", self.origin.after)
        for how in ENDS:
            with self.subTest(how=how):
                self.origin.after = lambda how=how: how
                host = self.new_host()
                for _ in range(8):
                    client = self.enter(host)
                    client.ask()
                    client.leave("fin")

    def test_ended_after_a_while(self):
        """A server that ends connections 30 ms after its last answer, and clients that come about
        then."""
        self.addCleanup(setattr, self.origin, "idle_s", None)
        self.origin.idle_s = 0.03
        chance = random.Random(1)
        host = self.new_host()
        for _ in range(20):
            client = self.enter(host)
            client.ask()
            client.leave()
            time.sleep(chance.uniform(0, 0.06))  # the load

    def test_ended_before_the_request(self):
        """Between the handshake of the client that took it over and its first request."""
        for how in ENDS:
            for method, body in (("GET", b""), ("POST", b"abc")):
                with self.subTest(how=how, method=method, wait=True):
                    host = self.new_host()
                    visit = self.pooled(host)
                    client = self.enter(host)
                    visit.order(lambda _, how=how: how)
                    own = wait_for("a new connection", lambda host=host, visit=visit: next(
                        (v for v in self.origin.visits if v.sni == host and v is not visit), None))
                    self.assertIs(self.visit_of(client.ask(method=method, body=body)), own)
                    client.leave()
                with self.subTest(how=how, method=method, wait=False):
                    host = self.new_host()
                    visit = self.pooled(host)
                    client = self.enter(host)
                    visit.order(lambda _, how=how: how)
                    client.ask(method=method, body=body)
                    client.leave()

    def test_spoken_on_before_the_request(self):
        """A server that says something unasked between handshake and first request: nobody gets
        that for an answer, then or later."""
        for stray in (OK, b"HTTP/1.1 408 Request Timeout\r\nContent-Le", b"\r\n"):
            with self.subTest(stray=stray):
                host = self.new_host()
                visit = self.pooled(host)
                client = self.enter(host)
                visit.order(lambda visit, stray=stray: visit.sock.sendall(stray))
                own = wait_for("a new connection", lambda host=host, visit=visit: next(
                    (v for v in self.origin.visits if v.sni == host and v is not visit), None))
                self.assertIs(self.visit_of(client.ask(method="POST", body=b"abc")), own)
                client.leave()
                self.assert_own(visit, host)
                self.assertEqual(len(visit.requests), 1)

    def test_server_gone(self):
        """Nobody is there any more when the request is to be sent again."""
        for how, server in zip(ENDS, self.leaving):
            with self.subTest(how=how):
                host = self.new_host()
                self.pooled(host, origin=server)
                self.ends_at("/gone", how, origin=server)
                client = self.enter(host, origin=server)
                server.stop_listening()
                answer = self.get(client.sock, "/gone")
                self.assertEqual(answer.status, 502)
                self.assertIn("error=connection_refused", answer.get("proxy-status"))
                self.assertIn(b"<html", answer.body.lower())
                self.assertEqual(len(server.requests_for("/gone")), 1)
                client.leave()

    def test_server_changed(self):
        """Somebody else is there when the request is to be sent again: he does not get it."""
        server, host = self.changed, self.new_host()
        self.pooled(host, origin=server)
        self.ends_at("/secret", "fin", origin=server)
        client = self.enter(host, origin=server)
        server.tls_context = server.told(origins.server_context(
            certs.self_signed(self.folder, "impostor", [host])))
        answer = self.get(client.sock, "/secret")
        self.assertEqual(answer.status, 502)
        self.assertIn("error=tls_certificate_error", answer.get("proxy-status"))
        self.assertEqual(len(server.requests_for("/secret")), 1)
        self.assertGreater(server.accepted, 1)

    def test_protocol_changed(self):
        """The server speaks HTTP/2 when the request is to be sent again, to a client that was
        promised HTTP/1.1: an answer in that or an end, and HTTP/2 does not get HTTP/1.1."""
        server, host, both = self.upgraded, self.new_host(), ("h2", "http/1.1")
        self.pooled(host, origin=server, alpn=both)
        self.ends_at("/again", "fin", origin=server)
        client = self.enter(host, origin=server, alpn=both)
        self.assertEqual(client.sock.selected_alpn_protocol(), "http/1.1")
        server.tls_context = server.told(origins.server_context(self.certificate, both))
        client.sock.sendall(get("/again", "Connection: close\r\n"))
        self.assertRegex(client.rest()[0], b"^(HTTP/1.1 200|HTTP/1.1 502|$)")
        client.leave()
        self.assertEqual(len(server.visits), 2)
        self.assertEqual(server.visits[1].received, b"")


class Limits(ReuseCase):
    """Settings, reloads and the end: each has a weir of its own."""

    START_WEIR = False

    def start(self, delay="0s", **upstream):
        weir = self.new_weir(self._testMethodName, {
            **self.CONFIG, "upstream": upstream, "drain": {"delay": delay, "grace": "20s"}})
        self.addCleanup(weir.kill)
        self.weir = weir.start()
        self.addCleanup(setattr, self, "weir", None)

    def test_none_kept(self):
        """upstream.idle_connections: 0."""
        self.start(idle_connections=0)
        host = self.new_host()
        visit = self.pooled(host)
        self.assertTrue(visit.ended.wait(harness.WAIT_S))
        self.assert_own(visit, host)
        self.weir.stop()

    def test_two_kept(self):
        """upstream.idle_connections: 2: the one that has waited longest makes room."""
        self.start(idle_connections=2)
        hosts = [self.new_host() for _ in range(3)]
        first, *others = [self.pooled(host) for host in hosts]
        self.assertTrue(first.ended.wait(harness.WAIT_S))
        self.assertEqual(first.end, "close_notify")
        for host, visit in zip(hosts[1:], others):
            self.assert_reused(visit, host)
        self.weir.stop()

    def test_timeout(self):
        """upstream.idle_timeout: so long, counted from the last use, and no longer."""
        self.start(idle_timeout="1s")
        host = self.new_host()
        visit = self.pooled(host)
        self.assert_reused(visit, host)
        since = time.monotonic()
        self.assertTrue(visit.ended.wait(harness.WAIT_S))
        self.assertTrue(0.7 < time.monotonic() - since < 3, time.monotonic() - since)
        self.assertEqual(visit.end, "close_notify")
        self.assert_own(visit, host)
        self.weir.stop()

    def test_reload(self):
        """SIGHUP ends the idle ones; one that was in use then is not kept either."""
        self.start()
        idle, used = self.new_host(), self.new_host()
        visit = self.pooled(idle)
        client = self.enter(used)
        client.ask()
        self.weir.signal(signal.SIGHUP)
        self.assertTrue(visit.ended.wait(harness.WAIT_S))
        self.assertEqual(visit.end, "close_notify")
        other = self.visit_of(client.ask())
        client.leave()
        self.assert_own(other, used)
        self.assertTrue(other.ended.wait(harness.WAIT_S))
        self.assert_reused(self.assert_own(visit, idle), idle)
        self.weir.stop()

    def test_taken_before_a_reload(self):
        """SIGHUP between the handshake and the first request: the client is served."""
        for method, body in (("GET", b""), ("POST", b"abc")):
            with self.subTest(method=method):
                if not self.weir:
                    self.start()
                count = self.weir.stderr().count("configuration reloaded")
                host = self.new_host()
                visit = self.pooled(host)
                client = self.enter(host)
                self.weir.signal(signal.SIGHUP)
                wait_for("the reload", lambda count=count: self.weir.stderr().count(
                    "configuration reloaded") > count)
                client.ask(method=method, body=body)
                client.leave()
                self.assertTrue(visit.ended.wait(harness.WAIT_S))
                self.assert_own(visit, host)
        self.weir.stop()

    def test_told_to_go(self):
        """drain.delay: clients are still served then, and leave nothing behind."""
        self.start(delay="1s")
        host = self.new_host()
        visit = self.pooled(host)
        self.weir.signal(signal.SIGTERM)
        self.assertTrue(visit.ended.wait(harness.WAIT_S))
        self.assertEqual(visit.end, "close_notify")
        other = self.pooled(host)
        self.assert_own(other, host)
        self.assertTrue(other.ended.wait(harness.WAIT_S))
        self.assertEqual(self.weir.process.wait(harness.WAIT_S), harness.EXIT_OK)
        self.weir.stop()

    def test_end(self):
        """SIGTERM while connections idle, are in use and were just taken over: the idle ones end
        with TLS's own end, the others serve on, and nothing holds weir up."""
        self.start()
        hosts = [self.new_host() for _ in range(3)]
        idle, _, taken = [self.pooled(host) for host in hosts]
        self.assertIsNone(idle.end)
        client, waiting = self.enter(hosts[1]), self.enter(hosts[2])
        client.ask()
        began = time.monotonic()
        self.weir.signal(signal.SIGTERM)
        self.assertTrue(idle.ended.wait(harness.WAIT_S))
        self.assertEqual(idle.end, "close_notify")
        waiting.sock.sendall(get("/last"))
        answer = harness.read_answer(waiting.reader)
        self.assertEqual((answer.status, answer.body), (200, b"GET /last "))
        for each in (client, waiting):
            each.leave()
        self.assertTrue(taken.ended.wait(harness.WAIT_S))
        self.weir.stop()
        self.assertLess(time.monotonic() - began, 10)


class Told(ReuseCase):
    """detect.header in what goes over connections that were another's."""

    @classmethod
    def prepare(cls):
        super().prepare()
        context = harness.client_context(None, ["http/1.1"])
        signature = test_verdicts.signature_of(test_verdicts.facts(context)["request_fingerprint"])
        database = test_verdicts.write_database(
            os.path.join(cls.folder, "database"),
            [f"{test_verdicts.ANY_FIREFOX}|{signature}|:0:0|2026-11-22",
             f"{test_verdicts.ANY_CHROME}|303:1,2,3:*:*:*:*:*|:0:0|2026-11-22"])
        cls.CONFIG = {**ReuseCase.CONFIG,
                      "detect": {"databases": [database], "header": "Weir-Verdict"},
                      "intercept": {"rules": [rule("no interception", "refuse",
                                                   verdict=["intercepted"],
                                                   host=["guarded.origin.test"])]}}

    FIREFOX = f"User-Agent: {test_verdicts.FIREFOX}\r\n"
    CHROME = f"User-Agent: {test_verdicts.CHROME}\r\n"

    def check_told(self, request, agent, verdict):
        """It has the field, once, and is else as it was sent."""
        lines = request.head.decode().split("\r\n")
        found = [line for line in lines if line.lower().startswith("weir-verdict:")]
        self.assertEqual(len(found), 1, lines)
        self.assertTrue(found[0].partition(":")[2].strip().startswith(verdict), found)
        lines.remove(found[0])
        self.assertEqual("\r\n".join(lines) + "\r\n\r\n", get(request.target, agent).decode())

    def test_field(self):
        """Each request tells of its own client, whoever opened the connection."""
        host = self.new_host()
        for agent, verdict in ((self.FIREFOX, "genuine"), (self.CHROME, "intercepted"),
                               (self.FIREFOX, "genuine")):
            client = self.enter(host)
            for _ in range(2):
                client.ask(fields=agent)
                visit = self.origin.visits[-1]
                self.check_told(visit.requests[-1], agent, verdict)
            client.leave()
        self.assertEqual(len(visit.requests), 6)

    def test_field_sent_again(self):
        """The request that is sent twice has it twice."""
        host, target = self.new_host(), self.new_target()
        seen = []

        def ends_once(visit, request):
            seen.append(request)
            return "fin" if len(seen) == 1 else visits.Origin.reply(visit, request)
        self.origin.answers[target] = ends_once
        self.pooled(host)
        client = self.enter(host)
        client.ask(target, fields=self.CHROME)
        self.assertEqual(len(seen), 2)
        for request in seen:
            self.check_told(request, self.CHROME, "intercepted")
        self.assertEqual(seen[0].head, seen[1].head)
        client.ask(fields=self.CHROME)
        self.check_told(self.origin.visits[-1].requests[-1], self.CHROME, "intercepted")

    def test_forged(self):
        """Who sends the field himself is refused on such a connection, too: nothing is sent."""
        host = self.new_host()
        visit = self.pooled(host)
        before = visit.received
        client = self.enter(host)
        client.sock.sendall(get("/forged", "Weir-Verdict: genuine\r\n"))
        self.assertRegex(client.rest()[0], b"^(HTTP/1.1 4|$)")
        self.assertEqual(visit.received, before)
        self.assertEqual(self.origin.requests_for("/forged"), [])

    def test_refused(self):
        """A rule that asks for what only the first request shows: nothing of it reaches the server,
        and the next client is served."""
        host = "guarded.origin.test"
        first = self.enter(host)
        visit = self.visit_of(first.ask(fields=self.FIREFOX))
        first.leave()
        before = visit.received
        client = self.enter(host)
        client.sock.sendall(get("/refused", self.CHROME))
        answer = harness.read_answer(client.reader)
        self.assertEqual(answer.status, 403)
        self.assertIn(b"refuses", answer.body)
        record = client.leave()
        self.assertEqual((record.decision, record.rule), ("refuse", "no interception"))
        self.assertEqual(visit.received, before)
        self.assertEqual(self.origin.requests_for("/refused"), [])
        last = self.enter(host)
        self.visit_of(last.ask(fields=self.FIREFOX))


class Storm(ReuseCase):
    ONE_AFTER_THE_OTHER = 50
    AT_ONCE = 20

    def visit_once(self, host, chance):
        """A client of any kind: each answer is its own, or it raises."""
        client = self.enter(host)
        kind = chance.choice(("GET", "GET", "GET", "POST", "twice", "pipelined", "abort", "none"))
        body = bytes(chance.randrange(256) for _ in range(chance.choice((1, 1000))))
        if kind == "GET":
            client.ask()
        elif kind == "POST":
            client.ask(method="POST", body=body)
        elif kind == "twice":
            client.ask()
            client.ask(method=chance.choice(("GET", "POST", "HEAD")))
        elif kind == "pipelined":
            targets = [self.new_target(), self.new_target()]
            client.sock.sendall(b"".join(get(target) for target in targets))
            for target in targets:
                client.expect(target)
        elif kind == "abort":
            data = get(self.new_target())
            client.sock.sendall(data[:chance.randrange(1, len(data) + 1)])
        visits.close(client.sock, chance.choice(ENDS))
        return client

    def new_target(self):
        with self.lock:
            return super().new_target()

    def storm(self, host, seed):
        chance = random.Random(seed)
        for _ in range(self.ONE_AFTER_THE_OTHER):
            self.visit_once(host, chance)
        errors = []

        def run(number):
            try:
                self.visit_once(host, random.Random(f"{seed} {number}"))
            except Exception as error:  # any is a failure, in whichever thread
                errors.append(repr(error))
        threads = [threading.Thread(target=run, args=(n,)) for n in range(self.AT_ONCE)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.assertEqual(errors, [])

    def setUp(self):
        super().setUp()
        self.lock = threading.Lock()

    def test_own_answers(self):
        """Clients of all kinds, one behind the other and at once: nobody gets another's bytes."""
        host, clients = self.new_host(), self.ONE_AFTER_THE_OTHER + self.AT_ONCE
        with self.subTest(seed=1):
            self.storm(host, 1)
            wait_for("all sessions to end", lambda: sum(
                1 for r in self.weir.records() if r.kind == "tunnel") >= clients)
            reused = [r for r in self.weir.records() if r.kind == "tunnel" and r.server_reused]
            self.assertGreater(len(reused), clients // 5)
            self.assertLess(self.origin.accepted, clients)

    def test_own_answers_of_a_rude_server(self):
        """The same with a server that ends every fifth connection behind its answer. Requests that
        follow on the same connection may find it ended; first ones may not."""
        chance = random.Random(2)
        self.addCleanup(setattr, self.origin, "after", self.origin.after)
        self.origin.after = lambda: chance.choice((*ENDS, *[None] * 12))
        host = self.new_host()
        for number in range(self.ONE_AFTER_THE_OTHER):
            with self.subTest(client=number):
                client = self.enter(host)
                client.ask(method=chance.choice(("GET", "GET", "HEAD", "POST")))
                visits.close(client.sock, chance.choice(ENDS))


if __name__ == "__main__":
    harness.main()
