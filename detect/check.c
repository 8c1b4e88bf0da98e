/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/check.h"

/* Words that the raw header adds to the quirks of its fingerprint, in this order. */
static const struct {
    const char *part;
    const char *quirk;
} header_quirks[] = {
    {"Dragon/", "dragon"},
    {"GSA/", "gsa"},
    {"Silk-Accelerated=true", "silk_accelerated"},
    {"PlayStation Vita", "playstation"},
};

/* What a check knows while it runs. */
struct check {
    const struct database *db;
    enum detect_mode mode;
    const struct detect_question *question;
    struct detect_report *report;
    struct request_match_rules browser_rules;
    struct request_match_rules product_rules;
    struct request_view seen;
    struct value_set ua_quirks;
    uint16_t ua_quirk_numbers[WORD_LIST_MAX + COUNT_OF(header_quirks)];
};

/* The product found so far. */
struct product_search {
    struct check *check;
    bool found;
    uint32_t index;
    unsigned rank; /* 0 in compatible mode: the first in the file wins */
};

static void find_browser(struct check *check);
static void find_product(struct check *check);
static void grade(struct check *check);
static void judge(struct check *check);

/* Where `part` begins in `whole`, if it does; case matters. */
static bool span_has(struct span whole, const char *part)
{
    return whole.len && memmem(whole.data, whole.len, part, strlen(part)) != NULL;
}

enum { SCAN_LEN = 16 };

/* Marks where in these SCAN_LEN bytes, and one more, a quirk's word may begin. Without branches and
 * of a fixed length, so that compilers make vectors of it. */
static inline void mark_quirks(uint8_t marks[SCAN_LEN], const uint8_t *bytes)
{
    for (size_t i = 0; i < SCAN_LEN; i++) {
        uint8_t first = bytes[i];
        uint8_t second = bytes[i + 1];
        marks[i] |= (uint8_t)((first == 'D') & (second == 'r')) |
                    (uint8_t)((first == 'G') & (second == 'S')) |
                    (uint8_t)((first == 'S') & (second == 'i')) |
                    (uint8_t)((first == 'P') & (second == 'l'));
    }
}

/* Hardly any header has a quirk, and each request has a header. */
static bool may_have_quirk(struct span raw_ua)
{
    static const uint8_t none[SCAN_LEN];
    uint8_t marks[SCAN_LEN] = {0};

    if (raw_ua.len <= SCAN_LEN) {
        uint8_t padded[SCAN_LEN + 1] = {0};

        memcpy(padded, raw_ua.len ? raw_ua.data : padded, raw_ua.len);
        mark_quirks(marks, padded);
        return memcmp(marks, none, sizeof(marks)) != 0;
    }
    for (size_t at = 0; at + SCAN_LEN < raw_ua.len; at += SCAN_LEN) {
        mark_quirks(marks, raw_ua.data + at);
    }
    mark_quirks(marks, raw_ua.data + raw_ua.len - SCAN_LEN - 1);
    return memcmp(marks, none, sizeof(marks)) != 0;
}

unsigned detect_header_quirks(struct span raw_ua)
{
    unsigned present = 0;

    if (may_have_quirk(raw_ua)) {
        for (unsigned i = 0; i < COUNT_OF(header_quirks); i++) {
            present |= (unsigned)span_has(raw_ua, header_quirks[i].part) << i;
        }
    }
    return present;
}

const char *detect_header_quirk_name(unsigned bit)
{
    return bit < COUNT_OF(header_quirks) ? header_quirks[bit].quirk : NULL;
}

void detect_print_header(struct text *out, unsigned quirks)
{
    for (unsigned i = 0; i < COUNT_OF(header_quirks); i++) {
        if (quirks >> i & 1) {
            text_string(out, header_quirks[i].part);
            text_char(out, ' ');
        }
    }
}

static void view_user_agent(struct check *check)
{
    const struct words *words = database_words(check->db);
    const struct word_list *quirks = &check->question->ua->quirks;
    unsigned present = detect_header_quirks(check->question->raw_ua);
    size_t count = 0;

    for (size_t i = 0; i < quirks->count; i++) {
        check->ua_quirk_numbers[count++] = words_find(words, quirks->items[i]);
    }
    for (size_t i = 0; i < COUNT_OF(header_quirks); i++) {
        if (present >> i & 1) {
            check->ua_quirk_numbers[count++] =
                words_find(words, span_from_string(header_quirks[i].quirk));
        }
    }
    value_set_make(&check->ua_quirks, check->ua_quirk_numbers, count);
}

