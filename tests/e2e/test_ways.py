# SPDX-License-Identifier: Apache-2.0
"""The ways in beside HTTP: SOCKS5, reverse listeners, the PROXY protocol, and whoever knocks at the
wrong door. Transparent mode needs namespaces: test_transparent.py."""
import os
import socket
import ssl
import struct
import time

import certs
import harness
import origins

V2_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
CLIENT = ("203.0.113.9", 40123)


def proxy_v2(client=CLIENT, command=1, tlvs=b""):
    body = socket.inet_aton(client[0]) + socket.inet_aton("198.51.100.1")
    body += struct.pack(">HH", client[1], 443) + tlvs
    return V2_SIGNATURE + bytes([0x20 | command, 0x11]) + struct.pack(">H", len(body)) + body


def tlv(kind, value):
    return struct.pack(">BH", kind, len(value)) + value


def socks_request(host, port, command=1):
    try:
        return bytes([5, command, 0, 1]) + socket.inet_aton(host) + struct.pack(">H", port)
    except OSError:
        name = host.encode()
        return bytes([5, command, 0, 3, len(name)]) + name + struct.pack(">H", port)


class Ways(harness.WeirCase):
    CONFIG = {"intercept": {"rules": [
        harness.rule("fronting", "refuse", host=["*.fronted.test"], mismatch=["sni"]),
        harness.rule("fronting to an address", "refuse", host=["127.0.0.0/8"], mismatch=["sni"]),
        harness.rule("not from there", "refuse", client=["198.51.100.192/26"]),
    ]}}
    LISTENERS = {
        "socks": {"mode": "socks5"},
        "balanced": {"proxy_protocol": "required", "balancers": ["127.0.0.1"]},
        "perhaps": {"proxy_protocol": "optional", "balancers": ["127.0.0.0/8"]},
        "elsewhere": {"proxy_protocol": "required", "balancers": ["192.0.2.0/24"]},
        "spoofed": {"proxy_protocol": "optional", "balancers": ["192.0.2.0/24"]},
        "guarded": {"clients": ["203.0.113.0/24"], "proxy_protocol": "required",
                    "balancers": ["127.0.0.1"]},
        "closed": {"clients": ["192.0.2.0/24"]},
        "transparent": {"mode": "transparent"},
    }

    @classmethod
    def prepare(cls):
        cls.secure = origins.HttpOrigin(origins.server_context(cls.certificate))
        cls.addClassCleanup(cls.secure.close)
        cls.clear = origins.HttpOrigin()
        cls.addClassCleanup(cls.clear.close)
        cls.banner = origins.Server(lambda sock: (sock.sendall(b"220 mail.test ESMTP\r\n"),
                                                  harness.read_to_end(sock)))
        cls.addClassCleanup(cls.banner.close)
        cls.extra_ports = [9]
        cls.LISTENERS = dict(
            Ways.LISTENERS,
            tls_tls={"mode": "reverse", "target": f"tls://origin.test:{cls.secure.port}"},
            any_tcp={"mode": "reverse", "target": f"tcp://origin.test:{cls.clear.port}"},
            to_banner={"mode": "reverse", "target": f"tcp://127.0.0.1:{cls.banner.port}"},
            to_ip={"mode": "reverse", "target": f"tls://127.0.0.1:{cls.secure.port}"},
            bad_name={"mode": "reverse", "target": f"tls://other.test:{cls.secure.port}"})

    def record(self, condition, what="a record in the access log"):
        return self.weir.wait_record(condition, what)

    # ---- SOCKS5 ----

    def socks(self, request, greeting=b"\x05\x01\x00", pieces=False):
        """Greets, asks, and returns the socket, its reader and the reply."""
        sock = self.dial(listener="socks")
        reader = origins.Reader(sock)
        for data, length in ((greeting, 2), (request, 10)):
            for byte in ([data[i:i + 1] for i in range(len(data))] if pieces else [data]):
                sock.sendall(byte)
                time.sleep(0.002 if pieces else 0)
            answer = reader.exactly(length)
            if length == 2:
                self.assertEqual(answer, b"\x05\x00")
        return sock, reader, answer

    def test_socks_intercepts(self):
        for pieces in (False, True):
            sock, _, reply = self.socks(socks_request("origin.test", self.secure.port), pieces=pieces)
            self.assertEqual(reply, b"\x05\x00\x00\x01" + bytes(6))
            tls = self.keep(harness.client_context(self.weir.ca, ["http/1.1"]).wrap_socket(
                sock, server_hostname="origin.test"))
            self.assertEqual(self.get(tls, "/bytes/1000").body, origins.pattern(0, 1000))
            tls.close()
        record = self.record(lambda r: r.kind == "tunnel" and r.mode == "socks5"
                             and r.decision == "intercept"
                             and r.target == f"origin.test:{self.secure.port}")
        self.assertEqual(record.sni, "origin.test")

    def test_socks_everything_at_once(self):
        """A client that does not wait: greeting, request and what follows in one segment."""
        sock = self.dial(listener="socks")
        sock.sendall(b"\x05\x01\x00" + socks_request("127.0.0.1", self.clear.port)
                     + b"GET /bytes/10 HTTP/1.1\r\nHost: origin.test\r\n\r\n")
        reader = origins.Reader(sock)
        self.assertEqual(reader.exactly(12), b"\x05\x00\x05\x00\x00\x01" + bytes(6))
        self.assertEqual(harness.read_answer(reader).body, origins.pattern(0, 10))

    def test_socks_server_speaks_first(self):
        _, reader, _ = self.socks(socks_request("127.0.0.1", self.banner.port))
        self.assertEqual(reader.until(b"\r\n"), b"220 mail.test ESMTP")

    @harness.program("curl", "curl")
    def test_socks_curl(self):
        for scheme in ("socks5", "socks5h"):
            body = harness.run([
                "curl", "-sS", "--fail", "--cacert", self.weir.ca,
                "--proxy", f"{scheme}://127.0.0.1:{self.weir.ports['socks']}",
                "--resolve", f"origin.test:{self.secure.port}:127.0.0.1",
                f"https://origin.test:{self.secure.port}/bytes/4096"])
            self.assertEqual(body.stdout, origins.pattern(0, 4096))

    @harness.program("chromium", "chromium")
    def test_socks_chromium(self):
        harness.run([
            "chromium", "--headless=new", "--no-sandbox", "--disable-gpu",
            "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", "--disable-extensions",
            "--disable-quic", f"--user-data-dir={os.path.join(self.folder, 'chromium')}",
            f"--proxy-server=socks5://127.0.0.1:{self.weir.ports['socks']}",
            "--proxy-bypass-list=<-loopback>", "--ignore-certificate-errors",
            "--virtual-time-budget=5000", "--dump-dom",
            f"https://origin.test:{self.secure.port}/echo-head"], env={"HOME": self.folder})
        record = self.record(lambda r: r.kind == "request" and r.mode == "socks5"
                             and "Chrome" in r.line and r.path == "/echo-head",
                             "the browser's request")
        self.assertEqual(record.status, 200)
        self.assertEqual(record.target, f"origin.test:{self.secure.port}")

    def test_socks_refusals(self):
        cases = [
            (b"\x04\x01\x00\x50\x7f\x00\x00\x01\x00", b"\x00\x5b" + bytes(6), "SOCKS"),
            (b"\x05\x00", b"\x05\xff", "SOCKS"),
            (b"\x05\x01\x02", b"\x05\xff", "insists"),
            (b"\x05\x02\x01\x02", b"\x05\xff", "insists"),
            (b"GET / HTTP/1.1\r\n\r\n", b"\x05\xff", "SOCKS"),
            (b"\x05\x01\x00" + socks_request("origin.test", 443, 2), b"\x05\x00\x05\x07", "BIND"),
            (b"\x05\x01\x00" + socks_request("origin.test", 443, 3), b"\x05\x00\x05\x07", "UDP"),
            (b"\x05\x01\x00\x05\x01\x00\x02", b"\x05\x00\x05\x08", "address"),
            (b"\x05\x01\x00\x05\x01\x00\x03\x00", b"\x05\x00\x05", "SOCKS"),
            (b"\x05\x01\x00" + socks_request("origin.test", 0), b"\x05\x00\x05", "SOCKS"),
            (b"\x05\x01\x00" + socks_request("o\nrigin", 443), b"\x05\x00\x05", "SOCKS"),
            (b"\x05\x01\x00" + socks_request("origin.test", 22), b"\x05\x00\x05\x02", "port"),
            (b"\x05\x01\x00" + socks_request("nowhere.invalid", 443), b"\x05\x00\x05\x00", None),
            (b"\x05\x01\x00" + socks_request("127.0.0.1", 9), b"\x05\x00\x05\x00", None),
        ]
        for sent, expected, fault in cases:
            with self.subTest(sent=sent):
                sock = self.dial(listener="socks")
                sock.sendall(sent)
                got = origins.Reader(sock).exactly(len(expected))
                self.assertEqual(got, expected)
                if fault:
                    harness.read_to_end(sock)
                    self.record(lambda r: fault in (r.fault or ""), fault)

    # ---- reverse ----

    def reverse_tls(self, listener, name="origin.test", alpn=("http/1.1",)):
        return self.keep(harness.client_context(self.weir.ca, list(alpn)).wrap_socket(
            self.dial(listener=listener), server_hostname=name))

    def test_reverse_tls_to_tls(self):
        tls = self.reverse_tls("tls_tls")
        self.assertEqual(self.get(tls, "/bytes/5000").body, origins.pattern(0, 5000))
        self.record(lambda r: r.kind == "request" and r.mode == "reverse"
                    and r.decision == "intercept" and r.server_tls and r.client_tls)

    def test_reverse_clear_to_tls(self):
        sock = self.dial(listener="tls_tls")
        self.assertEqual(self.get(sock, "/bytes/5000").body, origins.pattern(0, 5000))
        record = self.record(lambda r: r.kind == "request" and r.server_tls and not r.client_tls)
        self.assertEqual(record.http_host, "origin.test")

    def test_reverse_tls_to_clear(self):
        tls = self.reverse_tls("any_tcp", name="shop.test")
        self.assertEqual(tls.selected_alpn_protocol(), "http/1.1")
        self.assertEqual(self.get(tls, "/bytes/5000").body, origins.pattern(0, 5000))
        self.assertEqual(certs.subject_names(ssl.DER_cert_to_PEM_cert(
            tls.getpeercert(binary_form=True)))[0], "shop.test")
        self.record(lambda r: r.kind == "request" and r.client_tls and not r.server_tls)

    def test_reverse_clear_to_clear(self):
        sock = self.dial(listener="any_tcp")
        for _ in range(3):
            self.assertEqual(self.get(sock, "/bytes/500").body, origins.pattern(0, 500))

    def test_reverse_server_speaks_first(self):
        sock = self.dial(listener="to_banner")
        self.assertEqual(origins.Reader(sock).until(b"\r\n"), b"220 mail.test ESMTP")

    def test_reverse_to_an_address(self):
        sock = self.dial(listener="to_ip")  # the certificate names 127.0.0.1
        self.assertEqual(self.get(sock, "/bytes/50").body, origins.pattern(0, 50))

    def test_reverse_unverified(self):
        """The target's certificate is for another name: a page says so, in clear and in TLS."""
        for sock in (self.dial(listener="bad_name"), self.reverse_tls("bad_name", "other.test")):
            answer = self.get(sock, "/", host="other.test")
            self.assertEqual(answer.status, 502)
            self.assertIn(b"other.test", answer.body)

    # ---- the PROXY protocol ----

    def get_behind(self, listener, header):
        sock = self.dial(listener=listener)
        for piece in header if isinstance(header, list) else [header]:
            sock.sendall(piece)
            time.sleep(0.01 if isinstance(header, list) else 0)
        url = f"http://origin.test:{self.clear.port}/bytes/20"
        sock.sendall(f"GET {url} HTTP/1.1\r\nHost: origin.test\r\n"
                     "Connection: close\r\n\r\n".encode())
        return harness.read_answer(origins.Reader(sock), "GET")

    def test_proxy_header(self):
        tlvs = tlv(0x02, b"shop.example") + tlv(0x05, b"request-1") + tlv(0x01, b"h2")
        for listener in ("balanced", "perhaps"):
            for port, header in enumerate((
                    b"PROXY TCP4 203.0.113.9 198.51.100.1 %d 443\r\n",
                    None,
                    [proxy_v2()[i:i + 5] for i in range(0, 40, 5)])):
                number = 41000 + port + (100 if listener == "perhaps" else 0)
                if header is None:
                    header = proxy_v2((CLIENT[0], number), tlvs=tlvs)
                elif isinstance(header, list):
                    whole = proxy_v2((CLIENT[0], number))
                    header = [whole[i:i + 3] for i in range(0, len(whole), 3)]
                else:
                    header = header % number
                with self.subTest(listener=listener, header=header):
                    self.assertEqual(self.get_behind(listener, header).status, 200)
                    record = self.record(lambda r: r.client == f"{CLIENT[0]}:{number}")
                    self.assertEqual(record.balancer["destination"], "198.51.100.1:443")
                    if tlvs in (header if isinstance(header, bytes) else b""):
                        self.assertEqual(record.balancer["authority"], "shop.example")
                        self.assertEqual(record.balancer["unique_id"], "request-1")
                        self.assertEqual(record.balancer["alpn"], "h2")

    def test_proxy_header_local(self):
        """A health check of the balancer's own: it is who it is."""
        self.assertEqual(self.get_behind("balanced", proxy_v2(command=0)).status, 200)
        self.record(lambda r: r.client.startswith("127.0.0.1:") and r.listener.endswith(
            str(self.weir.ports["balanced"])))

    def test_proxy_header_may_be_missing(self):
        self.assertEqual(self.get_behind("perhaps", b"").status, 200)
        self.assertEqual(self.get_behind("spoofed", b"").status, 200)

    def turned_away(self, listener, sent, fault):
        try:
            sock = self.dial(listener=listener)
            sock.sendall(sent)
            data, _ = harness.read_to_end(sock)
        except ConnectionError:
            data = b""
        self.record(lambda r: fault in (r.fault or "") and r.listener.endswith(
            str(self.weir.ports[listener] if listener else self.weir.port)), fault)
        return data

    def test_proxy_header_refused(self):
        cases = [
            ("balanced", b"GET / HTTP/1.1\r\n\r\n", "bad PROXY protocol header"),
            ("balanced", b"PROXY TCP4 203.0.113.9\r\n", "bad PROXY protocol header"),
            ("balanced", V2_SIGNATURE + b"\x31\x11\x00\x0c" + bytes(12), "bad PROXY protocol"),
            ("perhaps", b"PROXY TCP4 203.0.113.300 1.1.1.1 1 2\r\n", "bad PROXY protocol header"),
            ("elsewhere", proxy_v2(), "balancers alone"),
            ("spoofed", proxy_v2(), "none of the listener's balancers"),
            ("spoofed", b"PROXY TCP4 203.0.113.9 198.51.100.1 1 443\r\n",
             "none of the listener's balancers"),
            (None, proxy_v2(), "none of the listener's balancers"),
            ("closed", b"GET / HTTP/1.1\r\n\r\n", "none of the listener's networks"),
            ("guarded", proxy_v2(("198.51.100.7", 1)), "none of the listener's networks"),
        ]
        for listener, sent, fault in cases:
            with self.subTest(listener=listener, sent=sent):
                self.assertEqual(self.turned_away(listener, sent, fault), b"")

    def test_rule_and_guard_see_the_given_client(self):
        self.assertEqual(self.get_behind("guarded", proxy_v2()).status, 200)

    # ---- names that disagree, and where clients are ----

    def refused_page(self, authority, name, ca=None):
        """The status of the answer inside TLS to a client that asks for this server name."""
        context = harness.client_context(ca or self.weir.ca, ["http/1.1"])
        context.check_hostname = False
        tls = self.keep(context.wrap_socket(self.tunnel(authority), server_hostname=name))
        return self.get(tls, "/bytes/5", host=name).status

    def test_name_is_not_the_host(self):
        """The SNI is another name than CONNECT's: in the log, and a rule may refuse that."""
        port = self.secure.port
        self.assertEqual(self.refused_page(f"origin.test:{port}", "origin.test"), 200)
        self.assertEqual(self.refused_page(f"a.fronted.test:{port}", "origin.test"), 403)
        record = self.record(lambda r: r.mismatch == "sni" and r.kind == "tunnel"
                             and r.target == f"a.fronted.test:{port}")
        self.assertEqual(record.rule, "fronting")

    def test_name_is_not_the_address(self):
        """To an address, with a name that is looked up: one that leads there, and others."""
        port = self.secure.port
        self.assertEqual(self.refused_page(f"127.0.0.1:{port}", "origin.test"), 200)
        self.assertEqual(self.refused_page(f"127.0.0.1:{port}", "a.six.test"), 403)
        self.assertEqual(self.refused_page(f"127.0.0.1:{port}", "nowhere.invalid"), 403)
        self.record(lambda r: r.mismatch == "sni" and r.sni == "nowhere.invalid"
                    and r.rule == "fronting to an address")

    def test_rule_on_the_client(self):
        """The client that the load balancer names, not the load balancer."""
        def ask(client):
            sock = self.dial(listener="balanced")
            url = f"http://origin.test:{self.clear.port}/bytes/5"
            sock.sendall(proxy_v2((client, 7)) + f"GET {url} HTTP/1.1\r\nHost: origin.test\r\n"
                         "Connection: close\r\n\r\n".encode())
            return harness.read_answer(origins.Reader(sock), "GET").status

        self.assertEqual(ask("203.0.113.9"), 200)
        self.assertEqual(ask("198.51.100.200"), 403)
        self.record(lambda r: r.rule == "not from there" and r.status == 403)

    # ---- the wrong door ----

    def test_transparent_itself(self):
        """Whom the kernel did not send there has no destination but the listener itself."""
        self.assertEqual(self.turned_away("transparent", b"GET / HTTP/1.1\r\n\r\n",
                                          "transparent listener itself"), b"")

    def test_wrong_door(self):
        cases = [
            (b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", b"\x15\x03\x01\x00\x02\x02\x0a", "https://"),
            (b"\x05\x01\x00", b"\x05\xff", "mode is forward"),
            (b"\x04\x01\x00\x50\x7f\x00\x00\x01\x00", b"\x00\x5b" + bytes(6), "mode is forward"),
        ]
        for sent, expected, fault in cases:
            with self.subTest(sent=sent):
                self.assertEqual(self.turned_away(None, sent, fault), expected)


if __name__ == "__main__":
    harness.main()
