/* SPDX-License-Identifier: Apache-2.0 */
#include "core/engine/conn.h"

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/engine/conn_transport.h"
#include "core/engine/young.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

enum {
    COALESCE_MAX = 1024,     /* bytes: smaller receives are appended to what already waits */
    STARVED_REARM_MAX = 16,  /* conns a turn */
    BULK_RECEIVE_MIN = 3072, /* mean bytes a receive that make a stream bulk */
};

#define RETRY_NS         (10 * NS_PER_MS)
#define STARVED_NS       (50 * NS_PER_MS) /* then one receive into memory of its own */
#define FLUSH_NS         (30 * NS_PER_S)
#define LINGER_NS        (2 * NS_PER_S)
#define CLOSE_OVERDUE_NS (5 * NS_PER_S)

static struct ring_owner ring_owner(const struct conn *c)
{
    return (struct ring_owner){c->pool.slot, c->pool.generation};
}

static void run_self(struct actor *actor);

static struct conn *conn_new(struct worker *w, int fd, struct actor *owner)
{
    struct conn *c = pool_new(&w->conns);

    if (!c) {
        return NULL;
    }
    c->worker = w;
    c->fd = fd;
    c->owner = owner;
    return c;
}

/* False: out of memory. */
static bool have_self(struct conn *c)
{
    struct conn_self *self = c->self;

    if (self) {
        return true;
    }
    self = malloc(sizeof(*self));
    if (!self) {
        return false;
    }
    *self = (struct conn_self){.conn = c};
    actor_init(&self->actor, &c->worker->ready, run_self);
    timer_init(&self->timer, &self->actor);
    timer_init(&self->retry, &self->actor);
    list_init(&self->starved_link);
    c->self = self;
    return true;
}

static void self_free(struct conn *c)
{
    struct conn_self *self = c->self;

    if (self) {
        ASSERT(!list_is_linked(&self->starved_link));
        timer_clear(&c->worker->timers, &self->timer);
        timer_clear(&c->worker->timers, &self->retry);
        actor_fini(&self->actor);
        free(self);
    }
}

struct conn *conn_accepted(struct worker *w, int fd, struct actor *owner)
{
    struct conn *c = conn_new(w, fd, owner);
    struct sockaddr_storage name;

    if (!c) {
        return NULL;
    }
    c->state = CONN_OPEN;
    c->acks_late = true;
    if (ring_peer_name(w->ring, fd, &name) == 0) {
        c->peer = address_from_storage(&name);
    }
    young_add(c);
    return c;
}

/* A descriptor to connect with, or -errno. */
static int dial_socket(struct worker *w, const struct address *address,
                       const struct address *source)
{
    int fd = ring_socket(w->ring, address->u.any.sa_family);
    int result = 0;

    if (fd < 0) {
        return fd;
    }
    if (w->mark) {
        result = ring_set_mark(w->ring, fd, w->mark);
    }
    if (result == 0 && source) {
        result = ring_set_source(w->ring, fd, &source->u.any, source->len);
    }
    if (result < 0) {
        ring_close(w->ring, fd);
        return result;
    }
    return fd;
}

struct conn *conn_dial(struct worker *w, const struct address *address,
                       const struct address *source, struct actor *owner, int *error)
{
    bool is_remembered = own_addresses_remember_dialled(w->own);
    struct own_dialled *own = is_remembered ? own_dialled_new() : NULL;
    int fd = dial_socket(w, address, source);
    struct conn *c = fd < 0 || (is_remembered && !own) ? NULL : conn_new(w, fd, owner);

    if (!c) {
        own_addresses_closed(w->own, own);
        if (fd >= 0) {
            ring_close(w->ring, fd);
        }
        *error = fd < 0 ? fd : -ENOMEM;
        return NULL;
    }
    c->state = CONN_CONNECTING;
    c->owes_ack = true;
    c->own = own;
    c->peer = *address;
    c->in_flight++;
    ring_connect(w->ring, fd, ring_owner(c), &address->u.any, address->len);
    w->stats.dialled++;
    return c;
}

