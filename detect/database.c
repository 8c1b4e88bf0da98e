/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/database.h"

#include "core/base/hash.h"

#include <stdlib.h>

enum {
    KEY_COUNT = 5,
    BAD_HEADER_MAX = 256, /* bytes of a bad header's name in default mode */
};

/* Where records with the same numbers, 0 for those that are any, lie among the members. A major
 * version that is 0, or one of several, counts as any: the members tell those apart. */
struct ua_group {
    int64_t key[KEY_COUNT]; /* browser, platform, os, device, major version of the browser */
    uint32_t wildcards;     /* a bit for each key that is any */
    uint32_t first;
    uint32_t count;
};

/* A browser record, with what most of its group are told apart by, so that the walk reads one run
 * of memory. No bound is the least or the greatest number. */
struct database_member {
    int64_t browser_min;
    int64_t browser_max;
    int64_t os_min;
    int64_t os_max;
    uint32_t index;
};

/* A product, by what a fingerprint must have to match it. */
struct product_key {
    uint64_t key; /* hash of the cipher list, or number of a header's word */
    uint32_t index;
};

struct product_group {
    struct product_key *items; /* by key, then by index */
    size_t count;
};

struct newest {
    int64_t browser;
    int64_t major; /* UA_VERSION_ANY: records name none */
};

struct database {
    enum detect_mode mode;
    int32_t age_max_days;
    struct words *words;
    struct words *bad_headers;
    struct record_list browsers;
    struct record_list products;

    struct ua_group *groups; /* by wildcards, then by key */
    size_t group_count;
    struct database_member *members;
    uint32_t wildcards_in_use; /* a bit for each value of ua_group.wildcards */
    struct newest *newest;     /* by browser */
    size_t newest_count;

    struct product_group by_ciphers; /* those that allow exactly one cipher list */
    struct product_group by_header;  /* else those that require a header */
    struct product_group others;     /* the rest; their keys are all 0 */

    struct database_digest digest;
};

/* ---- the index of browsers ---- */

static void keys_of(int64_t key[KEY_COUNT], const struct ua_signature *sig)
{
    int64_t low = sig->browser_version.min.major;
    int64_t high = sig->browser_version.max.major;

    key[0] = sig->browser;
    key[1] = sig->platform;
    key[2] = sig->os;
    key[3] = sig->device;
    key[4] = low == high && low != UA_VERSION_ANY ? low : 0;
}

static uint32_t wildcards_of(const int64_t key[KEY_COUNT])
{
    uint32_t wildcards = 0;

    for (size_t i = 0; i < KEY_COUNT; i++) {
        wildcards |= (uint32_t)(key[i] == 0) << i;
    }
    return wildcards;
}

static int compare_groups(const struct ua_group *a, const struct ua_group *b)
{
    if (a->wildcards != b->wildcards) {
        return a->wildcards < b->wildcards ? -1 : 1;
    }
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (a->key[i] != b->key[i]) {
            return a->key[i] < b->key[i] ? -1 : 1;
        }
    }
    return 0;
}

static int compare_group_members(const void *left, const void *right)
{
    const struct ua_group *a = left;
    const struct ua_group *b = right;
    int order = compare_groups(a, b);

    return order ? order : (a->first > b->first) - (a->first < b->first);
}

static struct database_member make_member(const struct ua_signature *sig, uint32_t index)
{
    const struct ua_version_range *browser = &sig->browser_version;
    const struct ua_version_range *os = &sig->os_version;

    return (struct database_member){
        browser->min.major == UA_VERSION_ANY ? INT64_MIN : browser->min.major,
        browser->max.major == UA_VERSION_ANY ? INT64_MAX : browser->max.major,
        os->min.major == UA_VERSION_ANY ? INT64_MIN : os->min.major,
        os->max.major == UA_VERSION_ANY ? INT64_MAX : os->max.major, index};
}

