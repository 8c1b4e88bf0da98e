# SPDX-License-Identifier: Apache-2.0
"""An origin that keeps every byte of every connection, does what a test says for each target, and
can be told to do something to a connection that nobody speaks on."""
import collections
import select
import socket
import ssl
import struct
import threading

import h2_client
import origins

H2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class Ended(Exception):
    """The connection is over; Visit.end says how."""


def send_close_notify(sock):
    """TLS's end of our direction, without waiting for the peer's."""
    sock.settimeout(0)
    try:
        sock.unwrap()
    except OSError:
        pass  # sent; the peer's is not there yet


def close(sock, how):
    """Ends a TLS connection: "close_notify" (and FIN), "fin" (alone) or "reset"."""
    if how == "close_notify":
        send_close_notify(sock)
    elif how == "reset":
        origins.reset_on_close(sock)
    sock.close()


class Visit:
    """One connection, as the origin saw it. What runs on it, runs in its own thread: order()."""

    def __init__(self, number):
        self.number = number
        self.header = b""    # of the PROXY protocol
        self.sni = None
        self.alpn = None
        self.received = b""  # everything inside TLS, or without it where there was none
        self.requests = []
        self.end = None      # "close_notify", "fin", "reset", or "own": the origin's
        self.ended = threading.Event()
        self.sock = None
        self.orders = collections.deque()
        self.bell, self.rung = socket.socketpair()

    def __repr__(self):
        return f"<visit {self.number} of {self.sni}: {self.received[-200:]!r}, ended: {self.end}>"

    def order(self, action):
        """action(visit) runs as soon as this connection has nothing else to do; what it returns is
        a way to end, or None."""
        self.orders.append(action)
        self.bell.send(b"!")

    def finish(self, how):
        self.end = "own"
        close(self.sock, how)
        raise Ended

    def wait(self, idle_s=None):
        """Until there is something to read; orders are done meanwhile."""
        while not (isinstance(self.sock, ssl.SSLSocket) and self.sock.pending()):
            ready, _, _ = select.select([self.sock, self.rung], [], [], idle_s)
            if not ready:
                self.finish("close_notify")
            if self.rung in ready:
                self.rung.recv(1)
                how = self.orders.popleft()(self)
                if how:
                    self.finish(how)
            elif self.sock in ready:
                return


class VisitReader(origins.Reader):
    def __init__(self, visit, origin):
        super().__init__(visit.sock)
        self.visit = visit
        self.origin = origin

    def fill(self):
        self.visit.wait(self.origin.idle_s)
        try:
            more = self.sock.recv(65536)
        except ssl.SSLEOFError:
            self.visit.end = "fin"
            raise Ended from None
        except ConnectionResetError:
            self.visit.end = "reset"
            raise Ended from None
        if not more:
            self.visit.end = "close_notify" if isinstance(self.sock, ssl.SSLSocket) else "fin"
            raise Ended
        self.visit.received += more
        self.data += more
        return True


