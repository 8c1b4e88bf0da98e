/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What both protocols share: which one it is, the first request, exchanges under way, and
 * blindness. A tap without ALPN decides by the client's first bytes; those that are like HTTP/2's
 * preface need not be kept until then, since the preface is known.
 */
#include "http/tap.h"

#include "http/field.h"
#include "http/tap_private.h"

#include <stdlib.h>

const struct span tap_h2_preface = {(const uint8_t *)NGHTTP2_CLIENT_MAGIC,
                                    NGHTTP2_CLIENT_MAGIC_LEN};

const uint16_t tap_text_max[TAP_TEXT_COUNT] = {
    [TAP_METHOD] = sizeof(((struct http_exchange *)0)->method) - 1,
    [TAP_AUTHORITY] = sizeof(((struct http_exchange *)0)->authority) - 1,
    [TAP_PATH] = sizeof(((struct http_exchange *)0)->path) - 1,
    [TAP_USER_AGENT] = sizeof(((struct http_exchange *)0)->user_agent) - 1,
};

void tap_go_blind(struct http_tap *tap, const char *why)
{
    ASSERT(!tap->stats.blind && why);
    tap->stats.blind = why;
    if (tap->kind == TAP_H1) {
        tap_h1_stop(&tap->h1);
    } else if (tap->kind == TAP_H2) {
        tap_h2_stop(&tap->h2);
    }
}

struct http_tap *http_tap_new(struct span alpn)
{
    struct http_tap *tap = calloc(1, sizeof(*tap));

    if (!tap) {
        return NULL;
    }
    if (span_equal(alpn, SPAN_LITERAL("h2"))) {
        tap->kind = TAP_H2;
        if (!tap_h2_init(&tap->h2)) {
            free(tap);
            return NULL;
        }
    } else if (span_equal(alpn, SPAN_LITERAL("http/1.1")) ||
               span_equal(alpn, SPAN_LITERAL("http/1.0"))) {
        tap->kind = TAP_H1;
    } else if (alpn.len) {
        tap_go_blind(tap, "the protocol that was negotiated is not HTTP");
    }
    return tap;
}

static struct tap_open *pop_open(struct http_tap *tap)
{
    switch (tap->kind) {
    case TAP_H1:
        return tap_h1_pop(&tap->h1);
    case TAP_H2:
        return tap_h2_pop(&tap->h2);
    default:
        return NULL;
    }
}

void http_tap_free(struct http_tap *tap)
{
    struct tap_open *open;

    if (!tap) {
        return;
    }
    while ((open = pop_open(tap))) {
        free(open);
    }
    if (!tap->stats.blind) {
        tap_go_blind(tap, "the connection is over");
    }
    edit_free(tap->edits[HTTP_TAP_CLIENT]);
    edit_free(tap->edits[HTTP_TAP_SERVER]);
    free(tap->first);
    free(tap);
}

static bool feed_decided(struct http_tap *tap, enum http_tap_side side, int64_t now_ns,
                         struct span *bytes, struct http_exchange *done)
{
    return tap->kind == TAP_H1 ? tap_h1_feed(tap, side, now_ns, bytes, done)
                               : tap_h2_feed(tap, side, now_ns, bytes, done);
}

/* No HTTP of that side begins with this byte, nor anything that a lenient reader takes for it. Of a
 * server: neither "HTTP/" nor the length of a first frame. */
static bool is_not_http(enum http_tap_side side, uint8_t c)
{
    if (side == HTTP_TAP_SERVER) {
        return c != 'H' && c != 0;
    }
    return !char_is(c, CHAR_TOKEN) && !(c >= '\t' && c <= '\r') && c != ' ';
}

/*
 * Moves on over bytes that both protocols may start with. When the protocol is clear, what was
 * passed over is read as the first bytes of it; no exchange is over so early.
 */
static void decide(struct http_tap *tap, enum http_tap_side side, int64_t now_ns,
                   struct span *bytes, struct http_exchange *done)
{
    struct tap_edit *edit = tap->edits[side];
    struct span passed;
    bool is_over;

    if (tap->preface_len == 0 && is_not_http(side, bytes->data[0])) {
        tap->blindness = HTTP_TAP_NOT_HTTP; /* as will be found out */
    }
    if (side == HTTP_TAP_SERVER) {
        tap_go_blind(tap, "the server spoke first, which is not HTTP");
        return;
    }
    while (bytes->len && tap->preface_len < tap_h2_preface.len &&
           bytes->data[0] == tap_h2_preface.data[tap->preface_len]) {
        tap->preface_len++;
        *bytes = span_skip(*bytes, 1);
    }
    if (bytes->len == 0 && tap->preface_len < tap_h2_preface.len) {
        return;
    }
    passed = span_sub(tap_h2_preface, 0, tap->preface_len);
    tap->kind = passed.len == tap_h2_preface.len ? TAP_H2 : TAP_H1;
    if (tap->kind == TAP_H2 && !tap_h2_init(&tap->h2)) {
        tap_go_blind(tap, "no memory to read along");
        return;
    }
    tap->edits[side] = NULL; /* which has these bytes already, and where they begin */
    is_over = feed_decided(tap, side, now_ns, &passed, done);
    tap->edits[side] = edit;
    ASSERT(!is_over);
}

