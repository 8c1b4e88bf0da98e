/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both parsers begin at the first byte with each call: a header is short, and a parser that keeps
 * nothing cannot answer by how the bytes were cut, as long as the checks come in the order in which
 * the bytes that they need do.
 */
#include "core/session/proxy_protocol.h"

#include "core/base/assert.h"
#include "core/base/crc32c.h"

#include <arpa/inet.h>

enum {
    SIGNATURE_LEN = 12,
    START_LEN = 16, /* version 2: signature, version and command, family and protocol, length */
    INET_LEN = 2 * 4 + 2 * 2,
    INET6_LEN = 2 * 16 + 2 * 2,
    UNIX_LEN = 2 * 108,
    TLV_START_LEN = 3, /* type and length */
    SSL_START_LEN = 5, /* client and verify; TLVs follow */
    CRC32C_LEN = 4,
};

enum { VERSION_2 = 0x20, COMMAND_LOCAL = 0, COMMAND_PROXY = 1 };

enum { FAMILY_UNSPEC, FAMILY_INET, FAMILY_INET6, FAMILY_UNIX };

enum { TRANSPORT_UNSPEC, TRANSPORT_STREAM, TRANSPORT_DGRAM };

enum {
    TYPE_ALPN = 0x01,
    TYPE_AUTHORITY = 0x02,
    TYPE_CRC32C = 0x03,
    TYPE_UNIQUE_ID = 0x05,
    TYPE_SSL = 0x20,
    TYPE_SSL_VERSION = 0x21,
    TYPE_SSL_COMMON_NAME = 0x22,
    TYPE_SSL_CIPHER = 0x23,
    TYPE_SSL_SIGNATURE_ALGORITHM = 0x24,
    TYPE_SSL_KEY_ALGORITHM = 0x25,
    TYPE_NETNS = 0x30,
};

static const char signature[] = "\r\n\r\n\0\r\nQUIT\n";

_Static_assert(sizeof(signature) - 1 == SIGNATURE_LEN, "the signature has 12 bytes");

static const char no_header[] = "this is no PROXY protocol header, which begins with PROXY and a "
                                "space or with the signature of version 2";

/* What was received, and how far it was read. The first result that is not DONE stays. */
struct scan {
    struct span bytes;
    size_t at;
    enum proxy_header_result result;
    struct proxy_header_fault *fault;
};

static bool is_good(const struct scan *scan)
{
    return scan->result == PROXY_HEADER_DONE;
}

static void need_more(struct scan *scan)
{
    if (is_good(scan)) {
        scan->result = PROXY_HEADER_MORE;
    }
}

static void refuse(struct scan *scan, size_t offset, const char *what)
{
    if (is_good(scan)) {
        scan->result = PROXY_HEADER_BAD;
        *scan->fault = (struct proxy_header_fault){what, offset};
    }
}

/* Is the byte at `at` there? Else more of them are needed. */
static bool has_byte(struct scan *scan, size_t at)
{
    if (at >= scan->bytes.len) {
        need_more(scan);
    }
    return is_good(scan);
}

static size_t common_len(struct span a, struct span b)
{
    size_t len = 0;

    while (len < a.len && len < b.len && a.data[len] == b.data[len]) {
        len++;
    }
    return len;
}

/* Goes past `text`, which must stand here. */
static void expect(struct scan *scan, struct span text, const char *what)
{
    size_t len = common_len(span_skip(scan->bytes, scan->at), text);

    if (len == text.len) {
        scan->at += len;
    } else if (has_byte(scan, scan->at + len)) {
        refuse(scan, scan->at + len, what);
    }
}

/* ---- Version 1 (2.1) ---- */

enum { TEXT_IPV4_MAX = 15, TEXT_IPV6_MAX = 39 };

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_of_ipv4(uint8_t c)
{
    return is_digit(c) || c == '.';
}

