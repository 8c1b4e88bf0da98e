# SPDX-License-Identifier: Apache-2.0
"""Broken ClientHellos, more than two thousand, each judged by a second opinion too
(hello_reference.py): the alert on the wire, and the field and place in the log, must be what that
says. Those that are well formed all the same are weir's and the TLS library's to answer, never the
origin's.

WEIR_GARBAGE_SEED=N breaks them in other ways; WEIR_GARBAGE_COUNT=N makes it more of them."""
import collections
import copy
import os
import random
import re
import socket
import ssl
import struct
import time

import harness
import hello
import hello_reference
import origins

SEED = int(os.environ.get("WEIR_GARBAGE_SEED", "1"))
COUNT = int(os.environ.get("WEIR_GARBAGE_COUNT", "1000"))
# Of a second thousand: the log's rings are written for the first time, half a KiB a line, 2 MiB in
# all; a buffer of 4 KiB that is lost in every second visit would be as much in a thousand.
MEMORY_MAX = 3 << 19

# What the TLS library answers to a hello that weir could read and it will not have. Nothing else: an
# internal_error (80), say, would be a fault of ours.
LIBRARY_ALERTS = {
    10: "unexpected_message", 40: "handshake_failure", 47: "illegal_parameter",
    50: "decode_error", 70: "protocol_version", 109: "missing_extension",
    110: "unsupported_extension",  # of QUIC (RFC 9001 8.2)
    112: "unrecognized_name",
}

# Of some of them it is known which. RFC 8446 where nothing else is said.
MODERN = "^(browser|plain|resuming): "
EXPECTED = {
    MODERN + r"compressions b'(\\x00\\x00|\\x01\\x00)'$": {47},  # 4.1.2
    MODERN + "without 51$": {109},  # 9.2
    MODERN + "(suites of 2|no block|an empty block)$": {40},  # 4.1.1
    "^resuming: 128 extensions$": {47},  # 4.2.11: pre_shared_key must be the last
    "^resuming: without 45$": {109},  # 4.2.9
    "^older: version 030[0-2]$": {70},  # 4.2.1
    "^(browser|plain|resuming|older): (0 empty|names \\[\\]|names .*, .*)$": {50},  # RFC 6066 3
    "^(browser|plain|resuming|older): (names \\[b''\\]|a name of type 1)$": {112},  # RFC 6066 3
    # 9.2 wants missing_extension (109), which the library of 2022 does not say here.
    MODERN + "without 10$": {40, 109},
}

NAME = b"origin.test"
P256_POINT = bytes.fromhex(  # the generator: a valid key share
    "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5")


# ---- hellos as values ----

def vector(size, data):
    return len(data).to_bytes(size, "big") + data


def numbers(*values):
    return b"".join(struct.pack("!H", value) for value in values)


class Message:
    """A ClientHello by its fields; whole() has the right lengths, whatever the fields hold."""

    def __init__(self, rng, suites, extensions, version=0x0303, session=32):
        self.version = version
        self.random = rng.randbytes(32)
        self.session_id = rng.randbytes(session)
        self.suites = suites
        self.compressions = b"\x00"
        self.extensions = extensions  # [type, body]; None: not even the block's length

    def block(self):
        if self.extensions is None:
            return b""
        return vector(2, b"".join(struct.pack("!H", kind) + vector(2, body)
                                  for kind, body in self.extensions))

    def whole(self):
        body = (struct.pack("!H", self.version) + self.random + vector(1, self.session_id)
                + vector(2, self.suites) + vector(1, self.compressions) + self.block())
        return b"\x01" + vector(3, body)

    def changed(self, **fields):
        other = copy.deepcopy(self)
        vars(other).update(fields)
        return other

    def body(self, kind):
        return next(body for one, body in self.extensions if one == kind)

    def with_body(self, kind, body):
        return self.changed(extensions=[[one, body if one == kind else old]
                                        for one, old in self.extensions])


def sni(name):
    return [0, vector(2, b"\x00" + vector(2, name))]


