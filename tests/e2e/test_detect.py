# SPDX-License-Identifier: Apache-2.0
"""`weir detect`, `weir user-agent`, `weir signatures`: that they agree with reference results, and
what they say of bad input."""
import json
import os
import re
import subprocess

import harness
from tools_case import Case, golden, shared_data


class Golden(Case):
    def test_user_agents(self):
        """Raw user agents to fingerprints, as MITMEngine's demo does it."""
        rows = golden("mitmengine/ua_golden.jsonl")
        answers = self.answers([{key: row[key] for key in ("raw_ua", "raw_ua_hex") if key in row}
                                for row in rows], ("user-agent", "--compatible"))
        self.assertEqual([one.get("ua_fingerprint") for one in answers],
                         [row["ua_fingerprint"] for row in rows])

    def compare_reports(self, rows, database):
        columns = ("raw_ua", "raw_ua_hex", "ua_fingerprint", "request_fingerprint")
        answers = self.answers([{key: row[key] for key in columns if key in row} for row in rows],
                               ("detect", "--compatible", "--database", database))
        self.assertEqual(len(answers), len(rows))
        for row, answer in zip(rows, answers):
            if "parse_error" in row:
                self.assertRegex(answer["error"], r"^(ua|request)_fingerprint: byte \d+: ")
            else:
                self.assertEqual(answer.get("report"), row["report"], row)

    def test_check(self):
        """Reports with the shipped database, every column."""
        rows = golden("mitmengine/check_golden.jsonl")
        self.compare_reports(rows, os.path.join(shared_data(), "mitmengine"))

    def test_check_parsed(self):
        """The same where the user agent's fingerprint is left to weir."""
        rows = [{key: value for key, value in row.items() if key != "ua_fingerprint"}
                for row in golden("mitmengine/check_golden.jsonl")
                if row["ua_parsed_from_raw"] and "report" in row]
        self.assertGreater(len(rows), 100)
        self.compare_reports(rows, os.path.join(shared_data(), "mitmengine"))

    def test_check_custom(self):
        """Reports with databases that use every marker."""
        rows = golden("mitmengine/check_custom_golden.jsonl")
        for name in sorted({row["db"] for row in rows}):
            folder = os.path.join(self.folder, name)
            os.mkdir(folder)
            for kind in ("browser", "mitm", "badheader"):
                os.symlink(os.path.abspath(os.path.join(
                    shared_data(), "mitmengine", "custom_db", f"{name}_{kind}.txt")),
                    os.path.join(folder, kind + ".txt"))
            self.compare_reports([row for row in rows if row["db"] == name], folder)

    def test_match(self):
        """Matches of every kind."""
        rows = golden("mitmengine/match_golden.jsonl")
        answers = self.answers([{key: row[key] for key in ("kind", "signature", "fingerprint")}
                                for row in rows], ("signatures", "match", "--compatible"))
        self.assertEqual(len(answers), len(rows))
        for row, answer in zip(rows, answers):
            if "parse_error" in row:
                self.assertRegex(answer["error"], r"^(signature|fingerprint): byte \d+: .* expected$")
                continue
            wanted = {key: row[key] for key in ("match", "similarity", "fields") if key in row}
            got = {key: answer.get(key) for key in wanted}
            self.assertEqual(got, wanted, answer)

    def test_merge(self):
        """Merges of every kind, records among them."""
        rows = golden("mitmengine/merge_golden.jsonl")
        answers = self.answers([{"kind": row["kind"], "in": row["in"]} for row in rows],
                               ("signatures", "merge", "--compatible"))
        self.assertEqual(len(answers), len(rows))
        for row, answer in zip(rows, answers):
            self.assertEqual(answer.get("merged"), row["merged"], answer)


