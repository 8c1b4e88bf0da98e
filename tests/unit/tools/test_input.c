/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tools/input.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

static void test_pipe(void **state)
{
    int ends[2];
    struct input in;
    uint8_t big[100000];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    input_init(&in, ends[0]);
    assert_int_equal(write(ends[1], "abcdef", 6), 6);
    assert_true(input_fill(&in, 3));
    assert_true(span_equal(input_window(&in), SPAN_LITERAL("abcdef")));
    assert_true(input_skip(&in, 2));
    assert_int_equal(in.offset, 2);
    assert_int_equal(write(ends[1], "ghi", 3), 3);
    assert_true(input_fill(&in, 7));
    assert_true(span_equal(input_window(&in), SPAN_LITERAL("cdefghi")));
    assert_int_equal(write(ends[1], "jkl", 3), 3);
    assert_true(input_skip(&in, 9)); /* beyond the window */
    assert_int_equal(in.offset, 11);
    close(ends[1]);
    assert_false(input_fill(&in, 2));
    assert_true(span_equal(input_window(&in), SPAN_LITERAL("l")));
    assert_false(input_skip(&in, 2));
    assert_int_equal(in.offset, 12);
    assert_int_equal(in.error, 0);
    input_fini(&in);
    close(ends[0]);
    memset(big, 7, sizeof(big));
    assert_true(input_init_memory(&in, span_make(big, sizeof(big))));
    assert_true(input_fill(&in, sizeof(big)));
    assert_false(input_fill(&in, sizeof(big) + 1));
    assert_int_equal(in.error, 0);
    input_fini(&in);
}

/* The window grows to its bound while it moves. */
static void test_growth(void **state)
{
    FILE *file = tmpfile();
    struct input in;

    (void)state;
    assert_non_null(file);
    for (uint32_t i = 0; i < INPUT_WINDOW_MAX; i++) {
        assert_int_equal(fwrite(&i, sizeof(i), 1, file), 1);
    }
    assert_int_equal(fflush(file), 0);
    assert_int_equal(lseek(fileno(file), 0, SEEK_SET), 0);
    input_init(&in, fileno(file));
    for (uint32_t i = 0; i < INPUT_WINDOW_MAX / 4; i += 1000) {
        size_t want = (size_t)i * 4 % INPUT_WINDOW_MAX + 4;
        uint32_t first;

        assert_true(input_fill(&in, want));
        memcpy(&first, input_window(&in).data, 4);
        assert_int_equal((uint64_t)first * 4, in.offset);
        assert_true(input_skip(&in, 4000));
    }
    assert_true(in.cap <= INPUT_WINDOW_MAX);
    input_fini(&in);
    fclose(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pipe),
        cmocka_unit_test(test_growth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
