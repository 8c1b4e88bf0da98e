# SPDX-License-Identifier: Apache-2.0
"""Real clients: plain HTTP, tunnelled and intercepted, TLS 1.2 and 1.3, HTTP/1.1 and HTTP/2.

Which of the two it was is proved by trust: in a tunnel a client that trusts only the origin's root
succeeds, under interception only one that trusts weir's CA does."""
import base64
import hashlib
import json
import os
import re
import ssl
import time
import unittest
import urllib.request

import certs
import harness
from harness import program, run
import origins

BODY = b"served by nginx\n"
NODE_SCRIPT = r"""
'use strict';
const http = require('http'), https = require('https'), tls = require('tls'), fs = require('fs');
const [proxy, url, ca, version] = process.argv.slice(2);
const target = new URL(url), [host, port] = proxy.split(':');
function finish(response) {
    let body = '';
    response.on('data', part => { body += part; });
    response.on('end', () => { process.stdout.write(body); process.exit(0); });
}
function die(error) { console.error(String(error)); process.exit(2); }
if (target.protocol === 'http:') {
    http.get({ host, port, path: url, headers: { host: target.host } }, finish).on('error', die);
} else {
    const connect = http.request({ host, port, method: 'CONNECT', path: target.host });
    connect.on('error', die);
    connect.on('connect', (answer, socket) => {
        if (answer.statusCode !== 200) die('CONNECT: ' + answer.statusCode);
        const options = { socket, servername: target.hostname, ca: fs.readFileSync(ca),
                          minVersion: version, maxVersion: version };
        const agent = new https.Agent();
        agent.createConnection = () => tls.connect(options).on('error', die);
        https.get(url, { agent }, finish).on('error', die);
    });
    connect.end();
}
"""
NGINX = unittest.skipUnless(origins.Nginx.find(), "nginx is absent: install nginx-light")


@NGINX
class ClientsCase(harness.WeirCase):
    CONFIG = {"intercept": {"rules": [
        harness.rule("passed by", "tunnel", host=["tunnel.origin.test"])]}}
    INTERCEPT, TUNNEL = "www.origin.test", "tunnel.origin.test"

    @classmethod
    def prepare(cls):
        cls.nginx = origins.Nginx(cls.folder, cls.certificate, harness.free_port)
        cls.addClassCleanup(cls.nginx.close)
        with open(os.path.join(cls.nginx.root, "page"), "wb") as out:
            out.write(BODY)
        with open(os.path.join(cls.nginx.root, "page.html"), "wb") as out:
            out.write(b"<!doctype html><title>page</title><p id=a>wait</p><script>"
                      b"document.getElementById('a').textContent='script ' + 'ran'</script>")

    @property
    def proxy(self):
        return f"127.0.0.1:{self.weir.port}"

    def url(self, host, server="tls", path="page"):
        scheme = "http" if server == "plain" else "https"
        return f"{scheme}://{host}:{self.nginx.port[server]}/{path}"

    def roots(self):
        """(decision, host, the only root that can make it work, the one that must not)"""
        mine, origin = self.weir.ca, self.authority.certificate
        return (("intercept", self.INTERCEPT, mine, origin), ("tunnel", self.TUNNEL, origin, mine))

    def curl(self, url, *more):
        done = run(["curl", "-sS", "--max-time", "30", "-x", f"http://{self.proxy}", "-w",
                    "%{stderr}%{http_version} %{http_code}", *more, url])
        return done.returncode, done.stdout, done.stderr.decode()


