/* SPDX-License-Identifier: Apache-2.0 */
#include "core/session/snapshot.h"

#include "core/base/log.h"
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

/* Makes the keys, or replaces them. False with a sentence in error. */
static bool read_ticket_keys(struct snapshot *s, char *error, size_t error_cap)
{
    const char *path = s->ticket_file.path;
    uint8_t *bytes;
    size_t len;
    int result = file_watch_read(&s->ticket_file, TICKET_KEYS_FILE_MAX + 1, &bytes, &len);

    if (!bytes) {
        snprintf(error, error_cap, "%s: cannot be read: %s (tls.ticket_keys)", path,
                 result < 0 ? strerror(-result) : "not a regular file");
        return false;
    }
    if (s->ticket_keys) {
        result = ticket_keys_replace(s->ticket_keys, span_make(bytes, len), path, error, error_cap);
    } else {
        s->ticket_keys = ticket_keys_new(span_make(bytes, len), path, error, error_cap);
        result = s->ticket_keys != NULL;
    }
    explicit_bzero(bytes, len);
    free(bytes);
    return result;
}

/* False with a sentence in error. */
static bool open_ticket_keys(struct snapshot *s, char *error, size_t error_cap)
{
    if (!s->config->tls.ticket_keys[0]) {
        return true;
    }
    s->ticket_file.path = s->config->tls.ticket_keys;
    file_watch_changed(&s->ticket_file); /* what comes after this is seen at the next look */
    return read_ticket_keys(s, error, error_cap);
}

void snapshot_look_at_files(struct snapshot *s)
{
    char error[512];

    if (!file_watch_changed(&s->ticket_file)) {
        return;
    }
    if (read_ticket_keys(s, error, sizeof(error))) {
        log_write(LOG_INFO, "%s: new ticket keys", s->ticket_file.path);
    } else {
        log_write(LOG_ERROR, "%s; the keys that were read before stay", error);
    }
}

/* False with a sentence in error. */
static bool read_users(struct snapshot *s, char *error, size_t error_cap)
{
    const struct config *config = s->config;

    for (size_t i = 0; i < config->listener_count; i++) {
        const char *path = config->listeners[i].users;
        if (!path || !path[0]) {
            continue;
        }
        if (!s->users) {
            s->users = calloc(config->listener_count, sizeof(struct user_file *));
        }
        if (!s->users || !s->doorman) {
            snprintf(error, error_cap, "out of memory");
            return false;
        }
        s->users[i] = doorman_file_get(s->doorman, path, error, error_cap);
        if (!s->users[i]) {
            return false;
        }
    }
    return true;
}

static void put_users(struct snapshot *s)
{
    for (size_t i = 0; s->users && i < s->config->listener_count; i++) {
        if (s->users[i]) {
            doorman_file_put(s->doorman, s->users[i]);
        }
    }
    free(s->users);
}

struct snapshot *snapshot_new(struct config *config, const struct snapshot_options *options,
                              char *error, size_t error_cap)
{
    struct snapshot *s = calloc(1, sizeof(*s));
    struct trust *trust = NULL;

    if (!s) {
        snprintf(error, error_cap, "out of memory");
        config_put(config);
        return NULL;
    }
    s->config = config;
    s->serial = options->serial;
    s->doorman = options->doorman;
    atomic_init(&s->references, 1);
    name_ourselves(s, options->own_ca_der);
    if (!open_ticket_keys(s, error, error_cap)) {
        snapshot_put(s);
        return NULL;
    }
    trust =
        trust_new(config->upstream.system_trust, (const char *const *)config->upstream.trust_files,
                  config->upstream.trust_file_count, options->own_ca_der, error, error_cap);
    if (trust) {
        const struct tls_context_options tls = {.trust = trust,
                                                .verify = config->upstream.verify,
                                                .ticket_keys = s->ticket_keys,
                                                .wall_s = options->wall_s};
        s->tls = tls_context_new(&tls, error, error_cap);
        trust_put(trust);
    }
    if (s->tls) {
        s->upstreams = upstreams_new(config, options->serial, error, error_cap);
    }
    if (!s->upstreams || !read_users(s, error, error_cap)) {
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
    ticket_keys_put(s->ticket_keys);
    put_users(s);
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
