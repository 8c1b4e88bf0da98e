# SPDX-License-Identifier: Apache-2.0
"""`weir signatures lint`, `show` and `merge --out`: whole databases, made up and shipped."""
import json
import os
import shutil
import unittest

import harness
from tools_case import Case, shared_data

CHROME = "1:56-72:1:2:10:1:|303:~a,?1301:~0,5:17:0:*:|:0:0"
FIREFOX = "4:60-65:1:2:10:1:|303:1301,1303:0,17:17:0:*:|:0:0"
ESET = "1:48:1:2:6.1.0:1:|303:c028,c027:0,a:17,18:0::|eset-nod32-antivirus-9:1:3"
WAJAM = "1:48:1:2:6.1.0:1:|303:c028,c027:0,a:17,18:0::|wajam:1:0"
SOPHOS = "0::0:0::0:|301:5,4:::::|sophos-xg:5:0|2024-02-29"


class Databases(Case):
    def setUp(self):
        super().setUp()
        for name in os.listdir(self.folder):
            path = os.path.join(self.folder, name)
            (shutil.rmtree if os.path.isdir(path) else os.unlink)(path)

    def database(self, browser=(), mitm=(), headers=("X-Bluecoat-Via",), metadata=None, name="db"):
        folder = os.path.join(self.folder, name)
        os.makedirs(folder)
        files = {"browser.txt": browser, "mitm.txt": mitm, "badheader.txt": headers}
        if metadata is not None:
            files["metadata.jsonl"] = metadata
        for file_name, lines in files.items():
            with open(os.path.join(folder, file_name), "w", encoding="utf-8") as out:
                out.write("".join(line + "\n" for line in lines))
        return folder

    def read(self, *parts):
        with open(os.path.join(self.folder, *parts), encoding="utf-8") as text:
            return text.read()

    def shipped(self):
        folder = os.path.join(shared_data() or "", "mitmengine")
        if not os.path.exists(os.path.join(folder, "browser.txt")):
            raise unittest.SkipTest("no mitmengine/browser.txt: set WEIR_SHARED_DATA")
        return folder


