/* SPDX-License-Identifier: Apache-2.0 */
/* The simulator's resolver, with a clock made up here. */
#include "tests/sim/resolve_sim.c" /* NOLINT(bugprone-suspicious-include) */

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static int64_t now_ns;

/* All that the simulated resolver wants of a ring. */
int64_t ring_now(const struct ring *ring)
{
    (void)ring;
    return now_ns;
}

struct world {
    struct timer_wheel wheel;
    struct list_node ready;
    struct resolver *resolver;
};

struct asker {
    struct actor actor;
    struct resolve lookup;
    int64_t ended_ns;
    unsigned runs;
};

static void asker_run(struct actor *actor)
{
    struct asker *asker = CONTAINER_OF(actor, struct asker, actor);

    asker->ended_ns = now_ns;
    asker->runs++;
}

static void world_init(struct world *w, uint64_t seed)
{
    struct resolver_options options = {.timeout_ms = 1000};
    char error[64];

    now_ns = 5 * NS_PER_S;
    timer_wheel_init(&w->wheel, now_ns);
    list_init(&w->ready);
    sim_reset(seed);
    w->resolver = resolver_new(&options, NULL, &w->wheel, &w->ready, error, sizeof(error));
    assert_non_null(w->resolver);
}

static void world_fini(struct world *w)
{
    struct resolver_stats stats;

    resolver_read_stats(w->resolver, &stats);
    resolver_stop(w->resolver);
    assert_int_equal(resolver_in_flight(w->resolver), 0);
    resolver_free(w->resolver);
    assert_int_equal(w->wheel.count, 0);
    assert_true(list_is_empty(&w->ready));
}

static void world_run(struct world *w, int64_t for_ms)
{
    for (int64_t end_ns = now_ns + for_ms * NS_PER_MS; now_ns < end_ns; now_ns += NS_PER_MS) {
        struct list_node *node;
        struct timer *timer;
        while ((timer = timer_wheel_expire(&w->wheel, now_ns)) != NULL) {
            actor_ready(timer->owner);
        }
        while ((node = list_pop_front(&w->ready)) != NULL) {
            struct actor *actor = CONTAINER_OF(node, struct actor, ready_link);
            actor->run(actor);
        }
    }
}

static void ask(struct world *w, struct asker *asker, const char *name)
{
    memset(asker, 0, sizeof(*asker));
    actor_init(&asker->actor, &w->ready, asker_run);
    resolve_start(w->resolver, &asker->lookup, span_from_string(name), &asker->actor);
}

static void test_answers(void **state)
{
    struct world w;
    struct asker at_once, later, failing, missing, literal, invalid, local, never;
    char text[ADDRESS_TEXT_MAX];

    (void)state;
    world_init(&w, 1);
    sim_name("now.test", "192.0.2.1", 0, 0, NULL);
    sim_name("Later.test.", "2001:db8::1 192.0.2.1", 30, 60, NULL);
    sim_name("failing.test", NULL, 10, 10, "no answer in time");
    sim_name("never.test", "192.0.2.1", 100000, 100000, NULL);
    ask(&w, &at_once, "now.test");
    assert_int_equal(at_once.lookup.state, RESOLVE_DONE);
    assert_true(at_once.lookup.cached);
    ask(&w, &later, "LATER.test");
    ask(&w, &failing, "failing.test");
    ask(&w, &missing, "other.test");
    ask(&w, &never, "never.test");
    ask(&w, &literal, "::1");
    ask(&w, &invalid, "a..b");
    ask(&w, &local, "x.localhost");
    assert_int_equal(later.lookup.state, RESOLVE_PENDING);
    assert_int_equal(literal.lookup.state, RESOLVE_DONE);
    assert_int_equal(local.lookup.address_count, 2);
    assert_string_equal(invalid.lookup.error, "not a valid host name");
    world_run(&w, 2000);
    assert_int_equal(later.lookup.address_count, 2);
    assert_false(later.lookup.cached);
    address_format_ip(&later.lookup.addresses[1], text);
    assert_string_equal(text, "192.0.2.1");
    assert_in_range((later.ended_ns - 5 * NS_PER_S) / NS_PER_MS, 30, 70);
    assert_string_equal(failing.lookup.error, "no answer in time");
    assert_string_equal(missing.lookup.error, "no such name");
    assert_string_equal(never.lookup.error, "no answer in time");
    assert_in_range((never.ended_ns - 5 * NS_PER_S) / NS_PER_MS, 1000, 1010);
    assert_int_equal(at_once.runs + literal.runs + invalid.runs + local.runs, 0);
    assert_int_equal(later.runs + failing.runs + missing.runs + never.runs, 4);
    world_fini(&w);
}

static void test_cancel(void **state)
{
    struct world w;
    struct asker askers[3];

    (void)state;
    world_init(&w, 1);
    sim_name("a.test", "192.0.2.1", 20, 20, NULL);
    for (int i = 0; i < 3; i++) {
        ask(&w, &askers[i], "a.test");
    }
    resolve_cancel(w.resolver, &askers[1].lookup);
    assert_int_equal(askers[1].lookup.state, RESOLVE_IDLE);
    sim_name("a.test", NULL, 20, 20, "no such name"); /* what is known when the time comes */
    world_run(&w, 100);
    assert_int_equal(askers[1].runs, 0);
    assert_int_equal(askers[0].runs + askers[2].runs, 2);
    assert_string_equal(askers[2].lookup.error, "no such name");
    /* In the same turn in which its timer fired, but before it ran. */
    ask(&w, &askers[0], "a.test");
    now_ns += 100 * NS_PER_MS;
    struct timer *timer = timer_wheel_expire(&w.wheel, now_ns);
    actor_ready(timer->owner);
    resolve_cancel(w.resolver, &askers[0].lookup);
    world_run(&w, 100);
    assert_int_equal(askers[0].runs, 0);
    world_fini(&w);
}

static void times_of(uint64_t seed, int64_t times[20])
{
    struct world w;
    struct asker askers[20];

    world_init(&w, seed);
    sim_name("a.test", "192.0.2.1", 1, 500, NULL);
    for (int i = 0; i < 20; i++) {
        ask(&w, &askers[i], "a.test");
    }
    world_run(&w, 1000);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(askers[i].runs, 1);
        times[i] = askers[i].ended_ns;
    }
    world_fini(&w);
}

static void test_same_seed_same_times(void **state)
{
    int64_t first[20], again[20], other[20];

    (void)state;
    times_of(7, first);
    times_of(7, again);
    times_of(8, other);
    assert_memory_equal(first, again, sizeof(first));
    assert_memory_not_equal(first, other, sizeof(first));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_same_seed_same_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
