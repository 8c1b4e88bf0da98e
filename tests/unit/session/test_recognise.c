/* SPDX-License-Identifier: Apache-2.0 */
#include "core/session/recognise.h"

#include "core/base/assert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

/* Of each opening: what it is, and after how many bytes that is said and never changed again. */
static const struct {
    struct span opening;
    enum protocol protocol;
    size_t said_at;
} rows[] = {
#define ROW(text, protocol, said_at)                                                               \
    {                                                                                              \
        SPAN_LITERAL(text), PROTOCOL_##protocol, said_at                                           \
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
    ROW("HTTP/1.1 200 OK\r\n", RAW, 5), /* a response */
    ROW("\r\nGET / HTTP/1.1\r\n", RAW, 1),
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
    /* Others. */
    ROW("", UNKNOWN, 0),
    ROW("\0", RAW, 1),
    ROW("EHLO mail.test\r\n", RAW, 6),
    ROW("USER me\r\n", RAW, 6),
    ROW("220 ready\r\n", RAW, 1),
    ROW("\x05\x01\x00", RAW, 1),                     /* SOCKS */
    ROW("\x00\x00\x00\x08\x04\xd2\x16\x2f", RAW, 1), /* PostgreSQL's SSLRequest */
    ROW("\x13"
        "BitTorrent protocol",
        RAW, 1),
    ROW("RFB 003.008\n", RAW, 5),
    ROW("*1\r\n$4\r\nPING\r\n", RAW, 1),
#undef ROW
};

/* As one sees who is given the first bytes in pieces: asks with all so far until it is answered. */
static enum protocol ask_piecewise(struct span opening, size_t first_cut, size_t second_cut)
{
    const size_t cuts[] = {first_cut, second_cut, opening.len};
    enum protocol answer = PROTOCOL_UNKNOWN;

    for (size_t i = 0; i < COUNT_OF(cuts) && answer == PROTOCOL_UNKNOWN; i++) {
        /* An exact copy, so that a sanitizer sees a read past the end. */
        uint8_t *copy = malloc(cuts[i] ? cuts[i] : 1);
        assert_non_null(copy);
        memcpy(copy, opening.data, cuts[i]);
        answer = recognise(span_make(copy, cuts[i]), RECOGNISE_INSIDE);
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
    assert_true(COUNT_OF(rows) >= 60);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        enum protocol answer = recognise(rows[i].opening, RECOGNISE_INSIDE);
        if (answer != rows[i].protocol) {
            fail_msg("row %zu: %s", i, protocol_name(answer));
        }
    }
}

static void byte_by_byte_it_is_said_once_and_at_the_first_chance(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (size_t len = 0; len <= rows[i].opening.len; len++) {
            enum protocol answer = recognise(span_sub(rows[i].opening, 0, len), RECOGNISE_INSIDE);
            enum protocol expected = rows[i].protocol;
            if (expected == PROTOCOL_UNKNOWN || len < rows[i].said_at) {
                expected = PROTOCOL_UNKNOWN;
            }
            if (answer != expected) {
                fail_msg("row %zu: %s after %zu bytes", i, protocol_name(answer), len);
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
                assert_int_equal(ask_piecewise(rows[i].opening, first, second), rows[i].protocol);
            }
        }
    }
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
        assert_int_not_equal(recognise(span_make(opening, sizeof(opening)), RECOGNISE_INSIDE),
                             PROTOCOL_UNKNOWN);
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
        cmocka_unit_test(it_is_decided_within_the_bound),
        cmocka_unit_test(protocols_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
