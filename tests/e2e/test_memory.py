# SPDX-License-Identifier: Apache-2.0
"""Memory: idle connections are cheap, and a slow reader makes nobody's buffers grow.

Measured as private memory of the process (smaps_rollup), grown per connection. Under sanitizers the
counts are smaller and the bounds are not asserted: the allocator is another one."""
import socket
import threading
import time

import harness
import origins

COUNT = 200 if harness.SANITIZED else 4000
WARM_UP = 64
TUNNEL_BYTES = 1024
INTERCEPTED_BYTES = 24 * 1024
SLOW_BYTES = 64 << 20
# Ten of what may wait in a direction: limits.buffer_high (256 KiB), and one turn of a pipe above it
# (256 KiB), as a busy machine makes it happen.
SLOW_GROWTH_BYTES = 10 * (512 << 10) + (1 << 20)


class Idle(harness.WeirCase):
    """Each test has a weir of its own: what one has kept for reuse would hide the next one's growth."""

    START_WEIR = False
    CONFIG = {
        "intercept": {"rules": [
            harness.rule("passed by", "tunnel", host=["tunnel.origin.test"])]},
        "upstream": {"idle_connections": 0},  # each has its own server connection, and takes it along
    }

    @classmethod
    def prepare(cls):
        cls.echo = origins.EchoServer()
        cls.addClassCleanup(cls.echo.close)
        if origins.Nginx.find():
            cls.nginx = origins.Nginx(cls.folder, cls.certificate, harness.free_port, "600s")
            cls.addClassCleanup(cls.nginx.close)

    def setUp(self):
        self.weir = self.new_weir(self._testMethodName, self.CONFIG).start()
        self.addCleanup(self.weir.kill)
        self.addCleanup(self.weir.stop)
        super().setUp()

    def measure(self, what, open_one, bound):
        """Opens WARM_UP connections and closes them, then opens COUNT and lets them idle."""
        for sock in [open_one() for _ in range(WARM_UP)]:
            sock.close()
        quiet = harness.wait_stable(self.weir.descriptors)
        before = self.weir.private_bytes()
        opened = [open_one() for _ in range(COUNT)]
        grown = self.weir.private_bytes() - before
        each = grown / COUNT
        print(f"{what}: {COUNT} idle, {each:.0f} bytes each ({grown >> 10} KiB)", flush=True)
        self.assertGreaterEqual(self.weir.descriptors() - quiet, 2 * COUNT)
        for sock in opened:
            sock.close()
        harness.wait_for("descriptors", lambda: self.weir.descriptors() <= quiet, 60)
        if not harness.SANITIZED:
            self.assertLessEqual(each, bound)

    def test_idle_tunnels(self):
        """Thousands of tunnels that have carried bytes and now idle: 1 KiB each at most."""
        def open_one():
            sock = self.tunnel(f"tunnel.origin.test:{self.echo.port}")
            sock.sendall(b"hello" * 100)
            self.assertEqual(origins.Reader(sock).exactly(500), b"hello" * 100)
            return sock

        self.measure("tunnels", open_one, TUNNEL_BYTES)

    @harness.unittest.skipUnless(origins.Nginx.find(), "nginx is absent: install nginx-light")
    def test_idle_intercepted(self):
        """Thousands of intercepted connections that have carried a request and now idle: 24 KiB
        each at most, both TLS sessions included."""
        context = harness.client_context(self.weir.ca, ["http/1.1"])
        authority = f"origin.test:{self.nginx.port['h1']}"

        def open_one():
            sock = self.keep(context.wrap_socket(self.tunnel(authority),
                                                 server_hostname="origin.test"))
            answer = self.get(sock, "/echo")
            self.assertEqual(answer.status, 200)
            return sock

        self.measure("intercepted", open_one, INTERCEPTED_BYTES)


class SlowReader(harness.WeirCase):
    CONFIG = {"intercept": {"rules": [
        harness.rule("passed by", "tunnel", host=["tunnel.origin.test"])]}}

    @classmethod
    def prepare(cls):
        cls.secure = origins.HttpOrigin(origins.server_context(cls.certificate))
        cls.clear = origins.HttpOrigin()
        for server in (cls.secure, cls.clear):
            cls.addClassCleanup(server.close)

    def slow_client(self, way):
        """A client with a small receive buffer that asked for 64 MiB and reads nothing yet."""
        if way == "plain":
            sock = self.dial()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
            host = f"origin.test:{self.clear.port}"
            target = f"http://{host}/bytes/{SLOW_BYTES}"
        else:
            host = "tunnel.origin.test" if way == "tunnel" else "origin.test"
            sock = self.tls(f"{host}:{self.secure.port}", ca=(
                self.authority.certificate if way == "tunnel" else self.weir.ca))
            target = f"/bytes/{SLOW_BYTES}"
        sock.sendall(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        return sock

    def test_memory_stays_flat(self):
        """Ten clients who do not read a big download: weir's memory grows by a few buffers, not by
        the download, and when one reads at last, every byte is there."""
        for way in ("plain", "tunnel", "intercept"):
            with self.subTest(way=way):
                warm = self.slow_client(way)
                warm.close()
                before = self.weir.private_bytes()
                clients = [self.slow_client(way) for _ in range(10)]
                most, quiet_since = self.weir.private_bytes(), time.monotonic()
                deadline = time.monotonic() + 10
                # Sampled until nothing has grown for a second: the pressure has reached the server.
                while time.monotonic() - quiet_since < 1 and time.monotonic() < deadline:
                    now = self.weir.private_bytes()
                    if now > most:
                        most, quiet_since = now, time.monotonic()
                    time.sleep(0.05)
                print(f"{way}: {(most - before) >> 10} KiB for 10 slow readers", flush=True)
                if not harness.SANITIZED:
                    self.assertLess(most - before, SLOW_GROWTH_BYTES)
                reader = origins.Reader(clients[0])
                self.assertEqual(harness.read_head(reader).status, 200)
                offset = 0
                for piece in reader.pieces(SLOW_BYTES):
                    if piece != origins.pattern(offset, len(piece)):
                        self.fail(f"bytes differ in the piece at {offset}")
                    offset += len(piece)
                for sock in clients:
                    sock.close()

    def test_slow_server(self):
        """A server that reads nothing of a big upload: the client is held back, memory stays."""
        stop = threading.Event()
        deaf = origins.Server(lambda sock: stop.wait(60))
        self.addCleanup(deaf.close)
        self.addCleanup(stop.set)
        url = f"http://origin.test:{deaf.port}/"
        before = self.weir.private_bytes()
        sock = self.dial()
        sock.sendall(f"POST {url} HTTP/1.1\r\nHost: origin.test:{deaf.port}\r\n"
                     f"Content-Length: {SLOW_BYTES}\r\n\r\n".encode())
        sock.settimeout(2)
        sent = 0
        try:
            while sent < SLOW_BYTES:
                sent += sock.send(b"x" * 65536)
        except TimeoutError:
            pass
        self.assertLess(sent, SLOW_BYTES, "nothing held the client back")
        if not harness.SANITIZED:
            self.assertLess(self.weir.private_bytes() - before, SLOW_GROWTH_BYTES)


if __name__ == "__main__":
    harness.main()
