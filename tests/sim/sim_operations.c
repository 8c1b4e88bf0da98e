/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What operations of the simulated kernel do when they are submitted and whenever their descriptor
 * changes, with the faults that the profile asks for.
 */
#include "tests/sim/sim_kernel.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

int sim_take_error(struct sim_end *end)
{
    int error = end->error;

    end->error = 0;
    return error;
}

size_t sim_shortened(struct sim *sim, size_t len)
{
    if (len > 1 && sim_chance(sim, sim->profile->short_recv)) {
        return 1 + (size_t)sim_below(sim, len < 8 ? len - 1 : 7);
    }
    return len;
}

bool sim_is_readable(const struct descriptor *d)
{
    const struct sim_stream *in = &d->conn->stream[!d->side];

    return in->visible > 0 || in->fin_visible || d->shut_read || d->conn->end[d->side].dead;
}

int sim_read_end(const struct descriptor *d)
{
    return -sim_take_error(&d->conn->end[d->side]);
}

/* The end of a receive. When another operation was told the error, this one sees a mere end, but
 * not before that other one's completion: the kernel posts them in this order. */
static void recv_end(struct ring *ring, struct operation *op, struct descriptor *d)
{
    int64_t told_ns = d->conn->end[d->side].told_ns;

    op->completion_ns = told_ns > op->completion_ns ? told_ns : op->completion_ns;
    sim_post(ring, op, sim_read_end(d), false, NULL);
}

static void recv_shot(struct ring *ring, struct operation *op, struct descriptor *d)
{
    struct sim *sim = ring->sim;
    bool ends_early = sim_chance(sim, sim->profile->multishot_end);
    struct buf *b;
    size_t len;

    if (ends_early && sim_below(sim, 2) == 0) {
        sim_post(ring, op, -ENOBUFS, false, NULL);
        return;
    }
    b = sim_buffer_take(&ring->groups[op->group]);
    if (!b) {
        sim_post(ring, op, -ENOBUFS, false, NULL);
        return;
    }
    len = sim_shortened(sim, d->conn->stream[!d->side].visible);
    len = sim_conn_read(d->conn, d->side, b->data, len < b->cap ? len : b->cap);
    b->end = (uint32_t)len;
    if (ring_has_recv_cap(ring)) {
        ends_early = ends_early || len >= op->cap;
        op->cap -= len < op->cap ? len : op->cap;
    }
    sim_post(ring, op, (int)len, !ends_early, b);
}

void sim_run_kick(struct sim *sim, void *object, uint64_t argument)
{
    struct descriptor *d = object;

    if (d->kind != FD_FREE && sim->kernel->ring) {
        sim_kernel_kick(sim, (int)argument);
    }
}

static void recv_try(struct ring *ring, struct operation *op, struct descriptor *d)
{
    static const int errors[] = {-ENOMEM, -ENOBUFS};
    bool took = false;

    if (op->deaf) {
        return;
    }
    if (!sim_is_readable(d)) {
        if (!op->tried && !op->poll_first && ring->groups[op->group].free_len == 0) {
            sim_post(ring, op, -ENOBUFS, false, NULL); /* even on an idle socket */
        }
        return;
    }
    if (sim_chance(ring->sim, ring->sim->profile->recv_error)) {
        sim_post(ring, op, sim_pick(ring->sim, errors, COUNT_OF(errors)), false, NULL);
        return;
    }
    for (int i = 0; !op->over && i < SHOTS_MAX && d->conn->stream[!d->side].visible > 0; i++) {
        recv_shot(ring, op, d);
        took = true;
    }
    if (!op->over && took && d->conn->end[d->side].dead &&
        sim_chance(ring->sim, ring->sim->profile->deaf_recv)) {
        op->deaf = true; /* one wake-up stood for the data and for the death */
    } else if (!op->over && d->conn->stream[!d->side].visible == 0 && sim_is_readable(d)) {
        recv_end(ring, op, d);
    } else if (!op->over && d->conn->stream[!d->side].visible > 0) {
        sim_schedule(ring->sim, ring->sim->now_ns + NS_PER_US, sim_run_kick, d, (uint64_t)op->fd);
    }
}

