/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record: one line of a database, `ua_signature|request_signature|mitm_info`, and in default mode
 * optionally `|2026-11-21`, the day it was captured. record_list: records in the order of their
 * file, which is significant: the first that matches wins.
 *
 * The list owns its records; the words belong to whoever made them, and may be shared by lists.
 * One thread while it changes, then any.
 */
#ifndef WEIR_DETECT_RECORD_H
#define WEIR_DETECT_RECORD_H

#include "detect/mitm_info.h"
#include "detect/request_signature.h"
#include "detect/user_agent_signature.h"

enum {
    RECORD_LINE_MAX = 65535,   /* bytes, without the line feed */
    RECORD_LIST_MAX = 1 << 20, /* records */
    RECORD_FAULTS_MAX = 32,    /* that are kept; all are counted */
};

struct record {
    struct ua_signature ua;
    struct request_signature request;
    struct mitm_info mitm;
    int32_t captured_day; /* days since 1970-01-01; 0: not known */
    uint64_t digest;      /* of the text that was parsed, by hash_bytes(); 0: not from a text */
};

struct record_list {
    struct record *items;
    size_t count;
    size_t cap;
    struct words *words; /* borrowed */
    enum detect_mode mode;
};

/* A line that could not be read. */
struct record_fault {
    const char *source;   /* as given to record_list_load(), borrowed */
    size_t line;          /* from 1 */
    size_t column;        /* byte of the line, from 1 */
    const char *expected; /* lives for ever */
};

struct record_faults {
    size_t count; /* of all; the first RECORD_FAULTS_MAX are kept */
    struct record_fault items[RECORD_FAULTS_MAX];
};

void record_faults_add(struct record_faults *faults, struct record_fault fault);

bool record_parse(struct record *record, struct span text, struct words *words,
                  enum detect_mode mode, struct detect_fault *fault) MUST_CHECK;
void record_fini(struct record *record);
void record_print(struct text *out, const struct record *record, const struct words *words,
                  enum detect_mode mode);
size_t record_text_max(const struct record *record, const struct words *words);
/* All three parts; the older day. False: no memory. */
bool record_merge(struct record *merged, const struct record *a, const struct record *b,
                  const struct words *words, enum detect_mode mode) MUST_CHECK;

void record_list_init(struct record_list *list, struct words *words, enum detect_mode mode);
void record_list_fini(struct record_list *list);

/* Takes the record. False: no memory, or RECORD_LIST_MAX; the record is the caller's still. */
bool record_list_add(struct record_list *list, struct record *record) MUST_CHECK;
void record_list_remove(struct record_list *list, size_t index);

/*
 * Adds the records of a file. Comments, TABs, quotes and white space as MITMEngine has them.
 * Compatible: ends at the first bad line, with one fault, and, without one, before a line that is
 * too long. Default: a bad line is a fault and is left out. False: no memory or, compatible, a
 * bad line; what was read stays.
 */
bool record_list_load(struct record_list *list, struct span text, const char *source,
                      struct record_faults *faults) MUST_CHECK;

/* Takes the next line off the front of `rest`, without its line end; false at the end. */
bool record_line_next(struct span *rest, struct span *line) MUST_CHECK;

/* Without white space at both ends, that of Unicode included. */
struct span record_trim(struct span text);

/* "2026-11-21" to days since 1970-01-01; from 1970-01-02 to 9999-12-31. */
bool record_day_parse(int32_t *day, struct span text) MUST_CHECK;
void record_day_print(struct text *out, int32_t day);

#endif