class Lint(Databases):
    def lint(self, *arguments, code=0, given=b""):
        got, out, err = self.weir_command("signatures", "lint", *arguments, given=given)
        self.assertEqual((got, err), (code, ""), out)
        return out.splitlines()

    def test_good(self):
        self.database([CHROME, "", "# a comment", FIREFOX], [ESET, SOPHOS])
        self.assertEqual(self.lint("db"), [
            "db/browser.txt: 2 records, 0 errors, 0 warnings",
            "db/mitm.txt: 2 records, 0 errors, 0 warnings",
            "db/badheader.txt: 1 names, 0 errors, 0 warnings"])

    def test_every_bad_line(self):
        """More of them than a load keeps, in one run, each with its place."""
        bad = FIREFOX.replace("|303", "|zz")
        self.database([CHROME] + [bad] * 40 + ["nonsense", FIREFOX + "|2024-02-30", "x" * 65536],
                      [ESET + ":1"])
        lines = self.lint("db", code=1)
        errors = [line for line in lines if ": error: " in line]
        self.assertEqual(len(errors), 44)
        for at, line in enumerate(errors[:40]):
            self.assertRegex(line, rf"^db/browser\.txt:{at + 2}:19: error: .* expected$")
        self.assertRegex(errors[40], r"^db/browser\.txt:42:\d+: error: ua_signature\|request_")
        self.assertEqual(errors[41].split(" error: ")[1], "a day, as 2026-11-21 expected")
        self.assertRegex(errors[42], r"^db/browser\.txt:44:1: error: a line of at most 65535 bytes")
        self.assertRegex(errors[43], r"^db/mitm\.txt:1:\d+: error: ")
        self.assertIn("db/browser.txt: 1 records, 43 errors, 0 warnings", lines)

    def test_unreachable(self):
        """Doubles, covered records, contradictions; and nothing that can be reached."""
        wide = "4::0:0::0:|303:1301,1303:0,17:17:0:*:|:0:0"
        lines = self.lint(self.write("some.txt", "\n".join([
            "# first", CHROME, CHROME, FIREFOX, wide, FIREFOX.replace("60-65", "61"),
            FIREFOX.replace(":*:|", "::|"), FIREFOX.replace("60-65", "70"),
            CHROME.replace("56-72", "72-56"), CHROME.replace("|303", "|302"),
            CHROME.replace("56-72", "50-60"), CHROME.replace("~a,?", "^a,a,?"),
            # Both can be the nearest of those that do not agree: lists of numbers count for that.
            "6:9:1:2:10:1:|303:*:0:17:0:*:|:0:0", "6:9:1:2:10:1:|303:4,5:0:17:0:*:|:0:0",
            "0::0:0::0:|::::::|:0:0"]).encode()))
        rows = [line.split("some.txt:")[1] for line in lines]
        self.assertEqual(rows[:-1], [
            "3:1: warning: this record is there already, in line 2",
            "6:1: warning: this record is never reached: line 4 covers it",
            "7:1: warning: this record is never reached: line 4 covers it",
            "8:1: warning: this record is never reached: line 5 covers it",
            "9:1: warning: this record is never reached: the least browser version is above the "
            "greatest",
            "12:1: warning: this record is never reached: a cipher is required and excluded"])
        self.assertEqual(lines[-1].split("some.txt")[1], ": 14 records, 0 errors, 6 warnings")

    def test_warnings_hold(self):
        """A record that lint calls covered is not chosen by detect, and one that it does not is."""
        hidden = FIREFOX.replace("60-65", "61").replace(":*:|", ":host:|")
        for first, is_covered in ((FIREFOX, True), (FIREFOX.replace("60-65", "62-65"), False)):
            folder = self.database([first, hidden], name=f"db-{is_covered}")
            self.assertEqual(any("never reached" in line for line in self.lint(folder)), is_covered)
            [answer] = self.answers([{"raw_ua": "x", "ua_fingerprint": "4:61.0.0:1:2:10:1:",
                                      "request_fingerprint": "303:1301,1303:0,17:17:0:host:"}],
                                    ("detect", "--database", folder))
            chosen = answer["report"]["matched_ua_signature"]
            self.assertEqual(chosen.startswith("4:60-65:"), is_covered, answer)

    def test_headers(self):
        self.database(headers=["Via-X", "", "via-x", "a b", "y" * 257])
        lines = self.lint("db", code=1)
        self.assertEqual(lines[2:], [
            "db/badheader.txt:3:1: warning: this name is there already",
            "db/badheader.txt:4:1: warning: no request has a header of this name",
            "db/badheader.txt:5:1: error: a header name of at most 256 bytes expected",
            "db/badheader.txt: 2 names, 1 error, 2 warnings"])

    def test_metadata(self):
        self.database(metadata=['{"name": "a", "client": "curl", "date": "2026-11-21"}', "{",
                                "[]", "{}", '{"name": 1}', '{"name": "a", "date": "2026-11-31"}',
                                '{"name": "a", "mitmengine": 1}'])
        lines = [line.split("jsonl:")[1] for line in self.lint("db", code=1)[3:]]
        for line, pattern in zip(lines, (r"2:\d+: error: ", "3:1: error: an object expected",
                                         "4:1: error: name: missing", "5:1: error: name: a string",
                                         "6:1: error: date: a day, as", "7:1: error: mitmengine: ",
                                         " 1 captures, 6 errors, 0 warnings")):
            self.assertRegex(line, "^" + pattern)
        self.assertEqual(len(lines), 7)

    def test_json(self):
        lines = self.lint("--json", "-", code=1, given=f"{CHROME}\n{CHROME}\nx\n".encode())
        rows = [json.loads(line) for line in lines]
        self.assertEqual([(row["file"], row["line"], row["column"], row["severity"])
                          for row in rows],
                         [("standard input", 2, 1, "warning"), ("standard input", 3, 2, "error")])
        self.assertRegex(rows[1]["message"], " expected$")

    def test_absent(self):
        self.database([CHROME])
        os.unlink(os.path.join(self.folder, "db", "mitm.txt"))
        code, out, err = self.weir_command("signatures", "lint", "db", "absent")
        self.assertEqual(code, 1)
        self.assertIn("db/badheader.txt: 1 names", out)
        self.assertEqual(err, "weir signatures lint: db/mitm.txt: No such file or directory\n"
                              "weir signatures lint: absent: No such file or directory\n")

    def test_large(self):
        self.write("large.txt", b"#" * (2 * 1024 * 1024))
        code, out, err = self.weir_command("signatures", "lint", "large.txt")
        self.assertEqual((code, out, err),
                         (1, "", "weir signatures lint: large.txt: larger than 2 MiB\n"))

    def test_shipped(self):
        """MITMEngine's own files hold doubles, but no bad line."""
        lines = self.lint(self.shipped())
        self.assertRegex("\n".join(lines), r"browser\.txt: 1754 records, 0 errors, [1-9]\d* warn")
        self.assertRegex("\n".join(lines), r"mitm\.txt: 116 records, 0 errors")


