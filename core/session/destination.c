/* SPDX-License-Identifier: Apache-2.0 */
#include "core/session/destination.h"

#include "core/session/answer.h"
#include "core/session/magic_host.h"
#include "core/session/reuse.h"
#include "core/session/session_steps.h"
#include "core/session/talk.h"

#include <stdlib.h>

bool destination_set(struct session *s, const char *host, uint16_t port, bool is_ip)
{
    free(s->target); /* of earlier requests in absolute-form on this connection */
    s->target = strdup(host);
    s->port = port;
    s->target_is_ip = is_ip;
    return s->target != NULL;
}

static bool port_is_allowed(const struct config *config, uint16_t port)
{
    for (size_t i = 0; i < config->connect.port_count; i++) {
        if (config->connect.ports[i] == port) {
            return true;
        }
    }
    return false;
}

/* A reverse listener's target is the word of whoever wrote the configuration. */
bool destination_may_be_private(const struct session *s)
{
    return session_config(s)->connect.allow_private ||
           session_listener(s)->mode == LISTENER_REVERSE;
}

/* Of a destination that is an address; the dial checks those that a name turns out to be. */
const char *destination_refusal(const struct session *s)
{
    struct address address;

    if (!s->target_is_ip || !address_parse_ip(&address, span_from_string(s->target), s->port)) {
        return NULL;
    }
    return address_refusal(&address, destination_may_be_private(s));
}

static void note_guard_refusal(struct session *s)
{
    s->decision = DECISION_REFUSE;
    s->rule = "connect.allow_private";
    session_fault(s, "destination_ip_prohibited",
                  "%s is a %s, and such destinations are not allowed (connect.allow_private)",
                  s->target, destination_refusal(s));
}

static enum step refuse_asked(struct session *s)
{
    return session_end(s, session_answer_no_tunnel(s, 403) ? CLOSE_REFUSED : CLOSE_NO_MEMORY);
}

enum step destination_begin_asked(struct session *s)
{
    const struct config *config = session_config(s);
    struct policy_question question;
    struct policy_answer policy;
    char client[ADDRESS_TEXT_MAX];

    session_ask(s, &question, client);
    question.hello_known = false;
    policy = policy_decide(config, &question);
    s->decision = (uint8_t)policy.decision;
    s->rule = policy.rule;
    s->via = upstreams_via(s->hold->snapshot->upstreams, policy.via_rule);
    if (magic_host_is(s, s->target)) {
        s->decision = DECISION_REFUSE;
        s->rule = "admin.magic_host";
        session_fault(
            s, "http_request_denied",
            "the pages of this proxy are in no tunnel and not behind TLS: open http://%s/",
            config->admin.magic_host);
        return refuse_asked(s);
    }
    if (!port_is_allowed(config, s->port)) {
        s->decision = DECISION_REFUSE;
        s->rule = "connect.ports";
        session_fault(s, "http_request_denied",
                      "CONNECT to this port is not allowed (connect.ports lists those that are)");
        return refuse_asked(s);
    }
    if (!policy.open && policy.decision == DECISION_REFUSE) {
        session_fault(s, "http_request_denied", "a rule of this proxy refuses this destination");
        return refuse_asked(s);
    }
    if (destination_refusal(s)) {
        note_guard_refusal(s);
        return refuse_asked(s);
    }
    s->talk->tunnel_answer_owed = !policy.open && policy.decision == DECISION_TUNNEL;
    s->talk->waits_to_dial = policy.via_open || reuse_is_likely(s);
    if ((!s->talk->tunnel_answer_owed && !session_answer_tunnel(s)) ||
        (!s->talk->waits_to_dial && !talk_dial(s))) {
        return session_end(s, CLOSE_NO_MEMORY);
    }
    if (s->talk->tunnel_answer_owed) {
        session_set_deadline(s, 0); /* the dial has its own */
        return STEP_DIAL;
    }
    session_set_deadline(s, s->talk->waits_to_dial ? SESSION_OPENING_MS
                                                   : config->limits.tunnel_idle_ms);
    return STEP_HELLO;
}

enum step destination_begin_unasked(struct session *s)
{
    s->decision = (uint8_t)session_config(s)->intercept.default_decision;
    if (destination_refusal(s)) {
        note_guard_refusal(s);
        s->talk->is_refused = true;
    }
    s->via = upstreams_via(s->hold->snapshot->upstreams, NULL);
    s->talk->waits_to_dial = true;
    session_set_deadline(s, SESSION_OPENING_MS);
    return STEP_HELLO;
}

bool destination_is_loop(struct session *s)
{
    struct address original;

    if (!session_original(s, &original) ||
        !worker_is_own_client(&s->worker->engine, &s->client->peer, &original)) {
        return false;
    }
    s->decision = DECISION_REFUSE;
    s->rule = "transparent.mark";
    session_fault(s, "proxy_loop_detected",
                  "a connection of weir's own came back to it: leave connections with its mark "
                  "alone (transparent.mark)");
    return true;
}

/* ---- names ---- */

static const char *name_of(const struct session *s)
{
    const char *sni = session_sni(s);

    return sni ? sni : s->http_host;
}

static void note_mismatch(struct session *s)
{
    *(session_sni(s) ? &s->sni_mismatch : &s->host_mismatch) = true;
}

void destination_compare_names(struct session *s)
{
    const char *name = name_of(s);
    struct resolver *resolver = s->worker->engine.resolver;

    if (!name || session_listener(s)->mode == LISTENER_REVERSE) {
        return;
    }
    if (!s->target_is_ip) {
        if (!span_equal_nocase(span_from_string(name), span_from_string(s->target))) {
            note_mismatch(s);
        }
        return;
    }
    s->talk->names = calloc(1, sizeof(*s->talk->names));
    if (s->talk->names) {
        resolve_start(resolver, s->talk->names, span_from_string(name), &s->actor);
    }
}

static bool has_target(const struct session *s, const struct resolve *names)
{
    struct address target;

    if (!address_parse_ip(&target, span_from_string(s->target), 0)) {
        return false;
    }
    for (size_t i = 0; i < names->address_count; i++) {
        if (address_equal(&names->addresses[i], &target)) {
            return true;
        }
    }
    return false;
}

bool destination_names_are_compared(struct session *s)
{
    const struct resolve *names = s->talk->names;

    if (!names) {
        return true;
    }
    if (names->state == RESOLVE_PENDING) {
        return false;
    }
    /* Who gave no answer in time said nothing. */
    if (names->state == RESOLVE_FAILED ? !names->timed_out : !has_target(s, names)) {
        note_mismatch(s);
    }
    free(s->talk->names);
    s->talk->names = NULL;
    return true;
}
