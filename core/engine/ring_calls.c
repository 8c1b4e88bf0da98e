/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plain system calls of ring.h: inline and cheap, where io_uring would use a kernel worker
 * thread (shutdown, splice) or gain nothing. ring_close() is in ring.c, since it must know the
 * queue.
 */
#include "core/engine/ring.h"

#include "core/engine/address.h"
#include "core/engine/netfilter_abi.h"

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
    (void)ring_set_quick_acks(ring, fd, false);
    res = ring_set_nodelay(ring, fd);
    if (res < 0) {
        close(fd);
        return res;
    }
    return fd;
}

int ring_set_mark(struct ring *ring, int fd, uint32_t mark)
{
    (void)ring;
    return result_of(setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)));
}

/* The port is chosen by connect(2), which knows the destination: so two connections to different
 * destinations can have the same one. */
int ring_set_source(struct ring *ring, int fd, const struct sockaddr *source, socklen_t source_len)
{
    bool is_v6 = source->sa_family == AF_INET6;
    int on = 1;

    (void)ring;
    if (setsockopt(fd, is_v6 ? SOL_IPV6 : SOL_IP, is_v6 ? IPV6_TRANSPARENT : IP_TRANSPARENT, &on,
                   sizeof(on)) < 0 ||
        setsockopt(fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) < 0 ||
        bind(fd, source, source_len) < 0) {
        return -errno;
    }
    return 0;
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

int ring_set_quick_acks(struct ring *ring, int fd, bool quick)
{
    int value = quick;

    (void)ring;
    return result_of(setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &value, sizeof(value)));
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

/* Connection tracking knows the original destination of every connection that it has seen, also of
 * those whose destination nobody changed. */
int ring_original_name(struct ring *ring, int fd, int family, struct sockaddr_storage *name)
{
    struct sockaddr_storage local_name;
    socklen_t len = sizeof(*name);
    struct address local, original;
    int res = ring_local_name(ring, fd, &local_name);

    if (res < 0) {
        return res;
    }
    local = address_from_storage(&local_name);
    local = address_unmapped(&local);
    memset(name, 0, sizeof(*name));
    if (family == AF_INET || local.u.any.sa_family == AF_INET) {
        res = getsockopt(fd, SOL_IP, NETFILTER_ORIGINAL_DST_V4, name, &len);
    } else {
        res = getsockopt(fd, SOL_IPV6, NETFILTER_ORIGINAL_DST_V6, name, &len);
    }
    if (res < 0) {
        /* Without connection tracking in the kernel the option is not known at all. */
        return errno == ENOPROTOOPT ? -ENOENT : -errno;
    }
    original = address_from_storage(name);
    return address_equal(&original, &local) ? -ENOENT : 0;
}

/* A datagram to an own address would have that address as its source, too; none is sent. bind(2)
 * could tell as well, but not where the system lets it take any address (ip_nonlocal_bind). */
bool ring_is_own_ip(struct ring *ring, const struct sockaddr *address, socklen_t address_len)
{
    static const uint8_t loopback_net = 127; /* all of it is local, but 127.0.0.1 is the source */
    struct sockaddr_storage name;
    struct address to = {.len = address_len}, from;
    bool is_own = false;
    int fd;

    memcpy(&to.u, address, address_len);
    if (address->sa_family == AF_INET && *(uint8_t *)&to.u.v4.sin_addr == loopback_net) {
        return true;
    }
    fd = socket(address->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return false;
    }
    address_set_port(&to, 9); /* any but 0 */
    if (connect(fd, &to.u.any, to.len) == 0 && ring_local_name(ring, fd, &name) == 0) {
        from = address_from_storage(&name);
        address_set_port(&from, 9);
        is_own = address_equal(&from, &to);
    }
    close(fd);
    return is_own;
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