static bool is_of_ipv6(uint8_t c)
{
    return is_of_ipv4(c) || c == ':' || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* An address of the family, and the space behind it. */
static void read_address(struct scan *scan, bool is_ipv6, struct address *address)
{
    const char *what = is_ipv6 ? "an IPv6 address and one space are expected here"
                               : "an IPv4 address in four plain decimal numbers and one space are "
                                 "expected here";
    size_t len_max = is_ipv6 ? TEXT_IPV6_MAX : TEXT_IPV4_MAX;
    struct span rest = span_skip(scan->bytes, scan->at);
    size_t begin = scan->at;
    size_t len = 0;

    while (len < rest.len && len < len_max &&
           (is_ipv6 ? is_of_ipv6(rest.data[len]) : is_of_ipv4(rest.data[len]))) {
        len++;
    }
    scan->at += len;
    expect(scan, SPAN_LITERAL(" "), what);
    if (is_good(scan) && (!address_parse_ip(address, span_sub(rest, 0, len), 0) ||
                          (address->u.any.sa_family == AF_INET6) != is_ipv6)) {
        refuse(scan, begin, what);
    }
}

/* A port, and what stands behind it. */
static void read_port(struct scan *scan, struct address *address, struct span behind)
{
    const char *what = "a port is expected here: a decimal number from 0 to 65535 without leading "
                       "zeros, and behind the first one space, behind the second CR and LF";
    size_t begin = scan->at;
    uint32_t port = 0;

    while (has_byte(scan, scan->at) && is_digit(scan->bytes.data[scan->at])) {
        port = port * 10 + (uint32_t)(scan->bytes.data[scan->at] - '0');
        if (port > UINT16_MAX || (scan->at > begin && scan->bytes.data[begin] == '0')) {
            refuse(scan, scan->at, what);
        }
        scan->at++;
    }
    if (is_good(scan) && scan->at == begin) {
        refuse(scan, begin, what);
    }
    if (is_good(scan)) {
        expect(scan, behind, what);
        address_set_port(address, (uint16_t)port);
    }
}

/* Behind UNKNOWN: anything, which is ignored, up to CRLF. */
static void skip_line(struct scan *scan)
{
    if (has_byte(scan, scan->at) && scan->bytes.data[scan->at] != '\r' &&
        scan->bytes.data[scan->at] != ' ') {
        refuse(scan, scan->at, "UNKNOWN is followed by neither a space nor CR and LF");
    }
    while (has_byte(scan, scan->at) && scan->bytes.data[scan->at] != '\r') {
        if (scan->bytes.data[scan->at] == '\n') {
            refuse(scan, scan->at, "a line feed stands alone; CR and LF end the line");
        } else if (scan->at == PROXY_HEADER_V1_BYTES_MAX - 2) {
            refuse(scan, scan->at, "the line is longer than 107 bytes with its CR and LF");
        }
        scan->at++;
    }
    expect(scan, SPAN_LITERAL("\r\n"), "a carriage return stands alone; CR and LF end the line");
}

static void parse_line(struct scan *scan, struct proxy_header *header)
{
    static const struct {
        const char *text;
        int family;
    } words[] = {{"TCP4 ", AF_INET}, {"TCP6 ", AF_INET6}, {"UNKNOWN", AF_UNSPEC}};
    size_t longest = 0;
    size_t found = COUNT_OF(words);

    header->version = 1;
    expect(scan, SPAN_LITERAL("PROXY "), no_header);
    if (!is_good(scan)) {
        return;
    }
    for (size_t i = 0; i < COUNT_OF(words) && found == COUNT_OF(words); i++) {
        struct span word = span_from_string(words[i].text);
        size_t len = common_len(span_skip(scan->bytes, scan->at), word);

        longest = len > longest ? len : longest;
        found = len == word.len ? i : found;
    }
    if (found == COUNT_OF(words)) {
        if (has_byte(scan, scan->at + longest)) {
            refuse(scan, scan->at + longest, "TCP4, TCP6 or UNKNOWN is expected here");
        }
        return;
    }
    scan->at += longest;
    if (words[found].family == AF_UNSPEC) {
        skip_line(scan);
        return;
    }
    read_address(scan, words[found].family == AF_INET6, &header->from);
    read_address(scan, words[found].family == AF_INET6, &header->to);
    read_port(scan, &header->from, SPAN_LITERAL(" "));
    read_port(scan, &header->to, SPAN_LITERAL("\r\n"));
    header->has_addresses = true;
}

/* ---- Version 2 (2.2) ---- */

/* Where a TLV's value lies in the header; its bytes may not be there yet. */
struct tlv {
    uint8_t type;
    size_t begin;
    size_t len;
};

/* A set of types below 64. */
#define TYPE(type) (UINT64_C(1) << (type))

enum { TYPES_COUNT = 64 };

/* TLVs of one level: of the header, or within PP2_TYPE_SSL. */
struct tlv_level {
    size_t end;     /* of the last one, from the start of the header */
    uint64_t known; /* types that come once at most */
    uint64_t seen;
};

static void read_type(struct scan *scan, struct tlv_level *level, struct tlv *tlv)
{
    tlv->type = scan->bytes.data[scan->at];
    if (tlv->type >= TYPES_COUNT || !(level->known & TYPE(tlv->type))) {
        return;
    }
    if (level->seen & TYPE(tlv->type)) {
        refuse(scan, scan->at, "a TLV of this type was there before");
    }
    level->seen |= TYPE(tlv->type);
}

/* Types whose values have a length of their own. */
static const struct tlv_lengths {
    uint8_t type;
    size_t min;
    size_t max;
    const char *what;
} tlv_lengths[] = {
    {TYPE_CRC32C, CRC32C_LEN, CRC32C_LEN, "a checksum (CRC32C) has 4 bytes"},
    {TYPE_UNIQUE_ID, 0, PROXY_HEADER_UNIQUE_ID_MAX, "a unique ID has 128 bytes at most"},
    {TYPE_SSL, SSL_START_LEN, SIZE_MAX, "TLS details (SSL) have 5 bytes at least"},
};

static struct tlv_lengths lengths_of(const struct tlv_level *level, uint8_t type)
{
    for (size_t i = 0; i < COUNT_OF(tlv_lengths); i++) {
        if (type == tlv_lengths[i].type && level->known & TYPE(type)) {
            return tlv_lengths[i];
        }
    }
    return (struct tlv_lengths){.max = SIZE_MAX};
}

/* The two bytes at `at`, which are to say min to max: what is too much shows with the first. */
static size_t read_length(struct scan *scan, size_t at, size_t min, size_t max,
                          const char *too_short, const char *too_long)
{
    size_t len = 0;

    for (size_t i = 0; i < 2 && has_byte(scan, at + i); i++) {
        len |= (size_t)scan->bytes.data[at + i] << (i == 0 ? 8 : 0);
        if (len > max) {
            refuse(scan, at, too_long);
        }
    }
    if (is_good(scan) && len < min) {
        refuse(scan, at, too_short);
    }
    return len;
}

/* The type and length of the next TLV of this level; the scan stands behind its value then. */
static bool read_tlv(struct scan *scan, struct tlv_level *level, struct tlv *tlv)
{
    size_t room = level->end - scan->at;

    if (is_good(scan) && room < TLV_START_LEN) {
        refuse(scan, scan->at, "the last TLV ends within its type and length");
    }
    if (!has_byte(scan, scan->at)) {
        return false;
    }
    read_type(scan, level, tlv);

    struct tlv_lengths own = lengths_of(level, tlv->type);
    bool is_own = own.max <= room - TLV_START_LEN;

    tlv->len = read_length(scan, scan->at + 1, own.min, is_own ? own.max : room - TLV_START_LEN,
                           own.what, is_own ? own.what : "the TLV is longer than what holds it");
    tlv->begin = scan->at + TLV_START_LEN;
    scan->at = tlv->begin + tlv->len;
    return is_good(scan);
}

static struct span value_of(const struct scan *scan, const struct tlv *tlv)
{
    return span_sub(scan->bytes, tlv->begin, tlv->len);
}

static uint32_t read_u32(struct span bytes)
{
    return (uint32_t)bytes.data[0] << 24 | (uint32_t)bytes.data[1] << 16 |
           (uint32_t)bytes.data[2] << 8 | bytes.data[3];
}

/* 2.2.6; the value's length is right. */
static void read_ssl(struct scan *scan, const struct tlv *outer, struct proxy_header_ssl *ssl)
{
    struct tlv_level level = {
        .end = outer->begin + outer->len,
        .known = TYPE(TYPE_SSL_VERSION) | TYPE(TYPE_SSL_COMMON_NAME) | TYPE(TYPE_SSL_CIPHER) |
                 TYPE(TYPE_SSL_SIGNATURE_ALGORITHM) | TYPE(TYPE_SSL_KEY_ALGORITHM),
    };
    struct tlv tlv;

    if (!has_byte(scan, outer->begin + SSL_START_LEN - 1)) {
        return;
    }
    ssl->present = true;
    ssl->client = scan->bytes.data[outer->begin];
    ssl->verify = read_u32(span_skip(scan->bytes, outer->begin + 1));
    scan->at = outer->begin + SSL_START_LEN;
    while (scan->at < level.end && read_tlv(scan, &level, &tlv)) {
        switch (tlv.type) {
        case TYPE_SSL_VERSION:
            ssl->version = value_of(scan, &tlv);
            break;
        case TYPE_SSL_COMMON_NAME:
            ssl->common_name = value_of(scan, &tlv);
            break;
        case TYPE_SSL_CIPHER:
            ssl->cipher = value_of(scan, &tlv);
            break;
        case TYPE_SSL_SIGNATURE_ALGORITHM:
            ssl->signature_algorithm = value_of(scan, &tlv);
            break;
        case TYPE_SSL_KEY_ALGORITHM:
            ssl->key_algorithm = value_of(scan, &tlv);
            break;
        default:
            break;
        }
    }
}

/* 2.2.3: of the whole header, with zeros where the checksum is. */
static uint32_t checksum(struct span header, size_t begin)
{
    static const uint8_t zeros[CRC32C_LEN];
    uint32_t crc = crc32c_extend(0, span_sub(header, 0, begin));

    crc = crc32c_extend(crc, span_make(zeros, sizeof(zeros)));
    return crc32c_extend(crc, span_skip(header, begin + CRC32C_LEN));
}

static void read_tlvs(struct scan *scan, struct proxy_header *header)
{
    struct tlv_level level = {
        .end = header->len,
        .known = TYPE(TYPE_ALPN) | TYPE(TYPE_AUTHORITY) | TYPE(TYPE_CRC32C) | TYPE(TYPE_UNIQUE_ID) |
                 TYPE(TYPE_SSL) | TYPE(TYPE_NETNS),
    };
    size_t crc32c_at = 0;
    struct tlv tlv;

    while (scan->at < level.end && read_tlv(scan, &level, &tlv)) {
        switch (tlv.type) {
        case TYPE_ALPN:
            header->alpn = value_of(scan, &tlv);
            break;
        case TYPE_AUTHORITY:
            header->authority = value_of(scan, &tlv);
            break;
        case TYPE_CRC32C:
            header->has_crc32c = true;
            crc32c_at = tlv.begin;
            break;
        case TYPE_UNIQUE_ID:
            header->unique_id = value_of(scan, &tlv);
            break;
        case TYPE_SSL:
            read_ssl(scan, &tlv, &header->ssl);
            break;
        case TYPE_NETNS:
            header->netns = value_of(scan, &tlv);
            break;
        default: /* NOOP, and what is not known here */
            break;
        }
    }
    if (header->has_crc32c && has_byte(scan, header->len - 1) &&
        checksum(span_sub(scan->bytes, 0, header->len), crc32c_at) !=
            read_u32(span_skip(scan->bytes, crc32c_at))) {
        refuse(scan, crc32c_at, "the checksum (CRC32C) is not that of the header");
    }
}

static struct address read_inet(struct span ip, struct span port)
{
    struct address address = {.len = sizeof(address.u.v4)};

    address.u.v4.sin_family = AF_INET;
    memcpy(&address.u.v4.sin_addr, ip.data, sizeof(address.u.v4.sin_addr));
    memcpy(&address.u.v4.sin_port, port.data, sizeof(address.u.v4.sin_port));
    return address;
}

static struct address read_inet6(struct span ip, struct span port)
{
    struct address address = {.len = sizeof(address.u.v6)};

    address.u.v6.sin6_family = AF_INET6;
    memcpy(&address.u.v6.sin6_addr, ip.data, sizeof(address.u.v6.sin6_addr));
    memcpy(&address.u.v6.sin6_port, port.data, sizeof(address.u.v6.sin6_port));
    return address;
}

/* The addresses of a header that is whole. */
static void read_addresses(struct span bytes, unsigned family, struct proxy_header *header)
{
    struct span block = span_skip(bytes, START_LEN);

    header->has_addresses = family != FAMILY_UNIX;
    if (family == FAMILY_INET) {
        header->from = read_inet(block, span_skip(block, 8));
        header->to = read_inet(span_skip(block, 4), span_skip(block, 10));
    } else if (family == FAMILY_INET6) {
        header->from = read_inet6(block, span_skip(block, 32));
        header->to = read_inet6(span_skip(block, 16), span_skip(block, 34));
    }
}

static void check_command(struct scan *scan, uint8_t byte)
{
    if ((byte & 0xf0) != VERSION_2) {
        refuse(scan, SIGNATURE_LEN, "the version is not 2");
    } else if ((byte & 0x0f) > COMMAND_PROXY) {
        refuse(scan, SIGNATURE_LEN, "the command is neither LOCAL nor PROXY");
    }
}

static void check_family(struct scan *scan, uint8_t byte)
{
    if (byte >> 4 > FAMILY_UNIX) {
        refuse(scan, SIGNATURE_LEN + 1, "the address family is none of AF_INET, AF_INET6, AF_UNIX");
    } else if ((byte & 0x0f) == TRANSPORT_DGRAM) {
        refuse(scan, SIGNATURE_LEN + 1, "the protocol is DGRAM, but this is a STREAM");
    } else if ((byte & 0x0f) > TRANSPORT_DGRAM) {
        refuse(scan, SIGNATURE_LEN + 1, "the protocol is not STREAM");
    }
}

static void parse_binary(struct scan *scan, struct proxy_header *header)
{
    static const size_t addresses_len[] = {0, INET_LEN, INET6_LEN, UNIX_LEN};
    unsigned family = FAMILY_UNSPEC;

    header->version = 2;
    expect(scan, span_make(signature, SIGNATURE_LEN), no_header);
    if (has_byte(scan, SIGNATURE_LEN)) {
        check_command(scan, scan->bytes.data[SIGNATURE_LEN]);
        header->is_local = (scan->bytes.data[SIGNATURE_LEN] & 0x0f) == COMMAND_LOCAL;
    }
    if (has_byte(scan, SIGNATURE_LEN + 1) && !header->is_local) {
        uint8_t byte = scan->bytes.data[SIGNATURE_LEN + 1];

        check_family(scan, byte);
        family = (byte & 0x0f) == TRANSPORT_UNSPEC ? (unsigned)FAMILY_UNSPEC : byte >> 4;
    }
    if (!is_good(scan)) {
        return;
    }
    header->len = START_LEN + read_length(scan, START_LEN - 2, addresses_len[family],
                                          PROXY_HEADER_V2_LENGTH_MAX,
                                          "the length is less than that of the addresses",
                                          "the header is longer than the 4096 bytes that are read");
    if (is_good(scan) && family != FAMILY_UNSPEC) {
        scan->at = START_LEN + addresses_len[family];
        read_tlvs(scan, header);
    }
    if (has_byte(scan, header->len - 1) && family != FAMILY_UNSPEC) {
        read_addresses(scan->bytes, family, header);
    }
    scan->at = header->len;
}

enum proxy_header_result proxy_header_parse(struct span bytes, struct proxy_header *header,
                                            struct proxy_header_fault *fault)
{
    struct scan scan = {.bytes = bytes, .result = PROXY_HEADER_DONE, .fault = fault};

    *header = (struct proxy_header){0};
    if (has_byte(&scan, 0) && bytes.data[0] == 'P') {
        parse_line(&scan, header);
    } else {
        parse_binary(&scan, header);
    }
    header->len = scan.at;
    return scan.result;
}

/* ---- Writing ---- */

static struct address mapped(const struct address *address)
{
    static const uint8_t prefix[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    struct address v6 = {.len = sizeof(v6.u.v6)};

    if (address->u.any.sa_family == AF_INET6) {
        return *address;
    }
    v6.u.v6.sin6_family = AF_INET6;
    v6.u.v6.sin6_port = address->u.v4.sin_port;
    memcpy(v6.u.v6.sin6_addr.s6_addr, prefix, sizeof(prefix));
    memcpy(v6.u.v6.sin6_addr.s6_addr + sizeof(prefix), &address->u.v4.sin_addr, 4);
    return v6;
}

/* Of one family, copies in from and to. AF_UNSPEC: one of them is not known. */
static int common_family(struct address *from, struct address *to)
{
    if (from->len == 0 || to->len == 0) {
        return AF_UNSPEC;
    }
    if (from->u.any.sa_family == to->u.any.sa_family) {
        return from->u.any.sa_family;
    }
    *from = mapped(from);
    *to = mapped(to);
    return AF_INET6;
}

static struct span ip_of(const struct address *address)
{
    return address->u.any.sa_family == AF_INET6 ? span_make(&address->u.v6.sin6_addr, 16)
                                                : span_make(&address->u.v4.sin_addr, 4);
}

/* address_format_ip() writes a mapped address as IPv4, which TCP6 does not have. */
static void write_ip(struct text *out, const struct address *address)
{
    char ip[INET6_ADDRSTRLEN] = "";

    inet_ntop(address->u.any.sa_family, ip_of(address).data, ip, sizeof(ip));
    text_string(out, ip);
    text_char(out, ' ');
}

void proxy_header_write_v1(struct text *out, const struct address *from, const struct address *to)
{
    struct address source = *from;
    struct address destination = *to;
    int family = common_family(&source, &destination);

    if (family == AF_UNSPEC) {
        text_string(out, "PROXY UNKNOWN\r\n");
        return;
    }
    text_string(out, family == AF_INET6 ? "PROXY TCP6 " : "PROXY TCP4 ");
    write_ip(out, &source);
    write_ip(out, &destination);
    text_unsigned(out, address_port(&source));
    text_char(out, ' ');
    text_unsigned(out, address_port(&destination));
    text_string(out, "\r\n");
}

static void write_u16(struct text *out, size_t value)
{
    text_char(out, (char)(value >> 8));
    text_char(out, (char)value);
}

static void write_tlv(struct text *out, uint8_t type, struct span value)
{
    if (value.len) {
        text_char(out, (char)type);
        write_u16(out, value.len);
        text_bytes(out, value);
    }
}

static void write_block(struct text *out, const struct address *from, const struct address *to,
                        const struct proxy_header_options *options)
{
    text_bytes(out, ip_of(from));
    text_bytes(out, ip_of(to));
    write_u16(out, address_port(from));
    write_u16(out, address_port(to));
    write_tlv(out, TYPE_ALPN, options->alpn);
    write_tlv(out, TYPE_AUTHORITY, options->authority);
    write_tlv(out, TYPE_UNIQUE_ID, options->unique_id);
    if (options->add_crc32c) {
        write_tlv(out, TYPE_CRC32C, SPAN_LITERAL("\0\0\0\0"));
    }
}

void proxy_header_write_v2(struct text *out, const struct address *from, const struct address *to,
                           const struct proxy_header_options *options)
{
    uint8_t memory[PROXY_HEADER_WRITE_MAX];
    struct text header = text_make(memory, sizeof(memory));
    struct address source = *from;
    struct address destination = *to;
    int family = common_family(&source, &destination);
    size_t len;

    ASSERT(options->authority.len <= PROXY_HEADER_OPTION_MAX &&
           options->alpn.len <= PROXY_HEADER_OPTION_MAX &&
           options->unique_id.len <= PROXY_HEADER_UNIQUE_ID_MAX);
    text_bytes(&header, span_make(signature, SIGNATURE_LEN));
    if (family == AF_UNSPEC) {
        text_bytes(&header, SPAN_LITERAL("\x20\0\0\0"));
        text_bytes(out, text_view(&header));
        return;
    }
    text_char(&header, VERSION_2 | COMMAND_PROXY);
    text_char(&header, (family == AF_INET6 ? FAMILY_INET6 : FAMILY_INET) << 4 | TRANSPORT_STREAM);
    write_u16(&header, 0);
    write_block(&header, &source, &destination, options);
    ASSERT(!header.overflow);
    len = header.len - START_LEN;
    memory[START_LEN - 2] = (uint8_t)(len >> 8);
    memory[START_LEN - 1] = (uint8_t)len;
    if (options->add_crc32c) {
        size_t begin = header.len - CRC32C_LEN;
        uint32_t crc = checksum(text_view(&header), begin);

        for (size_t i = 0; i < CRC32C_LEN; i++) {
            memory[begin + i] = (uint8_t)(crc >> (24 - 8 * i));
        }
    }
    text_bytes(out, text_view(&header));
}
