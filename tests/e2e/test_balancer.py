# SPDX-License-Identifier: Apache-2.0
"""HAProxy before two weirs, each in a network namespace of its own: PROXY headers tell them who the
client is, /readyz tells HAProxy where connections may go, each weir in turn is drained, upgraded
and killed under steady load, and TLS sessions go on at the other weir. Needs root; skipped
without."""
import base64
import itertools
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time

import harness
import namespaces
import origins
import steady

CHECK_MS, FALL = 100, 2
DELAY_MS = 1000  # of a drain: several times what HAProxy needs to notice
PORT, ADMIN_PORT = 8080, 9090  # of both weirs; HAProxy's is PORT, too
CLIENT = namespaces.end(1, 2)[4]
BALANCER = namespaces.end(1, 1)[4]  # the side of the client
WEIRS = [namespaces.end(link, 2)[4] for link in (3, 4)]
NEXT_BALANCER = [namespaces.end(link, 1)[4] for link in (3, 4)]  # as each weir sees it
FIRST_CLIENT_PORT = 10000  # below those that the kernel picks
ORIGIN = [namespaces.end(link, 2)[4] for link in (5, 6)]  # where each weir finds the server

HAPROXY = f"""
global
    stats socket {{folder}}/stats
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    retries 3
    option redispatch 1
frontend in
    bind {BALANCER}:{PORT}
    default_backend weirs
backend weirs
    balance roundrobin
    option httpchk GET /readyz
    default-server check port {ADMIN_PORT} inter {CHECK_MS}ms fall {FALL} rise 1 send-proxy-v2
    server weir0 {WEIRS[0]}:{PORT}
    server weir1 {WEIRS[1]}:{PORT}
"""


class Haproxy:
    def __init__(self, network, folder):
        os.makedirs(folder)
        self.folder = folder
        with open(f"{folder}/haproxy.cfg", "w", encoding="ascii") as out:
            out.write(HAPROXY.format(folder=folder))
        with open(f"{folder}/log", "wb") as log:
            self.process = subprocess.Popen(
                [*network.inside(network.balancer), "haproxy", "-db", "-f",
                 f"{folder}/haproxy.cfg"], stdout=log, stderr=log)

    def rows(self):
        """HAProxy's table about both weirs, or nothing."""
        try:
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(f"{self.folder}/stats")
                sock.sendall(b"show stat\n")
                lines = harness.read_to_end(sock)[0].decode().splitlines()
        except OSError:
            return []
        names = lines[0].lstrip("# ").split(",")
        rows = [dict(zip(names, line.split(","))) for line in lines[1:] if line]
        return [row for row in rows
                if row["pxname"] == "weirs" and row["svname"].startswith("weir")]

    def states(self):
        return [row["status"].split()[0] for row in self.rows()]

    def retries(self):
        """How often each weir refused a connection, which HAProxy mends by itself."""
        return [int(row["wretr"]) + int(row["wredis"]) for row in self.rows()]

    def close(self):
        self.process.kill()
        self.process.wait()