/* Before the first byte is sent: whoever gets it can be told whose connection it is. */
static void remember_dialled(struct conn *c)
{
    struct worker *w = c->worker;
    struct sockaddr_storage name;

    if (c->own && ring_local_name(w->ring, c->fd, &name) == 0) {
        struct address local = address_from_storage(&name);
        own_addresses_opened(w->own, c->own, &local, &c->peer);
    }
}

void conn_set_owner(struct conn *c, struct actor *owner)
{
    c->owner = owner;
}

/* ---- the end that a receive may not see ---- */

/*
 * A multishot receive does not always learn that the connection is over: when a reset arrives
 * together with the last data, one wake-up stands for both, the receive finds the data, and waits
 * for a next wake-up that never comes (seen on 6.18). A poll that waits for nothing but the end has
 * a wake-up of its own. It costs one operation a connection, and nothing a message; one that is
 * over while it is young (young.h) is spared that, and one that is deaf by then is told at once.
 */
void conn_watch_end(struct conn *c)
{
    if (c->state != CONN_OPEN || c->receiving == CONN_RECV_ENDED) {
        return;
    }
    c->watching = true;
    c->in_flight++;
    ring_poll(c->worker->ring, c->fd, ring_owner(c), RING_POLL_BROKEN, 0);
}

/* The peer's FIN alone is no hang-up while we have not sent ours: then it was a reset, whose error
 * some other operation may have been told. */
static void judge_end(struct conn *c)
{
    if (c->hung_up && c->eof && !c->fin_sent && !c->error && c->state == CONN_OPEN) {
        c->error = ECONNRESET;
        actor_ready(c->owner);
    }
}

/* Armed anew a receive finds what is left: data, then the error or the end. Also each one that is
 * armed later and brings data: it may be as deaf as the first. Rare, and not in line: the compiler
 * would read hung_up in one word with what an event has just written, which waits for that. */
static __attribute__((noinline)) void look_for_end(struct conn *c)
{
    if (c->receiving == CONN_RECV_ARMED && c->state == CONN_OPEN) {
        c->look_again = true;
        conn_receive_stop(c);
    }
}

static void on_broken(struct conn *c, int poll_mask)
{
    c->watching = false;
    if (poll_mask >= 0 && !(poll_mask & (POLLERR | POLLHUP))) {
        c->half_open = true; /* a FIN alone, which the receive sees by itself */
        return;
    }
    c->hung_up = true;
    judge_end(c);
    look_for_end(c);
}

/* ---- receiving ---- */

static void leave_starved(struct conn *c)
{
    list_remove(&c->self->starved_link);
    timer_clear(&c->worker->timers, &c->self->timer);
}

static void arm_receive(struct conn *c, size_t cap, bool poll_first)
{
    if (c->arm_count >= 4) {
        c->bulk = c->arm_bytes / c->arm_count >= BULK_RECEIVE_MIN;
    }
    c->arm_bytes = 0;
    c->arm_count = 0;
    c->was_capped = false;
    c->receiving = CONN_RECV_ARMED;
    c->in_flight++;
    ring_recv(c->worker->ring, c->fd, ring_owner(c), c->bulk ? RING_GROUP_BULK : RING_GROUP_SMALL,
              cap, poll_first);
}

/* More is wanted of a peer that was not answered yet: it may send that only once what it sent
 * before is acknowledged (Nagle's algorithm). */
static void ack_early(struct conn *c)
{
    if (c->acks_late && c->arm_count) {
        c->acks_late = false;
        if (!c->sent_ns && !c->tx.len) {
            (void)ring_set_quick_acks(c->worker->ring, c->fd, true);
        }
    }
}

void conn_receive(struct conn *c, size_t limit)
{
    if (limit <= c->rx.len) {
        return;
    }
    ack_early(c);
    c->rx_limit = (uint32_t)limit;
    if (c->receiving != CONN_RECV_IDLE || c->state != CONN_OPEN) {
        return;
    }
    /* A receive that ended by its cap has more waiting; any other time the socket is likely idle
     * and asking for a buffer before there is data would only find out that there is none. */
    arm_receive(c, limit - c->rx.len + (c->transport ? BUF_RECORD_CAP : 0), !c->was_capped);
}

