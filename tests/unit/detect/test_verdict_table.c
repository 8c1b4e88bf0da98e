/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of verdicts: what it says is what the check says, of one published set and no other,
 * whatever collides, is evicted, fails or is published meanwhile. The code under test is compiled
 * here, with the seams that the tests need.
 */
#include "core/base/hash.h"
#include "detect/verdict_table.h"
#include "tests/unit/detect/json.h"
#include "tests/unit/detect/verdict_kit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

static size_t allocation_count;
static size_t failing_allocation; /* counted from 1; 0: none */
static bool is_hash_forced;
static atomic_uint freed_sets;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local bool sleeps_in_check;
static atomic_bool is_sleeping;
static struct database *published_in_check; /* once, if any */
static struct verdict_table *publishing_table;

static bool is_failing(void)
{
    return failing_allocation && ++allocation_count == failing_allocation;
}

static void *malloc_once(size_t len)
{
    return is_failing() ? NULL : malloc(len);
}

static void *calloc_once(size_t count, size_t len)
{
    return is_failing() ? NULL : calloc(count, len);
}

static void *aligned_alloc_once(size_t alignment, size_t len)
{
    return is_failing() ? NULL : aligned_alloc(alignment, len);
}

static uint64_t seam_hash(struct span bytes)
{
    return is_hash_forced ? 7 : hash_bytes(bytes);
}

static void seam_free(struct database *db)
{
    atomic_fetch_add(&freed_sets, 1);
    database_free(db);
}

static void seam_check(const struct database *db, const struct detect_question *question,
                       struct detect_report *report)
{
    if (sleeps_in_check) {
        atomic_store(&is_sleeping, true);
        pthread_mutex_lock(&gate);
        pthread_mutex_unlock(&gate);
    }
    if (published_in_check) {
        assert_true(verdict_table_publish(publishing_table, published_in_check));
        published_in_check = NULL;
    }
    detect_check(db, question, report);
}

#define malloc        malloc_once
#define calloc        calloc_once
#define aligned_alloc aligned_alloc_once
#define hash_bytes    seam_hash
#define database_free seam_free
#define detect_check  seam_check
#include "detect/verdict_key.c"
#define check verdict_check
#include "detect/verdict_table.c"
#undef check
#undef malloc
#undef calloc
#undef aligned_alloc
#undef hash_bytes
#undef database_free
#undef detect_check

enum { RAW_MAX = 8192 };

static struct fixture start(size_t cap)
{
    atomic_store(&freed_sets, 0);
    return begin(cap);
}

static void expect_same(const struct verdict_report *got, const struct detect_report *full)
{
    struct span names = detect_product_names(full);

    assert_int_equal(got->error, full->error);
    assert_int_equal(got->verdict, full->verdict);
    assert_int_equal(got->unknown, full->unknown);
    assert_int_equal(got->level, full->level);
    assert_int_equal(got->reason, full->reason);
    assert_int_equal(got->browser_grade, full->browser_grade);
    assert_int_equal(got->actual_grade, full->actual_grade);
    assert_int_equal(got->weak_ciphers, full->weak_ciphers);
    assert_int_equal(got->loses_pfs, full->loses_pfs);
    assert_int_equal(got->has_browser, full->browser != NULL);
    assert_int_equal(got->has_product, full->product != NULL);
    assert_int_equal(got->product_type, detect_product_type(full));
    assert_int_equal(got->is_product_cut, names.len > VERDICT_PRODUCT_MAX);
    assert_true(span_equal(span_make(got->product, got->product_len),
                           span_sub(names, 0, VERDICT_PRODUCT_MAX)));
}

/* Asks the table; what it says must be what the check says. Was it remembered? */
static bool look(struct verdict_reader *reader, const struct database *db,
                 const struct detect_question *question)
{
    static struct detect_report full;
    struct verdict_report report;
    uint64_t hits = reader->counts.hits;

    memset(&report, 0xa5, sizeof(report));
    assert_true(verdict_lookup(reader, question, &report));
    detect_check(db, question, &full);
    expect_same(&report, &full);
    assert_int_equal(report.browser, question->ua->browser);
    assert_int_equal(report.browser_version.major, question->ua->browser_version.major);
    return reader->counts.hits != hits;
}

