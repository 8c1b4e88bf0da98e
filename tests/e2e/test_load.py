# SPDX-License-Identifier: Apache-2.0
"""The load harness, `weir bench run`, `origin`, `compare` and `grow`: every mode and profile without
an error, proxies that lie are found out, and what is written can be read. How fast anything is is
no test's business."""
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import unittest
import unittest.mock
from html.parser import HTMLParser

import harness
from tools_case import Case

MODES = ["direct", "direct-tls", "forward", "connect", "connect-tls", "intercept"]


def need_network():
    """Skips where no network of our own, with redirection in it, can be had."""
    rules = "add table ip t; add chain ip t c { type nat hook output priority -100; }; " \
            "add rule ip t c tcp dport 1 redirect to :2"
    unshare = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    for program, package in (("unshare", "util-linux"), ("nft", "nftables")):
        if not shutil.which(program, path=path):
            raise unittest.SkipTest(f"{program} is absent: install {package}")
    done = subprocess.run([*unshare, "nft", rules], env={**os.environ, "PATH": path},
                          capture_output=True, check=False, text=True)
    if done.returncode != 0:
        raise unittest.SkipTest("no network namespace, or no redirection in it: "
                                + done.stderr.strip())


class LyingProxy:
    """Forwards plain requests to any port of loopback; `spoil` changes what comes back."""

    def __init__(self, spoil=lambda data, at: data):
        self.spoil = spoil
        self.heads = []
        self.clients = set()  # their addresses
        self.ends = []  # whose came, in their order, by connection
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client, (address, _) = self.listener.accept()
            except OSError:
                return
            self.clients.add(address)
            threading.Thread(target=self.relay, args=(client,), daemon=True).start()

    def relay(self, client):
        with client:
            head = client.recv(65536)
            if not head:  # it was opened when the trial ended
                return
            self.heads.append(head)
            port = int(re.search(rb"^\S+ http://[^:]+:(\d+)", head).group(1))
            with socket.create_connection(("127.0.0.1", port)) as server:
                server.sendall(re.sub(rb"http://[^/]+", b"", head, count=1))
                self.join(client, server)

    def join(self, client, server):
        ends = []
        self.ends.append(ends)
        other = threading.Thread(target=self.copy, daemon=True,
                                 args=(client, server, None, lambda: ends.append("client")))
        other.start()
        self.copy(server, client, self.spoil, lambda: ends.append("origin"))
        other.join(harness.WAIT_S)

    @staticmethod
    def copy(source, sink, change, ended):
        at = 0
        try:
            while data := source.recv(65536):
                if change is None:
                    data = re.sub(rb"http://[^/]+/", b"/", data)
                sink.sendall(change(data, at) if change else data)
                at += len(data)
            ended()
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.listener.close()


class FixedProxy(LyingProxy):
    """Sends all to one place, which the harness chooses when it starts: it is in Host."""

    def relay(self, client):
        with client:
            head = client.recv(65536)
            if not head:  # it was opened when the trial ended
                return
            self.heads.append(head)
            port = int(re.search(rb"(?m)^Host: localhost:(\d+)", head).group(1))
            with socket.create_connection(("127.0.0.1", port)) as server:
                server.sendall(head)
                self.join(client, server)


class BlindProxy(LyingProxy):
    """Joins each connection with one to a port of loopback, and keeps what its client said last."""

    def __init__(self, port):
        self.port = port
        self.last = []
        super().__init__()

    def relay(self, client):
        with client, socket.create_connection(("127.0.0.1", self.port)) as server:
            self.join(client, server)

    def copy(self, source, sink, change, ended):
        if change is None:  # towards the origin
            def change(data, _at):
                seen[:] = [data]
                return data
            seen = [b""]
            super().copy(source, sink, change, ended)
            self.last += seen
        else:
            super().copy(source, sink, change, ended)


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.lines, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "polyline":
            self.lines.append(dict(attrs)["points"].split())


