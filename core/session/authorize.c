/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request is judged while its head lies unread in rx. When a check is needed the session waits in
 * AUTHORIZE and REQUEST reads the same head once more: then the answer is there.
 *
 * A kept connection says the same with each request. What was right there last is kept as a digest,
 * good for as long as the file of users is not read anew.
 */
#include "core/session/authorize.h"

#include "core/base/clock.h"
#include "core/session/access_log.h"
#include "core/session/answer.h"
#include "core/session/forward.h"
#include "core/session/session_steps.h"
#include "http/credentials.h"
#include "tls/digest.h"

#include <stdlib.h>

enum {
    RETRY_AFTER_S = 5, /* of a client that is told to come back later */
    CREDENTIALS_MAX = USER_NAME_MAX + 1 + USER_PASSWORD_MAX,
};

static struct user_file *users_of(const struct session *s)
{
    struct user_file **users = s->hold->snapshot->users;

    return users ? users[s->listener] : NULL;
}

bool session_needs_user(const struct session *s)
{
    return s->user != NULL;
}

bool session_meet_user(struct session *s)
{
    if (users_of(s)) {
        s->user = calloc(1, sizeof(*s->user));
        return s->user != NULL;
    }
    return true;
}

static void forget_user(struct session *s)
{
    free(s->user->name);
    s->user->name = NULL;
}

void session_drop_user(struct session *s)
{
    if (!s->user) {
        return;
    }
    if (s->user->check) {
        user_check_drop(s->user->check);
    }
    forget_user(s);
    free(s->user);
    s->user = NULL;
}

/* It was right when the file had that generation. */
static enum user_answer keep_user(struct session *s, struct span name,
                                  const uint8_t digest[DIGEST_LEN])
{
    bool same = s->user->name && span_equal(span_from_string(s->user->name), name);

    if (!same && s->server) {
        /* Kept for the user before by authentication there. */
        conn_close(s->server, CONN_CLOSE_NOW);
        s->server = NULL;
    }
    if (!same) {
        forget_user(s);
        s->user->name = strndup((const char *)name.data, name.len);
    }
    memcpy(s->user->digest, digest, DIGEST_LEN);
    return s->user->name ? USER_RIGHT : USER_BUSY;
}

/* True: the check that was under way is over, and is dropped; *is_right is its answer. */
static bool take_check(struct session *s, bool *is_right)
{
    struct user_check *check = s->user->check;

    if (!check || !check->done) {
        return false;
    }
    *is_right = check->is_right;
    user_check_drop(check);
    s->user->check = NULL;
    return true;
}

enum user_answer session_check_user(struct session *s, struct span name, struct span password)
{
    struct doorman *doorman = s->worker->shared->doorman;
    struct user_file *file = users_of(s);
    uint64_t generation = user_file_generation(file);
    enum user_answer answer;
    uint8_t digest[DIGEST_LEN];
    bool is_right;

    if (s->user->check && !s->user->check->done) {
        return USER_CHECKING;
    }
    if (name.len > USER_NAME_MAX || password.len > USER_PASSWORD_MAX) {
        s->user->wrong_tries++;
        forget_user(s);
        return USER_WRONG;
    }
    doorman_digest(doorman, digest, name, password);
    if (take_check(s, &is_right)) {
        answer = is_right ? USER_RIGHT : USER_WRONG;
    } else if (s->user->name && s->user->generation == generation &&
               digest_equal(span_make(digest, DIGEST_LEN),
                            span_make(s->user->digest, DIGEST_LEN))) {
        return USER_RIGHT;
    } else {
        memset(s->user->digest, 0, DIGEST_LEN); /* what was right is no longer known to be */
        s->user->generation = generation;
        answer = user_check_ask(doorman, file, &s->worker->engine, &s->actor, name, password,
                                &s->user->check);
    }
    switch (answer) {
    case USER_RIGHT:
        return keep_user(s, name, digest);
    case USER_WRONG:
        s->user->wrong_tries++;
        forget_user(s);
        break;
    case USER_CHECKING:
    case USER_BUSY:
        break;
    }
    return answer;
}

/* ---- HTTP ---- */

static const char too_busy[] = "too many passwords are being checked at the moment";

/* The line in the log of a request that was turned away. */
static void log_denied(struct session *s, const struct http_head *head, uint16_t status)
{
    const struct http_field *user_agent = http_find_field(head, SPAN_LITERAL("User-Agent"));
    struct http_exchange x = {.status = status,
                              .http_major = 1,
                              .http_minor = head->version == HTTP_VERSION_1_1,
                              .begin_ns = session_now(s)};
    bool is_connect = head->parts.form == HTTP_FORM_AUTHORITY;

    span_to_string(x.method, sizeof(x.method), head->method);
    span_to_string(x.authority, sizeof(x.authority), is_connect ? head->target : head->host);
    if (user_agent) {
        span_to_string(x.user_agent, sizeof(x.user_agent), user_agent->value);
    }
    if (head->parts.form == HTTP_FORM_ABSOLUTE) {
        span_to_string(x.path, sizeof(x.path),
                       head->parts.path.len ? head->parts.path : SPAN_LITERAL("/"));
    }
    x.end_ns = session_now(s);
    s->decision = DECISION_REFUSE;
    s->rule = "listeners.users";
    free(s->target); /* of the request before */
    s->target = NULL;
    if (s->forward) {
        forward_forget_dialled(s->forward);
    }
    access_log_request(s, &x);
    /* A fault belongs to the exchange it was found in. */
    s->error = NULL;
    free(s->fault);
    s->fault = NULL;
}