void conn_receive_stop(struct conn *c)
{
    if (c->receiving == CONN_RECV_ARMED) {
        c->receiving = CONN_RECV_CANCELLING;
        ring_cancel(c->worker->ring, RING_RECV, ring_owner(c));
    } else if (c->receiving == CONN_RECV_STARVED) {
        leave_starved(c);
        c->receiving = CONN_RECV_IDLE;
    }
}

static void take_received(struct conn *c, struct buf *b)
{
    struct buf *last = c->rx.last;
    size_t len = b->end - b->start;

    c->arm_bytes += (uint32_t)len;
    c->arm_count++;
    if (c->self) {
        c->self->starved_ns = 0;
    }
    if (c->transport) {
        buf_queue_push(&c->transport->rx, b);
        conn_transport_open(c);
        return;
    }
    if (last && len <= COALESCE_MAX && last->size_class != BUF_CLASS_RING &&
        buf_room(last) >= len) {
        memcpy(last->data + last->end, b->data + b->start, len);
        last->end += (uint32_t)len;
        c->rx.len += len;
        buf_put(&c->worker->bufs, b);
        return;
    }
    buf_queue_push(&c->rx, b);
}

static void receive_ended(struct conn *c)
{
    c->receiving = CONN_RECV_ENDED;
    c->truncated = c->transport && !c->eof;
    c->eof = true;
}

static void receive_failed(struct conn *c, int error)
{
    c->receiving = CONN_RECV_ENDED;
    if (!c->error) {
        c->error = error;
    }
}

static void starve(struct conn *c)
{
    struct worker *w = c->worker;

    w->stats.starved++;
    if (!have_self(c)) {
        receive_failed(c, ENOMEM);
        return;
    }
    c->receiving = CONN_RECV_STARVED;
    if (!c->self->starved_ns) {
        c->self->starved_ns = worker_now(w);
    }
    list_push_back(&w->starved, &c->self->starved_link);
    timer_set(&w->timers, &c->self->timer, c->self->starved_ns + STARVED_NS);
}

static void on_receive(struct conn *c, const struct ring_event *event)
{
    bool cancelling = c->receiving == CONN_RECV_CANCELLING;

    if (!event->more && c->receiving != CONN_RECV_ENDED) {
        c->receiving = CONN_RECV_IDLE;
    }
    if (event->res > 0) {
        take_received(c, event->buf);
        c->was_capped = !event->more;
        if (c->receiving == CONN_RECV_ARMED && c->rx.len >= c->rx_limit &&
            !ring_has_recv_cap(c->worker->ring)) {
            conn_receive_stop(c);
        }
    } else if (event->res == 0) {
        receive_ended(c);
        judge_end(c);
    } else if (event->res == -ENOBUFS) {
        if (c->state == CONN_OPEN) {
            starve(c);
        }
    } else if (event->res == -ECANCELED) {
        c->was_capped = cancelling;
    } else if (event->res != -EAGAIN && event->res != -EINTR) {
        receive_failed(c, -event->res);
    }
}

static void on_private_receive(struct conn *c, const struct ring_event *event)
{
    struct buf *b = c->self->private_buf;

    c->self->private_buf = NULL;
    c->receiving = CONN_RECV_IDLE;
    if (event->res > 0) {
        b->end = (uint32_t)event->res;
        take_received(c, b);
        c->was_capped = true;
        return;
    }
    buf_put(&c->worker->bufs, b);
    if (event->res == 0) {
        receive_ended(c);
    } else if (event->res != -ECANCELED && event->res != -EAGAIN && event->res != -EINTR) {
        receive_failed(c, -event->res);
    }
}

/* Progress must not depend on other connections giving buffers back. */
static void receive_privately(struct conn *c)
{
    struct buf *b = buf_new(&c->worker->bufs, BUF_RECORD_CAP);

    leave_starved(c);
    if (!b) {
        receive_failed(c, ENOMEM);
        actor_ready(c->owner);
        return;
    }
    c->worker->stats.private_receives++;
    c->self->private_buf = b;
    c->receiving = CONN_RECV_PRIVATE;
    c->in_flight++;
    ring_recv_into(c->worker->ring, c->fd, ring_owner(c), b->data, b->cap);
}

