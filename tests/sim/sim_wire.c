/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/sim_wire.h"

#include "core/base/assert.h"
#include "core/base/clock.h"

#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>

void bytes_append(struct bytes *bytes, struct span more)
{
    if (bytes->len + more.len > bytes->cap) {
        bytes->cap = (bytes->len + more.len) * 2;
        bytes->data = realloc(bytes->data, bytes->cap);
        ASSERT(bytes->data);
    }
    if (more.len) {
        memcpy(bytes->data + bytes->len, more.data, more.len);
    }
    bytes->len += more.len;
}

void bytes_consume(struct bytes *bytes, size_t len)
{
    ASSERT(len <= bytes->len);
    bytes->len -= len;
    if (bytes->len) {
        memmove(bytes->data, bytes->data + len, bytes->len);
    }
}

void bytes_free(struct bytes *bytes)
{
    free(bytes->data);
    *bytes = (struct bytes){NULL, 0, 0};
}

/* ---- wires ---- */

static struct wire *all_wires;

struct wire *wire_new(struct sim *sim, const struct wire_ops *ops, void *context)
{
    struct wire *w = calloc(1, sizeof(*w));

    ASSERT(w);
    w->next = all_wires;
    all_wires = w;
    w->sim = sim;
    w->ops = ops;
    w->context = context;
    return w;
}

void sim_wires_free(void)
{
    while (all_wires) {
        struct wire *w = all_wires;
        all_wires = w->next;
        SSL_free(w->ssl);
        SSL_free(w->outer);
        bytes_free(&w->in);
        bytes_free(&w->waiting);
        free(w);
    }
}

bool wire_is_over(const struct wire *w)
{
    return w->gone || w->silent;
}

static int64_t pace(struct wire *w)
{
    int64_t most_ns = w->pace_ns ? w->pace_ns : NS_PER_MS;

    return 1 + (int64_t)(sim_random(w->sim) % (uint64_t)most_ns);
}

static void pieces_over(struct wire *w)
{
    if (w->fin_wanted) {
        sim_peer_shutdown(w->peer);
    }
}

static void send_piece(void *context)
{
    struct wire *w = context;
    size_t len = w->waiting.len;

    w->sending_paced = false;
    if (wire_is_over(w)) {
        return;
    }
    if (w->piece_max && len > w->piece_max) {
        len = 1 + sim_random(w->sim) % w->piece_max;
    }
    sim_peer_send(w->peer, span_make(w->waiting.data, len));
    bytes_consume(&w->waiting, len);
    if (w->waiting.len) {
        w->sending_paced = true;
        sim_after(w->sim, pace(w), send_piece, w);
    } else {
        pieces_over(w);
    }
}

/* Onto the wire itself, in pieces where it is so. */
static void send_out(struct wire *w, struct span bytes)
{
    if (wire_is_over(w) || w->fin_wanted || bytes.len == 0) {
        return;
    }
    if (w->halt_after && !w->waiting.len) {
        sim_peer_send(w->peer, span_sub(bytes, 0, w->halt_after));
        bytes_append(&w->waiting, span_skip(bytes, w->halt_after));
        w->halt_after = 0;
        w->sending_paced = true;
        sim_after(w->sim, w->halt_ns, send_piece, w);
        return;
    }
    if (!w->piece_max && !w->waiting.len) {
        sim_peer_send(w->peer, bytes);
        return;
    }
    bytes_append(&w->waiting, bytes);
    if (!w->sending_paced) {
        w->sending_paced = true;
        sim_after(w->sim, pace(w), send_piece, w);
    }
}

static void flush_outer(struct wire *w)
{
    const uint8_t *data;
    size_t len;

    if (BIO_mem_contents(w->outer_out, &data, &len) && len) {
        send_out(w, span_make(data, len));
        (void)BIO_reset(w->outer_out);
    }
}

static void seal(SSL *ssl, struct span bytes)
{
    while (bytes.len) {
        int n = SSL_write(ssl, bytes.data, bytes.len > 16384 ? 16384 : (int)bytes.len);
        if (n <= 0) {
            ERR_clear_error();
            break;
        }
        bytes = span_skip(bytes, (size_t)n);
    }
}

void wire_send_raw(struct wire *w, struct span bytes)
{
    if (!w->outer) {
        send_out(w, bytes);
        return;
    }
    seal(w->outer, bytes);
    flush_outer(w);
}

static void flush_tls(struct wire *w)
{
    const uint8_t *data;
    size_t len;

    if (BIO_mem_contents(w->ssl_out, &data, &len) && len) {
        wire_send_raw(w, span_make(data, len));
        (void)BIO_reset(w->ssl_out);
    }
}

