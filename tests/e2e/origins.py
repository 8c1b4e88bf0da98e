# SPDX-License-Identifier: Apache-2.0
"""Servers for tests, all on loopback and on ports that the system picks.

Server         a thread a connection, any protocol, clear or TLS
HttpOrigin     a Server that speaks HTTP/1.1 in every framing there is
EchoServer     one thread, any number of connections: for thousands of idle ones
DnsStub        names to loopback, so that no test depends on a resolver
Nginx          a real server, HTTP/1.1 and HTTP/2, TLS 1.2 and 1.3
"""
import base64
import hashlib
import json
import os
import re
import selectors
import shutil
import socket
import ssl
import struct
import subprocess
import threading
import time

PATTERN = bytes(range(251)) * 261  # a prime period: a shifted or lost byte shows
CHUNK_BYTES = 16 * 1024


def pattern(offset, length):
    """`length` bytes of the endless test pattern from `offset` on."""
    start = offset % 251
    out = PATTERN[start:start + length]
    while len(out) < length:
        out += PATTERN[(start + len(out)) % 251:][:length - len(out)]
    return out


def pattern_digest(length):
    digest = hashlib.sha256()
    for offset in range(0, length, 65536):
        digest.update(pattern(offset, min(65536, length - offset)))
    return digest.hexdigest()


def reset_on_close(sock):
    """Makes the next close of this socket send a reset instead of an end."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def server_context(certificate, alpn=("http/1.1",), minimum=None, maximum=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.chain, certificate.key)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if minimum:
        context.minimum_version = minimum
    if maximum:
        context.maximum_version = maximum
    return context


class Server:
    """Calls handler(sock) in a thread of its own for every connection. `errors` keeps what handlers
    raised apart from the network's own errors; tests look at it at their end."""

    def __init__(self, handler, context=None, address="127.0.0.1"):
        self.handler = handler
        self.context = context
        self.connections = set()
        self.accepted = 0
        self.errors = []
        self.lock = threading.Lock()
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.socket = socket.create_server((address, 0), family=family, backlog=1024)
        self.address = address
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.socket.accept()
            except OSError:
                return
            with self.lock:
                self.connections.add(sock)
                self.accepted += 1
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, raw):
        sock = raw
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.context:
                raw.settimeout(30)
                sock = self.context.wrap_socket(raw, server_side=True)
                sock.settimeout(None)
                with self.lock:
                    self.connections.discard(raw)
                    self.connections.add(sock)
            self.handler(sock)
        except OSError: # also every ssl error: the peer's doing, and the client's test sees it
            pass
        except Exception as error: # a handler's own fault must not hide in a thread
            self.errors.append(repr(error))
        finally:
            with self.lock:
                self.connections.discard(raw)
                self.connections.discard(sock)
            sock.close()

    def close_connections(self):
        with self.lock:
            doomed = list(self.connections)
        for sock in doomed:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()
        self.close_connections()
        self.thread.join(5)


class Reader:
    """Buffered reads from a socket: to a line's end, to a count, to the end."""

    def __init__(self, sock, data=b""):
        self.sock = sock
        self.data = data

    def fill(self):
        more = self.sock.recv(65536)
        self.data += more
        return bool(more)

    def until(self, mark, limit=1 << 20):
        while mark not in self.data:
            if len(self.data) > limit or not self.fill():
                raise ConnectionError(f"ended before {mark!r}: {self.data[:200]!r}")
        part, _, self.data = self.data.partition(mark)
        return part

    def exactly(self, length):
        while len(self.data) < length:
            if not self.fill():
                raise ConnectionError(f"ended after {len(self.data)} of {length} bytes")
        part, self.data = self.data[:length], self.data[length:]
        return part

    def pieces(self, length):
        """Yields exactly `length` bytes in pieces, without keeping them."""
        while length > 0:
            if not self.data and not self.fill():
                raise ConnectionError(f"ended with {length} bytes missing")
            part, self.data = self.data[:length], self.data[length:]
            length -= len(part)
            yield part

    def chunked(self, trailers):
        """Yields the data of a chunked body; its trailer fields are added to `trailers`."""
        while True:
            size = int(self.until(b"\r\n").split(b";")[0], 16)
            if size == 0:
                break
            yield from self.pieces(size)
            if self.exactly(2) != b"\r\n":
                raise ConnectionError("chunk data without its line end")
        while line := self.until(b"\r\n"):
            name, _, value = line.decode("latin-1").partition(":")
            trailers[name.lower()] = value.strip()


