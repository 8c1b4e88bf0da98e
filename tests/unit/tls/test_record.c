/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/record.h"

#include "core/base/assert.h"
#include "tests/unit/tls/hello_builder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdlib.h>

enum {
    ALERT_UNEXPECTED = 10,
    ALERT_OVERFLOW = 22,
    ALERT_ILLEGAL = 47,
    ALERT_VERSION = 70,
    HEADER_LEN = 5,
    WIRE_CAP = 128 * 1024,
};

static struct hello_builder builder;
static uint8_t wire[WIRE_CAP];
static size_t wire_len;
static uint8_t join[CLIENT_HELLO_MAX];

static void put_header(unsigned type, unsigned version, size_t len)
{
    assert_true(wire_len + HEADER_LEN + len <= WIRE_CAP);
    wire[wire_len++] = (uint8_t)type;
    wire[wire_len++] = (uint8_t)(version >> 8);
    wire[wire_len++] = (uint8_t)version;
    wire[wire_len++] = (uint8_t)(len >> 8);
    wire[wire_len++] = (uint8_t)len;
}

static void put_record(struct span content)
{
    put_header(22, 0x0301, content.len);
    if (content.len) {
        memcpy(wire + wire_len, content.data, content.len);
    }
    wire_len += content.len;
}

/* The message in records of `len` bytes, the last one shorter. */
static void put_records(struct span message, size_t len)
{
    while (message.len) {
        put_record(span_sub(message, 0, len));
        message = span_skip(message, len);
    }
}

/* One verdict and all that belongs to it. */
struct outcome {
    enum record_result result;
    struct span message;
    struct client_hello_fault fault;
    size_t decided_at; /* wire bytes there when it fell */
};

/* Gives the wire bytes in growing views, `step` more each time, but none that is shorter than what
 * was wanted: nobody asks then. */
static struct outcome feed(size_t step)
{
    struct outcome out = {RECORD_MORE, {NULL, 0}, {NULL, 0, 0}, 0};
    struct record_scan scan = {0};
    size_t len = 0;

    while (out.result == RECORD_MORE && len < wire_len) {
        len = wire_len - len < step ? wire_len : len + step;
        if (len < scan.want) {
            continue;
        }
        out.result = record_gather_hello(&scan, span_make(wire, len), join, &out.message);
        if (out.result == RECORD_MORE) {
            assert_true(scan.want > len && scan.want <= RECORD_BYTES_MAX);
        }
    }
    out.fault = scan.fault;
    out.decided_at = len;
    if (out.result != RECORD_MORE) { /* asked again, it says the same */
        struct span again = {NULL, 0};
        assert_int_equal(record_gather_hello(&scan, span_make(wire, len), join, &again),
                         out.result);
        assert_true(out.result == RECORD_BAD || span_equal(again, out.message));
    }
    return out;
}

static void expect_done(struct span message)
{
    static const size_t steps[] = {1, 2, 3, 5, 7, 64, 1460, WIRE_CAP};

    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        struct outcome out = feed(steps[i]);
        assert_int_equal(out.result, RECORD_DONE);
        assert_true(span_equal(out.message, message));
    }
}

/* The same fault however it comes; byte by byte it falls with the byte that is wrong, at the latest
 * when `decided_at` bytes are there. */
static void expect_bad(const char *field, size_t offset, uint8_t alert, size_t decided_at)
{
    static const size_t steps[] = {1, 2, 3, 5, 64, WIRE_CAP};

    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        struct outcome out = feed(steps[i]);
        assert_int_equal(out.result, RECORD_BAD);
        assert_string_equal(out.fault.field, field);
        assert_int_equal(out.fault.offset, offset);
        assert_int_equal(out.fault.alert, alert);
        if (steps[i] == 1) {
            assert_int_equal(out.decided_at, decided_at);
        }
    }
}

static void test_one_record(void **state)
{
    struct span message = hello_browser(&builder);
    struct outcome out;

    (void)state;
    wire_len = 0;
    put_record(message);
    expect_done(message);
    out = feed(WIRE_CAP);
    assert_true(out.message.data == wire + HEADER_LEN); /* a view, no copy */
    wire_len--;
    assert_int_equal(feed(1).result, RECORD_MORE);

    /* Bytes that follow in records of their own are nobody's business here. */
    wire_len++;
    put_header(20, 0x0303, 1);
    wire[wire_len++] = 1;
    assert_int_equal(feed(WIRE_CAP).result, RECORD_DONE);
}

