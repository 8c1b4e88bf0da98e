/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fetch_helper: runs weir-fetch, which fetches one object in a process of its own, because it
 * brings a TLS library that must not be in ours. One thread. It blocks, at most for the time limit
 * and 5 s more: for tools only.
 */
#ifndef WEIR_TOOLS_FETCH_HELPER_H
#define WEIR_TOOLS_FETCH_HELPER_H

#include "core/base/assert.h"

#include <stdbool.h>
#include <stdio.h>

enum {
    FETCH_HELPER_PATH_CAP = 4096,
    FETCH_FIELD_CAP = 513, /* an ETag or a Last-Modified, with its NUL */
};

/* All borrowed; null: not sent, not used. */
struct fetch_request {
    const char *helper; /* path of weir-fetch */
    const char *url;
    const char *path; /* the file to make; it is not there yet */
    const char *ca_file;
    const char *etag;
    const char *last_modified;
    const char *region; /* signs the request, with the keys of the environment */
    unsigned seconds;   /* 0: the helper's own limit */
    size_t bytes_max;
    bool allow_http;
};

struct fetch_reply {
    int status;                 /* of HTTP; the file is there with 200 */
    char etag[FETCH_FIELD_CAP]; /* empty: there was none */
    char last_modified[FETCH_FIELD_CAP];
};

/* Beside this program's file. False: not found, and said so. */
bool fetch_helper_find(char path[FETCH_HELPER_PATH_CAP], FILE *err) MUST_CHECK;

/* 0: there is a reply. Else the status to exit with; why is said on standard error, by the helper
 * itself, or on `err`. */
int fetch_helper_run(const struct fetch_request *request, struct fetch_reply *reply,
                     FILE *err) MUST_CHECK;

#endif
