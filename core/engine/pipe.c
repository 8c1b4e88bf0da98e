/* SPDX-License-Identifier: Apache-2.0 */
#include "core/engine/pipe.h"

#include <errno.h>

enum {
    TURN_BYTES_MAX = 256 * 1024, /* moved by one pipe before the others get their turn */
    BULK_BYTES = 512 * 1024,     /* of one receive that has no cap: then it is bulk */
    BULK_MEAN = 3072,            /* bytes a receive */
    SPLICE_SMALL = 4096,         /* below this splicing loses to copying */
    SPLICE_SMALL_MAX = 8,        /* so many in a row, and the stream is interactive again */
    SPLICE_TURN_MAX = 16,        /* splice rounds a turn */
};

void pipe_init(struct pipe *p, struct conn *from, struct conn *to)
{
    *p = (struct pipe){.from = from, .to = to};
}

/* ---- copying: open, look, seal ---- */

bool pipe_write(struct pipe *p, struct span bytes)
{
    bool written = p->to->tls ? tls_engine_write(p->to->tls, bytes) : conn_write(p->to, bytes);

    if (!written) {
        p->end = PIPE_FAILED;
    }
    return written;
}

/* False: nothing more is to go on, and p->end says so. */
static bool show(struct pipe *p, bool (*to)(struct pipe *pipe, struct span bytes),
                 struct span bytes)
{
    if (to && !to(p, bytes)) {
        if (p->end == PIPE_FLOWS) {
            p->end = PIPE_STOPPED;
        }
        return false;
    }
    return true;
}

/* The same of a run that goes on whole if at all. */
static bool may_pass(struct pipe *p, struct span bytes)
{
    if (!show(p, p->look, bytes)) {
        return false;
    }
    p->bytes += bytes.len;
    return true;
}

bool pipe_pass(struct pipe *p, struct span bytes)
{
    if (p->edit) {
        p->bytes += bytes.len;
        return show(p, p->edit, bytes);
    }
    return may_pass(p, bytes) && pipe_write(p, bytes);
}

/* Moves one run. 0: nothing there; negative: stopped or broken. */
static ssize_t move_one(struct pipe *p)
{
    struct worker *w = p->from->worker;
    struct buf *b;
    size_t len;

    if (p->from->tls) {
        len = tls_engine_read(p->from->tls, w->scratch, TLS_RECORD_PLAINTEXT_MAX);
        if (len && !pipe_pass(p, span_make(w->scratch, len))) {
            return -1;
        }
        return (ssize_t)len;
    }
    b = buf_queue_pop(&p->from->rx);
    if (!b) {
        return 0;
    }
    len = b->end - b->start;
    if (!p->to->tls && !p->edit) {
        if (!may_pass(p, buf_view(b))) {
            buf_put(&w->bufs, b);
            return -1;
        }
        conn_push(p->to, b);
        return (ssize_t)len;
    }
    bool passed = pipe_pass(p, buf_view(b));
    buf_put(&w->bufs, b);
    return passed ? (ssize_t)len : -1;
}

/* The sender is done: pass that on behind the last byte. */
static void pass_end(struct pipe *p)
{
    bool clean = p->from->tls ? tls_engine_status(p->from->tls) == TLS_CLOSED : !p->from->truncated;

    if (p->from->eof && p->from->sending) {
        /* It may be a reset, whose error this send is told, which is known soon: no send waits in
         * the kernel. */
        p->from->tx_wake = UINT32_MAX;
        conn_flush(p->to);
        return;
    }
    if (!show(p, p->edit, span_make(NULL, 0))) {
        conn_flush(p->to);
        return;
    }
    if (p->leaves && p->leaves(p)) {
        conn_flush(p->to);
        p->end = PIPE_LEFT;
        return;
    }
    if (p->to->tls && clean) {
        tls_engine_shutdown(p->to->tls);
    }
    /* Where both directions are over and nothing is left to send, the close is what sends the FIN.
     */
    if (p->to->tx.len || !p->from->fin_wanted) {
        conn_finish(p->to);
    }
    p->end = clean ? PIPE_ENDED : PIPE_TRUNCATED;
}

