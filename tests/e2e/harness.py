# SPDX-License-Identifier: Apache-2.0
"""What all end-to-end tests stand on: weir as a process, and a TestCase that watches it.

Environment (set by ctest, see CMakeLists.txt; everything has a default for use by hand):
  WEIR_BINARY     the program under test (default: build-dev/weir)
  WEIR_SANITIZED  "1": built with sanitizers; big cases shrink, memory bounds are not asserted
  WEIR_KEEP       "1": the temporary folders stay, and their paths are printed

At the end of every test of a WeirCase: weir is alive, its descriptors are back at the count before
the test, no io_uring helper thread was ever seen, and no sanitizer or assertion spoke.
"""
import ctypes
import json
import os
import random
import re
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import access_log
import certs
import origins

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BINARY = os.environ.get("WEIR_BINARY", os.path.join(ROOT, "build-dev", "weir"))
SANITIZED = os.environ.get("WEIR_SANITIZED") == "1"
WAIT_S = 30 if SANITIZED else 15  # for anything that should happen at once
COMPLAINTS = re.compile(r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:|"
                        r"assertion|ASSERT|panic", re.IGNORECASE)

PIPES_MAX = 2 * 2 * 32  # two ends, two workers, and what each keeps at most

# An exit status of the program; sysexits.h has the numbers.
EXIT_OK, EXIT_USAGE, EXIT_OSERR, EXIT_CANTCREAT, EXIT_CONFIG = 0, 64, 71, 73, 78


