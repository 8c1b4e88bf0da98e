# SPDX-License-Identifier: Apache-2.0
"""The table of requests and responses that a proxy must not get wrong. Every row is bytes on the
wire; {A} is the origin's authority, {H} a good Host line.

REFUSE   rows: an answer of the 400s or 500s, or the connection's end; the origin sees no request
BODY     rows: the head is good and may be forwarded, the body is not; the origin must never take
         what follows for a second request
PASS     rows: unusual but right; the origin answers 200
RESPONSE rows: bytes from a hostile server, and whether the client may see them as a 200
"""

URL = b"http://{A}/bytes/3"


def request(*lines, line=b"GET " + URL + b" HTTP/1.1", host=b"{H}", body=b"", end=b"\r\n"):
    """A request of these header lines; line, host and line end can be broken one by one."""
    lines = [line] + ([host] if host else []) + list(lines)
    return end.join(lines) + end + end + body


def post(*lines, body=b""):
    return request(*lines, line=b"POST http://{A}/upload HTTP/1.1", body=body)


SMUGGLED = b"GET http://{A}/smuggled HTTP/1.1\r\nHost: {A}\r\n\r\n"

REFUSE = {
    # both lengths
    "CL.TE": post(b"Content-Length: 5", b"Transfer-Encoding: chunked",
                  body=b"0\r\n\r\n" + SMUGGLED),
    "TE.CL": post(b"Transfer-Encoding: chunked", b"Content-Length: 5",
                  body=b"0\r\n\r\n" + SMUGGLED),
    "CL.TE with close": post(b"Connection: close", b"Content-Length: 5",
                             b"Transfer-Encoding: chunked", body=b"0\r\n\r\n" + SMUGGLED),
    # Transfer-Encoding
    **{f"TE {value!r}": post(b"Transfer-Encoding: " + value, body=b"0\r\n\r\n" + SMUGGLED)
       for value in (b"xchunked", b"chunked, identity", b"identity", b",chunked", b"chunked,",
                     b"chunked;a=b", b'"chunked"', b"chunked, chunked", b"gzip", b"", b"chun\tked",
                     b"\x0bchunked", b"\x0cchunked", b"chunked\xa0", b"chunked\x85",
                     b"ch\x00unked", "chun\u212aed".encode())},
    "TE space before colon": post(b"Transfer-Encoding : chunked", body=b"0\r\n\r\n" + SMUGGLED),
    "TE twice": post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked",
                     body=b"0\r\n\r\n" + SMUGGLED),
    "TE folded": post(b"Transfer-Encoding:\r\n chunked", body=b"0\r\n\r\n" + SMUGGLED),
    "TE with HTTP/1.0": request(b"Transfer-Encoding: chunked",
                                line=b"POST http://{A}/upload HTTP/1.0",
                                body=b"0\r\n\r\n" + SMUGGLED),
    # Content-Length
    **{f"CL {value!r}": post(b"Content-Length: " + value, body=b"hello")
       for value in (b"5, 6", b"+5", b"-0", b"-5", b"0x5", b"5_0", b"5 5", b"5;", b"", b"5,",
                     b"9223372036854775808", b"18446744073709551615", b"18446744073709551617",
                     b"9" * 1000, b"5\x00", b"five")},
    "CL twice, different": post(b"Content-Length: 5", b"Content-Length: 6", body=b"hello!"),
    "CL no colon": post(b"Content-Length 5", body=b"hello"),
    "CL space before colon": post(b"Content-Length : 5", body=b"hello"),
    "CL empty then valid": post(b"Content-Length:", b"Content-Length: 5", body=b"hello"),
    # line ends and header syntax
    "bare LF everywhere": request(end=b"\n"),
    "bare LF behind the request line": b"GET " + URL + b" HTTP/1.1\n{H}\r\n\r\n",
    "bare LF behind a header": b"GET " + URL + b" HTTP/1.1\r\n{H}\nA: b\r\n\r\n",
    "bare LF at the head's end": b"GET " + URL + b" HTTP/1.1\r\n{H}\r\n\n",
    "bare CR in a value": request(b"A: b\rc"),
    "CR hides a header": request(b"X:\rTransfer-Encoding: chunked"),
    "CR CR LF": request(b"A: b\r"),
    "CRLF CR X as end": b"GET " + URL + b" HTTP/1.1\r\n{H}\r\n\rX",
    "NUL in a value": request(b"A: b\x00c"),
    "NUL in a name": request(b"A\x00: b"),
    "no colon": request(b"just words"),
    "empty name": request(b": value"),
    "space in a name": request(b"A b: c"),
    "high byte in a name": request(b"A\xe9: c"),
    "space before the colon": request(b"A : c"),
    "fold on the first header": b"GET " + URL + b" HTTP/1.1\r\n {H}\r\n\r\n",
    "fold in the middle": request(b"A: b", b" c", b"D: e"),
    "fold at the end": request(b"A: b", b"\tc"),
    "blank line of spaces": request(b"A: b", b"   "),
    # request line
    "two spaces": request(line=b"GET  " + URL + b" HTTP/1.1"),
    "tab": request(line=b"GET\t" + URL + b" HTTP/1.1"),
    "trailing blank": request(line=b"GET " + URL + b" HTTP/1.1 "),
    "leading blank": request(line=b" GET " + URL + b" HTTP/1.1"),
    "no version": request(line=b"GET " + URL),
    "lower-case http": request(line=b"GET " + URL + b" http/1.1"),
    **{f"version {version!r}": request(line=b"GET " + URL + b" " + version)
       for version in (b"HTTP/0.9", b"HTTP/2.0", b"HTTP/1.32", b"HTTP/10.1", b"HTTP/1", b"HTTP/1.",
                       b"HTTP/.1", b"HTTP/1,1", b"XTTP/1.1", b"HTTP/-1.1")},
    "invalid method": request(line=b"G@T " + URL + b" HTTP/1.1"),
    "empty method": request(line=b" " + URL + b" HTTP/1.1"),
    "h2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "GET *": request(line=b"GET * HTTP/1.1"),
    "raw high byte in the target": request(line=b"GET http://{A}/\xe9 HTTP/1.1"),
    "angle brackets": request(line=b"GET http://{A}/<script> HTTP/1.1"),
    "quote": request(line=b'GET http://{A}/"x" HTTP/1.1'),
    "backslash": request(line=b"GET http://{A}\\@evil.test/ HTTP/1.1"),
    "NUL in the target": request(line=b"GET http://{A}/\x00 HTTP/1.1"),
    "fragment": request(line=b"GET http://{A}/#part HTTP/1.1"),
    "target of 16 KiB + 1": request(line=b"GET http://{A}/" + b"a" * 16385 + b" HTTP/1.1"),
    # target and Host
    "origin-form": request(line=b"GET /bytes/3 HTTP/1.1"),
    "no Host": request(host=None),
    "two Hosts": request(b"Host: {A}"),
    "two different Hosts": request(b"Host: evil.test"),
    "Host list": request(host=b"Host: {A}, evil.test"),
    "Host with userinfo": request(host=b"Host: user@{A}"),
    "Host with path": request(host=b"Host: {A}/x"),
    "Host with port text": request(host=b"Host: origin.test:http"),
    "userinfo": request(line=b"GET http://user:pass@{A}/ HTTP/1.1"),
    "empty host": request(line=b"GET http:///bytes/3 HTTP/1.1"),
    "empty host, port": request(line=b"GET http://:80/ HTTP/1.1"),
    "other scheme": request(line=b"GET ftp://{A}/ HTTP/1.1"),
    "no scheme": request(line=b"GET //{A}/ HTTP/1.1"),
    "IPv6 zone": request(line=b"GET http://[::1%25lo]/ HTTP/1.1"),
    "broken bracket": request(line=b"GET http://[::1/ HTTP/1.1"),
    **{f"host {host!r}": request(line=b"GET http://" + host + b"/ HTTP/1.1")
       for host in (b"2130706433", b"0x7f000001", b"0177.0.0.1", b"127.1", b"127.0.0.1.1", b"a..b",
                    b"a" * 64 + b".test", b"a.test:0", b"a.test:65536", b"a.test:0443", b"a.test:+80",
                    b"a.test:80x", b"a%2eb.test", b"a b.test", b"1.2.3.4.0x5")},
    # limits
    "129 fields": request(*(b"X-%d: y" % i for i in range(129))),
    "head of 64 KiB + 1": request(*(b"X-%d: " % i + b"y" * 8000 for i in range(9))),
    "one value of 70,000 bytes": request(b"X: " + b"y" * 70000),
    # Connection must not take away what others rely on
    # CONNECT
    **{f"CONNECT {target!r}": request(line=b"CONNECT " + target + b" HTTP/1.1", host=b"Host: x")
       for target in (b"origin.test", b"origin.test:", b"/", b"*", b"http://origin.test:443",
                      b"origin.test:443/path", b"user@origin.test:443", b"origin.test:0",
                      b"origin.test:65536", b"origin.test:0443", b"origin.test:+443",
                      b"origin.test:443x", b":443", b"[::1]", b"[::1%25lo]:443", b"[::1:443",
                      b"::1:443", b"origin..test:443", b"2130706433:443", b"0x7f.1:443",
                      b"127.1:443", b"a" * 300 + b":443")},
    "CONNECT with CL": request(b"Content-Length: 5", line=b"CONNECT origin.test:443 HTTP/1.1",
                               host=b"Host: origin.test:443", body=b"hello"),
    "CONNECT with TE": request(b"Transfer-Encoding: chunked",
                               line=b"CONNECT origin.test:443 HTTP/1.1",
                               host=b"Host: origin.test:443", body=b"0\r\n\r\n"),
    # no HTTP at all (what has words of its own to be refused in: test_ways.py)
    "SSH": b"SSH-2.0-client\r\n",
    "zeros": b"\x00" * 1000,
    "high bytes": b"\xff" * 1000,
    "one long line": b"A" * 100000,
    "line ends only": b"\r\n" * 5000,
    "half a head": b"GET " + URL + b" HTTP/1.1\r\nHost: {A}\r\nA",
}