class Show(Databases):
    def setUp(self):
        super().setUp()
        self.database([CHROME, "# a comment", FIREFOX], [ESET, SOPHOS])

    def show(self, *arguments, code=0):
        got, out, err = self.weir_command("signatures", "show", "db", *arguments)
        self.assertEqual(got, code, err)
        return out, err

    def test_text(self):
        out, err = self.show()
        self.assertEqual(err, "")
        self.assertIn("db/browser.txt:1: Chrome 56-72, Windows 10, platform Windows, device "
                      "Computer\n    version     303\n    cipher      ~a,?1301\n", out)
        self.assertIn("db/browser.txt:3: Firefox 60-65, Windows 10, ", out)
        self.assertIn("    product     eset (antivirus, grade C)\n", out)
        self.assertIn("db/mitm.txt:2: any, any, platform any, device any\n"
                      "    product     sophos (proxy)\n", out)
        self.assertIn("    captured    2024-02-29\n", out)

    def test_browser(self):
        out, _ = self.show("--browser", "fireFOX")
        self.assertEqual(out.count("browser.txt:") + out.count("mitm.txt:"), 1)
        self.assertIn("browser.txt:3: Firefox", out)
        out, err = self.show("--browser", "Firefax", code=64)
        self.assertEqual(out, "")
        self.assertIn('no browser of this name is known; did you mean "Firefox"?', err)
        _, err = self.show("--browser", "Opera", code=1)
        self.assertEqual(err, "weir signatures show: no such record\n")

    def test_product(self):
        out, _ = self.show("--product", "ESET-NOD32")
        self.assertIn("mitm.txt:1: Chrome 48", out)
        self.assertNotIn("sophos", out)
        out, err = self.show("--product", "sofos", code=1)
        self.assertEqual((out, err), (
            "", 'weir signatures show: no such record; did you mean "sophos"?\n'))
        _, err = self.show("--product", "a:b", code=64)
        self.assertIn('a name without ":" expected', err)
        self.show("--product", "eset", "--browser", "Firefox", code=1)

    def test_json(self):
        out, _ = self.show("--json")
        rows = [json.loads(line) for line in out.splitlines()]
        self.assertEqual([(row["file"], row["line"], row["browser"]) for row in rows],
                         [("db/browser.txt", 1, "Chrome"), ("db/browser.txt", 3, "Firefox"),
                          ("db/mitm.txt", 1, "Chrome"), ("db/mitm.txt", 2, None)])
        self.assertEqual([row["record"] for row in rows],
                         [CHROME, FIREFOX, ESET.replace("-nod32-antivirus-9", ""),
                          SOPHOS.replace("-xg", "")])
        self.assertEqual((rows[3]["product"], rows[3]["type"], rows[3]["captured"]),
                         ("sophos", "proxy", "2024-02-29"))
        self.assertEqual((rows[0]["cipher"], rows[0]["header"]), ("~a,?1301", "*"))

    def test_bad_line(self):
        """Told, and left out; what it says reaches no terminal raw."""
        self.write("db/browser.txt", (CHROME + "\nx\n" + CHROME.replace("*:|", "\x1b[31m:|")
                                      + "\n").encode())
        out, err = self.show("--browser", "chrome")
        self.assertRegex(err, r"^db/browser\.txt:2:\d+: error: .* expected\n$")
        self.assertEqual(out.count("browser.txt:"), 2)
        self.assertNotIn("\x1b", out)

    def test_absent(self):
        shutil.rmtree(os.path.join(self.folder, "db"))
        _, err = self.show(code=78)
        self.assertEqual(err, "weir signatures show: db/browser.txt: No such file or directory\n")


