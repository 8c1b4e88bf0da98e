/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The next-generation format: blocks with their length at both ends. A section block sets the byte
 * order and forgets the interfaces; interface blocks say what the packets of the blocks that follow
 * are; blocks of other kinds are skipped.
 */
#include "core/tools/capture_private.h"

enum block_type {
    BLOCK_INTERFACE = 1,
    BLOCK_PACKET_OLD = 2,
    BLOCK_PACKET_SIMPLE = 3,
    BLOCK_PACKET = 6,
    BLOCK_SECTION = 0x0a0d0d0a,
};

enum { OPTION_END = 0, OPTION_TICKS = 9, OPTION_TIME_OFFSET = 14 };

enum {
    BLOCK_FRAME_LEN = 12, /* type, length, and the length again */
    BLOCK_START_LEN = 8,
    SECTION_LEN_MIN = 28,
    BLOCK_READ_MAX = CAPTURE_PACKET_MAX + 64 * 1024, /* of the blocks that are read, with options */
    BLOCK_LEN_MAX = 1 << 28,                         /* of those that are skipped */
};

static const uint32_t byte_order_magic = 0x1a2b3c4d;
static const uint64_t ns_per_s = 1000000000;

struct block {
    uint32_t type;
    uint32_t len;
    struct span body;
};

static enum capture_result read_block(struct capture *capture, struct block *block);
static enum capture_result read_interface(struct capture *capture, const struct block *block);
static enum capture_result read_packet(struct capture *capture, const struct block *block,
                                       struct capture_packet *packet);
static enum capture_result read_simple(struct capture *capture, const struct block *block,
                                       struct capture_packet *packet);

enum capture_result pcapng_next(struct capture *capture, struct capture_packet *packet)
{
    for (;;) {
        struct block block;
        enum capture_result result = read_block(capture, &block);

        if (result != CAPTURE_PACKET) {
            return result;
        }
        switch (block.type) {
        case BLOCK_PACKET:
        case BLOCK_PACKET_OLD:
            capture->pending = block.len;
            return read_packet(capture, &block, packet);
        case BLOCK_PACKET_SIMPLE:
            capture->pending = block.len;
            return read_simple(capture, &block, packet);
        case BLOCK_SECTION:
            capture->interface_count = 0;
            break;
        case BLOCK_INTERFACE:
            result = read_interface(capture, &block);
            break;
        default:
            break;
        }
        if (result != CAPTURE_PACKET) {
            return result;
        }
        if (!input_skip(capture->in, block.len)) {
            return capture_refuse(capture, 0, "the capture ends in the middle of a block");
        }
    }
}

static bool is_read(uint32_t type)
{
    return type == BLOCK_SECTION || type == BLOCK_INTERFACE || type == BLOCK_PACKET ||
           type == BLOCK_PACKET_OLD || type == BLOCK_PACKET_SIMPLE;
}

/* The byte order of the section that begins here. */
static enum capture_result read_byte_order(struct capture *capture)
{
    enum capture_result result = capture_want(capture, SECTION_LEN_MIN, "a section header");

    if (result != CAPTURE_PACKET) {
        return result;
    }
    capture->is_swapped = false;
    if (capture_u32(capture, input_window(capture->in).data + 8) == byte_order_magic) {
        return CAPTURE_PACKET;
    }
    capture->is_swapped = true;
    if (capture_u32(capture, input_window(capture->in).data + 8) == byte_order_magic) {
        return CAPTURE_PACKET;
    }
    return capture_refuse(capture, 8, "the byte-order magic 1a2b3c4d expected");
}

/* PACKET: the block is read; of those that are skipped the first 8 bytes alone are there. */
static enum capture_result read_block(struct capture *capture, struct block *block)
{
    enum capture_result result = capture_want(capture, BLOCK_START_LEN, "a block");
    const uint8_t *start;
    uint32_t least;

    if (result != CAPTURE_PACKET) {
        return result;
    }
    block->body = (struct span){NULL, 0};
    block->type = capture_u32(capture, input_window(capture->in).data);
    if (block->type == BLOCK_SECTION) { /* the same in both byte orders */
        result = read_byte_order(capture);
        if (result != CAPTURE_PACKET) {
            return result == CAPTURE_END ? CAPTURE_BAD : result;
        }
    }
    block->len = capture_u32(capture, input_window(capture->in).data + 4);
    least = block->type == BLOCK_SECTION ? SECTION_LEN_MIN : BLOCK_FRAME_LEN;
    if (block->len < least || block->len % 4 ||
        block->len > (is_read(block->type) ? BLOCK_READ_MAX : BLOCK_LEN_MAX)) {
        return capture_refuse(capture, 4, "a block of type %x cannot be %u bytes long", block->type,
                              block->len);
    }
    if (!is_read(block->type)) {
        return CAPTURE_PACKET;
    }
    result = capture_want(capture, block->len, "a block");
    if (result != CAPTURE_PACKET) {
        return result;
    }
    start = input_window(capture->in).data;
    if (capture_u32(capture, start + block->len - 4) != block->len) {
        return capture_refuse(capture, block->len - 4, "the block's length %u again expected",
                              block->len);
    }
    block->body = span_make(start + BLOCK_START_LEN, block->len - BLOCK_FRAME_LEN);
    return CAPTURE_PACKET;
}

