/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/log.h"

#include "core/base/assert.h"
#include "core/base/clock.h"

#include <ctype.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { TIME_LEN = sizeof("2026-11-21T10:00:00.000000Z") - 1, THREADS = 4, LINES = 500 };

static FILE *file;
static int kept_stderr;
static char output[THREADS * LINES * 128];

static void begin_capture(void)
{
    file = tmpfile();
    assert_non_null(file);
    fflush(stderr);
    kept_stderr = dup(STDERR_FILENO);
    assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
}

/* What was written to standard error since begin_capture(). */
static void end_capture(void)
{
    size_t len;

    assert_true(dup2(kept_stderr, STDERR_FILENO) >= 0);
    close(kept_stderr);
    rewind(file);
    len = fread(output, 1, sizeof(output) - 1, file);
    output[len] = '\0';
    fclose(file);
}

static int set_up(void **state)
{
    (void)state;
    log_set_level(LOG_INFO);
    return 0;
}

/* Checks the time in front, and returns what follows it. */
static const char *after_time(const char *line)
{
    static const char form[] = "dddd-dd-ddTdd:dd:dd.ddddddZ";

    for (size_t i = 0; i < TIME_LEN; i++) {
        if (form[i] == 'd') {
            assert_true(isdigit((unsigned char)line[i]));
        } else {
            assert_int_equal(line[i], form[i]);
        }
    }
    assert_int_equal(line[TIME_LEN], ' ');
    return line + TIME_LEN + 1;
}

static void a_line_has_time_level_and_message(void **state)
{
    (void)state;
    begin_capture();
    log_write(LOG_WARN, "worker=%d %s", 3, "paused");
    end_capture();
    assert_string_equal(after_time(output), "warn worker=3 paused\n");
}

static void each_level_shows_itself_and_the_graver_ones(void **state)
{
    static const char *const name[] = {"error", "warn", "info", "debug"};

    (void)state;
    for (int level = LOG_ERROR; level <= LOG_DEBUG; level++) {
        const char *at = output;
        log_set_level((enum log_level)level);
        begin_capture();
        for (int i = LOG_DEBUG; i >= LOG_ERROR; i--) {
            log_write((enum log_level)i, "x");
        }
        end_capture();
        for (int i = level; i >= LOG_ERROR; i--) {
            char expected[16];
            snprintf(expected, sizeof(expected), "%s x\n", name[i]);
            at = after_time(at);
            assert_int_equal(strncmp(at, expected, strlen(expected)), 0);
            at += strlen(expected);
        }
        assert_string_equal(at, "");
    }
}

static void a_long_message_is_cut_but_is_a_line(void **state)
{
    static char message[5000];
    struct log_limit limit = {.suppressed = UINT64_MAX};

    (void)state;
    memset(message, 'm', sizeof(message) - 1);
    begin_capture();
    log_limited(&limit, 0, LOG_ERROR, "%s", message);
    end_capture();
    assert_true(strlen(output) > 1900 && strlen(output) <= 2048);
    assert_ptr_equal(strchr(output, '\n'), output + strlen(output) - 1);
    assert_non_null(strstr(output, "mm suppressed=18446744073709551615\n"));
}

static void a_limited_line_comes_once_a_second(void **state)
{
    struct log_limit limit = {0, 0};
    const int64_t begin = 5 * NS_PER_S;
    const char *at;

    (void)state;
    begin_capture();
    log_limited(&limit, begin, LOG_WARN, "first");
    log_limited(&limit, begin, LOG_WARN, "no");
    log_limited(&limit, begin + NS_PER_S - 1, LOG_WARN, "no");
    log_limited(&limit, begin + NS_PER_S, LOG_WARN, "second");
    log_limited(&limit, begin + NS_PER_S, LOG_DEBUG, "not at this level, and not counted");
    log_limited(&limit, begin + 2 * NS_PER_S, LOG_WARN, "third");
    end_capture();
    at = after_time(output);
    assert_int_equal(strncmp(at, "warn first\n", 11), 0);
    at = after_time(at + 11);
    assert_int_equal(strncmp(at, "warn second suppressed=2\n", 25), 0);
    assert_string_equal(after_time(at + 25), "warn third\n");
}

static void *write_many(void *argument)
{
    for (int i = 0; i < LINES; i++) {
        log_write(LOG_INFO, "%d %s", *(int *)argument, "0123456789012345678901234567890123456789");
    }
    return NULL;
}

static void lines_of_threads_do_not_mix(void **state)
{
    pthread_t thread[THREADS];
    int number[THREADS];
    int seen[THREADS] = {0};

    (void)state;
    begin_capture();
    for (int i = 0; i < THREADS; i++) {
        number[i] = i;
        assert_int_equal(pthread_create(&thread[i], NULL, write_many, &number[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
    }
    end_capture();
    for (const char *at = output; *at;) {
        int which;
        int len = 0;
        at = after_time(at);
        assert_int_equal(
            sscanf(at, "info %d 0123456789012345678901234567890123456789%n", &which, &len), 1);
        assert_true(len > 0 && at[len] == '\n' && which >= 0 && which < THREADS);
        seen[which]++;
        at += len + 1;
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(seen[i], LINES);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_line_has_time_level_and_message, set_up),
        cmocka_unit_test_setup(each_level_shows_itself_and_the_graver_ones, set_up),
        cmocka_unit_test_setup(a_long_message_is_cut_but_is_a_line, set_up),
        cmocka_unit_test_setup(a_limited_line_comes_once_a_second, set_up),
        cmocka_unit_test_setup(lines_of_threads_do_not_mix, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
