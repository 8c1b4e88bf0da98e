/* SPDX-License-Identifier: Apache-2.0 */
#include "core/session/recognise.h"

#include "core/base/assert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

/* Where it is asked: at the start of a connection, and within a tunnel. */
enum side { OUTSIDE, INSIDE, SIDE_COUNT };

static const unsigned protocols_of[] = {RECOGNISE_OUTSIDE, RECOGNISE_INSIDE};

/* Of each opening and side: what it is, and after how many bytes that is said and never changed
 * again. What is for weir itself, outside, is raw inside. */
static const struct {
    struct span opening;
    enum protocol protocol[SIDE_COUNT];
    size_t said_at[SIDE_COUNT];
} rows[] = {
#define ROW(text, protocol, said_at) ROW_SIDES(text, protocol, said_at, protocol, said_at)
#define ROW_SIDES(text, outside, outside_at, inside, inside_at)                                    \
    {                                                                                              \
        SPAN_LITERAL(text), {PROTOCOL_##outside, PROTOCOL_##inside},                               \
        {                                                                                          \
            outside_at, inside_at                                                                  \
        }                                                                                          \
    }
    /* TLS: a handshake record of major version 3 (RFC 8446 5.1). */
    ROW("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", TLS, 2),
    ROW("\x16\x03\x00\x00\x2f\x01", TLS, 2),
    ROW("\x16\x03\x02\x00\x2f\x01", TLS, 2),
    ROW("\x16\x03\x03\x00\x2f\x01", TLS, 2),
    ROW("\x16\x03\x04\x00\x2f\x01", TLS, 2),
    ROW("\x16\x03\x01", TLS, 2),
    ROW("\x16\x03\x01GET / HTTP/1.1\r\n", TLS, 2),
    ROW("\x16", UNKNOWN, 0),
    ROW("\x16\x03", TLS, 2),
    ROW("\x16\x03\x05\x00\x2f", TLS, 2), /* the minor version is to be ignored */
    ROW("\x16\x03\xff", TLS, 2),
    ROW("\x16\x02\x01\x00", RAW, 2),
    ROW("\x16\xfe\xfd\x00", RAW, 2),             /* DTLS */
    ROW("\x15\x03\x01\x00\x02\x02\x28", RAW, 1), /* an alert */
    ROW("\x17\x03\x03\x00\x10", RAW, 1),
    ROW("\x14\x03\x03\x00\x01\x01", RAW, 1),
    ROW("\x80\x2e\x01\x03\x01", RAW, 1), /* SSLv2 hello */
    ROW("\x80\x67\x01\x03\x03\x00\x4e\x00\x00\x00\x10", RAW, 1),
    ROW("\x16\x03\x01\x00\x01\x01\x16\x03\x01\x00\x01\x00", TLS, 2), /* a hello in pieces */
    ROW("\x16\x03\x01\x07\x00\x01\x00\x06\xfc\x03\x03", TLS, 2),     /* a long one, of TLS 1.3 */
    ROW("\x16\x03\x01\x00\x00", TLS, 2),                             /* an empty record */
    ROW("\x16\x03\x01\xff\xff", TLS, 2), /* too long for a record, but meant as one */
    ROW("\x16\x01\x01\x00\x2f", RAW, 2), /* GmSSL's version */
    ROW("\x16\x00\x00\x00", RAW, 2),
    ROW("\x18\x03\x03\x00\x03\x01\x40\x00", RAW, 1), /* a heartbeat */
    /* HTTP/1. */
    ROW("GET / HTTP/1.1\r\nHost: a\r\n\r\n", HTTP1, 5),
    ROW("GET http://example.com/ HTTP/1.1\r\n", HTTP1, 5),
    ROW("GET HTTP://example.com/ HTTP/1.1\r\n", HTTP1, 5),
    ROW("HEAD /index HTTP/1.0\r\n", HTTP1, 6),
    ROW("POST /form HTTP/1.1\r\n", HTTP1, 6),
    ROW("PUT /file HTTP/1.1\r\n", HTTP1, 5),
    ROW("PATCH /x HTTP/1.1\r\n", HTTP1, 7),
    ROW("DELETE /x HTTP/1.1\r\n", HTTP1, 8),
    ROW("OPTIONS * HTTP/1.1\r\n", HTTP1, 9),
    ROW("TRACE / HTTP/1.1\r\n", HTTP1, 7),
    ROW("PROPFIND /dav HTTP/1.1\r\n", HTTP1, 10),
    ROW("MKCOL /dav HTTP/1.1\r\n", HTTP1, 7),
    ROW("UPDATEREDIRECTREFXYZ / HTTP/1.1", HTTP1, 22), /* 20 letters */
    ROW("UPDATEREDIRECTREFXYZA / HTTP/1.1", RAW, 21),
    ROW("PROPPATCH /dav HTTP/1.1\r\n", HTTP1, 11),
    ROW("COPY /dav HTTP/1.1\r\n", HTTP1, 6),
    ROW("MOVE /dav HTTP/1.1\r\n", HTTP1, 6),
    ROW("LOCK /dav HTTP/1.1\r\n", HTTP1, 6),
    ROW("UNLOCK /dav HTTP/1.1\r\n", HTTP1, 8),
    ROW("REPORT /dav HTTP/1.1\r\n", HTTP1, 8),
    ROW("SEARCH /dav HTTP/1.1\r\n", HTTP1, 8),
    ROW("ACL /dav HTTP/1.1\r\n", HTTP1, 5),
    ROW("PURGE /cached HTTP/1.1\r\n", HTTP1, 7),
    ROW("BREW /pot HTTP/1.1\r\n", HTTP1, 6),
    ROW("GET https://example.com/ HTTP/1.1\r\n", HTTP1, 5),
    ROW("POST http://192.0.2.1:8080/ HTTP/1.1\r\n", HTTP1, 6),
    ROW("GET /\0", HTTP1, 5),
    ROW("GET /\xc3\xa9", HTTP1, 5),
    ROW("PROXY / HTTP/1.1\r\n", HTTP1, 7), /* a method like any other */
    ROW("PROXY http://example.com/ HTTP/1.1\r\n", HTTP1, 7),
    ROW("PROXYX / HTTP/1.1\r\n", HTTP1, 8),
    ROW("SSH / HTTP/1.1\r\n", HTTP1, 5), /* a method like any other */
    ROW("SSHX / HTTP/1.1\r\n", HTTP1, 6),
    ROW("PRI / HTTP/1.1\r\n", HTTP1, 5),
    ROW("PRIX / HTTP/1.1\r\n", HTTP1, 6),
    ROW("GET /", HTTP1, 5),
    ROW("GET ", UNKNOWN, 0),
    ROW("GET", UNKNOWN, 0),
    ROW("G", UNKNOWN, 0),
    ROW("AAAAAAAAAAAAAAAAAAAA", UNKNOWN, 0),
    ROW("AB / HTTP/1.1\r\n", RAW, 3),
    ROW("A /", RAW, 2),
    ROW(" GET / HTTP/1.1", RAW, 1),
    ROW("get / HTTP/1.1\r\n", RAW, 1),
    ROW("Get / HTTP/1.1\r\n", RAW, 2),
    ROW("GET\t/ HTTP/1.1\r\n", RAW, 4),
    ROW("GET\r\n", RAW, 4),
    ROW("GET  / HTTP/1.1\r\n", RAW, 5),
    ROW("GET example.com HTTP/1.1\r\n", RAW, 5),
    ROW("CONNECT example.com:443 HTTP/1.1\r\n", RAW, 9),
    ROW("GET-X / HTTP/1.1\r\n", RAW, 4),
    ROW("VERSION-CONTROL /dav HTTP/1.1\r\n", RAW, 8),
    ROW("M-SEARCH * HTTP/1.1\r\n", RAW, 2),
    ROW("post / HTTP/1.1\r\n", RAW, 1),
    ROW("gET / HTTP/1.1\r\n", RAW, 1),
    ROW("GeT / HTTP/1.1\r\n", RAW, 2),
    ROW("GET\0/ HTTP/1.1\r\n", RAW, 4),
    ROW("G\xc3\x89T / HTTP/1.1\r\n", RAW, 2),
    ROW("GET ftp://example.com/ HTTP/1.1\r\n", RAW, 5),
    ROW("/ HTTP/1.1\r\n", RAW, 1),
    ROW("HTTP/1.1 200 OK\r\n", RAW, 5), /* a response */
    ROW_SIDES("\r\nGET / HTTP/1.1\r\n", RAW, 3, RAW, 1),
    ROW("\nGET / HTTP/1.1\r\n", RAW, 1),
    ROW("\xef\xbb\xbfGET / HTTP/1.1\r\n", RAW, 1),
    /* HTTP/2 with prior knowledge: the whole preface. */
    ROW("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", HTTP2, 24),
    ROW("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\x04", HTTP2, 24),
    ROW("PRI * HTTP/2.0\r\n\r\nSM\r\n\r", UNKNOWN, 0),
    ROW("PRI * HTTP/2.0\r\n", UNKNOWN, 0),
    ROW("PRI ", UNKNOWN, 0),
    ROW("PRI * HTTP/1.1\r\n\r\n", HTTP1, 12),
    ROW("PRI * HTTP/2.0\r\n\r\nSN", HTTP1, 20),
    ROW("PRI * HTTP/2.0\r\n\r\nSM\r\n\rX", HTTP1, 24),
    ROW("PRI *x", HTTP1, 6),
    ROW("PRI x", RAW, 5),
    /* SSH (RFC 4253 4.2). */
    ROW("SSH-2.0-OpenSSH_9.6\r\n", SSH, 4),
    ROW("SSH-1.99-x\n", SSH, 4),
    ROW("SSH-", SSH, 4),
    ROW("SSH", UNKNOWN, 0),
    ROW("SS", UNKNOWN, 0),
    ROW("SSG-2.0", RAW, 4),
    ROW("ssh-2.0", RAW, 1),
    ROW("SSH-1.5-1.2.27\n", SSH, 4),
    ROW("SSH-\0", SSH, 4),
    ROW("SSH 2.0", RAW, 5),
    /* SOCKS. */
    ROW_SIDES("\x05\x01\x00", SOCKS5, 2, RAW, 1),
    ROW_SIDES("\x05\x02\x00\x02", SOCKS5, 2, RAW, 1),
    ROW_SIDES("\x05\x03\x00\x01\x02", SOCKS5, 2, RAW, 1),
    ROW_SIDES("\x05\x04\x00\x01\x02\x80", SOCKS5, 2, RAW, 1),
    ROW_SIDES("\x05\x01\x02", SOCKS5, 2, RAW, 1),
    ROW_SIDES("\x05\xff\x00\x01\x02\x03", SOCKS5, 2, RAW, 1),
    ROW_SIDES("\x05\x01\x00\x05\x01\x00\x03\x01x\x00\x50", SOCKS5, 2, RAW, 1),
    ROW_SIDES("\x05\x00", RAW, 2, RAW, 1),
    ROW_SIDES("\x05", UNKNOWN, 0, RAW, 1),
    ROW_SIDES("\x04\x01\x01\xbb\xc0\x00\x02\x01user\0", SOCKS4, 2, RAW, 1),
    ROW_SIDES("\x04\x01\x00\x50\x00\x00\x00\x01\0example.com\0", SOCKS4, 2, RAW, 1), /* 4a */
    ROW_SIDES("\x04\x02\x01\xbb\xc0\x00\x02\x01\0", SOCKS4, 2, RAW, 1),
    ROW_SIDES("\x04\x00", RAW, 2, RAW, 1),
    ROW_SIDES("\x04\x03\x01\xbb", RAW, 2, RAW, 1),
    ROW_SIDES("\x04\xff", RAW, 2, RAW, 1),
    ROW_SIDES("\x04", UNKNOWN, 0, RAW, 1),
    ROW("\x06\x01\x00", RAW, 1),
    /* The PROXY protocol. */
    ROW_SIDES("PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n", PROXY1, 11, RAW, 7),
    ROW_SIDES("PROXY TCP6 2001:db8::1 ::1 56324 443\r\n", PROXY1, 11, RAW, 7),
    ROW_SIDES("PROXY UNKNOWN\r\n", PROXY1, 13, RAW, 7),
    ROW_SIDES("PROXY UNKNOWN ffff:: ffff:: 1 2\r\n", PROXY1, 13, RAW, 7),
    ROW_SIDES("PROXY TCP4 ", PROXY1, 11, RAW, 7),
    ROW_SIDES("PROXY TCP4\r\n", RAW, 11, RAW, 7),
    ROW_SIDES("PROXY TCP5 ::1", RAW, 10, RAW, 7),
    ROW_SIDES("PROXY TCP", UNKNOWN, 0, RAW, 7),
    ROW_SIDES("PROXY UNKNOW", UNKNOWN, 0, RAW, 7),
    ROW_SIDES("PROXY UNKNOWS", RAW, 13, RAW, 7),
    ROW_SIDES("PROXY UDP4 192.0.2.1", RAW, 8, RAW, 7),
    ROW("PROXY  TCP4", RAW, 7),
    ROW("PROXY\tTCP4", RAW, 6),
    ROW("PROXY ", UNKNOWN, 0),
    ROW("PROXY", UNKNOWN, 0),
    ROW("proxy TCP4 192.0.2.1", RAW, 1),
    ROW_SIDES("\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c", PROXY2, 12, RAW, 1),
    ROW_SIDES("\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00", PROXY2, 12, RAW, 1),
    ROW_SIDES("\r\n\r\n\0\r\nQUIT\n", PROXY2, 12, RAW, 1),
    ROW_SIDES("\r\n\r\n\0\r\nQUIT", UNKNOWN, 0, RAW, 1),
    ROW_SIDES("\r\n\r\n", UNKNOWN, 0, RAW, 1),
    ROW_SIDES("\r", UNKNOWN, 0, RAW, 1),
    ROW_SIDES("\r\n\r\n\0\r\nQUIT\r\n", RAW, 12, RAW, 1),
    ROW_SIDES("\r\n\r\nGET / HTTP/1.1\r\n", RAW, 5, RAW, 1),
    ROW_SIDES("\r\r", RAW, 2, RAW, 1),
    /* Mail, files, chat: lines of text. */
    ROW("", UNKNOWN, 0),
    ROW("EHLO mail.test\r\n", RAW, 6),
    ROW("HELO mail.test\r\n", RAW, 6),
    ROW("HELO host.test\r\n", HTTP1, 6), /* its name begins like a URI: only a log line is lost */
    ROW("LHLO mail.test\r\n", RAW, 6),
    ROW("QUIT\r\n", RAW, 5),
    ROW("STARTTLS\r\n", RAW, 9),
    ROW("USER me\r\n", RAW, 6),
    ROW("AUTH TLS\r\n", RAW, 6),
    ROW("CAPA\r\n", RAW, 5),
    ROW("a001 LOGIN me secret\r\n", RAW, 1),
    ROW("A001 CAPABILITY\r\n", RAW, 2),
    ROW("MODE READER\r\n", RAW, 6),
    ROW("NICK me\r\n", RAW, 6),
    ROW("CAP LS 302\r\n", RAW, 5),
    ROW("220 ready\r\n", RAW, 1),
    ROW("+OK ready\r\n", RAW, 1),
    ROW("INVITE sip:bob@example.com SIP/2.0\r\n", RAW, 8),
    ROW("DESCRIBE rtsp://example.com/a RTSP/1.0\r\n", RAW, 10),
    ROW("OPTIONS rtsp://example.com/a RTSP/1.0\r\n", RAW, 9),
    ROW("<?xml version='1.0'?><stream:stream", RAW, 1),
    ROW("/selector\r\n", RAW, 1), /* Gopher */
    ROW("gemini://example.com/\r\n", RAW, 1),
    ROW("example.com\r\n", RAW, 1), /* whois */
    ROW("@RSYNCD: 31.0\n", RAW, 1),
    ROW("0032git-upload-pack /project.git\0host=a\0", RAW, 1),
    ROW("8=FIX.4.2\x01"
        "9=65\x01",
        RAW, 1),
    ROW("{\"id\":1,\"method\":\"mining.subscribe\"}\n", RAW, 1),
    ROW("RFB 003.008\n", RAW, 5),
    /* Data stores and queues. */
    ROW("*1\r\n$4\r\nPING\r\n", RAW, 1), /* Redis */
    ROW("PING\r\n", RAW, 5),
    ROW("get key\r\n", RAW, 1),                      /* memcached */
    ROW("\x80\x00\x00\x03", RAW, 1),                 /* its binary protocol */
    ROW("\x00\x00\x00\x08\x04\xd2\x16\x2f", RAW, 1), /* PostgreSQL's SSLRequest */
    ROW("\x00\x00\x00\x29\x00\x03\x00\x00user\0me\0", RAW, 1),
    ROW("\x20\x00\x00\x01\x05\xae\xff\x19", RAW, 1), /* MySQL, behind the server's greeting */
    ROW("\x12\x01\x00\x2f\x00\x00\x01\x00", RAW, 1), /* TDS */
    ROW("\x3a\x00\x00\x00\x01\x00\x00\x00\0\0\0\0\xd4\x07\0\0", RAW, 1), /* MongoDB */
    ROW_SIDES("\x04\x00\x00\x00\x01\x00\x00\x00\x16", RAW, 2, RAW, 1),   /* Cassandra */
    ROW_SIDES("\x05\x00\x00\x00\x05\x00\x00\x00\x00", RAW, 2, RAW, 1),
    ROW("AMQP\x00\x00\x09\x01", RAW, 5),
    ROW("\x10\x1a\x00\x04MQTT\x04\x02\x00\x3c", RAW, 1),
    ROW("CONNECT\naccept-version:1.2\n\n\0", RAW, 8), /* STOMP */
    /* Others with bytes of their own. */
    ROW("\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x03\x00\x00\x00", RAW,
        1),                                                        /* RDP */
    ROW_SIDES("\x05\x00\x0b\x03\x10\x00\x00\x00", RAW, 2, RAW, 1), /* DCE/RPC */
    ROW("\x00\x00\x00\x85\xffSMBr", RAW, 1),
    ROW("\x00\x00\x00\xd4\xfeSMB@", RAW, 1),
    ROW("\x30\x0c\x02\x01\x01\x60\x07", RAW, 1),     /* LDAP */
    ROW("\x00\x1d\xab\xcd\x01\x00\x00\x01", RAW, 1), /* DNS over TCP */
    ROW("\x00\x9c\x00\x01\x1a\x2b\x3c\x4d", RAW, 1), /* PPTP */
    ROW("\x00\x0e\x38\x01\x02\x03", RAW, 1),         /* OpenVPN */
    ROW("\x00\x01\x00\x00\x21\x12\xa4\x42", RAW, 1), /* STUN */
    ROW("\xff\xfb\x1f\xff\xfb\x20", RAW, 1),         /* Telnet */
    ROW("\x13"
        "BitTorrent protocol",
        RAW, 1),
    ROW("\xf9\xbe\xb4\xd9version\0", RAW, 1), /* Bitcoin */
    ROW("\x10\x00\xf4\x05\x09"
        "localhost\x63\xdd\x01",
        RAW, 1),                  /* Minecraft */
    ROW("l\0\x0b\0\0\0", RAW, 1), /* X11 */
    ROW("\0", RAW, 1),
    ROW("\0\0\0\0\0\0\0\0", RAW, 1),
    ROW("\xff\xff\xff\xff", RAW, 1),
    ROW("\xc3\xa9t\xc3\xa9", RAW, 1),
    ROW("\xe2\x98\x83", RAW, 1),
    ROW("\xed\xa0\x80", RAW, 1),
    ROW(" ", RAW, 1),
    ROW("\t", RAW, 1),
    ROW("\n", RAW, 1),
    ROW("~", RAW, 1),
#undef ROW
#undef ROW_SIDES
};

/* As one sees who is given the first bytes in pieces: asks with all so far until it is answered. */
static enum protocol ask_piecewise(struct span opening, unsigned protocols, size_t first_cut,
                                   size_t second_cut)
{
    const size_t cuts[] = {first_cut, second_cut, opening.len};
    enum protocol answer = PROTOCOL_UNKNOWN;

    for (size_t i = 0; i < COUNT_OF(cuts) && answer == PROTOCOL_UNKNOWN; i++) {
        /* An exact copy, so that a sanitizer sees a read past the end. */
        uint8_t *copy = malloc(cuts[i] ? cuts[i] : 1);
        assert_non_null(copy);
        memcpy(copy, opening.data, cuts[i]);
        answer = recognise(span_make(copy, cuts[i]), protocols);
        free(copy);
    }
    return answer;
}

/* A pause behind such a byte is a pause in a hello. */
static void one_byte_may_be_tls(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (size_t len = 0; len <= rows[i].opening.len; len++) {
            bool expected = len == 1 && rows[i].opening.data[0] == 0x16;
            assert_true(recognise_may_be_tls(span_sub(rows[i].opening, 0, len)) == expected);
        }
    }
}