def bases(rng):
    """Hellos of which nothing is wrong, of five kinds of client; but what the last one offers, with
    no group, is not enough for weir."""
    algorithms = [13, vector(2, numbers(0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806))]
    groups = [10, vector(2, numbers(0x1a1a, 29, 23, 24))]
    share = numbers(0x1a1a) + vector(2, b"\x00") + numbers(29) + vector(2, rng.randbytes(32))
    browser = Message(rng, numbers(0x2a2a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030), [
        [0x5a5a, b""], sni(NAME), [23, b""], [0xff01, b"\x00"], groups, [11, b"\x01\x00"], [35, b""],
        [16, vector(2, vector(1, b"h2") + vector(1, b"http/1.1"))], [5, b"\x01\x00\x00\x00\x00"],
        algorithms, [18, b""], [51, vector(2, share)], [45, b"\x01\x01"],
        [43, vector(1, numbers(0x4a4a, 0x0304, 0x0303))], [27, b"\x02\x00\x02"],
        [0x6a6a, b"\x00"], [21, bytes(150)]])
    plain = Message(rng, numbers(0x1302, 0x1303, 0x1301, 0xc02c, 0xc02b, 0x00ff), [
        sni(NAME), [11, b"\x03\x00\x01\x02"], [10, vector(2, numbers(23, 29))], [22, b""], [23, b""],
        algorithms, [43, vector(1, numbers(0x0304))], [45, b"\x01\x01"],
        [51, vector(2, numbers(23) + vector(2, P256_POINT)
                    + numbers(29) + vector(2, rng.randbytes(32)))]])
    resuming = plain.changed(extensions=plain.extensions + [
        [42, b""], [41, vector(2, vector(2, rng.randbytes(100)) + rng.randbytes(4))
                    + vector(2, vector(1, rng.randbytes(32)))]])
    older = Message(rng, numbers(0xc02b, 0xc02f, 0xcca9, 0x009c, 0x00ff), [
        sni(NAME), [10, vector(2, numbers(29, 23))], [11, b"\x01\x00"], algorithms,
        [16, vector(2, vector(1, b"http/1.1"))]], session=0)
    bare = Message(rng, numbers(0xc02f, 0xc02b, 0x009c), None, session=0)
    return {"browser": browser, "plain": plain, "resuming": resuming, "older": older, "bare": bare}


# ---- ways to break them: each yields (name, the wire's bytes or a Message) ----

def record(content, kind=22, version=0x0301):
    return bytes([kind]) + struct.pack("!HH", version, len(content)) + content


def put(data, at, new):
    return data[:at] + new + data[at + len(new):]


def cuts(base, message, rng):
    """The end of the client's bytes, or of the message alone, at each boundary."""
    for at in sorted(set(hello_reference.read_message(message).starts)):
        yield f"{base}: ends at {at}", record(message)[:at + 5]
        if at >= 4:
            yield f"{base}: cut at {at}", record(b"\x01" + vector(3, message[4:at]))


def lengths(base, message, rng):
    """Every length one too small, one too large, and somehow else; the others stay."""
    for at, size in [(-2, 2)] + hello_reference.read_message(message).lengths:
        whole = record(message)
        old = int.from_bytes(whole[at + 5:at + 5 + size], "big")
        other = rng.choice([0, (1 << 8 * size) - 1, rng.randrange(1 << 8 * size)])
        for new in (old - 1, old + 1, other):
            if 0 <= new < 1 << 8 * size:
                yield (f"{base}: length at {at} {old} -> {new}",
                       put(whole, at + 5, new.to_bytes(size, "big")))


def fields(base, message, rng):
    """Values that the lengths around them agree with."""
    for session in (31, 33, 64, 255):
        yield f"{base}: session_id of {session}", message.changed(session_id=bytes(session))
    for suites in (b"", b"\x13", message.suites + b"\x00", message.suites * 200, numbers(0x1a1a)):
        yield f"{base}: suites of {len(suites)}", message.changed(suites=suites)
    for methods in (b"", b"\x01", b"\x00\x00", b"\x01\x00", bytes(range(255, 0, -1))):
        yield f"{base}: compressions {methods[:4]}", message.changed(compressions=methods)
    for version in (0, 0x0002, 0x0200, 0x0300, 0x0301, 0x0302, 0x0304, 0x0305, 0xfeff, 0xffff):
        yield f"{base}: version {version:04x}", message.changed(version=version)
    yield f"{base}: no block", message.changed(extensions=None)
    yield f"{base}: an empty block", message.changed(extensions=[])


