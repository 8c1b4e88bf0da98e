/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verdicts that outlive the set that they were made from: sets that differ from the one before in
 * one line, and what is remembered of all of them against a check of the current one.
 */
#include "detect/verdict_table.h"
#include "tests/unit/detect/database_kit.h"

enum { LINES_MAX = 32, LINE_TEXT_MAX = 4096, MUTATION_COUNT = 2000, MUTANTS_ASKED = 96 };

/* What a set is made of: each of the lines is in it or not, in an order. */
struct lines {
    const char *const *texts;
    size_t count;
    uint8_t order[LINES_MAX];
    bool is_out[LINES_MAX];
};

struct mutant {
    struct lines browsers, products, bad_headers;
    int32_t age_max_days;
};

static const char *const mutant_browsers[] = {
    "1:70:1:2:10:1:|303:1301,c02b:0,a,b:17,18:0:*:~?grease|:0:0",
    "1:71:1:2:10:1:|303:1301,c02b:0,a,b:17,18:0:*:~?grease|:0:0",
    "1:70-72:1:2:10:1:|303:1301,c02b,2f:0,a,b:17,18:0:*:~?grease|:0:0",
    "1:72-330:1:2:10:1:|303:1301,2f:0,a,b:17,18:0:*:|:0:0",
    "1:60-:1:2:10:1:|302:~?1301,?c02b,?2f:0,a,b:17,18:0:*:|:0:0",
    "1::1:2::0:|303:1301:~0,?a,?b:17:0:*:|:0:0",
    "0::1:2::0:|303:1301,5:0,a,b:*:0:*:|:0:0",
    "1:110-:1:2:10:1:|303:1301,c02b,2f:0,a,b,d:17,18:0:*:~?grease|:0:0",
    "4:70:1:2:10:1:|303:1301,c02b:0,a,b:17,18:0:*:|:0:0",
    /* Two that contradict some requests as much, each in another field: the first one counts. */
    "4:70:1:2:10:1:|303:1302,2f:0,a,b:17,18:0:*:|:0:0",
    "0::0:0::0:|303:1301,c02b:0,a,b:1d,1e:0:*:|:0:0",
    "4:80-82:1:2:10:1:|303:1301,c02b:0,a,b:17,18:0:~host,?via:|:0:0",
    "4:82:1:2:10:1:gsa|303:1301:0,a,b:17,18:0:~?host,?via:|:0:0",
    "4:82:2:3:10:1:|303:1301,c02b:0,a,b:17,18:0:~host,?via:|:0:0|2019-06-01",
    "4:82:2:3:10:1:|303:2f,c02b:0,a,b:17,18:0:~host:|:0:0|2025-06-01",
};

static const char *const mutant_products[] = {
    "0::0:0::0:|303:1301,c02b:0,a,b:17,18:0::|one:1:3",
    "1::0:0::0:|303:1301,c02b:0,a,b:17,18:0::|two:2:1",
    "0::0:0::0:|303:1301,2f:*:*:*:*:*|three:1:2",
    "0::0:0::0:|:*:*:*:*:*via:*|four:5:0",
    "4::0:0::0:|:*:*:*:*:*x-a,via:*|five:5:0",
    "0::0:0::0:|:~5,?1301:*:*:*:*:*|six:3:4",
    "0::0:0::0:|:*:*:*:*:*:*badhdr|seven:3:4",
};

static const char *const mutant_bad_headers[] = {"via", "x-a", "host"};

static struct lines make_lines(const char *const *texts, size_t count)
{
    struct lines lines = {.texts = texts, .count = count};

    assert_true(count <= LINES_MAX);
    for (size_t i = 0; i < count; i++) {
        lines.order[i] = (uint8_t)i;
    }
    return lines;
}

static struct span print_lines(const struct lines *lines, char room[LINE_TEXT_MAX])
{
    struct text text = text_make(room, LINE_TEXT_MAX);

    for (size_t i = 0; i < lines->count; i++) {
        if (!lines->is_out[lines->order[i]]) {
            text_printf(&text, "%s\n", lines->texts[lines->order[i]]);
        }
    }
    assert_false(text.overflow);
    return text_view(&text);
}

static struct database *make_mutant(const struct mutant *mutant)
{
    static char browsers[LINE_TEXT_MAX], products[LINE_TEXT_MAX], bad_headers[LINE_TEXT_MAX];
    struct database_options options = {
        .mode = DETECT_DEFAULT,
        .browsers = {print_lines(&mutant->browsers, browsers), "b"},
        .products = {print_lines(&mutant->products, products), "p"},
        .bad_headers = {print_lines(&mutant->bad_headers, bad_headers), "h"},
        .age_max_days = mutant->age_max_days,
    };
    struct record_faults faults;
    struct database *db = database_new(&options, &faults);

