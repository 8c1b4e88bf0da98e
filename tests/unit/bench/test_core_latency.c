/* SPDX-License-Identifier: Apache-2.0 */
/* How far cores are from each other, and which trials that makes comparable. */
#include "bench/core_latency.h"
#include "bench/proc.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { CORES_MAX = 256, NO_CORE = 1023 };

static void two_cores(void **state)
{
    int before[CORES_MAX], behind[CORES_MAX];
    int count = proc_cores(before, CORES_MAX);
    double ns;

    (void)state;
    if (count < 2) {
        skip();
    }
    ns = core_latency_ns(before[0], before[1]);
    assert_true(ns > 1 && ns < 100000);
    assert_int_equal(proc_cores(behind, CORES_MAX), count); /* nobody else was pinned */
}

static void no_two_cores(void **state)
{
    (void)state;
    assert_true(isnan(core_latency_ns(0, 0)));
    assert_true(isnan(core_latency_ns(0, NO_CORE)));
    assert_true(isnan(core_latency_ns(NO_CORE, 0)));
}

static void what_is_alike(void **state)
{
    (void)state;
    assert_true(core_latency_alike(40, 40) && core_latency_alike(40, 59));
    assert_true(core_latency_alike(59, 40) && core_latency_alike(170, 190));
    assert_false(core_latency_alike(40, 60) || core_latency_alike(60, 40));
    assert_false(core_latency_alike(42, 180) || core_latency_alike(180, 42));
    assert_true(core_latency_alike(NAN, 180) && core_latency_alike(42, NAN));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_cores),
        cmocka_unit_test(no_two_cores),
        cmocka_unit_test(what_is_alike),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
