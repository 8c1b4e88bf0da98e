/* SPDX-License-Identifier: Apache-2.0 */
/* Histograms of durations: how exact they are, at their edges and when merged. */
#include "bench/histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

static struct histogram a, b;

static int clear(void **state)
{
    (void)state;
    a = b = (struct histogram){0};
    return 0;
}

static void empty(void **state)
{
    (void)state;
    assert_int_equal(histogram_quantile(&a, 0.5), 0);
    assert_true(histogram_mean(&a) == 0);
}

/* A value alone is told exactly, since none was larger. */
static void one_value(void **state)
{
    static const int64_t values[] = {0, 1, 127, 128, 129, 255, 256, 1000000, (1LL << 37) - 1};

    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        clear(state);
        histogram_add(&a, values[i]);
        assert_int_equal(histogram_quantile(&a, 0), values[i]);
        assert_int_equal(histogram_quantile(&a, 1), values[i]);
    }
}

/* Of any two values that are 0.8 % apart, or 1, the smaller one is told without the larger. */
static void exact_to_a_hundredth(void **state)
{
    (void)state;
    for (int64_t value = 1; value < 1LL << 37; value += value / 3 + 1) {
        int64_t told;

        clear(state);
        histogram_add(&a, value);
        histogram_add(&a, (1LL << 37) - 1);
        told = histogram_quantile(&a, 0.5);
        assert_true(told >= value);
        assert_true(told - value <= value / 128 + (value < 128 ? 0 : 1));
    }
}

static void quantiles(void **state)
{
    (void)state;
    for (int64_t value = 1; value <= 100; value++) {
        histogram_add(&a, value);
    }
    assert_int_equal(histogram_quantile(&a, 0.5), 50);
    assert_int_equal(histogram_quantile(&a, 0.99), 99);
    assert_int_equal(histogram_quantile(&a, 0.991), 100);
    assert_int_equal(histogram_quantile(&a, 0.001), 1);
    assert_true(histogram_mean(&a) == 50.5);
}

static void out_of_range(void **state)
{
    (void)state;
    histogram_add(&a, -5);
    histogram_add(&a, INT64_MAX / 2);
    assert_int_equal(histogram_quantile(&a, 0.5), 0);
    assert_int_equal(histogram_quantile(&a, 1), INT64_MAX / 2);
}

static void merged(void **state)
{
    (void)state;
    for (int64_t value = 1; value <= 50; value++) {
        histogram_add(&a, value);
        histogram_add(&b, value + 50);
    }
    histogram_merge(&a, &b);
    assert_int_equal(a.count, 100);
    assert_int_equal(a.max, 100);
    assert_int_equal(histogram_quantile(&a, 0.9), 90);
    assert_true(histogram_mean(&a) == 50.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(empty, clear),
        cmocka_unit_test_setup(one_value, clear),
        cmocka_unit_test_setup(exact_to_a_hundredth, clear),
        cmocka_unit_test_setup(quantiles, clear),
        cmocka_unit_test_setup(out_of_range, clear),
        cmocka_unit_test_setup(merged, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
