/* SPDX-License-Identifier: Apache-2.0 */
#include "core/session/access_log.h"

#include "core/base/clock.h"
#include "core/session/detection.h"

enum { LINE_CAP = 32 * 1024, SESSION_BEGIN = 1 /* as session_moment() says it */ };

/* In one piece: a line has some thirty of them. */
#define KEY(name) SPAN_LITERAL(",\"" name "\":")

static void key(struct text *t, struct span name)
{
    text_bytes(t, span_skip(name, t->data[t->len - 1] == '{'));
}

static void string_value(struct text *t, struct span name, const char *value)
{
    if (value && value[0]) {
        key(t, name);
        text_json(t, span_from_string(value));
    }
}

static void number_value(struct text *t, struct span name, uint64_t value)
{
    key(t, name);
    text_unsigned(t, value);
}

static void bool_value(struct text *t, struct span name, bool value)
{
    key(t, name);
    text_string(t, value ? "true" : "false");
}

static void address_value(struct text *t, struct span name, const struct address *address)
{
    char shown[ADDRESS_TEXT_MAX];

    if (address && address->len) {
        address_format(address, shown);
        string_value(t, name, shown);
    }
}

static void tls_value(struct text *t, struct span name, const struct session_tls_side *tls)
{
    if (!tls->version) {
        return;
    }
    key(t, name);
    text_char(t, '{');
    string_value(t, KEY("version"), tls->version);
    string_value(t, KEY("cipher"), tls->cipher);
    string_value(t, KEY("group"), tls->group);
    bool_value(t, KEY("resumed"), tls->resumed);
    text_char(t, '}');
}

/* Whether somebody intercepted the client before us, as far as is known by now. */
static void detection_value(struct text *t, const struct session *s)
{
    const struct verdict_report *report;

    if (!s->detection) {
        return;
    }
    report = &s->detection->report;
    key(t, KEY("detect"));
    text_char(t, '{');
    string_value(t, KEY("verdict"), detect_verdict_name(report->verdict));
    string_value(t, KEY("basis"), detection_basis_name(s->detection->basis));
    string_value(t, KEY("unknown"), detect_unknown_name(report->unknown));
    if (report->browser) {
        char version[64];
        struct text v = text_make(version, sizeof(version) - 1);
        ua_version_print(&v, report->browser_version);
        version[v.len] = '\0';
        string_value(t, KEY("browser"), ua_browser_name(report->browser));
        string_value(t, KEY("browser_version"), version);
    }
    if (report->reason != REQUEST_FIELD_NONE) {
        key(t, KEY("reason"));
        text_char(t, '"');
        detect_print_reason(t, report->level, report->reason);
        text_char(t, '"');
    }
    if (report->has_product) {
        key(t, KEY("product"));
        text_json(t, span_make(report->product, report->product_len));
        string_value(t, KEY("product_type"), mitm_type_name(report->product_type));
    }
    string_value(t, KEY("browser_grade"), grade_name(report->browser_grade));
    string_value(t, KEY("actual_grade"), grade_name(report->actual_grade));
    if (report->weak_ciphers) {
        bool_value(t, KEY("weak_ciphers"), true);
    }
    if (report->loses_pfs) {
        bool_value(t, KEY("loses_pfs"), true);
    }
    text_char(t, '}');
}

/* Microseconds between two times, or moments of the session; nothing when one never came, or came
 * too late for a moment. */
static void times_value(struct text *t, struct span name, int64_t from_ns, int64_t to_ns)
{
    if (from_ns && to_ns >= from_ns) {
        number_value(t, name, (uint64_t)((to_ns - from_ns) / NS_PER_US));
    }
}

static void phase(struct text *t, struct span name, uint32_t from, uint32_t to)
{
    if (from && to >= from && to < UINT32_MAX) {
        number_value(t, name, to - from);
    }
}

static const char *leaf_name(const struct session *s)
{
    static const char *const name[] = {
        [LEAF_NONE] = "",
        [LEAF_FROM_CACHE] = "hit",
        [LEAF_MINTED] = "minted",
        [LEAF_RECALLED] = "recalled",
        [LEAF_FOR_ERROR] = "error_page",
    };
    return name[s->leaf_source];
}

