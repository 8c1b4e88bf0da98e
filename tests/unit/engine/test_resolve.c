/* SPDX-License-Identifier: Apache-2.0 */
/* The resolver on a real ring, against a DNS server of our own on loopback. */
#include "core/engine/resolve.h"

#include "core/base/clock.h"
#include "core/engine/dns_socket.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

/* One program a module: the server comes along. */
#include "tests/unit/engine/dns_fake.c" /* NOLINT(bugprone-suspicious-include) */

struct world {
    struct buf_cache cache;
    struct ring *ring;
    struct timer_wheel wheel;
    struct list_node ready;
    struct resolver *resolver;
    struct dns_fake *fake;
    char server[32];
    const char *servers[2];
    struct resolver_options options;
    char hosts_path[64];
    char server_path[64];
    size_t fd_count;
};

struct asker {
    struct actor actor;
    struct resolve lookup;
    bool has_waited; /* the lookup was not answered at once */
    unsigned runs;
};

static size_t count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    size_t count = 0;

    assert_non_null(dir);
    while (readdir(dir)) {
        count++;
    }
    closedir(dir);
    return count;
}

static void write_file(const char *path, const char *text)
{
    char other[80];

    snprintf(other, sizeof(other), "%s.new", path);
    FILE *file = fopen(other, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(rename(other, path), 0);
}

static int world_setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    char error[256];

    assert_non_null(w);
    w->fd_count = count_fds();
    snprintf(w->hosts_path, sizeof(w->hosts_path), "/tmp/weir-hosts-%d", (int)getpid());
    snprintf(w->server_path, sizeof(w->server_path), "/tmp/weir-resolv-%d", (int)getpid());
    write_file(w->hosts_path, "192.0.2.10 static.test # a comment\n");
    buf_cache_init(&w->cache);
    if (ring_new(&w->ring, &ring_options_default, &w->cache, error, sizeof(error)) < 0) {
        fail_msg("%s", error);
    }
    timer_wheel_init(&w->wheel, ring_now(w->ring));
    list_init(&w->ready);
    w->fake = dns_fake_start("127.0.0.1", 0);
    assert_non_null(w->fake);
    snprintf(w->server, sizeof(w->server), "127.0.0.1:%u", dns_fake_port(w->fake));
    w->servers[0] = w->server;
    w->options = (struct resolver_options){.servers = w->servers,
                                           .server_count = 1,
                                           .hosts_file = w->hosts_path,
                                           .timeout_ms = 2000,
                                           .cache_count = 8192,
                                           .ttl_max_s = 3600,
                                           .negative_ttl_s = 10};
    *state = w;
    return 0;
}

static void world_start(struct world *w)
{
    char error[256] = "";

    w->resolver = resolver_new(&w->options, w->ring, &w->wheel, &w->ready, error, sizeof(error));
    if (!w->resolver) {
        fail_msg("%s", error);
    }
}

static void world_turn(struct world *w, int64_t wait_ns)
{
    struct ring_event events[RING_EVENTS_MAX];
    struct list_node *node;
    struct timer *timer;
    int count = ring_turn(w->ring, list_is_empty(&w->ready) ? wait_ns : 0, events, RING_EVENTS_MAX);

    for (int i = 0; i < count; i++) {
        if (events[i].kind == RING_RESOLVE) {
            resolver_on_event(w->resolver, &events[i]);
        }
    }
    while ((timer = timer_wheel_expire(&w->wheel, ring_now(w->ring))) != NULL) {
        actor_ready(timer->owner);
    }
    while ((node = list_pop_front(&w->ready)) != NULL) {
        struct actor *actor = CONTAINER_OF(node, struct actor, ready_link);
        actor->run(actor);
    }
}

static void world_wait_ms(struct world *w, int ms)
{
    int64_t end_ns = clock_monotonic_ns() + ms * NS_PER_MS;

    while (clock_monotonic_ns() < end_ns) {
        int64_t next_ns = timer_wheel_next(&w->wheel, ring_now(w->ring));
        world_turn(w, next_ns >= 0 && next_ns < 10 * NS_PER_MS ? next_ns : 10 * NS_PER_MS);
    }
}