/* Sorts one group a record, then puts equal ones together. */
static bool index_browsers(struct database *db)
{
    size_t count = db->browsers.count;
    struct ua_group *groups = malloc((count + 1) * sizeof(*groups));

    db->members = malloc((count + 1) * sizeof(*db->members));
    db->groups = groups;
    if (!groups || !db->members) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        keys_of(groups[i].key, &db->browsers.items[i].ua);
        groups[i].wildcards = wildcards_of(groups[i].key);
        groups[i].first = (uint32_t)i;
        db->wildcards_in_use |= 1U << groups[i].wildcards;
    }
    qsort(groups, count, sizeof(*groups), compare_group_members);
    for (size_t i = 0; i < count; i++) {
        struct ua_group *last = db->group_count ? &groups[db->group_count - 1] : NULL;
        db->members[i] = make_member(&db->browsers.items[groups[i].first].ua, groups[i].first);
        if (last && compare_groups(last, &groups[i]) == 0) {
            last->count++;
            continue;
        }
        groups[db->group_count] = groups[i];
        groups[db->group_count].first = (uint32_t)i;
        groups[db->group_count].count = 1;
        db->group_count++;
    }
    return true;
}

static const struct ua_group *find_group(const struct database *db, const struct ua_group *wanted)
{
    size_t low = 0;
    size_t high = db->group_count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = compare_groups(wanted, &db->groups[middle]);
        if (order == 0) {
            return &db->groups[middle];
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

void database_walk_begin(const struct database *db, struct database_walk *walk,
                         const struct ua_fingerprint *fp)
{
    const int64_t key[KEY_COUNT] = {fp->browser, fp->platform, fp->os, fp->device,
                                    fp->browser_version.major};

    walk->browser_major = fp->browser_version.major;
    walk->os_major = fp->os_version.major;
    walk->count = 0;
    for (uint32_t wildcards = 0; wildcards < DATABASE_WALK_GROUPS; wildcards++) {
        struct ua_group wanted = {.wildcards = wildcards};
        const struct ua_group *group;

        if (!(db->wildcards_in_use >> wildcards & 1)) {
            continue;
        }
        for (size_t i = 0; i < KEY_COUNT; i++) {
            wanted.key[i] = wildcards >> i & 1 ? 0 : key[i];
        }
        group = find_group(db, &wanted);
        if (group) {
            walk->groups[walk->count].next = db->members + group->first;
            walk->groups[walk->count].end = db->members + group->first + group->count;
            walk->count++;
        }
    }
}

/* The next of all groups, in file order. */
static const struct database_member *walk_step(struct database_walk *walk)
{
    const struct database_member *member;
    size_t best = 0;

    if (walk->count == 0) {
        return NULL;
    }
    for (size_t i = 1; i < walk->count; i++) {
        if (walk->groups[i].next->index < walk->groups[best].next->index) {
            best = i;
        }
    }
    member = walk->groups[best].next++;
    if (walk->groups[best].next == walk->groups[best].end) {
        walk->groups[best] = walk->groups[--walk->count];
    }
    return member;
}

bool database_walk_next(struct database_walk *walk, uint32_t *index)
{
    const struct database_member *member = walk_step(walk);

    while (member && (walk->browser_major < member->browser_min ||
                      walk->browser_major > member->browser_max ||
                      walk->os_major < member->os_min || walk->os_major > member->os_max)) {
        member = walk_step(walk);
    }
    if (member) {
        *index = member->index;
    }
    return member != NULL;
}

/* ---- the newest versions ---- */

static int compare_newest(const void *left, const void *right)
{
    const struct newest *a = left;
    const struct newest *b = right;

    if (a->browser != b->browser) {
        return a->browser < b->browser ? -1 : 1;
    }
    return (a->major < b->major) - (a->major > b->major);
}

static bool index_newest(struct database *db)
{
    size_t count = db->browsers.count;

    db->newest = malloc((count + 1) * sizeof(*db->newest));
    if (!db->newest) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const struct ua_signature *sig = &db->browsers.items[i].ua;
        int64_t low = sig->browser_version.min.major;
        int64_t high = sig->browser_version.max.major;
        db->newest[i] = (struct newest){sig->browser, low > high ? low : high};
    }
    qsort(db->newest, count, sizeof(*db->newest), compare_newest);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || db->newest[i].browser != db->newest[db->newest_count - 1].browser) {
            db->newest[db->newest_count++] = db->newest[i];
        }
    }
    return true;
}

static const struct newest *find_newest(const struct database *db, int64_t browser)
{
    size_t low = 0;
    size_t high = db->newest_count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (db->newest[middle].browser < browser) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < db->newest_count && db->newest[low].browser == browser ? &db->newest[low] : NULL;
}

