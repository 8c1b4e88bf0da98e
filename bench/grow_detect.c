/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verdicts with more and more records, made up: four of each browser's version, as a browser's
 * hellos differ by what it does, and a product for each four. Of n records there are about sqrt(n)
 * browsers, each on a system of a device, with as many versions as that leaves: both grow alike.
 * The databases of all sizes lie beside each other.
 */
#include "bench/grow_memory.h"
#include "bench/grow_results.h"
#include "bench/measure.h"
#include "core/base/clock.h"
#include "core/base/text.h"
#include "detect/verdict_table.h"

#include <math.h>
#include <stdlib.h>

enum {
    VARIANTS = 4,      /* records of a version */
    PRODUCT_SHARE = 5, /* one in so many records is a product's */
    RECORD_LEN_MAX = 256,
    REMEMBERED = 256, /* questions that are asked again and again */
    TABLE_SPARE = 32, /* slots for each of them, so that none is pushed out */
    BROWSERS = 25,
    SYSTEMS = 10,
    OWN_SUITES = 2, /* a record is told apart by that many */
    OWN_SUITES_AT = 6,
    SUITE_BITS = 10,
    UNKNOWN_SUITE = 0xe000,
};

static const char question_ua[] = "1:1.0.0:1:1:10.0.0:1:";
static const char question_raw_ua[] = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) "
                                      "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0";
static const char question_request[] =
    "303:1301,1302,1303,c02b,c02f,c02c,a000,b000,c030,cca9,cca8,c013,c014,9c,9d,2f,35:"
    "0,17,ff01,a,b,23,10,5,d,12,33,2d,2b,1b:1d,17,18:0:"
    "host,connection,upgrade-insecure-requests,user-agent,accept,sec-fetch-site,sec-fetch-mode,"
    "sec-fetch-dest,accept-encoding,accept-language,cookie:";

/* What a record is about, and the suites that no other one of its version has. */
struct made_up {
    unsigned browser, platform, os, device, major;
    uint16_t suites[OWN_SUITES];
};

struct table {
    struct verdict_table *verdicts; /* owns the database */
    struct verdict_reader *reader;
    const struct database *db;
    unsigned browser_count; /* records */
    unsigned family_count;
    double bytes; /* a record; NAN: not known */
    uint64_t random;
    uint64_t next;
    bool is_unknown; /* what is asked */
    struct detect_question question;
    struct ua_fingerprint ua;
    struct request_fingerprint request;
    struct detect_report report;
};

static unsigned families_of(unsigned count)
{
    return (unsigned)ceil(sqrt(count));
}

static struct made_up make_up(unsigned number, unsigned family_count)
{
    unsigned family = number / VARIANTS % family_count;
    unsigned system = family / BROWSERS % SYSTEMS;

    return (struct made_up){.browser = 1 + family % BROWSERS,
                            .platform = 1 + system / 2,
                            .os = 1 + system,
                            .device = 1 + family / BROWSERS / SYSTEMS,
                            .major = 1 + number / VARIANTS / family_count,
                            .suites = {(uint16_t)(0xa000 + (number & ((1U << SUITE_BITS) - 1))),
                                       (uint16_t)(0xb000 + (number >> SUITE_BITS))}};
}

static void print_browser(struct text *out, unsigned number, unsigned family_count)
{
    struct made_up m = make_up(number, family_count);

    text_printf(out,
                "%u:%u:%u:%u:10.0-10.15:%u:|303:1301,1302,1303,c02b,c02f,c02c,%x,%x,c030,cca9,cca8,"
                "c013,c014,9c,9d,2f,35:0,17,ff01,a,b,23,10,5,d,12,33,2d,2b,1b:1d,17,18:0:*:~?grease"
                "|:0:0\n",
                m.browser, m.major, m.platform, m.os, m.device, m.suites[0], m.suites[1]);
}

static void print_product(struct text *out, unsigned number)
{
    text_printf(out,
                "0::0:0::0:|303:c030,c02c,%x,%x,9f,9e,6b,67,9d,9c,3d,35,2f:0,b,a,d,f:17,18,19:0,1,"
                "2::|product%u:1:2\n",
                0xc100 + (number & ((1U << SUITE_BITS) - 1)), 0xd000 + (number >> SUITE_BITS),
                number);
}

static struct database *make_database(unsigned browser_count, unsigned product_count,
                                      unsigned family_count)
{
    size_t cap = (size_t)(browser_count + product_count) * RECORD_LEN_MAX + 1;
    char *room = malloc(cap);
    struct text text = text_make(room, cap);
    struct database_options options = {.mode = DETECT_DEFAULT};
    struct record_faults faults = {.count = 0};
    struct database *db = NULL;
    size_t browsers_len;

    if (room) {
        for (unsigned i = 0; i < browser_count; i++) {
            print_browser(&text, i, family_count);
        }
        browsers_len = text.len;
        for (unsigned i = 0; i < product_count; i++) {
            print_product(&text, i);
        }
        ASSERT(!text.overflow);
        options.browsers = (struct database_source){span_make(room, browsers_len), "made up"};
        options.products = (struct database_source){
            span_make(room + browsers_len, text.len - browsers_len), "made up"};
        db = database_new(&options, &faults);
        ASSERT(faults.count == 0 || !db);
    }
    free(room);
    return db;
}

