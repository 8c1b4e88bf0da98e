/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_stream: one end of a connection of the load harness, clear or TLS, with HTTP/1 on top: what
 * its client and its origin share. It has no state of the exchange; it reads heads and bodies from
 * whatever arrived. One thread, the worker's.
 */
#ifndef WEIR_BENCH_LOAD_STREAM_H
#define WEIR_BENCH_LOAD_STREAM_H

#include "core/engine/conn.h"
#include "http/h1_body.h"

enum {
    LOAD_STREAM_HIGH = 256 * 1024, /* bytes: neither end lets more wait */
    LOAD_STREAM_LOW = 64 * 1024,
};

struct load_stream {
    struct conn *conn;      /* null: closed */
    struct buf_queue plain; /* TLS: opened, not consumed */
    struct h1_scan scan;    /* of the head that is being received */
    struct h1_body body;
    bool is_open; /* TLS: the handshake is done; clear: always */
};

/* A worker for one end, which may be one that never sleeps. 0, or -errno with a sentence.
 * `accepted` may be null. */
int load_worker_init(struct worker *worker, uint32_t conn_cap, bool is_awake,
                     void (*accepted)(struct worker *, struct listener *, int fd), char *error,
                     size_t error_cap) MUST_CHECK;

/* Over an open conn, whose tls may be set. */
void load_stream_init(struct load_stream *stream, struct conn *conn);
/* Ends it as conn_close() does; close_notify comes before a flush. Null conn: nothing. */
void load_stream_close(struct load_stream *stream, enum conn_close_how how);

/* Handshakes and opens what arrived. False: the connection failed, load_stream_fault() says how. */
bool load_stream_fill(struct load_stream *stream) MUST_CHECK;
/* The peer will send no more, and all of it was read. */
bool load_stream_is_over(const struct load_stream *stream);
const char *load_stream_fault(const struct load_stream *stream);

/* What is there to be read. */
static inline struct buf_queue *load_stream_queue(struct load_stream *stream)
{
    return stream->conn->tls ? &stream->plain : &stream->conn->rx;
}

bool load_stream_write(struct load_stream *stream, struct span bytes) MUST_CHECK;

/* At the end of a run: sends, and wants more. */
void load_stream_go_on(struct load_stream *stream);

/*
 * The next head, if it is whole, and then what follows is its body. `method`: empty for a request,
 * else the request's whose response this is. The head's spans are good until the stream is read or
 * consumed: consume head->len.
 */
enum h1_result load_stream_head(struct load_stream *stream, struct span method,
                                struct http_head *head, struct http_fault *fault);
void load_stream_consume(struct load_stream *stream, size_t count);

/* The next piece of the body: H1_BODY_PAYLOAD, then consume *consumed behind its use; MORE and DONE
 * have consumed. */
enum h1_body_result load_stream_body(struct load_stream *stream, size_t *consumed,
                                     struct span *payload, struct http_fault *fault);

#endif
