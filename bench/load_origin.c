/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/load_origin.h"

#include "bench/load_pki.h"
#include "bench/load_plan.h"
#include "bench/load_stream.h"
#include "core/base/clock.h"
#include "core/base/text.h"
#include "core/engine/listener.h"
#include "tls/client_hello.h"
#include "tls/record.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    VISITS_MAX = 2 * LOAD_CONNECTIONS_MAX,
    PIECE = 16 * 1024,
    REPLY_MAX = 256,
    DELAY_MS_MAX = 60000,
    DNS_MAX = 512,
    DNS_TTL_S = 3600,
};

#define TOLD_NS NS_PER_MS /* how old looked_ns may be */

struct origin {
    struct worker worker; /* first: CONTAINER_OF back from it */
    struct load_pki *pki;
    struct pool visits;
};

enum visit_step { VISIT_REQUEST, VISIT_UPLOAD, VISIT_DELAY, VISIT_REPLY };

/* One connection. */
struct visit {
    struct pool_slot pool;
    struct origin *origin;
    struct actor actor;
    struct load_stream stream;
    struct timer delay;
    bool awaits_hello; /* TLS: its leaf is chosen by the name in the hello */
    bool keeps_alive;
    bool is_chunked;
    enum visit_step step;
    uint64_t at, end;      /* of the body that is sent, or of the one that is received */
    uint64_t differs;      /* upload: the first byte that does, UINT64_MAX: none */
    char reply[REPLY_MAX]; /* with the delay: what is said behind it */
};

/* ---- one visit ---- */

static void end_visit(struct visit *v, enum conn_close_how how)
{
    load_stream_close(&v->stream, how);
    timer_clear(&v->origin->worker.timers, &v->delay);
    actor_fini(&v->actor);
    pool_free(&v->origin->visits, v);
}

/* The name that the client asks for decides about the certificate. False: no TLS is possible. */
static bool begin_tls(struct visit *v)
{
    static const char default_name[] = "localhost";
    struct conn *conn = v->stream.conn;
    struct buf_cache *bufs = &conn->worker->bufs;
    size_t want = conn->rx.len < BUF_HELLO_CAP ? conn->rx.len : BUF_HELLO_CAP;
    struct span bytes = buf_queue_gather(&conn->rx, bufs, want);
    struct tls_accept_options options = {.alpn = SPAN_LITERAL("http/1.1")};
    struct record_scan scan = {0};
    struct client_hello_fault fault;
    struct client_hello hello;
    struct span message;
    static uint8_t join[CLIENT_HELLO_MAX];

    switch (record_gather_hello(&scan, bytes, join, &message)) {
    case RECORD_MORE:
        return !conn_is_drained(conn);
    case RECORD_DONE:
        break;
    default:
        return false;
    }
    if (!client_hello_parse(&hello, message, &fault)) {
        return false;
    }
    options.leaf =
        load_pki_leaf(v->origin->pki, hello.sni.len ? hello.sni : span_from_string(default_name));
    if (!hello.alpn.len) {
        options.alpn = span_make(NULL, 0);
    }
    conn->tls = options.leaf ? tls_engine_accept(v->origin->pki->context, &options, &conn->rx,
                                                 &conn->tx, bufs)
                             : NULL;
    v->awaits_hello = false;
    v->stream.is_open = false;
    return conn->tls != NULL;
}

/* The digits at the front, as far as they go. */
static uint64_t front_number(struct span text)
{
    uint64_t number = 0;

    for (size_t i = 0; i < text.len && text.data[i] >= '0' && text.data[i] <= '9'; i++) {
        number = number * 10 + (unsigned)(text.data[i] - '0');
    }
    return number;
}

/* The number behind `name` in "a=1&b=2"; false: it is not there. */
static bool query_number(struct span query, const char *name, uint64_t *number)
{
    while (query.len) {
        struct span item = span_sub(query, 0, span_find(query, '&'));
        size_t equals = span_find(item, '=');

        query = span_skip(query, item.len + 1);
        if (span_equal(span_sub(item, 0, equals), span_from_string(name))) {
            *number = front_number(span_skip(item, equals + 1));
            return true;
        }
    }
    return false;
}

static void begin_reply(struct visit *v, unsigned delay_ms)
{
    v->step = VISIT_REPLY;
    if (delay_ms) {
        v->step = VISIT_DELAY;
        timer_set(&v->origin->worker.timers, &v->delay,
                  worker_now(&v->origin->worker) + delay_ms * NS_PER_MS);
    }
}

