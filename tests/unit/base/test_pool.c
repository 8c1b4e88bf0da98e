/* SPDX-License-Identifier: Apache-2.0 */
/* The pool's file is part of this program, so that its memory can run out. */
#include <stdlib.h>

static int calls_until_failure = -1; /* negative: memory is there */

static void *scarce_calloc(size_t count, size_t size)
{
    if (calls_until_failure == 0) {
        return NULL;
    }
    calls_until_failure -= calls_until_failure > 0;
    return calloc(count, size);
}

#define calloc scarce_calloc
#include "core/base/pool.c"
#undef calloc

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct object {
    struct pool_slot pool;
    char name[5];
};

enum { SLAB = 64 };

static void a_freed_object_is_not_found(void **state)
{
    struct pool pool;
    struct object *first, *second;
    uint32_t slot, generation;

    (void)state;
    assert_int_equal(pool_init(&pool, "test", sizeof(struct object), 10), 0);
    first = pool_new(&pool);
    slot = first->pool.slot;
    generation = first->pool.generation;
    assert_int_not_equal(generation, 0);
    assert_ptr_equal(pool_find(&pool, slot, generation), first);
    assert_null(pool_find(&pool, slot, generation + 1));
    assert_null(pool_find(&pool, slot, 0));
    pool_free(&pool, first);
    assert_null(pool_find(&pool, slot, generation));
    assert_null(pool_find(&pool, slot, generation + 1)); /* nor by the generation to come */
    second = pool_new(&pool);
    assert_int_equal(second->pool.slot, slot); /* the memory is used again */
    assert_int_not_equal(second->pool.generation, generation);
    assert_null(pool_find(&pool, slot, generation));
    assert_ptr_equal(pool_find(&pool, slot, second->pool.generation), second);
    pool_free(&pool, second);
    pool_fini(&pool);
}

static void a_generation_is_never_zero(void **state)
{
    struct pool pool;
    struct object *object;

    (void)state;
    assert_int_equal(pool_init(&pool, "test", sizeof(struct object), 1), 0);
    object = pool_new(&pool);
    object->pool.generation = UINT32_MAX;
    pool_free(&pool, object);
    object = pool_new(&pool);
    assert_int_equal(object->pool.generation, 1);
    assert_null(pool_find(&pool, object->pool.slot, UINT32_MAX));
    pool_free(&pool, object);
    pool_fini(&pool);
}

/* An object of odd size: its neighbours must keep what they hold. */
static void objects_are_zeroed_and_apart(void **state)
{
    struct object *object[3 * SLAB];
    struct pool pool;

    (void)state;
    assert_int_equal(pool_init(&pool, "test", sizeof(struct object), COUNT_OF(object)), 0);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < COUNT_OF(object); i++) {
            static const char zeros[5];
            object[i] = pool_new(&pool);
            assert_non_null(object[i]);
            assert_int_equal((uintptr_t)object[i] % 16, 0);
            assert_memory_equal(object[i]->name, zeros, 5);
            memset(object[i]->name, (int)i + 1, sizeof(object[i]->name));
            assert_int_equal(pool.live_count, i + 1);
        }
        for (size_t i = 0; i < COUNT_OF(object); i++) {
            assert_ptr_equal(pool_find(&pool, object[i]->pool.slot, object[i]->pool.generation),
                             object[i]);
            for (size_t j = 0; j < 5; j++) {
                assert_int_equal((uint8_t)object[i]->name[j], (uint8_t)(i + 1));
            }
        }
        for (size_t i = 0; i < COUNT_OF(object); i++) {
            pool_free(&pool, object[i]);
        }
        assert_int_equal(pool.live_count, 0);
    }
    pool_fini(&pool);
}

