/* SPDX-License-Identifier: Apache-2.0 */
#include "core/engine/dns_socket.h"

#include "core/base/assert.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <unistd.h>

void dns_sockets_init(struct dns_sockets *set, struct ring *ring, uint32_t mark)
{
    *set = (struct dns_sockets){.ring = ring, .mark = mark};
    for (size_t i = 0; i < DNS_SOCKETS_MAX; i++) {
        set->sockets[i] = (struct dns_socket){.fd = -1, .generation = 1};
    }
}

static struct dns_socket *socket_find(struct dns_sockets *set, int fd)
{
    for (size_t i = 0; i < DNS_SOCKETS_MAX; i++) {
        if (set->sockets[i].fd == fd) {
            return &set->sockets[i];
        }
    }
    return NULL;
}

static struct ring_owner socket_owner(const struct dns_sockets *set, const struct dns_socket *s)
{
    return (struct ring_owner){(uint32_t)(s - set->sockets), s->generation};
}

static void socket_cancel(struct dns_sockets *set, struct dns_socket *s)
{
    if (!s->cancelled) {
        s->cancelled = true;
        ring_cancel(set->ring, RING_RESOLVE, socket_owner(set, s));
    }
}

/* Makes the poll follow what is wanted. A poll that waits for too much does no harm. */
static void socket_follow(struct dns_sockets *set, struct dns_socket *s)
{
    if (s->armed == 0 && s->wanted != 0) {
        s->armed = s->wanted;
        s->cancelled = false;
        set->in_flight++;
        ring_poll(set->ring, s->fd, socket_owner(set, s), RING_RESOLVE, s->wanted);
    } else if ((s->wanted & ~s->armed) != 0) {
        socket_cancel(set, s);
    }
}

static void socket_release(struct dns_sockets *set, struct dns_socket *s)
{
    ring_close(set->ring, s->fd);
    *s = (struct dns_socket){.fd = -1, .generation = s->generation + 1};
}

int dns_sockets_open(struct dns_sockets *set, int family, int type, int protocol)
{
    struct dns_socket *s = socket_find(set, -1);
    int on = 1, room = DNS_SOCKET_ROOM;

    if (!s) {
        errno = EMFILE;
        return -1;
    }
    int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    if (fd < 0) {
        return -1;
    }
    if (set->mark) {
        int result = ring_set_mark(set->ring, fd, set->mark);
        if (result < 0) {
            close(fd);
            errno = -result;
            return -1;
        }
    }
    /* Both are for speed, and may fail: a query that waits for no acknowledgement, and room for the
     * answers to a burst of questions, which all come to this one socket. */
    if (type == SOCK_STREAM) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    } else {
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
    }
    s->fd = fd;
    s->type = type;
    return fd;
}

void dns_sockets_close(struct dns_sockets *set, int fd)
{
    struct dns_socket *s = socket_find(set, fd);

    ASSERT(s && !s->closing);
    s->wanted = 0;
    if (s->armed == 0) {
        socket_release(set, s);
        return;
    }
    s->closing = true;
    socket_cancel(set, s);
}

/* A datagram without content is skipped: c-ares before 1.19.1 takes it for the end of the stream,
 * and so gives anybody who can forge one the power to end a query (CVE-2023-32067). */
ssize_t dns_sockets_receive(struct dns_sockets *set, int fd, void *bytes, size_t cap, int flags,
                            struct sockaddr *from, socklen_t *from_len)
{
    const struct dns_socket *s = socket_find(set, fd);
    socklen_t room = from_len ? *from_len : 0;
    ssize_t len;

    ASSERT(s);
    do {
        if (from_len) {
            *from_len = room;
        }
        len = recvfrom(fd, bytes, cap, flags, from, from_len);
    } while (len == 0 && s->type == SOCK_DGRAM);
    return len;
}

ssize_t dns_sockets_send(int fd, const struct iovec *iov, int iov_count)
{
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)iov,
                             .msg_iovlen = (size_t)iov_count};

    return sendmsg(fd, &message, MSG_NOSIGNAL);
}

void dns_sockets_want(struct dns_sockets *set, int fd, short mask)
{
    struct dns_socket *s = socket_find(set, fd);

    ASSERT(s && !s->closing);
    s->wanted = mask;
    socket_follow(set, s);
}

bool dns_sockets_take_event(struct dns_sockets *set, const struct ring_event *event,
                            struct dns_ready *ready)
{
    ASSERT(event->kind == RING_RESOLVE && event->owner.slot < DNS_SOCKETS_MAX);
    struct dns_socket *s = &set->sockets[event->owner.slot];

    /* A slot is not used anew while its poll is out. */
    ASSERT(s->generation == event->owner.generation && s->armed != 0 && set->in_flight > 0);
    set->in_flight--;
    s->armed = 0;
    *ready = (struct dns_ready){-1, -1};
    if (s->closing) {
        socket_release(set, s);
        return false;
    }
    if (event->res < 0) {
        if (!s->cancelled) {
            s->wanted = 0; /* cannot be polled: the library's time-out moves on without it */
        }
        return false;
    }
    /* An error or hang-up is for whoever waits: the system call will say what it is. */
    if ((s->wanted & POLLIN) && (event->res & ~POLLOUT)) {
        ready->read_fd = s->fd;
    }
    if ((s->wanted & POLLOUT) && (event->res & ~POLLIN)) {
        ready->write_fd = s->fd;
    }
    return true;
}

void dns_sockets_resume(struct dns_sockets *set, struct ring_owner owner)
{
    struct dns_socket *s = &set->sockets[owner.slot];

    if (s->fd >= 0 && s->generation == owner.generation && !s->closing) {
        socket_follow(set, s);
    }
}
