/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every allocation of a load fails once, one by one: the load ends with an error or, where the
 * memory was only for a message, with fewer words; it never crashes and never leaks. The code under
 * test is compiled here, with its allocations turned to the failing ones.
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

static char *test_strdup_once(const char *text)
{
    return is_failing() ? NULL : strdup(text);
}

#define malloc  test_malloc_once
#define calloc  test_calloc_once
#define realloc test_realloc_once
#undef strdup
#define strdup test_strdup_once
#include "core/config/config.c"
#include "core/config/config_check.c"
#include "core/config/config_fields.c"
#include "core/config/config_read.c"
#include "core/config/config_report.c"
#include "core/config/config_value.c"
#include "core/config/config_yaml.c"
#undef malloc
#undef calloc
#undef realloc
#undef strdup

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const char good_text[] = "workers: 1\n"
                                "listeners: [{address: \"127.0.0.1:1\"}, {address: \":2\"}]\n"
                                "intercept:\n"
                                "  rules:\n"
                                "    - {host: [a.example, .b.example], port: 443, action: tunnel}\n"
                                "    - {name: x, sni: [\"\", c.example], action: refuse}\n"
                                "upstream: {trust_files: [/dev/null]}\n"
                                "dns: {servers: [192.0.2.1]}\n";

static const char bad_text[] = "workers: x\n"
                               "intercept: {rules: [{host: [a.example, b c], port: 0}]}\n"
                               "upstream: {trust_files: [/no/such/file]}\n"
                               "a: 1\nb: 2\nc: 3\nd: 4\ne: 5\nf: 6\ng: 7\n";

/* Returns the number of allocations of the load. */
static size_t load_failing(const char *text, size_t at, uint32_t *error_count)
{
    char *printed = NULL;
    size_t len = 0;
    struct config_report report = {open_memstream(&printed, &len), 0, 0};
    struct config *loaded;
    size_t count;

    allocation_count = 0;
    failing_allocation = at;
    loaded = config_load_text("test.yaml", span_from_string(text), &report);
    count = allocation_count;
    failing_allocation = 0;
    fclose(report.out);
    assert_int_equal(loaded == NULL, report.error_count != 0);
    if (!loaded) {
        assert_true(len > 0);
    }
    config_put(loaded);
    free(printed);
    *error_count = report.error_count;
    return count;
}

static void test_good_text(void **state)
{
    uint32_t errors;
    size_t count = load_failing(good_text, 0, &errors);

    (void)state;
    assert_int_equal(errors, 0);
    assert_true(count > 50);
    for (size_t at = 1; at <= count; at++) {
        (void)load_failing(good_text, at, &errors);
        assert_true(errors > 0);
    }
}

static void test_bad_text(void **state)
{
    uint32_t errors;
    size_t count = load_failing(bad_text, 0, &errors);

    (void)state;
    assert_int_equal(errors, 12);
    for (size_t at = 1; at <= count; at++) {
        (void)load_failing(bad_text, at, &errors);
        assert_true(errors > 0);
    }
}

static void test_file(void **state)
{
    (void)state;
    setenv("HOME", "/home/test", 1);
    for (size_t at = 1; at <= 2; at++) {
        char *printed = NULL;
        size_t len = 0;
        struct config_report report = {open_memstream(&printed, &len), 0, 0};

        allocation_count = 0;
        failing_allocation = at;
        assert_null(config_load("/dev/null", &report));
        failing_allocation = 0;
        fclose(report.out);
        assert_int_equal(report.error_count, 1);
        free(printed);
    }
}

static int setup(void **state)
{
    (void)state;
    return setenv("HOME", "/home/test", 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_text),
        cmocka_unit_test(test_bad_text),
        cmocka_unit_test(test_file),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
