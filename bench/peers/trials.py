# SPDX-License-Identifier: Apache-2.0
"""Processes: a peer that is started for one trial and ended behind it with all its children, and
`weir bench run` as client and origin. Everything is in one folder and on loopback."""
import contextlib
import ctypes
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import peers
from rows import RATED_SECONDS, RATED_WARM_UP_MS

START_S = 20
STOP_S = 3
# Names that squid's file has for each time that a trial may be made (STEADY_TRIES_MAX in
# bench/load_run.c): more than it serves in ten seconds.
HOSTS, TRIES = 4000, 5
NEW = 16  # connections at the same time, where they are new ones or few; bulk has four
PR_SET_CHILD_SUBREAPER = 36


class Fault(Exception):
    """What ends the command, in words for the user."""


def wait_until(condition, limit_s):
    end = time.monotonic() + limit_s
    while not (answer := condition()) and time.monotonic() < end:
        time.sleep(0.01)
    return answer


def free_port(taken=()):
    """A port that nobody listens on, below those that connections are given, and none of those that
    are taken: whose they are may not be there yet."""
    while True:
        port = random.randint(10000, 32000)
        with socket.socket() as probe:
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                if port not in taken:
                    return port


def is_listening(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def read_end(path):
    """The last lines of a log, for a complaint."""
    with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
        return "".join("\n  " + line.rstrip() for line in file.readlines()[-10:])
    return ""


# ---- process trees ----

def children_of(pid):
    """All descendants; one that ends meanwhile is left out."""
    parents = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError, IndexError):
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                parents[int(name)] = int(file.read().rpartition(")")[2].split()[1])
    tree = [pid]
    for one in tree:
        tree += [child for child, parent in parents.items() if parent == one]
    return tree[1:]