class Merge(Databases):
    def merge(self, *arguments, code=0):
        got, out, err = self.weir_command("signatures", "merge", *arguments)
        self.assertEqual(got, code, out + err)
        return out, err

    def test_small(self):
        self.database([CHROME, FIREFOX, CHROME.replace("56-72", "73")], [ESET, SOPHOS, WAJAM],
                      metadata=['{"name":"a"}'])
        out, err = self.merge("db", "--out", "new")
        self.assertEqual((out, err), ("browser.txt: 3 records made 2\n"
                                      "mitm.txt: 3 records made 2\n", ""))
        self.assertEqual(self.read("new", "browser.txt").splitlines(),
                         [CHROME.replace("56-72", "56-73"), FIREFOX])
        self.assertIn("|eset,wajam:1:3\n", self.read("new", "mitm.txt"))
        for name in ("badheader.txt", "metadata.jsonl"):
            self.assertEqual(self.read("new", name), self.read("db", name))
        code, _, err = self.weir_command("signatures", "lint", "new")
        self.assertEqual((code, err), (0, ""))

    def test_json(self):
        self.database([CHROME, CHROME])
        out, _ = self.merge("db", "--json", "--out", "new")
        self.assertEqual([json.loads(line) for line in out.splitlines()],
                         [{"file": "browser.txt", "read": 2, "written": 1},
                          {"file": "mitm.txt", "read": 0, "written": 0}])

    def test_refuses(self):
        """Nothing is written over, and nothing is left behind."""
        self.database([CHROME])
        _, err = self.merge("db", "--out", "db", code=73)
        self.assertEqual(err, "weir signatures merge: db: it has files of a database already\n")
        self.assertEqual(self.read("db", "browser.txt"), CHROME + "\n")
        os.mkdir(os.path.join(self.folder, "half"))
        self.write("half/mitm.txt", b"mine")
        self.merge("db", "--out", "half", code=73)
        self.assertEqual(os.listdir(os.path.join(self.folder, "half")), ["mitm.txt"])
        _, err = self.merge("db", "--out", "absent/new", code=73)
        self.assertIn("absent/new: No such file", err)
        self.write("db/browser.txt", b"x\ny\n")
        _, err = self.merge("db", "--out", "new", code=78)
        self.assertRegex(err, r"(?s)browser\.txt:1:\d+: error: .*browser\.txt:2:\d+: error: ")
        self.assertFalse(os.path.exists(os.path.join(self.folder, "new")))
        for arguments, words in ((("db", "db", "--out", "new"), "one DIR expected"),
                                 (("db",), "--out DIR or --json is missing")):
            _, err = self.merge(*arguments, code=64)
            self.assertIn(words, err)

    def test_shipped(self):
        """What MITMEngine's merge tool writes, byte by byte."""
        folder = self.shipped()
        self.merge("--compatible", folder, "--out", "new")
        for name in ("browser", "mitm"):
            with open(os.path.join(folder, f"mergedb_expected_{name}.txt"),
                      encoding="utf-8") as expected:
                self.assertEqual(self.read("new", name + ".txt"), expected.read())