void conn_serve_starved(struct worker *w)
{
    /* As many as there are buffers, with some to spare: more would only find out that there are
     * none. One receive may still take what several are armed for. */
    uint32_t left[RING_GROUP_COUNT] = {ring_group_free(w->ring, RING_GROUP_SMALL),
                                       ring_group_free(w->ring, RING_GROUP_BULK)};

    for (int served = 0; served < STARVED_REARM_MAX && !list_is_empty(&w->starved); served++) {
        struct conn *c = CONTAINER_OF(w->starved.next, struct conn_self, starved_link)->conn;
        enum ring_group group = c->bulk ? RING_GROUP_BULK : RING_GROUP_SMALL;
        if (left[group] * 4 < ring_group_count(w->ring, group)) {
            return;
        }
        left[group]--;
        leave_starved(c);
        c->receiving = CONN_RECV_IDLE;
        arm_receive(c, c->rx_limit > c->rx.len ? c->rx_limit - c->rx.len : 1, true);
    }
}

/* A private copy of a ring buf, which goes back; or the buf itself when there is no memory. */
static struct buf *copy_out(struct worker *w, struct buf *b)
{
    struct span bytes = buf_view(b);
    struct buf *copy = buf_new(&w->bufs, bytes.len);

    if (!copy) {
        return b;
    }
    memcpy(copy->data, bytes.data, bytes.len);
    copy->end = (uint32_t)bytes.len;
    w->stats.parked_bytes += bytes.len;
    buf_put(&w->bufs, b);
    return copy;
}

static bool buffers_are_few(const struct worker *w, const struct buf *b, uint32_t quarters)
{
    return b->size_class == BUF_CLASS_RING &&
           ring_group_free(w->ring, b->group) * 4 < ring_group_count(w->ring, b->group) * quarters;
}

void conn_park(struct conn *c)
{
    struct worker *w = c->worker;
    struct buf_queue kept = {NULL, NULL, 0};
    struct buf *b;

    if (!c->rx.first ||
        !(buffers_are_few(w, c->rx.first, 1) || buffers_are_few(w, c->rx.last, 1))) {
        return;
    }
    while ((b = buf_queue_pop(&c->rx))) {
        buf_queue_push(&kept, buffers_are_few(w, b, 1) ? copy_out(w, b) : b);
    }
    c->rx = kept;
}

/* ---- sending ---- */

bool conn_write(struct conn *c, struct span bytes)
{
    if (!buf_queue_append(&c->tx, &c->worker->bufs, bytes)) {
        /* A receive may be armed, or waiting for a buffer: that goes on as it is. */
        c->error = c->error ? c->error : ENOMEM;
        return false;
    }
    return true;
}

void conn_push(struct conn *c, struct buf *b)
{
    /* A peer that reads slowly must not hold the buffers that the others receive into. */
    if (buffers_are_few(c->worker, b, 2)) {
        b = copy_out(c->worker, b);
    }
    buf_queue_push(&c->tx, b);
}

static void finish_if_empty(struct conn *c)
{
    if (c->fin_wanted && !c->fin_sent && !c->sending && c->tx.len == 0 &&
        conn_transport_has_ended(c)) {
        c->fin_sent = true;
        int result = ring_shutdown(c->worker->ring, c->fd, SHUT_WR);
        if (result < 0 && !c->error) {
            c->error = -result;
        }
    }
}

void conn_flush(struct conn *c)
{
    struct iovec iov[RING_SEND_IOVECS_MAX];
    struct buf_queue *out = &c->tx;
    size_t total = 0;
    int count = 0;

    if (c->sending || c->send_waits || c->error ||
        (c->state != CONN_OPEN && c->state != CONN_FLUSHING)) {
        return;
    }
    if (c->transport) {
        conn_transport_seal(c);
        out = &c->transport->tx;
    }
    for (struct buf *b = out->first; b && count < RING_SEND_IOVECS_MAX; b = b->next) {
        size_t len = b->end - b->start;
        if (len == 0) {
            continue;
        }
        if (total && total + len > RING_SEND_BYTES_MAX) {
            break;
        }
        iov[count].iov_base = b->data + b->start;
        iov[count++].iov_len = len;
        total += len;
    }
    if (count == 0) {
        finish_if_empty(c);
        return;
    }
    c->sending = true;
    c->in_flight++;
    if (c->send_since_ns == 0) {
        c->send_since_ns = worker_now(c->worker);
    }
    if (c->fin_wanted && !c->transport && total == out->len) {
        ring_send_last(c->worker->ring, c->fd, ring_owner(c), iov, count);
    } else {
        ring_send(c->worker->ring, c->fd, ring_owner(c), iov, count);
    }
}

