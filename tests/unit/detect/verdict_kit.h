/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of the table of verdicts: numbered sets, and questions whose answers tell which. */
#ifndef WEIR_TESTS_UNIT_DETECT_VERDICT_KIT_H
#define WEIR_TESTS_UNIT_DETECT_VERDICT_KIT_H

#include "detect/verdict_table.h"
#include "tests/unit/detect/database_kit.h"

enum { NAME_MAX_LEN = 32, ASKED_COUNT = 4 };

struct fixture {
    struct verdict_table *table;
    struct verdict_reader *reader;
};

static inline struct fixture begin(size_t cap)
{
    struct fixture f = {verdict_table_new(cap), NULL};

    assert_non_null(f.table);
    f.reader = verdict_reader_new(f.table);
    assert_non_null(f.reader);
    return f;
}

static inline void end(struct fixture *f)
{
    verdict_reader_free(f->reader);
    verdict_table_free(f->table);
}

/* Digits are taken out of names, so the number is in letters. */
static inline const char *set_name(uint64_t number, char *name)
{
    size_t len = 0;

    name[len++] = 'z';
    name[len++] = 'q';
    do {
        name[len++] = (char)('a' + number % 10);
        number /= 10;
    } while (number);
    name[len] = '\0';
    return name;
}

/* The number tells in the product's name and in which request is genuine. */
static inline struct database *make_set(uint64_t number)
{
    char browsers[512];
    char products[256];
    char name[NAME_MAX_LEN];
    struct database_options options = {.mode = DETECT_DEFAULT,
                                       .bad_headers = {SPAN_LITERAL("x-bad\n"), "h"}};
    struct record_faults faults;
    struct database *db;

    snprintf(browsers, sizeof(browsers),
             "1:70-75:1:2:10:1:|303:1301,c02b%s:0,a,b:17,18:0:*:~?grease|:0:0\n"
             "1:110-:1:2:10:1:|303:1301,c02b,2f:0,a,b,d:17,18:0:*:~?grease|:0:0\n",
             number % 2 ? "" : ",2f");
    snprintf(products, sizeof(products),
             "0::0:0::0:|301:2f,5:0,a:17:0::|%s:1:3\n"
             "0::0:0::0:|303:1301,2f:d,b,a:17:0::|ordered:2:1\n",
             set_name(number, name));
    options.browsers = (struct database_source){span_from_string(browsers), "b"};
    options.products = (struct database_source){span_from_string(products), "p"};
    db = database_new(&options, &faults);
    assert_non_null(db);
    assert_int_equal(faults.count, 0);
    return db;
}

static inline void publish(struct verdict_table *table, uint64_t number)
{
    assert_true(verdict_table_publish(table, make_set(number)));
}

struct asked {
    struct ua_fingerprint ua;
    struct request_fingerprint request;
    struct detect_question question;
};

static inline void ask(struct asked *asked, const char *ua, const char *request)
{
    struct detect_fault fault;

    assert_true(ua_fingerprint_parse(&asked->ua, span_from_string(ua), &fault));
    assert_true(request_fingerprint_parse(&asked->request, span_from_string(request), &fault));
    asked->question = (struct detect_question){&asked->ua, {NULL, 0}, &asked->request, 0, false};
}

static inline void ask_all(struct asked *asked)
{
    ask(&asked[0], "1:72:1:2:10:1:", "303:1301,c02b,2f:0,a,b:17,18:0:host:");
    ask(&asked[1], "1:72:1:2:10:1:", "303:1301,c02b:0,a,b:17,18:0:host:");
    ask(&asked[2], "1:72:1:2:10:1:", "301:2f,5:0,a:17:0::");
    ask(&asked[3], "1:120:1:2:10:1:", "303:1301,c02b,2f:b,0,d,a:17,18:0:host:");
}

/* Is this the report of set `serial`, whose number is the same, on question `index`? */
static inline bool is_of_set(const struct verdict_report *report, size_t index)
{
    char name[NAME_MAX_LEN];
    bool is_even = report->serial % 2 == 0;

    if (index == 3) {
        return report->verdict == VERDICT_GENUINE && !report->has_product;
    }
    if (index == 2) {
        set_name(report->serial, name);
        return report->verdict == VERDICT_INTERCEPTED && report->product_type == 1 &&
               span_equal(span_make(report->product, report->product_len), span_from_string(name));
    }
    return (report->verdict == VERDICT_GENUINE) == (is_even == (index == 0));
}

#endif
