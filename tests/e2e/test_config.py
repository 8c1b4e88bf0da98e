# SPDX-License-Identifier: Apache-2.0
"""The program's outside: exit statuses, messages, reload and the ways to end it."""
import json
import os
import re
import signal
import socket
import threading
import time

import harness
import origins


class Commands(harness.WeirCase):
    START_WEIR = False

    def weir_command(self, *arguments):
        done = harness.run([harness.BINARY, *arguments], timeout=30, cwd=self.folder)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def check_text(self, text):
        path = os.path.join(self.folder, "tried.yaml")
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        code, out, err = self.weir_command("check", "--config", path)
        return code, out + err

    def test_version(self):
        """`weir version` names the version and ends with 0."""
        code, out, _ = self.weir_command("version")
        self.assertEqual(code, harness.EXIT_OK)
        self.assertRegex(out, r"weir \d+\.\d+\.\d+")

    def test_usage(self):
        """Wrong words on the command line end with 64 and say what is understood."""
        for arguments in ((), ("frobnicate",), ("run", "--frobnicate"), ("run", "--config"),
                          ("check",)):
            with self.subTest(arguments=arguments):
                code, out, err = self.weir_command(*arguments)
                if arguments == ("check",) and code == harness.EXIT_OK:
                    continue  # checking the embedded default is a fine meaning, too
                self.assertEqual(code, harness.EXIT_USAGE, out + err)
                self.assertTrue(err.strip())

    def test_good(self):
        """A good file: `check` ends with 0 and starts nothing."""
        weir = self.new_weir("good")
        weir.config["listeners"] = [{"address": "127.0.0.1:8080", "mode": "forward"}]
        code, text = self.check_text(json.dumps(weir.config))
        self.assertEqual(code, harness.EXIT_OK, text)
        self.assertFalse(os.path.exists(weir.ca_dir), "check made a CA")

    def test_bad(self):
        """Each mistake ends with 78 and a message that names file, line and what is wrong."""
        for text, words in (
                ("workers: -1\n", ["workers"]),
                ("workers: many\n", ["workers"]),
                ("wrokers: 2\n", ["wrokers", "workers"]),  # says what was probably meant
                ("listeners:\n  - address: nonsense\n", ["address"]),
                ("listeners:\n  - address: 127.0.0.1:99999\n", ["address"]),
                ("intercept:\n  default: maybe\n", ["default", "intercept", "tunnel", "refuse"]),
                ("intercept:\n  rules:\n    - action: explode\n", ["action"]),
                ("workers: 1\nworkers: 2\n", ["workers"]),
                ("connect:\n  ports: [443, 70000]\n", ["ports"]),
                ("connect: 5\n", ["connect"]),
                ("workers: [\n", []),
                ("\tworkers: 1\n", [])):
            with self.subTest(text=text):
                code, message = self.check_text(text)
                self.assertEqual(code, harness.EXIT_CONFIG, message)
                self.assertRegex(message, r"tried\.yaml:\d+")
                for word in words:
                    self.assertIn(word, message)

    def test_all_mistakes_at_once(self):
        """One run reports every mistake of the file."""
        code, message = self.check_text("workers: x\nconnect:\n  allow_private: perhaps\n")
        self.assertEqual(code, harness.EXIT_CONFIG)
        self.assertIn("workers", message)
        self.assertIn("allow_private", message)

    def test_missing_file(self):
        """A file that is not there: 78, and the message has its name."""
        code, _, err = self.weir_command("run", "--config", "/nonexistent/weir.yaml")
        self.assertEqual(code, harness.EXIT_CONFIG)
        self.assertIn("/nonexistent/weir.yaml", err)

    def test_port_taken(self):
        """A listener's port that is taken: 73, and the message names the address."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            weir = self.new_weir("taken")
            port = taken.getsockname()[1]
            weir.config["listeners"] = [{"address": f"127.0.0.1:{port}", "mode": "forward"}]
            weir.write_config()
            code, _, err = self.weir_command("run", "--config", weir.config_path)
            self.assertEqual(code, harness.EXIT_CANTCREAT, err)
            self.assertIn(f"127.0.0.1:{port}", err)

    def test_ca_cannot_be_made(self):
        """A CA folder that cannot be made: 73, and the message names it."""
        weir = self.new_weir("noca", {"intercept": {"ca_dir": "/dev/null/ca"}})
        weir.config["listeners"] = [{"address": f"127.0.0.1:{harness.free_port()}",
                                     "mode": "forward"}]
        weir.write_config()
        code, _, err = self.weir_command("run", "--config", weir.config_path)
        self.assertEqual(code, harness.EXIT_CANTCREAT, err)
        self.assertIn("/dev/null/ca", err)

    @harness.program("strace", "strace")
    def test_no_io_uring(self):
        """A kernel without io_uring, or one that forbids it: 71, and the two are told apart with
        what mends them."""
        for error, words in (("ENOSYS", "kernel|seccomp"), ("EPERM", "io_uring_disabled|container")):
            with self.subTest(error=error):
                weir = self.new_weir("noring" + error)
                weir.config["listeners"] = [{"address": f"127.0.0.1:{harness.free_port()}",
                                             "mode": "forward"}]
                weir.write_config()
                done = harness.run(
                    ["strace", "-f", "-qq", "-o", "/dev/null", "-e",
                     f"inject=io_uring_setup:error={error}", harness.BINARY, "run", "--config",
                     weir.config_path], timeout=60,
                    env={"ASAN_OPTIONS": "detect_leaks=0"})
                self.assertEqual(done.returncode, harness.EXIT_OSERR, done.stderr)
                self.assertRegex(done.stderr.decode(), words)


class Signals(harness.WeirCase):
    START_WEIR = False

    @classmethod
    def prepare(cls):
        cls.go_on = threading.Event()
        cls.arrived = threading.Event()

        def half_then_wait(sock):
            origins.Reader(sock).until(b"\r\n\r\n")
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
            cls.arrived.set()
            cls.go_on.wait(60)
            sock.sendall(b"done")

        cls.slow = origins.Server(half_then_wait)
        cls.clear = origins.HttpOrigin()
        cls.secure = origins.HttpOrigin(origins.server_context(cls.certificate))
        for server in (cls.slow, cls.clear, cls.secure):
            cls.addClassCleanup(server.close)

    def setUp(self):
        self.go_on.clear()
        self.arrived.clear()
        self.own = self.new_weir(self._testMethodName)
        self.own.start()
        self.addCleanup(self.own.kill)
        self.addCleanup(self.go_on.set)

    def start_transfer(self):
        """A transfer that stands still in the middle until `go_on`."""
        sock = self.dial(self.own, timeout=60)
        url = f"http://origin.test:{self.slow.port}/"
        sock.sendall(f"GET {url} HTTP/1.1\r\nHost: origin.test:{self.slow.port}\r\n\r\n".encode())
        self.assertTrue(self.arrived.wait(harness.WAIT_S))
        reader = origins.Reader(sock)
        self.assertEqual(harness.read_head(reader).status, 200)
        self.assertEqual(reader.exactly(4), b"half")
        return reader

    def refuses_new(self):
        try:
            socket.create_connection(("127.0.0.1", self.own.port), 1).close()
            return False
        except OSError:
            return True

    def test_end(self):
        """SIGTERM with nothing to do: weir ends with 0, at once."""
        started = time.monotonic()
        self.own.stop()
        self.assertLess(time.monotonic() - started, 5)

    def test_interrupt(self):
        """Ctrl-C is as good as SIGTERM."""
        self.own.signal(signal.SIGINT)
        self.assertEqual(self.own.process.wait(harness.WAIT_S), harness.EXIT_OK)

    def test_drain(self):
        """SIGTERM with a transfer in the middle: new clients are not taken any more, the transfer
        goes to its end, then weir ends with 0."""
        reader = self.start_transfer()
        self.own.signal(signal.SIGTERM)
        harness.wait_for("the listener to close", self.refuses_new)
        self.assertTrue(self.own.is_running())
        self.go_on.set()
        self.assertEqual(reader.exactly(4), b"done")
        self.assertEqual(self.own.process.wait(harness.WAIT_S), harness.EXIT_OK)
        self.assertEqual(self.own.complaints(), [])

    def test_second_signal(self):
        """A second SIGTERM ends at once, transfer or not."""
        self.start_transfer()
        self.own.signal(signal.SIGTERM)
        harness.wait_for("the listener to close", self.refuses_new)
        started = time.monotonic()
        self.own.signal(signal.SIGTERM)
        self.own.process.wait(harness.WAIT_S)
        self.assertLess(time.monotonic() - started, 5)
        self.assertEqual(self.own.complaints(), [])

    def issuer(self):
        context = harness.client_context()
        sock = self.tunnel(f"origin.test:{self.secure.port}", self.own)
        tls = context.wrap_socket(sock, server_hostname="origin.test")
        self.assertEqual(self.get(tls, "/bytes/3").body, origins.pattern(0, 3))
        issuer = self.issuer_of(tls)
        tls.close()
        return issuer

    def reload(self):
        self.own.write_config()
        self.own.signal(signal.SIGHUP)

    def test_reload(self):
        """SIGHUP with a changed file: new sessions follow it, a transfer that was under way goes
        on to its end, and the port never closes."""
        self.assertNotEqual(self.issuer(), "root")
        reader = self.start_transfer()
        self.own.config["intercept"]["default"] = "tunnel"
        self.reload()
        harness.wait_for("the new decision", lambda: self.issuer() == "root")
        self.go_on.set()
        self.assertEqual(reader.exactly(4), b"done")
        self.own.config["intercept"]["default"] = "intercept"
        self.reload()
        harness.wait_for("the old decision", lambda: self.issuer() != "root")
        self.own.stop()

    def test_bad_reload(self):
        """SIGHUP with a broken file: the mistake is reported, and weir goes on as it was."""
        with open(self.own.config_path, "w", encoding="utf-8") as out:
            out.write("workers: nonsense\n")
        self.own.signal(signal.SIGHUP)
        harness.wait_for("the message", lambda: re.search(r"weir\.yaml:\d+", self.own.stderr()))
        self.assertNotEqual(self.issuer(), "root")
        self.own.stop()

    def test_reload_storm(self):
        """A hundred reloads under traffic: every request is answered."""
        stop, errors, served = threading.Event(), [], []

        def ask():
            while not stop.is_set():
                try:
                    answer = self.get_plain(f"http://origin.test:{self.clear.port}/bytes/50",
                                            weir=self.own)
                    if answer.body != origins.pattern(0, 50):
                        errors.append(answer.status)
                    served.append(1)
                except OSError as error:
                    errors.append(repr(error))

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            for _ in range(100):
                before = len(served)
                self.own.signal(signal.SIGHUP)
                harness.wait_for("a request", lambda before=before: len(served) > before or errors)
        finally:
            stop.set()
            thread.join(harness.WAIT_S)
        self.assertEqual(errors, [])
        self.own.stop()

    def test_kept_ca(self):
        """A second start on the same folder uses the same CA: who trusted it still does."""
        with open(self.own.ca, "rb") as file:
            before = file.read()
        self.own.stop()
        again = harness.Weir(self.own.folder, self.own.config)
        again.start()
        self.addCleanup(again.kill)
        with open(again.ca, "rb") as file:
            self.assertEqual(file.read(), before)
        again.stop()


class Output(harness.WeirCase):
    @classmethod
    def prepare(cls):
        cls.clear = origins.HttpOrigin()
        cls.addClassCleanup(cls.clear.close)

    def test_access_record(self):
        """One line a request, with who, what, how much and how long."""
        self.get_plain(f"http://origin.test:{self.clear.port}/bytes/1234?q=%22")
        record = self.weir.wait_record(lambda r: (r.path or "").startswith("/bytes/1234"))
        self.assertEqual((record.kind, record.method, record.status), ("request", "GET", 200))
        self.assertTrue(record.client.startswith("127.0.0.1:"))
        self.assertGreaterEqual(record.down_bytes, 1234)
        self.assertGreater(record.phases["total"], 0)
        self.assertIn("connect", record.phases)

    def test_log_injection(self):
        """A path full of quotes stays inside its JSON string: lines are one object each."""
        sock = self.dial()
        target = f"http://origin.test:{self.clear.port}/bytes/1?'%22,%22status%22:999"
        sock.sendall(f"GET {target} HTTP/1.1\r\nHost: x.test\r\nUser-Agent: a\"b\\c\x7f\x1b[31m\r\n"
                     "\r\n".encode())
        harness.read_head(origins.Reader(sock))
        self.weir.wait_record(lambda r: "999" in (r.path or "") or (r.status or 0) == 400)
        with open(self.weir.access_path, "rb") as log:
            for line in log:
                json.loads(line)
                self.assertNotIn(b"\x1b", line)


if __name__ == "__main__":
    harness.main()
