# SPDX-License-Identifier: Apache-2.0
"""Builds captures byte by byte: ClientHellos, TCP/IP packets, link layers, pcap and pcapng files.

Run with a folder to write the corpora of the fuzz targets there: captures.py ../fuzz/corpus
"""
import os
import socket
import struct
import sys

ETHERNET, RAW, LOOP, NULL, SLL, SLL2 = 1, 101, 108, 0, 113, 276
TIME_S, TIME_NS = 1700000000, 123456789


def extension(kind, body):
    return struct.pack(">HH", kind, len(body)) + body


def client_hello(name=b"example.com", alpn=(b"h2", b"http/1.1"), pad=0):
    """The handshake message. `pad` adds a padding extension of that many bytes."""
    extensions = b""
    if name is not None:
        host = struct.pack(">BH", 0, len(name)) + name
        extensions += extension(0, struct.pack(">H", len(host)) + host)
    extensions += extension(10, struct.pack(">HHH", 4, 29, 23))
    extensions += extension(11, b"\1\0")
    if alpn:
        names = b"".join(bytes([len(one)]) + one for one in alpn)
        extensions += extension(16, struct.pack(">H", len(names)) + names)
    if pad:
        extensions += extension(21, bytes(pad))
    body = struct.pack(">H", 0x303) + bytes(range(32)) + b"\0"
    body += struct.pack(">HHH", 4, 0x1301, 0xc02f) + b"\1\0"
    body += struct.pack(">H", len(extensions)) + extensions
    return b"\1" + struct.pack(">I", len(body))[1:] + body


def records(message, size=16384):
    """As TLS records of at most `size` bytes."""
    return b"".join(b"\x16\3\1" + struct.pack(">H", len(message[at:at + size])) +
                    message[at:at + size] for at in range(0, len(message), size))


def sslv2_hello():
    body = b"\1\3\1" + struct.pack(">HHH", 6, 0, 16) + b"\1\0\x80\0\0\5" + bytes(16)
    return struct.pack(">H", 0x8000 | len(body)) + body


def tcp(payload=b"", seq=1000, syn=False, ports=(40000, 443), options=b""):
    head = 20 + len(options)
    return struct.pack(">HHIIBBHHH", *ports, seq & 0xffffffff, 0, head // 4 << 4,
                       2 if syn else 0x10, 65535, 0, 0) + options + payload


def ipv4(segment, options=b"", fragment=0, protocol=6, hosts=("192.0.2.1", "192.0.2.2")):
    head = 20 + len(options)
    return struct.pack(">BBHHHBBH4s4s", 0x40 | head // 4, 0, head + len(segment), 0, fragment, 64,
                       protocol, 0, *(socket.inet_aton(host) for host in hosts)) + options + segment


def ipv6(segment, extensions=(), hosts=("2001:db8::1", "2001:db8::2")):
    """`extensions` are pairs of a header's number and its bytes after the next-header byte."""
    kinds = [kind for kind, _ in extensions] + [6]
    payload = b"".join(bytes([after]) + body
                       for after, (_, body) in zip(kinds[1:], extensions)) + segment
    return struct.pack(">IHBB16s16s", 6 << 28, len(payload), kinds[0], 64,
                       *(socket.inet_pton(socket.AF_INET6, host) for host in hosts)) + payload


def link(packet, kind=ETHERNET, tags=()):
    """`packet` with the header of that link type; `tags` are VLAN tag types."""
    ethertype = 0x800 if packet[0] >> 4 == 4 else 0x86dd
    if kind == ETHERNET:
        head = bytes(12) + b"".join(struct.pack(">HH", tag, 7) for tag in tags)
        return (head + struct.pack(">H", ethertype) + packet).ljust(60, b"\xee")
    if kind == SLL:
        return bytes(14) + struct.pack(">H", ethertype) + packet
    if kind == SLL2:
        return struct.pack(">H", ethertype) + bytes(18) + packet
    if kind == LOOP:
        return struct.pack(">I", 2 if ethertype == 0x800 else 24) + packet
    if kind == NULL:
        return struct.pack("<I", 2 if ethertype == 0x800 else 30) + packet
    return packet


