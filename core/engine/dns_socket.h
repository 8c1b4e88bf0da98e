/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns_socket: the sockets of a DNS library that opens, uses and closes them by itself, made to keep
 * the ring's rule: a descriptor is closed only when nothing is in flight on it. One poll at most is
 * in flight a socket; it is armed and moved as the library's interest changes. One thread, the
 * ring's.
 */
#ifndef WEIR_ENGINE_DNS_SOCKET_H
#define WEIR_ENGINE_DNS_SOCKET_H

#include "core/engine/ring.h"

enum {
    DNS_SOCKETS_MAX = 64, /* UDP and TCP of each server, and those on their way to be closed */
    DNS_SOCKET_ROOM = 1024 * 1024, /* bytes of answers that may wait; the system may allow less */
};

/* Its place in the array is the slot of its polls' owner. */
struct dns_socket {
    int fd; /* -1: free */
    int type;
    uint32_t generation; /* bumped when the descriptor is closed */
    short wanted;        /* what the library waits for, poll(2) bits */
    short armed;         /* what the poll in flight waits for; 0: none is in flight */
    bool cancelled;      /* that poll was asked to end */
    bool closing;        /* the library has closed it; close it when the poll is back */
};

struct dns_sockets {
    struct ring *ring;
    uint32_t mark; /* SO_MARK of every socket; 0: none */
    struct dns_socket sockets[DNS_SOCKETS_MAX];
    uint32_t in_flight; /* polls */
};

/* What an event says; -1: nothing to do. */
struct dns_ready {
    int read_fd;
    int write_fd;
};

void dns_sockets_init(struct dns_sockets *set, struct ring *ring, uint32_t mark);

/* These behave as the system calls do: -1 and errno. */
int dns_sockets_open(struct dns_sockets *set, int family, int type, int protocol) MUST_CHECK;
ssize_t dns_sockets_receive(struct dns_sockets *set, int fd, void *bytes, size_t cap, int flags,
                            struct sockaddr *from, socklen_t *from_len) MUST_CHECK;
ssize_t dns_sockets_send(int fd, const struct iovec *iov, int iov_count) MUST_CHECK;

/* The library is done with it; the descriptor lives on until its poll is back. */
void dns_sockets_close(struct dns_sockets *set, int fd);
/* From now on the library waits for `mask`, 0 for nothing. */
void dns_sockets_want(struct dns_sockets *set, int fd, short mask);

/* Books a RING_RESOLVE event. True: hand `ready` to the library. Then resume() in either case. */
bool dns_sockets_take_event(struct dns_sockets *set, const struct ring_event *event,
                            struct dns_ready *ready) MUST_CHECK;
void dns_sockets_resume(struct dns_sockets *set, struct ring_owner owner);

#endif
