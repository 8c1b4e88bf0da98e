/* SPDX-License-Identifier: Apache-2.0 */
/* Who is found among the idle connections, and how those in TLS end. */
#include "core/engine/idle.h"

#include "tests/unit/engine/worker_kit.h"
#include "tests/unit/tls/engine_pair.h"

enum { HASH = 7, CAP = 2 };

static const struct idle_key key_a = {SPAN_LITERAL("a"), HASH};
static const struct idle_key key_b = {SPAN_LITERAL("b"), HASH};
static const struct idle_key key_c = {SPAN_LITERAL("c"), HASH + 1};

static void open_pool(struct kit *kit, int64_t idle_ns)
{
    kit_open(kit);
    idle_pool_set_limits(kit->worker.idle, CAP, idle_ns);
}

static void test_has(void **state)
{
    struct idle_pool *pool;
    struct peer a, b;
    struct kit kit;

    (void)state;
    open_pool(&kit, NS_PER_S);
    pool = kit.worker.idle;
    a = peer_open(&kit);
    b = peer_open(&kit);
    assert_false(idle_has(pool, HASH));
    idle_put(pool, key_a, a.conn);
    assert_true(idle_has(pool, HASH));
    assert_false(idle_has(pool, HASH + 1));
    assert_null(idle_take(pool, key_b, &kit.owner));
    assert_null(idle_take(pool, key_c, &kit.owner));
    idle_put(pool, key_b, b.conn);

    /* Whichever of them it is that has not heard of its end yet. */
    a.conn->eof = true;
    assert_true(idle_has(pool, HASH));
    assert_null(idle_take(pool, key_a, &kit.owner));
    b.conn->receiving = CONN_RECV_ENDED;
    assert_false(idle_has(pool, HASH));
    b.conn->receiving = CONN_RECV_ARMED;
    a.conn->eof = false;
    b.conn->error = 1;
    assert_true(idle_has(pool, HASH));
    assert_null(idle_take(pool, key_b, &kit.owner));
    b.conn->error = 0;

    assert_ptr_equal(idle_take(pool, key_a, &kit.owner), a.conn);
    assert_true(idle_has(pool, HASH));
    assert_ptr_equal(idle_take(pool, key_b, &kit.owner), b.conn);
    assert_false(idle_has(pool, HASH));
    assert_int_equal(idle_pool_count(pool), 0);
    peer_close(&a);
    peer_close(&b);
    kit_close(&kit);
}

/* ---- TLS ---- */

/* A connection to a server that the test is. */
struct secure {
    struct peer peer;
    struct side server;
    struct buf_cache cache;
    struct leaf leaf;
};

/* What the server has to say goes, what has come is taken. False: it was the end. */
static bool carry_wire(struct secure *s)
{
    uint8_t bytes[4096];
    ssize_t len;

    while (s->server.out.len) {
        struct span first = buf_view(s->server.out.first);
        assert_int_equal(write(s->peer.fd, first.data, first.len), first.len);
        buf_queue_consume(&s->server.out, &s->cache, first.len);
    }
    while ((len = read(s->peer.fd, bytes, sizeof(bytes))) > 0) {
        assert_true(buf_queue_append(&s->server.in, &s->cache, span_make(bytes, (size_t)len)));
    }
    return len != 0;
}

static void secure_open(struct secure *s, struct kit *kit)
{
    const struct tls_connect_options connect = {.sni = SPAN_LITERAL("example.test"),
                                                .verify_name = SPAN_LITERAL("example.test")};
    const struct tls_accept_options accept = {.leaf = &s->leaf,
                                              .without_tickets = true}; /* which come late */
    int64_t give_up_ns = clock_monotonic_ns() + 2 * NS_PER_S;
    struct conn *c;

    memset(s, 0, sizeof(*s));
    buf_cache_init(&s->cache);
    s->leaf = make_leaf(world.ecdsa);
    s->peer = peer_open(kit);
    c = s->peer.conn;
    assert_int_equal(fcntl(s->peer.fd, F_SETFL, O_NONBLOCK), 0);
    s->server.engine =
        tls_engine_accept(world.context, &accept, &s->server.in, &s->server.out, &s->cache);
    c->tls = tls_engine_connect(world.context, &connect, &c->rx, &c->tx, &kit->worker.bufs);
    assert_true(s->server.engine && c->tls);
    while ((side_wants_more(&s->server) || tls_engine_status(c->tls) != TLS_OPEN) &&
           clock_monotonic_ns() < give_up_ns) {
        tls_engine_handshake(c->tls);
        tls_engine_handshake(s->server.engine);
        conn_flush(c);
        conn_receive(c, 16384);
        turn(kit);
        assert_true(carry_wire(s));
    }
    assert_int_equal(tls_engine_status(c->tls), TLS_OPEN);
    assert_int_equal(tls_engine_status(s->server.engine), TLS_OPEN);
}

