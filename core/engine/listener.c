/* SPDX-License-Identifier: Apache-2.0 */
#include "core/engine/listener.h"

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/engine/address.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define RESUME_NS (100 * NS_PER_MS)

enum { LISTEN_BACKLOG = 4096 };

/* "All addresses" of IPv6 means those of IPv4 too, whatever the system's default is. */
static bool serve_both_families(int fd, const struct sockaddr *address)
{
    const int off = 0;

    return address->sa_family != AF_INET6 ||
           !IN6_IS_ADDR_UNSPECIFIED(
               &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr) ||
           setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) == 0;
}

/* A socket for IPv6 needs no more, though it serves IPv4 too. */
static bool be_transparent(int fd, int family)
{
    const int on = 1;

    return family == AF_INET6 ? setsockopt(fd, SOL_IPV6, IPV6_TRANSPARENT, &on, sizeof(on)) == 0
                              : setsockopt(fd, SOL_IP, IP_TRANSPARENT, &on, sizeof(on)) == 0;
}

bool listener_is_transparent(int fd)
{
    int on = 0;
    socklen_t len = sizeof(on);

    return (getsockopt(fd, SOL_IPV6, IPV6_TRANSPARENT, &on, &len) == 0 ||
            getsockopt(fd, SOL_IP, IP_TRANSPARENT, &on, &len) == 0) &&
           on != 0;
}

static int bind_socket(const struct listener_options *options, bool share)
{
    const struct sockaddr *address = options->address;
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;
    int error;

    if (fd < 0) {
        return -errno;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
        (!share || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == 0) &&
        (!options->transparent || be_transparent(fd, address->sa_family)) &&
        serve_both_families(fd, address) && bind(fd, address, options->address_len) == 0 &&
        listen(fd, LISTEN_BACKLOG) == 0) {
        return fd;
    }
    error = errno;
    close(fd);
    return -error;
}

static const char *bind_remedy(int error)
{
    switch (error) {
    case EADDRINUSE:
        return "; another program has this port: stop it, or give listeners another address";
    case EPERM:
        return "; listeners with tproxy need CAP_NET_ADMIN: run as root, or with "
               "AmbientCapabilities=CAP_NET_ADMIN in the unit of systemd";
    case EACCES:
        return "; ports below 1024 need root or CAP_NET_BIND_SERVICE";
    case EADDRNOTAVAIL:
        return "; no interface of this machine has this address";
    default:
        return "";
    }
}

int listener_bind(const struct listener_options *options, char *error, size_t error_cap)
{
    struct address shown = {.len = options->address_len};
    char text[ADDRESS_TEXT_MAX];
    int fd = options->first ? bind_socket(options, false) : 0;

    if (fd >= 0) {
        if (options->first) {
            close(fd);
        }
        fd = bind_socket(options, true);
    }
    if (fd < 0) {
        memcpy(&shown.u, options->address, options->address_len);
        address_format(&shown, text);
        snprintf(error, error_cap, "cannot listen on %s: %s%s", text, strerror(-fd),
                 bind_remedy(-fd));
    }
    return fd;
}

static struct ring_owner ring_owner(const struct listener *l)
{
    return (struct ring_owner){(uint32_t)(l - l->worker->listeners), 1};
}

static void accept_more(struct listener *l)
{
    struct worker *w = l->worker;

    if (l->accepting || l->closing) {
        return;
    }
    if (w->conns.live_count >= w->conn_cap) {
        w->stats.accept_pauses++;
        timer_set(&w->timers, &l->resume, worker_now(w) + RESUME_NS);
        return;
    }
    l->accepting = true;
    ring_accept(w->ring, l->fd, ring_owner(l));
}

static void finish_close(struct listener *l)
{
    /* Whoever is in the backlog was told by the kernel that we are there. It may be another
     * process's, too: nobody is taken out of it who could not be served. */
    struct worker *w = l->worker;
    int fd;
    while (w->conns.live_count < w->conn_cap && (fd = ring_accept_now(w->ring, l->fd)) >= 0) {
        w->accepted(w, l, fd);
    }
    timer_clear(&l->worker->timers, &l->resume);
    actor_fini(&l->actor);
    ring_close(l->worker->ring, l->fd);
    l->fd = -1;
}

static void run_listener(struct actor *actor)
{
    struct listener *l = CONTAINER_OF(actor, struct listener, actor);

    if (!l->closing) {
        accept_more(l);
    }
}

void listener_init(struct listener *l, struct worker *worker, int fd, uint32_t index)
{
    l->worker = worker;
    l->fd = fd;
    l->index = index;
    l->accepting = false;
    l->closing = false;
    actor_init(&l->actor, &worker->ready, run_listener);
    timer_init(&l->resume, &l->actor);
    /* Those it accepts inherit both. Of a request that is answered soon the acknowledgement goes
     * with the answer; conn_receive() sees to those that are not. */
    (void)ring_set_nodelay(worker->ring, fd);
    (void)ring_set_quick_acks(worker->ring, fd, false);
    accept_more(l);
}

static void accept_failed(struct listener *l, int error)
{
    static struct log_limit limit;
    struct worker *w = l->worker;

    /* The client itself gave up: go on. */
    if (error == ECONNABORTED || error == EINTR || error == ECANCELED || error == EPROTO) {
        return;
    }
    w->stats.accept_pauses++;
    log_limited(&limit, worker_now(w), LOG_WARN, "worker=%u accepting pauses: %s%s", w->index,
                strerror(error),
                error == EMFILE ? "; raise the limit on open files (LimitNOFILE, ulimit -n)" : "");
    timer_set(&w->timers, &l->resume, worker_now(w) + RESUME_NS);
}

void listener_on_event(struct listener *l, const struct ring_event *event)
{
    if (!event->more) {
        l->accepting = false;
    }
    if (event->res >= 0) {
        struct worker *w = l->worker;
        w->stats.accepted++;
        w->accepted(w, l, event->res);
        if (l->accepting && w->conns.live_count >= w->conn_cap) {
            ring_cancel(w->ring, RING_ACCEPT, ring_owner(l));
        }
    } else if (!l->closing) {
        accept_failed(l, -event->res);
    }
    if (!l->accepting) {
        if (l->closing) {
            finish_close(l);
        } else if (l->resume.deadline_ns == 0) {
            accept_more(l);
        }
    }
}

void listener_close(struct listener *l)
{
    if (l->closing || l->fd < 0) {
        return;
    }
    l->closing = true;
    if (l->accepting) {
        ring_cancel(l->worker->ring, RING_ACCEPT, ring_owner(l));
    } else {
        finish_close(l);
    }
}
