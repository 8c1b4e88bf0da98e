/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_hello: a TLS ClientHello (RFC 8446 4.1.2, RFC 5246 7.4.1.2) as spans into the bytes that
 * were received. The one parse that serves SNI, ALPN, policy, fingerprints and detection. No
 * allocation, no copy; the spans live as long as the input does.
 */
#ifndef WEIR_TLS_CLIENT_HELLO_H
#define WEIR_TLS_CLIENT_HELLO_H

#include "core/base/span.h"

enum {
    CLIENT_HELLO_MAX = 64 * 1024, /* bytes of the handshake message, header included */
    CLIENT_HELLO_EXTENSIONS_MAX = 128,
    SNI_MAX = 255, /* bytes of a host name */
};

/* One extension, in the order of the message. */
struct client_hello_extension {
    uint16_t type;
    struct span body;
};

/* Lists are the raw vectors without their length prefix, in network byte order, in the order sent;
 * an absent extension gives an empty span (has_extension() tells absent from empty). */
struct client_hello {
    struct span message; /* the handshake message from its type byte */
    uint16_t legacy_version;
    struct span random;       /* 32 bytes */
    struct span session_id;   /* 0 to 32 bytes */
    struct span ciphers;      /* 2 bytes each */
    struct span compressions; /* 1 byte each */

    struct client_hello_extension extensions[CLIENT_HELLO_EXTENSIONS_MAX];
    size_t extension_count;

    struct span sni;           /* the one valid host_name (RFC 6066 3), as sent; else empty */
    bool sni_invalid;          /* an SNI was there, but not one that may be used */
    struct span groups;        /* supported_groups (10), 2 bytes each */
    struct span point_formats; /* ec_point_formats (11), 1 byte each */
    struct span signature_algorithms; /* (13), 2 bytes each */
    struct span alpn;                 /* (16): the protocol list, each with its length byte */
    struct span supported_versions;   /* (43), 2 bytes each */
    struct span key_shares;           /* (51): the raw client_shares vector */
};

/* What was wrong and where, when a parse fails: where bytes are missing, the place of the first of
 * them; where a value may not be, the value, or the length before it; the first byte that is left
 * over. */
struct client_hello_fault {
    const char *field; /* "cipher_suites", "server_name", ... */
    size_t offset;     /* bytes from the start of the handshake message */
    uint8_t alert;     /* TLS alert that answers it: decode_error 50, illegal_parameter 47 ... */
};

/* `message` is the whole handshake message from its type byte. True: `hello` is filled. */
bool client_hello_parse(struct client_hello *hello, struct span message,
                        struct client_hello_fault *fault);

bool client_hello_has(const struct client_hello *hello, uint16_t extension_type);

/* The next protocol of an ALPN list; advances `list`; false at its end. */
bool alpn_next(struct span *list, struct span *protocol);

/* Does the client accept ECDSA P-256 certificates (signature_algorithms, groups, ciphers)? */
bool client_hello_accepts_ecdsa(const struct client_hello *hello);

/* RFC 8701: the reserved values 0x?a?a with equal bytes. */
static inline bool tls_is_grease(uint16_t value)
{
    return (value & 0x0f0f) == 0x0a0a && value >> 8 == (value & 0xff);
}

#endif
