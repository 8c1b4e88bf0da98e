/* SPDX-License-Identifier: Apache-2.0 */
/*
 * capture_kit: writes TCP packets and captures of them. Included by the tests of what reads those.
 */
#ifndef WEIR_TESTS_CAPTURE_KIT_H
#define WEIR_TESTS_CAPTURE_KIT_H

#include "core/tools/packet.h"
#include "core/tools/streams.h"

#include "tests/unit/tls/hello_builder.h"

enum { KIT_LINK_RAW = 101, KIT_PACKET_MAX = 2048 };

/* A ClientHello for `name`, in one TLS record. */
static inline struct span kit_hello(struct hello_builder *b, const char *name)
{
    static uint8_t wire[CAPTURE_PACKET_MAX];
    size_t len = strlen(name);

    hello_start(b, 0x0303, 0);
    hello_u16(b, 2);
    hello_u16(b, 0x1301);
    hello_u16(b, 0x0100); /* one compression method: none */
    hello_u16(b, (unsigned)(len + 9));
    hello_u16(b, 0); /* server_name */
    hello_u16(b, (unsigned)(len + 5));
    hello_u16(b, (unsigned)(len + 3));
    hello_u8(b, 0);
    hello_u16(b, (unsigned)len);
    hello_bytes(b, name, len);
    b->bytes[2] = (uint8_t)((b->len - 4) >> 8);
    b->bytes[3] = (uint8_t)(b->len - 4);
    memcpy(wire, "\x16\3\1", 3);
    wire[3] = (uint8_t)(b->len >> 8);
    wire[4] = (uint8_t)b->len;
    memcpy(wire + 5, b->bytes, b->len);
    return span_make(wire, b->len + 5);
}

/* An IPv4 packet from port `port`, with no link layer. */
static inline struct span kit_packet(uint8_t room[KIT_PACKET_MAX], uint16_t port, uint32_t sequence,
                                     bool is_syn, struct span payload)
{
    static const uint8_t head[40] = {0x45, 0, 0, 0, 0, 0, 0,   0, 64, 6, 0, 0, 192, 0, 2, 1,   192,
                                     0,    2, 2, 0, 0, 1, 187, 0, 0,  0, 0, 0, 0,   0, 0, 0x50};

    ASSERT(payload.len <= KIT_PACKET_MAX - sizeof(head));
    memcpy(room, head, sizeof(head));
    room[2] = (uint8_t)((payload.len + sizeof(head)) >> 8);
    room[3] = (uint8_t)(payload.len + sizeof(head));
    room[20] = (uint8_t)(port >> 8);
    room[21] = (uint8_t)port;
    for (int i = 0; i < 4; i++) {
        room[24 + i] = (uint8_t)(sequence >> (24 - 8 * i));
    }
    room[33] = is_syn ? 2 : 16;
    if (payload.len) {
        memcpy(room + sizeof(head), payload.data, payload.len);
    }
    return span_make(room, payload.len + sizeof(head));
}

#endif