void conn_finish(struct conn *c)
{
    c->fin_wanted = true;
    conn_flush(c);
    finish_if_empty(c);
}

static void on_send(struct conn *c, const struct ring_event *event)
{
    c->sending = false;
    if (event->res == -EAGAIN) {
        c->send_waits = true;
        conn_poll(c, false);
        if (c->eof) { /* the owner wants to know that it was no reset (pipe.c) */
            actor_ready(c->owner);
        }
        return;
    }
    c->send_since_ns = 0;
    if (event->res < 0) {
        if (!c->error && event->res != -ECANCELED) {
            c->error = -event->res;
        }
    } else {
        c->sent_ns = worker_now(c->worker);
        young_end_handshake(c);
        if (c->transport) {
            conn_transport_consume(c, (size_t)event->res);
        } else {
            buf_queue_consume(&c->tx, &c->worker->bufs, (size_t)event->res);
        }
        if (c->state == CONN_FLUSHING) {
            /* The limit is for a peer that takes nothing, not for a slow one. */
            timer_set(&c->worker->timers, &c->self->timer, worker_now(c->worker) + FLUSH_NS);
        }
        conn_flush(c);
    }
    if (c->error || c->tx.len < c->tx_wake) {
        c->tx_wake = 0;
        actor_ready(c->owner);
    }
}

/* ---- readiness, for splicing ---- */

void conn_poll(struct conn *c, bool in)
{
    if ((in ? c->polling_in : c->polling_out) ||
        (c->state != CONN_OPEN && c->state != CONN_FLUSHING)) {
        return;
    }
    if (!in && (c->half_open || c->eof)) {
        /* The poll would end at once, for the FIN, and so would the next: look again in a while. */
        if (!have_self(c)) {
            c->error = c->error ? c->error : ENOMEM;
            actor_ready(c->owner);
        } else if (c->self->retry.deadline_ns == 0) {
            timer_set(&c->worker->timers, &c->self->retry, worker_now(c->worker) + RETRY_NS);
        }
        return;
    }
    if (in) {
        c->polling_in = true;
    } else {
        c->polling_out = true;
    }
    c->in_flight++;
    ring_poll(c->worker->ring, c->fd, ring_owner(c), in ? RING_POLL_IN : RING_POLL_OUT,
              in ? POLLIN | POLLRDHUP : POLLOUT);
}

/* There may be room. True: the owner waits for it, to splice. */
static bool on_room(struct conn *c, int poll_mask)
{
    c->half_open = c->half_open || (poll_mask > 0 && (poll_mask & POLLRDHUP));
    if (!c->send_waits) {
        return true;
    }
    c->send_waits = false;
    conn_flush(c);
    return false;
}

/* ---- events ---- */