def raise_descriptor_limit():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def free_port():
    """A port of 127.0.0.1 that nobody listens on, below the range that outgoing connections use, so
    that none of them can take it between this call and the server's bind."""
    while True:
        port = random.randint(10000, 32000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def wait_for(what, condition, timeout=WAIT_S):
    """Returns the first true value of condition(); raises with `what` after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout} s in vain for {what}")
        time.sleep(0.02)


def merge(base, over):
    out = dict(base)
    for key, value in over.items():
        out[key] = merge(base[key], value) if isinstance(value, dict) and key in base else value
    return out


def rule(name, action, **patterns):
    """One row of intercept.rules; patterns are lists under host, sni and port."""
    return {"name": name, **patterns, "action": action}


def is_weir_there():
    return os.access(BINARY, os.X_OK)


class Successor:
    """A process that weir has started to take over from it, as if Popen had: orphans come to us."""

    PR_SET_CHILD_SUBREAPER = 36

    def __init__(self, pid):
        self.pid = pid
        self.returncode = None

    @classmethod
    def adopt_orphans(cls):
        ctypes.CDLL(None).prctl(cls.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def poll(self):
        if self.returncode is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    self.returncode = os.waitstatus_to_exitcode(status)
            except ChildProcessError:
                pass  # its parent, the process before it, has not ended yet
        return self.returncode

    def wait(self, timeout):
        wait_for(f"process {self.pid} to end", lambda: self.poll() is not None, timeout)
        return self.returncode

    def send_signal(self, number):
        os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)


class Weir:
    """One weir process, or a line of them that take over from each other, with a folder of its own.
    JSON is YAML, so the configuration is a dict.

    `port` is the forward listener's; `listeners` are more of them, by a name of the test's own,
    without their addresses: `ports` has those."""

    prefix = ()  # of its command line, as what starts it in a namespace

    def __init__(self, folder, config, listeners=None):
        self.folder = folder
        self.more_listeners = listeners or {}
        self.ports = {}
        os.makedirs(folder, exist_ok=True)
        self.config = config
        self.config_path = os.path.join(folder, "weir.yaml")
        self.stderr_path = os.path.join(folder, "stderr")
        self.access_path = os.path.join(folder, "access.jsonl")
        self.ca_dir = os.path.join(folder, "ca")
        self.ca = os.path.join(self.ca_dir, "weir-ca-cert.pem")
        self.pid_path = os.path.join(folder, "weir.pid")
        self.binary = BINARY  # another path: what lies there may be replaced
        self.process = None
        self.former = []  # processes that others have taken over from
        self.helpers_seen = set()
        self.sampler = None
        self.sampler_stop = threading.Event()

    def write_config(self):
        with open(self.config_path, "w", encoding="utf-8") as out:
            json.dump(self.config, out, indent=2)
            out.write("\n")

    def start(self):
        for attempt in range(5):
            self.port = free_port()
            self.ports = {name: free_port() for name in self.more_listeners}
            first = self.config.get("listeners", [{}])[0]
            self.config["listeners"] = [{**first, "address": f"127.0.0.1:{self.port}",
                                         "mode": "forward"}]
            self.config["listeners"] += [
                {"address": f"127.0.0.1:{self.ports[name]}", **more}
                for name, more in self.more_listeners.items()]
            self.write_config()
            self.launch()
            if self._came_up():
                break
            if "in use" not in self.stderr() or attempt == 4:
                raise AssertionError(f"weir did not start (exit {self.process.poll()}):\n"
                                     + self.stderr())
        self.sampler = threading.Thread(target=self._sample, daemon=True)
        self.sampler.start()
        return self

    def launch(self):
        environment = dict(os.environ)
        environment.setdefault("ASAN_OPTIONS", "detect_leaks=1:abort_on_error=0:exitcode=99")
        environment.setdefault("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1")
        with open(self.stderr_path, "wb") as stderr:
            self.process = subprocess.Popen(
                [*self.prefix, self.binary, "run", "--config", self.config_path,
                 "--pid-file", self.pid_path], cwd=self.folder,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr,
                env=environment)

    def upgrade(self):
        """SIGUSR2; returns when the next process serves, or raises with the log."""
        Successor.adopt_orphans()
        self.signal(signal.SIGUSR2)
        pid = wait_for("the next process", lambda: self.served_by() not in (0, self.process.pid)
                       and self.served_by())
        self.former.append(self.process)
        self.process = Successor(pid)

    def served_by(self):
        try:
            with open(self.pid_path, encoding="ascii") as file:
                return int(file.read())
        except (OSError, ValueError):
            return 0

    def admin_port(self):
        return int(re.findall(r"admin on http://.*:(\d+)/", self.stderr())[-1])

    def _came_up(self):
        wait_for("weir to listen or to end", lambda: self.process.poll() is not None
                 or re.search(rf"listening.*:{self.port}\b", self.stderr()))
        return self.process.poll() is None

    def stderr(self):
        with open(self.stderr_path, encoding="utf-8", errors="replace") as text:
            return text.read()

    def _sample(self):
        while not self.sampler_stop.wait(0.05):
            self.sample_threads()

    def sample_threads(self):
        folder = f"/proc/{self.process.pid}/task"
        try:
            for thread in os.listdir(folder):
                with open(f"{folder}/{thread}/comm", encoding="ascii") as comm:
                    name = comm.read().strip()
                if name.startswith("iou-wrk"):
                    self.helpers_seen.add(name)
        except OSError:
            pass # the process or the thread has ended

    def descriptors(self):
        """Open descriptors, without the pipes for splicing: those are kept for the next tunnel, a
        bounded number of them, which pipes() counts."""
        return len(self._links()) - self.pipes()

    def pipes(self):
        return sum(1 for link in self._links() if link.startswith("pipe:"))

    def _links(self):
        links = []
        folder = f"/proc/{self.process.pid}/fd"
        for name in os.listdir(folder):
            try:
                links.append(os.readlink(f"{folder}/{name}"))
            except OSError:
                pass  # closed meanwhile
        return links

    def private_bytes(self):
        """Memory that is this process's alone; not pages of files, which others may map as well."""
        total = 0
        with open(f"/proc/{self.process.pid}/smaps_rollup", encoding="ascii") as rollup:
            for line in rollup:
                if line.startswith(("Anonymous:", "Swap:")):
                    total += int(line.split()[1]) * 1024
        return total

    def records(self):
        return access_log.read(self.access_path)

    def wait_record(self, condition, what="a record in the access log"):
        return wait_for(what, lambda: next((r for r in self.records() if condition(r)), None))

    def signal(self, number):
        self.process.send_signal(number)

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def complaints(self):
        return [line for line in self.stderr().splitlines() if COMPLAINTS.search(line)]

    def stop(self):
        """SIGTERM, and what must be true of every end."""
        self.sampler_stop.set()
        if self.sampler:
            self.sampler.join(5)
        if self.is_running():
            self.signal(signal.SIGTERM)
            try:
                self.process.wait(WAIT_S)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError("weir did not end on SIGTERM:\n" + self.stderr()[-4000:]) \
                    from None
        for process in [*self.former, self.process]:
            process.wait(WAIT_S)
            if process.returncode != EXIT_OK or self.complaints():
                raise AssertionError(f"weir ended with {process.returncode}:\n"
                                     + self.stderr()[-8000:])

    def kill(self):
        self.sampler_stop.set()
        for process in [*self.former, self.process]:
            if process and process.poll() is None:
                process.kill()
                process.wait(WAIT_S)


# ---- clients ---------------------------------------------------------------------------------

def client_context(ca=None, alpn=None, minimum=None, maximum=None):
    """A verifying context that trusts `ca` alone; without it one that verifies nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca:
        context.load_verify_locations(ca)
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(alpn)
    if minimum:
        context.minimum_version = minimum
    if maximum:
        context.maximum_version = maximum
    return context


class Answer:
    def __init__(self, status, reason, fields, body):
        self.status = status
        self.reason = reason
        self.fields = fields  # list of (lower-case name, value)
        self.body = body

    def get(self, name, default=""):
        return next((value for key, value in self.fields if key == name), default)


def read_head(reader):
    lines = reader.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
    _, _, rest = lines[0].partition(" ")
    status, _, reason = rest.partition(" ")
    fields = [(name.lower(), value.strip()) for name, _, value in
              (line.partition(":") for line in lines[1:])]
    return Answer(int(status), reason, fields, b"")


def read_answer(reader, method="GET", informational=None):
    """A whole response; 1xx ones before it are added to `informational`."""
    answer = read_head(reader)
    while answer.status < 200 and answer.status != 101:
        if informational is not None:
            informational.append(answer)
        answer = read_head(reader)
    if method == "HEAD" or answer.status in (101, 204, 304):
        return answer
    if answer.get("transfer-encoding").lower() == "chunked":
        trailers = {}
        answer.body = b"".join(reader.chunked(trailers))
        answer.trailers = trailers
    elif answer.get("content-length"):
        answer.body = reader.exactly(int(answer.get("content-length")))
    else:
        while reader.fill():
            pass
        answer.body, reader.data = reader.data, b""
    return answer


def read_to_end(sock):
    """Everything until the end or a reset; returns (bytes, was it a clean end)."""
    data = b""
    try:
        while part := sock.recv(65536):
            data += part
    except (ConnectionResetError, BrokenPipeError):
        return data, False
    return data, True


class WeirCase(unittest.TestCase):
    """Base of the areas: PKI, DNS stub and one weir process a class.

    Set CONFIG to what differs from the defaults below. Names under .test resolve to loopback."""

    CONFIG = {}
    LISTENERS = {}  # beside the forward one, see Weir
    START_WEIR = True
    # Idle server connections that weir may keep at the end of a test; origins that the test closes
    # take theirs with them, so the default is none.
    DESCRIPTOR_SLACK = 0
    QUIET_S = 0.3  # for so long the count of descriptors stays the same before a test begins

    @classmethod
    def setUpClass(cls):
        raise_descriptor_limit()
        cls.folder = tempfile.mkdtemp(prefix="weir-e2e-")
        os.chmod(cls.folder, 0o755)
        if os.environ.get("WEIR_KEEP") == "1":
            print(f"{cls.__name__}: {cls.folder}", file=sys.stderr)
        else:
            cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.authority = certs.Authority(cls.folder, "root")
        cls.certificate = cls.authority.issue(
            "origin", ["origin.test", "*.origin.test", "127.0.0.1", "::1"])
        cls.dns = origins.DnsStub()
        cls.addClassCleanup(cls.dns.close)
        cls.prepare()
        cls.weir = None
        if cls.START_WEIR:
            cls.weir = cls.new_weir("weir", cls.CONFIG)
            cls.weir.start()
            cls.addClassCleanup(cls.weir.kill)

    @classmethod
    def prepare(cls):
        """Servers that the class shares are made here; weir starts afterwards."""

    @classmethod
    def tearDownClass(cls):
        if cls.weir:
            cls.weir.stop()

    @classmethod
    def base_config(cls, folder):
        return {
            "workers": 2,
            "intercept": {"default": "intercept", "ca_dir": os.path.join(folder, "ca"),
                          "rules": []},
            "upstream": {"trust_files": [cls.authority.certificate]},
            "connect": {"ports": cls.connect_ports(), "allow_private": True},
            "dns": {"servers": [f"127.0.0.1:{cls.dns.port}"]},
            "log": {"access": {"path": os.path.join(folder, "access.jsonl"), "format": "json"}},
        }

    @classmethod
    def connect_ports(cls):
        """The ports that CONNECT may name: those of the class's servers. A test that makes servers
        of its own names them through `extra_ports`, before weir starts."""
        ports = [443]
        for value in list(vars(cls).values()):
            if isinstance(value, (origins.Server, origins.EchoServer)):
                ports.append(value.port)
            elif isinstance(value, origins.Nginx):
                ports.extend(value.port.values())
        return ports + list(getattr(cls, "extra_ports", []))

    @classmethod
    def new_weir(cls, name, config=None):
        folder = os.path.join(cls.folder, name)
        return Weir(folder, merge(cls.base_config(folder), config or {}), cls.LISTENERS)

    def setUp(self):
        if not self.weir:
            return
        self.assertTrue(self.weir.is_running(), "weir ended before this test:\n"
                        + self.weir.stderr()[-4000:])
        for server in self._servers():
            server.errors.clear()
        self.descriptors_before = wait_stable(self.weir.descriptors, self.QUIET_S)
        self.addCleanup(self._check_weir)  # first in, so last of all cleanups

    def _servers(self):
        """Those that the class has for all of its tests."""
        return [server for server in vars(type(self)).values()
                if isinstance(server, origins.Server)]

    def _check_weir(self):
        weir = self.weir
        if not weir.is_running():
            self.fail(f"weir ended with {weir.process.returncode}:\n" + weir.stderr()[-8000:])
        allowed = self.descriptors_before + self.DESCRIPTOR_SLACK

        def are_back():
            """Servers close again and again: what they had not accepted yet idles in weir."""
            for server in self._servers():
                server.close_connections()
            return weir.descriptors() <= allowed

        try:
            wait_for("descriptors", are_back)
        except AssertionError:
            self.fail(f"weir keeps {weir.descriptors()} descriptors, before the test it had "
                      f"{self.descriptors_before}")
        for server in self._servers():
            self.assertEqual(server.errors, [])
        self.assertLessEqual(weir.pipes(), PIPES_MAX)
        weir.sample_threads()
        self.assertEqual(weir.helpers_seen, set(), "io_uring fell back to kernel helper threads")
        self.assertEqual(weir.complaints(), [])

    # ---- connections through weir; all of them are closed at the end of the test ----

    def keep(self, sock):
        self.addCleanup(sock.close)
        return sock

    def dial(self, weir=None, timeout=WAIT_S, listener=None):
        weir = weir or self.weir
        port = weir.ports[listener] if listener else weir.port
        sock = socket.create_connection(("127.0.0.1", port), timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.keep(sock)

    def connect_answer(self, authority, weir=None):
        """Sends CONNECT; returns the socket, its reader and the answer."""
        sock = self.dial(weir)
        sock.sendall(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
        reader = origins.Reader(sock)
        answer = read_head(reader)
        if answer.status != 200:
            length = answer.get("content-length")
            answer.body = reader.exactly(int(length)) if length else read_to_end(sock)[0]
        return sock, reader, answer

    def connect_outcome(self, authority):
        """The answer to CONNECT, or, where weir lets the client's TLS begin before it knows whether
        the target can be reached, the page that is inside."""
        sock, _, answer = self.connect_answer(authority)
        if answer.status != 200:
            return answer
        host = authority.rpartition(":")[0].strip("[]").rstrip(".")
        tls = self.keep(client_context(self.weir.ca, ["http/1.1"]).wrap_socket(
            sock, server_hostname=host))
        answer = self.get(tls, "/", host=host)
        tls.close()
        return answer

    def tunnel(self, authority, weir=None):
        """A socket behind CONNECT. Bytes that came right behind the answer must not be lost, so
        the answer is read byte by byte."""
        sock = self.dial(weir)
        sock.sendall(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = sock.recv(1)
            self.assertTrue(byte, f"CONNECT {authority}: ended after {head!r}")
            head += byte
        self.assertRegex(head, rb"^HTTP/1\.1 200 ", f"CONNECT {authority}")
        return sock

    def tls(self, authority, ca=None, server_hostname=None, alpn=None, minimum=None, maximum=None,
            weir=None, sni=True):
        """TLS behind CONNECT, verified against `ca` (default: weir's) and the name asked for."""
        host = authority.rpartition(":")[0].strip("[]")
        context = client_context(ca or (weir or self.weir).ca, alpn or ["http/1.1"], minimum,
                                 maximum)
        if not sni:
            context.check_hostname = False
        sock = self.tunnel(authority, weir)
        return self.keep(context.wrap_socket(
            sock, server_hostname=(server_hostname or host) if sni else None))

    def get(self, sock, path, host="origin.test", method="GET", fields=""):
        sock.sendall(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n".encode())
        return read_answer(origins.Reader(sock), method)

    def get_plain(self, url, method="GET", fields="", weir=None):
        """An absolute-form request on a connection of its own."""
        host = url.split("/")[2]
        sock = self.dial(weir)
        sock.sendall(f"{method} {url} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
                     f"{fields}\r\n".encode())
        return read_answer(origins.Reader(sock), method)

    def issuer_of(self, sock):
        """The issuer's CN as the client of a TLS socket sees it: who ended the handshake."""
        pem = ssl.DER_cert_to_PEM_cert(sock.getpeercert(binary_form=True))
        return certs.subject_names(pem)[1]


def wait_stable(count, quiet_s=0.3, timeout=WAIT_S):
    """The value of count() once it has not changed for a while."""
    deadline = time.monotonic() + timeout
    value, since = count(), time.monotonic()
    while time.monotonic() - since < quiet_s:
        if time.monotonic() > deadline:
            raise AssertionError("the count never settled")
        time.sleep(0.05)
        now = count()
        if now != value:
            value, since = now, time.monotonic()
    return value


def program(name, package):
    """Skips a test when its program is absent, and says which package has it."""
    return unittest.skipUnless(shutil.which(name), f"{name} is absent: install {package}")


def needs_localhost(case):
    """Skips where clients cannot look up 127.0.0.1 by that name: a bare system has no /etc/hosts."""
    try:
        found = socket.getaddrinfo("localhost", None)
    except socket.gaierror:
        found = []
    if any(entry[4][0] == "127.0.0.1" for entry in found):
        return case
    return unittest.skip("this system's localhost is not 127.0.0.1: /etc/hosts lacks it")(case)


def run(command, timeout=120, env=None, **more):
    """Runs a client program to its end; output as bytes, nothing from the environment's proxies.
    If it takes too long, it ends with all of its children (a browser's, strace's)."""
    environment = {key: value for key, value in os.environ.items()
                   if key.lower() not in ("http_proxy", "https_proxy", "no_proxy", "all_proxy")}
    environment.update(env or {})
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, env=environment, start_new_session=True,
                               **more)
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def main():
    if not is_weir_there() and "--direct" not in sys.argv:
        print(f"{BINARY} is missing: build it first (cmake --build --preset dev), or name it in "
              "WEIR_BINARY", file=sys.stderr)
        sys.exit(1)
    unittest.main(verbosity=2)