static bool holds(const struct http_tap *tap, enum http_tap_side side)
{
    if (tap->stats.blind) {
        return false;
    }
    return tap->kind == TAP_H1   ? tap_h1_holds(&tap->h1, side)
           : tap->kind == TAP_H2 ? tap->edits[side]->owner.name.len && tap_h2_holds(&tap->h2, side)
                                 : true;
}

/* What was read goes on, as far as it may. */
static void settle(struct http_tap *tap, enum http_tap_side side, const uint8_t *at)
{
    struct tap_edit *edit = tap->edits[side];
    const char *why;

    if (tap->stats.blind && tap->blindness == HTTP_TAP_LOST && edit->owner.name.len) {
        edit_stop(edit);
    }
    why = edit_settle(edit, at, holds(tap, side));
    if (why) {
        tap_go_blind(tap, why);
    }
}

static bool feed(struct http_tap *tap, enum http_tap_side side, int64_t now_ns, struct span *bytes,
                 struct http_exchange *done)
{
    if (tap->kind == TAP_UNDECIDED && !tap->stats.blind && bytes->len) {
        decide(tap, side, now_ns, bytes, done);
    }
    if (tap->kind != TAP_UNDECIDED && !tap->stats.blind &&
        feed_decided(tap, side, now_ns, bytes, done)) {
        return true;
    }
    ASSERT_SLOW(bytes->len == 0 || tap->stats.blind);
    *bytes = span_skip(*bytes, bytes->len);
    return false;
}

bool http_tap_feed(struct http_tap *tap, enum http_tap_side side, int64_t now_ns,
                   struct span *bytes, struct http_exchange *done)
{
    struct tap_edit *edit = bytes->len ? tap->edits[side] : NULL;
    bool is_over;

    if (!edit) {
        return feed(tap, side, now_ns, bytes, done);
    }
    edit_begin(edit, *bytes);
    is_over = feed(tap, side, now_ns, bytes, done);
    settle(tap, side, bytes->data);
    return is_over;
}

bool http_tap_finish(struct http_tap *tap, int64_t now_ns, struct http_exchange *done)
{
    struct tap_open *open = pop_open(tap);

    if (open) {
        tap_open_report(tap, open, now_ns, done);
    }
    return open != NULL;
}

bool http_tap_is_idle(const struct http_tap *tap)
{
    if (tap->stats.blind) {
        return false; /* who knows */
    }
    return tap->kind == TAP_H1   ? tap_h1_is_idle(&tap->h1)
           : tap->kind == TAP_H2 ? tap_h2_is_idle(&tap->h2)
                                 : tap->preface_len == 0;
}

bool http_tap_is_reusable(const struct http_tap *tap)
{
    return !tap->stats.blind && tap->kind == TAP_H1 && tap->stats.exchanges > 0 &&
           tap_h1_is_idle(&tap->h1) && !tap->h1.is_spent;
}

bool http_tap_is_blind(const struct http_tap *tap)
{
    return tap->stats.blind != NULL;
}

enum http_tap_blindness http_tap_blindness(const struct http_tap *tap)
{
    return (enum http_tap_blindness)tap->blindness;
}

void http_tap_read_stats(const struct http_tap *tap, struct http_tap_stats *stats)
{
    *stats = tap->stats;
}

const struct http_first_request *http_tap_first_request(const struct http_tap *tap)
{
    return tap->first;
}

void http_tap_drop_first(struct http_tap *tap)
{
    tap->had_first = true;
    free(tap->first);
    tap->first = NULL;
}

bool http_tap_first_is_settled(const struct http_tap *tap)
{
    return !tap->first && (tap->had_first || tap->stats.blind);
}

struct http_first_request *tap_first_begin(struct http_tap *tap)
{
    if (tap->had_first) {
        return NULL;
    }
    tap->had_first = true;
    tap->first = malloc(sizeof(*tap->first));
    if (tap->first) {
        /* All but the bytes, of which there are many. */
        tap->first->user_agent_len = tap->first->names_len = 0;
        tap->first->has_user_agent = tap->first->is_user_agent_cut = false;
        tap->first->are_names_cut = false;
    }
    return tap->first;
}