static void the_whole_opening_is_recognised(void **state)
{
    (void)state;
    assert_true(COUNT_OF(rows) >= 180);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (int side = 0; side < SIDE_COUNT; side++) {
            enum protocol answer = recognise(rows[i].opening, protocols_of[side]);
            if (answer != rows[i].protocol[side]) {
                fail_msg("row %zu, side %d: %s", i, side, protocol_name(answer));
            }
        }
    }
}

static void byte_by_byte_it_is_said_once_and_at_the_first_chance(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (size_t len = 0; len <= rows[i].opening.len; len++) {
            for (int side = 0; side < SIDE_COUNT; side++) {
                struct span opening = span_sub(rows[i].opening, 0, len);
                enum protocol answer = recognise(opening, protocols_of[side]);
                enum protocol expected = rows[i].protocol[side];
                if (expected == PROTOCOL_UNKNOWN || len < rows[i].said_at[side]) {
                    expected = PROTOCOL_UNKNOWN;
                }
                if (answer != expected) {
                    fail_msg("row %zu, side %d: %s after %zu bytes", i, side, protocol_name(answer),
                             len);
                }
            }
        }
    }
}

static void every_pair_of_cuts_gives_the_same_answer(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (size_t first = 0; first <= rows[i].opening.len; first++) {
            for (size_t second = first; second <= rows[i].opening.len; second++) {
                for (int side = 0; side < SIDE_COUNT; side++) {
                    assert_int_equal(
                        ask_piecewise(rows[i].opening, protocols_of[side], first, second),
                        rows[i].protocol[side]);
                }
            }
        }
    }
}

