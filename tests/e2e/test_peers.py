# SPDX-License-Identifier: Apache-2.0
"""bench/peers: the templates can be filled in, medians, ratios and verdicts are right, and the
command measures weir. The other proxies need not be there."""
import argparse
import contextlib
import importlib.machinery
import importlib.util
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

import harness
from tools_case import Case

FOLDER = os.path.join(os.path.dirname(__file__), "..", "..", "bench", "peers")
sys.path.insert(0, FOLDER)
import peers  # noqa: E402
import rows  # noqa: E402
import table  # noqa: E402
import trials  # noqa: E402
from rows import Bound, Measure  # noqa: E402

RUN = os.path.join(FOLDER, "run")


class Ports(unittest.TestCase):
    def test_none_twice(self):
        """The origin is not there while a peer's ports are chosen, and these are not while others
        are."""
        peer = peers.PEERS["haproxy"]
        count = len(peers.port_names(peers.read_template(peer)))
        free = []
        while len(free) < count + 3:
            free.append(trials.free_port(free))
        with tempfile.TemporaryDirectory() as folder:
            place = trials.Place("weir", (0, 0))
            shutil.rmtree(place.folder)
            place.folder, place.origin_ports = folder, free[:3]
            place.values = dict.fromkeys(("ORIGIN_HTTP", "ORIGIN_HTTPS", "ORIGIN_CA", "CA", "LEAF"))
            drawn = free[:3] + [port for port in free[3:] for _ in range(2)]
            with unittest.mock.patch("random.randint", side_effect=drawn):
                running = trials.Running(place, peer, ["quiet"])
            self.assertEqual(list(running.ports.values()), free[3:])


class Templates(unittest.TestCase):
    def test_fill(self):
        text = ("# @A@ is explained\na @A@ @B_PORT@\n  @logs@log @A@\n@quiet@no log\n"
                "@polls@busy\nlast\n")
        self.assertEqual(peers.port_names(text), ["B_PORT"])
        values = {"A": 1, "B_PORT": "two"}
        self.assertEqual(peers.fill(text, values, ["logs"]),
                         "# @A@ is explained\na 1 two\n  log 1\nlast\n")
        self.assertEqual(peers.fill(text, values, ["quiet", "polls"]),
                         "# @A@ is explained\na 1 two\nno log\nbusy\nlast\n")
        with self.assertRaisesRegex(peers.TemplateFault, "f:2: nothing is called @B_PORT@; .* A$"):
            peers.fill(text, {"A": 1}, [], "f")

    def test_every_template(self):
        """With logs and without; what logs is in one of them alone. What polls has words for it."""
        values = dict.fromkeys(("FOLDER", "CONFIG", "WEIR", "ORIGIN_HTTP", "ORIGIN_HTTPS", "CA",
                                "ORIGIN_DNS", "ORIGIN_CA", "CA_DIR", "LEAF", "LEAF_KEY", "HOSTS"),
                               "value")
        for peer in peers.PEERS.values():
            text = peers.read_template(peer)
            ports = peers.port_names(text)
            self.assertLessEqual(set(peer.ways.values()), set(ports), peer.name)
            self.assertLessEqual(set(peer.fixed), set(peer.ways), peer.name)
            values.update(dict.fromkeys(ports, "1"))
            with_logs, without, polling = (peers.fill(text, values, [mark], peer.template)
                                           for mark in peers.MARKS)
            self.assertNotEqual(with_logs, without, peer.name)
            self.assertEqual("busy" in polling.lower().replace("busy polling", ""),
                             peer.name in ("weir", "haproxy", "haproxy-own"), peer.name)
            for words in [with_logs, without, polling, *peer.command, *(peer.prepare or [])]:
                filled = peers.fill(words, values)
                code = [line for line in filled.splitlines() if not line.startswith("#")]
                self.assertNotRegex("\n".join(code), "@[a-zA-Z_]+@", peer.name)
            self.assertTrue(text.startswith("# SPDX-License-Identifier"), peer.template)

    def test_rows(self):
        """A row's proxies have its way, and its bounds are about its proxies."""
        for row in rows.ROWS.values():
            self.assertEqual(row.peers[0], "weir")
            for name in row.peers:
                self.assertIn(row.way, peers.PEERS[name].ways, (row.name, name))
            for measure in row.measures:
                for bound in measure.bounds:
                    self.assertLessEqual(set(bound.peers), set(row.peers), row.name)


    def test_latencies(self):
        """Short trials, at whichever core latency; others are steady."""
        place = unittest.mock.Mock(weir="weir", cores=[1, 0], ports="1,2,3")
        for row in rows.ROWS.values():
            peer = peers.PEERS["weir"]
            running = unittest.mock.Mock(peer=peer, ports=dict.fromkeys(peer.ways.values(), 1))
            arguments = unittest.mock.Mock(seconds=1.5, connections=64)
            words = " ".join(map(str, trials.load_command(place, running, row, arguments, None,
                                                             40)))
            is_rated = "latency" in row.name
            self.assertEqual("--seconds 0.3 " in words and "--awake" in words, is_rated)
            self.assertEqual("--seconds 1.5 " in words and "--steady --core-latency 40" in words,
                             not is_rated)

    def test_closes(self):
        """Clients that say Connection: close have a row that is else as another, and tunnels."""
        place = unittest.mock.Mock(weir="weir", cores=[1, 0], ports="1,2,3")
        for row in rows.ROWS.values():
            peer = peers.PEERS["weir"]
            running = unittest.mock.Mock(peer=peer, ports=dict.fromkeys(peer.ways.values(), 1))
            arguments = unittest.mock.Mock(seconds=1, connections=64)
            command = trials.load_command(place, running, row, arguments, None, None)
            self.assertEqual(command[command.index("--closes") + 1],
                             "origin" if row.name in ("open-new-close", "tunnel-new") else "client")
        one, other = rows.ROWS["open-new"], rows.ROWS["open-new-close"]
        self.assertEqual((one.peers, one.mode, one.profile, one.host),
                         (other.peers, other.mode, other.profile, other.host))
        self.assertEqual([vars(bound) for bound in one.measures[0].bounds],
                         [vars(bound) for bound in other.measures[0].bounds])