class Request:
    def __init__(self, head):
        lines = head.decode("latin-1").split("\r\n")
        self.head = head
        self.method, self.target, self.version = lines[0].split(" ", 2)
        self.fields = [(name.lower(), value.strip()) for name, _, value in
                       (line.partition(":") for line in lines[1:])]
        self.path, _, query = self.target.partition("?")
        self.query = dict(part.partition("=")[::2] for part in query.split("&") if part)

    def get(self, name, default=""):
        return next((value for key, value in self.fields if key == name), default)


class HttpOrigin(Server):
    """HTTP/1.1 on purpose by hand: every framing must be one this file wrote.

    /bytes/N /chunked/N /close/N     N bytes of the pattern, in that framing
    /upload                          takes a body, answers its length and digest as JSON
    /echo-head                       answers the request's head as JSON
    /status/N                        an empty answer with that status
    /early                           103 before the 200
    /trailers                        a chunked body with trailer fields
    /sse?count=&interval=            events, each with the time it was sent
    /ws                              WebSocket echo
    /script                          whatever the test put into `script`, byte for byte
    """

    def __init__(self, context=None, address="127.0.0.1"):
        self.requests = []
        self.script = b""
        super().__init__(self._talk, context, address)

    def _talk(self, sock):
        reader = Reader(sock)
        while True:
            while not reader.data:
                if not reader.fill():
                    return
            request = Request(reader.until(b"\r\n\r\n"))
            self.requests.append(request)
            if not self._answer(sock, reader, request):
                return

    def _answer(self, sock, reader, request):
        parts = request.path.strip("/").split("/")
        route = getattr(self, "_do_" + parts[0].replace("-", "_"), None)
        if route is None or parts[0] == "":
            self._reply(sock, request, b"hello from the origin\n")
            return request.get("connection").lower() != "close"
        more = route(sock, reader, request, parts[1:])
        return more is not False and request.get("connection").lower() != "close"

    @staticmethod
    def _reply(sock, request, body, status="200 OK", fields=""):
        head = (f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n"
                f"Content-Type: text/plain\r\n{fields}\r\n").encode()
        sock.sendall(head if request.method == "HEAD" else head + body)

    def _do_bytes(self, sock, _reader, request, parts):
        length = int(parts[0])
        sock.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode())
        if request.method != "HEAD":
            for offset in range(0, length, 65536):
                sock.sendall(pattern(offset, min(65536, length - offset)))

    def _do_chunked(self, sock, _reader, _request, parts):
        length = int(parts[0])
        sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        offset, size = 0, 1
        while offset < length: # sizes 1, 3, 7, ... so that chunk heads fall everywhere
            part = pattern(offset, min(size, length - offset))
            sock.sendall(b"%x\r\n%s\r\n" % (len(part), part))
            offset += len(part)
            size = min(size * 2 + 1, 65535)
        sock.sendall(b"0\r\n\r\n")

    def _do_close(self, sock, _reader, _request, parts):
        length = int(parts[0])
        sock.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        for offset in range(0, length, 65536):
            sock.sendall(pattern(offset, min(65536, length - offset)))
        return False

    def _do_upload(self, sock, reader, request, _parts):
        if request.get("expect").lower() == "100-continue":
            if "refuse" in request.query:
                self._reply(sock, request, b"", "417 Expectation Failed", "Connection: close\r\n")
                return False
            sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        digest, length, trailers = hashlib.sha256(), 0, {}
        is_chunked = request.get("transfer-encoding").lower() == "chunked"
        pieces = (reader.chunked(trailers) if is_chunked else
                  reader.pieces(int(request.get("content-length", "0"))))
        for piece in pieces:
            digest.update(piece)
            length += len(piece)
        self._reply(sock, request, json.dumps({
            "length": length, "sha256": digest.hexdigest(), "chunked": is_chunked,
            "trailers": trailers}).encode())
        return True

    def _do_echo_head(self, sock, _reader, request, _parts):
        self._reply(sock, request, json.dumps({
            "method": request.method, "target": request.target,
            "fields": request.fields}).encode())

    @staticmethod
    def _do_status(sock, _reader, _request, parts):
        length = "" if parts[0] in ("204", "304") else "Content-Length: 0\r\n"
        sock.sendall(f"HTTP/1.1 {parts[0]} Status\r\n{length}\r\n".encode())

    def _do_early(self, sock, _reader, request, _parts):
        sock.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n")
        self._reply(sock, request, b"after the hints\n")

    @staticmethod
    def _do_trailers(sock, _reader, _request, _parts):
        sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
                     b"5\r\nhello\r\n0\r\nX-Sum: 2cf24dba\r\n\r\n")

    @staticmethod
    def _do_sse(sock, _reader, request, _parts):
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                     b"Connection: close\r\n\r\n")
        for number in range(int(request.query.get("count", "5"))):
            sock.sendall(f"data: {number} {time.monotonic():.6f}\n\n".encode())
            time.sleep(float(request.query.get("interval", "0.2")))
        return False

    def _do_ws(self, sock, reader, request, _parts):
        key = request.get("sec-websocket-key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        sock.sendall(("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                      f"Connection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n").encode())
        while True:
            opcode, data = read_frame(reader)
            sock.sendall(frame(opcode, data))
            if opcode == 8:
                return False

    def _do_script(self, sock, _reader, _request, _parts):
        sock.sendall(self.script)
        return False