class Signatures(Case):
    def test_user_agent_errors(self):
        answers = self.answers([{"raw_ua": None}, {"raw_ua": None, "raw_ua_hex": "4d6"},
                                {"raw_ua_hex": "ff", "raw_ua": None}, {}], ("user-agent",))
        self.assertEqual(answers[0]["error"], "raw_ua: a string expected")
        self.assertRegex(answers[1]["error"], "^raw_ua_hex: column 4: ")
        self.assertEqual(answers[2]["ua_fingerprint"], "0:0.0.0:0:0:0.0.0:0:")
        self.assertEqual(answers[3]["error"], "raw_ua: missing; a string expected")

    def test_match_errors(self):
        answers = self.answers([
            {"kind": "int", "signature": "1,zz", "fingerprint": "1"},
            {"kind": "int", "signature": "1", "fingerprint": "1,,zz"},
            {"kind": "version", "signature": "303", "fingerprint": "999"},
            {"kind": "mitm_info", "signature": "a", "fingerprint": "a:0:0"},
            {"kind": "ua", "signature": "::", "fingerprint": ""},
            {"kind": "integer", "signature": "1", "fingerprint": "1"},
            {"kind": "int", "signature": "1"},
            {"kind": "int", "signature": "1", "fingerprint": "1", "x": 1.50}],
            ("signatures", "match"))
        for answer, pattern in zip(answers, (
                r"^signature: byte \d+: .* expected$", r"^fingerprint: byte \d+: .* expected$",
                r"^fingerprint: byte 0: a TLS version", r"^signature: byte \d+: ",
                r"^signature: byte \d+: ", r"^kind: one of int string version request ua ",
                r"^fingerprint: missing")):
            self.assertRegex(answer["error"], pattern)
        self.assertEqual((answers[7]["match"], answers[7]["similarity"]), ("possible", 1))

    def test_merge_errors(self):
        record = "1:14.0:1:2:5.1.0:1:|301:4,5:0,ff01:17:0::|:0:0"
        answers = self.answers([
            {"kind": "int", "in": ["1", "2", "zz"]}, {"kind": "int", "in": ["1", 2]},
            {"kind": "int", "in": []}, {"kind": "int", "in": "1"}, {"kind": "int"},
            {"kind": "nothing", "in": ["1"]}, {"kind": "record", "in": ["a|b"]},
            {"kind": "record", "in": [record, record.replace("|3", "|x")]},
            {"kind": "record", "in": [record, record + ":x"]},
            {"kind": "record", "in": [record]}], ("signatures", "merge"))
        for answer, pattern in zip(answers, (
                r"^in\[2\]: byte 0: ", r"^in\[1\]: a string expected$", r"^in: a list of 1 to ",
                r"^in: a list of 1 to ", r"^in: a list of 1 to ", r"^kind: one of int .* record exp",
                r"^in\[0\]: byte 3: ", r"^in\[1\]: byte 20: ",
                r"^in\[1\]: byte 4\d: ")):
            self.assertRegex(answer["error"], pattern)
        self.assertEqual(answers[9]["merged"], record)

    def database(self, browser, mitm="", bad=""):
        folder = os.path.join(self.folder, "database")
        os.makedirs(folder, exist_ok=True)
        for name, text in (("browser", browser), ("mitm", mitm), ("badheader", bad)):
            with open(os.path.join(folder, name + ".txt"), "w", encoding="utf-8") as out:
                out.write(text)
        return folder

    def test_detect(self):
        """Without --compatible there is a verdict, and a bad line is told and left out."""
        folder = self.database("1:14.0-20.0:1:2:5.1.0:1:|303:1301,c02f:0:17:0:*:|:0:0\n")
        line = {"raw_ua": "x", "ua_fingerprint": "1:15.0.0:1:2:5.1.0:1:",
                "request_fingerprint": "303:1301,c02f:0:17:0::"}
        other = dict(line, request_fingerprint="303:5:0:17:0::")
        reports = [one["report"] for one in self.answers([line, other],
                                                         ("detect", "--database", folder))]
        self.assertEqual([one["verdict"] for one in reports], ["genuine", "intercepted"])
        self.assertEqual(reports[1]["reason"], "impossible_cipher")
        answers = self.answers([{"raw_ua": "x"}, dict(line, request_fingerprint="zz"),
                                dict(line, ua_fingerprint=":"), {}],
                               ("detect", "--database", folder))
        for answer, pattern in zip(answers, (r"^request_fingerprint: missing",
                                             r"^request_fingerprint: byte 2: ",
                                             r"^ua_fingerprint: byte \d: ", r"^raw_ua: missing")):
            self.assertRegex(answer["error"], pattern)

    def test_mends(self):
        """The table of differences is printed whole, as text and as JSON."""
        with open(os.path.join(harness.ROOT, "detect", "mends.def"), encoding="utf-8") as table:
            rows = re.findall(r'^(MEND|DEVIATION)\((\w+),\n    "(.*)",\n    "(.*)",\n    "(.*)"\)$',
                              table.read(), re.MULTILINE)
        self.assertGreater(len(rows), 30)
        code, out, err = self.weir_command("detect", "mends", "--json")
        self.assertEqual((code, err), (0, ""))
        self.assertEqual([json.loads(line) for line in out.splitlines()],
                         [dict(zip(("kind", "name", "original", "instead", "reason"),
                                   (kind.lower(), *texts))) for kind, *texts in rows])
        code, out, err = self.weir_command("detect", "mends")
        self.assertEqual((code, err), (0, ""))
        for _, name, original, instead, reason in rows:
            self.assertIn(f"\n{name}\n  MITMEngine  {original}\n  weir        {instead}\n"
                          f"  because     {reason}\n", out)
        with open("/dev/full", "wb") as full:
            done = subprocess.run([harness.BINARY, "detect", "mends"], stdout=full,
                                  stderr=subprocess.PIPE, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"weir detect: ", done.stderr)

    def test_database_faults(self):
        """A file that is absent, a line that is no record: named with their place."""
        folder = self.database("# text\nnonsense\n1:14.0:1:2:5.1.0:1:|zz::::::|:0:0\n")
        for arguments, status in (((), 0), (("--compatible",), 78)):
            code, out, err = self.weir_command("detect", *arguments, "--database", folder, "--json",
                                               "-", given=b"{}\n")
            self.assertEqual((code, out == ""), (status, status != 0), err)
            self.assertRegex(err, r"browser\.txt:2:\d+: .* expected\n")
            self.assertEqual("browser.txt:3:21:" in err, status == 0, err)
        os.unlink(os.path.join(folder, "mitm.txt"))
        code, _, err = self.weir_command("detect", "--database", folder, "--json", "-")
        self.assertEqual(code, 78)
        self.assertIn("mitm.txt: No such file", err)

    def test_builtin(self):
        """Without a database the one that is built in is asked, and it has a name, too."""
        header = "curl/7.88.1"
        line = json.dumps({"raw_ua": header, "request_fingerprint": "303:1:0:1d:0::"}).encode()
        reports = []
        for arguments in ((), ("--database", "builtin")):
            code, out, err = self.weir_command("detect", *arguments, "--json", "-",
                                               given=line + b"\n")
            self.assertEqual((code, err), (0, ""))
            reports.append(json.loads(out)["report"])
        self.assertEqual(reports[0], reports[1])
        self.assertTrue(reports[0]["matched_ua_signature"].startswith("200:"), reports[0])
        self.assertEqual(reports[0]["verdict"], "intercepted")
        code, _, err = self.weir_command("detect", "--compatible", "--json", "-")
        self.assertEqual(code, 64)
        self.assertIn("--compatible needs --database DIR", err)

    def test_usage(self):
        """What is missing is named."""
        for arguments, words in ((("user-agent", "-"), "--json is missing"),
                                 (("user-agent", "--json"), "FILE is missing"),
                                 (("signatures", "mtach"), 'did you mean "signatures match"?'),
                                 (("signatures",), "Usage: weir COMMAND")):
            code, _, err = self.weir_command(*arguments)
            self.assertEqual(code, 64)
            self.assertIn(words, err)
        code, _, err = self.weir_command("user-agent", "--json", "absent", "-", given=b"{}\n")
        self.assertEqual(code, 1)
        self.assertIn("weir user-agent: absent: No such file", err)


if __name__ == "__main__":
    harness.main()