class Curl(ClientsCase):
    @program("curl", "curl")
    def test_http(self):
        """A plain request through the proxy brings the origin's bytes and is logged as request."""
        code, body, note = self.curl(self.url(self.INTERCEPT, "plain"))
        self.assertEqual((code, body, note), (0, BODY, "1.1 200"))
        record = self.weir.wait_record(lambda r: r.kind == "request" and r.path == "/page")
        self.assertEqual((record.method, record.status), ("GET", 200))

    @program("curl", "curl")
    def test_tls_matrix(self):
        """Both decisions with each TLS version asked for and each HTTP version: the page comes,
        over the HTTP version that the server would have spoken without weir."""
        for decision, host, root, _ in self.roots():
            for version in (["--tlsv1.2", "--tls-max", "1.2"], ["--tlsv1.3"]):
                for http, expected in (("--http1.1", "1.1"), ("--http2", "2")):
                    with self.subTest(decision=decision, version=version, http=http):
                        code, body, note = self.curl(self.url(host), "--cacert", root, http,
                                                     *version)
                        self.assertEqual((code, body, note), (0, BODY, f"{expected} 200"))

    @program("curl", "curl")
    def test_server_of_one_version(self):
        """A server that has only TLS 1.2, or only 1.3, or no h2, is reached under both decisions;
        weir's leg to it has that version, whatever the client's leg has."""
        for decision, host, root, _ in self.roots():
            for server in ("tls12", "tls13", "h1"):
                with self.subTest(decision=decision, server=server):
                    code, body, note = self.curl(self.url(host, server), "--cacert", root)
                    self.assertEqual((code, body), (0, BODY), note)
                    if decision == "intercept" and server != "h1":
                        target = f":{self.nginx.port[server]}"
                        record = self.weir.wait_record(
                            lambda r: r.server_tls and target in (r.target or ""))
                        self.assertIn("1.2" if server == "tls12" else "1.3", record.server_tls)

    @program("curl", "curl")
    def test_wrong_root_fails(self):
        """Trusting the other side's root fails: the two decisions really differ."""
        for decision, host, _, wrong in self.roots():
            with self.subTest(decision=decision):
                code, _, note = self.curl(self.url(host), "--cacert", wrong)
                self.assertEqual(code, 60, note)  # 60: the certificate was not accepted

    @program("curl", "curl")
    def test_h2_many_streams(self):
        """Sixty parallel requests share one intercepted HTTP/2 connection and all arrive."""
        urls = [self.url(self.INTERCEPT, path=f"page?{number}") for number in range(60)]
        command = ["curl", "-sS", "--max-time", "60", "-x", f"http://{self.proxy}", "--http2",
                   "--cacert", self.weir.ca, "--parallel", "--parallel-max", "60"]
        for url in urls:
            command += ["-o", "/dev/null", "-w", "%{http_version} %{http_code}\n", url]
        done = run(command)
        self.assertEqual(done.stdout.decode().split("\n")[:-1], ["2 200"] * 60,
                         done.stderr.decode())

    @program("curl", "curl")
    def test_keep_alive(self):
        """Several plain requests on one client connection: the second connects to nobody anew."""
        url = self.url(self.INTERCEPT, "plain")
        done = run(["curl", "-sS", "-x", f"http://{self.proxy}", "-w", "%{num_connects} ",
                    *(part for _ in range(3) for part in ("-o", "/dev/null", url))])
        self.assertEqual(done.stdout.decode().split(), ["1", "0", "0"], done.stderr.decode())


