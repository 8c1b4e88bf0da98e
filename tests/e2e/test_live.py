# SPDX-License-Identifier: Apache-2.0
"""Real browsers, straight and through real interception products, judged by the signatures that are
built in. What is not installed, or is of another version than was recorded, is skipped;
WEIR_LIVE_REPETITIONS says how often each is tried, and with more than one a table is printed."""
import importlib.machinery
import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading

import harness
import origins
from harness import rule

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
REPETITIONS = int(os.environ.get("WEIR_LIVE_REPETITIONS", "1"))
DATABASE = os.path.join(ROOT, "detect", "database")


def load_capture():
    loader = importlib.machinery.SourceFileLoader("capture", os.path.join(DATABASE, "capture"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("capture", loader))
    loader.exec_module(module)
    return module


capture = load_capture()


def recorded_major(number):
    """The version of a browser that the built-in signatures are of."""
    with open(os.path.join(DATABASE, "browser.txt"), encoding="utf-8") as file:
        found = re.search(rf"^{number}:(\d+):", file.read(), re.M)
    return found.group(1) if found else None


class Browser:
    """One row; `visit` is a shell command's work, in a folder of its own."""

    def __init__(self, name, program, number, visit):
        self.name, self.program, self.number, self.visit = name, program, number, visit

    def is_recorded(self, folder):
        version = capture.run_shell(
            f"{self.program} --version 2>/dev/null | grep -o '[0-9][0-9.]*'", folder)
        return version.split(".")[0] == recorded_major(self.number)


def visit_with_chromium(url, proxy, _authority, folder):
    agent = capture.run_shell(
        "chromium --headless=new --no-sandbox --dump-dom --user-data-dir=other "
        "'data:text/html,<script>document.write(navigator.userAgent)</script>' 2>/dev/null | "
        "grep -o 'Mozilla[^<]*' | sed s/Headless//", folder).strip()
    return capture.run_shell(
        "chromium --headless=new --no-sandbox --disable-gpu --no-first-run "
        "--disable-background-networking --ignore-certificate-errors --user-data-dir=profile "
        f"--proxy-server=http://127.0.0.1:{proxy} --user-agent='{agent}' --dump-dom {url}", folder)


def visit_with_firefox(url, proxy, authority, folder):
    capture.run_shell(capture.FIREFOX_SETUP.replace("{ca}", authority), folder)
    with open(os.path.join(folder, "profile", "user.js"), "w", encoding="utf-8") as prefs:
        for key, value in (("network.proxy.type", 1), ("network.proxy.ssl", "127.0.0.1"),
                           ("network.proxy.ssl_port", proxy), ("network.proxy.no_proxies_on", ""),
                           ("network.proxy.allow_hijacking_localhost", True),
                           ("network.captive-portal-service.enabled", False),
                           ("browser.region.update.enabled", False),
                           ("app.update.disabledForTesting", True),
                           ("network.connectivity-service.enabled", False)):
            prefs.write(f'user_pref("{key}", {json.dumps(value)});\n')
    return capture.run_shell("firefox-esr --headless --no-remote --profile profile "
                             f"--screenshot page.png {url}", folder)


def curl_that_says(agent):
    return lambda url, proxy, _authority, folder: capture.run_shell(
        f"curl --silent --insecure --proxy http://127.0.0.1:{proxy} -A '{agent}' {url}", folder)


BROWSERS = [Browser("Chrome", "chromium", 1, visit_with_chromium),
            Browser("Firefox", "firefox-esr", 4, visit_with_firefox)]


class Relay:
    """Takes CONNECT and leads wherever `target` says: to a port, or on through weir."""

    def __init__(self, open_target):
        self.open_target = open_target
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        try:
            server = self.open_target(client)
        except OSError:
            client.close()
            return
        back = threading.Thread(target=self.pump, args=(server, client), daemon=True)
        back.start()
        self.pump(client, server)
        back.join()
        client.close()
        server.close()

    @staticmethod
    def pump(one, other):
        try:
            while True:
                data = one.recv(65536)
                if not data:
                    break
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.listener.close()


def read_head(sock):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = sock.recv(1)
        if not byte:
            raise OSError("ended in a head")
        head += byte
    return head


class Live(harness.WeirCase):
    CONFIG = {"intercept": {"rules": [
        rule("passed by", "tunnel", host=["tunnel.origin.test"])]}}
    table = {}

    @classmethod
    def prepare(cls):
        cls.secure = origins.HttpOrigin(origins.server_context(cls.certificate))
        cls.addClassCleanup(cls.secure.close)

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        if REPETITIONS > 1:
            print("\n| browser | way | verdict, product | times |\n| --- | --- | --- | --- |")
            for (browser, way, found), count in sorted(cls.table.items()):
                print(f"| {browser} | {way} | {found} | {count} |")

    def folder_of(self, name):
        folder = os.path.join(self.folder, f"{self.id().rsplit('.', 1)[1]}-{name}")
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        os.chmod(folder, 0o777)
        return folder

    def browsers(self):
        """Those that are there, of the version that was recorded."""
        found = [browser for browser in BROWSERS if shutil.which(browser.program)
                 and (browser.name != "Firefox" or shutil.which("certutil"))
                 and browser.is_recorded(self.folder_of("version"))]
        if not found:
            self.skipTest("no browser of the version that was recorded")
        return found

    def judged(self, browser, way, proxy, authority, host="www.origin.test", kind="request"):
        """All that weir said of the visits to this host, once each has been seen."""
        for number in range(REPETITIONS):
            with self.subTest(browser=browser.name, repetition=number):
                before = len(self.weir.records())
                output = browser.visit(f"https://{host}:{self.secure.port}/bytes/0", proxy,
                                       authority, self.folder_of(browser.name))
                try:
                    record = harness.wait_for("a record", lambda: next((
                        r for r in self.weir.records()[before:]
                        if r.kind == kind and (r.target or "").startswith(host)
                        and (kind == "tunnel" or r.path == "/bytes/0")), None))
                except AssertionError:
                    self.fail(f"{browser.name} did not come: {output[-600:]}\n"
                              + self.weir.stderr()[-600:])
                found = json.loads(record.line)["detect"]
                key = (browser.name, way, f"{found['verdict']} {found.get('product', '')}".strip())
                self.table[key] = self.table.get(key, 0) + 1
                yield found

    def test_straight(self):
        """No one is between."""
        for browser in self.browsers():
            for found in self.judged(browser, "straight, intercepted", self.weir.port, self.weir.ca):
                self.assertEqual((found["verdict"], found["browser"]), ("genuine", browser.name), found)

    def test_straight_tunnel(self):
        """No one is between, and weir does not open the connection either."""
        for browser in self.browsers():
            for found in self.judged(browser, "straight, tunnelled", self.weir.port,
                                     self.authority.certificate, "tunnel.origin.test", "tunnel"):
                self.assertEqual((found["verdict"], found["browser"]), ("genuine", browser.name), found)
                self.assertEqual(found["basis"], "connect")

    def start_product(self, command, folder, port):
        product = subprocess.Popen(["bash", "-c", command], cwd=folder,
                                   env=capture.environment(folder), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   start_new_session=True)

        def stop():
            os.killpg(product.pid, signal.SIGTERM)
            product.wait(20)
        self.addCleanup(stop)
        if not capture.wait_for_port(port):
            self.fail("the product does not listen")

    def through(self, name, proxy, authority):
        for browser in self.browsers():
            for found in self.judged(browser, name, proxy, authority):
                self.assertEqual((found["verdict"], found.get("product")), ("intercepted", name), found)
                self.assertEqual(found["browser"], browser.name)

    def test_mitmproxy(self):
        """mitmproxy in front of weir."""
        if not shutil.which("mitmdump"):
            self.skipTest("mitmproxy is not installed")
        self.browsers()
        folder, port = self.folder_of("product"), capture.free_port()
        self.start_product("exec mitmdump --quiet --ssl-insecure --set confdir=$PWD/conf "
                           f"--mode upstream:http://127.0.0.1:{self.weir.port} "
                           f"--listen-host 127.0.0.1 --listen-port {port}", folder, port)
        self.through("mitmproxy", port, os.path.join(folder, "conf", "mitmproxy-ca-cert.pem"))

    def test_squid(self):
        """squid with ssl-bump in front of weir."""
        if not os.path.exists("/usr/lib/squid/security_file_certgen") or not shutil.which("squid"):
            self.skipTest("squid-openssl is not installed")
        self.browsers()
        folder, port = self.folder_of("product"), capture.free_port()
        squid = next(row for row in capture.PRODUCTS if row.product[0] == "squid")
        capture.run_shell(squid.setup, folder)
        with open(os.path.join(folder, "squid.conf"), "w", encoding="utf-8") as file:
            file.write(capture.SQUID.replace("PROXY", str(port)).replace("FOLDER", folder)
                       + f"cache_peer 127.0.0.1 parent {self.weir.port} 0 no-query default\n"
                       "never_direct allow all\n")
        self.start_product(f"exec squid -N -n weir{port} -f squid.conf", folder, port)
        self.through("squid", port, os.path.join(folder, "ca.pem"))

    def test_sslsplit(self):
        """sslsplit in front of weir, which it reaches through a relay that says CONNECT."""
        if not shutil.which("sslsplit"):
            self.skipTest("sslsplit is not installed")
        self.browsers()
        folder, port = self.folder_of("product"), capture.free_port()
        capture.run_shell(capture.AUTHORITY, folder)

        def to_weir(_client):
            sock = socket.create_connection(("127.0.0.1", self.weir.port))
            authority = f"www.origin.test:{self.secure.port}"
            sock.sendall(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
            read_head(sock)
            return sock

        def to_product(client):
            if not read_head(client).startswith(b"CONNECT www.origin.test:"):
                raise OSError("not what the test asked for")  # browsers have errands of their own
            sock = socket.create_connection(("127.0.0.1", port))
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            return sock
        behind, front = Relay(to_weir), Relay(to_product)
        self.addCleanup(behind.close)
        self.addCleanup(front.close)
        self.start_product("exec sslsplit -D -k key.pem -c ca.pem https 127.0.0.1 "
                           f"{port} 127.0.0.1 {behind.port}", folder, port)
        self.through("sslsplit", front.port, os.path.join(folder, "ca.pem"))

    def test_liar(self):
        """curl that says it is one of these browsers."""
        if not shutil.which("curl"):
            self.skipTest("curl is not installed")
        agents = {"Chrome": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
                            f"Chrome/{recorded_major(1)}.0.0.0 Safari/537.36",
                  "Firefox": f"Mozilla/5.0 (X11; Linux x86_64; rv:{recorded_major(4)}.0) "
                             f"Gecko/20100101 Firefox/{recorded_major(4)}.0"}
        for name, agent in agents.items():
            liar = Browser(f"curl as {name}", "curl", 0, curl_that_says(agent))
            for found in self.judged(liar, "straight, intercepted", self.weir.port, None):
                self.assertEqual((found["verdict"], found["browser"]), ("intercepted", name), found)
                self.assertNotIn("product", found)


if __name__ == "__main__":
    harness.main()
