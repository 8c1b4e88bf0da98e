/* SPDX-License-Identifier: Apache-2.0 */
/*
 * users: who may use the proxy, as an htpasswd file tells (Apache's format): a line a user,
 * name:hash, where the hash is bcrypt's ($2y$, $2a$, $2b$; `htpasswd -B` makes them). Empty lines
 * and those that begin with # are skipped. Other hashes are refused: they can be tried too fast.
 *
 * A set is immutable. Any thread.
 */
#ifndef WEIR_SESSION_USERS_H
#define WEIR_SESSION_USERS_H

#include "core/base/assert.h"
#include "core/base/span.h"

#include <stdio.h>

enum {
    USERS_MAX = 16384,        /* users of a file */
    USERS_LINE_MAX = 1024,    /* bytes of a line, without its end */
    USERS_FILE_MAX = 8 << 20, /* bytes */
    USER_NAME_MAX = 255,      /* bytes, as in SOCKS (RFC 1929) */
    USER_PASSWORD_MAX = 255,  /* the same; bcrypt looks at the first 72 */
    USER_HASH_LEN = 60,       /* $2y$NN$, 22 of salt, 31 of hash */
    USER_COST_MIN = 4,        /* bcrypt: 2^cost rounds; each step doubles the time */
    USER_COST_MAX = 17,       /* some 10 s */
    USERS_FAULTS_MAX = 20,    /* bad lines that are told */
};

struct users;

/* Reads a file's content. Null with a sentence in error when any line is bad or memory is out;
 * every bad line is told on `out` as path:line (the first USERS_FAULTS_MAX of them), never with a
 * hash. */
struct users *users_parse(struct span content, const char *path, FILE *out, char *error,
                          size_t error_cap) MUST_CHECK;
void users_free(struct users *users); /* may be null */

size_t users_count(const struct users *users);

/* A user's hash, NUL-terminated; null: there is no such user. */
const char *users_find(const struct users *users, struct span name);

/* For a name that is not there, the hash of somebody else, always the same one for a name: to check
 * it takes as long as for one that is there. Null when the set is empty. */
const char *users_decoy(const struct users *users, struct span name);

/* Whether this is the password: bcrypt, milliseconds to seconds. `password` is NUL-terminated. */
bool users_verify(const char *hash, const char *password);

#endif
