/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What we accept from clients and offer to servers: TLS 1.2 and 1.3, ECDHE and AEAD only. The lists
 * are those of current browsers, so that a connection through weir is as good as one without it;
 * X25519MLKEM768 comes first where the library has it. GREASE and the permutation of extensions are
 * on, again as browsers do.
 */
#include "tls/context_private.h"

#include "core/base/clock.h"
#include "tls/memory.h"
#include "tls/ticket_private.h"

#include <openssl/err.h>
#include <openssl/pool.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* In brackets: equal to us, the client's order decides, as it knows what its hardware can. */
static const char accept_ciphers[] =
    "[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305]:"
    "[ECDHE-RSA-AES128-GCM-SHA256|ECDHE-RSA-CHACHA20-POLY1305]:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";

static const char connect_ciphers[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                                      "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                                      "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

#ifdef SSL_GROUP_X25519_MLKEM768
static const char groups[] = "X25519MLKEM768:X25519:P-256:P-384";
#else
static const char groups[] = "X25519:P-256:P-384";
#endif

/* What a server may sign with: no SHA-1. */
static const uint16_t signature_algorithms[] = {
    SSL_SIGN_ECDSA_SECP256R1_SHA256, SSL_SIGN_RSA_PSS_RSAE_SHA256, SSL_SIGN_RSA_PKCS1_SHA256,
    SSL_SIGN_ECDSA_SECP384R1_SHA384, SSL_SIGN_RSA_PSS_RSAE_SHA384, SSL_SIGN_RSA_PKCS1_SHA384,
    SSL_SIGN_RSA_PSS_RSAE_SHA512,    SSL_SIGN_RSA_PKCS1_SHA512,
};

/*
 * Certificates that many connections hold are held once. Of the process, never freed: sessions in
 * ticket stores, which outlive contexts, point into it.
 */
static CRYPTO_BUFFER_POOL *certificate_pool;
static pthread_once_t certificate_pool_once = PTHREAD_ONCE_INIT;

static void make_certificate_pool(void)
{
    certificate_pool = CRYPTO_BUFFER_POOL_new();
}

static int64_t system_wall_s(void)
{
    return clock_wall_ns() / NS_PER_S;
}

static SSL_CTX *new_ssl_ctx(const char *ciphers)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_with_buffers_method());

    if (!ctx) {
        return NULL;
    }
    SSL_CTX_set0_buffer_pool(ctx, certificate_pool);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_early_data_enabled(ctx, 0);
    if (!SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) ||
        !SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) ||
        !SSL_CTX_set_strict_cipher_list(ctx, ciphers) || !SSL_CTX_set1_curves_list(ctx, groups)) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

static SSL_CTX *new_accept_ctx(void)
{
    SSL_CTX *ctx = new_ssl_ctx(accept_ciphers);

    if (ctx) {
        SSL_CTX_set_num_tickets(ctx, 1); /* good for one connection, which gets the next */
    }
    return ctx;
}

static SSL_CTX *new_connect_ctx(void)
{
    SSL_CTX *ctx = new_ssl_ctx(connect_ciphers);

    if (!ctx) {
        return NULL;
    }
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_set_grease_enabled(ctx, 1);
    SSL_CTX_set_permute_extensions(ctx, 1);
    SSL_CTX_enable_ocsp_stapling(ctx);
    SSL_CTX_enable_signed_cert_timestamps(ctx);
    if (!SSL_CTX_set_verify_algorithm_prefs(ctx, signature_algorithms,
                                            COUNT_OF(signature_algorithms))) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

struct tls_context *tls_context_new(const struct tls_context_options *options, char *error,
                                    size_t error_cap)
{
    struct tls_context *context = calloc(1, sizeof(*context));

    ASSERT(options->trust || !options->verify);
    tls_memory_prepare();
    pthread_once(&certificate_pool_once, make_certificate_pool);
    if (!context || !certificate_pool) {
        goto failed;
    }
    atomic_init(&context->references, 1);
    context->verify = options->verify;
    context->wall_s = options->wall_s ? options->wall_s : system_wall_s;
    context->accept = new_accept_ctx();
    context->connect = new_connect_ctx();
    if (!context->accept || !context->connect ||
        !tls_engine_hook(context->accept, context->connect) ||
        (options->ticket_keys && !ticket_keys_install(options->ticket_keys, context->accept))) {
        goto failed;
    }
    context->ticket_keys = options->ticket_keys ? ticket_keys_get(options->ticket_keys) : NULL;
    context->trust = options->trust ? trust_get(options->trust) : NULL;
    return context;

failed:
    snprintf(error, error_cap, "the TLS library refuses our settings, or memory is exhausted");
    ERR_clear_error();
    if (context) {
        SSL_CTX_free(context->accept);
        SSL_CTX_free(context->connect);
        free(context);
    }
    return NULL;
}

struct tls_context *tls_context_get(struct tls_context *context)
{
    atomic_fetch_add_explicit(&context->references, 1, memory_order_relaxed);
    return context;
}

void tls_context_put(struct tls_context *context)
{
    if (!context || atomic_fetch_sub_explicit(&context->references, 1, memory_order_acq_rel) != 1) {
        return;
    }
    SSL_CTX_free(context->accept);
    SSL_CTX_free(context->connect);
    ticket_keys_put(context->ticket_keys);
    if (context->trust) {
        trust_put(context->trust);
    }
    free(context);
}

#define STRING_OF_(value) #value
#define STRING_OF(value)  STRING_OF_(value)
#ifndef WEIR_BORINGSSL_REVISION
#define WEIR_BORINGSSL_REVISION "unknown revision"
#endif

const char *tls_library_version(void)
{
    return "BoringSSL API " STRING_OF(BORINGSSL_API_VERSION) " (" WEIR_BORINGSSL_REVISION ")";
}