/* ---- tests ---- */

static void test_agrees(void **state)
{
    struct fixture f = start(64);
    struct asked asked[ASKED_COUNT];
    struct verdict_report report;
    struct database *db = make_set(1);

    (void)state;
    ask_all(asked);
    assert_false(verdict_lookup(f.reader, &asked[0].question, &report));
    assert_true(verdict_table_publish(f.table, db));
    for (size_t i = 0; i < ASKED_COUNT; i++) {
        assert_false(look(f.reader, db, &asked[i].question));
        assert_true(look(f.reader, db, &asked[i].question));
        assert_true(verdict_lookup(f.reader, &asked[i].question, &report));
        assert_int_equal(report.serial, 1);
        assert_true(is_of_set(&report, i));
    }
    assert_int_equal(verdict_reader_counts(f.reader)->stored, ASKED_COUNT);
    assert_int_equal(verdict_table_figures(f.table).entry_count, ASKED_COUNT);
    end(&f);
    assert_int_equal(freed_sets, 1);
}

/* What a report depends on is in the key, what it does not depend on is not. */
static void test_keys(void **state)
{
    static const char *const different[] = {
        "303:1301,c02b:0,a,b:17,18:0:host:",       "303:1301:c02b,0,a,b:17,18:0:host:",
        "303:1301,c02b:a,0,b:17,18:0:host:",       "303:1301,c02b:0,a,b:17:18,0:host:",
        "303:1301,c02b:0,a,b:17,18:0:host:q",      "303:1301,c02b:0,a,b:17,18:0:host,q:",
        "303:1301,c02b:0,a,b:17,18:0:hos,t:",      "303:1301,c02b:0,a,b:17,18:0::host",
        "302:1301,c02b:0,a,b:17,18:0:host:",       "303:1301,2a2a,c02b:0,a,b:17,18:0:host:",
        "303:1301,c02b:0,a,b:17,18:0:host,x-bad:", "303:1301,c02b:0,a,b:17:0:host:",
        "303:1301,c02b:0,a,b:17,18:0,1:host:",     "303:1301,c02b:0,a,b:17,18:0:hos,th:",
        "303:1301,c02b:0,a,b:17,18:0:host,h:",     "303:1301,c02b:0,a,b:17,18:0:ho,sth:",
    };
    struct fixture f = start(4096);
    struct database *db = make_set(1);
    struct asked asked;

    (void)state;
    assert_true(verdict_table_publish(f.table, db));
    for (size_t i = 0; i < COUNT_OF(different); i++) {
        ask(&asked, "1:72:1:2:10:1:", different[i]);
        assert_false(look(f.reader, db, &asked.question));
        assert_true(look(f.reader, db, &asked.question));
    }
    asked.question.raw_ua = SPAN_LITERAL("Mozilla/5.0 GSA/1");
    assert_false(look(f.reader, db, &asked.question));
    asked.question.raw_ua = SPAN_LITERAL("Mozilla/5.0 Dragon/1");
    assert_false(look(f.reader, db, &asked.question));
    asked.question.raw_ua = SPAN_LITERAL("Another text with Dragon/1");
    assert_true(look(f.reader, db, &asked.question));
    asked.question.today = 20000; /* nothing is outdated in this set */
    assert_true(look(f.reader, db, &asked.question));
    /* Another GREASE in another place. */
    ask(&asked, "1:72:1:2:10:1:", "303:fafa,1301,c02b:0,a,b,1a1a:17,18:0:host:");
    assert_true(look(f.reader, db, &asked.question));
    end(&f);
}

/* A browser that permutes its extensions has one entry, unless a product is known by their order.
 */
