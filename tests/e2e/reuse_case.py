# SPDX-License-Identifier: Apache-2.0
"""What the tests of shared server connections have in common: clients whose end in the log is
waited for, and the question over which of the origin's connections a request came."""
import socket
import threading
import time

import access_log
import harness
import origins
import visits

ENDS = ("close_notify", "fin", "reset")


def get(target, fields=""):
    return f"GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n".encode()


class Client:
    """A client inside TLS behind CONNECT. The log and its end are known by its address."""

    def __init__(self, case, weir, sock):
        self.case = case
        self.weir = weir
        self.sock = sock
        self.reader = origins.Reader(sock)
        self.address = "%s:%d" % sock.getsockname()
        self.leaf = sock.getpeercert(binary_form=True)

    def ask(self, target=None, method="GET", fields="", body=b""):
        """A whole exchange with an origin that answers as usual; returns the target."""
        target = target or self.case.new_target()
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        self.sock.sendall(f"{method} {target} HTTP/1.1\r\nHost: a\r\n{fields}{length}\r\n".encode()
                          + body)
        self.expect(target, method, body)
        return target

    def expect(self, target, method="GET", body=b""):
        answer = harness.read_answer(self.reader, method)
        expected = b"" if method == "HEAD" else f"{method} {target} ".encode() + body
        self.case.assertEqual((answer.status, answer.body), (200, expected))

    def expect_bytes(self, data):
        self.case.assertEqual(self.reader.exactly(len(data)), data)

    def leave(self, how="close_notify"):
        """Returns when weir has ended the session: its server's connection is free, or closed."""
        visits.close(self.sock, how)
        return self.record("tunnel")

    def record(self, kind):
        return self.case.log_of(self.weir).wait(self.address, kind)

    def rest(self):
        return harness.read_to_end(self.sock)


class Log:
    """The access log as it grows. Hundreds of lines are waited for here, so it looks often and
    reads nothing twice."""

    def __init__(self, path):
        self.path = path
        self.offset = 0
        self.records = {}  # by client and kind
        self.lock = threading.Lock()

    def wait(self, client, kind):
        deadline = time.monotonic() + harness.WAIT_S
        while (client, kind) not in self.records:
            if time.monotonic() > deadline:
                raise AssertionError(f"no {kind}'s line of {client} in the log")
            self.read() or time.sleep(0.002)
        return self.records[client, kind]

    def forget(self, client):
        """Another one may have had this address."""
        self.read()
        for kind in ("request", "tunnel"):
            self.records.pop((client, kind), None)

    def read(self):
        """False: there is nothing new."""
        with self.lock:
            with open(self.path, encoding="utf-8") as log:
                log.seek(self.offset)
                text = log.read()
            whole = text[:text.rfind("\n") + 1]
            self.offset += len(whole.encode())
            for line in whole.splitlines():
                record = access_log.Record(line)
                self.records[record.client, record.kind] = record
        return bool(whole)


class ReuseCase(harness.WeirCase):
    CONFIG = {"workers": 1}
    QUIET_S = 0.05
    source = None  # address that clients come from

    @classmethod
    def prepare(cls):
        cls.origin = cls.new_origin()
        cls.numbers = iter(range(1, 1 << 30))

    @classmethod
    def new_origin(cls, certificate=None, **tls):
        origin = visits.Origin(origins.server_context(certificate or cls.certificate, **tls))
        cls.addClassCleanup(origin.close)
        return origin

    def log_of(self, weir):
        if not hasattr(weir, "log"):
            weir.log = Log(weir.access_path)
        return weir.log

    def new_host(self):
        """One that nobody has asked for, so nothing is kept for it."""
        return f"n{next(self.numbers)}.origin.test"

    def new_target(self):
        return f"/{next(self.numbers)}"

    def dial(self, weir=None, timeout=harness.WAIT_S, listener=None):
        weir = weir or self.weir
        if self.source:
            sock = self.keep(socket.create_connection(("127.0.0.1", weir.port), timeout,
                                                      (self.source, 0)))
        else:
            sock = super().dial(weir, timeout, listener)
        self.log_of(weir).forget("%s:%d" % sock.getsockname())
        return sock

    def enter(self, host, origin=None, sni=None, alpn=("http/1.1",), weir=None, ca=None,
              maximum=None, ciphers=None):
        """A client whose handshake is done. sni "": none."""
        weir = weir or self.weir
        context = harness.client_context(ca or weir.ca, list(alpn), None, maximum)
        if ciphers:
            context.set_ciphers(ciphers)
        if sni == "":
            context.check_hostname = False
        sock = self.tunnel(f"{host}:{(origin or self.origin).port}", weir)
        return Client(self, weir, self.keep(context.wrap_socket(
            sock, server_hostname=(sni or host) if sni != "" else None)))

    def pooled(self, host, how="close_notify", **more):
        """A client comes, asks and leaves; returns its visit at the origin."""
        client = self.enter(host, **more)
        target = client.ask()
        client.leave(how)
        return self.visit_of(target, more.get("origin"))

    def visit_of(self, target, origin=None):
        """The one visit that asked for the target."""
        found = (origin or self.origin).requests_for(target)
        self.assertEqual(len(found), 1, f"{target}: {found}")
        return found[0]

    def assert_reused(self, visit, host, **more):
        """The next client, asking as usual, is served over `visit`."""
        client = self.enter(host, **more)
        self.assertIs(self.visit_of(client.ask(), more.get("origin")), visit)
        client.leave()

    def assert_own(self, visit, host, **more):
        """The next client, asking as usual, is served over another connection."""
        client = self.enter(host, **more)
        other = self.visit_of(client.ask(), more.get("origin"))
        self.assertIsNot(other, visit)
        self.assertEqual(len(other.requests), 1)
        client.leave()
        return other