def extensions(base, message, rng):
    """Extensions twice, missing, in another order, with each other's bodies, with too much or too
    little in them, and too many of them."""
    all_of = message.extensions
    for number, (kind, body) in enumerate(all_of):
        rest = all_of[:number] + all_of[number + 1:]
        yield f"{base}: {kind} twice", message.changed(extensions=all_of + [[kind, body]])
        yield f"{base}: {kind} twice at once", message.changed(
            extensions=all_of[:number] + [[kind, b"\x00"]] + all_of[number:])
        yield f"{base}: without {kind}", message.changed(extensions=rest)
        yield f"{base}: {kind} with a byte more", message.with_body(kind, body + b"\x00")
        yield f"{base}: {kind} with a byte less", message.with_body(kind, body[:-1])
        yield f"{base}: {kind} empty", message.with_body(kind, b"")
        other = rng.choice(all_of)
        yield f"{base}: {kind} has the body of {other[0]}", message.with_body(kind, other[1])
    for _ in range(3):
        yield f"{base}: in another order", message.changed(
            extensions=rng.sample(all_of, len(all_of)))
    for count in (128, 129, 300):
        more = [[0x7000 + i, b""] for i in range(count - len(all_of))]
        yield f"{base}: {count} extensions", message.changed(extensions=all_of + more)


def lists(base, message, rng):
    """Lists that are empty, odd, short, or full, behind lengths that agree."""
    for kind, size in ((10, 2), (13, 2), (11, 1), (43, 1), (16, 2), (51, 2)):
        if kind not in [one for one, _ in message.extensions]:
            continue
        items = message.body(kind)[size:]
        most = 255 if size == 1 else 4000
        for new in (b"", items[:1], items[:-1], items + b"\x1a", (items * 2000)[:most],
                    (items * 2000)[:most - 1], rng.randbytes(len(items)), items[::-1]):
            yield f"{base}: list of {kind} {len(items)} -> {len(new)}", message.with_body(
                kind, vector(size, new))
    for names in ([], [b""], [NAME, b"evil.test"], [NAME, NAME], [b"a" * 256], [b"\xff\x00."],
                  [b"127.0.0.1"], [b"other.origin.test"]):
        entries = b"".join(b"\x00" + vector(2, one) for one in names)
        yield f"{base}: names {names}", message.with_body(0, vector(2, entries))
    yield f"{base}: a name of type 1", message.with_body(0, vector(2, b"\x01" + vector(2, NAME)))
    for names in ([b""], [b"h2", b""], [b"x" * 255] * 20, [b"h3"]):
        yield f"{base}: protocols {len(names)}", message.changed(
            extensions=[one for one in message.extensions if one[0] != 16]
            + [[16, vector(2, b"".join(vector(1, one) for one in names))]])