def pcap(packets, kind=ETHERNET, order="<", nanoseconds=False, cut=None):
    """`cut`: bytes captured of each packet at most."""
    out = struct.pack(order + "IHHiIII", 0xa1b23c4d if nanoseconds else 0xa1b2c3d4, 2, 4, 0, 0,
                      262144, kind)
    for packet in packets:
        out += struct.pack(order + "IIII", TIME_S, TIME_NS if nanoseconds else TIME_NS // 1000,
                           len(packet[:cut]), len(packet)) + packet[:cut]
    return out


def block(kind, body, order="<"):
    body += bytes(-len(body) % 4)
    length = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + length + body + length


def section(order="<"):
    return block(0x0a0d0d0a, struct.pack(order + "IHHq", 0x1a2b3c4d, 1, 0, -1), order)


def interface(kind=ETHERNET, order="<", snap=0, options=b""):
    return block(1, struct.pack(order + "HHI", kind, 0, snap) + options, order)


def option(number, value, order="<"):
    return struct.pack(order + "HH", number, len(value)) + value + bytes(-len(value) % 4)


def enhanced(packet, order="<", number=0, ticks=TIME_S * 1000000 + TIME_NS // 1000):
    return block(6, struct.pack(order + "IIIII", number, ticks >> 32, ticks & 0xffffffff,
                                len(packet), len(packet)) + packet, order)


def simple(packet, order="<"):
    return block(3, struct.pack(order + "I", len(packet)) + packet, order)


def pcapng(packets, kind=ETHERNET, order="<"):
    return section(order) + interface(kind, order) + b"".join(
        enhanced(packet, order) for packet in packets)


def connection(wire, sizes=None, kind=ETHERNET, ip=ipv4, seq=1000, ports=(40000, 443), syn=True):
    """The packets of a connection whose client sends `wire` in segments of those sizes."""
    packets = [tcp(seq=seq, syn=True, ports=ports, options=b"\2\4\5\xb4")] if syn else []
    at = 0
    for size in sizes or [len(wire)]:
        packets.append(tcp(wire[at:at + size], seq + 1 + at, ports=ports))
        at += size
    return [link(ip(packet), kind) for packet in packets]


def corpus():
    hello = records(client_hello())
    split = connection(records(client_hello(), 100), [1, 30, 50, 500])
    mixed = [split[0], split[3], split[1], split[2], split[4]]
    for name, order in (("little", "<"), ("big", ">")):
        yield "pcap", name, pcap(connection(hello), order=order)
        yield "pcapng", name, pcapng(connection(hello), order=order)
    yield "pcap", "nanoseconds", pcap(connection(hello), nanoseconds=True)
    yield "pcap", "split", pcap(split)
    yield "pcap", "reordered", pcap(mixed)
    yield "pcapng", "reordered", pcapng(mixed)
    yield "pcap", "sslv2", pcap(connection(sslv2_hello()))
    yield "pcap", "no_syn", pcap(connection(hello, syn=False))
    yield "pcap", "cut", pcap(connection(hello), cut=100)
    yield "pcap", "unfinished", pcap(connection(hello, [100]))
    for name, kind in (("raw", RAW), ("loop", LOOP), ("null", NULL), ("sll", SLL), ("sll2", SLL2)):
        yield "pcap", name, pcap(connection(hello, kind=kind), kind)
    yield "pcap", "vlan", pcap([link(ipv4(tcp(hello)), tags=(0x88a8, 0x8100))])
    yield "pcap", "ipv6", pcap([link(ipv6(tcp(hello), [(0, bytes([0]) + bytes(6)),
                                                       (44, bytes(7))]))])
    yield "pcap", "fragment", pcap([link(ipv4(tcp(hello), fragment=0x2000)),
                                    link(ipv4(tcp(hello), options=bytes(8)))])
    yield "pcapng", "simple", section() + interface() + simple(link(ipv4(tcp(hello))))
    yield "pcapng", "options", (
        section() + interface(options=option(2, b"lo") + option(9, b"\x94") +
                              option(14, bytes(8)) + option(0, b"")) +
        block(5, bytes(12)) + enhanced(link(ipv4(tcp(hello)))))
    yield "pcapng", "sections", (pcapng(connection(hello)) +
                                 pcapng(connection(hello, seq=5, kind=RAW), RAW, ">"))


if __name__ == "__main__":
    for target, name, data in corpus():
        os.makedirs(os.path.join(sys.argv[1], target), exist_ok=True)
        with open(os.path.join(sys.argv[1], target, name), "wb") as out:
            out.write(data)
