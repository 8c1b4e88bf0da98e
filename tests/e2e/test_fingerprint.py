# SPDX-License-Identifier: Apache-2.0
"""`weir fingerprint`: what it reads, what it says, how it fails, and that it agrees with reference
results. Those lie outside the project, in WEIR_SHARED_DATA or ../shared/data from the source root; where
they are not, their tests are skipped."""
import json
import os
import select
import signal
import socket
import subprocess
import ssl
import unittest

import captures
import harness

COLUMNS = ("ja3", "ja3_full", "ja4", "ja4_r", "sni", "alpn")
HELLO = captures.client_hello()
WIRE = captures.records(HELLO)


def shared_data():
    for folder in (os.environ.get("WEIR_SHARED_DATA"),
                   os.path.join(harness.ROOT, "..", "shared", "data"),
                   os.path.join(harness.ROOT, "..", "..", "shared", "data")):
        if folder and os.path.isdir(folder):
            return folder
    return None


def golden(name):
    path = os.path.join(shared_data() or "", name)
    if not os.path.exists(path):
        raise unittest.SkipTest(f"no {name}: set WEIR_SHARED_DATA")
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


class Case(harness.WeirCase):
    START_WEIR = False

    def weir_command(self, *arguments, given=b""):
        done = subprocess.run([harness.BINARY, *arguments], input=given, timeout=120,
                              cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              check=False)
        self.assertIsNone(harness.COMPLAINTS.search(done.stderr.decode()), done.stderr.decode())
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def fingerprint(self, *arguments, given=b""):
        return self.weir_command("fingerprint", *arguments, given=given)

    def answers(self, lines, command=("fingerprint",)):
        """What is answered to these objects, or raw lines, one each."""
        given = b"".join(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n"
                         for line in lines)
        code, out, err = self.weir_command(*command, "--json", "-", given=given)
        self.assertEqual((code, err), (0, ""))
        return [json.loads(line) for line in out.splitlines()]

    def write(self, name, data):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as out:
            out.write(data)
        return path

    def hellos(self, data, code=0, name="some.pcap"):
        """The hellos of a capture, and what was said about it."""
        got, out, err = self.fingerprint("--json", self.write(name, data))
        self.assertEqual(got, code, out + err)
        return [json.loads(line) for line in out.splitlines()], err


class Golden(Case):
    def compare(self, expected, got, columns):
        wrong = [(key, expected.get("source") or expected["pcap"], got.get(key), expected[key])
                 for key in columns if got.get(key) != expected[key]]
        self.assertEqual(wrong, [], got.get("error"))

    def test_hellos(self):
        """The last ClientHello of every capture, as JSON Lines."""
        rows = [row for row in golden("mitmengine/pcap_golden.jsonl") if "client_hello_hex" in row]
        answers = self.answers([{"client_hello": row["client_hello_hex"]} for row in rows])
        self.assertEqual(len(answers), len(rows))
        self.assertGreater(len(rows), 700)
        for row, answer in zip(rows, answers):
            self.compare(row, answer, COLUMNS)
            # The reference fails on hellos without extensions, but has them as first ones.
            self.assertEqual(answer["request_fingerprint"],
                             row["request_fingerprint"] or row["first_hello_fingerprint"])

    def test_captures(self):
        """The same through the capture files, all in one run; and their first ClientHello."""
        rows = [row for row in golden("mitmengine/pcap_golden.jsonl") if row["pcap"]]
        folder = os.path.join(shared_data(), "mitmengine")
        found = {}
        for at in range(0, len(rows), 200):
            part = [os.path.join(folder, row["pcap"]) for row in rows[at:at + 200]]
            _, out, err = self.fingerprint("--json", *part)
            self.assertEqual(err, "")
            for line in out.splitlines():
                hello = json.loads(line)
                found.setdefault(hello["file"], []).append(hello)
        self.assertGreater(len(rows), 700)
        for row in rows:
            hellos = found[os.path.join(folder, row["pcap"])]
            self.assertEqual(len(hellos), row["hello_packets"], row["pcap"])
            if "client_hello_hex" in row:
                self.compare(row, hellos[-1], COLUMNS)
            else:
                self.assertIn("SSLv2", hellos[-1]["error"])
            if row["request_fingerprint"]:
                self.compare(row, hellos[-1], ["request_fingerprint"])
            first = next((one for one in hellos if "error" not in one), {})
            self.assertEqual(first.get("request_fingerprint"), row["first_hello_fingerprint"])

    def test_ja4(self):
        """The vectors of JA4's own implementation."""
        rows = golden("ja4/ja4_golden.jsonl")
        answers = self.answers([{"client_hello": row["client_hello"]} for row in rows])
        self.assertEqual(len(answers), len(rows))
        for row, answer in zip(rows, answers):
            self.compare(row, answer, ("ja3", "ja3_full", "ja4", "ja4_r", "sni"))


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