bool database_newest_major(const struct database *db, int64_t browser, int64_t *major)
{
    const struct newest *newest = find_newest(db, browser);

    if (!newest || newest->major == UA_VERSION_ANY) {
        return false;
    }
    *major = newest->major;
    return true;
}

bool database_knows_browser(const struct database *db, int64_t browser)
{
    return find_newest(db, browser) != NULL;
}

/* ---- the index of products ---- */

static uint64_t hash_list(const uint16_t *items, size_t count)
{
    return hash_bytes(span_make(items, count * sizeof(*items)));
}

static int compare_products(const void *left, const void *right)
{
    const struct product_key *a = left;
    const struct product_key *b = right;

    if (a->key != b->key) {
        return a->key < b->key ? -1 : 1;
    }
    return (a->index > b->index) - (a->index < b->index);
}

static bool product_group_init(struct product_group *group, size_t cap)
{
    group->items = malloc((cap + 1) * sizeof(*group->items));
    return group->items != NULL;
}

static void product_group_add(struct product_group *group, uint64_t key, size_t index)
{
    group->items[group->count++] = (struct product_key){key, (uint32_t)index};
}

static void product_group_finish(struct product_group *group)
{
    qsort(group->items, group->count, sizeof(*group->items), compare_products);
}

static bool index_products(struct database *db)
{
    size_t count = db->products.count;

    if (!product_group_init(&db->by_ciphers, count) || !product_group_init(&db->by_header, count) ||
        !product_group_init(&db->others, count)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const struct request_signature *sig = &db->products.items[i].request;
        const struct list_signature *ciphers = request_signature_list(sig, REQUEST_CIPHERS);
        const struct list_signature *headers = request_signature_list(sig, REQUEST_HEADERS);

        if (list_signature_is_exact(ciphers)) {
            product_group_add(&db->by_ciphers, hash_list(ciphers->items, ciphers->ordered_count),
                              i);
        } else if (headers->required_count) {
            product_group_add(&db->by_header, list_signature_required(headers)[0], i);
        } else {
            product_group_add(&db->others, 0, i);
        }
    }
    product_group_finish(&db->by_ciphers);
    product_group_finish(&db->by_header);
    product_group_finish(&db->others);
    return true;
}

static void visit_key(const struct product_group *group, uint64_t key,
                      bool (*visit)(void *state, uint32_t index), void *state)
{
    size_t low = 0;
    size_t high = group->count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (group->items[middle].key < key) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    while (low < group->count && group->items[low].key == key &&
           visit(state, group->items[low].index)) {
        low++;
    }
}

void database_visit_products(const struct database *db, const struct request_view *seen,
                             bool (*visit)(void *state, uint32_t index), void *state)
{
    const struct value_set *ciphers = &seen->lists[0];
    const struct value_set *headers = &seen->lists[REQUEST_HEADERS - REQUEST_CIPHERS];

    if (db->by_ciphers.count) {
        visit_key(&db->by_ciphers, hash_list(ciphers->items, ciphers->count), visit, state);
    }
    for (size_t i = 0; i < headers->count && db->by_header.count; i++) {
        visit_key(&db->by_header, headers->items[i], visit, state);
    }
    visit_key(&db->others, 0, visit, state);
}

/* ---- the digest ---- */

/* Of what is no record. */
static uint64_t digest_common(const struct database *db)
{
    const int64_t options[] = {db->mode, db->age_max_days};
    uint64_t digest = hash_bytes(span_make(options, sizeof(options)));

    for (size_t i = 0; i < words_count(db->bad_headers); i++) {
        digest = hash_combine(digest, words_text(db->bad_headers, (uint16_t)i));
    }
    return digest;
}

static void make_digest(struct database *db)
{
    database_digest_make(&db->digest, &db->browsers, &db->products, digest_common(db));
    for (size_t i = 0; i < db->newest_count; i++) {
        database_digest_add_newest(&db->digest, db->newest[i].browser, db->newest[i].major);
    }
}

/* ---- life ---- */

/* Default: names are trimmed, folded to lower case, and empty lines are none. */
static bool add_bad_header(struct database *db, struct span line)
{
    char lower[BAD_HEADER_MAX];
    uint16_t number;

    if (db->mode == DETECT_COMPATIBLE) {
        return words_add(db->bad_headers, line, &number);
    }
    line = record_trim(line);
    ASSERT(line.len <= BAD_HEADER_MAX);
    for (size_t i = 0; i < line.len; i++) {
        uint8_t byte = line.data[i];
        lower[i] = (char)(byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte);
    }
    return line.len == 0 || words_add(db->bad_headers, span_make(lower, line.len), &number);
}