static void world_stop(struct world *w)
{
    if (!w->resolver) {
        return;
    }
    resolver_stop(w->resolver);
    for (int i = 0; i < 200 && resolver_in_flight(w->resolver) > 0; i++) {
        world_turn(w, 10 * NS_PER_MS);
    }
    assert_int_equal(resolver_in_flight(w->resolver), 0);
    resolver_free(w->resolver);
    w->resolver = NULL;
    assert_int_equal(w->wheel.count, 0);
    assert_true(list_is_empty(&w->ready));
}

/* Nothing may be left: no poll, no timer, no actor, no descriptor. */
static int world_teardown(void **state)
{
    struct world *w = *state;

    world_stop(w);
    dns_fake_stop(w->fake);
    assert_true(ring_free(w->ring));
    buf_cache_fini(&w->cache);
    unlink(w->hosts_path);
    unlink(w->server_path);
    assert_int_equal(count_fds(), w->fd_count);
    free(w);
    return 0;
}

static void asker_run(struct actor *actor)
{
    CONTAINER_OF(actor, struct asker, actor)->runs++;
}

static void ask(struct world *w, struct asker *asker, const char *name)
{
    memset(asker, 0, sizeof(*asker));
    actor_init(&asker->actor, &w->ready, asker_run);
    world_turn(w, 0);
    resolve_start(w->resolver, &asker->lookup, span_from_string(name), &asker->actor);
    asker->has_waited = asker->lookup.state == RESOLVE_PENDING;
}

static void await(struct world *w, struct asker *asker)
{
    int64_t end_ns = clock_monotonic_ns() + 10 * NS_PER_S;

    while (asker->lookup.state == RESOLVE_PENDING && clock_monotonic_ns() < end_ns) {
        int64_t next_ns = timer_wheel_next(&w->wheel, ring_now(w->ring));
        world_turn(w, next_ns >= 0 ? next_ns : NS_PER_S);
    }
    world_turn(w, 0);
    assert_int_equal(asker->runs, asker->has_waited);
}

/* "2001:db8::1 192.0.2.1", or the error. */
static const char *said(const struct resolve *lookup)
{
    static char all[1024];
    char one[ADDRESS_TEXT_MAX];
    size_t len = 0;

    if (lookup->state == RESOLVE_FAILED) {
        assert_int_equal(lookup->address_count, 0);
        return lookup->error;
    }
    assert_int_equal(lookup->state, RESOLVE_DONE);
    assert_null(lookup->error);
    all[0] = 0;
    for (size_t i = 0; i < lookup->address_count; i++) {
        address_format_ip(&lookup->addresses[i], one);
        assert_int_equal(address_port(&lookup->addresses[i]), 0);
        len += (size_t)snprintf(all + len, sizeof(all) - len, "%s%s", i > 0 ? " " : "", one);
        assert_true(len < sizeof(all));
    }
    return all;
}

static const char *answer_of(struct world *w, const char *name)
{
    static struct asker asker;

    ask(w, &asker, name);
    await(w, &asker);
    return said(&asker.lookup);
}

static struct resolver_stats stats_of(struct world *w)
{
    struct resolver_stats stats;

    resolver_read_stats(w->resolver, &stats);
    return stats;
}