static void recv_into_try(struct ring *ring, struct operation *op, struct descriptor *d)
{
    if (!sim_is_readable(d)) {
        return;
    }
    if (sim_chance(ring->sim, ring->sim->profile->recv_error)) {
        sim_post(ring, op, -ENOMEM, false, NULL);
    } else if (d->conn->stream[!d->side].visible > 0) {
        size_t len = sim_shortened(ring->sim, d->conn->stream[!d->side].visible);
        len = sim_conn_read(d->conn, d->side, op->memory, len < op->len ? len : op->len);
        sim_post(ring, op, (int)len, false, NULL);
    } else {
        recv_end(ring, op, d);
    }
}

/* Some bytes into the stream; false when it is full or everything is there. */
static bool send_some(struct operation *op, struct descriptor *d)
{
    size_t skip = op->sent;

    for (int i = 0; i < op->iov_count; i++) {
        if (skip < op->iov[i].iov_len) {
            struct span rest =
                span_make((uint8_t *)op->iov[i].iov_base + skip, op->iov[i].iov_len - skip);
            size_t len = sim_conn_write(d->conn, d->side, rest);
            op->sent += len;
            return len > 0;
        }
        skip -= op->iov[i].iov_len;
    }
    return false;
}

/* At the start of a send: true when it ended by a fault. */
static bool send_fault(struct ring *ring, struct operation *op, struct descriptor *d)
{
    struct sim *sim = ring->sim;

    if (op->tried || !sim_chance(sim, sim->profile->send_error)) {
        return false;
    }
    switch (sim_below(sim, 3)) {
    case 0:
        sim_post(ring, op, -ENOMEM, false, NULL);
        return true;
    case 1:
        sim_post(ring, op, -ENOBUFS, false, NULL);
        return true;
    default: /* the connection dies; what was sent until then is told, see send_try() */
        send_some(op, d);
        sim_conn_reset(d->conn, d->side, ECONNRESET);
        d->conn->end[d->side].dead = true;
        d->conn->end[d->side].error = ETIMEDOUT;
        return false;
    }
}

static void send_try(struct ring *ring, struct operation *op, struct descriptor *d)
{
    struct sim_end *end = &d->conn->end[d->side];

    if (d->conn->stream[d->side].fin_sent || d->shut_write) {
        sim_post(ring, op, op->sent > 0 ? (int)op->sent : -EPIPE, false, NULL);
        return;
    }
    if (!end->dead && send_fault(ring, op, d)) {
        return;
    }
    if (end->dead) {
        int res = (int)op->sent;
        if (res == 0) {
            res = -sim_take_error(end);
            res = res ? res : -EPIPE;
        }
        sim_post(ring, op, res, false, NULL);
        end->told_ns = op->completion_ns;
        /* A receive sees it too, as an end once the error was told here. */
        sim_schedule(ring->sim, ring->sim->now_ns, sim_run_kick, d, (uint64_t)op->fd);
        return;
    }
    while (send_some(op, d)) {
    }
    sim_post(ring, op, op->sent > 0 ? (int)op->sent : -EAGAIN, false, NULL);
}

static void poll_try(struct ring *ring, struct operation *op, struct descriptor *d)
{
    int ready = 0;

    if (d->kind == FD_LISTENER) {
        ready |= d->backlog_count > 0 ? POLLIN : 0;
    } else {
        bool dead = d->conn->end[d->side].dead;
        ready |= sim_is_readable(d) ? POLLIN : 0;
        bool writable = sim_conn_room(d->conn, d->side) > 0 || d->shut_write || dead;
        ready |= writable ? POLLOUT : 0;
        ready |= dead ? POLLHUP | POLLERR : d->shut_read && d->shut_write ? POLLHUP : 0;
        ready |= d->conn->stream[!d->side].fin_visible || d->shut_read ? POLLRDHUP : 0;
    }
    ready &= op->poll_mask | POLLHUP | POLLERR;
    if (ready) {
        sim_post(ring, op, ready, false, NULL);
    }
}

