/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The start-up test of the ring: does on loopback sockets, through ring.h alone, what weir relies
 * on, and compares what comes out. A failure names the operation, so that it is found before the
 * first client comes and not in the middle of a session.
 */
#include "core/engine/ring.h"

#include "core/base/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define PATIENCE_NS (2 * NS_PER_S)

struct self_test {
    struct ring *ring;
    struct buf_cache cache;
    const char *step; /* what is being tried, for the sentence */
    int listener, client, server;
    uint8_t bytes[256]; /* what is sent */
    size_t received;    /* by RING_RECV, checked against `bytes` */
    bool corrupt;       /* and found different */
    bool accept_is_multishot;
    struct ring_event last; /* what self_test_await() waited for */
};

enum { SELF_TEST_BUFFER = 64, SELF_TEST_CAP = 3 * SELF_TEST_BUFFER };

/* Waits for the last event of that kind; received bytes are compared and counted on the way. */
static int self_test_await(struct self_test *test, enum ring_kind kind, bool last)
{
    int64_t give_up_ns = clock_monotonic_ns() + PATIENCE_NS;

    while (clock_monotonic_ns() < give_up_ns) {
        struct ring_event *event = &test->last;
        if (ring_turn(test->ring, 50 * NS_PER_MS, event, 1) != 1) {
            continue;
        }
        if (event->buf) {
            struct span got = buf_view(event->buf);
            test->corrupt |= test->received + got.len > sizeof(test->bytes) ||
                             memcmp(test->bytes + test->received, got.data, got.len) != 0;
            test->received += test->corrupt ? 0 : got.len;
            buf_put(&test->cache, event->buf);
        }
        if (event->kind == kind && (!last || !event->more)) {
            return event->res;
        }
    }
    return -ETIME;
}

static int self_test_connect(struct self_test *test)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct sockaddr_storage name;
    int res;

    test->step = "a loopback listener";
    test->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    test->client = ring_socket(test->ring, AF_INET);
    if (test->listener < 0 || test->client < 0) {
        return -errno;
    }
    if (bind(test->listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(test->listener, 4) != 0) {
        return -errno;
    }
    res = ring_local_name(test->ring, test->listener, &name);
    if (res < 0) {
        return res;
    }
    test->step = "CONNECT";
    ring_connect(test->ring, test->client, (struct ring_owner){1, 1}, (struct sockaddr *)&name,
                 sizeof(address));
    res = self_test_await(test, RING_CONNECT, true);
    if (res < 0) {
        return res;
    }
    test->step = "multishot ACCEPT";
    ring_accept(test->ring, test->listener, (struct ring_owner){2, 1});
    test->server = self_test_await(test, RING_ACCEPT, false);
    test->accept_is_multishot = test->last.more;
    if (test->server < 0) {
        return test->server;
    }
    return 0;
}

static int self_test_stream(struct self_test *test)
{
    const struct ring_owner reader = {3, 1};
    struct iovec two[2] = {{test->bytes + SELF_TEST_BUFFER, SELF_TEST_BUFFER},
                           {test->bytes + 2 * SELF_TEST_BUFFER, SELF_TEST_BUFFER}};
    struct iovec one = {test->bytes, SELF_TEST_BUFFER};
    int res;

    test->step = "SEND";
    ring_recv(test->ring, test->server, reader, RING_GROUP_SMALL, SELF_TEST_CAP, true);
    ring_send(test->ring, test->client, (struct ring_owner){1, 1}, &one, 1);
    res = self_test_await(test, RING_SEND, true);
    if (res != SELF_TEST_BUFFER) {
        return res < 0 ? res : -EPROTO;
    }
    test->step = "SENDMSG";
    ring_send(test->ring, test->client, (struct ring_owner){1, 1}, two, 2);
    res = self_test_await(test, RING_SEND, true);
    if (res != 2 * SELF_TEST_BUFFER) {
        return res < 0 ? res : -EPROTO;
    }
    test->step = "multishot RECV";
    while (!test->corrupt && test->received < SELF_TEST_CAP) {
        res = self_test_await(test, RING_RECV, false);
        if (res <= 0) {
            return res < 0 ? res : -EPROTO;
        }
    }
    if (test->corrupt) {
        return -EPROTO;
    }
    if (ring_has_recv_cap(test->ring)) {
        test->step = "the cap of a multishot RECV";
        return test->last.more ? -EPROTO : 0;
    }
    test->step = "ASYNC_CANCEL by user_data";
    ring_cancel(test->ring, RING_RECV, reader);
    res = self_test_await(test, RING_RECV, true);
    return res == -ECANCELED ? 0 : -EPROTO;
}