static void answer_upload(struct visit *v)
{
    char words[64];
    bool is_good = v->differs == UINT64_MAX;
    int len = snprintf(words, sizeof(words), is_good ? "%llu bytes\n" : "differs at byte %llu\n",
                       (unsigned long long)(is_good ? v->at : v->differs));

    snprintf(v->reply, sizeof(v->reply), "HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s",
             is_good ? "200 OK" : "422 Unprocessable Content", len, words);
    v->at = v->end = 0;
    v->is_chunked = false;
    begin_reply(v, 0);
}

static void answer_bytes(struct visit *v, struct span target)
{
    struct span path = span_sub(target, 0, span_find(target, '?'));
    struct span query = span_skip(target, path.len + 1);
    uint64_t delay_ms = 0;
    uint64_t number;

    v->at = 0;
    v->end = front_number(span_skip(path, sizeof("/bytes/") - 1));
    v->is_chunked = query_number(query, "chunked", &number);
    if (v->is_chunked) {
        snprintf(v->reply, sizeof(v->reply),
                 "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
                 "Transfer-Encoding: chunked\r\n\r\n");
    } else {
        snprintf(v->reply, sizeof(v->reply),
                 "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
                 "Content-Length: %llu\r\n\r\n",
                 (unsigned long long)v->end);
    }
    (void)query_number(query, "delay_ms", &delay_ms);
    begin_reply(v, delay_ms < DELAY_MS_MAX ? (unsigned)delay_ms : DELAY_MS_MAX);
}

