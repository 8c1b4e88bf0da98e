/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real ring on the real kernel, over loopback. The module's own source is included so that
 * io_uring_enter and the set-up can be made to fail, and so that the queues can be looked at.
 *
 * Most tests run twice: as the kernel is, and as on one without the cap of multishot receives.
 */
#include <liburing.h>

static int faulty_enter(unsigned fd, unsigned to_submit, unsigned wait_count, unsigned flags,
                        void *arg, size_t len);
static int faulty_init(unsigned entries, struct io_uring *ring, struct io_uring_params *params);

#define io_uring_enter2            faulty_enter
#define io_uring_queue_init_params faulty_init
#include "core/engine/ring.c"
#undef io_uring_enter2
#undef io_uring_queue_init_params

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/wait.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* ---- Faults ---- */

static bool enter_faults; /* every few enters end in a way that the manual page allows */
static unsigned enter_count;
static int init_fails; /* set-ups that fail before one works */
static int init_error = -ENOMEM;

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

static int faulty_init(unsigned entries, struct io_uring *ring, struct io_uring_params *params)
{
    if (init_fails > 0) {
        init_fails--;
        return init_error;
    }
    return io_uring_queue_init_params(entries, ring, params);
}

/* ---- Fixture ---- */

static bool without_recv_cap;
static char error_text[512];

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

static void fixture_open(struct fixture *f, const struct ring_options *base)
{
    struct ring_options options = *base;
    int res;

    options.without_recv_cap = without_recv_cap;
    buf_cache_init(&f->cache);
    res = ring_new(&f->ring, &options, &f->cache, error_text, sizeof(error_text));
    if (res < 0) {
        fail_msg("%s", error_text);
    }
}

/* Whatever went through the ring, none of it may have needed a kernel worker thread. */
static void assert_no_kernel_workers(void)
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

static void fixture_close(struct fixture *f)
{
    assert_no_kernel_workers();
    assert_true(ring_free(f->ring));
    buf_cache_fini(&f->cache);
}

/* The next event of that kind within two seconds; others must not come. */
static int await(struct fixture *f, enum ring_kind kind)
{
    int64_t give_up_ns = clock_monotonic_ns() + 2 * NS_PER_S;

    while (clock_monotonic_ns() < give_up_ns) {
        if (ring_turn(f->ring, 20 * NS_PER_MS, &f->event, 1) == 1) {
            assert_int_equal(f->event.kind, kind);
            return f->event.res;
        }
    }
    fail_msg("no event of kind %d", (int)kind);
    return 0;
}

static void assert_quiet(struct fixture *f)
{
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ring_turn(f->ring, 2 * NS_PER_MS, &f->event, 1), 0);
    }
}

static const struct ring_owner some_owner = {7, 9};

static int listen_on_loopback(struct sockaddr_in *address)
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
static void tcp_pair(int fds[2], int buffer_bytes)
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

static void close_with_reset(int fd)
{
    struct linger linger = {1, 0};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(fd);
}

static uint8_t pattern(size_t at)
{
    return (uint8_t)(at * 131 + (at >> 7) + (at >> 15));
}

/* ---- Single operations ---- */

