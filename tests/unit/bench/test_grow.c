/* SPDX-License-Identifier: Apache-2.0 */
/* How costs grow: the verdict on a curve, what is asked for, what is written. */
#include "bench/grow.h"
#include "bench/grow_results.h"
#include "core/base/clock.h"
#include "core/options.h"
#include "core/tools/json_lines.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

enum { ROUNDS = 3 };

/* Amounts are 10, 100, ...; the rounds are so much below, at and above the costs. */
static struct grow_line make_line(enum grow_curve curve, const double *costs, size_t count,
                                  double spread)
{
    struct grow_line line = {.curve = curve, .count = count};
    unsigned amount = 10;

    for (size_t i = 0; i < count; i++, amount *= 10) {
        line.points[i] = (struct grow_point){
            .amount = amount,
            .rounds = ROUNDS,
            .costs = {costs[i], costs[i] - spread, costs[i] + spread},
            .bytes = NAN,
            .load_ns = {NAN, NAN, NAN},
        };
    }
    return line;
}

static void verdicts(void **state)
{
    static const struct {
        double costs[4];
        size_t count;
        double spread;
        enum grow_verdict verdict;
    } rows[] = {
        {{10, 30}, 2, 0, GROW_TOO_SHORT},
        {{10, NAN, 30}, 3, 0, GROW_TOO_SHORT},
        {{10, 20, NAN}, 3, 0, GROW_TOO_SHORT},
        {{10, 10, 10, 10}, 4, 0, GROW_FLAT},
        {{10, 9, 8, 7}, 4, 0, GROW_FLAT},
        {{10, 10, 10, 12.5}, 4, 0, GROW_FLAT},
        {{10, 10, 10, 12.6}, 4, 0, GROW_BENDS},
        {{10, 10, 10, 12.6}, 4, 1.4, GROW_STRAIGHT}, /* the spread allows for it */
        {{10, 10, 10, 12.6}, 4, 0.5, GROW_BENDS},
        {{10, 12, 14, 16}, 4, 0, GROW_STRAIGHT},
        {{10, 12, 16, 20}, 4, 0, GROW_STRAIGHT}, /* as steep as before */
        {{10, 20, 21, 22}, 4, 0, GROW_STRAIGHT},
        {{10, 12, 16, 24}, 4, 0, GROW_BENDS},
        {{10, 100, 1000}, 3, 9, GROW_BENDS},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct grow_line line =
            make_line(GROW_FORWARD, rows[i].costs, rows[i].count, rows[i].spread);

        assert_int_equal(grow_judge(&line), rows[i].verdict);
        assert_non_null(grow_verdict_name(rows[i].verdict));
    }
}

static void numbers(void **state)
{
    static const double costs[] = {10, 10, 20, 40};
    struct grow_line line = make_line(GROW_FORWARD, costs, 4, 1);

    (void)state;
    line.points[3].amount = 9000;
    assert_true(grow_median(&line, 2) == 20);
    assert_true(grow_ratio(&line, 0) == 1 && grow_ratio(&line, 3) == 4);
    assert_true(isnan(grow_slope(&line, 0)));
    assert_true(fabs(grow_slope(&line, 2) - 10) < 1e-9);
    assert_true(fabs(grow_slope(&line, 3) - 20 / log10(9)) < 1e-9);
}

/* What loads from memory explain does not bend; and only tables are looked at so. */
static void memory(void **state)
{
    static const double costs[] = {50, 60, 650};
    static const double loads_ns[][3] = {{1, 2, 51}, {1, 2, 50.9}};
    struct grow_line line = make_line(GROW_LEAF, costs, 3, 0);

    (void)state;
    assert_int_equal(grow_judge(&line), GROW_BENDS);
    for (size_t row = 0; row < COUNT_OF(loads_ns); row++) {
        for (size_t i = 0; i < line.count; i++) {
            for (size_t r = 0; r < ROUNDS; r++) {
                line.points[i].load_ns[r] = loads_ns[row][i];
            }
        }
        assert_int_equal(grow_judge(&line), row ? GROW_BENDS : GROW_WAITS);
    }
    assert_true(isnan(grow_loads(&line, 0)));
    assert_true(fabs(grow_loads(&line, 1) - 10) < 1e-9);
    line.curve = GROW_FORWARD;
    assert_true(isnan(grow_load_median(&line, 1)));
    assert_int_equal(grow_judge(&line), GROW_BENDS);
}

