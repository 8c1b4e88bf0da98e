/* SPDX-License-Identifier: Apache-2.0 */
#include "core/session/session.h"

#include "core/base/clock.h"
#include "core/engine/listener.h"
#include "core/session/access_log.h"
#include "core/session/authorize.h"
#include "core/session/detection.h"
#include "core/session/forward.h"
#include "core/session/reading.h"
#include "core/session/reuse.h"
#include "core/session/talk.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void session_accept(struct worker *engine, struct listener *listener, int fd)
{
    struct session_worker *w = session_worker_of(engine);
    struct session *s = pool_new(&w->sessions);

    if (!s) {
        ring_close(engine->ring, fd);
        return;
    }
    actor_init(&s->actor, &engine->ready, session_run);
    s->client = conn_accepted(engine, fd, &s->actor);
    if (!s->client) {
        ring_close(engine->ring, fd);
        pool_free(&w->sessions, s);
        return;
    }
    s->worker = w;
    s->hold = w->hold;
    snapshot_hold_get(s->hold);
    s->id = w->next_id++;
    s->listener = (uint16_t)listener->index;
    s->rule = "default";
    s->via = &s->hold->snapshot->upstreams->via;
    s->step = STEP_GREET;
    s->times.begin_ns = worker_now(engine);
    timer_init(&s->deadline, &s->actor);
    w->stats.sessions++;
    actor_ready(&s->actor);
}

uint32_t session_moment(const struct session *s, int64_t time_ns)
{
    int64_t since_us = (time_ns - s->times.begin_ns) / NS_PER_US;

    if (time_ns < s->times.begin_ns) {
        return 0;
    }
    return since_us < UINT32_MAX ? (uint32_t)since_us + 1 : UINT32_MAX;
}

const struct address *session_dialled(const struct session *s)
{
    if (s->forward) {
        return forward_dialled(s->forward);
    }
    if (s->talk) {
        return &s->talk->dialled;
    }
    return s->server ? &s->server->peer : NULL;
}

bool session_original(const struct session *s, struct address *original)
{
    return session_listener(s)->mode == LISTENER_TRANSPARENT && s->target &&
           address_parse_ip(original, span_from_string(s->target), s->port);
}

int64_t session_sent_ns(const struct session *s)
{
    int64_t server_ns = s->server ? s->server->sent_ns : 0;

    return s->client->sent_ns > server_ns ? s->client->sent_ns : server_ns;
}

bool session_send_is_stalled(const struct session *s)
{
    const struct conn *ends[] = {s->client, s->server};
    int64_t since_ns = session_now(s) - session_config(s)->limits.send_stall_ms * NS_PER_MS;

    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        if (ends[i] && ends[i]->send_since_ns && ends[i]->send_since_ns <= since_ns) {
            return true;
        }
    }
    return false;
}

void session_set_deadline(struct session *s, uint32_t ms)
{
    struct timer_wheel *timers = &s->worker->engine.timers;

    if (ms) {
        timer_set(timers, &s->deadline, session_now(s) + ms * NS_PER_MS);
    } else {
        timer_clear(timers, &s->deadline);
    }
}

void session_ask(const struct session *s, struct policy_question *question,
                 char client[ADDRESS_TEXT_MAX])
{
    const char *sni = session_sni(s);
    const char *name = sni ? sni : s->http_host;
    enum listener_mode mode = session_listener(s)->mode;

    *question = (struct policy_question){.host = s->target,
                                         .port = s->port,
                                         .sni_mismatch = s->sni_mismatch,
                                         .host_mismatch = s->host_mismatch};
    if (session_config(s)->intercept.rule_count) {
        address_format_ip(session_client(s), client);
        question->client = span_from_string(client);
    }
    if (name && (mode == LISTENER_TRANSPARENT || mode == LISTENER_REVERSE)) {
        question->name = span_from_string(name);
    }
    detection_ask(s, question);
}

void session_fault(struct session *s, const char *error, const char *format, ...)
{
    char text[512];
    va_list arguments;

    if (s->fault || s->error) {
        return;
    }
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    s->error = error;
    s->fault = strdup(text);
}