CHUNKED = (b"POST http://{A}/upload HTTP/1.1\r\nHost: {A}\r\nTransfer-Encoding: chunked\r\n\r\n")

BODY = {name: CHUNKED + rest + SMUGGLED for name, rest in {
    "size empty": b"\r\nhello\r\n0\r\n\r\n",
    "size 0x5": b"0x5\r\nhello\r\n0\r\n\r\n",
    "size +5": b"+5\r\nhello\r\n0\r\n\r\n",
    "size -5": b"-5\r\nhello\r\n0\r\n\r\n",
    "size 1_0": b"1_0\r\nhello\r\n0\r\n\r\n",
    "size with leading blank": b" 5\r\nhello\r\n0\r\n\r\n",
    "size of 2^64+1": b"10000000000000001\r\nhello\r\n0\r\n\r\n",
    "size of 2^63": b"8000000000000000\r\nhello\r\n0\r\n\r\n",
    "size of 400 zeros": b"0" * 400 + b"5\r\nhello\r\n0\r\n\r\n",
    "size not hex": b"5g\r\nhello\r\n0\r\n\r\n",
    "data longer than size": b"3\r\nhello\r\n0\r\n\r\n",
    "no line end behind data": b"5\r\nhello0\r\n\r\n",
    "bare LF behind size": b"5\nhello\r\n0\r\n\r\n",
    "bare CR behind size": b"5\rhello\r\n0\r\n\r\n",
    "bare LF behind data": b"5\r\nhello\n0\r\n\r\n",
    "bare LF behind last chunk": b"5\r\nhello\r\n0\n\r\n",
    "last chunk then X": b"5\r\nhello\r\n0\r\nX",
    "extension with CR": b"5;a=\rb\r\nhello\r\n0\r\n\r\n",
    "extension with LF": b"5;a=\nb\r\nhello\r\n0\r\n\r\n",
    "extension with NUL": b"5;a=\x00b\r\nhello\r\n0\r\n\r\n",
    "extension of 64 KiB": b"5;" + b"a" * 65536 + b"\r\nhello\r\n0\r\n\r\n",
    "CL in trailers": b"5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n",
    "TE in trailers": b"5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "Host in trailers": b"5\r\nhello\r\n0\r\nHost: evil.test\r\n\r\n",
    "10,000 trailers": b"5\r\nhello\r\n0\r\n" + b"X: y\r\n" * 10000 + b"\r\n",
    "trailer with bare LF": b"5\r\nhello\r\n0\r\nX: y\n\r\n",
    "trailer without colon": b"5\r\nhello\r\n0\r\nnothing\r\n\r\n",
}.items()}