void wire_send(struct wire *w, struct span bytes)
{
    if (wire_is_over(w) || w->fin_wanted || bytes.len == 0) {
        return;
    }
    if (!w->ssl) {
        wire_send_raw(w, bytes);
        return;
    }
    if (!w->secure) {
        return;
    }
    seal(w->ssl, bytes);
    flush_tls(w);
}

void wire_fin_only(struct wire *w)
{
    if (wire_is_over(w) || w->fin_wanted) {
        return;
    }
    if (w->outer) {
        (void)SSL_shutdown(w->outer);
        ERR_clear_error();
        flush_outer(w);
    }
    w->fin_wanted = true;
    if (!w->waiting.len) {
        pieces_over(w);
    }
}

void wire_finish(struct wire *w)
{
    if (w->ssl && w->secure && !wire_is_over(w) && !w->fin_wanted) {
        (void)SSL_shutdown(w->ssl);
        ERR_clear_error();
        flush_tls(w);
    }
    wire_fin_only(w);
}

static void close_when_sent(void *context)
{
    struct wire *w = context;

    if (w->gone) {
        return;
    }
    if (!w->silent && (w->waiting.len || sim_peer_unsent(w->peer))) {
        sim_after(w->sim, NS_PER_MS, close_when_sent, w);
        return;
    }
    w->gone = true;
    sim_peer_close(w->peer);
}

void wire_close(struct wire *w)
{
    wire_finish(w);
    close_when_sent(w);
}

void wire_reset(struct wire *w)
{
    if (!w->gone) {
        w->gone = true;
        sim_peer_reset(w->peer);
    }
}

static void tls_failed(struct wire *w)
{
    w->tls_error = ERR_peek_last_error();
    ERR_clear_error();
    if (w->ssl) {
        flush_tls(w); /* the alert */
    }
    w->fin_wanted = true;
    w->gone = true;
    if (sim_peer_unsent(w->peer) || w->waiting.len) {
        sim_peer_shutdown(w->peer);
    } else {
        sim_peer_close(w->peer);
    }
    if (w->ops->on_gone) {
        w->ops->on_gone(w);
    }
}

/* True while it is worth going on. */
static bool run_handshake(struct wire *w)
{
    int n = SSL_do_handshake(w->ssl);

    flush_tls(w);
    if (n == 1) {
        w->secure = true;
        if (w->ops->on_secure) {
            w->ops->on_secure(w);
        }
        return !wire_is_over(w);
    }
    if (SSL_get_error(w->ssl, n) != SSL_ERROR_WANT_READ) {
        tls_failed(w);
    }
    return false;
}

static void read_tls(struct wire *w)
{
    uint8_t memory[16384];
    bool got = false;
    int n;

    if (!w->secure && !run_handshake(w)) {
        return;
    }
    while ((n = SSL_read(w->ssl, memory, sizeof(memory))) > 0) {
        bytes_append(&w->in, span_make(memory, (size_t)n));
        got = true;
    }
    int reason = SSL_get_error(w->ssl, n);
    flush_tls(w);
    if (got && w->ops->on_data) {
        w->ops->on_data(w);
    }
    if (wire_is_over(w)) {
        ERR_clear_error();
        return;
    }
    if (reason == SSL_ERROR_ZERO_RETURN && !w->ended) {
        w->ended = true;
        w->clean_end = true;
        if (w->ops->on_end) {
            w->ops->on_end(w);
        }
    } else if (reason == SSL_ERROR_SSL) {
        tls_failed(w);
    }
    ERR_clear_error();
}

static void take_inner(struct wire *w, struct span bytes)
{
    if (!w->ssl) {
        bytes_append(&w->in, bytes);
        if (w->ops->on_data) {
            w->ops->on_data(w);
        }
        return;
    }
    BIO_write(w->ssl_in, bytes.data, (int)bytes.len);
    read_tls(w);
}

void wire_start_tls(struct wire *w, SSL *ssl)
{
    w->ssl = ssl;
    w->ssl_in = BIO_new(BIO_s_mem());
    w->ssl_out = BIO_new(BIO_s_mem());
    ASSERT(ssl && w->ssl_in && w->ssl_out);
    BIO_set_mem_eof_return(w->ssl_in, -1);
    BIO_set_mem_eof_return(w->ssl_out, -1);
    SSL_set_bio(ssl, w->ssl_in, w->ssl_out);
    if (w->in.len) {
        BIO_write(w->ssl_in, w->in.data, (int)w->in.len);
        bytes_consume(&w->in, w->in.len);
    }
    if (!SSL_is_server(ssl)) {
        run_handshake(w);
    }
}

static void end_of_input(struct wire *w);