    assert_non_null(db);
    assert_int_equal(faults.count, 0);
    return db;
}

/* The same numbers in each run: xorshift. */
static unsigned draw(void)
{
    static uint32_t state = 4711;

    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state >> 8;
}

static void mutate_lines(struct lines *lines)
{
    size_t at = draw() % lines->count;
    size_t other = draw() % lines->count;
    uint8_t moved = lines->order[at];

    if (draw() % 3) {
        lines->is_out[at] = !lines->is_out[at];
    } else {
        lines->order[at] = lines->order[other];
        lines->order[other] = moved;
    }
}

static void mutate(struct mutant *mutant)
{
    unsigned which = draw() % 16;

    if (which == 0) {
        mutant->age_max_days = mutant->age_max_days ? 0 : 400;
    } else if (which < 3) {
        mutate_lines(&mutant->bad_headers);
    } else if (which < 8) {
        mutate_lines(&mutant->products);
    } else {
        mutate_lines(&mutant->browsers);
    }
}

struct asked {
    struct ua_fingerprint ua;
    struct request_fingerprint request;
    struct detect_question question;
};

static void ask(struct asked *asked, const char *ua, const char *request)
{
    struct detect_fault fault;

    assert_true(ua_fingerprint_parse(&asked->ua, span_from_string(ua), &fault));
    assert_true(request_fingerprint_parse(&asked->request, span_from_string(request), &fault));
    asked->question = (struct detect_question){&asked->ua, {NULL, 0}, &asked->request, 0, false};
}

static void ask_of_mutants(struct asked asked[MUTANTS_ASKED])
{
    static const char *const uas[] = {
        "1:70:1:2:10:1:", "1:71.3:1:2:10:1:", "1:326:1:2:10:1:", "1:120:1:2:10:1:",
        "4:70:1:2:10:1:", "4:82:1:2:10:1:",   "4:82:2:3:10:1:",  "3::1:2:10:1:",
    };
    static const char *const requests[] = {
        "303:1301,c02b:0,a,b:17,18:0:host:",      "303:1301,c02b:0,a,b:17,18:0:host,via:",
        "303:2a2a,1301,c02b:0,a,b:17,18:0:host:", "303:1301,2f:0,a,b:17,18:0:host,x-a,via:",
        "303:1301,c02b,2f:b,0,d,a:17,18:0:host:", "302:5,1301:0,a:17:0:host:",
        "303:1301,c02b,2f:b,a,d,0:17,18:0:x-a:",  "303:1301:0,a,b:17,18:0:host:",
        "303:c02b,1301:0,a,b:17,18:0:host,x-a:",  "303:1301,5:0,a,b:17:0:host:",
        "303:2f,c02b:0,a,b:17,18:0:host:",        "303:1301,c02b,2f:0,a,b:17,18:0::",
    };
    size_t count = 0;

    for (size_t i = 0; i < COUNT_OF(uas); i++) {
        for (size_t k = 0; k < COUNT_OF(requests); k++) {
            ask(&asked[count], uas[i], requests[k]);
            asked[count].question.raw_ua =
                i == 5 && k % 2 ? SPAN_LITERAL("GSA/1") : SPAN_LITERAL("Mozilla/5.0");
            asked[count].question.today = 20500;
            count++;
        }
    }
    assert_int_equal(count, MUTANTS_ASKED);
}

/* What the table says must be what the check says. Was it remembered? */
static bool look(struct verdict_reader *reader, const struct detect_report *full,
                 const struct detect_question *question)
{
    uint64_t hits = verdict_reader_counts(reader)->hits;
    struct span names = detect_product_names(full);
    struct verdict_report got;

    assert_true(verdict_lookup(reader, question, &got));
    assert_int_equal(got.error, full->error);
    assert_int_equal(got.verdict, full->verdict);
    assert_int_equal(got.unknown, full->unknown);
    assert_int_equal(got.level, full->level);
    assert_int_equal(got.reason, full->reason);
    assert_int_equal(got.browser_grade, full->browser_grade);
    assert_int_equal(got.actual_grade, full->actual_grade);
    assert_int_equal(got.weak_ciphers, full->weak_ciphers);
    assert_int_equal(got.loses_pfs, full->loses_pfs);
    assert_int_equal(got.has_browser, full->browser != NULL);
    assert_int_equal(got.product_type, detect_product_type(full));
    assert_true(span_equal(span_make(got.product, got.product_len), names));
    return verdict_reader_counts(reader)->hits != hits;
}

struct mutants_known {
    unsigned looked, changed;
    unsigned remembered; /* of those looked for; not all are, so that some are renewed in vain */
    uint64_t renewed;
};

