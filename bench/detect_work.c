/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/detect_work.h"

#include "bench/measure.h"
#include "tls/record.h"

#include <stdlib.h>

/* A genuine request of a browser that permutes its extensions, but for its hello. */
static const char chrome_ua[] = "1:131.0.0:1:2:10.0.0:1:";
static const char chrome_raw_ua[] = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 "
                                    "(KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36";
static const char chrome_headers[] =
    "host,connection,sec-ch-ua,sec-ch-ua-mobile,sec-ch-ua-platform,upgrade-insecure-requests,"
    "user-agent,accept,sec-fetch-site,sec-fetch-mode,sec-fetch-user,sec-fetch-dest,"
    "accept-encoding,accept-language,cookie";
static const char chrome_record[] =
    "1:106-:1:2::1:|303:1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,9c,9d,2f,35:"
    "d,23,44cd,33,0,ff01,b,2b,1b,10,2d,a,17,5,12,fe0d:11ec,1d,17,18:0:*:grease|:0:0\n";

static void parse(struct hello_work *work)
{
    struct record_scan scan = {0};
    struct client_hello_fault fault;
    struct span message;
    /* One record, so nothing is joined. */
    bool done = record_gather_hello(&scan, work->wire, NULL, &message) == RECORD_DONE &&
                client_hello_parse(&work->hello, message, &fault);

    ASSERT(done);
}

void hello_work_run_parse(void *context, size_t count)
{
    struct hello_work *work = context;

    for (size_t i = 0; i < count; i++) {
        parse(work);
        measure_keep(work);
    }
}

void hello_work_run_key(void *context, size_t count)
{
    struct hello_work *work = context;

    for (size_t i = 0; i < count; i++) {
        bool done;

        parse(work);
        done = request_fingerprint_from_hello(&work->request, &work->hello);
        word_list_copy(&work->request.headers, &work->headers);
        done = done &&
               verdict_key_begin(&work->key, verdict_key_rules(work->db), &work->question) &&
               verdict_key_end(&work->key, VERDICT_KEY_SORTED, &work->request.extensions);
        ASSERT(done);
        measure_keep(work);
    }
}

void hello_work_run_ja3(void *context, size_t count)
{
    struct hello_work *work = context;

    for (size_t i = 0; i < count; i++) {
        bool done = ja3_compute(work->ja3, &work->hello);

        ASSERT(done);
        measure_keep(work);
    }
}

void hello_work_run_ja4(void *context, size_t count)
{
    struct hello_work *work = context;

    for (size_t i = 0; i < count; i++) {
        bool done = ja4_compute(work->ja4, &work->hello);

        ASSERT(done);
        measure_keep(work);
    }
}

void hello_work_run_user_agent(void *context, size_t count)
{
    struct hello_work *work = context;

    for (size_t i = 0; i < count; i++) {
        user_agent_parse(&work->ua, work->question.raw_ua, USER_AGENT_DEFAULT);
        measure_keep(work);
    }
}

void hello_work_run_recall(void *context, size_t count)
{
    struct hello_work *work = context;

    for (size_t i = 0; i < count; i++) {
        user_agent_recall(work->memo, &work->ua, work->question.raw_ua, USER_AGENT_DEFAULT);
        measure_keep(work);
    }
}

void hello_work_init(struct hello_work *work, const struct database *db, enum sample_hello which)
{
    struct detect_fault fault;
    bool done = ua_fingerprint_parse(&work->ua, span_from_string(chrome_ua), &fault) &&
                word_list_parse(&work->headers, span_from_string(chrome_headers), &fault);

    ASSERT(done);
    work->db = db;
    work->question = (struct detect_question){
        .ua = &work->ua, .raw_ua = span_from_string(chrome_raw_ua), .request = &work->request};
    work->wire = sample_hello_make(work->room, which);
    hello_work_run_key(work, 1);
}

