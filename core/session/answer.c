/* SPDX-License-Identifier: Apache-2.0 */
#include "core/session/answer.h"

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