static void ask_about(struct table *table, unsigned number)
{
    struct made_up m = make_up(number, table->family_count);

    table->ua.browser = m.browser;
    table->ua.platform = m.platform;
    table->ua.os = m.os;
    table->ua.device = m.device;
    table->ua.browser_version.major = m.major;
    for (size_t i = 0; i < OWN_SUITES; i++) {
        table->request.ciphers.items[OWN_SUITES_AT + i] =
            table->is_unknown ? UNKNOWN_SUITE : m.suites[i];
    }
}

static bool table_init(struct table *table, unsigned record_count)
{
    unsigned product_count = record_count / PRODUCT_SHARE;
    struct detect_fault fault;
    struct database *db;
    size_t before, bytes;

    *table = (struct table){.browser_count = record_count - product_count, .random = 1};
    table->family_count = families_of(table->browser_count);
    table->question = (struct detect_question){
        .ua = &table->ua, .raw_ua = SPAN_LITERAL(question_raw_ua), .request = &table->request};
    if (!ua_fingerprint_parse(&table->ua, SPAN_LITERAL(question_ua), &fault) ||
        !request_fingerprint_parse(&table->request, SPAN_LITERAL(question_request), &fault)) {
        return false;
    }
    before = measure_heap_in_use();
    db = make_database(table->browser_count, product_count, table->family_count);
    bytes = measure_heap_in_use() - before;
    table->bytes = before && bytes ? (double)bytes / record_count : NAN;
    table->verdicts = db ? verdict_table_new(REMEMBERED * TABLE_SPARE) : NULL;
    if (!table->verdicts || !verdict_table_publish(table->verdicts, db)) {
        database_free(db);
        return false;
    }
    table->db = db;
    table->reader = verdict_reader_new(table->verdicts);
    return table->reader != NULL;
}

static void table_fini(struct table *table)
{
    verdict_reader_free(table->reader);
    verdict_table_free(table->verdicts);
}

/* ---- what is measured ---- */

static void run_remembered(void *context, size_t count)
{
    struct table *table = context;
    struct verdict_report report;

    for (size_t i = 0; i < count; i++) {
        bool done;

        ask_about(table,
                  (unsigned)(table->next++ % REMEMBERED * table->browser_count / REMEMBERED));
        done = verdict_lookup(table->reader, &table->question, &report);
        ASSERT(done && report.verdict == VERDICT_GENUINE);
        measure_keep(&report);
    }
}

static void run_check(void *context, size_t count)
{
    struct table *table = context;

    for (size_t i = 0; i < count; i++) {
        table->random =
            table->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        ask_about(table, (unsigned)((table->random >> 32) * table->browser_count >> 32));
        detect_check(table->db, &table->question, &table->report);
        ASSERT((table->report.verdict == VERDICT_GENUINE) == !table->is_unknown);
        measure_keep(&table->report);
    }
}

static void measure_line(struct grow_results *results, enum grow_curve curve, struct table *tables,
                         size_t round, FILE *err)
{
    struct grow_line *line = grow_results_find(results, curve);
    int64_t budget_ns = results->options->window_ms * NS_PER_MS / GROW_TABLE_SHARE;

    for (size_t i = 0; line && i < line->count; i++) {
        size_t at = (i + round) % line->count;
        struct grow_point *point = &line->points[at];
        struct measure_work work = {curve == GROW_REMEMBERED ? run_remembered : run_check,
                                    &tables[at], REMEMBERED};

        point->bytes = tables[at].bytes;
        tables[at].is_unknown = curve == GROW_UNKNOWN;
        work.run(work.context, REMEMBERED); /* so that those are remembered */
        point->load_ns[point->rounds] = grow_load_ns(point, budget_ns);
        point->costs[point->rounds++] = measure_run(&work, budget_ns).cpu.median;
        fprintf(err, "%s, %u: %.1f ns\n", grow_curves[curve].name, point->amount,
                point->costs[point->rounds - 1]);
    }
}

bool grow_detect_measure(struct grow_results *results, FILE *err)
{
    static const enum grow_curve curves[] = {GROW_REMEMBERED, GROW_GENUINE, GROW_UNKNOWN};
    static struct table tables[GROW_POINTS_MAX];
    struct grow_line *any = NULL;
    bool done = true;

    for (size_t i = 0; i < COUNT_OF(curves); i++) {
        struct grow_line *line = grow_results_find(results, curves[i]);
        any = line ? line : any;
    }
    if (!any) {
        return true;
    }
    for (size_t i = 0; i < any->count && done; i++) {
        done = table_init(&tables[i], any->points[i].amount);
    }
    for (size_t round = 0; round < results->options->rounds && done; round++) {
        for (size_t i = 0; i < COUNT_OF(curves); i++) {
            measure_line(results, curves[i], tables, round, err);
        }
    }
    for (size_t i = 0; i < any->count; i++) {
        table_fini(&tables[i]);
    }
    if (!done) {
        fputs("weir bench: out of memory\n", err);
    }
    return done;
}