static void take(struct wire *w, struct span bytes)
{
    uint8_t memory[16384];
    int n = 0;

    if (!w->outer) {
        take_inner(w, bytes);
        return;
    }
    BIO_write(w->outer_in, bytes.data, (int)bytes.len);
    if (!SSL_is_init_finished(w->outer)) {
        n = SSL_do_handshake(w->outer);
        flush_outer(w);
    }
    while (SSL_is_init_finished(w->outer) && !wire_is_over(w) &&
           (n = SSL_read(w->outer, memory, sizeof(memory))) > 0) {
        take_inner(w, span_make(memory, (size_t)n));
    }
    if (wire_is_over(w)) {
        return;
    }
    int reason = SSL_get_error(w->outer, n);
    flush_outer(w);
    if (reason == SSL_ERROR_ZERO_RETURN) {
        end_of_input(w);
    } else if (reason == SSL_ERROR_SSL) {
        tls_failed(w);
    }
    ERR_clear_error();
}

void wire_start_outer(struct wire *w, SSL *ssl)
{
    w->outer = ssl;
    w->outer_in = BIO_new(BIO_s_mem());
    w->outer_out = BIO_new(BIO_s_mem());
    ASSERT(ssl && w->outer_in && w->outer_out && SSL_is_server(ssl));
    BIO_set_mem_eof_return(w->outer_in, -1);
    BIO_set_mem_eof_return(w->outer_out, -1);
    SSL_set_bio(ssl, w->outer_in, w->outer_out);
}

static void end_of_input(struct wire *w)
{
    if (w->ended || wire_is_over(w)) {
        return;
    }
    w->ended = true;
    w->clean_end = !w->ssl;
    if (w->ops->on_end) {
        w->ops->on_end(w);
    }
}

static void read_some(void *context);

static void read_now(struct wire *w)
{
    struct span view = sim_peer_view(w->peer);
    size_t len = view.len;

    if (w->read_max && len > w->read_max) {
        len = 1 + sim_random(w->sim) % w->read_max;
    }
    if (len) {
        struct bytes copy = {NULL, 0, 0};
        bytes_append(&copy, span_make(view.data, len));
        sim_peer_consume(w->peer, len);
        take(w, span_make(copy.data, copy.len));
        bytes_free(&copy);
    }
    if (!wire_is_over(w) && w->read_max && sim_peer_view(w->peer).len && !w->reading_paced) {
        w->reading_paced = true;
        sim_after(w->sim, pace(w), read_some, w);
    }
}

static void read_some(void *context)
{
    struct wire *w = context;

    w->reading_paced = false;
    if (!wire_is_over(w)) {
        read_now(w);
    }
}

static void peer_open(struct sim_peer *peer, void *context)
{
    struct wire *w = context;

    (void)peer;
    if (!wire_is_over(w) && w->ops->on_open) {
        w->ops->on_open(w);
    }
}

static void peer_data(struct sim_peer *peer, void *context)
{
    struct wire *w = context;

    (void)peer;
    if (!wire_is_over(w) && !w->reading_paced) {
        read_now(w);
    }
}

static void peer_eof(struct sim_peer *peer, void *context)
{
    (void)peer;
    end_of_input(context);
}

static void peer_reset(struct sim_peer *peer, void *context, int error)
{
    struct wire *w = context;

    (void)peer;
    if (w->gone) {
        return;
    }
    w->error = error;
    w->gone = true;
    if (w->ops->on_gone) {
        w->ops->on_gone(w);
    }
}

const struct sim_peer_ops wire_peer_ops = {
    .on_open = peer_open,
    .on_data = peer_data,
    .on_eof = peer_eof,
    .on_reset = peer_reset,
};

/* ---- patterns ---- */

uint8_t pattern_at(uint64_t id, size_t at)
{
    uint64_t x = (id * UINT64_C(0x9e3779b97f4a7c15)) + at / 8;

    x ^= x >> 29;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 32;
    return (uint8_t)(x >> (at % 8) * 8);
}

void pattern_fill(uint64_t id, size_t at, uint8_t *memory, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        memory[i] = pattern_at(id, at + i);
    }
}

size_t pattern_match(uint64_t id, size_t at, struct span bytes)
{
    size_t i = 0;

    while (i < bytes.len && bytes.data[i] == pattern_at(id, at + i)) {
        i++;
    }
    return i;
}

/* ---- messages ---- */

void message_init(struct message *m, bool is_request)
{
    free(m->head);
    *m = (struct message){.is_request = is_request};
}

void message_free(struct message *m)
{
    free(m->head);
    m->head = NULL;
}

bool message_field(const struct message *m, const char *name, char *value, size_t cap)
{
    size_t name_len = strlen(name);
    const char *line = strstr(m->head, "\r\n");

    while (line && line[2] && strncmp(line, "\r\n\r\n", 4) != 0) {
        line += 2;
        const char *end = strstr(line, "\r\n");
        if (strncasecmp(line, name, name_len) == 0 && line[name_len] == ':') {
            const char *from = line + name_len + 1;
            while (*from == ' ') {
                from++;
            }
            snprintf(value, cap, "%.*s", (int)(end - from), from);
            return true;
        }
        line = end;
    }
    return false;
}