/* False: the connection is to be closed. */
static bool read_request(struct visit *v)
{
    struct http_head head;
    struct http_fault fault;
    enum h1_result result = load_stream_head(&v->stream, span_make(NULL, 0), &head, &fault);

    if (result != H1_DONE) {
        return result == H1_MORE && !load_stream_is_over(&v->stream);
    }
    v->keeps_alive = head.keep_alive;
    if (span_equal(head.method, SPAN_LITERAL("POST")) &&
        span_equal(head.target, SPAN_LITERAL("/sink"))) {
        v->step = VISIT_UPLOAD;
        v->at = 0;
        v->differs = UINT64_MAX;
    } else if (span_equal(head.method, SPAN_LITERAL("GET")) && head.framing == HTTP_NO_BODY &&
               span_equal(span_sub(head.target, 0, 7), SPAN_LITERAL("/bytes/"))) {
        answer_bytes(v, head.target);
    } else {
        v->at = v->end = 0;
        v->is_chunked = false;
        v->keeps_alive = v->keeps_alive && head.framing == HTTP_NO_BODY;
        snprintf(v->reply, sizeof(v->reply), "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        begin_reply(v, 0);
    }
    load_stream_consume(&v->stream, head.len);
    return true;
}

static bool read_upload(struct visit *v)
{
    struct http_fault fault;
    struct span payload;
    size_t consumed;
    enum h1_body_result result;

    while ((result = load_stream_body(&v->stream, &consumed, &payload, &fault)) ==
           H1_BODY_PAYLOAD) {
        if (v->differs == UINT64_MAX && !load_pattern_matches(v->at, payload)) {
            v->differs = v->at;
            while (load_pattern_matches(v->differs, span_sub(payload, v->differs - v->at, 1))) {
                v->differs++;
            }
        }
        v->at += payload.len;
        load_stream_consume(&v->stream, consumed);
    }
    if (result == H1_BODY_DONE) {
        answer_upload(v);
    }
    return result != H1_BODY_BAD && !(result == H1_BODY_MORE && load_stream_is_over(&v->stream));
}

static bool write_piece(struct visit *v, size_t len)
{
    char size[24];

    if (!v->is_chunked) {
        return load_stream_write(&v->stream, load_pattern(v->at, len));
    }
    snprintf(size, sizeof(size), "%zx\r\n", len);
    return load_stream_write(&v->stream, span_from_string(size)) &&
           load_stream_write(&v->stream, load_pattern(v->at, len)) &&
           load_stream_write(&v->stream, SPAN_LITERAL("\r\n"));
}

/* A small body goes out with its head, in one record. */
static bool write_reply(struct visit *v)
{
    struct conn *conn = v->stream.conn;

    if (v->reply[0]) {
        char memory[REPLY_MAX + PIECE];
        struct text words = text_make(memory, sizeof(memory));

        text_string(&words, v->reply);
        v->reply[0] = '\0';
        if (!v->is_chunked && v->end <= PIECE - REPLY_MAX) {
            text_bytes(&words, load_pattern(0, v->end));
            v->at = v->end;
        }
        if (!load_stream_write(&v->stream, text_view(&words))) {
            return false;
        }
    }
    while (v->at < v->end && conn->tx.len < LOAD_STREAM_HIGH) {
        size_t len = v->end - v->at < PIECE ? v->end - v->at : PIECE;

        if (!write_piece(v, len)) {
            return false;
        }
        v->at += len;
    }
    if (v->at < v->end) {
        conn->tx_wake = LOAD_STREAM_LOW;
        return true;
    }
    if (v->is_chunked && !load_stream_write(&v->stream, SPAN_LITERAL("0\r\n\r\n"))) {
        return false;
    }
    v->step = VISIT_REQUEST;
    return v->keeps_alive;
}

/* False: the connection is to be closed. */
static bool take_steps(struct visit *v)
{
    if (!load_stream_fill(&v->stream)) {
        return false;
    }
    for (;;) {
        enum visit_step step = v->step;
        bool goes_on;

        switch (step) {
        case VISIT_REQUEST:
            goes_on = !v->stream.is_open || read_request(v);
            break;
        case VISIT_UPLOAD:
            goes_on = read_upload(v);
            break;
        case VISIT_DELAY:
            v->step = v->delay.fired ? VISIT_REPLY : VISIT_DELAY;
            goes_on = true;
            break;
        default:
            goes_on = write_reply(v);
            break;
        }
        if (!goes_on || v->step == step) {
            return goes_on;
        }
    }
}

static void run_visit(struct actor *actor)
{
    struct visit *v = CONTAINER_OF(actor, struct visit, actor);

    if (v->awaits_hello && v->stream.conn->rx.len && !begin_tls(v)) {
        end_visit(v, CONN_CLOSE_NOW);
        return;
    }
    if (v->awaits_hello ? v->stream.conn->error || conn_is_drained(v->stream.conn)
                        : !take_steps(v)) {
        end_visit(v, v->stream.conn->error ? CONN_CLOSE_NOW : CONN_CLOSE_FLUSH);
        return;
    }
    load_stream_go_on(&v->stream);
}

static void accept_visit(struct worker *worker, struct listener *listener, int fd)
{
    struct origin *origin = CONTAINER_OF(worker, struct origin, worker);
    struct visit *v = pool_new(&origin->visits);
    struct conn *conn;

    if (!v) {
        close(fd);
        return;
    }
    actor_init(&v->actor, &worker->ready, run_visit);
    timer_init(&v->delay, &v->actor);
    conn = conn_accepted(worker, fd, &v->actor);
    if (!conn) {
        close(fd);
        pool_free(&origin->visits, v);
        return;
    }
    v->origin = origin;
    v->step = VISIT_REQUEST;
    load_stream_init(&v->stream, conn);
    v->awaits_hello = listener->index == 1;
    v->stream.is_open = !v->awaits_hello;
    actor_ready(&v->actor);
}

/* ---- DNS ---- */

/* Behind the one question (RFC 1035 4.1); 0: it is not one. */
static size_t question_end(const uint8_t *message, size_t len)
{
    size_t at = 12;

    while (at < len && message[at] && message[at] < 64) {
        at += 1U + message[at];
    }
    return at + 5 <= len && message[at] == 0 ? at + 5 : 0;
}

/* The question becomes its answer: 127.0.0.1 to A, nothing to any other type. */
static size_t answer_question(uint8_t message[DNS_MAX], size_t len)
{
    static const uint8_t record[] = {0xc0, 12, 0,   1, 0, 1, 0, 0, DNS_TTL_S >> 8, DNS_TTL_S & 0xff,
                                     0,    4,  127, 0, 0, 1};
    size_t end = len >= 12 ? question_end(message, len) : 0;
    bool is_a;

    if (end == 0 || end + sizeof(record) > DNS_MAX) {
        return 0;
    }
    is_a = message[end - 4] == 0 && message[end - 3] == 1;
    message[2] = 0x84 | (message[2] & 1); /* an answer, with authority */
    message[3] = 0x80;
    memset(message + 6, 0, 6);
    message[7] = is_a;
    if (!is_a) {
        return end;
    }
    memcpy(message + end, record, sizeof(record));
    return end + sizeof(record);
}

static _Noreturn void *serve_dns(void *context)
{
    const int *fd = context;
    uint8_t message[DNS_MAX];

    for (;;) {
        struct sockaddr_storage peer;
        socklen_t peer_len = sizeof(peer);
        ssize_t len =
            recvfrom(*fd, message, sizeof(message), 0, (struct sockaddr *)&peer, &peer_len);
        size_t answer_len = len > 0 ? answer_question(message, (size_t)len) : 0;

        if (answer_len) {
            (void)sendto(*fd, message, answer_len, 0, (struct sockaddr *)&peer, peer_len);
        }
    }
}

/* ---- life ---- */

static int bind_dns(uint16_t port)
{
    struct address address;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    (void)address_parse_ip(&address, SPAN_LITERAL("127.0.0.1"), port);
    if (fd >= 0 && bind(fd, &address.u.any, address.len) < 0) {
        int error = errno;
        close(fd);
        fd = -1;
        errno = error;
    }
    return fd;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage name;
    socklen_t len = sizeof(name);
    struct address address;

    if (getsockname(fd, (struct sockaddr *)&name, &len) < 0) {
        return 0;
    }
    address = address_from_storage(&name);
    return address_port(&address);
}

static int bind_tcp(uint16_t port, bool is_first, char *error, size_t error_cap)
{
    struct address address;
    struct listener_options options = {.first = is_first && port != 0};

    (void)address_parse_ip(&address, SPAN_LITERAL("127.0.0.1"), port);
    options.address = &address.u.any;
    options.address_len = address.len;
    return listener_bind(&options, error, error_cap);
}

bool load_origin_bind(struct load_ports *ports, bool is_first, struct load_listeners *listeners,
                      char *error, size_t error_cap)
{
    *listeners = (struct load_listeners){-1, -1, -1};
    listeners->clear_fd = bind_tcp(ports->clear, is_first, error, error_cap);
    if (listeners->clear_fd >= 0) {
        listeners->tls_fd = bind_tcp(ports->tls, is_first, error, error_cap);
    }
    if (listeners->tls_fd >= 0 && is_first) {
        listeners->dns_fd = bind_dns(ports->dns);
        if (listeners->dns_fd < 0) {
            snprintf(error, error_cap, "cannot listen on 127.0.0.1:%u for DNS: %s", ports->dns,
                     strerror(errno));
        }
    }
    if (listeners->tls_fd < 0 || (is_first && listeners->dns_fd < 0)) {
        load_origin_unbind(listeners);
        return false;
    }
    if (is_first) {
        *ports = (struct load_ports){port_of(listeners->clear_fd), port_of(listeners->tls_fd),
                                     port_of(listeners->dns_fd)};
    }
    return true;
}

void load_origin_unbind(struct load_listeners *listeners)
{
    const int fds[] = {listeners->clear_fd, listeners->tls_fd, listeners->dns_fd};

    for (size_t i = 0; i < COUNT_OF(fds); i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
    *listeners = (struct load_listeners){-1, -1, -1};
}

void load_origin_serve(const struct load_listeners *listeners, struct load_pki *pki, bool is_awake,
                       struct load_origin_state *state)
{
    const struct listen_socket sockets[] = {{listeners->clear_fd, 0}, {listeners->tls_fd, 1}};
    int dns_fd = listeners->dns_fd;
    static struct origin origin;
    pthread_t dns;

    load_pattern_init();
    origin.pki = pki;
    if (load_worker_init(&origin.worker, VISITS_MAX, is_awake, accept_visit, state->fault,
                         sizeof(state->fault)) < 0) {
        return;
    }
    if (pool_init(&origin.visits, "visits", sizeof(struct visit), VISITS_MAX) < 0 ||
        worker_listen(&origin.worker, sockets, COUNT_OF(sockets)) < 0 ||
        (dns_fd >= 0 && pthread_create(&dns, NULL, serve_dns, &dns_fd) != 0)) {
        snprintf(state->fault, sizeof(state->fault), "out of memory");
        return;
    }
    state->is_ready = 1;
    for (;;) {
        worker_turn_within(&origin.worker, is_awake ? TOLD_NS : -1);
        atomic_store_explicit(&state->looked_ns, (int64_t)ring_stats(origin.worker.ring)->looked_ns,
                              memory_order_relaxed);
    }
}