/* As a client that permutes its extensions, each time in another order. */
static void permute(struct number_list *list)
{
    for (size_t i = list->count; i > 1; i--) {
        size_t at = draw() % i;
        uint16_t moved = list->items[at];

        list->items[at] = list->items[i - 1];
        list->items[i - 1] = moved;
    }
}

static struct mutants_known ask_mutants(size_t cap, unsigned mutation_count, bool permutes)
{
    static struct asked asked[MUTANTS_ASKED];
    static struct detect_report reports[2][MUTANTS_ASKED];
    struct mutant mutant = {
        make_lines(mutant_browsers, COUNT_OF(mutant_browsers)),
        make_lines(mutant_products, COUNT_OF(mutant_products)),
        make_lines(mutant_bad_headers, COUNT_OF(mutant_bad_headers)),
        0,
    };
    struct verdict_table *table = verdict_table_new(cap);
    struct verdict_reader *reader = verdict_reader_new(table);
    struct database *db = NULL;
    struct mutants_known known = {0};

    ask_of_mutants(asked);
    for (unsigned i = 0; i < mutation_count; i++) {
        struct detect_report *now = reports[i % 2];
        const struct detect_report *before = reports[1 - i % 2];
        struct database *last = db;

        db = make_mutant(&mutant);
        assert_true(verdict_table_publish(table, make_mutant(&mutant)));
        for (size_t k = 0; k < MUTANTS_ASKED; k++) {
            if (permutes) {
                permute(&asked[k].request.extensions);
            }
            detect_check(db, &asked[k].question, &now[k]);
            if (draw() % 4) {
                known.looked++;
                known.remembered += look(reader, &now[k], &asked[k].question);
            }
            known.changed +=
                i > 0 && (now[k].verdict != before[k].verdict || now[k].level != before[k].level ||
                          detect_product_type(&now[k]) != detect_product_type(&before[k]));
        }
        database_free(last);
        mutate(&mutant);
    }
    database_free(db);
    known.renewed = verdict_table_figures(table).renewed;
    print_message("%zu slots: %u questions, %u remembered, %u answers changed, %u renewed\n", cap,
                  known.looked, known.remembered, known.changed, (unsigned)known.renewed);
    assert_true(known.changed > 1000);
    verdict_reader_free(reader);
    verdict_table_free(table);
    return known;
}

/* Sets that differ from the one before in one line, or in where it stands: whatever is remembered
 * of an older one, or made by who published, is what a check against this one says. */
static void test_mutants(void **state)
{
    struct mutants_known known = ask_mutants(4096, MUTATION_COUNT, false);

    (void)state;
    assert_true(known.renewed > 1000);
    /* The rest is mostly of sets with days, where questions have other keys. */
    assert_true(known.remembered > known.looked / 5 * 4);
    /* Entries are replaced all the time, and those for the next set with them. */
    known = ask_mutants(64, MUTATION_COUNT, false);
    assert_true(known.renewed > 1000);
    assert_true(known.remembered > known.looked / 5 && known.remembered < known.looked);
    /* Of what is remembered for any order, another order is the same; the rest has few of them. */
    known = ask_mutants(4096, MUTATION_COUNT / 4, true);
    assert_true(known.renewed > 1000);
    assert_true(known.remembered > known.looked / 3 && known.remembered < known.looked);
}

/* The same lines in the other mode, and back: keys are made in another way, and answers differ. */
static void test_modes(void **state)
{
    static struct asked asked;
    static struct detect_report full;
    struct verdict_table *table = verdict_table_new(64);
    struct verdict_reader *reader = verdict_reader_new(table);

    (void)state;
    ask(&asked, "1:120:1:2:10:1:", "303:1301,1a2a:b,0,a:17:0:host:");
    for (int i = 0; i < 8; i++) {
        struct database_options options = {
            .mode = i % 2 ? DETECT_COMPATIBLE : DETECT_DEFAULT,
            .browsers = {SPAN_LITERAL("1:110-130:1:2:10:1:|303:1301,1a2a:0,a,b:17:0:*:|:0:0\n"),
                         "b"},
        };
        struct record_faults faults;
        struct database *db = database_new(&options, &faults);

        assert_non_null(db);
        detect_check(db, &asked.question, &full);
        assert_true(verdict_table_publish(table, db));
        assert_int_equal(full.verdict, i % 2 ? VERDICT_INTERCEPTED : VERDICT_GENUINE);
        assert_true(look(reader, &full, &asked.question) == (i > 1));
        assert_true(look(reader, &full, &asked.question));
    }
    verdict_reader_free(reader);
    verdict_table_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_mutants),
                                       cmocka_unit_test(test_modes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
