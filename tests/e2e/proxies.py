# SPDX-License-Identifier: Apache-2.0
"""Upstream proxies for tests, on loopback: names under .test are 127.0.0.1 to them.

HttpProxy    CONNECT and whole URLs, with or without credentials, in clear or in TLS; misbehaves
             where a test asks for it
SocksProxy   SOCKS5, the same
Squid, Mitmproxy   real ones
"""
import base64
import os
import select
import shutil
import socket
import ssl
import struct
import subprocess
import time

import origins

MISBEHAVIOUR_S = 60  # of one that hangs: longer than any test waits


def wait_for_port(process, port, log, timeout=30):
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError("it does not start: " + log())


def reach(host, port):
    address = "127.0.0.1" if host.endswith(".test") else host
    return socket.create_connection((address, port), 10)


def relay(left, right):
    """Bytes both ways until both have ended, in one thread: a TLS socket cannot do with two."""
    other = {left: right, right: left}
    reading = {left, right}
    while reading:
        ready = [sock for sock in reading if isinstance(sock, ssl.SSLSocket) and sock.pending()]
        for sock in ready or select.select(list(reading), [], [])[0]:
            data = sock.recv(65536)
            if data:
                other[sock].sendall(data)
                continue
            reading.discard(sock)
            if isinstance(other[sock], ssl.SSLSocket):
                return
            other[sock].shutdown(socket.SHUT_WR)


class Misbehaving(origins.Server):
    """What the two have in common. `mode` is how a connection that comes now is treated: "work",
    or "hang", "garbage", "trickle" (one byte at a time), "cut" (ends in the middle of the answer),
    "full" (that kind's own way to refuse work), "far" (to say that the target is unreachable)."""

    def __init__(self, context=None, credentials=None):
        self.credentials = credentials
        self.mode = "work"
        self.targets = []   # "host:port" of every request for a tunnel, in order
        self.heads = []     # of requests in HTTP
        self.received = b"" # what came before a tunnel was open
        super().__init__(self._talk, context)

    def _begin(self, sock):
        """False: the connection is over."""
        if self.mode == "hang":
            sock.settimeout(MISBEHAVIOUR_S)
            while sock.recv(4096):
                pass
            return False
        if self.mode == "garbage":
            sock.recv(1)
            sock.sendall(b"\x00\x01 this is no answer at all\r\n\r\n" * 4)
            return False
        return True

    def _say(self, sock, answer):
        if self.mode == "cut":
            sock.sendall(answer[:len(answer) // 2])
            raise ConnectionError("cut")
        if self.mode != "trickle":
            sock.sendall(answer)
            return
        for index in range(len(answer)):
            sock.sendall(answer[index:index + 1])
            time.sleep(0.002)

    def _tunnel(self, sock, reader, target):
        if reader.data:
            target.sendall(reader.data)
        relay(sock, target)

    def _talk(self, sock):
        raise NotImplementedError


class HttpProxy(Misbehaving):
    def _talk(self, sock):
        if not self._begin(sock):
            return
        reader = origins.Reader(sock)
        while True:
            while not reader.data:
                if not reader.fill():
                    return
            request = origins.Request(reader.until(b"\r\n\r\n"))
            self.heads.append(request)
            if not self._serve_one(sock, reader, request):
                return

    def _is_welcome(self, request):
        if not self.credentials:
            return True
        expected = "Basic " + base64.b64encode(self.credentials.encode()).decode()
        return request.get("proxy-authorization") == expected

    def _refuse(self, sock, status, fields=""):
        self._say(sock, (f"HTTP/1.1 {status}\r\n{fields}Content-Length: 6\r\n\r\nsorry\n").encode())
        return False

    def _serve_one(self, sock, reader, request):
        if not self._is_welcome(request):
            return self._refuse(sock, "407 Proxy Authentication Required",
                                'Proxy-Authenticate: Basic realm="up"\r\n')
        refusals = {"full": "503 Service Unavailable", "far": "502 Bad Gateway",
                    "forbidden": "403 Forbidden"}
        if self.mode in refusals:
            return self._refuse(sock, refusals[self.mode])
        if request.method != "CONNECT":
            return self._forward(sock, reader, request)
        self.targets.append(request.target)
        host, _, port = request.target.rpartition(":")
        try:
            target = reach(host.strip("[]"), int(port))
        except OSError:
            return self._refuse(sock, "502 Bad Gateway")
        with target:
            self._say(sock, b"HTTP/1.1 200 Connection established\r\nX-Proxy: yes\r\n\r\n")
            self._tunnel(sock, reader, target)
        return False

    def _forward(self, sock, reader, request):
        """One request in absolute-form, to the end of its connection."""
        rest = request.target.split("://", 1)[1]
        authority, slash, path = rest.partition("/")
        host, _, port = authority.partition(":")
        target = reach(host, int(port or 80))
        head = request.head.split(b"\r\n")
        head[0] = f"{request.method} {slash}{path} HTTP/1.1".encode()
        kept = [line for line in head if not line.lower().startswith((b"proxy-", b"connection:"))]
        with target:
            target.sendall(b"\r\n".join(kept) + b"\r\nConnection: close\r\n\r\n")
            self._tunnel(sock, reader, target)
        return False


class SocksProxy(Misbehaving):
    def _talk(self, sock):
        if not self._begin(sock):
            return
        reader = origins.Reader(sock)
        count = reader.exactly(2)[1]
        methods = reader.exactly(count)
        wanted = 2 if self.credentials else 0
        if wanted not in methods:
            self._say(sock, b"\x05\xff")
            return
        self._say(sock, bytes([5, wanted]))
        if wanted and not self._authenticate(sock, reader):
            return
        self._connect(sock, reader)

    def _authenticate(self, sock, reader):
        user = reader.exactly(reader.exactly(2)[1])
        password = reader.exactly(reader.exactly(1)[0])
        right = (user + b":" + password).decode() == self.credentials
        self._say(sock, bytes([1, 0 if right else 1]))
        return right

    def _connect(self, sock, reader):
        kind = reader.exactly(4)[3]
        if kind == 3:
            host = reader.exactly(reader.exactly(1)[0]).decode()
        else:
            family, length = (socket.AF_INET, 4) if kind == 1 else (socket.AF_INET6, 16)
            host = socket.inet_ntop(family, reader.exactly(length))
        port = struct.unpack("!H", reader.exactly(2))[0]
        self.targets.append(f"{host}:{port}")
        codes = {"full": 1, "far": 4, "forbidden": 2}
        if self.mode in codes:
            self._reply(sock, codes[self.mode])
            return
        try:
            target = reach(host, port)
        except OSError:
            self._reply(sock, 5)
            return
        with target:
            self._reply(sock, 0)
            self._tunnel(sock, reader, target)

    def _reply(self, sock, code):
        self._say(sock, bytes([5, code, 0, 1]) + socket.inet_aton("127.0.0.1") + b"\x00\x50")


class RealProxy:
    """A program that listens on `port`; `requests()` is what its log says."""

    def __init__(self, command, port, log_path, **more):
        self.port = port
        self.log_path = log_path
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        **more)
        wait_for_port(self.process, port, self.log)

    def log(self):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as log:
                return log.read()
        except OSError:
            return ""

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)


