# SPDX-License-Identifier: Apache-2.0
"""Verdicts in the running proxy: who intercepted the client before weir, what the log says of it, and
the rules that ask for it. The database is made of this machine's own client, Python's TLS."""
import json
import os
import signal
import ssl
import subprocess
import unittest

import harness
import hello
import origins
from harness import rule

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
CHROME = ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
          "Chrome/120.0.0.0 Safari/537.36")
SAFARI = ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
          "Version/17.4 Safari/605.1.15")
ANY_FIREFOX = "4:128-128:3:10::1:"
ANY_CHROME = "1:120-120:3:10::1:"


def facts(context):
    """What `weir fingerprint` says of the hello that this context sends."""
    client = hello.ManualClient(None, context, "origin.test")
    line = json.dumps({"client_hello": client.hello.hex()}) + "\n"
    printed = subprocess.run([harness.BINARY, "fingerprint", "--json", "-"], input=line.encode(),
                             capture_output=True, check=True)
    return json.loads(printed.stdout)


def signature_of(fingerprint):
    """As a signature: any headers, but none that only proxies add."""
    return ":".join(fingerprint.split(":")[:5]) + ":*:~?grease"


def write_database(folder, browsers, products=(), headers=()):
    os.makedirs(folder, exist_ok=True)
    for name, lines in (("browser.txt", browsers), ("mitm.txt", products),
                        ("badheader.txt", headers)):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write("".join(line + "\n" for line in lines))
    return folder