@harness.program("haproxy", "haproxy")
class Balancer(harness.WeirCase):
    START_WEIR = False

    @classmethod
    def prepare(cls):
        cls.network = namespaces.network(namespaces.Balanced)
        cls.addClassCleanup(cls.network.close)
        cls.client_ports = itertools.count(FIRST_CLIENT_PORT)
        secure = origins.server_context(cls.certificate)
        cls.clear, cls.secure = [
            cls.network.call(cls.network.server, steady.Origin, context, "0.0.0.0")
            for context in (None, secure)]
        for server in (cls.clear, cls.secure):
            cls.addClassCleanup(server.close)

    def setUp(self):
        folder = os.path.join(self.folder, self._testMethodName)
        os.makedirs(folder)
        self.ca = os.path.join(folder, "ca", "weir-ca-cert.pem")
        self.ticket_path = os.path.join(folder, "tickets")
        self.ticket_keys = []
        self.rotate(3)
        self.weirs = [self.start_weir(index, folder) for index in (0, 1)]
        self.haproxy = Haproxy(self.network, os.path.join(folder, "haproxy"))
        self.addCleanup(self.haproxy.close)
        self.wait_states("UP", "UP")
        self.load = steady.Load(self.dial, self.clear, self.secure, self.ca, drip_s=2)

    def start_weir(self, index, parent):
        folder = os.path.join(parent, f"weir{index}")
        os.makedirs(folder)
        hosts = os.path.join(folder, "hosts")
        with open(hosts, "w", encoding="ascii") as out:
            out.write(f"{ORIGIN[index]} origin.test\n")
        weir = namespaces.Weir(
            self.network.names[self.network.HOSTS.index(f"weir{index}")], folder,
            harness.merge(self.base_config(folder), {
                "listeners": [{"address": f"{WEIRS[index]}:{PORT}", "mode": "forward",
                               "proxy_protocol": "required", "balancers": [NEXT_BALANCER[index]]}],
                "workers": 1, "intercept": {"ca_dir": os.path.dirname(self.ca)},
                "tls": {"ticket_keys": self.ticket_path},
                "dns": {"servers": ["127.0.0.1:53"], "hosts_file": hosts},
                "admin": {"address": f"{WEIRS[index]}:{ADMIN_PORT}"},
                "drain": {"delay": f"{DELAY_MS}ms", "grace": "20s"}}), PORT)
        self.addCleanup(weir.kill)
        return weir.start()

    def rotate(self, count=1):
        """So many of the three keys, from the oldest on, give way to new ones."""
        self.ticket_keys = self.ticket_keys[count:] + [
            base64.b64encode(os.urandom(80)).decode() for _ in range(count)]
        with open(self.ticket_path + ".new", "w", encoding="ascii") as out:
            out.write("\n".join(self.ticket_keys) + "\n")
        os.replace(self.ticket_path + ".new", self.ticket_path)

    def dial(self, *_):
        """A connection from the client to HAProxy. Its port names it in the logs, and nobody has it
        again: the kernel picks anew every ten seconds, ports of connections that were reset, too."""
        return self.network.call(self.network.client, socket.create_connection, (BALANCER, PORT),
                                 steady.TIMEOUT_S, (CLIENT, next(self.client_ports)))

    def wait_states(self, *states):
        harness.wait_for(f"{states}", lambda: self.haproxy.states() == list(states))

    def wait_down(self, down):
        self.wait_states(*["DOWN" if index == down else "UP" for index in (0, 1)])

    def is_refused(self, index):
        """Whether nobody listens there: the kernel may end the rings of a process, and what they
        listen to, a little after it."""
        try:
            self.network.call(self.network.balancer, socket.create_connection,
                              (WEIRS[index], PORT), 1).close()
        except ConnectionRefusedError:
            return True
        except ConnectionResetError:
            pass  # by what was still there
        return False

    def wait_load(self):
        before = self.load.answers
        harness.wait_for("load", lambda: self.load.answers > before + 60)

    def restart(self, weir):
        self.assertEqual(weir.complaints(), [])
        shutil.move(weir.stderr_path, weir.stderr_path + ".former")
        weir.start()
        self.wait_states("UP", "UP")

    def finish(self):
        """The client is in both logs with its true address; nobody else is."""
        for weir in self.weirs:
            clients = {record.client.rpartition(":")[0] for record in weir.records()}
            self.assertEqual(clients, {CLIENT})
            self.assertGreater(len(weir.records()), 20)
            weir.stop()
        print(f"{self.load.answers} answers, {self.load.downloads} long ones, "
              f"{len(self.load.failures)} failures, HAProxy's retries {self.haproxy.retries()}")

    def test_drain(self):
        """SIGTERM: HAProxy learns of it before connections are refused; nobody else learns of it at
        all."""
        with self.load:
            self.wait_load()
            for index, weir in enumerate(self.weirs):
                weir.signal(signal.SIGTERM)
                self.wait_down(index)
                self.assertTrue(weir.is_running())
                self.assertEqual(weir.process.wait(30), harness.EXIT_OK)
                self.wait_load()
                self.restart(weir)
                self.wait_load()
        self.assertEqual(self.load.failures, [])
        self.assertEqual(self.haproxy.retries(), [0, 0])
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
        self.assertEqual(self.haproxy.retries(), [0, 0])
        self.assertGreater(self.load.downloads, 3)
        self.finish()

    def test_kill(self):
        """SIGKILL: what it had is lost, and nothing else: who comes afterwards is served, and who
        is at the other weir notices nothing."""
        killed = []
        with self.load:
            self.wait_load()
            for index, weir in enumerate(self.weirs):
                before = time.time()
                weir.process.kill()
                weir.process.wait()
                harness.wait_for("the socket to be gone", lambda i=index: self.is_refused(i))
                killed.append((before, time.time(), self.weirs[1 - index]))
                self.wait_down(index)
                self.wait_load()
                self.restart(weir)
                self.wait_load()
        for began, failed, client, *what in self.load.failures:
            _, after, other = [kill for kill in killed if kill[0] <= failed][-1]
            self.assertLessEqual(began, after, what)
            self.assertNotIn(client, [None, *(record.client for record in other.records())], what)
        self.assertLessEqual(len(self.load.failures), 2 * len(self.load.threads))
        self.finish()

    # ---- TLS sessions ----

    def visit(self, context, session=None):
        """One request: the weir it came to, the session that it leaves, whether `session` was
        resumed. HAProxy takes the weirs in turn."""
        sock = self.tunnel(f"origin.test:{self.secure.port}")
        name = "{}:{}".format(*sock.getsockname())
        with context.wrap_socket(sock, server_hostname="origin.test", session=session) as tls:
            self.assertEqual(self.get(tls, "/bytes/1").status, 200)
            session, resumed = tls.session, tls.session_reused
        weir, record = harness.wait_for("the visit in a log", lambda: next(
            ((weir, record) for weir in self.weirs for record in weir.records()
             if record.client == name and record.kind == "tunnel"), None))
        self.assertEqual(record.client_resumed, resumed)
        return weir, session, resumed

    def test_resumption(self):
        """A session that one weir began goes on at the other, also when the keys were changed
        meanwhile; when they were changed twice it is begun anew."""
        contexts = [harness.client_context(self.ca, minimum=version, maximum=version)
                    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)]
        first = {context: self.visit(context) for context in contexts}
        for rotations in (0, 1, 2):
            if rotations:
                self.rotate()
                for weir in self.weirs:
                    harness.wait_for("the new keys", lambda w=weir, n=rotations:
                                     w.stderr().count("new ticket keys") == n)
            for context, (weir, session, resumed) in first.items():
                with self.subTest(version=context.minimum_version.name, rotations=rotations):
                    self.assertFalse(resumed)
                    visits = [self.visit(context, session) for _ in self.weirs]
                    self.assertCountEqual([visit[0] for visit in visits], self.weirs)
                    self.assertEqual([visit[2] for visit in visits], [rotations < 2] * 2)
        for weir in self.weirs:
            weir.stop()


if __name__ == "__main__":
    harness.main()
