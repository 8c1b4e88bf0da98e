/* SPDX-License-Identifier: Apache-2.0 */
/*
 * detect_work: operations of detection that commands measure: what is done with a ClientHello, and
 * lookups of remembered verdicts. The `run` functions are for struct measure_work. One thread.
 */
#ifndef WEIR_BENCH_DETECT_WORK_H
#define WEIR_BENCH_DETECT_WORK_H

#include "bench/mix.h"
#include "bench/sample_hello.h"
#include "detect/ja3.h"
#include "detect/ja4.h"
#include "detect/user_agent_memo.h"
#include "detect/verdict_key.h"
#include "detect/verdict_table.h"

/* With the headers of a browser, which come with its request. */
struct hello_work {
    const struct database *db;
    struct detect_question question;
    struct ua_fingerprint ua;
    struct word_list headers;
    struct span wire;
    struct client_hello hello;
    struct request_fingerprint request;
    struct verdict_key key;
    char ja3[JA3_LEN + 1];
    char ja4[JA4_LEN + 1];
    struct user_agent_memo *memo; /* the caller's */
    uint8_t room[SAMPLE_HELLO_MAX];
};

/* The hello, and the words of a genuine request of Chrome. The database must stay. */
void hello_work_init(struct hello_work *work, const struct database *db, enum sample_hello which);

void hello_work_run_parse(void *context, size_t count); /* record and parse */
/* The same, and request fingerprint, key of the question and its hash. */
void hello_work_run_key(void *context, size_t count);
void hello_work_run_ja3(void *context, size_t count); /* of the hello that was parsed last */
void hello_work_run_ja4(void *context, size_t count);
void hello_work_run_user_agent(void *context, size_t count); /* the header, parsed */
/* The same, remembered; `memo` must be there. */
void hello_work_run_recall(void *context, size_t count);

struct lookup_work {
    struct verdict_reader *reader;
    struct mix_question *const *items;
    size_t count;
    struct mix_room room;
};

/* What is asked, alone: all that is asked begins with it. */
void lookup_work_run_ask(void *context, size_t count);
/* All of them must be remembered. */
void lookup_work_run_lookup(void *context, size_t count);

/* A table of its own, with the set that is asked and a reader. */
struct asked_table {
    struct verdict_table *table;
    struct verdict_reader *reader;
};

/* Takes the database, which may be null. False: no memory, and `err` was told; fini either way. */
bool asked_table_init(struct asked_table *asked, struct database *db, size_t cap,
                      FILE *err) MUST_CHECK;
void asked_table_fini(struct asked_table *asked);

enum { CHROME_ORDERS = 64 };

/* Remembered verdicts about the large hello, whose extensions are permuted, so that the key needs
 * them sorted: with the head of a request, and alone, with another order each time. */
struct chrome_work {
    struct hello_work hello;
    struct lookup_work lookup, tunnels; /* what is measured */
    struct mix_question *item;
    struct mix_question *orders[CHROME_ORDERS];
    struct asked_table asked;
};

/* `db` is for the key alone. False: no memory, and `err` was told; fini either way. */
bool chrome_work_init(struct chrome_work *work, const struct database *db, FILE *err) MUST_CHECK;
void chrome_work_fini(struct chrome_work *work);

#endif