static void test_permuted(void **state)
{
    static const char *const orders[] = {"0,a,b,d", "d,b,a,0", "a,d,0,b", "b,0,d,a"};
    static const char *const wrong[] = {"d,b,a", "b,d,a", "a,b,d"};
    struct fixture f = start(64);
    struct database *db = make_set(1);
    struct asked asked;
    char text[128];

    (void)state;
    assert_true(verdict_table_publish(f.table, db));
    for (size_t i = 0; i < COUNT_OF(orders); i++) {
        snprintf(text, sizeof(text), "303:1301,c02b,2f:%s:17,18:0:host:", orders[i]);
        ask(&asked, "1:120:1:2:10:1:", text);
        assert_true(look(f.reader, db, &asked.question) == (i > 0));
        ask(&asked, "1:72:1:2:10:1:", text); /* too old for it */
        assert_false(look(f.reader, db, &asked.question));
    }
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        snprintf(text, sizeof(text), "303:1301,2f:%s:17:0::", wrong[i]);
        ask(&asked, "1:120:1:2:10:1:", text);
        assert_false(look(f.reader, db, &asked.question));
        assert_true(look(f.reader, db, &asked.question));
    }
    end(&f);
}

static struct database *make_plain(enum detect_mode mode)
{
    struct database_options options = {
        .mode = mode,
        .browsers = {SPAN_LITERAL(
                         "1:70-75:1:2:10:1:|303:1301,c02b:0,a,b:17,18:0:*:~?grease|:0:0\n"
                         "1:106-:1:2:10:1:|303:1301,c02b:*0,a,b:17,18:0:*:~?grease|:0:0\n"),
                     "b"},
        .products = {SPAN_LITERAL("0::0:0::0:|303:1301,2f:b,a,0:17:0::|ordered:2:1\n"
                                  "0::0:0::0:|303:1301,c02b:*d,a:17:0:*:|any:2:1\n"),
                     "p"}};
    struct record_faults faults;
    struct database *db = database_new(&options, &faults);

    assert_non_null(db);
    return db;
}

/* Of who may permute, what does not depend on the order is asked once, in any order. */
static void test_any_order(void **state)
{
    static const struct {
        const char *ua;
        const char *before, *behind; /* the extensions of a request */
        bool is_any_order[2];        /* default, compatible */
    } rows[] = {
        {"0::0:0::0:", "303:1301,c02b:", ":17:0::", {true, true}}, /* nothing is said: a tunnel */
        /* These two do not permute. */
        {"4:120:1:2:10:1:", "303:1301,c02b:", ":17:0:host:", {false, false}},
        {"1:90:1:2:10:1:", "303:1301,c02b:", ":17:0:host:", {false, false}},
        {"1:120:1:2:10:1:", "303:1301,c02b:", ":17:0:host:", {true, true}}, /* any order */
        {"1:120:1:2:10:1:", "303:c02b:", ":17,18:0:host:", {true, true}},   /* it, not matched */
        {"1:72:1:2:10:1:", "303:1301,c02b:", ":17,18:0:host:", {false, false}},
        {"0::0:0::0:", "303:1301,2f:", ":17:0::", {false, true}}, /* a product's own order */
        {"0::0:0::0:", "303:1301,2f:", ":18:0::", {true, true}}, /* not that product in any order */
    };
    static const char *const orders[] = {"0,a,b", "b,a,0", "a,1a1a,0,b", "fafa,a,b,0",
                                         "b,0,3a3a,a"};
    struct asked asked;
    char text[128];

    (void)state;
    for (int mode = DETECT_DEFAULT; mode <= DETECT_COMPATIBLE; mode++) {
        struct fixture f = start(256);
        struct database *db = make_plain((enum detect_mode)mode);

        assert_true(verdict_table_publish(f.table, db));
        for (size_t i = 0; i < COUNT_OF(rows); i++) {
            uint64_t misses = f.reader->counts.misses;
            bool is_any_order = rows[i].is_any_order[mode == DETECT_COMPATIBLE];

            for (size_t k = 0; k < COUNT_OF(orders) * 2; k++) {
                snprintf(text, sizeof(text), "%s%s%s", rows[i].before, orders[k % COUNT_OF(orders)],
                         rows[i].behind);
                ask(&asked, rows[i].ua, text);
                (void)look(f.reader, db, &asked.question);
            }
            /* One without GREASE, one with it. Each that is known in its order is asked once. */
            assert_int_equal(f.reader->counts.misses - misses, is_any_order ? 2 : COUNT_OF(orders));
        }
        assert_int_equal(f.reader->counts.misses, f.reader->counts.stored);
        end(&f);
    }
}

