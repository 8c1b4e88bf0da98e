/* SPDX-License-Identifier: Apache-2.0 */
/* What engines take from the heap: nothing while data flows, little while idle; and when it fails.
 */
#include "tests/unit/tls/engine_pair.h"

#include "tls/memory.h"

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
    /* Bytes are never lost in silence: who did not fail got through. */
    if (pair.server.engine && pair.client.engine) {
        enum tls_status client = tls_engine_status(pair.client.engine);
        enum tls_status other = tls_engine_status(pair.server.engine);
        assert_true(client == TLS_FAILED || other == TLS_FAILED ||
                    (client == TLS_OPEN && other == TLS_OPEN));
    }
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
    tls_memory_keep_nothing(); /* or most blocks would not come from the heap */
    for (size_t i = 0; i < COUNT_OF(versions); i++) {
        struct ticket_store *tickets = ticket_store_new(4);
        uint64_t left = 0;
        while (left < 5000 && !shake_hands_without_memory(left, versions[i], tickets)) {
            left++;
        }
        assert_in_range(left, 50, 4999);
        ticket_store_free(tickets);
        /* When memory is back, all is well: no failure was remembered in what connections share. */
        struct pair_options options = {.max_version = versions[i], .piece = SIZE_MAX};
        struct pair pair;
        pair_init(&pair, &options);
        shake_hands(&pair);
        assert_open(&pair);
        pair_fini(&pair);
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
        assert_open(&pair);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_allocation_while_data_flows), cmocka_unit_test(test_idle_memory),
        cmocka_unit_test(test_memory_exhausted), /* last: see there */
    };

    return cmocka_run_group_tests(tests, world_init, world_fini);
}
