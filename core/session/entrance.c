/* SPDX-License-Identifier: Apache-2.0 */
/*
 * entrance: how a client comes in: who it is (its address, or what a load balancer says), whether
 * it may, and by which way of saying where it wants to go.
 */
#include "core/session/session_steps.h"

#include "core/base/clock.h"
#include "core/config/host_pattern.h"
#include "core/engine/own_address.h"
#include "core/session/answer.h"
#include "core/session/authorize.h"
#include "core/session/destination.h"
#include "core/session/proxy_protocol.h"
#include "core/session/socks.h"
#include "core/session/talk.h"

#include <stdlib.h>

static bool is_in(char *const *networks, size_t count, const struct address *address)
{
    char text[ADDRESS_TEXT_MAX];

    address_format_ip(address, text);
    for (size_t i = 0; i < count; i++) {
        if (config_host_matches(networks[i], span_from_string(text))) {
            return true;
        }
    }
    return false;
}

/* Before anything is known to which a line in the log could belong: it has one all the same. */
static enum step turn_away(struct session *s, enum close_reason reason)
{
    s->is_connect = true;
    s->decision = DECISION_REFUSE;
    return session_end(s, reason);
}

/* ---- transparent, reverse ---- */

/* Where the client wanted to go before the kernel sent it here: after TPROXY the socket itself has
 * that address. False: nowhere else. */
static bool find_original(const struct session *s, struct address *found)
{
    struct worker *engine = &s->worker->engine;
    const struct conn *client = s->client;
    struct sockaddr_storage original;
    int result =
        session_listener(s)->tproxy
            ? ring_local_name(engine->ring, client->fd, &original)
            : ring_original_name(engine->ring, client->fd, client->peer.u.any.sa_family, &original);

    if (result < 0) {
        return false;
    }
    *found = address_from_storage(&original);
    return !own_addresses_listen_on(engine->own, engine->ring, found);
}

static enum step begin_transparent(struct session *s)
{
    char host[ADDRESS_TEXT_MAX];
    struct address original;

    if (!find_original(s, &original)) {
        session_fault(s, "proxy_loop_detected",
                      "the client connected to this transparent listener itself, and not to a "
                      "server: the kernel has to send connections here (weir transparent)");
        return turn_away(s, CLOSE_REFUSED);
    }
    s->is_connect = true;
    address_format_ip(&original, host);
    if (!talk_new(s) || !destination_set(s, host, address_port(&original), true)) {
        return session_end(s, CLOSE_NO_MEMORY);
    }
    return destination_begin_unasked(s);
}

static enum step begin_reverse(struct session *s)
{
    const struct config_url *target = &session_listener(s)->target;
    struct address address;
    bool is_ip = address_parse_ip(&address, span_from_string(target->host), 0);

    s->is_connect = true;
    if (!talk_new(s) || !destination_set(s, target->host, target->port, is_ip)) {
        return session_end(s, CLOSE_NO_MEMORY);
    }
    return destination_begin_unasked(s);
}

/* ---- GREET ---- */

/* The client is known: by which way does it come? */
static enum step let_in(struct session *s)
{
    const struct config_listener *listener = session_listener(s);

    if (listener->client_count &&
        !is_in(listener->clients, listener->client_count, session_client(s))) {
        session_fault(s, "http_request_denied",
                      "the client is in none of the listener's networks (clients)");
        return turn_away(s, CLOSE_REFUSED);
    }
    switch (listener->mode) {
    case LISTENER_TRANSPARENT:
        return begin_transparent(s);
    case LISTENER_REVERSE:
        return begin_reverse(s);
    case LISTENER_SOCKS5:
        session_set_deadline(s, session_config(s)->limits.head_ms);
        return STEP_SOCKS;
    case LISTENER_FORWARD:
        break;
    }
    session_set_deadline(s, session_config(s)->limits.head_ms);
    return STEP_OPENING;
}

enum step step_greet(struct session *s)
{
    const struct config_listener *listener = session_listener(s);

    if (!session_meet_user(s)) {
        return session_end(s, CLOSE_NO_MEMORY);
    }
    if (listener->proxy_protocol == PROXY_PROTOCOL_OFF) {
        return let_in(s);
    }
    if (is_in(listener->balancers, listener->balancer_count, &s->client->peer)) {
        session_set_deadline(s, session_config(s)->limits.head_ms);
        return STEP_PROXY_HEADER;
    }
    if (listener->proxy_protocol == PROXY_PROTOCOL_OPTIONAL) {
        return let_in(s);
    }
    session_fault(s, "http_request_denied",
                  "the listener takes connections from its balancers alone (proxy_protocol: "
                  "required)");
    return turn_away(s, CLOSE_REFUSED);
}

/* ---- PROXY_HEADER ---- */

static char *copy_of(struct span text)
{
    size_t len = text.len < SESSION_BALANCER_TEXT_MAX ? text.len : SESSION_BALANCER_TEXT_MAX;

    return len ? strndup((const char *)text.data, len) : NULL;
}

/* What the load balancer says; without memory for a text the log has less. */
static bool keep_balancer(struct session *s, const struct proxy_header *header)
{
    struct session_balancer *b = calloc(1, sizeof(*b));

    if (!b) {
        return false;
    }
    b->version = header->version;
    b->client = header->from;
    b->destination = header->to;
    b->authority = copy_of(header->authority);
    b->alpn = copy_of(header->alpn);
    b->unique_id = copy_of(header->unique_id);
    b->tls_version = copy_of(header->ssl.version);
    b->common_name = copy_of(header->ssl.common_name);
    s->balancer = b;
    return true;
}