class Verdicts(harness.WeirCase):
    """Python's hello is Firefox's in this database, and Old Proxy's too when TLS 1.2 is its last."""

    @classmethod
    def prepare(cls):
        cls.secure = origins.HttpOrigin(origins.server_context(cls.certificate))
        cls.addClassCleanup(cls.secure.close)
        cls.modern = facts(cls.context())
        cls.old = facts(cls.context(ssl.TLSVersion.TLSv1_2))
        signature = signature_of(cls.modern["request_fingerprint"])
        product = signature_of(cls.old["request_fingerprint"])
        cls.database = write_database(
            os.path.join(cls.folder, "database"),
            [f"{ANY_FIREFOX}|{signature}|:0:0|2026-11-22",
             f"{ANY_CHROME}|303:1,2,3:*:*:*:*:*|:0:0|2026-11-22"],
            [f"0::0:0::0:|{product}|Old Proxy:5:3"], ["via"])
        cls.CONFIG = {
            "detect": {"databases": [cls.database]},
            "intercept": {"rules": [
                rule("no proxies", "refuse", product=["old proxy"], host=["guarded.origin.test"]),
                rule("no interception", "refuse", verdict=["intercepted"],
                     host=["guarded.origin.test"]),
                rule("by ja4", "tunnel", ja4=[cls.old["ja4"]], host=["ja4.origin.test"]),
                rule("by ja3", "tunnel", ja3=[cls.old["ja3"]], host=["ja3.origin.test"])]}}

    @staticmethod
    def context(last=None, ca=None):
        return harness.client_context(ca, ["http/1.1"], None, last)

    def open(self, host="www.origin.test", agent=None, last=None):
        """A TLS connection through a CONNECT that may have a User-Agent."""
        sock = self.dial()
        authority = f"{host}:{self.secure.port}"
        field = f"User-Agent: {agent}\r\n" if agent else ""
        sock.sendall(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{field}\r\n".encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += sock.recv(1)
        self.assertIn(b" 200 ", head)
        return self.keep(self.context(last).wrap_socket(sock, server_hostname=host))

    def ask(self, tls, agent, fields="", host="www.origin.test"):
        named = f"User-Agent: {agent}\r\n" if agent else ""
        tls.sendall(f"GET /bytes/3 HTTP/1.1\r\nHost: {host}\r\n{named}{fields}\r\n".encode())
        return harness.read_answer(origins.Reader(tls))

    def verdict(self, before, kind="request"):
        record = harness.wait_for("the record", lambda: next(
            (r for r in self.weir.records()[before:] if r.kind == kind), None))
        return json.loads(record.line).get("detect"), record

    def test_genuine(self):
        """The browser that the User-Agent names, as the database knows it."""
        before = len(self.weir.records())
        self.assertEqual(self.ask(self.open(), FIREFOX).status, 200)
        found, _ = self.verdict(before)
        self.assertEqual((found["verdict"], found["basis"]), ("genuine", "request"))
        self.assertEqual((found["browser"], found["browser_version"]), ("Firefox", "128.0.0"))
        self.assertNotIn("product", found)
        self.assertNotIn("reason", found)

    def test_liar(self):
        """A User-Agent that is not this client's."""
        before = len(self.weir.records())
        self.assertEqual(self.ask(self.open(), CHROME).status, 200)
        found, _ = self.verdict(before)
        self.assertEqual((found["verdict"], found["browser"]), ("intercepted", "Chrome"))
        self.assertEqual(found["reason"], "impossible_cipher")

    def test_product(self):
        """A hello that a product sends is named by it, whatever the User-Agent."""
        before = len(self.weir.records())
        self.assertEqual(self.ask(self.open(last=ssl.TLSVersion.TLSv1_2), FIREFOX).status, 200)
        found, _ = self.verdict(before)
        self.assertEqual(found["verdict"], "intercepted")
        self.assertEqual(found["product"].lower(), "old proxy")
        self.assertEqual(found["product_type"], "proxy")

    def test_bad_header(self):
        """A header that only proxies add."""
        before = len(self.weir.records())
        self.assertEqual(self.ask(self.open(), FIREFOX, "Via: 1.1 somebody\r\n").status, 200)
        found, _ = self.verdict(before)
        self.assertEqual((found["verdict"], found["reason"]), ("intercepted", "impossible_quirk"))

    def test_unknown(self):
        """A browser that the database does not know, and none at all."""
        for agent, browser in ((SAFARI, "Safari"), (None, None)):
            with self.subTest(agent=agent):
                before = len(self.weir.records())
                self.assertEqual(self.ask(self.open(), agent).status, 200)
                found, _ = self.verdict(before)
                self.assertEqual((found["verdict"], found["unknown"]), ("unknown", "browser"))
                self.assertEqual(found.get("browser"), browser)

    def test_first_request_counts(self):
        """The first request is judged, and stays."""
        before = len(self.weir.records())
        tls = self.open()
        for agent in (FIREFOX, CHROME):
            self.assertEqual(self.ask(tls, agent).status, 200)
        harness.wait_for("two records", lambda: len(self.weir.records()) - before >= 2)
        for record in self.weir.records()[before:before + 2]:
            self.assertEqual(json.loads(record.line)["detect"]["verdict"], "genuine")

    def test_tunnel(self):
        """A tunnel is judged by its hello and the User-Agent of the CONNECT."""
        for agent, basis, expected in ((None, "hello", "unknown"), (FIREFOX, "connect", "intercepted")):
            with self.subTest(agent=agent):
                before = len(self.weir.records())
                tls = self.open("ja4.origin.test", agent, ssl.TLSVersion.TLSv1_2)
                self.assertEqual(self.issuer_of(tls), "root")
                tls.close()
                found, record = self.verdict(before, "tunnel")
                self.assertEqual((record.decision, record.rule), ("tunnel", "by ja4"))
                self.assertEqual((found["verdict"], found["basis"]), (expected, basis))
                self.assertEqual(found["product"].lower(), "old proxy")

    def test_rules_by_fingerprint(self):
        """JA3 and JA4 in rules; others than those named are intercepted."""
        for host in ("ja3.origin.test", "ja4.origin.test"):
            for last, issuer_is_root in ((ssl.TLSVersion.TLSv1_2, True), (None, False)):
                with self.subTest(host=host, last=last):
                    tls = self.open(host, last=last)
                    self.assertEqual(self.issuer_of(tls) == "root", issuer_is_root)

    def test_refused_by_product(self):
        """A product that a rule refuses is told so inside TLS, and nothing is dialled for it."""
        count = len(self.secure.requests)
        before = len(self.weir.records())
        tls = self.open("guarded.origin.test", last=ssl.TLSVersion.TLSv1_2)
        answer = self.ask(tls, FIREFOX, host="guarded.origin.test")
        self.assertEqual(answer.status, 403)
        _, record = self.verdict(before, "tunnel")
        self.assertEqual((record.decision, record.rule), ("refuse", "no proxies"))
        self.assertEqual(len(self.secure.requests), count)

    def test_refused_by_the_first_request(self):
        """What only the first request shows: it does not reach the server."""
        count = len(self.secure.requests)
        before = len(self.weir.records())
        tls = self.open("guarded.origin.test")
        answer = self.ask(tls, CHROME, host="guarded.origin.test")
        self.assertEqual(answer.status, 403)
        self.assertIn(b"refuses", answer.body)
        found, record = self.verdict(before, "tunnel")
        self.assertEqual((record.decision, record.rule, record.close),
                         ("refuse", "no interception", "refused"))
        self.assertEqual(found["verdict"], "intercepted")
        self.assertEqual(len(self.secure.requests), count)
        tls = self.open("guarded.origin.test")
        self.assertEqual(self.ask(tls, FIREFOX, host="guarded.origin.test").status, 200)


class Reload(harness.WeirCase):
    CONFIG = None

    @classmethod
    def prepare(cls):
        cls.secure = origins.HttpOrigin(origins.server_context(cls.certificate))
        cls.addClassCleanup(cls.secure.close)

    def setUp(self):
        super().setUp()
        self.database = os.path.join(self.folder, self.id().rsplit(".", 1)[1])
        self.signature = signature_of(facts(Verdicts.context())["request_fingerprint"])

    def start(self):
        own = self.new_weir("own-" + os.path.basename(self.database),
                            {"detect": {"databases": [self.database]}})
        own.start()
        self.addCleanup(own.stop)
        return own

    def verdict(self, own):
        before = len(own.records())
        sock = self.keep(harness.socket.create_connection(("127.0.0.1", own.port)))
        authority = f"www.origin.test:{self.secure.port}"
        sock.sendall(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
        harness.read_head(origins.Reader(sock))
        tls = self.keep(Verdicts.context().wrap_socket(sock, server_hostname="www.origin.test"))
        tls.sendall(f"GET /bytes/3 HTTP/1.1\r\nHost: x\r\nUser-Agent: {FIREFOX}\r\n\r\n".encode())
        self.assertEqual(harness.read_answer(origins.Reader(tls)).status, 200)
        record = harness.wait_for("the record", lambda: next(iter(own.records()[before:]), None))
        return json.loads(record.line)["detect"]["verdict"]

    def test_new_signatures(self):
        """SIGHUP: the folder is read again, and new connections are judged by what is there now."""
        write_database(self.database, [])
        own = self.start()
        self.assertEqual(self.verdict(own), "unknown")
        write_database(self.database, [f"{ANY_FIREFOX}|{self.signature}|:0:0"])
        own.signal(signal.SIGHUP)
        harness.wait_for("the reload", lambda: "configuration reloaded" in own.stderr())
        self.assertEqual(self.verdict(own), "genuine")

    def test_bad_signatures(self):
        """A line that is no record: named, and the set that was good goes on."""
        write_database(self.database, [f"{ANY_FIREFOX}|{self.signature}|:0:0"])
        own = self.start()
        write_database(self.database, ["# a comment", f"{ANY_FIREFOX}|{self.signature}|nonsense"])
        own.signal(signal.SIGHUP)
        harness.wait_for("the refusal", lambda: "reload failed" in own.stderr())
        self.assertRegex(own.stderr(), r"browser\.txt:2:\d+: error: .* expected")
        self.assertEqual(self.verdict(own), "genuine")


class BadStart(unittest.TestCase):
    @unittest.skipUnless(harness.is_weir_there(), "WEIR_BINARY names no program")
    def test_bad_signatures(self):
        """weir does not start with signatures that it cannot read."""
        with harness.tempfile.TemporaryDirectory() as folder:
            write_database(os.path.join(folder, "db"), ["nonsense"])
            config = os.path.join(folder, "weir.yaml")
            with open(config, "w", encoding="utf-8") as file:
                json.dump({"listeners": [{"address": "127.0.0.1:0"}],
                           "intercept": {"ca_dir": os.path.join(folder, "ca")},
                           "detect": {"databases": [os.path.join(folder, "db")]}}, file)
            ended = subprocess.run([harness.BINARY, "run", "--config", config],
                                   capture_output=True, timeout=60, check=False)
            self.assertEqual(ended.returncode, 78, ended.stderr)
            self.assertRegex(ended.stderr.decode(), r"db/browser\.txt:1:\d+: error: .* expected")


if __name__ == "__main__":
    harness.main()
