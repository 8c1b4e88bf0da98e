/* SPDX-License-Identifier: Apache-2.0 */
#include "core/admin/log_sink.h"

#include "core/base/clock.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

enum { LINE_MAX_LEN = 256, TOO_LONG_S = 60, CONTENT_MAX = 16 << 20 };

static char folder[] = "/tmp/weir-test-log-XXXXXX";
static char path[64];
static char other_path[64];
static char content[CONTENT_MAX];
static size_t content_len;

static int set_up(void **state)
{
    (void)state;
    memcpy(folder + sizeof(folder) - 7, "XXXXXX", 6);
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/log", folder);
    snprintf(other_path, sizeof(other_path), "%s/other", folder);
    alarm(TOO_LONG_S); /* what waits for ever ends the program */
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    alarm(0);
    unlink(path);
    unlink(other_path);
    return rmdir(folder);
}

static struct log_sink *open_sink(uint32_t workers)
{
    char error[256] = "";
    struct log_sink *sink = log_sink_new(path, workers, error, sizeof(error));

    assert_string_equal(error, "");
    assert_non_null(sink);
    return sink;
}

static void write_text(struct log_sink *sink, const char *text)
{
    log_sink_write(sink, 0, span_from_string(text));
}

static void read_from(const char *name)
{
    FILE *file = fopen(name, "rb");

    assert_non_null(file);
    content_len = fread(content, 1, sizeof(content) - 1, file);
    content[content_len] = '\0';
    fclose(file);
}

static void wait_for_size(const char *name, off_t size)
{
    struct stat status;

    while (stat(name, &status) != 0 || status.st_size < size) {
        usleep(1000);
    }
}

/* "<worker> <number> " and some of the alphabet; every length from 10 to about 200. */
static size_t make_line(char *line, unsigned worker, unsigned number)
{
    size_t len = (size_t)snprintf(line, LINE_MAX_LEN, "%u %u ", worker, number);

    for (unsigned i = 0; i < (number * 7 + worker) % 190; i++) {
        line[len++] = (char)('a' + (number + i) % 26);
    }
    line[len++] = '\n';
    return len;
}

enum { WORKERS_MAX = 4 };
static unsigned seen[WORKERS_MAX];

/* Each line whole, and those of one worker in their order. */
static void check_lines(void)
{
    unsigned next[WORKERS_MAX] = {0};

    memset(seen, 0, sizeof(seen));
    for (size_t at = 0; at < content_len;) {
        char expected[256];
        char *end;
        /* Not sscanf(), which looks for the end of all the content each time. */
        unsigned worker = (unsigned)strtoul(content + at, &end, 10);
        unsigned number = (unsigned)strtoul(end, NULL, 10);
        assert_true(worker < WORKERS_MAX);
        assert_true(number >= next[worker]);
        next[worker] = number + 1;
        size_t len = make_line(expected, worker, number);
        assert_true(len <= content_len - at);
        assert_memory_equal(content + at, expected, len);
        at += len;
        seen[worker]++;
    }
}

/* Until the sink took it; what was dropped on the way is counted by the sink. */
static void write_surely(struct log_sink *sink, uint32_t worker, struct span line)
{
    uint64_t dropped;

    do {
        dropped = log_sink_dropped(sink);
        log_sink_write(sink, worker, line);
    } while (log_sink_dropped(sink) > dropped && usleep(1000) == 0);
}

static void lines_are_appended_in_order(void **state)
{
    struct log_sink *sink;
    struct stat status;
    mode_t mask = umask(0);

    (void)state;
    sink = open_sink(1);
    write_text(sink, "one\n");
    write_text(sink, "two\n");
    log_sink_free(sink);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0640);
    umask(mask);
    sink = open_sink(1);
    write_text(sink, "three\n");
    assert_int_equal(log_sink_dropped(sink), 0);
    log_sink_free(sink);
    read_from(path);
    assert_string_equal(content, "one\ntwo\nthree\n");
    log_sink_free(NULL);
}

/* A line is written soon, not only when others follow it or at the end. */
static void a_line_alone_is_written(void **state)
{
    struct log_sink *sink = open_sink(2);

    (void)state;
    for (int i = 1; i <= 200; i++) {
        log_sink_write(sink, (uint32_t)i & 1, SPAN_LITERAL("x\n"));
        wait_for_size(path, 2 * i);
    }
    log_sink_free(sink);
}

/* Five times around the ring. */
static void lines_survive_the_wrap(void **state)
{
    struct log_sink *sink = open_sink(1);
    unsigned count = 0;
    size_t total = 0;

    (void)state;
    while (total < 5 * LOG_SINK_RING_BYTES) {
        char line[256];
        size_t len = make_line(line, 0, count++);
        write_surely(sink, 0, span_make(line, len));
        total += len;
    }
    log_sink_free(sink);
    read_from(path);
    assert_int_equal(content_len, total);
    check_lines();
    assert_int_equal(seen[0], count);
}