static void test_without_a_question(void **state)
{
    static const struct {
        const char *name, *expected;
    } rows[] = {
        {"192.0.2.9", "192.0.2.9"},
        {"2001:DB8::9", "2001:db8::9"},
        {"::ffff:192.0.2.9", "192.0.2.9"},
        {"localhost", "::1 127.0.0.1"},
        {"LocalHost.", "::1 127.0.0.1"},
        {"a.b.localhost", "::1 127.0.0.1"},
        {"static.test", "192.0.2.10"},
        {"STATIC.test.", "192.0.2.10"},
        {"", "not a valid host name"},
        {".", "not a valid host name"},
        {"..", "not a valid host name"},
        {"a..test", "not a valid host name"},
        {".a.test", "not a valid host name"},
        {"a.test..", "not a valid host name"},
        {"a b.test", "not a valid host name"},
        {"a\\046b.test", "not a valid host name"},
        {"a%2e.test", "not a valid host name"},
        {"[::1]", "not a valid host name"},
        {"::1%lo", "not a valid host name"},
        {"a:1", "not a valid host name"},
        {"caf\xc3\xa9.test", "not a valid host name"},
        {"127.1", "not a valid host name"},
        {"2130706433", "not a valid host name"},
        {"0x7f000001", "not a valid host name"},
        {"0177.0.0.1", "not a valid host name"},
        {"127.0.0.1.", "not a valid host name"},
        {"a.test.0x1f", "not a valid host name"},
        {"a23456789012345678901234567890123456789012345678901234567890abcd.test",
         "not a valid host name"},
    };
    struct world *w = *state;
    struct asker asker;
    char name[300];

    world_start(w);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        ask(w, &asker, rows[i].name);
        assert_string_equal(said(&asker.lookup), rows[i].expected);
        assert_true(asker.lookup.cached);
        assert_int_equal(asker.runs, 0);
    }
    ask(w, &asker, "x");
    resolve_cancel(w->resolver, &asker.lookup);
    memset(name, 'a', sizeof(name));
    for (size_t i = 0; i < sizeof(name); i += 50) {
        name[i] = i > 0 ? '.' : 'a';
    }
    name[254] = 0;
    ask(w, &asker, name);
    assert_string_equal(said(&asker.lookup), "not a valid host name");
    assert_int_equal(dns_fake_asked(w->fake, name), 0);
    name[253] = 0;
    assert_string_equal(answer_of(w, name), "2001:db8::1 192.0.2.1");
}

static void test_families_and_cache(void **state)
{
    struct world *w = *state;
    struct asker asker;

    world_start(w);
    ask(w, &asker, "Both.Test");
    assert_int_equal(asker.lookup.state, RESOLVE_PENDING);
    await(w, &asker);
    assert_string_equal(said(&asker.lookup), "2001:db8::1 192.0.2.1 192.0.2.2 192.0.2.3");
    assert_false(asker.lookup.cached);
    assert_true(asker.lookup.arrived_ns <= ring_now(w->ring));
    assert_true(asker.lookup.arrived_ns > ring_now(w->ring) - NS_PER_S);
    ask(w, &asker, "both.test.");
    assert_string_equal(said(&asker.lookup), "2001:db8::1 192.0.2.1 192.0.2.2 192.0.2.3");
    assert_true(asker.lookup.cached);
    assert_int_equal(dns_fake_asked(w->fake, "both"), 2);
    assert_string_equal(answer_of(w, "four.test"), "192.0.2.1");
    assert_string_equal(answer_of(w, "six.test"), "2001:db8::1");
    assert_string_equal(answer_of(w, "many.test"),
                        "2001:db8::1 192.0.2.1 2001:db8::2 192.0.2.2 2001:db8::3 192.0.2.3 "
                        "2001:db8::4 192.0.2.4 2001:db8::5 192.0.2.5 2001:db8::6 192.0.2.6 "
                        "2001:db8::7 192.0.2.7 2001:db8::8 192.0.2.8");
    assert_int_equal(stats_of(w).queries, 4);
    assert_int_equal(stats_of(w).cache_hits, 1);
    assert_int_equal(stats_of(w).entries, 4);
    assert_int_equal(stats_of(w).failures, 0);
}

static void test_failures(void **state)
{
    static const struct {
        const char *name, *expected;
    } rows[] = {
        {"none.test", "no such name"},
        {"nodata.test", "the name has no address"},
        {"failing.test", "the DNS server failed or refused to answer"},
        {"refusing.test", "the DNS server failed or refused to answer"},
        {"garbage.test", "the DNS server's answer cannot be read"},
        {"loop.test", "the DNS server's answer cannot be read"},
        {"half.test", "192.0.2.1"},
        {"hidden.onion", "no such name"}, /* RFC 7686 */
    };
    struct world *w = *state;
    struct asker asker;

    world_start(w);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_string_equal(answer_of(w, rows[i].name), rows[i].expected);
        ask(w, &asker, rows[i].name);
        assert_string_equal(said(&asker.lookup), rows[i].expected);
        assert_true(asker.lookup.cached);
    }
    assert_int_equal(dns_fake_asked(w->fake, "hidden"), 0);
    assert_int_equal(dns_fake_asked(w->fake, "none"), 2);
    assert_int_equal(stats_of(w).negative_hits, 7);
    assert_int_equal(stats_of(w).failures, 7);
    assert_int_equal(stats_of(w).timeouts, 0);
    world_wait_ms(w, 1100); /* what is not known for certain is soon asked again */
    unsigned before = dns_fake_asked(w->fake, "failing");
    assert_string_equal(answer_of(w, "failing.test"), rows[2].expected);
    assert_true(dns_fake_asked(w->fake, "failing") > before);
    assert_string_equal(answer_of(w, "none.test"), rows[0].expected);
    assert_int_equal(dns_fake_asked(w->fake, "none"), 2);
}

