# SPDX-License-Identifier: Apache-2.0
"""A second opinion on the first bytes of a TLS client, written from RFC 8446 5.1 (records) and 4.1.2
(ClientHello), with RFC 5246 7.4.1.2 where TLS 1.2 allows more, and the RFCs of the extensions below.

What is wrong is named by its field and by where it is, after three rules:
  bytes are missing          where the first of them would be
  a value is not allowed     where that value, or the length before it, begins
  bytes are left over        the first of them
The records are read first, in the order of the wire, then the message they carry, front to back. A
vector is first cut out of what it lies in, then its length is judged, then what lies in it.

DIFFERENCES are the places where weir means to judge otherwise; judge() knows both opinions."""
import dataclasses

DIFFERENCES = {
    "record version": "RFC 8446 5.1 has it ignored; weir, as TLS libraries do, takes a record whose "
                      "version does not begin with 3 for no TLS (behind the first: alert 70)",
    "empty records": "RFC 8446 5.1 forbids them; weir, as TLS libraries do, reads past 32 of them, "
                     "but none at the start, where they hide what the connection is",
    "message bound": "RFC 8446 4 allows 16 MiB; weir reads 64 KiB (illegal_parameter)",
    "extension bound": "RFC 8446 4.1.2 allows thousands; weir reads 128 (illegal_parameter)",
    "unusable names": "RFC 6066 3 wants one name of a known type; what becomes of a client without "
                      "one is policy first, and then the TLS library's to judge",
}

# RFC 8446 6.2
UNEXPECTED_MESSAGE, RECORD_OVERFLOW, ILLEGAL_PARAMETER, DECODE_ERROR = 10, 22, 47, 50
PROTOCOL_VERSION = 70

PLAINTEXT_MAX = 1 << 14  # RFC 8446 5.1
MESSAGE_MAX = 1 << 16


@dataclasses.dataclass
class Verdict:
    """`kind`: "not tls" (no TLS handshake begins like this), "incomplete", "bad" or "good"."""
    kind: str
    field: str = ""
    offset: int = 0  # in the bytes of the wire, or of the message where the message is at fault
    alert: int = 0
    why: str = ""
    message: bytes = b""  # the ClientHello, once its records are whole


@dataclasses.dataclass
class Parts:
    """Where the fields of a message are, for whoever wants to break them."""
    differences: frozenset = frozenset()
    starts: list = dataclasses.field(default_factory=list)  # each field's first byte
    lengths: list = dataclasses.field(default_factory=list)  # (offset, size) of each length


class Fault(Exception):
    def __init__(self, field, offset, alert, why):
        super().__init__(f"{field} at {offset}: {why}")
        self.verdict = Verdict("bad", field, offset, alert, why)


class Reader:
    """data[at:end], in the name of one field."""

    def __init__(self, data, at, end, field, parts):
        self.data, self.at, self.end = data, at, end
        self.field, self.parts = field, parts

    def fail(self, at, why, alert=DECODE_ERROR):
        raise Fault(self.field, at, alert, why)

    def take(self, count):
        if self.end - self.at < count:
            self.fail(self.at, "bytes are missing")
        self.parts.starts.append(self.at)
        self.at += count
        return self.data[self.at - count:self.at]

    def number(self, size):
        return int.from_bytes(self.take(size), "big")

    def vector(self, size, least=0, unit=1, most=None, field=None):
        """<least..most> in whole units behind a length of `size` bytes, as a reader of its own."""
        start = self.at
        length = self.number(size)
        self.parts.lengths.append((start, size))
        inner = Reader(self.data, self.at, self.at + length, field or self.field, self.parts)
        self.take(length)
        if length < least or length % unit or (most is not None and length > most):
            self.fail(start, f"a vector of {length} bytes")
        return inner

    def left(self):
        return self.end - self.at

    def finish(self):
        if self.left():
            self.fail(self.at, "bytes are left over")


# ---- the bodies of extensions ----

def read_server_name(body):
    """RFC 6066 3."""
    start, unusable = body.at, []
    if not body.left():
        if "unusable names" in body.parts.differences:
            return
        body.fail(start, "no list of names")
    names = body.vector(2)
    body.finish()
    if not names.left():
        unusable.append((start, "an empty list of names"))
    while names.left():
        at = names.at
        if at > start + 2:
            unusable.append((at, "a second name"))
        if names.number(1) != 0:
            unusable.append((at, "a name of an unknown type"))
        if not names.vector(2).left():
            unusable.append((at + 1, "an empty name"))
    if unusable and "unusable names" not in body.parts.differences:
        body.fail(*unusable[0])


def read_list(size, unit):
    def read(body):
        body.vector(size, least=unit, unit=unit)
        body.finish()
    return read


def read_alpn(body):
    """RFC 7301 3.1."""
    names = body.vector(2, least=1)
    body.finish()
    while names.left():
        names.vector(1, least=1)


