# SPDX-License-Identifier: Apache-2.0
"""As much of HTTP/2 (RFC 9113) as a test needs of a client: frames, and requests in literals without
indexing (RFC 7541 6.2.2), so that no table is kept. Of a response's header block only the first byte
is looked at: where it stands for `:status 200` from the static table."""
import struct

import origins

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4
STATUS_200 = 0x88
LAST_ID_MAX = 2**31 - 1


def literal(name, value):
    return b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


class Client:
    """On a TLS socket that has negotiated h2. Nothing is read before it is asked for."""

    def __init__(self, sock, authority):
        self.sock = sock
        self.reader = origins.Reader(sock)
        self.authority = authority
        self.next_id = 1
        self.bodies = {}     # by stream
        self.statuses = {}   # the first byte of the header block
        self.ended = set()   # streams
        self.goaways = []    # last stream ids
        sock.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        self.send(SETTINGS, 0, 0)

    def send(self, kind, flags, stream, payload=b""):
        self.sock.sendall(struct.pack("!I", len(payload))[1:] + bytes([kind, flags]) +
                          struct.pack("!I", stream) + payload)

    def request(self, path, *fields):
        """Sends a GET; returns its stream."""
        stream, self.next_id = self.next_id, self.next_id + 2
        block = b"".join(literal(name, value) for name, value in (
            (":method", "GET"), (":scheme", "https"), (":authority", self.authority),
            (":path", path), *fields))
        self.send(HEADERS, END_HEADERS | END_STREAM, stream, block)
        self.bodies[stream] = b""
        return stream

    def read(self):
        """One frame."""
        head = self.reader.exactly(9)
        kind, flags = head[3], head[4]
        stream = struct.unpack("!I", head[5:])[0]
        payload = self.reader.exactly(int.from_bytes(head[:3], "big"))
        if kind == DATA:
            self.bodies[stream] += payload
        elif kind == HEADERS:
            self.statuses.setdefault(stream, payload[0])
        elif kind == SETTINGS and not flags & ACK:
            self.send(SETTINGS, ACK, 0)
        elif kind == PING and not flags & ACK:
            self.send(PING, ACK, 0, payload)
        elif kind == GOAWAY:
            self.goaways.append(struct.unpack("!I", payload[:4])[0])
        elif kind == RST_STREAM:
            raise AssertionError(f"stream {stream} was reset: {payload.hex()}")
        if kind in (DATA, HEADERS) and flags & END_STREAM:
            self.ended.add(stream)
        return kind

    def read_until(self, condition):
        while not condition():
            self.read()

    def open_windows(self, stream, length):
        """From now on that much more may come, on the stream and in all."""
        for target in (stream, 0):
            self.send(WINDOW_UPDATE, 0, target, struct.pack("!I", length))