static void test_hostile_answers(void **state)
{
    struct world *w = *state;

    world_start(w);
    assert_string_equal(answer_of(w, "forged.test"), "2001:db8::1 192.0.2.1");
    assert_string_equal(answer_of(w, "empty.test"), "2001:db8::1 192.0.2.1");
    assert_string_equal(answer_of(w, "planted.test"), "2001:db8::1 192.0.2.1");
    assert_string_equal(answer_of(w, "alias.test"), "192.0.2.7");
    assert_int_equal(dns_fake_asked(w->fake, "empty"), 2);
}

static void test_truncated_goes_to_tcp(void **state)
{
    struct world *w = *state;

    world_start(w);
    assert_string_equal(answer_of(w, "truncated.test"),
                        "192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4 192.0.2.5 192.0.2.6 192.0.2.7 "
                        "192.0.2.8 192.0.2.9 192.0.2.10 192.0.2.11 192.0.2.12 192.0.2.13 "
                        "192.0.2.14 192.0.2.15 192.0.2.16");
    assert_int_equal(dns_fake_asked_tcp(w->fake), 2);
}

static void test_timeout(void **state)
{
    struct world *w = *state;
    struct asker asker;

    w->options.timeout_ms = 400;
    world_start(w);
    ask(w, &asker, "silent.test");
    int64_t start_ns = ring_now(w->ring);
    await(w, &asker);
    assert_string_equal(said(&asker.lookup), "no answer in time");
    assert_in_range((asker.lookup.arrived_ns - start_ns) / NS_PER_MS, 350, 2000);
    assert_int_equal(stats_of(w).timeouts, 1);
    assert_in_range(dns_fake_asked(w->fake, "silent"), 4, 6);
    ask(w, &asker, "silent.test");
    assert_true(asker.lookup.cached);
}

/* The deadline is the lookup's own, whatever c-ares still has in mind: here, seven more servers. */
static void test_deadline_beats_tries(void **state)
{
    struct world *w = *state;
    const char *servers[8];
    struct asker asker;

    for (size_t i = 0; i < 8; i++) {
        servers[i] = w->server;
    }
    w->options.servers = servers;
    w->options.server_count = 8;
    w->options.timeout_ms = 300;
    world_start(w);
    ask(w, &asker, "silent.test");
    int64_t start_ns = ring_now(w->ring);
    await(w, &asker);
    assert_string_equal(said(&asker.lookup), "no answer in time");
    assert_in_range((asker.lookup.arrived_ns - start_ns) / NS_PER_MS, 300, 2000);
}

static void test_late_family(void **state)
{
    struct world *w = *state;
    struct asker asker;

    w->options.timeout_ms = 9000; /* the first repetition comes after the late answer */
    world_start(w);
    ask(w, &asker, "late6.test");
    int64_t start_ns = ring_now(w->ring);
    await(w, &asker);
    assert_string_equal(said(&asker.lookup), "192.0.2.1");
    assert_in_range((asker.lookup.arrived_ns - start_ns) / NS_PER_MS, 50, 600);
    assert_string_equal(answer_of(w, "late6.test"), "192.0.2.1");
    world_wait_ms(w, 900);
    ask(w, &asker, "late6.test");
    assert_string_equal(said(&asker.lookup), "2001:db8::1 192.0.2.1");
    assert_int_equal(dns_fake_asked(w->fake, "late6"), 2);
    assert_string_equal(answer_of(w, "late4.test"), "2001:db8::1 192.0.2.1");
    assert_string_equal(answer_of(w, "never6.test"), "192.0.2.1");
    ask(w, &asker, "never4.test");
    start_ns = ring_now(w->ring);
    await(w, &asker);
    assert_string_equal(said(&asker.lookup), "2001:db8::1");
    assert_in_range((asker.lookup.arrived_ns - start_ns) / NS_PER_MS, 250, 1500);
}

