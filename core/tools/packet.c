/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tools/packet.h"

#include "core/base/cursor.h"

/* https://www.tcpdump.org/linktypes.html; 12 and 14 are raw IP on some BSDs. */
enum link_type {
    LINK_NULL = 0,
    LINK_ETHERNET = 1,
    LINK_RAW_12 = 12,
    LINK_RAW_14 = 14,
    LINK_RAW = 101,
    LINK_LOOP = 108,
    LINK_LINUX_SLL = 113,
    LINK_IPV4 = 228,
    LINK_IPV6 = 229,
    LINK_LINUX_SLL2 = 276,
};

enum {
    ETHERTYPE_IPV4 = 0x0800,
    ETHERTYPE_VLAN = 0x8100,
    ETHERTYPE_IPV6 = 0x86dd,
    ETHERTYPE_SERVICE_VLAN = 0x88a8,
    ETHERTYPE_OLD_VLAN = 0x9100,
};

/* IP protocols, of which IPv6 has its extension headers among. */
enum {
    PROTOCOL_HOP_BY_HOP = 0,
    PROTOCOL_TCP = 6,
    PROTOCOL_ROUTING = 43,
    PROTOCOL_FRAGMENT = 44,
    PROTOCOL_AUTHENTICATION = 51,
    PROTOCOL_OPTIONS = 60,
};

enum { IPV4_HEADER_MIN = 20, IPV6_HEADER_LEN = 40, TCP_HEADER_MIN = 20, TCP_SYN = 0x02 };

static enum packet_kind read_ethertype(struct cursor *c, uint16_t type,
                                       struct packet_segment *segment);
static enum packet_kind read_ip(struct cursor *c, struct packet_segment *segment);
static enum packet_kind read_ipv4(struct cursor *c, struct packet_segment *segment);
static enum packet_kind read_ipv6(struct cursor *c, struct packet_segment *segment);
static enum packet_kind read_tcp(struct cursor *c, struct packet_segment *segment);

enum packet_kind packet_read(const struct capture_packet *packet, struct packet_segment *segment)
{
    struct cursor c = cursor_make(packet->bytes);

    *segment = (struct packet_segment){0};
    switch (packet->link_type) {
    case LINK_ETHERNET:
        cursor_take(&c, 12);
        return read_ethertype(&c, cursor_u16(&c), segment);
    case LINK_LINUX_SLL:
        cursor_take(&c, 14);
        return read_ethertype(&c, cursor_u16(&c), segment);
    case LINK_LINUX_SLL2: {
        uint16_t type = cursor_u16(&c);
        cursor_take(&c, 18);
        return read_ethertype(&c, type, segment);
    }
    case LINK_NULL: /* the address family of one system or another: the IP header tells it, too */
    case LINK_LOOP:
        cursor_take(&c, 4);
        return read_ip(&c, segment);
    case LINK_RAW:
    case LINK_RAW_12:
    case LINK_RAW_14:
    case LINK_IPV4:
    case LINK_IPV6:
        return read_ip(&c, segment);
    default:
        return PACKET_LINK;
    }
}

static enum packet_kind read_ethertype(struct cursor *c, uint16_t type,
                                       struct packet_segment *segment)
{
    for (int tags = 0;
         type == ETHERTYPE_VLAN || type == ETHERTYPE_SERVICE_VLAN || type == ETHERTYPE_OLD_VLAN;
         tags++) {
        if (tags == PACKET_VLAN_TAGS_MAX) {
            return PACKET_MALFORMED;
        }
        cursor_u16(c);
        type = cursor_u16(c);
    }
    if (c->failed) {
        return PACKET_MALFORMED;
    }
    return type == ETHERTYPE_IPV4 || type == ETHERTYPE_IPV6 ? read_ip(c, segment) : PACKET_OTHER;
}

static enum packet_kind read_ip(struct cursor *c, struct packet_segment *segment)
{
    if (cursor_left(c) == 0) {
        return PACKET_MALFORMED;
    }
    switch (c->next[0] >> 4) {
    case 4:
        return read_ipv4(c, segment);
    case 6:
        return read_ipv6(c, segment);
    default:
        return PACKET_OTHER;
    }
}

/* Drops what stands behind the IP packet (Ethernet's padding). A length of 0 or beyond the captured
 * bytes leaves all: the network card cuts later, or the capture was cut. */