static void test_every_split(void **state)
{
    struct span message = hello_browser(&builder);

    (void)state;
    for (size_t len = 1; len <= message.len; len++) {
        struct outcome out;

        wire_len = 0;
        put_records(message, len);
        out = feed(WIRE_CAP);
        assert_int_equal(out.result, RECORD_DONE);
        assert_true(span_equal(out.message, message));
        assert_true((out.message.data == join) == (len < message.len));
        out = feed(1);
        assert_int_equal(out.result, RECORD_DONE);
        assert_true(span_equal(out.message, message));
        assert_int_equal(out.decided_at, wire_len);
    }
}

static void test_fifty_records(void **state)
{
    struct span message = hello_browser(&builder);

    (void)state;
    wire_len = 0;
    put_record(span_sub(message, 0, 1));
    put_record(span_sub(message, 1, 1));
    put_record(span_sub(message, 2, 1));
    put_records(span_skip(message, 3), 11); /* 47 more */
    assert_int_equal(wire_len, message.len + 50 * HEADER_LEN);
    expect_done(message);
}

static void test_want(void **state)
{
    struct span message = hello_browser(&builder);
    struct record_scan scan = {0};
    struct span got;

    (void)state;
    wire_len = 0;
    put_record(span_sub(message, 0, 100));
    put_record(span_skip(message, 100));
    assert_int_equal(record_gather_hello(&scan, span_make(wire, 0), join, &got), RECORD_MORE);
    assert_int_equal(scan.want, 1);
    assert_int_equal(record_gather_hello(&scan, span_make(wire, 1), join, &got), RECORD_MORE);
    assert_int_equal(scan.want, 2);
    assert_int_equal(record_gather_hello(&scan, span_make(wire, 4), join, &got), RECORD_MORE);
    assert_int_equal(scan.want, 5);
    assert_int_equal(record_gather_hello(&scan, span_make(wire, 5), join, &got), RECORD_MORE);
    assert_int_equal(scan.want, 6);
    assert_int_equal(record_gather_hello(&scan, span_make(wire, 8), join, &got), RECORD_MORE);
    assert_int_equal(scan.want, 9);
    assert_int_equal(record_gather_hello(&scan, span_make(wire, 9), join, &got), RECORD_MORE);
    assert_int_equal(scan.want, 105);
    assert_int_equal(record_gather_hello(&scan, span_make(wire, 105), join, &got), RECORD_MORE);
    assert_int_equal(scan.want, 106);
    assert_int_equal(record_gather_hello(&scan, span_make(wire, 108), join, &got), RECORD_MORE);
    assert_int_equal(scan.want, 110);
    assert_int_equal(scan.record_count, 1);
    assert_int_equal(record_gather_hello(&scan, span_make(wire, 300), join, &got), RECORD_MORE);
    assert_int_equal(scan.want, message.len + 10);
    assert_int_equal(record_gather_hello(&scan, span_make(wire, scan.want), join, &got),
                     RECORD_DONE);
    assert_true(span_equal(got, message));
}

static struct span sized_hello(size_t len)
{
    hello_start(&builder, 0x0303, 32);
    HELLO_LIST16(&builder, 0x1301, 0xc02b);
    hello_no_compression(&builder);
    hello_pad_to(&builder, len);
    return hello_finish(&builder);
}

static void test_sizes(void **state)
{
    struct span message;

    (void)state;
    wire_len = 0;
    message = sized_hello(16 * 1024);
    put_records(message, 1 << 14);
    assert_int_equal(wire_len, message.len + HEADER_LEN);
    expect_done(message);

    wire_len = 0;
    message = sized_hello(CLIENT_HELLO_MAX);
    put_records(message, 1 << 14);
    expect_done(message);
    wire_len = 0;
    put_records(message, 16); /* 86016 bytes in 4096 records */
    expect_done(message);

    wire_len = 0;
    message = sized_hello(CLIENT_HELLO_MAX + 1);
    put_records(message, 1 << 14);
    expect_bad("length", 6, ALERT_ILLEGAL, 9);
}