static bool input_is_over(const struct pipe *p)
{
    const struct conn *from = p->from;

    if (from->tls && tls_engine_status(from->tls) == TLS_CLOSED) {
        return true;
    }
    /* What is left in rx of a TLS connection is a record that will never be whole. */
    return from->eof && (from->tls || from->rx.len == 0);
}

/* TLS has said that this was all. A reset behind that, which our own last words may bring about
 * where they find the peer gone, takes nothing of it back. */
static bool input_is_whole(const struct pipe *p)
{
    const struct conn *from = p->from;

    return from->tls ? tls_engine_status(from->tls) == TLS_CLOSED
                     : from->transport && from->eof && !from->truncated;
}

/* No more can be taken in; what was received before is passed on first. */
static bool input_broke(const struct pipe *p)
{
    return (p->from->error && !input_is_whole(p) && (p->from->tls || p->from->rx.len == 0)) ||
           (p->from->tls && tls_engine_status(p->from->tls) == TLS_FAILED);
}

static void copy(struct pipe *p)
{
    struct worker *w = p->from->worker;
    size_t turn_bytes = 0;
    bool full = false;

    for (;;) {
        if (p->to->tx.len >= w->buffer_high) {
            p->to->tx_wake = w->buffer_low;
            full = true;
            break;
        }
        if (turn_bytes >= TURN_BYTES_MAX) {
            actor_ready(p->from->owner);
            full = true;
            break;
        }
        ssize_t len = move_one(p);
        if (len < 0) {
            if (p->end == PIPE_FLOWS) {
                p->end = PIPE_FAILED;
            }
            return;
        }
        if (len == 0) {
            break;
        }
        turn_bytes += (size_t)len;
    }
    if (!full && !input_broke(p) && input_is_over(p)) {
        pass_end(p); /* in one send with the last bytes */
        return;
    }
    conn_flush(p->to);
    if (full) {
        return;
    }
    if (input_broke(p)) {
        p->end = PIPE_FAILED;
    } else if (p->splice == PIPE_COPIES) {
        conn_receive(p->from, w->buffer_high - p->to->tx.len);
    }
}

/* ---- splicing ---- */

static bool is_bulk(const struct pipe *p)
{
    const struct conn *from = p->from;

    if (!p->splice_after || p->bytes < p->splice_after) {
        return false;
    }
    if (from->receiving == CONN_RECV_IDLE) {
        return from->was_capped;
    }
    /* Without a receive cap a receive does not end by itself: judge by what it brought. */
    return from->receiving == CONN_RECV_ARMED && !ring_has_recv_cap(from->worker->ring) &&
           from->arm_bytes >= BULK_BYTES && from->arm_bytes / from->arm_count >= BULK_MEAN;
}

/* From copying to splicing: everything copied must have left first, or bytes would overtake. */
static void switch_when_flushed(struct pipe *p)
{
    if (p->from->receiving == CONN_RECV_ARMED) {
        conn_receive_stop(p->from);
        return;
    }
    if (p->from->receiving != CONN_RECV_IDLE || p->from->rx.len) {
        return;
    }
    if (p->to->tx.len || p->to->sending) {
        p->to->tx_wake = 1; /* once it is empty */
        return;
    }
    p->splice = PIPE_SPLICES;
}

static void give_kernel_pipe(struct pipe *p)
{
    if (p->kernel_pipe) {
        worker_give_splice_pipe(p->from->worker, p->kernel_pipe);
        p->kernel_pipe = NULL;
    }
}

static void back_to_copying(struct pipe *p)
{
    give_kernel_pipe(p);
    p->splice = PIPE_COPIES;
    p->small_splices = 0;
    p->from->was_capped = false;
    conn_receive(p->from, p->from->worker->buffer_high);
}