static void test_joined_and_cancelled(void **state)
{
    struct world *w = *state;
    struct asker askers[5];

    world_start(w);
    for (size_t i = 0; i < 5; i++) {
        ask(w, &askers[i], i % 2 ? "slow.test" : "SLOW.test");
    }
    resolve_cancel(w->resolver, &askers[0].lookup);
    resolve_cancel(w->resolver, &askers[3].lookup);
    await(w, &askers[1]);
    assert_int_equal(askers[0].lookup.state, RESOLVE_IDLE);
    assert_int_equal(askers[3].lookup.state, RESOLVE_IDLE);
    assert_int_equal(askers[0].runs + askers[3].runs, 0);
    assert_int_equal(askers[2].runs + askers[4].runs, 2);
    assert_string_equal(said(&askers[2].lookup), "2001:db8::1 192.0.2.1");
    assert_string_equal(said(&askers[4].lookup), "2001:db8::1 192.0.2.1");
    assert_int_equal(dns_fake_asked(w->fake, "slow"), 2);
    assert_int_equal(stats_of(w).queries, 1);
    assert_int_equal(stats_of(w).joined, 4);
    /* Cancelled by all: the answer is kept for the next one. */
    ask(w, &askers[0], "slow.other");
    resolve_cancel(w->resolver, &askers[0].lookup);
    resolve_cancel(w->resolver, &askers[0].lookup);
    world_wait_ms(w, 200);
    ask(w, &askers[0], "slow.other");
    assert_string_equal(said(&askers[0].lookup), "2001:db8::1 192.0.2.1");
    assert_true(askers[0].lookup.cached);
    /* A lookup that is over may be started again, and one that was cancelled too. */
    resolve_start(w->resolver, &askers[0].lookup, SPAN_LITERAL("none.test"), &askers[0].actor);
    askers[0].has_waited = true;
    await(w, &askers[0]);
    assert_string_equal(said(&askers[0].lookup), "no such name");
}

static void test_ttl(void **state)
{
    struct world *w = *state;
    struct asker asker;

    world_start(w);
    answer_of(w, "both.test");
    answer_of(w, "alias.test"); /* the first alias has the smallest TTL, 1 s */
    answer_of(w, "zero.test");
    ask(w, &asker, "zero.test"); /* 0 is taken for 1, or each request would ask */
    assert_true(asker.lookup.cached);
    world_wait_ms(w, 1050);
    answer_of(w, "both.test");
    answer_of(w, "alias.test");
    answer_of(w, "zero.test");
    assert_int_equal(dns_fake_asked(w->fake, "both"), 2);
    assert_int_equal(dns_fake_asked(w->fake, "alias"), 4);
    assert_int_equal(dns_fake_asked(w->fake, "zero"), 4);
    world_stop(w);
    w->options.ttl_max_s = 1;
    w->options.negative_ttl_s = 0;
    world_start(w);
    answer_of(w, "both.test");
    answer_of(w, "none.test");
    answer_of(w, "none.test");
    world_wait_ms(w, 1050);
    answer_of(w, "both.test");
    assert_int_equal(dns_fake_asked(w->fake, "both"), 6);
    assert_int_equal(dns_fake_asked(w->fake, "none"), 4);
}

static void test_cache_is_bounded(void **state)
{
    struct world *w = *state;
    struct asker askers[4];
    char name[32];

    w->options.cache_count = 3;
    world_start(w);
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof(name), "n%d.test", i);
        assert_string_equal(answer_of(w, name), "2001:db8::1 192.0.2.1");
        answer_of(w, "n0.test");
        assert_in_range(stats_of(w).entries, 1, 3);
    }
    assert_int_equal(dns_fake_asked(w->fake, "n0"), 2); /* used each time, and so never dropped */
    assert_string_equal(answer_of(w, "n1.test"), "2001:db8::1 192.0.2.1");
    assert_int_equal(dns_fake_asked(w->fake, "n1"), 4);
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof(name), "slow.%c", 'a' + i);
        ask(w, &askers[i], name);
    }
    assert_string_equal(said(&askers[3].lookup), "too many names are being looked up at once");
    for (int i = 0; i < 3; i++) {
        await(w, &askers[i]);
        assert_string_equal(said(&askers[i].lookup), "2001:db8::1 192.0.2.1");
    }
}