static void clip(struct cursor *c, size_t len)
{
    if (len && len < cursor_left(c)) {
        c->end = c->next + len;
    }
}

static enum packet_kind read_ipv4(struct cursor *c, struct packet_segment *segment)
{
    const uint8_t *header = c->next;
    size_t header_len = (size_t)(header[0] & 15) * 4;
    size_t total;

    if (cursor_left(c) < IPV4_HEADER_MIN || header_len < IPV4_HEADER_MIN ||
        cursor_left(c) < header_len) {
        return PACKET_MALFORMED;
    }
    total = (size_t)header[2] << 8 | header[3];
    if (total && total < header_len) {
        return PACKET_MALFORMED;
    }
    clip(c, total);
    cursor_take(c, header_len);
    if ((header[6] & 0x3f) || header[7]) { /* more fragments, or not the first one */
        return PACKET_FRAGMENT;
    }
    if (header[9] != PROTOCOL_TCP) {
        return PACKET_OTHER;
    }
    segment->flow.family = 4;
    memcpy(segment->flow.source, header + 12, 4);
    memcpy(segment->flow.target, header + 16, 4);
    return read_tcp(c, segment);
}

/* Goes over the extension headers (RFC 8200 4) and returns the protocol behind them, or -1. */
static int skip_extensions(struct cursor *c, uint8_t protocol, bool *is_fragment)
{
    for (int i = 0; i < PACKET_EXTENSIONS_MAX; i++) {
        uint8_t next;
        size_t len;

        switch (protocol) {
        case PROTOCOL_HOP_BY_HOP:
        case PROTOCOL_ROUTING:
        case PROTOCOL_OPTIONS:
            next = cursor_u8(c);
            len = cursor_u8(c);
            cursor_take(c, 6 + 8 * len);
            break;
        case PROTOCOL_AUTHENTICATION: /* RFC 4302 2.2: counted in 4 bytes */
            next = cursor_u8(c);
            len = cursor_u8(c);
            cursor_take(c, 6 + 4 * len);
            break;
        case PROTOCOL_FRAGMENT:
            next = cursor_u8(c);
            cursor_u8(c);
            *is_fragment |= (cursor_u16(c) & 0xfff9) != 0; /* RFC 6946: both zero is no fragment */
            cursor_u32(c);
            break;
        default:
            return c->failed ? -1 : protocol;
        }
        protocol = next;
    }
    return -1;
}

static enum packet_kind read_ipv6(struct cursor *c, struct packet_segment *segment)
{
    const uint8_t *header = c->next;
    bool is_fragment = false;
    size_t payload;
    int protocol;

    if (cursor_left(c) < IPV6_HEADER_LEN) {
        return PACKET_MALFORMED;
    }
    payload = (size_t)header[4] << 8 | header[5];
    clip(c, payload ? IPV6_HEADER_LEN + payload : 0);
    cursor_take(c, IPV6_HEADER_LEN);
    protocol = skip_extensions(c, header[6], &is_fragment);
    if (protocol < 0) {
        return PACKET_MALFORMED;
    }
    if (is_fragment) {
        return PACKET_FRAGMENT;
    }
    if (protocol != PROTOCOL_TCP) {
        return PACKET_OTHER;
    }
    segment->flow.family = 6;
    memcpy(segment->flow.source, header + 8, PACKET_IP_LEN);
    memcpy(segment->flow.target, header + 24, PACKET_IP_LEN);
    return read_tcp(c, segment);
}

static enum packet_kind read_tcp(struct cursor *c, struct packet_segment *segment)
{
    const uint8_t *header = c->next;
    size_t header_len;

    if (cursor_left(c) < TCP_HEADER_MIN) {
        return PACKET_MALFORMED;
    }
    header_len = (size_t)(header[12] >> 4) * 4;
    if (header_len < TCP_HEADER_MIN || header_len > cursor_left(c)) {
        return PACKET_MALFORMED;
    }
    segment->flow.source_port = cursor_u16(c);
    segment->flow.target_port = cursor_u16(c);
    segment->sequence = cursor_u32(c);
    segment->is_syn = header[13] & TCP_SYN;
    segment->payload = span_make(header + header_len, (size_t)(c->end - header) - header_len);
    return PACKET_TCP;
}
