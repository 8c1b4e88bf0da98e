/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify: is the certificate chain that a server showed good for the name we asked for, now? Chain,
 * dates, name or IP address, EKU serverAuth, constraints, key and signature strength. Our own CA is
 * never trusted upstream, even if the system's store has it.
 */
#ifndef WEIR_TLS_VERIFY_H
#define WEIR_TLS_VERIFY_H

#include "core/base/assert.h"
#include "core/base/span.h"

#include <stdint.h>

/* Fault classes, one word each for logs, metrics and the error page. */
enum verify_class {
    VERIFY_OK,
    VERIFY_EXPIRED, /* or an intermediate is */
    VERIFY_NOT_YET_VALID,
    VERIFY_WRONG_HOST,
    VERIFY_SELF_SIGNED,
    VERIFY_UNKNOWN_ISSUER, /* no path to a trusted root, or an untrusted root */
    VERIFY_BAD_PURPOSE,    /* EKU, key usage, a non-CA that issued */
    VERIFY_WEAK,           /* MD5 or SHA-1 signature, RSA below 2048 bits */
    VERIFY_REVOKED,
    VERIFY_OWN_CA, /* issued by our own CA: a loop, or a stolen key */
    VERIFY_NO_CERTIFICATE,
    VERIFY_MALFORMED, /* undecodable, too long, a broken signature, constraints violated */
    VERIFY_CLASS_COUNT,
};

const char *verify_class_name(enum verify_class class); /* "expired", "wrong_host", ... */

struct verify_fault {
    enum verify_class class;
    char text[192]; /* a sentence: what is wrong with which certificate; printable ASCII */
};

struct trust; /* the roots; immutable, any thread, counted references */

enum { VERIFY_CHAIN_MAX = 16, VERIFY_CHAIN_BYTES_MAX = 128 * 1024 };

/*
 * System roots (Debian's bundle and the other usual places) and additional PEM files. Null with a
 * sentence in error that names the file. own_ca_der: never trusted; may be empty.
 */
struct trust *trust_new(bool system_roots, const char *const *files, size_t file_count,
                        struct span own_ca_der, char *error, size_t error_cap) MUST_CHECK;
struct trust *trust_get(struct trust *trust);
void trust_put(struct trust *trust);

/*
 * chain: DER certificates as the server sent them, its own first. name: the host name, or the text
 * of an IP address, that was asked for; empty: the name is not checked. Returns fault->class.
 */
enum verify_class verify_chain(struct trust *trust, const struct span *chain, size_t chain_count,
                               struct span name, bool name_is_ip, int64_t now_s,
                               struct verify_fault *fault);

#endif