class Others(ClientsCase):
    def test_python(self):
        """urllib with its proxy handler: plain HTTP, and HTTPS under both decisions."""
        proxies = urllib.request.ProxyHandler({"http": f"http://{self.proxy}",
                                               "https": f"http://{self.proxy}"})
        opener = urllib.request.build_opener(proxies)
        with opener.open(self.url(self.INTERCEPT, "plain"), timeout=30) as answer:
            self.assertEqual(answer.read(), BODY)
        for decision, host, root, wrong in self.roots():
            with self.subTest(decision=decision):
                handler = urllib.request.HTTPSHandler(
                    context=ssl.create_default_context(cafile=root))
                opener = urllib.request.build_opener(proxies, handler)
                with opener.open(self.url(host), timeout=30) as answer:
                    self.assertEqual(answer.read(), BODY)
                handler = urllib.request.HTTPSHandler(
                    context=ssl.create_default_context(cafile=wrong))
                opener = urllib.request.build_opener(proxies, handler)
                with self.assertRaisesRegex(OSError, "CERTIFICATE_VERIFY_FAILED"):
                    opener.open(self.url(host), timeout=30)

    @program("wget", "wget")
    def test_wget(self):
        """wget with the usual environment variables, under all three ways."""
        env = {"http_proxy": f"http://{self.proxy}", "https_proxy": f"http://{self.proxy}"}
        done = run(["wget", "-q", "-T", "30", "-t", "1", "-O", "-",
                    self.url(self.INTERCEPT, "plain")], env=env)
        self.assertEqual((done.returncode, done.stdout), (0, BODY))
        for decision, host, root, wrong in self.roots():
            with self.subTest(decision=decision):
                command = ["wget", "-nv", "-T", "30", "-t", "1", "-O", "-", "--ca-certificate"]
                done = run([*command, root, self.url(host)], env=env)
                self.assertEqual((done.returncode, done.stdout), (0, BODY), done.stderr)
                done = run([*command, wrong, self.url(host)], env=env)
                self.assertEqual(done.returncode, 5, done.stderr)  # 5: TLS verification

    @program("node", "nodejs")
    def test_node(self):
        """node's http, tls and https modules: absolute-form, and CONNECT with TLS inside."""
        script = os.path.join(self.folder, "get.js")
        with open(script, "w", encoding="ascii") as out:
            out.write(NODE_SCRIPT)
        done = run(["node", script, self.proxy, self.url(self.INTERCEPT, "plain"),
                    self.weir.ca, "TLSv1.3"])
        self.assertEqual((done.returncode, done.stdout), (0, BODY), done.stderr)
        for decision, host, root, wrong in self.roots():
            for version in ("TLSv1.2", "TLSv1.3"):
                with self.subTest(decision=decision, version=version):
                    done = run(["node", script, self.proxy, self.url(host), root, version])
                    self.assertEqual((done.returncode, done.stdout), (0, BODY), done.stderr)
            done = run(["node", script, self.proxy, self.url(host), wrong, "TLSv1.3"])
            self.assertNotEqual(done.returncode, 0)

    @program("openssl", "openssl")
    def test_openssl(self):
        """s_client verifies chain and name in each TLS version, and sees the ALPN that the server
        would have chosen."""
        for decision, host, root, _ in self.roots():
            for version, alpn in (("-tls1_2", "h2"), ("-tls1_3", "h2"), ("-tls1_3", "http/1.1")):
                with self.subTest(decision=decision, version=version, alpn=alpn):
                    done = run(["openssl", "s_client", "-proxy", self.proxy, "-connect",
                                f"{host}:{self.nginx.port['tls']}", "-servername", host,
                                "-CAfile", root, "-verify_return_error", "-verify_hostname", host,
                                version, "-alpn", alpn])
                    out = done.stdout.decode(errors="replace")
                    self.assertEqual(done.returncode, 0, done.stderr)
                    self.assertIn("Verify return code: 0 (ok)", out)
                    self.assertIn(f"ALPN protocol: {alpn}", out)


