/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a context, for the engine. */
#ifndef WEIR_TLS_CONTEXT_PRIVATE_H
#define WEIR_TLS_CONTEXT_PRIVATE_H

#include "tls/context.h"

#include <openssl/base.h>
#include <stdatomic.h>

struct tls_context {
    _Atomic uint32_t references;
    SSL_CTX *accept;  /* our end towards clients */
    SSL_CTX *connect; /* our end towards servers */
    struct trust *trust;
    struct ticket_keys *ticket_keys; /* null: the library's */
    bool verify;
    int64_t (*wall_s)(void);
};

/* What the library calls while it works for an engine; implemented by the engine. False: memory is
 * exhausted. */
bool tls_engine_hook(SSL_CTX *accept, SSL_CTX *connect) MUST_CHECK;

#endif