/* A settled entry that still learns its other family is dropped: the answer must go nowhere. */
static void test_dropped_while_learning(void **state)
{
    struct world *w = *state;

    w->options.cache_count = 1;
    world_start(w);
    assert_string_equal(answer_of(w, "late6.test"), "192.0.2.1");
    assert_string_equal(answer_of(w, "four.test"), "192.0.2.1");
    world_wait_ms(w, 900);
    assert_string_equal(answer_of(w, "four.test"), "192.0.2.1");
    assert_int_equal(dns_fake_asked(w->fake, "four"), 2);
}

static void test_flood(void **state)
{
    enum { COUNT = 2100, FLIGHTS = 2048 };
    struct world *w = *state;
    struct asker *askers = calloc(COUNT, sizeof(*askers));
    size_t refused = 0;
    char name[32];

    assert_non_null(askers);
    w->options.timeout_ms = 700;
    world_start(w);
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof(name), "silent.n%d", i);
        ask(w, &askers[i], name);
        refused += askers[i].lookup.state == RESOLVE_FAILED;
    }
    assert_int_equal(refused, COUNT - FLIGHTS);
    assert_string_equal(said(&askers[COUNT - 1].lookup),
                        "too many names are being looked up at once");
    for (int i = 0; i < FLIGHTS; i++) {
        await(w, &askers[i]);
        assert_string_equal(said(&askers[i].lookup), "no answer in time");
    }
    world_wait_ms(w, 1000); /* c-ares gives up later than we do */
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof(name), "both.n%d", i);
        ask(w, &askers[i], name);
    }
    for (int i = 0; i < 500; i++) {
        await(w, &askers[i]);
        /* A question that got lost in the crowd is repeated; the other family does not wait. */
        assert_int_equal(askers[i].lookup.state, RESOLVE_DONE);
    }
    free(askers);
}

static void test_second_server(void **state)
{
    struct world *w = *state;
    struct dns_fake *other = dns_fake_start("127.0.0.1", 0);
    char dead[32];

    assert_non_null(other);
    snprintf(dead, sizeof(dead), "127.0.0.1:%u", dns_fake_port(other));
    dns_fake_stop(other); /* nobody listens there: ICMP says so */
    w->servers[0] = dead;
    w->servers[1] = w->server;
    w->options.server_count = 2;
    world_start(w);
    /* One ICMP message tells c-ares about one of the two questions; the other one is repeated. */
    assert_non_null(strstr(answer_of(w, "both.test"), "192.0.2.1 192.0.2.2 192.0.2.3"));
    world_wait_ms(w, 500);
    assert_string_equal(answer_of(w, "both.test"), "2001:db8::1 192.0.2.1 192.0.2.2 192.0.2.3");
    world_stop(w);
    w->options.server_count = 1;
    world_start(w);
    assert_string_equal(answer_of(w, "both.test"), "the DNS server failed or refused to answer");
}

static void test_stop_in_the_middle(void **state)
{
    struct world *w = *state;
    struct asker askers[3];

    world_start(w);
    ask(w, &askers[0], "silent.test");
    ask(w, &askers[1], "truncated.test");
    ask(w, &askers[2], "late6.test");
    world_wait_ms(w, 60);
    assert_true(resolver_in_flight(w->resolver) > 0);
    for (int i = 0; i < 3; i++) {
        resolve_cancel(w->resolver, &askers[i].lookup);
    }
    resolver_stop(w->resolver);
    resolver_stop(w->resolver);
    resolve_start(w->resolver, &askers[0].lookup, SPAN_LITERAL("both.test"), &askers[0].actor);
    assert_string_equal(said(&askers[0].lookup), "the proxy is stopping");
}

