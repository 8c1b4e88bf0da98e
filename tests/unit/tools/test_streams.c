/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tools/streams.h"

#include "core/tools/hello_facts.h"
#include "tests/unit/tools/capture_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static struct hello_builder builder;
static uint64_t packet_number;

static bool feed_to(struct streams *streams, uint16_t port, uint32_t sequence, bool is_syn,
                    struct span payload, struct stream_hello *hello)
{
    uint8_t room[KIT_PACKET_MAX];
    struct capture_packet packet = {.number = ++packet_number, .link_type = KIT_LINK_RAW};
    struct packet_segment segment;

    packet.bytes = kit_packet(room, port, sequence, is_syn, payload);
    assert_int_equal(packet_read(&packet, &segment), PACKET_TCP);
    return streams_feed(streams, &segment, &packet, hello);
}

static const struct span nothing = {NULL, 0};

/* Every cut into two segments, in both orders, with and without a SYN where the first comes first.
 */
static void test_every_cut(void **state)
{
    struct span wire = kit_hello(&builder, "cut.example");
    struct stream_hello hello;

    (void)state;
    for (size_t cut = 1; cut < wire.len; cut++) {
        for (int way = 0; way < 3; way++) {
            struct streams *streams = streams_new();
            bool swapped = way == 1;
            size_t first = swapped ? cut : 0;
            size_t second = swapped ? 0 : cut;

            assert_non_null(streams);
            if (way < 2) {
                assert_false(feed_to(streams, 1, 99, true, nothing, &hello));
            }
            assert_false(feed_to(streams, 1, 100 + (uint32_t)first, false,
                                 span_sub(wire, first, swapped ? wire.len : cut), &hello));
            assert_true(feed_to(streams, 1, 100 + (uint32_t)second, false,
                                span_sub(wire, second, swapped ? cut : wire.len), &hello));
            assert_true(span_equal(hello.wire, wire));
            assert_int_equal(hello.packet_number, packet_number);
            assert_false(streams_flush(streams, &hello));
            streams_free(streams);
        }
    }
}

/* More holes than are kept: the rest is dropped, and the hello is told as cut short at the end. */
static void test_holes(void **state)
{
    struct span wire = kit_hello(&builder, "holes.example");
    struct streams *streams = streams_new();
    struct stream_hello hello;

    (void)state;
    assert_non_null(streams);
    assert_true(wire.len > 2 * STREAM_HOLES_MAX + 4);
    assert_false(feed_to(streams, 1, 99, true, nothing, &hello));
    for (uint32_t i = 0; i < wire.len; i += 2) {
        assert_false(feed_to(streams, 1, 100 + i, false, span_sub(wire, i, 1), &hello));
    }
    for (uint32_t i = 1; i < wire.len; i += 2) {
        assert_false(feed_to(streams, 1, 100 + i, false, span_sub(wire, i, 1), &hello));
    }
    assert_true(streams_flush(streams, &hello));
    assert_int_equal(hello.wire.len, 2 * (STREAM_HOLES_MAX + 1));
    assert_memory_equal(hello.wire.data, wire.data, hello.wire.len);
    assert_false(streams_flush(streams, &hello));
    streams_free(streams);
}

/* The least used direction goes when there are too many, and what began in it is counted. */
static void test_many(void **state)
{
    struct span wire = kit_hello(&builder, "many.example");
    struct streams *streams = streams_new();
    struct stream_hello hello;

    (void)state;
    assert_non_null(streams);
    assert_false(feed_to(streams, 1, 100, false, span_sub(wire, 0, 30), &hello));
    assert_false(feed_to(streams, 2, 100, false, span_sub(wire, 0, 30), &hello));
    for (unsigned i = 0; i < STREAMS_MAX - 2; i++) {
        assert_false(feed_to(streams, (uint16_t)(i + 3), 99, true, nothing, &hello));
    }
    assert_int_equal(streams_lost_count(streams), 0);
    assert_false(feed_to(streams, 1, 130, false, span_sub(wire, 30, 1), &hello)); /* used now */
    assert_false(feed_to(streams, 50000, 99, true, nothing, &hello));
    assert_int_equal(streams_lost_count(streams), 1); /* 2 went */
    assert_true(feed_to(streams, 1, 131, false, span_skip(wire, 31), &hello));
    assert_true(span_equal(hello.wire, wire));
    streams_free(streams);
}

/* The bytes of all together are bounded. */
static void test_bytes(void **state)
{
    static uint8_t begin[KIT_PACKET_MAX - 40] = {0x16, 3, 1, 0x40, 0, 1, 0, 0xff, 0};
    static uint8_t zeros[1000];
    struct streams *streams = streams_new();
    struct stream_hello hello;

    (void)state;
    assert_non_null(streams);
    for (uint16_t port = 1; port <= 1000; port++) {
        assert_false(feed_to(streams, port, 0, false, span_make(begin, sizeof(begin)), &hello));
        /* Far ahead, so that the room of the longest hello is taken. */
        assert_false(feed_to(streams, port, RECORD_BYTES_MAX - 10, false,
                             span_make(zeros, sizeof(zeros)), &hello));
    }
    assert_int_equal(streams_lost_count(streams), 1000 - STREAMS_BYTES_MAX / RECORD_BYTES_MAX);
    streams_free(streams);
}

/* The other direction of a connection, and other traffic, say nothing. */
static void test_other(void **state)
{
    static const char server_hello[] = "\x16\3\3\0\x06\2\0\0\2\3\3";
    static const char http[] = "GET / HTTP/1.1\r\n\r\n";
    struct streams *streams = streams_new();
    struct stream_hello hello;

    (void)state;
    assert_non_null(streams);
    assert_false(feed_to(streams, 1, 99, true, nothing, &hello));
    assert_false(feed_to(streams, 1, 100, false, span_make(server_hello, 11), &hello));
    assert_false(feed_to(streams, 2, 100, false, span_from_string(http), &hello));
    assert_false(feed_to(streams, 3, 100, false, nothing, &hello));
    assert_false(streams_flush(streams, &hello));
    streams_free(streams);
    streams_free(NULL);
}

/* A hello is seen although bytes before it were none: here those of a SYN's padding. */
static void test_padded_syn(void **state)
{
    struct span wire = kit_hello(&builder, "padded.example");
    struct streams *streams = streams_new();
    struct stream_hello hello;

    (void)state;
    assert_non_null(streams);
    assert_false(feed_to(streams, 1, 99, true, SPAN_LITERAL("\xee\xee"), &hello));
    assert_true(feed_to(streams, 1, 100, false, wire, &hello));
    assert_true(span_equal(hello.wire, wire));
    assert_false(feed_to(streams, 1, 100, false, wire, &hello)); /* sent again */
    streams_free(streams);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_cut), cmocka_unit_test(test_holes),
        cmocka_unit_test(test_many),      cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_other),     cmocka_unit_test(test_padded_syn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