static int self_test_rest(struct self_test *test)
{
    struct iovec one = {test->bytes, SELF_TEST_BUFFER};
    uint8_t bytes[SELF_TEST_BUFFER];
    int pipe_fds[2];
    size_t capacity;
    int res;

    test->step = "POLL_ADD";
    ring_poll(test->ring, test->client, (struct ring_owner){4, 1}, RING_POLL_IN, POLLIN);
    ring_send(test->ring, test->server, (struct ring_owner){3, 1}, &one, 1);
    res = self_test_await(test, RING_POLL_IN, true);
    if (res < 0 || !(res & POLLIN)) {
        return res < 0 ? res : -EPROTO;
    }
    test->step = "RECV";
    ring_recv_into(test->ring, test->client, (struct ring_owner){4, 1}, bytes, 1);
    res = self_test_await(test, RING_RECV_INTO, true);
    if (res != 1 || bytes[0] != test->bytes[0]) {
        return res < 0 ? res : -EPROTO;
    }
    test->step = "splice";
    res = ring_pipe(test->ring, pipe_fds, &capacity);
    if (res == 0) { /* without a pipe, tunnels do without splice too */
        res = (int)ring_splice(test->ring, test->client, pipe_fds[1], SELF_TEST_BUFFER);
        close(pipe_fds[0]);
        close(pipe_fds[1]);
        if (res <= 0) {
            return res < 0 ? res : -EPROTO;
        }
    }
    test->step = "ASYNC_CANCEL by descriptor";
    ring_recv(test->ring, test->server, (struct ring_owner){3, 1}, RING_GROUP_BULK, 1, false);
    ring_cancel_fd(test->ring, test->server);
    res = self_test_await(test, RING_RECV, true);
    if (res != -ECANCELED) {
        return res < 0 ? res : -EPROTO;
    }
    test->step = "READ of an eventfd";
    ring_wake(test->ring);
    res = self_test_await(test, RING_WAKED, true);
    return res < 0 ? res : 0;
}

int ring_self_test(char *error, size_t error_cap)
{
    static const struct ring_options options = {
        .sq_entries = 8,
        .cq_entries = 16,
        .group = {{.count = 4, .size = SELF_TEST_BUFFER}, {.count = 2, .size = SELF_TEST_BUFFER}},
    };
    struct self_test test = {.listener = -1, .client = -1, .server = -1};
    struct utsname name;
    int res;

    if (uname(&name) != 0) {
        name.release[0] = 0;
    }
    buf_cache_init(&test.cache);
    for (size_t i = 0; i < sizeof(test.bytes); i++) {
        test.bytes[i] = (uint8_t)(i * 7 + 1);
    }
    res = ring_new(&test.ring, &options, &test.cache, error, error_cap);
    if (res < 0) {
        return res;
    }
    res = self_test_connect(&test);
    if (res == 0) {
        res = self_test_stream(&test);
    }
    if (res == 0) {
        res = self_test_rest(&test);
    }
    snprintf(error, error_cap, "io_uring on kernel %s: receive cap %s, multishot accept %s",
             name.release, ring_has_recv_cap(test.ring) ? "yes" : "no",
             test.accept_is_multishot ? "yes" : "no");
    if (!ring_free(test.ring) && res == 0) {
        test.step = "ASYNC_CANCEL of everything";
        res = -EBUSY;
    }
    if (res < 0) {
        snprintf(error, error_cap, "io_uring self-test: %s failed: %s (kernel %s)", test.step,
                 res == -EPROTO ? "wrong result" : strerror(-res), name.release);
    }
    if (test.server >= 0) {
        close(test.server);
    }
    if (test.client >= 0) {
        close(test.client);
    }
    if (test.listener >= 0) {
        close(test.listener);
    }
    buf_cache_fini(&test.cache);
    return res;
}
