/* SPDX-License-Identifier: Apache-2.0 */
/* A real ring, sockets on loopback and ways to wait, for the tests of the ring. */
#ifndef WEIR_TESTS_RING_KIT_H
#define WEIR_TESTS_RING_KIT_H

#include "core/base/clock.h"
#include "core/engine/ring.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static bool without_recv_cap; /* of the rings that fixture_open() makes */
static int64_t busy_poll_ns;  /* the same */
static char error_text[512];  /* of the last ring that was made */

/* The smallest that the ring takes. */
static const struct ring_options tiny = {
    .sq_entries = 4,
    .cq_entries = 8,
    .group = {{.count = 4, .size = 64}, {.count = 2, .size = 256}},
};

struct fixture {
    struct ring *ring;
    struct buf_cache cache;
    struct ring_event event; /* of the last await() */
};

static inline void fixture_open(struct fixture *f, const struct ring_options *base)
{
    struct ring_options options = *base;
    int res;

    options.without_recv_cap = without_recv_cap;
    options.busy_poll_ns = busy_poll_ns;
    buf_cache_init(&f->cache);
    res = ring_new(&f->ring, &options, &f->cache, error_text, sizeof(error_text));
    if (res < 0) {
        fail_msg("%s", error_text);
    }
}

/* Whatever went through the ring, none of it may have needed a kernel worker thread. */
static inline void assert_no_kernel_workers(void)
{
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *entry;

    assert_non_null(tasks);
    while ((entry = readdir(tasks))) {
        char path[300], name[64] = "";
        snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
        FILE *file = fopen(path, "re");
        if (file) {
            (void)!fgets(name, sizeof(name), file);
            fclose(file);
        }
        assert_null(strstr(name, "iou-wrk"));
    }
    closedir(tasks);
}

static inline void fixture_close(struct fixture *f)
{
    assert_no_kernel_workers();
    assert_true(ring_free(f->ring));
    buf_cache_fini(&f->cache);
}

/* The next event, whatever it is, within two seconds. */
static inline void await_any(struct fixture *f)
{
    int64_t give_up_ns = clock_monotonic_ns() + 2 * NS_PER_S;

    while (clock_monotonic_ns() < give_up_ns) {
        if (ring_turn(f->ring, 20 * NS_PER_MS, &f->event, 1) == 1) {
            return;
        }
    }
    fail_msg("no event");
}

/* The same, and it must be of that kind. */
static inline int await(struct fixture *f, enum ring_kind kind)
{
    await_any(f);
    assert_int_equal(f->event.kind, kind);
    return f->event.res;
}

static inline void assert_quiet(struct fixture *f)
{
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ring_turn(f->ring, 2 * NS_PER_MS, &f->event, 1), 0);
    }
}

static const struct ring_owner some_owner = {7, 9};

static inline int listen_on_loopback(struct sockaddr_in *address)
{
    socklen_t len = sizeof(*address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)address, len), 0);
    assert_int_equal(listen(fd, 64), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)address, &len), 0);
    return fd;
}

/* A connected pair of TCP sockets with socket buffers of about `buffer_bytes` (0: the default). */
static inline void tcp_pair(int fds[2], int buffer_bytes)
{
    struct sockaddr_in address;
    int listener = listen_on_loopback(&address);

    fds[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (buffer_bytes) {
        setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &buffer_bytes, sizeof(buffer_bytes));
        setsockopt(listener, SOL_SOCKET, SO_SNDBUF, &buffer_bytes, sizeof(buffer_bytes));
        setsockopt(fds[1], SOL_SOCKET, SO_RCVBUF, &buffer_bytes, sizeof(buffer_bytes));
        setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &buffer_bytes, sizeof(buffer_bytes));
    }
    assert_int_equal(connect(fds[1], (struct sockaddr *)&address, sizeof(address)), 0);
    fds[0] = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(fds[0] >= 0);
    assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
    close(listener);
}

static inline uint8_t pattern(size_t at)
{
    return (uint8_t)(at * 131 + (at >> 7) + (at >> 15));
}

#endif