static void rows_are_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < GROW_CURVE_COUNT; i++) {
        const struct grow_curve_row *row = &grow_curves[i];
        size_t count = 0;

        while (count < GROW_POINTS_MAX && row->points[count]) {
            assert_true(count == 0 || row->points[count] > row->points[count - 1]);
            assert_true(row->points[count] <= row->max);
            count++;
        }
        assert_true(count >= 3 && count < GROW_POINTS_MAX);
        assert_true(row->max <= GROW_POINT_MAX);
        assert_true(strcmp(row->unit, "us") == 0 || strcmp(row->unit, "ns") == 0);
    }
}

static int parse(struct load_options *options, char **words, size_t count, char **complaint)
{
    size_t len;
    FILE *err = open_memstream(complaint, &len);
    int status = load_options_parse(LOAD_VERB_GROW, words, count, options, stdout, err);

    fclose(err);
    return status;
}

static void good_options(void **state)
{
    static char *words[] = {"--points", "10,200,1000000", "--curves=leaf,unknown", "--rate", "100"};
    static struct load_options options;
    char *complaint;

    (void)state;
    assert_int_equal(parse(&options, words, COUNT_OF(words), &complaint), -1);
    assert_int_equal(options.point_count, 3);
    assert_int_equal(options.points[1], 200);
    assert_int_equal(options.points[2], GROW_POINT_MAX);
    assert_int_equal(options.rate_hz, 100);
    for (int i = 0; i < GROW_CURVE_COUNT; i++) {
        assert_int_equal(options.has_curve[i], i == GROW_LEAF || i == GROW_UNKNOWN);
    }
    free(complaint);
    assert_int_equal(parse(&options, NULL, 0, &complaint), -1);
    assert_true(options.has_curve[0] && options.point_count == 0);
    free(complaint);
}

static void bad_options(void **state)
{
    static const struct {
        const char *words[2];
        const char *complaint;
    } rows[] = {
        {{"--points", "0"}, "up to 8 numbers from 1 to 1000000"},
        {{"--points", "1000001"}, "up to 8 numbers"},
        {{"--points", "10,10"}, "each above the one before"},
        {{"--points", "10,"}, "up to 8 numbers"},
        {{"--points", "1,2,3,4,5,6,7,8,9"}, "up to 8 numbers"},
        {{"--curves", "laef"}, "did you mean \"leaf\"?"},
        {{"--connections", "10"}, "unknown option"},
    };
    static struct load_options options;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char *words[] = {(char *)(uintptr_t)rows[i].words[0], (char *)(uintptr_t)rows[i].words[1]};
        char *complaint;

        assert_int_equal(parse(&options, words, 2, &complaint), EXIT_STATUS_USAGE);
        assert_non_null(strstr(complaint, rows[i].complaint));
        free(complaint);
    }
}

/* No point that is asked for is one of the curve. */
static void no_points(void **state)
{
    static struct load_options options = {
        .has_curve = {[GROW_FORWARD] = true}, .points = {9001}, .point_count = 1};
    char *complaint;
    size_t len;
    FILE *err = open_memstream(&complaint, &len);

    (void)state;
    assert_int_equal(grow_run(&options, stdout, err), EXIT_STATUS_USAGE);
    fclose(err);
    assert_non_null(strstr(complaint, "--points: none"));
    free(complaint);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verdicts),     cmocka_unit_test(numbers),
        cmocka_unit_test(memory),       cmocka_unit_test(rows_are_whole),
        cmocka_unit_test(good_options), cmocka_unit_test(bad_options),
        cmocka_unit_test(no_points),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