static void a_line_may_be_as_long_as_the_ring(void **state)
{
    static char line[LOG_SINK_RING_BYTES + 1];
    struct log_sink *sink = open_sink(1);

    (void)state;
    memset(line, 'x', sizeof(line));
    log_sink_write(sink, 0, span_make(line, sizeof(line)));
    assert_int_equal(log_sink_dropped(sink), 1);
    write_text(sink, "ab\n");
    wait_for_size(path, 3);
    write_surely(sink, 0, span_make(line, LOG_SINK_RING_BYTES));
    log_sink_free(sink);
    read_from(path);
    assert_int_equal(content_len, 3 + LOG_SINK_RING_BYTES);
    assert_int_equal(content[content_len - 1], 'x');
}

/* Nobody reads: the writer goes on, whole lines are lost and counted, and what the rings hold comes
 * out whole when a reader comes. */
static void a_full_ring_drops_whole_lines(void **state)
{
    enum { LINES = 40000 };
    struct log_sink *sink;
    int64_t begin = clock_monotonic_ns();
    uint64_t dropped;
    int fd;

    (void)state;
    assert_int_equal(mkfifo(path, 0600), 0);
    sink = open_sink(2);
    for (unsigned i = 0; i < LINES; i++) {
        for (unsigned worker = 0; worker < 2; worker++) {
            char line[256];
            log_sink_write(sink, worker, span_make(line, make_line(line, worker, i)));
        }
    }
    assert_true(clock_monotonic_ns() - begin < 20 * NS_PER_S);
    dropped = log_sink_dropped(sink);
    assert_true(dropped > LINES / 2 && dropped < 2 * LINES);
    fd = open(path, O_RDONLY | O_NONBLOCK);
    assert_true(fd >= 0);
    content_len = 0;
    for (int idle = 0; idle < 1000; idle++) {
        ssize_t count = read(fd, content + content_len, sizeof(content) - content_len);
        if (count > 0) {
            content_len += (size_t)count;
            idle = 0;
        } else {
            usleep(500);
        }
    }
    assert_true(content_len > 2 * (LOG_SINK_RING_BYTES - 256));
    check_lines();
    assert_int_equal(seen[0] + seen[1] + dropped, 2 * LINES);
    assert_int_equal(log_sink_dropped(sink), dropped);
    close(fd);
    log_sink_free(sink);
}

/* A reader that never comes holds up neither the start nor, for long, the end. */
static void a_fifo_without_reader_does_not_hold_up_the_end(void **state)
{
    struct log_sink *sink;
    int64_t begin = clock_monotonic_ns();
    char line[256];

    (void)state;
    assert_int_equal(mkfifo(path, 0600), 0);
    sink = open_sink(2);
    for (unsigned i = 0; i < 3000; i++) {
        log_sink_write(sink, i & 1, span_make(line, make_line(line, 0, i)));
    }
    log_sink_free(sink);
    assert_true(clock_monotonic_ns() - begin < 10 * NS_PER_S);
}

/* Standard output is a pipe that others share: its flags stay, and waiting for it ends. */
static void a_full_standard_output_does_not_hold_up_the_end(void **state)
{
    int kept = dup(STDOUT_FILENO);
    char error[256] = "";
    struct log_sink *sink;
    int fds[2];
    char line[256];

    (void)state;
    fflush(stdout);
    assert_int_equal(pipe(fds), 0);
    assert_true(dup2(fds[1], STDOUT_FILENO) >= 0);
    sink = log_sink_new("-", 1, error, sizeof(error));
    assert_true(dup2(kept, STDOUT_FILENO) >= 0);
    close(kept);
    assert_non_null(sink);
    for (unsigned i = 0; i < 3000; i++) {
        log_sink_write(sink, 0, span_make(line, make_line(line, 0, i)));
    }
    log_sink_free(sink);
    assert_int_equal(fcntl(fds[1], F_GETFL) & O_NONBLOCK, 0);
    close(fds[1]);
    content_len = 0;
    for (ssize_t count = 1; count > 0; content_len += (size_t)count) {
        count = read(fds[0], content + content_len, sizeof(content) - content_len);
        assert_true(count >= 0);
    }
    close(fds[0]);
    assert_true(content_len >= 32768);
    make_line(line, 0, 0);
    assert_memory_equal(content, line, 5);
}

static void after_rotation_the_path_is_opened_again(void **state)
{
    struct log_sink *sink = open_sink(1);

    (void)state;
    write_text(sink, "before\n");
    wait_for_size(path, 7);
    assert_int_equal(rename(path, other_path), 0);
    write_text(sink, "between\n");
    wait_for_size(other_path, 15);
    log_sink_reopen(sink);
    wait_for_size(path, 0);
    /* Where the thread was just now, it is asked for again: it must not be lost. */
    write_text(sink, "after\n");
    wait_for_size(path, 6);
    log_sink_free(sink);
    read_from(path);
    assert_string_equal(content, "after\n");
    read_from(other_path);
    assert_string_equal(content, "before\nbetween\n");
}

