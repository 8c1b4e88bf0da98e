/* SPDX-License-Identifier: Apache-2.0 */
/*
 * merge: whole record lists made smaller, by predicate, and the two automatic steps of MITMEngine's
 * merge tool. One thread.
 *
 * In compatible mode the walks keep the index faults of the original, because what its tool writes
 * depends on them: a record that moves up into the place of a removed one is passed over. Where the
 * original runs past the end and crashes, this ends the walk (merge) or does it right (delete).
 */
#ifndef WEIR_DETECT_MERGE_H
#define WEIR_DETECT_MERGE_H

#include "detect/record.h"

/* Should `a` and `b` become one; has `a` to go? A false *ok (out of memory) ends the walk. */
typedef bool record_pair_test(void *state, const struct record_list *list, const struct record *a,
                              const struct record *b, bool *ok);
typedef bool record_test(void *state, const struct record_list *list, const struct record *a);

/* Merges every pair, in both orders, that `test` wants. False: no memory; the list is valid. */
bool record_list_merge_by(struct record_list *list, record_pair_test *test, void *state) MUST_CHECK;

/* Removes every record that `test` wants removed. False: no memory; the list is unchanged. */
bool record_list_delete_by(struct record_list *list, record_test *test, void *state) MUST_CHECK;

/* Browsers that look the same but for what merging covers well; run once. */
bool record_list_merge_browsers(struct record_list *list) MUST_CHECK;

/* Products with the same request signature; the tool runs this twice. */
bool record_list_merge_products(struct record_list *list) MUST_CHECK;

/* Do both write the same request signature? *ok becomes false: no memory. */
bool record_same_request(const struct record_list *list, const struct request_signature *a,
                         const struct request_signature *b, bool *ok);

#endif