def adopt_orphans():
    """Whose parent ends becomes our child, not init's, so that none is lost."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def reap():
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def end_tree(process):
    """SIGTERM, and SIGKILL for what is left of it and of its children behind STOP_S."""
    tree = children_of(process.pid)
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_S)
    for pid in [process.pid] + tree:
        # A pid that is not below us any more is not ours to end.
        if pid == process.pid and process.poll() is None or pid in children_of(os.getpid()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    process.wait()
    wait_until(lambda: reap() or not set(tree) & set(children_of(os.getpid())), STOP_S)


# ---- a place for all trials ----

class Place:
    """A folder with authorities, a certificate and names, and the ports of the origin."""

    def __init__(self, weir, cores):
        self.weir, self.cores = weir, cores
        self.count = 0
        self.folder = tempfile.mkdtemp(prefix="weir-peers-")

    def __enter__(self):
        try:
            self.make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)

    def make(self):
        os.chmod(self.folder, 0o755)  # peers that give up root read in it
        ports = self.origin_ports = []
        while len(ports) < 3:
            ports.append(free_port(ports))
        self.make_authority("origin-ca")
        self.make_authority("proxy-ca")
        self.make_leaf()
        # What peers read that are users of their own by then.
        self.write("origin-ca.pem", self.read("origin-ca", "weir-ca-cert.pem"))
        self.write("hosts", "127.0.0.1 localhost\n" + "".join(
            f"127.0.0.1 h{number}-{trial + 1}.bench.test\n"
            for trial in range(TRIES) for number in range(HOSTS)))
        self.ports = ",".join(map(str, ports))
        self.values = {
            "WEIR": self.weir, "ORIGIN_HTTP": ports[0], "ORIGIN_HTTPS": ports[1],
            "ORIGIN_DNS": ports[2], "ORIGIN_CA": self.path("origin-ca.pem"),
            "CA_DIR": self.path("proxy-ca"), "CA": self.path("ca.pem"),
            "LEAF": self.path("leaf.pem"), "LEAF_KEY": self.path("leaf-key.pem"),
            "HOSTS": self.path("hosts")}

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def read(self, *names):
        with open(self.path(*names), encoding="utf-8") as file:
            return file.read()

    def make_authority(self, name):
        """An ECDSA P-256 authority, as weir makes it."""
        origin = subprocess.Popen([self.weir, "bench", "origin", "--ca-dir", self.path(name)],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            line = origin.stdout.readline()
            made = self.path(name, "weir-ca-cert.pem")
            if not line or not wait_until(lambda: os.path.exists(made), START_S):
                origin.kill()
                raise Fault("weir bench origin does not work: " + origin.communicate()[1].strip())
        finally:
            origin.kill()
            origin.communicate()

    def make_leaf(self):
        """The fixed certificate: for localhost, ECDSA P-256, signed by the same authority that
        mints the others."""
        ca, key, request = (self.path("proxy-ca", "weir-ca.pem"), self.path("leaf-key.pem"),
                            self.path("leaf.csr"))
        extensions = self.write("leaf.ext", "subjectAltName=DNS:localhost\n")
        for command in (
                ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key],
                ["openssl", "req", "-new", "-key", key, "-subj", "/CN=localhost", "-out", request],
                ["openssl", "x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca, "-days", "30",
                 "-sha256", "-set_serial", "1", "-extfile", extensions, "-out",
                 self.path("leaf-cert.pem")]):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise Fault(f"{' '.join(command)}: {done.stderr.strip()}")
        self.write("leaf.pem", self.read("leaf-cert.pem") + self.read("leaf-key.pem"))
        # Peers read these as users of their own; nobody trusts that authority.
        self.write("ca.pem", self.read("proxy-ca", "weir-ca.pem"))
        os.chmod(key, 0o644)


class Running:
    """A peer in a new folder, with nothing of an earlier trial in it."""

    def __init__(self, place, peer, marks):
        place.count += 1
        self.place, self.peer, self.process = place, peer, None
        self.folder = place.path(f"{place.count}-{peer.name}")
        self.log = os.path.join(self.folder, "output")
        os.mkdir(self.folder)
        os.chmod(self.folder, 0o777)  # squid and nginx write as another user
        text = peers.read_template(peer)
        self.ports = {}
        for name in peers.port_names(text):
            self.ports[name] = free_port([*place.origin_ports, *self.ports.values()])
        config = os.path.join(self.folder, peer.file)
        self.values = {**place.values, **self.ports, "FOLDER": self.folder, "CONFIG": config}
        with open(config, "w", encoding="utf-8") as file:
            file.write(peers.fill(text, self.values, marks, peer.template))

    def fill(self, words):
        return [peers.fill(word, self.values).rstrip("\n") for word in words]

    def start(self):
        peer = self.peer
        environment = {**os.environ, **peers.ENVIRONMENT,
                       **{name: self.fill([value])[0] for name, value in peer.environment.items()}}
        with open(self.log, "wb") as log:
            if peer.prepare:
                subprocess.run(self.fill(peer.prepare), stdout=log, stderr=log, check=False)
                if peer.user and os.geteuid() == 0:
                    subprocess.run(["chown", "-R", peer.user, self.folder], check=True)
            self.process = subprocess.Popen(
                ["taskset", "-c", str(self.place.cores[0])] + self.fill(peer.command),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
                cwd=self.folder, start_new_session=True)
        if not wait_until(self.is_there, START_S) or self.process.poll() is not None:
            raise Fault(f"{peer.title} does not start:{read_end(self.log)}")

    def is_there(self):
        return self.process.poll() is not None or all(map(is_listening, self.ports.values()))

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.process:
            end_tree(self.process)
        shutil.rmtree(self.folder, ignore_errors=True)


def load_command(place, running, row, arguments, rate_hz, core_latency_ns):
    """`weir bench run` through this peer. The direct way is measured where it is needed."""
    peer = running.peer
    profile = "new" if row.profile == "small" and not peer.keeps else row.profile
    connections = arguments.connections if row.is_kept else NEW
    seconds = RATED_SECONDS if row.rate_of else arguments.seconds
    command = [place.weir, "bench", "run", "--rounds", "1", "--seconds", f"{seconds:g}",
               "--cores", ",".join(str(place.cores[i]) for i in (0, 1, 1)),
               "--connections", str(connections),
               "--ports", place.ports, "--ca-dir", place.path("origin-ca"),
               "--modes", row.mode, "--profiles", profile, "--closes", row.closes,
               "--host", row.host,
               "--proxy", f"127.0.0.1:{running.ports[peer.ways[row.way]]}",
               "--proxy-pid", str(running.process.pid),
               "--proxy-ca", place.path("proxy-ca", "weir-ca-cert.pem")]
    if row.rate_of:  # a latency, of which the waking of client and origin is no part
        command += ["--warm-up-ms", str(RATED_WARM_UP_MS), "--awake"]
    elif core_latency_ns is not None:
        command.append("--steady")
        if core_latency_ns:
            command += ["--core-latency", f"{core_latency_ns:.0f}"]
    if row.way in peer.fixed:
        command.append("--fixed")
    if rate_hz:
        return command + ["--rate", str(rate_hz), "--poisson"]
    return command + ["--alone"]


def make_trial(place, peer, row, arguments, rate_hz=None, with_logs=False, core_latency_ns=None):
    """Figures of one trial, name to number; "first_error" too; and the commands that made it. A core
    latency is one that does not change meanwhile, and is so if it soon can be; 0: whichever. For a
    latency that a request has it is nothing, and "stolen" and "taken" are of the direct way, too."""
    marks = ["logs" if with_logs else "quiet"] + ["polls"] * row.polls
    with Running(place, peer, marks) as running:
        out = os.path.join(running.folder, "trial.json")
        command = load_command(place, running, row, arguments, rate_hz, core_latency_ns)
        with subprocess.Popen(command + ["--json", out], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace",
                              start_new_session=True) as load:
            try:
                said = load.communicate()[0]
            except BaseException:
                end_tree(load)
                raise
        if load.returncode != 0:
            raise Fault(f"{row.name} through {peer.title}: {' '.join(command)}\n{said.strip()}"
                        f"{read_end(running.log)}")
        if running.process.poll() is not None:
            raise Fault(f"{row.name}: {peer.title} ended by itself:{read_end(running.log)}")
        with open(out, encoding="utf-8") as file:
            cases = json.load(file)["cases"]
        one = next(case for case in cases if case["mode"] == row.mode)
        figures = {name: figure["median"] for name, figure in one["figures"].items()}
        figures["first_error"] = one["first_error"]
        if row.rate_of:
            figures.pop("core_latency_ns", None)
            for name in ("stolen", "taken"):
                figures[name] = max(case["figures"].get(name, {"median": 0})["median"]
                                    for case in cases)
        started = ["taskset", "-c", str(place.cores[0])] + running.fill(peer.command)
        return figures, [" ".join(words).replace(running.folder, "FOLDER")
                         .replace(place.folder, "FOLDER").replace(place.weir, "weir")
                         for words in (started, command)]
