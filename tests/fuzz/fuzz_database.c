/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A database: the part before the first empty line is browsers, then products, then bad headers. It
 * is loaded in both modes, each of its own user agents is checked, and the index must choose what a
 * walk through all records would. Merging whatever was read must keep it a database.
 */
#include "detect/check.h"
#include "detect/merge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RECORDS_MAX = 64, TEXT_MAX = 1 << 17 };

static struct span take_part(struct span *rest)
{
    const uint8_t *end = rest->len ? memmem(rest->data, rest->len, "\n\n", 2) : NULL;
    size_t len = end ? (size_t)(end - rest->data) + 1 : rest->len;
    struct span part = span_sub(*rest, 0, len);

    *rest = span_skip(*rest, len + 1);
    return part;
}

/* The records that the check must choose in compatible mode. */
static void check_chosen(const struct database *db, const struct detect_question *question,
                         const struct detect_report *report)
{
    static struct request_view seen;
    const struct record_list *browsers = database_browsers(db);
    const struct record_list *products = database_products(db);
    struct request_match_rules rules = {.mode = DETECT_COMPATIBLE};
    const struct record *best = NULL;
    struct value_set quirks;
    struct request_match match = {.level = MATCH_EMPTY};
    uint32_t similarity = 0;
    size_t i = 0;

    request_view_make(&seen, &report->seen, database_words(db));
    value_set_make(&quirks, NULL, 0);
    for (i = 0; i < browsers->count && match.level != MATCH_POSSIBLE; i++) {
        if (ua_signature_match(&browsers->items[i].ua, DETECT_COMPATIBLE, question->ua, &quirks) ==
            MATCH_IMPOSSIBLE) {
            continue;
        }
        request_signature_match(&match, &browsers->items[i].request, rules, &seen);
        if (match.level == MATCH_POSSIBLE || match.similarity >= similarity) {
            similarity = match.similarity;
            best = &browsers->items[i];
        }
    }
    ASSERT(report->browser == best);
    i = 0;
    while (i < products->count &&
           request_signature_level(&products->items[i].request, rules, &seen) == MATCH_IMPOSSIBLE) {
        i++;
    }
    if (best && report->level != MATCH_POSSIBLE) {
        ASSERT(report->product == (i < products->count ? &products->items[i] : NULL));
    } else {
        ASSERT(!report->product);
    }
}

/* A user agent that the signature covers, with another version if `shift`. */
static void make_user_agent(struct ua_fingerprint *ua, const struct ua_signature *sig, int shift)
{
    ua->browser = sig->browser;
    ua->platform = sig->platform;
    ua->os = sig->os;
    ua->device = sig->device;
    ua->browser_version = sig->browser_version.min;
    ua->os_version = sig->os_version.max;
    if (ua->browser_version.major >= 0 && ua->browser_version.major < INT32_MAX) {
        ua->browser_version.major += shift;
    }
    ua->quirks.count = 0;
}

static void check_all(const struct database *db)
{
    static struct request_fingerprint requests[3];
    static struct detect_report report;
    static char memory[TEXT_MAX];
    static const struct span texts[3] = {
        {(const uint8_t *)"303:1301,c02b,2f:0,a:17,18:0:host:", 34},
        {(const uint8_t *)"301:2f,5:0::::", 14},
        {(const uint8_t *)"303:1::::via,x:compr", 20}};
    const struct record_list *browsers = database_browsers(db);
    struct detect_fault fault;
    struct ua_fingerprint ua;

    for (size_t i = 0; i < browsers->count && i < RECORDS_MAX; i++) {
        const struct detect_question question = {&ua, {NULL, 0}, &requests[i % 3], 20778, false};
        struct text out = text_make(memory, sizeof(memory));

        ASSERT(request_fingerprint_parse(&requests[i % 3], texts[i % 3], &fault));
        make_user_agent(&ua, &browsers->items[i].ua, (int)(i & 1));
        detect_check(db, &question, &report);
        if (database_mode(db) == DETECT_COMPATIBLE) {
            check_chosen(db, &question, &report);
        }
        detect_print_reason(&out, report.level, report.reason);
        detect_print_details(&out, db, &report);
        detect_print_ua_signature(&out, db, &report);
        detect_print_product_signature(&out, db, &report);
    }
}

static bool has_any(struct span text, const char *bytes)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] && strchr(bytes, text.data[i])) {
            return true;
        }
    }
    return false;
}

/* What default mode writes, it reads again. */
static void check_merging(const struct record_list *from)
{
    static char memory[TEXT_MAX];
    struct words *words = words_new();
    struct record_faults faults = {0};
    struct record_list list;
    struct text out = text_make(memory, sizeof(memory));

    ASSERT(words);
    for (size_t i = 0; i < from->count && i < RECORDS_MAX; i++) {
        record_print(&out, &from->items[i], from->words, from->mode);
        text_char(&out, '\n');
    }
    record_list_init(&list, words, DETECT_DEFAULT);
    if (!out.overflow) {
        ASSERT(record_list_load(&list, text_view(&out), "written", &faults));
        /* Names and words may hold what a file gives another meaning to. */
        ASSERT(faults.count == 0 || from->mode == DETECT_COMPATIBLE ||
               has_any(text_view(&out), "\"\r\t~*"));
        ASSERT(record_list_merge_browsers(&list));
        ASSERT(record_list_merge_products(&list));
        list.mode = DETECT_COMPATIBLE;
        ASSERT(record_list_merge_products(&list));
    }
    record_list_fini(&list);
    words_free(words);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span rest = span_make(data, size);
    struct database_options options = {.captured_day = 18000, .age_max_days = 400};

    options.browsers = (struct database_source){take_part(&rest), "browsers"};
    options.products = (struct database_source){take_part(&rest), "products"};
    options.bad_headers = (struct database_source){rest, "bad headers"};
    for (int mode = DETECT_DEFAULT; mode <= DETECT_COMPATIBLE; mode++) {
        struct record_faults faults;
        struct database *db;

        options.mode = (enum detect_mode)mode;
        db = database_new(&options, &faults);
        ASSERT(db || (mode == DETECT_COMPATIBLE && faults.count == 1));
        for (size_t i = 0; i < faults.count && i < RECORD_FAULTS_MAX; i++) {
            ASSERT(faults.items[i].line && faults.items[i].column && faults.items[i].expected);
            ASSERT(faults.items[i].column <= size + 1);
        }
        if (db) {
            check_all(db);
            check_merging(database_browsers(db));
        }
        database_free(db);
    }
    return 0;
}
