# SPDX-License-Identifier: Apache-2.0
"""SIGTERM: clients of intercepted connections are told to leave, what they asked for before they
could know is answered, and nothing is kept up longer than that."""
import signal
import socket
import ssl
import threading
import time
import unittest

import h2_client
import harness
import origins

LEAVE_S = 1.0  # how long weir waits for requests that are on their way
BIG = 4 << 20


class DrainCase(harness.WeirCase):
    START_WEIR = False
    HEADER = {}

    def setUp(self):
        super().setUp()
        self.own = self.new_weir(self._testMethodName, {"drain": {"grace": "60s"},
                                                        "detect": self.HEADER})
        self.own.start()
        self.addCleanup(self.own.kill)

    def terminate(self):
        self.own.signal(signal.SIGTERM)
        self.since = time.monotonic()

    def wait_draining(self):
        """Until the listeners of all workers are closed."""
        def refuses_new():
            try:
                socket.create_connection(("127.0.0.1", self.own.port), 1).close()
                return False
            except OSError:
                return True
        harness.wait_for("the listeners to close", refuses_new)

    def expect_end(self, closes=("drained",), seconds=10):
        self.assertEqual(self.own.process.wait(harness.WAIT_S), harness.EXIT_OK)
        self.assertLess(time.monotonic() - self.since, seconds)
        self.assertEqual(self.own.complaints(), [])
        self.assertEqual({r.close for r in self.own.records() if r.kind == "tunnel"}, set(closes))


