# SPDX-License-Identifier: Apache-2.0
"""Verdicts in the running proxy: who intercepted the client before weir, what the log says of it, and
the rules that ask for it. The database is made of this machine's own client, Python's TLS."""
import json
import os
import re
import signal
import ssl
import subprocess
import unittest

import h2_client
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
            "detect": {"databases": [cls.database], "header": "Weir-Verdict"},
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
        self.assertIn("; reason=impossible_cipher", self.secure.requests[-1].get("weir-verdict"))

    def test_product(self):
        """A hello that a product sends is named by it, whatever the User-Agent."""
        before = len(self.weir.records())
        self.assertEqual(self.ask(self.open(last=ssl.TLSVersion.TLSv1_2), FIREFOX).status, 200)
        found, _ = self.verdict(before)
        self.assertEqual(found["verdict"], "intercepted")
        self.assertEqual(found["product"].lower(), "old proxy")
        self.assertEqual(found["product_type"], "proxy")
        told = self.secure.requests[-1].get("weir-verdict")
        self.assertTrue(told.startswith("intercepted; basis=request; "), told)
        self.assertIn('; product="old proxy"; grade=', told)

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


ITEM = re.compile(r"(\w+)((?:; \w+=(?:\w+|\"[ -~]*\"))*)")  # of RFC 8941, as weir writes it


