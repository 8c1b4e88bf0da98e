/* SPDX-License-Identifier: Apache-2.0 */
/* The ticket store with sessions that no server made: only their dates and version matter here. */
#include "tls/ticket_private.h"

#include <openssl/ssl.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>

enum { NOW_S = 1800000000 };

static SSL_CTX *ctx;

static int setup(void **state)
{
    (void)state;
    ctx = SSL_CTX_new(TLS_with_buffers_method());
    return ctx ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    SSL_CTX_free(ctx);
    return 0;
}

static SSL_SESSION *make_session(uint16_t version, int64_t made_s, uint32_t timeout_s)
{
    SSL_SESSION *session = SSL_SESSION_new(ctx);

    assert_non_null(session);
    assert_true(SSL_SESSION_set_protocol_version(session, version));
    SSL_SESSION_set_time(session, (uint64_t)made_s);
    SSL_SESSION_set_timeout(session, timeout_s);
    return session;
}

static const uint8_t *key_of(uint32_t number)
{
    static uint8_t key[TICKET_KEY_LEN];

    memset(key, 0, sizeof(key));
    memcpy(key + TICKET_KEY_LEN - sizeof(number), &number, sizeof(number));
    return key;
}

static SSL_SESSION *put(struct ticket_store *store, uint32_t key, uint16_t version)
{
    SSL_SESSION *session = make_session(version, NOW_S, 3600);

    assert_true(ticket_store_put(store, key_of(key), session));
    return session;
}

static void expect_take(struct ticket_store *store, uint32_t key, const SSL_SESSION *expected)
{
    SSL_SESSION *session = ticket_store_take(store, key_of(key), NOW_S + 1);

    assert_ptr_equal(session, expected);
    SSL_SESSION_free(session);
}

static void test_single_use(void **state)
{
    struct ticket_store *store = ticket_store_new(8);
    SSL_SESSION *first = put(store, 1, TLS1_3_VERSION);
    SSL_SESSION *second = put(store, 1, TLS1_3_VERSION);

    (void)state;
    assert_int_equal(ticket_store_count(store), 2);
    expect_take(store, 1, second); /* the newest first */
    expect_take(store, 1, first);
    expect_take(store, 1, NULL);
    assert_int_equal(ticket_store_count(store), 0);
    ticket_store_free(store);
}

static void test_many_uses(void **state)
{
    struct ticket_store *store = ticket_store_new(8);
    SSL_SESSION *session = put(store, 1, TLS1_2_VERSION);

    (void)state;
    expect_take(store, 1, session);
    expect_take(store, 1, session);
    assert_int_equal(ticket_store_count(store), 1);
    ticket_store_free(store);
}

static void test_keys_are_whole(void **state)
{
    struct ticket_store *store = ticket_store_new(64);

    (void)state;
    for (int i = 0; i < TICKET_KEY_LEN; i++) {
        uint8_t key[TICKET_KEY_LEN] = {0};
        key[i] = 1;
        assert_true(ticket_store_put(store, key, make_session(TLS1_2_VERSION, NOW_S, 3600)));
    }
    expect_take(store, 0, NULL);
    ticket_store_free(store);
}

static void test_bound_of_a_key(void **state)
{
    struct ticket_store *store = ticket_store_new(2 * TICKETS_PER_KEY_MAX);
    SSL_SESSION *kept[TICKETS_PER_KEY_MAX];

    (void)state;
    put(store, 1, TLS1_3_VERSION); /* the oldest goes */
    for (int i = 0; i < TICKETS_PER_KEY_MAX; i++) {
        kept[i] = put(store, 1, TLS1_3_VERSION);
    }
    assert_int_equal(ticket_store_count(store), TICKETS_PER_KEY_MAX);
    for (int i = TICKETS_PER_KEY_MAX - 1; i >= 0; i--) {
        expect_take(store, 1, kept[i]);
    }
    expect_take(store, 1, NULL);
    ticket_store_free(store);
}

/* The store is full of one key's: the oldest goes, and with the last one what the key had. */
static void test_bound_within_a_key(void **state)
{
    struct ticket_store *store = ticket_store_new(1);
    SSL_SESSION *newest;

    (void)state;
    put(store, 1, TLS1_3_VERSION);
    newest = put(store, 1, TLS1_3_VERSION);
    assert_int_equal(ticket_store_count(store), 1);
    expect_take(store, 1, newest);
    expect_take(store, 1, NULL);
    ticket_store_free(store);
}

static void test_bounds(void **state)
{
    struct ticket_store *store = ticket_store_new(4);

    (void)state;
    /* Of all, the one that was not used for the longest time. */
    for (uint32_t key = 10; key < 14; key++) {
        put(store, key, TLS1_2_VERSION);
    }
    SSL_SESSION_free(ticket_store_take(store, key_of(10), NOW_S));
    put(store, 14, TLS1_2_VERSION);
    assert_int_equal(ticket_store_count(store), 4);
    expect_take(store, 11, NULL);
    SSL_SESSION *used = ticket_store_take(store, key_of(10), NOW_S);
    assert_non_null(used);
    SSL_SESSION_free(used);
    for (uint32_t key = 100; key < 1000; key++) {
        put(store, key, TLS1_3_VERSION);
        assert_true(ticket_store_count(store) <= 4);
    }
    ticket_store_free(store);
}

static void test_expiry(void **state)
{
    struct ticket_store *store = ticket_store_new(8);
    SSL_SESSION *session = make_session(TLS1_2_VERSION, NOW_S, 100);

    (void)state;
    assert_true(ticket_store_put(store, key_of(1), session));
    session = ticket_store_take(store, key_of(1), NOW_S + 99);
    assert_non_null(session);
    SSL_SESSION_free(session);
    assert_null(ticket_store_take(store, key_of(1), NOW_S + 100));
    assert_int_equal(ticket_store_count(store), 0);
    /* Made in the future: the clock was set back. */
    assert_true(ticket_store_put(store, key_of(1), make_session(TLS1_2_VERSION, NOW_S, 100)));
    assert_null(ticket_store_take(store, key_of(1), NOW_S - 1));
    ticket_store_free(store);
}

static void test_drop(void **state)
{
    struct ticket_store *store = ticket_store_new(8);

    (void)state;
    put(store, 1, TLS1_2_VERSION);
    put(store, 1, TLS1_3_VERSION);
    put(store, 2, TLS1_3_VERSION);
    ticket_store_drop(store, key_of(1));
    ticket_store_drop(store, key_of(3));
    assert_int_equal(ticket_store_count(store), 1);
    ticket_store_free(store);
    ticket_store_free(NULL);
}

static void test_no_room(void **state)
{
    struct ticket_store *store = ticket_store_new(0);
    SSL_SESSION *session = make_session(TLS1_2_VERSION, NOW_S, 100);

    (void)state;
    assert_false(ticket_store_put(store, key_of(1), session)); /* it stays ours */
    SSL_SESSION_free(session);
    ticket_store_free(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_single_use),
        cmocka_unit_test(test_many_uses),
        cmocka_unit_test(test_keys_are_whole),
        cmocka_unit_test(test_bound_of_a_key),
        cmocka_unit_test(test_bound_within_a_key),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_expiry),
        cmocka_unit_test(test_drop),
        cmocka_unit_test(test_no_room),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
