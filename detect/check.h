/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check: does a request look like the browser that its User-Agent header names, and if not, which
 * product is between? The question and its answer are values; nothing is allocated, nothing is
 * read but the database; any thread.
 */
#ifndef WEIR_DETECT_CHECK_H
#define WEIR_DETECT_CHECK_H

#include "detect/database.h"
#include "detect/grade.h"

enum detect_error {
    DETECT_ERROR_NONE,
    DETECT_ERROR_UNKNOWN_USER_AGENT, /* no browser record covers it */
    DETECT_ERROR_TOO_MANY_QUIRKS,    /* no room for the check's own; nothing was checked */
};

/* What to make of it. In compatible mode it follows from the report's level alone. */
enum detect_verdict {
    VERDICT_UNKNOWN,     /* the database cannot tell: detect_unknown says why */
    VERDICT_GENUINE,     /* as this browser does it */
    VERDICT_UNLIKELY,    /* as this browser hardly ever does it */
    VERDICT_OUTDATED,    /* not as this browser did it, but that was recorded long ago */
    VERDICT_INTERCEPTED, /* not as this browser does it */
};

enum detect_unknown {
    UNKNOWN_NOT,
    UNKNOWN_BROWSER, /* no record of that browser */
    UNKNOWN_VERSION, /* newer than any that the records name */
    UNKNOWN_SYSTEM,  /* not in this version, or not on this system */
    UNKNOWN_CHECK,   /* the check itself failed: detect_error */
};

enum { DETECT_HEADER_MAX = 64 }; /* bytes that detect_print_header() needs at most */

struct detect_question {
    const struct ua_fingerprint *ua;
    struct span raw_ua; /* the header itself; some quirks show only there */
    const struct request_fingerprint *request;
    int32_t today;        /* days since 1970-01-01; 0: not known, nothing is outdated */
    bool without_headers; /* they were not seen yet: what browsers send of them is not asked */
};

/* Large, mostly for `seen`, of which only what was seen is written. The records belong to the
 * database, the words of `seen` to the question; both must outlive the report. */
struct detect_report {
    enum detect_error error;
    enum detect_verdict verdict;
    enum detect_unknown unknown;
    const struct record *browser; /* the one chosen, or null */
    const struct record *product; /* the interception product, or null */
    struct request_match match;   /* of the browser record, field by field; if there is one */
    enum match_level level;       /* empty without a browser record */
    enum request_field reason;    /* the one field that decided a mismatch, or ..._NONE */
    uint8_t browser_grade;        /* enum grade */
    uint8_t actual_grade;         /* enum grade; compatible: or a product's own number */
    bool weak_ciphers;            /* compatible: never */
    bool loses_pfs;               /* compatible: both have it */
    bool is_any_order;            /* the extensions in any order give this report, but for `seen` */
    struct request_fingerprint seen; /* the request without GREASE and with its quirks */
};

void detect_check(const struct database *db, const struct detect_question *question,
                  struct detect_report *report);

/*
 * What a report depends on beyond the two fingerprints, for whoever memorises reports: a bit for
 * each quirk that the raw header adds.
 */
unsigned detect_header_quirks(struct span raw_ua);
const char *detect_header_quirk_name(unsigned bit); /* null: there is no such bit */
/* The other way: a header with these quirks and no other, of DETECT_HEADER_MAX bytes at most. */
void detect_print_header(struct text *out, unsigned quirks);
/* Does this browser send its extensions in another order each time? */
bool detect_permutes_extensions(const struct ua_fingerprint *ua);

const char *detect_verdict_name(enum detect_verdict verdict);
const char *detect_error_name(enum detect_error error);
const char *detect_unknown_name(enum detect_unknown unknown);

/* "impossible_cipher", or nothing. */
void detect_print_reason(struct text *out, enum match_level level, enum request_field reason);
/* `<signature's field> vs <field seen>`, or nothing. */
void detect_print_details(struct text *out, const struct database *db,
                          const struct detect_report *report);
/* Signatures as the database writes them; nothing where there is no such record. */
void detect_print_ua_signature(struct text *out, const struct database *db,
                               const struct detect_report *report);
void detect_print_browser_signature(struct text *out, const struct database *db,
                                    const struct detect_report *report);
void detect_print_product_signature(struct text *out, const struct database *db,
                                    const struct detect_report *report);
/* The product's names joined with commas; empty without a product. */
struct span detect_product_names(const struct detect_report *report);
uint8_t detect_product_type(const struct detect_report *report);

#endif