/* 64 KiB in tiny records would be more than anybody keeps. */
static void test_wire_bound(void **state)
{
    struct span message = sized_hello(CLIENT_HELLO_MAX);

    (void)state;
    wire_len = 0;
    for (size_t at = 0; wire_len + 17 <= WIRE_CAP && at < message.len; at += 10) {
        put_record(span_sub(message, at, 10));
    }
    /* 6553 records of 15 bytes fit, then there are 9 bytes left: a header, and a record too long.
     */
    assert_int_equal(RECORD_BYTES_MAX, 6553 * 15 + 9);
    expect_bad("record", 6553 * 15, ALERT_ILLEGAL, 6553 * 15 + 5);

    wire_len = 0;
    put_records(span_sub(message, 0, 6553 * 10), 10);
    wire_len -= 15; /* the last record again, in two that leave less than a header's room */
    put_record(span_sub(message, 0, 3));
    put_record(span_sub(message, 3, 7));
    expect_bad("record", 6553 * 15 + 5, ALERT_ILLEGAL, 6553 * 15 + 5);
}

static void test_record_headers(void **state)
{
    struct span message = hello_browser(&builder);

    (void)state;
    for (unsigned minor = 0; minor < 256; minor++) {
        wire_len = 0;
        put_record(message);
        wire[2] = (uint8_t)minor;
        assert_int_equal(feed(WIRE_CAP).result, RECORD_DONE);
    }
    wire[1] = 2;
    expect_bad("legacy_record_version", 1, ALERT_VERSION, 2);

    for (unsigned type = 0; type < 256; type++) {
        wire_len = 0;
        put_record(message);
        wire[0] = (uint8_t)type; /* 20 change cipher spec, 21 alert, 23 application data ... */
        if (type != 22) {
            expect_bad("content_type", 0, ALERT_UNEXPECTED, 1);
        }
    }

    wire_len = 0;
    put_header(22, 0x0301, (1 << 14) + 1);
    expect_bad("record_length", 3, ALERT_OVERFLOW, 5);
    wire_len = 0;
    put_header(22, 0x0301, 0xffff - WIRE_CAP % 2);
    expect_bad("record_length", 3, ALERT_OVERFLOW, 5);
}

/* The same faults in a later record are told at their place. */
static void test_later_record_headers(void **state)
{
    struct span message = hello_browser(&builder);

    (void)state;
    wire_len = 0;
    put_record(span_sub(message, 0, 200));
    put_header(21, 0x0301, 2);
    wire[wire_len++] = 1;
    wire[wire_len++] = 0;
    expect_bad("content_type", 205, ALERT_UNEXPECTED, 206);
    wire_len = 205;
    put_header(22, 0x0400, 10);
    expect_bad("legacy_record_version", 206, ALERT_VERSION, 207);
    wire_len = 205;
    put_header(22, 0x0303, (1 << 14) + 1);
    expect_bad("record_length", 208, ALERT_OVERFLOW, 210);
}

static void test_sslv2_hello(void **state)
{
    static const uint8_t hello[] = {0x80, 0x2e, 0x01, 0x03, 0x01, 0x00, 0x15, 0x00, 0x00, 0x00};

    (void)state;
    memcpy(wire, hello, sizeof(hello));
    wire_len = sizeof(hello);
    expect_bad("content_type", 0, ALERT_UNEXPECTED, 1);
}

static void test_message_header(void **state)
{
    struct span message = hello_browser(&builder);

    (void)state;
    for (unsigned type = 0; type < 256; type++) {
        wire_len = 0;
        put_record(message);
        wire[HEADER_LEN] = (uint8_t)type;
        if (type != 1) {
            expect_bad("msg_type", HEADER_LEN, ALERT_UNEXPECTED, HEADER_LEN + 1);
        }
    }
    wire_len = 0;
    builder.bytes[1] = 1; /* more than 64 KiB */
    put_record(message);
    expect_bad("length", HEADER_LEN + 1, ALERT_ILLEGAL, HEADER_LEN + 4);

    /* The same with each byte of the header in a record of its own. */
    wire_len = 0;
    put_records(message, 1);
    expect_bad("length", 6 + HEADER_LEN, ALERT_ILLEGAL, 4 * 6);
}

