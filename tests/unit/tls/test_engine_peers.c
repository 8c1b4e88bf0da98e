/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Peers that an engine would never be: garbage, and bare SSL objects of the library with settings
 * that ours do not have.
 */
#include "tests/unit/tls/engine_pair.h"
#include "tests/unit/tls/hello_builder.h"

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

/* A name of a type that nobody knows: that of 2022 refuses it, but leaves no error behind. */
static void test_refused_name(void **state)
{
    static struct hello_builder hello;
    const struct pair_options options = {0};
    const struct tls_fault *fault;
    uint8_t header[] = {22, 3, 1, 0, 0};
    struct span message;
    struct pair pair;
    (void)state;

    hello_start(&hello, 0x0303, 0);
    HELLO_LIST16(&hello, 0xc02b);
    hello_no_compression(&hello);
    hello_extension(&hello, 0, "\0\4\1\0\1a", 6);
    message = hello_finish(&hello);
    header[4] = (uint8_t)message.len;
    pair_init(&pair, &options);
    assert_true(buf_queue_append(&pair.server.in, &pair.cache, span_make(header, sizeof(header))));
    feed(&pair.server, &pair.cache, message);
    fault = tls_engine_fault(pair.server.engine);
    assert_int_equal(tls_engine_status(pair.server.engine), TLS_FAILED);
    assert_int_equal(fault->alert_sent, 112);
    /* Newer libraries say why. */
    assert_non_null(strstr(fault->text, "; we answered unrecognized_name (112)"));
    assert_null(strstr(fault->text, "closed"));
    pair_fini(&pair);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_refused_name),
        cmocka_unit_test(test_truncated_handshake),
        cmocka_unit_test(test_hello_retry_request),
        cmocka_unit_test(test_weak_clients),
        cmocka_unit_test(test_error_queue),
        cmocka_unit_test(test_weak_servers),
        cmocka_unit_test(test_client_certificate_required),
    };

    return cmocka_run_group_tests(tests, world_init, world_fini);
}