class Table(unittest.TestCase):
    @staticmethod
    def proxies(rounds):
        """As in a result: name to the rounds' figures, or to one."""
        lists = {name: values if isinstance(values, list) else [values]
                 for name, values in rounds.items()}
        return {name: {"rounds": values, "median": (table.spread(values) or [None])[0],
                       "figures": [{} for _ in values]}
                for name, values in lists.items()}

    def judge(self, rounds, *bounds):
        return [(answer["peer"], answer["value"], answer["holds"]) for answer in
                table.judge(Measure("cpu_us", "us", bounds), self.proxies(rounds))]

    def test_spread(self):
        self.assertEqual(table.spread([3, None, 1, 2.5]), (2.5, 1, 3))
        self.assertEqual(table.spread([1, 2]), (1.5, 1, 2))
        self.assertIsNone(table.spread([None]))

    def test_judge(self):
        medians = {"weir": 8, "haproxy": 10, "nginx": 20, "squid": 100}
        each, best = Bound(0.8, "haproxy", "nginx"), Bound(0.8, "nginx", "haproxy", best=True)
        self.assertEqual(self.judge(medians, each),
                         [("haproxy", 0.8, True), ("nginx", 0.4, True)])
        self.assertEqual(self.judge(medians, best), [("haproxy", 0.8, True)])
        self.assertEqual(self.judge({**medians, "weir": 8.01}, best)[0][2], False)
        self.assertEqual(self.judge(medians, Bound(8)), [("weir", 8, True)])
        self.assertEqual(self.judge(medians, Bound(7.9)), [("weir", 8, False)])

    def test_ratio(self):
        """What half of the rounds took twice as long with, for all, changes no ratio."""
        rounds = {"weir": [8, 16, 8, 16, 16], "nginx": [10, 20, 10, 20, 10]}
        self.assertEqual(table.ratio_of(self.proxies(rounds), "nginx"), 0.8)
        self.assertEqual(self.judge(rounds, Bound(0.8, "nginx")), [("nginx", 0.8, True)])
        rounds = {"weir": [1, None, 3, 9, -2], "nginx": [None, 2, 10, -1, 4]}
        self.assertEqual(table.ratio_of(self.proxies(rounds), "nginx"), 0.3)
        self.assertIsNone(table.ratio_of(self.proxies(rounds), "squid"))

    def test_less_than_nothing(self):
        """Noise makes a round one of weir's best or of its worst; it is left out of neither end."""
        for ours, theirs, ratio in (([-1, -2, 8], [10, 10, 10], -0.1),
                                    ([1, 2, 8], [-1, 10, 10], 0.8),
                                    ([-1, 2, 8], [-1, 10, 10], 0.5),
                                    ([1, 2, 8], [-1, 0, 10], None), ([-1], [-1], None)):
            value = table.ratio_of(self.proxies({"weir": ours, "nginx": theirs}), "nginx")
            self.assertEqual(value if value is None else round(value, 9), ratio)

    def test_rounds_that_do_not_count(self):
        """Where the cores were near for one of the two and far for the other."""
        proxies = self.proxies({"weir": [8, 4, 9], "nginx": [10, 10, 10]})
        for name, latencies in (("weir", [180, 42, 60]), ("nginx", [170, 185, None])):
            for figures, latency in zip(proxies[name]["figures"], latencies):
                figures["core_latency_ns"] = latency
        self.assertAlmostEqual(table.ratio_of(proxies, "nginx"), 0.85)
        proxies["nginx"]["figures"][0]["core_latency_ns"] = 180 * table.ALIKE
        self.assertEqual(table.ratio_of(proxies, "nginx"), 0.9)

    def test_not_judged(self):
        """What was left out, had no answer, or added less than nothing, is no proof."""
        best = Bound(0.8, "haproxy", "nginx", best=True)
        for medians in ({"weir": 1, "haproxy": 10}, {"weir": 1, "haproxy": 10, "nginx": None},
                        {"weir": 1, "haproxy": -1, "nginx": 10}):
            self.assertEqual({holds for _, _, holds in self.judge(medians, best)}, {None})
        self.assertEqual(self.judge({"weir": None, "haproxy": 10}, Bound(1, "haproxy"), Bound(1)),
                         [("haproxy", None, None), ("weir", None, None)])

    @staticmethod
    def load_run():
        loader = importlib.machinery.SourceFileLoader("peers_run", RUN)
        run = importlib.util.module_from_spec(importlib.util.spec_from_loader("peers_run", loader))
        loader.exec_module(run)
        return run

    def test_more_rounds(self):
        """Who is short of rounds that count gets more, with weir and nobody else; to an end."""
        run = self.load_run()
        for latencies, counted, *wanted in (
                ({"weir": [40, 200], "squid": [41, 210], "nginx": [42, 220]}, (2, 2)),
                ({"weir": [40, 200, 40], "squid": [200, 210, 41], "nginx": [42, 220]}, (2, 2)),
                ({"weir": [40] * 4, "squid": [200] * 4, "nginx": [42] * 2}, (0, 2)),
                ({"weir": [40] * 3, "squid": [None, 40, 40], "nginx": [42] * 2}, (2, 2)),
                ({"weir": [200, 41, 40], "squid": [200, 40, 40], "nginx": [42] * 3}, (2, 2), 40)):
            bench = run.Bench(None, argparse.Namespace(rounds=2, peers=["weir", "squid", "nginx"],
                                                       core_latency=sum(wanted)))
            left = {name: iter(values) for name, values in latencies.items()}

            def trial(_row, name, *_, left=left, **__):
                latency = next(left[name])
                answered = {"cpu_us": 1, "core_latency_ns": latency} if latency else {}
                return {**answered, "first_error": None if latency else "status 502"}
            bench.trial = trial
            with contextlib.redirect_stderr(io.StringIO()) as said:
                result = bench.row(rows.ROWS["http-kept"])[0]
            self.assertEqual({name: list(values) for name, values in left.items()},
                             {name: [] for name in latencies})
            self.assertEqual(tuple(sum(counts for _, _, counts in
                                       table.pairs_of(result["proxies"], name))
                                   for name in ("squid", "nginx")), counted)
            self.assertIn("http-kept 2/2 nginx: 1.0 us a request\n", said.getvalue())

    def test_taken_cores(self):
        """Trials of latencies in which somebody had a core are made again, to an end; others not."""
        run = self.load_run()
        bench = run.Bench(None, argparse.Namespace())
        for rate_hz, name, shares, count in (
                (9, "stolen", [0.03, 0.01], 2), (9, "taken", [0.006, 0.004], 2),
                (9, "stolen", [0], 1), (9, "taken", [0.005], 1), (9, "taken", [None], 1),
                (9, "stolen", [0.5] * rows.RATED_TRIES, rows.RATED_TRIES),
                (9, "taken", [0.5] * rows.RATED_TRIES, rows.RATED_TRIES),
                (None, "stolen", [0.5], 1), (None, "taken", [0.5], 1)):
            made = [({} if one is None else {name: one}, ["start", "load"]) for one in shares]
            with unittest.mock.patch.object(trials, "make_trial", side_effect=made) as make:
                figures = bench.trial(rows.ROWS["http-latency"], "weir", rate_hz)
            self.assertEqual((figures, make.call_count), (made[-1][0], count))

    def test_judge_log(self):
        """weir with a log is compared with weir without, and with nobody else."""
        run = self.load_run()
        rounds = {"weir": [{"cpu_us": 11.1, "first_error": None}],
                  rows.QUIET: [{"cpu_us": 10, "first_error": None}],
                  "haproxy": [{"cpu_us": 20, "first_error": None}]}
        row = rows.ROWS["http-kept"]
        result = run.Bench.result(row, row.measures[0], rounds, True)
        self.assertEqual([(answer["peer"], answer["holds"]) for answer in result["bounds"]],
                         [(rows.QUIET, False)])
        rounds["weir"][0]["cpu_us"] = 10.9
        result = run.Bench.result(row, row.measures[0], rounds, True)
        self.assertTrue(result["bounds"][0]["holds"])

    def result(self, **figures):
        proxies = {name: {"median": median, "lowest": median, "highest": median, "errors": errors,
                          "first_error": "it broke" if errors else None, "rounds": [median],
                          "figures": [{"others_busy": 0.5, "stolen": 0.04, "taken": 0.0061,
                                       "rate_hz": 90, **figures}]}
                   for name, median, errors in (("weir", 5.0, 0), ("squid", 1234.0, 3),
                                                ("nginx", None, 0))}
        return {"row": "r", "title": "the work", "unit": "us", "digits": 1,
                "proxies": proxies,
                "bounds": table.judge(Measure("f", "us", [Bound(4), Bound(0.5, "squid"),
                                                          Bound(1, "nginx")]),
                                      proxies)}

    def test_print(self):
        lines = table.print_text([self.result()]).splitlines()
        self.assertRegex(lines[2], r"^the work +us +weir +5\.0 +5\.0 +5\.0 +<= 4 +FAILS$")
        self.assertRegex(lines[3], r"^ +squid \* +1,234\.0 .* 0\.004 +<= 0\.5 x +holds$")
        self.assertRegex(lines[4], r"^ +nginx +- +<= 1 x +not judged$")
        marks = table.print_markdown([self.result()]).splitlines()
        self.assertEqual({line.count("|") for line in marks}, {len(table.HEAD) + 1})

    def test_cautions(self):
        words = table.cautions([self.result(), self.result(asked_hz=100)])
        self.assertIn("r, squid *: up to 3 errors a round; the first: it broke", words)
        self.assertIn("r, weir: did not reach the rate in 1 of 1 rounds: its latencies are those "
                      "of a queue", words)
        self.assertTrue(words[-3].startswith("others used more than 10 % of a core in 3 trials, "
                                             "at most 50 % (r, "), words)
        self.assertTrue(words[-2].startswith("the host took more than 2 % of a core away in 3 "
                                             "trials, at most 4 % (r, "), words)
        self.assertTrue(words[-1].startswith("others had more than 0.5 % of a core in 3 trials of "
                                             "latencies, each time that they were made, at most "
                                             "0.6 % (r, "), words)
        far = self.result(core_latency_ns=180)
        far["proxies"]["weir"]["figures"][0]["core_latency_ns"] = 42
        self.assertIn("r, squid: 1 of 1 rounds do not count: the cores were near each other for "
                      "one trial and far for the other", " ".join(table.cautions([far])))