class Chromium(ClientsCase):
    def leaf_key_digest(self):
        """What --ignore-certificate-errors-spki-list takes: it makes exactly the key of weir's
        leaves acceptable, and leaves every other certificate to be refused."""
        sock = self.tls(f"{self.INTERCEPT}:{self.nginx.port['h1']}")
        pem = ssl.DER_cert_to_PEM_cert(sock.getpeercert(binary_form=True))
        sock.close()
        key = certs.openssl("x509", "-noout", "-pubkey", data=pem.encode())
        der = base64.b64decode(re.sub(r"-----[^-]+-----|\s", "", key))
        return base64.b64encode(hashlib.sha256(der).digest()).decode()

    def browse(self, url, digest):
        home = os.path.join(self.folder, "chromium")
        done = run(["chromium", "--headless=new", "--no-sandbox", "--disable-gpu",
                    "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
                    "--disable-component-update", "--disable-sync", "--disable-extensions",
                    "--disable-quic", f"--user-data-dir={home}",
                    f"--proxy-server=http://{self.proxy}", "--proxy-bypass-list=<-loopback>",
                    f"--ignore-certificate-errors-spki-list={digest}", "--virtual-time-budget=5000",
                    "--dump-dom", url], env={"HOME": self.folder})
        return done.stdout.decode(errors="replace")

    @program("chromium", "chromium")
    def test_pages(self):
        """A headless browser loads a page and runs its script over plain HTTP and intercepted over
        h2 and HTTP/1.1; a key that is not the leaf's is refused, so it was weir's."""
        digest = self.leaf_key_digest()
        self.assertIn("script ran", self.browse(self.url(self.INTERCEPT, "plain", "page.html"),
                                                digest))
        for server in ("tls", "h1"):
            with self.subTest(server=server):
                page = self.browse(self.url(self.INTERCEPT, server, "page.html"), digest)
                self.assertIn("script ran", page, page[-2000:])
        other = base64.b64encode(hashlib.sha256(b"another key").digest()).decode()
        self.assertNotIn("script ran", self.browse(self.url(self.INTERCEPT, "tls", "page.html"),
                                                   other))
        self.weir.wait_record(lambda r: r.decision == "intercept" and r.path == "/page.html"
                              and r.alpn == "h2", "the browser's HTTP/2 request in the log")


class Fields(harness.WeirCase):
    @classmethod
    def prepare(cls):
        cls.plain = origins.HttpOrigin()
        cls.secure = origins.HttpOrigin(origins.server_context(cls.certificate))
        cls.addClassCleanup(cls.plain.close)
        cls.addClassCleanup(cls.secure.close)

    def test_absolute_form_becomes_origin_form(self):
        """A plain request reaches the server in origin-form, with Host from the target and without
        hop-by-hop fields; the client's own fields keep their values."""
        answer = self.get_plain(
            f"http://origin.test:{self.plain.port}/echo-head?a=%20b", fields=
            "Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic eDp5\r\n"
            "X-Mine: 1\r\nX-mine: 2\r\n")
        seen = json.loads(answer.body)
        names = [name for name, _ in seen["fields"]]
        self.assertEqual(seen["target"], "/echo-head?a=%20b")
        self.assertIn(["host", f"origin.test:{self.plain.port}"], seen["fields"])
        self.assertEqual([v for n, v in seen["fields"] if n == "x-mine"], ["1", "2"])
        self.assertNotIn("proxy-connection", names)
        self.assertNotIn("proxy-authorization", names)

    def test_intercepted_head_is_byte_exact(self):
        """The head of an intercepted request reaches the server as the client wrote it: case,
        order and odd spacing included."""
        head = (b"GET /bytes/3 HTTP/1.1\r\nhOsT:  origin.test\r\nZ-last: 1\r\nAccept:*/*\r\n"
                b"X-CASE: Kept \r\nzz: 2")
        sock = self.tls(f"origin.test:{self.secure.port}")
        sock.sendall(head + b"\r\n\r\n")
        answer = harness.read_answer(origins.Reader(sock))
        self.assertEqual(answer.body, origins.pattern(0, 3))
        self.assertEqual(self.secure.requests[-1].head, head)


