/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Engines in pairs: what one appends to its `out` is carried to the other's `in`, in pieces of a
 * size that each test chooses. The peer is either an engine too or a bare SSL object of the
 * library, where the test needs a peer that an engine would never be.
 */
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

static uint64_t heap_calls;
static uint64_t heap_left = UINT64_MAX; /* calls that succeed before one fails, while armed */
static bool heap_armed;

static bool heap_fails(void)
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
static uint64_t heap_calls;
static uint64_t heap_left = UINT64_MAX;
static bool heap_armed;
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

static uint64_t chance(uint64_t bound)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (seed >> 33) % bound;
}

/* A leaf as tls/leaf.c would make it, on the stack: the engine takes what it needs of it. */
static struct leaf make_leaf(const struct cert *cert)
{
    struct span der = cert_der(cert);
    struct leaf leaf = {.chain_count = 1, .key = cert_key(cert)};

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

static void pair_init(struct pair *pair, const struct pair_options *options)
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
        tls_engine_accept(options->max_version == TLS1_2_VERSION ? world.old : world.context,
                          &accept, &pair->server.in, &pair->server.out, &pair->cache);
    pair->client.engine =
        tls_engine_connect(options->client_context ? options->client_context : world.context,
                           &connect, &pair->client.in, &pair->client.out, &pair->cache);
    assert_non_null(pair->server.engine);
    assert_non_null(pair->client.engine);
}

static void side_fini(struct side *side, struct buf_cache *cache)
{
    tls_engine_free(side->engine);
    buf_queue_clear(&side->in, cache);
    buf_queue_clear(&side->out, cache);
}

static void pair_fini(struct pair *pair)
{
    side_fini(&pair->client, &pair->cache);
    side_fini(&pair->server, &pair->cache);
    CRYPTO_BUFFER_free(pair->leaf.chain[0]);
    buf_cache_fini(&pair->cache); /* checks that no buf is left */
    assert_int_equal(ERR_peek_error(), 0);
}

/* Carries up to `len` bytes. */
static void carry_bytes(struct buf_queue *to, struct buf_queue *from, struct buf_cache *cache,
                        size_t len)
{
    while (len && from->len) {
        struct span first = buf_view(from->first);
        size_t count = first.len < len ? first.len : len;
        assert_true(buf_queue_append(to, cache, span_make(first.data, count)));
        buf_queue_consume(from, cache, count);
        len -= count;
    }
}

static void carry(struct pair *pair, struct buf_queue *to, struct buf_queue *from)
{
    if (pair->piece == SIZE_MAX) {
        buf_queue_move(to, from);
    } else {
        carry_bytes(to, from, &pair->cache, pair->piece ? pair->piece : 1 + chance(700));
    }
}

static bool side_wants_more(const struct side *side)
{
    return tls_engine_status(side->engine) == TLS_HANDSHAKING;
}

/* Until both are open, or one failed and everything that was sent arrived. */
static void shake_hands(struct pair *pair)
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

static void assert_open(const struct pair *pair)
{
    assert_string_equal(tls_engine_fault(pair->client.engine)->text, "");
    assert_string_equal(tls_engine_fault(pair->server.engine)->text, "");
    assert_int_equal(tls_engine_status(pair->client.engine), TLS_OPEN);
    assert_int_equal(tls_engine_status(pair->server.engine), TLS_OPEN);
}

static void say(struct pair *pair, struct side *from, struct side *to, const char *text)
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

static void test_handshake_and_data(void **state)
{
    static const size_t pieces[] = {SIZE_MAX, 1, PIECE_RANDOM};
    (void)state;

    for (size_t i = 0; i < COUNT_OF(pieces); i++) {
        struct pair_options options = {.piece = pieces[i]};
        struct tls_info info;
        struct pair pair;
        pair_init(&pair, &options);
        shake_hands(&pair);
        assert_open(&pair);
        tls_engine_read_info(pair.client.engine, &info);
        assert_string_equal(info.version, "TLSv1.3");
        assert_string_equal(info.cipher, "TLS_AES_128_GCM_SHA256");
        assert_non_null(info.group);
        assert_false(info.resumed);
        assert_int_equal(info.alpn.len, 0);
        say(&pair, &pair.client, &pair.server, "GET / HTTP/1.1\r\n\r\n");
        say(&pair, &pair.server, &pair.client, "HTTP/1.1 200 OK\r\n\r\n");
        pair_fini(&pair);
    }
}

