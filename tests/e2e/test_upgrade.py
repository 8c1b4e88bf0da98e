# SPDX-License-Identifier: Apache-2.0
"""The next process takes over from the one that runs, and nobody notices; or does not come up, and
nobody notices that either.

WEIR_UPGRADE_SECONDS=60 makes the storm that long, with 50 reloads and 10 upgrades in a minute."""
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import unittest

import harness
import origins
import steady

STORM_S = int(os.environ.get("WEIR_UPGRADE_SECONDS", "10"))
GRACE_S = 20


class Upgrade(harness.WeirCase):
    START_WEIR = False

    @classmethod
    def prepare(cls):
        cls.clear = steady.Origin()
        cls.secure = steady.Origin(origins.server_context(cls.certificate))
        for server in (cls.clear, cls.secure):
            cls.addClassCleanup(server.close)

    def setUp(self):
        self.own = self.new_weir(self._testMethodName, {
            "workers": 1, "admin": {"address": "127.0.0.1:0"}, "drain": {"grace": f"{GRACE_S}s"}})
        self.own.binary = os.path.join(self.own.folder, "weir")
        os.symlink(harness.BINARY, self.own.binary)
        self.own.start()
        self.addCleanup(self.own.kill)

    def load(self, **more):
        return steady.Load(steady.dialler(self.own.port), self.clear, self.secure, self.own.ca,
                           **more)

    def threads(self):
        names = []
        for thread in os.listdir(f"/proc/{self.own.process.pid}/task"):
            with open(f"/proc/{self.own.process.pid}/task/{thread}/comm", encoding="ascii") as comm:
                names.append(comm.read().strip())
        return sum(1 for name in names if re.fullmatch(r"weir-\d+", name))

    def sockets(self):
        """Listening sockets, as often as the process has them."""
        inodes = {}
        with open("/proc/net/tcp", encoding="ascii") as table:
            for line in list(table)[1:]:
                words = line.split()
                if words[3] == "0A":
                    inodes[words[9]] = int(words[1].split(":")[1], 16)
        folder = f"/proc/{self.own.process.pid}/fd"
        links = []
        for name in os.listdir(folder):
            try:
                links.append(os.readlink(f"{folder}/{name}"))
            except FileNotFoundError:
                pass  # closed since it was listed
        return sorted(inodes[link[8:-1]] for link in links
                      if link.startswith("socket:[") and link[8:-1] in inodes)

    def replace_binary(self, text=None):
        """What lies at the path from now on: a script, or weir again."""
        os.unlink(self.own.binary)
        if text is None:
            shutil.copy(harness.BINARY, self.own.binary)
            return
        with open(self.own.binary, "w", encoding="ascii") as out:
            out.write(text)
        os.chmod(self.own.binary, 0o755)

    def fails(self, words):
        """SIGUSR2 ends with that error line; the process and its pid file are as before."""
        before = len(self.own.stderr())
        inode = os.stat(self.own.pid_path).st_ino
        self.own.signal(signal.SIGUSR2)
        harness.wait_for("the error", lambda: re.search(words, self.own.stderr()[before:]))
        harness.wait_for("the pid file", lambda: os.stat(self.own.pid_path).st_ino != inode)
        self.assertEqual(self.own.served_by(), self.own.process.pid)
        self.assertTrue(self.own.is_running())

    def test_storm(self):
        """Reloads and upgrades under steady load: no request fails, no download is cut, and every
        process ends with 0."""
        upgrades, reloads = max(3, STORM_S // 6), max(10, STORM_S * 50 // 60)
        load = self.load(drip_s=min(4, STORM_S / 3))
        with load:
            harness.wait_for("load", lambda: load.answers > 20)
            began = time.monotonic()
            for step in range(reloads):
                if step * upgrades // reloads != (step - 1) * upgrades // reloads:
                    self.own.upgrade()
                self.own.signal(signal.SIGHUP)
                left = began + (step + 1) * STORM_S / reloads - time.monotonic()
                time.sleep(max(0, left))
            served = load.answers
        self.assertEqual(load.failures, [])
        self.assertGreater(load.downloads, 2)
        self.assertEqual(len(self.own.former), upgrades)
        self.own.stop()
        self.assertNotIn("reload failed", self.own.stderr())
        print(f"{STORM_S} s: {upgrades} upgrades, {reloads} reloads, {served} answers and "
              f"{load.downloads} downloads, {len(load.failures)} failures")

    def test_workers(self):
        """One worker, two, one: sockets that are too many go to those that are left, and who has
        none gets one."""
        load = self.load(rate=40, drip_s=2)
        with load:
            for workers in (1, 2, 1, 2):
                self.own.config["workers"] = workers
                self.own.write_config()
                self.own.upgrade()
                self.assertEqual(self.threads(), workers)
                answers = load.answers
                harness.wait_for("load", lambda answers=answers: load.answers > answers + 30)
            self.assertEqual(self.sockets().count(self.own.port), 2)
        self.assertEqual(load.failures, [])
        self.own.stop()

    def test_addresses(self):
        """A listener that is new is bound, and one that is gone is closed; what goes on there
        ends."""
        first, other = self.own.port, harness.free_port()
        self.own.config["listeners"].insert(0, {"address": f"127.0.0.1:{other}", "mode": "forward"})
        self.own.write_config()
        self.own.upgrade()
        for port in (first, other):
            socket.create_connection(("127.0.0.1", port), 5).close()
        self.own.config["listeners"].pop()
        self.own.write_config()
        slow = []
        with socket.create_connection(("127.0.0.1", first), 30) as sock:
            host = f"origin.test:{self.clear.port}"
            sock.sendall(f"GET http://{host}/drip/2 HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            reader = origins.Reader(sock)
            reader.fill()
            self.own.upgrade()
            slow.append(harness.read_answer(reader))
        self.assertEqual(slow[0].body,
                         origins.pattern(0, steady.DRIP_PIECES * steady.DRIP_PIECE))
        self.assertEqual(self.sockets(), sorted([other, self.own.admin_port()]))
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", first), 5)
        self.own.stop()

    def test_admin(self):
        """/readyz never says no, whoever answers, and connections are not refused there either."""
        port, stop, seen = self.own.admin_port(), threading.Event(), []

        def ask():
            while not stop.is_set():
                try:
                    seen.append(steady.admin(port, "/readyz").status)
                except OSError as error:
                    seen.append(repr(error))

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            for _ in range(3):
                self.own.upgrade()
                count = len(seen)
                harness.wait_for("answers", lambda count=count: len(seen) > count + 20)
        finally:
            stop.set()
            thread.join()
        self.assertEqual(set(seen), {200})
        self.assertEqual(self.own.admin_port(), port)
        self.own.stop()

    def test_broken(self):
        """A program or a configuration that does not come up: the old process goes on, says why,
        and can be upgraded later."""
        load = self.load(drip_s=1)
        with load:
            with open(self.own.config_path, "w", encoding="ascii") as out:
                out.write("workers: nonsense\n")
            self.fails(r"upgrade: process \d+ ended with status 78 before it served")
            self.own.write_config()
            self.replace_binary("#!/bin/sh\nkill -SEGV $$\n")
            self.fails(r"upgrade: process \d+ was ended by signal 11 ")
            self.replace_binary("#!/bin/sh\nexit 0\n")
            self.fails(r"upgrade: process \d+ ended with status 0 before it served")
            self.replace_binary("no program at all")
            self.fails(r"upgrade: cannot start .*/weir: Exec format error")
            os.unlink(self.own.binary)
            self.own.signal(signal.SIGUSR2)
            harness.wait_for("the error", lambda: "weir: No such file" in self.own.stderr())
            os.symlink("/nowhere", self.own.binary)
            self.replace_binary()
            self.own.upgrade()
            harness.wait_for("downloads", lambda: load.downloads > 3)
        self.assertEqual(load.failures, [])
        self.own.stop()

    def test_end_meanwhile(self):
        """SIGTERM while the next process does not come up: both end."""
        self.replace_binary("#!/bin/sh\necho $$ > other.pid\nexec sleep 600\n")
        other = os.path.join(self.own.folder, "other.pid")
        self.own.signal(signal.SIGUSR2)
        harness.wait_for("the other", lambda: os.path.exists(other) and os.path.getsize(other))
        self.own.stop()
        with open(other, encoding="ascii") as file:
            pid = int(file.read())
        self.assertFalse(os.path.exists(f"/proc/{pid}"))
        self.assertFalse(os.path.exists(self.own.pid_path))

    @unittest.skipUnless("WEIR_UPGRADE_SECONDS" in os.environ, "takes the 30 s that it has")
    def test_late(self):
        """A program that says nothing for 30 s is ended."""
        self.replace_binary("#!/bin/sh\nexec sleep 600\n")
        self.own.signal(signal.SIGUSR2)
        harness.wait_for("the error", lambda: "did not serve within 30 s" in self.own.stderr(), 40)
        self.own.stop()

    def test_inherits_only_sockets(self):
        """The next process has as many descriptors as the first had, and no word of all this in its
        environment; neither has one that was started so by somebody else."""
        before = harness.wait_stable(self.own.descriptors)
        self.own.upgrade()
        harness.wait_for("the former process to end", lambda: self.own.former[0].poll() == 0)
        self.assertEqual(harness.wait_stable(self.own.descriptors), before)
        done = harness.run([harness.BINARY, "run", "--config", self.own.config_path],
                           env={"WEIR_UPGRADE": "parent=1 ready=2 3=127.0.0.1:1/0"})
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"WEIR_UPGRADE in the environment does not fit", done.stderr)
        self.own.stop()

    def test_supervisor(self):
        """A supervisor like systemd learns which process is the service, and when it ends."""
        self.own.stop()
        path = os.path.join(self.own.folder, "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.bind(path)
            sock.settimeout(harness.WAIT_S)
            os.environ["NOTIFY_SOCKET"] = path
            self.addCleanup(os.environ.pop, "NOTIFY_SOCKET")
            self.own.start()
            self.assertEqual(sock.recv(100), f"READY=1\nMAINPID={self.own.process.pid}\n".encode())
            self.own.upgrade()
            self.assertEqual(sock.recv(100), f"READY=1\nMAINPID={self.own.process.pid}\n".encode())
            self.own.stop()
            self.assertEqual(sock.recv(100), b"STOPPING=1\n")

    def command(self, *arguments):
        done = harness.run([harness.BINARY, "upgrade", *arguments], cwd=self.folder)
        return done.returncode, (done.stdout + done.stderr).decode()

    def test_command(self):
        """`weir upgrade` waits for the outcome where there is a pid file, and asks nobody who would
        be ended by the signal."""
        harness.Successor.adopt_orphans()
        code, text = self.command("--pid-file", self.own.pid_path)
        self.assertEqual(code, 0, text)
        self.assertRegex(text, rf"process \d+ took over from {self.own.process.pid}\n")
        self.own.former.append(self.own.process)
        self.own.process = harness.Successor(self.own.served_by())
        self.replace_binary("#!/bin/sh\nexit 3\n")
        code, text = self.command("--pid-file", self.own.pid_path)
        self.assertEqual(code, 1, text)
        self.assertIn(f"{self.own.process.pid} goes on", text)
        with subprocess.Popen(["sleep", "600"]) as other:
            try:
                code, text = self.command("--pid", str(other.pid))
                self.assertIsNone(other.poll())
            finally:
                other.kill()
        self.assertEqual(code, 69, text)
        self.assertIn("does not wait for SIGUSR2", text)
        code, text = self.command("--pid", "4194303")
        self.assertEqual(code, 69, text)
        self.assertIn("no such process", text)
        code, text = self.command("--pid-file", "nowhere")
        self.assertEqual(code, 69, text)
        self.assertIn("nowhere names no process: No such file", text)
        self.own.stop()


if __name__ == "__main__":
    harness.main()
