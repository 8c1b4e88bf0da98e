# SPDX-License-Identifier: Apache-2.0
"""`weir signatures fetch`: sources good and bad, and what stays whatever happens."""
import fcntl
import hashlib
import hmac
import json
import os
import re
import shutil
import signal
import subprocess
import time
import unittest

import harness
import origins
from tools_case import Case

CHROME = "1:56-72:1:2:10:1:|303:~a,?1301:~0,5:17:0:*:|:0:0\n"
FIREFOX = "4:60-65:1:2:10:1:|303:1301,1303:0,17:17:0:*:|:0:0\n"
ESET = "1:48:1:2:6.1.0:1:|303:c028,c027:0,a:17,18:0::|eset-nod32-antivirus-9:1:3\n"
OLD = {"browser.txt": CHROME, "mitm.txt": ESET, "badheader.txt": "X-Old\n"}
NEW = {"browser.txt": CHROME + FIREFOX, "mitm.txt": ESET, "badheader.txt": "X-New\n"}
NAMES = ["SHA256SUMS", "browser.txt", "mitm.txt", "badheader.txt", "metadata.jsonl",
         "fingerprint_metadata.jsonl"]

DATA, UNAVAILABLE, BUSY = 65, 69, 75
KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TOKEN = "tok/en+of=a-session"


def contents(path):
    with open(path, encoding="utf-8") as text:
        return text.read()


def is_gone(pid):
    """It has ended, whether or not somebody has waited for it."""
    try:
        return contents(f"/proc/{pid}/stat").rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def sums(files):
    return "".join(f"{hashlib.sha256(text.encode()).hexdigest()}  {name}\n"
                   for name, text in files.items())


class Store(origins.Server):
    """Objects by path, with ETags. `special` has functions that answer in their own way; `judge`
    is asked about every request, and returns why it is refused."""

    def __init__(self, context=None):
        self.objects, self.special, self.requests = {}, {}, []
        self.judge = lambda request: None
        super().__init__(self._talk, context)

    def fill(self, files, folder="/db/"):
        self.objects = {folder + name: text.encode() for name, text in files.items()}

    def asked(self):
        """The requests since the last time, as file names with their conditions."""
        out = [(request.path.split("/")[-1], request.get("if-none-match") != "")
               for request in self.requests]
        self.requests.clear()
        return out

    def _talk(self, sock):
        reader = origins.Reader(sock)
        while True:
            while not reader.data:
                if not reader.fill():
                    return
            request = origins.Request(reader.until(b"\r\n\r\n"))
            self.requests.append(request)
            if request.path in self.special:
                self.special[request.path](sock)
                return
            self._answer(sock, request)

    def _answer(self, sock, request):
        body = self.objects.get(request.path)
        refused = self.judge(request)
        tag = '"' + hashlib.sha1(body or b"").hexdigest() + '"'
        if refused:
            status, body = "403 Forbidden", refused.encode()
        elif body is None:
            status, body = "404 Not Found", b"<html>no such thing</html>"
        elif request.get("if-none-match") == tag:
            sock.sendall(f"HTTP/1.1 304 Not Modified\r\nETag: {tag}\r\n\r\n".encode())
            return
        else:
            status = "200 OK"
        sock.sendall(f"HTTP/1.1 {status}\r\nETag: {tag}\r\nContent-Length: {len(body)}\r\n\r\n"
                     .encode() + body)