static void test_versions(void **state)
{
    static const uint16_t versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    static const char *const names[] = {"TLSv1.2", "TLSv1.3"};
    (void)state;

    for (size_t i = 0; i < COUNT_OF(versions); i++) {
        for (int rsa = 0; rsa < 2; rsa++) {
            struct pair_options options = {.cert = rsa ? world.rsa : world.ecdsa,
                                           .max_version = versions[i]};
            struct tls_info info;
            struct pair pair;
            pair_init(&pair, &options);
            shake_hands(&pair);
            assert_open(&pair);
            tls_engine_read_info(pair.server.engine, &info);
            assert_string_equal(info.version, names[i]);
            assert_string_equal(info.group, i ? DEFAULT_GROUP : "X25519");
            if (i == 0) {
                assert_string_equal(info.cipher, rsa ? "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
                                                     : "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256");
            }
            assert_true(span_equal(tls_engine_peer_certificate(pair.client.engine),
                                   cert_der(options.cert)));
            assert_int_equal(tls_engine_peer_certificate(pair.server.engine).len, 0);
            say(&pair, &pair.client, &pair.server, "up");
            say(&pair, &pair.server, &pair.client, "down");
            pair_fini(&pair);
        }
    }
}

static void expect_alpn(const char *offers, size_t offers_len, const char *answer,
                        const char *chosen)
{
    struct pair_options options = {
        .alpn_offers = offers, .alpn_offers_len = offers_len, .alpn_answer = answer};
    struct tls_info client;
    struct tls_info server;
    struct pair pair;

    pair_init(&pair, &options);
    shake_hands(&pair);
    assert_open(&pair);
    tls_engine_read_info(pair.client.engine, &client);
    tls_engine_read_info(pair.server.engine, &server);
    assert_true(span_equal(client.alpn, span_from_string(chosen)));
    assert_true(span_equal(server.alpn, span_from_string(chosen)));
    pair_fini(&pair);
}

static void test_alpn(void **state)
{
    static const char both[] = "\x02h2\x08http/1.1";

    (void)state;
    expect_alpn(both, sizeof(both) - 1, "h2", "h2");
    expect_alpn(both, sizeof(both) - 1, "http/1.1", "http/1.1");
    expect_alpn(both, sizeof(both) - 1, "http/1", "");
    expect_alpn(both, sizeof(both) - 1, NULL, "");
    expect_alpn(NULL, 0, "h2", "");
    expect_alpn("\x08http/1.1", 9, "h2", "");
}

/* One connection with some talk, so that the client gets its tickets. */
static struct tls_info visit(const struct pair_options *options)
{
    struct tls_info info;
    struct pair pair;

    pair_init(&pair, options);
    shake_hands(&pair);
    assert_open(&pair);
    say(&pair, &pair.client, &pair.server, "up");
    say(&pair, &pair.server, &pair.client, "down");
    tls_engine_read_info(pair.client.engine, &info);
    assert_true(span_equal(tls_engine_peer_certificate(pair.client.engine),
                           cert_der(options->cert ? options->cert : world.ecdsa)));
    pair_fini(&pair);
    return info;
}

static void test_resumption(void **state)
{
    static const uint16_t versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    (void)state;

    for (size_t i = 0; i < COUNT_OF(versions); i++) {
        struct ticket_store *tickets = ticket_store_new(8);
        struct pair_options options = {.tickets = tickets, .max_version = versions[i]};

        assert_false(visit(&options).resumed);
        assert_true(ticket_store_count(tickets) > 0);
        assert_true(ticket_store_count(tickets) <= TICKETS_PER_KEY_MAX);
        for (int round = 0; round < 5; round++) {
            assert_true(visit(&options).resumed);
            assert_true(ticket_store_count(tickets) <= TICKETS_PER_KEY_MAX);
        }
        ticket_store_free(tickets);
    }
}

static void test_no_tickets(void **state)
{
    struct ticket_store *tickets = ticket_store_new(8);
    struct pair_options options = {.tickets = tickets, .without_tickets = true};

    (void)state;
    visit(&options);
    assert_int_equal(ticket_store_count(tickets), 0);
    options.max_version = TLS1_2_VERSION;
    visit(&options);
    assert_int_equal(ticket_store_count(tickets), 0);
    ticket_store_free(tickets);
}

/* A ticket of one leaf is not good for another: the server makes a full handshake, and the client
 * forgets what was not taken. */
static void test_ticket_of_another_leaf(void **state)
{
    static const uint16_t versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    (void)state;

    for (size_t i = 0; i < COUNT_OF(versions); i++) {
        struct ticket_store *tickets = ticket_store_new(8);
        struct pair_options options = {.tickets = tickets, .max_version = versions[i]};

        visit(&options);
        options.cert = world.rsa;
        assert_false(visit(&options).resumed);
        assert_true(visit(&options).resumed);
        ticket_store_free(tickets);
    }
}

/* A session is verified anew before it is offered: for the name asked now, and at this time. */
static void test_session_is_verified_again(void **state)
{
    struct ticket_store *tickets = ticket_store_new(8);
    struct pair_options options = {
        .tickets = tickets, .client_context = world.unverified, .name = "other.test"};
    struct pair pair;
    (void)state;

    visit(&options); /* not verified: nobody asks whose certificate it is */
    assert_true(ticket_store_count(tickets) > 0);
    options.client_context = world.context;
    pair_init(&pair, &options);
    assert_int_equal(ticket_store_count(tickets), 0);
    shake_hands(&pair);
    assert_int_equal(tls_engine_status(pair.client.engine), TLS_FAILED);
    assert_int_equal(tls_engine_fault(pair.client.engine)->verify, VERIFY_WRONG_HOST);
    pair_fini(&pair);
    ticket_store_free(tickets);
}

