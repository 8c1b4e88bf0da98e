/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ticket_keys: what the tickets that we give to clients are sealed with (RFC 5077 4), when several
 * processes are to open each other's, or one its own after a restart. Three of them, previous,
 * current and next, so that processes that change them one after the other understand each other
 * all the time: tickets are made with the current one, all three open them, and one that was not
 * opened with the current one is renewed.
 *
 * Counted references. The keys are exchanged all at once; any thread.
 */
#ifndef WEIR_TLS_TICKET_KEYS_H
#define WEIR_TLS_TICKET_KEYS_H

#include "core/base/assert.h"
#include "core/base/span.h"

enum {
    TICKET_KEYS_FILE_MAX = 4096, /* bytes */
};

struct ticket_keys;

/*
 * A file's content: three lines, previous, current, next, each the base64 of 80 random bytes (16 of
 * name, 32 for AES-256, 32 for HMAC-SHA-256), as `openssl rand -base64 80 | tr -d '\n'` makes them.
 * Empty lines and those that begin with # are skipped. Null with a sentence in error that begins
 * with path, or path:line.
 */
struct ticket_keys *ticket_keys_new(struct span content, const char *path, char *error,
                                    size_t error_cap) MUST_CHECK;
struct ticket_keys *ticket_keys_get(struct ticket_keys *keys);
void ticket_keys_put(struct ticket_keys *keys); /* null is allowed */

/* Another content from now on. False: what was there stays, error as above. */
bool ticket_keys_replace(struct ticket_keys *keys, struct span content, const char *path,
                         char *error, size_t error_cap) MUST_CHECK;

#endif
