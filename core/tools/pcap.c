/* SPDX-License-Identifier: Apache-2.0 */
/* The classic format: a header of 24 bytes, then packets, each with a header of 16. */
#include "core/tools/capture_private.h"

enum { FILE_HEADER_LEN = 24, PACKET_HEADER_LEN = 16, LINK_TYPE_MASK = 0xffff };

static const uint64_t us_per_s = 1000000;
static const uint64_t ns_per_s = 1000000000;

bool pcap_start(struct capture *capture)
{
    const uint8_t *header;
    struct capture_interface *interface = &capture->interfaces[0];

    if (capture_want(capture, FILE_HEADER_LEN, "its header") != CAPTURE_PACKET) {
        return false;
    }
    header = input_window(capture->in).data;
    capture->is_swapped = header[0] != 0xa1;
    *interface = (struct capture_interface){
        .link_type = capture_u32(capture, header + 20) & LINK_TYPE_MASK,
        .ticks_per_s = capture_u32(capture, header) == 0xa1b23c4d ? ns_per_s : us_per_s,
    };
    capture->interface_count = 1;
    capture->pending = FILE_HEADER_LEN;
    return true;
}

enum capture_result pcap_next(struct capture *capture, struct capture_packet *packet)
{
    const struct capture_interface *interface = &capture->interfaces[0];
    enum capture_result result = capture_want(capture, PACKET_HEADER_LEN, "a packet's header");
    const uint8_t *header;
    uint32_t captured;
    uint32_t original;

    if (result != CAPTURE_PACKET) {
        return result;
    }
    header = input_window(capture->in).data;
    captured = capture_u32(capture, header + 8);
    original = capture_u32(capture, header + 12);
    if (captured > CAPTURE_PACKET_MAX) {
        return capture_refuse(capture, 8, "a packet of %u bytes; at most %d are read", captured,
                              CAPTURE_PACKET_MAX);
    }
    result = capture_want(capture, PACKET_HEADER_LEN + captured, "a packet");
    if (result != CAPTURE_PACKET) {
        return result;
    }
    header = input_window(capture->in).data;
    *packet = (struct capture_packet){
        .number = ++capture->packet_count,
        .time_ns =
            (int64_t)(capture_u32(capture, header) * ns_per_s +
                      capture_u32(capture, header + 4) * (ns_per_s / interface->ticks_per_s)),
        .link_type = interface->link_type,
        .cut_len = original > captured ? original - captured : 0,
        .bytes = span_make(header + PACKET_HEADER_LEN, captured),
    };
    capture->pending = PACKET_HEADER_LEN + captured;
    return CAPTURE_PACKET;
}