def records(base, message, rng):
    """Records of other types and versions, empty, too long, and split anywhere."""
    yield f"{base}: nothing at all", b""
    for kind in list(range(19, 26)) + rng.sample(range(256), 12):
        yield f"{base}: first record of type {kind}", record(message, kind)
        at = rng.randrange(1, len(message))
        yield (f"{base}: second record of type {kind} behind {at}",
               record(message[:at]) + record(message[at:], kind))
    for version in (0, 0x0002, 0x0200, 0x0300, 0x0304, 0x0305, 0x037f, 0x03ff, 0x0400, 0xfeff, 0xffff):
        yield f"{base}: first record {version:04x}", record(message, version=version)
        at = rng.randrange(1, len(message))
        yield (f"{base}: second record {version:04x} behind {at}",
               record(message[:at]) + record(message[at:], version=version))
    empty = record(b"")
    for count in (1, 2):
        yield f"{base}: {count} empty records first", empty * count + record(message)
    for count in (1, 32, 33):
        at = rng.randrange(1, len(message))
        yield (f"{base}: {count} empty records behind {at}",
               record(message[:at]) + empty * count + record(message[at:]))
    for kind in (20, 21, 23):
        at = rng.randrange(1, len(message))
        yield (f"{base}: a record of type {kind} within, behind {at}",
               record(message[:at]) + record(b"\x01", kind) + record(message[at:]))
    for length in (1 << 14, (1 << 14) + 1, 0xffff):
        at = rng.randrange(0, len(message))
        first = record(message[:at]) if at else b""
        yield (f"{base}: a record of {length} behind {at}",
               first + b"\x16\x03\x01" + struct.pack("!H", length) + message[at:])
    for kind in list(range(0, 5)) + rng.sample(range(5, 256), 12):
        yield f"{base}: message of type {kind}", record(bytes([kind]) + message[1:])
    yield f"{base}: another message behind", record(message + b"\x14\x00\x00\x00")
    yield f"{base}: itself again behind", record(message) * 2
    yield f"{base}: a byte behind in another record", record(message) + record(b"\x00")
    size = 70000
    yield (f"{base}: a message of {size}",
           hello.records_of(b"\x01" + vector(3, message[4:] + bytes(size)), 6))
    for count in (2, 3, 10, 50, len(message)):
        yield f"{base}: whole in {count} records", hello.records_of(message, count)


def broken_on_purpose(rng):
    """All of the above for hellos of all kinds."""
    for base, message in bases(rng).items():
        for ways in (cuts, lengths, records):
            yield from ways(base, message.whole(), rng)
        for ways in (fields, extensions, lists) if message.extensions else (fields,):
            yield from ((name, record(one.whole())) for name, one in ways(base, message, rng))


def broken_by_chance(rng):
    """Endless: bits flipped, bytes put in, taken out, and written over, parts of one hello in another
    one; some of them split over records as well."""
    while True:
        all_of = bases(rng)
        base = rng.choice(list(all_of))
        message = bytearray(all_of[base].whole())
        name = f"{base}:"
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            at = rng.randrange(len(message))
            what = rng.choice(("flip", "flip", "flip", "insert", "remove", "write", "cross"))
            if what == "flip":
                message[at] ^= 1 << rng.randrange(8)
            elif what == "insert":
                message[at:at] = rng.randbytes(rng.randrange(1, 9))
            elif what == "remove":
                del message[at:at + rng.randrange(1, 9)]
            elif what == "write":
                message[at] = rng.choice((0, 1, 0x7f, 0x80, 0xff))
            else:
                other = all_of[rng.choice(list(all_of))].whole()
                start = rng.randrange(len(other))
                message[at:at + 40] = other[start:start + rng.randrange(1, 80)]
            name += f" {what} at {at}"
            if not message:
                break
        if rng.random() < 0.7 and len(message) > 4:  # so that what is within is looked at
            message[1:4] = (len(message) - 4).to_bytes(3, "big")
            name += ", length set right"
        data = hello.records_of(bytes(message), rng.choice((1, 1, 1, 2, 3, 20)))
        if rng.random() < 0.1 and data:
            at = rng.randrange(len(data))
            data = put(data, at, bytes([data[at] ^ 1 << rng.randrange(8)]))
            name += f", flip at {at} of the wire"
        yield name, data


def segments(data, rng):
    """The bytes in one to four pieces, now and then one by one at a place where it matters."""
    places = {rng.randrange(1, max(2, len(data))) for _ in range(rng.choice((0, 0, 0, 1, 2, 3)))}
    if rng.random() < 0.02:
        places |= set(range(1, 12))
    places = [0] + sorted(at for at in places if at < len(data)) + [len(data)]
    return [data[start:end] for start, end in zip(places, places[1:])]


