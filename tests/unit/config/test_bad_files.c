/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every tests/config/bad/NAME.yaml must print exactly NAME.expected. The paths are relative to that
 * folder, where the program goes.
 */
#include "core/config/config.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

enum { EXPECTED_MAX = 65536, NAME_BYTES = 300 };

static bool is_expected(const char *name)
{
    char expected_name[NAME_BYTES], *printed = NULL, *expected = calloc(1, EXPECTED_MAX);
    size_t len = 0;
    struct config_report report = {open_memstream(&printed, &len), 0, 0};
    struct config *config = config_load(name, &report);
    FILE *file;
    bool same;

    fclose(report.out);
    snprintf(expected_name, sizeof(expected_name), "%.*s.expected",
             (int)(strlen(name) - strlen(".yaml")), name);
    file = fopen(expected_name, "r");
    assert_non_null(expected);
    if (!file || fread(expected, 1, EXPECTED_MAX - 1, file) == 0) {
        fail_msg("%s is missing or empty", expected_name);
    }
    fclose(file);
    same = strcmp(expected, printed) == 0 && !config && report.error_count > 0;
    if (!same) {
        print_error("--- %s expected\n%s--- printed\n%s", name, expected, printed);
    }
    config_put(config);
    free(expected);
    free(printed);
    return same;
}

static void test_bad_files(void **state)
{
    DIR *folder = opendir(".");
    struct dirent *entry;
    int count = 0, failed = 0;

    (void)state;
    assert_non_null(folder);
    while ((entry = readdir(folder))) {
        size_t len = strlen(entry->d_name);

        if (len > 5 && strcmp(entry->d_name + len - 5, ".yaml") == 0) {
            failed += !is_expected(entry->d_name);
            count++;
        }
    }
    closedir(folder);
    assert_int_equal(failed, 0);
    assert_true(count >= 100);
}

static int setup(void **state)
{
    (void)state;
    return setenv("HOME", "/home/test", 1) || chdir(WEIR_SOURCE_DIR "/tests/config/bad");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_files),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