void conn_on_event(struct conn *c, const struct ring_event *event)
{
    bool wake_owner = true;

    if (!event->more) {
        ASSERT(c->in_flight > 0);
        c->in_flight--;
    }
    switch (event->kind) {
    case RING_RECV:
        on_receive(c, event);
        if (c->hung_up) {
            look_for_end(c);
        }
        if (c->look_again && c->receiving == CONN_RECV_IDLE && c->state == CONN_OPEN) {
            c->look_again = false;
            arm_receive(c, c->rx_limit > c->rx.len ? c->rx_limit - c->rx.len : 1, false);
        }
        /* Starving and ends that change nothing are the engine's own business. */
        wake_owner =
            event->res >= 0 || c->receiving == CONN_RECV_ENDED || c->receiving == CONN_RECV_IDLE;
        break;
    case RING_RECV_INTO:
        on_private_receive(c, event);
        break;
    case RING_SEND:
        on_send(c, event);
        wake_owner = false;
        break;
    case RING_CONNECT:
        if (event->res < 0) {
            c->error = -event->res;
        } else if (c->state == CONN_CONNECTING) {
            c->state = CONN_OPEN;
            remember_dialled(c);
            young_add(c);
        }
        break;
    case RING_POLL_BROKEN:
        on_broken(c, event->res);
        wake_owner = false;
        break;
    case RING_POLL_IN:
        c->polling_in = false;
        break;
    case RING_POLL_OUT:
        c->polling_out = false;
        wake_owner = on_room(c, event->res);
        break;
    default:
        panic(__FILE__, __LINE__, "event of kind %d on a connection", (int)event->kind);
    }
    if (wake_owner || c->state > CONN_OPEN) {
        actor_ready(c->owner);
    }
}

/* ---- closing: stop, join, free ---- */

static void conn_free(struct conn *c)
{
    struct worker *w = c->worker;

    ASSERT(c->in_flight == 0);
    own_addresses_closed(w->own, c->own);
    ring_close(w->ring, c->fd);
    conn_transport_free(c);
    buf_queue_clear(&c->rx, &w->bufs);
    buf_queue_clear(&c->tx, &w->bufs);
    self_free(c);
    pool_free(&w->conns, c);
}

/* The watchdog of the last act. */
static void watch_closing(struct conn *c)
{
    struct worker *w = c->worker;

    timer_set(&w->timers, c->self ? &c->self->timer : &w->reaper.timer,
              worker_now(w) + CLOSE_OVERDUE_NS);
}

/* Each by its own name. Looking for those of a descriptor, the kernel goes through the operations
 * of all connections: closing many at once would take the square of their number. */
static void cancel_operations(struct conn *c, bool is_connecting)
{
    const struct {
        bool is_there;
        enum ring_kind kind;
    } rows[] = {
        {c->receiving == CONN_RECV_ARMED || c->receiving == CONN_RECV_CANCELLING, RING_RECV},
        {c->receiving == CONN_RECV_PRIVATE, RING_RECV_INTO},
        {c->sending, RING_SEND},
        {c->polling_in, RING_POLL_IN},
        {c->polling_out, RING_POLL_OUT},
        {c->watching, RING_POLL_BROKEN},
        {is_connecting, RING_CONNECT},
    };
    unsigned count = 0;

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (rows[i].is_there) {
            ring_cancel(c->worker->ring, rows[i].kind, ring_owner(c));
            count++;
        }
    }
    ASSERT_SLOW(count == c->in_flight);
    if (count != c->in_flight) {
        ring_cancel_fd(c->worker->ring, c->fd);
    }
}

static void stop(struct conn *c, bool reset)
{
    struct ring *ring = c->worker->ring;
    bool connecting = c->state == CONN_CONNECTING;

    /* A FIN would say that this was all. */
    reset = reset || c->tx.len || (c->error && !c->fin_sent);
    if (c->receiving == CONN_RECV_STARVED) {
        leave_starved(c);
        c->receiving = CONN_RECV_IDLE;
    }
    c->state = CONN_CLOSING;
    if (reset) {
        ring_set_reset(ring, c->fd);
    }
    if (c->in_flight == 0) {
        conn_free(c);
        return;
    }
    if (reset || connecting || c->error || ring_shutdown(ring, c->fd, SHUT_RDWR) < 0) {
        cancel_operations(c, connecting);
    }
    watch_closing(c);
}

/* What arrives after the end is read and dropped, so that the kernel sends no RST that would make
 * the peer lose our last bytes. */
static void linger(struct conn *c)
{
    buf_queue_clear(&c->rx, &c->worker->bufs);
    if (c->error || c->receiving == CONN_RECV_ENDED || c->self->timer.fired) {
        stop(c, false);
        return;
    }
    if (c->receiving == CONN_RECV_IDLE) {
        arm_receive(c, c->worker->buffer_high, true);
    }
}

