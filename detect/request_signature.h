/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request_signature: a pattern of request fingerprints, field by field, with the same seven fields
 * and separators; version is empty, one version, or `min,expected,max`, the others are list
 * signatures (list_signature.h). Owned memory; immutable once made, then any thread.
 */
#ifndef WEIR_DETECT_REQUEST_SIGNATURE_H
#define WEIR_DETECT_REQUEST_SIGNATURE_H

#include "detect/list_signature.h"
#include "detect/request_fingerprint.h"

enum { REQUEST_LIST_COUNT = REQUEST_FIELD_COUNT - 1 };

/* Bounds of 0 are none. */
struct version_signature {
    uint16_t min;
    uint16_t expected; /* what lies between min and this is unlikely */
    uint16_t max;
};

struct request_signature {
    struct version_signature version;
    struct list_signature lists[REQUEST_LIST_COUNT]; /* field - REQUEST_CIPHERS */
};

static inline const struct list_signature *
request_signature_list(const struct request_signature *sig, enum request_field field)
{
    return &sig->lists[field - REQUEST_CIPHERS];
}

static inline bool request_field_is_words(enum request_field field)
{
    return field == REQUEST_HEADERS || field == REQUEST_QUIRKS;
}

bool version_signature_parse(struct version_signature *sig, struct span text,
                             struct detect_fault *fault) MUST_CHECK;
/* Compatible: a range is written `expected,min,max`, in another order than it is read. */
void version_signature_print(struct text *out, struct version_signature sig, enum detect_mode mode);
struct version_signature version_signature_merge(struct version_signature a,
                                                 struct version_signature b);
enum match_level version_signature_match(struct version_signature sig, uint16_t version);

/* False: `fault` says where and why, nothing is owned. Words go into `words`. */
bool request_signature_parse(struct request_signature *sig, struct span text, struct words *words,
                             struct detect_fault *fault) MUST_CHECK;
void request_signature_fini(struct request_signature *sig);
void request_signature_print(struct text *out, const struct request_signature *sig,
                             const struct words *words, enum detect_mode mode);
void request_signature_print_field(struct text *out, const struct request_signature *sig,
                                   enum request_field field, const struct words *words,
                                   enum detect_mode mode);
size_t request_signature_text_max(const struct request_signature *sig, const struct words *words);
bool request_signature_merge(struct request_signature *sig, const struct request_signature *a,
                             const struct request_signature *b, enum detect_mode mode,
                             const struct words *words) MUST_CHECK;

/*
 * A fingerprint made ready to be compared with signatures that share one `struct words`. Borrows
 * the fingerprint. Large (about 50 KiB, of which little is touched): on the stack of the caller.
 */
struct request_view {
    uint16_t version;
    struct value_set lists[REQUEST_LIST_COUNT];
    uint16_t word_numbers[2][WORD_LIST_MAX];
};

void request_view_make(struct request_view *view, const struct request_fingerprint *fp,
                       const struct words *words);

struct request_match {
    enum match_level level; /* the worst of the fields' */
    enum match_level fields[REQUEST_FIELD_COUNT];
    uint32_t similarity; /* over ciphers, extensions, curves and point formats */
};

struct request_match_rules {
    enum detect_mode mode;
    bool is_any_extension_order; /* the client permutes them */
    bool skips_headers;          /* headers were not seen: no header field says anything */
    bool skips_empty_headers;    /* an empty header field says nothing */
    bool skips_empty_quirks;     /* an empty quirk field says nothing */
};

void request_signature_match(struct request_match *match, const struct request_signature *sig,
                             struct request_match_rules rules, const struct request_view *seen);

/* The level alone, and as soon as it is impossible. */
enum match_level request_signature_level(const struct request_signature *sig,
                                         struct request_match_rules rules,
                                         const struct request_view *seen);

#endif
