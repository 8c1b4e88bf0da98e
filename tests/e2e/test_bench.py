# SPDX-License-Identifier: Apache-2.0
"""`weir bench`: that it measures and says plausible things, and what it says of bad input. How fast
weir is is no test's business: a busy machine would fail it."""
import json
import os
from unittest import mock

import harness
from tools_case import Case

RECORD = "1:14.0-20.0:1:2:5.1.0:1:|303:1301,c02f:0:17:0:*:|:0:0\n"
QUESTION = {"raw_ua": "x", "ua_fingerprint": "1:15.0.0:1:2:5.1.0:1:",
            "request_fingerprint": "303:1301,c02f:0:17:0::"}


def check_measurement(case, one):
    """An operation's figures: enough of them, and in their order."""
    case.assertGreaterEqual(one["batches"], 5, one)
    case.assertGreaterEqual(one["operations"], one["batches"], one)
    for clock in ("cpu_ns", "wall_ns"):
        figure = one[clock]
        case.assertLess(0, figure["min"], one)
        case.assertTrue(figure["min"] <= figure["low"] <= figure["median"]
                        <= figure["high"] <= figure["max"], one)


class Bench(Case):
    def bench(self, *arguments):
        return self.weir_command("bench", "detect", "--seconds", "1", *arguments)

    def database(self, browsers):
        folder = os.path.join(self.folder, "database")
        os.makedirs(folder, exist_ok=True)
        for name, text in (("browser", browsers), ("mitm", ""), ("badheader", "")):
            with open(os.path.join(folder, name + ".txt"), "w", encoding="utf-8") as out:
                out.write(text)
        return folder

    def mix(self, *lines):
        text = "".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines)
        return self.write("mix.jsonl", text.encode())

    def check_answer(self, answer, names):
        heap = "unknown" if os.environ.get("WEIR_SANITIZED") else "untouched"
        self.assertEqual([one["name"] for one in answer["measurements"]], names)
        for one in answer["measurements"]:
            self.assertEqual(one["heap"], heap, one)
            check_measurement(self, one)
        for one in answer["readers"]:
            self.assertLess(0, one["alone_cpu_ns"]["min"], one)
            self.assertLess(0, one["publishing_cpu_ns"]["min"], one)
            self.assertLess(0, one["published_a_second"], one)
        readers = {one["name"]: one for one in answer["readers"]}
        self.assertEqual(list(readers), self.READERS)
        for name in ("readers_hit", "readers_mix_same"):
            self.assertLess(readers[name]["publishing_checked"], 0.01)
        return readers["readers_same"]

    READERS = ["readers_hit", "readers_mix", "readers_mix_same", "readers_check", "readers_same"]

    NAMES = ["parse_517", "key_517", "ja3_517", "ja4_517", "parse_1843", "key_1843", "ja3_1843",
             "ja4_1843", "ask_mix", "hit_mix", "ask_hot", "hit_hot", "ask_chrome", "hit_chrome",
             "check_compatible", "check_default"]

    def test_made_up(self):
        """Without files it makes up what it asks, says so, and no operation touches the heap."""
        code, out, err = self.bench("--json", "--threads", "2")
        self.assertEqual((code, err), (0, ""))
        answer = json.loads(out)
        self.assertEqual((answer["database"]["name"], answer["mix"]["name"], answer["threads"]),
                         ("made up", "made up", 2))
        checked = self.check_answer(answer, self.NAMES)
        self.assertLess(0.9, checked["alone_checked"])
        bounds = {one["name"]: one["bound_ns"] for one in answer["measurements"]}
        self.assertEqual((bounds["key_517"], bounds["key_1843"], bounds["hit_hot"],
                          bounds["ja3_517"]), (500, 1000, 100, None))

    def test_files(self):
        """A database and a mix of one question; the header may say what the user agent is."""
        raw = {key: QUESTION[key] for key in ("raw_ua", "request_fingerprint")}
        code, out, err = self.bench("--json", "--database", self.database(RECORD),
                                    "--mix", self.mix(QUESTION, raw))
        self.assertEqual((code, err), (0, ""))
        answer = json.loads(out)
        self.assertEqual((answer["database"]["browsers"], answer["database"]["products"],
                          answer["mix"]["questions"], answer["mix"]["remembered"]), (1, 0, 2, 2))
        self.check_answer(answer, self.NAMES)

    def test_text(self):
        """The table, and that it says what is made up."""
        code, out, err = self.bench()
        self.assertEqual((code, err), (0, ""))
        self.assertIn("database   made up, 320 browsers, 64 products\n", out)
        for name in self.NAMES + self.READERS:
            self.assertRegex(out, rf"(?m)^{name} +\d+\.\d")
            self.assertRegex(out, rf"(?m)^{name} +[A-Za-z]")

    def test_bad_mix(self):
        """Which line, what was expected."""
        for line, message in (("nonsense\n", r"mix\.jsonl:2: byte \d+: "),
                              ("[]\n", r"mix\.jsonl:2: an object expected\n"),
                              ("{}\n", r"mix\.jsonl:2: raw_ua: missing; a string expected\n"),
                              (dict(QUESTION, ua_fingerprint=":"),
                               r"mix\.jsonl:2: ua_fingerprint: byte \d+: .* expected\n"),
                              (dict(QUESTION, request_fingerprint="zz"),
                               r"mix\.jsonl:2: request_fingerprint: byte 2: .* expected\n"),
                              ('"' + "x" * 1024 * 1024 + '"\n',
                               r"mix\.jsonl:2: at most 1048576 bytes expected\n")):
            code, out, err = self.bench("--mix", self.mix(QUESTION, line))
            self.assertEqual((code, out), (78, ""), err)
            self.assertRegex(err, message)
        code, _, err = self.bench("--mix", self.mix())
        self.assertEqual(code, 78)
        self.assertRegex(err, r"mix\.jsonl:1: a line expected")

    def test_too_long(self):
        """A question that is too long to be remembered is checked all the same."""
        long = dict(QUESTION, request_fingerprint="303:1301:0:17:0:" + "x" * 5000 + ":")
        code, out, err = self.bench("--json", "--mix", self.mix(long))
        self.assertEqual((code, err), (0, "weir bench: no question of the mix can be remembered: "
                                          "hit_mix, hit_hot are left out\n"))
        names = [one["name"] for one in json.loads(out)["measurements"]]
        self.assertEqual(names, [name for name in self.NAMES if name[4:] not in ("mix", "hot")])

    def test_missing_files(self):
        code, _, err = self.bench("--mix", "absent.jsonl")
        self.assertEqual((code, err), (78, "weir bench: absent.jsonl: No such file or directory\n"))
        code, _, err = self.bench("--database", "absent")
        self.assertEqual(code, 78)
        self.assertIn("weir bench: absent: No such file or directory\n", err)

    def test_bad_database(self):
        """A line that is no record is told, with its place."""
        code, out, err = self.bench("--database", self.database(RECORD + "nonsense\n"))
        self.assertEqual((code, out), (78, ""))
        self.assertRegex(err, r"browser\.txt:2:\d+: error: .* expected\n")

    def test_compatible(self):
        """What MITMEngine could not read is told, and its answers are not measured."""
        code, out, err = self.bench(
            "--json", "--database", self.database(RECORD.strip() + "|2026-11-21\n"),
            "--mix", self.mix(QUESTION))
        self.assertEqual(code, 0, err)
        self.assertIn("check_compatible is left out\n", err)
        self.check_answer(json.loads(out), [n for n in self.NAMES if n != "check_compatible"])

    def test_usage(self):
        for arguments, words in ((("--threads", "65"), "--threads 65: at most 64 expected"),
                                 (("--seconds", "x"), "--seconds x: a number from 1")):
            code, _, err = self.weir_command("bench", "detect", *arguments)
            self.assertEqual(code, 64)
            self.assertIn(words, err)