/* The oldest of the backlog: a descriptor, or -errno and it stays. */
static int backlog_take(struct sim *sim, struct descriptor *d)
{
    int fd = sim_fd_of_conn(sim, d->backlog[0], 1);

    if (fd >= 0) {
        d->backlog_count--;
        memmove(d->backlog, d->backlog + 1, d->backlog_count * sizeof(d->backlog[0]));
    }
    return fd;
}

int ring_accept_now(struct ring *ring, int listener)
{
    struct descriptor *d = sim_fd_find(ring->sim, listener);

    if (!d || d->kind != FD_LISTENER) {
        sim_fail(ring->sim, "accept on descriptor %d, which does not listen", listener);
    }
    return d->backlog_count > 0 ? backlog_take(ring->sim, d) : -EAGAIN;
}

static void accept_try(struct ring *ring, struct operation *op, struct descriptor *d)
{
    static const int errors[] = {-EMFILE, -ENFILE, -ENOMEM, -ENOBUFS};

    while (!op->over && d->backlog_count > 0) {
        if (sim_chance(ring->sim, ring->sim->profile->accept_error)) {
            sim_post(ring, op, sim_pick(ring->sim, errors, COUNT_OF(errors)), false, NULL);
            return;
        }
        int fd = backlog_take(ring->sim, d);
        sim_post(ring, op, fd, fd >= 0 && !sim_chance(ring->sim, ring->sim->profile->multishot_end),
                 NULL);
    }
}

static struct operation *operation_find(struct ring *ring, uint64_t sequence)
{
    LIST_FOREACH (node, &ring->operations) {
        struct operation *op = CONTAINER_OF(node, struct operation, link);
        if (op->sequence == sequence && !op->over) {
            return op;
        }
    }
    return NULL;
}

/* The IP address that the socket was given; its port stays the one that was chosen. */
static void take_source(struct sockaddr_storage *name, const struct sockaddr_storage *source)
{
    if (source->ss_family == AF_INET) {
        ((struct sockaddr_in *)(void *)name)->sin_addr =
            ((const struct sockaddr_in *)(const void *)source)->sin_addr;
    } else if (source->ss_family == AF_INET6) {
        ((struct sockaddr_in6 *)(void *)name)->sin6_addr =
            ((const struct sockaddr_in6 *)(const void *)source)->sin6_addr;
    }
}

/* The SYN has arrived. Its sender may have given up. */
static void run_dial(struct sim *sim, void *object, uint64_t argument)
{
    struct ring *ring = object;
    struct operation *op = sim->kernel->ring == ring ? operation_find(ring, argument) : NULL;
    struct descriptor *d;
    struct sim_conn *conn;
    int res;

    if (!op) {
        return;
    }
    d = sim_fd_find(sim, op->fd);
    conn = sim_conn_new(sim);
    sim_name_client(sim, &conn->end[0].name, d->family);
    take_source(&conn->end[0].name, &d->name);
    conn->end[1].name = op->address;
    res = sim_kernel_backlog(sim, conn, &op->address) ? 0 : sim_serve(sim, conn, &op->address);
    if (res == 0) {
        d->conn = conn;
        d->side = 0;
        conn->end[0].fd = op->fd;
        sim_trace(sim, "connected fd", op->fd, 0, 0, 0, 0);
    } else {
        conn->end[0].open = conn->end[1].open = false;
    }
    if (res != SIM_HANG) {
        sim_post(ring, op, res, false, NULL);
    }
}

