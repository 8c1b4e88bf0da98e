/* SPDX-License-Identifier: Apache-2.0 */
#include "core/engine/conn_transport.h"

#include <errno.h>
#include <stdlib.h>

enum { SEAL_BYTES = 64 * 1024 /* of tx at a time, so that the rest can be refilled meanwhile */ };

bool conn_start_transport(struct conn *c, struct tls_context *context,
                          const struct tls_connect_options *options)
{
    struct conn_transport *t = calloc(1, sizeof(*t));

    ASSERT(!c->transport && !c->tls && !c->sending);
    if (!t) {
        return false;
    }
    buf_queue_move(&t->tx, &c->tx);
    buf_queue_move(&t->rx, &c->rx);
    t->tls = tls_engine_connect(context, options, &t->rx, &t->tx, &c->worker->bufs);
    if (!t->tls) {
        buf_queue_move(&c->tx, &t->tx);
        buf_queue_move(&c->rx, &t->rx);
        free(t);
        return false;
    }
    c->transport = t;
    return true;
}

enum tls_status conn_shake_transport(struct conn *c)
{
    enum tls_status status = tls_engine_handshake(c->transport->tls);

    if (status == TLS_OPEN) {
        conn_transport_open(c); /* what came right behind the handshake */
    }
    conn_flush(c);
    return status;
}

void conn_transport_free(struct conn *c)
{
    struct conn_transport *t = c->transport;

    if (t) {
        tls_engine_free(t->tls);
        buf_queue_clear(&t->rx, &c->worker->bufs);
        buf_queue_clear(&t->tx, &c->worker->bufs);
        free(t);
        c->transport = NULL;
    }
}

void conn_transport_open(struct conn *c)
{
    struct conn_transport *t = c->transport;
    uint8_t *scratch = c->worker->scratch;
    size_t len;

    if (tls_engine_status(t->tls) == TLS_HANDSHAKING) {
        return;
    }
    while ((len = tls_engine_read(t->tls, scratch, TLS_RECORD_PLAINTEXT_MAX)) > 0) {
        if (!buf_queue_append(&c->rx, &c->worker->bufs, span_make(scratch, len))) {
            c->error = c->error ? c->error : ENOMEM;
            break;
        }
    }
    switch (tls_engine_status(t->tls)) {
    case TLS_CLOSED:
        c->eof = true;
        buf_queue_clear(&t->rx, &c->worker->bufs);
        break;
    case TLS_FAILED:
        c->error = c->error ? c->error : EPROTO;
        buf_queue_clear(&t->rx, &c->worker->bufs);
        break;
    default:
        break;
    }
    if (t->tx.len) {
        conn_flush(c); /* TLS has to say something itself (a key update) */
    }
}

void conn_transport_seal(struct conn *c)
{
    struct conn_transport *t = c->transport;

    if (t->tx.len || t->sealed_bytes || tls_engine_status(t->tls) == TLS_HANDSHAKING) {
        return;
    }
    for (struct buf *b = c->tx.first; b && t->sealed_bytes < SEAL_BYTES; b = b->next) {
        if (!tls_engine_write(t->tls, buf_view(b))) {
            c->error = c->error ? c->error : EPROTO;
            actor_ready(c->owner);
            return;
        }
        t->sealed_bytes += b->end - b->start;
    }
}

void conn_transport_consume(struct conn *c, size_t len)
{
    struct conn_transport *t = c->transport;

    buf_queue_consume(&t->tx, &c->worker->bufs, len);
    if (t->tx.len == 0) {
        buf_queue_consume(&c->tx, &c->worker->bufs, t->sealed_bytes);
        t->sealed_bytes = 0;
    }
}

bool conn_transport_has_ended(struct conn *c)
{
    struct conn_transport *t = c->transport;

    if (!t) {
        return true;
    }
    if (!t->is_finished) {
        t->is_finished = true;
        tls_engine_shutdown(t->tls);
        if (t->tx.len) {
            conn_flush(c);
        }
    }
    return t->tx.len == 0;
}
