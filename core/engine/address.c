/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guard is written down as two tables of prefixes, one a family, after IANA's special-purpose
 * registries (RFC 6890 and what followed it). The first row that covers an address decides; IPv6 is
 * an allow list on top of that: what is not in 2000::/3 and has no row is not assigned to anybody.
 */
#include "core/engine/address.h"

#include "core/base/assert.h"
#include "core/base/text.h"

#include <arpa/inet.h>

/* What a prefix means to the guard. */
enum reach {
    REACH_NEVER,   /* refused whatever the configuration says */
    REACH_PRIVATE, /* refused unless private destinations are allowed */
    REACH_INSIDE,  /* an IPv4 address lies at byte `inside`; its rules apply */
    REACH_PUBLIC,
};

struct prefix {
    uint8_t bytes[16];
    uint8_t bits;
    uint8_t inside;
    enum reach reach;
    const char *sentence;
};

/* clang-format off */
static const struct prefix v4_prefixes[] = {
    {{0},               8, 0, REACH_NEVER,   "unspecified address"},              /* RFC 1122 3.2.1.3 */
    {{10},              8, 0, REACH_PRIVATE, "private address"},                  /* RFC 1918 */
    {{100, 64},        10, 0, REACH_PRIVATE, "carrier-grade NAT address"},        /* RFC 6598 */
    {{127},             8, 0, REACH_PRIVATE, "loopback address"},
    {{169, 254},       16, 0, REACH_PRIVATE, "link-local address"},               /* RFC 3927 */
    {{172, 16},        12, 0, REACH_PRIVATE, "private address"},
    {{192, 0, 0},      24, 0, REACH_NEVER,   "reserved address"},                 /* RFC 6890 */
    {{192, 0, 2},      24, 0, REACH_PRIVATE, "documentation address"},            /* RFC 5737 */
    {{192, 88, 99},    24, 0, REACH_NEVER,   "reserved address"},                 /* RFC 7526 */
    {{192, 168},       16, 0, REACH_PRIVATE, "private address"},
    {{198, 18},        15, 0, REACH_PRIVATE, "benchmarking address"},             /* RFC 2544 */
    {{198, 51, 100},   24, 0, REACH_PRIVATE, "documentation address"},
    {{203, 0, 113},    24, 0, REACH_PRIVATE, "documentation address"},
    {{224},             4, 0, REACH_NEVER,   "multicast address"},
    {{255, 255, 255, 255}, 32, 0, REACH_NEVER, "broadcast address"},
    {{240},             4, 0, REACH_NEVER,   "reserved address"},                 /* RFC 1112 4 */
    {{0},               0, 0, REACH_PUBLIC,  NULL},
};

static const struct prefix v6_prefixes[] = {
    {{0},             128, 0, REACH_NEVER,   "unspecified address"},
    {{[15] = 1},      128, 0, REACH_PRIVATE, "loopback address"},
    {{[10] = 0xff, 0xff}, 96, 12, REACH_INSIDE, NULL},                            /* ::ffff:0:0/96 */
    {{0x00, 0x64, 0xff, 0x9b}, 96, 12, REACH_INSIDE, NULL},                       /* RFC 6052 */
    {{0x00, 0x64, 0xff, 0x9b, 0, 1}, 48, 0, REACH_PRIVATE, "private NAT64 address"}, /* RFC 8215 */
    {{0x20, 0x02},     16, 2, REACH_INSIDE,  NULL},                               /* 6to4, RFC 3056 */
    {{0x20, 0x01, 0, 0x02}, 48, 0, REACH_PRIVATE, "benchmarking address"},        /* RFC 5180 */
    {{0x20, 0x01, 0, 0}, 32, 0, REACH_NEVER, "Teredo address"},                   /* RFC 4380 */
    {{0x20, 0x01},     23, 0, REACH_NEVER,   "reserved address"},                 /* RFC 2928 */
    {{0x20, 0x01, 0x0d, 0xb8}, 32, 0, REACH_PRIVATE, "documentation address"},    /* RFC 3849 */
    {{0x3f, 0xff},     20, 0, REACH_PRIVATE, "documentation address"},            /* RFC 9637 */
    {{0x20},            3, 0, REACH_PUBLIC,  NULL},
    {{0xfc},            7, 0, REACH_PRIVATE, "unique local address"},             /* RFC 4193 */
    {{0xfe, 0x80},     10, 0, REACH_PRIVATE, "link-local address"},
    {{0xfe, 0xc0},     10, 0, REACH_PRIVATE, "site-local address"},               /* RFC 3879 */
    {{0xff},            8, 0, REACH_NEVER,   "multicast address"},
    {{0},               0, 0, REACH_NEVER,   "reserved address"},
};
/* clang-format on */

bool address_parse_ip(struct address *address, struct span text, uint16_t port)
{
    char string[INET6_ADDRSTRLEN];
    struct in_addr v4;
    struct in6_addr v6;

    /* inet_pton() is as strict as we need, but for what comes after a NUL. */
    if (text.len == 0 || text.len >= sizeof(string) || span_find(text, 0) < text.len) {
        return false;
    }
    memcpy(string, text.data, text.len);
    string[text.len] = 0;
    if (inet_pton(AF_INET, string, &v4) == 1) {
        *address = (struct address){.len = sizeof(struct sockaddr_in)};
        address->u.v4 =
            (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = v4, .sin_port = htons(port)};
        return true;
    }
    if (inet_pton(AF_INET6, string, &v6) == 1) {
        *address = (struct address){.len = sizeof(struct sockaddr_in6)};
        address->u.v6 = (struct sockaddr_in6){
            .sin6_family = AF_INET6, .sin6_addr = v6, .sin6_port = htons(port)};
        return true;
    }
    return false;
}

