/* SPDX-License-Identifier: Apache-2.0 */
#include "core/session/talk.h"

#include "core/session/access_log.h"
#include "core/session/detection.h"
#include "core/session/session_steps.h"
#include "tls/digest.h"

#include <stdlib.h>

bool talk_new(struct session *s)
{
    s->talk = calloc(1, sizeof(*s->talk));
    return s->talk != NULL;
}

void talk_free(struct session *s)
{
    struct session_talk *talk = s->talk;

    if (!talk) {
        return;
    }
    route_end(&talk->route);
    if (talk->names && talk->names->state == RESOLVE_PENDING) {
        resolve_cancel(s->worker->engine.resolver, talk->names);
    }
    free(talk->names);
    if (talk->mint) {
        mint_drop(talk->mint);
    }
    if (talk->leaf) {
        leaf_put(talk->leaf);
    }
    free(talk->user_agent);
    buf_queue_clear(&talk->first_request, &s->worker->engine.bufs);
    free(talk);
    s->talk = NULL;
}

bool talk_dial(struct session *s)
{
    s->talk->waits_to_dial = false;
    s->times.dial_begin = session_moment_now(s);
    return route_begin(&s->talk->route, s, s->via, false);
}

void talk_look(struct session *s)
{
    struct route *route = &s->talk->route;

    if (!route_is_begun(route) || route_look(route) != ROUTE_DONE) {
        return;
    }
    s->times.resolved = session_moment(s, route->resolved_ns);
    s->times.connected = session_moment(s, route->end_ns);
    s->talk->dialled = route->address;
    s->talk->place = route->place;
    s->upstream = route_upstream(route);
    s->server = route_take(route);
    route_end(route);
}

void talk_drop_server(struct session *s)
{
    route_end(&s->talk->route);
    if (s->server) {
        conn_close(s->server, CONN_CLOSE_NOW);
        s->server = NULL;
    }
}

void talk_go_by(struct session *s, const struct upstream_via *via)
{
    bool is_same =
        via->count == s->via->count && memcmp(via->places, s->via->places, via->count) == 0;

    s->via = via;
    if (!is_same) {
        talk_drop_server(s);
        s->upstream = NULL;
    }
}

/* Null: out of memory. */
static struct session_hello *keep_facts(const struct session *s, const struct client_hello *hello)
{
    bool are_asked_for = access_log_is_read(s) || policy_asks_fingerprints(session_config(s));
    struct session_hello *kept = malloc(sizeof(*kept) + hello->sni.len + 1);

    if (!kept) {
        return NULL;
    }
    if (!are_asked_for || !ja3_compute(kept->ja3, hello) || !ja4_compute(kept->ja4, hello)) {
        /* Else lists too long for any real client: itself worth a look in the log. */
        kept->ja3[0] = '\0';
        kept->ja4[0] = '\0';
    }
    kept->sni_invalid = hello->sni_invalid;
    if (hello->sni.len) {
        memcpy(kept->sni, hello->sni.data, hello->sni.len);
    }
    kept->sni[hello->sni.len] = '\0';
    return kept;
}

bool talk_keep_hello(struct session *s, const struct client_hello *hello)
{
    struct session_talk *talk = s->talk;

    s->times.hello = session_moment_now(s);
    s->hello = keep_facts(s, hello);
    if (!s->hello) {
        return false;
    }
    if (hello->alpn.len <= sizeof(talk->alpn_offers)) {
        talk->alpn_offers_len = hello->alpn.len;
        if (hello->alpn.len) {
            memcpy(talk->alpn_offers, hello->alpn.data, hello->alpn.len);
        }
    }
    talk->leaf_kind = client_hello_accepts_ecdsa(hello) ? LEAF_ECDSA : LEAF_RSA;
    detection_take_hello(s, hello, span_from_string(talk->user_agent ? talk->user_agent : ""));
    return true;
}

bool talk_hold_request(struct session *s)
{
    struct session_talk *talk = s->talk;
    struct conn *client = s->client;
    uint8_t *scratch = s->worker->engine.scratch;
    size_t len;

    if (!client->tls) {
        buf_queue_move(&talk->first_request, &client->rx);
        return true;
    }
    while (talk->first_request.len <= session_config(s)->limits.head_bytes &&
           (len = tls_engine_read(client->tls, scratch, TLS_RECORD_PLAINTEXT_MAX)) > 0) {
        if (!buf_queue_append(&talk->first_request, bufs_of(s), span_make(scratch, len))) {
            return false;
        }
    }
    return true;
}

bool talk_have_tls(struct session *s)
{
    if (!s->tls) {
        s->tls = calloc(1, sizeof(*s->tls));
    }
    return s->tls != NULL;
}

/* A reverse listener's target has its own name, whatever its clients call it. */
const char *talk_server_name(const struct session *s)
{
    const char *sni = session_sni(s);

    if (sni && session_listener(s)->mode != LISTENER_REVERSE) {
        return sni;
    }
    return s->target_is_ip ? "" : s->target;
}

/* Without an SNI and with nothing but an address, the names in the server's certificate are the
 * client's to judge: it sees all of them in the leaf, and only those. A client of a reverse
 * listener does not know the address. */
bool talk_verifies_address(const struct session *s)
{
    return session_listener(s)->mode == LISTENER_REVERSE && talk_server_name(s)[0] == '\0';
}

const char *talk_verify_name(const struct session *s)
{
    return talk_verifies_address(s) ? s->target : talk_server_name(s);
}

void talk_digest_visit(struct session *s)
{
    struct session_talk *talk = s->talk;
    struct text t = text_make(s->worker->engine.scratch, WORKER_SCRATCH_CAP);

    /* Length or separator after each part, so that no two visits write the same bytes. */
    text_string(&t, s->target);
    text_printf(&t, "\n%u\n%d\n%llu\n", s->port, (int)talk->leaf_kind,
                (unsigned long long)s->hold->snapshot->serial);
    text_string(&t, session_sni(s) ? session_sni(s) : "");
    text_char(&t, '\n');
    text_string(&t, talk_verify_name(s));
    text_char(&t, talk_verifies_address(s) ? '=' : '\n');
    text_string(&t, s->upstream ? s->upstream : "");
    text_char(&t, '\n');
    text_bytes(&t, span_make(talk->alpn_offers, talk->alpn_offers_len));
    digest_sha256(talk->visit, text_view(&t));
    talk->visit_known = true;
}
