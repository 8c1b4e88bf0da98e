/* SPDX-License-Identifier: Apache-2.0 */
/*
 * socks_steps: STEP_SOCKS: a client says in SOCKS5 where it wants to go (RFC 1928). From its
 * request on it is a client that asked, like one of CONNECT; the answers are in answer.c.
 */
#include "core/session/session_steps.h"

#include "core/session/answer.h"
#include "core/session/authorize.h"
#include "core/session/destination.h"
#include "core/session/socks.h"
#include "core/session/talk.h"

enum socks_phase { SOCKS_GREETING, SOCKS_PASSWORD, SOCKS_CHECK, SOCKS_REQUEST };

static const char too_busy[] = "too many passwords are being checked at the moment";

static struct span received(struct session *s, size_t cap)
{
    struct buf_queue *rx = &s->client->rx;

    return buf_queue_gather(rx, bufs_of(s), rx->len < cap ? rx->len : cap);
}

static bool say(struct session *s, const struct text *words)
{
    return conn_write(s->client, text_view(words));
}

static enum step socks_failed(struct session *s, const char *what, size_t offset)
{
    session_fault(s, "http_request_error", "SOCKS: %s (at byte %zu)", what, offset);
    return session_end(s, CLOSE_BAD_REQUEST);
}

/* ---- the messages, in their order ---- */

static enum step bad_greeting(struct session *s, struct span bytes, const struct socks_fault *fault)
{
    char memory[SOCKS_BYTES_MAX];
    struct text words = text_make(memory, sizeof(memory));

    socks_write_refusal(&words, bytes);
    return say(s, &words) ? socks_failed(s, fault->what, fault->offset)
                          : session_end(s, CLOSE_NO_MEMORY);
}

static enum socks_result greet(struct session *s, enum step *next)
{
    struct span bytes = received(s, SOCKS_GREETING_BYTES_MAX);
    char memory[SOCKS_METHOD_BYTES];
    struct text words = text_make(memory, sizeof(memory));
    struct socks_greeting greeting;
    struct socks_fault fault;
    enum socks_result result = socks_parse_greeting(bytes, &greeting, &fault);
    bool asks = session_needs_user(s);
    enum socks_method method = asks ? SOCKS_METHOD_PASSWORD : SOCKS_METHOD_NONE;

    if (result == SOCKS_BAD) {
        *next = bad_greeting(s, bytes, &fault);
        return SOCKS_BAD;
    }
    if (result == SOCKS_MORE) {
        return SOCKS_MORE;
    }
    if (!socks_is_offered(&greeting, method)) {
        method = SOCKS_METHOD_REFUSED;
    }
    socks_write_method(&words, method);
    buf_queue_consume(&s->client->rx, bufs_of(s), greeting.len);
    if (!say(s, &words)) {
        *next = session_end(s, CLOSE_NO_MEMORY);
        return SOCKS_BAD;
    }
    if (method == SOCKS_METHOD_REFUSED) {
        *next = socks_failed(s,
                             asks ? "the client offers no user name and password, and this "
                                    "listener asks for them (users)"
                                  : "the client insists on an authentication that this listener "
                                    "does not ask for",
                             2);
        return SOCKS_BAD;
    }
    s->talk->socks_phase = asks ? SOCKS_PASSWORD : SOCKS_REQUEST;
    return SOCKS_DONE;
}

/* RFC 1929 2: after a refusal the connection ends. */
static enum step bad_password(struct session *s, const char *error, const char *what)
{
    char memory[SOCKS_AUTH_STATUS_BYTES];
    struct text words = text_make(memory, sizeof(memory));

    socks_write_auth_status(&words, false);
    session_fault(s, error, "SOCKS: %s", what);
    s->decision = DECISION_REFUSE;
    s->told = true;
    return session_end(s, say(s, &words) ? CLOSE_REFUSED : CLOSE_NO_MEMORY);
}

/* MORE as well while the password is being checked: its bytes stay where they are. */
static enum socks_result take_password(struct session *s, enum step *next)
{
    struct socks_auth auth;
    struct socks_fault fault;
    enum socks_result result = socks_parse_auth(received(s, SOCKS_AUTH_BYTES_MAX), &auth, &fault);
    char memory[SOCKS_AUTH_STATUS_BYTES];
    struct text words = text_make(memory, sizeof(memory));