static void flush_rest(struct conn *c)
{
    buf_queue_clear(&c->rx, &c->worker->bufs);
    if (c->error || c->self->timer.fired) {
        stop(c, true);
        return;
    }
    conn_finish(c);
    if (c->fin_sent) {
        c->state = CONN_LINGERING;
        timer_set(&c->worker->timers, &c->self->timer, worker_now(c->worker) + LINGER_NS);
        linger(c);
    }
}

static void closing_overdue(struct conn *c)
{
    static struct log_limit limit;

    c->worker->stats.close_overdue++;
    log_limited(&limit, worker_now(c->worker), LOG_WARN,
                "worker=%u a close is overdue: fd=%d in_flight=%u receiving=%d sending=%d "
                "poll=%d%d; cancelling again",
                c->worker->index, c->fd, c->in_flight, c->receiving, c->sending, c->polling_in,
                c->polling_out);
    ring_cancel_fd(c->worker->ring, c->fd);
    watch_closing(c);
}

/* The conn as its own actor: see struct conn_self. */
static void run_self(struct actor *actor)
{
    struct conn_self *self = CONTAINER_OF(actor, struct conn_self, actor);
    struct conn *c = self->conn;

    if (self->retry.fired) {
        self->retry.fired = false;
        if (on_room(c, 0) && c->owner != actor) {
            actor_ready(c->owner);
        }
    }
    switch ((enum conn_state)c->state) {
    case CONN_CONNECTING:
    case CONN_OPEN:
        if (c->receiving == CONN_RECV_STARVED && self->timer.fired) {
            receive_privately(c);
        }
        break;
    case CONN_FLUSHING:
        flush_rest(c);
        break;
    case CONN_LINGERING:
        linger(c);
        break;
    case CONN_CLOSING:
        if (c->in_flight == 0) {
            conn_free(c);
        } else if (self->timer.fired) {
            closing_overdue(c);
        }
        break;
    }
}

static void run_reaper(struct actor *actor)
{
    struct worker *w = CONTAINER_OF(actor, struct worker, reaper.actor);
    bool is_overdue = w->reaper.timer.fired;
    bool is_done = true;
    uint32_t at = 0;
    struct conn *c;

    w->reaper.timer.fired = false;
    while ((c = pool_next(&w->conns, &at))) {
        if (c->owner != actor) {
            continue;
        }
        if (c->in_flight == 0) {
            conn_free(c);
            continue;
        }
        is_done = false;
        if (is_overdue) {
            closing_overdue(c);
        }
    }
    if (is_done) {
        timer_clear(&w->timers, &w->reaper.timer);
    }
}

void conn_reaper_init(struct worker *w)
{
    actor_init(&w->reaper.actor, &w->ready, run_reaper);
    timer_init(&w->reaper.timer, &w->reaper.actor);
}

/* The peer has sent its FIN and has got everything: close(2) sends ours, if it was not sent. */
static bool is_over(const struct conn *c)
{
    return c->in_flight == 0 && c->receiving == CONN_RECV_ENDED && c->tx.len == 0 && !c->error &&
           !c->transport;
}

void conn_close(struct conn *c, enum conn_close_how how)
{
    bool can_flush;

    ASSERT(c->state <= CONN_OPEN);
    if (c->tls && how == CONN_CLOSE_FLUSH) {
        tls_engine_shutdown(c->tls); /* RFC 8446 6.1 */
    }
    if (is_over(c) && how != CONN_CLOSE_RESET) {
        tls_engine_free(c->tls);
        conn_free(c);
        return;
    }
    can_flush = have_self(c);
    c->owner = can_flush ? &c->self->actor : &c->worker->reaper.actor;
    tls_engine_free(c->tls);
    c->tls = NULL;
    if (how != CONN_CLOSE_FLUSH || c->state != CONN_OPEN || c->error || !can_flush) {
        stop(c, how == CONN_CLOSE_RESET);
        return;
    }
    if (c->receiving == CONN_RECV_STARVED) {
        leave_starved(c);
        c->receiving = CONN_RECV_IDLE;
    }
    c->state = CONN_FLUSHING;
    timer_set(&c->worker->timers, &c->self->timer, worker_now(c->worker) + FLUSH_NS);
    flush_rest(c);
}