@unittest.skipUnless(len(os.sched_getaffinity(0)) > 1, "two cores are needed")
@unittest.skipUnless(shutil.which("taskset") and shutil.which("openssl"),
                     "taskset and openssl are needed: install util-linux and openssl")
class Run(Case):
    def setUp(self):
        super().setUp()
        self.environment = {**os.environ, "TMPDIR": self.folder}

    def command(self, *arguments):
        return [sys.executable, RUN, "--no-install", "--weir", harness.BINARY, *arguments]

    def run_peers(self, *arguments, code=0, **more):
        done = subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=120,
                              check=False, env={**self.environment, **more})
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        self.check_nothing_left()
        return done.stdout, done.stderr

    def check_nothing_left(self):
        self.assertEqual([name for name in os.listdir(self.folder) if name.startswith("weir-")], [])

    def test_weir_alone(self):
        """One row with logs: figures of each round, nothing to be judged but the log."""
        path, marks = (os.path.join(self.folder, name) for name in ("a.json", "a.md"))
        out, err = self.run_peers("--peers", "weir", "--rows", "http-kept,open-latency", "--rounds",
                                  "2", "--seconds", "0.2", "--logs", "--json", path,
                                  "--markdown", marks, code=self.either())
        with open(path, encoding="utf-8") as file:
            report = json.load(file)
        self.assertEqual(report["schema"], "weir-peers/1")
        self.assertEqual([result["row"] for result in report["results"]],
                         ["http-kept", "http-kept+log"])
        for result in report["results"]:
            for proxy in result["proxies"].values():
                # Of two that are compared, more where the cores were now near and now far.
                most = 4 if result["row"].endswith("+log") else 2
                self.assertTrue(2 <= len(proxy["rounds"]) <= most, proxy)
                self.assertEqual(proxy["errors"], 0, proxy)
        self.assertIn("http-kept 2/2 weir: ", err)
        self.assertIn("open-latency: left out: its load is half of what HAProxy does", err)
        self.assertIn("explicit HTTP, kept connections, 1 KiB, access logs on", out)
        self.assertIn("weir run --config FOLDER/weir.yaml", out)
        with open(marks, encoding="utf-8") as file:
            self.assertIn("| explicit HTTP, kept connections, 1 KiB | us a request | weir |",
                          file.read())

    def either(self):
        """A status that the machine's other work decides: bounds hold, or not."""
        class Either(int):
            def __eq__(self, other):
                return other in (0, 99)
            __hash__ = int.__hash__
        return Either()

    def test_missing(self):
        """A proxy that is not there is told before anything is measured."""
        _, err = self.run_peers("--rows", "tunnel-new", PATH=self.folder, code=69)
        self.assertIn("not installed: haproxy, squid-openssl, tinyproxy-bin. Install them, or "
                      "leave these out: --peers weir", err)

    def test_mistakes(self):
        for arguments, words in ((["--rows", "http-keep"], '"http-keep" is none of http-kept, '),
                                 (["--rounds", "0"], "--rounds: 1 to 50 expected"),
                                 (["--seconds", "x"], "--seconds: invalid number value: 'x'"),
                                 (["--cores", "0,0"], "--cores: two different ones of 0, 1"),
                                 (["--weir", "/absent"], "/absent is no program")):
            _, err = self.run_peers(*arguments, code=64)
            self.assertIn(words, err)

    def test_interrupted(self):
        """Its processes end with it, and its folder goes."""
        process = subprocess.Popen(self.command("--peers", "weir", "--rows", "http-kept",
                                                "--seconds", "60"), stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, env=self.environment)
        self.addCleanup(process.kill)

        def started():
            """A proxy, and the harness with an origin and a client."""
            tree = self.tree(process.pid)
            return tree if len(tree) >= 4 else None
        tree = harness.wait_for("a trial", started)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=harness.WAIT_S)
        self.assertEqual((process.returncode, err), (130, "bench/peers/run: interrupted\n"))
        self.assertEqual([pid for pid in tree if os.path.exists(f"/proc/{pid}")], [])
        self.check_nothing_left()

    def tree(self, pid):
        try:
            with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
                children = [int(word) for word in file.read().split()]
        except OSError:
            return []
        return children + [deeper for child in children for deeper in self.tree(child)]


if __name__ == "__main__":
    harness.main()
