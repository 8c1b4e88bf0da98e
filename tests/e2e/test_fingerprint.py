# SPDX-License-Identifier: Apache-2.0
"""`weir fingerprint`: what it reads, what it says, how it fails, and that it agrees with reference
results."""
import json
import os
import select
import socket
import ssl
import subprocess

import captures
import harness
import tools_case

COLUMNS = ("ja3", "ja3_full", "ja4", "ja4_r", "sni", "alpn")
HELLO = captures.client_hello()
WIRE = captures.records(HELLO)


class Golden(tools_case.Case):
    def compare(self, expected, got, columns):
        wrong = [(key, expected.get("source") or expected["pcap"], got.get(key), expected[key])
                 for key in columns if got.get(key) != expected[key]]
        self.assertEqual(wrong, [], got.get("error"))

    def test_hellos(self):
        """The last ClientHello of every capture, as JSON Lines."""
        rows = [row for row in tools_case.golden("mitmengine/pcap_golden.jsonl") if "client_hello_hex" in row]
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
        rows = [row for row in tools_case.golden("mitmengine/pcap_golden.jsonl") if row["pcap"]]
        folder = os.path.join(tools_case.shared_data(), "mitmengine")
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
        rows = tools_case.golden("ja4/ja4_golden.jsonl")
        answers = self.answers([{"client_hello": row["client_hello"]} for row in rows])
        self.assertEqual(len(answers), len(rows))
        for row, answer in zip(rows, answers):
            self.compare(row, answer, ("ja3", "ja3_full", "ja4", "ja4_r", "sni"))


class Lines(tools_case.Case):
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


class Captures(tools_case.Case):
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
            "sections": (captures.pcapng([], captures.RAW) + captures.pcapng(
                captures.connection(WIRE), order=">"), 2, time),
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


class Commands(tools_case.Case):
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


class Live(tools_case.Case):
    def start(self, *arguments):
        return self.listening("fingerprint", [harness.BINARY, "fingerprint", "--json", "--live",
                                              "127.0.0.1:0", *arguments])

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