class Exchange(Databases):
    def exchange(self, command, *arguments, code=0):
        got, out, err = self.weir_command("signatures", command, *arguments)
        self.assertEqual(got, code, out + err)
        return out, err

    def records(self, folder, name):
        """As `show` has them, without what tells lines apart."""
        code, out, err = self.weir_command("signatures", "show", folder, "--json")
        self.assertEqual((code, err), (0, ""))
        rows = [json.loads(line) for line in out.splitlines()]
        return [row["record"] for row in rows if row["file"].endswith(name)]

    def test_export(self):
        self.database(["\ufeff# a\tb", CHROME.replace("~a,?1301", "~?a") + " # text", "", FIREFOX],
                      [SOPHOS], [" X-Via ", "", "b"],
                      ['{"name":"a","client":"curl","version":"8.1","system":"Linux",'
                       '"date":"2026-11-21","command":"curl -v","own":[1]}', "", '{"name":"b"}'])
        out, err = self.exchange("export", "db", "--out", "new")
        self.assertEqual((out, err), ("browser.txt: 2 records\nmitm.txt: 1 records\n"
                                      "badheader.txt: 2 names\n"
                                      "fingerprint_metadata.jsonl: 2 captures\n", ""))
        self.assertEqual(self.read("new", "browser.txt").splitlines(),
                         ["# a b", CHROME.replace("~a,?1301", "~?a"), "", FIREFOX])
        self.assertEqual(self.read("new", "mitm.txt"), SOPHOS.replace("sophos-xg", "sophos").replace(
            "|2024", " # captured 2024") + "\n")
        self.assertEqual(self.read("new", "badheader.txt"), "x-via\nb\n")
        rows = [json.loads(line)
                for line in self.read("new", "fingerprint_metadata.jsonl").splitlines()]
        self.assertEqual(rows, [{
            "desc": "a", "ua_fingerprint": {"browser": "curl", "browser_version": "8.1",
                                            "os": "Linux"},
            "date": "2026-11-21", "command": "curl -v", "own": [1]}, {"desc": "b"}])
        self.exchange("import", "new", "--out", "back")
        self.assertEqual(self.records("back", ".txt"), self.records("db", ".txt"))
        first = json.loads(self.read("back", "metadata.jsonl").splitlines()[0])
        del first["mitmengine"]
        self.assertEqual(first, {"name": "a", "client": "curl", "version": "8.1", "own": [1],
                                 "system": "Linux", "date": "2026-11-21", "command": "curl -v"})
        self.assertEqual(self.weir_command("signatures", "lint", "back")[0], 0)

    def test_exported_is_read(self):
        """MITMEngine's rules take what export wrote."""
        self.database(["# a\tb", FIREFOX + "|2026-11-21"], [SOPHOS])
        self.exchange("export", "db", "--out", "new")
        [answer] = self.answers([{"raw_ua": "x", "ua_fingerprint": "4:61.0.0:1:2:10:1:",
                                  "request_fingerprint": "303:1301,1303:0,17:17:0:host:"}],
                                ("detect", "--compatible", "--database", "new"))
        self.assertEqual(answer["report"]["browser_signature_match"], "possible")

    def test_import(self):
        """What MITMEngine reads otherwise means the same afterwards."""
        self.database(["text\t" + CHROME, "# a comment"],
                      ["0::0:0::0:|301::::::|my-eset:257:0"], ["a"])
        _, err = self.exchange("import", "db", "--out", "new")
        self.assertEqual(err, "")
        self.assertEqual(self.read("new", "browser.txt").splitlines(), [CHROME, "# a comment"])
        self.assertIn("|eset:1:0\n", self.read("new", "mitm.txt"))
        self.assertFalse(os.path.exists(os.path.join(self.folder, "new", "metadata.jsonl")))

    def test_bad(self):
        """All faults of all files in one run, and nothing is left."""
        self.database(["x", CHROME], [ESET.replace(":1:3", ":9:3")], ["y" * 257])
        self.write("db/fingerprint_metadata.jsonl", b'{\n{"desc":1}\n{"desc":"a",'
                   b'"ua_fingerprint":1}\n{"desc":"a","ua_fingerprint":{"os":1}}\n[]\n{}\n'
                   b'{"desc":"a","date":"x"}\n')
        out, err = self.exchange("import", "db", "--out", "new", code=78)
        self.assertEqual(out, "")
        for line, pattern in zip(err.splitlines(), (
                r"browser.txt:1:\d+: error: .* expected", "mitm.txt:1:1: error: as it is to be wr",
                "badheader.txt:1:1: error: a header name of at most", r"data.jsonl:1:\d+: error: ",
                "jsonl:2:1: error: desc: a string", "jsonl:3:1: error: ua_fingerprint: an object",
                "jsonl:4:1: error: ua_fingerprint.os: a string", "5:1: error: an object expected",
                "6:1: error: desc: missing", "7:1: error: date: a day")):
            self.assertRegex(line, pattern)
        self.assertEqual(len(err.splitlines()), 10)
        self.assertFalse(os.path.exists(os.path.join(self.folder, "new")))

    def test_refuses(self):
        self.database([CHROME])
        _, err = self.exchange("export", "db", "--out", "db", code=73)
        self.assertEqual(err, "weir signatures export: db: it has files of a database already\n")
        self.assertEqual(self.read("db", "browser.txt"), CHROME + "\n")
        _, err = self.exchange("import", "absent", "--out", "new", code=78)
        self.assertIn("absent/browser.txt: No such file", err)
        self.assertFalse(os.path.exists(os.path.join(self.folder, "new")))
        _, err = self.exchange("import", "db", code=64)
        self.assertIn("--out DIR is missing", err)

    def test_metadata_changes(self):
        """What was changed after an import is in the export; the rest is as it was."""
        its = {"desc": "a", "comment": "c", "handshake_pcap": "h", "mitm_fingerprint":
               {"raw_ua": "", "name": "eset", "type": "Antivirus"},
               "ua_fingerprint": {"browser": "Chrome", "browser_version": "48", "os": "Windows"}}
        self.database([CHROME])
        self.write("db/fingerprint_metadata.jsonl", json.dumps(its).encode())
        self.exchange("import", "db", "--out", "new")
        ours = json.loads(self.read("new", "metadata.jsonl"))
        self.assertEqual((ours["client"], ours["product"]), ("Chrome", "eset"))
        ours["client"] = "Firefox"
        del ours["version"]
        self.write("new/metadata.jsonl", json.dumps(ours).encode())
        self.exchange("export", "new", "--out", "back")
        its["ua_fingerprint"].update(browser="Firefox", browser_version="")
        self.assertEqual(json.loads(self.read("back", "fingerprint_metadata.jsonl")), its)

    def test_shipped(self):
        """MITMEngine's own files, there and back."""
        folder = self.shipped()
        out, _ = self.exchange("import", folder, "--out", "new", "--json")
        self.assertEqual([json.loads(line) for line in out.splitlines()], [
            {"file": "browser.txt", "records": 1754}, {"file": "mitm.txt", "records": 116},
            {"file": "badheader.txt", "names": 93}, {"file": "metadata.jsonl", "captures": 1244}])
        self.exchange("export", "new", "--out", "back")
        with open(os.path.join(folder, "fingerprint_metadata.jsonl"), encoding="utf-8") as lines:
            its = [json.loads(line) for line in lines]
        self.assertEqual([json.loads(line) for line in
                          self.read("back", "fingerprint_metadata.jsonl").splitlines()], its)
        for name in ("a", "b"):
            source = folder if name == "a" else "back"
            self.weir_command("signatures", "merge", "--compatible", source, "--out", name)
        for name in ("browser.txt", "mitm.txt"):
            self.assertEqual(self.read("a", name), self.read("b", name))


if __name__ == "__main__":
    harness.main()