static void test_self_test(void **state)
{
    (void)state;
    assert_int_equal(ring_self_test(error_text, sizeof(error_text)), 0);
    assert_non_null(strstr(error_text, "receive cap"));
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

static void test_accept_and_connect(void **state)
{
    const struct ring_owner edge = {(1U << 24) - 1, UINT32_MAX};
    struct sockaddr_storage name, peer;
    struct sockaddr_in address;
    struct fixture f;
    int listener, client, server;

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
    assert_int_equal(ring_group_size(f.ring, RING_GROUP_BULK), 256);
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

/* A send is all or dying: the peer reads slowly, then our side is shut down in the middle. */
static void test_send_everything(void **state)
{
    enum { LEN = RING_SEND_BYTES_MAX };
    uint8_t *bytes = malloc(LEN), *read_back = malloc(LEN);
    struct iovec iov[RING_SEND_IOVECS_MAX];
    size_t done = 0, at = 0;
    struct fixture f;
    int fds[2], res = 0;

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
    while (res == 0) {
        ssize_t got = read(fds[1], read_back + done, LEN - done < 3000 ? LEN - done : 3000);
        done += got > 0 ? (size_t)got : 0;
        if (ring_turn(f.ring, 0, &f.event, 1) == 1) {
            assert_int_equal(f.event.kind, RING_SEND);
            res = f.event.res;
        }
    }
    assert_int_equal(res, LEN);
    while (done < LEN) {
        ssize_t got = read(fds[1], read_back + done, LEN - done);
        done += got > 0 ? (size_t)got : 0;
    }
    assert_memory_equal(bytes, read_back, LEN);
    assert_int_equal(ring_stats(f.ring)->send_bytes, LEN);

    iov[0] = (struct iovec){bytes, LEN};
    ring_send(f.ring, fds[0], some_owner, iov, 1);
    assert_quiet(&f);
    ring_shutdown(f.ring, fds[0], SHUT_RDWR);
    res = await(&f, RING_SEND);
    assert_true((res > 0 && res < LEN) || res == -EPIPE);
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

/* ---- Many connections ---- */

enum { LINKS = 12, LINK_BYTES = 60000, LINK_HIGH = 128 };

/* One echoed connection: fds[0] is the ring's, fds[1] the test's own. */
struct link {
    int fds[2];
    struct buf_queue queue;   /* received, not being sent */
    struct buf_queue sending; /* in the send that is in flight */
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

    if (l->sending.first || !l->queue.first) {
        return;
    }
    while (l->queue.first && count < RING_SEND_IOVECS_MAX) {
        struct buf *b = buf_queue_pop(&l->queue);
        iov[count++] = (struct iovec){b->data + b->start, b->end - b->start};
        buf_queue_push(&l->sending, b);
    }
    ring_send(f->ring, l->fds[0], (struct ring_owner){slot, 1}, iov, count);
}

static void link_event(struct fixture *f, struct link *l, const struct ring_event *event)
{
    if (event->kind == RING_SEND) {
        assert_int_equal(event->res, l->sending.len);
        buf_queue_clear(&l->sending, &f->cache);
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

/* ---- Beginning and end ---- */

static void test_free_with_operations_in_flight(void **state)
{
    struct sockaddr_in address;
    struct fixture f;
    uint8_t byte;
    int fds[2], listener, late;

    (void)state;
    fixture_open(&f, &tiny);
    listener = listen_on_loopback(&address);
    tcp_pair(fds, 0);
    ring_accept(f.ring, listener, some_owner);
    ring_recv(f.ring, fds[0], some_owner, RING_GROUP_SMALL, 64, false);
    ring_poll(f.ring, fds[0], some_owner, RING_POLL_IN, POLLPRI);
    assert_quiet(&f);
    /* Events that nobody will take: a buffer and a descriptor. */
    assert_int_equal(write(fds[1], "late", 4), 4);
    late = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(late, (struct sockaddr *)&address, sizeof(address)), 0);
    fixture_close(&f);
    close(listener);
    assert_true(read(late, &byte, 1) <= 0); /* nobody holds it open */
    close(late);
    close(fds[0]);
    close(fds[1]);
}

static void test_start_errors(void **state)
{
    static const struct {
        int error;
        const char *part;
    } rows[] = {
        {-ENOSYS, "this kernel has no io_uring, or a seccomp filter hides it"},
        {-EPERM, "io_uring is blocked: check kernel.io_uring_disabled (0 wanted; 1 needs the "},
        {-EINVAL, "lacks IORING_SETUP_SINGLE_ISSUER and IORING_SETUP_DEFER_TASKRUN; 6.1 or newer"},
        {-ENOMEM, "KiB"},
        {-EMFILE, "Too many open files"},
    };
    struct buf_cache cache;
    struct ring *ring;

    (void)state;
    buf_cache_init(&cache);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        init_error = rows[i].error;
        init_fails = 1000;
        assert_int_equal(ring_new(&ring, &tiny, &cache, error_text, sizeof(error_text)),
                         rows[i].error);
        assert_null(ring);
        if (!strstr(error_text, rows[i].part)) {
            fail_msg("\"%s\" does not say \"%s\"", error_text, rows[i].part);
        }
        init_fails = 1;
        assert_true(ring_self_test(error_text, sizeof(error_text)) < 0 || rows[i].error == -ENOMEM);
    }
    /* Locked memory that a process gave back late: tried again. */
    init_error = -ENOMEM;
    init_fails = 2;
    assert_int_equal(ring_new(&ring, &tiny, &cache, error_text, sizeof(error_text)), 0);
    assert_int_equal(init_fails, 0);
    assert_true(ring_free(ring));
    init_fails = 0;
    buf_cache_fini(&cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_self_test),
        cmocka_unit_test(test_turn_waits_as_told),
        cmocka_unit_test(test_wake_from_another_thread),
        cmocka_unit_test(test_accept_and_connect),
        cmocka_unit_test(test_accept_out_of_descriptors),
        cmocka_unit_test(test_receive_and_cap),
        cmocka_unit_test(test_no_buffers),
        cmocka_unit_test(test_half_close_and_poll),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_send_everything),
        cmocka_unit_test(test_leftovers_do_not_sleep),
        cmocka_unit_test(test_close_forgets_cancels),
        cmocka_unit_test(test_other_operations_are_refused),
        cmocka_unit_test(test_splice),
        cmocka_unit_test(test_echo_storm),
        cmocka_unit_test(test_echo_storm_with_faulty_enter),
        cmocka_unit_test(test_free_with_operations_in_flight),
        cmocka_unit_test(test_start_errors),
    };
    int failures = cmocka_run_group_tests_name("ring", tests, NULL, NULL);

    without_recv_cap = true;
    return failures + cmocka_run_group_tests_name("ring, no receive cap", tests, NULL, NULL);
}
