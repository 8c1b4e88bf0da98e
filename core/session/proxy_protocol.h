/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxy_protocol: what a load balancer puts before a connection's first byte to say whose
 * connection it is: the PROXY protocol, version 1 (a line of text) and 2 (binary, with TLVs).
 * Source: HAProxy's doc/proxy-protocol.txt; the sections below are its own. A parser and two
 * writers: no I/O, nothing allocated, any thread.
 *
 * Who may send such a header is for the caller to decide, before it asks (section 5): whoever may
 * send one can claim to be anybody.
 */
#ifndef WEIR_SESSION_PROXY_PROTOCOL_H
#define WEIR_SESSION_PROXY_PROTOCOL_H

#include "core/base/text.h"
#include "core/engine/address.h"

enum {
    PROXY_HEADER_V1_BYTES_MAX = 107,   /* the line with its CRLF (2.1) */
    PROXY_HEADER_V2_LENGTH_MAX = 4096, /* what follows the first 16 bytes; a bound of ours */
    PROXY_HEADER_BYTES_MAX = 16 + PROXY_HEADER_V2_LENGTH_MAX, /* of a header of either version */
    PROXY_HEADER_UNIQUE_ID_MAX = 128,                         /* bytes (2.2.5) */
    PROXY_HEADER_OPTION_MAX = 255, /* bytes of authority and of alpn, in what is written */
    /* Room for what proxy_header_write_v1() or _v2() writes, at most. */
    PROXY_HEADER_WRITE_MAX =
        16 + 36 + 2 * (3 + PROXY_HEADER_OPTION_MAX) + 3 + PROXY_HEADER_UNIQUE_ID_MAX + 7,
};

enum proxy_header_result {
    PROXY_HEADER_MORE, /* right so far, not whole yet */
    PROXY_HEADER_DONE, /* *header is filled */
    PROXY_HEADER_BAD,  /* whatever follows: *fault says why */
};

/* PP2_TYPE_SSL (2.2.6): how the client spoke TLS to the sender. */
struct proxy_header_ssl {
    bool present;
    uint8_t client;  /* bits of enum proxy_header_ssl_client */
    uint32_t verify; /* 0: the client's certificate was verified */
    struct span version;
    struct span common_name; /* of the client's certificate */
    struct span cipher;
    struct span signature_algorithm; /* that signed the certificate which the sender presented */
    struct span key_algorithm;       /* of that certificate */
};

enum proxy_header_ssl_client {
    PROXY_HEADER_CLIENT_SSL = 0x01,
    PROXY_HEADER_CLIENT_CERT_CONN = 0x02, /* a certificate was given on this connection */
    PROXY_HEADER_CLIENT_CERT_SESS = 0x04, /* or at least once in its TLS session */
};

/*
 * All spans are views of the parsed bytes, as the sender wrote them: nothing in them was looked at,
 * they may hold any byte. A span with null data was not sent. Those of version 1 are all null.
 */
struct proxy_header {
    uint8_t version;     /* 1 or 2 */
    bool is_local;       /* LOCAL: the sender's own connection, say a health check; no addresses */
    bool has_addresses;  /* else the connection's own count (UNKNOWN, LOCAL, AF_UNSPEC, AF_UNIX) */
    bool has_crc32c;     /* a checksum was sent, and is right */
    struct address from; /* the client, with port; a mapped IPv4 stays an IPv6 address */
    struct address to;   /* where it connected to, with port */
    struct span alpn;    /* PP2_TYPE_ALPN (2.2.1) */
    struct span authority; /* PP2_TYPE_AUTHORITY (2.2.2): the SNI, as a rule */
    struct span unique_id; /* PP2_TYPE_UNIQUE_ID: PROXY_HEADER_UNIQUE_ID_MAX bytes at most */
    struct span netns;     /* PP2_TYPE_NETNS */
    struct proxy_header_ssl ssl;
    size_t len; /* bytes of the header: what the client sent begins there */
};

struct proxy_header_fault {
    const char *what; /* a static sentence: what is wrong and what was expected */
    size_t offset;    /* of the byte, from the start of the header */
};

/*
 * `bytes`: all that was received so far, from the start. The answer is the same however they were
 * cut; BAD comes with the byte that makes it certain (an address in text: at the latest with the
 * byte behind it). Never MORE with PROXY_HEADER_BYTES_MAX bytes or more. *header is valid with DONE
 * alone, *fault with BAD alone.
 *
 * Version 1: exactly as in 2.1. After UNKNOWN anything may stand up to the CRLF but a single CR or
 * LF.
 *
 * Version 2: LOCAL and PROXY; AF_INET, AF_INET6 and AF_UNIX with STREAM; DGRAM is BAD. With LOCAL,
 * AF_UNSPEC or an unspecified protocol the block is skipped unseen, its checksum too, as one cannot
 * know where TLVs begin in it. Else each TLV must end within the block, those known here come once
 * at most, and a checksum, if there is one, must be right. Unknown TLVs are skipped.
 */
enum proxy_header_result proxy_header_parse(struct span bytes, struct proxy_header *header,
                                            struct proxy_header_fault *fault);

/* What a version 2 header says besides addresses. An empty span is left out. */
struct proxy_header_options {
    struct span authority; /* PROXY_HEADER_OPTION_MAX bytes at most, as alpn */
    struct span alpn;
    struct span unique_id; /* PROXY_HEADER_UNIQUE_ID_MAX bytes at most */
    bool add_crc32c;
};

/*
 * The header for a connection from `from` to `to`. Of two families the IPv4 one is mapped into IPv6
 * (::ffff:192.0.2.1). Where one of them is not known (len 0): version 1 says UNKNOWN, version 2 is
 * LOCAL and AF_UNSPEC, and has no TLVs. `out` needs PROXY_HEADER_WRITE_MAX bytes of room.
 */
void proxy_header_write_v1(struct text *out, const struct address *from, const struct address *to);
void proxy_header_write_v2(struct text *out, const struct address *from, const struct address *to,
                           const struct proxy_header_options *options);

#endif