/* What only one side looks for is raw on the other, and never waited for. */
static void what_is_not_looked_for_is_raw(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        enum protocol outside = rows[i].protocol[OUTSIDE];
        enum protocol inside = rows[i].protocol[INSIDE];

        assert_true(inside == PROTOCOL_UNKNOWN || inside == PROTOCOL_RAW ||
                    RECOGNISE_INSIDE >> inside & 1);
        assert_true(inside == outside || inside == PROTOCOL_RAW);
        assert_true(rows[i].said_at[INSIDE] <= rows[i].said_at[OUTSIDE] ||
                    outside == PROTOCOL_UNKNOWN);
        if (outside != PROTOCOL_UNKNOWN && outside != PROTOCOL_RAW) {
            assert_int_equal(recognise(rows[i].opening, RECOGNISE_OUTSIDE & ~(1U << outside)),
                             outside == PROTOCOL_HTTP2 ? PROTOCOL_HTTP1 : PROTOCOL_RAW);
        }
    }
    assert_int_equal(recognise(SPAN_LITERAL("\x05"), 1U << PROTOCOL_SOCKS5), PROTOCOL_UNKNOWN);
    assert_int_equal(recognise(SPAN_LITERAL("\x04"), 1U << PROTOCOL_SOCKS5), PROTOCOL_RAW);
    assert_int_equal(recognise(SPAN_LITERAL("G"), 0), PROTOCOL_RAW);
}