static void the_bound_is_kept_in_whole_slabs(void **state)
{
    static const uint32_t caps[][2] = {{1, SLAB}, {SLAB, SLAB}, {SLAB + 1, 2 * SLAB}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(caps); i++) {
        struct object *object[2 * SLAB];
        struct pool pool;
        uint32_t count = 0;
        assert_int_equal(pool_init(&pool, "test", sizeof(struct object), caps[i][0]), 0);
        assert_int_equal(pool.slab_count, 0); /* nothing before it is needed */
        while (count < COUNT_OF(object) && (object[count] = pool_new(&pool))) {
            assert_true(object[count]->pool.slot < caps[i][1]);
            count++;
        }
        assert_int_equal(count, caps[i][1]);
        assert_null(pool_new(&pool));
        assert_int_equal(pool.live_count, count);
        pool_free(&pool, object[7]); /* and room is room again */
        assert_ptr_equal(pool_new(&pool), object[7]);
        assert_null(pool_new(&pool));
        while (count > 0) {
            pool_free(&pool, object[--count]);
        }
        pool_fini(&pool);
    }
}

static void strange_slots_find_nothing(void **state)
{
    struct pool pool;
    struct object *object;

    (void)state;
    assert_int_equal(pool_init(&pool, "test", sizeof(struct object), 2 * SLAB), 0);
    assert_null(pool_find(&pool, 0, 1)); /* no slab yet */
    object = pool_new(&pool);
    for (uint32_t slot = 0; slot < 3 * SLAB; slot++) {
        void *found = pool_find(&pool, slot, 1);
        assert_ptr_equal(found, slot == object->pool.slot ? object : NULL);
    }
    assert_null(pool_find(&pool, UINT32_MAX, 1));
    pool_free(&pool, object);
    pool_fini(&pool);
}

static void a_walk_sees_each_live_object_once(void **state)
{
    struct object *object[SLAB + 5];
    bool seen[2 * SLAB] = {false};
    struct pool pool;
    uint32_t at = 0;
    size_t count = 0;
    struct object *one;

    (void)state;
    assert_int_equal(pool_init(&pool, "test", sizeof(struct object), 2 * SLAB), 0);
    assert_null(pool_next(&pool, &at));
    for (size_t i = 0; i < COUNT_OF(object); i++) {
        object[i] = pool_new(&pool);
    }
    for (size_t i = 0; i < COUNT_OF(object); i += 2) {
        pool_free(&pool, object[i]);
    }
    at = 0;
    while ((one = pool_next(&pool, &at))) {
        assert_true(one->pool.live);
        assert_false(seen[one->pool.slot]);
        seen[one->pool.slot] = true;
        assert_int_equal(at, one->pool.slot + 1);
        pool_free(&pool, one); /* a walk may free what it was given */
        count++;
    }
    assert_int_equal(count, COUNT_OF(object) / 2);
    assert_int_equal(pool.live_count, 0);
    pool_fini(&pool);
}

static void memory_that_ran_out_is_a_value(void **state)
{
    struct object *object[SLAB];
    struct pool pool;

    (void)state;
    calls_until_failure = 0;
    assert_int_equal(pool_init(&pool, "test", sizeof(struct object), SLAB), -ENOMEM);
    calls_until_failure = 1;
    assert_int_equal(pool_init(&pool, "test", sizeof(struct object), 2 * SLAB), 0);
    assert_null(pool_new(&pool));
    assert_int_equal(pool.live_count, 0);
    calls_until_failure = 1;
    for (size_t i = 0; i < SLAB; i++) {
        object[i] = pool_new(&pool);
        assert_non_null(object[i]);
    }
    assert_null(pool_new(&pool)); /* the second slab */
    calls_until_failure = -1;
    struct object *late = pool_new(&pool);
    assert_non_null(late);
    pool_free(&pool, late);
    for (size_t i = 0; i < SLAB; i++) {
        pool_free(&pool, object[i]);
    }
    pool_fini(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_freed_object_is_not_found),
        cmocka_unit_test(a_generation_is_never_zero),
        cmocka_unit_test(objects_are_zeroed_and_apart),
        cmocka_unit_test(the_bound_is_kept_in_whole_slabs),
        cmocka_unit_test(strange_slots_find_nothing),
        cmocka_unit_test(a_walk_sees_each_live_object_once),
        cmocka_unit_test(memory_that_ran_out_is_a_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
