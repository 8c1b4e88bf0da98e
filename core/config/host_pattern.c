/* SPDX-License-Identifier: Apache-2.0 */
#include "core/config/host_pattern.h"

#include <arpa/inet.h>
#include <ctype.h>

enum { NAME_LEN_MAX = 253, LABEL_LEN_MAX = 63, MAPPED_BITS = 96 };

/* Both families in one form: an IPv4 address is ::ffff:a.b.c.d (RFC 4291 2.5.5.2). */
struct ip {
    uint8_t bytes[16];
    bool is_v4;
};

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool ip_parse(struct ip *ip, struct span text)
{
    char copy[INET6_ADDRSTRLEN];

    if (text.len == 0 || text.len >= sizeof(copy) || memchr(text.data, 0, text.len)) {
        return false;
    }
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    if (inet_pton(AF_INET, copy, ip->bytes + sizeof(mapped_prefix)) == 1) {
        memcpy(ip->bytes, mapped_prefix, sizeof(mapped_prefix));
        ip->is_v4 = true;
        return true;
    }
    if (inet_pton(AF_INET6, copy, ip->bytes) == 1) {
        ip->is_v4 = memcmp(ip->bytes, mapped_prefix, sizeof(mapped_prefix)) == 0;
        return true;
    }
    return false;
}

struct block {
    struct ip ip;
    unsigned bits; /* of the 128 */
};

/* One to three digits, no leading zero; returns -1 for anything else. */
static int parse_bits(struct span text)
{
    int value = 0;

    if (text.len == 0 || text.len > 3 || (text.len > 1 && text.data[0] == '0')) {
        return -1;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (!isdigit(text.data[i])) {
            return -1;
        }
        value = value * 10 + (text.data[i] - '0');
    }
    return value;
}

static bool block_parse(struct block *block, struct span text)
{
    size_t slash = span_find(text, '/');
    bool dotted = span_find(text, ':') == text.len;
    int bits = dotted ? 32 : 128;

    if (!ip_parse(&block->ip, span_sub(text, 0, slash))) {
        return false;
    }
    if (slash < text.len) {
        int written = parse_bits(span_skip(text, slash + 1));
        if (written < 0 || written > bits) {
            return false;
        }
        bits = written;
    }
    block->bits = (unsigned)bits + (dotted ? MAPPED_BITS : 0);
    return true;
}

static bool block_has(const struct block *block, const struct ip *ip)
{
    size_t whole = block->bits / 8;
    uint8_t mask = (uint8_t)(0xff00 >> (block->bits % 8));

    /* ::/0 and the like mean IPv6: they do not take in IPv4 by way of its mapped form. */
    if (ip->is_v4 && block->bits < MAPPED_BITS) {
        return false;
    }
    return memcmp(block->ip.bytes, ip->bytes, whole) == 0 &&
           (whole == sizeof(ip->bytes) ||
            ((block->ip.bytes[whole] ^ ip->bytes[whole]) & mask) == 0);
}

static bool block_is_exact(const struct block *block)
{
    for (size_t bit = block->bits; bit < 8 * sizeof(block->ip.bytes); bit++) {
        if (block->ip.bytes[bit / 8] & (0x80 >> (bit % 8))) {
            return false;
        }
    }
    return true;
}

static const char *address_error(struct span pattern)
{
    struct block block;
    struct ip ip;

    if (pattern.len && pattern.data[0] == '[') {
        return "write an IPv6 address without brackets";
    }
    if (!ip_parse(&ip, span_sub(pattern, 0, span_find(pattern, '/')))) {
        return "not a host: a name or an IP address, without scheme, port and path";
    }
    if (!block_parse(&block, pattern)) {
        return "not an address block: write it like 192.0.2.0/24 or 2001:db8::/32";
    }
    return block_is_exact(&block) ? NULL
                                  : "the address has bits outside its block: clear them, or write "
                                    "a longer prefix";
}