void session_balancer_free(struct session_balancer *b)
{
    if (b) {
        free(b->authority);
        free(b->alpn);
        free(b->unique_id);
        free(b->tls_version);
        free(b->common_name);
        free(b);
    }
}

static enum step take_header(struct session *s, const struct proxy_header *header)
{
    if (header->has_addresses && !keep_balancer(s, header)) {
        return session_end(s, CLOSE_NO_MEMORY);
    }
    buf_queue_consume(&s->client->rx, bufs_of(s), header->len);
    return let_in(s);
}

enum step step_proxy_header(struct session *s)
{
    static const unsigned wanted = 1 << PROTOCOL_PROXY1 | 1 << PROTOCOL_PROXY2;
    struct conn *client = s->client;
    struct span bytes = buf_queue_gather(
        &client->rx, bufs_of(s),
        client->rx.len < PROXY_HEADER_BYTES_MAX ? client->rx.len : PROXY_HEADER_BYTES_MAX);
    bool is_optional = session_listener(s)->proxy_protocol == PROXY_PROTOCOL_OPTIONAL;
    struct proxy_header_fault fault = {.what = "the connection ended before it"};
    struct proxy_header header;

    if (client->error) {
        return session_end(s, CLOSE_CLIENT_GONE);
    }
    if (bytes.len == 0 && client->eof) {
        return session_end(s, CLOSE_CLIENT_DONE); /* looked whether we are there */
    }
    if (bytes.len && is_optional && recognise(bytes, wanted) == PROTOCOL_RAW) {
        return let_in(s);
    }
    switch (proxy_header_parse(bytes, &header, &fault)) {
    case PROXY_HEADER_DONE:
        return take_header(s, &header);
    case PROXY_HEADER_MORE:
        if (!client->eof) {
            conn_receive(client, PROXY_HEADER_BYTES_MAX);
            return STEP_WAIT;
        }
        break;
    case PROXY_HEADER_BAD:
        break;
    }
    session_fault(s, "http_request_error", "bad PROXY protocol header: %s (at byte %zu)",
                  fault.what, fault.offset);
    return turn_away(s, CLOSE_BAD_REQUEST);
}

enum step proxy_header_timed_out(struct session *s)
{
    if (s->client->rx.len == 0 && session_listener(s)->proxy_protocol == PROXY_PROTOCOL_OPTIONAL) {
        return let_in(s); /* a client that waits for the server to speak */
    }
    session_fault(s, "http_request_error", "no PROXY protocol header came in time");
    return turn_away(s, CLOSE_REQUEST_TIMEOUT);
}

/* ---- OPENING: of an explicit HTTP proxy's client ---- */

/* What else knocks here is told so in its own words, as far as it has any. */
static enum step wrong_door(struct session *s, enum protocol protocol, struct span opening)
{
    static const uint8_t tls_alert[] = {21, 3, 1, 0, 2, 2, 10 /* unexpected_message */};
    char memory[SOCKS_BYTES_MAX];
    struct text words = text_make(memory, sizeof(memory));

    switch (protocol) {
    case PROTOCOL_TLS:
        session_fault(s, "http_request_error",
                      "TLS to the proxy itself: this listener speaks plain HTTP to its clients, "
                      "who begin TLS inside CONNECT (is the proxy's URL http://, not https://?)");
        text_bytes(&words, span_make(tls_alert, sizeof(tls_alert)));
        break;
    case PROTOCOL_SOCKS4:
    case PROTOCOL_SOCKS5:
        session_fault(s, "http_request_error",
                      "SOCKS to a listener for HTTP: its mode is forward, not socks5");
        socks_write_refusal(&words, opening);
        break;
    default:
        session_fault(s, "http_request_denied",
                      "a PROXY protocol header from none of the listener's balancers");
        break;
    }
    if (words.len && !conn_write(s->client, text_view(&words))) {
        return session_end(s, CLOSE_NO_MEMORY);
    }
    return turn_away(s, CLOSE_BAD_REQUEST);
}

/* Nothing but a letter begins a request; of those, P begins a PROXY protocol header as well. */
static bool begins_request(struct span opening)
{
    uint8_t first = opening.data[0] | 0x20;

    return first >= 'a' && first <= 'z' && opening.data[0] != 'P';
}

enum step step_opening(struct session *s)
{
    struct conn *client = s->client;
    struct span opening;
    enum protocol protocol;

    if (client->error || (client->rx.len == 0 && client->eof)) {
        return STEP_REQUEST;
    }
    if (client->rx.len == 0) {
        conn_receive(client, head_limits(s).head_bytes + 1);
        return STEP_WAIT;
    }
    opening = session_client_opening(s);
    if (opening.len == 0) {
        return session_end(s, CLOSE_NO_MEMORY);
    }
    if (begins_request(opening)) {
        return STEP_REQUEST;
    }
    protocol = recognise(opening, RECOGNISE_OUTSIDE);
    switch (protocol) {
    case PROTOCOL_UNKNOWN:
        if (client->eof) {
            return STEP_REQUEST;
        }
        conn_receive(client, head_limits(s).head_bytes + 1);
        return STEP_WAIT;
    case PROTOCOL_TLS:
    case PROTOCOL_SOCKS4:
    case PROTOCOL_SOCKS5:
    case PROTOCOL_PROXY1:
    case PROTOCOL_PROXY2:
        return wrong_door(s, protocol, opening);
    case PROTOCOL_HTTP1:
    case PROTOCOL_HTTP2:
    case PROTOCOL_SSH:
    case PROTOCOL_RAW:
        break;
    }
    return STEP_REQUEST; /* which says what is wrong with it, if anything is */
}