static int64_t next_year_s(void)
{
    return clock_wall_ns() / NS_PER_S + 365 * 24 * 3600;
}

static void test_session_expires(void **state)
{
    struct tls_context_options later = {
        .trust = world.trust, .verify = true, .wall_s = next_year_s};
    struct ticket_store *tickets = ticket_store_new(8);
    struct pair_options options = {.tickets = tickets};
    char error[256];
    struct pair pair;
    (void)state;

    visit(&options);
    assert_true(ticket_store_count(tickets) > 0);
    options.client_context = tls_context_new(&later, error, sizeof(error));
    pair_init(&pair, &options);
    assert_int_equal(ticket_store_count(tickets), 0);
    shake_hands(&pair);
    assert_int_equal(tls_engine_fault(pair.client.engine)->verify, VERIFY_EXPIRED);
    pair_fini(&pair);
    tls_context_put(options.client_context);
    ticket_store_free(tickets);
}

static void expect_refusal(const struct cert *cert, const char *name, enum verify_class class,
                           uint8_t alert, const char *client_text, const char *server_text)
{
    static const uint16_t versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

    for (size_t i = 0; i < COUNT_OF(versions); i++) {
        struct pair_options options = {.cert = cert, .name = name, .max_version = versions[i]};
        const struct tls_fault *fault;
        struct pair pair;
        uint8_t memory[16];

        pair_init(&pair, &options);
        shake_hands(&pair);
        fault = tls_engine_fault(pair.client.engine);
        assert_int_equal(tls_engine_status(pair.client.engine), TLS_FAILED);
        assert_int_equal(fault->verify, class);
        assert_int_equal(fault->alert_sent, alert);
        assert_int_equal(fault->alert_received, 0);
        assert_non_null(strstr(fault->text, client_text));
        assert_true(span_equal(tls_engine_peer_certificate(pair.client.engine), cert_der(cert)));
        fault = tls_engine_fault(pair.server.engine);
        assert_int_equal(tls_engine_status(pair.server.engine), TLS_FAILED);
        assert_int_equal(fault->alert_received, alert);
        assert_int_equal(fault->alert_sent, 0);
        assert_int_equal(fault->verify, VERIFY_OK);
        assert_string_equal(fault->text, server_text);
        assert_false(tls_engine_write(pair.client.engine, SPAN_LITERAL("no")));
        assert_int_equal(tls_engine_read(pair.client.engine, memory, sizeof(memory)), 0);
        tls_engine_shutdown(pair.client.engine);
        assert_int_equal(pair.client.out.len, 0);
        pair_fini(&pair);
    }
}

static void test_refusals(void **state)
{
    struct cert_spec old_spec = {.common_name = "example.test",
                                 .issuer = world.ca,
                                 .not_before_s = 1700000000,
                                 .not_after_s = 1704164645};
    struct cert *old = cert_make(&old_spec);
    struct cert *stranger = cert_make_ca("a stranger");
    struct cert *foreign = cert_make_leaf(stranger, "example.test", "DNS:example.test");
    (void)state;

    expect_refusal(world.ecdsa, "other.test", VERIFY_WRONG_HOST, 42, "is not for other.test",
                   "the client rejected our certificate: bad_certificate (42)");
    expect_refusal(old, "example.test", VERIFY_EXPIRED, 45, "expired on 2024-01-02 03:04:05 UTC",
                   "the client rejected our certificate: certificate_expired (45)");
    expect_refusal(foreign, "example.test", VERIFY_UNKNOWN_ISSUER, 48, "neither known",
                   "the client rejected our certificate: unknown_ca (48)");
    cert_free(foreign);
    cert_free(stranger);
    cert_free(old);
}

static void test_unverified(void **state)
{
    struct pair_options options = {.client_context = world.unverified, .name = "other.test"};
    struct pair pair;
    (void)state;

    pair_init(&pair, &options);
    shake_hands(&pair);
    assert_open(&pair);
    assert_true(span_equal(tls_engine_peer_certificate(pair.client.engine), cert_der(world.ecdsa)));
    pair_fini(&pair);
}

