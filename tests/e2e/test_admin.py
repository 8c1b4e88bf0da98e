# SPDX-License-Identifier: Apache-2.0
"""What weir says about itself: the admin listener, and the pages on the magic host."""
import ctypes
import hashlib
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import time

import harness
import origins
import steady

PTRACE_SEIZE, PTRACE_DETACH, PTRACE_INTERRUPT = 0x4206, 17, 0x4207
WALL = 0x40000000  # __WALL of wait4(2): also threads

PAGE_FIELDS = ("content-security-policy", "x-content-type-options", "cache-control")
PAC_CASES = (
    ("http://example.com/", "example.com", False),
    ("https://WEIR.proxy/", "WEIR.proxy", False),
    ("http://intranet/", "intranet", True),
    ("http://localhost/", "localhost", True),
    ("http://app.localhost./", "app.localhost.", True),
    ("http://10.0.0.1/", "10.0.0.1", True),
    ("http://10.example.com/", "10.example.com", False),
    ("http://10.0.0.1.example.com/", "10.0.0.1.example.com", False),
    ("http://127.0.0.1:8080/", "127.0.0.1", True),
    ("http://172.15.0.1/", "172.15.0.1", False),
    ("http://172.16.0.1/", "172.16.0.1", True),
    ("http://172.31.255.255/", "172.31.255.255", True),
    ("http://172.32.0.1/", "172.32.0.1", False),
    ("http://192.168.1.1/", "192.168.1.1", True),
    ("http://192.169.1.1/", "192.169.1.1", False),
    ("http://169.254.169.254/", "169.254.169.254", True),
    ("http://8.8.8.8/", "8.8.8.8", False),
    ("http://[::1]/", "[::1]", True),
    ("http://[::1]/", "::1", True),
    ("http://[fd00::1]/", "fd00::1", True),
    ("http://[fe80::1]/", "fe80::1", True),
    ("http://[2001:db8::1]/", "2001:db8::1", False),
    ("http://fd.example/", "fd.example", False),
)