class Origin(origins.Server):
    """Answers with what was asked, "METHOD target body", and keeps the connection whatever was said
    about that: it is for the others to know when it is over. `answers` has the exceptions, by
    target: the bytes to send, or a function of visit and request that returns a way to end, or None
    to go on. What is not HTTP is sent back as it is, in TLS or without it. HTTP/2: every request
    gets an empty 200."""

    def __init__(self, context):
        self.visits = []
        self.answers = {}
        self.after = lambda: None  # how to end the connection after a usual answer
        self.idle_s = None         # then it ends the connection
        self.greeting = b""        # said at once, and without TLS
        self.tls_context = self.told(context)
        super().__init__(self._visit)

    @staticmethod
    def told(context):
        def note(sock, name, _context):
            sock.name_asked_for = name
        context.sni_callback = note
        return context

    def requests_for(self, target):
        """The visit of each time that this target was asked for."""
        return [visit for visit in list(self.visits) for request in list(visit.requests)
                if request.target == target]

    def stop_listening(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def _visit(self, raw):
        with self.lock:
            visit = Visit(len(self.visits) + 1)
            self.visits.append(visit)
        visit.sock = raw
        try:
            self._begin(visit, raw)
        except Ended:
            pass
        except ssl.SSLError as error:  # in the handshake
            visit.end = str(error)
        finally:
            with self.lock:
                self.connections.discard(visit.sock)
            visit.sock.close()
            visit.bell.close()
            visit.rung.close()
            visit.ended.set()

    def _begin(self, visit, raw):
        reader = VisitReader(visit, self)
        if self.greeting:
            raw.sendall(self.greeting)
            self._echo(reader)
        visit.wait()
        first = raw.recv(6, socket.MSG_PEEK)
        if first == b"PROXY ":
            while not visit.header.endswith(b"\r\n"):
                visit.header += raw.recv(1)
            first = raw.recv(1, socket.MSG_PEEK)
        if first[:1] != b"\x16":
            self._echo(reader)
        raw.settimeout(30)
        sock = self.tls_context.wrap_socket(raw, server_side=True, suppress_ragged_eofs=False)
        sock.settimeout(None)
        with self.lock:
            self.connections.discard(raw)
            self.connections.add(sock)
        visit.sock = sock
        visit.sni = getattr(sock, "name_asked_for", None)
        visit.alpn = sock.selected_alpn_protocol()
        if visit.alpn == "h2":
            self._talk_h2(VisitReader(visit, self))
        self._talk(VisitReader(visit, self))

    @staticmethod
    def _echo(reader):
        while True:
            if reader.data:
                reader.sock.sendall(reader.data)
                reader.data = b""
            reader.fill()

    def _talk(self, reader):
        while True:
            while len(reader.data) < 4:
                reader.fill()
            if reader.data[:2] == b"\r\n":  # RFC 9112 2.2: before a request
                reader.data = reader.data[2:]
                continue
            if not reader.data[:3].isalpha() or not reader.data[:3].isupper() or \
                    reader.data.startswith(b"HELO"):
                self._echo(reader)
            request = origins.Request(reader.until(b"\r\n\r\n"))
            request.body = self._body(reader, request)
            reader.visit.requests.append(request)
            how = self._answer(reader.visit, request)
            if how:
                reader.visit.finish(how)

    @staticmethod
    def _body(reader, request):
        if request.get("transfer-encoding").lower() == "chunked":
            return b"".join(reader.chunked({}))
        return reader.exactly(int(request.get("content-length", "0")))

    def _answer(self, visit, request):
        answer = self.answers.get(request.target)
        if callable(answer):
            return answer(visit, request)
        if answer is not None:
            visit.sock.sendall(answer)
            return None
        self.reply(visit, request)
        return self.after()

    @staticmethod
    def reply(visit, request):
        body = f"{request.method} {request.target} ".encode() + request.body
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        visit.sock.sendall(head if request.method == "HEAD" else head + body)

    @staticmethod
    def _talk_h2(reader):
        def send(kind, flags, stream, payload=b""):
            reader.sock.sendall(struct.pack("!I", len(payload))[1:] + bytes([kind, flags]) +
                                struct.pack("!I", stream) + payload)
        send(h2_client.SETTINGS, 0, 0)
        if reader.exactly(len(H2_PREFACE)) != H2_PREFACE:
            raise AssertionError(f"no preface: {reader.visit}")
        while True:
            head = reader.exactly(9)
            reader.exactly(int.from_bytes(head[:3], "big"))
            kind, flags, stream = head[3], head[4], struct.unpack("!I", head[5:])[0]
            if kind == h2_client.HEADERS:
                send(h2_client.HEADERS, h2_client.END_HEADERS | h2_client.END_STREAM, stream,
                     bytes([h2_client.STATUS_200]))
            elif kind == h2_client.SETTINGS and not flags & h2_client.ACK:
                send(h2_client.SETTINGS, h2_client.ACK, 0)
