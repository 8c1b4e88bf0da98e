/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SOCKS messages: the first byte says which, the others are the message. However these are cut, the
 * same is said of them, and something is said within the bound; what is kept lies within the
 * message; a request that is served has a host by the rules, and both ends agree on what they
 * write.
 */
#include "core/base/assert.h"
#include "core/session/socks.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum message { GREETING, AUTH, REQUEST, METHOD, AUTH_STATUS, REPLY, MESSAGE_COUNT };

static const size_t bytes_max[] = {
    [GREETING] = SOCKS_GREETING_BYTES_MAX,   [AUTH] = SOCKS_AUTH_BYTES_MAX,
    [REQUEST] = SOCKS_REQUEST_BYTES_MAX,     [METHOD] = SOCKS_METHOD_BYTES,
    [AUTH_STATUS] = SOCKS_AUTH_STATUS_BYTES, [REPLY] = SOCKS_REPLY_BYTES_MAX,
};

static void check_within(struct span bytes, size_t len, struct span view)
{
    ASSERT(len > 0 && len <= bytes.len);
    ASSERT(view.data >= bytes.data && view.data + view.len <= bytes.data + len);
}

static enum socks_result parse_greeting(struct span bytes, size_t *len, struct socks_fault *fault)
{
    struct socks_greeting greeting;
    enum socks_result result = socks_parse_greeting(bytes, &greeting, fault);

    if (result == SOCKS_DONE) {
        ASSERT(greeting.methods.len >= 1);
        check_within(bytes, greeting.len, greeting.methods);
        *len = greeting.len;
    }
    return result;
}

static enum socks_result parse_auth(struct span bytes, size_t *len, struct socks_fault *fault)
{
    uint8_t memory[SOCKS_BYTES_MAX];
    struct text text = text_make(memory, sizeof(memory));
    struct socks_auth auth;
    enum socks_result result = socks_parse_auth(bytes, &auth, fault);

    if (result == SOCKS_DONE) {
        check_within(bytes, auth.len, auth.username);
        check_within(bytes, auth.len, auth.password);
        socks_write_auth(&text, auth.username, auth.password);
        ASSERT(span_equal(text_view(&text), span_sub(bytes, 0, auth.len)));
        *len = auth.len;
    }
    return result;
}

/* What is asked for is asked for again, and comes out as the same. */
static void check_target(const struct http_authority *target)
{
    struct span host = span_make(target->host, target->host_len);
    uint8_t memory[SOCKS_BYTES_MAX];
    struct text text = text_make(memory, sizeof(memory));
    struct socks_request again;
    struct socks_fault fault;

    ASSERT(target->host_len > 0 && target->host_len <= HTTP_HOST_MAX);
    ASSERT(strlen(target->host) == target->host_len);
    for (size_t i = 0; i < host.len; i++) {
        ASSERT(host.data[i] > ' ' && host.data[i] < 0x7f);
        ASSERT(target->is_ipv6 || host.data[i] != ':');
    }
    if (target->port) {
        socks_write_connect(&text, host, target->port);
        ASSERT(!text.overflow);
        ASSERT(socks_parse_request(text_view(&text), &again, &fault) == SOCKS_DONE);
        ASSERT(again.len == text.len && again.command == SOCKS_CONNECT);
        ASSERT(strcmp(again.target.host, target->host) == 0);
        ASSERT(again.target.port == target->port && again.target.is_ip == target->is_ip);
        ASSERT(again.target.is_ipv6 == target->is_ipv6);
    }
}

static enum socks_result parse_request(struct span bytes, size_t *len, struct socks_fault *fault)
{
    struct socks_request request;
    enum socks_result result = socks_parse_request(bytes, &request, fault);

    if (result == SOCKS_DONE) {
        ASSERT(request.command >= SOCKS_CONNECT && request.command <= SOCKS_UDP_ASSOCIATE);
        ASSERT(request.command != SOCKS_CONNECT || request.target.port > 0);
        ASSERT(request.len > 0 && request.len <= bytes.len);
        check_target(&request.target);
        *len = request.len;
    }
    ASSERT(result != SOCKS_BAD || fault->reply != SOCKS_REPLY_SUCCEEDED);
    return result;
}

static enum socks_result parse_reply(struct span bytes, size_t *len, struct socks_fault *fault)
{
    uint8_t memory[SOCKS_BYTES_MAX];
    struct text text = text_make(memory, sizeof(memory));
    struct socks_reply reply;
    enum socks_result result = socks_parse_reply(bytes, &reply, fault);

    if (result == SOCKS_DONE && reply.bound.len) {
        socks_write_reply(&text, SOCKS_REPLY_SUCCEEDED, &reply.bound);
        ASSERT(span_equal(text_view(&text), span_sub(bytes, 0, reply.len)));
    } else if (result == SOCKS_DONE) {
        check_within(bytes, reply.len, reply.bound_name);
    }
    *len = result == SOCKS_DONE ? reply.len : 0;
    ASSERT(result != SOCKS_BAD || fault->reply != SOCKS_REPLY_SUCCEEDED);
    return result;
}

static enum socks_result parse(enum message message, struct span bytes, size_t *len,
                               struct socks_fault *fault)
{
    enum socks_method method;

    *len = 2;
    switch (message) {
    case GREETING:
        return parse_greeting(bytes, len, fault);
    case AUTH:
        return parse_auth(bytes, len, fault);
    case REQUEST:
        return parse_request(bytes, len, fault);
    case METHOD:
        return socks_parse_method(bytes, true, &method, fault);
    case AUTH_STATUS:
        return socks_parse_auth_status(bytes, fault);
    default:
        return parse_reply(bytes, len, fault);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum message message = size ? data[0] % MESSAGE_COUNT : GREETING;
    struct span bytes = span_sub(span_make(data, size), 1, SOCKS_BYTES_MAX + 8);
    enum socks_result said = SOCKS_MORE;
    struct socks_fault first = {NULL, 0, 0};
    size_t said_at = 0;

    for (size_t end = 0; end <= bytes.len; end++) {
        /* An exact copy, so that a sanitizer sees a read past the end. */
        uint8_t *copy = malloc(end ? end : 1);
        struct socks_fault fault = {NULL, 0, 0};
        enum socks_result result;
        size_t len;

        ASSERT(copy);
        if (end) {
            memcpy(copy, bytes.data, end);
        }
        result = parse(message, span_make(copy, end), &len, &fault);
        free(copy);
        if (said == SOCKS_MORE) {
            said = result;
            said_at = end;
            first = fault;
        }
        ASSERT(result == said && (said != SOCKS_DONE || len == said_at));
        ASSERT(said != SOCKS_MORE || end < bytes_max[message]);
        ASSERT(said != SOCKS_BAD || (fault.what == first.what && fault.offset == first.offset &&
                                     fault.reply == first.reply && fault.offset < said_at));
    }
    return 0;
}