def read_key_share(body):
    """RFC 8446 4.2.8."""
    shares = body.vector(2)
    body.finish()
    while shares.left():
        shares.number(2)
        shares.vector(2, least=1)


BODIES = {
    0: ("server_name", read_server_name),
    10: ("supported_groups", read_list(2, 2)),  # RFC 8446 4.2.7
    11: ("ec_point_formats", read_list(1, 1)),  # RFC 8422 5.1.2
    13: ("signature_algorithms", read_list(2, 2)),  # RFC 8446 4.2.3
    16: ("application_layer_protocol_negotiation", read_alpn),
    43: ("supported_versions", read_list(1, 2)),  # RFC 8446 4.2.1
    51: ("key_share", read_key_share),
}


def read_message(message, differences=frozenset()):
    """Raises a Fault; returns the Parts of a message that is well formed."""
    parts = Parts(differences)
    reader = Reader(message, 0, len(message), "msg_type", parts)
    reader.number(1)
    reader.field = "length"
    reader.parts.lengths.append((1, 3))
    reader.number(3)

    reader.field = "legacy_version"
    reader.number(2)
    reader.field = "random"
    reader.take(32)
    reader.field = "session_id"
    reader.vector(1, most=32)
    reader.field = "cipher_suites"
    reader.vector(2, least=2, unit=2)
    reader.field = "compression_methods"
    at = reader.at
    methods = reader.vector(1, least=1)
    if 0 not in methods.data[methods.at:methods.end]:
        reader.fail(at, "no null compression", ILLEGAL_PARAMETER)

    reader.field = "extensions"
    if not reader.left():
        return parts  # RFC 5246 7.4.1.2: absent in a hello of before TLS 1.3
    extensions = reader.vector(2)
    reader.finish()
    seen = set()
    while extensions.left():
        at = extensions.at
        kind = extensions.number(2)
        body = extensions.vector(2)
        if kind in seen:
            extensions.fail(at, "an extension for the second time", ILLEGAL_PARAMETER)
        if len(seen) == 128 and "extension bound" in differences:
            extensions.fail(at, "an extension too many", ILLEGAL_PARAMETER)
        seen.add(kind)
        if kind in BODIES:
            body.field, read = BODIES[kind]
            read(body)
    return parts


def bad(field, offset, alert, why):
    return Verdict("bad", field, offset, alert, why)


def judge_records(wire, differences):
    """A fault of the records, an end within them, or "good" with the message they carry."""
    message, at, empty = b"", 0, 0
    places = []  # the wire's offset of each byte of the message's header

    if wire[:1] != b"\x16" or wire[1:2] != b"\x03":
        return Verdict("not tls")
    while True:
        head = wire[at:at + 5]
        if head and head[0] != 22:
            return bad("content_type", at, UNEXPECTED_MESSAGE, "no handshake record")
        if head[1:2] not in (b"", b"\x03") and "record version" in differences:
            return bad("legacy_record_version", at + 1, PROTOCOL_VERSION, "a version of no TLS")
        if len(head) < 5:
            return Verdict("incomplete")
        length = int.from_bytes(head[3:], "big")
        if length > PLAINTEXT_MAX:
            return bad("record_length", at + 3, RECORD_OVERFLOW, "a record too long")
        empty += length == 0
        if length == 0 and (at == 0 or empty > 32 or "empty records" not in differences):
            return bad("record_length", at + 3, UNEXPECTED_MESSAGE, "an empty record")
        content = wire[at + 5:at + 5 + length]
        places += range(at + 5, at + 5 + min(len(content), 4 - len(places)))
        header = (message + content)[:4]
        if header and header[0] != 1:
            return bad("msg_type", places[0], UNEXPECTED_MESSAGE, "no ClientHello")
        total = 4 + int.from_bytes(header[1:], "big")
        if len(header) == 4 and total > MESSAGE_MAX and "message bound" in differences:
            return bad("length", places[1], ILLEGAL_PARAMETER, "a message too long")
        if len(header) == 4 and len(message) + length > total:
            # RFC 8446 5.1: nothing may follow, as the keys may change behind it.
            return bad("record_length", at + 3, UNEXPECTED_MESSAGE, "bytes behind the message")
        if len(content) < length:
            return Verdict("incomplete")
        message += content
        at += 5 + length
        if len(header) == 4 and len(message) == total:
            return Verdict("good", message=message)


def judge(wire, differences=frozenset()):
    """What a server must think of these bytes, if no more come; with weir's `differences`, what weir
    means to think of them."""
    verdict = judge_records(wire, differences)
    if verdict.kind == "good":
        try:
            read_message(verdict.message, differences)
        except Fault as fault:
            fault.verdict.message = verdict.message
            return fault.verdict
    return verdict
