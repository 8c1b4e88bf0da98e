/* SPDX-License-Identifier: Apache-2.0 */
#include "core/engine/timer.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { TIMERS = 300 };

static uint64_t random_state;

/* xorshift64*: the same numbers for the same seed everywhere. */
static uint64_t random_next(void)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * UINT64_C(2685821657736338717);
}

/* Distances of every size, from the past to far beyond the wheel. */
static int64_t random_distance(void)
{
    int64_t distance = (int64_t)(random_next() >> (random_next() % 46 + 14));

    return random_next() % 16 == 0 ? -(distance % TIMER_TICK_NS) : distance;
}

/* The wheel against a plain table of deadlines. */
struct model {
    struct timer_wheel wheel;
    struct timer timers[TIMERS];
    int64_t deadline_ns[TIMERS]; /* 0: not set */
    int64_t set_ns[TIMERS];      /* when */
    int64_t now_ns;
    uint32_t count;
    uint64_t fired;
};

static void model_set(struct model *m, size_t i, int64_t deadline_ns)
{
    timer_set(&m->wheel, &m->timers[i], deadline_ns);
    m->count += m->deadline_ns[i] == 0;
    m->deadline_ns[i] = deadline_ns > 0 ? deadline_ns : 1;
    m->set_ns[i] = m->now_ns;
    assert_false(m->timers[i].fired);
}

static void model_clear(struct model *m, size_t i)
{
    timer_clear(&m->wheel, &m->timers[i]);
    m->count -= m->deadline_ns[i] != 0;
    m->deadline_ns[i] = 0;
    assert_int_equal(m->timers[i].deadline_ns, 0);
    assert_false(m->timers[i].fired);
}

static void model_expire(struct model *m)
{
    struct timer *timer;

    while ((timer = timer_wheel_expire(&m->wheel, m->now_ns))) {
        size_t i = (size_t)(timer - m->timers);
        assert_true(i < TIMERS);
        assert_true(timer->fired);
        assert_int_equal(timer->deadline_ns, 0);
        assert_true(m->deadline_ns[i] != 0);
        assert_true(m->deadline_ns[i] <= m->now_ns); /* never early */
        m->deadline_ns[i] = 0;
        m->count--;
        m->fired++;
        /* What an actor does: sets another timer, or the same one again. */
        if (random_next() % 4 == 0) {
            model_set(m, i, m->now_ns + random_distance());
        }
    }
    /* Nothing due is left: it fires with its tick, or with the next one if it was late when set. */
    for (size_t i = 0; i < TIMERS; i++) {
        int64_t due = (m->deadline_ns[i] + TIMER_TICK_NS - 1) / TIMER_TICK_NS;
        int64_t set = m->set_ns[i] / TIMER_TICK_NS;
        due = due > set ? due : set + 1;
        assert_true(m->deadline_ns[i] == 0 || due > m->now_ns / TIMER_TICK_NS);
    }
    assert_int_equal(m->wheel.count, m->count);
}

/* The wait must end before the first deadline is a tick late, and must not be 0 after expiry. */
static int64_t model_check_next(const struct model *m)
{
    int64_t wait_ns = timer_wheel_next(&m->wheel, m->now_ns);
    int64_t first_ns = INT64_MAX;

    for (size_t i = 0; i < TIMERS; i++) {
        if (m->deadline_ns[i] != 0 && m->deadline_ns[i] < first_ns) {
            first_ns = m->deadline_ns[i];
        }
    }
    if (m->count == 0) {
        assert_int_equal(wait_ns, -1);
        return TIMER_TICK_NS;
    }
    assert_true(wait_ns > 0);
    if (first_ns > m->now_ns) {
        assert_true(wait_ns < first_ns - m->now_ns + TIMER_TICK_NS);
    } else {
        assert_true(wait_ns <= TIMER_TICK_NS);
    }
    return wait_ns;
}

static void run_model(uint64_t seed, int rounds)
{
    static struct model m;
    int sleeps = 0;

    random_state = seed * 2654435769U + 1;
    memset(&m, 0, sizeof(m));
    m.now_ns = (int64_t)(random_next() >> 20);
    timer_wheel_init(&m.wheel, m.now_ns);
    for (size_t i = 0; i < TIMERS; i++) {
        timer_init(&m.timers[i], NULL);
    }
    for (int round = 0; round < rounds; round++) {
        for (uint64_t n = random_next() % 4; n > 0; n--) {
            size_t i = random_next() % TIMERS;
            if (random_next() % 3 == 0) {
                model_clear(&m, i);
            } else {
                model_set(&m, i, m.now_ns + random_distance());
            }
        }
        model_expire(&m);
        int64_t wait_ns = model_check_next(&m);
        switch (random_next() % 4) {
        case 0: /* an event comes first */
            m.now_ns += (int64_t)(random_next() % (uint64_t)wait_ns);
            break;
        case 1: /* a jump */
            m.now_ns += (int64_t)(random_next() >> (random_next() % 40 + 20));
            break;
        default:
            m.now_ns += wait_ns;
            sleeps++;
        }
    }
    /* Sleep until all is over: the wheel may wake up a few times for nothing, but only a few. */
    model_expire(&m);
    for (sleeps = 0; m.count > 0; sleeps++) {
        m.now_ns += model_check_next(&m);
        uint64_t fired = m.fired;
        model_expire(&m);
        sleeps -= (int)(m.fired - fired);
        assert_true(sleeps < TIMERS * 8);
    }
    for (int level = 0; level < TIMER_LEVELS; level++) {
        assert_true(m.wheel.occupied[level] == 0);
    }
}

