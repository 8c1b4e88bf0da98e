/* SPDX-License-Identifier: Apache-2.0 */
/* The allocator behind the TLS library: sizes, wiping, threads that come, go and mix. */
#include "tls/memory.h"

#include "core/base/assert.h"
#include "tls/engine.h"

#include <openssl/mem.h>
#include <pthread.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>

static uint64_t allocs_now(void)
{
    uint64_t allocs;
    uint64_t bytes;

    tls_memory_stats(&allocs, &bytes);
    return allocs;
}

static uint64_t bytes_now(void)
{
    uint64_t allocs;
    uint64_t bytes;

    tls_memory_stats(&allocs, &bytes);
    return bytes;
}

static void test_it_is_ours(void **state)
{
    uint64_t before = allocs_now();
    void *memory = OPENSSL_malloc(100);

    (void)state;
    assert_int_equal(allocs_now(), before + 1);
    OPENSSL_free(memory);
}

static void test_sizes(void **state)
{
    (void)state;
    for (size_t size = 0; size < 80 * 1024; size = size * 5 / 4 + 1) {
        uint8_t *memory = OPENSSL_malloc(size);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % 16, 0);
        memset(memory, 0xa5, size);
        memory = OPENSSL_realloc(memory, size + 300);
        assert_non_null(memory);
        for (size_t i = 0; i < size; i++) {
            assert_int_equal(memory[i], 0xa5);
        }
        memset(memory, 0x5a, size + 300);
        OPENSSL_free(memory);
    }
    assert_null(OPENSSL_malloc(SIZE_MAX - 4));
    OPENSSL_free(NULL);
}

static void test_reuse(void **state)
{
    uint64_t before;

    (void)state;
    OPENSSL_free(OPENSSL_malloc(16 * 1024 + 300));
    before = allocs_now();
    for (int i = 0; i < 1000; i++) {
        OPENSSL_free(OPENSSL_malloc(16 * 1024 + (size_t)i % 300));
    }
    assert_int_equal(allocs_now(), before);
}

/* What is kept is bounded: a burst goes back to the heap. */
static void test_burst(void **state)
{
    enum { BLOCKS = 1000, SIZE = 16 * 1024 };
    static void *blocks[BLOCKS];
    uint64_t before = bytes_now();

    (void)state;
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = OPENSSL_malloc(SIZE);
        assert_non_null(blocks[i]);
    }
    assert_true(bytes_now() >= before + (uint64_t)BLOCKS * SIZE - 32 * SIZE);
    for (int i = 0; i < BLOCKS; i++) {
        OPENSSL_free(blocks[i]);
    }
    assert_true(bytes_now() <= before + 32 * SIZE);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__has_feature)
/* A block that comes back from the free list shows nothing of what it held. */
static void test_wiped(void **state)
{
    uint8_t *memory = OPENSSL_malloc(4000);
    uint8_t *again;

    (void)state;
    memset(memory, 0x77, 4000);
    OPENSSL_free(memory);
    again = OPENSSL_malloc(4000);
    assert_ptr_equal(again, memory);
    for (size_t i = 0; i < 4000; i++) {
        assert_int_not_equal(again[i], 0x77);
    }
    OPENSSL_free(again);
}
#else
static void test_wiped(void **state)
{
    (void)state;
    skip();
}
#endif

/* Blocks that one thread makes and another frees. */
enum { HANDED_MAX = 400, ROUNDS = 50 };

struct exchange {
    pthread_barrier_t barrier;
    void *blocks[2][HANDED_MAX];
};

struct party {
    struct exchange *exchange;
    int number;
};

static void *exchange_blocks(void *argument)
{
    struct party *party = argument;
    struct exchange *exchange = party->exchange;

    for (int round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < HANDED_MAX; i++) {
            size_t size = 1 + i * 97;
            exchange->blocks[party->number][i] = OPENSSL_malloc(size);
            memset(exchange->blocks[party->number][i], party->number, size);
        }
        pthread_barrier_wait(&exchange->barrier);
        for (size_t i = 0; i < HANDED_MAX; i++) {
            const uint8_t *block = exchange->blocks[!party->number][i];
            if (block[0] != !party->number || block[i * 97] != !party->number) {
                return "a block was overwritten";
            }
            OPENSSL_free(exchange->blocks[!party->number][i]);
        }
        pthread_barrier_wait(&exchange->barrier);
    }
    return NULL;
}

static void test_threads(void **state)
{
    struct exchange exchange;
    struct party parties[2] = {{&exchange, 0}, {&exchange, 1}};
    pthread_t threads[2];
    uint64_t before = bytes_now();

    (void)state;
    pthread_barrier_init(&exchange.barrier, NULL, 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, exchange_blocks, &parties[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        void *fault;
        pthread_join(threads[i], &fault);
        assert_null(fault);
    }
    pthread_barrier_destroy(&exchange.barrier);
    assert_int_equal(bytes_now(), before); /* a thread that ends leaves nothing behind */
}

static pthread_key_t late_key;

static void free_late(void *block)
{
    OPENSSL_free(block);
    OPENSSL_free(OPENSSL_malloc(5000));
}

static void *leave_block_to_destructor(void *unused)
{
    (void)unused;
    return pthread_setspecific(late_key, OPENSSL_malloc(5000)) == 0 ? NULL : "no room";
}

/* The library frees in destructors of threads, which may run after our own. */
static void test_destructor(void **state)
{
    uint64_t before = bytes_now();
    pthread_t thread;
    void *fault;

    (void)state;
    assert_int_equal(pthread_key_create(&late_key, free_late), 0);
    assert_int_equal(pthread_create(&thread, NULL, leave_block_to_destructor, NULL), 0);
    pthread_join(thread, &fault);
    assert_null(fault);
    assert_int_equal(bytes_now(), before);
    pthread_key_delete(late_key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_is_ours), cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_reuse),      cmocka_unit_test(test_burst),
        cmocka_unit_test(test_wiped),      cmocka_unit_test(test_threads),
        cmocka_unit_test(test_destructor),
    };

    tls_memory_prepare();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
