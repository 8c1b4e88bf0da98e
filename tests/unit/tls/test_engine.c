/* SPDX-License-Identifier: Apache-2.0 */
/* What two engines do with each other. */
#include "tests/unit/tls/engine_pair.h"

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
        if (versions[i] == TLS1_2_VERSION) { /* where a visit brings one ticket */
            assert_int_equal(ticket_store_count(tickets), 1);
        }
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

/* For a connection that goes on with somebody else: how much later it is than it is. */
static int64_t later_s;

static int64_t moved_wall_s(void)
{
    return clock_wall_ns() / NS_PER_S + later_s;
}

static struct tls_context *moved_context(bool verify)
{
    const struct tls_context_options options = {
        .trust = world.trust, .verify = verify, .wall_s = moved_wall_s};
    char error[256];
    struct tls_context *context = tls_context_new(&options, error, sizeof(error));

    assert_non_null(context);
    later_s = 0;
    return context;
}

static bool confirms(const struct pair *pair, const char *name)
{
    return tls_engine_confirm(pair->client.engine, span_from_string(name), false);
}

static void expect_confirmed_for_a_while(const struct pair *pair)
{
    assert_true(confirms(pair, "example.test"));
    assert_false(confirms(pair, "other.test"));
    assert_false(tls_engine_confirm(pair->client.engine, SPAN_LITERAL("127.0.0.1"), true));
    /* A second may pass meanwhile. */
    later_s = TLS_CONFIRM_MAX_S - 60;
    assert_true(confirms(pair, "example.test"));
    assert_false(confirms(pair, "other.test"));
    later_s = TLS_CONFIRM_MAX_S + 1;
    assert_false(confirms(pair, "example.test"));
    later_s = -60; /* the clock was set back: who knows how old it is? */
    assert_false(confirms(pair, "example.test"));
    later_s = 0;
    assert_true(confirms(pair, "example.test"));
}

static void test_confirm(void **state)
{
    static const uint16_t versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct tls_context *context = moved_context(true);
    (void)state;

    for (size_t i = 0; i < COUNT_OF(versions); i++) {
        struct ticket_store *tickets = ticket_store_new(8);
        struct pair_options options = {
            .tickets = tickets, .client_context = context, .max_version = versions[i]};

        for (int resumed = 0; resumed < 2; resumed++) {
            struct tls_info info;
            struct pair pair;

            pair_init(&pair, &options);
            assert_false(confirms(&pair, "example.test")); /* not open yet */
            shake_hands(&pair);
            assert_open(&pair);
            say(&pair, &pair.server, &pair.client, "and tickets");
            tls_engine_read_info(pair.client.engine, &info);
            assert_int_equal(info.resumed, resumed);
            expect_confirmed_for_a_while(&pair);
            tls_engine_shutdown(pair.server.engine);
            carry_bytes(&pair.client.in, &pair.server.out, &pair.cache, SIZE_MAX);
            assert_int_equal(tls_engine_read(pair.client.engine, (uint8_t[8]){0}, 8), 0);
            assert_int_equal(tls_engine_status(pair.client.engine), TLS_CLOSED);
            assert_false(confirms(&pair, "example.test"));
            pair_fini(&pair);
        }
        ticket_store_free(tickets);
    }
    tls_context_put(context);
}

static void test_confirm_by_address(void **state)
{
    struct cert *cert = cert_make_leaf(world.ca, "x", "DNS:example.test,IP:127.0.0.1,IP:::1");
    struct pair_options options = {.cert = cert};
    struct pair pair;
    (void)state;

    pair_init(&pair, &options);
    shake_hands(&pair);
    assert_open(&pair);
    assert_true(tls_engine_confirm(pair.client.engine, SPAN_LITERAL("127.0.0.1"), true));
    assert_true(tls_engine_confirm(pair.client.engine, SPAN_LITERAL("::1"), true));
    assert_false(tls_engine_confirm(pair.client.engine, SPAN_LITERAL("127.0.0.2"), true));
    assert_false(tls_engine_confirm(pair.client.engine, SPAN_LITERAL("example.test"), true));
    assert_true(tls_engine_confirm(pair.client.engine, SPAN_LITERAL("example.test"), false));
    assert_true(tls_engine_confirm(pair.client.engine, SPAN_LITERAL(""), false)); /* any */
    pair_fini(&pair);
    cert_free(cert);
}

/* Well within the hour. */
static void test_confirm_of_what_expired(void **state)
{
    const char *extensions[] = {"subjectAltName", "DNS:example.test", "extendedKeyUsage",
                                "serverAuth", NULL};
    const struct cert_spec spec = {.common_name = "example.test",
                                   .issuer = world.ca,
                                   .not_after_s = clock_wall_ns() / NS_PER_S + 600,
                                   .extensions = extensions};
    struct cert *cert = cert_make(&spec);
    struct tls_context *context = moved_context(true);
    struct pair_options options = {.cert = cert, .client_context = context};
    struct pair pair;
    (void)state;

    pair_init(&pair, &options);
    shake_hands(&pair);
    assert_open(&pair);
    later_s = 500;
    assert_true(confirms(&pair, "example.test"));
    later_s = 601;
    assert_false(confirms(&pair, "example.test"));
    pair_fini(&pair);
    tls_context_put(context);
    cert_free(cert);
}

/* Nobody asks for names and dates, but it grows old all the same. */
static void test_confirm_unverified(void **state)
{
    struct tls_context *context = moved_context(false);
    struct pair_options options = {.client_context = context, .name = "other.test"};
    struct pair pair;
    (void)state;

    pair_init(&pair, &options);
    shake_hands(&pair);
    assert_open(&pair);
    assert_true(confirms(&pair, "other.test"));
    assert_true(confirms(&pair, "another.test"));
    later_s = TLS_CONFIRM_MAX_S + 1;
    assert_false(confirms(&pair, "other.test"));
    pair_fini(&pair);
    tls_context_put(context);
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
        cmocka_unit_test(test_confirm),
        cmocka_unit_test(test_confirm_by_address),
        cmocka_unit_test(test_confirm_of_what_expired),
        cmocka_unit_test(test_confirm_unverified),
        cmocka_unit_test(test_close_notify),
        cmocka_unit_test(test_big_writes),
        cmocka_unit_test(test_partial_record),
        cmocka_unit_test(test_changed_record),
    };

    return cmocka_run_group_tests(tests, world_init, world_fini);
}