static void test_close_notify(void **state)
{
    static const uint16_t versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    (void)state;

    for (size_t i = 0; i < COUNT_OF(versions); i++) {
        struct pair_options options = {.max_version = versions[i], .piece = SIZE_MAX};
        struct pair pair;
        uint8_t memory[64];
        size_t sent;

        pair_init(&pair, &options);
        tls_engine_shutdown(pair.client.engine); /* before the handshake: nothing */
        shake_hands(&pair);
        assert_open(&pair);
        assert_true(tls_engine_write(pair.client.engine, SPAN_LITERAL("last words")));
        tls_engine_shutdown(pair.client.engine);
        sent = pair.client.out.len;
        tls_engine_shutdown(pair.client.engine);
        assert_int_equal(pair.client.out.len, sent);
        assert_false(tls_engine_write(pair.client.engine, SPAN_LITERAL("no more")));
        carry(&pair, &pair.server.in, &pair.client.out);
        assert_int_equal(tls_engine_read(pair.server.engine, memory, 4), 4);
        assert_int_equal(tls_engine_status(pair.server.engine), TLS_OPEN);
        assert_int_equal(tls_engine_read(pair.server.engine, memory, sizeof(memory)), 6);
        assert_int_equal(tls_engine_status(pair.server.engine), TLS_CLOSED);
        assert_int_equal(tls_engine_fault(pair.server.engine)->alert_received, 0);
        /* The other direction is still open. */
        assert_true(tls_engine_write(pair.server.engine, SPAN_LITERAL("answer")));
        tls_engine_shutdown(pair.server.engine);
        carry(&pair, &pair.client.in, &pair.server.out);
        assert_int_equal(tls_engine_read(pair.client.engine, memory, sizeof(memory)), 6);
        assert_memory_equal(memory, "answer", 6);
        assert_int_equal(tls_engine_status(pair.client.engine), TLS_CLOSED);
        pair_fini(&pair);
    }
}

static void test_big_writes(void **state)
{
    enum { BIG = 1000 * 1000 + 7 };
    static const uint16_t versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    uint8_t *sent = malloc(BIG);
    uint8_t *got = malloc(BIG);
    (void)state;

    for (size_t i = 0; i < BIG; i++) {
        sent[i] = (uint8_t)chance(256);
    }
    for (size_t i = 0; i < COUNT_OF(versions); i++) {
        struct pair_options options = {.max_version = versions[i]};
        struct pair pair;
        size_t len = 0;

        pair_init(&pair, &options);
        shake_hands(&pair);
        assert_true(tls_engine_write(pair.client.engine, span_make(sent, 0)));
        assert_int_equal(pair.client.out.len, 0);
        assert_true(tls_engine_write(pair.client.engine, span_make(sent, BIG)));
        /* 62 records, each with at most 22 bytes of its own (RFC 8446 5.2, RFC 5288 3: 29). */
        assert_in_range(pair.client.out.len, BIG, BIG + 62 * 29);
        while (pair.client.out.len || len < BIG) {
            carry_bytes(&pair.server.in, &pair.client.out, &pair.cache, 1 + chance(40000));
            len += tls_engine_read(pair.server.engine, got + len,
                                   1 + chance(BIG - len < 50000 ? BIG - len + 1 : 50000));
        }
        assert_int_equal(len, BIG);
        assert_memory_equal(got, sent, BIG);
        pair_fini(&pair);
    }
    free(sent);
    free(got);
}

static void test_partial_record(void **state)
{
    struct pair_options options = {0};
    struct pair pair;
    uint8_t memory[64];
    (void)state;

    pair_init(&pair, &options);
    shake_hands(&pair);
    say(&pair, &pair.client, &pair.server, "all of it");
    assert_false(tls_engine_has_partial_record(pair.server.engine));
    assert_true(tls_engine_write(pair.client.engine, SPAN_LITERAL("all of it")));
    while (pair.client.out.len > 1) {
        carry_bytes(&pair.server.in, &pair.client.out, &pair.cache, 1);
        assert_int_equal(tls_engine_read(pair.server.engine, memory, sizeof(memory)), 0);
        assert_int_equal(tls_engine_status(pair.server.engine), TLS_OPEN);
        assert_true(tls_engine_has_partial_record(pair.server.engine));
    }
    carry_bytes(&pair.server.in, &pair.client.out, &pair.cache, 1);
    assert_int_equal(tls_engine_read(pair.server.engine, memory, sizeof(memory)), 9);
    assert_false(tls_engine_has_partial_record(pair.server.engine));
    pair_fini(&pair);
}

/* Any byte of a sealed record changed: nothing is read, and bad_record_mac answers. */
static void test_changed_record(void **state)
{
    (void)state;

    for (size_t at = 0; at < 5 + 9 + 17; at++) {
        struct pair_options options = {.piece = SIZE_MAX};
        struct pair pair;
        uint8_t memory[64];

        pair_init(&pair, &options);
        shake_hands(&pair);
        say(&pair, &pair.server, &pair.client, "x"); /* takes the tickets along */
        assert_true(tls_engine_write(pair.client.engine, SPAN_LITERAL("all of it")));
        pair.client.out.first->data[pair.client.out.first->start + at] ^= 1;
        carry(&pair, &pair.server.in, &pair.client.out);
        assert_int_equal(tls_engine_read(pair.server.engine, memory, sizeof(memory)), 0);
        if (at == 3 || at == 4) { /* the length: longer, too long, or cut short */
            assert_int_not_equal(tls_engine_status(pair.server.engine), TLS_CLOSED);
        } else {
            assert_int_equal(tls_engine_status(pair.server.engine), TLS_FAILED);
            assert_int_not_equal(tls_engine_fault(pair.server.engine)->alert_sent, 0);
            assert_string_not_equal(tls_engine_fault(pair.server.engine)->text, "");
            assert_true(pair.server.out.len > 0);
            carry(&pair, &pair.client.in, &pair.server.out);
            assert_int_equal(tls_engine_read(pair.client.engine, memory, sizeof(memory)), 0);
            assert_int_equal(tls_engine_status(pair.client.engine), TLS_FAILED);
            assert_int_equal(tls_engine_fault(pair.client.engine)->alert_received,
                             tls_engine_fault(pair.server.engine)->alert_sent);
            assert_non_null(
                strstr(tls_engine_fault(pair.client.engine)->text, "the server sent the alert "));
        }
        pair_fini(&pair);
    }
}