static void add_user_agent(struct http_first_request *first, struct span value)
{
    first->has_user_agent = true;
    first->is_user_agent_cut = value.len > sizeof(first->user_agent);
    value = span_sub(value, 0, sizeof(first->user_agent));
    first->user_agent_len = value.len;
    if (value.len) {
        memcpy(first->user_agent, value.data, value.len);
    }
}

/*
 * HTTP/2's decoder lets any bytes be a name, and one of its bytes can stand for a long one. A name
 * that is no token would be read as several, or as the next part of a fingerprint; so it ends the
 * list, as one does that has no room. What is kept is a true beginning, and nothing is looked at
 * after it but lengths.
 */
static void add_name(struct http_first_request *first, struct span name)
{
    size_t comma = first->names_len != 0;

    if (comma + name.len > sizeof(first->names) - first->names_len ||
        !span_is_all(name, CHAR_TOKEN)) {
        first->are_names_cut = true;
        return;
    }
    if (comma) {
        first->names[first->names_len++] = ',';
    }
    for (size_t i = 0; i < name.len; i++) {
        first->names[first->names_len++] = (char)span_fold(name.data[i]);
    }
}

void tap_first_add(struct http_first_request *first, struct span name, struct span value)
{
    bool is_pseudo = name.len && name.data[0] == ':';

    if (!is_pseudo && !first->are_names_cut) {
        add_name(first, name);
    }
    if (!first->has_user_agent && span_equal_nocase(name, SPAN_LITERAL("user-agent"))) {
        add_user_agent(first, value);
    }
}

struct tap_open *tap_open_new(const struct span text[TAP_TEXT_COUNT], int64_t now_ns)
{
    struct tap_open *open;
    uint16_t len[TAP_TEXT_COUNT];
    size_t sum = 0;
    char *to;

    for (size_t i = 0; i < TAP_TEXT_COUNT; i++) {
        len[i] = text[i].len < tap_text_max[i] ? (uint16_t)text[i].len : tap_text_max[i];
        sum += len[i];
    }
    open = malloc(sizeof(*open) + sum);
    if (!open) {
        return NULL;
    }
    memset(open, 0, sizeof(*open));
    open->begin_ns = now_ns;
    to = open->text;
    for (size_t i = 0; i < TAP_TEXT_COUNT; i++) {
        open->text_len[i] = len[i];
        if (len[i]) {
            memcpy(to, text[i].data, len[i]);
            to += len[i];
        }
    }
    return open;
}

static void copy_texts(struct http_exchange *done, const struct tap_open *open)
{
    char *const to[TAP_TEXT_COUNT] = {
        [TAP_METHOD] = done->method,
        [TAP_AUTHORITY] = done->authority,
        [TAP_PATH] = done->path,
        [TAP_USER_AGENT] = done->user_agent,
    };
    const char *from = open->text;

    for (size_t i = 0; i < TAP_TEXT_COUNT; i++) {
        memcpy(to[i], from, open->text_len[i]);
        to[i][open->text_len[i]] = '\0';
        from += open->text_len[i];
    }
}

void tap_open_report(struct http_tap *tap, struct tap_open *open, int64_t now_ns,
                     struct http_exchange *done)
{
    copy_texts(done, open);
    done->http_major = open->http_major;
    done->http_minor = open->http_minor;
    done->status = open->status;
    done->upgraded = open->upgraded;
    done->request_bytes = open->request_bytes;
    done->response_bytes = open->response_bytes;
    done->begin_ns = open->begin_ns;
    done->first_byte_ns = open->first_byte_ns;
    done->end_ns = now_ns;
    tap->stats.exchanges++;
    free(open);
}

/* Room for `len` bytes; the smallest power of two, so that growing costs little in sum. */
static bool reserve(struct tap_gather *gather, size_t len)
{
    size_t cap = gather->cap ? gather->cap : TAP_GATHER_STEP / 2;
    uint8_t *data;

    if (len <= gather->cap) {
        return true;
    }
    while (cap < len) {
        cap *= 2;
    }
    data = realloc(gather->data, cap);
    if (!data) {
        return false;
    }
    gather->data = data;
    gather->cap = (uint32_t)cap;
    return true;
}

bool tap_gather_add(struct tap_gather *gather, struct span *bytes, size_t count)
{
    size_t take = count < bytes->len ? count : bytes->len;

    ASSERT(take <= TAP_GATHER_MAX - gather->len);
    if (!reserve(gather, gather->len + take)) {
        return false;
    }
    if (take) {
        memcpy(gather->data + gather->len, bytes->data, take);
    }
    gather->len += (uint32_t)take;
    *bytes = span_skip(*bytes, take);
    return true;
}

void tap_gather_clear(struct tap_gather *gather)
{
    free(gather->data);
    *gather = (struct tap_gather){0};
}
