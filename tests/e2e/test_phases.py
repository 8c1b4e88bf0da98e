# SPDX-License-Identifier: Apache-2.0
"""The end of a run behind a load balancer: not ready at once, served on for a while, then closed."""
import re
import signal
import socket
import threading
import time

import harness
import origins
import steady

DELAY_S = 1.5


class Phases(harness.WeirCase):
    START_WEIR = False

    @classmethod
    def prepare(cls):
        cls.clear = steady.Origin()
        cls.secure = steady.Origin(origins.server_context(cls.certificate))
        cls.ended = threading.Event()
        cls.never = origins.Server(cls.half)
        for server in (cls.clear, cls.secure, cls.never):
            cls.addClassCleanup(server.close)

    @classmethod
    def half(cls, sock):
        origins.Reader(sock).until(b"\r\n\r\n")
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
        cls.ended.wait(60)

    def start(self, **drain):
        self.ended.clear()
        self.addCleanup(self.ended.set)
        self.own = self.new_weir(self._testMethodName, {
            "admin": {"address": "127.0.0.1:0"}, "drain": drain})
        self.own.start()
        self.addCleanup(self.own.kill)
        self.admin_port = self.own.admin_port()

    def ready(self):
        return steady.admin(self.admin_port, "/readyz").status

    def refuses_new(self):
        try:
            socket.create_connection(("127.0.0.1", self.own.port), 1).close()
            return False
        except OSError:
            return True

    def test_phases(self):
        """SIGTERM: /readyz says no within 100 ms and /livez stays; for drain.delay everybody is
        served and told to go; then nobody is accepted, downloads end whole, and weir ends."""
        self.start(delay=f"{int(DELAY_S * 1000)}ms", grace="20s")
        load = steady.Load(steady.dialler(self.own.port), self.clear, self.secure, self.own.ca)
        with load:
            harness.wait_for("load", lambda: load.answers > 50)
            self.assertEqual(load.closed, 0)
            self.assertEqual(self.ready(), 200)
            began = time.monotonic()
            self.own.signal(signal.SIGTERM)
            harness.wait_for("/readyz to say no", lambda: self.ready() == 503)
            self.assertLess(time.monotonic() - began, 1 if harness.SANITIZED else 0.1)
            self.assertEqual(steady.admin(self.admin_port, "/readyz").body, b"draining\n")
            before, told = load.answers, load.closed
            time.sleep(DELAY_S * 0.6)
            self.assertGreater(load.answers, before + 10)
            self.assertGreater(load.closed, told)
            self.assertEqual(steady.admin(self.admin_port, "/livez").status, 200)
            self.assertFalse(self.refuses_new())
            load.stopping.set()  # a load balancer has noticed
        self.assertEqual(load.failures, [])
        self.assertEqual(self.own.process.wait(harness.WAIT_S), harness.EXIT_OK)
        self.assertGreater(time.monotonic() - began, DELAY_S)
        self.assertEqual(self.own.complaints(), [])
        self.assertRegex(re.sub(r"\n.*?(info|warn) ", "|", self.own.stderr()),
                         r"draining: not ready any more.*1500 ms"
                         r".*draining: accepting no more.*20000 ms.*\|ended")

    def test_answers_say_so(self):
        """A client that stays connected learns from its next answer that it must go."""
        self.start(delay="10s", grace="1s")
        sock = self.dial(self.own)
        reader = origins.Reader(sock)
        request = (f"GET http://origin.test:{self.clear.port}/bytes/5 HTTP/1.1\r\n"
                   f"Host: origin.test:{self.clear.port}\r\n\r\n").encode()
        sock.sendall(request)
        self.assertNotEqual(harness.read_answer(reader).get("connection"), "close")
        self.own.signal(signal.SIGTERM)
        harness.wait_for("/readyz to say no", lambda: self.ready() == 503)

        def told():
            sock.sendall(request)
            answer = harness.read_answer(reader)
            self.assertEqual(answer.body, origins.pattern(0, 5))
            return answer.get("connection") == "close"

        harness.wait_for("an answer that says so", told)
        self.assertEqual(sock.recv(1), b"")
        self.own.signal(signal.SIGTERM)
        self.assertEqual(self.own.process.wait(harness.WAIT_S), 128 + signal.SIGTERM)

    def test_grace(self):
        """What does not end by itself is cut off when drain.grace is over, and that is no error."""
        self.start(delay="0s", grace="1s")
        sock = self.dial(self.own, timeout=30)
        host = f"origin.test:{self.never.port}"
        sock.sendall(f"GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        reader = origins.Reader(sock)
        harness.read_head(reader)
        self.assertEqual(reader.exactly(4), b"half")
        began = time.monotonic()
        self.own.signal(signal.SIGTERM)
        harness.wait_for("the listener to close", self.refuses_new)
        self.assertEqual(self.own.process.wait(harness.WAIT_S), harness.EXIT_OK)
        took = time.monotonic() - began
        self.assertGreater(took, 0.9)
        self.assertLess(took, 5 if harness.SANITIZED else 2)
        self.assertEqual(self.own.complaints(), [])

    def test_second_signal(self):
        """A second SIGTERM does not wait for drain.delay either; SIGHUP and SIGUSR2 are none."""
        self.start(delay="60s", grace="60s")
        self.own.signal(signal.SIGTERM)
        harness.wait_for("/readyz to say no", lambda: self.ready() == 503)
        self.own.signal(signal.SIGHUP)
        self.own.signal(signal.SIGUSR2)
        time.sleep(0.3)
        self.assertTrue(self.own.is_running())
        self.own.signal(signal.SIGTERM)
        self.assertEqual(self.own.process.wait(5), 128 + signal.SIGTERM)


if __name__ == "__main__":
    harness.main()
