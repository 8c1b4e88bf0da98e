/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many connections at once through the real ring, with room for as little as it takes. The module's
 * own source is included so that io_uring_enter can be made to fail.
 *
 * The tests run twice: as the kernel is, and as on one without the cap of multishot receives.
 */
#include <liburing.h>

static int faulty_enter(unsigned fd, unsigned to_submit, unsigned wait_count, unsigned flags,
                        void *arg, size_t len);

#define io_uring_enter2 faulty_enter
#include "core/engine/ring.c"
#undef io_uring_enter2

#include "tests/unit/engine/ring_kit.h"

static bool enter_faults; /* every few enters end in a way that the manual page allows */
static unsigned enter_count;

static int faulty_enter(unsigned fd, unsigned to_submit, unsigned wait_count, unsigned flags,
                        void *arg, size_t len)
{
    static const int errors[] = {-EINTR, -EAGAIN, -EBUSY, -ETIME};

    if (enter_faults && ++enter_count % 3 == 0) {
        if (enter_count % 2 == 0 || to_submit < 2) {
            return errors[enter_count / 3 % COUNT_OF(errors)];
        }
        /* As when memory runs out half way: what was taken counts, and there is no waiting. */
        return io_uring_enter2(fd, to_submit / 2, 0, flags & ~(unsigned)IORING_ENTER_EXT_ARG, NULL,
                               _NSIG / 8);
    }
    return io_uring_enter2(fd, to_submit, wait_count, flags, arg, len);
}

enum { LINKS = 12, LINK_BYTES = 60000, LINK_HIGH = 128 };

/* One echoed connection: fds[0] is the ring's, fds[1] the test's own. */
struct link {
    int fds[2];
    struct buf_queue queue;   /* received, not being sent */
    struct buf_queue sending; /* the front may be in flight */
    bool in_flight;           /* a send */
    bool armed, cancelled, starved, eof, done;
    size_t written, checked; /* by the peer */
};

static void link_receive(struct fixture *f, struct link *l, uint32_t slot)
{
    if (!l->armed && !l->eof && l->queue.len < LINK_HIGH) {
        ring_recv(f->ring, l->fds[0], (struct ring_owner){slot, 1},
                  slot % 3 ? RING_GROUP_SMALL : RING_GROUP_BULK, LINK_HIGH - l->queue.len,
                  l->starved);
        l->armed = true;
        l->cancelled = false;
    } else if (l->armed && !l->cancelled && l->queue.len >= LINK_HIGH &&
               !ring_has_recv_cap(f->ring)) {
        ring_cancel(f->ring, RING_RECV, (struct ring_owner){slot, 1});
        l->cancelled = true;
    }
}

static void link_send(struct fixture *f, struct link *l, uint32_t slot)
{
    struct iovec iov[RING_SEND_IOVECS_MAX];
    int count = 0;

    if (l->in_flight || !(l->sending.first || l->queue.first)) {
        return;
    }
    buf_queue_move(&l->sending, &l->queue);
    for (struct buf *b = l->sending.first; b && count < RING_SEND_IOVECS_MAX; b = b->next) {
        iov[count++] = (struct iovec){b->data + b->start, b->end - b->start};
    }
    l->in_flight = true;
    ring_send(f->ring, l->fds[0], (struct ring_owner){slot, 1}, iov, count);
}

static void link_event(struct fixture *f, struct link *l, const struct ring_event *event)
{
    if (event->kind == RING_SEND) {
        assert_true(event->res == -EAGAIN ||
                    (event->res > 0 && (size_t)event->res <= l->sending.len));
        buf_queue_consume(&l->sending, &f->cache, event->res > 0 ? (size_t)event->res : 0);
        l->in_flight = false;
        return;
    }
    assert_int_equal(event->kind, RING_RECV);
    l->armed = event->more;
    l->starved = event->res == -ENOBUFS;
    l->eof = l->eof || event->res == 0;
    if (event->buf) {
        buf_queue_push(&l->queue, event->buf);
    } else {
        assert_true(event->res == 0 || event->res == -ENOBUFS || event->res == -ECANCELED);
    }
}