static void the_old_file_is_kept_when_the_path_cannot_be_opened(void **state)
{
    struct log_sink *sink = open_sink(1);

    (void)state;
    write_text(sink, "one\n");
    wait_for_size(path, 4);
    assert_int_equal(rename(path, other_path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    log_sink_reopen(sink);
    write_text(sink, "two\n");
    wait_for_size(other_path, 8);
    assert_int_equal(rmdir(path), 0);
    log_sink_reopen(sink);
    wait_for_size(path, 0);
    write_text(sink, "three\n");
    log_sink_free(sink);
    read_from(path);
    assert_string_equal(content, "three\n");
}

static void a_path_that_cannot_be_opened_is_named(void **state)
{
    char error[256] = "";
    char missing[96];

    (void)state;
    assert_null(log_sink_new(folder, 3, error, sizeof(error)));
    assert_non_null(strstr(error, folder));
    assert_non_null(strstr(error, "Is a directory"));
    assert_non_null(strstr(error, "log.access.path"));
    snprintf(missing, sizeof(missing), "%s/none/log", folder);
    assert_null(log_sink_new(missing, 1, error, sizeof(error)));
    assert_non_null(strstr(error, missing));
    assert_non_null(strstr(error, "No such file or directory"));
}

/* A full disk: lines are lost, but the rings do not fill. */
static void what_cannot_be_written_is_given_up(void **state)
{
    char error[256] = "";
    struct log_sink *sink = log_sink_new("/dev/full", 1, error, sizeof(error));
    size_t total = 0;

    (void)state;
    assert_non_null(sink);
    for (unsigned i = 0; total < 4 * LOG_SINK_RING_BYTES; i++) {
        char line[256];
        size_t len = make_line(line, 0, i);
        write_surely(sink, 0, span_make(line, len));
        total += len;
    }
    log_sink_free(sink);
}

static void a_reader_that_went_does_not_end_the_process(void **state)
{
    struct log_sink *sink;
    int fd;

    (void)state;
    assert_int_equal(mkfifo(path, 0600), 0);
    fd = open(path, O_RDONLY | O_NONBLOCK);
    sink = open_sink(1);
    close(fd);
    write_text(sink, "lost\n");
    log_sink_free(sink);
}

struct writer {
    pthread_t thread;
    struct log_sink *sink;
    uint32_t worker;
};

enum { LINES_EACH = 20000 };

static void *write_many(void *argument)
{
    struct writer *w = argument;

    for (unsigned i = 0; i < LINES_EACH; i++) {
        char line[256];
        log_sink_write(w->sink, w->worker, span_make(line, make_line(line, w->worker, i)));
        if (i % 64 == 0) {
            usleep(100);
        }
    }
    return NULL;
}

static void workers_write_side_by_side(void **state)
{
    struct log_sink *sink = open_sink(WORKERS_MAX);
    struct writer writer[WORKERS_MAX];
    uint64_t dropped;
    uint64_t written = 0;

    (void)state;
    for (uint32_t i = 0; i < WORKERS_MAX; i++) {
        writer[i] = (struct writer){.sink = sink, .worker = i};
        assert_int_equal(pthread_create(&writer[i].thread, NULL, write_many, &writer[i]), 0);
    }
    for (int i = 0; i < 50; i++) {
        log_sink_reopen(sink); /* from another thread, in the midst of it */
        usleep(1000);
    }
    for (uint32_t i = 0; i < WORKERS_MAX; i++) {
        pthread_join(writer[i].thread, NULL);
    }
    dropped = log_sink_dropped(sink);
    log_sink_free(sink);
    read_from(path);
    check_lines();
    for (uint32_t i = 0; i < WORKERS_MAX; i++) {
        assert_true(seen[i] > 0);
        written += seen[i];
    }
    assert_int_equal(written + dropped, WORKERS_MAX * LINES_EACH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lines_are_appended_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_line_alone_is_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lines_survive_the_wrap, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_line_may_be_as_long_as_the_ring, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_ring_drops_whole_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_fifo_without_reader_does_not_hold_up_the_end, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_full_standard_output_does_not_hold_up_the_end, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(after_rotation_the_path_is_opened_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_old_file_is_kept_when_the_path_cannot_be_opened, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_path_that_cannot_be_opened_is_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_written_is_given_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reader_that_went_does_not_end_the_process, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(workers_write_side_by_side, set_up, tear_down),
    };
    signal(SIGPIPE, SIG_IGN); /* as the process does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