static void test_bad_options(void **state)
{
    static const char *const bad[] = {"",
                                      "dns.test",
                                      "127.0.0.1:",
                                      "127.0.0.1:0",
                                      "127.0.0.1:65536",
                                      "127.0.0.1:+53",
                                      ":53",
                                      "[127.0.0.1]:53",
                                      "[::1]",
                                      "[::1]:x",
                                      "[::1:53",
                                      "::1]:53",
                                      "127.0.0.1:53 "};
    static const char *const good[] = {"127.0.0.1", "127.0.0.1:5353", "::1", "[::1]:5353",
                                       "2001:db8::1"};
    struct world *w = *state;
    const char *many[9];
    char error[256];

    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        w->options.servers = &bad[i];
        assert_null(resolver_new(&w->options, w->ring, &w->wheel, &w->ready, error, sizeof(error)));
        assert_non_null(strstr(error, "dns.servers: \""));
        assert_non_null(strstr(error, bad[i]));
    }
    w->options.servers = good;
    w->options.server_count = COUNT_OF(good);
    world_start(w);
    world_stop(w);
    for (size_t i = 0; i < COUNT_OF(many); i++) {
        many[i] = "127.0.0.1";
    }
    w->options.servers = many;
    w->options.server_count = COUNT_OF(many);
    assert_null(resolver_new(&w->options, w->ring, &w->wheel, &w->ready, error, sizeof(error)));
    assert_string_equal(error, "dns.servers: 9 servers are given; at most 8 are used");
    w->options.server_count = 1;
    w->options.hosts_file = "/nonexistent/hosts";
    assert_null(resolver_new(&w->options, w->ring, &w->wheel, &w->ready, error, sizeof(error)));
    assert_non_null(strstr(error, "dns.hosts_file: cannot read /nonexistent/hosts: No such file"));
    w->options.hosts_file = "/dev/null";
    world_start(w);
}

/* Files are read again when they changed. */
static void test_files_change(void **state)
{
    struct world *w = *state;
    struct dns_fake *other;

    w->options.server_count = 0;
    w->options.server_file = w->server_path;
    world_start(w);
    assert_string_equal(answer_of(w, "static.test"), "192.0.2.10");
    assert_string_equal(answer_of(w, "192.0.2.4"), "192.0.2.4");
    assert_string_equal(answer_of(w, "both.test"),
                        "no DNS server is configured: set dns.servers, or name one in "
                        "/etc/resolv.conf");
    write_file(w->hosts_path, "192.0.2.11 static.test\n2001:db8::11 static.test\n");
    write_file(w->server_path, "; none yet\nnameserver\nnameserver fe80::1%lo\noptions rotate\n");
    world_wait_ms(w, 2050);
    assert_string_equal(answer_of(w, "static.test"), "2001:db8::11 192.0.2.11");
    assert_string_equal(answer_of(w, "both.test"),
                        "no DNS server is configured: set dns.servers, or name one in "
                        "/etc/resolv.conf");
    other = dns_fake_start("127.0.0.53", 53);
    if (!other) {
        print_message("port 53 cannot be had: the change of servers is not tested\n");
        return;
    }
    write_file(w->server_path, "search test\nnameserver  127.0.0.53 # here\n");
    unlink(w->hosts_path);
    world_wait_ms(w, 2050);
    assert_string_equal(answer_of(w, "both.test"), "2001:db8::1 192.0.2.1 192.0.2.2 192.0.2.3");
    assert_string_equal(answer_of(w, "static.test"), "2001:db8::1 192.0.2.1");
    dns_fake_stop(other);
}

/* The network changed under a question: it is asked anew where the servers are now. */
static void test_servers_change_under_a_question(void **state)
{
    struct world *w = *state;
    struct dns_fake *other = dns_fake_start("127.0.0.53", 53);
    struct asker asker, second;

    if (!other) {
        print_message("port 53 cannot be had: the change of servers is not tested\n");
        return;
    }
    write_file(w->server_path, "nameserver 192.0.2.254\n"); /* nobody answers there */
    w->options.server_count = 0;
    w->options.server_file = w->server_path;
    w->options.timeout_ms = 9000;
    world_start(w);
    ask(w, &asker, "both.test");
    write_file(w->server_path, "nameserver 127.0.0.53\r\n");
    world_wait_ms(w, 2050);
    assert_int_equal(asker.lookup.state, RESOLVE_PENDING);
    ask(w, &second, "four.test");
    await(w, &asker);
    assert_string_equal(said(&asker.lookup), "2001:db8::1 192.0.2.1 192.0.2.2 192.0.2.3");
    await(w, &second);
    assert_string_equal(said(&second.lookup), "192.0.2.1");
    dns_fake_stop(other);
}

