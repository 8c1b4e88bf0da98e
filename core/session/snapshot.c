/* SPDX-License-Identifier: Apache-2.0 */
#include "core/session/snapshot.h"

#include "core/base/text.h"
#include "tls/digest.h"

#include <stdio.h>
#include <stdlib.h>

static void name_ourselves(struct snapshot *s, struct span own_ca_der)
{
    const char *configured = s->config->http.pseudonym;
    struct text name = text_make(s->pseudonym, sizeof(s->pseudonym) - 1);
    uint8_t digest[DIGEST_LEN];

    text_string(&name, configured[0] ? configured : "weir-");
    if (!configured[0]) {
        digest_sha256(digest, own_ca_der);
        text_hex(&name, span_make(digest, 4));
    }
}

struct snapshot *snapshot_new(struct config *config, uint64_t serial, struct span own_ca_der,
                              int64_t (*wall_s)(void), char *error, size_t error_cap)
{
    struct snapshot *s = calloc(1, sizeof(*s));
    struct trust *trust = NULL;

    if (!s) {
        snprintf(error, error_cap, "out of memory");
        config_put(config);
        return NULL;
    }
    s->config = config;
    s->serial = serial;
    atomic_init(&s->references, 1);
    name_ourselves(s, own_ca_der);
    trust =
        trust_new(config->upstream.system_trust, (const char *const *)config->upstream.trust_files,
                  config->upstream.trust_file_count, own_ca_der, error, error_cap);
    if (trust) {
        const struct tls_context_options options = {
            .trust = trust, .verify = config->upstream.verify, .wall_s = wall_s};
        s->tls = tls_context_new(&options, error, error_cap);
        trust_put(trust);
    }
    if (s->tls) {
        s->upstreams = upstreams_new(config, serial, error, error_cap);
    }
    if (!s->upstreams) {
        snapshot_put(s);
        return NULL;
    }
    return s;
}

void snapshot_put(struct snapshot *s)
{
    if (atomic_fetch_sub(&s->references, 1) != 1) {
        return;
    }
    if (s->tls) {
        tls_context_put(s->tls);
    }
    upstreams_free(s->upstreams);
    config_put(s->config);
    free(s);
}

struct snapshot_hold *snapshot_hold_new(struct snapshot *snapshot)
{
    struct snapshot_hold *hold = calloc(1, sizeof(*hold));

    if (hold) {
        atomic_fetch_add(&snapshot->references, 1);
        hold->snapshot = snapshot;
        hold->current = true;
    }
    return hold;
}

void snapshot_hold_get(struct snapshot_hold *hold)
{
    hold->sessions++;
}

static void drop_if_unused(struct snapshot_hold *hold)
{
    if (hold->sessions == 0 && !hold->current) {
        snapshot_put(hold->snapshot);
        free(hold);
    }
}

void snapshot_hold_put(struct snapshot_hold *hold)
{
    ASSERT(hold->sessions > 0);
    hold->sessions--;
    drop_if_unused(hold);
}

void snapshot_hold_retire(struct snapshot_hold *hold)
{
    hold->current = false;
    drop_if_unused(hold);
}
