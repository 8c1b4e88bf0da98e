/* SPDX-License-Identifier: Apache-2.0 */
/* Ticket keys: the file, and whose tickets are opened by whom. */
#include "tests/unit/tls/engine_pair.h"
#include "tls/ticket_keys.h"

/* 80 bytes each; the names differ in their first ones. */
#define KEY(first)                                                                                 \
    first "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"                                   \
          "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define A KEY("aaaa")
#define B KEY("bbbb")
#define C KEY("cccc")
#define D KEY("dddd")
#define E KEY("eeee")

static void the_file_is_read(void **state)
{
    static const char *const rows[] = {
        A "\n" B "\n" C "\n",
        "# keys\n\n" A "\r\n  " B "  \n#\n" C,
    };
    char error[256] = "";

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct ticket_keys *keys =
            ticket_keys_new(span_from_string(rows[i]), "FILE", error, sizeof(error));
        assert_string_equal(error, "");
        assert_non_null(keys);
        ticket_keys_put(ticket_keys_get(keys));
        assert_false(ticket_keys_replace(keys, SPAN_LITERAL(""), "FILE", error, sizeof(error)));
        assert_true(
            ticket_keys_replace(keys, SPAN_LITERAL(C "\n" D "\n" E), "FILE", error, sizeof(error)));
        ticket_keys_put(keys);
        error[0] = '\0';
    }
    ticket_keys_put(NULL);
}

static void a_bad_file_is_told(void **state)
{
    static const struct {
        const char *content;
        const char *expected;
    } rows[] = {
        {"", "FILE: 0 keys: expected three"},
        {A "\n", "FILE: 1 key: expected three"},
        {A "\n" B "\n", "FILE: 2 keys: expected three"},
        {A "\n" B "\n" C "\n" D "\n", "FILE:4: error: a fourth key"},
        {A "\n\n" B "\n" A "\n", "FILE:4: error: a key with the name (the first 16 bytes)"},
        {A "\nx\n" C, "FILE:2: error: no key: expected 80 bytes in base64"},
        {A "\n" B "AAAA\n" C, "FILE:2: error: no key"},
        {A "\nAAAA\n" C, "FILE:2: error: no key"},
        {A " " B "\n" C, "FILE:1: error: no key"},
    };
    static char long_file[TICKET_KEYS_FILE_MAX + 1];
    char error[256];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_null(
            ticket_keys_new(span_from_string(rows[i].content), "FILE", error, sizeof(error)));
        assert_non_null(strstr(error, rows[i].expected));
        assert_non_null(strstr(error, "openssl rand -base64 80 | tr -d '\\n'"));
    }
    memset(long_file, '\n', sizeof(long_file));
    memcpy(long_file, A "\n" B "\n" C, strlen(A) * 3 + 2);
    struct ticket_keys *keys =
        ticket_keys_new(span_make(long_file, TICKET_KEYS_FILE_MAX), "FILE", error, sizeof(error));
    assert_non_null(keys);
    ticket_keys_put(keys);
    assert_null(
        ticket_keys_new(span_make(long_file, sizeof(long_file)), "FILE", error, sizeof(error)));
    assert_non_null(strstr(error, "FILE: more than 4 KiB"));
}

/* Our end towards clients, with the keys of `content`. */
static struct tls_context *make_server(struct ticket_keys **keys, const char *content,
                                       uint16_t version)
{
    char error[256] = "";
    struct tls_context_options options = {.trust = world.trust, .verify = true};
    struct tls_context *context;

    *keys = ticket_keys_new(span_from_string(content), "FILE", error, sizeof(error));
    assert_non_null(*keys);
    options.ticket_keys = *keys;
    context = tls_context_new(&options, error, sizeof(error));
    assert_non_null(context);
    assert_true(SSL_CTX_set_max_proto_version(context->accept, version));
    return context;
}

/* A visit with the tickets of `tickets`: was it resumed? */
static bool visit(struct tls_context *server, struct ticket_store *tickets, const struct cert *cert)
{
    const struct pair_options options = {
        .server_context = server, .tickets = tickets, .cert = cert};
    struct tls_info info;
    struct pair pair;

    pair_init(&pair, &options);
    shake_hands(&pair);
    assert_open(&pair);
    say(&pair, &pair.client, &pair.server, "up");
    say(&pair, &pair.server, &pair.client, "down");
    tls_engine_read_info(pair.server.engine, &info);
    pair_fini(&pair);
    return info.resumed;
}

static void check_others(uint16_t version)
{
    struct ticket_keys *keys[3];
    struct tls_context *first = make_server(&keys[0], A "\n" B "\n" C, version);
    struct tls_context *ahead = make_server(&keys[1], B "\n" C "\n" D, version);
    struct tls_context *stranger = make_server(&keys[2], C "\n" D "\n" E, version);
    struct ticket_store *tickets = ticket_store_new(8);

    assert_false(visit(first, tickets, NULL));
    assert_true(visit(first, tickets, NULL));
    assert_true(visit(ahead, tickets, NULL));       /* made with its previous one; now with C */
    assert_true(visit(first, tickets, NULL));       /* made with its next one; now with B again */
    assert_false(visit(first, tickets, world.rsa)); /* another leaf */
    ticket_store_free(tickets);
    tickets = ticket_store_new(8);
    assert_false(visit(first, tickets, NULL));
    assert_false(visit(stranger, tickets, NULL)); /* B is gone there */
    assert_true(visit(stranger, tickets, NULL));
    ticket_store_free(tickets);
    tls_context_put(first);
    tls_context_put(ahead);
    tls_context_put(stranger);
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        ticket_keys_put(keys[i]);
    }
}

static void others_with_the_keys_open_them(void **state)
{
    (void)state;
    check_others(TLS1_2_VERSION);
    check_others(TLS1_3_VERSION);
}

/* The same server through two changes of its keys. In TLS 1.2 a resumed session brings a ticket
 * only where it is renewed. */
static void keys_change_under_way(void **state)
{
    static const uint16_t versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    char error[256];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(versions); i++) {
        struct ticket_keys *keys;
        struct tls_context *server = make_server(&keys, A "\n" B "\n" C, versions[i]);
        struct ticket_store *tickets = ticket_store_new(8);
        struct ticket_store *kept = ticket_store_new(8);
        assert_false(visit(server, tickets, NULL));
        assert_false(visit(server, kept, NULL));
        assert_true(
            ticket_keys_replace(keys, SPAN_LITERAL(B "\n" C "\n" D), "FILE", error, sizeof(error)));
        assert_true(visit(server, tickets, NULL)); /* renewed */
        assert_true(
            ticket_keys_replace(keys, SPAN_LITERAL(C "\n" D "\n" E), "FILE", error, sizeof(error)));
        assert_true(visit(server, tickets, NULL));
        assert_false(visit(server, kept, NULL)); /* was away for two changes */
        ticket_store_free(tickets);
        ticket_store_free(kept);
        tls_context_put(server);
        ticket_keys_put(keys);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_file_is_read),
        cmocka_unit_test(a_bad_file_is_told),
        cmocka_unit_test(others_with_the_keys_open_them),
        cmocka_unit_test(keys_change_under_way),
    };
    return cmocka_run_group_tests(tests, world_init, world_fini);
}
