# SPDX-License-Identifier: Apache-2.0
"""The certificates that clients are shown: accepted by independent verifiers, with the right
names, made once and then remembered."""
import os
import ssl
import subprocess
import threading

import certs
import harness
import origins


class Leaf(harness.WeirCase):
    @classmethod
    def prepare(cls):
        issue = cls.authority.issue
        cls.servers = {}
        for name, certificate in (
                ("plain", issue("plain", ["www.origin.test", "alias.origin.test"])),
                ("wildcard", issue("wildcard", ["*.wild.test", "wild.test"])),
                ("address", issue("address", ["127.0.0.1"])),
                ("rsa", issue("rsa", ["rsa.origin.test"], key="rsa")),
                ("many", issue("many", [f"name{i}.origin.test" for i in range(200)]))):
            server = origins.HttpOrigin(origins.server_context(certificate))
            cls.addClassCleanup(server.close)
            cls.servers[name] = server
        cls.extra_ports = [server.port for server in cls.servers.values()]

    def setUp(self):
        super().setUp()
        self.addCleanup(lambda: [s.close_connections() for s in self.servers.values()])

    def leaf(self, authority, **more):
        """The PEM text of the leaf, as a verifying client got it."""
        sock = self.tls(authority, **more)
        pem = ssl.DER_cert_to_PEM_cert(sock.getpeercert(binary_form=True))
        sock.close()
        return pem

    def names(self, authority, **more):
        common, issuer, names = certs.subject_names(self.leaf(authority, **more))
        self.assertNotEqual(issuer, "root", "this was not intercepted")
        return common, names

    def test_names(self):
        """CN and alternative names are the asked name and those of the server's certificate."""
        common, names = self.names(f"www.origin.test:{self.servers['plain'].port}")
        self.assertEqual(common, "www.origin.test")
        self.assertEqual(names, {"DNS:www.origin.test", "DNS:alias.origin.test"})

    def test_sni_differs_from_connect(self):
        """CONNECT by address, name only in the hello: the leaf is for the hello's name."""
        common, names = self.names(f"127.0.0.1:{self.servers['plain'].port}",
                                   server_hostname="www.origin.test")
        self.assertEqual(common, "www.origin.test")
        self.assertIn("DNS:www.origin.test", names)

    def test_address_without_sni(self):
        """CONNECT to an address, no SNI: the leaf is for the address, as an IP name."""
        context = harness.client_context(self.weir.ca)
        context.check_hostname = False
        sock = self.tunnel(f"127.0.0.1:{self.servers['address'].port}")
        tls = self.keep(context.wrap_socket(sock))  # no server_hostname: no SNI
        pem = ssl.DER_cert_to_PEM_cert(tls.getpeercert(binary_form=True))
        self.assertIn("IP Address:127.0.0.1", certs.subject_names(pem)[2])
        tls.close()

    def test_wildcard(self):
        """A server with a wildcard certificate: the leaf has the asked name and the wildcard."""
        _, names = self.names(f"a.wild.test:{self.servers['wildcard'].port}")
        self.assertTrue({"DNS:a.wild.test", "DNS:*.wild.test"} <= names, names)

    def test_many_names(self):
        """Of a certificate with hundreds of names the asked one is always in the leaf."""
        _, names = self.names(f"name199.origin.test:{self.servers['many'].port}")
        self.assertIn("DNS:name199.origin.test", names)

    def test_rsa_server(self):
        """A server with an RSA key is intercepted with a leaf that the client verifies."""
        common, _ = self.names(f"rsa.origin.test:{self.servers['rsa'].port}")
        self.assertEqual(common, "rsa.origin.test")

    def test_rsa_only_client(self):
        """A client that accepts only RSA signatures gets an RSA leaf."""
        context = harness.client_context(self.weir.ca, maximum=ssl.TLSVersion.TLSv1_2)
        context.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
        sock = self.tunnel(f"www.origin.test:{self.servers['plain'].port}")
        tls = self.keep(context.wrap_socket(sock, server_hostname="www.origin.test"))
        self.assertIn("RSA", tls.cipher()[0])
        tls.close()

    def test_profile(self):
        """openssl verifies the leaf strictly, as a server's and for its name; validity, key usage
        and key identifiers are as browsers want them."""
        path = os.path.join(self.folder, "leaf.pem")
        with open(path, "w", encoding="ascii") as out:
            out.write(self.leaf(f"www.origin.test:{self.servers['plain'].port}"))
        out = certs.openssl("verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname",
                            "www.origin.test", "-CAfile", self.weir.ca, path)
        self.assertIn(": OK", out)
        text = certs.openssl("x509", "-noout", "-text", "-in", path)
        for part in ("TLS Web Server Authentication", "X509v3 Authority Key Identifier",
                     "X509v3 Subject Key Identifier", "Digital Signature", "prime256v1"):
            self.assertIn(part, text)
        self.assertNotIn("CA:TRUE", text)
        certs.openssl("x509", "-noout", "-checkend", str(7 * 86400), "-in", path)
        key = certs.openssl("x509", "-noout", "-pubkey", "-in", path)
        self.assertNotEqual(key, certs.openssl("x509", "-noout", "-pubkey", "-in", self.weir.ca))

    @harness.program("certtool", "gnutls-bin")
    def test_gnutls_accepts(self):
        """GnuTLS, a second implementation, verifies the chain."""
        leaf = self.leaf(f"www.origin.test:{self.servers['plain'].port}")
        with open(self.weir.ca, encoding="ascii") as ca:
            chain = leaf + ca.read()
        done = subprocess.run(
            ["certtool", "--verify", "--load-ca-certificate", self.weir.ca,
             "--verify-hostname", "www.origin.test", "--verify-purpose", "1.3.6.1.5.5.7.3.1"],
            input=chain.encode(), capture_output=True, check=False, timeout=30)
        out = done.stdout.decode() + done.stderr.decode()
        self.assertEqual(done.returncode, 0, out)
        self.assertIn("Chain verification output: Verified", out)

    def test_client_without_our_ca(self):
        """A client that does not know our CA says so by an alert, in clear or not; the log names it
        and not some broken record."""
        server = self.servers["plain"]
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with self.subTest(version=version):
                before = len(self.weir.records())
                with self.assertRaises(ssl.SSLCertVerificationError):
                    self.tls(f"www.origin.test:{server.port}", ca=self.authority.certificate,
                             minimum=version, maximum=version)
                record = harness.wait_for("the record", lambda: next(iter(
                    self.weir.records()[before:]), None))
                self.assertEqual(record.close, "client_tls_failed")
                self.assertEqual(record.error, "tls_alert_received")
                self.assertIn("unknown_ca (48)", record.fault)

    def test_made_once(self):
        """Twenty first connections at once and ten later ones: one certificate for all."""
        authority = f"alias.origin.test:{self.servers['plain'].port}"
        leaves = []
        threads = [threading.Thread(target=lambda: leaves.append(self.leaf(authority)))
                   for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(harness.WAIT_S)
        leaves += [self.leaf(authority) for _ in range(10)]
        self.assertEqual((len(leaves), len(set(leaves))), (30, 1))

    def test_other_name_other_leaf(self):
        """Two names of one server certificate get two leaves, each with its own CN: nothing is
        remembered under a key that leaves the name out."""
        port = self.servers["wildcard"].port
        common = [self.names(f"{name}.wild.test:{port}")[0] for name in ("x", "y", "x")]
        self.assertEqual(common, ["x.wild.test", "y.wild.test", "x.wild.test"])


if __name__ == "__main__":
    harness.main()
