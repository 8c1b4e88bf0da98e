/* SPDX-License-Identifier: Apache-2.0 */
/*
 * capture: the packets of a capture file, read as a stream: classic pcap (draft-ietf-opsawg-pcap;
 * both byte orders, micro- and nanoseconds) and pcapng (draft-ietf-opsawg-pcapng).
 */
#ifndef WEIR_TOOLS_CAPTURE_H
#define WEIR_TOOLS_CAPTURE_H

#include "core/tools/input.h"

enum {
    CAPTURE_PACKET_MAX = 256 * 1024, /* bytes captured of one packet */
    CAPTURE_INTERFACES_MAX = 256,    /* in one section of a pcapng file */
    CAPTURE_FAULT_MAX = 160,
};

struct capture_packet {
    uint64_t number;    /* from 1 */
    int64_t time_ns;    /* since 1970; 0: not known */
    uint32_t link_type; /* LINKTYPE_ numbers */
    size_t cut_len;     /* bytes that were on the wire, but not captured */
    struct span bytes;  /* valid until the next call */
};

enum capture_result {
    CAPTURE_PACKET,
    CAPTURE_END,
    CAPTURE_BAD, /* `fault`, or input->error, says why nothing more can be read */
};

struct capture_interface {
    uint32_t link_type;
    uint32_t snap_len; /* 0: no limit */
    uint64_t ticks_per_s;
    int64_t offset_s;
};

enum capture_format { CAPTURE_FORMAT_NONE, CAPTURE_FORMAT_PCAP, CAPTURE_FORMAT_PCAPNG };

struct capture {
    struct input *in;
    enum capture_format format;
    bool is_swapped; /* the file's byte order is little-endian */
    uint64_t packet_count;
    size_t pending; /* bytes of the packet that was handed out last */
    uint32_t interface_count;
    struct capture_interface interfaces[CAPTURE_INTERFACES_MAX]; /* pcap has one */
    char fault[CAPTURE_FAULT_MAX];                               /* "byte N: ..." */
};

/* By the first 4 bytes. */
enum capture_format capture_recognise(struct span first_bytes);

/* Reads the file's header. False: `fault`. */
bool capture_start(struct capture *capture, struct input *in) MUST_CHECK;

enum capture_result capture_next(struct capture *capture, struct capture_packet *packet) MUST_CHECK;

#endif