def frame(opcode, data, mask=None):
    """One WebSocket frame (RFC 6455 5.2)."""
    head = bytes([0x80 | opcode])
    bit = 0x80 if mask else 0
    if len(data) < 126:
        head += bytes([bit | len(data)])
    elif len(data) < 65536:
        head += bytes([bit | 126]) + struct.pack("!H", len(data))
    else:
        head += bytes([bit | 127]) + struct.pack("!Q", len(data))
    if mask:
        data = bytes(byte ^ mask[index % 4] for index, byte in enumerate(data))
        head += mask
    return head + data


def read_frame(reader):
    first, second = reader.exactly(2)
    length = second & 0x7F
    if length == 126:
        length = struct.unpack("!H", reader.exactly(2))[0]
    elif length == 127:
        length = struct.unpack("!Q", reader.exactly(8))[0]
    mask = reader.exactly(4) if second & 0x80 else None
    data = reader.exactly(length)
    if mask:
        data = bytes(byte ^ mask[index % 4] for index, byte in enumerate(data))
    return first & 0x0F, data


class EchoServer:
    """Sends back what it gets, on any number of connections, from one thread."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.socket.setblocking(False)
        self.port = self.socket.getsockname()[1]
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.socket, selectors.EVENT_READ)
        self.wake, self.woken = socket.socketpair()
        self.selector.register(self.woken, selectors.EVENT_READ)
        self.thread = threading.Thread(target=self._loop, daemon=True)
        self.thread.start()

    def _loop(self):
        while True:
            for key, _ in self.selector.select():
                if key.fileobj is self.woken:
                    for open_key in list(self.selector.get_map().values()):
                        open_key.fileobj.close()
                    return
                if key.fileobj is self.socket:
                    sock, _ = self.socket.accept()
                    self.selector.register(sock, selectors.EVENT_READ)
                    continue
                try:
                    data = key.fileobj.recv(4096)
                    key.fileobj.sendall(data)
                except OSError:
                    data = b""
                if not data:
                    self.selector.unregister(key.fileobj)
                    key.fileobj.close()

    def close(self):
        self.wake.send(b"x")
        self.thread.join(10)
        self.wake.close()
        self.selector.close()


class DnsStub:
    """Answers A questions: *.test is 127.0.0.1, *.six.test is ::1 (AAAA), private.test is 10.0.0.1,
    slow.test never answers, everything else does not exist."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.asked = []
        self.thread = threading.Thread(target=self._loop, daemon=True)
        self.thread.start()

    def _loop(self):
        while True:
            try:
                query, peer = self.socket.recvfrom(4096)
            except OSError:
                return
            if query == b"stop":
                return
            answer = self._answer(query)
            if answer:
                self.socket.sendto(answer, peer)

    def _answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode("latin-1").lower())
            at += 1 + query[at]
        question = query[12:at + 5]
        kind = struct.unpack("!H", query[at + 1:at + 3])[0]
        name = ".".join(labels)
        self.asked.append((name, kind))
        address = None
        if name == "slow.test":
            return None
        exists = name.endswith(".test")
        if name == "private.test":
            address = socket.inet_aton("10.0.0.1") if kind == 1 else None
        elif name.endswith(".six.test"):
            address = socket.inet_pton(socket.AF_INET6, "::1") if kind == 28 else None
        elif exists:
            address = socket.inet_aton("127.0.0.1") if kind == 1 else None
        flags = 0x8580 if exists else 0x8583
        head = query[:2] + struct.pack("!HHHHH", flags, 1, 1 if address else 0, 0, 0)
        record = b""
        if address:
            record = b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, len(address)) + address
        return head + question + record

    def close(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wake:
            wake.sendto(b"stop", ("127.0.0.1", self.port))
        self.thread.join(5)
        self.socket.close()


class Nginx:
    """A real server. Its ports, by name: plain (clear), tls (h2 and http/1.1, TLS 1.2 and 1.3),
    tls12, tls13 (only that version), h1 (TLS without h2). Serves the files of `root`."""

    PORTS = {"plain": "", "tls": "ssl http2", "tls12": "ssl http2", "tls13": "ssl http2",
             "h1": "ssl"}
    VERSIONS = {"tls12": "TLSv1.2", "tls13": "TLSv1.3"}

    @staticmethod
    def find():
        return shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")

    def __init__(self, folder, certificate, free_port, keepalive="1s"):
        self.folder = folder
        self.root = os.path.join(folder, "www")
        os.makedirs(self.root, exist_ok=True)
        self.certificate = certificate
        self.keepalive = keepalive
        for _ in range(5): # a port may be taken between the choice and nginx's bind
            self.port = {name: free_port() for name in self.PORTS}
            if self._start():
                return
        raise RuntimeError("nginx does not start: " + self._log())

    def _log(self):
        with open(os.path.join(self.folder, "nginx.err"), encoding="utf-8") as log:
            return log.read()[-2000:]

    def _start(self):
        servers = ""
        for name, flags in self.PORTS.items():
            tls = "" if not flags else (
                f"ssl_certificate {self.certificate.chain};\n"
                f"ssl_certificate_key {self.certificate.key};\n"
                f"ssl_protocols {self.VERSIONS.get(name, 'TLSv1.2 TLSv1.3')};\n")
            servers += f"""server {{
                listen 127.0.0.1:{self.port[name]} {flags} backlog=4096; {tls}
                location = /echo {{ return 200 "$request_method $server_protocol $ssl_protocol\\n"; }}
                location = /verdict {{ return 200 "$http_weir_verdict\\n"; }}
                location / {{ root {self.root}; }}
            }}\n"""
        user = "user root;" if os.getuid() == 0 else ""
        path = os.path.join(self.folder, "nginx.conf")
        with open(path, "w", encoding="utf-8") as out:
            out.write(f"""daemon off; master_process on; worker_processes 1; {user}
                pid {self.folder}/nginx.pid; error_log {self.folder}/nginx.err warn;
                worker_rlimit_nofile 20000;
                events {{ worker_connections 16384; }}
                http {{ access_log off; keepalive_timeout {self.keepalive};
                    lingering_timeout 1s; client_max_body_size 0; sendfile on;
                    client_body_temp_path {self.folder}/t1; proxy_temp_path {self.folder}/t2;
                    fastcgi_temp_path {self.folder}/t3; uwsgi_temp_path {self.folder}/t4;
                    scgi_temp_path {self.folder}/t5; {servers} }}""")
        self.process = subprocess.Popen(
            [self.find(), "-c", path, "-p", self.folder, "-e", f"{self.folder}/nginx.err"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                for port in self.port.values():
                    socket.create_connection(("127.0.0.1", port), 1).close()
                return True
            except OSError:
                time.sleep(0.02)
        self.close()
        return False

    def write(self, name, length):
        """A file of `length` bytes: sparse, with its own offset written into every 64 KiB, so that
        a lost, doubled or moved block changes the digest. Returns the digest."""
        path = os.path.join(self.root, name)
        with open(path, "wb") as out:
            for offset in range(0, length, 65536):
                out.seek(offset)
                out.write(struct.pack("!Q", offset)[:min(8, length - offset)])
            out.truncate(length)
        digest = hashlib.sha256()
        with open(path, "rb") as data:
            while part := data.read(1 << 20):
                digest.update(part)
        return digest.hexdigest()

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(10)


def parse_curl_version(text):
    """The features that this curl was built with."""
    found = re.search(r"^Features: (.*)$", text, re.MULTILINE)
    return set(found.group(1).split()) if found else set()