static void test_collisions(void **state)
{
    struct fixture f = start(64);
    struct asked asked[ASKED_COUNT];
    struct database *db = make_set(1);

    (void)state;
    is_hash_forced = true;
    assert_true(verdict_table_publish(f.table, db));
    ask_all(asked);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < ASKED_COUNT; i++) {
            assert_true(look(f.reader, db, &asked[i].question) == (round > 0));
        }
    }
    /* A fifth in a bucket of four takes the place of one. */
    ask(&asked[0], "1:72:1:2:10:1:", "303:1301:0:17:0::");
    assert_false(look(f.reader, db, &asked[0].question));
    assert_true(look(f.reader, db, &asked[0].question));
    assert_int_equal(verdict_table_figures(f.table).entry_count, WAY_COUNT);
    assert_int_equal(f.reader->counts.evicted, 1);
    is_hash_forced = false;
    end(&f);
}

/* Where all of a bucket were used, the hand goes on; it does not stay at the first. */
static void test_hand(void **state)
{
    static const char *const requests[] = {
        "303:1:0:17:0::", "303:2:0:17:0::", "303:3:0:17:0::",
        "303:4:0:17:0::", "303:5:0:17:0::", "303:6:0:17:0::",
    };
    struct fixture f = start(WAY_COUNT);
    struct database *db = make_set(1);
    struct asked asked;

    (void)state;
    assert_true(verdict_table_publish(f.table, db));
    for (size_t i = 0; i < COUNT_OF(requests); i++) {
        ask(&asked, "1:72:1:2:10:1:", requests[i]);
        assert_false(look(f.reader, db, &asked.question));
    }
    for (size_t i = 2; i < COUNT_OF(requests); i++) {
        ask(&asked, "1:72:1:2:10:1:", requests[i]);
        assert_true(look(f.reader, db, &asked.question));
    }
    end(&f);
}

/* Where records grow old, the day is part of the question. */
static void test_days(void **state)
{
    struct database_options options = {
        .mode = DETECT_DEFAULT,
        .browsers = {SPAN_LITERAL("1:70-75:1:2:10:1:|303:1301:0:17:0:*:|:0:0|2019-06-01\n"), "b"},
        .age_max_days = 365};
    struct fixture f = start(16);
    struct record_faults faults;
    struct database *db = database_new(&options, &faults);
    struct verdict_report report;
    struct asked asked;

    (void)state;
    assert_non_null(db);
    assert_true(verdict_table_publish(f.table, db));
    ask(&asked, "1:72:1:2:10:1:", "303:1302:0:17:0::");
    assert_true(record_day_parse(&asked.question.today, SPAN_LITERAL("2019-07-01")));
    assert_false(look(f.reader, db, &asked.question));
    assert_true(look(f.reader, db, &asked.question));
    assert_true(record_day_parse(&asked.question.today, SPAN_LITERAL("2026-11-21")));
    assert_true(verdict_lookup(f.reader, &asked.question, &report));
    assert_int_equal(report.verdict, VERDICT_OUTDATED);
    assert_true(look(f.reader, db, &asked.question));
    end(&f);
}

/* A set that is published during a check: its verdict is of the old one, and is not remembered. */
static void test_published_in_check(void **state)
{
    struct fixture f = start(16);
    struct asked asked[ASKED_COUNT];
    struct verdict_report report;

    (void)state;
    ask_all(asked);
    publish(f.table, 1);
    published_in_check = make_set(2);
    publishing_table = f.table;
    assert_true(verdict_lookup(f.reader, &asked[2].question, &report));
    assert_null(published_in_check);
    assert_true(report.serial == 1 && is_of_set(&report, 2));
    assert_int_equal(f.reader->counts.stored, 0);
    assert_int_equal(verdict_table_figures(f.table).entry_count, 0);
    assert_int_equal(freed_sets, 0);
    assert_true(verdict_lookup(f.reader, &asked[2].question, &report));
    assert_true(report.serial == 2 && is_of_set(&report, 2));
    assert_int_equal(verdict_table_sweep(f.table), 0);
    assert_int_equal(freed_sets, 1);
    end(&f);
}

