/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fetch_state: what is known of the files of a database from when they were fetched, so that the
 * next time only what changed is. Lies beside them, in JSON. One thread. It blocks: for tools only.
 */
#ifndef WEIR_TOOLS_FETCH_STATE_H
#define WEIR_TOOLS_FETCH_STATE_H

#include "core/tools/fetch_helper.h"
#include "core/tools/fetch_source.h"
#include "tls/digest.h"

extern const char fetch_state_name[];

struct fetch_state {
    char base[FETCH_BASE_CAP]; /* of the source; empty: nothing is known */
    struct {
        bool is_there;
        uint8_t digest[DIGEST_LEN]; /* of the file that the other two belong to */
        char etag[FETCH_FIELD_CAP];
        char last_modified[FETCH_FIELD_CAP];
    } files[FETCH_FILE_COUNT];
};

/* What is not there, or cannot be read, is not known. */
void fetch_state_load(struct fetch_state *state, const char *dir);

/* Returns 0 or a negative errno. */
int fetch_state_save(const struct fetch_state *state, const char *dir) MUST_CHECK;

#endif
