/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/load_stream.h"

#include "core/base/clock.h"

#include <errno.h>

enum { BULK_BUFFERS = 256 };

static const struct h1_limits limits = {
    .head_bytes = 16 * 1024, .line_bytes = 8 * 1024, .field_count = HTTP_FIELDS_MAX};

int load_worker_init(struct worker *worker, uint32_t conn_cap, bool is_awake,
                     void (*accepted)(struct worker *, struct listener *, int fd), char *error,
                     size_t error_cap)
{
    static const char *const no_server[] = {"127.0.0.1"}; /* nothing is looked up */
    static const struct resolver_options resolver = {
        .servers = no_server, .server_count = 1, .timeout_ms = 1000};
    struct ring_options ring = ring_options_default;
    const struct worker_options options = {
        .conn_cap = conn_cap,
        .dial_cap = 1,
        .idle_cap = 1,
        .idle_ns = NS_PER_S,
        .buffer_high = LOAD_STREAM_HIGH,
        .buffer_low = LOAD_STREAM_LOW,
        .ring = &ring,
        .resolver = &resolver,
        .accepted = accepted,
    };

    /* Bulk streams must not wait for each other's buffers: latencies would be ours. */
    ring.group[RING_GROUP_BULK].count = BULK_BUFFERS;
    ring.busy_poll_ns = is_awake ? RING_BUSY_POLL_ALWAYS : 0;
    *worker = (struct worker){.index = 0};
    return worker_init(worker, &options, error, error_cap);
}

void load_stream_init(struct load_stream *s, struct conn *conn)
{
    *s = (struct load_stream){.conn = conn, .is_open = conn->tls == NULL};
}

void load_stream_close(struct load_stream *s, enum conn_close_how how)
{
    if (!s->conn) {
        return;
    }
    buf_queue_clear(&s->plain, &s->conn->worker->bufs);
    conn_close(s->conn, how);
    s->conn = NULL;
}

const char *load_stream_fault(const struct load_stream *s)
{
    const struct conn *conn = s->conn;
    const struct tls_fault *fault = conn->tls ? tls_engine_fault(conn->tls) : NULL;

    if (fault && fault->text[0]) {
        return fault->text;
    }
    return conn->error ? strerror(conn->error) : "closed by the peer";
}

/* Until there is no more, or enough. False: no memory, or TLS has failed. */
static bool open_records(struct load_stream *s)
{
    struct worker *w = s->conn->worker;

    while (s->plain.len < LOAD_STREAM_HIGH) {
        struct buf *b = buf_new(&w->bufs, BUF_RECORD_CAP);
        size_t len;

        if (!b) {
            s->conn->error = ENOMEM;
            return false;
        }
        len = tls_engine_read(s->conn->tls, b->data, b->cap);
        if (len == 0) {
            buf_put(&w->bufs, b);
            break;
        }
        b->end = (uint32_t)len;
        buf_queue_push(&s->plain, b);
    }
    return tls_engine_status(s->conn->tls) != TLS_FAILED;
}

bool load_stream_fill(struct load_stream *s)
{
    struct conn *conn = s->conn;

    if (!conn->tls) {
        return !conn->error;
    }
    if (!s->is_open && conn->rx.len) {
        enum tls_status status = tls_engine_handshake(conn->tls);

        s->is_open = status == TLS_OPEN;
        if (status == TLS_FAILED || status == TLS_CLOSED) {
            return false;
        }
    }
    if (s->is_open && !open_records(s)) {
        return false;
    }
    return !conn->error && (s->is_open || !conn_is_drained(conn));
}

bool load_stream_is_over(const struct load_stream *s)
{
    const struct tls_engine *tls = s->conn->tls;

    return s->plain.len == 0 &&
           (conn_is_drained(s->conn) || (tls && tls_engine_status(tls) == TLS_CLOSED));
}

bool load_stream_write(struct load_stream *s, struct span bytes)
{
    return s->conn->tls ? tls_engine_write(s->conn->tls, bytes) : conn_write(s->conn, bytes);
}

void load_stream_go_on(struct load_stream *s)
{
    conn_flush(s->conn);
    conn_receive(s->conn, LOAD_STREAM_HIGH);
    conn_park(s->conn);
}

void load_stream_consume(struct load_stream *s, size_t count)
{
    buf_queue_consume(load_stream_queue(s), &s->conn->worker->bufs, count);
}

enum h1_result load_stream_head(struct load_stream *s, struct span method, struct http_head *head,
                                struct http_fault *fault)
{
    struct buf_queue *queue = load_stream_queue(s);
    size_t want = queue->len < limits.head_bytes ? queue->len : limits.head_bytes;
    struct span bytes = buf_queue_gather(queue, &s->conn->worker->bufs, want);
    bool is_request = method.len == 0;
    enum h1_result result;

    result = is_request ? h1_read_request(head, &s->scan, bytes, &limits, fault)
                        : h1_read_response(head, &s->scan, bytes, method, &limits, fault);
    if (result == H1_DONE) {
        s->scan = (struct h1_scan){0};
        h1_body_init(&s->body, head->framing, head->content_length);
        s->body.is_response = !is_request;
    }
    return result;
}

static enum h1_body_result read_trailers(struct load_stream *s, struct http_fault *fault)
{
    struct buf_queue *queue = load_stream_queue(s);
    size_t want = queue->len < H1_TRAILER_BYTES_MAX ? queue->len : H1_TRAILER_BYTES_MAX;
    struct http_head trailers;
    enum h1_result result;

    if (want == 0) {
        return H1_BODY_MORE;
    }
    result = h1_body_trailers(&s->body, buf_queue_gather(queue, &s->conn->worker->bufs, want),
                              &trailers, fault);
    if (result == H1_DONE) {
        load_stream_consume(s, trailers.len);
    }
    return result == H1_DONE ? H1_BODY_DONE : result == H1_BAD ? H1_BODY_BAD : H1_BODY_MORE;
}

enum h1_body_result load_stream_body(struct load_stream *s, size_t *consumed, struct span *payload,
                                     struct http_fault *fault)
{
    for (;;) {
        struct buf_queue *queue = load_stream_queue(s);
        struct span bytes = buf_queue_gather(queue, &s->conn->worker->bufs, 1);
        enum h1_body_result result = h1_body_feed(&s->body, bytes, consumed, payload, fault);

        if (result == H1_BODY_PAYLOAD || result == H1_BODY_BAD) {
            return result;
        }
        load_stream_consume(s, *consumed);
        if (result == H1_BODY_TRAILERS) {
            return read_trailers(s, fault);
        }
        if (result == H1_BODY_DONE || queue->len == 0) {
            return result;
        }
    }
}