class FetchCase(Case):
    def setUp(self):
        super().setUp()
        self.base = os.path.join(self.folder, self.id().rsplit(".", 1)[-1])
        os.mkdir(self.base)
        self.database = os.path.join(self.base, "db")
        self.environment = {name: value for name, value in os.environ.items()
                            if not name.startswith("AWS_") and not name.endswith("_proxy")}

    def put(self, files, name="db"):
        folder = os.path.join(self.base, name)
        os.makedirs(folder)
        for file_name, text in files.items():
            with open(os.path.join(folder, file_name), "w", encoding="utf-8") as out:
                out.write(text)
        return folder

    def read(self, name="db"):
        """The files of a folder, without what is remembered of the fetch; None: no folder."""
        folder = os.path.join(self.base, name)
        if not os.path.isdir(folder):
            return None
        return {file_name: contents(os.path.join(folder, file_name))
                for file_name in os.listdir(folder) if file_name != ".fetch-state"}

    def arguments(self, source, *more):
        return [harness.BINARY, "signatures", "fetch", "--from", source, "--database",
                self.database, "--timeout", "20", *more]

    def fetch(self, source, *more, code=0):
        done = subprocess.run(self.arguments(source, *more), timeout=120, cwd=self.base,
                              env=self.environment, stdin=subprocess.DEVNULL,
                              capture_output=True, check=False)
        out, err = done.stdout.decode(), done.stderr.decode()
        self.assertIsNone(harness.COMPLAINTS.search(err), err)
        self.assertEqual(done.returncode, code, out + err)
        self.assertFalse(os.path.exists(self.database + ".new"))
        for secret in (SECRET, TOKEN):
            self.assertNotIn(secret, out + err)
        return out if code == 0 else err