class Pauses(harness.WeirCase):
    """The time between requests, and that of a head, which begins with its first byte."""

    KEEPALIVE_S, HEAD_S = 1, 2
    CONFIG = {"limits": {"keepalive_timeout": f"{KEEPALIVE_S}s", "head_timeout": f"{HEAD_S}s"}}

    @classmethod
    def prepare(cls):
        cls.plain = origins.HttpOrigin()
        cls.addClassCleanup(cls.plain.close)

    def begin_second(self):
        """The second head of a connection has begun just before the time between requests is over;
        returns what is left of it."""
        host = f"origin.test:{self.plain.port}"
        head = f"GET http://{host}/bytes/5 HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        sock = self.dial()
        sock.sendall(head)
        self.assertEqual(harness.read_answer(origins.Reader(sock)).status, 200)
        time.sleep(self.KEEPALIVE_S * 0.7)
        sock.sendall(head[:20])
        return sock, head[20:]

    def test_head_over_the_end_of_a_pause(self):
        sock, rest = self.begin_second()
        time.sleep(self.KEEPALIVE_S * 0.7)
        sock.sendall(rest)
        self.assertEqual(harness.read_answer(origins.Reader(sock)).status, 200)

    def test_head_that_never_ends(self):
        """It is answered 408 when its own time is over."""
        begin = time.monotonic()
        sock, _ = self.begin_second()
        self.assertEqual(harness.read_answer(origins.Reader(sock)).status, 408)
        self.assertGreater(time.monotonic() - begin, self.KEEPALIVE_S * 0.7 + self.HEAD_S * 0.9)


class ManyCase(harness.WeirCase):
    """Clients that keep their connections, and ask all at once again and again."""

    @classmethod
    def prepare(cls):
        cls.origin = origins.HttpOrigin()
        cls.addClassCleanup(cls.origin.close)

    def ask_all(self, clients):
        host = f"origin.test:{self.origin.port}"
        for sock, _ in clients:
            sock.sendall(f"GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        for sock, reader in clients:
            answer = harness.read_head(reader)
            self.assertEqual(reader.exactly(int(answer.get("content-length"))),
                             b"hello from the origin\n")

    def clients(self, count):
        return [(sock, origins.Reader(sock)) for sock in (self.dial() for _ in range(count))]


class Many(ManyCase):
    CONFIG = {"workers": 1}

    def test_server_connections_are_kept(self):
        """However many clients pause at once: the next round finds all server connections. The
        first round may need fewer than the others, where an answer is there before the last
        question."""
        clients = self.clients(150)
        for _ in range(6):
            self.ask_all(clients)
        self.assertLessEqual(self.origin.accepted, len(clients))


class BusyPoll(ManyCase):
    CONFIG = {"workers": 1, "busy_poll_us": 1000}

    def cpu_s(self):
        with open(f"/proc/{self.weir.process.pid}/stat", encoding="ascii") as stat:
            user, system = stat.read().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def test_sleeps_without_work(self):
        """Clients are served as ever, and once they pause so does the worker."""
        clients = self.clients(20)
        for _ in range(50):
            self.ask_all(clients)
        time.sleep(0.2)
        before = self.cpu_s()
        time.sleep(1)
        self.assertLess(self.cpu_s() - before, 0.3)


class SharedCores(ManyCase):
    CONFIG = {"workers": len(os.sched_getaffinity(0)) + 1, "busy_poll_us": 100}

    def test_do_not_interrupt_each_other(self):
        """More workers than cores: none is pinned, and none is there to interrupt another one."""
        clients = self.clients(40)
        for _ in range(5):
            self.ask_all(clients)
        workers = {}
        for thread in os.listdir(f"/proc/{self.weir.process.pid}/task"):
            with open(f"/proc/{self.weir.process.pid}/task/{thread}/comm", encoding="ascii") as comm:
                name = comm.read().strip()
            if name.startswith("weir-"):
                workers[name] = (os.sched_getscheduler(int(thread)),
                                 os.sched_getaffinity(int(thread)))
        self.assertEqual(len(workers), self.CONFIG["workers"])
        for policy, cores in workers.values():
            self.assertEqual((policy, cores), (os.SCHED_BATCH, os.sched_getaffinity(0)))


class FewAllowed(ManyCase):
    CONFIG = {"workers": 1, "limits": {"connections": 8}}

    def test_idle_connections_leave_room(self):
        """Of sixteen connections that the worker may have, four idle: no client waits for room."""
        clients = self.clients(6)
        self.ask_all(clients)
        harness.wait_for("four idle server connections",
                         lambda: len(self.origin.connections) == 4)
        for sock, _ in clients:
            sock.close()
        clients = self.clients(8)
        self.ask_all(clients)


if __name__ == "__main__":
    harness.main()