    if (result == SOCKS_BAD) {
        *next = bad_password(s, "http_request_error", fault.what);
    }
    if (result != SOCKS_DONE) {
        return result;
    }
    switch (session_check_user(s, auth.username, auth.password)) {
    case USER_CHECKING:
        if (s->talk->socks_phase != SOCKS_CHECK) {
            s->talk->socks_phase = SOCKS_CHECK;
            session_set_deadline(s, session_config(s)->limits.password_ms);
        }
        return SOCKS_MORE;
    case USER_RIGHT:
        session_set_deadline(s, session_config(s)->limits.head_ms);
        break;
    case USER_WRONG:
        *next = bad_password(s, "http_request_denied", "the user name or the password is wrong");
        return SOCKS_BAD;
    case USER_BUSY:
        *next = bad_password(s, "connection_limit_reached", too_busy);
        return SOCKS_BAD;
    }
    socks_write_auth_status(&words, true);
    buf_queue_consume(&s->client->rx, bufs_of(s), auth.len);
    s->talk->socks_phase = SOCKS_REQUEST;
    if (!say(s, &words)) {
        *next = session_end(s, CLOSE_NO_MEMORY);
        return SOCKS_BAD;
    }
    return SOCKS_DONE;
}

static enum step bad_request(struct session *s, const struct socks_fault *fault)
{
    char memory[SOCKS_REPLY_BYTES_MAX];
    struct text words = text_make(memory, sizeof(memory));

    socks_write_reply(&words, (enum socks_reply_code)fault->reply, NULL);
    return say(s, &words) ? socks_failed(s, fault->what, fault->offset)
                          : session_end(s, CLOSE_NO_MEMORY);
}

static enum socks_result take_request(struct session *s, enum step *next)
{
    struct socks_request request;
    struct socks_fault fault;
    enum socks_result result =
        socks_parse_request(received(s, SOCKS_REQUEST_BYTES_MAX), &request, &fault);

    if (result == SOCKS_DONE && request.command != SOCKS_CONNECT) {
        fault = (struct socks_fault){"only CONNECT is served, and neither BIND nor UDP ASSOCIATE",
                                     1, SOCKS_REPLY_COMMAND_UNSUPPORTED};
        result = SOCKS_BAD;
    }
    if (result == SOCKS_BAD) {
        *next = bad_request(s, &fault);
    }
    if (result != SOCKS_DONE) {
        return result;
    }
    buf_queue_consume(&s->client->rx, bufs_of(s), request.len);
    *next = destination_set(s, request.target.host, request.target.port, request.target.is_ip)
                ? destination_begin_asked(s)
                : session_end(s, CLOSE_NO_MEMORY);
    return SOCKS_DONE;
}

/* ---- the step ---- */

enum step step_socks(struct session *s)
{
    struct conn *client = s->client;
    enum socks_result result = SOCKS_DONE;
    enum step next = STEP_WAIT;

    if (client->error) {
        return session_end(s, CLOSE_CLIENT_GONE);
    }
    if (!s->talk && client->rx.len) {
        s->is_connect = true;
        if (!talk_new(s)) {
            return session_end(s, CLOSE_NO_MEMORY);
        }
    }
    while (client->rx.len && next == STEP_WAIT && result == SOCKS_DONE) {
        switch ((enum socks_phase)s->talk->socks_phase) {
        case SOCKS_GREETING:
            result = greet(s, &next);
            break;
        case SOCKS_PASSWORD:
        case SOCKS_CHECK:
            result = take_password(s, &next);
            break;
        case SOCKS_REQUEST:
            result = take_request(s, &next);
            break;
        }
    }
    if (next != STEP_WAIT) {
        return next;
    }
    if (client->eof && client->rx.len == 0 && !s->talk) {
        return session_end(s, CLOSE_CLIENT_DONE);
    }
    if (client->eof && !(s->user && s->user->check)) {
        return socks_failed(s, "the connection ended in the middle of it", client->rx.len);
    }
    conn_receive(client, SOCKS_BYTES_MAX);
    return STEP_WAIT;
}

enum step socks_timed_out(struct session *s)
{
    if (s->talk && s->talk->socks_phase == SOCKS_CHECK) {
        return bad_password(s, "connection_limit_reached", too_busy);
    }
    session_fault(s, "http_request_error", "SOCKS: the client's request did not arrive in time");
    return session_end(s, CLOSE_REQUEST_TIMEOUT);
}
