/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packet: a captured packet down to its TCP segment: Ethernet with VLAN tags, Linux cooked capture
 * (both versions), loopback and raw IP; IPv4 with options, IPv6 with extension headers.
 */
#ifndef WEIR_TOOLS_PACKET_H
#define WEIR_TOOLS_PACKET_H

#include "core/tools/capture.h"

enum { PACKET_IP_LEN = 16, PACKET_VLAN_TAGS_MAX = 4, PACKET_EXTENSIONS_MAX = 8 };

/* No padding: it is compared and hashed as bytes. */
struct packet_flow {
    uint8_t source[PACKET_IP_LEN]; /* IPv4: the first 4, then zeros */
    uint8_t target[PACKET_IP_LEN];
    uint16_t source_port;
    uint16_t target_port;
    uint32_t family; /* 4 or 6 */
};

struct packet_segment {
    struct packet_flow flow;
    uint32_t sequence;
    bool is_syn;
    struct span payload; /* a view of the packet */
};

/* What a packet can be; the others than TCP are counted and passed over. */
enum packet_kind {
    PACKET_TCP,
    PACKET_OTHER,     /* another protocol than TCP over IP */
    PACKET_FRAGMENT,  /* a part of an IP packet */
    PACKET_LINK,      /* a link type that is not known here */
    PACKET_MALFORMED, /* or cut short within its headers */
    PACKET_KIND_COUNT,
};

enum packet_kind packet_read(const struct capture_packet *packet, struct packet_segment *segment);

#endif
