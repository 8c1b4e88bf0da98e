/* SPDX-License-Identifier: Apache-2.0 */
#include "core/session/detection.h"

#include "core/base/clock.h"
#include "detect/user_agent_memo.h"

#include <stdlib.h>

/* ---- the hello's part of the fingerprint, packed: it may have to wait for long ---- */

enum { LIST_COUNT = 4, PACKED_HEAD = 2 }; /* version, whether there is the quirk compr */

static struct number_list *list_of(struct request_fingerprint *fp, size_t index)
{
    struct number_list *const lists[LIST_COUNT] = {&fp->ciphers, &fp->extensions, &fp->curves,
                                                   &fp->point_formats};
    return lists[index];
}

static uint16_t *pack(struct request_fingerprint *fp)
{
    size_t len = PACKED_HEAD;
    uint16_t *packed;

    for (size_t i = 0; i < LIST_COUNT; i++) {
        len += 1 + list_of(fp, i)->count;
    }
    packed = malloc(len * sizeof(*packed));
    if (!packed) {
        return NULL;
    }
    packed[0] = fp->version;
    packed[1] = fp->quirks.count != 0;
    len = PACKED_HEAD;
    for (size_t i = 0; i < LIST_COUNT; i++) {
        const struct number_list *list = list_of(fp, i);
        packed[len++] = (uint16_t)list->count;
        memcpy(&packed[len], list->items, list->count * sizeof(*packed));
        len += list->count;
    }
    return packed;
}

static void unpack(struct request_fingerprint *fp, const uint16_t *packed)
{
    fp->version = packed[0];
    fp->quirks.count = 0;
    if (packed[1]) {
        bool added = word_list_add(&fp->quirks, SPAN_LITERAL("compr"));
        ASSERT(added);
    }
    packed += PACKED_HEAD;
    for (size_t i = 0; i < LIST_COUNT; i++) {
        struct number_list *list = list_of(fp, i);
        list->count = *packed++;
        memcpy(list->items, packed, list->count * sizeof(*packed));
        packed += list->count;
    }
}

/* ---- asking ---- */

static bool look_up(struct session *s, const struct request_fingerprint *request,
                    struct span user_agent, enum detection_basis basis)
{
    static __thread struct ua_fingerprint ua; /* used within this call only */
    enum user_agent_mode mode =
        session_config(s)->detect.compatible ? USER_AGENT_COMPATIBLE : USER_AGENT_DEFAULT;
    const struct detect_question question = {
        .ua = &ua,
        .raw_ua = user_agent,
        .request = request,
        .without_headers = basis != DETECTION_REQUEST,
        .today = clock_day(ring_wall(s->worker->engine.ring)),
    };

    user_agent_recall(s->worker->user_agents, &ua, user_agent, mode);
    s->detection->basis = basis;
    return verdict_lookup(s->worker->verdicts, &question, &s->detection->report);
}

/* 10 KiB, of one call at a time. */
static struct request_fingerprint *request_room(void)
{
    static __thread struct request_fingerprint room;
    return &room;
}

/* The report stays; what was kept to judge once more goes. */
void detection_settle(struct session *s)
{
    if (s->detection) {
        free(s->detection->hello);
        s->detection->hello = NULL;
    }
}

void detection_take_hello(struct session *s, const struct client_hello *hello,
                          struct span user_agent)
{
    struct request_fingerprint *request = request_room();

    if (!s->worker->verdicts || session_config(s)->detect.database_count == 0 || s->detection ||
        !request_fingerprint_from_hello(request, hello)) {
        return;
    }
    s->detection = malloc(sizeof(*s->detection));
    if (!s->detection) {
        return;
    }
    s->detection->hello = NULL; /* the rest is of the answer */
    if (!look_up(s, request, user_agent, user_agent.len ? DETECTION_CONNECT : DETECTION_HELLO)) {
        detection_free(s);
        return;
    }
    s->detection->hello = pack(request);
}

bool detection_take_request(struct session *s, const struct http_first_request *first)
{
    struct request_fingerprint *request = request_room();
    struct detect_fault fault;
    bool found;

    if (!s->detection || !s->detection->hello) {
        return false;
    }
    unpack(request, s->detection->hello);
    if (!word_list_parse(&request->headers, span_make(first->names, first->names_len), &fault)) {
        request->headers.count = 0; /* more than a fingerprint can have: judged by the rest */
    }
    found =
        look_up(s, request, span_make(first->user_agent, first->user_agent_len), DETECTION_REQUEST);
    detection_settle(s);
    return found;
}

void detection_ask(const struct session *s, struct policy_question *question)
{
    question->hello_known = true;
    if (s->hello) {
        question->sni = span_from_string(s->hello->sni);
        question->ja3 = span_from_string(s->hello->ja3);
        question->ja4 = span_from_string(s->hello->ja4);
    }
    if (s->detection) {
        const struct verdict_report *report = &s->detection->report;
        question->verdict = span_from_string(detect_verdict_name(report->verdict));
        question->products = span_make(report->product, report->product_len);
    }
}

void detection_free(struct session *s)
{
    detection_settle(s);
    free(s->detection);
    s->detection = NULL;
}

const char *detection_basis_name(enum detection_basis basis)
{
    static const char *const name[] = {
        [DETECTION_HELLO] = "hello",
        [DETECTION_CONNECT] = "connect",
        [DETECTION_REQUEST] = "request",
    };
    return name[basis];
}