static void feed(struct side *side, struct buf_cache *cache, struct span bytes)
{
    assert_true(buf_queue_append(&side->in, cache, bytes));
    tls_engine_handshake(side->engine);
}

static void test_garbage(void **state)
{
    static const char *const inputs[] = {
        "GET / HTTP/1.1\r\nHost: example.test\r\n\r\n",
        "CONNECT example.test:443 HTTP/1.1\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "\x16\x03\x01\xff\xff\x01\x01\x01",
        "\x15\x03\x03\x01\x02\x02\x28\x01",
        "\x80\x2e\x01\x03\x01\x01\x15\x01\x01\x01\x01\x01",
    };
    (void)state;

    for (size_t i = 0; i < COUNT_OF(inputs); i++) {
        for (int client = 0; client < 2; client++) {
            struct pair_options options = {0};
            struct pair pair;
            struct side *side;
            pair_init(&pair, &options);
            side = client ? &pair.client : &pair.server;
            tls_engine_handshake(side->engine);
            feed(side, &pair.cache, span_from_string(inputs[i]));
            if (i < 3 || !client) {
                assert_int_not_equal(tls_engine_status(side->engine), TLS_OPEN);
            }
            if (i < 4) {
                assert_int_equal(tls_engine_status(side->engine), TLS_FAILED);
                assert_string_not_equal(tls_engine_fault(side->engine)->text, "");
            }
            pair_fini(&pair);
        }
    }
    for (int round = 0; round < 300; round++) {
        struct pair_options options = {0};
        uint8_t noise[600];
        struct pair pair;
        pair_init(&pair, &options);
        tls_engine_handshake(pair.client.engine);
        for (size_t i = 0; i < sizeof(noise); i++) {
            noise[i] = (uint8_t)chance(256);
        }
        memcpy(noise, "\x16\x03\x03\x00", 4);
        feed(&pair.server, &pair.cache, span_make(noise, sizeof(noise)));
        feed(&pair.client, &pair.cache, span_make(noise, sizeof(noise)));
        assert_int_not_equal(tls_engine_status(pair.server.engine), TLS_OPEN);
        assert_int_not_equal(tls_engine_status(pair.client.engine), TLS_OPEN);
        pair_fini(&pair);
    }
}

/* A handshake that stops after any number of bytes leaves nothing behind. */
static void test_truncated_handshake(void **state)
{
    (void)state;

    for (size_t budget = 0; budget < 3000; budget += 1 + chance(40)) {
        struct pair_options options = {0};
        struct pair pair;
        size_t left = budget;

        pair_init(&pair, &options);
        while (left) {
            size_t before = left;
            tls_engine_handshake(pair.client.engine);
            tls_engine_handshake(pair.server.engine);
            for (int i = 0; i < 2 && left; i++) {
                struct buf_queue *from = i ? &pair.server.out : &pair.client.out;
                size_t count = from->len < left ? from->len : left;
                carry_bytes(i ? &pair.client.in : &pair.server.in, from, &pair.cache, count);
                left -= count;
            }
            if (left == before) {
                break;
            }
        }
        assert_int_not_equal(tls_engine_status(pair.client.engine), TLS_FAILED);
        assert_int_not_equal(tls_engine_status(pair.server.engine), TLS_FAILED);
        pair_fini(&pair);
    }
}

/* A bare peer of the library, for what an engine never does. */

static enum ssl_verify_result_t accept_any(SSL *ssl, uint8_t *alert)
{
    (void)ssl;
    (void)alert;
    return ssl_verify_ok;
}

static SSL *bare_client(SSL_CTX *ctx)
{
    SSL *ssl = SSL_new(ctx);
    BIO *in = BIO_new(BIO_s_mem());
    BIO *out = BIO_new(BIO_s_mem());

    assert_non_null(ssl);
    SSL_set_custom_verify(ssl, SSL_VERIFY_PEER, accept_any);
    BIO_set_mem_eof_return(in, -1);
    SSL_set_bio(ssl, in, out);
    SSL_set_connect_state(ssl);
    return ssl;
}

