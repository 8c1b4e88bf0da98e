/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tools/visit.h"

#include "core/base/clock.h"
#include "core/base/text.h"
#include "http/h2_reply.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { LEAF_DAYS = 7, ANSWER_MAX = 512, PLAIN_PIECE_MAX = TLS_RECORD_PLAINTEXT_MAX };

static const char answer_body[] = "weir has seen you.\n";

/* ---- the server ---- */

/* A certificate for `name`, and for the names of the one before. */
static struct leaf *mint(struct visit_server *server, struct span name, enum leaf_kind kind,
                         char *error, size_t error_cap)
{
    struct leaf_request request = {
        .server_certificate = server->local ? leaf_der(server->local) : (struct span){NULL, 0},
        .asked_name = name,
        .kind = kind,
        .now_s = clock_wall_ns() / NS_PER_S,
        .days = LEAF_DAYS,
    };

    if (!leaf_name_is_valid(name, &request.asked_is_ip)) {
        snprintf(error, error_cap, "the name asked for cannot be one of a certificate's");
        return NULL;
    }
    return leaf_mint(server->ca, server->keys, &request, error, error_cap);
}

static bool mint_local(struct visit_server *server, char *error, size_t error_cap)
{
    static const char *const names[] = {"::1", "127.0.0.1", "localhost"};

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct leaf *leaf = mint(server, span_from_string(names[i]), LEAF_ECDSA, error, error_cap);

        if (!leaf) {
            return false;
        }
        if (server->local) {
            leaf_put(server->local);
        }
        server->local = leaf;
    }
    return true;
}

bool visit_server_open(struct visit_server *server, const char *ca_dir, char *error,
                       size_t error_cap)
{
    struct tls_context_options options = {.trust = NULL};
    bool created;

    *server = (struct visit_server){.ca = NULL};
    buf_cache_init(&server->cache);
    server->ca = ca_open(ca_dir, clock_wall_ns() / NS_PER_S, &created, error, error_cap);
    if (server->ca) {
        server->keys = leaf_keys_new();
        server->context = tls_context_new(&options, error, error_cap);
        if (!server->keys) {
            snprintf(error, error_cap, "out of memory");
        }
    }
    if (server->keys && server->context && mint_local(server, error, error_cap)) {
        return true;
    }
    visit_server_close(server);
    return false;
}

void visit_server_close(struct visit_server *server)
{
    if (server->local) {
        leaf_put(server->local);
    }
    if (server->context) {
        tls_context_put(server->context);
    }
    leaf_keys_free(server->keys);
    ca_free(server->ca);
    buf_cache_fini(&server->cache);
}

/* ---- one visit ---- */