/* What the load balancer in front said. */
static void balancer_value(struct text *t, const struct session *s)
{
    const struct session_balancer *b = s->balancer;

    if (!b) {
        return;
    }
    key(t, KEY("balancer"));
    text_char(t, '{');
    number_value(t, KEY("version"), b->version);
    address_value(t, KEY("peer"), &s->client->peer);
    address_value(t, KEY("destination"), &b->destination);
    string_value(t, KEY("authority"), b->authority);
    string_value(t, KEY("alpn"), b->alpn);
    string_value(t, KEY("unique_id"), b->unique_id);
    string_value(t, KEY("tls_version"), b->tls_version);
    string_value(t, KEY("common_name"), b->common_name);
    text_char(t, '}');
}

/* Without zeroes in front. */
static void hex_value(struct text *t, uint64_t value)
{
    char digits[16];
    size_t at = sizeof(digits);

    do {
        digits[--at] = "0123456789abcdef"[value & 15];
        value >>= 4;
    } while (value);
    text_char(t, '"');
    text_bytes(t, span_make(digits + at, sizeof(digits) - at));
    text_char(t, '"');
}

static void begin_line(struct text *t, const struct session *s, const char *kind)
{
    text_char(t, '{');
    key(t, KEY("time"));
    text_char(t, '"');
    text_time(t, ring_wall(s->worker->engine.ring));
    text_char(t, '"');
    key(t, KEY("session"));
    hex_value(t, s->id);
    string_value(t, KEY("kind"), kind);
    address_value(t, KEY("client"), session_client(s));
    string_value(t, KEY("user"), s->user ? s->user->name : NULL);
    string_value(t, KEY("listener"), session_config(s)->listeners[s->listener].address.text);
    string_value(t, KEY("mode"), listener_mode_name(session_listener(s)->mode));
    balancer_value(t, s);
    string_value(t, KEY("decision"), decision_name((enum decision)s->decision));
    string_value(t, KEY("rule"), s->rule);
}

static void target_value(struct text *t, const struct session *s)
{
    if (s->target) {
        char shown[HTTP_HOST_MAX + 16];
        struct text target = text_make(shown, sizeof(shown) - 1);
        authority_write(&target, s->target, s->port);
        shown[target.len] = '\0';
        string_value(t, KEY("target"), shown);
    }
}

static void connection_values(struct text *t, const struct session *s)
{
    target_value(t, s);
    address_value(t, KEY("dialled"), session_dialled(s));
    string_value(t, KEY("upstream"), s->upstream);
    string_value(t, KEY("sni"), session_sni(s));
    if (s->hello && s->hello->sni_invalid) {
        bool_value(t, KEY("sni_invalid"), true);
    }
    if (s->sni_mismatch || s->host_mismatch) {
        string_value(t, KEY("mismatch"), s->sni_mismatch ? "sni" : "host");
    }
    string_value(t, KEY("http_host"), s->http_host);
    string_value(t, KEY("alpn"), session_alpn(s));
    if (s->hello) {
        string_value(t, KEY("ja3"), s->hello->ja3);
        string_value(t, KEY("ja4"), s->hello->ja4);
    }
    detection_value(t, s);
    if (s->tls) {
        tls_value(t, KEY("server_tls"), &s->tls->server);
        if (s->tls->was_taken) {
            bool_value(t, KEY("server_reused"), true);
        }
        tls_value(t, KEY("client_tls"), &s->tls->client);
    }
    string_value(t, KEY("leaf"), leaf_name(s));
}

static void connection_phases(struct text *t, const struct session *s)
{
    const struct session_times *at = &s->times;
    const struct session_tls *tls = s->tls;

    phase(t, KEY("hello"), SESSION_BEGIN, at->hello);
    phase(t, KEY("dns"), at->dial_begin, at->resolved);
    phase(t, KEY("connect"), at->resolved, at->connected);
    if (tls) {
        phase(t, KEY("server_tls"), tls->server.begin, tls->server.end);
        phase(t, KEY("mint"), tls->mint_begin, tls->mint_end);
        phase(t, KEY("client_tls"), tls->client.begin, tls->client.end);
    }
}

