# SPDX-License-Identifier: Apache-2.0
"""Clients that do not know of weir, in network namespaces: the kernel sends their connections to a
gateway where weir transparent setup and weir run are. Needs root; skipped without."""
import base64
import difflib
import hashlib
import os
import re
import socket
import ssl
import subprocess
import threading
import time
import unittest

import certs
import harness
import namespaces
import origins
from harness import run, wait_for

PORT = 8081  # of the transparent listener; the namespace has no other
MARK = 4711
CLOSED = 2222  # taken, and no server is there
TAKEN = f"22,25,80,443,587,{CLOSED},8443"
HOST = "origin.test"
PAGE = b"from the origin\n"
HTML = ("<p id=p></p><script>fetch('/page/' + location.pathname.slice(6)).then(answer => "
        "{ p.textContent = ['script', answer.ok ? 'ran' : 'failed'].join(' ') })</script>")
BANNER = b"SSH-2.0-weir-test\r\n"
GREETING = b"220 mail.origin.test ESMTP\r\n"


class Nginx:
    """In the server's namespace: 80 is clear, 25, 443 and 8443 are TLS. The access log has the
    address that each request came from."""

    def __init__(self, network, folder, certificate):
        self.network, self.folder = network, folder
        self.log = os.path.join(folder, "requests")
        self.path = os.path.join(folder, "nginx.conf")
        with open(self.path, "w", encoding="utf-8") as out:
            out.write(self.configuration(certificate))
        self.process = subprocess.Popen(
            [*network.inside(network.server), origins.Nginx.find(), "-c", self.path, "-p", folder,
             "-e", f"{folder}/nginx.err"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for("nginx", self._is_up)

    def configuration(self, certificate):
        listens = "".join(f"listen {place}{port}{flags};\n" for place in ("", "[::]:")
                          for port, flags in ((80, ""), (25, " ssl"), (443, " ssl http2"),
                                              (8443, " ssl http2")))
        return f"""daemon off; worker_processes 1; user root;
            pid {self.folder}/nginx.pid; error_log {self.folder}/nginx.err warn;
            events {{ worker_connections 512; }}
            http {{ log_format short "$remote_addr $server_port $uri";
                access_log {self.log} short; default_type text/html;
                client_body_temp_path {self.folder}/t1; proxy_temp_path {self.folder}/t2;
                fastcgi_temp_path {self.folder}/t3; uwsgi_temp_path {self.folder}/t4;
                scgi_temp_path {self.folder}/t5;
                server {{ {listens}
                    ssl_certificate {certificate.chain}; ssl_certificate_key {certificate.key};
                    location /html/ {{ keepalive_requests 1; # what follows dials anew
                        add_header Alt-Svc 'h3=":443"'; return 200 "{HTML}"; }}
                    location / {{ return 200 "{PAGE.decode()}"; }} }} }}"""

    def _is_up(self):
        if self.process.poll() is not None:
            with open(os.path.join(self.folder, "nginx.err"), encoding="utf-8") as log:
                raise AssertionError("nginx ended: " + log.read()[-2000:])
        try:
            self.network.call(self.network.server, socket.create_connection,
                              ("127.0.0.1", 443), 1).close()
            return True
        except OSError:
            return False

    def requests(self):
        """(address, port, path) of each."""
        with open(self.log, encoding="utf-8") as log:
            return [tuple(line.split()) for line in log]

    def close(self):
        self.process.terminate()
        self.process.wait(10)


class SpeaksFirst:
    """A server for port 22 or 587: says its line, and then what it is told."""

    def __init__(self, network, address, port, line):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.socket = network.call(network.server, socket.create_server, (address, port),
                                   family=family)
        self.line = line
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        with sock:
            sock.settimeout(harness.WAIT_S)
            try:
                sock.sendall(self.line)
                while part := sock.recv(4096):
                    sock.sendall(part)
            except OSError:
                pass

    def close(self):
        self.socket.close()


class TransparentCase(harness.WeirCase):
    START_WEIR = False
    CONFIG = {"upstream": {"idle_connections": 0}}
    LISTENER = {}
    SETUP = ("--interface", namespaces.CLIENT_INTERFACE, "--ports", TAKEN)

    @classmethod
    def prepare(cls):
        if not origins.Nginx.find():
            raise unittest.SkipTest("nginx is absent: install nginx-light")
        cls.network = namespaces.network()
        cls.addClassCleanup(cls.network.close)
        certificate = cls.authority.issue(
            "server", [HOST, namespaces.SERVER[4], namespaces.SERVER[6]])
        cls.nginx = Nginx(cls.network, cls.folder, certificate)
        cls.addClassCleanup(cls.nginx.close)
        for address in namespaces.SERVER.values():
            for port, line in ((22, BANNER), (587, GREETING)):
                cls.addClassCleanup(SpeaksFirst(cls.network, address, port, line).close)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = os.path.join(cls.folder, "weir")
        hosts = os.path.join(cls.folder, "hosts")
        with open(hosts, "w", encoding="utf-8") as out:
            out.write("".join(f"{address} {HOST}\n" for address in namespaces.SERVER.values()))
        config = harness.merge(cls.base_config(folder), {
            "dns": {"servers": ["127.0.0.1:53"], "hosts_file": hosts, "timeout": "1s"}})
        config["listeners"] = [{"address": f":{PORT}", "mode": "transparent", **cls.LISTENER}]
        cls.weir = namespaces.Weir(cls.network.gateway, folder,
                                   harness.merge(config, cls.CONFIG), PORT)
        cls.weir.start()
        cls.addClassCleanup(cls.weir.kill)
        cls.before = cls.network.state()
        cls.transparent("setup", "--config", cls.weir.config_path, *cls.SETUP)

    @classmethod
    def tearDownClass(cls):
        cls.transparent("undo")
        if cls.network.state() != cls.before:
            raise AssertionError("weir transparent undo left something")
        super().tearDownClass()

    @classmethod
    def transparent(cls, *arguments, code=0):
        done = run([*cls.network.inside(cls.network.gateway), harness.BINARY, "transparent",
                    *arguments])
        if done.returncode != code:
            raise AssertionError(f"weir transparent {' '.join(arguments)}: {done.returncode}\n"
                                 + done.stderr.decode())
        return done.stdout.decode() + done.stderr.decode()

    def curl(self, url, *more, family=4, where=None):
        """curl without a word about proxies. `url` names HOST, which is the server's address."""
        port = url.split("/")[2].rpartition(":")[2] if url.count(":") > 1 else \
            {"http": 80, "https": 443}[url.split(":")[0]]
        address = namespaces.bracketed(namespaces.SERVER[family])
        return run([*self.network.inside(where or self.network.client), "curl", "-sS", "--noproxy",
                    "*", "--max-time", "20", "--cacert", self.weir.ca,
                    "--resolve", f"{HOST}:{port}:{address}", *more, url])

    def fetch(self, url, *more, **where):
        done = self.curl(url, *more, **where)
        self.assertEqual((done.returncode, done.stdout), (0, PAGE), done.stderr)

    def connect(self, address, port, timeout=harness.WAIT_S):
        return self.keep(self.network.call(self.network.client, socket.create_connection,
                                           (address, port), timeout))


class Ways:
    """What must be so whichever way connections come."""

    SEEN = namespaces.GATEWAY_OUT  # the client's address, as the server sees it

    def test_http(self):
        for family in (4, 6):
            with self.subTest(family=family):
                self.fetch(f"http://{HOST}/page/{family}", family=family)
                record = self.weir.wait_record(lambda r, f=family: r.path == f"/page/{f}")
                self.assertEqual((record.decision, record.status, record.target),
                                 ("intercept", 200,
                                  f"{namespaces.bracketed(namespaces.SERVER[family])}:80"))
                self.assertTrue(record.client.startswith(
                    namespaces.bracketed(namespaces.CLIENT[family]) + ":"), record)

    def test_https(self):
        """The certificate is weir's, for the name in the ClientHello or, without one, for the
        address; on any port."""
        for family in (4, 6):
            for port in (443, 8443, 25):
                with self.subTest(family=family, port=port):
                    path = f"/page/{family}-{port}"
                    self.fetch(f"https://{HOST}:{port}{path}", family=family)
                    record = self.weir.wait_record(lambda r, p=path: r.path == p)
                    self.assertEqual((record.decision, record.sni), ("intercept", HOST))
                    self.assertEqual(record.target,
                                     f"{namespaces.bracketed(namespaces.SERVER[family])}:{port}")
            with self.subTest(family=family, name="none"):
                sock = self.connect(namespaces.SERVER[family], 443)
                tls = self.keep(harness.client_context(self.weir.ca).wrap_socket(
                    sock, server_hostname=namespaces.SERVER[family]))
                self.assertRegex(self.issuer_of(tls), "(?i)weir")
                self.assertEqual(self.get(tls, "/page", host=HOST).body, PAGE)

    def test_source(self):
        """Whose address the server sees."""
        for family in (4, 6):
            with self.subTest(family=family):
                path = f"/page/source-{family}"
                self.fetch(f"https://{HOST}{path}", family=family)
                seen = wait_for("the request", lambda f=family: [
                    address for address, _, _ in self.nginx.requests()
                    if (":" in address) == (f == 6)])
                self.assertEqual(seen[-1], self.SEEN[family])

    def test_server_speaks_first(self):
        for family in (4, 6):
            for port, line in ((22, BANNER), (587, GREETING)):
                with self.subTest(family=family, port=port):
                    sock = self.connect(namespaces.SERVER[family], port)
                    reader = origins.Reader(sock)
                    self.assertEqual(reader.exactly(len(line)), line)
                    sock.sendall(b"EHLO there\r\n")
                    self.assertEqual(reader.exactly(12), b"EHLO there\r\n")
                    sock.close()

    def test_nobody_there(self):
        """A port that is taken and that no server listens on: whoever speaks HTTP is told why, and
        whoever waits for the server to speak does not wait for long."""
        for family in (4, 6):
            with self.subTest(family=family):
                done = self.curl(f"http://{HOST}:{CLOSED}/", family=family)
                self.assertIn(b"refused", done.stdout)
                sock = self.connect(namespaces.SERVER[family], CLOSED)
                self.assertEqual(harness.read_to_end(sock), (b"", False))
                sock.close()

    def test_own_addresses(self):
        """Those of the gateway are not taken: nobody listens at its port 80."""
        with self.assertRaises(ConnectionRefusedError):
            self.connect(namespaces.GATEWAY[4], 80)

    def test_own_port(self):
        """Who comes straight to the listener wanted to go nowhere else."""
        before = self.weir.descriptors()
        for family in (4, 6):
            for first in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b""):
                with self.subTest(family=family, first=first):
                    try:
                        sock = self.connect(namespaces.GATEWAY[family], PORT)
                        sock.sendall(first)
                        self.assertEqual(harness.read_to_end(sock)[0], b"")
                        sock.close()
                    except ConnectionResetError:
                        pass  # before we could send or even look
        wait_for("four records", lambda: 4 == len(
            [r for r in self.weir.records() if r.error == "proxy_loop_detected"]))
        wait_for("no connection to be left", lambda: self.weir.descriptors() <= before)

    def test_quic_is_rejected(self):
        """At once, so that nobody waits for it."""
        for family in (4, 6):
            with self.subTest(family=family):
                sock = self.keep(self.network.call(
                    self.network.client, socket.socket,
                    socket.AF_INET6 if family == 6 else socket.AF_INET, socket.SOCK_DGRAM))
                sock.connect((namespaces.SERVER[family], 443))
                sock.settimeout(5)
                sock.send(b"\xc0" * 1200)
                with self.assertRaises(ConnectionRefusedError):
                    sock.recv(1)

    def test_other_ports_pass(self):
        """What is not taken is forwarded: here to nobody."""
        with self.assertRaises(ConnectionRefusedError):
            self.connect(namespaces.SERVER[4], 9)


class UdpCount:
    """While it is there, counts on the gateway what is sent to UDP port 443: before the rules of
    weir transparent, and, behind them, what they let pass."""

    TABLE = "inet weir_test_count"

    def __init__(self, network):
        self.network = network
        self._nft(f"add table {self.TABLE}")
        for name, priority in (("sent", "filter - 1"), ("passed", "filter + 1")):
            self._nft(f"add counter {self.TABLE} {name}; add chain {self.TABLE} {name} "
                      f"{{ type filter hook forward priority {priority}; }}; "
                      f"add rule {self.TABLE} {name} udp dport 443 counter name {name}")

    def _nft(self, command):
        return self.network.check(self.network.gateway, "nft", command)

    def packets(self, name):
        return int(re.search(r"packets (\d+)",
                             self._nft(f"list counter {self.TABLE} {name}"))[1])

    def close(self):
        self._nft(f"delete table {self.TABLE}")


class Chromium:
    """A browser that knows of no proxy."""

    def leaf_key_digest(self):
        """What --ignore-certificate-errors-spki-list takes: weir's leaves' key alone."""
        tls = harness.client_context(self.weir.ca).wrap_socket(
            self.connect(namespaces.SERVER[4], 443), server_hostname=HOST)
        pem = ssl.DER_cert_to_PEM_cert(tls.getpeercert(binary_form=True))
        tls.close()
        key = certs.openssl("x509", "-noout", "-pubkey", data=pem.encode())
        der = base64.b64decode(re.sub(r"-----[^-]+-----|\s", "", key))
        return base64.b64encode(hashlib.sha256(der).digest()).decode()

    def browse(self, path, *more):
        home = os.path.join(self.folder, "chromium" + path.replace("/", "-"))
        done = run([*self.network.inside(self.network.client), "chromium", "--headless=new",
                    "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                    "--disable-background-networking", "--disable-component-update",
                    "--disable-sync", "--disable-extensions", "--no-proxy-server",
                    f"--user-data-dir={home}",
                    f"--host-resolver-rules=MAP {HOST} {namespaces.SERVER[4]}",
                    f"--ignore-certificate-errors-spki-list={self.leaf_key_digest()}",
                    "--virtual-time-budget=5000", "--dump-dom", *more, f"https://{HOST}{path}"],
                   env={"HOME": self.folder})
        return done.stdout.decode(errors="replace")

    @harness.program("chromium", "chromium")
    def test_chromium(self):
        self.assertIn("script ran", self.browse("/html/1", "--disable-quic"))
        self.weir.wait_record(lambda r: r.decision == "intercept" and r.path == "/html/1"
                              and r.sni == HOST, "the browser's request in the log")

    @harness.program("chromium", "chromium")
    def test_chromium_without_quic(self):
        """One that wants QUIC, and is told by the server that it is there, tries it and goes on
        over TCP; one that may use nothing else learns at once that it is not to be had."""
        count = UdpCount(self.network)
        self.addCleanup(count.close)
        self.assertIn("script ran", self.browse("/html/2", "--enable-quic"))
        self.weir.wait_record(lambda r: r.path == "/page/2", "the second request in the log")
        tried = count.packets("sent")
        self.assertGreater(tried, 0, "Chromium never tried QUIC")
        begin = time.monotonic()
        self.assertNotIn("script ran", self.browse("/html/3", "--enable-quic",
                                                   f"--origin-to-force-quic-on={HOST}:443"))
        self.assertLess(time.monotonic() - begin, harness.WAIT_S)
        self.assertGreater(count.packets("sent"), tried)
        self.assertEqual(count.packets("passed"), 0)


class Redirect(Ways, Chromium, TransparentCase):
    pass


class Tproxy(Ways, Chromium, TransparentCase):
    LISTENER = {"tproxy": True}


class TproxySpoof(Ways, TransparentCase):
    LISTENER = {"tproxy": True, "spoof": True}
    SEEN = namespaces.CLIENT


class Local:
    """The gateway's own connections, too."""

    CONFIG = harness.merge(TransparentCase.CONFIG, {"transparent": {"mark": MARK}})
    SETUP = ("--local", "--ports", TAKEN)

    def test_own_connections(self):
        """They are intercepted, weir's are not: each request is there once."""
        for family in (4, 6):
            for where in (self.network.gateway, self.network.client):
                with self.subTest(family=family, where=where):
                    path = f"/page/{family}-{where}"
                    self.fetch(f"https://{HOST}{path}", family=family, where=where)
                    self.weir.wait_record(lambda r, p=path: r.path == p)
                    self.assertEqual(len([r for r in self.weir.records() if r.path == path]), 1)

    def test_own_addresses_are_left_alone(self):
        with self.assertRaises(ConnectionRefusedError):
            self.network.call(self.network.gateway, socket.create_connection,
                              (namespaces.GATEWAY[4], 443), 5)

    def test_own_quic_is_rejected(self):
        def ask():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.connect((namespaces.SERVER[4], 443))
                sock.settimeout(5)
                sock.send(b"\xc0" * 1200)
                sock.recv(1)

        with self.assertRaises((ConnectionRefusedError, PermissionError)):
            self.network.call(self.network.gateway, ask)


class LocalRedirect(Local, TransparentCase):
    pass


class LocalTproxy(Local, TransparentCase):
    LISTENER = {"tproxy": True}


class Loop(TransparentCase):
    """Rules that send weir's own connections back to it: it knows them again."""

    SETUP = ("--local", "--user", "nobody", "--ports", TAKEN)

    def test_ends(self):
        """The log has the client's connection and the one that came back, and no third."""
        for scheme, port in (("http", 80), ("https", 443)):
            with self.subTest(scheme=scheme):
                done = self.curl(f"{scheme}://{HOST}/page", "--fail")
                self.assertNotEqual(done.returncode, 0)
                target = f"{namespaces.SERVER[4]}:{port}"
                self.weir.wait_record(lambda r, t=target: r.kind == "tunnel" and r.target == t
                                      and not r.client.startswith(namespaces.GATEWAY_OUT[4]))
                time.sleep(0.5)  # for more of them, if there were any
                tunnels = [r for r in self.weir.records()
                           if r.kind == "tunnel" and r.target == target]
                self.assertEqual(len(tunnels), 2, tunnels)
                own = [r for r in tunnels if r.error == "proxy_loop_detected"]
                self.assertEqual([(r.client.rpartition(":")[0], r.decision, r.rule) for r in own],
                                 [(namespaces.GATEWAY_OUT[4], "refuse", "transparent.mark")])
                self.assertIn("transparent.mark", own[0].fault)


class Tool(unittest.TestCase):
    """weir transparent alone; no weir runs."""

    WAYS = {
        "redirect": ({"address": f":{PORT}"},),
        "tproxy": ({"address": f":{PORT}", "tproxy": True},),
        "both": ({"address": f"0.0.0.0:{PORT}"}, {"address": f"[::]:{PORT + 1}", "tproxy": True}),
        "address": ({"address": f"{namespaces.GATEWAY[4]}:{PORT}"},
                    {"address": f"[::1]:{PORT}", "tproxy": True}),
    }

    @classmethod
    def setUpClass(cls):
        cls.network = namespaces.network()
        cls.addClassCleanup(cls.network.close)
        cls.network.check(cls.network.gateway, "nft", "add table ip other; "
                          "add chain ip other c { type filter hook input priority 5; }; "
                          "add rule ip other c tcp dport 1 counter drop")
        for family in ("-4", "-6"):
            cls.network.check(cls.network.gateway, "ip", family, "rule", "add", "fwmark", "7",
                              "lookup", "100", "priority", "7765")
            cls.network.check(cls.network.gateway, "ip", family, "route", "add", "local", "default",
                              "dev", "lo", "table", "100")

    def setUp(self):
        self.before = self.network.state()
        folder = self.enterContext(harness.tempfile.TemporaryDirectory(prefix="weir-e2e-"))
        self.path = os.path.join(folder, "weir.yaml")
        self.addCleanup(self.tool, "undo")

    def tool(self, *arguments, code=0):
        done = run([*self.network.inside(self.network.gateway), harness.BINARY, "transparent",
                    *arguments])
        self.assertEqual(done.returncode, code, done.stderr.decode())
        return done.stdout.decode(), done.stderr.decode()

    def write(self, *listeners, **more):
        with open(self.path, "w", encoding="utf-8") as out:
            harness.json.dump({"listeners": [{"mode": "transparent", **listener}
                                             for listener in listeners], **more}, out)

    def assert_as_before(self):
        after = self.network.state()
        self.assertEqual(after, self.before, "\n".join(difflib.unified_diff(
            self.before.splitlines(), after.splitlines())))

    def test_undo(self):
        """Byte for byte, whatever was set up, however often, and nothing is asked of the file."""
        for name, listeners in self.WAYS.items():
            for more in ([], ["--interface", "cl0", "--interface", "sv0"],
                         ["--ports", "1-65535", "--local"]):
                with self.subTest(way=name, more=more):
                    self.write(*listeners, transparent={"mark": MARK})
                    self.tool("setup", "--config", self.path, *more)
                    once = self.network.state()
                    self.assertNotEqual(once, self.before)
                    self.tool("setup", "--config", self.path, *more)
                    self.assertEqual(self.network.state(), once)
                    os.unlink(self.path)
                    self.tool("undo")
                    self.assert_as_before()
                    self.tool("undo")
                    self.assert_as_before()

    def test_another_setup(self):
        """Takes the place of the one before: nothing of it is left."""
        states = {}
        for name in [*self.WAYS, *self.WAYS]:
            self.write(*self.WAYS[name])
            self.tool("setup", "--config", self.path)
            self.assertEqual(states.setdefault(name, self.network.state()), self.network.state())
        self.assertEqual(len(set(states.values())), len(self.WAYS))

    def test_print(self):
        """Is what setup does, as a script of the shell, and does nothing."""
        for name, listeners in self.WAYS.items():
            with self.subTest(way=name):
                self.write(*listeners)
                script, _ = self.tool("print", "--config", self.path)
                self.assert_as_before()
                self.network.check(self.network.gateway, "sh", "-ec", script)
                printed = self.network.state()
                self.tool("undo")
                self.tool("setup", "--config", self.path)
                self.assertEqual(self.network.state(), printed)
                self.tool("undo")
                self.assert_as_before()

    def test_all_or_nothing(self):
        """A nft that refuses: the rules and routes that were made before are gone again."""
        folder = os.path.join(os.path.dirname(self.path), "bin")
        os.mkdir(folder)
        with open(os.path.join(folder, "nft"), "w", encoding="utf-8") as out:
            out.write("#!/bin/sh\necho refused >&2\nexit 3\n")
        os.chmod(os.path.join(folder, "nft"), 0o755)
        self.write(*self.WAYS["tproxy"])
        done = run([*self.network.inside(self.network.gateway), harness.BINARY, "transparent",
                    "setup", "--config", self.path],
                   env={"PATH": folder + ":" + os.environ["PATH"]})
        self.assertEqual(done.returncode, 1)
        self.assertIn("refused", done.stderr.decode())
        self.assertIn("nft failed (status 3)", done.stderr.decode())
        self.assert_as_before()

    def test_without_the_right(self):
        self.write(*self.WAYS["tproxy"])
        os.chmod(os.path.dirname(self.path), 0o755)
        done = run([*self.network.inside(self.network.gateway), "setpriv", "--reuid=65534",
                    "--clear-groups", harness.BINARY, "transparent", "setup", "--config",
                    self.path])
        self.assertEqual(done.returncode, 77, done.stderr)
        self.assertIn("CAP_NET_ADMIN", done.stderr.decode())
        self.assert_as_before()

    def test_mistakes(self):
        mark = {"transparent": {"mark": MARK}}
        rows = [
            ([{"address": ":0"}], {}, [], "port 0"),
            ([{"address": f"127.0.0.1:{PORT}"}], {}, [], "loopback"),
            ([{"address": f":{PORT}"}, {"address": f":{PORT + 1}"}], {}, [], "both"),
            ([{"address": f":{PORT}"}], {}, ["--local"], "transparent.mark"),
            ([{"address": f":{PORT}", "mode": "forward"}], {}, [], "mode: transparent"),
        ]
        for listeners, more, arguments, words in rows:
            with self.subTest(words=words):
                self.write(*listeners, **more)
                _, err = self.tool("setup", "--config", self.path, *arguments, code=78)
                self.assertIn(words, err)
        self.write({"address": f":{PORT}"}, **mark)
        for arguments, words in ((["--ports", "0"], "1 to 65535"),
                                 (["--ports", "80,"], "1 to 65535"),
                                 (["--ports", "90-80"], "1 to 65535"),
                                 (["--ports", "65536"], "1 to 65535"),
                                 (["--interface", 'a" }'], "name of an interface"),
                                 (["--interface", "a234567890123456"], "name of an interface"),
                                 (["--local", "--user", "no such"], "no such user"),
                                 (["--user", "root"], "--local")):
            with self.subTest(arguments=arguments):
                _, err = self.tool("setup", "--config", self.path, *arguments, code=64)
                self.assertIn(words, err)
        self.assert_as_before()


class Rights(unittest.TestCase):
    """weir run itself, where a listener or the mark needs a right that is not there."""

    def test_missing(self):
        if os.geteuid() != 0:
            raise unittest.SkipTest("giving up rights needs root")
        for config, words in (
                ({"listeners": [{"address": "127.0.0.1:0", "mode": "transparent",
                                 "tproxy": True}]}, "tproxy need CAP_NET_ADMIN"),
                ({"listeners": [{"address": "127.0.0.1:0"}], "transparent": {"mark": MARK}},
                 "transparent.mark is 4711")):
            with self.subTest(words=words), \
                    harness.tempfile.TemporaryDirectory(prefix="weir-e2e-") as folder:
                os.chmod(folder, 0o777)
                path = os.path.join(folder, "weir.yaml")
                with open(path, "w", encoding="utf-8") as out:
                    harness.json.dump({**config, "intercept": {"ca_dir": folder + "/ca"}}, out)
                done = run(["setpriv", "--reuid=65534", "--clear-groups", "--bounding-set=-all",
                            harness.BINARY, "run", "--config", path])
                self.assertEqual(done.returncode, 77, done.stderr)
                self.assertIn(words, done.stderr.decode())


if __name__ == "__main__":
    harness.main()