class Lines(Case):
    def test_columns(self):
        """Other columns come back as they were written and in order; results are added."""
        line = ('{"z" : 1.10, "client_hello":"%s", "a":[1,{"b":"}\\u00e9"}], "n":123456789012345678901'
                ', "ja3": "old"}\n' % HELLO.hex())
        _, out, _ = self.fingerprint("--json", "-", given=line.encode())
        self.assertTrue(out.startswith('{"z":1.10,"client_hello":"%s","a":[1,{"b":"}\\u00e9"}],'
                                       '"n":123456789012345678901,"ja3":"' % HELLO.hex()), out)
        answer = json.loads(out)
        self.assertNotEqual(answer["ja3"], "old")
        self.assertEqual(list(answer), ["z", "client_hello", "a", "n", *COLUMNS,
                                        "request_fingerprint"])
        self.assertEqual(answer["sni"], "example.com")
        self.assertEqual(answer["alpn"], ["h2", "http/1.1"])
        self.assertEqual(answer["ja3_full"], "771,4865-49199,0-10-11-16,29-23,0")
        self.assertEqual(answer["request_fingerprint"], "303:1301,c02f:0,a,b,10:1d,17:0::")

    def test_forms(self):
        """Message, records, many records, upper case and separators are the same hello."""
        plain = self.answers([{"client_hello": HELLO.hex()}])[0]["ja4"]
        for form in (WIRE.hex(), captures.records(HELLO, 7).hex(), HELLO.hex().upper(),
                     HELLO.hex(":"), HELLO.hex(" ") + "\n"):
            self.assertEqual(self.answers([{"client_hello": form}])[0].get("ja4"), plain, form)

    def test_absent(self):
        """No SNI is null, no ALPN an empty list; ALPN names may be any bytes."""
        bare, odd = self.answers([
            {"client_hello": captures.client_hello(None, ()).hex()},
            {"client_hello": captures.client_hello(alpn=(b"\xff\0\"", "é".encode())).hex()}])
        self.assertIsNone(bare["sni"])
        self.assertEqual(bare["alpn"], [])
        self.assertEqual(odd["alpn"], ["\xff\0\"", "é"])

    def test_errors(self):
        """A line that cannot be answered says why, and the next one is answered."""
        cases = (
            (b"nonsense\n", r"^line 1, byte \d+: "),
            (b'{"client_hello":"\xff"}\n', r"^line 2, byte \d+: .*UTF-8|^line 2, byte \d+: unable"),
            (b"\n", r"^line 3, byte 0: "),
            (b"[1]\n", r"^line 4: an object expected$"),
            ({"a": 1}, r"^client_hello: missing; a string expected$"),
            ({"client_hello": 5}, r"^client_hello: a string expected$"),
            ({"client_hello": "01gg"}, r'^client_hello: column 3: .* expected, found "g"$'),
            ({"client_hello": "012"}, r"^client_hello: column 4: .* but the text ends$"),
            ({"client_hello": ""}, r"^client_hello: no bytes"),
            ({"client_hello": "99"}, r"^client_hello: byte 0 is 0x99"),
            ({"client_hello": HELLO[:60].hex()}, r"^client_hello: length is malformed at byte 1 "),
            ({"client_hello": WIRE[:60].hex()}, r"^client_hello: .* cut short at byte 60: at least "),
            ({"client_hello": "1603010004020000"}, r"msg_type is malformed at byte 5 of the TLS"),
            ({"client_hello": captures.sslv2_hello().hex()}, r"SSLv2-format"),
            (b'{"client_hello":"' + b"00" * 600000 + b'"}\n', r"^line 15: longer than \d+ bytes$"),
            (b'{"a":1,"a":2}\n', r"duplicate"),
            (b"[" * 5000 + b"\n", r"^line 17, byte \d+: "),
            (b'{"client_hello":"01"', r"^line 18, byte \d+: "))
        answers = self.answers([line for line, _ in cases[:-1]] +
                               [{"client_hello": HELLO.hex()}, cases[-1][0]])
        self.assertEqual(len(answers), len(cases) + 1)
        self.assertIn("ja4", answers.pop(-2))
        for (line, pattern), answer in zip(cases, answers):
            with self.subTest(line=str(line)[:80]):
                self.assertRegex(answer["error"], pattern.replace("line 18", "line 19"))
                self.assertNotIn("ja4", answer)
        self.assertEqual(answers[4]["a"], 1)

    def test_in_step(self):
        """A program that asks line by line gets each answer before it asks again."""
        with subprocess.Popen([harness.BINARY, "fingerprint", "--json", "-"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE) as weir:
            for line in (b"\n", json.dumps({"client_hello": HELLO.hex()}).encode() + b"\n", b"x\n"):
                weir.stdin.write(line)
                weir.stdin.flush()
                ready, _, _ = select.select([weir.stdout], [], [], harness.WAIT_S)
                self.assertTrue(ready, "no answer")
                json.loads(weir.stdout.readline())
            weir.stdin.close()
            self.assertEqual(weir.wait(harness.WAIT_S), 0)


class Captures(Case):
    def test_formats(self):
        """Both formats, byte orders, resolutions, link types, VLAN tags, both IPs."""
        wanted = self.answers([{"client_hello": HELLO.hex()}])[0]["ja4"]
        time = "2023-11-14T22:13:20.123456Z"
        cases = {
            "little": (captures.pcap(captures.connection(WIRE)), 2, time),
            "big": (captures.pcap(captures.connection(WIRE), order=">"), 2, time),
            "nanoseconds": (captures.pcap(captures.connection(WIRE), nanoseconds=True), 2, time),
            "pcapng": (captures.pcapng(captures.connection(WIRE)), 2, time),
            "pcapng big": (captures.pcapng(captures.connection(WIRE), order=">"), 2, time),
            "vlan": (captures.pcap([captures.link(captures.ipv4(captures.tcp(WIRE)),
                                                  tags=(0x88a8, 0x8100))]), 1, time),
            "ip options": (captures.pcap([captures.link(
                captures.ipv4(captures.tcp(WIRE), options=bytes(8)))]), 1, time),
            "ipv6": (captures.pcap(captures.connection(WIRE, ip=captures.ipv6)), 2, time),
            "ipv6 extensions": (captures.pcap([captures.link(captures.ipv6(captures.tcp(WIRE), (
                (0, b"\0" + bytes(6)), (43, b"\1" + bytes(14)), (44, bytes(7)),
                (51, b"\4" + bytes(22)), (60, b"\0" + bytes(6)))))]), 1, time),
            "simple block": (captures.section() + captures.interface() + captures.simple(
                captures.link(captures.ipv4(captures.tcp(WIRE)))), 1, None),
            "resolution and offset": (
                captures.section() + captures.interface(options=captures.option(9, b"\x83") +
                                                        captures.option(14, b"\1" + bytes(7))) +
                captures.block(4, bytes(40)) + captures.enhanced(
                    captures.link(captures.ipv4(captures.tcp(WIRE))), ticks=12),
                1, "1970-01-01T00:00:02.500000Z"),
        }
        for kind in (captures.RAW, captures.LOOP, captures.NULL, captures.SLL, captures.SLL2):
            for ip in (captures.ipv4, captures.ipv6):
                cases[f"link type {kind} {ip.__name__}"] = (
                    captures.pcap(captures.connection(WIRE, kind=kind, ip=ip), kind), 2, time)
        for name, (data, packet, when) in cases.items():
            with self.subTest(name):
                hellos, err = self.hellos(data)
                self.assertEqual([one.get("ja4") for one in hellos], [wanted])
                self.assertEqual((hellos[0]["packet"], hellos[0].get("time"), err),
                                 (packet, when, ""))
                is_v6 = "ipv6" in name
                self.assertEqual(hellos[0]["client"],
                                 "[2001:db8::1]:40000" if is_v6 else "192.0.2.1:40000")
                self.assertEqual(hellos[0]["server"],
                                 "[2001:db8::2]:443" if is_v6 else "192.0.2.2:443")

    def test_streams(self):
        """Split, reordered, sent twice, over the end of the sequence numbers, without a SYN, behind
        a CONNECT request that is there or missing, and many at a time."""
        big = captures.records(captures.client_hello(pad=20000), 5000)
        connect = b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n"
        split = captures.connection(WIRE, [1, 4, 20, 900])
        whole = captures.connection(connect + WIRE, [len(connect), len(WIRE)])
        retry = captures.connection(WIRE + b"\x14\3\3\0\1\1" + WIRE, [len(WIRE), 900])
        many = [captures.connection(WIRE, [50, 900], ports=(40000 + i, 443)) for i in range(50)]
        cases = {
            "bytes": (captures.connection(WIRE, [1] * len(WIRE)), 1),
            "reordered": ([split[0], *reversed(split[1:])], 1),
            "syn last but one": ([split[0], split[2], split[4], split[3], split[1]], 1),
            "twice": (split + split, 1),
            "wrapped": (captures.connection(WIRE, [50, 900], seq=2**32 - 30), 1),
            "no syn": (captures.connection(WIRE, [50, 900], syn=False), 1),
            "connect": (whole, 1),
            "connect missing": ([whole[0], whole[2]], 1),
            "two hellos": (retry, 2),
            "big": (captures.connection(big, [1400] * (len(big) // 1400 + 1)), 1),
            "big backwards": (captures.connection(big, [1400] * 5)[:1] + list(reversed(
                captures.connection(big, [1400] * (len(big) // 1400 + 1))[1:])), 1),
            "same ports again": (captures.connection(WIRE) + captures.connection(WIRE, seq=9), 2),
            "many": ([packet for step in zip(*many) for packet in step], 50)}
        for name, (packets, count) in cases.items():
            with self.subTest(name):
                hellos, err = self.hellos(captures.pcap(packets))
                self.assertEqual(["error" in one for one in hellos], [False] * count, hellos)
                self.assertEqual(err, "")

    def test_overlap(self):
        """Where segments overlap, the one that came first counts."""
        liar = WIRE.replace(b"example.com", b"example.org")
        first = captures.link(captures.ipv4(captures.tcp(WIRE[50:], 1051)))
        packets = captures.connection(WIRE)[:1] + [
            first, captures.link(captures.ipv4(captures.tcp(liar, 1001)))]
        hellos, _ = self.hellos(captures.pcap(packets))
        self.assertEqual(hellos[0]["sni"], "example.com")

    def test_broken_hellos(self):
        """What is no good hello is named as what it is; other connections are passed over."""
        bad = bytearray(WIRE)
        bad[5 + 4 + 2 + 32] = 33  # the session id's length
        http = captures.connection(b"GET / HTTP/1.1\r\n\r\n" * 10, ports=(50000, 80))
        cases = {
            "cut short at byte 60": captures.connection(WIRE, [60]),
            "session_id is malformed at byte 38": captures.connection(bytes(bad)),
            "SSLv2-format ClientHello (version 301)": captures.connection(captures.sslv2_hello(),
                                                                        [1, 1, 60])}
        for words, packets in cases.items():
            with self.subTest(words):
                hellos, _ = self.hellos(captures.pcap(http + packets), code=1)
                self.assertEqual(len(hellos), 1)
                self.assertIn(words, hellos[0]["error"])

    def test_passed_over(self):
        """Fragments, unknown links and the like are counted; what is left is read."""
        cases = {
            "1 IP fragments": captures.pcap([captures.link(captures.ipv4(
                captures.tcp(WIRE), fragment=0x2000)), *captures.connection(WIRE)]),
            "2 malformed packets": captures.pcap([b"\0" * 13, captures.link(
                b"\x41" + bytes(40)), *captures.connection(WIRE)]),
            "1 packets of an unknown link type": (
                captures.section() + captures.interface(9) + captures.interface() +
                captures.enhanced(b"12345678") + captures.enhanced(
                    captures.link(captures.ipv4(captures.tcp(WIRE))), number=1)),
            "1 ends of TCP segments": captures.pcap(
                captures.connection(WIRE) + captures.connection(bytes(5000), ports=(1, 2))[1:],
                cut=300)}
        for words, data in cases.items():
            with self.subTest(words):
                hellos, err = self.hellos(data)
                self.assertEqual(len(hellos), 1)
                self.assertIn("passed over: " + words, err)

    def test_faults(self):
        """A file that is not what it should be: which byte, and what was expected there. What came
        before the fault is answered."""
        good = captures.pcap(captures.connection(WIRE))
        ng = captures.pcapng(captures.connection(WIRE))
        cases = (
            (good[:20], 0, "byte 20: the capture ends in the middle of its header: 4 bytes missing"),
            (good[:-3], 0, f"byte {len(good) - 3}: the capture ends in the middle of a packet: 3 "),
            (good + b"\0" * 7, 1, f"byte {len(good) + 7}: the capture ends in the middle of a packet's"),
            (good + b"\xff" * 16, 1, f"byte {len(good) + 8}: a packet of 4294967295 bytes"),
            (ng[:10], 0, "byte 10: the capture ends in the middle of a section header"),
            (ng[:8] + b"1234" + ng[12:], 0, "byte 8: the byte-order magic 1a2b3c4d expected"),
            (ng + captures.block(9, b"")[:-1], 1, "the capture ends in the middle of a block"),
            (ng + captures.block(1, b""), 1, "an interface block of 12 bytes is too short"),
            (ng + b"\6\0\0\0\2\0\0\0", 1, f"byte {len(ng) + 4}: a block of type 6 cannot be 2 bytes"),
            (ng[:-4] + b"\0\0\0\0", 0, f"byte {len(ng) - 4}: the block's length"),
            (captures.section() + captures.enhanced(b"1234"), 0, "a packet of interface 0, which no"),
            (captures.pcap([]), 0, "no ClientHello in this capture"))
        for data, count, words in cases:
            with self.subTest(words):
                hellos, err = self.hellos(data, code=1)
                self.assertEqual(len(hellos), count)
                self.assertIn("weir fingerprint: ", err)
                self.assertIn("some.pcap: ", err)
                self.assertIn(words, err)


class Commands(Case):
    def test_text(self):
        """A block a hello, from a capture, from bytes, from hex; nothing raw of the peer's."""
        path = self.write("x.pcap", captures.pcap(captures.connection(WIRE) * 1))
        code, out, _ = self.fingerprint(path)
        self.assertEqual(code, 0)
        self.assertRegex(out, r"^hello 1, \S+x\.pcap, packet 2, 2023-\S+Z, 192\.0\.2\.1:40000 -> "
                              r"192\.0\.2\.2:443:\n  sni +example\.com\n  alpn +h2, http/1\.1\n  ja4 ")
        code, by_hex, _ = self.fingerprint("--hex", HELLO.hex(" "))
        self.assertEqual((code, by_hex.split("\n", 1)[1]), (0, out.split("\n", 1)[1]))
        for data in (WIRE, HELLO, WIRE + b"\x17\3\3\0\0"):
            code, by_bytes, _ = self.fingerprint(self.write("hello.bin", data))
            self.assertEqual((code, by_bytes.split("\n", 1)[1]), (0, out.split("\n", 1)[1]))
        _, out, _ = self.fingerprint("--hex", captures.client_hello(alpn=(b"\x1b[31m",)).hex())
        self.assertIn(r"\u001b[31m", out)
        self.assertNotIn("\x1b", out)

    def test_several(self):
        """Several files are one run; one that fails does not stop the others."""
        good = self.write("good.pcap", captures.pcap(captures.connection(WIRE)))
        code, out, err = self.fingerprint("--json", "absent.pcap", good, good)
        self.assertEqual((code, len(out.splitlines())), (1, 2))
        self.assertIn("absent.pcap: No such file", err)

    def test_standard_input(self):
        """What "-" is is told by its bytes."""
        for data in (WIRE, HELLO, captures.pcap(captures.connection(WIRE)),
                     captures.pcapng(captures.connection(WIRE)),
                     json.dumps({"client_hello": HELLO.hex()}).encode()):
            for options in ((), ("--json",)):
                code, out, err = self.fingerprint(*options, "-", given=data)
                self.assertEqual((code, err), (0, ""), out)
                self.assertIn("771,4865-49199,0-10-11-16,29-23,0", out)

    def test_statuses(self):
        """Wrong words end with 64, bad input with 1, and say what was expected."""
        bad = self.write("bad.bin", b"hello")
        for arguments, status, words in (
                ((), 64, "one of FILE, --hex TEXT and --live ADDRESS"),
                (("--hex", "01", bad), 64, "one of FILE"),
                (("--count", "1", bad), 64, "need --live"),
                (("--live", "127.0.0.1:1", "--count", "0"), 64, "a number from 1 to"),
                (("--live", "localhost:1"), 64, "an address like 127.0.0.1:8443"),
                (("--live", "127.0.0.1:70000"), 64, "an address like"),
                (("--live", "192.0.2.1:8443"), 73, "Cannot assign"),
                (("--hex", "0x"), 1, 'column 2: a hexadecimal digit expected, found "x"'),
                ((bad,), 1, "byte 0 is 0x68: a TLS record (0x16) or a ClientHello (0x01) expected"),
                ((self.folder,), 1, "Is a directory"),
                (("-",), 1, "standard input: no bytes")):
            with self.subTest(arguments=arguments):
                code, _, err = self.fingerprint(*arguments)
                self.assertEqual(code, status, err)
                self.assertIn(words, err)

    def test_help(self):
        """The help has examples, and the overview names the command."""
        code, out, _ = self.fingerprint("--help")
        self.assertEqual(code, 0)
        self.assertIn("Example:\n  weir fingerprint capture.pcapng\n", out)
        done = harness.run([harness.BINARY, "help"], timeout=30, cwd=self.folder)
        self.assertIn(b"  fingerprint ", done.stdout)

    def test_output_gone(self):
        """Output that cannot be written is an error."""
        with open("/dev/full", "wb") as full:
            done = subprocess.run([harness.BINARY, "fingerprint", "--hex", HELLO.hex()],
                                  stdout=full, stderr=subprocess.PIPE, timeout=30, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"the output cannot be written", done.stderr)


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


class Live(Case):
    def start(self, *arguments):
        weir = subprocess.Popen([harness.BINARY, "fingerprint", "--json", "--live", "127.0.0.1:0",
                                 *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(self.stop, weir)
        line = weir.stderr.readline().decode()
        self.assertRegex(line, r"listening on 127\.0\.0\.1:\d+\n")
        return weir, int(line.rsplit(":", 1)[1])

    @staticmethod
    def stop(weir):
        if weir.poll() is None:
            weir.send_signal(signal.SIGTERM)
        weir.communicate(timeout=harness.WAIT_S)

    def test_real_client(self):
        """A real client is shown, and hears an alert."""
        weir, port = self.start("--count", "1")
        context = ssl.create_default_context()
        context.set_alpn_protocols(["h2", "x"])
        with socket.create_connection(("127.0.0.1", port), harness.WAIT_S) as client:
            with self.assertRaises(ssl.SSLError) as raised:
                context.wrap_socket(client, server_hostname="live.example")
            self.assertIn("HANDSHAKE_FAILURE", raised.exception.reason)
        out, _ = weir.communicate(timeout=harness.WAIT_S)
        hello = json.loads(out)
        self.assertEqual((weir.returncode, hello["sni"], hello["alpn"]),
                         (0, "live.example", ["h2", "x"]))
        self.assertRegex(hello["client"], r"^127\.0\.0\.1:\d+$")
        self.assertEqual(hello["server"], f"127.0.0.1:{port}")

    def test_slow_clients(self):
        """A client that sends a byte at a time, or nothing, holds nobody up."""
        weir, port = self.start("--count", "3", "--serve")
        silent = socket.create_connection(("127.0.0.1", port))
        slow = socket.create_connection(("127.0.0.1", port))
        quick = socket.create_connection(("127.0.0.1", port))
        for byte in WIRE[:-1]:
            slow.send(bytes([byte]))
        quick.sendall(WIRE)
        self.assertEqual(json.loads(weir.stdout.readline())["sni"], "example.com")
        quick.settimeout(harness.WAIT_S)
        self.assertEqual(quick.recv(100), b"", "--serve answered")
        slow.send(WIRE[-1:])
        self.assertEqual(json.loads(weir.stdout.readline())["sni"], "example.com")
        silent.close()
        self.assertIn("no bytes", json.loads(weir.stdout.readline())["error"])
        self.assertEqual(weir.wait(harness.WAIT_S), 1)
        for client in (slow, quick):
            client.close()

    def test_time_bound(self):
        """--seconds ends it."""
        weir, _ = self.start("--seconds", "1")
        self.assertEqual(weir.wait(harness.WAIT_S), 0)

    def test_taken_port(self):
        """A port that is taken: 73."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            code, _, err = self.fingerprint("--live", "127.0.0.1:%d" % taken.getsockname()[1])
        self.assertEqual(code, harness.EXIT_CANTCREAT)
        self.assertIn("Address already in use", err)


if __name__ == "__main__":
    harness.main()