static const char *label_error(struct span label)
{
    if (label.len == 0) {
        return "an empty label: two dots in a row, or one at the end";
    }
    if (label.len > LABEL_LEN_MAX) {
        return "a label of a name has at most 63 characters";
    }
    if (label.data[0] == '-' || label.data[label.len - 1] == '-') {
        return "a label of a name neither begins nor ends with a hyphen";
    }
    for (size_t i = 0; i < label.len; i++) {
        if (label.data[i] == '*') {
            return "a star stands alone or in front, as in *.example.com";
        }
        if (label.data[i] >= 0x80) {
            return "write an international name in its xn-- form";
        }
        if (!isalnum(label.data[i]) && label.data[i] != '-' && label.data[i] != '_') {
            return "a name holds letters, digits, hyphens and underscores";
        }
    }
    return NULL;
}

static const char *name_error(struct span name)
{
    struct span label;
    size_t digits = 0;

    if (name.len > NAME_LEN_MAX) {
        return "a name has at most 253 characters";
    }
    for (struct span rest = name;; rest = span_skip(rest, label.len + 1)) {
        const char *error;

        label = span_sub(rest, 0, span_find(rest, '.'));
        error = label_error(label);
        if (error) {
            return error;
        }
        if (label.len == rest.len) {
            break;
        }
    }
    while (digits < label.len && isdigit(label.data[digits])) {
        digits++;
    }
    /* RFC 3696 2: no top-level domain is all digits, so this was meant as an address. */
    return digits == label.len ? "neither a name nor an IPv4 address of four plain numbers" : NULL;
}

bool config_host_pattern_is_address(struct span pattern)
{
    struct block block;

    return block_parse(&block, pattern);
}

const char *config_host_pattern_error(struct span pattern)
{
    struct ip ip;

    if (pattern.len == 0) {
        return "an empty pattern matches nothing; \"*\" matches all";
    }
    if (span_equal(pattern, SPAN_LITERAL("*"))) {
        return NULL;
    }
    if (span_find(pattern, '/') < pattern.len || span_find(pattern, ':') < pattern.len ||
        ip_parse(&ip, pattern)) {
        return address_error(pattern);
    }
    if (pattern.len > 2 && memcmp(pattern.data, "*.", 2) == 0) {
        return name_error(span_skip(pattern, 2));
    }
    return name_error(pattern.data[0] == '.' ? span_skip(pattern, 1) : pattern);
}

static bool name_matches(struct span pattern, struct span host)
{
    bool below = pattern.data[0] == '*' || pattern.data[0] == '.';
    bool itself = pattern.data[0] != '*';
    struct span dotted = pattern.data[0] == '*' ? span_skip(pattern, 1) : pattern;
    struct span bare = below ? span_skip(dotted, 1) : pattern;

    if (itself && span_equal_nocase(bare, host)) {
        return true;
    }
    return below && host.len > dotted.len &&
           span_equal_nocase(dotted, span_skip(host, host.len - dotted.len));
}

bool config_host_matches(const char *pattern, struct span host)
{
    struct span wanted = span_from_string(pattern);
    struct block block;
    struct ip ip;

    if (span_equal(wanted, SPAN_LITERAL("*"))) {
        return true;
    }
    if (wanted.len == 0 || host.len == 0) {
        return wanted.len == host.len;
    }
    if (host.data[0] == '[' && host.data[host.len - 1] == ']') {
        host = span_sub(host, 1, host.len - 2);
    } else if (host.len > 1 && host.data[host.len - 1] == '.') {
        host.len--;
    }
    /* Only what looks like an address is parsed: names are the common case. */
    if ((span_find(wanted, ':') < wanted.len || isdigit(wanted.data[0])) &&
        block_parse(&block, wanted)) {
        return ip_parse(&ip, host) && block_has(&block, &ip);
    }
    return name_matches(wanted, host);
}
