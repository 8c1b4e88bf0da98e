/* SPDX-License-Identifier: Apache-2.0 */
/* What the benchmarks measure with: hellos of the size that they claim, made-up questions with the
 * answers that they are made for, figures, and the look at the heap. */
#include "bench/measure.h"
#include "bench/mix.h"
#include "bench/sample_hello.h"
#include "core/base/clock.h"
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
    static struct mix_room room;
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
        mix_ask(&room, mix.items[i]);
        detect_check(db, &room.question, &report);
        verdicts[report.verdict]++;
        product_count += report.product != NULL;
    }
    assert_int_equal(verdicts[VERDICT_GENUINE], MIX_MADE_UP_COUNT / 2);
    assert_int_equal(verdicts[VERDICT_INTERCEPTED], MIX_MADE_UP_COUNT / 2);
    assert_int_equal(product_count, MIX_MADE_UP_COUNT / 4);
    mix_fini(&mix);
    database_free(db);
}

/* Put together in a room where another was, a question is what it was. */
static void questions_are_packed_whole(void **state)
{
    static struct mix_room room, again;
    static const struct {
        const char *ua;
        const char *request;
    } texts[] = {
        {"1:131.0.0:1:2:10.0.0:1:a,bc", "303:1301,c02b:0,a,b:1d,17:0,1:host,,accept:compr"},
        {"4:1:1:2:-5:1:", "::::::"},
        {"100:65536:1:2:10:1:q", "302:5::1d::x:"},
    };
    struct detect_fault fault;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct mix_question *item;
        char printed[2][256];
        struct text out[2] = {text_make(printed[0], 256), text_make(printed[1], 256)};

        room.question = (struct detect_question){
            .ua = &room.ua, .request = &room.request, .raw_ua = SPAN_LITERAL("raw"), .today = 7};
        assert_true(ua_fingerprint_parse(&room.ua, span_from_string(texts[i].ua), &fault));
        assert_true(
            request_fingerprint_parse(&room.request, span_from_string(texts[i].request), &fault));
        item = mix_question_new(&room.question);
        assert_non_null(item);
        mix_ask(&again, item);
        ua_fingerprint_print(&out[0], &room.ua);
        request_fingerprint_print(&out[0], &room.request);
        ua_fingerprint_print(&out[1], again.question.ua);
        request_fingerprint_print(&out[1], again.question.request);
        assert_true(span_equal(text_view(&out[0]), text_view(&out[1])));
        assert_true(span_equal(again.question.raw_ua, SPAN_LITERAL("raw")));
        assert_int_equal(again.question.today, 7);
        free(item);
    }
}

/* A set with a record more differs in it alone. */
static void sets_differ_in_one_record(void **state)
{
    struct database *db = mix_database(NULL, DETECT_DEFAULT, stderr);
    struct database *same = mix_database(NULL, DETECT_DEFAULT, stderr);
    struct database *other;

    (void)state;
    assert_non_null(db);
    assert_non_null(same);
    other = mix_database_with(NULL, db, 1000, stderr);
    assert_non_null(other);
    assert_int_equal(database_browsers(other)->count, database_browsers(db)->count + 1);
    assert_int_equal(database_products(other)->count, database_products(db)->count);
    assert_true(database_digest_equal(database_digest(db), database_digest(same)));
    assert_false(database_digest_equal(database_digest(db), database_digest(other)));
    database_free(other);
    database_free(same);
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
    /* What takes no time, however often, ends all the same. */
    assert_true(result.operation_count > 0);
    assert_true(result.operation_count % 3 == 0 && result.operation_count <= count);
    assert_true(result.cpu.min <= result.cpu.median && result.cpu.median <= result.cpu.high);
}

static void burn(int64_t ns)
{
    int64_t end_ns = measure_cpu_ns() + ns;

    while (measure_cpu_ns() < end_ns) {
    }
}

/* Ten times as long as what counts. */
static void burn_aside(void *context, size_t count)
{
    (void)context;
    for (size_t i = 0; i < count; i++) {
        burn(50 * NS_PER_US);
        measure_pause();
        burn(500 * NS_PER_US);
        measure_resume();
    }
}

static void pauses_do_not_count(void **state)
{
    static const struct measure_work work = {burn_aside, NULL, 1};
    struct measure_result result = measure_run(&work, 20 * NS_PER_MS);

    (void)state;
    assert_true(result.cpu.median >= 50 * NS_PER_US);
    assert_true(result.cpu.median < 250 * NS_PER_US);
    assert_true(result.cpu.min <= result.cpu.low && result.cpu.high <= result.cpu.max);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hellos_have_their_size),
        cmocka_unit_test(made_up_questions_have_answers),
        cmocka_unit_test(questions_are_packed_whole),
        cmocka_unit_test(sets_differ_in_one_record),
        cmocka_unit_test(figures_are_of_sorted_values),
        cmocka_unit_test(an_allocation_is_seen),
        cmocka_unit_test(batches_are_whole_steps),
        cmocka_unit_test(pauses_do_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