class Folder(FetchCase):
    def test_first_then_changed(self):
        source = self.put(OLD, "source")
        self.assertEqual(self.fetch(source),
                         f"{self.database}: fetched: 1 records of browsers, 1 of products\n")
        self.assertEqual(self.read(), OLD)
        self.assertIsNone(self.read("db.previous"))
        self.assertEqual(self.fetch(source), f"{self.database}: not modified\n")
        shutil.rmtree(source)
        self.put(NEW, "source")
        report = json.loads(self.fetch(source + "/", "--json"))
        self.assertEqual((report["outcome"], report["browsers"], report["products"]),
                         ("fetched", 2, 1))
        self.assertEqual({row["file"]: (row["bytes"], row["sha256"]) for row in report["files"]},
                         {name: (len(text), hashlib.sha256(text.encode()).hexdigest())
                          for name, text in NEW.items()})
        self.assertEqual((self.read(), self.read("db.previous")), (NEW, OLD))
        shutil.rmtree(source)
        self.put(OLD, "source")
        self.fetch(source)
        self.assertEqual((self.read(), self.read("db.previous")), (OLD, NEW))

    def test_dry_run(self):
        self.put(OLD)
        out = self.fetch(self.put(NEW, "source"), "--dry-run")
        self.assertIn("would be replaced: 2 records of browsers", out)
        self.assertEqual((self.read(), self.read("db.previous")), (OLD, None))

    def test_missing(self):
        self.put(OLD)
        for name in NEW:
            others = {key: text for key, text in NEW.items() if key != name}
            source = self.put(others, "less-" + name)
            err = self.fetch(source, code=UNAVAILABLE)
            self.assertEqual(err, f"weir signatures fetch: {source}/{name}: not found\n")
        self.assertEqual(self.read(), OLD)
        self.fetch("absent", code=UNAVAILABLE)

    def test_bad_line(self):
        """Each with its place in the source; --lenient takes the rest."""
        self.put(OLD)
        bad = {**NEW,
               "browser.txt": CHROME + "# a comment\nnonsense\n" + FIREFOX.replace("|303", "|x"),
               "badheader.txt": "y" * 257 + "\n", "metadata.jsonl": '{"name": "a"}\n{}\n',
               "fingerprint_metadata.jsonl": "[\n"}
        source = self.put(bad, "source")
        err = self.fetch(source, code=DATA)
        for pattern in (r"/browser\.txt:3:\d+: error: .* expected", r"/browser\.txt:4:19: error: ",
                        r"/badheader\.txt:1:1: error: a header name of at most 256 bytes expected",
                        r"/metadata\.jsonl:2:1: error: name: missing",
                        r"/fingerprint_metadata\.jsonl:1:\d+: error: "):
            self.assertRegex(err, "(?m)^" + re.escape(source) + pattern)
        self.assertEqual(self.read(), OLD)
        self.fetch(source, "--lenient")
        self.assertEqual(self.read(), bad)

    def test_many_bad_lines(self):
        source = self.put({**NEW, "browser.txt": "x\n" * 40}, "source")
        err = self.fetch(source, code=DATA)
        self.assertEqual(err.count("browser.txt:"), 32)
        self.assertIn("8 bad lines more", err)

    def test_empty(self):
        source = self.put({**NEW, "browser.txt": "# nothing\n", "mitm.txt": ""}, "source")
        err = self.fetch(source, code=DATA)
        self.assertIn("browser.txt and mitm.txt have no record", err)
        with open(os.path.join(source, "mitm.txt"), "w", encoding="utf-8") as out:
            out.write(ESET)
        self.fetch(source)

    def test_too_large(self):
        source = self.put({**NEW, "mitm.txt": "#\n" * (1024 * 1024)}, "source")
        self.assertIn("mitm.txt: larger than 2 MiB", self.fetch(source, code=DATA))
        self.put({**NEW, "mitm.txt": "#\n" * (1024 * 1024 - 1) + "#"}, "least")
        self.fetch("least")

    def test_one_file(self):
        self.put({**OLD, "SHA256SUMS": sums(OLD)})
        source = self.put(NEW, "source")
        digest = hashlib.sha256(NEW["browser.txt"].encode()).hexdigest()
        err = self.fetch(source + "/browser.txt", "--sha256", digest[::-1], code=DATA)
        self.assertIn(f"its SHA-256 is {digest}, but --sha256 says {digest[::-1]}", err)
        self.assertIn("needs a whole database",
                      self.fetch(source + "/browser.txt", "--checksums", code=64))
        self.fetch(source + "/browser.txt", "--sha256", digest.upper())
        self.assertEqual(self.read(), {**OLD, "browser.txt": NEW["browser.txt"]})

    def test_checksums(self):
        self.put(OLD)
        source = self.put(NEW, "source")
        sums_path = os.path.join(source, "SHA256SUMS")
        self.assertIn("SHA256SUMS: not found", self.fetch(source, "--checksums", code=UNAVAILABLE))
        for text, pattern in (
                (sums(OLD), "browser.txt: its SHA-256 is [0-9a-f]{64}, but SHA256SUMS says "),
                (sums(NEW).replace("mitm", "other"), "mitm.txt: SHA256SUMS does not list it"),
                (sums({**NEW, "metadata.jsonl": ""}), "metadata.jsonl: not found"),
                ("# sums\nrubbish\n", "SHA256SUMS:2:1: error: 64 hexadecimal digits expected"),
                (sums(NEW) * 2, "SHA256SUMS:4:67: error: each name once expected")):
            with open(sums_path, "w", encoding="utf-8") as out:
                out.write(text)
            code = UNAVAILABLE if "not found" in pattern else DATA
            self.assertRegex(self.fetch(source, code=code), pattern)
            self.assertEqual(self.read(), OLD)
        files = {**NEW, "SHA256SUMS": sums(NEW).replace("  ", " *").replace("mitm", "./mitm"),
                 "metadata.jsonl": "it is not listed\n"}
        shutil.rmtree(source)
        self.put(files, "source")
        digest = hashlib.sha256(files["SHA256SUMS"].encode()).hexdigest()
        self.assertIn("64 hexadecimal digits", self.fetch(source, "--sha256", "ab", code=64))
        self.assertIn("SHA256SUMS: its SHA-256 is",
                      self.fetch(source, "--sha256", "0" * 64, code=DATA))
        self.fetch(source, "--checksums", "--sha256", digest)
        del files["metadata.jsonl"]
        self.assertEqual(self.read(), files)

    def test_usage(self):
        for source, words in (("ftp://x/", "a folder, https:// or s3:// expected"),
                              ("https://", "https://HOST/PATH expected"),
                              (f"https://me:{SECRET.replace('/', '')}@x/", "without @, ? and #"),
                              ("https://x/?X-Amz-Signature=s", "without @, ? and #")):
            err = self.fetch(source, code=64)
            self.assertIn(words, err)
            self.assertNotIn("MENG", err)
            self.assertNotIn("Amz", err)