static bool load_bad_headers(struct database *db, const struct database_source *source,
                             struct record_faults *faults)
{
    struct record_fault at = {source->name, 0, 1, NULL};
    struct span rest = source->text;
    struct span line;

    while (record_line_next(&rest, &line)) {
        at.line++;
        if (db->mode == DETECT_COMPATIBLE && line.len > RECORD_LINE_MAX) {
            return true;
        }
        if (db->mode == DETECT_DEFAULT && record_trim(line).len > BAD_HEADER_MAX) {
            at.expected = "a header name of at most 256 bytes";
            record_faults_add(faults, at);
        } else if (!add_bad_header(db, line)) {
            at.expected = words_count(db->bad_headers) == WORDS_MAX ? "at most 65535 names"
                                                                    : detect_fault_no_memory;
            record_faults_add(faults, at);
            return false;
        }
    }
    return true;
}

/* From `first` on. */
static void set_captured_day(struct record_list *list, size_t first, int32_t day)
{
    for (size_t i = first; i < list->count; i++) {
        if (list->items[i].captured_day == 0) {
            list->items[i].captured_day = day;
        }
    }
}

static bool load_files(struct database *db, const struct database_options *files,
                       struct record_faults *faults)
{
    size_t browser_count = db->browsers.count;
    size_t product_count = db->products.count;

    if (!record_list_load(&db->browsers, files->browsers.text, files->browsers.name, faults) ||
        !record_list_load(&db->products, files->products.text, files->products.name, faults) ||
        !load_bad_headers(db, &files->bad_headers, faults)) {
        return false;
    }
    if (db->mode == DETECT_DEFAULT) {
        set_captured_day(&db->browsers, browser_count, files->captured_day);
        set_captured_day(&db->products, product_count, files->captured_day);
    }
    return true;
}

static bool load(struct database *db, const struct database_options *options,
                 struct record_faults *faults)
{
    for (const struct database_options *files = options; files; files = files->more) {
        if (!load_files(db, files, faults)) {
            return false;
        }
    }
    if (index_browsers(db) && index_newest(db) && index_products(db)) {
        make_digest(db);
        return true;
    }
    record_faults_add(faults, (struct record_fault){"index", 1, 1, detect_fault_no_memory});
    return false;
}

struct database *database_new(const struct database_options *options, struct record_faults *faults)
{
    struct database *db = calloc(1, sizeof(*db));

    faults->count = 0;
    if (db) {
        db->mode = options->mode;
        db->age_max_days = options->age_max_days;
        db->words = words_new();
        db->bad_headers = words_new();
        record_list_init(&db->browsers, db->words, db->mode);
        record_list_init(&db->products, db->words, db->mode);
    }
    if (!db || !db->words || !db->bad_headers) {
        record_faults_add(faults, (struct record_fault){"database", 1, 1, detect_fault_no_memory});
        database_free(db);
        return NULL;
    }
    if (!load(db, options, faults)) {
        database_free(db);
        return NULL;
    }
    return db;
}

void database_free(struct database *db)
{
    if (!db) {
        return;
    }
    record_list_fini(&db->browsers);
    record_list_fini(&db->products);
    words_free(db->words);
    words_free(db->bad_headers);
    free(db->groups);
    free(db->members);
    free(db->newest);
    free(db->by_ciphers.items);
    free(db->by_header.items);
    free(db->others.items);
    free(db);
}

enum detect_mode database_mode(const struct database *db)
{
    return db->mode;
}

const struct words *database_words(const struct database *db)
{
    return db->words;
}

const struct record_list *database_browsers(const struct database *db)
{
    return &db->browsers;
}

const struct record_list *database_products(const struct database *db)
{
    return &db->products;
}

const struct database_digest *database_digest(const struct database *db)
{
    return &db->digest;
}

bool database_is_bad_header(const struct database *db, struct span name)
{
    return words_find(db->bad_headers, name) != WORD_UNKNOWN;
}

int32_t database_age_max_days(const struct database *db)
{
    return db->age_max_days;
}