static void carry_bare(SSL *ssl, struct side *server, struct buf_cache *cache)
{
    uint8_t memory[4096];
    int len;

    while ((len = BIO_read(SSL_get_wbio(ssl), memory, sizeof(memory))) > 0) {
        assert_true(buf_queue_append(&server->in, cache, span_make(memory, (size_t)len)));
    }
    while (server->out.len) {
        struct span first = buf_view(server->out.first);
        assert_int_equal(BIO_write(SSL_get_rbio(ssl), first.data, (int)first.len), first.len);
        buf_queue_consume(&server->out, cache, first.len);
    }
}

static void shake_bare(SSL *ssl, struct side *server, struct buf_cache *cache)
{
    for (int round = 0; round < 20; round++) {
        ERR_clear_error();
        SSL_do_handshake(ssl);
        carry_bare(ssl, server, cache);
        tls_engine_handshake(server->engine);
        carry_bare(ssl, server, cache);
    }
    ERR_clear_error();
}

/* A client whose first key share is of a group that the server does not have. */
static void test_hello_retry_request(void **state)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_with_buffers_method());
    struct pair_options options = {0};
    struct tls_info info;
    struct pair pair;
    (void)state;

    assert_true(SSL_CTX_set1_curves_list(ctx, "P-521:P-384"));
    pair_init(&pair, &options);
    SSL *ssl = bare_client(ctx);
    shake_bare(ssl, &pair.server, &pair.cache);
    assert_true(SSL_in_init(ssl) == 0);
    assert_true(SSL_used_hello_retry_request(ssl));
    assert_int_equal(tls_engine_status(pair.server.engine), TLS_OPEN);
    tls_engine_read_info(pair.server.engine, &info);
    assert_string_equal(info.group, "P-384");
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    pair_fini(&pair);
}

static void expect_bare_refused(SSL_CTX *ctx, uint8_t alert, const char *text)
{
    struct pair_options options = {0};
    struct pair pair;

    pair_init(&pair, &options);
    SSL *ssl = bare_client(ctx);
    shake_bare(ssl, &pair.server, &pair.cache);
    assert_int_equal(tls_engine_status(pair.server.engine), TLS_FAILED);
    assert_int_equal(tls_engine_fault(pair.server.engine)->alert_sent, alert);
    if (!strstr(tls_engine_fault(pair.server.engine)->text, text)) {
        fail_msg("got '%s'", tls_engine_fault(pair.server.engine)->text);
    }
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    pair_fini(&pair);
}

static void test_weak_clients(void **state)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_with_buffers_method());
    (void)state;

    assert_true(SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION));
    assert_true(SSL_CTX_set_max_proto_version(ctx, TLS1_1_VERSION));
    expect_bare_refused(ctx, 70, "unsupported protocol; we answered protocol_version (70)");
    ctx = SSL_CTX_new(TLS_with_buffers_method());
    assert_true(SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION));
    assert_true(SSL_CTX_set_strict_cipher_list(ctx, "ECDHE-ECDSA-AES128-SHA"));
    expect_bare_refused(ctx, 40, "no shared cipher; we answered handshake_failure (40)");
    ctx = SSL_CTX_new(TLS_with_buffers_method());
    assert_true(SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION));
    assert_true(SSL_CTX_set_strict_cipher_list(ctx, "AES128-GCM-SHA256"));
    expect_bare_refused(ctx, 40, "no shared cipher");
}

/* Nothing of one connection's failure is seen by another. */
static void test_error_queue(void **state)
{
    struct pair_options options = {.piece = SIZE_MAX};
    struct pair good;
    struct pair bad;
    (void)state;

    pair_init(&good, &options);
    shake_hands(&good);
    pair_init(&bad, &options);
    feed(&bad.server, &bad.cache, SPAN_LITERAL("GET / HTTP/1.1\r\n\r\n"));
    assert_int_equal(tls_engine_status(bad.server.engine), TLS_FAILED);
    assert_int_equal(ERR_peek_error(), 0);
    OPENSSL_PUT_ERROR(SSL, ERR_R_INTERNAL_ERROR); /* as if somebody left one behind */
    say(&good, &good.client, &good.server, "undisturbed");
    ERR_clear_error();
    pair_fini(&bad);
    pair_fini(&good);
}

/* Servers that are worse than what we take, each with a bare SSL object as server. */

static SSL_CTX *bare_server_ctx(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_with_buffers_method());
    struct span der = cert_der(world.ecdsa);
    CRYPTO_BUFFER *chain = CRYPTO_BUFFER_new(der.data, der.len, NULL);

    assert_non_null(ctx);
    assert_true(SSL_CTX_set_chain_and_key(ctx, &chain, 1, cert_key(world.ecdsa), NULL));
    CRYPTO_BUFFER_free(chain);
    return ctx;
}