static void connect_try(struct ring *ring, struct operation *op)
{
    static const int errors[] = {-ECONNREFUSED, -EHOSTUNREACH,  -ENETUNREACH,
                                 -ETIMEDOUT,    -EADDRNOTAVAIL, -ECONNRESET};
    struct sim *sim = ring->sim;

    if (op->tried) {
        return;
    }
    if (sim_chance(sim, sim->profile->connect_error)) {
        sim_post(ring, op, sim_pick(sim, errors, COUNT_OF(errors)), false, NULL);
    } else if (!sim_chance(sim, sim->profile->connect_hang)) {
        sim_schedule(sim, sim->now_ns + sim_latency(sim), run_dial, ring, op->sequence);
    }
}

static bool is_poll(enum ring_kind kind)
{
    return kind == RING_POLL_IN || kind == RING_POLL_OUT || kind == RING_POLL_BROKEN ||
           kind == RING_RESOLVE;
}

static void operation_try(struct ring *ring, struct operation *op)
{
    struct descriptor *d = sim_fd_find(ring->sim, op->fd);

    if (op->over) {
        return;
    }
    if (op->kind == RING_ACCEPT) {
        accept_try(ring, op, d);
    } else if (op->kind == RING_CONNECT) {
        connect_try(ring, op);
    } else if (!d->conn && (d->kind != FD_LISTENER || !is_poll(op->kind))) {
        sim_post(ring, op, -ENOTCONN, false, NULL);
    } else if (op->kind == RING_RECV) {
        recv_try(ring, op, d);
    } else if (op->kind == RING_RECV_INTO) {
        recv_into_try(ring, op, d);
    } else if (op->kind == RING_SEND) {
        send_try(ring, op, d);
    } else {
        poll_try(ring, op, d);
    }
    op->tried = true;
}

void sim_kernel_kick(struct sim *sim, int fd)
{
    struct ring *ring = sim->kernel->ring;

    if (!ring) {
        return;
    }
    LIST_FOREACH_SAFE (node, &ring->operations) {
        struct operation *op = CONTAINER_OF(node, struct operation, link);
        if (op->fd == fd && op->tried) {
            operation_try(ring, op);
        }
    }
}

void sim_operation_cancel(struct ring *ring, struct operation *op)
{
    if (!op->over) {
        bool begun = op->kind == RING_SEND && op->sent > 0;
        sim_post(ring, op, begun ? (int)op->sent : -ECANCELED, false, NULL);
    }
}

static void cancel_matching(struct ring *ring, const struct submission *cancel)
{
    LIST_FOREACH (node, &ring->operations) {
        struct operation *op = CONTAINER_OF(node, struct operation, link);
        bool hit = cancel->by_fd
                       ? op->fd == cancel->fd
                       : op->kind == cancel->kind && op->owner.slot == cancel->owner.slot &&
                             op->owner.generation == cancel->owner.generation;
        if (hit && op->sequence < cancel->sequence) {
            sim_operation_cancel(ring, op);
        }
    }
}

static void run_cancel(struct sim *sim, void *object, uint64_t argument)
{
    (void)argument;
    if (sim->kernel->ring) {
        cancel_matching(sim->kernel->ring, object);
    }
    free(object);
}

void sim_submit(struct ring *ring)
{
    for (uint32_t i = 0; i < ring->submission_count; i++) {
        struct submission *s = &ring->submissions[i];
        if (s->operation) {
            operation_try(ring, s->operation);
        } else if (sim_below(ring->sim, 4) == 0) {
            /* Late: its victims go on for a while. */
            struct submission *late = malloc(sizeof(*late));
            ASSERT(late);
            *late = *s;
            sim_schedule_owned(ring->sim, ring->sim->now_ns + sim_latency(ring->sim), run_cancel,
                               late);
        } else {
            cancel_matching(ring, s);
        }
    }
    ring->submission_count = 0;
}