static bool view_request(struct check *check)
{
    struct request_fingerprint *seen = &check->report->seen;
    bool is_bad = false;

    if (!request_fingerprint_clean(seen, check->question->request, check->mode)) {
        return false;
    }
    for (size_t i = 0; i < seen->headers.count && !is_bad; i++) {
        is_bad = database_is_bad_header(check->db, seen->headers.items[i]);
    }
    if (is_bad && !word_list_add(&seen->quirks, SPAN_LITERAL("badhdr"))) {
        return false;
    }
    request_view_make(&check->seen, seen, database_words(check->db));
    return true;
}

/*
 * The first major version of a browser that permutes its extensions. Chromium does since 110, and
 * in trials since 106 (https://chromestatus.com/feature/5124606246518784); the others are those
 * that are built on it, whose own first version with Chromium 110 is meant where they count for
 * themselves, and the one after it where that version began with an older one. Browsers whose
 * version does not tell (DuckDuckGo, Huawei, MIUI) are not here.
 */
static int64_t first_permuting(int64_t browser)
{
    switch (browser) {
    case UA_BROWSER_CHROME:
        return 106;
    case UA_BROWSER_EDGE:
    case UA_BROWSER_BRAVE:
    case UA_BROWSER_HEADLESS_CHROME:
    case UA_BROWSER_ANDROID_WEBVIEW:
        return 110;
    case UA_BROWSER_OPERA:
        return 92; /* the first on 106 */
    case UA_BROWSER_SAMSUNG:
        return 21;
    case UA_BROWSER_VIVALDI:
        return 6;
    case UA_BROWSER_YANDEX:
        return 23; /* by the year; the first of it is on 108 */
    case UA_BROWSER_ELECTRON:
        return 23;
    case UA_BROWSER_WHALE:
        return 4;
    case UA_BROWSER_COC_COC:
        return 116;
    default:
        return INT64_MAX;
    }
}

bool detect_permutes_extensions(const struct ua_fingerprint *ua)
{
    return ua->browser_version.major >= first_permuting(ua->browser);
}

static void set_rules(struct check *check)
{
    bool mends = check->mode == DETECT_DEFAULT;

    check->browser_rules = (struct request_match_rules){
        .mode = check->mode,
        .is_any_extension_order = mends && detect_permutes_extensions(check->question->ua),
        .skips_headers = check->question->without_headers,
        .skips_empty_headers = mends,
    };
    check->product_rules = (struct request_match_rules){
        .mode = check->mode, .skips_empty_headers = mends, .skips_empty_quirks = mends};
}

void detect_check(const struct database *db, const struct detect_question *question,
                  struct detect_report *report)
{
    struct check check;

    check.db = db;
    check.mode = database_mode(db);
    check.question = question;
    check.report = report;
    report->error = DETECT_ERROR_NONE;
    report->verdict = VERDICT_UNKNOWN;
    report->unknown = UNKNOWN_NOT;
    report->browser = NULL;
    report->product = NULL;
    report->level = MATCH_EMPTY;
    report->reason = REQUEST_FIELD_NONE;
    report->browser_grade = GRADE_EMPTY;
    report->actual_grade = GRADE_EMPTY;
    report->weak_ciphers = false;
    report->loses_pfs = false;
    report->is_any_order = true;
    if (!view_request(&check)) {
        report->error = DETECT_ERROR_TOO_MANY_QUIRKS;
        report->unknown = UNKNOWN_CHECK;
        return;
    }
    view_user_agent(&check);
    set_rules(&check);
    find_browser(&check);
    grade(&check);
    if (report->level != MATCH_POSSIBLE && (report->browser || check.mode == DETECT_DEFAULT)) {
        find_product(&check);
    }
    judge(&check);
}

/* Does the order of the extensions count where they are compared with this? */
static bool has_extension_order(const struct record *record)
{
    return request_signature_list(&record->request, REQUEST_EXTENSIONS)->is_ordered;
}

/* ---- the browser ---- */

static size_t count_impossible(const struct request_match *match)
{
    size_t count = 0;

    for (size_t i = 0; i < REQUEST_FIELD_COUNT; i++) {
        count += match->fields[i] == MATCH_IMPOSSIBLE;
    }
    return count;
}

/*
 * Is `match` of a later record nearer than `best`? MITMEngine asks for similarity alone and takes
 * the later one of equals. Default: a better level first, then fewer fields that contradict.
 */
static bool is_nearer(const struct request_match *match, const struct request_match *best,
                      enum detect_mode mode)
{
    size_t contradictions, best_contradictions;

    if (mode == DETECT_COMPATIBLE) {
        return match->similarity >= best->similarity;
    }
    if (match->level != best->level) {
        return match->level > best->level;
    }
    contradictions = count_impossible(match);
    best_contradictions = count_impossible(best);
    if (contradictions != best_contradictions) {
        return contradictions < best_contradictions;
    }
    return match->similarity > best->similarity;
}