/* An entry of an older set that comes late, past that test, displaces none of a newer one. */
static void test_late(void **state)
{
    struct fixture f = start(WAY_COUNT);
    struct asked asked[ASKED_COUNT];
    struct verdict_report report;
    struct verdict_reader *other = verdict_reader_new(f.table);
    struct signature_set old = {.serial = 1};
    struct set_use late_use = {&old, &old};
    struct database *db = make_set(1);
    struct entry *late;

    (void)state;
    ask_all(asked);
    ask(&asked[3], "1:73:1:2:10:1:", "303:1301,c02b,2f:0,a,b:17,18:0:host:"); /* sets differ */
    old.digest = database_digest(db);
    assert_true(verdict_table_publish(f.table, db));
    pin(other); /* keeps the first */
    publish(f.table, 2);
    for (size_t i = 0; i < ASKED_COUNT; i++) {
        assert_true(verdict_lookup(f.reader, &asked[i].question, &report));
    }
    assert_int_equal(f.reader->counts.stored, WAY_COUNT);
    late = make_entry(f.reader, &late_use, find_part(f.reader, &asked[2].ua), &report);
    assert_non_null(late);
    pin(f.reader);
    assert_false(place(f.reader, &late_use, late));
    sweep_slots(f.reader, &late_use);
    unpin(f.reader);
    free_entry(f.table, late);
    assert_int_equal(verdict_table_figures(f.table).entry_count, WAY_COUNT);
    unpin(other);
    verdict_reader_free(other);
    end(&f);
}

static void test_new_set(void **state)
{
    struct fixture f = start(4096);
    struct asked asked[ASKED_COUNT];
    struct verdict_report report;

    (void)state;
    ask_all(asked);
    for (uint64_t number = 1; number <= 8; number++) {
        publish(f.table, number);
        assert_int_equal(verdict_table_figures(f.table).serial, number);
        for (size_t i = 0; i < 2 * ASKED_COUNT; i++) {
            assert_true(verdict_lookup(f.reader, &asked[i / 2].question, &report));
            assert_int_equal(report.serial, number);
            assert_true(is_of_set(&report, i / 2));
        }
        /* Nobody is in, so the old one is gone at once. */
        assert_int_equal(freed_sets, number - 1);
        /* The last question's answer is the same in all of them, and known to be; those of the
         * first two are what they were two sets before; the publisher asked for the others. */
        assert_int_equal(f.reader->counts.misses, ASKED_COUNT);
        assert_int_equal(verdict_table_figures(f.table).renewed,
                         number > 1 ? ASKED_COUNT - 3 + number : 0);
    }
    end(&f);
    assert_int_equal(freed_sets, 8);
}

/* A set with the same lines is not another one. */
static void test_same_set(void **state)
{
    struct fixture f = start(16);
    struct asked asked[ASKED_COUNT];
    struct verdict_report report;

    (void)state;
    ask_all(asked);
    for (int i = 0; i < 3; i++) {
        publish(f.table, 1);
        assert_int_equal(freed_sets, i);
        assert_true(verdict_lookup(f.reader, &asked[2].question, &report));
        assert_int_equal(report.serial, 1);
    }
    assert_int_equal(f.reader->counts.hits, 2);
    publish(f.table, 2);
    assert_int_equal(verdict_table_figures(f.table).serial, 2);
    end(&f);
}

static void look_numbered(struct fixture *f, const struct database *db, unsigned number,
                          unsigned header_len)
{
    static char text[VERDICT_KEY_MAX * 2];
    struct asked asked;

    snprintf(text, sizeof(text), "303:1301,%x:0,a:17:0:%0*d:", number, (int)header_len, 0);
    ask(&asked, "1:72:1:2:10:1:", text);
    (void)look(f->reader, db, &asked.question);
}

static void test_bounds(void **state)
{
    struct fixture f = start(16);
    struct database *db = make_set(1);
    struct verdict_figures figures;

    (void)state;
    assert_true(verdict_table_publish(f.table, db));
    for (unsigned i = 0; i < 2000; i++) {
        look_numbered(&f, db, i, i % 3 ? 8 : 3000);
        figures = verdict_table_figures(f.table);
        assert_true(figures.entry_count <= 16);
        assert_true(figures.bytes <= figures.bytes_max);
        assert_true(f.reader->retired_count <= VERDICT_RETIRED_MAX);
    }
    assert_int_equal(figures.bytes_max, 16 * VERDICT_ENTRY_MEAN_LEN);
    assert_true(f.reader->counts.stored > 1000);
    assert_int_equal(f.reader->counts.stored - f.reader->counts.evicted, figures.entry_count);
    /* Too long to be remembered. */
    look_numbered(&f, db, 1, VERDICT_KEY_MAX);
    look_numbered(&f, db, 1, VERDICT_KEY_MAX);
    assert_int_equal(f.reader->counts.misses, 2002);
    end(&f);
}

