/* SPDX-License-Identifier: Apache-2.0 */
#include "core/engine/hosts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static size_t find(const struct hosts *hosts, const char *name, const struct hosts_row **rows)
{
    return hosts_find(hosts, span_from_string(name), rows);
}

static void test_file(void **state)
{
    static const char file[] = "# comment\n"
                               "\n"
                               "192.0.2.1\tOne.Test one   1.test.\r\n"
                               "  2001:db8::1 one.test # and not this.test\n"
                               "192.0.2.3 one.test two.test#glued\n"
                               "not.an.address three.test\n"
                               "192.0.2.4\n"
                               "fe80::1%lo zone.test\n"
                               "192.0.2.5 bad..name good.test -x.test\n"
                               "192.0.2.6 last.test";
    struct hosts hosts;
    const struct hosts_row *rows;

    (void)state;
    assert_int_equal(hosts_init(&hosts, span_make(file, sizeof(file) - 1)), 0);
    assert_false(hosts.is_clipped);
    assert_int_equal(find(&hosts, "one.test", &rows), 3); /* in the order of the file */
    assert_memory_equal(rows[0].address, "\xc0\0\2\1", 4);
    assert_int_equal(rows[1].address_len, 16);
    assert_memory_equal(rows[2].address, "\xc0\0\2\3", 4);
    assert_int_equal(find(&hosts, "one", &rows), 1);
    assert_int_equal(find(&hosts, "1.test", &rows), 1);
    assert_int_equal(find(&hosts, "two.test", &rows), 1);
    assert_int_equal(find(&hosts, "good.test", &rows), 1);
    assert_int_equal(find(&hosts, "last.test", &rows), 1);
    assert_int_equal(rows[0].address_len, 4);
    assert_int_equal(find(&hosts, "this.test", &rows), 0);
    assert_int_equal(find(&hosts, "three.test", &rows), 0);
    assert_int_equal(find(&hosts, "zone.test", &rows), 0);
    assert_int_equal(find(&hosts, "one.tes", &rows), 0);
    assert_int_equal(find(&hosts, "one.test.", &rows), 0);
    assert_int_equal(find(&hosts, "", &rows), 0);
    assert_null(rows);
    hosts_fini(&hosts);
    assert_int_equal(hosts_init(&hosts, span_make(NULL, 0)), 0);
    assert_int_equal(find(&hosts, "one.test", &rows), 0);
    hosts_fini(&hosts);
}

static void test_bounds(void **state)
{
    enum { LINE = 25, LINES = HOSTS_BYTES_MAX / LINE + 10 };
    char *file = malloc((size_t)LINE * LINES + 8);
    const struct hosts_row *rows;
    struct hosts hosts;

    (void)state;
    assert_non_null(file);
    for (int i = 0; i < LINES; i++) {
        snprintf(file + (size_t)i * LINE, LINE + 8, "192.0.2.1 name%05d.test\n", i);
    }
    assert_int_equal(hosts_init(&hosts, span_make(file, (size_t)LINE * LINES)), 0);
    assert_true(hosts.is_clipped);
    assert_int_equal(hosts.count, HOSTS_BYTES_MAX / LINE);
    assert_int_equal(find(&hosts, "name00000.test", &rows), 1);
    assert_int_equal(find(&hosts, "name41942.test", &rows), 1);
    assert_int_equal(find(&hosts, "name41943.test", &rows), 0); /* half of it was in the bound */
    hosts_fini(&hosts);
    memcpy(file, "::1", 3);
    for (size_t i = 3; i < (size_t)LINE * LINES; i += 2) {
        memcpy(file + i, " a", 2);
    }
    file[HOSTS_BYTES_MAX - 1] = '\n';
    assert_int_equal(hosts_init(&hosts, span_make(file, HOSTS_BYTES_MAX)), 0);
    assert_true(hosts.is_clipped);
    assert_int_equal(hosts.count, HOSTS_NAMES_MAX);
    hosts_fini(&hosts);
    free(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