/* The connection goes on when the next request can be found on it. */
static enum step deny(struct session *s, const struct http_head *head, uint16_t status,
                      const char *detail)
{
    const struct config *config = session_config(s);
    bool keep_alive = status == 407 && head->keep_alive &&
                      (head->framing == HTTP_NO_BODY ||
                       (head->framing == HTTP_LENGTH && head->content_length == 0)) &&
                      s->user->wrong_tries < AUTHORIZE_TRIES_MAX && !s->worker->draining;
    const struct answer answer = {
        .status = status,
        .error = status == 407 ? "http_request_denied" : "proxy_internal_error",
        .detail = span_from_string(detail),
        .retry_after_s = status == 503 ? RETRY_AFTER_S : 0,
        .head_only = span_equal(head->method, SPAN_LITERAL("HEAD")),
        .keep_alive = keep_alive,
        .version = head->version,
    };

    forget_user(s);
    session_fault(s, answer.error, "%s", detail);
    if (!session_answer(s, &answer)) {
        return session_end(s, CLOSE_NO_MEMORY);
    }
    log_denied(s, head, status);
    if (!keep_alive) {
        return session_end(s, status == 407 ? CLOSE_UNAUTHORIZED : CLOSE_ANSWERED);
    }
    buf_queue_consume(&s->client->rx, bufs_of(s), head->len);
    conn_flush(s->client);
    s->request_scan = (struct h1_scan){0};
    session_set_deadline(s,
                         s->client->rx.len ? config->limits.head_ms : config->limits.keepalive_ms);
    return STEP_REQUEST;
}

/* Only what is nothing that a proxy is asked for is refused without a question: origin-form and
 * asterisk-form (RFC 9112 3.2). */
static bool asks_for_nothing(const struct http_head *head)
{
    return head->parts.form == HTTP_FORM_ORIGIN || head->parts.form == HTTP_FORM_ASTERISK;
}

bool authorize_request(struct session *s, const struct http_head *head, enum step *next)
{
    uint8_t memory[CREDENTIALS_MAX];
    enum user_answer answer = USER_WRONG;
    const char *detail = "the user name or the password is wrong";
    struct http_basic basic;

    if (!session_needs_user(s) || asks_for_nothing(head)) {
        return true;
    }
    switch (http_read_basic(&basic, head, memory, sizeof(memory))) {
    case HTTP_CREDENTIALS_NONE:
        detail = "this proxy asks who its clients are";
        break;
    case HTTP_CREDENTIALS_BAD:
        detail = "Proxy-Authorization cannot be used: expected Basic and, in base64, name:password "
                 "of at most 255 bytes each";
        s->user->wrong_tries++;
        break;
    case HTTP_CREDENTIALS_BASIC:
        answer = session_check_user(s, basic.name, basic.password);
        explicit_bzero(memory, sizeof(memory));
        break;
    }
    switch (answer) {
    case USER_RIGHT:
        return true;
    case USER_CHECKING:
        session_set_deadline(s, session_config(s)->limits.password_ms);
        *next = STEP_AUTHORIZE;
        break;
    case USER_WRONG:
        *next = deny(s, head, 407, detail);
        break;
    case USER_BUSY:
        *next = deny(s, head, 503, too_busy);
        break;
    }
    return false;
}

enum step step_authorize(struct session *s)
{
    if (s->client->error) {
        return session_end(s, CLOSE_CLIENT_GONE);
    }
    if (!s->user->check->done) {
        conn_receive(s->client, session_config(s)->limits.head_bytes + 1);
        return STEP_WAIT;
    }
    s->request_scan = (struct h1_scan){0}; /* the same head, from its start */
    session_set_deadline(s, session_config(s)->limits.head_ms);
    return STEP_REQUEST;
}

enum step authorize_timed_out(struct session *s)
{
    static __thread struct http_head head; /* 5 KiB; used within this call only */
    const struct h1_limits limits = head_limits(s);
    struct conn *client = s->client;
    size_t want = client->rx.len < BUF_HEAD_CAP ? client->rx.len : BUF_HEAD_CAP;
    struct span bytes = buf_queue_gather(&client->rx, bufs_of(s), want);
    struct http_fault fault;

    user_check_drop(s->user->check);
    s->user->check = NULL;
    if (h1_parse_request(&head, bytes, &limits, &fault) != H1_DONE) {
        return session_end(s, CLOSE_NO_MEMORY); /* it was read before: nothing else is in the way */
    }
    return deny(s, &head, 503, too_busy);
}
