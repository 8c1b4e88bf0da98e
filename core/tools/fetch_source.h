/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fetch_source: where a database comes from, as a command line says it: a folder, `https://` and
 * what its files lie below, `s3://BUCKET/PREFIX`, or one file of any of them. A value; looks at
 * text alone.
 */
#ifndef WEIR_TOOLS_FETCH_SOURCE_H
#define WEIR_TOOLS_FETCH_SOURCE_H

#include "core/base/assert.h"
#include "core/base/text.h"

enum { FETCH_BASE_CAP = 2048 };

/* The files of a database, in the order they are fetched in. */
enum fetch_file {
    FETCH_CHECKSUMS,
    FETCH_BROWSERS,
    FETCH_PRODUCTS,
    FETCH_BAD_HEADERS,
    FETCH_METADATA,
    FETCH_MITMENGINE_METADATA,
    FETCH_FILE_COUNT,
};

const char *fetch_file_name(enum fetch_file file);

enum fetch_kind { FETCH_FOLDER, FETCH_URL, FETCH_S3 };

/* What the environment and other options say of S3; all borrowed, null: not set. */
struct fetch_s3 {
    const char *endpoint; /* HOST[:PORT], or that behind https:// or http:// */
    const char *bucket;   /* where the source names none */
    bool is_path_style;   /* https://ENDPOINT/BUCKET/, not https://BUCKET.ENDPOINT/ */
};

struct fetch_source {
    enum fetch_kind kind;
    char base[FETCH_BASE_CAP]; /* before a file's name; ends with a slash */
    enum fetch_file only;      /* FETCH_FILE_COUNT: all of them */
    const char *missing;       /* environment variable that S3 needs, if that is why it failed */
};

/* False: `error` says why, without showing a URL, which may hold a secret. */
bool fetch_source_parse(struct fetch_source *source, const char *text, const struct fetch_s3 *s3,
                        struct text *error) MUST_CHECK;

#endif
