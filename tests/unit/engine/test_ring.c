/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations of the real ring, one at a time, on the real kernel over loopback. The module's own
 * source is included so that the queues can be looked at and given what no caller gives them.
 *
 * The tests run twice: as the kernel is, and as on one without the cap of multishot receives.
 */
#include "core/engine/ring.c"

#include "tests/unit/engine/ring_kit.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <sys/wait.h>

static void close_with_reset(int fd)
{
    struct linger linger = {1, 0};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(fd);
}

static void test_turn_waits_as_told(void **state)
{
    struct fixture f;
    int64_t before_ns;

    (void)state;
    fixture_open(&f, &ring_options_default);
    before_ns = clock_monotonic_ns();
    assert_int_equal(ring_turn(f.ring, 30 * NS_PER_MS, &f.event, 1), 0);
    assert_true(clock_monotonic_ns() - before_ns >= 30 * NS_PER_MS);
    assert_true(ring_now(f.ring) - before_ns >= 30 * NS_PER_MS);
    before_ns = clock_monotonic_ns();
    for (int i = 0; i < 100; i++) {
        assert_int_equal(ring_turn(f.ring, 0, &f.event, 1), 0);
    }
    assert_true(clock_monotonic_ns() - before_ns < NS_PER_S);
    assert_true(ring_wall(f.ring) > INT64_C(1700000000) * NS_PER_S);
    fixture_close(&f);
}

static void *wake_later(void *ring)
{
    struct timespec pause = {.tv_nsec = 20 * NS_PER_MS};

    nanosleep(&pause, NULL);
    ring_wake(ring);
    return NULL;
}

static void test_wake_from_another_thread(void **state)
{
    struct fixture f;
    pthread_t thread;

    (void)state;
    fixture_open(&f, &tiny);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&thread, NULL, wake_later, f.ring), 0);
        assert_int_equal(ring_turn(f.ring, -1, &f.event, 1), 1);
        assert_int_equal(f.event.kind, RING_WAKED);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
    /* Many wake-ups before a turn are one event, and none is lost while the read is re-armed. */
    ring_wake(f.ring);
    ring_wake(f.ring);
    assert_int_equal(await(&f, RING_WAKED), 0);
    assert_quiet(&f);
    ring_wake(f.ring);
    assert_int_equal(await(&f, RING_WAKED), 0);
    fixture_close(&f);
}

/* One turn of 5 ms without work; how often it entered the kernel. */
static uint64_t quiet_turn(struct fixture *f)
{
    uint64_t before = ring_stats(f->ring)->enters;

    assert_int_equal(ring_turn(f->ring, 5 * NS_PER_MS, &f->event, 1), 0);
    return ring_stats(f->ring)->enters - before;
}

/* One turn that finds something at once. */
static void quick_turn(struct fixture *f)
{
    ring_wake(f->ring);
    assert_int_equal(ring_turn(f->ring, NS_PER_S, &f->event, 1), 1);
}