/* Nothing may follow the hello in its last record. */
static void test_excess(void **state)
{
    struct span message = hello_browser(&builder);

    (void)state;
    builder.bytes[builder.len] = 16;
    message.len++;
    wire_len = 0;
    put_record(message);
    expect_bad("record_length", 3, ALERT_UNEXPECTED, HEADER_LEN + 4);
    wire_len = 0;
    put_record(span_sub(message, 0, 300));
    put_record(span_skip(message, 300));
    expect_bad("record_length", 308, ALERT_UNEXPECTED, 310);
}

static void put_empty_records(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        put_record(span_make(NULL, 0));
    }
}

static void test_empty_records(void **state)
{
    struct span message = hello_browser(&builder);

    (void)state;
    wire_len = 0;
    put_empty_records(1);
    put_record(message);
    expect_bad("record_length", 3, ALERT_UNEXPECTED, 5);

    /* Right after the first byte, where the message's length is still to be learnt. */
    wire_len = 0;
    put_record(span_sub(message, 0, 1));
    put_empty_records(16);
    put_record(span_sub(message, 1, 1));
    put_empty_records(16);
    put_record(span_skip(message, 2));
    expect_done(message);

    wire_len = 0;
    put_record(span_sub(message, 0, 1));
    put_empty_records(33);
    put_record(span_skip(message, 1));
    expect_bad("record_length", 6 + 32 * HEADER_LEN + 3, ALERT_UNEXPECTED, 6 + 33 * HEADER_LEN);
}

static void test_recognise(void **state)
{
    static const uint8_t start[] = {0x16, 0x03, 0x01, 0x02, 0x00};

    (void)state;
    assert_int_equal(record_recognise(span_make(start, 1)), RECORD_MORE);
    for (size_t len = 2; len <= sizeof(start); len++) {
        assert_int_equal(record_recognise(span_make(start, len)), RECORD_DONE);
    }
    for (unsigned first = 0; first < 256; first++) {
        uint8_t bytes[3] = {(uint8_t)first, 3, 1};
        enum record_result one = first == 0x16 ? RECORD_MORE : RECORD_BAD;
        enum record_result all = first == 0x16 ? RECORD_DONE : RECORD_BAD;
        assert_int_equal(record_recognise(span_make(bytes, 1)), one);
        assert_int_equal(record_recognise(span_make(bytes, 3)), all);
    }
    for (unsigned major = 0; major < 256; major++) {
        uint8_t bytes[2] = {0x16, (uint8_t)major};
        assert_int_equal(record_recognise(span_make(bytes, 2)),
                         major == 3 ? RECORD_DONE : RECORD_BAD);
    }
    for (unsigned minor = 0; minor < 256; minor++) {
        uint8_t bytes[3] = {0x16, 3, (uint8_t)minor};
        assert_int_equal(record_recognise(span_make(bytes, 3)), RECORD_DONE);
    }
    assert_int_equal(record_recognise(SPAN_LITERAL("GET / HTTP/1.1\r\n")), RECORD_BAD);
}

/* Any single byte of the wire changed: never a crash, and the split makes no difference. */
static void test_mutations(void **state)
{
    struct span message = hello_browser(&builder);
    size_t bad = 0;

    (void)state;
    wire_len = 0;
    put_records(message, 100);
    for (size_t at = 0; at < wire_len; at++) {
        uint8_t kept = wire[at];
        for (unsigned bit = 0; bit < 8; bit++) {
            struct outcome whole;
            struct outcome split;

            wire[at] = kept ^ (uint8_t)(1u << bit);
            whole = feed(WIRE_CAP);
            split = feed(3);
            assert_int_equal(whole.result, split.result);
            if (whole.result == RECORD_BAD) {
                assert_string_equal(whole.fault.field, split.fault.field);
                assert_int_equal(whole.fault.offset, split.fault.offset);
                assert_int_equal(whole.fault.alert, split.fault.alert);
                bad++;
            }
        }
        wire[at] = kept;
    }
    assert_true(bad > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_record),     cmocka_unit_test(test_every_split),
        cmocka_unit_test(test_fifty_records),  cmocka_unit_test(test_want),
        cmocka_unit_test(test_sizes),          cmocka_unit_test(test_wire_bound),
        cmocka_unit_test(test_record_headers), cmocka_unit_test(test_later_record_headers),
        cmocka_unit_test(test_sslv2_hello),    cmocka_unit_test(test_message_header),
        cmocka_unit_test(test_excess),         cmocka_unit_test(test_empty_records),
        cmocka_unit_test(test_recognise),      cmocka_unit_test(test_mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