static void finish(struct visit *visit, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void finish(struct visit *visit, const char *format, ...)
{
    va_list arguments;

    if (visit->is_over) {
        return;
    }
    visit->is_over = true;
    va_start(arguments, format);
    vsnprintf(visit->ending, sizeof(visit->ending), format, arguments);
    va_end(arguments);
}

/* RFC 7301 3.2, with the choice of today's servers. */
static struct span choose_alpn(struct span offers)
{
    struct span chosen = {NULL, 0};
    struct span name;

    while (alpn_next(&offers, &name)) {
        if (span_equal(name, SPAN_LITERAL("h2"))) {
            return name;
        }
        if (span_equal(name, SPAN_LITERAL("http/1.1"))) {
            chosen = name;
        }
    }
    return chosen;
}

static bool begin(struct visit *visit, const struct client_hello *hello, const char *own_ip,
                  char *error, size_t error_cap)
{
    enum leaf_kind kind = client_hello_accepts_ecdsa(hello) ? LEAF_ECDSA : LEAF_RSA;
    struct tls_accept_options options = {.alpn = choose_alpn(hello->alpn)};
    struct span name = hello->sni;
    bool is_ip;

    if (!name.len || !leaf_name_is_valid(name, &is_ip)) {
        name = span_from_string(own_ip);
    }
    options.leaf = mint(visit->server, name, kind, error, error_cap);
    if (!options.leaf) {
        return false;
    }
    visit->plain = malloc(VISIT_REQUEST_MAX);
    visit->engine = tls_engine_accept(visit->server->context, &options, &visit->in, &visit->out,
                                      &visit->server->cache);
    leaf_put(options.leaf);
    if (!visit->plain || !visit->engine) {
        snprintf(error, error_cap, "out of memory");
        return false;
    }
    return true;
}

struct visit *visit_new(struct visit_server *server, const struct client_hello *hello,
                        struct span wire, const char *own_ip, char *error, size_t error_cap)
{
    struct visit *visit = calloc(1, sizeof(*visit));

    if (!visit) {
        snprintf(error, error_cap, "out of memory");
        return NULL;
    }
    visit->server = server;
    if (!begin(visit, hello, own_ip, error, error_cap)) {
        visit_free(visit);
        return NULL;
    }
    visit_take(visit, wire);
    return visit;
}

void visit_free(struct visit *visit)
{
    if (!visit) {
        return;
    }
    tls_engine_free(visit->engine);
    http_tap_free(visit->tap);
    buf_queue_clear(&visit->in, &visit->server->cache);
    buf_queue_clear(&visit->out, &visit->server->cache);
    free(visit->plain);
    free(visit);
}

const struct http_first_request *visit_request(const struct visit *visit)
{
    return visit->tap ? http_tap_first_request(visit->tap) : NULL;
}

static bool is_h2(const struct visit *visit)
{
    return span_equal(visit->info.alpn, SPAN_LITERAL("h2"));
}

static void say(struct visit *visit, const struct text *words)
{
    ASSERT(!words->overflow);
    if (!tls_engine_write(visit->engine, text_view(words))) {
        finish(visit, "the answer could not be sent: %s", tls_engine_fault(visit->engine)->text);
    }
}

/* HEAD is answered without the text. */
static bool is_head(struct visit *visit, int64_t now_ns)
{
    struct http_exchange exchange;

    return http_tap_finish(visit->tap, now_ns, &exchange) && strcmp(exchange.method, "HEAD") == 0;
}

static void answer(struct visit *visit, int64_t now_ns)
{
    char room[ANSWER_MAX];
    struct text words = text_make(room, sizeof(room));
    struct span body = span_from_string(answer_body);
    bool head_only = is_head(visit, now_ns);

    if (is_h2(visit)) {
        h2_write_text(&words, h2_first_stream(span_make(visit->plain, visit->plain_len)), body,
                      head_only);
    } else {
        text_printf(&words,
                    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n"
                    "Connection: close\r\n\r\n%s",
                    body.len, head_only ? "" : answer_body);
    }
    say(visit, &words);
    tls_engine_shutdown(visit->engine);
    finish(visit, "answered");
}

static void read_plain(struct visit *visit, struct span bytes)
{
    int64_t now_ns = clock_monotonic_ns();
    struct http_exchange exchange;

    if (bytes.len > VISIT_REQUEST_MAX - visit->plain_len) {
        finish(visit, "the first request is longer than %d bytes", VISIT_REQUEST_MAX);
        return;
    }
    memcpy(visit->plain + visit->plain_len, bytes.data, bytes.len);
    visit->plain_len += bytes.len;
    while (http_tap_feed(visit->tap, HTTP_TAP_CLIENT, now_ns, &bytes, &exchange)) {
        /* An answer is not said before the request is read, but the tap may have its reasons. */
    }
    if (visit_request(visit)) {
        answer(visit, now_ns);
    } else if (http_tap_first_is_settled(visit->tap)) {
        struct http_tap_stats stats;

        http_tap_read_stats(visit->tap, &stats);
        finish(visit, "no request that can be read: %s", stats.blind ? stats.blind : "no memory");
    }
}

static void open_visit(struct visit *visit)
{
    char room[H2_REPLY_MAX];
    struct text preface = text_make(room, sizeof(room));

    visit->is_open = true;
    tls_engine_read_info(visit->engine, &visit->info);
    visit->tap = http_tap_new(visit->info.alpn);
    if (!visit->tap) {
        finish(visit, "out of memory");
    } else if (is_h2(visit)) {
        h2_write_preface(&preface);
        say(visit, &preface);
    }
}

static void judge(struct visit *visit, enum tls_status status)
{
    if (status == TLS_FAILED) {
        finish(visit, "%s: %s", visit->is_open ? "no request" : "the handshake failed",
               tls_engine_fault(visit->engine)->text);
    } else if (status == TLS_CLOSED) {
        finish(visit, "the client closed without a request");
    }
}

void visit_take(struct visit *visit, struct span bytes)
{
    uint8_t piece[PLAIN_PIECE_MAX];
    size_t len;

    if (visit->is_over) {
        return;
    }
    if (!buf_queue_append(&visit->in, &visit->server->cache, bytes)) {
        finish(visit, "out of memory");
        return;
    }
    if (!visit->is_open && tls_engine_handshake(visit->engine) == TLS_OPEN) {
        open_visit(visit);
    }
    while (visit->is_open && !visit->is_over &&
           (len = tls_engine_read(visit->engine, piece, sizeof(piece)))) {
        read_plain(visit, span_make(piece, len));
    }
    judge(visit, tls_engine_status(visit->engine));
}

void visit_end(struct visit *visit, const char *why)
{
    finish(visit, "%s", why);
}
