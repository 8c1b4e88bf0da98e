/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns_answer: the addresses in one DNS response (RFC 1035 4.1), following its chain of aliases.
 * Only what belongs to the name asked for counts: a record of another name, type or class is
 * skipped, so a server cannot plant addresses by adding some. No state, no memory; any thread.
 */
#ifndef WEIR_ENGINE_DNS_ANSWER_H
#define WEIR_ENGINE_DNS_ANSWER_H

#include "core/base/span.h"

enum {
    DNS_NAME_TEXT_MAX = 253, /* bytes of a name as text, without a dot at its end */
    DNS_LABEL_MAX = 63,
    DNS_ADDRESSES_MAX = 16, /* kept of one response */
    DNS_ALIASES_MAX = 12,   /* steps of a chain of CNAME records */
    DNS_RECORDS_MAX = 96,   /* records of use looked at in one response */
};

enum dns_type {
    DNS_TYPE_A = 1,
    DNS_TYPE_CNAME = 5,
    DNS_TYPE_AAAA = 28,
};

enum dns_result {
    DNS_ADDRESSES, /* at least one */
    DNS_NO_DATA,   /* the name has no address of that type */
    DNS_BAD,       /* not a response that can be read, or a chain without end */
};

struct dns_answer {
    size_t count;
    uint8_t addresses[DNS_ADDRESSES_MAX][16]; /* network order; the first 4 bytes for A */
    uint32_t ttl_s; /* the smallest of the addresses and the aliases that led to them */
};

/*
 * `name` is a name that dns_name_is_valid() accepted; case does not matter. The response code is
 * not looked at.
 */
enum dns_result dns_answer_parse(struct span message, struct span name, enum dns_type type,
                                 struct dns_answer *answer);

/*
 * Whether a host name may be asked for: labels of 1 to 63 letters, digits, '-' and '_', 253 bytes
 * in all, no dot at the end. A name whose last label is a number is none: it is a mistyped or
 * disguised IPv4 address (127.1, 0x7f.1).
 */
bool dns_name_is_valid(struct span name);

#endif