void address_set_port(struct address *address, uint16_t port)
{
    if (address->u.any.sa_family == AF_INET6) {
        address->u.v6.sin6_port = htons(port);
    } else {
        ASSERT(address->u.any.sa_family == AF_INET);
        address->u.v4.sin_port = htons(port);
    }
}

uint16_t address_port(const struct address *address)
{
    if (address->u.any.sa_family == AF_INET6) {
        return ntohs(address->u.v6.sin6_port);
    }
    return address->u.any.sa_family == AF_INET ? ntohs(address->u.v4.sin_port) : 0;
}

struct address address_from_storage(const struct sockaddr_storage *storage)
{
    struct address address = {.len = 0};

    if (storage->ss_family == AF_INET) {
        address.len = sizeof(address.u.v4);
    } else if (storage->ss_family == AF_INET6) {
        address.len = sizeof(address.u.v6);
    }
    memcpy(&address.u, storage, address.len);
    return address;
}

struct address address_unmapped(const struct address *address)
{
    const struct sockaddr_in6 *v6 = &address->u.v6;
    struct address v4 = {.len = sizeof(v4.u.v4)};

    if (address->u.any.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
        return *address;
    }
    v4.u.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = v6->sin6_port};
    memcpy(&v4.u.v4.sin_addr, v6->sin6_addr.s6_addr + 12, sizeof(v4.u.v4.sin_addr));
    return v4;
}

bool address_equal(const struct address *a, const struct address *b)
{
    if (a->len != b->len || a->u.any.sa_family != b->u.any.sa_family ||
        address_port(a) != address_port(b)) {
        return false;
    }
    if (a->u.any.sa_family == AF_INET6) {
        return a->u.v6.sin6_scope_id == b->u.v6.sin6_scope_id &&
               memcmp(&a->u.v6.sin6_addr, &b->u.v6.sin6_addr, sizeof(struct in6_addr)) == 0;
    }
    return a->u.any.sa_family != AF_INET || a->u.v4.sin_addr.s_addr == b->u.v4.sin_addr.s_addr;
}

/* Not by inet_ntop(), which has printf do it: each line of the access log has some. */
static void format_v4(const uint8_t bytes[4], struct text *t)
{
    for (int i = 0; i < 4; i++) {
        if (i) {
            text_char(t, '.');
        }
        text_unsigned(t, bytes[i]);
    }
}

/* The port, too, if it is wanted: then IPv6 needs brackets. */
static void format(const struct address *address, bool with_port, char text[ADDRESS_TEXT_MAX])
{
    struct text t = text_make(text, ADDRESS_TEXT_MAX - 1);
    const struct in6_addr *v6 = &address->u.v6.sin6_addr;

    if (address->u.any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(v6)) {
        format_v4(v6->s6_addr + 12, &t);
    } else if (address->u.any.sa_family == AF_INET6) {
        char ip[INET6_ADDRSTRLEN] = "";

        (void)inet_ntop(AF_INET6, v6, ip, sizeof(ip));
        text_string(&t, with_port ? "[" : "");
        text_string(&t, ip);
        text_string(&t, with_port ? "]" : "");
    } else if (address->u.any.sa_family == AF_INET) {
        format_v4((const uint8_t *)&address->u.v4.sin_addr, &t);
    } else {
        text_char(&t, '-');
    }
    if (with_port) {
        text_char(&t, ':');
        text_unsigned(&t, address_port(address));
    }
    text[t.len] = '\0';
}

void address_format_ip(const struct address *address, char text[ADDRESS_TEXT_MAX])
{
    format(address, false, text);
}

void address_format(const struct address *address, char text[ADDRESS_TEXT_MAX])
{
    format(address, true, text);
}

static bool prefix_covers(const struct prefix *prefix, const uint8_t *bytes)
{
    size_t whole = prefix->bits / 8;
    uint8_t rest = prefix->bits % 8;

    return memcmp(prefix->bytes, bytes, whole) == 0 &&
           (rest == 0 || (prefix->bytes[whole] ^ bytes[whole]) >> (8 - rest) == 0);
}

/* Both tables end with a row that covers everything. */
static const struct prefix *prefix_find(const struct prefix *row, const uint8_t *bytes)
{
    while (!prefix_covers(row, bytes)) {
        row++;
    }
    return row;
}

const char *address_refusal(const struct address *address, bool allow_private)
{
    const struct prefix *row;

    if (address->u.any.sa_family == AF_INET) {
        row = prefix_find(v4_prefixes, (const uint8_t *)&address->u.v4.sin_addr);
    } else if (address->u.any.sa_family == AF_INET6) {
        const uint8_t *bytes = address->u.v6.sin6_addr.s6_addr;
        row = prefix_find(v6_prefixes, bytes);
        if (row->reach == REACH_INSIDE) {
            row = prefix_find(v4_prefixes, bytes + row->inside);
        }
    } else {
        return "not an internet address";
    }
    if (row->reach == REACH_PUBLIC || (row->reach == REACH_PRIVATE && allow_private)) {
        return NULL;
    }
    return row->sentence;
}
