/* SPDX-License-Identifier: Apache-2.0 */
#include "core/session/body_pass.h"

#include "core/session/session_steps.h"
#include "http/h1_rewrite.h"

static bool write_payload(struct conn *to, struct span payload, bool chunked)
{
    char line[24];
    struct text t = text_make(line, sizeof(line));

    if (!chunked) {
        return conn_write(to, payload);
    }
    h1_write_chunk_head(&t, payload.len);
    return conn_write(to, text_view(&t)) && conn_write(to, payload) &&
           conn_write(to, SPAN_LITERAL("\r\n"));
}

static enum body_flow pass_trailers(struct session *s, const struct body_way *way,
                                    struct http_fault *fault)
{
    static __thread struct http_head trailers;
    struct text t = text_make(s->worker->engine.scratch, WORKER_SCRATCH_CAP);
    struct buf_queue *rx = &way->from->rx;
    struct span bytes =
        buf_queue_gather(rx, bufs_of(s), rx->len < BUF_CAP_MAX ? rx->len : BUF_CAP_MAX);

    switch (h1_body_trailers(way->body, bytes, &trailers, fault)) {
    case H1_MORE:
        return BODY_WAITS;
    case H1_BAD:
        return BODY_BROKEN;
    case H1_DONE:
        break;
    }
    if (way->drops_trailers) {
        trailers.field_count = 0;
    }
    text_string(&t, "0\r\n");
    h1_write_trailers(&t, &trailers, session_forbidden_field(s, way->side));
    buf_queue_consume(rx, bufs_of(s), trailers.len);
    if (way->chunked && !conn_write(way->to, text_view(&t))) {
        return BODY_NO_MEMORY;
    }
    return BODY_ENDED;
}

/* In the buffer of what waits to be sent, as of a head: then one piece of memory is sent. */
static bool fits_behind(const struct conn *to, struct span payload)
{
    const struct buf *last = to->tx.last;

    return last && last->size_class != BUF_CLASS_RING && payload.len <= buf_room(last);
}

enum body_flow body_pass(struct session *s, const struct body_way *way, struct http_fault *fault)
{
    const struct worker *w = &s->worker->engine;
    struct conn *from = way->from;
    struct conn *to = way->to;

    for (;;) {
        struct span payload = {NULL, 0};
        size_t consumed = 0;
        enum h1_body_result result;
        struct span bytes;
        bool whole;

        if (to->tx.len >= w->buffer_high) {
            to->tx_wake = w->buffer_low;
            return BODY_WAITS;
        }
        bytes = from->rx.first ? buf_view(from->rx.first) : span_make(NULL, 0);
        result = h1_body_feed(way->body, bytes, &consumed, &payload, fault);
        whole =
            !way->chunked && payload.len && payload.len == bytes.len && !fits_behind(to, payload);
        if (whole) {
            conn_push(to, buf_queue_pop(&from->rx));
        } else {
            if (payload.len && !write_payload(to, payload, way->chunked)) {
                return BODY_NO_MEMORY;
            }
            buf_queue_consume(&from->rx, bufs_of(s), consumed);
        }
        if (consumed) {
            *way->moved_ns = session_now(s);
        }
        *way->count += payload.len;
        switch (result) {
        case H1_BODY_PAYLOAD:
            break;
        case H1_BODY_MORE:
            if (!from->rx.first) {
                return BODY_WAITS;
            }
            break;
        case H1_BODY_TRAILERS:
            return pass_trailers(s, way, fault);
        case H1_BODY_DONE:
            return BODY_ENDED;
        case H1_BODY_BAD:
            return BODY_BROKEN;
        }
    }
}