class Pages(harness.WeirCase):
    CONFIG = {"admin": {"address": "127.0.0.1:0"}}

    @classmethod
    def prepare(cls):
        cls.clear = origins.HttpOrigin()
        cls.addClassCleanup(cls.clear.close)

    def setUp(self):
        super().setUp()
        self.port = self.weir.admin_port()

    def ask(self, path, method="GET", host=None):
        return steady.admin(self.port, path, method, host)

    def raw(self, request):
        with socket.create_connection(("127.0.0.1", self.port), 10) as sock:
            sock.sendall(request)
            return harness.read_to_end(sock)[0]

    def magic(self, path, method="GET", fields=""):
        return self.get_plain(f"http://weir.proxy{path}", method, fields)

    # ---- health ----

    def test_health(self):
        """/livez and /readyz answer 200 in plain words, queries or not."""
        for path, body in (("/livez", b"ok\n"), ("/readyz", b"ready\n"), ("/readyz?x=1", b"ready\n")):
            answer = self.ask(path)
            self.assertEqual((answer.status, answer.body), (200, body))
            self.assertEqual(answer.get("content-type"), "text/plain; charset=utf-8")
            self.assertEqual(answer.get("cache-control"), "no-store")

    def test_keep_alive(self):
        """Requests follow each other on one connection, also all sent at once."""
        with socket.create_connection(("127.0.0.1", self.port), 10) as sock:
            request = b"GET /%s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
            sock.sendall(request % b"livez" + request % b"ca.pem" + request % b"nothing"
                         + request % b"readyz")
            reader = origins.Reader(sock)
            answers = [harness.read_answer(reader) for _ in range(4)]
            self.assertEqual([answer.status for answer in answers], [200, 200, 404, 200])
            for _ in range(100):
                sock.sendall(request % b"livez")
                self.assertEqual(harness.read_answer(reader).status, 200)

    def test_old_client(self):
        """HAProxy's simple check is HTTP/1.0 without Host."""
        self.assertTrue(self.raw(b"GET /readyz HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200 "))

    def test_head(self):
        """HEAD has the fields of GET and no body."""
        for path in ("/livez", "/", "/ca.cer", "/nothing"):
            fields = [dict(self.ask(path, method).fields) for method in ("GET", "HEAD")]
            self.assertEqual(fields[0], fields[1])
            self.assertEqual(self.ask(path, "HEAD").body, b"")

    def test_refusals(self):
        """What is no question to the admin gets an answer that says so, and nothing else."""
        for method in ("POST", "DELETE", "OPTIONS"):
            answer = self.ask("/readyz", method)
            self.assertEqual((answer.status, answer.get("allow")), (405, "GET, HEAD"))
        self.assertEqual(self.ask("/no").status, 404)
        self.assertEqual(self.ask("http://127.0.0.1/readyz").status, 421)
        self.assertIn(b" 431 ", self.raw(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: "
                                         + b"x" * 20000 + b"\r\n\r\n"))
        for request in (b"GET /\r\n\r\n", b"\x16\x03\x01" + b"x" * 100,
                        b"GET / HTTP/1.1\r\n\r\n", b"CONNECT 127.0.0.1:1 HTTP/1.1\r\n\r\n",
                        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: 127.0.0.1\r\n\r\n"):
            self.assertRegex(self.raw(request), rb"^HTTP/1\.1 4\d\d ")
        with socket.create_connection(("127.0.0.1", self.port), 10) as sock:
            sock.sendall(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 30\r\n\r\n"
                         b"GET /ca.pem HTTP/1.1\r\n\r\n")
            data = harness.read_to_end(sock)[0]
        self.assertEqual(data.count(b"HTTP/1.1 "), 1)

    def test_rebinding(self):
        """Only a Host that nobody else can make point here is answered."""
        for host in ("127.0.0.1", "localhost", "LOCALHOST:9090", "[::1]:1", "192.0.2.1"):
            self.assertEqual(self.ask("/readyz", host=host).status, 200, host)
        for host in ("evil.example", "weir.proxy", "127.0.0.1.evil.example", "localhost.evil.example",
                     "", "127.1"):
            answer = self.ask("/ca.pem", host=host)
            self.assertIn(answer.status, (400, 421), host)
            self.assertNotIn(b"CERTIFICATE", answer.body)

    def crowd(self):
        return [self.keep(socket.create_connection(("127.0.0.1", self.port), 10))
                for _ in range(200)]

    def check_crowd(self, held):
        """Whoever came last is served, and whoever came first is gone."""
        for sock in held[-20:]:
            sock.sendall(b"GET /readyz HT")
        self.assertEqual(self.ask("/readyz").status, 200)
        for sock in held[-20:]:
            sock.sendall(b"TP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            self.assertEqual(harness.read_answer(origins.Reader(sock)).status, 200)
        for sock in held[:20]:
            self.assertEqual(harness.read_to_end(sock), (b"", False))
        self.assertLessEqual(self.weir.descriptors(), self.descriptors_before + 130)

    def test_crowd(self):
        """More connections than there is room for: who is there longest goes, and a question is
        answered."""
        self.check_crowd(self.crowd())

    def test_crowd_at_once(self):
        """The same when they are all there before the first is looked at."""
        self.weir.signal(signal.SIGSTOP)
        try:
            held = self.crowd()
        finally:
            self.weir.signal(signal.SIGCONT)
        self.check_crowd(held)

    def test_stuck_worker(self):
        """A worker that does not turn is named by /livez; /readyz is no matter of it."""
        libc = ctypes.CDLL(None, use_errno=True)
        libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
        tasks = f"/proc/{self.weir.process.pid}/task"
        thread = 0
        for name in os.listdir(tasks):
            with open(f"{tasks}/{name}/comm", encoding="ascii") as comm:
                if comm.read() == "weir-1\n":
                    thread = int(name)
        self.assertEqual(self.ask("/livez").status, 200)
        if libc.ptrace(PTRACE_SEIZE, thread, None, None) != 0:
            self.skipTest("threads cannot be stopped here: " + os.strerror(ctypes.get_errno()))
        try:
            libc.ptrace(PTRACE_INTERRUPT, thread, None, None)
            os.waitpid(thread, WALL)
            began = time.monotonic()
            answer = self.ask("/livez")
            took_ms = (time.monotonic() - began) * 1000
            self.assertEqual(answer.status, 503)
            told = re.fullmatch(rb"worker 1 has not turned for (\d+) ms\n", answer.body)
            self.assertTrue(told, answer.body)
            self.assertTrue(2000 <= int(told[1]) <= took_ms <= 1000 * harness.WAIT_S,
                            (answer.body, took_ms))
            self.assertEqual(self.ask("/readyz").status, 200)
        finally:
            libc.ptrace(PTRACE_DETACH, thread, None, None)
        harness.wait_for("the worker", lambda: self.ask("/livez").status == 200)

    # ---- pages ----

    def test_certificate(self):
        """The CA as text and in binary, on both hosts, is the one in the folder."""
        with open(self.weir.ca, "rb") as file:
            pem = file.read()
        der = ssl.PEM_cert_to_DER_cert(pem.decode())
        for ask in (self.ask, self.magic):
            for path, body in (("/ca.pem", pem), ("/ca.cer", der)):
                answer = ask(path)
                self.assertEqual(answer.get("content-type"), "application/x-x509-ca-cert")
                self.assertEqual(answer.body, body)

    def test_index(self):
        """A page without scripts and foreign parts, with the CA's fingerprint and every link good."""
        with open(self.weir.ca, encoding="ascii") as file:
            digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(file.read())).hexdigest().upper()
        shown = ":".join(digest[at:at + 2] for at in range(0, 64, 2)).encode()
        for ask, own in ((self.ask, 5), (self.magic, 3)):
            answer = ask("/")
            self.assertEqual(answer.get("content-type"), "text/html; charset=utf-8")
            self.assertIn("default-src 'none'", answer.get("content-security-policy"))
            for name in PAGE_FIELDS:
                self.assertTrue(answer.get(name), name)
            self.assertIn(shown, answer.body)
            self.assertNotRegex(answer.body, rb"(?i)<script|javascript:|<img|<link|@import|onclick")
            links = re.findall(rb'href="([^"]*)"', answer.body)
            self.assertEqual(len(links), own)
            for link in links:
                self.assertEqual(ask(link.decode()).status, 200, link)

    def test_magic_host(self):
        """http://weir.proxy/ is answered here: never looked up, never dialled, and nothing of the
        admin's own is there."""
        before = len(self.clear.requests)
        self.assertEqual(self.magic("/ca.pem").status, 200)
        self.assertEqual(self.get_plain("http://WEIR.proxy:8080/ca.pem").status, 200)
        self.assertEqual(self.get_plain("http://weir.proxy").status, 200)
        for path in ("/readyz", "/livez", "/metrics", "/ca", "/weir-ca.pem"):
            self.assertEqual(self.magic(path).status, 404, path)
        answer = self.magic("/", "POST", "Content-Length: 0\r\n")
        self.assertEqual((answer.status, answer.get("allow")), (405, "GET, HEAD"))
        self.assertEqual(self.magic("/", "HEAD").body, b"")
        self.assertEqual(len(self.clear.requests), before)
        record = self.weir.wait_record(lambda r: r.rule == "admin.magic_host"
                                       and r.path == "/ca.pem")
        self.assertEqual((record.status, record.dialled), (200, None))

    def test_magic_connection(self):
        """Pages and other requests share a connection; a body that comes along does no harm."""
        sock = self.dial()
        reader = origins.Reader(sock)
        host = f"origin.test:{self.clear.port}"
        for target, length in ((f"http://{host}/bytes/7", 7), ("http://weir.proxy/ca.cer", None),
                               (f"http://{host}/bytes/9", 9)):
            sock.sendall(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            answer = harness.read_answer(reader)
            self.assertEqual(answer.status, 200)
            if length:
                self.assertEqual(answer.body, origins.pattern(0, length))
        sock.sendall(b"POST http://weir.proxy/ HTTP/1.1\r\nHost: weir.proxy\r\n"
                     b"Content-Length: 5\r\n\r\nhello")
        answer = harness.read_answer(reader)
        self.assertEqual((answer.status, answer.get("connection")), (405, "close"))

    def test_magic_connect(self):
        """CONNECT to the magic host says where the pages are."""
        for port in (443, 80, self.clear.port):
            _, _, answer = self.connect_answer(f"weir.proxy:{port}")
            self.assertEqual(answer.status, 403)
            self.assertIn(b"http://weir.proxy/", answer.body)

    @harness.program("node", "nodejs")
    def test_pac(self):
        """proxy.pac as an engine understands it: what goes directly, and what through weir."""
        script = ("const pac = require('fs').readFileSync(0, 'utf8');"
                  "const find = new Function(pac + '; return FindProxyForURL;')();"
                  "console.log(JSON.stringify(JSON.parse(process.argv[1])"
                  ".map(([url, host]) => find(url, host))));")
        for ask in (self.ask, self.magic):
            for path in ("/proxy.pac", "/wpad.dat"):
                answer = ask(path)
                self.assertEqual(answer.get("content-type"), "application/x-ns-proxy-autoconfig")
                done = subprocess.run(["node", "-e", script, json.dumps(PAC_CASES)],
                                      input=answer.body, stdout=subprocess.PIPE, check=True,
                                      timeout=60)
                proxy = f"PROXY 127.0.0.1:{self.weir.port}"
                for (url, host, direct), found in zip(PAC_CASES, json.loads(done.stdout)):
                    self.assertEqual(found, "DIRECT" if direct else proxy, (url, host))

    # ---- out of reach ----

    def test_not_through_weir(self):
        """The admin listener cannot be reached through the proxy, not even where private addresses
        may be."""
        self.assertTrue(self.weir.config["connect"]["allow_private"])
        for host in ("127.0.0.1", "origin.test", "localhost"):
            answer = self.get_plain(f"http://{host}:{self.port}/readyz")
            self.assertEqual(answer.status, 502, host)
            # localhost is ::1 too, and there nobody listens
            self.assertRegex(answer.get("proxy-status"), "error=(proxy_loop_detected|"
                             + ("connection_refused)" if host == "localhost" else ")"), host)


class Wildcard(harness.WeirCase):
    CONFIG = {"admin": {"address": ":0", "pac_proxy": "https://proxy.example.com:3129",
                        "magic_host": "Trust.Me"}}

    def test_not_through_weir(self):
        """All addresses are listened on: none of them can be reached through the proxy."""
        port = self.weir.admin_port()
        for address in ("127.0.0.1", "127.0.0.2"):
            self.assertEqual(steady.admin(port, "/readyz", address=address).status, 200)
        for host in ("127.0.0.1", "127.0.0.2", "localhost", "[::1]", "[::ffff:127.0.0.1]"):
            answer = self.get_plain(f"http://{host}:{port}/readyz")
            self.assertIn("error=proxy_loop_detected", answer.get("proxy-status"), host)

    def test_settings(self):
        """admin.magic_host and admin.pac_proxy, and what SIGHUP makes of them."""
        answer = self.get_plain("http://trust.me/proxy.pac")
        self.assertIn(b'"HTTPS proxy.example.com:3129"', answer.body)
        self.assertIn(b'"HTTPS proxy.example.com:3129"',
                      steady.admin(self.weir.admin_port(), "/proxy.pac").body)
        self.weir.config["admin"].update(pac_proxy="", magic_host="")
        self.weir.write_config()
        self.weir.signal(signal.SIGHUP)
        harness.wait_for("the reload", lambda: b"PROXY 127.0.0.1" in
                         steady.admin(self.weir.admin_port(), "/proxy.pac").body)
        self.assertNotEqual(self.get_plain("http://trust.me/proxy.pac").status, 200)


if __name__ == "__main__":
    harness.main()
