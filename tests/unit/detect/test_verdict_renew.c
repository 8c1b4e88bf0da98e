/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a publisher asks for readers, before its set is current. The code under test is compiled
 * here, with the seams that the tests need.
 */
#include "tests/unit/detect/verdict_kit.h"

static size_t check_count;
static bool is_memory_out;
static struct fixture *asked_in_check; /* if any, of these questions */
static struct asked *asked_then;

static void ask_in_check(void);

static void seam_check(const struct database *db, const struct detect_question *question,
                       struct detect_report *report)
{
    check_count++;
    if (asked_in_check) {
        ask_in_check();
    }
    detect_check(db, question, report);
}

static void *aligned_alloc_while(size_t alignment, size_t len)
{
    return is_memory_out ? NULL : aligned_alloc(alignment, len);
}

#define aligned_alloc aligned_alloc_while
#define detect_check  seam_check
#include "detect/verdict_table.c"
#undef aligned_alloc
#undef detect_check

/* ---- tests ---- */

/* What changes with a set is found done by who asks first, if it was asked since the last one. */
static void test_renewed(void **state)
{
    struct fixture f = begin(64);
    struct asked asked[ASKED_COUNT];
    struct verdict_report report;

    (void)state;
    ask_all(asked);
    publish(f.table, 1);
    assert_true(verdict_lookup(f.reader, &asked[2].question, &report));
    for (uint64_t number = 2; number <= 4; number++) {
        check_count = 0;
        publish(f.table, number);
        assert_int_equal(check_count, 1);
        assert_int_equal(verdict_table_figures(f.table).renewed, number - 1);
        assert_true(verdict_lookup(f.reader, &asked[2].question, &report));
        assert_true(report.serial == number && is_of_set(&report, 2));
        assert_int_equal(f.reader->counts.misses, 1);
        assert_int_equal(check_count, 1);
    }
    /* Nobody asks the fifth. */
    publish(f.table, 5);
    check_count = 0;
    publish(f.table, 6);
    assert_int_equal(check_count, 0);
    assert_true(verdict_lookup(f.reader, &asked[2].question, &report));
    assert_true(report.serial == 6 && is_of_set(&report, 2));
    assert_int_equal(f.reader->counts.misses, 2);
    end(&f);
}

static void ask_in_check(void)
{
    struct verdict_report report;
    uint64_t misses = asked_in_check->reader->counts.misses;

    for (size_t i = 0; i < ASKED_COUNT; i++) {
        assert_true(verdict_lookup(asked_in_check->reader, &asked_then[i].question, &report));
        assert_int_equal(report.serial, 1);
        assert_true(is_of_set(&report, i));
    }
    assert_int_equal(asked_in_check->reader->counts.misses, misses);
}

/* Until a set is current, what is made of it is nobody's answer, nor in the way of those that are.
 */
static void test_asked_in_renewal(void **state)
{
    struct fixture f = begin(64);
    struct asked asked[ASKED_COUNT];
    struct verdict_report report;

    (void)state;
    ask_all(asked);
    publish(f.table, 1);
    for (size_t i = 0; i < ASKED_COUNT; i++) {
        assert_true(verdict_lookup(f.reader, &asked[i].question, &report));
    }
    check_count = 0;
    asked_in_check = &f;
    asked_then = asked;
    publish(f.table, 2);
    asked_in_check = NULL;
    assert_int_equal(check_count, 3);
    for (size_t i = 0; i < ASKED_COUNT; i++) {
        assert_true(verdict_lookup(f.reader, &asked[i].question, &report));
        assert_true(report.serial == 2 && is_of_set(&report, i));
    }
    assert_int_equal(f.reader->counts.misses, ASKED_COUNT);
    end(&f);
}

/* Neither what the current set says is replaced for the next one, nor what that one says again: one
 * question has two answers in turn, the other a new one in each set. */
static void test_spared_in_renewal(void **state)
{
    struct fixture f = begin(WAY_COUNT);
    struct asked asked[ASKED_COUNT];
    struct verdict_report report;

    (void)state;
    ask_all(asked);
    for (uint64_t number = 1; number <= 6; number++) {
        publish(f.table, number);
        for (size_t i = 0; i <= 2; i += 2) {
            assert_true(verdict_lookup(f.reader, &asked[i].question, &report));
            assert_true(report.serial == number && is_of_set(&report, i));
        }
    }
    assert_int_equal(f.reader->counts.misses, 2);
    assert_int_equal(verdict_table_figures(f.table).renewed, 6);
    end(&f);
}

/* A full bucket, of entries that are all in use: whatever is replaced, answers are right. */
static void test_renewed_in_full(void **state)
{
    struct fixture f = begin(WAY_COUNT);
    struct asked asked[ASKED_COUNT];
    struct verdict_report report;

    (void)state;
    ask_all(asked);
    for (uint64_t number = 1; number <= 8; number++) {
        publish(f.table, number);
        for (size_t i = 0; i < 2 * ASKED_COUNT; i++) {
            assert_true(verdict_lookup(f.reader, &asked[i % ASKED_COUNT].question, &report));
            assert_true(report.serial == number && is_of_set(&report, i % ASKED_COUNT));
        }
        assert_true(f.table->renewer.reader.retired_count <= VERDICT_RETIRED_MAX);
    }
    assert_true(verdict_table_figures(f.table).renewed > 0);
    end(&f);
}

/* No more than so many checks; the rest is left to readers. Without memory, all is. */
static void test_renewed_bound(void **state)
{
    static const unsigned counts[] = {VERDICT_RENEWED_MAX - 1, VERDICT_RENEWED_MAX,
                                      VERDICT_RENEWED_MAX + 1};
    char text[128];
    struct asked asked;
    struct verdict_report report;

    (void)state;
    for (size_t i = 0; i <= COUNT_OF(counts); i++) {
        struct fixture f = begin(65536);
        unsigned count = i < COUNT_OF(counts) ? counts[i] : 8;

        publish(f.table, 1);
        for (unsigned k = 0; k < count; k++) {
            snprintf(text, sizeof(text), "303:1301,%x:0,a:17:0::", k + 0x4000);
            ask(&asked, "1:72:1:2:10:1:", text);
            assert_true(verdict_lookup(f.reader, &asked.question, &report));
        }
        assert_int_equal(f.reader->counts.stored, count);
        check_count = 0;
        is_memory_out = i == COUNT_OF(counts);
        assert_true(verdict_table_publish(f.table, make_set(2)));
        is_memory_out = false;
        assert_int_equal(check_count, count < VERDICT_RENEWED_MAX ? count : VERDICT_RENEWED_MAX);
        assert_int_equal(verdict_table_figures(f.table).renewed,
                         i < COUNT_OF(counts) ? check_count : 0);
        assert_true(verdict_lookup(f.reader, &asked.question, &report));
        assert_int_equal(report.serial, 2);
        end(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_renewed),           cmocka_unit_test(test_asked_in_renewal),
        cmocka_unit_test(test_spared_in_renewal), cmocka_unit_test(test_renewed_in_full),
        cmocka_unit_test(test_renewed_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