static void test_used_stay(void **state)
{
    struct fixture f = start(4);
    struct database *db = make_set(1);
    struct asked asked;
    unsigned hits = 0;

    (void)state;
    assert_true(verdict_table_publish(f.table, db));
    ask(&asked, "1:72:1:2:10:1:", "303:1301,c02b:0,a,b:17,18:0:host:");
    for (unsigned i = 0; i < 300; i++) {
        hits += look(f.reader, db, &asked.question);
        look_numbered(&f, db, i, 4);
    }
    assert_true(hits > 200);
    end(&f);
}

static void test_no_memory(void **state)
{
    struct fixture f = start(16);
    struct database *db = make_set(1);
    struct asked asked;

    (void)state;
    failing_allocation = 1;
    for (allocation_count = 0; failing_allocation <= 2; failing_allocation++) {
        allocation_count = 0;
        assert_null(verdict_table_new(16));
    }
    failing_allocation = 1;
    allocation_count = 0;
    assert_null(verdict_reader_new(f.table));
    allocation_count = 0;
    assert_false(verdict_table_publish(f.table, db));
    assert_int_equal(verdict_table_figures(f.table).serial, 0);
    failing_allocation = 0;
    assert_true(verdict_table_publish(f.table, db));
    ask(&asked, "1:72:1:2:10:1:", "303:1301,c02b:0,a,b:17,18:0:host:");
    failing_allocation = 1;
    allocation_count = 0;
    assert_false(look(f.reader, db, &asked.question)); /* checked, not remembered */
    assert_int_equal(verdict_table_figures(f.table).bytes, 0);
    failing_allocation = 0;
    assert_false(look(f.reader, db, &asked.question));
    assert_true(look(f.reader, db, &asked.question));
    end(&f);
}

static void test_many_readers(void **state)
{
    struct fixture f = start(16);
    struct verdict_reader *readers[VERDICT_READERS_MAX - 1];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(readers); i++) {
        readers[i] = verdict_reader_new(f.table);
        assert_non_null(readers[i]);
    }
    assert_null(verdict_reader_new(f.table));
    verdict_reader_free(readers[3]);
    readers[3] = verdict_reader_new(f.table);
    assert_non_null(readers[3]);
    for (size_t i = 0; i < COUNT_OF(readers); i++) {
        verdict_reader_free(readers[i]);
    }
    end(&f);
}

/* A reader stopped where it may hold anything: what it may hold stays, and the rest is bounded. */
static void test_stopped(void **state)
{
    struct fixture f = start(256);
    struct verdict_reader *other = verdict_reader_new(f.table);
    struct database *db = make_set(1);
    struct database *refused = make_set(2);
    size_t bytes;

    (void)state;
    assert_non_null(other);
    assert_true(verdict_table_publish(f.table, db));
    pin(other);
    for (unsigned i = 0; i < 1000; i++) {
        look_numbered(&f, db, i, 8);
    }
    assert_int_equal(f.reader->retired_count, VERDICT_RETIRED_MAX);
    for (unsigned i = 0; i < VERDICT_WAITING_MAX; i++) {
        publish(f.table, i);
    }
    assert_false(verdict_table_publish(f.table, refused));
    assert_int_equal(freed_sets, 0);
    assert_int_equal(verdict_table_sweep(f.table), VERDICT_WAITING_MAX);
    bytes = verdict_table_figures(f.table).bytes;
    verdict_reader_free(f.reader); /* with entries that the other may still read */
    assert_int_equal(verdict_table_figures(f.table).bytes, bytes);
    unpin(other);
    assert_int_equal(verdict_table_sweep(f.table), 0);
    assert_true(verdict_table_figures(f.table).bytes < bytes);
    assert_int_equal(freed_sets, VERDICT_WAITING_MAX);
    assert_true(verdict_table_publish(f.table, refused));
    f.reader = other;
    end(&f);
    assert_int_equal(freed_sets, VERDICT_WAITING_MAX + 2);
}