/* What c-ares relies on without asking for it. */
static void test_sockets(void **state)
{
    struct world *w = *state;
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t name_len = sizeof(name);
    struct dns_sockets set;
    struct dns_ready ready;
    struct ring_event event;
    char byte;
    int fds[DNS_SOCKETS_MAX];

    dns_sockets_init(&set, w->ring, 0);
    for (size_t i = 0; i < DNS_SOCKETS_MAX; i++) {
        fds[i] = dns_sockets_open(&set, AF_INET, i % 2 ? SOCK_STREAM : SOCK_DGRAM, 0);
        assert_true(fds[i] >= 0);
    }
    assert_int_equal(dns_sockets_open(&set, AF_INET, SOCK_DGRAM, 0), -1);
    assert_int_equal(errno, EMFILE);
    assert_int_equal(bind(fds[0], (void *)&name, sizeof(name)), 0);
    assert_int_equal(getsockname(fds[0], (void *)&name, &name_len), 0);
    /* Nothing there; nothing in it; something. */
    assert_int_equal(dns_sockets_receive(&set, fds[0], &byte, 1, 0, NULL, NULL), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(sendto(fds[2], "", 0, 0, (void *)&name, sizeof(name)), 0);
    assert_int_equal(dns_sockets_receive(&set, fds[0], &byte, 1, 0, NULL, NULL), -1);
    assert_int_equal(sendto(fds[2], "", 0, 0, (void *)&name, sizeof(name)), 0);
    assert_int_equal(sendto(fds[2], "x", 1, 0, (void *)&name, sizeof(name)), 1);
    assert_int_equal(dns_sockets_receive(&set, fds[0], &byte, 1, 0, NULL, NULL), 1);
    /* A closed socket stays open until its poll is back, and then its place is free. */
    dns_sockets_want(&set, fds[0], POLLIN);
    dns_sockets_want(&set, fds[0], 0);
    assert_int_equal(set.in_flight, 1);
    dns_sockets_close(&set, fds[0]);
    assert_int_equal(getsockname(fds[0], (void *)&name, &name_len), 0);
    assert_int_equal(ring_turn(w->ring, NS_PER_S, &event, 1), 1);
    assert_false(dns_sockets_take_event(&set, &event, &ready));
    dns_sockets_resume(&set, event.owner);
    assert_int_equal(set.in_flight, 0);
    assert_int_equal(getsockname(fds[0], (void *)&name, &name_len), -1);
    fds[0] = dns_sockets_open(&set, AF_INET, SOCK_DGRAM, 0);
    assert_true(fds[0] >= 0);
    for (size_t i = 0; i < DNS_SOCKETS_MAX; i++) {
        dns_sockets_close(&set, fds[i]);
    }
}

#define RESOLVE_TEST(function)                                                                     \
    cmocka_unit_test_setup_teardown(function, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RESOLVE_TEST(test_sockets),
        RESOLVE_TEST(test_without_a_question),
        RESOLVE_TEST(test_families_and_cache),
        RESOLVE_TEST(test_failures),
        RESOLVE_TEST(test_hostile_answers),
        RESOLVE_TEST(test_truncated_goes_to_tcp),
        RESOLVE_TEST(test_timeout),
        RESOLVE_TEST(test_deadline_beats_tries),
        RESOLVE_TEST(test_late_family),
        RESOLVE_TEST(test_joined_and_cancelled),
        RESOLVE_TEST(test_ttl),
        RESOLVE_TEST(test_cache_is_bounded),
        RESOLVE_TEST(test_dropped_while_learning),
        RESOLVE_TEST(test_flood),
        RESOLVE_TEST(test_second_server),
        RESOLVE_TEST(test_stop_in_the_middle),
        RESOLVE_TEST(test_bad_options),
        RESOLVE_TEST(test_files_change),
        RESOLVE_TEST(test_servers_change_under_a_question),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
