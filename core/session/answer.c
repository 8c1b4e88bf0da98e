/* SPDX-License-Identifier: Apache-2.0 */
#include "core/session/answer.h"

#include "core/session/socks.h"
#include "http/reply.h"

bool session_answer(struct session *s, const struct answer *answer)
{
    struct text t = text_make(s->worker->engine.scratch, WORKER_SCRATCH_CAP);
    const struct config *config = session_config(s);
    const struct http_reply reply = {
        .status = answer->status,
        .error = answer->error,
        .detail = answer->detail,
        .target = answer->target,
        .pseudonym = config->http.via ? s->hold->snapshot->pseudonym : NULL,
        .session_id = s->id,
        .retry_after_s = answer->retry_after_s,
        .keep_alive = answer->keep_alive,
        .head_only = answer->head_only,
        .version = answer->version,
        .allow = answer->allow,
        .type = answer->type,
        .body = answer->body,
    };

    http_write_reply(&t, &reply);
    s->told = true;
    if (s->client->tls) {
        return tls_engine_write(s->client->tls, text_view(&t));
    }
    return conn_write(s->client, text_view(&t));
}

static bool speaks_socks(const struct session *s)
{
    return session_listener(s)->mode == LISTENER_SOCKS5;
}

static bool answer_socks(struct session *s, enum socks_reply_code code)
{
    char memory[SOCKS_REPLY_BYTES_MAX];
    struct text t = text_make(memory, sizeof(memory));

    socks_write_reply(&t, code, NULL);
    return conn_write(s->client, text_view(&t));
}

bool session_answer_tunnel(struct session *s)
{
    char line[64];
    struct text t = text_make(line, sizeof(line));

    s->talk->tunnel_answer_owed = false;
    if (speaks_socks(s)) {
        return answer_socks(s, SOCKS_REPLY_SUCCEEDED);
    }
    http_write_connect_reply(&t);
    s->status = 200;
    return conn_write(s->client, text_view(&t));
}

/* RFC 1928 6, for an error of RFC 9209 2.3. */
static enum socks_reply_code socks_code(const char *error)
{
    static const struct {
        const char *error;
        enum socks_reply_code code;
    } known[] = {
        {"http_request_denied", SOCKS_REPLY_NOT_ALLOWED},
        {"destination_ip_prohibited", SOCKS_REPLY_NOT_ALLOWED},
        {"proxy_loop_detected", SOCKS_REPLY_NOT_ALLOWED},
        {"destination_ip_unroutable", SOCKS_REPLY_NETWORK_UNREACHABLE},
        {"dns_error", SOCKS_REPLY_HOST_UNREACHABLE},
        {"dns_timeout", SOCKS_REPLY_HOST_UNREACHABLE},
        {"connection_timeout", SOCKS_REPLY_HOST_UNREACHABLE},
        {"connection_refused", SOCKS_REPLY_REFUSED},
    };

    for (size_t i = 0; error && i < COUNT_OF(known); i++) {
        if (strcmp(known[i].error, error) == 0) {
            return known[i].code;
        }
    }
    return SOCKS_REPLY_FAILURE;
}

bool session_answer_no_tunnel(struct session *s, uint16_t status)
{
    char target[HTTP_HOST_MAX + 16];
    struct text t = text_make(target, sizeof(target));
    struct answer answer = {.status = status,
                            .error = s->error,
                            .detail = span_from_string(s->fault ? s->fault : ""),
                            .version = HTTP_VERSION_1_1};

    if (speaks_socks(s)) {
        s->told = true;
        return answer_socks(s, socks_code(s->error));
    }
    authority_write(&t, s->target, s->port);
    answer.target = text_view(&t);
    s->status = status;
    return session_answer(s, &answer);
}
