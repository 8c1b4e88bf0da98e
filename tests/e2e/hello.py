# SPDX-License-Identifier: Apache-2.0
"""A TLS client whose first flight is in the test's hands: cut into segments or records, or any
bytes at all. The handshake behind it is Python's own."""
import os
import ssl
import struct

import harness


class ManualClient:
    """TLS over `sock` through memory, so that the hello can be sent as the test wants."""

    def __init__(self, sock, context, server_hostname=None):
        self.sock = sock
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=server_hostname)
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        self.hello = self.outgoing.read()  # whole records, as OpenSSL would send them

    def _step(self, call):
        while True:
            try:
                result = call()
                self.flush()
                return result
            except ssl.SSLWantReadError:
                self.flush()
                data = self.sock.recv(65536)
                if not data:
                    raise ConnectionError("ended in the handshake") from None
                self.incoming.write(data)

    def flush(self):
        data = self.outgoing.read()
        if data:
            self.sock.sendall(data)

    def handshake(self):
        self._step(self.tls.do_handshake)

    def send(self, data):
        self.tls.write(data)
        self.flush()

    def recv(self, length):
        try:
            return self._step(lambda: self.tls.read(length))
        except (ConnectionError, ssl.SSLZeroReturnError):
            return b""


def message_of(records):
    """The handshake message inside whole TLS records."""
    message = b""
    while records:
        length = struct.unpack("!H", records[3:5])[0]
        message += records[5:5 + length]
        records = records[5 + length:]
    return message


def records_of(message, count=1, version=b"\x03\x01"):
    """The message in `count` records of about equal size."""
    size = -(-len(message) // count)
    return b"".join(b"\x16" + version + struct.pack("!H", len(message[i:i + size]))
                    + message[i:i + size] for i in range(0, len(message), size))


def extension(kind, data):
    return struct.pack("!HH", kind, len(data)) + data


def client_hello(extensions, suites=(0x1301, 0x1302, 0xC02B, 0xC02F), version=0x0303):
    """A hello message by hand: the extensions as they are given, no more."""
    body = struct.pack("!H", version) + os.urandom(32) + b"\x00"
    body += struct.pack("!H", 2 * len(suites)) + b"".join(struct.pack("!H", s) for s in suites)
    body += b"\x01\x00" + struct.pack("!H", len(extensions)) + extensions
    return b"\x01" + struct.pack("!I", len(body))[1:] + body


def sni(*names):
    entries = b"".join(b"\x00" + struct.pack("!H", len(name)) + name for name in names)
    return extension(0, struct.pack("!H", len(entries)) + entries)


# What a TLS 1.2 server needs to go on: groups, signature algorithms, point formats.
USUAL = (extension(10, b"\x00\x04\x00\x1d\x00\x17") + extension(11, b"\x01\x00")
         + extension(13, b"\x00\x08\x04\x03\x08\x04\x04\x01\x05\x01"))


def padded_context(ca, hello_bytes):
    """A context whose hello is a little under `hello_bytes` long: made so by ALPN names that nobody
    knows, with http/1.1 first."""
    count = max(0, (hello_bytes - 700) // 256)
    names = ["http/1.1"] + [f"unknown-{i:04d}-".ljust(255, "x") for i in range(count)]
    return harness.client_context(ca, names)
