/* SPDX-License-Identifier: Apache-2.0 */
/* Lines behind those of files: all of them or none, whatever was there. */
#include "core/tools/database_append.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char base[] = "/tmp/weir-append-XXXXXX";
static char dir[128];
static char path[DATABASE_PATH_CAP];

static int set_up(void **state)
{
    (void)state;
    memcpy(base + strlen(base) - 6, "XXXXXX", 6);
    if (!mkdtemp(base)) {
        return -1;
    }
    snprintf(dir, sizeof(dir), "%s/db", base);
    return 0;
}

static int tear_down(void **state)
{
    static const char *const names[] = {"a", "b", ".a.new", ".b.new"};
    char name[256];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        snprintf(name, sizeof(name), "%s/%s", dir, names[i]);
        unlink(name);
    }
    rmdir(name);
    return rmdir(dir) == 0 && rmdir(base) == 0 ? 0 : -1;
}

static void put(const char *name, const char *content, mode_t mode)
{
    char whole[256];
    FILE *file;

    snprintf(whole, sizeof(whole), "%s/%s", dir, name);
    file = fopen(whole, "w");
    assert_non_null(file);
    fputs(content, file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(whole, mode), 0);
}

/* Null: it is not there. */
static void check(const char *name, const char *expected)
{
    char whole[256];
    char content[256];
    size_t len;
    FILE *file;

    snprintf(whole, sizeof(whole), "%s/%s", dir, name);
    file = fopen(whole, "r");
    if (!expected) {
        assert_null(file);
        return;
    }
    assert_non_null(file);
    len = fread(content, 1, sizeof(content) - 1, file);
    content[len] = '\0';
    fclose(file);
    assert_string_equal(content, expected);
}

static int append(const char *a, const char *b)
{
    struct database_addition additions[] = {{"a", span_from_string(a)}, {"b", span_from_string(b)}};
    int lock = database_append_lock(dir);
    int failed;

    assert_true(lock >= 0);
    failed = database_append(lock, dir, additions, COUNT_OF(additions), path);
    close(lock);
    check(".a.new", NULL);
    check(".b.new", NULL);
    return failed;
}

static void test_append(void **state)
{
    char whole[256];
    struct stat status;

    (void)state;
    assert_int_equal(append("one\n", ""), 0); /* the folder and both files are made */
    check("a", "one\n");
    check("b", "");
    put("b", "no line feed", 0640);
    assert_int_equal(append("two\n", "three\n"), 0);
    check("a", "one\ntwo\n");
    check("b", "no line feed\nthree\n");
    snprintf(whole, sizeof(whole), "%s/b", dir);
    assert_int_equal(stat(whole, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0640);
    assert_int_equal(append("", ""), 0);
    check("a", "one\ntwo\n");
}

/* What a crash has left is no hindrance. */
static void test_left_over(void **state)
{
    (void)state;
    assert_int_equal(append("", ""), 0);
    put(".a.new", "half of", 0600);
    assert_int_equal(append("one\n", ""), 0);
    check("a", "one\n");
}

/* The second file cannot take it: the first one stays as it is. */
static void test_all_or_nothing(void **state)
{
    char *long_line = malloc(DATABASE_FILE_MAX);

    (void)state;
    assert_non_null(long_line);
    memset(long_line, 'x', DATABASE_FILE_MAX - 1);
    long_line[DATABASE_FILE_MAX - 1] = '\0';
    assert_int_equal(append("one\n", "two\n"), 0);
    assert_int_equal(append("three\n", long_line), -EFBIG);
    assert_string_equal(path + strlen(path) - 2, "/b");
    check("a", "one\n");
    check("b", "two\n");
    long_line[DATABASE_FILE_MAX - 6] = '\0'; /* the last byte that there is room for */
    assert_int_equal(append("three\n", long_line), 0);
    check("a", "one\nthree\n");
    free(long_line);
}

static void test_no_folder(void **state)
{
    char whole[256];

    (void)state;
    assert_int_equal(append("", ""), 0);
    put("a", "a file", 0600);
    snprintf(whole, sizeof(whole), "%s/a", dir);
    assert_int_equal(database_append_lock(whole), -ENOTDIR);
    assert_int_equal(database_append_lock("/proc/none/none"), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_append, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_left_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_all_or_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_folder, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
