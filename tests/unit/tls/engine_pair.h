/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Engines in pairs: what one appends to its `out` is carried to the other's `in`, in pieces of a
 * size that each test chooses. And a heap that counts, and can fail.
 */
#ifndef WEIR_TESTS_ENGINE_PAIR_H
#define WEIR_TESTS_ENGINE_PAIR_H

#include "core/base/clock.h"
#include "tests/certs/make_certs.h"
#include "tls/context_private.h"
#include "tls/engine.h"
#include "tls/leaf_private.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pool.h>
#include <openssl/ssl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

enum { ROUNDS_MAX = 200 * 1000, PIECE_RANDOM = 0 };

#ifdef SSL_GROUP_X25519_MLKEM768
#define DEFAULT_GROUP "X25519MLKEM768"
#else
#define DEFAULT_GROUP "X25519"
#endif

/* Every malloc() of the process, the libraries' too, where nothing else has taken its place. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if !defined(SANITIZED) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *malloc(size_t size);
void *calloc(size_t count, size_t size);

static uint64_t heap_calls __attribute__((unused));
static uint64_t heap_left __attribute__((unused)) =
    UINT64_MAX; /* calls that succeed before one fails, while armed */
static bool heap_armed __attribute__((unused));

static inline bool heap_fails(void)
{
    heap_calls++;
    return heap_armed && heap_left-- == 0;
}

void *malloc(size_t size)
{
    return heap_fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return heap_fails() ? NULL : __libc_calloc(count, size);
}
#define HEAP_IS_WATCHED 1
#else
static uint64_t heap_calls __attribute__((unused));
static uint64_t heap_left __attribute__((unused)) = UINT64_MAX;
static bool heap_armed __attribute__((unused));
#define HEAP_IS_WATCHED 0
#endif

static struct {
    struct cert *ca;
    struct cert *ecdsa;
    struct cert *rsa;
    struct trust *trust;
    struct tls_context *context;    /* verifies */
    struct tls_context *unverified; /* does not */
    struct tls_context *old;        /* takes TLS 1.2 from clients at most */
    char ca_path[64];
} world;

/* The source of all choices; printed when a test fails. */
static uint64_t seed = 1;

static inline uint64_t chance(uint64_t bound)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (seed >> 33) % bound;
}

/* A leaf as tls/leaf.c would make it, on the stack: the engine takes what it needs of it. */
static inline struct leaf make_leaf(const struct cert *cert)
{
    struct span der = cert_der(cert);
    struct leaf leaf = {.chain_count = 1, .key = cert_key(cert)};

    SHA256(der.data, der.len, leaf.ticket_context);

    leaf.chain[0] = CRYPTO_BUFFER_new(der.data, der.len, NULL);
    assert_non_null(leaf.chain[0]);
    return leaf;
}

/* One side. */
struct side {
    struct tls_engine *engine;
    struct buf_queue in;
    struct buf_queue out;
};

struct pair {
    struct buf_cache cache;
    struct side client; /* weir's end towards a server */
    struct side server; /* weir's end towards a client */
    struct leaf leaf;
    size_t piece; /* bytes carried at once; PIECE_RANDOM: 1 to 700 */
};

struct pair_options {
    struct tls_context *client_context;
    struct tls_context *server_context; /* null: of the world */
    const struct cert *cert;
    const char *name;
    const char *alpn_offers;
    size_t alpn_offers_len;
    const char *alpn_answer;
    struct ticket_store *tickets;
    bool without_tickets;
    uint16_t max_version; /* of the server; 0: TLS 1.3 */
    size_t piece;
};

static const uint8_t ticket_key[TICKET_KEY_LEN] = {1, 2, 3};

static inline void pair_init(struct pair *pair, const struct pair_options *options)
{
    const char *name = options->name ? options->name : "example.test";
    struct tls_accept_options accept = {
        .leaf = &pair->leaf,
        .alpn = options->alpn_answer ? span_from_string(options->alpn_answer) : (struct span){0},
        .without_tickets = options->without_tickets};
    struct tls_connect_options connect = {
        .sni = span_from_string(name),
        .verify_name = span_from_string(name),
        .alpn_offers = span_make(options->alpn_offers, options->alpn_offers_len),
        .tickets = options->tickets,
        .ticket_key = ticket_key};

    memset(pair, 0, sizeof(*pair));
    buf_cache_init(&pair->cache);
    pair->piece = options->piece;
    pair->leaf = make_leaf(options->cert ? options->cert : world.ecdsa);
    pair->server.engine =
        tls_engine_accept(options->server_context                  ? options->server_context
                          : options->max_version == TLS1_2_VERSION ? world.old
                                                                   : world.context,
                          &accept, &pair->server.in, &pair->server.out, &pair->cache);
    pair->client.engine =
        tls_engine_connect(options->client_context ? options->client_context : world.context,
                           &connect, &pair->client.in, &pair->client.out, &pair->cache);
    assert_non_null(pair->server.engine);
    assert_non_null(pair->client.engine);
}

