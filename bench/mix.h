/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mix: the questions that a benchmark asks in turn, and made-up ones with a made-up database to ask
 * them of. One thread while it is made, then any.
 */
#ifndef WEIR_BENCH_MIX_H
#define WEIR_BENCH_MIX_H

#include "detect/check.h"

#include <stdio.h>

enum {
    MIX_QUESTIONS_MAX = 16384,
    MIX_MADE_UP_COUNT = 256,
};

/* A question, packed: some hundred bytes. A proxy has what it asks in the room of its thread, just
 * written, and not in a struct of 12 KiB for each question that it ever asks. */
struct mix_question;

/* Where a question is put together to be asked. */
struct mix_room {
    struct detect_question question;
    struct ua_fingerprint ua;
    struct request_fingerprint request;
};

/* Null: no memory. Freed with free(). */
struct mix_question *mix_question_new(const struct detect_question *question) MUST_CHECK;
/* Borrows the words from the item. */
void mix_ask(struct mix_room *room, const struct mix_question *item);

struct mix {
    struct mix_question **items; /* owned */
    size_t count;                /* 1 or more, once it is made */
};

/*
 * JSON Lines with raw_ua (or raw_ua_hex), request_fingerprint and, unless the header is to say it,
 * ua_fingerprint. Returns the status to exit with; if it is not 0, `err` was told which line is bad
 * and why. Fini either way.
 */
int mix_load(struct mix *mix, const char *name, FILE *err) MUST_CHECK;

/* MIX_MADE_UP_COUNT questions about the made-up database: half of them genuine, a quarter from a
 * product, a quarter like nobody known. False: no memory. Fini either way. */
bool mix_make_up(struct mix *mix) MUST_CHECK;
/* The database in the folder, or the made-up one where `dir` is null. Null: no memory, or a bad
 * line or file; `err` was told. */
struct database *mix_database(const char *dir, enum detect_mode mode, FILE *err) MUST_CHECK;

/* The same, of default mode, with one record more for each number: about the user agents that one
 * of the records of `like`, which has some, is about. */
struct database *mix_database_with(const char *dir, const struct database *like, unsigned number,
                                   FILE *err) MUST_CHECK;

void mix_fini(struct mix *mix); /* one of zeroes is allowed */

#endif
