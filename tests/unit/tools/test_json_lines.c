/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tools/json_lines.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

/* Sets "len" to the length of the column "a"; refuses "no". */
static bool answer_len(void *context, const json_t *line, json_t *results, struct text *error)
{
    struct span value;

    ++*(int *)context;
    if (!json_lines_string(line, "a", &value, error)) {
        return false;
    }
    if (span_equal(value, SPAN_LITERAL("no"))) {
        json_object_set_new(results, "len", json_integer(0));
        text_string(error, "a: \"no\"");
        return false;
    }
    return json_object_set_new(results, "len", json_integer((json_int_t)value.len)) == 0;
}

static char *run(struct span given, int *calls)
{
    char *out = NULL;
    size_t len;
    FILE *stream = open_memstream(&out, &len);
    struct input in;

    assert_non_null(stream);
    assert_true(input_init_memory(&in, given));
    *calls = 0;
    assert_int_equal(json_lines_run(&in, stream, answer_len, calls), 0);
    input_fini(&in);
    fclose(stream);
    return out;
}

static void test_answers(void **state)
{
    static const struct {
        const char *line, *answer;
    } rows[] = {
        {"{\"a\":\"xy\"}", "{\"a\":\"xy\",\"len\":2}\n"},
        {" {\t\"b\" : [ 1, {\"}\":\"]\"} ] , \"a\" : \"\" } \r",
         "{\"b\":[ 1, {\"}\":\"]\"} ],\"a\":\"\",\"len\":0}\n"},
        {"{\"len\":7,\"a\":\"\\u0000\",\"l\\u0065n \":1.50}",
         "{\"a\":\"\\u0000\",\"l\\u0065n \":1.50,\"len\":1}\n"},
        {"{\"a\":\"x\",\"l\\u0065n\":5}", "{\"a\":\"x\",\"len\":1}\n"}, /* the same name */
        {"{\"q\\\"\\\\\":\"\\\\\\\"\",\"a\":\"z\"}",
         "{\"q\\\"\\\\\":\"\\\\\\\"\",\"a\":\"z\",\"len\":1}\n"},
        {"{}", "{\"error\":\"a: missing; a string expected\"}\n"},
        {"{\"a\":null,\"b\":1e5}", "{\"a\":null,\"b\":1e5,\"error\":\"a: a string expected\"}\n"},
        {"{\"error\":1,\"a\":\"no\"}", "{\"a\":\"no\",\"error\":\"a: \\\"no\\\"\"}\n"},
        {"7", "{\"error\":\"line 1: an object expected\"}\n"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int calls;
        char *out = run(span_from_string(rows[i].line), &calls);

        assert_string_equal(out, rows[i].answer);
        free(out);
    }
}

/* As many answers as lines, in order, whatever the lines are. */
static void test_each_line(void **state)
{
    int calls;
    char *out =
        run(SPAN_LITERAL("{\"a\":\"1\"}\n\n{\"a\":\"\xff\"}\nx\n{\"a\":\"22\"}\n{\"a\""), &calls);

    (void)state;
    assert_int_equal(calls, 2);
    assert_non_null(strstr(out, "{\"a\":\"1\",\"len\":1}\n{\"error\":\"line 2, "));
    assert_non_null(strstr(out, "}\n{\"error\":\"line 3, "));
    assert_non_null(strstr(out, "}\n{\"error\":\"line 4, "));
    assert_non_null(strstr(out, "}\n{\"a\":\"22\",\"len\":2}\n{\"error\":\"line 6, "));
    free(out);
    out = run(SPAN_LITERAL(""), &calls);
    assert_string_equal(out, "");
    free(out);
}

/* At the bound, one byte beyond it, and far beyond it. */
static void test_long_lines(void **state)
{
    static const char start[] = "{\"a\":\"";
    static const size_t lens[] = {JSON_LINE_MAX, JSON_LINE_MAX + 1, 3 * JSON_LINE_MAX};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(lens); i++) {
        size_t len = lens[i];
        char *line = malloc(len + 11);
        int calls;
        char *out;

        assert_non_null(line);
        memset(line, 'x', len);
        memcpy(line, start, sizeof(start) - 1);
        memcpy(line + len - 2, "\"}\n{\"a\":\"2\"}", 12 + 1);
        out = run(span_make(line, len + 10), &calls);
        assert_int_equal(calls, i == 0 ? 2 : 1);
        assert_true((strstr(out, "{\"error\":\"line 1: longer than 1048576 bytes\"}\n") == out) ==
                    (i > 0));
        assert_non_null(strstr(out, "}\n{\"a\":\"2\",\"len\":1}\n"));
        free(out);
        free(line);
    }
}

/* What cannot be read or written is told. */
static void test_failures(void **state)
{
    FILE *full = fopen("/dev/full", "w");
    FILE *null = fopen("/dev/null", "w");
    int folder = open("/", O_RDONLY | O_CLOEXEC);
    struct input in;
    int calls = 0;

    (void)state;
    assert_true(full && null && folder >= 0);
    input_init(&in, folder);
    assert_int_equal(json_lines_run(&in, null, answer_len, &calls), -EISDIR);
    input_fini(&in);
    assert_true(input_init_memory(&in, SPAN_LITERAL("{}\n")));
    assert_int_equal(json_lines_run(&in, full, answer_len, &calls), -EIO);
    input_fini(&in);
    close(folder);
    fclose(full);
    fclose(null);
}

static long allocations_left;

static void *allocate(size_t size)
{
    return allocations_left-- > 0 ? malloc(size) : NULL;
}

/* Whichever allocation fails, what comes out is answers or the fact that they cannot be relied on.
 */
static void test_memory(void **state)
{
    static const char given[] = "{\"l\\u0065n\":[1,{}],\"b\":\"x\",\"a\":\"yz\"}\n";
    bool done = false;

    (void)state;
    for (long n = 0; !done; n++) {
        char *out = NULL;
        size_t len;
        FILE *stream = open_memstream(&out, &len);
        struct input in;
        int calls = 0;
        int status;

        assert_true(n < 1000);
        assert_non_null(stream);
        assert_true(input_init_memory(&in, SPAN_LITERAL(given)));
        allocations_left = n;
        json_set_alloc_funcs(allocate, free);
        status = json_lines_run(&in, stream, answer_len, &calls);
        json_set_alloc_funcs(malloc, free);
        fclose(stream);
        assert_true(status == 0 || status == -ENOMEM);
        done = strcmp(out, "{\"b\":\"x\",\"a\":\"yz\",\"len\":2}\n") == 0;
        if (status == 0) {
            json_t *answer = json_loads(out, 0, NULL);
            assert_non_null(answer);
            assert_true(json_object_get(answer, "error") || json_object_get(answer, "len"));
            json_decref(answer);
        }
        free(out);
        input_fini(&in);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),    cmocka_unit_test(test_each_line),
        cmocka_unit_test(test_long_lines), cmocka_unit_test(test_failures),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