static void test_busy_poll(void **state)
{
    int64_t outer_ns = busy_poll_ns;
    struct fixture f;
    pthread_t thread;

    (void)state;
    /* What comes in that time is found awake, and time-outs stay what they are. */
    busy_poll_ns = 10 * NS_PER_S;
    fixture_open(&f, &tiny);
    assert_int_equal(pthread_create(&thread, NULL, wake_later, f.ring), 0);
    assert_int_equal(ring_turn(f.ring, -1, &f.event, 1), 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(quiet_turn(&f), 2);
    assert_int_equal(ring_stats(f.ring)->sleeps, 0);
    assert_true(ring_stats(f.ring)->looked_ns >= 4 * NS_PER_MS);
    fixture_close(&f);

    /* Who has nothing to do sleeps, without a look, until there is work again. */
    busy_poll_ns = 500 * NS_PER_US;
    fixture_open(&f, &tiny);
    for (int i = 0; i < 8; i++) {
        (void)quiet_turn(&f);
    }
    assert_int_equal(quiet_turn(&f), 1);
    assert_true(ring_stats(f.ring)->sleeps >= 8);
    for (int i = 0; i < 40; i++) {
        quick_turn(&f);
    }
    /* A few long waits in a row, as where the core was taken away, do not end it. */
    for (int i = 0; i < 4; i++) {
        assert_int_equal(quiet_turn(&f), 2);
    }
    fixture_close(&f);
    busy_poll_ns = outer_ns;
}

static void test_accept_and_connect(void **state)
{
    const struct ring_owner edge = {(1U << 24) - 1, UINT32_MAX};
    struct sockaddr_storage name, peer;
    struct sockaddr_in address;
    struct fixture f;
    int listener, client, server = -1;

    (void)state;
    fixture_open(&f, &tiny);
    listener = listen_on_loopback(&address);
    ring_accept(f.ring, listener, edge);
    for (int i = 0; i < 3; i++) {
        client = ring_socket(f.ring, AF_INET);
        assert_true(client >= 0);
        ring_connect(f.ring, client, some_owner, (struct sockaddr *)&address, sizeof(address));
        bool accepted = false, connected = false;
        while (!accepted || !connected) {
            assert_int_equal(ring_turn(f.ring, 2 * NS_PER_S, &f.event, 1), 1);
            assert_true(f.event.res >= 0);
            if (f.event.kind == RING_ACCEPT) {
                accepted = true;
                server = f.event.res;
                assert_int_equal(f.event.owner.slot, edge.slot);
                assert_int_equal(f.event.owner.generation, edge.generation);
                assert_true(f.event.more);
            } else {
                connected = true;
                assert_int_equal(f.event.kind, RING_CONNECT);
                assert_int_equal(f.event.owner.slot, some_owner.slot);
                assert_int_equal(f.event.owner.generation, some_owner.generation);
                assert_false(f.event.more);
            }
        }
        assert_true(fcntl(server, F_GETFL) & O_NONBLOCK);
        assert_true(fcntl(server, F_GETFD) & FD_CLOEXEC);
        assert_int_equal(ring_set_nodelay(f.ring, server), 0);
        assert_int_equal(ring_peer_name(f.ring, server, &peer), 0);
        assert_int_equal(ring_local_name(f.ring, client, &name), 0);
        assert_memory_equal(&peer, &name, sizeof(struct sockaddr_in));
        /* Nobody sent it elsewhere. */
        assert_int_equal(ring_original_name(f.ring, server, AF_INET, &name), -ENOENT);
        ring_close(f.ring, client);
        ring_close(f.ring, server);
    }
    ring_cancel(f.ring, RING_ACCEPT, edge);
    assert_int_equal(await(&f, RING_ACCEPT), -ECANCELED);
    assert_false(f.event.more);
    close(listener);

    /* Nobody listens there any more. */
    client = ring_socket(f.ring, AF_INET);
    ring_connect(f.ring, client, some_owner, (struct sockaddr *)&address, sizeof(address));
    assert_int_equal(await(&f, RING_CONNECT), -ECONNREFUSED);
    ring_close(f.ring, client);
    assert_true(ring_socket(f.ring, 12345) < 0);
    fixture_close(&f);
}

/* Runs in a process of its own, whose descriptors are few. */
static int accept_without_descriptors(void)
{
    struct sockaddr_in address;
    struct rlimit limit;
    struct fixture f;
    int clients[4], spare[2], listener;

    fixture_open(&f, &tiny);
    listener = listen_on_loopback(&address);
    for (int i = 0; i < 4; i++) {
        clients[i] = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(clients[i], (struct sockaddr *)&address, sizeof(address)) != 0) {
            return 1;
        }
    }
    spare[0] = dup(listener);
    spare[1] = dup(listener);
    limit.rlim_cur = limit.rlim_max = (rlim_t)spare[1] + 1;
    close(spare[0]);
    close(spare[1]); /* from here on there are two */
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return 2;
    }
    ring_accept(f.ring, listener, some_owner);
    for (int i = 0; i < 2; i++) {
        if (await(&f, RING_ACCEPT) < 0 || !f.event.more) {
            return 3;
        }
    }
    if (await(&f, RING_ACCEPT) != -EMFILE || f.event.more) {
        return 4;
    }
    /* The connection is still in the backlog: once there is room, a new accept gets it. */
    close(clients[0]);
    ring_accept(f.ring, listener, some_owner);
    if (await(&f, RING_ACCEPT) < 0) {
        return 5;
    }
    if (await(&f, RING_ACCEPT) != -EMFILE) {
        return 6;
    }
    return ring_free(f.ring) ? 0 : 7;
}

