# SPDX-License-Identifier: Apache-2.0
"""Users: who has to say who it is, what wrong credentials lead to, and where they never appear."""
import base64
import ctypes
import ctypes.util
import json
import os
import re
import select
import signal
import ssl
import subprocess
import time
import urllib.request

import harness
from harness import program, run, wait_for
import origins

NODE_SCRIPT = r"""
'use strict';
const http = require('http'), tls = require('tls'), fs = require('fs');
const [port, url, ca, credentials] = process.argv.slice(2);
const target = new URL(url);
const headers = { 'Proxy-Authorization': 'Basic ' + Buffer.from(credentials).toString('base64') };
function die(error) { console.error(String(error)); process.exit(2); }
const connect = http.request({ host: '127.0.0.1', port, method: 'CONNECT', path: target.host,
                               headers });
connect.on('error', die);
connect.on('connect', (answer, socket) => {
    if (answer.statusCode !== 200) { console.log(answer.statusCode); process.exit(0); }
    const inner = tls.connect({ socket, servername: target.hostname, ca: fs.readFileSync(ca) });
    inner.on('error', die);
    inner.write(`GET ${target.pathname} HTTP/1.1\r\nHost: ${target.host}\r\nConnection: close\r\n\r\n`);
    let text = '';
    inner.on('data', part => { text += part; });
    inner.on('end', () => { console.log(text.split('\r\n')[0].split(' ')[1]); process.exit(0); });
});
connect.end();
"""


def bcrypt(password, cost=4, kind="2y"):
    """As htpasswd -B -C does; made by the system's crypt(3), which knows it better than we do."""
    library = ctypes.CDLL(ctypes.util.find_library("crypt") or "libcrypt.so.1")
    library.crypt.restype = ctypes.c_char_p
    salt = base64.b64encode(os.urandom(24), b"./").decode()[:21].replace("=", ".") + "."
    made = library.crypt(password.encode(), f"${kind}${cost:02d}${salt}".encode()).decode()
    assert len(made) == 60, made
    return made


def basic(credentials):
    if isinstance(credentials, str):
        credentials = credentials.encode()
    return f"Proxy-Authorization: Basic {base64.b64encode(credentials).decode()}\r\n"


def leave(sock):
    """With a reset: a client that only says that it will send no more still wants its answer."""
    origins.reset_on_close(sock)
    sock.close()


class UsersCase(harness.WeirCase):
    USERS = {"anna": "secret of anna", "jörg": "pässword", "bob": "bob:with:colons"}

    @classmethod
    def prepare(cls):
        cls.plain = origins.HttpOrigin()
        cls.addClassCleanup(cls.plain.close)
        cls.server = origins.HttpOrigin(origins.server_context(cls.certificate))
        cls.addClassCleanup(cls.server.close)
        cls.path = os.path.join(cls.folder, "users")
        cls.lines = {name: f"{name}:{bcrypt(password, kind=kind)}\n" for (name, password), kind
                     in zip(cls.USERS.items(), ("2y", "2a", "2b"))}
        cls.write_users("# who may come in\n\n" + "".join(cls.lines.values()))
        cls.CONFIG = {"listeners": [{"users": cls.path}]}

    @classmethod
    def write_users(cls, text):
        """As a careful editor does: the old file or the new one, never a part."""
        with open(cls.path + ".new", "w", encoding="utf-8") as out:
            out.write(text)
        os.replace(cls.path + ".new", cls.path)

    @property
    def url(self):
        return f"http://origin.test:{self.plain.port}/bytes/5"

    @property
    def tls_url(self):
        return f"https://origin.test:{self.server.port}/bytes/5"

    def ask(self, sock, credentials=None, fields="", method="GET", url=None):
        """One absolute-form request on a connection that stays."""
        fields += basic(credentials) if credentials is not None else ""
        sock.sendall(f"{method} {url or self.url} HTTP/1.1\r\nHost: origin.test\r\n{fields}\r\n"
                     .encode())
        return harness.read_answer(origins.Reader(sock), method)

    def check_407(self, answer):
        self.assertEqual(answer.status, 407)
        self.assertEqual(answer.get("proxy-authenticate"), 'Basic realm="weir", charset="UTF-8"')
        self.assertGreater(int(answer.get("content-length")), 0)


