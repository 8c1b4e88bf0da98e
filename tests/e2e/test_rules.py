# SPDX-License-Identifier: Apache-2.0
"""Rules: intercept, tunnel or refuse, by host, SNI and port, the first match decides."""
import ssl

import harness
import origins
from harness import rule


class Rules(harness.WeirCase):
    @classmethod
    def prepare(cls):
        cls.one = origins.HttpOrigin(origins.server_context(cls.certificate))
        cls.two = origins.HttpOrigin(origins.server_context(cls.certificate))
        cls.addClassCleanup(cls.one.close)
        cls.addClassCleanup(cls.two.close)
        cls.CONFIG = {"intercept": {"rules": [
            rule("bank", "tunnel", host=["bank.origin.test"]),
            rule("wild", "tunnel", host=["*.quiet.test"]),
            rule("blocked", "refuse", host=["bad.origin.test"]),
            rule("hidden", "tunnel", sni=["sni.origin.test"]),
            rule("other port", "tunnel", port=[cls.two.port]),
            rule("never reached", "refuse", host=["bank.origin.test"]),
        ]}}

    def issuer(self, host, port, sni=None):
        """Who signed what the client was shown: "root" in a tunnel, else weir's CA."""
        context = harness.client_context()
        sock = self.tunnel(f"{host}:{port}")
        tls = self.keep(context.wrap_socket(sock, server_hostname=sni or host))
        answer = self.get(tls, "/bytes/3")
        self.assertEqual(answer.body, origins.pattern(0, 3))
        issuer = self.issuer_of(tls)
        tls.close()
        return issuer

    def tunnels(self):
        return [record for record in self.weir.records() if record.kind == "tunnel"]

    def test_decisions(self):
        """Each row of the table: who the client was talking TLS with, and what the log says."""
        for host, port, sni, decision, name in (
                ("www.origin.test", self.one.port, None, "intercept", None),
                ("bank.origin.test", self.one.port, None, "tunnel", "bank"),
                ("BANK.Origin.Test", self.one.port, "bank.origin.test", "tunnel", "bank"),
                ("deep.quiet.test", self.one.port, "www.origin.test", "tunnel", "wild"),
                ("www.origin.test", self.one.port, "sni.origin.test", "tunnel", "hidden"),
                ("www.origin.test", self.two.port, None, "tunnel", "other port")):
            with self.subTest(host=host, port=port, sni=sni):
                before = len(self.tunnels())
                issuer = self.issuer(host, port, sni)
                self.assertEqual(issuer == "root", decision == "tunnel", issuer)
                record = harness.wait_for("the record", lambda: next(iter(
                    self.tunnels()[before:]), None))
                self.assertEqual(record.decision, decision)
                if name:
                    self.assertEqual(record.rule, name)

    def test_refuse(self):
        """A refused host gets 403 with the reason, nothing is dialled, and the log names the
        rule."""
        before = self.one.accepted
        _, _, answer = self.connect_answer(f"bad.origin.test:{self.one.port}")
        self.assertEqual(answer.status, 403)
        self.assertIn("proxy-status", dict(answer.fields))
        self.assertEqual(self.one.accepted, before)
        record = self.weir.wait_record(lambda r: r.rule == "blocked")
        self.assertEqual(record.decision, "refuse")
        answer = self.get_plain(f"http://bad.origin.test:{self.one.port}/")
        self.assertEqual(answer.status, 403)

    def test_connect_ports(self):
        """CONNECT to a port that is not listed gets 403; the port is not dialled."""
        closed = origins.Server(lambda sock: None)
        self.addCleanup(closed.close)
        _, _, answer = self.connect_answer(f"www.origin.test:{closed.port}")
        self.assertEqual(answer.status, 403)
        self.assertEqual(closed.accepted, 0)
        record = self.weir.wait_record(lambda r: r.rule == "connect.ports")
        self.assertEqual(record.decision, "refuse")


class RefuseByDefault(harness.WeirCase):
    @classmethod
    def prepare(cls):
        cls.server = origins.HttpOrigin(origins.server_context(cls.certificate))
        cls.addClassCleanup(cls.server.close)
        cls.CONFIG = {"intercept": {"default": "refuse", "rules": [
            rule("allowed", "intercept", host=["www.origin.test"])]}}

    def test_default(self):
        """With refuse as the default only what a rule names goes through."""
        _, _, answer = self.connect_answer(f"else.origin.test:{self.server.port}")
        self.assertEqual(answer.status, 403)
        sock = self.tls(f"www.origin.test:{self.server.port}")
        self.assertEqual(self.get(sock, "/bytes/4").body, origins.pattern(0, 4))


class SafeDefaults(harness.WeirCase):
    """connect.ports and connect.allow_private are left at their defaults."""

    @classmethod
    def base_config(cls, folder):
        config = super().base_config(folder)
        del config["connect"]
        return config

    @classmethod
    def prepare(cls):
        cls.server = origins.HttpOrigin()
        cls.addClassCleanup(cls.server.close)

    def test_private_destinations(self):
        """Loopback, private, link-local and their disguises are refused with 403 for CONNECT and
        for plain requests, and never dialled."""
        hosts = ["127.0.0.1", "127.8.8.8", "[::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]",
                 "[2002:7f00:1::]", "0.0.0.0", "[::]", "10.0.0.1", "172.16.0.1", "192.168.1.1",
                 "169.254.169.254", "[fd00:ec2::254]", "[fe80::1]", "100.64.0.1", "224.0.0.1",
                 "255.255.255.255", "origin.test", "origin.test.", "private.test", "localhost"]
        for host in hosts:
            with self.subTest(host=host):
                answer = self.connect_outcome(f"{host}:443")
                self.assertEqual(answer.status, 403, answer.body)
                answer = self.get_plain(f"http://{host}:{self.server.port}/")
                self.assertEqual(answer.status, 403, answer.body)
        self.assertEqual(self.server.accepted, 0)

    def test_connect_port(self):
        """CONNECT is for 443 alone."""
        for port in (22, 25, 80, 8443, self.server.port):
            with self.subTest(port=port):
                _, _, answer = self.connect_answer(f"origin.test:{port}")
                self.assertEqual(answer.status, 403)

    def test_ca_files(self):
        """The CA made at the first start: the key is the owner's alone, and the certificate is a
        P-256 CA that certificates can be checked against."""
        import os
        self.assertEqual(os.stat(os.path.join(self.weir.ca_dir, "weir-ca.pem")).st_mode & 0o777,
                         0o600)
        for name in ("weir-ca-cert.pem", "weir-ca-cert.cer", "weir-ca-cert.p12"):
            self.assertTrue(os.path.getsize(os.path.join(self.weir.ca_dir, name)) > 0, name)
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(self.weir.ca)


if __name__ == "__main__":
    harness.main()
