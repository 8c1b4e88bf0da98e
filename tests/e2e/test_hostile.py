# SPDX-License-Identifier: Apache-2.0
"""Malformed and hostile messages by raw sockets, a table row each (wire_cases.py)."""
import re
import socket
import time

import harness
import origins
import wire_cases


def answers_in(data):
    """How many status lines there are (a page's text may say HTTP/1.1, too)."""
    return len(re.findall(rb"HTTP/1\.1 \d\d\d ", data))


class Hostile(harness.WeirCase):
    @classmethod
    def prepare(cls):
        cls.origin = origins.HttpOrigin()
        cls.addClassCleanup(cls.origin.close)
        cls.authority_bytes = f"origin.test:{cls.origin.port}".encode()

    def wire(self, data):
        return (data.replace(b"{H}", b"Host: " + self.authority_bytes)
                .replace(b"{A}", self.authority_bytes))

    def send(self, data, end=True):
        """All of the bytes, then (if `end`) the end of our direction; what came back, and whether
        the connection ended cleanly."""
        sock = self.dial()
        sock.settimeout(harness.WAIT_S)
        try:
            sock.sendall(self.wire(data))
            if end:
                sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # turned away while we were still sending
        got, clean = harness.read_to_end(sock)
        sock.close()
        return got, clean

    def check_serves(self):
        answer = self.get_plain(f"http://{self.authority_bytes.decode()}/bytes/9")
        self.assertEqual((answer.status, answer.body), (200, origins.pattern(0, 9)))

    def test_refused_requests(self):
        """Every REFUSE row: no 2xx, no request at the origin; and weir serves the next client."""
        for name, data in wire_cases.REFUSE.items():
            with self.subTest(row=name):
                before = len(self.origin.requests)
                got, _ = self.send(data)
                if got:
                    self.assertRegex(got[:60], rb"^HTTP/1\.1 (4|5)\d\d ")
                    self.assertEqual(answers_in(got), 1, got)
                self.assertEqual(len(self.origin.requests), before,
                                 f"the origin saw {self.origin.requests[before:]}")
                self.check_serves()

    def test_answers_say_why(self):
        """A refusal is an answer: of the rows that are whole messages, those below get a 400 (or
        the exact status) with Proxy-Status, not just an end."""
        for name, status in (("CL.TE", 400), ("TE b'xchunked'", 501),
                             ("CL b'+5'", 400), ("no Host", 400), ("two Hosts", 400),
                             ("bare LF everywhere", 400), ("origin-form", 400),
                             ("userinfo", 400), ("version b'HTTP/2.0'", 505),
                             ("target of 16 KiB + 1", 414), ("head of 64 KiB + 1", 431),
                             ("129 fields", 431)):
            with self.subTest(row=name):
                got, _ = self.send(wire_cases.REFUSE[name], end=False)
                head = got.partition(b"\r\n\r\n")[0].lower()
                self.assertTrue(head.startswith(b"http/1.1 %d " % status), head[:80])
                self.assertIn(b"proxy-status:", head)
                self.assertIn(b"connection: close", head)

    def test_refused_bodies(self):
        """Every BODY row: the origin never sees the request that is hidden behind it. The head that
        it may see comes to it when our connection may have ended already, even among those of the
        next row: so each row has a path of its own."""
        before = len(self.origin.requests)
        for number, (name, data) in enumerate(wire_cases.BODY.items()):
            with self.subTest(row=name):
                self.assertEqual(data.count(b"/upload "), 1)
                self.send(data.replace(b"/upload ", b"/upload/%d " % number))
                self.check_serves()
                seen = [request.path for request in self.origin.requests[before:]]
                uploads = [path for path in seen if path != "/bytes/9"]
                self.assertEqual(len(set(uploads)), len(uploads))
                self.assertLessEqual(set(uploads), {f"/upload/{n}" for n in range(number + 1)})
                self.assertEqual(len(seen) - len(uploads), number + 1)

    def test_unusual_requests_pass(self):
        """Every PASS row is answered by the origin: strict is not narrow."""
        for name, data in wire_cases.PASS.items():
            with self.subTest(row=name):
                sock = self.dial()
                sock.sendall(self.wire(data))
                answer = harness.read_head(origins.Reader(sock))
                sock.close()
                self.assertEqual(answer.status, 200)

    def test_hostile_responses(self):
        """Every RESPONSE row: what is not right does not reach the client as a complete answer,
        and nothing of it leaks into the next exchange."""
        url = f"http://{self.authority_bytes.decode()}/script"
        for name, (data, is_good) in wire_cases.RESPONSE.items():
            with self.subTest(row=name):
                self.origin.script = data
                try:
                    answer = self.get_plain(url)
                    got_200 = answer.status == 200
                    if not got_200:
                        self.assertIn(answer.status, (502, 504))
                        self.assertTrue(answer.get("proxy-status"))
                except (OSError, ValueError):
                    got_200 = False
                self.assertEqual(got_200, is_good)
                self.check_serves()

    def test_response_splitting(self):
        """Control bytes from a request never come back raw in the error page or its fields."""
        for target in (b"http://no-such-name.invalid/<script>alert(1)</script>",
                       b"http://no-such-name.invalid/%0d%0aSet-Cookie:%20a=b"):
            with self.subTest(target=target):
                got, _ = self.send(b"GET " + target + b" HTTP/1.1\r\n"
                                   b"Host: no-such-name.invalid\r\n\r\n")
                self.assertNotIn(b"<script>", got)
                self.assertNotIn(b"\r\nSet-Cookie", got)

    def test_pipelined_behind_a_refusal(self):
        """Bytes behind a refused request are not read as another one."""
        before = len(self.origin.requests)
        got, _ = self.send(wire_cases.REFUSE["two Hosts"] + wire_cases.request())
        self.assertEqual(answers_in(got), 1, got)
        self.assertEqual(len(self.origin.requests), before)

    def test_own_address(self):
        """Weir asked to connect to itself refuses, by CONNECT and in absolute-form: no loop."""
        own = f"127.0.0.1:{self.weir.port}"
        _, _, answer = self.connect_answer(own)
        self.assertIn(answer.status, (403, 508))
        sock = self.dial()
        sock.sendall(f"GET http://{own}/ HTTP/1.1\r\nHost: {own}\r\n\r\n".encode())
        self.assertGreaterEqual(harness.read_answer(origins.Reader(sock)).status, 400)

    def test_aborts(self):
        """Clients that reset at every stage of a request leave nothing behind."""
        whole = self.wire(wire_cases.CHUNKED + b"5\r\nhello\r\n0\r\n\r\n")
        for cut in (1, 10, len(whole) - 12, len(whole)):
            for _ in range(10):
                sock = self.dial()
                sock.sendall(whole[:cut])
                origins.reset_on_close(sock)
                sock.close()
        self.check_serves()


class Slow(harness.WeirCase):
    @classmethod
    def prepare(cls):
        cls.origin = origins.HttpOrigin()
        cls.addClassCleanup(cls.origin.close)

    def test_trickled_head(self):
        """A head that trickles in byte by byte does not hold its connection for ever: the deadline
        is for the whole head (10 s), and others are served meanwhile."""
        sock = self.dial()
        sock.settimeout(0.5)
        sock.sendall(b"GET http://origin.test/")
        started = time.monotonic()
        ended = False
        while not ended and time.monotonic() - started < 25:
            try:
                sock.sendall(b"a")
                sock.recv(1000)  # an answer (408) or the end
                ended = True
            except TimeoutError:
                answer = self.get_plain(f"http://origin.test:{self.origin.port}/bytes/1")
                self.assertEqual(answer.status, 200)
            except OSError:
                ended = True
        self.assertTrue(ended, "still open after 25 s")
        self.assertGreater(time.monotonic() - started, 5)


if __name__ == "__main__":
    harness.main()