static void test_own_ip(void **state)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct fixture f;

    (void)state;
    fixture_open(&f, &tiny);
    assert_true(ring_is_own_ip(f.ring, (struct sockaddr *)&v4, sizeof(v4)));
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 5);
    assert_true(ring_is_own_ip(f.ring, (struct sockaddr *)&v4, sizeof(v4)));
    v4.sin_addr.s_addr = htonl(0xc0000263); /* 192.0.2.99, nobody's */
    assert_false(ring_is_own_ip(f.ring, (struct sockaddr *)&v4, sizeof(v4)));
    assert_true(ring_is_own_ip(f.ring, (struct sockaddr *)&v6, sizeof(v6)));
    v6.sin6_addr.s6_addr[0] = 0x20;
    assert_false(ring_is_own_ip(f.ring, (struct sockaddr *)&v6, sizeof(v6)));
    fixture_close(&f);
}

static void test_accept_out_of_descriptors(void **state)
{
    int status = -1;
    pid_t pid = fork();

    (void)state;
    if (pid == 0) {
        _exit(accept_without_descriptors());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void test_receive_and_cap(void **state)
{
    uint8_t sent[1024];
    struct fixture f;
    size_t received = 0, armed_at = 0;
    bool armed = false;
    int fds[2], starved = 0;

    (void)state;
    fixture_open(&f, &tiny);
    tcp_pair(fds, 0);
    for (size_t i = 0; i < sizeof(sent); i++) {
        sent[i] = pattern(i);
    }
    assert_int_equal(write(fds[1], sent, sizeof(sent)), sizeof(sent));
    while (received < sizeof(sent)) {
        if (!armed) {
            ring_recv(f.ring, fds[0], some_owner, RING_GROUP_SMALL, 100, false);
            armed = true;
            armed_at = received;
        }
        int res = await(&f, RING_RECV);
        armed = f.event.more;
        if (res > 0) {
            struct span got = buf_view(f.event.buf);
            assert_int_equal(f.event.buf->size_class, BUF_CLASS_RING);
            assert_int_equal(got.len, res);
            assert_memory_equal(got.data, sent + received, got.len);
            received += got.len;
            buf_put(&f.cache, f.event.buf);
            if (ring_has_recv_cap(f.ring)) {
                /* It ends once 100 bytes are there, in the middle of no buffer. */
                assert_true(received - armed_at < 100 + 64);
                assert_int_equal(armed, received - armed_at < 100);
            }
        } else {
            assert_int_equal(res, -ENOBUFS);
            assert_false(armed);
            assert_null(f.event.buf);
            starved++;
        }
    }
    assert_int_equal(ring_stats(f.ring)->recv_bytes, sizeof(sent));
    assert_int_equal(ring_stats(f.ring)->buffers_empty, starved);
    if (armed) {
        ring_cancel(f.ring, RING_RECV, some_owner);
        assert_int_equal(await(&f, RING_RECV), -ECANCELED);
    }
    close(fds[0]);
    close(fds[1]);
    fixture_close(&f);
}

/* The probe must find the cap where the kernel has it, since 6.17. */
static void test_cap_is_found(void **state)
{
    struct utsname name;
    struct fixture f;
    int major = 0, minor = 0;

    (void)state;
    fixture_open(&f, &tiny);
    assert_int_equal(uname(&name), 0);
    assert_int_equal(sscanf(name.release, "%d.%d", &major, &minor), 2);
    assert_int_equal(ring_has_recv_cap(f.ring),
                     !without_recv_cap && (major > 6 || (major == 6 && minor >= 17)));
    fixture_close(&f);
}

/* A completion that names a buffer without bytes in it: the buffer is not lost. */
static void test_buffer_without_bytes(void **state)
{
    struct io_uring_cqe cqe = {.flags = IORING_CQE_F_BUFFER | 2U << IORING_CQE_BUFFER_SHIFT};
    struct ring_event event;
    struct fixture f;

    (void)state;
    fixture_open(&f, &tiny);
    cqe.user_data = user_data_make(RING_RECV, some_owner);
    cqe.res = -ECONNRESET;
    f.ring->in_flight++;
    assert_true(event_fill(f.ring, &event, &cqe));
    assert_null(event.buf);
    assert_int_equal(event.res, -ECONNRESET);
    assert_int_equal(ring_group_free(f.ring, RING_GROUP_SMALL), 4);
    fixture_close(&f);
}

/* Without POLL_FIRST an idle socket would fail at once and for ever on an empty group. */
static void test_no_buffers(void **state)
{
    struct buf *held[4];
    struct fixture f;
    uint8_t byte = 1;
    int fds[2];

    (void)state;
    fixture_open(&f, &tiny);
    tcp_pair(fds, 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(ring_group_free(f.ring, RING_GROUP_SMALL), 4 - i);
        assert_int_equal(write(fds[1], &byte, 1), 1);
        ring_recv(f.ring, fds[0], some_owner, RING_GROUP_SMALL, 1, false);
        assert_int_equal(await(&f, RING_RECV), 1);
        held[i] = f.event.buf;
        while (f.event.more) {
            ring_cancel(f.ring, RING_RECV, some_owner);
            await(&f, RING_RECV);
        }
    }
    assert_int_equal(ring_group_free(f.ring, RING_GROUP_SMALL), 0);
    assert_int_equal(ring_group_free(f.ring, RING_GROUP_BULK), 2);
    assert_int_equal(ring_group_count(f.ring, RING_GROUP_BULK), 2);
    ring_recv(f.ring, fds[0], some_owner, RING_GROUP_SMALL, 64, false);
    assert_int_equal(await(&f, RING_RECV), -ENOBUFS);
    assert_false(f.event.more);
    ring_recv(f.ring, fds[0], some_owner, RING_GROUP_SMALL, 64, true);
    assert_quiet(&f);
    assert_int_equal(write(fds[1], &byte, 1), 1);
    assert_int_equal(await(&f, RING_RECV), -ENOBUFS);
    assert_int_equal(ring_stats(f.ring)->buffers_empty, 2);
    for (int i = 0; i < 4; i++) {
        buf_put(&f.cache, held[i]);
    }
    ring_recv(f.ring, fds[0], some_owner, RING_GROUP_SMALL, 64, true);
    assert_int_equal(await(&f, RING_RECV), 1);
    buf_put(&f.cache, f.event.buf);

    /* The other group, and the caller's own memory. */
    ring_cancel_fd(f.ring, fds[0]);
    if (f.event.more) {
        assert_int_equal(await(&f, RING_RECV), -ECANCELED);
    }
    assert_int_equal(write(fds[1], "ab", 2), 2);
    byte = 0;
    ring_recv_into(f.ring, fds[0], some_owner, &byte, 1);
    assert_int_equal(await(&f, RING_RECV_INTO), 1);
    assert_int_equal(byte, 'a');
    ring_recv(f.ring, fds[0], some_owner, RING_GROUP_BULK, 1, false);
    assert_int_equal(await(&f, RING_RECV), 1);
    assert_int_equal(f.event.buf->group, RING_GROUP_BULK);
    assert_int_equal(f.event.buf->data[0], 'b');
    buf_put(&f.cache, f.event.buf);
    close(fds[1]);
    fixture_close(&f);
    close(fds[0]);
}

static void test_half_close_and_poll(void **state)
{
    struct iovec iov = {(void *)(uintptr_t) "answer", 6};
    struct fixture f;
    char text[16];
    int fds[2];

    (void)state;
    fixture_open(&f, &tiny);
    tcp_pair(fds, 0);
    ring_recv(f.ring, fds[0], some_owner, RING_GROUP_SMALL, 64, true);
    assert_quiet(&f);
    shutdown(fds[1], SHUT_WR);
    assert_int_equal(await(&f, RING_RECV), 0);
    assert_false(f.event.more);
    assert_null(f.event.buf);
    ring_send(f.ring, fds[0], some_owner, &iov, 1);
    assert_int_equal(await(&f, RING_SEND), 6);
    ring_poll(f.ring, fds[0], some_owner, RING_POLL_OUT, POLLOUT);
    assert_true(await(&f, RING_POLL_OUT) & POLLOUT);
    ring_poll(f.ring, fds[0], some_owner, RING_RESOLVE, POLLIN);
    assert_true(await(&f, RING_RESOLVE) & POLLIN);
    assert_int_equal(ring_shutdown(f.ring, fds[0], SHUT_WR), 0);
    assert_int_equal(read(fds[1], text, sizeof(text)), 6);
    assert_int_equal(read(fds[1], text, sizeof(text)), 0);
    close(fds[0]);
    close(fds[1]);
    fixture_close(&f);
}

/*
 * A reset that comes together with the last data may stay unknown to a multishot receive; the poll
 * for the end always tells, and a receive armed anew then finds data and error.
 */
static void test_reset_behind_data(void **state)
{
    int unseen = 0;

    (void)state;
    for (int i = 0; i < 50; i++) {
        struct fixture f;
        bool broken = false;
        bool over = false;
        int fds[2];

        fixture_open(&f, &tiny);
        tcp_pair(fds, 0);
        assert_int_equal(write(fds[1], "x", 1), 1);
        close_with_reset(fds[1]);
        ring_recv(f.ring, fds[0], some_owner, RING_GROUP_SMALL, 64, true);
        ring_poll(f.ring, fds[0], some_owner, RING_POLL_BROKEN, 0);
        while (!broken || !over) {
            await_any(&f);
            if (f.event.buf) {
                buf_put(&f.cache, f.event.buf);
            }
            over |= f.event.kind == RING_RECV && !f.event.more;
            if (f.event.kind == RING_POLL_BROKEN) {
                broken = true;
                unseen += !over;
                if (!over) {
                    ring_cancel(f.ring, RING_RECV, some_owner);
                }
            }
        }
        ring_close(f.ring, fds[0]);
        fixture_close(&f);
    }
    print_message("%d of 50 resets were told to the poll first\n", unseen);
}

static void test_reset(void **state)
{
    struct iovec iov = {(void *)(uintptr_t) "x", 1};
    struct fixture f;
    char byte;
    int fds[2];

    (void)state;
    fixture_open(&f, &tiny);
    tcp_pair(fds, 0);
    ring_recv(f.ring, fds[0], some_owner, RING_GROUP_SMALL, 64, true);
    assert_quiet(&f);
    close_with_reset(fds[1]);
    assert_int_equal(await(&f, RING_RECV), -ECONNRESET);
    assert_false(f.event.more);
    ring_send(f.ring, fds[0], some_owner, &iov, 1);
    assert_int_equal(await(&f, RING_SEND), -EPIPE);
    ring_close(f.ring, fds[0]);

    tcp_pair(fds, 0);
    ring_set_reset(f.ring, fds[0]);
    ring_close(f.ring, fds[0]);
    assert_int_equal(read(fds[1], &byte, 1), -1);
    assert_int_equal(errno, ECONNRESET);
    close(fds[1]);
    fixture_close(&f);
}

/* A send takes what there is room for and is asked again for the rest; the peer reads slowly, then
 * our side is shut down in the middle. */
static void test_send_everything(void **state)
{
    enum { LEN = RING_SEND_BYTES_MAX };
    uint8_t *bytes = malloc(LEN), *read_back = malloc(LEN);
    struct iovec iov[RING_SEND_IOVECS_MAX];
    size_t done = 0, at = 0, sent = 0;
    struct fixture f;
    int fds[2];

    (void)state;
    fixture_open(&f, &tiny);
    tcp_pair(fds, 4096);
    for (size_t i = 0; i < LEN; i++) {
        bytes[i] = pattern(i);
    }
    for (size_t i = 0; i < RING_SEND_IOVECS_MAX; i++) {
        size_t len = i == RING_SEND_IOVECS_MAX - 1 ? LEN - at : 1 + i * 977;
        iov[i] = (struct iovec){bytes + at, len};
        at += len;
    }
    ring_send(f.ring, fds[0], some_owner, iov, RING_SEND_IOVECS_MAX);
    memset(iov, 0xff, sizeof(iov)); /* they were copied */
    while (sent < LEN) {
        ssize_t got = read(fds[1], read_back + done, LEN - done < 3000 ? LEN - done : 3000);
        done += got > 0 ? (size_t)got : 0;
        if (ring_turn(f.ring, 0, &f.event, 1) == 1) {
            assert_int_equal(f.event.kind, RING_SEND);
            assert_true(f.event.res > 0 || f.event.res == -EAGAIN);
            sent += f.event.res > 0 ? (size_t)f.event.res : 0;
            assert_true(sent <= LEN);
            iov[0] = (struct iovec){bytes + sent, LEN - sent};
            if (sent < LEN) {
                ring_send(f.ring, fds[0], some_owner, iov, 1);
            }
        }
    }
    while (done < LEN) {
        ssize_t got = read(fds[1], read_back + done, LEN - done);
        done += got > 0 ? (size_t)got : 0;
    }
    assert_memory_equal(bytes, read_back, LEN);
    assert_int_equal(ring_stats(f.ring)->send_bytes, LEN);

    iov[0] = (struct iovec){bytes, LEN};
    do {
        ring_send(f.ring, fds[0], some_owner, iov, 1);
    } while (await(&f, RING_SEND) > 0);
    assert_int_equal(f.event.res, -EAGAIN);
    ring_shutdown(f.ring, fds[0], SHUT_RDWR);
    ring_send(f.ring, fds[0], some_owner, iov, 1);
    assert_int_equal(await(&f, RING_SEND), -EPIPE);
    ring_close(f.ring, fds[0]);
    close(fds[1]);
    fixture_close(&f);
    free(bytes);
    free(read_back);
}

/* What the queue holds beyond `cap` comes with the next turns, which then do not sleep. */
static void test_leftovers_do_not_sleep(void **state)
{
    struct fixture f;
    bool seen[3] = {false};
    int fds[2];

    (void)state;
    fixture_open(&f, &tiny);
    tcp_pair(fds, 0);
    for (uint32_t i = 0; i < 3; i++) {
        ring_poll(f.ring, fds[0], (struct ring_owner){i, 1}, RING_POLL_OUT, POLLOUT);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ring_turn(f.ring, -1, &f.event, 1), 1);
        assert_false(seen[f.event.owner.slot]);
        seen[f.event.owner.slot] = true;
    }
    close(fds[0]);
    close(fds[1]);
    fixture_close(&f);
}

/* The cancel of a closed descriptor must not reach the stranger that gets its number. */
static void test_close_forgets_cancels(void **state)
{
    struct fixture f;
    int fds[2], next[2];

    (void)state;
    fixture_open(&f, &ring_options_default);
    tcp_pair(fds, 0);
    tcp_pair(next, 0);
    ring_poll(f.ring, next[0], some_owner, RING_POLL_IN, POLLIN);
    assert_quiet(&f);
    ring_cancel_fd(f.ring, fds[0]);
    ring_close(f.ring, fds[0]);
    assert_int_equal(dup2(next[0], fds[0]), fds[0]);
    assert_quiet(&f);
    ring_cancel_fd(f.ring, fds[0]);
    assert_int_equal(await(&f, RING_POLL_IN), -ECANCELED);
    close(fds[0]);
    close(fds[1]);
    close(next[0]);
    close(next[1]);
    fixture_close(&f);
}

static void test_other_operations_are_refused(void **state)
{
    struct fixture f;
    struct io_uring_sqe *sqe;

    (void)state;
    fixture_open(&f, &tiny);
    sqe = sqe_new(f.ring);
    io_uring_prep_openat(sqe, AT_FDCWD, "/dev/null", O_RDONLY, 0);
    sqe_own(f.ring, sqe, RING_POLL_IN, some_owner);
    assert_int_equal(await(&f, RING_POLL_IN), -EACCES);
    fixture_close(&f);
}

static void test_splice(void **state)
{
    enum { LEN = 100000 };
    uint8_t in[4096], out[4096];
    size_t sent = 0, received = 0, in_pipe = 0, capacity = 0;
    struct fixture f;
    int from[2], to[2], pipe_fds[2];

    (void)state;
    fixture_open(&f, &tiny);
    tcp_pair(from, 4096);
    tcp_pair(to, 4096);
    assert_int_equal(ring_pipe(f.ring, pipe_fds, &capacity), 0);
    assert_true(capacity >= 65536);
    assert_int_equal(ring_splice(f.ring, from[0], pipe_fds[1], 1000), -EAGAIN);
    while (received < LEN) {
        size_t len = LEN - sent < sizeof(in) ? LEN - sent : sizeof(in);
        for (size_t i = 0; i < len; i++) {
            in[i] = pattern(sent + i);
        }
        ssize_t n = len ? write(from[1], in, len) : 0;
        sent += n > 0 ? (size_t)n : 0;
        if (len && sent == LEN) {
            shutdown(from[1], SHUT_WR);
        }
        n = ring_splice(f.ring, from[0], pipe_fds[1], capacity);
        assert_true(n >= 0 || n == -EAGAIN);
        in_pipe += n > 0 ? (size_t)n : 0;
        n = in_pipe ? ring_splice(f.ring, pipe_fds[0], to[0], in_pipe) : 0;
        assert_true(n >= 0 || n == -EAGAIN);
        in_pipe -= n > 0 ? (size_t)n : 0;
        n = read(to[1], out, sizeof(out));
        for (ssize_t i = 0; i < n; i++) {
            assert_int_equal(out[i], pattern(received + (size_t)i));
        }
        received += n > 0 ? (size_t)n : 0;
    }
    assert_int_equal(ring_splice(f.ring, from[0], pipe_fds[1], 1000), 0);
    for (int i = 0; i < 2; i++) {
        close(from[i]);
        close(to[i]);
        close(pipe_fds[i]);
    }
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turn_waits_as_told),
        cmocka_unit_test(test_wake_from_another_thread),
        cmocka_unit_test(test_busy_poll),
        cmocka_unit_test(test_accept_and_connect),
        cmocka_unit_test(test_own_ip),
        cmocka_unit_test(test_accept_out_of_descriptors),
        cmocka_unit_test(test_receive_and_cap),
        cmocka_unit_test(test_cap_is_found),
        cmocka_unit_test(test_buffer_without_bytes),
        cmocka_unit_test(test_no_buffers),
        cmocka_unit_test(test_half_close_and_poll),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_reset_behind_data),
        cmocka_unit_test(test_send_everything),
        cmocka_unit_test(test_leftovers_do_not_sleep),
        cmocka_unit_test(test_close_forgets_cancels),
        cmocka_unit_test(test_other_operations_are_refused),
        cmocka_unit_test(test_splice),
    };
    int failures = cmocka_run_group_tests_name("ring", tests, NULL, NULL);

    without_recv_cap = true;
    failures += cmocka_run_group_tests_name("ring, no receive cap", tests, NULL, NULL);
    without_recv_cap = false;
    busy_poll_ns = 200 * NS_PER_US;
    return failures + cmocka_run_group_tests_name("ring, busy polling", tests, NULL, NULL);
}