static void *sleep_in_check(void *state)
{
    struct fixture *f = state;
    struct asked asked[ASKED_COUNT];
    static struct verdict_report report;

    ask_all(asked);
    sleeps_in_check = true;
    return verdict_lookup(f->reader, &asked[2].question, &report) ? &report : NULL;
}

/* A reader that sleeps in a check keeps its own set and no other, and its verdict is of that. */
static void test_sleeper(void **state)
{
    struct fixture f = start(16);
    struct verdict_reader *other = verdict_reader_new(f.table);
    struct asked asked[ASKED_COUNT];
    struct verdict_report *slept;
    struct verdict_report report;
    pthread_t thread;
    void *result;

    (void)state;
    assert_non_null(other);
    ask_all(asked);
    publish(f.table, 1);
    atomic_store(&is_sleeping, false);
    pthread_mutex_lock(&gate);
    assert_int_equal(pthread_create(&thread, NULL, sleep_in_check, &f), 0);
    while (!atomic_load(&is_sleeping)) {
        nanosleep(&(struct timespec){0, 100000}, NULL);
    }
    for (uint64_t number = 2; number <= 1000; number++) {
        publish(f.table, number);
        assert_true(verdict_lookup(other, &asked[2].question, &report));
        assert_true(is_of_set(&report, 2) && report.serial == number);
        assert_int_equal(verdict_table_figures(f.table).sets_waiting, 1);
    }
    assert_int_equal(freed_sets, 998);
    pthread_mutex_unlock(&gate);
    pthread_join(thread, &result);
    slept = result;
    assert_non_null(slept);
    assert_int_equal(slept->serial, 1);
    assert_true(is_of_set(slept, 2));
    assert_int_equal(f.reader->counts.stored, 0);
    assert_int_equal(verdict_table_sweep(f.table), 0);
    assert_int_equal(freed_sets, 999);
    verdict_reader_free(other);
    end(&f);
}

/* ---- many threads ---- */

struct race {
    struct verdict_table *table;
    atomic_bool is_over;
    atomic_uint faults;
    atomic_ulong lookups;
    atomic_ulong hits;
};

/* Asks the four questions and, so that entries are replaced all the time, some more. */
static void *read_on(void *state)
{
    struct race *race = state;
    struct verdict_reader *reader = verdict_reader_new(race->table);
    struct asked asked[ASKED_COUNT];
    struct verdict_report report;
    uint64_t serial = 0;
    size_t turn = 0;

    ask_all(asked);
    while (reader && !atomic_load(&race->is_over)) {
        size_t index = turn++ % ASKED_COUNT;
        /* Another version makes it another question with the same answer. */
        asked[2].ua.browser_version.minor = (int64_t)(turn / 64 % 512);
        if (!verdict_lookup(reader, &asked[index].question, &report) || report.serial < serial ||
            !is_of_set(&report, index)) {
            atomic_fetch_add(&race->faults, 1);
        }
        serial = report.serial;
    }
    if (reader) {
        atomic_fetch_add(&race->lookups, turn);
        atomic_fetch_add(&race->hits, reader->counts.hits);
    } else {
        atomic_fetch_add(&race->faults, 1);
    }
    verdict_reader_free(reader);
    return NULL;
}

static void test_race(void **state)
{
    enum { READER_COUNT = 4, PUBLISH_COUNT = 1000 };
    struct race race = {.table = verdict_table_new(64)};
    pthread_t threads[READER_COUNT];
    struct verdict_figures figures;

    (void)state;
    assert_non_null(race.table);
    atomic_store(&freed_sets, 0);
    publish(race.table, 1);
    for (size_t i = 0; i < READER_COUNT; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, &race), 0);
    }
    for (uint64_t number = 2; number <= PUBLISH_COUNT; number++) {
        struct database *db = make_set(number);
        while (!verdict_table_publish(race.table, db)) {
            sched_yield();
        }
        figures = verdict_table_figures(race.table);
        if (figures.sets_waiting > VERDICT_WAITING_MAX || figures.entry_count > 64) {
            atomic_fetch_add(&race.faults, 1);
        }
        nanosleep(&(struct timespec){0, 200000}, NULL);
    }
    atomic_store(&race.is_over, true);
    for (size_t i = 0; i < READER_COUNT; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(race.faults, 0);
    assert_true(race.hits > 0 && race.hits < race.lookups);
    assert_true(figures.renewed > PUBLISH_COUNT / 2);
    print_message("%lu lookups, %lu hits, %lu renewed\n", race.lookups, race.hits,
                  (unsigned long)figures.renewed);
    assert_int_equal(verdict_table_sweep(race.table), 0);
    assert_int_equal(freed_sets, PUBLISH_COUNT - 1);
    verdict_table_free(race.table);
    assert_int_equal(freed_sets, PUBLISH_COUNT);
}