class Origin(origins.Server):
    """TLS that keeps the bytes it sent, and answers a request behind it."""

    def __init__(self, context):
        self.tls = context
        self.sent = []
        super().__init__(self._talk)

    def _talk(self, sock):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.tls.wrap_bio(incoming, outgoing, server_side=True)
        step = tls.do_handshake
        while True:
            try:
                got = step()
                if step == tls.read and got == b"":
                    return
                if got:
                    tls.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\norigin")
                step = tls.read
                more = True
            except ssl.SSLWantReadError:
                more = False
            except ssl.SSLError:
                self._flush(sock, outgoing)
                return
            self._flush(sock, outgoing)
            if not more:
                data = sock.recv(65536)
                if not data:
                    return
                incoming.write(data)

    def _flush(self, sock, outgoing):
        data = outgoing.read()
        if data:
            self.sent.append(data)
            sock.sendall(data)


def is_server_hello(data):
    return len(data) > 43 and data[0] == 22 and data[5] == 2


class Garbage(harness.WeirCase):
    @classmethod
    def prepare(cls):
        cls.secure = Origin(origins.server_context(cls.certificate))
        cls.addClassCleanup(cls.secure.close)

    def visit(self, data, ends, rng):
        """One client: what came back to these bytes until the end or a first ServerHello, whether
        the connection ended cleanly, and the client's address as the log has it."""
        sock = self.tunnel(f"{NAME.decode()}:{self.secure.port}")
        address = "%s:%d" % sock.getsockname()
        try:
            for part in segments(data, rng):
                sock.sendall(part)
                if rng.random() < 0.5:
                    time.sleep(0.0005)  # lets weir read what there is: not a wait for anything
            if ends:
                sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # turned away meanwhile
        got, clean = b"", None
        try:
            while not is_server_hello(got):
                part = sock.recv(65536)
                if not part:
                    clean = True
                    break
                got += part
        except ConnectionResetError:
            clean = False
        sock.close()
        return got, clean, address

    def visit_all(self, rows, rng):
        """Every row's client, then every one's answer and line in the log against the verdict."""
        print(f"WEIR_GARBAGE_SEED={SEED}", flush=True)
        weir_means = [hello_reference.judge(data, frozenset(hello_reference.DIFFERENCES))
                      for _, data in rows]
        before = len(self.weir.records())
        visits = [self.visit(data, verdict.kind in ("not tls", "incomplete"), rng)
                  for (_, data), verdict in zip(rows, weir_means)]
        records = harness.wait_for("a line in the log for each client", lambda: (
            lambda new: len(new) >= len(visits) and new)(self.weir.records()[before:]))
        # A port may come again, but not before its first client's end is in the log.
        logged = collections.defaultdict(list)
        for record in records:
            logged[record.client].append(record)
        self.origin_randoms = {sent[11:43] for sent in self.secure.sent if is_server_hello(sent)}
        outcomes, differences = collections.Counter(), collections.Counter()
        for (name, data), verdict, (got, clean, address) in zip(rows, weir_means, visits):
            record = logged[address].pop(0)
            with self.subTest(hello=name, seed=SEED, bytes=data[:700].hex(), log=record):
                outcomes[self.check(name, verdict, got, clean, record)] += 1
            if hello_reference.judge(data) != verdict:
                differences.update(
                    one for one in hello_reference.DIFFERENCES
                    if hello_reference.judge(data, {one}) != hello_reference.judge(data))
        self.assertFalse(any(logged.values()), "a client with two ends")
        for what, count in sorted(outcomes.items()) + sorted(differences.items()):
            print(f"{count:5} {what}")
        return outcomes, differences

    def check_alert(self, got, clean, allowed):
        """Exactly one alert record of level fatal, then the end; returns the alert."""
        self.assertTrue(clean, f"no clean end behind {got!r}")
        self.assertRegex(got, re.compile(rb"\A\x15\x03[\x00-\x04]\x00\x02\x02.\Z", re.DOTALL))
        self.assertIn(got[6], allowed)
        return got[6]

    def check(self, name, verdict, got, clean, record):
        """What came back and what was logged, against what should have been."""
        if verdict.kind == "not tls":
            # Relayed as it is, and the origin's to judge.
            self.assertNotEqual(record.protocol, "tls")
            self.assertIn(got[:1], (b"", b"\x15"), got[:50])
            return "relayed"
        self.assertEqual((record.decision, record.protocol), ("intercept", "tls"))
        if verdict.kind == "incomplete":
            self.assertEqual((got, clean, record.close), (b"", True, "hello_bad"))
            self.assertEqual(record.fault, "the client ended in the middle of its ClientHello")
            return "incomplete"
        if verdict.kind == "bad":
            self.check_alert(got, clean, (verdict.alert,))
            self.assertEqual(record.fault,
                             f"ClientHello: bad {verdict.field} at byte {verdict.offset}")
            self.assertEqual((record.close, record.error), ("hello_bad", "tls_protocol_error"))
            return f"bad, alert {verdict.alert}"
        self.assertEqual(record.close, "client_tls_failed")
        return self.check_well_formed(name, got, clean, record)

    def check_well_formed(self, name, got, clean, record):
        refusal = re.match(r"TLS with the client failed: [a-z0-9 ]+; we answered ([a-z_]+) "
                           r"\((\d+)\)$", record.fault)
        if refusal:
            self.assertEqual(record.error, "tls_protocol_error")
            self.assertEqual(LIBRARY_ALERTS.get(int(refusal[2])), refusal[1])
        elif record.error == "tls_certificate_error":
            # Another name than the origin's: a page would say so. That was the first fault.
            self.assertNotEqual(record.sni, NAME.decode())
            self.assertIn(f" is not for {record.sni}", record.fault)
        else:
            self.assertTrue(is_server_hello(got), got[:50])
            self.assertEqual((record.error, record.fault), (
                None, "the client ended the connection during the TLS handshake"))
        expected = next((alert for pattern, alert in EXPECTED.items()
                         if re.search(pattern, name)), None)
        if is_server_hello(got):
            self.assertIsNone(expected)
            self.assertNotIn(got[11:43], self.origin_randoms, "the origin's own ServerHello")
            return "answered by weir, then refused" if refusal else "answered by weir"
        alert = self.check_alert(got, clean, expected or LIBRARY_ALERTS)
        self.assertEqual(int(refusal[2]) if refusal else alert, alert)
        return f"refused by the library, alert {alert}"

    def check_serves(self):
        self.assertEqual(self.get(self.tls(f"{NAME.decode()}:{self.secure.port}"), "/").body,
                         b"origin")

    def test_second_opinion(self):
        """The second opinion has nothing against whole hellos, OpenSSL's among them."""
        client = hello.ManualClient(None, harness.client_context(None, ["h2"]), NAME.decode())
        for wire in [client.hello] + [record(one.whole())
                                      for one in bases(random.Random(SEED)).values()]:
            for differences in ((), hello_reference.DIFFERENCES):
                self.assertEqual(hello_reference.judge(wire, differences).kind, "good")

    def test_broken_on_purpose(self):
        """Each boundary, length, list, extension, and kind of record of five hellos."""
        rng = random.Random(SEED)
        rows = list(broken_on_purpose(rng))
        rng.shuffle(rows)
        for pattern in EXPECTED:
            self.assertTrue(any(re.search(pattern, name) for name, _ in rows), pattern)
        outcomes, differences = self.visit_all(rows, rng)
        for alert in (10, 22, 47, 50, 70):
            self.assertGreater(outcomes[f"bad, alert {alert}"], 5)
        self.assertGreater(outcomes["answered by weir"], 100)
        self.assertEqual(set(differences), set(hello_reference.DIFFERENCES))
        self.check_serves()

    def test_broken_by_chance(self):
        """A thousand others; they cost no memory for a second time."""
        rng = random.Random(SEED)
        chance = broken_by_chance(rng)
        rows = [next(chance) for _ in range(COUNT)]
        self.visit_all(rows, rng)
        before = self.weir.private_bytes()
        self.visit_all(rows, rng)
        grown = self.weir.private_bytes() - before
        print(f"memory: {grown} bytes more")
        if not harness.SANITIZED:
            self.assertLess(grown, MEMORY_MAX)
        self.check_serves()


if __name__ == "__main__":
    harness.main()
