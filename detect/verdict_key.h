/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verdict_key: the canonical form of a question, to memorise its answer by: the request without
 * GREASE, the user agent, the quirks that only its raw header shows, and the day where that counts.
 * Bytes with lengths before them, so that no two questions share one. A value; any thread.
 */
#ifndef WEIR_DETECT_VERDICT_KEY_H
#define WEIR_DETECT_VERDICT_KEY_H

#include "detect/check.h"

enum { VERDICT_KEY_MAX = 4096 }; /* bytes; questions with longer keys are not memorised */

/* A browser that permutes its extensions has another order each time, and one key if they are
 * sorted; that key is for reports that are the same in any order alone. */
enum verdict_key_form { VERDICT_KEY_AS_SEEN, VERDICT_KEY_SORTED };

/* What keys depend on in the database that is asked. */
struct verdict_key_rules {
    enum detect_mode mode;
    bool has_days; /* records grow old */
};

struct verdict_key {
    uint64_t hash;
    enum detect_mode mode;
    bool has_grease;   /* beside the extensions */
    size_t common_len; /* of what both forms begin with */
    size_t len;
    uint8_t bytes[VERDICT_KEY_MAX]; /* the first `len` are set */
};

struct verdict_key_rules verdict_key_rules(const struct database *db);

/* Makes all but the extensions. False: too long. */
bool verdict_key_begin(struct verdict_key *key, struct verdict_key_rules rules,
                       const struct detect_question *question) MUST_CHECK;
/* Adds the extensions of the question, instead of those that were added before. False: too long. */
bool verdict_key_end(struct verdict_key *key, enum verdict_key_form form,
                     const struct number_list *extensions) MUST_CHECK;

/* A question and what it points to, but for the words. */
struct verdict_question {
    struct detect_question question;
    struct ua_fingerprint ua;
    struct request_fingerprint request;
    char raw_ua[DETECT_HEADER_MAX];
};

/* The other way: a question that has this key, by the rules that it was made with; its words are
 * borrowed from the bytes. False: they are no key, or the lists have no room left for GREASE. */
bool verdict_key_read(struct verdict_question *to, struct span key) MUST_CHECK;

static inline struct span verdict_key_view(const struct verdict_key *key)
{
    return span_make(key->bytes, key->len);
}

#endif