/* if_tsresol: a power of ten, or of two with the upper bit. 0: more than 64 bits can count. */
static uint64_t ticks_per_s(uint8_t resolution)
{
    uint64_t ticks = 1;

    if (resolution & 0x80) {
        return (resolution & 0x7f) < 64 ? UINT64_C(1) << (resolution & 0x7f) : 0;
    }
    for (unsigned i = 0; i < resolution; i++) {
        ticks = i < 19 ? ticks * 10 : 0;
    }
    return ticks;
}

static void read_options(const struct capture *capture, struct span options,
                         struct capture_interface *interface)
{
    while (options.len >= 4) {
        uint16_t code = capture_u16(capture, options.data);
        size_t len = capture_u16(capture, options.data + 2);
        struct span value = span_sub(options, 4, len);

        if (code == OPTION_END || value.len != len) {
            return;
        }
        if (code == OPTION_TICKS && len == 1) {
            interface->ticks_per_s = ticks_per_s(value.data[0]);
        } else if (code == OPTION_TIME_OFFSET && len == 8) {
            uint64_t first = capture_u32(capture, value.data);
            uint64_t second = capture_u32(capture, value.data + 4);
            interface->offset_s =
                (int64_t)(capture->is_swapped ? second << 32 | first : first << 32 | second);
        }
        options = span_skip(options, 4 + (len + 3) / 4 * 4);
    }
}

static enum capture_result read_interface(struct capture *capture, const struct block *block)
{
    struct capture_interface *interface;

    if (block->body.len < 8) {
        return capture_refuse(capture, 4, "an interface block of %u bytes is too short",
                              block->len);
    }
    if (capture->interface_count == CAPTURE_INTERFACES_MAX) {
        return capture_refuse(capture, 0, "more than %d interfaces", CAPTURE_INTERFACES_MAX);
    }
    interface = &capture->interfaces[capture->interface_count++];
    *interface = (struct capture_interface){
        .link_type = capture_u16(capture, block->body.data),
        .snap_len = capture_u32(capture, block->body.data + 4),
        .ticks_per_s = 1000000,
    };
    read_options(capture, span_skip(block->body, 8), interface);
    return CAPTURE_PACKET;
}

/* 0 where the time cannot be told. */
static int64_t time_ns(const struct capture_interface *interface, uint64_t ticks)
{
    uint64_t per_s = interface->ticks_per_s;
    __int128 ns;

    if (per_s == 0) {
        return 0;
    }
    ns = (__int128)(ticks / per_s) * (int64_t)ns_per_s +
         (__int128)(ticks % per_s) * (int64_t)ns_per_s / per_s +
         (__int128)interface->offset_s * (int64_t)ns_per_s;
    return ns < 0 || ns > INT64_MAX ? 0 : (int64_t)ns;
}

static enum capture_result hand_out(struct capture *capture, struct capture_packet *packet,
                                    uint32_t interface, uint64_t ticks, uint32_t original,
                                    struct span bytes)
{
    if (interface >= capture->interface_count) {
        return capture_refuse(capture, BLOCK_START_LEN,
                              "a packet of interface %u, which no block "
                              "described",
                              interface);
    }
    *packet = (struct capture_packet){
        .number = ++capture->packet_count,
        .time_ns = ticks ? time_ns(&capture->interfaces[interface], ticks) : 0,
        .link_type = capture->interfaces[interface].link_type,
        .cut_len = original > bytes.len ? original - bytes.len : 0,
        .bytes = bytes,
    };
    return CAPTURE_PACKET;
}

/* The enhanced packet block and its predecessor, whose interface has 2 bytes. */
static enum capture_result read_packet(struct capture *capture, const struct block *block,
                                       struct capture_packet *packet)
{
    const uint8_t *body = block->body.data;
    uint32_t captured;
    uint64_t ticks;

    if (block->body.len < 20) {
        return capture_refuse(capture, 4, "a packet block of %u bytes is too short", block->len);
    }
    captured = capture_u32(capture, body + 12);
    if (captured > block->body.len - 20 || captured > CAPTURE_PACKET_MAX) {
        return capture_refuse(capture, BLOCK_START_LEN + 12,
                              "a packet of %u bytes in a block of %u", captured, block->len);
    }
    ticks = (uint64_t)capture_u32(capture, body + 4) << 32 | capture_u32(capture, body + 8);
    return hand_out(capture, packet,
                    block->type == BLOCK_PACKET ? capture_u32(capture, body)
                                                : capture_u16(capture, body),
                    ticks, capture_u32(capture, body + 16), span_sub(block->body, 20, captured));
}

static enum capture_result read_simple(struct capture *capture, const struct block *block,
                                       struct capture_packet *packet)
{
    uint32_t captured;
    uint32_t original;
    uint32_t snap_len = capture->interface_count ? capture->interfaces[0].snap_len : 0;

    if (block->body.len < 4) {
        return capture_refuse(capture, 4, "a packet block of %u bytes is too short", block->len);
    }
    original = capture_u32(capture, block->body.data);
    captured = snap_len && original > snap_len ? snap_len : original;
    if (captured > block->body.len - 4 || captured > CAPTURE_PACKET_MAX) {
        return capture_refuse(capture, BLOCK_START_LEN, "a packet of %u bytes in a block of %u",
                              captured, block->len);
    }
    return hand_out(capture, packet, 0, 0, original, span_sub(block->body, 4, captured));
}