static inline void side_fini(struct side *side, struct buf_cache *cache)
{
    tls_engine_free(side->engine);
    buf_queue_clear(&side->in, cache);
    buf_queue_clear(&side->out, cache);
}

static inline void pair_fini(struct pair *pair)
{
    side_fini(&pair->client, &pair->cache);
    side_fini(&pair->server, &pair->cache);
    CRYPTO_BUFFER_free(pair->leaf.chain[0]);
    buf_cache_fini(&pair->cache); /* checks that no buf is left */
    assert_int_equal(ERR_peek_error(), 0);
}

/* Carries up to `len` bytes. */
static inline void carry_bytes(struct buf_queue *to, struct buf_queue *from,
                               struct buf_cache *cache, size_t len)
{
    while (len && from->len) {
        struct span first = buf_view(from->first);
        size_t count = first.len < len ? first.len : len;
        assert_true(buf_queue_append(to, cache, span_make(first.data, count)));
        buf_queue_consume(from, cache, count);
        len -= count;
    }
}

static inline void carry(struct pair *pair, struct buf_queue *to, struct buf_queue *from)
{
    if (pair->piece == SIZE_MAX) {
        buf_queue_move(to, from);
    } else {
        carry_bytes(to, from, &pair->cache, pair->piece ? pair->piece : 1 + chance(700));
    }
}

static inline bool side_wants_more(const struct side *side)
{
    return tls_engine_status(side->engine) == TLS_HANDSHAKING;
}

/* Until both are open, or one failed and everything that was sent arrived. */
static inline void shake_hands(struct pair *pair)
{
    for (int round = 0; round < ROUNDS_MAX; round++) {
        tls_engine_handshake(pair->client.engine);
        tls_engine_handshake(pair->server.engine);
        if (pair->client.out.len == 0 && pair->server.out.len == 0 &&
            !(side_wants_more(&pair->client) && side_wants_more(&pair->server))) {
            return;
        }
        if (pair->client.out.len == 0 && pair->server.out.len == 0) {
            fail_msg("nobody has anything to say, seed %llu", (unsigned long long)seed);
        }
        carry(pair, &pair->server.in, &pair->client.out);
        carry(pair, &pair->client.in, &pair->server.out);
    }
    fail_msg("the handshake does not end");
}

static inline void assert_open(const struct pair *pair)
{
    assert_string_equal(tls_engine_fault(pair->client.engine)->text, "");
    assert_string_equal(tls_engine_fault(pair->server.engine)->text, "");
    assert_int_equal(tls_engine_status(pair->client.engine), TLS_OPEN);
    assert_int_equal(tls_engine_status(pair->server.engine), TLS_OPEN);
}

static inline void say(struct pair *pair, struct side *from, struct side *to, const char *text)
{
    uint8_t heard[256];
    size_t len = 0;

    assert_true(tls_engine_write(from->engine, span_from_string(text)));
    while (from->out.len) {
        carry(pair, &to->in, &from->out);
        len += tls_engine_read(to->engine, heard + len, sizeof(heard) - len);
    }
    assert_int_equal(len, strlen(text));
    assert_memory_equal(heard, text, len);
}

static inline void make_path(char path[64])
{
    int fd;

    snprintf(path, 64, "/tmp/weir-test-XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
}

static inline int world_init(void **state)
{
    const char *const files[] = {world.ca_path};
    struct tls_context_options options = {.verify = true};
    const char *extensions[] = {"subjectAltName", "DNS:example.test", "extendedKeyUsage",
                                "serverAuth", NULL};
    struct cert_spec rsa = {
        .common_name = "example.test", .key = CERT_KEY_RSA_2048, .extensions = extensions};
    char error[256] = "";

    (void)state;
    world.ca = cert_make_ca("weir test root");
    world.ecdsa = cert_make_leaf(world.ca, "example.test", "DNS:example.test");
    rsa.issuer = world.ca;
    world.rsa = cert_make(&rsa);
    make_path(world.ca_path);
    cert_write_pem(world.ca, world.ca_path, false);
    world.trust = trust_new(false, files, 1, span_make(NULL, 0), error, sizeof(error));
    assert_string_equal(error, "");
    options.trust = world.trust;
    world.context = tls_context_new(&options, error, sizeof(error));
    options.verify = false;
    world.unverified = tls_context_new(&options, error, sizeof(error));
    assert_string_equal(error, "");
    assert_non_null(world.context);
    assert_non_null(world.unverified);
    options.verify = true;
    world.old = tls_context_new(&options, error, sizeof(error));
    assert_non_null(world.old);
    assert_true(SSL_CTX_set_max_proto_version(world.old->accept, TLS1_2_VERSION));
    return 0;
}

static inline int world_fini(void **state)
{
    (void)state;
    unlink(world.ca_path);
    tls_context_put(world.context);
    tls_context_put(world.unverified);
    tls_context_put(world.old);
    trust_put(world.trust);
    cert_free(world.ecdsa);
    cert_free(world.rsa);
    cert_free(world.ca);
    return 0;
}

#endif