class Interrupted(FetchCase):
    def test_foreign_files(self):
        """Nobody's own file ends in a folder that the next fetch deletes."""
        self.put({**OLD, "notes": "mine"})
        err = self.fetch(self.put(NEW, "source"), code=73)
        self.assertIn("db: notes is no file of a database", err)
        os.unlink(os.path.join(self.database, "notes"))
        self.put({"notes": "mine"}, "db.previous")
        self.assertIn("db.previous: notes is no", self.fetch("source", code=73))
        self.assertEqual((self.read(), self.read("db.previous")), (OLD, {"notes": "mine"}))

    def test_link(self):
        """The folder behind a link is exchanged; the link and the folder's mode stay."""
        real = self.put(OLD, "real")
        os.chmod(real, 0o750)
        os.symlink("real", self.database)
        self.fetch(self.put(NEW, "source"))
        self.assertTrue(os.path.islink(self.database))
        self.assertEqual((self.read(), self.read("real.previous")), (NEW, OLD))
        self.assertEqual(os.stat(real).st_mode & 0o7777, 0o750)

    def test_two_at_once(self):
        self.put(OLD)
        with open(self.database + ".lock", "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            err = self.fetch(self.put(NEW, "source"), code=BUSY)
            self.assertIn("db.lock: another fetch is under way; try again later", err)
        self.assertEqual(self.read(), OLD)
        self.fetch("source")

    @unittest.skipUnless(shutil.which("strace"), "strace is absent: install strace")
    def test_killed_at_each_step(self):
        """SIGKILL at each system call that changes a name or waits for the disk: the set is the
        old or the new one, and the next fetch goes on."""
        source = self.put(NEW, "source")
        ends = set()
        for call in ("mkdir", "chmod", "fsync", "renameat2", "rename", "unlink", "rmdir"):
            for when in (1, 2, 4, 9):
                for name in ("db", "db.previous", "db.new"):
                    shutil.rmtree(os.path.join(self.base, name), ignore_errors=True)
                self.put(OLD)
                self.put(OLD, "db.previous")
                done = subprocess.run(
                    ["strace", "-f", "-qq", "-o", "/dev/null", "-e",
                     f"inject={call}:signal=KILL:when={when}", *self.arguments(source)],
                    cwd=self.base, env={**self.environment, "ASAN_OPTIONS": "detect_leaks=0"},
                    capture_output=True, timeout=60, check=False)
                if "PTRACE" in done.stderr.decode():
                    self.skipTest("ptrace is not allowed here")
                self.assertIn(self.read(), (OLD, NEW), (call, when))
                ends.add((done.returncode != 0, self.read() == NEW))
                self.fetch(source)
                self.assertEqual(self.read(), NEW)
        self.assertEqual(ends, {(True, False), (True, True), (False, True)})


class StoreCase(FetchCase):
    @classmethod
    def prepare(cls):
        names = ["localhost", "bucket.localhost", "127.0.0.1"]
        cls.certificate = cls.authority.issue("store", names)
        cls.store = Store(origins.server_context(cls.certificate))
        cls.addClassCleanup(cls.store.close)
        cls.plain = Store()
        cls.addClassCleanup(cls.plain.close)

    def setUp(self):
        super().setUp()
        for store in (self.store, self.plain):
            store.requests.clear()
            store.special.clear()
            store.fill(NEW)
        self.url = f"https://localhost:{self.store.port}/db/"
        self.ca = ("--ca-file", self.authority.certificate)

    def failing(self, words, *more, code=UNAVAILABLE, url=None):
        """The database stays, and the message says where and why."""
        if not os.path.exists(self.database):
            self.put(OLD)
        err = self.fetch(url or self.url, *self.ca, *more, code=code)
        self.assertRegex(err, words)
        self.assertEqual((self.read(), self.read("db.previous")), (OLD, None))
        return err

    def redirect(self, name, location):
        self.store.special["/db/" + name] = lambda sock: sock.sendall(
            f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n"
            "Connection: close\r\n\r\n".encode())


class Https(StoreCase):
    def test_fetched_and_not_modified(self):
        self.store.objects["/db/metadata.jsonl"] = b'{"name": "a"}\n'
        self.assertIn("fetched: 2 records of browsers", self.fetch(self.url[:-1], *self.ca))
        self.assertEqual(self.read(), {**NEW, "metadata.jsonl": '{"name": "a"}\n'})
        self.assertEqual(self.store.asked(), [(name, False) for name in NAMES])
        self.assertEqual(self.fetch(self.url, *self.ca), f"{self.database}: not modified\n")
        self.assertEqual([name for name, known in self.store.asked() if known],
                         ["browser.txt", "mitm.txt", "badheader.txt", "metadata.jsonl"])
        # One file changes, one goes: the others are not sent again, and the set is whole.
        self.store.objects["/db/mitm.txt"] = b"# none any more\n"
        del self.store.objects["/db/metadata.jsonl"]
        report = json.loads(self.fetch(self.url, *self.ca, "--json"))
        self.assertEqual({row["file"]: row["kept"] for row in report["files"]},
                         {"browser.txt": True, "mitm.txt": False, "badheader.txt": True})
        self.assertEqual(self.read(), {**NEW, "mitm.txt": "# none any more\n"})
        self.assertEqual(self.fetch(self.url, *self.ca), f"{self.database}: not modified\n")

    def test_not_trusted_etags(self):
        """An ETag counts for the file and the source that it came with."""
        self.fetch(self.url, *self.ca)
        with open(os.path.join(self.database, "browser.txt"), "w", encoding="utf-8") as out:
            out.write(CHROME)
        self.store.asked()
        self.fetch(self.url, *self.ca)
        self.assertIn(("browser.txt", False), self.store.asked())
        self.assertEqual(self.read(), NEW)
        self.fetch(self.url.replace("localhost", "127.0.0.1"), *self.ca)
        self.assertFalse(any(known for _, known in self.store.asked()))
        with open(os.path.join(self.database, ".fetch-state"), "w", encoding="utf-8") as out:
            out.write("{")
        self.assertIn("not modified", self.fetch(self.url, *self.ca))

    def test_checksums(self):
        """Optional files that are not listed are not asked for."""
        self.store.objects["/db/SHA256SUMS"] = sums(NEW).encode()
        self.fetch(self.url, *self.ca, "--checksums")
        self.assertEqual(self.store.asked(), [(name, False) for name in NAMES[:4]])
        self.assertIn("not modified", self.fetch(self.url, *self.ca))
        self.assertEqual(self.store.asked(), [(name, True) for name in NAMES[:4]])
        self.store.objects["/db/browser.txt"] = FIREFOX.encode()
        self.store.objects["/db/SHA256SUMS"] = sums({**NEW, "browser.txt": CHROME}).encode()
        self.assertIn("browser.txt: its SHA-256 is", self.fetch(self.url, *self.ca, code=DATA))
        self.assertEqual(self.read(), {**NEW, "SHA256SUMS": sums(NEW)})

    def test_needed_file_absent(self):
        del self.store.objects["/db/badheader.txt"]
        self.failing(r"weir signatures fetch: https://localhost:\d+/db/badheader.txt: not found")

    def test_server_error(self):
        self.store.special["/db/mitm.txt"] = lambda sock: sock.sendall(
            b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy")
        self.failing("/db/mitm.txt: the server answered 503")
        self.store.special["/db/mitm.txt"] = lambda sock: sock.sendall(
            b"HTTP/1.1 304 Not Modified\r\n\r\n")
        self.failing("/db/mitm.txt: the server answered 304")

    def test_wrong_certificate(self):
        self.put(OLD)
        err = self.fetch(self.url, code=UNAVAILABLE) # the system does not know the authority
        self.assertRegex(err, r"weir-fetch: https://localhost:\d+/db/SHA256SUMS: .*certificate")
        other = f"https://other.localhost:{self.store.port}/db/"
        self.failing("(?i)certificate|subject name", url=other)
        self.assertEqual(self.store.requests, [])

    def test_no_server(self):
        self.failing("(?i)connect", url=f"https://localhost:{harness.free_port()}/db/")

    def test_truncated(self):
        def cut(sock):
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + CHROME.encode())
        def cut_chunk(sock):
            sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3d\r\n"
                         + CHROME.encode() + b"\r\n")
        for answer in (cut, cut_chunk):
            self.store.special["/db/browser.txt"] = answer
            self.failing("/db/browser.txt: ")

    def test_too_large(self):
        length = 2 * 1024 * 1024
        def announced(sock):
            sock.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode()
                         + b"#" * length)
        def endless(sock):
            sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while True:
                sock.sendall(b"1000\r\n" + b"#" * 4096 + b"\r\n")
        for answer in (announced, endless):
            self.store.special["/db/browser.txt"] = answer
            self.failing("/db/browser.txt: larger than 2097151 bytes", code=DATA)
        self.store.objects["/db/mitm.txt"] = b"#\n" * (length // 2 - 1) + b"#"
        del self.store.special["/db/browser.txt"]
        self.fetch(self.url, *self.ca)

    def test_slow(self):
        """The whole transfer is bounded, and so is a stall in it."""
        def slow(sock):
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            for _ in range(1000):
                sock.sendall(b"#")
                time.sleep(0.05)
        self.store.special["/db/browser.txt"] = slow
        self.put(OLD)
        self.arguments = lambda *given: [word if word != "20" else "1" for word in
                                         type(self).arguments(self, *given)]
        began = time.monotonic()
        self.failing("/db/browser.txt: .*timed out")
        self.assertLess(time.monotonic() - began, harness.WAIT_S)
        helper = os.path.join(os.path.dirname(harness.BINARY), "weir-fetch")
        done = subprocess.run([helper, *self.ca, "--stall-seconds", "1", self.url + "browser.txt",
                               os.path.join(self.base, "x")], capture_output=True, timeout=60,
                              env=self.environment, check=False)
        self.assertEqual(done.returncode, UNAVAILABLE)
        self.assertIn("too slow", done.stderr.decode())
        self.assertFalse(os.path.exists(os.path.join(self.base, "x")))

    def test_redirects(self):
        """Followed to https, some of them; never to http, which a cheat could answer."""
        for more in ((), ("--allow-http",)):
            self.redirect("browser.txt", f"http://localhost:{self.plain.port}/db/browser.txt")
            self.failing("it redirects to something else than https://", *more)
        self.assertEqual(self.plain.requests, [])
        self.redirect("browser.txt", "file:///etc/passwd")
        self.failing("it redirects to something else than https://")
        self.redirect("browser.txt", self.url + "browser.txt")
        self.failing("(?i)maximum .* redirects")
        self.store.objects["/elsewhere"] = FIREFOX.encode()
        self.redirect("browser.txt", "/elsewhere")
        self.fetch(self.url, *self.ca)
        self.assertEqual(self.read(), {**NEW, "browser.txt": FIREFOX})

    def test_http(self):
        """To this host, past any proxy; or by order."""
        self.environment["http_proxy"] = f"http://127.0.0.1:{harness.free_port()}"
        self.fetch(f"http://127.0.0.1:{self.plain.port}/db/")
        self.assertEqual(self.read(), NEW)
        del self.environment["http_proxy"]
        other = f"http://0.0.0.0:{self.plain.port}/db/" # no loopback address, but it stays here
        self.plain.asked()
        self.assertIn("http:// to another host needs --allow-http", self.fetch(other, code=64))
        self.assertEqual(self.plain.requests, [])
        self.fetch(other, "--allow-http")
        self.assertNotEqual(self.plain.requests, [])

    def test_not_a_database(self):
        """The place in what was served; what a server says reaches no terminal raw."""
        self.store.objects["/db/browser.txt"] = CHROME.encode() + b"\x1b[31m<html>\n"
        err = self.failing(r"(?m)^https://localhost:\d+/db/browser\.txt:2:\d+: error: .* expected$",
                           code=DATA)
        self.assertNotIn("\x1b", err)

    def test_killed(self):
        """SIGKILL while a file is on its way: no process stays, and neither does half a set."""
        self.put(OLD)
        self.store.special["/db/mitm.txt"] = lambda sock: sock.recv(1)
        process = subprocess.Popen(self.arguments(self.url, *self.ca), env=self.environment)
        self.addCleanup(process.kill)
        harness.wait_for("the request", lambda: ("mitm.txt", False) in
                         [(request.path[4:], False) for request in self.store.requests])
        [helper] = contents(f"/proc/{process.pid}/task/{process.pid}/children").split()
        process.send_signal(signal.SIGKILL)
        process.wait(harness.WAIT_S)
        harness.wait_for("the helper's end", lambda: is_gone(helper), 5)
        self.assertEqual(self.read(), OLD)
        self.assertTrue(os.path.exists(self.database + ".new"))
        self.store.special.clear()
        self.fetch(self.url, *self.ca)
        self.assertEqual((self.read(), self.read("db.previous")), (NEW, OLD))

    def test_helper(self):
        err = self.fetch(self.url, "--helper", "/absent/weir-fetch", code=1)
        self.assertIn("/absent/weir-fetch: No such file", err)
        self.assertIn("is no weir-fetch", self.fetch(self.url, "--helper", "/bin/true", code=1))
        self.assertIsNone(self.read())


class S3(StoreCase):
    def setUp(self):
        super().setUp()
        self.environment.update(AWS_ACCESS_KEY_ID=f" {KEY}\n", AWS_SECRET_ACCESS_KEY=SECRET + " ",
                                AWS_ENDPOINT=f"localhost:{self.store.port}")
        self.wanted = {"region": "us-east-1", "token": ""}
        self.faults = []
        self.store.judge = self.judge
        self.addCleanup(setattr, self.store, "judge", lambda request: None)

    def judge(self, request):
        fault = self.signature_fault(request)
        if fault:
            self.faults.append(fault)
        return fault

    def signature_fault(self, request):
        """What S3 checks of AWS's signature version 4; None: nothing is wrong."""
        found = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/s3/"
                             r"aws4_request, ?SignedHeaders=([a-z0-9;-]+), ?"
                             r"Signature=([0-9a-f]{64})",
                             request.get("authorization"))
        if not found:
            return "no signature"
        key, day, region, signed, signature = found.groups()
        needed = {"host", "x-amz-date", "x-amz-content-sha256"}
        needed |= {name.lower() for name, _ in request.fields if name.lower().startswith("x-amz-")}
        if key != KEY or region != self.wanted["region"] or needed - set(signed.split(";")):
            return f"key {key}, region {region}, signed {signed}"
        if request.get("x-amz-security-token") != self.wanted["token"]:
            return "token"
        if request.get("x-amz-content-sha256") != hashlib.sha256(b"").hexdigest():
            return "digest of the body"
        headers = "".join(f"{name}:{request.get(name).strip()}\n" for name in signed.split(";"))
        canonical = "\n".join([request.method, request.path, "", headers, signed,
                               request.get("x-amz-content-sha256")])
        text = "\n".join(["AWS4-HMAC-SHA256", request.get("x-amz-date"),
                          f"{day}/{region}/s3/aws4_request",
                          hashlib.sha256(canonical.encode()).hexdigest()])
        mac = ("AWS4" + SECRET).encode()
        for part in (day, region, "s3", "aws4_request", text):
            mac = hmac.new(mac, part.encode(), hashlib.sha256).digest()
        return None if hmac.compare_digest(mac.hex(), signature) else "signature:\n" + canonical

    def test_virtual_host(self):
        out = self.fetch("s3://bucket/db", *self.ca)
        self.assertEqual(self.faults, [])
        self.assertIn("fetched", out)
        self.assertEqual({request.get("host") for request in self.store.requests},
                         {f"bucket.localhost:{self.store.port}"})
        self.store.asked()
        self.assertIn("not modified", self.fetch("s3://bucket/db/", *self.ca))
        self.assertIn(("browser.txt", True), self.store.asked())
        self.assertEqual(self.faults, [])

    def test_path_style(self):
        """With a token, another region, a bucket from the environment, and an odd prefix."""
        self.wanted = {"region": "eu-central-1", "token": TOKEN}
        self.environment.update(AWS_SESSION_TOKEN=TOKEN, AWS_REGION="eu-central-1",
                                AWS_BUCKET_NAME="bucket",
                                AWS_ENDPOINT=f"https://localhost:{self.store.port}/")
        self.store.fill(NEW, "/bucket/a%20b%2B/")
        self.fetch("s3:///a b+", *self.ca, "--path-style")
        self.assertEqual(self.faults, [])
        self.assertEqual(self.read(), NEW)
        self.plain.fill(OLD, "/bucket/")
        self.environment["AWS_ENDPOINT"] = f"http://localhost:{self.plain.port}"
        self.fetch("s3://", "--path-style")
        self.assertEqual(self.read(), OLD)

    def test_no_redirect(self):
        """Another host gets neither a signature nor the token."""
        self.redirect("browser.txt", f"https://localhost:{self.store.port}/elsewhere")
        self.failing("the server answered 302: the bucket is elsewhere", url="s3://bucket/db")
        self.assertNotIn("/elsewhere", [request.path for request in self.store.requests])

    def test_refused(self):
        """403 is what S3 answers for what is not there to those who may not list."""
        inner = self.store.judge
        self.store.judge = lambda request: inner(request) or (
            "" if request.path in self.store.objects else "AccessDenied")
        self.fetch("s3://bucket/db", *self.ca)
        shutil.rmtree(self.database)
        self.environment["AWS_SECRET_ACCESS_KEY"] = "another"
        err = self.failing("browser.txt: the server answered 403; are keys, bucket and AWS_REGION",
                           url="s3://bucket/db")
        self.assertNotIn("another", err)
        self.failing("SHA256SUMS: the server answered 403", "--checksums", url="s3://bucket/db")

    def test_environment(self):
        """Named in this order, the first one that lacks."""
        names = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT", "AWS_BUCKET_NAME"]
        values = dict(zip(names, (KEY, SECRET, "localhost", "bucket")))
        for name in names:
            self.environment.pop(name, None)
        for name in names:
            err = self.fetch("s3://", code=78)
            self.assertIn(f"the environment variable {name} is not set\n", err)
            self.environment[name] = values[name]
        self.fetch("s3://bad|bucket/", code=64)
        for endpoint in ("a/b", "user@host", "https://", "a b"):
            self.environment["AWS_ENDPOINT"] = endpoint
            self.assertIn("AWS_ENDPOINT: HOST or HOST:PORT", self.fetch("s3://", code=64))

    def test_secrets(self):
        """No command line of either process has one, while they are used."""
        self.environment["AWS_SESSION_TOKEN"] = self.wanted["token"] = TOKEN
        self.store.special["/db/mitm.txt"] = lambda sock: sock.recv(1)
        process = subprocess.Popen(self.arguments("s3://bucket/db", *self.ca), env=self.environment)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        harness.wait_for("the request", lambda: any(request.path.endswith("mitm.txt")
                                                    for request in self.store.requests))
        [helper] = contents(f"/proc/{process.pid}/task/{process.pid}/children").split()
        for pid in (process.pid, helper):
            with open(f"/proc/{pid}/cmdline", "rb") as line:
                words = line.read()
            self.assertIn(b"s3" if pid == process.pid else b"--aws-region", words)
            for secret in (KEY, SECRET, TOKEN):
                self.assertNotIn(secret.encode(), words)
        self.assertEqual(self.faults, [])


if __name__ == "__main__":
    harness.main()