/* ---- the reference questions ---- */

struct golden_look {
    struct fixture f;
    const struct database *db;
    unsigned parsed;
    unsigned hits;
    unsigned turned_hits; /* in another order */
};

/* Another order: the last ones come first. */
static void turn(struct number_list *list, size_t count)
{
    uint16_t turned[FINGERPRINT_LIST_MAX];

    for (size_t i = 0; i < list->count; i++) {
        turned[(i + count) % list->count] = list->items[i];
    }
    memcpy(list->items, turned, list->count * sizeof(turned[0]));
}

static void look_line(const struct json *line, void *state)
{
    static struct asked asked;
    static uint8_t raw[RAW_MAX];
    struct golden_look *golden = state;
    struct detect_fault fault;
    const struct json *text = json_get(line, "raw_ua");

    if (!ua_fingerprint_parse(&asked.ua, json_text(line, "ua_fingerprint"), &fault) ||
        !request_fingerprint_parse(&asked.request, json_text(line, "request_fingerprint"),
                                   &fault)) {
        return;
    }
    asked.question = (struct detect_question){&asked.ua, {NULL, 0}, &asked.request, 0, false};
    if (text->type == JSON_STRING && text->string.len <= RAW_MAX) {
        memcpy(raw, text->string.data, text->string.len);
        asked.question.raw_ua = span_make(raw, text->string.len);
    }
    golden->parsed++;
    (void)look(golden->f.reader, golden->db, &asked.question);
    golden->hits += look(golden->f.reader, golden->db, &asked.question);
    turn(&asked.request.extensions, golden->parsed);
    golden->turned_hits += look(golden->f.reader, golden->db, &asked.question);
}

/* Everything that the table says is what the check says, first and second time and with another
 * order of extensions, in both modes. */
static void test_golden(void **state)
{
    (void)state;
    for (int mode = DETECT_DEFAULT; mode <= DETECT_COMPATIBLE; mode++) {
        struct database *db = kit_load("mitmengine/browser.txt", "mitmengine/mitm.txt",
                                       "mitmengine/badheader.txt", (enum detect_mode)mode);
        struct golden_look golden = {.db = db};
        if (!db) {
            skip();
        }
        golden.f = start(1024);
        assert_true(verdict_table_publish(golden.f.table, db));
        assert_int_equal(json_each("mitmengine/check_golden.jsonl", look_line, &golden), 7809);
        /* A few hundred bytes each; those that did not fit are checked again. */
        assert_true(golden.hits > golden.parsed * 9 / 10);
        assert_true(golden.turned_hits > golden.parsed / 10);
        print_message("%u questions, %u remembered, %u of them in another order, %u in all\n",
                      golden.parsed, golden.hits, golden.turned_hits,
                      (unsigned)golden.f.reader->counts.hits);
        end(&golden.f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agrees),       cmocka_unit_test(test_keys),
        cmocka_unit_test(test_permuted),     cmocka_unit_test(test_collisions),
        cmocka_unit_test(test_new_set),      cmocka_unit_test(test_hand),
        cmocka_unit_test(test_days),         cmocka_unit_test(test_published_in_check),
        cmocka_unit_test(test_late),         cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_used_stay),    cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_many_readers), cmocka_unit_test(test_stopped),
        cmocka_unit_test(test_sleeper),      cmocka_unit_test(test_race),
        cmocka_unit_test(test_same_set),     cmocka_unit_test(test_golden),
        cmocka_unit_test(test_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
