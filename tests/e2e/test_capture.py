# SPDX-License-Identifier: Apache-2.0
"""`weir signatures capture`: real clients visit, and the database knows them afterwards."""
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import unittest

import captures
import harness
from hello import ManualClient
from tools_case import Case

CURL_UA = "curl/7.88.1"
FIREFOX_UA = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
URLLIB = ("import ssl, sys, urllib.request as u; c = ssl.create_default_context(cafile=sys.argv[2]);"
          "print(u.urlopen(sys.argv[1], context=c).read().decode())")
NODE = ("fetch(process.argv[1], { headers: { 'user-agent': 'node' } }).then(r => r.text())"
        ".then(t => process.stdout.write(t))"
        ".catch(e => { console.error(e); process.exit(2); })")


class Capture(Case):
    def setUp(self):
        super().setUp()
        shutil.rmtree(os.path.join(self.folder, "db"), ignore_errors=True)
        self.database = os.path.join(self.folder, "db")
        self.ca_dir = os.path.join(self.folder, "ca")
        self.ca = os.path.join(self.ca_dir, "weir-ca-cert.pem")

    def words(self, *more, client="some client 1.2", listen="127.0.0.1:0", database=None):
        return [harness.BINARY, "signatures", "capture", "--listen", listen, "--database",
                database or self.database, "--client", client, "--system", "Debian 12",
                "--command", "what was run", "--ca-dir", self.ca_dir, *more]

    def begin(self, *more, **words):
        """A capture that listens, and its port."""
        return self.listening("signatures capture", self.words(*more, **words))

    def end(self, weir, code=0):
        out, err = weir.communicate(timeout=4 * harness.WAIT_S)
        out, err = out.decode(), err.decode()
        self.assertEqual(weir.returncode, code, out + err)
        self.assertIsNone(harness.COMPLAINTS.search(err), err)
        return out, err

    def refused(self, code, *more, **words):
        done = harness.run(self.words(*more, **words), cwd=self.folder)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(done.stdout, b"")
        return done.stderr.decode()

    def file(self, name):
        with open(os.path.join(self.database, name), encoding="utf-8") as lines:
            return lines.read().splitlines()

    def metadata(self):
        return [json.loads(line) for line in self.file("metadata.jsonl")]

    def verdict(self, raw_ua, fingerprint):
        [answer] = self.answers([{"raw_ua": raw_ua, "request_fingerprint": fingerprint}],
                                ("detect", "--database", self.database))
        return answer["report"]["verdict"]

    def context(self, trusts=True, **more):
        """Trusts weir's authority, or nobody."""
        context = harness.client_context(self.ca, **more)
        return context if trusts else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    def visit(self, port, head, name="localhost", **more):
        """What is answered to this client of our own, to the end."""
        with socket.create_connection(("127.0.0.1", port), harness.WAIT_S) as sock:
            with self.context(**more).wrap_socket(sock, server_hostname=name) as client:
                client.sendall(head)
                return harness.read_to_end(client)[0]

    def capture(self, command, count=1, env=None, client="some client 1.2"):
        """The record and the lines of a capture of this command, in which @ is the URL. A run of it
        may be several visits, and the last one of more than are wanted."""
        weir, port = self.begin("--json", "--count", str(count), "--seconds", "100", client=client)
        url = f"https://localhost:{port}/"
        runs = 0
        while runs < count and weir.poll() is None:
            done = harness.run([part.replace("@", url) for part in command], env=env,
                               cwd=self.folder)
            runs += 1
            if runs == 1:
                self.assertIn(b"weir has seen you.", done.stdout, done.stderr)
        out, _ = self.end(weir)
        return json.loads(out)