class Micro(Case):
    """The parts of connections and requests."""

    ROWS = """hello_parse hello_key verdict_hit verdict_tunnel user_agent user_agent_known
        p256_sign p256_verify x25519_base x25519_shared
        aes128_seal_1k aes128_seal_16k aes128_open_1k aes128_open_16k
        aes256_seal_1k aes256_seal_16k aes256_open_1k aes256_open_16k
        chacha_seal_1k chacha_seal_16k chacha_open_1k chacha_open_16k sha256_16k
        leaf_mint chain_verify chain_known connect_full accept_full connect_resumed accept_resumed
        record_seal_1k record_seal_16k record_open_1k record_open_16k
        request_curl request_browser rewrite_curl rewrite_browser response rewrite_response
        tap_h1 tap_h2 log_line
        turn_poll_1 turn_poll_8 turn_poll_64 turn_send_1 turn_send_8 turn_send_64""".split()
    COMPARISONS = ["leaf", "chain", "connect", "accept", "intercept", "resumed", "records_1k",
                   "records_16k"]
    SILENT = {"request_curl", "request_browser", "rewrite_curl", "rewrite_browser", "response",
              "rewrite_response", "log_line", "hello_parse", "hello_key", "verdict_hit",
              "verdict_tunnel", "user_agent", "user_agent_known"}

    def bench(self, *arguments):
        return self.weir_command("bench", "micro", "--seconds", "1", *arguments)

    def measure(self, *names):
        """The medians of these rows."""
        code, out, err = self.bench("--json", *names)
        self.assertEqual((code, err), (0, ""))
        return {one["name"]: one["cpu_ns"]["median"] for one in json.loads(out)["measurements"]}

    def test_all(self):
        """Every row, in order; records and what is done with heads take nothing from the heap."""
        code, out, err = self.bench("--json")
        self.assertEqual((code, err), (0, ""))
        answer = json.loads(out)
        self.assertEqual([one["name"] for one in answer["measurements"]], self.ROWS)
        heap = "unknown" if os.environ.get("WEIR_SANITIZED") else "untouched"
        for one in answer["measurements"]:
            check_measurement(self, one)
            if one["name"] in self.SILENT:
                self.assertEqual((one["heap"], one["library_allocs"]), (heap, None), one)
            if one["name"].startswith("record_"):
                self.assertEqual(one["library_allocs"], 0, one)
        cpu = {one["name"]: one["cpu_ns"]["median"] for one in answer["measurements"]}
        self.assertEqual([one["name"] for one in answer["comparisons"]], self.COMPARISONS)
        for one in answer["comparisons"]:
            self.assertAlmostEqual(one["ratio"], one["whole_ns"] / one["library_ns"], 3, one)
        leaf = answer["comparisons"][0]
        self.assertAlmostEqual(leaf["whole_ns"], cpu["leaf_mint"], delta=1)
        self.assertAlmostEqual(leaf["library_ns"], cpu["p256_sign"], delta=1)
        # What holds on any machine: the whole takes more than its parts, much more than nothing. A
        # busy one may be slower while it measures one of them: then these two again.
        for _ in range(2):
            if cpu["p256_sign"] >= cpu["leaf_mint"]:
                cpu.update(self.measure("p256_sign", "leaf_mint"))
        self.assertLess(cpu["p256_sign"], cpu["leaf_mint"])
        self.assertLess(cpu["connect_resumed"], cpu["connect_full"])
        self.assertLess(cpu["turn_poll_1"] * 2, cpu["turn_poll_64"])

    def test_chosen(self):
        """Names of rows may be cut; the table, and what can be compared."""
        code, out, err = self.bench("leaf", "p256_s", "turn_poll_8")
        self.assertEqual((code, err), (0, ""))
        for name in ("p256_sign", "leaf_mint", "turn_poll_8", "leaf"):
            self.assertRegex(out, rf"(?m)^{name} +\d+\.\d")
            self.assertRegex(out, rf"(?m)^{name} +[A-Za-z0-9]")
        self.assertNotRegex(out, r"(?m)^(p256_verify|accept|turn_poll_64) ")

    def test_without_comparison(self):
        code, out, _ = self.bench("--json", "response")
        self.assertEqual(code, 0)
        answer = json.loads(out)
        self.assertEqual([one["name"] for one in answer["measurements"]], ["response"])
        self.assertEqual(answer["comparisons"], [])

    def test_usage(self):
        code, out, err = self.bench("leaf", "lea\nf")
        self.assertEqual((code, out), (64, ""))
        self.assertIn('weir bench: no row begins with "lea\\nf"; there are:\n  hello_parse', err)
        for arguments, words in ((("--seconds", "0"), "--seconds 0: a number from 1"),
                                 (("--mix", "x"), 'unknown option "--mix"')):
            code, _, err = self.weir_command("bench", "micro", *arguments)
            self.assertEqual(code, 64)
            self.assertIn(words, err)
        code, out, _ = self.weir_command("bench", "micro", "--help")
        self.assertEqual(code, 0)
        self.assertIn("Usage: weir bench micro [--json] [--seconds N] [ROW...]", out)

    def test_no_folder(self):
        """Where there is no room for the authority's files."""
        with mock.patch.dict(os.environ, TMPDIR="/nowhere/at/all"):
            code, out, err = self.bench("leaf")
        self.assertEqual((code, out), (1, ""))
        self.assertRegex(err, r"weir bench: /nowhere/at/all/weir-bench-\w{6}: No such file")


if __name__ == "__main__":
    harness.main()
