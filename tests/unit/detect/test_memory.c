/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every allocation of loading, merging and deleting fails once, one by one: it ends with an error,
 * never crashes and never leaks (which the address sanitizer would tell). The code under test is
 * compiled here, with its allocations turned to the failing ones.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static size_t allocation_count;
static size_t failing_allocation; /* counted from 1; 0: none */

static int is_failing(void)
{
    return ++allocation_count == failing_allocation;
}

static void *test_malloc_once(size_t size)
{
    return is_failing() ? NULL : malloc(size);
}

static void *test_calloc_once(size_t count, size_t size)
{
    return is_failing() ? NULL : calloc(count, size);
}

static void *test_realloc_once(void *memory, size_t size)
{
    return is_failing() ? NULL : realloc(memory, size);
}

#define malloc      test_malloc_once
#define calloc      test_calloc_once
#define realloc     test_realloc_once
#define FIELD_COUNT MITM_FIELD_COUNT
#include "detect/mitm_info.c"
#undef FIELD_COUNT
#define has list_has
#include "detect/list_signature.c"
#undef has
#include "detect/words.c"
#define PART_COUNT RECORD_PART_COUNT
#define CAP_FIRST  RECORD_CAP_FIRST
#include "detect/record.c"
#undef PART_COUNT
#undef CAP_FIRST
#include "detect/database.c"
#include "detect/merge.c"
#undef malloc
#undef calloc
#undef realloc

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const char text[] = "1:1:1:1:1:1:|303:1301,?2f:0,a:17:0:*via:|Acme:0:0\n"
                           "1:2:1:1:1:1:|303:1301,c02b:0,a:17:0:*host:|:0:0\n"
                           "4:2:1:1:1:1:q|303:1301,c02b:0,a:17:0:*host:|:0:0\n";

/* Is the whole of it done? */
static bool run_all(void)
{
    struct database_options options = {.mode = DETECT_DEFAULT,
                                       .browsers = {span_from_string(text), "b"},
                                       .products = {span_from_string(text), "p"},
                                       .bad_headers = {SPAN_LITERAL("x\ny\n"), "h"}};
    struct record_faults faults;
    struct database *db = database_new(&options, &faults);

    if (!db) {
        assert_int_equal(faults.count, 1);
        assert_ptr_equal(faults.items[0].expected, detect_fault_no_memory);
        return false;
    }
    assert_int_equal(faults.count, 0);
    database_free(db);
    return true;
}

static bool keep_none(void *state, const struct record_list *list, const struct record *record)
{
    (void)state;
    (void)list;
    (void)record;
    return true;
}

static bool run_merge(void)
{
    struct record_faults faults = {0};
    struct words *words = words_new();
    struct record_list list;
    bool done;

    if (!words) {
        return false;
    }
    record_list_init(&list, words, DETECT_DEFAULT);
    done = record_list_load(&list, span_from_string(text), "t", &faults) &&
           record_list_merge_browsers(&list) && record_list_merge_products(&list) &&
           list.count == 2 && record_list_delete_by(&list, keep_none, NULL) && list.count == 0;
    record_list_fini(&list);
    words_free(words);
    return done;
}

static size_t fail_each(bool (*run)(void))
{
    size_t total;

    failing_allocation = 0;
    allocation_count = 0;
    assert_true(run());
    total = allocation_count;
    for (size_t i = 1; i <= total; i++) {
        failing_allocation = i;
        allocation_count = 0;
        assert_false(run());
    }
    failing_allocation = 0;
    return total;
}

static void test_load(void **state)
{
    (void)state;
    assert_true(fail_each(run_all) > 50);
}

static void test_merge(void **state)
{
    (void)state;
    assert_true(fail_each(run_merge) > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_load),
        cmocka_unit_test(test_merge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