void lookup_work_run_ask(void *context, size_t count)
{
    struct lookup_work *work = context;

    for (size_t i = 0, at = 0; i < count; i++) {
        mix_ask(&work->room, work->items[at]);
        measure_keep(&work->room);
        at = at + 1 < work->count ? at + 1 : 0;
    }
}

void lookup_work_run_lookup(void *context, size_t count)
{
    struct lookup_work *work = context;
    struct verdict_report report;
    uint64_t hits = verdict_reader_counts(work->reader)->hits;

    for (size_t i = 0, at = 0; i < count; i++) {
        bool done;

        mix_ask(&work->room, work->items[at]);
        done = verdict_lookup(work->reader, &work->room.question, &report);
        ASSERT(done);
        measure_keep(&report);
        at = at + 1 < work->count ? at + 1 : 0;
    }
    ASSERT(verdict_reader_counts(work->reader)->hits - hits == count);
}

bool asked_table_init(struct asked_table *asked, struct database *db, size_t cap, FILE *err)
{
    *asked = (struct asked_table){db ? verdict_table_new(cap) : NULL, NULL};
    if (!asked->table || !verdict_table_publish(asked->table, db)) {
        database_free(db);
    } else {
        asked->reader = verdict_reader_new(asked->table);
    }
    if (!asked->reader) {
        fputs("weir bench: out of memory\n", err);
    }
    return asked->reader != NULL;
}

void asked_table_fini(struct asked_table *asked)
{
    verdict_reader_free(asked->reader);
    verdict_table_free(asked->table);
}

/* Tunnels: nobody says what the client is, and more orders than the table has room for. */
static bool make_orders(struct chrome_work *work)
{
    static struct ua_fingerprint nobody;
    static struct request_fingerprint request;
    const struct detect_question question = {
        .ua = &nobody, .request = &request, .without_headers = true};
    bool done = request_fingerprint_from_hello(&request, &work->hello.hello);
    size_t last = request.extensions.count - 1;

    user_agent_parse(&nobody, span_make(NULL, 0), USER_AGENT_DEFAULT);
    for (size_t i = 0; i < CHROME_ORDERS && done; i++) {
        uint16_t *types = request.extensions.items;
        uint16_t first = types[0];

        memmove(types, types + 1, last * sizeof(types[0]));
        types[last] = first;
        work->orders[i] = mix_question_new(&question);
        done = work->orders[i] != NULL;
    }
    return done;
}

bool chrome_work_init(struct chrome_work *work, const struct database *db, FILE *err)
{
    struct database_options set = {.mode = DETECT_DEFAULT,
                                   .browsers = {SPAN_LITERAL(chrome_record), "made-up browsers"}};
    struct record_faults faults;
    struct verdict_report report;
    bool done;

    work->asked = (struct asked_table){NULL, NULL};
    hello_work_init(&work->hello, db, SAMPLE_HELLO_LARGE);
    memset(work->orders, 0, sizeof(work->orders));
    work->item = mix_question_new(&work->hello.question);
    if (!work->item || !make_orders(work)) {
        fputs("weir bench: out of memory\n", err);
        return false;
    }
    if (!asked_table_init(&work->asked, database_new(&set, &faults), 1, err)) {
        return false;
    }
    done = verdict_lookup(work->asked.reader, &work->hello.question, &report);
    ASSERT(done && report.verdict == VERDICT_GENUINE);
    work->lookup.items = &work->item;
    work->lookup.count = 1;
    work->lookup.reader = work->asked.reader;
    mix_ask(&work->tunnels.room, work->orders[0]);
    done = verdict_lookup(work->asked.reader, &work->tunnels.room.question, &report);
    ASSERT(done);
    work->tunnels.items = work->orders;
    work->tunnels.count = CHROME_ORDERS;
    work->tunnels.reader = work->asked.reader;
    return true;
}

void chrome_work_fini(struct chrome_work *work)
{
    asked_table_fini(&work->asked);
    free(work->item);
    for (size_t i = 0; i < CHROME_ORDERS; i++) {
        free(work->orders[i]);
    }
}