class Http1(DrainCase):
    @classmethod
    def prepare(cls):
        cls.secure = origins.HttpOrigin(origins.server_context(cls.certificate))
        cls.addClassCleanup(cls.secure.close)
        cls.clear = origins.HttpOrigin()
        cls.addClassCleanup(cls.clear.close)

    def open(self):
        return self.tls(f"www.origin.test:{self.secure.port}", weir=self.own)

    def test_request_on_its_way(self):
        """An idle connection: the request that crosses the signal is answered, says that it was the
        last one, and then the connection ends."""
        sock = self.open()
        self.assertEqual(self.get(sock, "/bytes/5").get("connection"), "")
        self.terminate()
        self.wait_draining()
        answer = self.get(sock, "/bytes/100000")
        self.assertEqual(answer.get("connection"), "close")
        self.assertEqual(answer.body, origins.pattern(0, 100000))
        self.assertEqual("weir-verdict" in dict(answer.fields), bool(self.HEADER))
        self.assertEqual(sock.recv(1), b"")
        self.expect_end()

    def test_response_under_way(self):
        """A response that has begun goes to its end, unchanged."""
        sock = self.open()
        reader = origins.Reader(sock)
        sock.sendall(b"GET /sse?count=3&interval=0.4 HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual(harness.read_head(reader).status, 200)
        self.terminate()
        body, _ = harness.read_to_end(sock)
        self.assertEqual((reader.data + body).count(b"data:"), 3)
        self.assertNotIn(b"Connection", body)
        # The origin ends without close_notify: an error to some clients, and an end to others.
        sock.close()
        self.assertEqual(self.own.process.wait(harness.WAIT_S), harness.EXIT_OK)
        self.assertEqual(self.own.complaints(), [])
        [tunnel] = [r for r in self.own.records() if r.kind == "tunnel"]
        self.assertIn(tunnel.close, ("client_gone", "client_done", "both_done"))

    def test_idle(self):
        """One that asks nothing more ends by itself, not at once."""
        sock = self.open()
        self.get(sock, "/bytes/5")
        self.terminate()
        self.assertEqual(sock.recv(1), b"")
        self.assertGreater(time.monotonic() - self.since, LEAVE_S * 0.8)
        self.expect_end()

    def test_many(self):
        """Clients that ask all the time, each on a connection that it keeps as long as it is told:
        every request is answered whole."""
        errors, answers, stop = [], [], threading.Event()

        def ask():
            try:
                sock = self.open()
                while not stop.is_set():
                    answer = self.get(sock, "/bytes/3000")
                    if answer.status != 200 or answer.body != origins.pattern(0, 3000):
                        errors.append(answer.status)
                    answers.append(1)
                    if answer.get("connection") == "close":
                        return
                    time.sleep(0.01)
            except (OSError, AssertionError, EOFError) as error:
                errors.append(repr(error))

        threads = [threading.Thread(target=ask) for _ in range(20)]
        for thread in threads:
            thread.start()
        harness.wait_for("traffic", lambda: len(answers) > 200)
        self.terminate()
        for thread in threads:
            thread.join(harness.WAIT_S)
        stop.set()
        self.assertEqual(errors, [])
        self.expect_end()

    def test_explicit(self):
        """Explicit HTTP: the response that comes while weir drains says so too."""
        sock = self.dial(self.own)
        url = f"http://origin.test:{self.clear.port}/sse?count=3&interval=0.4"
        sock.sendall(f"GET {url} HTTP/1.1\r\nHost: origin.test\r\n\r\n".encode())
        reader = origins.Reader(sock)
        self.assertEqual(harness.read_head(reader).status, 200)
        late = self.dial(self.own)
        url = f"http://origin.test:{self.clear.port}/early"
        late.sendall(f"GET {url} HTTP/1.1\r\nHost: origin.test\r\n".encode())
        time.sleep(0.2)
        self.terminate()
        self.wait_draining()
        late.sendall(b"\r\n")
        self.assertEqual(harness.read_answer(origins.Reader(late)).get("connection"), "close")
        harness.read_to_end(sock)
        self.assertEqual(self.own.process.wait(harness.WAIT_S), harness.EXIT_OK)


class Http1WithHeader(Http1):
    """The same where an editor is there already."""
    HEADER = {"header": "Weir-Verdict", "header_to": "both"}


@unittest.skipUnless(origins.Nginx.find(), "nginx is absent: install nginx-light")
class Http2(DrainCase):
    @classmethod
    def prepare(cls):
        cls.nginx = origins.Nginx(cls.folder, cls.certificate, harness.free_port, "60s")
        cls.addClassCleanup(cls.nginx.close)
        cls.nginx.write("big", BIG)
        cls.nginx.write("small", 1000)

    def open(self):
        authority = f"www.origin.test:{self.nginx.port['tls']}"
        sock = self.tls(authority, alpn=["h2"], weir=self.own)
        self.assertEqual(sock.selected_alpn_protocol(), "h2")
        return h2_client.Client(sock, authority)

    def expect_eof(self, client):
        while True:
            try:
                client.read()
            except (EOFError, ssl.SSLError, ConnectionError, AssertionError) as error:
                self.assertNotIn("reset", str(error))
                return

    def test_streams(self):
        """A stream that stands still in its middle, and one that is opened right at the signal: both
        are served, GOAWAY leaves room for them, and the last one says which were."""
        client = self.open()
        big = client.request("/big")
        client.read_until(lambda: len(client.bodies[big]) == 65535)
        self.terminate()
        small = client.request("/small")
        client.read_until(lambda: client.goaways)
        self.assertEqual(client.goaways, [h2_client.LAST_ID_MAX])
        late = client.request("/small")
        client.open_windows(small, BIG)
        client.read_until(lambda: {small, late} <= client.ended)
        time.sleep(2 * LEAVE_S)
        self.assertTrue(self.own.is_running(), "a stream is under way")
        client.open_windows(big, BIG)
        client.read_until(lambda: big in client.ended)
        self.assertEqual([len(client.bodies[s]) for s in (big, small, late)], [BIG, 1000, 1000])
        self.assertEqual(set(client.statuses.values()), {h2_client.STATUS_200})
        self.expect_eof(client)
        self.assertEqual(client.goaways, [h2_client.LAST_ID_MAX, late])
        self.expect_end()

    def test_idle(self):
        """Told to leave, and left."""
        client = self.open()
        stream = client.request("/small")
        client.read_until(lambda: stream in client.ended)
        self.terminate()
        self.expect_eof(client)
        self.assertEqual(client.goaways, [h2_client.LAST_ID_MAX, stream])
        self.assertGreater(time.monotonic() - self.since, LEAVE_S * 0.8)
        self.expect_end()

    def test_busy(self):
        """Requests one after the other across the signal, until GOAWAY comes: none is lost."""
        client = self.open()
        streams = []
        threading.Timer(0.5, self.terminate).start()
        while not client.goaways:
            streams.append(client.request("/small"))
            client.open_windows(streams[-1], 1000)
            client.read_until(lambda: streams[-1] in client.ended)
            time.sleep(0.01) # nginx has had enough after 1000
        self.assertGreater(len(streams), 10)
        self.assertEqual({len(client.bodies[s]) for s in streams}, {1000})
        self.expect_eof(client)
        self.assertEqual(client.goaways, [h2_client.LAST_ID_MAX, streams[-1]])
        self.expect_end()


class Http2WithHeader(Http2):
    HEADER = {"header": "Weir-Verdict", "header_to": "both"}


if __name__ == "__main__":
    harness.main()