static void end_line(struct text *t, struct session *s)
{
    struct session_shared *shared = s->worker->shared;

    text_string(t, "}\n");
    /* LINE_CAP holds the longest line: every part of it is bounded and escapes sixfold at worst. */
    ASSERT(!t->overflow);
    if (shared->on_log_line) {
        shared->on_log_line(shared->on_log_line_context, text_view(t));
    } else if (shared->access_log) {
        log_sink_write(shared->access_log, s->worker->engine.index, text_view(t));
    }
}

bool access_log_is_read(const struct session *s)
{
    return s->worker->shared->access_log || s->worker->shared->on_log_line;
}

/* What stands before the host, as in user:password@host, is no one's to keep. A client of HTTP/2
 * may send it, though it must not (RFC 9113 8.3.1). */
static void authority_value(struct text *t, const char *authority)
{
    const char *at = strrchr(authority, '@');

    string_value(t, KEY("authority"), at ? at + 1 : authority);
}

/* A query string may carry secrets: its place is shown, its content is not. */
static void path_value(struct text *t, const char *path)
{
    struct span all = span_from_string(path);
    size_t query = span_find(all, '?');

    if (all.len == 0) {
        return;
    }
    key(t, KEY("path"));
    text_char(t, '"');
    text_escaped(t, span_sub(all, 0, query));
    text_string(t, query < all.len ? "?\"" : "\"");
}

void access_log_request(struct session *s, const struct http_exchange *exchange)
{
    char line[LINE_CAP];
    struct text t = text_make(line, sizeof(line));

    s->requests++;
    s->worker->stats.requests++;
    if (!access_log_is_read(s)) {
        return;
    }
    begin_line(&t, s, "request");
    connection_values(&t, s);
    string_value(&t, KEY("method"), exchange->method);
    authority_value(&t, exchange->authority);
    path_value(&t, exchange->path);
    key(&t, KEY("http"));
    text_char(&t, '"');
    text_unsigned(&t, exchange->http_major);
    text_char(&t, '.');
    text_unsigned(&t, exchange->http_minor);
    text_char(&t, '"');
    string_value(&t, KEY("user_agent"), exchange->user_agent);
    if (exchange->status) {
        number_value(&t, KEY("status"), exchange->status);
    }
    key(&t, KEY("bytes"));
    text_char(&t, '{');
    number_value(&t, KEY("up"), exchange->request_bytes);
    number_value(&t, KEY("down"), exchange->response_bytes);
    text_char(&t, '}');
    key(&t, KEY("phases_us"));
    text_char(&t, '{');
    if (s->requests == 1) {
        connection_phases(&t, s); /* its price was paid for the first request */
    }
    times_value(&t, KEY("first_byte"), exchange->begin_ns, exchange->first_byte_ns);
    times_value(&t, KEY("total"), exchange->begin_ns, exchange->end_ns);
    text_char(&t, '}');
    if (exchange->upgraded) {
        bool_value(&t, KEY("upgraded"), true);
    }
    string_value(&t, KEY("close"),
                 s->reason ? close_reason_name((enum close_reason)s->reason) : "");
    string_value(&t, KEY("error"), s->error);
    string_value(&t, KEY("fault"), s->fault);
    end_line(&t, s);
}

void access_log_tunnel(struct session *s, int64_t end_ns)
{
    char line[LINE_CAP];
    struct text t = text_make(line, sizeof(line));

    if (!access_log_is_read(s)) {
        return;
    }
    begin_line(&t, s, "tunnel");
    connection_values(&t, s);
    string_value(&t, KEY("protocol"), protocol_name((enum protocol)s->protocol));
    if (s->status) {
        number_value(&t, KEY("status"), s->status);
    }
    number_value(&t, KEY("requests"), s->requests);
    key(&t, KEY("bytes"));
    text_char(&t, '{');
    number_value(&t, KEY("up"), s->up.bytes);
    number_value(&t, KEY("down"), s->down.bytes);
    text_char(&t, '}');
    key(&t, KEY("phases_us"));
    text_char(&t, '{');
    connection_phases(&t, s);
    phase(&t, KEY("first_byte"), SESSION_BEGIN, s->times.first_byte);
    times_value(&t, KEY("total"), s->times.begin_ns, end_ns);
    text_char(&t, '}');
    string_value(&t, KEY("close"), close_reason_name((enum close_reason)s->reason));
    string_value(&t, KEY("error"), s->error);
    string_value(&t, KEY("fault"), s->fault);
    end_line(&t, s);
}
