# SPDX-License-Identifier: Apache-2.0
"""The path of bytes takes nothing from the heap: every allocation of the process is counted, by a
library that is preloaded into it, while connections that are already up carry many megabytes."""
import os
import struct

import harness
import origins

COUNTER = os.environ.get("WEIR_COUNT_ALLOCATIONS", "")
BYTES = 128 << 20
# What one more request may cost, whatever its length: its line in the log, timers, a retry.
ALLOCATIONS_MAX = 64


class CountedWeir(harness.Weir):
    """weir with count_allocations.c preloaded."""

    def launch(self):
        self.counter_path = os.path.join(self.folder, "allocations")
        with open(self.counter_path, "wb") as out:
            out.write(bytes(8))
        os.environ["LD_PRELOAD"] = COUNTER
        os.environ["WEIR_ALLOCATION_COUNTER"] = self.counter_path
        try:
            super().launch()
        finally:
            del os.environ["LD_PRELOAD"]
            del os.environ["WEIR_ALLOCATION_COUNTER"]

    def allocations(self):
        with open(self.counter_path, "rb") as counter:
            return struct.unpack("=Q", counter.read(8))[0]


@harness.unittest.skipIf(harness.SANITIZED, "sanitizers bring an allocator of their own")
@harness.unittest.skipUnless(os.path.exists(COUNTER), "WEIR_COUNT_ALLOCATIONS names no library")
class Allocations(harness.WeirCase):
    CONFIG = {"workers": 1, "intercept": {"rules": [
        harness.rule("passed by", "tunnel", host=["tunnel.origin.test"])]}}

    @classmethod
    def prepare(cls):
        cls.secure = origins.HttpOrigin(origins.server_context(cls.certificate))
        cls.clear = origins.HttpOrigin()
        for server in (cls.secure, cls.clear):
            cls.addClassCleanup(server.close)

    @classmethod
    def new_weir(cls, name, config=None):
        folder = os.path.join(cls.folder, name)
        return CountedWeir(folder, harness.merge(cls.base_config(folder), config or {}))

    def download(self, sock, target, host, count):
        sock.sendall(f"GET {target}/bytes/{count} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        reader = origins.Reader(sock)
        self.assertEqual(harness.read_head(reader).status, 200)
        for _ in reader.pieces(count):
            pass

    def upload(self, sock, target, host, count):
        sock.sendall(f"POST {target}/upload HTTP/1.1\r\nHost: {host}\r\n"
                     f"Content-Length: {count}\r\n\r\n".encode())
        block = bytes(1 << 20)
        for _ in range(count // len(block)):
            sock.sendall(block)
        answer = harness.read_answer(origins.Reader(sock), "POST")
        self.assertEqual(answer.status, 200)

    def measure(self, what, sock, target, host):
        for name, transfer in (("down", self.download), ("up", self.upload)):
            transfer(sock, target, host, 16 << 20)  # until every free list has what it needs
            before = self.weir.allocations()
            transfer(sock, target, host, BYTES)
            taken = self.weir.allocations() - before
            print(f"{what} {name}: {taken} allocations for {BYTES >> 20} MiB", flush=True)
            self.assertLessEqual(taken, ALLOCATIONS_MAX)

    def test_intercepted(self):
        """Both directions of an intercepted connection: decrypted, read along, encrypted."""
        host = f"origin.test:{self.secure.port}"
        self.measure("intercepted", self.tls(host), "", host)

    def test_tunnel(self):
        """Both directions of a tunnel, spliced once they are bulk."""
        host = f"tunnel.origin.test:{self.secure.port}"
        self.measure("tunnel", self.tls(host, ca=self.authority.certificate), "", host)

    def test_plain(self):
        """Explicit HTTP, streamed both ways."""
        host = f"origin.test:{self.clear.port}"
        self.measure("plain", self.dial(), f"http://{host}", host)

    def test_the_counter_counts(self):
        """A new intercepted connection does allocate: the count is not simply stuck."""
        before = self.weir.allocations()
        self.get(self.tls(f"origin.test:{self.secure.port}"), "/bytes/3")
        self.assertGreater(self.weir.allocations(), before + 10)


class AllocationsWithHeader(Allocations):
    """The same where heads are edited: bodies pass all the same."""
    CONFIG = {**Allocations.CONFIG, "detect": {"header": "Weir-Verdict", "header_to": "both"}}


if __name__ == "__main__":
    harness.main()