static void begin_body(struct message *m)
{
    char value[64];

    if (m->status / 100 == 1 || m->status == 204 || m->status == 304 || m->no_body) {
        m->phase = MESSAGE_DONE;
    } else if (message_field(m, "Transfer-Encoding", value, sizeof(value))) {
        m->phase = strcasecmp(value, "chunked") == 0 ? MESSAGE_CHUNK_HEAD : MESSAGE_BAD;
        if (message_field(m, "Content-Length", value, sizeof(value))) {
            m->phase = MESSAGE_BAD; /* both: weir must never send that */
        }
    } else if (message_field(m, "Content-Length", value, sizeof(value))) {
        m->left = strtoull(value, NULL, 10);
        m->phase = m->left ? MESSAGE_BODY : MESSAGE_DONE;
    } else {
        m->phase = m->is_request ? MESSAGE_DONE : MESSAGE_UNTIL_CLOSE;
    }
}

static bool read_head(struct message *m, struct bytes *in)
{
    const uint8_t *end = in->len ? memmem(in->data, in->len, "\r\n\r\n", 4) : NULL;

    if (!end) {
        m->phase = in->len > MESSAGE_HEAD_MAX ? MESSAGE_BAD : m->phase;
        return false;
    }
    size_t len = (size_t)(end - in->data) + 4;
    free(m->head);
    m->head = strndup((const char *)in->data, len);
    ASSERT(m->head);
    bytes_consume(in, len);
    if (strlen(m->head) != len) {
        m->phase = MESSAGE_BAD;
        return false;
    }
    if (!m->is_request) {
        int minor;
        if (sscanf(m->head, "HTTP/1.%d %d", &minor, &m->status) != 2) {
            m->phase = MESSAGE_BAD;
            return false;
        }
    }
    m->phase = MESSAGE_BODY;
    m->left = SIZE_MAX; /* begin_body() is still to come */
    return true;
}

static void take_body(struct message *m, struct bytes *in, size_t len)
{
    if (m->checks_body && pattern_match(m->pattern, m->body_len, span_make(in->data, len)) != len) {
        m->body_is_wrong = true;
    }
    m->body_len += len;
    bytes_consume(in, len);
}

/* A line into `line`; false when it is not whole. */
static bool take_line(struct message *m, struct bytes *in, char line[256])
{
    const uint8_t *end = in->len ? memmem(in->data, in->len, "\r\n", 2) : NULL;
    size_t len = end ? (size_t)(end - in->data) : 0;

    if (!end) {
        m->phase = in->len > 8192 ? MESSAGE_BAD : m->phase;
        return false;
    }
    snprintf(line, 256, "%.*s", (int)len, (const char *)in->data);
    bytes_consume(in, len + 2);
    return true;
}

/* One step; false: needs more bytes, or is done. */
static bool read_step(struct message *m, struct bytes *in)
{
    char line[256];
    char *rest;
    size_t len = in->len < m->left ? in->len : m->left;

    switch (m->phase) {
    case MESSAGE_BODY:
    case MESSAGE_CHUNK_DATA:
        take_body(m, in, len);
        m->left -= len;
        if (m->left) {
            return false;
        }
        m->phase = m->phase == MESSAGE_BODY ? MESSAGE_DONE : MESSAGE_CHUNK_END;
        return true;
    case MESSAGE_UNTIL_CLOSE:
        take_body(m, in, in->len);
        return false;
    case MESSAGE_CHUNK_HEAD:
        if (!take_line(m, in, line)) {
            return false;
        }
        m->left = strtoull(line, &rest, 16);
        m->phase = rest == line   ? MESSAGE_BAD
                   : m->left == 0 ? MESSAGE_TRAILERS
                                  : MESSAGE_CHUNK_DATA;
        return true;
    case MESSAGE_CHUNK_END:
        if (!take_line(m, in, line)) {
            return false;
        }
        m->phase = line[0] ? MESSAGE_BAD : MESSAGE_CHUNK_HEAD;
        return true;
    case MESSAGE_TRAILERS:
        if (!take_line(m, in, line)) {
            return false;
        }
        if (!line[0]) {
            m->phase = MESSAGE_DONE;
        }
        return true;
    case MESSAGE_HEAD:
    case MESSAGE_DONE:
    case MESSAGE_BAD:
        break;
    }
    return false;
}

bool message_read(struct message *m, struct bytes *in)
{
    if (m->phase == MESSAGE_HEAD) {
        return read_head(m, in);
    }
    if (m->phase == MESSAGE_BODY && m->left == SIZE_MAX) {
        m->left = 0;
        begin_body(m);
    }
    while (read_step(m, in)) {
    }
    return false;
}
