/* SPDX-License-Identifier: Apache-2.0 */
/* What the benchmarks measure with: hellos of the size that they claim, made-up questions with the
 * answers that they are made for, figures, and the look at the heap. */
#include "bench/measure.h"
#include "bench/mix.h"
#include "bench/sample_hello.h"
#include "tls/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static struct client_hello parse(uint8_t room[SAMPLE_HELLO_MAX], enum sample_hello which,
                                 size_t len)
{
    struct span wire = sample_hello_make(room, which);
    struct record_scan scan = {0};
    struct client_hello_fault fault;
    struct client_hello hello;
    struct span message;

    assert_int_equal(wire.len, len);
    assert_int_equal(record_gather_hello(&scan, wire, NULL, &message), RECORD_DONE);
    assert_true(client_hello_parse(&hello, message, &fault));
    return hello;
}

static void hellos_have_their_size(void **state)
{
    static uint8_t room[SAMPLE_HELLO_MAX];
    struct client_hello small = parse(room, SAMPLE_HELLO_SMALL, 517);
    struct client_hello large;

    (void)state;
    assert_true(client_hello_has(&small, 21));
    assert_true(tls_is_grease((uint16_t)(small.ciphers.data[0] << 8 | small.ciphers.data[1])));
    assert_true(span_equal(small.sni, SPAN_LITERAL("www.example.com")));
    large = parse(room, SAMPLE_HELLO_LARGE, 1843);
    assert_false(client_hello_has(&large, 21));
    /* GREASE, X25519MLKEM768 and X25519, each with group and length. */
    assert_int_equal(large.key_shares.len, 4 + 1 + 4 + 1216 + 4 + 32);
}

static void made_up_questions_have_answers(void **state)
{
    static struct detect_report report;
    size_t verdicts[VERDICT_INTERCEPTED + 1] = {0};
    size_t product_count = 0;
    struct database *db = mix_database(NULL, DETECT_DEFAULT, stderr);
    struct mix mix;

    (void)state;
    assert_non_null(db);
    assert_int_equal(database_browsers(db)->count, 320);
    assert_int_equal(database_products(db)->count, 64);
    assert_true(mix_make_up(&mix));
    assert_int_equal(mix.count, MIX_MADE_UP_COUNT);
    for (size_t i = 0; i < mix.count; i++) {
        detect_check(db, &mix.items[i]->question, &report);
        verdicts[report.verdict]++;
        product_count += report.product != NULL;
    }
    assert_int_equal(verdicts[VERDICT_GENUINE], MIX_MADE_UP_COUNT / 2);
    assert_int_equal(verdicts[VERDICT_INTERCEPTED], MIX_MADE_UP_COUNT / 2);
    assert_int_equal(product_count, MIX_MADE_UP_COUNT / 4);
    mix_fini(&mix);
    database_free(db);
}

static void figures_are_of_sorted_values(void **state)
{
    double values[] = {9, 1, 8, 2, 7, 3, 6, 4, 5, 100};
    struct measure_figure figure = measure_summarise(values, COUNT_OF(values));

    (void)state;
    assert_true(figure.min == 1 && figure.median == 5.5 && figure.low == 2 && figure.high == 9);
    figure = measure_summarise(values, 1);
    assert_true(figure.min == 1 && figure.median == 1 && figure.low == 1 && figure.high == 1);
}

static void do_nothing(void *context, size_t count)
{
    *(size_t *)context += count;
}

static void allocate(void *context, size_t count)
{
    void *memory = malloc(24);

    measure_keep(memory);
    free(memory);
    do_nothing(context, count);
}

static void an_allocation_is_seen(void **state)
{
    size_t count = 0;
    struct measure_work work = {do_nothing, &count, 3};
    enum measure_heap quiet = measure_heap(&work);
    enum measure_heap loud;

    (void)state;
    work.run = allocate;
    loud = measure_heap(&work);
    if (quiet == MEASURE_HEAP_UNKNOWN) {
        assert_int_equal(loud, MEASURE_HEAP_UNKNOWN); /* a sanitizer's allocator */
        return;
    }
    assert_int_equal(count, 6);
    assert_int_equal(quiet, MEASURE_HEAP_UNTOUCHED);
    assert_int_equal(loud, MEASURE_HEAP_TOUCHED);
}

static void batches_are_whole_steps(void **state)
{
    size_t count = 0;
    struct measure_work work = {do_nothing, &count, 3};
    struct measure_result result = measure_run(&work, 1);

    (void)state;
    assert_true(result.batch_count >= MEASURE_BATCHES_MIN);
    assert_true(result.operation_count % 3 == 0 && result.operation_count <= count);
    assert_true(result.cpu.min <= result.cpu.median && result.cpu.median <= result.cpu.high);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hellos_have_their_size),
        cmocka_unit_test(made_up_questions_have_answers),
        cmocka_unit_test(figures_are_of_sorted_values),
        cmocka_unit_test(an_allocation_is_seen),
        cmocka_unit_test(batches_are_whole_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