class Squid(RealProxy):
    """CONNECT to `tls_ports` alone, everything else as whole URLs: as it comes."""

    @staticmethod
    def find():
        return shutil.which("squid", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")

    def __init__(self, folder, port, tls_ports, names):
        os.makedirs(folder, exist_ok=True)
        os.chmod(folder, 0o777)
        path = os.path.join(folder, "squid.conf")
        with open(os.path.join(folder, "hosts"), "w", encoding="ascii") as out:
            out.write("".join(f"127.0.0.1 {name}\n" for name in names))
        with open(path, "w", encoding="ascii") as out:
            out.write(f"""http_port 127.0.0.1:{port}
                acl tls port {' '.join(map(str, tls_ports))}
                acl CONNECT method CONNECT
                http_access deny CONNECT !tls
                http_access allow all
                hosts_file {folder}/hosts
                dns_nameservers 127.0.0.1
                cache deny all
                access_log stdio:{folder}/access.log
                cache_log {folder}/cache.log
                pid_filename {folder}/squid.pid
                coredump_dir {folder}
                pinger_enable off
                visible_hostname squid.test
                shutdown_lifetime 0 seconds
                """.replace("\n                ", "\n"))
        super().__init__([self.find(), "-N", "-f", path], port,
                         os.path.join(folder, "access.log"), cwd=folder)


class Mitmproxy(RealProxy):
    """mitmdump; `upstream` "http://host:port" makes it go through another proxy, whose
    certificates it believes when `trusts` names their root."""

    def __init__(self, folder, port, upstream=None, trusts=None):
        os.makedirs(folder, exist_ok=True)
        command = ["mitmdump", "--listen-host", "127.0.0.1", "--listen-port", str(port), "--set",
                   f"confdir={folder}", "--set", "connection_strategy=lazy"]
        if upstream:
            command += ["--mode", f"upstream:{upstream}"]
        if trusts:
            command += ["--set", f"ssl_verify_upstream_trusted_ca={trusts}"]
        self.ca = os.path.join(folder, "mitmproxy-ca-cert.pem")
        super().__init__(command, port, os.path.join(folder, "none"))