PASS = {
    "unknown method": request(line=b"BREW " + URL + b" HTTP/1.1"),
    "lower-case method": request(line=b"get " + URL + b" HTTP/1.1"),
    "absolute-form beats Host": request(host=b"Host: elsewhere.test"),
    "percent-encoded controls": request(line=b"GET http://{A}/bytes/3?%0d%0a%00 HTTP/1.1"),
    "HTTP/1.0 with Host": request(line=b"GET " + URL + b" HTTP/1.0"),
    "odd but valid names": request(b"!#$%&'*+-.^_`|~9: x"),
    "high bytes in a value": request(b"A: \xe9\xff"),
    "empty value": request(b"A:"),
    "tabs around a value": request(b"A:\t b \t"),
    "chunk extension": CHUNKED + b'5;a=b;c="d e"\r\nhello\r\n0\r\n\r\n',
    "chunk size in upper case with zeros": CHUNKED + b"000A\r\nhellohello\r\n0\r\n\r\n",
    "Upgrade that nobody knows": request(b"Upgrade: foo", b"Connection: Upgrade"),
    "one blank line first": b"\r\n" + request(),
    "100 fields": request(*(b"X-%d: y" % i for i in range(100))),
}

OK = b"HTTP/1.1 200 OK\r\n"
RESPONSE = {  # bytes -> may the client see a complete 200?
    "CL and TE": (OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", False),
    "two CL": (OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", False),
    "CL -1": (OK + b"Content-Length: -1\r\n\r\nhello", False),
    "unknown TE": (OK + b"Transfer-Encoding: magic\r\n\r\nhello", False),
    "status 099": (b"HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n", False),
    "status 1000": (b"HTTP/1.1 1000 High\r\nContent-Length: 0\r\n\r\n", False),
    "status 200OK": (b"HTTP/1.1 200OK\r\nContent-Length: 0\r\n\r\n", False),
    "ICY": (b"ICY 200 OK\r\n\r\nmusic", False),
    "HTTP/2.0": (b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", False),
    "HTTP/0.9": (b"hello, no head at all", False),
    "bare CR in a value": (OK + b"A: b\rc\r\nContent-Length: 0\r\n\r\n", False),
    "NUL in a value": (OK + b"A: b\x00c\r\nContent-Length: 0\r\n\r\n", False),
    "fold": (OK + b"A: b\r\n c\r\nContent-Length: 0\r\n\r\n", False),
    "no colon": (OK + b"nothing\r\nContent-Length: 0\r\n\r\n", False),
    "head of 70 KiB": (OK + b"A: " + b"b" * 70000 + b"\r\nContent-Length: 0\r\n\r\n", False),
    "10,000 fields": (OK + b"A: b\r\n" * 10000 + b"Content-Length: 0\r\n\r\n", False),
    "1,000 informational": (b"HTTP/1.1 102 Processing\r\n\r\n" * 1000
                            + OK + b"Content-Length: 0\r\n\r\n", False),
    "101 unasked": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n"
                    b"Connection: Upgrade\r\n\r\n", False),
    "nothing": (b"", False),
    "half a head": (OK + b"Content-Le", False),
    "chunk size not hex": (OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
                           False),
    "chunks cut short": (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel", False),
    "CL cut short": (OK + b"Content-Length: 10\r\n\r\nhello", False),
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello", True),
    "empty reason": (b"HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nhello", True),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\n\r\nhello", True),
    "bytes behind the end": (OK + b"Content-Length: 5\r\n\r\nhello" + OK
                             + b"Content-Length: 6\r\n\r\npoison", True),
}
