/* SPDX-License-Identifier: Apache-2.0 */
/*
 * context: the settings that TLS connections of one configuration share, for both sides: towards
 * clients (we answer with minted leaves) and towards servers (we verify). Immutable after it is
 * made; any thread; counted references.
 */
#ifndef WEIR_TLS_CONTEXT_H
#define WEIR_TLS_CONTEXT_H

#include "tls/ticket_keys.h"
#include "tls/verify.h"

struct tls_context;

struct tls_context_options {
    struct trust *trust; /* a reference is taken */
    bool verify;         /* false: servers are not verified, by explicit configuration */
    /* Of the tickets that clients get, a reference is taken; null: made by the library for this
     * context alone, so that no other one opens them. */
    struct ticket_keys *ticket_keys;
    int64_t (*wall_s)(void); /* the time for certificates; null: the system's clock */
};

struct tls_context *tls_context_new(const struct tls_context_options *options, char *error,
                                    size_t error_cap) MUST_CHECK;
struct tls_context *tls_context_get(struct tls_context *context);
void tls_context_put(struct tls_context *context);

/* Which BoringSSL is inside: "BoringSSL API 17 (13.0.0+r24-2)". Static. */
const char *tls_library_version(void);

#endif
