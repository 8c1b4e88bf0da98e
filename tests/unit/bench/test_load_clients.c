/* SPDX-License-Identifier: Apache-2.0 */
/* Several clients and origins in a trial: what each client does, what they found out together, and
 * which cores there are for whom. */
#include "bench/load_pace.h"
#include "bench/load_plan.h"
#include "core/base/clock.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

/* ---- several clients ---- */

static void parts_make_the_whole(void **state)
{
    static const struct {
        unsigned clients, connections;
    } rows[] = {{1, 1}, {1, 16}, {2, 16}, {3, 16}, {7, 7}, {8, 9}, {64, 64}, {64, 20000}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct load_plan plan = {.clients = rows[i].clients,
                                 .connections = rows[i].connections,
                                 .rate_hz = 1000,
                                 .seed = 5};
        unsigned sum = 0;
        double rate_hz = 0;

        for (unsigned k = 0; k < plan.clients; k++) {
            struct load_plan part = load_plan_part(&plan, k);

            assert_int_equal(part.client, k);
            assert_int_equal(part.first_connection, sum);
            assert_true(part.connections >= plan.connections / plan.clients);
            assert_true(part.connections <= plan.connections / plan.clients + 1);
            assert_int_equal(part.reads_others, k == 0);
            assert_int_equal(part.seed == plan.seed, k == 0);
            sum += part.connections;
            rate_hz += part.rate_hz;
        }
        assert_int_equal(sum, plan.connections);
        assert_true(fabs(rate_hz - plan.rate_hz) < 1e-6);
    }
}

/* The regular times of three clients, in turn, are those of one. */
static void parts_are_in_turn(void **state)
{
    enum { CLIENTS = 3 };
    struct load_plan plan = {.clients = CLIENTS, .connections = CLIENTS, .rate_hz = 700};
    struct load_pace whole, paces[CLIENTS];

    (void)state;
    load_pace_init(&whole, 1000, plan.rate_hz, false, 1);
    for (unsigned k = 0; k < CLIENTS; k++) {
        struct load_plan part = load_plan_part(&plan, k);
        load_pace_init(&paces[k], 1000 + part.first_ns, part.rate_hz, false, 1);
    }
    for (unsigned i = 0; i < 3000; i++) {
        int64_t difference_ns = load_pace_take(&paces[i % CLIENTS]) - load_pace_take(&whole);
        assert_true(difference_ns >= -2 && difference_ns <= 2);
    }
}

/* What a client counts of one request, and another one's of another. */
static void count(struct load_result *result, unsigned i)
{
    result->dialled++;
    result->units++;
    result->connections += i % 2;
    result->resumed += i % 3;
    result->down_bytes += i;
    result->up_bytes += (uint64_t)i * 2;
    result->errors += i % 5 == 0;
    result->mismatches += i % 7 == 0;
    result->dropped += i % 11 == 0;
    result->idle_count++;
    result->out_of_ports |= i == 100;
    result->out_of_descriptors |= i == 200;
    result->has_one_source |= i == 300;
    histogram_add(&result->latency, (int64_t)i * NS_PER_US);
    histogram_add(&result->uncorrected, (int64_t)i * 300);
    histogram_add(&result->late, i);
    result->slots[i % 20]++;
}

/* As if one had counted all of it. */
static void results_are_merged(void **state)
{
    enum { CLIENTS = 3, COUNT = 10000 };
    static struct load_result results[CLIENTS], whole, merged;

    (void)state;
    for (unsigned i = 0; i < COUNT; i++) {
        count(&results[i / 7 % CLIENTS], i);
        count(&whole, i);
    }
    for (unsigned k = 0; k < CLIENTS; k++) {
        results[k].window_ns = 1000 + k;
        results[k].slot_count = 20;
        results[k].client_cpu_ns[k] = 500 + k;
        whole.client_cpu_ns[k] = 500 + k;
        results[k].client_looked_ns[k] = 400 + k;
        whole.client_looked_ns[k] = 400 + k;
        histogram_add(&results[k].tails, 60 + k);
        histogram_add(&whole.tails, 60 + k);
    }
    /* The first one reads what others use, and the second one alone had a failure. */
    results[0].proxy_cpu_ns = whole.proxy_cpu_ns = -1;
    results[0].origin_cpu_ns[1] = whole.origin_cpu_ns[1] = 70;
    results[0].origin_looked_ns[1] = whole.origin_looked_ns[1] = 7;
    results[0].cores_cpu_ns = whole.cores_cpu_ns = 80;
    results[0].cores_stolen_ns = whole.cores_stolen_ns = 8;
    results[0].proxy_idle_kib = whole.proxy_idle_kib = -3;
    results[0].proxy_kib = whole.proxy_kib = 90;
    whole.window_ns = 1000 + CLIENTS - 1;
    whole.slot_count = 20;
    snprintf(results[1].first_error, sizeof(results[1].first_error), "a fault");
    snprintf(results[2].first_error, sizeof(results[2].first_error), "another one");
    snprintf(whole.first_error, sizeof(whole.first_error), "a fault");
    for (unsigned k = 0; k < CLIENTS; k++) {
        assert_true(results[k].units > 0);
        load_result_merge(&merged, &results[k]);
    }
    assert_int_equal(merged.units, COUNT);
    assert_memory_equal(&merged, &whole, sizeof(merged));
}

/* ---- cores ---- */