@harness.needs_localhost
class Clients(Capture):
    """Each is known again, and another one under its name is not."""

    def others(self):
        """Fingerprints of clients that none of these is."""
        contexts = harness.client_context(), harness.client_context(maximum=ssl.TLSVersion.TLSv1_2)
        contexts[0].set_ciphers("ECDHE+AESGCM")
        return [fingerprint_of(self, context) for context in contexts]

    def check(self, told, browser, product):
        self.assertEqual(told["file"], "browser.txt", told)
        self.assertRegex(told["record"], rf"^{browser}:")
        self.assertRegex(told["record"], r"\|:0:0\|\d{4}-\d\d-\d\d$")
        self.assertEqual(self.file("browser.txt"), [told["record"]])
        self.assertEqual(self.metadata(), told["visits"])
        answered = [line for line in told["visits"] if line["ending"] == "answered"]
        self.assertGreater(len(answered), 0)
        for line in told["visits"]:
            self.assertEqual(line["record"], "browser.txt")
            self.assertEqual(line["sni"], "localhost")
        for line in answered:
            self.assertIn(product, line["raw_ua"])
            self.assertIn("user-agent", line["headers"])
            self.assertEqual(line["request_fingerprint"].split(":")[5], ",".join(line["headers"]))
            self.assertEqual(self.verdict(line["raw_ua"], line["request_fingerprint"]), "genuine")
            for fingerprint in self.others():
                self.assertEqual(self.verdict(line["raw_ua"], fingerprint), "intercepted")
            self.assertEqual(self.verdict(FIREFOX_UA, line["request_fingerprint"]), "unknown")
        code, out, err = self.weir_command("signatures", "lint", self.database)
        self.assertEqual((code, err), (0, ""), out)
        return answered[0]

    @harness.program("curl", "curl")
    def test_curl(self):
        command = ["curl", "-sS", "--cacert", self.ca, "@"]
        told = self.capture(command, 2, client="curl 7.88.1")
        line = self.check(told, 200, "curl/")
        self.assertEqual((line["client"], line["version"], line["system"], line["system_version"],
                          line["command"], line["name"]),
                         ("curl", "7.88.1", "Debian", "12", "what was run",
                          "curl 7.88.1 on Debian 12"))
        self.assertEqual([line["visit"] for line in told["visits"]], [1, 2])
        self.assertEqual((line["protocol"], line["alpn"]), ("h2", ["h2", "http/1.1"]))
        self.assertEqual(line["headers"], ["user-agent", "accept"])
        # The same again is no second record, over HTTP/1.1 neither.
        told = self.capture([*command[:-1], "--http1.1", "@"])
        self.assertRegex(told["note"], "there already")
        self.assertEqual(told["visits"][0]["headers"], ["host", "user-agent", "accept"])
        self.assertEqual((len(self.file("browser.txt")), len(self.metadata())), (1, 3))
        # To an address, which the record foresaw.
        [known] = self.file("browser.txt")
        told = self.capture([*command[:-1], "--resolve", "x.test:1:127.0.0.1", "@"])
        self.assertEqual(self.file("browser.txt"), [known])
        without_name = re.sub(":0,", ":", told["visits"][0]["request_fingerprint"], count=1)
        self.assertEqual(self.verdict(told["visits"][0]["raw_ua"], without_name), "genuine")
        # One more that is different: both are known.
        told = self.capture([*command[:-1], "--tls-max", "1.2", "@"])
        self.assertEqual(told["visits"][0]["tls"], "TLSv1.2")
        self.assertEqual(self.file("browser.txt"), [known, told["record"]])
        for line in self.metadata():
            self.assertEqual(self.verdict(line["raw_ua"], line["request_fingerprint"]), "genuine")

    @harness.program("wget", "wget")
    def test_wget(self):
        self.check(self.capture(["wget", "-qO-", "--ca-certificate", self.ca, "@"]), 201, "Wget/")

    def test_python(self):
        self.check(self.capture([sys.executable, "-c", URLLIB, "@", self.ca]), 202, "Python-urllib/")

    @harness.program("node", "nodejs")
    def test_node(self):
        # Older ones try the first address of localhost alone, which is ::1 on many systems.
        told = self.capture(["node", "--dns-result-order=ipv4first", "-e", NODE, "@"],
                            env={"NODE_EXTRA_CA_CERTS": self.ca})
        self.check(told, 212, "node")

    @harness.program("git", "git")
    def test_git(self):
        weir, port = self.begin("--json")
        harness.run(["git", "ls-remote", f"https://localhost:{port}/x"],
                    env={"GIT_SSL_CAINFO": self.ca, "GIT_TERMINAL_PROMPT": "0"}, cwd=self.folder)
        out, _ = self.end(weir)
        self.check(json.loads(out), 221, "git/")

    @harness.program("chromium", "chromium")
    def test_chromium(self):
        """Its extensions come in any order; connections that it made for nothing count as well."""
        home = os.path.join(self.folder, "chromium")
        told = self.capture(["chromium", "--headless=new", "--no-sandbox", "--disable-gpu",
                             "--disable-dev-shm-usage", "--no-first-run",
                             "--disable-background-networking", "--disable-component-update",
                             "--disable-sync", "--disable-extensions", f"--user-data-dir={home}",
                             "--ignore-certificate-errors", "--dump-dom", "@"], count=3,
                            env={"HOME": self.folder})
        line = self.check(told, r"106:\d+", "HeadlessChrome/")
        request = told["record"].split("|")[1].split(":")
        self.assertRegex(request[2], r"^~\?0,5,")
        self.assertEqual(request[6], "?grease")
        # Permuted once more, without a name, resumed, without GREASE: still Chromium's.
        fields = line["request_fingerprint"].split(":")
        extensions = [part for part in fields[2].split(",") if part != "0"]
        fields[2] = ",".join(sorted(extensions) + ["29"])
        self.assertEqual(self.verdict(line["raw_ua"], ":".join(fields)), "genuine")

    @harness.program("openssl", "openssl")
    def test_openssl(self):
        """No User-Agent, nothing to bind a record to: a line of metadata alone."""
        weir, port = self.begin()
        done = harness.run(["openssl", "s_client", "-connect", f"localhost:{port}", "-CAfile",
                            self.ca, "-verify_return_error"])
        self.assertIn(b"Verify return code: 0 (ok)", done.stdout)
        out, err = self.end(weir)
        self.assertEqual(out, f"{self.database}/metadata.jsonl: 1 visit\n")
        self.assertIn("no visit had a User-Agent", err)
        [line] = self.metadata()
        self.assertIsNone(line["record"])
        self.assertNotIn("raw_ua", line)
        self.assertEqual(line["ending"], "the client closed without a request")
        self.assertEqual(self.file("browser.txt"), [])