class Requests(UsersCase):
    def test_right_ones(self):
        """All three kinds of bcrypt, names and passwords that are not ASCII or have colons; each
        line of the log names the user."""
        for name, password in self.USERS.items():
            with self.subTest(name=name):
                answer = self.ask(self.dial(), f"{name}:{password}")
                self.assertEqual((answer.status, answer.body), (200, origins.pattern(0, 5)))
                record = self.weir.wait_record(lambda r: r.user == name)
                self.assertEqual((record.kind, record.status), ("request", 200))

    def test_wrong_ones(self):
        """Nothing, wrong passwords, unknown users, bad base64, other schemes, 8 KiB: 407, and the
        connection goes on to a right one."""
        good = basic("anna:secret of anna")
        rows = {
            "none": "", "wrong": basic("anna:wrong"), "empty password": basic("anna:"),
            "empty": basic(":"), "unknown": basic("nobody:secret of anna"),
            "case": basic("Anna:secret of anna"), "no colon": basic("anna"),
            "bad base64": "Proxy-Authorization: Basic !!!!\r\n",
            "no padding": good.replace("=", ""), "no base64": "Proxy-Authorization: Basic\r\n",
            "scheme": "Proxy-Authorization: Bearer abc\r\n",
            "twice": good + good, "nul": basic(b"anna:secret of anna\0"),
            "long": basic("anna:" + "x" * 6000), "long name": basic("a" * 256 + ":x"),
            "digest": 'Proxy-Authorization: Digest username="anna"\r\n',
        }
        for name, fields in rows.items():
            with self.subTest(case=name):
                sock = self.dial()
                if name == "no padding":
                    self.assertNotEqual(fields, good)
                answer = self.ask(sock, fields=fields)
                self.check_407(answer)
                self.assertEqual(answer.get("connection"), "keep-alive")
                self.assertEqual(self.ask(sock, "anna:secret of anna").status, 200)
                self.check_407(self.ask(sock, fields=fields))

    def test_connect(self):
        """CONNECT without credentials: 407 with its page, and the same connection serves the next
        try; the tunnel's line and those of its requests name the user."""
        authority = f"origin.test:{self.server.port}"
        sock, reader, answer = self.connect_answer(authority)
        self.check_407(answer)
        record = self.weir.wait_record(lambda r: r.method == "CONNECT" and r.status == 407)
        self.assertEqual((record.kind, record.user, record.authority, record.decision),
                         ("request", None, authority, "refuse"))
        sock.sendall(f"CONNECT {authority} HTTP/1.1\r\n{basic('bob:bob:with:colons')}\r\n".encode())
        self.assertEqual(harness.read_head(reader).status, 200)
        tls = self.keep(harness.client_context(self.weir.ca).wrap_socket(
            sock, server_hostname="origin.test"))
        self.assertEqual(self.get(tls, "/bytes/3").status, 200)
        tls.close()
        for kind in ("tunnel", "request"):
            self.weir.wait_record(lambda r, kind=kind: r.kind == kind and r.user == "bob"
                                  and r.target == authority)

    def test_pipelined(self):
        """Requests that are sent at once are judged one by one, in their order."""
        sock = self.dial()
        head = f"GET {self.url} HTTP/1.1\r\nHost: origin.test\r\n"
        sock.sendall((head + "\r\n" + head + basic("anna:secret of anna") + "\r\n"
                      + head + basic("anna:no") + "\r\n"
                      + head + basic("bob:bob:with:colons") + "\r\n").encode())
        reader = origins.Reader(sock)
        self.assertEqual([harness.read_answer(reader).status for _ in range(4)],
                         [407, 200, 407, 200])

    def test_bodies(self):
        """A request with a body that is turned away ends the connection; the body reaches nobody,
        and no part of it is taken for a request."""
        sock = self.dial()
        inner = f"GET {self.url} HTTP/1.1\r\n{basic('anna:secret of anna')}\r\n"
        before = self.plain.accepted
        sock.sendall(f"POST {self.url} HTTP/1.1\r\nHost: origin.test\r\n"
                     f"Content-Length: {len(inner)}\r\n\r\n{inner}".encode())
        answer = harness.read_answer(origins.Reader(sock))
        self.check_407(answer)
        self.assertEqual(answer.get("connection"), "close")
        self.assertEqual(harness.read_to_end(sock)[0], b"")
        self.assertEqual(self.plain.accepted, before)
        answer = self.ask(self.dial(), fields="Content-Length: 0\r\n", method="POST")
        self.assertEqual(answer.get("connection"), "keep-alive")
        self.check_407(self.ask(self.dial(), method="HEAD"))

    def test_other_forms(self):
        """What is no request to a proxy is answered as ever."""
        for target in ("/", "*"):
            sock = self.dial()
            sock.sendall(f"OPTIONS {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            self.assertEqual(harness.read_answer(origins.Reader(sock)).status, 400)

    def test_ten_tries(self):
        """The tenth wrong password is the last on a connection; 407 without credentials is not
        counted."""
        sock = self.dial()
        for number in range(1, 11):
            self.assertEqual(self.ask(sock).get("connection"), "keep-alive")
            answer = self.ask(sock, f"anna:{number}")
            self.check_407(answer)
            self.assertEqual(answer.get("connection"), "close" if number == 10 else "keep-alive")
        self.assertEqual(harness.read_to_end(sock), (b"", True))
        self.weir.wait_record(lambda r: r.status == 407 and "wrong" in (r.fault or ""))

    def test_not_passed_on(self):
        """Neither server nor log ever sees credentials, right or wrong."""
        sock = self.dial()
        url = f"http://origin.test:{self.plain.port}/echo-head"
        answer = self.ask(sock, "anna:secret of anna", url=url,
                          fields="Proxy-Connection: keep-alive\r\nX-Seen: yes\r\n")
        self.assertIn(b"x-seen", answer.body.lower())
        self.assertNotIn(b"proxy-auth", answer.body.lower())
        self.ask(sock, "anna:unheard-of")
        self.weir.wait_record(lambda r: r.status == 407)
        with open(self.weir.access_path, encoding="utf-8") as log:
            told = log.read() + self.weir.stderr()
        for secret in ("secret of anna", "unheard-of", "$2y$",
                       base64.b64encode(b"anna:secret of anna").decode(),
                       base64.b64encode(b"anna:unheard-of").decode()):
            self.assertNotIn(secret, told)

    def test_who_comes_next(self):
        """Another user on the same connection is another name in the log."""
        sock = self.dial()
        for number, user in enumerate(("anna:secret of anna", "bob:bob:with:colons", None,
                                       "anna:secret of anna")):
            url = self.url + f"?{number}"
            self.assertEqual(self.ask(sock, user, url=url).status, 200 if user else 407)
        wait_for("four lines", lambda: len([r for r in self.weir.records()
                                            if r.session == self.weir.records()[-1].session]) == 4)
        session = self.weir.records()[-1].session
        lines = [r for r in self.weir.records() if r.session == session]
        self.assertEqual([r.user for r in lines], ["anna", "bob", None, "anna"])
        self.assertEqual([r.target is None for r in lines], [False, False, True, False])


class Programs(UsersCase):
    USERS = {"anna": "se cret"}

    def curl(self, url, *more, user="anna:se cret"):
        done = run(["curl", "-sS", "--max-time", "30", "-x", f"http://127.0.0.1:{self.weir.port}",
                    "--cacert", self.weir.ca, "-o", "/dev/null", "-w",
                    "%{http_connect} %{http_code} %{num_connects}", "--proxy-user", user, *more,
                    url])
        return done.stdout.decode()

    @program("curl", "curl")
    def test_curl(self):
        """Basic at once, and after the 407 on the same connection (--proxy-anyauth)."""
        for url, connect in ((self.url, "000"), (self.tls_url, "200")):
            self.assertEqual(self.curl(url), f"{connect} 200 1")
            self.assertEqual(self.curl(url, "--proxy-anyauth"), f"{connect} 200 1")
        self.assertEqual(self.curl(self.url, user="anna:wrong").split()[1], "407")
        self.assertEqual(self.curl(self.tls_url, user="anna:wrong").split()[0], "407")
        upload = f"http://origin.test:{self.plain.port}/upload"
        for more in ((), ("--proxy-anyauth",)):
            self.assertEqual(self.curl(upload, "--data-binary", "@" + __file__,
                                       *more).split()[1], "200")

    @program("wget", "wget")
    def test_wget(self):
        for user, code in (("anna", 0), ("otto", 8)):
            for url in (self.url, self.tls_url):
                done = run(["wget", "-nv", "-T", "30", "-t", "1", "-O", "/dev/null",
                            "--ca-certificate", self.weir.ca, f"--proxy-user={user}",
                            "--proxy-password=se cret", url],
                           env={"http_proxy": f"http://127.0.0.1:{self.weir.port}",
                                "https_proxy": f"http://127.0.0.1:{self.weir.port}"})
                if code == 0:
                    self.assertEqual(done.returncode, 0, done.stderr)
                else:
                    self.assertNotEqual(done.returncode, 0)
                    self.assertIn(b"Proxy Authentication Required", done.stderr)

    def test_urllib(self):
        for user, good in (("anna:se%20cret", True), ("anna:x", False)):
            proxy = f"http://{user}@127.0.0.1:{self.weir.port}"
            opener = urllib.request.build_opener(
                urllib.request.ProxyHandler({"http": proxy, "https": proxy}),
                urllib.request.HTTPSHandler(
                    context=ssl.create_default_context(cafile=self.weir.ca)))
            for url in (self.url, self.tls_url):
                if good:
                    with opener.open(url, timeout=30) as answer:
                        self.assertEqual(answer.read(), origins.pattern(0, 5))
                else:
                    with self.assertRaisesRegex(OSError, "407"):
                        opener.open(url, timeout=30)

    @program("node", "nodejs")
    def test_node(self):
        script = os.path.join(self.folder, "users.js")
        with open(script, "w", encoding="ascii") as out:
            out.write(NODE_SCRIPT)
        for user, status in (("anna:se cret", b"200\n"), ("anna:x", b"407\n")):
            done = run(["node", script, str(self.weir.port), self.tls_url, self.weir.ca, user])
            self.assertEqual((done.returncode, done.stdout), (0, status), done.stderr)


class Browser(UsersCase):
    """Chromium answers a 407 with what its user types; here the user is the debugging protocol."""
    USERS = {"anna": "se cret"}

    def start(self):
        """The browser, with its debugging pipe at descriptors 3 and 4."""
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        command = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu",
                   "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
                   "--disable-component-update", "--disable-sync", "--disable-extensions",
                   "--disable-quic", f"--user-data-dir={os.path.join(self.folder, 'chromium')}",
                   f"--proxy-server=http://127.0.0.1:{self.weir.port}",
                   "--proxy-bypass-list=<-loopback>", "--ignore-certificate-errors",
                   "--remote-debugging-pipe", "about:blank"]
        script = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out} {theirs_in}<&- {theirs_out}>&-'
        process = subprocess.Popen(["bash", "-c", script, "-", *command],
                                   pass_fds=(theirs_in, theirs_out), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   env={**os.environ, "HOME": self.folder}, start_new_session=True)
        self.addCleanup(process.wait)
        self.addCleanup(os.killpg, process.pid, signal.SIGKILL)
        os.close(theirs_in)
        os.close(theirs_out)
        self.to_browser, self.from_browser = open(ours_out, "wb", 0), open(ours_in, "rb", 0)
        self.addCleanup(self.to_browser.close)
        self.addCleanup(self.from_browser.close)
        self.number, self.unread, self.auths = 0, b"", 0

    def send(self, method, session=None, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        self.to_browser.write(json.dumps(message).encode() + b"\0")
        return self.number

    def next_message(self):
        while b"\0" not in self.unread:
            ready = select.select([self.from_browser], [], [], 30)[0]
            self.assertTrue(ready, "the browser says nothing")
            part = self.from_browser.read(65536)
            self.assertTrue(part, "the browser has ended")
            self.unread += part
        line, _, self.unread = self.unread.partition(b"\0")
        return json.loads(line)

    def answer(self, number, password):
        """Serves the browser until that call has its result."""
        while True:
            message = self.next_message()
            if message.get("id") == number:
                return message["result"]
            parameters, session = message.get("params", {}), message.get("sessionId")
            if message.get("method") == "Fetch.requestPaused":
                self.send("Fetch.continueRequest", session, requestId=parameters["requestId"])
            elif message.get("method") == "Fetch.authRequired":
                self.auths += 1
                challenge = parameters["authChallenge"]
                self.assertEqual((challenge["source"], challenge["scheme"], challenge["realm"]),
                                 ("Proxy", "basic", "weir"))
                reply = ({"response": "ProvideCredentials", "username": "anna",
                          "password": password} if self.auths == 1 else {"response": "CancelAuth"})
                self.send("Fetch.continueWithAuth", session, requestId=parameters["requestId"],
                          authChallengeResponse=reply)

    def browse(self, password):
        """What the pages of both URLs say, one after the other in one browser."""
        self.start()
        target = self.answer(self.send("Target.createTarget", url="about:blank"), password)
        session = self.answer(self.send("Target.attachToTarget", targetId=target["targetId"],
                                        flatten=True), password)["sessionId"]
        self.answer(self.send("Fetch.enable", session, handleAuthRequests=True), password)
        texts = []
        for url in (self.url, self.tls_url):
            url = url.replace("/bytes/5", "/echo-head")
            self.answer(self.send("Page.navigate", session, url=url), password)

            def text():
                result = self.answer(self.send(
                    "Runtime.evaluate", session, returnByValue=True, expression=
                    "document.readyState + ' ' + document.documentElement.innerText"), password)
                value = result["result"].get("value", "")
                return value.startswith("complete ") and "{" in value and value
            texts.append(wait_for("the page", text, 30))
        return texts

    @program("chromium", "chromium")
    def test_chromium(self):
        """A browser asks its user once and then gets everything, plain and by CONNECT."""
        for text in self.browse("se cret"):
            self.assertIn("/echo-head", text)
        self.assertEqual(self.auths, 1)
        self.weir.wait_record(lambda r: r.status == 407)
        self.weir.wait_record(lambda r: r.kind == "tunnel" and r.user == "anna")


class Files(UsersCase):
    def all_lines(self):
        return "".join(self.lines.values())

    def restore(self):
        self.write_users(self.all_lines())
        wait_for("anna to be back", lambda: self.ask(
            self.dial(), "anna:secret of anna").status == 200)

    def test_taken_out(self):
        """A user who is taken out of the file is refused soon, also where the connection was kept
        and the password remembered; the others are not asked anew."""
        self.addCleanup(self.restore)
        anna, bob = self.dial(), self.dial()
        self.assertEqual(self.ask(anna, "anna:secret of anna").status, 200)
        self.assertEqual(self.ask(bob, "bob:bob:with:colons").status, 200)
        self.write_users(self.lines["bob"])
        since = time.monotonic()
        wait_for("a refusal", lambda: self.ask(anna, "anna:secret of anna").status == 407)
        took = time.monotonic() - since
        if not harness.SANITIZED:
            self.assertLess(took, 2)
        self.assertEqual(self.ask(bob, "bob:bob:with:colons").status, 200)
        self.check_407(self.ask(self.dial(), "anna:secret of anna"))

    def test_another_password(self):
        """A new password counts, the old one no longer does."""
        self.addCleanup(self.restore)
        self.assertEqual(self.ask(self.dial(), "anna:secret of anna").status, 200)
        self.write_users("anna:" + bcrypt("new") + "\n")
        wait_for("the new one", lambda: self.ask(self.dial(), "anna:new").status == 200)
        self.assertEqual(self.ask(self.dial(), "anna:secret of anna").status, 407)

    def test_broken_file(self):
        """A file with a wrong line: the line is named, never shown, and the last good copy stays."""
        self.addCleanup(self.restore)
        self.write_users(self.all_lines() + "eve:plainpassword\n")
        wait_for("the complaint", lambda: f"{self.path}:4: error:" in self.weir.stderr())
        wait_for("the rest of it", lambda: "stay" in self.weir.stderr())
        self.assertIn("htpasswd -B", self.weir.stderr())
        self.assertNotIn("plainpassword", self.weir.stderr())
        self.assertEqual(self.ask(self.dial(), "anna:secret of anna").status, 200)
        before = self.weir.stderr().count("reload failed")
        self.weir.signal(signal.SIGHUP)
        wait_for("the refused reload",
                 lambda: self.weir.stderr().count("reload failed") > before)
        self.assertEqual(self.ask(self.dial(), "anna:secret of anna").status, 200)
        os.unlink(self.path)
        wait_for("the absent file", lambda: "cannot be read" in self.weir.stderr())
        self.assertEqual(self.ask(self.dial(), "anna:secret of anna").status, 200)

    def test_reload(self):
        """SIGHUP reads the file too; sessions that were there go on."""
        self.addCleanup(self.restore)
        sock = self.dial()
        self.assertEqual(self.ask(sock, "anna:secret of anna").status, 200)
        self.write_users(self.all_lines() + "new:" + bcrypt("new") + "\n")
        count = self.weir.stderr().count("configuration reloaded")
        self.weir.signal(signal.SIGHUP)
        wait_for("the reload",
                 lambda: self.weir.stderr().count("configuration reloaded") > count)
        self.assertEqual(self.ask(self.dial(), "new:new").status, 200)
        self.assertEqual(self.ask(sock, "anna:secret of anna").status, 200)


class Start(UsersCase):
    START_WEIR = False

    def start_with(self, text):
        weir = self.new_weir("start", self.CONFIG)
        self.addCleanup(weir.kill)
        if text is None:
            os.unlink(self.path)
        else:
            self.write_users(text)
        weir.port = 0
        weir.config["listeners"] = [{"address": "127.0.0.1:0", "mode": "forward",
                                     "users": self.path}]
        weir.write_config()
        weir.launch()
        return weir.process.wait(harness.WAIT_S), weir.stderr()

    def test_bad_files(self):
        """Every bad line is told with its number, and weir does not start."""
        good = self.lines["anna"]
        for text, lines in ((good + "x:$apr1$abc$def\n\n#\n:" + good.split(":")[1] + good, (2, 5, 6)),
                            ("nocolon\n", (1,)), ("a:" + "$2y$18$" + "a" * 53, (1,)),
                            ("a:$2y$03$" + "a" * 53 + "\n", (1,)), ("a:$2x$10$" + "a" * 53, (1,)),
                            ("a" * 2000 + "\n" + good, (1,))):
            status, said = self.start_with(text)
            self.assertEqual(status, harness.EXIT_CONFIG, said)
            self.assertEqual([int(n) for n in re.findall(re.escape(self.path) + r":(\d+): error:",
                                                         said)], list(lines), said)
        status, said = self.start_with(None)
        self.assertEqual(status, harness.EXIT_CONFIG)
        self.assertIn("cannot be read", said)


class Slow(UsersCase):
    """Passwords that take long to check hold nobody up who has no need of it."""
    COST = 9  # some 30 to 60 ms each

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.slow = bcrypt("right", cls.COST)
        cls.write_users(cls.all_users())

    @classmethod
    def all_users(cls):
        return "".join(cls.lines.values()) + "".join(f"slow{n}:{cls.slow}\n" for n in range(50))

    def median_ms(self, sock, count):
        times = []
        for _ in range(count):
            begin = time.perf_counter()
            self.assertEqual(self.ask(sock, "anna:secret of anna").status, 200)
            times.append(time.perf_counter() - begin)
        return sorted(times)[count // 2] * 1000

    def test_fifty_logins(self):
        """While fifty logins are being checked, requests of somebody who is known take about as
        long as without them, and all fifty succeed."""
        known = self.dial()
        quiet = self.median_ms(known, 200)
        socks = [self.dial(timeout=120) for _ in range(50)]
        for n, sock in enumerate(socks):
            sock.sendall(f"GET {self.url} HTTP/1.1\r\nHost: origin.test\r\n"
                         f"{basic(f'slow{n}:right')}\r\n".encode())
        busy = self.median_ms(known, 100)
        fresh = self.median_ms(self.dial(), 1)
        answered = len(select.select(socks, [], [], 0)[0])
        self.assertLess(answered, 50, "all were checked too soon: nothing was measured")
        statuses = [harness.read_answer(origins.Reader(sock)).status for sock in socks]
        print(f"quiet {quiet:.2f} ms, busy {busy:.2f} ms, fresh connection {fresh:.2f} ms")
        self.assertLess(busy, 20 * quiet + 20)
        self.assertEqual(statuses.count(200) + statuses.count(503), 50)
        if not harness.SANITIZED:
            self.assertEqual(statuses.count(200), 50)

    def wrong_ones(self, count):
        """Sockets on each of which a wrong password of its own is being checked."""
        head = f"GET {self.url} HTTP/1.1\r\nHost: origin.test\r\n"
        socks = []
        for _ in range(count):
            socks.append(self.dial(timeout=120))
            socks[-1].sendall((head + basic(f"slow1:{os.urandom(8).hex()}") + "\r\n").encode())
        return socks

    def test_too_many(self):
        """More checks than may wait: 503 at once, with the time to come back; who is known is served
        all the while."""
        self.assertEqual(self.ask(self.dial(), "anna:secret of anna").status, 200)
        socks = self.wrong_ones(128 + 20)
        refused = []
        while not refused:
            for sock in select.select(socks, [], [], harness.WAIT_S)[0]:
                answer = harness.read_answer(origins.Reader(sock))
                socks.remove(sock)
                if answer.status == 503:
                    refused.append(answer)
        self.assertEqual(refused[0].get("connection"), "close")
        self.assertGreater(int(refused[0].get("retry-after")), 0)
        self.assertEqual(self.ask(self.dial(), "anna:secret of anna").status, 200)
        record = self.weir.wait_record(lambda r: r.status == 503 and r.method == "GET")
        self.assertEqual((record.kind, record.user), ("request", None))
        for sock in socks:
            leave(sock)

    def test_unknown_users_take_as_long(self):
        """Whether a name is in the file cannot be told by the time that a refusal takes."""
        lines = "".join(f"u{n}:{self.slow}\n" for n in range(3))
        self.write_users(lines)

        def restore():
            self.write_users(self.all_users())
            wait_for("the file", lambda: self.ask(
                self.dial(), "bob:bob:with:colons").status == 200)
        self.addCleanup(restore)
        wait_for("the file", lambda: self.ask(self.dial(), "u0:right").status == 200)

        def refusal(name):
            begin = time.perf_counter()
            self.assertEqual(self.ask(self.dial(), f"{name}:wrong {os.urandom(4).hex()}").status,
                             407)
            return time.perf_counter() - begin
        there = refusal("u1")
        away = min(refusal(f"nobody{n}") for n in range(3))
        self.assertGreater(away, there / 4)

    def test_client_that_leaves(self):
        """Who goes away while waiting is forgotten, and its check is not made."""
        before = time.monotonic()
        for n in range(40):
            sock = self.dial()
            sock.sendall(f"GET {self.url} HTTP/1.1\r\nHost: origin.test\r\n"
                         f"{basic(f'slow{n}:wrong{before}')}\r\n".encode())
            leave(sock)
        self.assertEqual(self.ask(self.dial(timeout=60), "jörg:pässword").status, 200)


class Late(UsersCase):
    """limits.password_timeout."""

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.CONFIG = {**cls.CONFIG, "limits": {"password_timeout": "2s"}}
        cls.write_users(cls.lines["anna"] + f"slow:{bcrypt('right', 11)}\n")

    def test_too_long(self):
        """A check that is not made within the time ends in a 503, on CONNECT too, not in a 407."""
        self.check_407(self.ask(self.dial(), "anna:wrong"))
        head = f"CONNECT origin.test:{self.server.port} HTTP/1.1\r\n"
        socks = []
        for _ in range(120):  # ten seconds of checks
            socks.append(self.dial(timeout=120))
            socks[-1].sendall((head + basic(f"slow:{os.urandom(8).hex()}") + "\r\n").encode())
        begin = time.monotonic()
        answer = harness.read_answer(origins.Reader(socks[-1]))
        self.assertEqual(answer.status, 503)
        self.assertGreater(time.monotonic() - begin, 1)
        self.assertGreater(int(answer.get("retry-after")), 0)
        self.assertEqual(harness.read_to_end(socks[-1]), (b"", True))
        for sock in socks:
            leave(sock)
        self.weir.wait_record(lambda r: r.status == 503 and r.method == "CONNECT")


class SocksUsers(UsersCase):
    """The same users by RFC 1929."""

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.LISTENERS = {"socks": {"mode": "socks5", "users": cls.path}}

    def ask(self, name, password, methods=b"\x05\x02\x00\x02"):
        sock = self.dial(listener="socks")
        reader = origins.Reader(sock)
        sock.sendall(methods)
        method = reader.exactly(2)
        if method != b"\x05\x02":
            return sock, method
        name, password = name.encode(), password.encode()
        sock.sendall(bytes([1, len(name)]) + name + bytes([len(password)]) + password)
        return sock, reader.exactly(2)

    def test_right(self):
        for name, password in self.USERS.items():
            sock, answer = self.ask(name, password)
            self.assertEqual(answer, b"\x01\x00")
            port = self.server.port
            sock.sendall(b"\x05\x01\x00\x03\x0borigin.test" + port.to_bytes(2, "big"))
            self.assertEqual(origins.Reader(sock).exactly(10), b"\x05\x00\x00\x01" + bytes(6))
            sock.close()
            self.weir.wait_record(lambda r, n=name: f'"user":"{n}"' in r.line
                                  and r.mode == "socks5", f"{name} in the log")

    def test_wrong(self):
        for name, password in (("anna", "wrong"), ("nobody", "secret of anna"), ("anna", "")):
            with self.subTest(name=name, password=password):
                sock, answer = self.ask(name, password)
                self.assertEqual(answer, b"\x01\x01")
                self.assertEqual(harness.read_to_end(sock)[0], b"")

    def test_has_to_say(self):
        sock, answer = self.ask("", "", b"\x05\x01\x00")
        self.assertEqual(answer, b"\x05\xff")
        self.assertEqual(harness.read_to_end(sock)[0], b"")

    @program("curl", "curl")
    def test_curl(self):
        done = run(["curl", "-sS", "--cacert", self.weir.ca, "--proxy-user", "anna:secret of anna",
                    "--proxy", f"socks5h://127.0.0.1:{self.weir.ports['socks']}",
                    f"https://origin.test:{self.server.port}/bytes/30"])
        self.assertEqual(done.stdout, origins.pattern(0, 30))


if __name__ == "__main__":
    harness.main()