static void assert_places(const struct load_cores places[LOAD_PLACE_COUNT], const char *expected)
{
    char texts[LOAD_PLACE_COUNT][LOAD_CORES_TEXT_MAX], all[3 * LOAD_CORES_TEXT_MAX];

    for (int i = 0; i < LOAD_PLACE_COUNT; i++) {
        load_cores_print(&places[i], texts[i]);
    }
    snprintf(all, sizeof(all), "%s/%s/%s", texts[LOAD_AT_PROXY], texts[LOAD_AT_CLIENT],
             texts[LOAD_AT_ORIGIN]);
    assert_string_equal(all, expected);
}

static struct load_cores first_cores(int count)
{
    struct load_cores cores = {.count = count};

    for (int i = 0; i < count; i++) {
        cores.list[i] = i;
    }
    return cores;
}

static void cores_are_chosen(void **state)
{
    static const struct {
        int allowed;
        struct load_crew crew;
        const char *expected;
    } rows[] = {
        {0, {1, 1, 1}, "//"},
        {1, {1, 1, 1}, "0/0/0"},
        {1, {4, 8, 4}, "0/0/0"},
        {2, {1, 1, 1}, "1/0/0"},
        {2, {2, 2, 2}, "1/0/0"},
        {3, {1, 1, 1}, "2/0/1"},
        {4, {4, 1, 1}, "3,2/0/1"},
        {16, {1, 1, 1}, "15/0/1"},
        {16, {4, 8, 4}, "15,14,13,12/0-7/8-11"},
        {16, {8, 8, 4}, "15,14,13,12,11,10,9,8/0-4/5-7"},
        {16, {64, 64, 1}, "15,14,13,12,11,10,9,8,7,6,5,4,3,2/0/1"},
        {4, {2, 1, 8}, "3,2/0/1"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct load_cores allowed = first_cores(rows[i].allowed);
        struct load_cores places[LOAD_PLACE_COUNT];

        load_cores_choose(&allowed, &rows[i].crew, places);
        assert_places(places, rows[i].expected);
    }
}

static void cores_are_read(void **state)
{
    static const struct {
        const char *text, *expected;
    } rows[] = {
        {"none", "//"},
        {"1,0,0", "1,15/0/0"}, /* two workers: the second has one that is left */
        {"0-7/8-11/12-15", "0-7/8-11/12-15"},
        {"3/1/2", "3/1/2"},
        {"0,2,4-5/1/1,3", "0,2,4-5/1/1,3"},
        {"5,4/0/1", "5,4/0/1"},
        {"7-7/0/1", "7/0/1"},
    };
    const struct load_cores allowed = first_cores(16);
    const struct load_crew crew = {2, 2, 2};
    struct load_cores places[LOAD_PLACE_COUNT];
    char error[256];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_true(load_cores_parse(rows[i].text, &allowed, &crew, places, error, sizeof(error)));
        assert_places(places, rows[i].expected);
    }
    assert_int_equal(load_cores_of(&places[LOAD_AT_PROXY], 1), 7); /* from the first one on again */
    assert_int_equal(load_cores_of(&(struct load_cores){.count = 0}, 1), -1);
    assert_true(load_cores_share(&allowed, &places[LOAD_AT_PROXY]));
    assert_false(load_cores_share(&places[LOAD_AT_CLIENT], &places[LOAD_AT_PROXY]));
}

static void cores_are_refused(void **state)
{
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"", "byte 0: the number of a core is missing; three cores with commas expected"},
        {"1", "byte 1: a comma expected; "},
        {"1,0", "byte 3: a comma expected"},
        {"1,0,0,0", "byte 5: the end expected"},
        {"1,0,x", "byte 4: the number of a core is missing"},
        {"1,0,16", "byte 4: this process may not use core 16, only 0-15"},
        {"1,0,99999", "byte 4: no core has such a number"},
        {"-1,0,0", "byte 0: the number of a core is missing"},
        {"0-7,8-11,12-15", "byte 1: a comma expected; three cores with commas expected, for proxy, "
                           "client and origin, as 1,0,0, or three lists with slashes, as "},
        {"0-7/8", "byte 5: a slash expected"},
        {"0/1/2/3", "byte 5: the end expected"},
        {"0//2", "byte 2: the number of a core is missing"},
        {"0/1/", "byte 4: the number of a core is missing"},
        {"0/1,/2", "byte 4: the number of a core is missing"},
        {"0/3-/2", "byte 4: the number of a core is missing"},
        {"0/3-1/2", "byte 2: a range that ends before it begins"},
        {"0/1-2,2/3", "byte 6: the same list has core 2 already"},
        {"0/1/12-16", "byte 4: this process may not use core 16, only 0-15"},
        {"none/0/1", "byte 0: the number of a core is missing"},
    };
    const struct load_cores allowed = first_cores(16);
    const struct load_crew crew = {1, 1, 1};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct load_cores places[LOAD_PLACE_COUNT];
        char error[256] = "";

        if (load_cores_parse(rows[i].text, &allowed, &crew, places, error, sizeof(error)) ||
            strncmp(error, rows[i].message, strlen(rows[i].message)) != 0) {
            fail_msg("%s: %s", rows[i].text, error);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_make_the_whole), cmocka_unit_test(parts_are_in_turn),
        cmocka_unit_test(results_are_merged),   cmocka_unit_test(cores_are_chosen),
        cmocka_unit_test(cores_are_read),       cmocka_unit_test(cores_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