class Header(harness.WeirCase):
    """detect.header: the verdict told to servers and clients, which nobody else can tell them."""
    CONFIG = {"detect": {"header": "Weir-Verdict", "header_to": "both"}}

    @classmethod
    def prepare(cls):
        cls.secure = origins.HttpOrigin(origins.server_context(cls.certificate))
        cls.clear = origins.HttpOrigin()
        cls.mail = origins.Server(cls.serve_mail, origins.server_context(cls.certificate, None))
        for server in (cls.secure, cls.clear, cls.mail):
            cls.addClassCleanup(server.close)
        cls.nginx = None
        if origins.Nginx.find():
            cls.nginx = origins.Nginx(cls.folder, cls.certificate, harness.free_port)
            cls.addClassCleanup(cls.nginx.close)

    @staticmethod
    def serve_mail(sock):
        sock.sendall(b"220 here is no http\r\n")
        sock.sendall(b"bye" if origins.Reader(sock).until(b"\r\n\r\n") == b"weir-verdict: x" else
                     b"???")

    def open(self):
        return self.tls(f"www.origin.test:{self.secure.port}")

    def curl(self, version, *more):
        url = f"https://www.origin.test:{self.nginx.port['tls']}/verdict"
        return harness.run(["curl", "--silent", "--show-error",
                            "--max-time", "20", version, "--proxy",
                            f"http://127.0.0.1:{self.weir.port}", "--cacert", self.weir.ca,
                            "--dump-header", "-", *more, url])

    def verdict_in(self, text):
        """The token and the parameters of a field's value."""
        item = ITEM.fullmatch(text)
        self.assertIsNotNone(item, text)
        found = dict(part.split("=") for part in item[2].split("; ")[1:])
        found["verdict"] = item[1]
        return found

    @staticmethod
    def told(fields):
        return [value for name, value in fields if name.lower() == "weir-verdict"]

    def logged(self, before):
        record = harness.wait_for("the record", lambda: next(
            (r for r in self.weir.records()[before:] if r.kind == "request"), None))
        return json.loads(record.line)["detect"]

    def test_both_sides(self):
        """Every request of a connection and its answer have it, once, as the last field; it says
        what the log says."""
        before = len(self.weir.records())
        tls = self.open()
        for agent in (CHROME, None, CHROME):
            count = len(self.secure.requests)
            fields = f"User-Agent: {agent}\r\n" if agent else ""
            answer = self.get(tls, "/echo-head", fields=fields)
            self.assertEqual(len(self.secure.requests), count + 1)
            sent = json.loads(answer.body)["fields"]
            values = self.told(sent)
            self.assertEqual(len(values), 1, sent)
            self.assertEqual(sent[-1][0].lower(), "weir-verdict")
            self.assertEqual(self.told(answer.fields), values)
            found = self.verdict_in(values[0])
        logged = self.logged(before)
        for name in ("verdict", "basis", "unknown", "reason"):
            self.assertEqual(found.get(name), logged.get(name), name)
        self.assertEqual(found["basis"], "request")
        self.assertEqual(found["grade"], logged["actual_grade"])

    def test_pipelined_and_bodies(self):
        """Three requests in one write, of which one has a body of chunks with trailers."""
        tls = self.open()
        chunks = b"".join(b"%x\r\n%s\r\n" % (n, b"x" * n) for n in (1, 3000, 40000))
        tls.sendall(b"GET /echo-head HTTP/1.1\r\nHost: a\r\n\r\n"
                    b"POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" +
                    chunks + b"0\r\nX-Trailer: 1\r\n\r\n"
                    b"GET /early HTTP/1.1\r\nHost: a\r\n\r\n")
        reader = origins.Reader(tls)
        first = harness.read_answer(reader)
        upload = json.loads(harness.read_answer(reader, "POST").body)
        self.assertEqual((upload["length"], list(upload["trailers"].values())), (43001, ["1"]))
        interim = []
        last = harness.read_answer(reader, informational=interim)
        self.assertEqual(len(interim), 1)
        self.assertEqual(self.told(interim[0].fields), [])
        self.assertEqual(self.told(first.fields), self.told(last.fields))
        self.assertEqual([len(self.told(r.fields)) for r in self.secure.requests[-3:]], [1, 1, 1])

    def test_websocket(self):
        """The request that asks for it has the field; the answer and what follows are untouched."""
        tls = self.open()
        tls.sendall(b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        reader = origins.Reader(tls)
        answer = harness.read_head(reader)
        self.assertEqual((answer.status, self.told(answer.fields)), (101, []))
        self.assertEqual(len(self.told(self.secure.requests[-1].fields)), 1)
        for data in (b"weir-verdict: x\r\n\r\n", b"y" * 70000):
            tls.sendall(origins.frame(1, data, b"mask"))
            self.assertEqual(origins.read_frame(reader), (1, data))

    def expect_refused(self, text):
        """Nothing of it reaches the server; the client is told why."""
        count, before = len(self.secure.requests), len(self.weir.records())
        tls = self.open()
        tls.sendall(text)
        answer = harness.read_answer(origins.Reader(tls))
        self.assertEqual(answer.status, 400)
        self.assertIn(b"Weir-Verdict", answer.body)
        record = harness.wait_for("the record", lambda: next(
            (r for r in self.weir.records()[before:] if r.kind == "tunnel"), None))
        self.assertEqual(record.close, "bad_request")
        self.assertIn("detect.header", record.line)
        self.assertEqual(len(self.secure.requests), count)

    def test_forged_requests(self):
        """A client's own field, in any disguise, and what could hide one."""
        for field in ("Weir-Verdict: genuine", "weir-verdict:x", "WEIR_VERDICT: genuine",
                      "Connection: close, weir-verdict", "X: a\r\n Weir-Verdict: folded"):
            with self.subTest(field=field):
                self.expect_refused(f"GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n".encode())
        self.expect_refused(b"GET / HTTP/1.1\nHost: a\nWeir-Verdict: x\n\n")

    def test_forged_responses(self):
        """A server's own field: the client does not get the head that has it."""
        for head in (b"HTTP/1.1 200 OK\r\nWeir-Verdict: genuine\r\nContent-Length: 0\r\n\r\n",
                     b"HTTP/1.1 103 Hints\r\nweir_verdict: x\r\n\r\nHTTP/1.1 204 No\r\n\r\n"):
            with self.subTest(head=head):
                before = len(self.weir.records())
                self.secure.script = head
                tls = self.open()
                tls.sendall(b"GET /script HTTP/1.1\r\nHost: a\r\n\r\n")
                self.assertEqual(harness.read_to_end(tls)[0], b"")
                record = harness.wait_for("the record", lambda: next(
                    (r for r in self.weir.records()[before:] if r.kind == "tunnel"), None))
                self.assertEqual(record.close, "bad_response")
                self.assertIn("the server sent one itself", record.line)

    def test_other_protocols(self):
        """What is not HTTP passes: nothing is promised for it."""
        context = harness.client_context(self.weir.ca)
        sock = self.tunnel(f"www.origin.test:{self.mail.port}")
        tls = self.keep(context.wrap_socket(sock, server_hostname="www.origin.test"))
        reader = origins.Reader(tls)
        reader.until(b"\r\n")
        tls.sendall(b"weir-verdict: x\r\n\r\n")
        self.assertEqual(reader.exactly(3), b"bye")

    def test_explicit(self):
        """Explicit HTTP: nothing is judged, and nobody can say that it was."""
        url = f"http://origin.test:{self.clear.port}/echo-head"
        answer = self.get_plain(url, fields="Weir-Verdict: genuine\r\nWeir_verdict: x\r\nX-A: b\r\n")
        names = [name.lower() for name, _ in json.loads(answer.body)["fields"]]
        self.assertIn("x-a", names)
        self.assertNotIn("weir-verdict", names)
        self.assertNotIn("weir_verdict", names)
        self.clear.script = b"HTTP/1.1 200 OK\r\nweir-verdict: x\r\nX-C: d\r\n\r\n"
        answer = self.get_plain(f"http://origin.test:{self.clear.port}/script")
        self.assertEqual((answer.get("x-c"), answer.get("weir-verdict")), ("d", ""))

    @harness.program("curl", "curl")
    def test_curl(self):
        """curl and nginx, HTTP/1.1 and HTTP/2: nginx got what curl is told, and a forged one gets
        nothing."""
        if not self.nginx:
            self.skipTest("nginx is absent: install nginx-light")
        for version, line in (("--http1.1", "HTTP/1.1 200"), ("--http2", "HTTP/2 200")):
            with self.subTest(version=version):
                ended = self.curl(version)
                head, _, body = ended.stdout.decode().rpartition("\r\n\r\n")
                self.assertIn(line, head)
                told = re.findall(r"(?im)^weir-verdict: (.*?)\r?$", head)
                self.assertEqual(told, [body.strip()])
                self.assertEqual(self.verdict_in(body.strip())["basis"], "request")
                for forged in ("Weir-Verdict: genuine", "weir_verdict: genuine"):
                    ended = self.curl(version, "--header", forged)
                    self.assertNotIn(b" 200", ended.stdout.rpartition(b"\r\n\r\n")[0].replace(
                        b"200 Connection established", b""))
                    self.assertNotIn(b"genuine", ended.stdout)

    def test_many_streams(self):
        """A hundred requests on one connection of HTTP/2: nginx reads the right field in each."""
        if not self.nginx:
            self.skipTest("nginx is absent: install nginx-light")
        authority = f"www.origin.test:{self.nginx.port['tls']}"
        client = h2_client.Client(self.tls(authority, alpn=["h2"]), authority)
        for _ in range(10):
            streams = [client.request("/verdict") for _ in range(10)]
            client.read_until(lambda: set(streams) <= client.ended)
            for stream in streams:
                self.assertEqual(client.statuses[stream], h2_client.STATUS_200)
                self.verdict_in(client.bodies[stream].decode().strip())
        with self.assertRaises((ConnectionError, ssl.SSLError)):
            stream = client.request("/verdict", ("weir-verdict", "genuine"))
            client.read_until(lambda: stream in client.ended)


class HeaderToServer(Header):
    """Only requests have it: what servers say in a field of that name is theirs."""
    CONFIG = {"detect": {"header": "Weir-Verdict"}}

    def test_both_sides(self):
        answer = self.get(self.open(), "/echo-head")
        self.assertEqual(self.told(answer.fields), [])
        self.assertEqual(len(self.told(json.loads(answer.body)["fields"])), 1)

    def test_forged_responses(self):
        self.secure.script = b"HTTP/1.1 200 OK\r\nWeir-Verdict: mine\r\nContent-Length: 0\r\n\r\n"
        answer = self.get(self.open(), "/script")
        self.assertEqual(self.told(answer.fields), ["mine"])

    def test_explicit(self):
        self.clear.script = b"HTTP/1.1 200 OK\r\nweir-verdict: x\r\n\r\n"
        answer = self.get_plain(f"http://origin.test:{self.clear.port}/script")
        self.assertEqual(answer.get("weir-verdict"), "x")

    @harness.program("curl", "curl")
    def test_curl(self):
        if not self.nginx:
            self.skipTest("nginx is absent: install nginx-light")
        for version in ("--http1.1", "--http2"):
            head, _, body = self.curl(version).stdout.decode().rpartition("\r\n\r\n")
            self.assertNotIn("weir-verdict", head.lower())
            self.verdict_in(body.strip())


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