static enum request_field find_reason(const struct request_match *match)
{
    int field = REQUEST_VERSION;

    while (field < REQUEST_FIELD_COUNT && match->fields[field] != match->level) {
        field++;
    }
    return (enum request_field)field;
}

static void find_browser(struct check *check)
{
    const struct record_list *browsers = database_browsers(check->db);
    struct detect_report *report = check->report;
    struct database_walk walk;
    struct request_match match;
    uint32_t index;

    database_walk_begin(check->db, &walk, check->question->ua);
    while (report->level != MATCH_POSSIBLE && database_walk_next(&walk, &index)) {
        const struct record *record = &browsers->items[index];

        if (ua_signature_match(&record->ua, check->mode, check->question->ua, &check->ua_quirks) ==
            MATCH_IMPOSSIBLE) {
            continue;
        }
        request_signature_match(&match, &record->request, check->browser_rules, &check->seen);
        if (!check->browser_rules.is_any_extension_order && has_extension_order(record)) {
            report->is_any_order = false;
        }
        if (!report->browser || match.level == MATCH_POSSIBLE ||
            is_nearer(&match, &report->match, check->mode)) {
            report->browser = record;
            report->match = match;
            report->level = match.level;
        }
    }
    if (!report->browser) {
        report->error = DETECT_ERROR_UNKNOWN_USER_AGENT;
    } else if (report->level != MATCH_POSSIBLE) {
        report->reason = find_reason(&report->match);
    }
}

/* ---- the product ---- */

static unsigned rank_product(struct check *check, const struct record *record,
                             enum match_level level)
{
    bool agrees = ua_signature_match(&record->ua, check->mode, check->question->ua,
                                     &check->ua_quirks) != MATCH_IMPOSSIBLE;

    return check->mode == DETECT_COMPATIBLE ? 0 : 2 * level + agrees;
}

/* Notes where that is another one for other orders: if it is not impossible in all of them. */
static enum match_level match_product(struct check *check, const struct record *record)
{
    struct request_match_rules any_order = check->product_rules;
    enum match_level level;

    any_order.is_any_extension_order = true;
    level = request_signature_level(&record->request, any_order, &check->seen);
    if (level == MATCH_IMPOSSIBLE || !has_extension_order(record)) {
        return level;
    }
    check->report->is_any_order = false;
    return request_signature_level(&record->request, check->product_rules, &check->seen);
}

static bool visit_product(void *state, uint32_t index)
{
    struct product_search *search = state;
    struct check *check = search->check;
    const struct record *record = &database_products(check->db)->items[index];
    enum match_level level;
    unsigned rank;

    if (check->mode == DETECT_COMPATIBLE && search->found && search->index < index) {
        return false;
    }
    level = match_product(check, record);
    if (level == MATCH_IMPOSSIBLE) {
        return true;
    }
    rank = rank_product(check, record, level);
    if (!search->found || rank > search->rank || (rank == search->rank && index < search->index)) {
        search->found = true;
        search->index = index;
        search->rank = rank;
    }
    return true;
}

static void find_product(struct check *check)
{
    struct product_search search = {.check = check};
    struct detect_report *report = check->report;

    database_visit_products(check->db, &check->seen, visit_product, &search);
    if (search.found) {
        report->product = &database_products(check->db)->items[search.index];
        report->actual_grade = grade_worse(report->actual_grade, report->product->mitm.grade);
    }
}

/* ---- grades ---- */

static uint8_t grade_browser(const struct request_signature *sig, enum detect_mode mode)
{
    const struct list_signature *ciphers = request_signature_list(sig, REQUEST_CIPHERS);
    uint16_t version = sig->version.expected ? sig->version.expected : sig->version.min;

    if (mode == DETECT_COMPATIBLE) {
        return grade_of_ciphers(ciphers->items, ciphers->ordered_count, mode);
    }
    return grade_worse(
        grade_of_version(version),
        ciphers->is_ordered
            ? grade_of_ciphers(ciphers->items, ciphers->ordered_count, mode)
            : grade_of_cipher_set(list_signature_required(ciphers), ciphers->required_count, mode));
}

static bool browser_has_pfs(const struct request_signature *sig, enum detect_mode mode)
{
    const struct list_signature *ciphers = request_signature_list(sig, REQUEST_CIPHERS);

    if (mode == DETECT_DEFAULT && !ciphers->is_ordered) {
        return ciphers_any_pfs(list_signature_required(ciphers), ciphers->required_count, mode);
    }
    return ciphers_first_is_pfs(ciphers->items, ciphers->ordered_count, mode);
}

