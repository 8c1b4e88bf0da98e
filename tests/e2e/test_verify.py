# SPDX-License-Identifier: Apache-2.0
"""Servers that must not be trusted: the client learns why, in a page over its own TLS, and no
request ever reaches such a server."""
import socket

import certs
import harness
import origins


class Verify(harness.WeirCase):
    @classmethod
    def prepare(cls):
        issue = cls.authority.issue
        stranger = certs.Authority(cls.folder, "stranger")
        impostor = certs.Authority(cls.folder, "impostor")
        # name of the case: certificate, what Proxy-Status or the page must say (lower case)
        cls.cases = {
            "expired": (issue("expired", ["expired.test"], days=(-30, -1)), ("expired",)),
            "future": (issue("future", ["future.test"], days=(5, 30)), ("not yet", "future")),
            "self": (certs.self_signed(cls.folder, "self", ["self.test"]), ("self-signed",
                                                                            "self signed")),
            "other": (issue("other", ["somebody-else.test"]), ("name", "host")),
            "stranger": (stranger.issue("leaf", ["stranger.test"]), ("issuer", "root", "unknown",
                                                                    "trust")),
            "cn": (issue("cn", [], subject="/CN=cn.test"), ("name", "host")),
            "usage": (issue("usage", ["usage.test"], usage="clientAuth"), ("purpose", "usage")),
            "labels": (issue("labels", ["*.test"]), ("name", "host")),
            "impostor": (impostor.issue("leaf", ["impostor.test"]), ("issuer", "root", "unknown",
                                                                    "trust")),
        }
        cls.servers = {}
        for name, (certificate, _) in cls.cases.items():
            server = origins.HttpOrigin(origins.server_context(certificate, alpn=("http/1.1",)))
            cls.addClassCleanup(server.close)
            cls.servers[name] = server
        cls.good = origins.HttpOrigin(origins.server_context(cls.certificate))
        cls.addClassCleanup(cls.good.close)
        cls.extra_ports = [server.port for server in cls.servers.values()]

    def authority_of(self, name):
        # A wildcard covers one label: of "*.test", "a.b.test" is not part.
        host = "a.b.test" if name == "labels" else f"{name}.test"
        return f"{host}:{self.servers[name].port}"

    def test_fault_pages(self):
        """Each defect: the client's handshake completes with a certificate of weir's for the name
        asked, the answer is a 502 page, and page and Proxy-Status name this very fault. The server
        sees no request."""
        for name, (_, words) in self.cases.items():
            with self.subTest(case=name):
                sock = self.tls(self.authority_of(name))
                answer = self.get(sock, "/secret", host=f"{name}.test")
                sock.close()
                self.assertEqual(answer.status, 502)
                status = answer.get("proxy-status")
                self.assertIn("error=tls_certificate_error", status)
                said = (status + answer.body.decode(errors="replace")).lower()
                self.assertTrue(any(word in said for word in words), said)
                self.assertEqual(self.servers[name].requests, [])
                record = self.weir.wait_record(
                    lambda r, name=name: r.fault and self.authority_of(name) == r.target,
                    "a record that names the fault")
                self.assertIn("certificate", f"{record.error} {record.fault}")

    def test_good_server_beside_bad_ones(self):
        """A good server is still served after all of that."""
        sock = self.tls(f"origin.test:{self.good.port}")
        self.assertEqual(self.get(sock, "/bytes/5").body, origins.pattern(0, 5))

    def test_foreign_names_do_not_spread(self):
        """The names of a refused certificate get into no leaf."""
        sock = self.tls(self.authority_of("other"))
        pem = harness.ssl.DER_cert_to_PEM_cert(sock.getpeercert(binary_form=True))
        sock.close()
        _, _, names = certs.subject_names(pem)
        self.assertEqual(names, {"DNS:other.test"})


class OldServer(harness.WeirCase):
    @classmethod
    def prepare(cls):
        def no_tls(sock):
            sock.recv(4096)
            sock.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

        def silent_end(sock):
            sock.recv(4096)

        def alert(sock):
            sock.recv(4096)
            sock.sendall(bytes([21, 3, 3, 0, 2, 2, 40]))  # fatal handshake_failure

        cls.clear = origins.Server(no_tls)
        cls.ended = origins.Server(silent_end)
        cls.alerting = origins.Server(alert)
        for server in (cls.clear, cls.ended, cls.alerting):
            cls.addClassCleanup(server.close)

    def test_handshake_faults(self):
        """A server that speaks no TLS, ends, or refuses the handshake: a 502 page that says TLS was
        the trouble, not a silent end."""
        for server in (self.clear, self.ended, self.alerting):
            with self.subTest(port=server.port):
                sock = self.tls(f"old.origin.test:{server.port}")
                answer = self.get(sock, "/", host="old.origin.test")
                sock.close()
                self.assertEqual(answer.status, 502)
                self.assertRegex(answer.get("proxy-status"),
                                 r"error=(tls_protocol_error|tls_alert_received|"
                                 r"connection_terminated)")


class Unreachable(harness.WeirCase):
    @classmethod
    def prepare(cls):
        # A port that refuses: bound, not listening, for as long as the class lives.
        cls.refusing = socket.socket()
        cls.refusing.bind(("127.0.0.1", 0))
        cls.addClassCleanup(cls.refusing.close)
        cls.refusing_port = cls.refusing.getsockname()[1]
        cls.extra_ports = [cls.refusing_port]

    def check(self, answer, status, error):
        self.assertEqual(answer.status, status, answer.body)
        self.assertIn(f"error={error}", answer.get("proxy-status"))
        self.assertIn(b"<html", answer.body.lower())

    def test_refused(self):
        """A refused connection is a 502 that says so; for a CONNECT too."""
        self.check(self.get_plain(f"http://origin.test:{self.refusing_port}/"), 502,
                   "connection_refused")
        self.check(self.connect_outcome(f"origin.test:{self.refusing_port}"), 502,
                   "connection_refused")

    def test_no_such_name(self):
        """A name that does not exist is a 502 dns_error."""
        self.check(self.get_plain("http://no-such-host.invalid/"), 502, "dns_error")
        self.check(self.connect_outcome("no-such-host.invalid:443"), 502, "dns_error")


class NoVerify(harness.WeirCase):
    CONFIG = {"upstream": {"verify": False}}

    @classmethod
    def prepare(cls):
        cls.server = origins.HttpOrigin(origins.server_context(
            certs.self_signed(cls.folder, "self", ["self.test"])))
        cls.addClassCleanup(cls.server.close)

    def test_self_signed_passes(self):
        """With upstream.verify off, by the operator's own choice, a self-signed server works."""
        sock = self.tls(f"self.test:{self.server.port}")
        self.assertEqual(self.get(sock, "/bytes/6").body, origins.pattern(0, 6))


if __name__ == "__main__":
    harness.main()