static void test_against_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        run_model(seed, 2000);
    }
}

/* Each distance around a border of levels and slots fires at its tick, from any starting tick. */
static void test_borders(void **state)
{
    static const int64_t ticks[] = {1,    2,      62,     63,       64,       65,
                                    127,  128,    4032,   4095,     4096,     4097,
                                    8191, 262143, 262144, 16777215, 16777216, 40000000};
    struct timer_wheel wheel;
    struct timer timer;

    (void)state;
    for (int64_t start = 0; start < 130; start++) {
        for (size_t i = 0; i < COUNT_OF(ticks); i++) {
            int64_t now_ns = start * 61 * TIMER_TICK_NS;
            int64_t deadline_ns = now_ns + ticks[i] * TIMER_TICK_NS;
            int wakes = 0;
            timer_wheel_init(&wheel, now_ns);
            timer_init(&timer, NULL);
            timer_set(&wheel, &timer, deadline_ns);
            assert_null(timer_wheel_expire(&wheel, deadline_ns - 1));
            timer_wheel_init(&wheel, now_ns);
            timer_init(&timer, NULL);
            timer_set(&wheel, &timer, deadline_ns);
            for (; !timer.fired; wakes++) {
                int64_t wait_ns = timer_wheel_next(&wheel, now_ns);
                assert_true(wait_ns > 0);
                now_ns += wait_ns;
                (void)timer_wheel_expire(&wheel, now_ns);
            }
            assert_int_equal(now_ns, deadline_ns);
            assert_true(wakes <= 8);
            assert_int_equal(timer_wheel_next(&wheel, now_ns), -1);
        }
    }
}

static void test_rounding_and_flags(void **state)
{
    struct timer_wheel wheel;
    struct timer a, b;

    (void)state;
    timer_wheel_init(&wheel, 0);
    timer_init(&a, NULL);
    timer_init(&b, NULL);
    assert_int_equal(timer_wheel_next(&wheel, 0), -1);
    timer_set(&wheel, &a, TIMER_TICK_NS + 1); /* the tick after */
    assert_null(timer_wheel_expire(&wheel, 2 * TIMER_TICK_NS - 1));
    assert_ptr_equal(timer_wheel_expire(&wheel, 2 * TIMER_TICK_NS), &a);
    assert_true(a.fired);
    timer_clear(&wheel, &a);
    assert_false(a.fired);

    /* In the past: with the next tick. Cleared between two calls: not taken. */
    timer_set(&wheel, &a, 1);
    timer_set(&wheel, &b, -5);
    assert_int_equal(timer_wheel_next(&wheel, 2 * TIMER_TICK_NS), TIMER_TICK_NS);
    assert_ptr_equal(timer_wheel_expire(&wheel, 3 * TIMER_TICK_NS), &a);
    assert_int_equal(timer_wheel_next(&wheel, 3 * TIMER_TICK_NS), 0);
    timer_clear(&wheel, &b);
    assert_int_equal(wheel.count, 0);
    assert_null(timer_wheel_expire(&wheel, 3 * TIMER_TICK_NS));
    assert_int_equal(timer_wheel_next(&wheel, 3 * TIMER_TICK_NS), -1);

    /* Moved away it stays where it lies, and fires when it should; moved nearer it does not. */
    timer_set(&wheel, &a, 5 * TIMER_TICK_NS);
    timer_set(&wheel, &a, 90 * TIMER_TICK_NS);
    assert_int_equal(wheel.count, 1);
    assert_int_equal(timer_wheel_next(&wheel, 3 * TIMER_TICK_NS), 2 * TIMER_TICK_NS);
    assert_null(timer_wheel_expire(&wheel, 5 * TIMER_TICK_NS));
    assert_true(timer_wheel_next(&wheel, 5 * TIMER_TICK_NS) > 0);
    timer_set(&wheel, &a, 80 * TIMER_TICK_NS);
    assert_null(timer_wheel_expire(&wheel, 80 * TIMER_TICK_NS - 1));
    timer_set(&wheel, &a, 70 * TIMER_TICK_NS); /* over by now: with the next tick */
    assert_null(timer_wheel_expire(&wheel, 80 * TIMER_TICK_NS - 1));
    assert_ptr_equal(timer_wheel_expire(&wheel, 80 * TIMER_TICK_NS), &a);
    assert_int_equal(wheel.count, 0);

    /* As far as can be said, and a clock that does not move. */
    timer_set(&wheel, &a, INT64_MAX);
    assert_null(timer_wheel_expire(&wheel, 80 * TIMER_TICK_NS));
    assert_true(timer_wheel_next(&wheel, 80 * TIMER_TICK_NS) > 0);
    timer_clear(&wheel, &a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_model),
        cmocka_unit_test(test_borders),
        cmocka_unit_test(test_rounding_and_flags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
