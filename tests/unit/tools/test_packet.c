/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tools/packet.h"

#include "tests/unit/tools/capture_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static enum packet_kind read_as(uint32_t link_type, struct span bytes,
                                struct packet_segment *segment)
{
    struct capture_packet packet = {.link_type = link_type, .bytes = bytes};

    return packet_read(&packet, segment);
}

static void test_fields(void **state)
{
    uint8_t room[KIT_PACKET_MAX];
    struct span packet = kit_packet(room, 0x1234, 0xdeadbeef, true, SPAN_LITERAL("payload"));
    struct packet_segment segment;

    (void)state;
    assert_int_equal(read_as(KIT_LINK_RAW, packet, &segment), PACKET_TCP);
    assert_int_equal(segment.flow.family, 4);
    assert_memory_equal(segment.flow.source, "\xc0\0\2\1\0\0", 6);
    assert_memory_equal(segment.flow.target, "\xc0\0\2\2\0\0", 6);
    assert_int_equal(segment.flow.source_port, 0x1234);
    assert_int_equal(segment.flow.target_port, 443);
    assert_int_equal(segment.sequence, 0xdeadbeef);
    assert_true(segment.is_syn);
    assert_true(span_equal(segment.payload, SPAN_LITERAL("payload")));
}

/* Nothing is read beyond a packet however it is cut; headers that are cut are malformed. */
static void test_every_length(void **state)
{
    uint8_t room[KIT_PACKET_MAX];
    struct span packet = kit_packet(room, 1, 2, false, SPAN_LITERAL("payload"));
    struct packet_segment segment;

    (void)state;
    for (size_t len = 0; len <= packet.len; len++) {
        uint8_t *exact = malloc(len ? len : 1);
        assert_non_null(exact);
        memcpy(exact, packet.data, len);
        assert_int_equal(read_as(KIT_LINK_RAW, span_make(exact, len), &segment),
                         len < 40 ? PACKET_MALFORMED : PACKET_TCP);
        assert_true(len < 40 || segment.payload.len == len - 40);
        free(exact);
    }
}

/* One byte changed, and what the packet is then. */
static void test_kinds(void **state)
{
    static const struct {
        size_t at;
        uint8_t value;
        enum packet_kind kind;
        const char *why;
    } rows[] = {
        {0, 0x44, PACKET_MALFORMED, "an IPv4 header of 16 bytes"},
        {0, 0x4f, PACKET_MALFORMED, "one longer than the packet's TCP leaves room"},
        {0, 0x55, PACKET_OTHER, "IP version 5"},
        {3, 19, PACKET_MALFORMED, "a total length below the header's"},
        {3, 39, PACKET_MALFORMED, "a total length that cuts the TCP header"},
        {3, 0, PACKET_TCP, "no total length: left to the network card"},
        {6, 0x40, PACKET_TCP, "don't fragment"},
        {6, 0x20, PACKET_FRAGMENT, "more fragments"},
        {7, 1, PACKET_FRAGMENT, "a fragment's offset"},
        {9, 17, PACKET_OTHER, "UDP"},
        {32, 0x40, PACKET_MALFORMED, "a TCP header of 16 bytes"},
        {32, 0xf0, PACKET_MALFORMED, "one longer than the packet"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint8_t room[KIT_PACKET_MAX];
        struct span packet = kit_packet(room, 1, 2, false, SPAN_LITERAL("payload"));
        struct packet_segment segment;

        room[rows[i].at] = rows[i].value;
        if (read_as(KIT_LINK_RAW, packet, &segment) != rows[i].kind) {
            fail_msg("%s", rows[i].why);
        }
    }
}

static void test_links(void **state)
{
    uint8_t room[KIT_PACKET_MAX] = {[12] = 0x08, [13] = 0x06};
    struct packet_segment segment;

    (void)state;
    assert_int_equal(read_as(147, span_make(room, 60), &segment), PACKET_LINK);
    assert_int_equal(read_as(1, span_make(room, 60), &segment), PACKET_OTHER); /* ARP */
    assert_int_equal(read_as(1, span_make(room, 13), &segment), PACKET_MALFORMED);
    for (size_t tag = 0; tag <= PACKET_VLAN_TAGS_MAX; tag++) {
        memcpy(room + 12 + 4 * tag, "\x81\0\0\1", 4);
    }
    assert_int_equal(read_as(1, span_make(room, 60), &segment), PACKET_MALFORMED);
}

/* Extension headers that do not end. */
static void test_extensions(void **state)
{
    uint8_t room[40 + 8 * (PACKET_EXTENSIONS_MAX + 1) + 20] = {0x60};
    struct packet_segment segment;

    (void)state;
    for (int count = 0; count <= PACKET_EXTENSIONS_MAX + 1; count++) {
        size_t tcp = 40 + 8 * (size_t)count;

        room[6] = count ? 60 : 6;
        for (int i = 0; i < count; i++) {
            room[40 + 8 * i] = i + 1 < count ? 60 : 6;
            room[41 + 8 * i] = 0;
        }
        memset(room + tcp, 0, sizeof(room) - tcp);
        if (tcp + 12 < sizeof(room)) {
            room[tcp + 12] = 0x50;
        }
        assert_int_equal(read_as(KIT_LINK_RAW, span_make(room, sizeof(room)), &segment),
                         count < PACKET_EXTENSIONS_MAX ? PACKET_TCP : PACKET_MALFORMED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),     cmocka_unit_test(test_every_length),
        cmocka_unit_test(test_kinds),      cmocka_unit_test(test_links),
        cmocka_unit_test(test_extensions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