/* More bytes than RECOGNISE_BYTES_MAX are never waited for. */
static void it_is_decided_within_the_bound(void **state)
{
    uint8_t opening[RECOGNISE_BYTES_MAX];
    uint32_t seed = 5;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        const struct span row = rows[(size_t)round % COUNT_OF(rows)].opening;
        size_t keep = row.len < sizeof(opening) ? row.len : sizeof(opening);
        for (size_t i = 0; i < sizeof(opening); i++) {
            seed = seed * 1664525 + 1013904223;
            opening[i] = round & 1 ? (uint8_t)('A' + (seed >> 24) % 26) : (uint8_t)(seed >> 24);
        }
        memcpy(opening, row.data, keep);
        for (int side = 0; side < SIDE_COUNT; side++) {
            assert_int_not_equal(recognise(span_make(opening, sizeof(opening)), protocols_of[side]),
                                 PROTOCOL_UNKNOWN);
        }
    }
}

static void protocols_have_names(void **state)
{
    static const char *const name[] = {"unknown", "tls",    "http/1",  "http/2",  "ssh",
                                       "socks4",  "socks5", "proxy/1", "proxy/2", "raw"};

    (void)state;
    for (int i = PROTOCOL_UNKNOWN; i <= PROTOCOL_RAW; i++) {
        assert_string_equal(protocol_name((enum protocol)i), name[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_byte_may_be_tls),
        cmocka_unit_test(the_whole_opening_is_recognised),
        cmocka_unit_test(byte_by_byte_it_is_said_once_and_at_the_first_chance),
        cmocka_unit_test(every_pair_of_cuts_gives_the_same_answer),
        cmocka_unit_test(what_is_not_looked_for_is_raw),
        cmocka_unit_test(it_is_decided_within_the_bound),
        cmocka_unit_test(protocols_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
