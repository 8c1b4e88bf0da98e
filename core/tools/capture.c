/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tools/capture_private.h"

#include <stdarg.h>

enum capture_format capture_recognise(struct span first_bytes)
{
    static const struct {
        uint8_t magic[4];
        enum capture_format format;
    } rows[] = {
        {{0xa1, 0xb2, 0xc3, 0xd4}, CAPTURE_FORMAT_PCAP},
        {{0xd4, 0xc3, 0xb2, 0xa1}, CAPTURE_FORMAT_PCAP},
        {{0xa1, 0xb2, 0x3c, 0x4d}, CAPTURE_FORMAT_PCAP},
        {{0x4d, 0x3c, 0xb2, 0xa1}, CAPTURE_FORMAT_PCAP},
        {{0x0a, 0x0d, 0x0d, 0x0a}, CAPTURE_FORMAT_PCAPNG},
    };

    for (size_t i = 0; i < COUNT_OF(rows) && first_bytes.len >= 4; i++) {
        if (memcmp(first_bytes.data, rows[i].magic, 4) == 0) {
            return rows[i].format;
        }
    }
    return CAPTURE_FORMAT_NONE;
}

bool capture_start(struct capture *capture, struct input *in)
{
    capture->in = in;
    capture->is_swapped = false;
    capture->packet_count = 0;
    capture->pending = 0;
    capture->interface_count = 0;
    capture->fault[0] = '\0';
    input_fill(in, 4);
    capture->format = capture_recognise(input_window(in));
    switch (capture->format) {
    case CAPTURE_FORMAT_PCAP:
        return pcap_start(capture);
    case CAPTURE_FORMAT_PCAPNG:
        return true; /* its header is a block like the others */
    case CAPTURE_FORMAT_NONE:
        break;
    }
    (void)capture_refuse(capture, 0, "the header of a pcap or pcapng file expected");
    return false;
}

enum capture_result capture_next(struct capture *capture, struct capture_packet *packet)
{
    if (!input_skip(capture->in, capture->pending)) {
        return capture_refuse(capture, 0, "the capture ends in the middle of a packet");
    }
    capture->pending = 0;
    return capture->format == CAPTURE_FORMAT_PCAP ? pcap_next(capture, packet)
                                                  : pcapng_next(capture, packet);
}

uint16_t capture_u16(const struct capture *capture, const uint8_t *bytes)
{
    return (uint16_t)(capture->is_swapped ? bytes[1] << 8 | bytes[0] : bytes[0] << 8 | bytes[1]);
}

uint32_t capture_u32(const struct capture *capture, const uint8_t *bytes)
{
    uint32_t first = capture_u16(capture, bytes);
    uint32_t second = capture_u16(capture, bytes + 2);

    return capture->is_swapped ? second << 16 | first : first << 16 | second;
}

enum capture_result capture_refuse(struct capture *capture, size_t at, const char *format, ...)
{
    va_list arguments;
    unsigned long long place = capture->in->offset + at;
    int len = snprintf(capture->fault, sizeof(capture->fault), "byte %llu: ", place);

    va_start(arguments, format);
    vsnprintf(capture->fault + len, sizeof(capture->fault) - (size_t)len, format, arguments);
    va_end(arguments);
    return CAPTURE_BAD;
}

enum capture_result capture_want(struct capture *capture, size_t want, const char *what)
{
    size_t have;

    if (input_fill(capture->in, want)) {
        return CAPTURE_PACKET;
    }
    have = input_window(capture->in).len;
    if (have == 0 && capture->in->error == 0) {
        return CAPTURE_END;
    }
    return capture_refuse(capture, have, "the capture ends in the middle of %s: %zu bytes missing",
                          what, want - have);
}
