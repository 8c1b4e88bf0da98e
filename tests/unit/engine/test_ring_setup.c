/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Beginning and end of the real ring. The module's own source is included so that the set-up can be
 * made to fail.
 *
 * The tests run twice: as the kernel is, and as on one without the cap of multishot receives.
 */
#include <liburing.h>

static int faulty_init(unsigned entries, struct io_uring *ring, struct io_uring_params *params);

#define io_uring_queue_init_params faulty_init
#include "core/engine/ring_setup.c"
#undef io_uring_queue_init_params

#include "tests/unit/engine/ring_kit.h"

#include <poll.h>

static int init_fails; /* set-ups that fail before one works */
static int init_error = -ENOMEM;

static int faulty_init(unsigned entries, struct io_uring *ring, struct io_uring_params *params)
{
    if (init_fails > 0) {
        init_fails--;
        return init_error;
    }
    return io_uring_queue_init_params(entries, ring, params);
}

static void test_self_test(void **state)
{
    (void)state;
    assert_int_equal(ring_self_test(error_text, sizeof(error_text)), 0);
    assert_non_null(strstr(error_text, "receive cap"));
}

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
        cmocka_unit_test(test_free_with_operations_in_flight),
        cmocka_unit_test(test_start_errors),
    };
    int failures = cmocka_run_group_tests_name("ring_setup", tests, NULL, NULL);

    without_recv_cap = true;
    return failures + cmocka_run_group_tests_name("ring_setup, no receive cap", tests, NULL, NULL);
}
