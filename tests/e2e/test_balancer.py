# SPDX-License-Identifier: Apache-2.0
"""HAProxy before two weirs: PROXY headers tell them who the client is, /readyz tells HAProxy where
connections may go, and each weir in turn is drained, upgraded and killed under steady load."""
import os
import shutil
import signal
import socket
import subprocess
import time

import harness
import origins
import steady

CHECK_MS, FALL = 100, 2
DELAY_MS = 1000  # of a drain: several times what HAProxy needs to notice
CLIENT = "127.0.0.9"

HAPROXY = """
global
    stats socket {folder}/stats
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    retries 3
    option redispatch 1
frontend in
    bind 127.0.0.1:{port}
    default_backend weirs
backend weirs
    balance roundrobin
    option httpchk GET /readyz
    default-server check inter {inter}ms fall {fall} rise 1 send-proxy-v2
"""


class Haproxy:
    def __init__(self, folder, weirs):
        os.makedirs(folder)
        self.folder = folder
        self.port = harness.free_port()
        text = HAPROXY.format(folder=folder, port=self.port, inter=CHECK_MS, fall=FALL)
        for index, weir in enumerate(weirs):
            text += (f"    server weir{index} 127.0.0.1:{weir.ports['balanced']}"
                     f" port {weir.admin_port()}\n")
        with open(f"{folder}/haproxy.cfg", "w", encoding="ascii") as out:
            out.write(text)
        with open(f"{folder}/log", "wb") as log:
            self.process = subprocess.Popen(["haproxy", "-db", "-f", f"{folder}/haproxy.cfg"],
                                            stdout=log, stderr=log)
        harness.wait_for("both weirs to be up", lambda: self.states() == ["UP", "UP"])

    def states(self):
        try:
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(f"{self.folder}/stats")
                sock.sendall(b"show stat\n")
                lines = harness.read_to_end(sock)[0].decode().splitlines()
        except OSError:
            return []
        names = lines[0].lstrip("# ").split(",")
        rows = [dict(zip(names, line.split(","))) for line in lines[1:] if line]
        return [row["status"].split()[0] for row in rows
                if row["pxname"] == "weirs" and row["svname"].startswith("weir")]

    def close(self):
        self.process.kill()
        self.process.wait()


@harness.program("haproxy", "haproxy")
class Balancer(harness.WeirCase):
    START_WEIR = False

    @classmethod
    def prepare(cls):
        cls.clear = steady.Origin()
        cls.secure = steady.Origin(origins.server_context(cls.certificate))
        for server in (cls.clear, cls.secure):
            cls.addClassCleanup(server.close)

    def setUp(self):
        ca_dir = os.path.join(self.folder, self._testMethodName, "ca")
        os.makedirs(os.path.dirname(ca_dir))
        self.weirs = []
        for name in ("a", "b"):
            folder = os.path.join(self.folder, self._testMethodName, name)
            weir = harness.Weir(folder, harness.merge(self.base_config(folder), {
                "workers": 1, "intercept": {"ca_dir": ca_dir},
                "admin": {"address": f"127.0.0.1:{harness.free_port()}"},
                "drain": {"delay": f"{DELAY_MS}ms", "grace": "20s"}}),
                {"balanced": {"mode": "forward", "proxy_protocol": "required",
                              "balancers": ["127.0.0.1"]}})
            weir.ca = os.path.join(ca_dir, "weir-ca-cert.pem")
            self.weirs.append(weir.start())
            self.addCleanup(weir.kill)
        self.haproxy = Haproxy(os.path.join(self.folder, self._testMethodName, "haproxy"),
                               self.weirs)
        self.addCleanup(self.haproxy.close)
        self.load = steady.Load(steady.dialler(self.haproxy.port, CLIENT), self.clear, self.secure,
                                self.weirs[0].ca, drip_s=3)

    def wait_states(self, *states):
        harness.wait_for(f"{states}", lambda: self.haproxy.states() == list(states))

    def wait_load(self):
        before = self.load.answers
        harness.wait_for("load", lambda: self.load.answers > before + 60)

    def restart(self, weir):
        self.assertEqual(weir.complaints(), [])
        shutil.move(weir.stderr_path, weir.stderr_path + ".former")
        weir.launch()
        self.wait_states("UP", "UP")

    def finish(self):
        """Whoever was a client is in the log with an address of its own; nobody else is."""
        for weir in self.weirs:
            clients = {record.client.rpartition(":")[0] for record in weir.records()}
            self.assertEqual(clients, {CLIENT})
            self.assertGreater(len(weir.records()), 20)
            weir.stop()

    def test_drain(self):
        """SIGTERM: HAProxy learns of it before connections are refused; nobody else learns of it at
        all."""
        with self.load:
            self.wait_load()
            for index, weir in enumerate(self.weirs):
                weir.signal(signal.SIGTERM)
                self.wait_states(*["DOWN" if at == index else "UP" for at in (0, 1)])
                self.assertTrue(weir.is_running())
                self.assertEqual(weir.process.wait(30), harness.EXIT_OK)
                self.wait_load()
                self.restart(weir)
                self.wait_load()
        self.assertEqual(self.load.failures, [])
        self.assertGreater(self.load.downloads, 3)
        self.finish()

    def test_upgrade(self):
        """SIGUSR2: not even HAProxy learns of it."""
        with self.load:
            self.wait_load()
            for weir in self.weirs * 2:
                weir.upgrade()
                for _ in range(10):
                    self.assertEqual(self.haproxy.states(), ["UP", "UP"])
                    time.sleep(CHECK_MS / 1000)
                self.wait_load()
        self.assertEqual(self.load.failures, [])
        self.assertGreater(self.load.downloads, 3)
        self.finish()

    def test_kill(self):
        """SIGKILL: what it had is lost, and nothing else: who comes afterwards is served."""
        killed = []
        with self.load:
            self.wait_load()
            for index, weir in enumerate(self.weirs):
                killed.append(time.time())
                weir.process.kill()
                weir.process.wait()
                killed.append(time.time())
                self.wait_states(*["DOWN" if at == index else "UP" for at in (0, 1)])
                self.wait_load()
                self.restart(weir)
                self.wait_load()
        for began, failed, *what in self.load.failures:
            self.assertTrue(any(began <= after and failed >= before
                                for before, after in (killed[:2], killed[2:])), (killed, began, what))
        self.assertLessEqual(len(self.load.failures), 2 * len(self.load.threads))
        self.finish()


if __name__ == "__main__":
    harness.main()