def fingerprint_of(case, context):
    """What Python with this context looks like."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        hello = ManualClient(ours, context, "other.example").hello
    _, out, _ = case.fingerprint("--json", "--hex", hello.hex())
    return json.loads(out)["request_fingerprint"]


class Visits(Capture):
    GET = f"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: {CURL_UA}\r\nX-Two: 2\r\n\r\n".encode()

    def test_answers(self):
        """HTTP/1.1 with and without ALPN, HEAD, an IPv6 listener, any name, RSA leaves."""
        weir, port = self.begin("--count", "5", listen="[::1]:0")
        answers = []
        contexts = (self.context(), self.context(alpn=["x", "http/1.1"]),
                    self.context(maximum=ssl.TLSVersion.TLSv1_2), self.context(), self.context())
        contexts[4].set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
        contexts[4].maximum_version = ssl.TLSVersion.TLSv1_2
        names = ("localhost", "localhost", "::1", "any.name.test", "localhost")
        for at, (context, name) in enumerate(zip(contexts, names)):
            with socket.create_connection(("::1", port), harness.WAIT_S) as sock:
                with context.wrap_socket(sock, server_hostname=name) as client:
                    client.sendall(self.GET if at else self.GET.replace(b"GET", b"HEAD"))
                    answers.append(harness.read_to_end(client)[0])
        self.end(weir)
        for answer in answers:
            self.assertTrue(answer.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"))
        self.assertEqual([answer.endswith(b"weir has seen you.\n") for answer in answers],
                         [False] + [True] * 4)
        lines = self.metadata()
        self.assertEqual([line["sni"] for line in lines],
                         ["localhost", "localhost", None, "any.name.test", "localhost"])
        self.assertEqual([line["protocol"] for line in lines], ["", "http/1.1", "", "", ""])
        self.assertEqual({tuple(line["headers"]) for line in lines},
                         {("host", "user-agent", "x-two")})

    def test_distrust(self):
        """A client that refuses the certificate counts for its ClientHello, and the line says so;
        with one that trusts it, both make the record."""
        weir, port = self.begin("--count", "2")
        with self.assertRaises(ssl.SSLError):
            self.visit(port, self.GET, trusts=False)
        self.visit(port, self.GET)
        self.end(weir)
        refused, answered = self.metadata()
        self.assertRegex(refused["ending"], r"^the handshake failed: .*unknown_ca \(48\)$")
        self.assertEqual(answered["ending"], "answered")
        self.assertEqual(len(self.file("browser.txt")), 1)
        self.assertEqual(self.verdict(CURL_UA, refused["request_fingerprint"]), "genuine")

    def test_unknown_user_agent(self):
        """Whom nobody knows gets no record: it would cover everybody."""
        weir, port = self.begin()
        self.visit(port, self.GET.replace(CURL_UA.encode(), b"who\xc2\x9bknows/1"))
        _, err = self.end(weir)
        self.assertIn("names nobody that weir knows", err)
        self.assertNotIn("\x9b", err)
        self.assertEqual(self.file("browser.txt"), [])
        self.assertEqual(self.metadata()[0]["raw_ua"], "who\xc2\x9bknows/1")

    def test_other_client(self):
        """A visit of another client in between is told and left out."""
        weir, port = self.begin("--count", "2")
        for raw_ua in (CURL_UA, FIREFOX_UA, "curl/7.99", CURL_UA):
            self.visit(port, self.GET.replace(CURL_UA.encode(), raw_ua.encode()))
        _, err = self.end(weir)
        self.assertEqual(err.count("not counted: the User-Agent is another client's"), 2)
        self.assertEqual([line["raw_ua"] for line in self.metadata()], [CURL_UA] * 2)

    def test_no_tls(self):
        """What is no ClientHello is told with its place, and does not count."""
        hello = captures.records(captures.client_hello())
        weir, port = self.begin()
        for data, words in ((b"GET / HTTP/1.1\r\n\r\n", "byte 0 is 0x47: a TLS record"),
                            (b"", "no bytes: a ClientHello expected"),
                            (hello[:60], "the ClientHello is cut short at byte 60"),
                            (hello[:43] + b"\x77" + hello[44:], "session_id is malformed at byte 39")):
            with socket.create_connection(("127.0.0.1", port), harness.WAIT_S) as client:
                client.sendall(data)
                client.shutdown(socket.SHUT_WR)
                self.assertIn(words, weir.stderr.readline().decode())
        self.visit(port, self.GET)
        self.end(weir)
        self.assertEqual(len(self.metadata()), 1)

    def test_bad_requests(self):
        """A handshake, and then no HTTP that can be read, too much of it, or nothing."""
        weir, port = self.begin("--count", "4")
        self.visit(port, b"\x00nothing that is HTTP\r\n\r\n")
        self.visit(port, b"no preface of HTTP/2, and long enough to see", alpn=["h2"])
        with socket.create_connection(("127.0.0.1", port), harness.WAIT_S) as sock:
            with self.context().wrap_socket(sock, server_hostname="localhost") as client:
                try:
                    client.sendall(b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 40000)
                    harness.read_to_end(client)
                except OSError:
                    pass
        with socket.create_connection(("127.0.0.1", port), harness.WAIT_S) as sock:
            client = ManualClient(sock, self.context(), "localhost")
            sock.sendall(client.hello)
            client.handshake()
        self.end(weir)
        endings = [line["ending"] for line in self.metadata()]
        for ending, pattern in zip(endings, ("^no request that can be read: ",) * 3 +
                                   ("^the client closed the connection without a request",)):
            self.assertRegex(ending, pattern)

    def test_stalls(self):
        """Clients that stall, before the hello and after it, hold nobody up, and are given up."""
        weir, port = self.begin("--count", "2")
        silent = socket.create_connection(("127.0.0.1", port))
        half = socket.create_connection(("127.0.0.1", port))
        self.addCleanup(silent.close)
        self.addCleanup(half.close)
        half.sendall(ManualClient(half, self.context(), "localhost").hello)
        self.visit(port, self.GET)
        _, err = self.end(weir)
        self.assertIn("the handshake was not done within 10 s", err)
        self.assertEqual(len(self.metadata()), 2)

    def test_many(self):
        """More clients at once than are served at once."""
        weir, port = self.begin("--count", "70")
        silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(60)]
        for _ in range(70):
            self.visit(port, self.GET)
        for client in silent:
            client.close()
        self.end(weir)
        self.assertEqual(len(self.metadata()), 70)

    def test_time(self):
        """Time over before all visits: nothing is written. --seconds alone: what came counts."""
        weir, port = self.begin("--count", "2", "--seconds", "3")
        self.visit(port, self.GET)
        out, err = self.end(weir, 1)
        self.assertEqual(out, "")
        self.assertIn("1 of 2 visits came in 3 s; nothing is written", err)
        self.assertEqual(os.listdir(self.database), [])
        weir, port = self.begin("--seconds", "3")
        self.visit(port, self.GET)
        self.visit(port, self.GET)
        self.end(weir)
        self.assertEqual(len(self.metadata()), 2)


class Products(Capture):
    def test_product(self):
        """Its record is found under any User-Agent; the day is exported and imported."""
        weir, port = self.begin("--product", "My-Proxy 3", "--type", "proxy", "--grade", "2")
        self.visit(port, Visits.GET)
        out, _ = self.end(weir)
        self.assertRegex(out, r"/mitm\.txt: 0::0:0::0:\*\|303:.*:\*:\*\|myproxy 3:5:2\|\d{4}-")
        [line] = self.metadata()
        self.assertEqual((line["product"], line["record"], line["name"]),
                         ("My-Proxy 3", "mitm.txt", "some client 1.2 on Debian 12 behind My-Proxy 3"))
        [answer] = self.answers([{"raw_ua": FIREFOX_UA,
                                  "request_fingerprint": line["request_fingerprint"]}],
                                ("detect", "--database", self.database))
        self.assertEqual(answer["report"]["matched_mitm_name"], "myproxy 3")
        for step in (("export", "db", "its"), ("import", "its", "back")):
            code, _, err = self.weir_command("signatures", step[0], step[1], "--out", step[2])
            self.assertEqual((code, err), (0, ""))
        with open(os.path.join(self.folder, "back", "mitm.txt"), encoding="utf-8") as text:
            self.assertEqual(text.read().splitlines(), self.file("mitm.txt"))
        with open(os.path.join(self.folder, "back", "metadata.jsonl"), encoding="utf-8") as text:
            back = json.loads(text.read())
        back.pop("mitmengine")
        self.assertEqual(back, line)

    def test_bad_products(self):
        for more, words in ((("--type", "proxy"), "need --product"),
                            (("--product", "a|b"), "a name without"),
                            (("--product", "a", "--type", "router"), "--product, --type, --grade: "),
                            (("--product", "a", "--grade", "5"), "--product, --type, --grade: ")):
            with self.subTest(more=more):
                self.assertIn(words, self.refused(64, *more))
                self.assertFalse(os.path.exists(self.database))


class Errors(Capture):
    def test_addresses(self):
        """Only what no other machine can reach, unless that is wanted."""
        for listen, words in (("localhost:1", "an address like"), ("127.0.0.1", "an address like"),
                              ("192.0.2.1:0", "other machines can reach this address"),
                              ("0.0.0.0:0", "--any-address"), ("[::]:0", "--any-address"),
                              ("[::ffff:127.0.0.1]:0", "--any-address")):
            with self.subTest(listen=listen):
                self.assertIn(words, self.refused(64, listen=listen))
        self.assertIn("Cannot assign", self.refused(73, "--any-address", listen="192.0.2.1:0"))
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self.assertIn("in use", self.refused(73, listen="127.0.0.1:%d" % taken.getsockname()[1]))

    def test_options(self):
        self.assertIn("at most 100", self.refused(64, "--count", "101"))
        done = harness.run([harness.BINARY, "signatures", "capture", "--listen", "127.0.0.1:0"])
        self.assertEqual((done.returncode, done.stdout), (64, b""))
        self.assertRegex(done.stderr, rb"--(database|client) \S+ is missing")

    def test_bad_database(self):
        """Every bad line is told with its place before anybody visits; nothing is touched."""
        for name, content, words in (
                ("browser.txt", "# fine\nnonsense\n", ":2:9: error: ua_signature|request"),
                ("mitm.txt", "x\ny\n", "mitm.txt:2:2: error: "),
                ("metadata.jsonl", '{"name": "a"}\n[]\n', ":2:1: error: an object expected")):
            with self.subTest(name=name):
                shutil.rmtree(self.database, ignore_errors=True)
                os.makedirs(self.database)
                path = self.write(os.path.join("db", name), content.encode())
                self.assertIn(words, self.refused(78))
                with open(path, encoding="utf-8") as file:
                    self.assertEqual(file.read(), content)
                self.assertEqual(os.listdir(self.database), [name])

    def test_gone_bad_meanwhile(self):
        """A line that went bad during the capture: nothing is written, and what is there stays."""
        weir, port = self.begin()
        self.write("db/browser.txt", b"nonsense\n")
        self.visit(port, Visits.GET)
        out, err = self.end(weir, 78)
        self.assertEqual(out, "")
        self.assertIn("db/browser.txt:1:9: error: ", err)
        self.assertEqual(os.listdir(self.database), ["browser.txt"])

    def test_no_folder(self):
        path = self.write("file", b"")
        self.assertIn("Not a directory", self.refused(73, database=path))
        self.assertIn("No such file", self.refused(73, database="/proc/none/db"))
        if os.geteuid() != 0:
            os.makedirs(self.database, 0o500)
            self.assertIn("Permission denied", self.refused(77))

    def test_bad_ca(self):
        os.makedirs(self.ca_dir, exist_ok=True)
        with open(os.path.join(self.ca_dir, "weir-ca.pem"), "w", encoding="ascii") as file:
            file.write("no key\n")
        self.addCleanup(shutil.rmtree, self.ca_dir)
        self.assertIn("weir-ca.pem", self.refused(73))

    def test_at_once(self):
        """Two captures into one folder: both records are there."""
        first, first_port = self.begin()
        second, second_port = self.begin()
        self.visit(first_port, Visits.GET)
        self.visit(second_port, Visits.GET.replace(CURL_UA.encode(), b"Wget/1.21.3"))
        self.end(first)
        self.end(second)
        self.assertEqual(sorted(line[:4] for line in self.file("browser.txt")), ["200:", "201:"])
        self.assertEqual(len(self.metadata()), 2)


if __name__ == "__main__":
    harness.main()
