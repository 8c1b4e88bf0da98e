/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plain system calls of ring.h: inline and cheap, where io_uring would use a kernel worker
 * thread (shutdown, splice) or gain nothing. ring_close() is in ring.c, since it must know the
 * queue.
 */
#include "core/engine/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <unistd.h>

enum {
    PIPE_WANTED_BYTES = 256 * 1024,
    PIPE_LEAST_BYTES = 64 * 1024, /* smaller ones cost more than they save */
};

static int result_of(int res)
{
    return res < 0 ? -errno : res;
}

int ring_accept_now(struct ring *ring, int fd)
{
    (void)ring;
    return result_of(accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

int ring_socket(struct ring *ring, int family)
{
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    int res;

    if (fd < 0) {
        return -errno;
    }
    res = ring_set_nodelay(ring, fd);
    if (res < 0) {
        close(fd);
        return res;
    }
    return fd;
}

int ring_shutdown(struct ring *ring, int fd, int how)
{
    (void)ring;
    return result_of(shutdown(fd, how));
}

void ring_set_reset(struct ring *ring, int fd)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};

    (void)ring;
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

int ring_set_nodelay(struct ring *ring, int fd)
{
    int on = 1;

    (void)ring;
    return result_of(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)));
}

int ring_peer_name(struct ring *ring, int fd, struct sockaddr_storage *name)
{
    socklen_t len = sizeof(*name);

    (void)ring;
    memset(name, 0, sizeof(*name));
    return result_of(getpeername(fd, (struct sockaddr *)name, &len));
}

int ring_local_name(struct ring *ring, int fd, struct sockaddr_storage *name)
{
    socklen_t len = sizeof(*name);

    (void)ring;
    memset(name, 0, sizeof(*name));
    return result_of(getsockname(fd, (struct sockaddr *)name, &len));
}

int ring_pipe(struct ring *ring, int pipe_fds[2], size_t *capacity)
{
    int size;

    (void)ring;
    if (pipe2(pipe_fds, O_NONBLOCK | O_CLOEXEC) != 0) {
        return -errno;
    }
    /* Above the user's soft limit of pipe pages it stays as small as it was born. */
    (void)fcntl(pipe_fds[1], F_SETPIPE_SZ, PIPE_WANTED_BYTES);
    size = fcntl(pipe_fds[1], F_GETPIPE_SZ);
    if (size < PIPE_LEAST_BYTES) {
        close(pipe_fds[0]);
        close(pipe_fds[1]);
        return -EPERM;
    }
    *capacity = (size_t)size;
    return 0;
}

ssize_t ring_splice(struct ring *ring, int from_fd, int to_fd, size_t len)
{
    ssize_t res = splice(from_fd, NULL, to_fd, NULL, len, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);

    (void)ring;
    return res < 0 ? -errno : res;
}