static void run_bare_server(SSL_CTX *ctx, enum tls_status status, uint8_t sent, uint8_t received,
                            const char *text)
{
    struct pair_options options = {0};
    const struct tls_fault *fault;
    struct pair pair;
    uint8_t memory[16];
    SSL *ssl;

    pair_init(&pair, &options);
    ssl = bare_client(ctx);
    SSL_set_custom_verify(ssl, SSL_CTX_get_verify_mode(ctx), accept_any);
    SSL_set_accept_state(ssl);
    tls_engine_handshake(pair.client.engine);
    shake_bare(ssl, &pair.client, &pair.cache);
    tls_engine_read(pair.client.engine, memory, sizeof(memory));
    fault = tls_engine_fault(pair.client.engine);
    if (!strstr(fault->text, text)) {
        fail_msg("got '%s'", fault->text);
    }
    assert_int_equal(tls_engine_status(pair.client.engine), status);
    assert_int_equal(fault->alert_sent, sent);
    assert_int_equal(fault->alert_received, received);
    assert_int_equal(fault->verify, VERIFY_OK);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    pair_fini(&pair);
}

static void test_weak_servers(void **state)
{
    SSL_CTX *ctx = bare_server_ctx();
    (void)state;

    run_bare_server(ctx, TLS_OPEN, 0, 0, "");
    ctx = bare_server_ctx();
    assert_true(SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION));
    assert_true(SSL_CTX_set_max_proto_version(ctx, TLS1_1_VERSION));
    run_bare_server(ctx, TLS_FAILED, 0, 70, "the server sent the alert protocol_version (70)");
    ctx = bare_server_ctx();
    assert_true(SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION));
    assert_true(SSL_CTX_set_strict_cipher_list(ctx, "ECDHE-ECDSA-AES128-SHA"));
    run_bare_server(ctx, TLS_FAILED, 0, 40, "the server sent the alert handshake_failure (40)");
}

/* In TLS 1.3 the server says so only after the handshake, to our first read. */
static void test_client_certificate_required(void **state)
{
    SSL_CTX *ctx = bare_server_ctx();
    (void)state;

    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    run_bare_server(ctx, TLS_FAILED, 0, 116, "certificate_required (116)");
    ctx = bare_server_ctx();
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    assert_true(SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION));
    run_bare_server(ctx, TLS_FAILED, 0, 40, "handshake_failure (40)");
}

/* Memory. */

/* Runs a handshake in which the heap fails once, after `left` calls. True: it never came to that.
 */
static bool shake_hands_without_memory(uint64_t left, uint16_t version,
                                       struct ticket_store *tickets)
{
    struct leaf leaf = make_leaf(world.ecdsa);
    struct tls_accept_options accept = {.leaf = &leaf, .alpn = SPAN_LITERAL("h2")};
    struct tls_connect_options connect = {.sni = SPAN_LITERAL("example.test"),
                                          .verify_name = SPAN_LITERAL("example.test"),
                                          .alpn_offers = SPAN_LITERAL("\x02h2"),
                                          .tickets = tickets,
                                          .ticket_key = ticket_key};
    struct tls_context *server = version == TLS1_2_VERSION ? world.old : world.context;
    struct pair pair = {.piece = SIZE_MAX};
    bool never;

    buf_cache_init(&pair.cache);
    heap_left = left;
    heap_armed = true;
    pair.server.engine =
        tls_engine_accept(server, &accept, &pair.server.in, &pair.server.out, &pair.cache);
    pair.client.engine =
        tls_engine_connect(world.context, &connect, &pair.client.in, &pair.client.out, &pair.cache);
    for (int round = 0; round < 6 && pair.server.engine && pair.client.engine; round++) {
        uint8_t memory[64];
        tls_engine_handshake(pair.client.engine);
        buf_queue_move(&pair.server.in, &pair.client.out);
        tls_engine_handshake(pair.server.engine);
        if (tls_engine_write(pair.server.engine, SPAN_LITERAL("x"))) {
            tls_engine_read(pair.client.engine, memory, sizeof(memory));
        }
        buf_queue_move(&pair.client.in, &pair.server.out);
    }
    heap_armed = false;
    never = heap_left < UINT64_MAX / 2; /* it wraps when the failing call was made */
    for (int i = 0; i < 2; i++) {
        struct side *side = i ? &pair.server : &pair.client;
        if (side->engine && tls_engine_status(side->engine) == TLS_FAILED) {
            assert_string_not_equal(tls_engine_fault(side->engine)->text, "");
        }
        side_fini(side, &pair.cache);
    }
    CRYPTO_BUFFER_free(leaf.chain[0]);
    buf_cache_fini(&pair.cache);
    ERR_clear_error();
    return never;
}

static void test_memory_exhausted(void **state)
{
    static const uint16_t versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    (void)state;

    if (!HEAP_IS_WATCHED) {
        skip();
    }
    for (size_t i = 0; i < COUNT_OF(versions); i++) {
        struct ticket_store *tickets = ticket_store_new(4);
        uint64_t left = 0;
        while (left < 5000 && !shake_hands_without_memory(left, versions[i], tickets)) {
            left++;
        }
        assert_in_range(left, 50, 4999);
        ticket_store_free(tickets);
    }
}

