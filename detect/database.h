/* SPDX-License-Identifier: Apache-2.0 */
/*
 * database: what browsers look like (and how the products that intercept them do), loaded, indexed
 * and from then on immutable: any number of threads may check against it. A check looks at the
 * browser records of one user agent's browser, platform, system and device that name its major
 * version alone, or several, and at the products that its cipher list or its headers allow, not at
 * all of them; the order of the files decides as if it did.
 */
#ifndef WEIR_DETECT_DATABASE_H
#define WEIR_DETECT_DATABASE_H

#include "detect/database_digest.h"

struct database;

/* A file's content and its name for faults; both borrowed during the load. An absent file is empty
 * text. */
struct database_source {
    struct span text;
    const char *name;
};

struct database_options {
    enum detect_mode mode;              /* this and the age count in the first of several alone */
    struct database_source browsers;    /* records */
    struct database_source products;    /* records */
    struct database_source bad_headers; /* a header name a line */
    int32_t captured_day; /* default mode: of records that name no day; 0: not known */
    int32_t age_max_days; /* default mode: records older than this are outdated; 0: none is */
    const struct database_options *more; /* files that come after these; null: none */
};

/*
 * Null: no memory or, in compatible mode, a line that is no record; `faults` says which. In default
 * mode bad lines are left out and counted in `faults`: the caller decides whether that will do.
 */
struct database *database_new(const struct database_options *options,
                              struct record_faults *faults) MUST_CHECK;
void database_free(struct database *db); /* null is allowed */

enum detect_mode database_mode(const struct database *db);
const struct words *database_words(const struct database *db);
const struct record_list *database_browsers(const struct database *db);
const struct record_list *database_products(const struct database *db);
const struct database_digest *database_digest(const struct database *db);
bool database_is_bad_header(const struct database *db, struct span name);
int32_t database_age_max_days(const struct database *db);

/* The highest major version that a record of this browser names. False: no record names one. */
bool database_newest_major(const struct database *db, int64_t browser, int64_t *major) MUST_CHECK;
bool database_knows_browser(const struct database *db, int64_t browser);

/*
 * A walk over the records of browsers, in file order, that a user agent's browser, platform,
 * system, device and major versions allow; the rest of the versions and the quirks are the caller's
 * to test.
 */
enum { DATABASE_WALK_GROUPS = 32 };

struct database_member;

struct database_walk {
    int64_t browser_major;
    int64_t os_major;
    size_t count;
    struct {
        const struct database_member *next;
        const struct database_member *end;
    } groups[DATABASE_WALK_GROUPS];
};

void database_walk_begin(const struct database *db, struct database_walk *walk,
                         const struct ua_fingerprint *fp);
/* The index of the next record; false at the end. */
bool database_walk_next(struct database_walk *walk, uint32_t *index) MUST_CHECK;

/*
 * Calls `visit` with the index of every product that `seen` may match, in groups, each in file
 * order, until it returns false for a group, which ends that group.
 */
void database_visit_products(const struct database *db, const struct request_view *seen,
                             bool (*visit)(void *state, uint32_t index), void *state);

#endif