/* The connection is gone; the server sees close_notify, then the end. */
static void secure_ends(struct secure *s, struct kit *kit)
{
    int64_t give_up_ns = clock_monotonic_ns() + 2 * NS_PER_S;

    while (carry_wire(s) && clock_monotonic_ns() < give_up_ns) {
        turn(kit);
    }
    assert_int_equal(read(s->peer.fd, (uint8_t[1]){0}, 1), 0);
    assert_int_equal(tls_engine_read(s->server.engine, (uint8_t[8]){0}, 8), 0);
    assert_int_equal(tls_engine_status(s->server.engine), TLS_CLOSED);
    assert_int_equal(tls_engine_fault(s->server.engine)->alert_received, 0);
    close(s->peer.fd);
    side_fini(&s->server, &s->cache);
    CRYPTO_BUFFER_free(s->leaf.chain[0]);
    buf_cache_fini(&s->cache);
}

/* One that is idle, for so long at most. */
static void idle_open(struct secure *s, struct kit *kit, int64_t idle_ns)
{
    open_pool(kit, idle_ns);
    secure_open(s, kit);
    idle_put(kit->worker.idle, key_a, s->peer.conn);
}

static void idle_ends(struct secure *s, struct kit *kit)
{
    secure_ends(s, kit);
    assert_int_equal(idle_pool_count(kit->worker.idle), 0);
    kit_close(kit);
}

static void test_time_is_up(void **state)
{
    struct secure s;
    struct kit kit;

    (void)state;
    idle_open(&s, &kit, 20 * NS_PER_MS);
    idle_ends(&s, &kit);
}

/* Nobody asked: it is not to be trusted any more. */
static void test_server_speaks(void **state)
{
    struct secure s;
    struct kit kit;

    (void)state;
    idle_open(&s, &kit, 100 * NS_PER_S);
    assert_true(tls_engine_write(s.server.engine, SPAN_LITERAL("HTTP/1.1 408 Slow\r\n")));
    idle_ends(&s, &kit);
}

static void test_server_ends(void **state)
{
    struct secure s;
    struct kit kit;

    (void)state;
    idle_open(&s, &kit, 100 * NS_PER_S);
    assert_int_equal(shutdown(s.peer.fd, SHUT_WR), 0);
    idle_ends(&s, &kit);
}

/* The oldest makes room, and in the end all go. */
static void test_no_room(void **state)
{
    struct secure s[CAP + 1];
    struct idle_pool *pool;
    struct kit kit;

    (void)state;
    open_pool(&kit, 100 * NS_PER_S);
    pool = kit.worker.idle;
    for (size_t i = 0; i < COUNT_OF(s); i++) {
        secure_open(&s[i], &kit);
    }
    idle_put(pool, key_c, s[0].peer.conn);
    idle_put(pool, key_a, s[1].peer.conn);
    assert_true(idle_has(pool, HASH + 1));
    idle_put(pool, key_b, s[2].peer.conn);
    assert_int_equal(idle_pool_count(pool), CAP);
    assert_false(idle_has(pool, HASH + 1));
    secure_ends(&s[0], &kit);
    idle_pool_close_all(pool);
    assert_int_equal(idle_pool_count(pool), 0);
    assert_false(idle_has(pool, HASH));
    secure_ends(&s[1], &kit);
    secure_ends(&s[2], &kit);
    kit_close(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_has),           cmocka_unit_test(test_time_is_up),
        cmocka_unit_test(test_server_speaks), cmocka_unit_test(test_server_ends),
        cmocka_unit_test(test_no_room),
    };

    return cmocka_run_group_tests(tests, world_init, world_fini);
}