static void close_client(struct session *s, enum close_reason reason)
{
    enum conn_close_how how = CONN_CLOSE_FLUSH;

    switch (reason) {
    case CLOSE_CLIENT_GONE:
        how = CONN_CLOSE_NOW;
        break;
    case CLOSE_SERVER_GONE:
    case CLOSE_SERVER_TIMEOUT:
    case CLOSE_BAD_RESPONSE:
        /* The client must see that it was cut short, unless it was told in words. */
        how = s->forward && forward_was_answered(s->forward) ? CONN_CLOSE_FLUSH : CONN_CLOSE_RESET;
        break;
    case CLOSE_DIAL_FAILED:
    case CLOSE_REFUSED:
        /* CONNECT was answered 200 and what is inside cannot be answered: a FIN would look as if a
         * server had been there and had nothing to say. */
        how = s->told ? CONN_CLOSE_FLUSH : CONN_CLOSE_RESET;
        break;
    case CLOSE_SEND_STALLED:
    case CLOSE_GRACE_OVER:
    case CLOSE_NO_MEMORY:
        how = CONN_CLOSE_RESET;
        break;
    default:
        break;
    }
    conn_close(s->client, how);
    s->client = NULL;
}

static void close_server(struct session *s, enum close_reason reason)
{
    enum conn_close_how how = CONN_CLOSE_FLUSH;

    switch (reason) {
    case CLOSE_CLIENT_GONE:
    case CLOSE_SEND_STALLED:
    case CLOSE_GRACE_OVER:
    case CLOSE_NO_MEMORY:
        how = CONN_CLOSE_RESET;
        break;
    case CLOSE_SERVER_GONE:
    case CLOSE_SERVER_TIMEOUT:
    case CLOSE_BAD_RESPONSE:
        how = CONN_CLOSE_NOW;
        break;
    default:
        break;
    }
    conn_close(s->server, how);
    s->server = NULL;
}

void session_close(struct session *s, enum close_reason reason)
{
    struct session_worker *w = s->worker;
    bool leaves = reuse_may_leave(s);

    ASSERT(s->reason == CLOSE_NONE && reason != CLOSE_NONE);
    s->reason = (uint8_t)reason;
    w->stats.closed[reason]++;
    if (s->relaying) {
        pipe_fini(&s->up);
        pipe_fini(&s->down);
    }
    reading_end(s);
    if (s->forward) {
        forward_log_unfinished(s->forward);
    }
    if (s->is_connect) {
        access_log_tunnel(s, session_now(s));
    }
    close_client(s, reason);
    if (leaves) {
        reuse_leave(s);
    } else if (s->server) {
        close_server(s, reason);
    }
    if (s->forward) {
        forward_free(s->forward);
    }
    talk_free(s);
    detection_free(s);
    session_drop_user(s);
    timer_clear(&w->engine.timers, &s->deadline);
    actor_fini(&s->actor);
    free(s->target);
    free(s->hello);
    free(s->tls);
    free(s->http_host);
    session_balancer_free(s->balancer);
    free(s->fault);
    snapshot_hold_put(s->hold);
    pool_free(&w->sessions, s);
}

void session_ask_to_leave(struct session *s)
{
    if (s->step == STEP_RELAY) {
        reading_ask_to_leave(s);
    }
}

void session_end_if_idle(struct session *s)
{
    /* One that was just accepted gets the time to say what it came for. */
    bool used = s->requests > 0 || session_now(s) - s->times.begin_ns > NS_PER_S;
    bool idle = (s->step == STEP_REQUEST && s->client->rx.len == 0 && used) ||
                (s->step == STEP_REUSE && s->talk->first_request.len == 0 &&
                 s->client->rx.len == 0 && used) ||
                (s->step == STEP_RELAY && reading_may_leave(s));

    if (idle) {
        session_close(s, CLOSE_DRAINED);
    }
}

struct span session_forbidden_field(const struct session *s, enum header_to to)
{
    const struct config *config = session_config(s);

    return span_from_string(config->detect.header_to & to ? config->detect.header : "");
}
