/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verdict_table: remembers what detect_check() said of a question, and answers with it as long as
 * the current signature set (a database) has the same records for that question as the one that was
 * asked (database_digest.h). Readers, one a worker, never lock and never wait, not for each other
 * and not for a publisher; a new set becomes current as a whole, and each answer is what a check
 * against it would say. What a new set changes, the publisher checks for them.
 *
 * Bounds: `cap` entries and VERDICT_ENTRY_MEAN_LEN bytes each, VERDICT_RETIRED_MAX entries a
 * reader and VERDICT_WAITING_MAX old sets that wait for readers to leave. A question that finds no
 * room is checked each time; nothing ever fails for it.
 */
#ifndef WEIR_DETECT_VERDICT_TABLE_H
#define WEIR_DETECT_VERDICT_TABLE_H

#include "detect/check.h"

enum {
    VERDICT_TABLE_CAP_MAX = 1 << 20, /* entries */
    VERDICT_READERS_MAX = 256,
    VERDICT_ENTRY_MEAN_LEN = 1024, /* bytes, the allowance of an entry */
    VERDICT_RETIRED_MAX = 64,      /* replaced entries of a reader that others may still read */
    VERDICT_WAITING_MAX = 256,     /* old sets that readers may still use */
    VERDICT_RENEWED_MAX = 1024,    /* checks that a publisher does for readers */
    VERDICT_PRODUCT_MAX = 96,      /* bytes of a product's names; the rest is cut off */
};

struct verdict_table;
struct verdict_reader;

/* What the log needs of a report. A value, without pointers. */
struct verdict_report {
    uint64_t serial; /* of the set whose answer it is: 1 for the first published, 2, ... */
    int64_t browser; /* that the user agent names: ua_browser_name() */
    struct ua_version browser_version;
    enum detect_error error : 8; /* the verdict itself, small, begins here */
    enum detect_verdict verdict : 8;
    enum detect_unknown unknown : 8;
    enum match_level level : 8;
    enum request_field reason : 8;
    uint8_t browser_grade;
    uint8_t actual_grade;
    bool weak_ciphers;
    bool loses_pfs;
    bool has_browser; /* a record of the browser was found */
    bool has_product;
    bool is_product_cut;
    uint8_t product_type;
    uint8_t product_len;
    char product[VERDICT_PRODUCT_MAX]; /* the names, joined with commas; the rest is 0 */
};

struct verdict_counts {
    uint64_t hits;
    uint64_t misses;  /* checked, whether stored or not */
    uint64_t stored;  /* of the misses */
    uint64_t evicted; /* entries that this reader replaced or dropped */
};

struct verdict_figures {
    uint64_t serial;     /* of the current set; 0: none yet */
    size_t sets_waiting; /* old sets that are not freed yet */
    uint64_t renewed;    /* verdicts that publishers stored, ever */
    size_t entry_count;  /* in the table, those that the current set does not say too */
    size_t bytes;        /* of those, of retired ones and of those being made */
    size_t bytes_max;
};

/* `cap` entries, 1 to VERDICT_TABLE_CAP_MAX, rounded up to a power of two, at least 4. Null: no
 * memory. */
struct verdict_table *verdict_table_new(size_t cap) MUST_CHECK;
/* Frees the current set too. No reader may be left; null is allowed. */
void verdict_table_free(struct verdict_table *table);

/*
 * Makes `db` the current set and takes it; one that says the same as the current set is freed, and
 * that stays. Lookups that begin afterwards ask it; those under way end with the set that they
 * began with. Before, the verdicts that are remembered, were asked for and will not count any more
 * are made anew, VERDICT_RENEWED_MAX at most, so that readers find them: a new set is in no cache
 * of theirs, which makes a check several times as long. It looks at every slot. False, and the
 * caller still owns `db`: no memory, or VERDICT_WAITING_MAX old sets wait for a reader that was
 * stopped in mid-lookup. Any thread.
 */
bool verdict_table_publish(struct verdict_table *table, struct database *db) MUST_CHECK;
/* Frees the old sets that all readers have left, as each publish does; returns how many still
 * wait. Any thread but a reader's own in mid-lookup; may lock out publishers, never readers. */
size_t verdict_table_sweep(struct verdict_table *table);
/* Any thread; the figures are of about the same moment. Looks at every slot. */
struct verdict_figures verdict_table_figures(struct verdict_table *table);

/* Any thread; from then on the reader is one thread's. Null: no memory, or VERDICT_READERS_MAX. */
struct verdict_reader *verdict_reader_new(struct verdict_table *table) MUST_CHECK;
void verdict_reader_free(struct verdict_reader *reader); /* null is allowed */

/* The report that detect_check() would give. False: no set was published yet. */
bool verdict_lookup(struct verdict_reader *reader, const struct detect_question *question,
                    struct verdict_report *report) MUST_CHECK;
const struct verdict_counts *verdict_reader_counts(const struct verdict_reader *reader);

#endif