static void pump(struct pair *pair, size_t bytes)
{
    static uint8_t plain[64 * 1024];
    static uint8_t got[64 * 1024];

    for (size_t done = 0; done < bytes; done += sizeof(plain)) {
        size_t len = 0;
        assert_true(tls_engine_write(pair->client.engine, span_make(plain, sizeof(plain))));
        buf_queue_move(&pair->server.in, &pair->client.out);
        while (len < sizeof(plain)) {
            size_t count = tls_engine_read(pair->server.engine, got + len, sizeof(got) - len);
            assert_true(count > 0);
            len += count;
        }
    }
}

static void test_no_allocation_while_data_flows(void **state)
{
    static const uint16_t versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    (void)state;

    for (size_t i = 0; i < COUNT_OF(versions); i++) {
        struct pair_options options = {.max_version = versions[i], .piece = SIZE_MAX};
        uint64_t allocs_before;
        uint64_t allocs;
        uint64_t bytes;
        uint64_t heap_before;
        uint64_t calls_before;
        struct pair pair;

        pair_init(&pair, &options);
        shake_hands(&pair);
        pump(&pair, 1024 * 1024);
        assert_true(!HEAP_IS_WATCHED || heap_calls > 0);
        tls_memory_stats(&allocs_before, &bytes);
        heap_before = pair.cache.heap_allocs;
        calls_before = heap_calls;
        pump(&pair, 64 * 1024 * 1024);
        assert_int_equal(heap_calls, calls_before);
        tls_memory_stats(&allocs, &bytes);
        assert_int_equal(allocs, allocs_before);
        assert_int_equal(pair.cache.heap_allocs, heap_before);
        pair_fini(&pair);
    }
}

/* What one idle end takes, all allocations of the process counted. */
static void measure_idle(uint16_t version, size_t *accept_bytes, size_t *connect_bytes)
{
    enum { PAIRS = 2000 }; /* many, as the free lists keep a few */
    struct pair_options options = {.max_version = version, .piece = SIZE_MAX};
    struct pair *pairs = calloc(PAIRS, sizeof(*pairs));
    size_t before;
    size_t both;

    for (int i = 0; i < PAIRS; i++) {
        pair_init(&pairs[i], &options);
        shake_hands(&pairs[i]);
        say(&pairs[i], &pairs[i].client, &pairs[i].server, "up");
        say(&pairs[i], &pairs[i].server, &pairs[i].client, "down");
        buf_cache_fini(&pairs[i].cache); /* bufs are the worker's, not the engine's */
    }
    both = mallinfo2().uordblks;
    for (int i = 0; i < PAIRS; i++) {
        tls_engine_free(pairs[i].server.engine);
        pairs[i].server.engine = NULL;
    }
    before = mallinfo2().uordblks;
    *accept_bytes = (both - before) / PAIRS;
    for (int i = 0; i < PAIRS; i++) {
        tls_engine_free(pairs[i].client.engine);
        pairs[i].client.engine = NULL;
    }
    *connect_bytes = (before - mallinfo2().uordblks) / PAIRS;
    for (int i = 0; i < PAIRS; i++) {
        pair_fini(&pairs[i]);
    }
    free(pairs);
}

static void test_idle_memory(void **state)
{
    enum { BOTH_MAX = 24 * 1024 };
    static const uint16_t versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    (void)state;

    if (!HEAP_IS_WATCHED) {
        skip(); /* a sanitizer's heap is of another kind */
    }
    for (size_t i = 0; i < COUNT_OF(versions); i++) {
        size_t accept_bytes;
        size_t connect_bytes;
        measure_idle(versions[i], &accept_bytes, &connect_bytes);
        print_message("idle TLS 1.%zu: %zu bytes towards the client, %zu towards the server\n",
                      2 + i, accept_bytes, connect_bytes);
        assert_in_range(accept_bytes + connect_bytes, 1000, BOTH_MAX);
    }
}

static void make_path(char path[64])
{
    int fd;

    snprintf(path, 64, "/tmp/weir-test-XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
}

static int world_init(void **state)
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

static int world_fini(void **state)
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handshake_and_data),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_alpn),
        cmocka_unit_test(test_resumption),
        cmocka_unit_test(test_no_tickets),
        cmocka_unit_test(test_ticket_of_another_leaf),
        cmocka_unit_test(test_session_is_verified_again),
        cmocka_unit_test(test_session_expires),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_unverified),
        cmocka_unit_test(test_close_notify),
        cmocka_unit_test(test_big_writes),
        cmocka_unit_test(test_partial_record),
        cmocka_unit_test(test_changed_record),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_truncated_handshake),
        cmocka_unit_test(test_hello_retry_request),
        cmocka_unit_test(test_weak_clients),
        cmocka_unit_test(test_error_queue),
        cmocka_unit_test(test_weak_servers),
        cmocka_unit_test(test_client_certificate_required),
        cmocka_unit_test(test_memory_exhausted),
        cmocka_unit_test(test_no_allocation_while_data_flows),
        cmocka_unit_test(test_idle_memory),
    };

    return cmocka_run_group_tests(tests, world_init, world_fini);
}