static void splice_failed(struct pipe *p, struct conn *c, ssize_t result)
{
    if (!c->error) {
        c->error = (int)-result;
    }
    p->end = PIPE_FAILED;
}

/* Kernel pipe to socket. True: it is empty. For the receiver that is a send like any other. */
static bool splice_out(struct pipe *p)
{
    struct worker *w = p->from->worker;
    struct splice_pipe *pipe = p->kernel_pipe;

    while (pipe->filled) {
        ssize_t len = ring_splice(w->ring, pipe->fds[0], p->to->fd, pipe->filled);
        if (len == -EAGAIN) {
            if (p->to->send_since_ns == 0) {
                p->to->send_since_ns = worker_now(w);
            }
            conn_poll(p->to, false);
            return false;
        }
        if (len <= 0) {
            splice_failed(p, p->to, len ? len : -EPIPE);
            return false;
        }
        pipe->filled -= (size_t)len;
        p->bytes += (uint64_t)len;
        p->to->send_since_ns = 0;
        p->to->sent_ns = worker_now(w);
        w->stats.spliced_bytes += (uint64_t)len;
    }
    return true;
}

/* The stream has gone interactive: one direction of few bytes at a time is cheaper by copying. */
static bool has_gone_small(struct pipe *p, ssize_t len)
{
    p->small_splices = len < SPLICE_SMALL ? (uint8_t)(p->small_splices + 1) : 0;
    return p->small_splices >= SPLICE_SMALL_MAX;
}

static void splice_bytes(struct pipe *p)
{
    struct ring *ring = p->from->worker->ring;

    if (!p->kernel_pipe) {
        p->kernel_pipe = worker_take_splice_pipe(p->from->worker);
    }
    if (!p->kernel_pipe) {
        p->splice_after = 0;
        back_to_copying(p);
        return;
    }
    for (int round = 0; round < SPLICE_TURN_MAX; round++) {
        if (!splice_out(p)) {
            return;
        }
        ssize_t len =
            ring_splice(ring, p->from->fd, p->kernel_pipe->fds[1], p->kernel_pipe->capacity);
        if (len == -EAGAIN) {
            /* Only a blocked direction keeps a pipe: there are few. */
            give_kernel_pipe(p);
            conn_poll(p->from, true);
            return;
        }
        if (len == 0) {
            p->from->eof = true;
            p->from->receiving = CONN_RECV_ENDED;
            give_kernel_pipe(p);
            pass_end(p);
            return;
        }
        if (len < 0) {
            splice_failed(p, p->from, len);
            return;
        }
        p->kernel_pipe->filled = (size_t)len;
        if (has_gone_small(p, len)) {
            if (splice_out(p)) {
                back_to_copying(p);
            }
            return;
        }
    }
    actor_ready(p->from->owner);
}

bool pipe_has_ended(const struct pipe *p)
{
    return p->end == PIPE_ENDED || p->end == PIPE_TRUNCATED;
}

void pipe_run(struct pipe *p)
{
    if (p->to->error && !(pipe_has_ended(p) && p->to->fin_sent)) {
        /* Also behind the end of input, unless all has left: what was still to be sent will never
         * be. */
        p->end = PIPE_FAILED;
    }
    if (p->end != PIPE_FLOWS) {
        return;
    }
    if (p->splice == PIPE_SPLICES) {
        if (!p->from->polling_in && !p->to->polling_out) {
            splice_bytes(p);
        }
        return;
    }
    if (is_bulk(p)) {
        p->splice = PIPE_SWITCHING;
    }
    copy(p);
    if (p->splice == PIPE_SWITCHING && p->end == PIPE_FLOWS) {
        switch_when_flushed(p);
        if (p->splice == PIPE_SPLICES) {
            splice_bytes(p);
        }
    }
}

void pipe_fini(struct pipe *p)
{
    give_kernel_pipe(p);
}