class Load(Case):
    def setUp(self):
        super().setUp()
        # Where the harness makes its folder, so that one that is left would be seen.
        patched = unittest.mock.patch.dict(os.environ, {"TMPDIR": self.folder})
        patched.start()
        self.addCleanup(patched.stop)

    def bench(self, *arguments, code=0):
        got, out, err = self.weir_command("bench", *arguments)
        self.assertEqual(got, code, out + err)
        self.assertEqual([name for name in os.listdir(self.folder) if "weir-bench" in name], [])
        return out, err

    def run_json(self, *arguments, code=0):
        path = os.path.join(self.folder, "results.json")
        out, err = self.bench("run", "--seconds", "0.3", "--warm-up-ms", "50", "--rounds", "1",
                              "--json", path, *arguments, code=code)
        with open(path, encoding="utf-8") as file:
            return json.load(file), out, err

    def check_case(self, one):
        figures = {name: figure["median"] for name, figure in one["figures"].items()}
        self.assertEqual((figures["errors"], figures["mismatches"], figures["dropped"]),
                         (0, 0, 0), one)
        self.assertIsNone(one["first_error"])
        if one["profile"] == "idle":
            self.assertLess(100, figures["idle_bytes"])
            return
        self.assertLess(0, figures["rate_hz"], one)
        self.assertTrue(0 < figures["p50_us"] <= figures["p99_us"] <= figures["p999_us"]
                        <= figures["max_us"], one)
        self.assertLess(0, sum(one["throughput_hz_100ms"]))
        self.assertLess(0, figures["client_busy"])
        if not one["mode"].startswith("direct"):
            self.assertLess(0, figures["cpu_us"], one)
            self.assertIn("added_p99_us", figures)
        if one["profile"] in ("new", "resumed", "hosts"):
            # Each request has a connection, but for those at the edges of the window.
            if "cpu_us" in figures:
                self.assertAlmostEqual(figures["connection_cpu_us"] / figures["cpu_us"], 1,
                                       delta=0.5)
        if one["profile"] == "resumed":
            self.assertLess(0.5, figures["resumed"], one)
        if one["profile"] in ("new", "hosts") and "resumed" in figures:
            self.assertEqual(figures["resumed"], 0, one)

    def test_every_case(self):
        """Each profile in each mode that has it, with small bulk and few connections."""
        results, out, err = self.run_json(
            "--seconds", "0.5", "--modes", ",".join(MODES), "--profiles", "all", "--connections", "4",
            "--idle-connections", "150", "--bulk-kib", "512", "--commit", "abc",
            "--html", os.path.join(self.folder, "page.html"))
        cases = {(one["mode"], one["profile"]) for one in results["cases"]}
        self.assertEqual(len(cases), 6 * 7 + 3 + 4, cases)
        for one in results["cases"]:
            self.check_case(one)
        self.assertEqual((results["schema"], results["commit"]), ("weir-load/1", "abc"))
        self.assertEqual(set(results["machine"]), {"cpu", "kernel", "cores", "memory_mib"})
        self.assertEqual(results["configuration"]["connections"], 4)
        self.assertEqual(results["configuration"]["closes"], "client")
        self.assertIn("; the client closes\n", out)
        self.assertIn(f"{len(cases)}/{len(cases)} ", err)
        self.assertRegex(out, r"\Aweir \S+ takes for forward/small \d.* us of CPU a request")
        for mode, profile in cases:
            self.assertRegex(out, rf"(?m)^{mode}/{profile} ")
        self.check_page(results)

    def test_transparent(self):
        """In a network of its own, from which nothing is left; the table has no more than that."""
        need_network()
        before = os.stat("/proc/self/ns/net").st_ino
        results, out, _ = self.run_json(
            "--seconds", "0.2", "--modes", "transparent,transparent-tls", "--profiles", "all",
            "--connections", "4", "--idle-connections", "150", "--bulk-kib", "512")
        cases = {(one["mode"], one["profile"]) for one in results["cases"]}
        self.assertEqual(len(cases), 7 + 8 + 8 + 9, cases)
        for one in results["cases"]:
            self.check_case(one)
        self.assertTrue(results["configuration"]["own_network"])
        self.assertRegex(out, r"\Aweir \S+ takes for transparent/small \d.* us of CPU a request")
        self.assertEqual(before, os.stat("/proc/self/ns/net").st_ino)

    def test_several(self):
        """Clients and origins as processes of their own: no errors, and one result."""
        results, out, _ = self.run_json(
            "--seconds", "0.15", "--modes", "forward,intercept", "--profiles",
            "resumed,up,idle,slow", "--connections", "5", "--idle-connections", "101",
            "--bulk-kib", "256", "--clients", "3", "--origins", "2")
        self.assertEqual((results["configuration"]["clients"], results["configuration"]["origins"]),
                         (3, 2))
        self.assertEqual(len(results["cases"]), 2 + 3 + 3 + 4)
        for one in results["cases"]:
            self.check_case(one)
            figures = {name: figure["median"] for name, figure in one["figures"].items()}
            if one["profile"] == "resumed":  # whichever origin a client came to
                self.assertLess(0.7, figures["resumed"], one)
            if one["profile"] != "idle":
                self.assertLessEqual(figures["client_busy"], figures["load_busy"] * 1.0001)
                self.assertLess(0, figures["origin_busy"])
        self.assertIn("5 connections, 3 clients, 2 origins, closed loop", out)

    def test_scaling(self):
        """What more workers do: told, in the results, and a figure that can be bounded."""
        results, out, err = self.run_json(
            "--modes", "forward", "--profiles", "small", "--workers", "1,2", "--clients", "2",
            "--alone", "--require", "scaling>1000", code=99)
        self.assertEqual(["scaling" in one["figures"] for one in results["cases"]], [False, True])
        rates = [one["figures"]["rate_hz"]["median"] for one in results["cases"]]
        scaling = results["cases"][1]["figures"]["scaling"]["median"]
        self.assertAlmostEqual(scaling, rates[1] / rates[0] / 2, delta=1e-4)
        self.assertRegex(out, r"(?m)^  forward/small@2: 2 workers do \S+ times the work of one "
                              r"\(\S+ to \S+\), \S+ of linear$")
        self.assertRegex(err, r"scaling>1000 does not hold: forward/small@2 has \d")
        self.assertNotIn("forward/small has", err)

    def test_several_open_loop(self):
        """The rate is that of all clients together, in a network of their own, too."""
        mode = "transparent"
        try:
            need_network()
        except unittest.SkipTest:
            mode = "forward"
        results, _, _ = self.run_json("--modes", mode, "--profiles", "small", "--rate", "400",
                                      "--clients", "4", "--origins", "2", "--connections", "8",
                                      "--poisson")
        for one in results["cases"]:
            self.check_case(one)
            self.assertAlmostEqual(one["figures"]["rate_hz"]["median"], 400, delta=250)

    def test_several_hosts(self):
        """No two clients take the same new host."""
        proxy = LyingProxy()
        results, _, _ = self.run_proxy(proxy, "--profiles", "hosts", "--clients", "2")
        self.check_case(results["cases"][1])
        names = [re.search(rb"(?m)^Host: ([^:]+)", head).group(1) for head in proxy.heads]
        self.assertEqual(len(names), len(set(names)))
        self.assertEqual({int(name[1:name.index(b"-")]) % 2 for name in names}, {0, 1})

    def test_cores(self):
        """Lists for each place; what cannot be is told with its byte."""
        core = min(os.sched_getaffinity(0))
        results, out, _ = self.run_json("--modes", "forward", "--profiles", "small", "--clients",
                                        "2", "--cores", f"{core}/{core}-{core}/{core}")
        self.assertEqual(results["configuration"]["cores"], f"{core}/{core}/{core}")
        self.assertIn("proxy and client share a core", out)
        _, err = self.bench("run", "--cores", "0-1,0,0", code=64)
        self.assertIn("weir bench: --cores: byte 1: a comma expected; three cores with commas "
                      "expected, for proxy, client and origin, as 1,0,0, or three lists", err)

    @unittest.skipUnless(len(os.sched_getaffinity(0)) > 1, "two cores are needed")
    def test_steady(self):
        """Of two cores it is known how long a cache line takes; what nobody has is not waited for
        for ever."""
        one, other = sorted(os.sched_getaffinity(0))[:2]
        cores = ("--modes", "forward", "--profiles", "small", "--cores", f"{one},{other},{other}")
        results, _, _ = self.run_json("--steady", "--alone", *cores)
        latency = results["cases"][0]["figures"]["core_latency_ns"]["median"]
        self.assertTrue(1 < latency < 100000, latency)
        results, _, err = self.run_json("--steady", "--core-latency", "100000", "--alone", *cores)
        self.assertIn("ns from core to core: waiting for some 100000", err)
        self.assertEqual(len(results["cases"]), 1)
        results, _, _ = self.run_json("--steady", "--core-latency", "100000", "--profiles", "idle",
                                      *cores[:2], *cores[4:], "--idle-connections", "50")
        for case in results["cases"]: # memory is not waited for
            self.assertNotIn("core_latency_ns", case["figures"])
        _, err = self.bench("run", "--core-latency", "50", code=64)
        self.assertIn("weir bench: --core-latency needs --steady", err)

    def test_together(self):
        """Variants in one window: figures of their own, those of the shared core alike."""
        results, out, err = self.run_json(
            "--together", "--modes", "intercept", "--profiles", "new,idle", "--variants",
            "plain,logs,blind", "--clients", "2", "--connections", "4", "--idle-connections", "30",
            "--rounds", "2")
        self.assertTrue(results["configuration"]["together"])
        self.assertEqual(len(results["cases"]), 2 * 3)
        self.assertIn("12/12 ", err)
        self.assertIn("; weirs at the same time\n", out)
        for one in results["cases"]:
            self.assertEqual(one["figures"]["errors"]["rounds"], [0, 0], one)
        for at in range(0, len(results["cases"]), 3):
            group = results["cases"][at:at + 3]
            self.assertEqual(len({(one["mode"], one["profile"]) for one in group}), 1)
            self.assertEqual([one["variant"] for one in group], ["plain", "logs", "blind"])
            if group[0]["profile"] == "idle":
                continue
            for turn in range(2):
                plain, *others = ({name: figure["rounds"][turn]
                                   for name, figure in one["figures"].items()} for one in group)
                self.assertNotIn("added_p50_us", plain)
                for figures in others:
                    self.assertLess(0, figures["rate_hz"])
                    self.assertAlmostEqual(figures["cpu_ratio"],
                                           figures["cpu_us"] / plain["cpu_us"], delta=1e-4)
                    for name in ("client_busy", "load_busy", "origin_busy"):
                        self.assertAlmostEqual(figures[name] / plain[name], 1, delta=0.1)

    def test_workers_together(self):
        """Numbers of workers in one window: no throughput against each other, of a shared core."""
        results, out, _ = self.run_json(
            "--together", "--modes", "forward", "--profiles", "small", "--workers", "1,2",
            "--connections", "4", "--rounds", "2")
        self.assertEqual([case["workers"] for case in results["cases"]], [1, 2])
        one, two = (case["figures"] for case in results["cases"])
        for turn, ratio in enumerate(two["cpu_ratio"]["rounds"]):
            self.assertAlmostEqual(ratio, two["cpu_us"]["rounds"][turn]
                                   / one["cpu_us"]["rounds"][turn], delta=1e-4)
        self.assertNotIn("scaling", two)
        self.assertRegex(out, r"(?m)^  forward/small@2: 2 workers cost \S+ % .*; bound 8 %")

    def test_awake(self):
        """Who never sleeps is not full for that."""
        results, _, _ = self.run_json("--awake", "--modes", "forward", "--profiles", "small",
                                      "--rate", "200")
        self.assertTrue(results["configuration"]["awake"])
        for one in results["cases"]:
            self.check_case(one)
            figures = one["figures"]
            self.assertGreater(figures["client_busy"]["median"], 0)
            self.assertLessEqual(figures["load_busy"]["median"],
                                 figures["client_busy"]["median"]
                                 + figures["origin_busy"]["median"] + 0.01)
            self.assertLess(figures["load_busy"]["median"], 0.9)
            self.assertNotIn("p99_of_200_us", figures) # of too few
        results, _, _ = self.run_json("--modes", "forward", "--profiles", "small", "--alone",
                                      "--rate", "200")
        self.assertFalse(results["configuration"]["awake"])

    def test_no_network(self):
        """Without nft that works the transparent modes say so, and the others do not ask for it."""
        path = self.write("nft", b"#!/bin/sh\necho no rules today >&2\nexit 1\n")
        os.chmod(path, 0o755)
        search = self.folder + ":" + os.environ["PATH"]
        with unittest.mock.patch.dict(os.environ, {"PATH": search}):
            _, err = self.bench("run", "--seconds", "0.1", "--rounds", "1", "--modes",
                                "transparent", "--profiles", "small", code=1)
            self.assertIn("weir bench: the transparent modes need a network namespace, nft and "
                          "connection tracking in the kernel: ", err)
            results, _, _ = self.run_json("--modes", "forward", "--profiles", "small")
        self.assertFalse(results["configuration"]["own_network"])

    def test_variants(self):
        """Each weir is a case of its own, related to another one of the same round."""
        results, out, err = self.run_json(
            "--modes", "forward", "--profiles", "small", "--workers", "1,2", "--variants",
            "plain,logs,blind", "--rate", "300", "--rounds", "2",
            "--require", "forward/small/cpu_ratio<0.00001", code=99)
        cases = {(one["variant"], one["workers"]): one for one in results["cases"]
                 if one["mode"] == "forward"}
        self.assertEqual(len(results["cases"]), 7)
        self.assertEqual(set(cases), {(variant, workers) for variant in ("plain", "logs", "blind")
                                      for workers in (1, 2)})
        plain = cases["plain", 1]["figures"]["cpu_us"]["rounds"]
        self.assertNotIn("cpu_ratio", cases["plain", 1]["figures"])
        for (variant, workers), one in cases.items():
            self.check_case(one)
            reference = plain if variant == "plain" else \
                cases["plain", workers]["figures"]["cpu_us"]["rounds"]
            for i, ratio in enumerate(one["figures"].get("cpu_ratio", {"rounds": []})["rounds"]):
                self.assertAlmostEqual(
                    ratio, one["figures"]["cpu_us"]["rounds"][i] / reference[i], delta=1e-4)
        for words in (r"forward/small\+logs: logging on costs \S+ % \(\S+ to \S+\); bound 10 %",
                      r"forward/small\+blind: detection on costs \S+ % ",
                      r"forward/small@2: 2 workers cost \S+ % .*; bound 8 %",
                      r"forward/small\+logs@2: logging on costs "):
            self.assertRegex(out, "(?m)^  " + words)
        self.assertIn("does not hold: forward/small+logs has ", err)
        self.assertNotIn("does not hold: forward/small has ", err)

    def measured(self, weir):
        """The folder of a run, and the names of the threads of its proxy, once it is asked."""
        with open(f"/proc/{weir.pid}/task/{weir.pid}/children", encoding="ascii") as file:
            children = file.read().split()
        folders = [name for name in os.listdir(self.folder) if "weir-bench" in name]
        if len(children) < 3 or not folders:  # origin, proxy, client
            return None
        threads = f"/proc/{children[1]}/task"
        names = []
        for thread in os.listdir(threads):
            with open(f"{threads}/{thread}/comm", encoding="ascii") as file:
                names.append(file.read().strip())
        return os.path.join(self.folder, folders[0]), names

    def test_what_variants_are(self):
        """What is measured has those workers, and writes a log, or judges nothing."""
        for variant in ("plain", "logs", "blind"):
            with self.subTest(variant=variant), subprocess.Popen(
                    [harness.BINARY, "bench", "run", "--seconds", "60", "--modes", "forward",
                     "--profiles", "small", "--workers", "2", "--rounds", "1", "--variants",
                     variant, "--warm-up-ms", "1", "--find-max", "p99<1ns"],
                    cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as weir:
                try:
                    self.check_what_it_is(variant, *harness.wait_for(
                        "a trial", lambda w=weir: self.measured(w)))
                finally:
                    weir.send_signal(signal.SIGINT)

    def check_what_it_is(self, variant, folder, names):
        self.assertEqual([name for name in sorted(names) if re.fullmatch(r"weir-\d", name)],
                         ["weir-0", "weir-1"])
        with open(os.path.join(folder, "0-weir.yaml"), encoding="utf-8") as file:
            self.assertEqual("databases: []" in file.read(), variant == "blind")
        log = os.path.join(folder, "0-access.log")
        if variant == "logs":
            harness.wait_for("a record", lambda: os.path.getsize(log))
        else:
            self.assertFalse(os.path.exists(log))

    def check_page(self, results):
        with open(os.path.join(self.folder, "page.html"), encoding="utf-8") as file:
            text = file.read()
        page = Page(text)
        drawn = [one for one in results["cases"] if one["profile"] != "idle"]
        self.assertEqual(len(page.lines), 2 * len(drawn))
        for line in page.lines:
            for point in line:
                x, y = map(float, point.split(","))
                self.assertTrue(0 <= x <= 460 and 0 <= y <= 260, line)
        self.assertNotIn("nan", re.sub(r"<style>.*</style>", "", text))
        self.assertEqual([tag for tag, _ in page.tags if tag in ("script", "link", "img")], [])
        self.assertIn("prefers-color-scheme:dark", text)
        self.screenshot("page.html")

    def screenshot(self, name):
        """A browser draws something of it."""
        browser = shutil.which("chromium")
        if not browser or harness.SANITIZED:
            return
        path = os.path.join(self.folder, "page.png")
        subprocess.run([browser, "--headless", "--no-sandbox", "--disable-gpu",
                        f"--user-data-dir={self.folder}/browser", f"--screenshot={path}",
                        "--window-size=1000,2000", "file://" + os.path.join(self.folder, name)],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60, check=True)
        self.assertLess(20000, os.path.getsize(path))

    def test_open_loop(self):
        """The rate is what was asked for; latency is told from both times."""
        results, out, _ = self.run_json("--modes", "forward", "--profiles", "small", "--rate",
                                        "300", "--poisson", "--connections", "8",
                                        "--require", "errors<=0", "--require", "rate>100")
        for one in results["cases"]:
            self.check_case(one)
            figures = {name: figure["median"] for name, figure in one["figures"].items()}
            self.assertAlmostEqual(figures["rate_hz"], 300, delta=200)
            self.assertLessEqual(figures["sent_p50_us"], figures["p50_us"])
            self.assertIn("late_p99_us", figures)
        self.assertIn("Not corrected, from when a request was sent", out)

    def test_requirements(self):
        """One that does not hold is told, with the figure, and is the exit status."""
        _, _, err = self.run_json("--modes", "connect", "--profiles", "small", "--require",
                                  "p99<1ns", "--require", "errors<=0", code=99)
        self.assertRegex(err, r"weir bench: p99<1ns does not hold: connect/small has \S+ us\n")
        self.assertNotIn("errors<=0", err)

    def test_find_max(self):
        out, err = self.bench("run", "--seconds", "0.3", "--warm-up-ms", "50", "--modes", "forward",
                              "--profiles", "small", "--find-max", "p50<1s")
        self.assertRegex(out, r"\Aweir \S+ holds p50<1s up to [1-9]\d* requests a second\.\n")
        self.assertIn("holds\n", err)
        out, err = self.bench("run", "--find-max", "p50<1s", code=1)
        self.assertIn("--find-max searches in one case", err)

    def run_proxy(self, proxy, *arguments, code=0):
        self.addCleanup(proxy.close)
        return self.run_json("--proxy", proxy.address, "--proxy-pid", str(os.getpid()), "--modes",
                             "forward", "--connections", "2", "--bytes", "5000", *arguments,
                             code=code)

    def check_ends(self, proxy, closes, others):
        """Whose end the proxy saw first: all but this share, and those that the trial's end finds
        open, which are ended by the client in any case."""
        firsts = [ends[0] for ends in list(proxy.ends) if len(ends) == 2]
        self.assertLess(10, len(firsts))
        different = len([first for first in firsts if first != closes])
        self.assertLessEqual(different, 2 + others * len(firsts), (different, len(firsts)))

    def test_closes(self):
        """Who ends a connection of one request: the client without a word, or the origin when it
        is asked to; kept ones are not ended."""
        for closes in ("client", "origin"):
            for profile in ("new", "hosts"):
                proxy = LyingProxy()
                results, out, _ = self.run_proxy(
                    proxy, "--profiles", profile, "--html", "page.html",
                    *(() if closes == "client" else ("--closes", closes)))
                self.check_case(results["cases"][1])
                self.assertEqual(results["configuration"]["closes"], closes)
                self.assertIn(f"; the {closes} closes\n", out)
                with open(os.path.join(self.folder, "page.html"), encoding="utf-8") as file:
                    self.assertIn(f"; the {closes} closes.</p>", file.read())
                self.assertEqual({b"Connection: close" in head for head in proxy.heads},
                                 {closes == "origin"})
                self.check_ends(proxy, closes, 0)
        proxy = LyingProxy()
        self.run_proxy(proxy, "--profiles", "small", "--closes", "origin")
        self.assertEqual([head for head in proxy.heads if b"Connection: close" in head], [])
        self.assertLessEqual(len(proxy.heads), 4)

    def test_closes_tls(self):
        """A client's close_notify is the last that it says, before its end."""
        port, ca, _ = self.start_origin()
        for closes in ("client", "origin"):
            proxy = BlindProxy(port)
            self.addCleanup(proxy.close)
            results, _, _ = self.run_json("--proxy", proxy.address, "--fixed", "--alone",
                                          "--proxy-ca", ca, "--modes", "intercept", "--profiles",
                                          "new,resumed", "--connections", "2", "--closes", closes)
            for one in results["cases"]:
                self.assertEqual(one["figures"]["errors"]["median"], 0, one)
            self.assertLess(0.5, results["cases"][1]["figures"]["resumed"]["median"])
            # Whoever gets a close_notify ends, too, and may be seen before the one who said it.
            self.check_ends(proxy, closes, 0.4)
            if closes == "client":
                # An alert in TLS 1.3: two bytes, its type and a tag (RFC 8446 5.2).
                others = [data for data in proxy.last if data[-24:-19] != b"\x17\x03\x03\x00\x13"]
                self.assertLess(20, len(proxy.last))
                self.assertLessEqual(len(others), 6, len(proxy.last))  # as the trials end

    def test_closes_sources(self):
        """Clients that end their connections have many addresses, so that ports do not run out."""
        with socket.socket() as probe:
            try:
                probe.setsockopt(socket.SOL_IP, 19, 1)  # IP_TRANSPARENT
            except PermissionError:
                self.skipTest("choosing where connections come from needs CAP_NET_ADMIN")
        for closes, least in (("client", 20), ("origin", 1)):
            proxy = LyingProxy()
            self.run_proxy(proxy, "--profiles", "new", "--closes", closes)
            self.assertLessEqual(least, len(proxy.clients))
            self.assertEqual(proxy.clients == {"127.0.0.1"}, closes == "origin")

    def test_other_proxy(self):
        results, _, _ = self.run_proxy(LyingProxy(), "--profiles", "small")
        self.check_case(results["cases"][1])
        self.assertEqual(results["cases"][1]["mode"], "forward")

    def test_fixed_proxy(self):
        """One with a single destination is asked as the origin is; --alone: nothing beside it."""
        for mode in ("forward", "connect"):
            proxy = FixedProxy()
            self.addCleanup(proxy.close)
            results, _, _ = self.run_json("--proxy", proxy.address, "--fixed", "--alone", "--modes",
                                          mode, "--profiles", "small,new", "--connections", "2")
            self.assertEqual([one["mode"] for one in results["cases"]], [mode, mode])
            self.assertTrue(results["configuration"]["fixed"])
            for one in results["cases"]:
                self.assertEqual(one["figures"]["errors"]["median"], 0, one)
                self.assertLess(0, one["figures"]["rate_hz"]["median"])
                self.assertNotIn("added_p99_us", one["figures"])
            self.assertEqual({head.split(b" ")[1] for head in proxy.heads}, {b"/bytes/1024"})
        _, err = self.bench("run", "--fixed", code=64)
        self.assertIn("--fixed need --proxy ADDRESS", err)

    def start_origin(self):
        """Its port for HTTPS, the file of its authority, and its process."""
        origin = subprocess.Popen([harness.BINARY, "bench", "origin", "--ca-dir", "fixed-ca"],
                                  cwd=self.folder, stdout=subprocess.PIPE)
        self.addCleanup(origin.stdout.close)
        self.addCleanup(origin.wait)
        self.addCleanup(origin.kill)
        port = json.loads(origin.stdout.readline())["https"]
        ca = os.path.join(self.folder, "fixed-ca", "weir-ca-cert.pem")
        harness.wait_for("the origin's authority", lambda: os.path.exists(ca))
        return port, ca, origin.pid

    def test_fixed_tls(self):
        """Without CONNECT the client begins with TLS: the origin itself is such a proxy."""
        port, ca, pid = self.start_origin()
        results, _, _ = self.run_json(
            "--proxy", f"127.0.0.1:{port}", "--proxy-pid", str(pid), "--fixed", "--proxy-ca", ca,
            "--cores", "0,0,0", "--modes", "intercept", "--profiles", "small,new,hosts")
        cases = [one for one in results["cases"] if one["mode"] == "intercept"]
        self.assertEqual([one["profile"] for one in cases], ["small", "new", "hosts"])
        for one in cases:
            self.check_case(one)
            self.assertIn("others_busy", one["figures"])  # --cores said where the proxy is

    def test_broken_bodies(self):
        """One byte that differs, and a body that ends early, are failures of their own."""
        def flip(data, at):
            return data[:-1] + bytes([data[-1] ^ 1]) if at + len(data) > 2000 else data

        def add(data, at):
            return data + b"x" if at + len(data) > 5000 else data

        # What is short is only known when it ends: the origin has to.
        for spoil, closes in ((flip, "client"), (lambda data, at: data[:-1], "origin"),
                              (add, "client")):
            results, out, err = self.run_proxy(LyingProxy(spoil), "--profiles", "new", "--closes",
                                               closes, code=65)
            self.assertIn("a body came as another one than was sent", err)
            self.assertIn("With care:", out)
            forward = results["cases"][1]
            self.assertEqual("came behind" in forward["first_error"], spoil == add)
            self.assertLess(0, forward["figures"]["mismatches"]["median"])
            self.assertRegex(forward["first_error"], "a body is not what was sent|a body ended|"
                             "1 bytes came behind a body")

    def test_bad_proxies(self):
        """What is no proxy, or nobody, makes errors, not answers."""
        def forbid(_data, _at):
            return b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"

        for proxy, words in ((LyingProxy(forbid), "response: status 403"),
                             (LyingProxy(lambda data, at: b"\x16\x03\x01"), "response: ")):
            results, out, _ = self.run_proxy(proxy, "--profiles", "small", "--require", "errors<=0",
                                             code=99)
            self.assertIn(words, results["cases"][1]["first_error"])
            self.assertRegex(out, r"With care:\n(  .*\n)*  forward/small: up to \d+ errors a round")
        nobody = LyingProxy()
        nobody.close()
        results, _, _ = self.run_proxy(nobody, "--profiles", "small", "--require", "errors<=0",
                                       code=99)
        self.assertIn("Connection refused", results["cases"][1]["first_error"])

    def test_refused_addresses(self):
        """The harness is for this machine alone."""
        for address, words in (("192.0.2.1:80", "only proxies on loopback"),
                               ("[2001:db8::1]:80", "only proxies on loopback"),
                               ("localhost:80", "an IP address and a port expected"),
                               ("127.0.0.1", "an IP address and a port expected")):
            _, err = self.bench("run", "--proxy", address, "--modes", "forward", code=64)
            self.assertIn(words, err)
        _, err = self.bench("run", "--cores", "0,0,9999", code=64)
        self.assertIn("--cores: byte 4: this process may not use core 9999, only ", err)

    def test_compare(self):
        results, _, _ = self.run_json("--modes", "forward", "--profiles", "small")
        before = os.path.join(self.folder, "results.json")
        out, err = self.bench("compare", before, before)
        self.assertRegex(out, r"\Athe same: 0 figures better, 0 worse, \d+ within the noise\.\n")
        self.assertEqual(err, "")
        cpu = results["cases"][1]["figures"]["cpu_us"]
        for name in ("median", "min", "max"):
            cpu[name] *= 2
        after = self.write("after.json", json.dumps(results).encode())
        out, _ = self.bench("compare", before, after, code=99)
        self.assertRegex(out, r"\Aworse: 0 figures better, 1 worse")
        self.assertRegex(out, r"(?m)^forward/small +cpu_us .* 2\.000  worse$")
        out, _ = self.bench("compare", after, before)
        self.assertRegex(out, r"\Abetter: 1 figures better, 0 worse")
        _, err = self.bench("compare", before, "absent", code=78)
        self.assertIn("absent", err)

    def test_compare_closes(self):
        """Another end of connections is told; results from before there was a choice had the
        origin's."""
        results, _, _ = self.run_json("--modes", "forward", "--profiles", "small", "--alone")
        before = os.path.join(self.folder, "results.json")
        results["configuration"]["closes"] = "origin"
        origin = self.write("origin.json", json.dumps(results).encode())
        del results["configuration"]["closes"]
        earlier = self.write("earlier.json", json.dumps(results).encode())
        for after, differs in ((before, False), (origin, True), (earlier, True)):
            for one, other in ((before, after), (after, before)):
                out, err = self.bench("compare", one, other)
                self.assertEqual("the configuration differs: closes\n" in err, differs, err)
                self.assertEqual("is not the same" in out, differs)
        _, err = self.bench("compare", origin, earlier)
        self.assertEqual(err, "")

    def begin(self, *arguments):
        """A run of its own, in its first trial: itself, and its children in their order."""
        weir = subprocess.Popen([harness.BINARY, "bench", "run", "--seconds", "60", "--profiles",
                                 "small", *arguments], cwd=self.folder, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)
        self.addCleanup(weir.kill)
        path = f"/proc/{weir.pid}/task/{weir.pid}/children"
        several = int(arguments[arguments.index("--clients") + 1]) \
            if "--clients" in arguments else 1

        def started():
            with open(path, encoding="ascii") as file:
                pids = [int(pid) for pid in file.read().split()]
            return pids if len(pids) == 2 * several else None  # origins and clients
        return weir, harness.wait_for("a trial", started)

    def check_end(self, weir, pids, code, message):
        """Its processes end with it, and its folder goes."""
        _, err = weir.communicate(timeout=harness.WAIT_S)
        self.assertEqual((weir.returncode, err.decode()), (code, message))
        self.assertEqual([pid for pid in pids if os.path.exists(f"/proc/{pid}")], [])
        self.assertEqual([name for name in os.listdir(self.folder) if "weir-bench" in name], [])

    def test_interrupted(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            for several in ((), ("--clients", "2", "--origins", "2")):
                with self.subTest(number=number, several=several):
                    weir, pids = self.begin("--modes", "intercept", *several)
                    weir.send_signal(number)
                    self.check_end(weir, pids, 1, "weir bench: interrupted\n")

    def test_killed(self):
        """A client or an origin that ends by itself ends the run, and is told."""
        for several, index, who in (((), 0, "origin is gone"), ((), 1, "client could not work"),
                                    (("--clients", "2", "--origins", "2"), 1,
                                     "origin with number 2 of 2 is gone"),
                                    (("--clients", "2", "--origins", "2"), 2,
                                     "client with number 1 of 2 could not work")):
            with self.subTest(who=who):
                weir, pids = self.begin("--modes", "direct", *several)
                os.kill(pids[index], signal.SIGKILL)
                self.check_end(weir, pids, 1,
                               f"weir bench: the {who}: it ended by signal 9 (Killed)\n")

    def test_no_case(self):
        _, err = self.bench("run", "--modes", "forward", "--profiles", "resumed", code=64)
        self.assertIn("no mode that was named has a profile that was named", err)

    def test_files(self):
        """Results that cannot be written are a failure."""
        _, err = self.bench("run", "--seconds", "0.1", "--rounds", "1", "--modes", "forward",
                            "--profiles", "small", "--json", "absent/file", code=73)
        self.assertIn("weir bench: absent/file: No such file or directory", err)

    def test_help(self):
        for verb in ("run", "origin", "compare", "grow"):
            out, _ = self.bench(verb, "--help")
            self.assertIn(f"Usage: weir bench {verb}", out)
            self.assertLessEqual(max(map(len, out.splitlines())), 100)


    def grow(self, *arguments, code=0):
        path = os.path.join(self.folder, "grow.json")
        out, err = self.bench("grow", "--seconds", "0.2", "--warm-up-ms", "50", "--rounds", "2",
                              "--rate", "400", "--json", path, *arguments, code=code)
        with open(path, encoding="utf-8") as file:
            return json.load(file), out, err

    def test_grow(self):
        """Every curve at tiny points: costs without errors, a page with a line for each."""
        names = ["forward", "connect", "intercept", "hosts", "leaf", "remembered", "genuine",
                 "unknown"]
        results, out, err = self.grow("--points", "10,20", "--commit", "abc", "--html",
                                      os.path.join(self.folder, "grow.html"))
        self.assertEqual((results["schema"], results["commit"]), ("weir-grow/1", "abc"))
        self.assertEqual([one["name"] for one in results["curves"]], names)
        for one in results["curves"]:
            self.assertEqual([point["amount"] for point in one["points"]], [10, 20], one)
            self.assertEqual(one["verdict"], "too few points")
            self.assertEqual(one["points"][0]["ratio"], 1)
            for point in one["points"]:
                self.assertEqual(len(point["rounds"]), 2)
                self.assertTrue(0 < point["min"] <= point["median"] <= point["max"], one)
            self.assertRegex(out, rf"(?m)^{one['name']}: .*: too few points$")
        self.assertNotIn("with errors", err)
        self.assertRegex(out, r"\ANo curve bends upward\.\n")
        with open(os.path.join(self.folder, "grow.html"), encoding="utf-8") as file:
            text = file.read()
        page = Page(text)
        self.assertEqual(len(page.lines), len(names))
        for line in page.lines:
            for point in line:
                x, y = map(float, point.split(","))
                self.assertTrue(0 <= x <= 460 and 0 <= y <= 260, line)
        self.assertNotRegex(re.sub(r"<style>.*</style>", "", text), r"\b-?(nan|inf)\b")
        self.screenshot("grow.html")

    def test_grow_memory(self):
        """More hosts take more memory, and each is known once it was visited."""
        results, _, err = self.grow("--points", "10,400", "--curves", "hosts", "--rate", "800")
        self.assertIn("hosts, 400: known after", err)
        points = results["curves"][0]["points"]
        self.assertIsNone(points[0]["bytes"])
        if not harness.SANITIZED:
            self.assertTrue(100 < points[1]["bytes"] < 100000, points)

    def test_grow_bounds(self):
        """Points that a curve has not are left out; none is a fault."""
        results, _, _ = self.grow("--points", "10,9001", "--curves", "forward")
        self.assertEqual([point["amount"] for point in results["curves"][0]["points"]], [10])
        _, err = self.bench("grow", "--points", "9001", "--curves", "forward", code=64)
        self.assertIn("--points: none that a curve that was named has", err)
        _, err = self.bench("grow", "--curves", "leaf", "--points", "10", "--json", "absent/file",
                            "--seconds", "0.1", "--rounds", "1", code=73)
        self.assertIn("weir bench: absent/file: No such file or directory", err)


class Origin(Case):
    """The origin alone, asked by Python's own client."""

    def setUp(self):
        super().setUp()
        self.origin = subprocess.Popen(
            [harness.BINARY, "bench", "origin", "--ca-dir", os.path.join(self.folder, "ca")],
            stdout=subprocess.PIPE)
        self.addCleanup(self.origin.stdout.close)
        self.addCleanup(self.origin.wait)
        self.addCleanup(self.origin.kill)
        self.ports = json.loads(self.origin.stdout.readline())

    def curl(self, *arguments, tls=False):
        host = "origin.bench.test"
        port = self.ports["https" if tls else "http"]
        done = subprocess.run(
            ["curl", "-s", "--max-time", "10", "--connect-to", f"{host}:{port}:127.0.0.1:{port}",
             "--retry", "20", "--retry-connrefused", "--retry-delay", "0",
             "--cacert", os.path.join(self.folder, "ca", "weir-ca-cert.pem"),
             *arguments[1:], f"{'https' if tls else 'http'}://{host}:{port}{arguments[0]}"],
            stdout=subprocess.PIPE, check=True)
        return done.stdout

    def test_bodies(self):
        """Sizes, chunks and delays; the same bytes in the clear and by TLS."""
        if not shutil.which("curl"):
            raise unittest.SkipTest("no curl")
        for size in (0, 1, 1024, 16383, 65521, 1000000):
            body = self.curl(f"/bytes/{size}")
            self.assertEqual(len(body), size)
            self.assertEqual(body, self.curl(f"/bytes/{size}?chunked", tls=True))
            self.assertEqual(hashlib.sha256(body).digest(),
                             hashlib.sha256(self.curl(f"/bytes/{size}?delay_ms=50&chunked"))
                             .digest())
        self.assertIn(b"404", self.curl("/else", "-i"))

    def test_uploads(self):
        if not shutil.which("curl"):
            raise unittest.SkipTest("no curl")
        body = self.curl("/bytes/200000")
        good = self.write("good", body)
        self.assertEqual(self.curl("/sink", "--data-binary", "@" + good), b"200000 bytes\n")
        self.assertEqual(self.curl("/sink", "-H", "Transfer-Encoding: chunked", "--data-binary",
                                   "@" + good, tls=True), b"200000 bytes\n")
        bad = self.write("bad", body[:70000] + bytes([body[70000] ^ 1]) + body[70001:])
        self.assertEqual(self.curl("/sink", "--data-binary", "@" + bad), b"differs at byte 70000\n")

    def test_dns(self):
        """A to any name is 127.0.0.1; there is no AAAA; rubbish is not answered."""
        question = b"\x05h1-17\x05bench\x04test\0"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
            asker.settimeout(harness.WAIT_S)
            asker.connect(("127.0.0.1", self.ports["dns"]))
            for kind, answers in ((1, 1), (28, 0)):
                asker.send(b"rubbish")
                asker.send(b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0" + question + bytes([0, kind, 0, 1]))
                got = asker.recv(512)
                self.assertEqual((got[:2], got[7]), (b"\x12\x34", answers))
                self.assertEqual(got.endswith(bytes([127, 0, 0, 1])), answers == 1)

    def test_ports(self):
        """A port that is taken is told."""
        code, _, err = self.weir_command("bench", "origin", "--ca-dir", "ca2", "--ports",
                                         f"{self.ports['http']},0,0")
        self.assertEqual(code, 73)
        self.assertIn(f"cannot listen on 127.0.0.1:{self.ports['http']}", err)


if __name__ == "__main__":
    harness.main()