/* The far end: writes its pattern, checks what comes back. */
static void link_peer(struct link *l, uint32_t *seed)
{
    uint8_t bytes[700];
    size_t len;
    ssize_t n;

    *seed = *seed * 1664525 + 1013904223;
    len = (*seed >> 8) % sizeof(bytes);
    if (len > LINK_BYTES - l->written) {
        len = LINK_BYTES - l->written;
    }
    for (size_t i = 0; i < len; i++) {
        bytes[i] = pattern(l->written + i);
    }
    n = len ? write(l->fds[1], bytes, len) : 0;
    if (n > 0) {
        l->written += (size_t)n;
        if (l->written == LINK_BYTES) {
            shutdown(l->fds[1], SHUT_WR);
        }
    }
    n = read(l->fds[1], bytes, (*seed >> 4) % sizeof(bytes) + 1);
    for (ssize_t i = 0; i < n; i++) {
        assert_int_equal(bytes[i], pattern(l->checked + (size_t)i));
    }
    if (n == 0) {
        assert_int_equal(l->checked, LINK_BYTES);
        l->done = true;
    }
    l->checked += n > 0 ? (size_t)n : 0;
}

static void echo_storm(const struct ring_options *options, int events_cap)
{
    struct ring_event events[16];
    struct link links[LINKS];
    struct fixture f;
    uint32_t seed = 1;
    int64_t give_up_ns = clock_monotonic_ns() + 60 * NS_PER_S;

    fixture_open(&f, options);
    memset(links, 0, sizeof(links));
    for (uint32_t i = 0; i < LINKS; i++) {
        tcp_pair(links[i].fds, 4096);
    }
    for (int left = LINKS; left > 0;) {
        assert_true(clock_monotonic_ns() < give_up_ns);
        for (uint32_t i = 0; i < LINKS; i++) {
            struct link *l = &links[i];
            if (l->done) {
                continue;
            }
            link_receive(&f, l, i);
            link_send(&f, l, i);
            link_peer(l, &seed);
            if (l->eof && !l->armed && !l->queue.first && !l->sending.first) {
                ring_shutdown(f.ring, l->fds[0], SHUT_WR);
            }
            left -= l->done;
        }
        int count = ring_turn(f.ring, NS_PER_MS / 10, events, events_cap);
        for (int i = 0; i < count; i++) {
            link_event(&f, &links[events[i].owner.slot], &events[i]);
        }
    }
    assert_int_equal(ring_group_free(f.ring, RING_GROUP_SMALL), options->group[0].count);
    assert_int_equal(ring_group_free(f.ring, RING_GROUP_BULK), options->group[1].count);
    assert_int_equal(ring_stats(f.ring)->recv_bytes, LINKS * LINK_BYTES);
    assert_int_equal(ring_stats(f.ring)->send_bytes, LINKS * LINK_BYTES);
    if (options == &tiny) {
        assert_true(ring_stats(f.ring)->sq_full > 0);
        assert_true(ring_stats(f.ring)->cq_overflows > 0);
        assert_true(ring_stats(f.ring)->buffers_empty > 0);
    }
    for (uint32_t i = 0; i < LINKS; i++) {
        close(links[i].fds[0]);
        close(links[i].fds[1]);
    }
    assert_int_equal(f.ring->in_flight, 1); /* the wake-up's */
    fixture_close(&f);
}

static void test_echo_storm(void **state)
{
    (void)state;
    echo_storm(&ring_options_default, 16);
    echo_storm(&tiny, 16);
    echo_storm(&tiny, 1);
}

static void test_echo_storm_with_faulty_enter(void **state)
{
    (void)state;
    enter_faults = true;
    echo_storm(&tiny, 3);
    echo_storm(&ring_options_default, 16);
    enter_faults = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_echo_storm),
        cmocka_unit_test(test_echo_storm_with_faulty_enter),
    };
    int failures = cmocka_run_group_tests_name("ring_storm", tests, NULL, NULL);

    without_recv_cap = true;
    return failures + cmocka_run_group_tests_name("ring_storm, no receive cap", tests, NULL, NULL);
}