/* Of a match too. Without a browser record there are none in compatible mode. */
static void grade(struct check *check)
{
    struct detect_report *report = check->report;
    const struct number_list *ciphers = &report->seen.ciphers;
    bool mends = check->mode == DETECT_DEFAULT;
    bool has_pfs = ciphers_first_is_pfs(ciphers->items, ciphers->count, check->mode);

    if (!report->browser && !mends) {
        return;
    }
    report->actual_grade =
        grade_worse(grade_of_version(report->seen.version),
                    grade_of_ciphers(ciphers->items, ciphers->count, check->mode));
    report->weak_ciphers =
        mends && ciphers_any_attacked(ciphers->items, ciphers->count, check->mode);
    if (!report->browser) {
        return;
    }
    report->browser_grade = grade_browser(&report->browser->request, check->mode);
    if (mends || report->level != MATCH_POSSIBLE) {
        report->loses_pfs = browser_has_pfs(&report->browser->request, check->mode) &&
                            has_pfs == (check->mode == DETECT_COMPATIBLE);
    }
}

/* ---- the verdict ---- */

/* Newer than any version of this browser that a record names? */
static bool is_newer(const struct check *check)
{
    int64_t newest;

    return database_newest_major(check->db, check->question->ua->browser, &newest) &&
           check->question->ua->browser_version.major > newest;
}

static bool is_outdated(const struct check *check)
{
    int32_t day = check->report->browser->captured_day;
    int32_t age_max = database_age_max_days(check->db);

    return day && age_max && check->question->today &&
           (int64_t)check->question->today - day > age_max;
}

static void judge_unknown(struct check *check)
{
    struct detect_report *report = check->report;

    report->verdict = VERDICT_UNKNOWN;
    if (is_newer(check)) {
        report->unknown = UNKNOWN_VERSION;
    } else {
        report->unknown = database_knows_browser(check->db, check->question->ua->browser)
                              ? UNKNOWN_SYSTEM
                              : UNKNOWN_BROWSER;
    }
}

static void judge(struct check *check)
{
    struct detect_report *report = check->report;
    bool mends = check->mode == DETECT_DEFAULT;

    if (!report->browser) {
        judge_unknown(check);
    } else if (report->level == MATCH_POSSIBLE) {
        report->verdict = VERDICT_GENUINE;
    } else if (mends && report->product) {
        report->verdict = VERDICT_INTERCEPTED;
    } else if (mends && is_newer(check)) {
        judge_unknown(check);
    } else if (mends && is_outdated(check)) {
        report->verdict = VERDICT_OUTDATED;
    } else {
        report->verdict = report->level == MATCH_UNLIKELY ? VERDICT_UNLIKELY : VERDICT_INTERCEPTED;
    }
}

/* ---- words and texts ---- */

const char *detect_verdict_name(enum detect_verdict verdict)
{
    static const char *const names[] = {"unknown", "genuine", "unlikely", "outdated",
                                        "intercepted"};
    return names[verdict];
}

const char *detect_error_name(enum detect_error error)
{
    static const char *const names[] = {"", "unknown_user_agent", "too_many_quirks"};
    return names[error];
}

const char *detect_unknown_name(enum detect_unknown unknown)
{
    static const char *const names[] = {"", "browser", "version", "system", "check"};
    return names[unknown];
}

void detect_print_reason(struct text *out, enum match_level level, enum request_field reason)
{
    if (reason != REQUEST_FIELD_NONE) {
        text_string(out, match_level_name(level));
        text_char(out, '_');
        text_string(out, request_field_name(reason));
    }
}

void detect_print_details(struct text *out, const struct database *db,
                          const struct detect_report *report)
{
    if (report->reason != REQUEST_FIELD_NONE) {
        request_signature_print_field(out, &report->browser->request, report->reason,
                                      database_words(db), database_mode(db));
        text_string(out, " vs ");
        request_fingerprint_print_field(out, &report->seen, report->reason);
    }
}

void detect_print_ua_signature(struct text *out, const struct database *db,
                               const struct detect_report *report)
{
    if (report->browser) {
        ua_signature_print(out, &report->browser->ua, database_words(db), database_mode(db));
    }
}

void detect_print_browser_signature(struct text *out, const struct database *db,
                                    const struct detect_report *report)
{
    if (report->browser) {
        request_signature_print(out, &report->browser->request, database_words(db),
                                database_mode(db));
    }
}

void detect_print_product_signature(struct text *out, const struct database *db,
                                    const struct detect_report *report)
{
    if (report->product) {
        request_signature_print(out, &report->product->request, database_words(db),
                                database_mode(db));
    }
}

struct span detect_product_names(const struct detect_report *report)
{
    return report->product ? mitm_info_names(&report->product->mitm) : span_make("", 0);
}

uint8_t detect_product_type(const struct detect_report *report)
{
    return report->product ? report->product->mitm.type : (uint8_t)MITM_NONE;
}
