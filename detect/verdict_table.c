/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slots hold pointers to immutable entries, WAY_COUNT neighbours a bucket. A reader reaches entries
 * and sets only while it is pinned, that is, while its `pinned` holds the epoch of when it came in;
 * what is taken out of reach afterwards gets the epoch as its tag and advances it, and is freed
 * when no reader is pinned at that tag or before. A reader that must check, which takes longer,
 * says in `held` which set it uses and leaves the epoch, so that it delays that one set only.
 *
 * An entry is not of a set, but of all that have its basis where it comes from: a few loads from
 * the current set's digests tell. So a new set changes some questions only, and whoever publishes
 * it asks those first, as a reader of its own, but of a set that is not current yet: the entries
 * are nobody's answer until it is, and take no place of those that are in use if there is another.
 *
 * Memory orders. All that the argument above needs is in one total order, seq_cst: the stores to
 * `pinned`, the loads of slots and of `current` behind them, the exchanges that take a pointer out
 * of reach, the epoch, and the loads of `pinned` by whoever frees. So either the reader's store is
 * seen and the pointer kept, or the reader came after the exchange and cannot find the pointer.
 * Leaving is a release store, which the one who frees acquires; `held` is stored before, and
 * loaded after `pinned`. (Fences would do as well, but the thread sanitizer does not know them.)
 */
#include "detect/verdict_table.h"

#include "detect/verdict_key.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { WAY_COUNT = 4, CACHE_LINE_LEN = 64, SWEEP_STEPS_MAX = 16 };

struct signature_set {
    struct database *db;
    const struct database_digest *digest; /* of that */
    struct verdict_key_rules rules;
    uint64_t serial;
    uint64_t tag;               /* once retired */
    struct signature_set *next; /* once retired: under the table's lock */
};

/* The set that is checked against, and the one that readers ask, whose entries are in use. A
 * publisher checks against one that is not current yet; for readers they are the same. */
struct set_use {
    const struct signature_set *set;
    const struct signature_set *current;
};

/* The verdict itself in a report: the rest is of the question, the set and the product. */
enum {
    VERDICT_AT = offsetof(struct verdict_report, browser_version) + sizeof(struct ua_version),
    VERDICT_LEN = offsetof(struct verdict_report, product) - VERDICT_AT,
};

/*
 * The verdict of every set that has `basis` at `part`. Begins a cache line, and is one but for its
 * bytes: the questions of a busy proxy do not all fit into the processor's caches.
 */
struct entry {
    uint64_t hash;
    uint64_t basis;     /* database_digest_at() `part` */
    uint64_t serial;    /* of the set that was asked; decides what is replaced, nothing else */
    uint64_t tag;       /* once retired: of whoever retired it, as `next` is */
    struct entry *next; /* once retired */
    struct digest_part part;
    uint16_t key_len;
    atomic_bool is_used; /* since the hand last came by; a hint, relaxed */
    uint8_t product_len;
    uint8_t verdict[VERDICT_LEN];
    uint8_t bytes[]; /* of the key, then of the product's names */
} __attribute__((aligned(CACHE_LINE_LEN)));

/* What others see of a reader, alone in its cache line. */
struct seat {
    atomic_uint_fast64_t pinned;          /* 0: not in */
    _Atomic(struct signature_set *) held; /* null, or used beyond the pin */
    bool is_taken;                        /* under the table's lock */
} __attribute__((aligned(CACHE_LINE_LEN)));

struct verdict_reader {
    struct verdict_table *table;
    struct seat *seat;
    struct verdict_counts counts;
    size_t retired_count;
    struct entry *retired;
    struct verdict_key key;
    struct detect_report full;
};

/* The publishers' own reader, and what it asks again: under the lock. */
struct renewer {
    struct verdict_reader reader; /* has what readers that left had retired, too */
    struct verdict_question again;
    uint8_t key[VERDICT_KEY_MAX]; /* of that, whose words are in it */
};

struct verdict_table {
    /* Written by publishers alone. */
    _Atomic(struct signature_set *) current;
    atomic_bool is_compatible; /* of the current set, as `has_days` is: hints, to make keys with */
    atomic_bool has_days;
    size_t bucket_count; /* a power of two */
    size_t bytes_max;
    _Atomic(struct entry *) *slots;
    atomic_uint seat_count; /* seats beyond were never taken */
    /* Written where something is retired, read by all lookups. */
    atomic_uint_fast64_t epoch __attribute__((aligned(CACHE_LINE_LEN)));
    /* Written by misses. */
    atomic_size_t bytes __attribute__((aligned(CACHE_LINE_LEN)));
    atomic_size_t hand;
    /* Publishers, readers that come and go. */
    pthread_mutex_t lock __attribute__((aligned(CACHE_LINE_LEN)));
    struct signature_set *waiting;
    size_t waiting_count;
    struct renewer renewer;
    struct seat seats[1 + VERDICT_READERS_MAX]; /* the first is the renewer's */
};

_Static_assert(offsetof(struct entry, bytes) <= CACHE_LINE_LEN, "more than a line");
_Static_assert(VERDICT_KEY_MAX <= UINT16_MAX && VERDICT_PRODUCT_MAX <= UINT8_MAX, "lengths");

/* ---- coming, going and freeing ---- */

static void pin(struct verdict_reader *reader)
{
    uint64_t epoch = atomic_load(&reader->table->epoch);
    atomic_store(&reader->seat->pinned, epoch);
}

static void unpin(struct verdict_reader *reader)
{
    atomic_store_explicit(&reader->seat->pinned, 0, memory_order_release);
}

/* Things with a tag below this are out of everybody's reach. */
static uint64_t find_horizon(struct verdict_table *table)
{
    unsigned count = atomic_load(&table->seat_count);
    uint64_t horizon = UINT64_MAX;

    for (unsigned i = 0; i < count; i++) {
        uint64_t pinned = atomic_load(&table->seats[i].pinned);
        if (pinned && pinned < horizon) {
            horizon = pinned;
        }
    }
    return horizon;
}

/* Whole cache lines. */
static size_t entry_len(size_t key_len, size_t product_len)
{
    size_t len = offsetof(struct entry, bytes) + key_len + product_len;
    return (len + CACHE_LINE_LEN - 1) / CACHE_LINE_LEN * CACHE_LINE_LEN;
}

static void free_entry(struct verdict_table *table, struct entry *entry)
{
    atomic_fetch_sub_explicit(&table->bytes, entry_len(entry->key_len, entry->product_len),
                              memory_order_relaxed);
    free(entry);
}

/* Frees those of the list that are out of reach; returns how many are not. */
static size_t free_retired(struct verdict_table *table, struct entry **link)
{
    uint64_t horizon = find_horizon(table);
    size_t kept = 0;

    while (*link) {
        struct entry *entry = *link;
        if (entry->tag < horizon) {
            *link = entry->next;
            free_entry(table, entry);
        } else {
            link = &entry->next;
            kept++;
        }
    }
    return kept;
}

/* After the entry was taken from its slot. There must be room. */
static void retire_entry(struct verdict_reader *reader, struct entry *entry)
{
    ASSERT(reader->retired_count < VERDICT_RETIRED_MAX);
    entry->tag = atomic_fetch_add(&reader->table->epoch, 1);
    entry->next = reader->retired;
    reader->retired = entry;
    reader->retired_count++;
    reader->counts.evicted++;
}

/* Frees what can be, when there is no room or when memory is short. */
static bool has_retire_room(struct verdict_reader *reader, bool is_short)
{
    if (is_short || reader->retired_count >= VERDICT_RETIRED_MAX) {
        reader->retired_count = free_retired(reader->table, &reader->retired);
    }
    return reader->retired_count < VERDICT_RETIRED_MAX;
}

static bool is_held(struct verdict_table *table, const struct signature_set *set)
{
    unsigned count = atomic_load(&table->seat_count);
    bool held = false;

    for (unsigned i = 0; i < count && !held; i++) {
        held = atomic_load_explicit(&table->seats[i].held, memory_order_acquire) == set;
    }
    return held;
}

static void free_set(struct signature_set *set)
{
    database_free(set->db);
    free(set);
}

/* Under the lock. The horizon is found before any `held` is looked at. */
static void sweep(struct verdict_table *table)
{
    uint64_t horizon = find_horizon(table);
    struct signature_set **link = &table->waiting;

    while (*link) {
        struct signature_set *set = *link;
        if (set->tag < horizon && !is_held(table, set)) {
            *link = set->next;
            table->waiting_count--;
            free_set(set);
        } else {
            link = &set->next;
        }
    }
    (void)has_retire_room(&table->renewer.reader, true);
}

/* ---- the table ---- */

struct verdict_table *verdict_table_new(size_t cap)
{
    struct verdict_table *table;
    size_t bucket_count = 1;

    ASSERT(cap >= 1 && cap <= VERDICT_TABLE_CAP_MAX);
    while (bucket_count * WAY_COUNT < cap) {
        bucket_count *= 2;
    }
    table = aligned_alloc(CACHE_LINE_LEN, sizeof(*table));
    if (!table) {
        return NULL;
    }
    memset(table, 0, sizeof(*table));
    table->slots = calloc(bucket_count * WAY_COUNT, sizeof(table->slots[0]));
    if (!table->slots) {
        free(table);
        return NULL;
    }
    table->bucket_count = bucket_count;
    table->bytes_max = bucket_count * WAY_COUNT * VERDICT_ENTRY_MEAN_LEN;
    atomic_init(&table->epoch, 1);
    atomic_init(&table->seat_count, 1);
    table->renewer.reader.table = table;
    table->renewer.reader.seat = &table->seats[0];
    table->seats[0].is_taken = true;
    pthread_mutex_init(&table->lock, NULL);
    return table;
}

void verdict_table_free(struct verdict_table *table)
{
    struct signature_set *current;

    if (!table) {
        return;
    }
    for (size_t i = 1; i < COUNT_OF(table->seats); i++) {
        ASSERT(!table->seats[i].is_taken);
    }
    sweep(table);
    ASSERT(!table->waiting && !table->renewer.reader.retired);
    for (size_t i = 0; i < table->bucket_count * WAY_COUNT; i++) {
        free(atomic_load(&table->slots[i]));
    }
    current = atomic_load(&table->current);
    if (current) {
        free_set(current);
    }
    pthread_mutex_destroy(&table->lock);
    free(table->slots);
    free(table);
}

size_t verdict_table_sweep(struct verdict_table *table)
{
    size_t count;

    pthread_mutex_lock(&table->lock);
    sweep(table);
    count = table->waiting_count;
    pthread_mutex_unlock(&table->lock);
    return count;
}

struct verdict_figures verdict_table_figures(struct verdict_table *table)
{
    struct verdict_figures figures = {.bytes_max = table->bytes_max};
    const struct signature_set *current;

    pthread_mutex_lock(&table->lock); /* nobody else replaces the current set */
    current = atomic_load(&table->current);
    figures.serial = current ? current->serial : 0;
    figures.sets_waiting = table->waiting_count;
    figures.renewed = table->renewer.reader.counts.stored;
    pthread_mutex_unlock(&table->lock);
    for (size_t i = 0; i < table->bucket_count * WAY_COUNT; i++) {
        figures.entry_count += atomic_load_explicit(&table->slots[i], memory_order_relaxed) != NULL;
    }
    figures.bytes = atomic_load_explicit(&table->bytes, memory_order_relaxed);
    return figures;
}

/* ---- readers ---- */

/* Under the lock. Null: all are taken. */
static struct seat *take_seat(struct verdict_table *table)
{
    unsigned index = 0;

    while (index < COUNT_OF(table->seats) && table->seats[index].is_taken) {
        index++;
    }
    if (index == COUNT_OF(table->seats)) {
        return NULL;
    }
    table->seats[index].is_taken = true;
    if (index >= atomic_load(&table->seat_count)) {
        atomic_store(&table->seat_count, index + 1);
    }
    return &table->seats[index];
}

struct verdict_reader *verdict_reader_new(struct verdict_table *table)
{
    struct verdict_reader *reader = malloc(sizeof(*reader));

    if (!reader) {
        return NULL;
    }
    reader->table = table;
    reader->counts = (struct verdict_counts){0};
    reader->retired_count = 0;
    reader->retired = NULL;
    pthread_mutex_lock(&table->lock);
    reader->seat = take_seat(table);
    pthread_mutex_unlock(&table->lock);
    if (!reader->seat) {
        free(reader);
        return NULL;
    }
    return reader;
}

void verdict_reader_free(struct verdict_reader *reader)
{
    struct verdict_table *table;
    struct verdict_reader *heir;

    if (!reader) {
        return;
    }
    table = reader->table;
    heir = &table->renewer.reader;
    pthread_mutex_lock(&table->lock);
    reader->seat->is_taken = false;
    while (reader->retired) {
        struct entry *entry = reader->retired;
        reader->retired = entry->next;
        entry->next = heir->retired;
        heir->retired = entry;
        heir->retired_count++;
    }
    sweep(table);
    pthread_mutex_unlock(&table->lock);
    free(reader);
}

const struct verdict_counts *verdict_reader_counts(const struct verdict_reader *reader)
{
    return &reader->counts;
}

/* ---- slots ---- */

static _Atomic(struct entry *) *peek_bucket(struct verdict_table *table, uint64_t hash)
{
    return &table->slots[(hash & (table->bucket_count - 1)) * WAY_COUNT];
}

static struct span entry_key(const struct entry *entry)
{
    return span_make(entry->bytes, entry->key_len);
}

/* Is this what a check against the set says, too? */
static bool is_fresh(const struct entry *entry, const struct signature_set *set)
{
    return entry->basis == database_digest_at(set->digest, entry->part);
}

/* Of an older set, and not what these say. */
static bool is_outlived(const struct entry *entry, const struct set_use *use)
{
    return entry->serial < use->current->serial && !is_fresh(entry, use->current) &&
           !is_fresh(entry, use->set);
}

/* Of a newer one, and not what the current one says. */
static bool is_ahead(const struct entry *entry, const struct set_use *use)
{
    return entry->serial > use->current->serial && !is_fresh(entry, use->current);
}

/* Pinned. */
static struct entry *find_entry(struct verdict_table *table, uint64_t hash, struct span key,
                                const struct signature_set *set)
{
    _Atomic(struct entry *) *bucket = peek_bucket(table, hash);
    struct entry *found = NULL;

    for (size_t i = 0; i < WAY_COUNT && !found; i++) {
        struct entry *entry = atomic_load(&bucket[i]);
        if (entry && entry->hash == hash && is_fresh(entry, set) &&
            span_equal(entry_key(entry), key)) {
            found = entry;
        }
    }
    return found;
}

/* Pinned, with room to retire: takes whatever the clock's hand finds first that is outlived or was
 * not used since it last came by. */
static void sweep_slots(struct verdict_reader *reader, const struct set_use *use)
{
    struct verdict_table *table = reader->table;
    size_t mask = table->bucket_count * WAY_COUNT - 1;
    bool done = false;

    for (int i = 0; i < SWEEP_STEPS_MAX && !done; i++) {
        size_t at = atomic_fetch_add_explicit(&table->hand, 1, memory_order_relaxed) & mask;
        struct entry *entry = atomic_load(&table->slots[at]);
        if (!entry || is_ahead(entry, use)) {
            continue;
        }
        done = (is_outlived(entry, use) ||
                !atomic_exchange_explicit(&entry->is_used, false, memory_order_relaxed)) &&
               atomic_compare_exchange_strong(&table->slots[at], &entry, NULL);
        if (done) {
            retire_entry(reader, entry);
        }
    }
}

/* Room for `len` bytes, or makes some for the next that asks: what is retired now is freed then. */
static bool reserve(struct verdict_reader *reader, size_t len, const struct set_use *use)
{
    struct verdict_table *table = reader->table;

    for (int attempt = 0; attempt < 2; attempt++) {
        size_t before = atomic_fetch_add_explicit(&table->bytes, len, memory_order_relaxed);
        if (before <= table->bytes_max && len <= table->bytes_max - before) {
            return true;
        }
        atomic_fetch_sub_explicit(&table->bytes, len, memory_order_relaxed);
        if (has_retire_room(reader, true)) {
            pin(reader);
            sweep_slots(reader, use);
            unpin(reader);
            (void)has_retire_room(reader, true);
        }
    }
    return false;
}

static void tell(struct verdict_report *report, const struct entry *entry,
                 const struct ua_fingerprint *ua, uint64_t serial)
{
    report->serial = serial;
    report->browser = ua->browser;
    report->browser_version = ua->browser_version;
    memcpy((uint8_t *)report + VERDICT_AT, entry->verdict, VERDICT_LEN);
    memset(report->product, 0, sizeof(report->product));
    if (entry->product_len) {
        memcpy(report->product, entry->bytes + entry->key_len, entry->product_len);
    }
}

static struct digest_part find_part(const struct verdict_reader *reader,
                                    const struct ua_fingerprint *ua)
{
    const struct detect_report *full = &reader->full;
    /* Else no product was looked for, and the ciphers may not even be there. */
    bool has_looked = full->level != MATCH_POSSIBLE && full->error != DETECT_ERROR_TOO_MANY_QUIRKS;

    return database_digest_part(ua, has_looked ? &full->seen.ciphers : NULL);
}

static struct entry *make_entry(struct verdict_reader *reader, const struct set_use *use,
                                struct digest_part part, const struct verdict_report *report)
{
    size_t len = entry_len(reader->key.len, report->product_len);
    struct entry *entry;

    if (!reserve(reader, len, use)) {
        return NULL;
    }
    entry = aligned_alloc(CACHE_LINE_LEN, len);
    if (!entry) {
        atomic_fetch_sub_explicit(&reader->table->bytes, len, memory_order_relaxed);
        return NULL;
    }
    entry->hash = reader->key.hash;
    entry->basis = database_digest_at(use->set->digest, part);
    entry->serial = use->set->serial;
    entry->part = part;
    entry->key_len = (uint16_t)reader->key.len;
    atomic_init(&entry->is_used, use->set == use->current);
    entry->product_len = report->product_len;
    memcpy(entry->verdict, (const uint8_t *)report + VERDICT_AT, VERDICT_LEN);
    memcpy(entry->bytes, reader->key.bytes, reader->key.len);
    memcpy(entry->bytes + reader->key.len, report->product, report->product_len);
    return entry;
}

/*
 * Pinned. Which slot of the bucket to take, and what is in it: an empty one, an outlived one, one
 * not used since the last time that the bucket was full, the first. Never one of a newer set:
 * WAY_COUNT if there is nothing else.
 */
static size_t choose_way(_Atomic(struct entry *) *bucket, const struct set_use *use,
                         struct entry **victim)
{
    size_t chosen = WAY_COUNT;
    unsigned best = 0;

    for (size_t i = 0; i < WAY_COUNT; i++) {
        struct entry *entry = atomic_load(&bucket[i]);
        unsigned rank = 4;
        if (entry && is_ahead(entry, use)) {
            rank = 0;
        } else if (entry && is_outlived(entry, use)) {
            rank = 3;
        } else if (entry) {
            rank = atomic_load_explicit(&entry->is_used, memory_order_relaxed) ? 1 : 2;
        }
        if (rank > best) {
            best = rank;
            chosen = i;
            *victim = entry;
        }
    }
    return chosen;
}

/* All entries were used since the last time, so none is told apart: begin anew. */
static void forget_uses(_Atomic(struct entry *) *bucket)
{
    for (size_t i = 0; i < WAY_COUNT; i++) {
        struct entry *entry = atomic_load(&bucket[i]);
        if (entry) {
            atomic_store_explicit(&entry->is_used, false, memory_order_relaxed);
        }
    }
}

/* Pinned, with room to retire. False: others were faster, or keep newer ones there. */
static bool place(struct verdict_reader *reader, const struct set_use *use, struct entry *entry)
{
    struct verdict_table *table = reader->table;
    _Atomic(struct entry *) *bucket = peek_bucket(table, entry->hash);
    struct entry *victim = NULL;
    size_t way = choose_way(bucket, use, &victim);

    if (way == WAY_COUNT || find_entry(table, entry->hash, entry_key(entry), use->set)) {
        return false;
    }
    if (victim && !is_outlived(victim, use) &&
        atomic_load_explicit(&victim->is_used, memory_order_relaxed)) {
        forget_uses(bucket);
    }
    if (!atomic_compare_exchange_strong(&bucket[way], &victim, entry)) {
        return false;
    }
    if (victim) {
        retire_entry(reader, victim);
    }
    return true;
}

/* Not worth a second attempt: the next miss of this question is one. */
static void store(struct verdict_reader *reader, const struct set_use *use, struct digest_part part,
                  const struct verdict_report *report)
{
    struct verdict_table *table = reader->table;
    struct entry *entry;
    bool done;

    if (atomic_load_explicit(&table->current, memory_order_relaxed) != use->current ||
        !has_retire_room(reader, false)) {
        return;
    }
    entry = make_entry(reader, use, part, report);
    if (!entry) {
        return;
    }
    done = has_retire_room(reader, false);
    if (done) {
        pin(reader);
        done = place(reader, use, entry);
        unpin(reader);
    }
    if (done) {
        reader->counts.stored++;
    } else {
        free_entry(table, entry);
    }
}

/* ---- lookups ---- */

/* Pinned. Ends the key, too. */
static bool recall_form(struct verdict_reader *reader, const struct signature_set *set,
                        const struct detect_question *question, enum verdict_key_form form,
                        struct verdict_report *report)
{
    struct entry *entry;

    if (!verdict_key_end(&reader->key, form, &question->request->extensions)) {
        return false;
    }
    entry = find_entry(reader->table, reader->key.hash, verdict_key_view(&reader->key), set);
    if (!entry) {
        return false;
    }
    if (!atomic_load_explicit(&entry->is_used, memory_order_relaxed)) {
        atomic_store_explicit(&entry->is_used, true, memory_order_relaxed);
    }
    tell(report, entry, question->ua, set->serial);
    reader->counts.hits++;
    return true;
}

/* Who may send another order the next time: a browser that permutes, or nobody knows who. Of others
 * the key has the order that was seen, and one look is enough. */
static bool may_permute(const struct ua_fingerprint *ua)
{
    return ua->browser == UA_BROWSER_UNKNOWN || detect_permutes_extensions(ua);
}

/* Pinned, with a key that is begun. */
static bool recall(struct verdict_reader *reader, const struct signature_set *set,
                   const struct detect_question *question, struct verdict_report *report)
{
    return (may_permute(question->ua) &&
            recall_form(reader, set, question, VERDICT_KEY_SORTED, report)) ||
           recall_form(reader, set, question, VERDICT_KEY_AS_SEEN, report);
}

static void fill_report(struct verdict_report *report, const struct detect_report *full,
                        const struct detect_question *question, uint64_t serial)
{
    struct span names = detect_product_names(full);

    *report = (struct verdict_report){
        .serial = serial,
        .error = full->error,
        .verdict = full->verdict,
        .unknown = full->unknown,
        .level = full->level,
        .reason = full->reason,
        .browser_grade = full->browser_grade,
        .actual_grade = full->actual_grade,
        .weak_ciphers = full->weak_ciphers,
        .loses_pfs = full->loses_pfs,
        .has_browser = full->browser != NULL,
        .has_product = full->product != NULL,
        .is_product_cut = names.len > VERDICT_PRODUCT_MAX,
        .product_type = detect_product_type(full),
        .browser = question->ua->browser,
        .browser_version = question->ua->browser_version,
    };
    names = span_sub(names, 0, VERDICT_PRODUCT_MAX);
    report->product_len = (uint8_t)names.len;
    if (names.len) {
        memcpy(report->product, names.data, names.len);
    }
}

/* Held. `has_key`: the key is begun, and worth storing with. */
static void check(struct verdict_reader *reader, const struct set_use *use, bool has_key,
                  const struct detect_question *question, struct verdict_report *report)
{
    enum verdict_key_form form;

    detect_check(use->set->db, question, &reader->full);
    fill_report(report, &reader->full, question, use->set->serial);
    reader->counts.misses++;
    form = reader->full.is_any_order && may_permute(question->ua) ? VERDICT_KEY_SORTED
                                                                  : VERDICT_KEY_AS_SEEN;
    if (has_key && verdict_key_end(&reader->key, form, &question->request->extensions)) {
        store(reader, use, find_part(reader, question->ua), report);
    }
}

/* What keys will most likely be made with; whoever is pinned sees whether they are. */
static struct verdict_key_rules guess_rules(struct verdict_table *table)
{
    bool is_compatible = atomic_load_explicit(&table->is_compatible, memory_order_relaxed);

    return (struct verdict_key_rules){is_compatible ? DETECT_COMPATIBLE : DETECT_DEFAULT,
                                      atomic_load_explicit(&table->has_days, memory_order_relaxed)};
}

/* The key is made before the pin: what comes behind that waits for all that is before it, so a
 * question that is in no cache would be waited for once more. */
bool verdict_lookup(struct verdict_reader *reader, const struct detect_question *question,
                    struct verdict_report *report)
{
    struct verdict_key_rules rules = guess_rules(reader->table);
    bool has_key = verdict_key_begin(&reader->key, rules, question);
    struct signature_set *set;

    pin(reader);
    set = atomic_load(&reader->table->current);
    if (!set) {
        unpin(reader);
        return false;
    }
    if (set->rules.mode != rules.mode || set->rules.has_days != rules.has_days) {
        has_key = verdict_key_begin(&reader->key, set->rules, question);
    }
    if (has_key && recall(reader, set, question, report)) {
        unpin(reader);
        return true;
    }
    atomic_store_explicit(&reader->seat->held, set, memory_order_relaxed);
    unpin(reader);
    check(reader, &(struct set_use){set, set}, has_key, question, report);
    atomic_store_explicit(&reader->seat->held, NULL, memory_order_release);
    return true;
}

/* ---- publishing ---- */

/* Pinned. Was it asked for, is it what the current set says, and is there none yet of what the next
 * one says? */
static bool is_expiring(struct verdict_table *table, const struct entry *entry,
                        const struct set_use *use)
{
    return entry && atomic_load_explicit(&entry->is_used, memory_order_relaxed) &&
           is_fresh(entry, use->current) && !is_fresh(entry, use->set) &&
           !find_entry(table, entry->hash, entry_key(entry), use->set);
}

/* A copy of the key of what is in the slot, if that expires, else nothing. */
static struct span copy_expiring(struct verdict_table *table, size_t slot,
                                 const struct set_use *use)
{
    struct renewer *renewer = &table->renewer;
    struct span key = {renewer->key, 0};
    const struct entry *entry;

    pin(&renewer->reader);
    entry = atomic_load(&table->slots[slot]);
    if (is_expiring(table, entry, use)) {
        key.len = entry->key_len;
        memcpy(renewer->key, entry->bytes, entry->key_len);
    }
    unpin(&renewer->reader);
    return key;
}

/* Under the lock, before the set is current. Whatever is read from a key, the verdict is that of
 * what was read, with a key of its own: at worst it is one that nobody asks for. */
static void renew(struct verdict_table *table, const struct set_use *use)
{
    struct renewer *renewer = &table->renewer;
    struct verdict_reader *reader = &renewer->reader;
    const struct detect_question *again = &renewer->again.question;
    size_t slot_count = table->bucket_count * WAY_COUNT;
    struct verdict_report report;
    unsigned count = 0;

    for (size_t i = 0; i < slot_count && count < VERDICT_RENEWED_MAX; i++) {
        struct span key;

        if (!atomic_load_explicit(&table->slots[i], memory_order_relaxed)) {
            continue;
        }
        key = copy_expiring(table, i, use);
        if (key.len && verdict_key_read(&renewer->again, key)) {
            bool has_key = verdict_key_begin(&reader->key, use->set->rules, again);

            check(reader, use, has_key, again, &report);
            count++;
        }
    }
}

bool verdict_table_publish(struct verdict_table *table, struct database *db)
{
    struct signature_set *set = malloc(sizeof(*set));
    struct signature_set *old;
    bool has_room;

    if (!set) {
        return false;
    }
    pthread_mutex_lock(&table->lock);
    sweep(table);
    old = atomic_load(&table->current);
    if (old && database_digest_equal(old->digest, database_digest(db))) {
        pthread_mutex_unlock(&table->lock);
        *set = (struct signature_set){.db = db};
        free_set(set);
        return true;
    }
    has_room = table->waiting_count < VERDICT_WAITING_MAX;
    if (has_room) {
        *set = (struct signature_set){.db = db,
                                      .digest = database_digest(db),
                                      .rules = verdict_key_rules(db),
                                      .serial = old ? old->serial + 1 : 1};
        if (old) {
            renew(table, &(struct set_use){set, old});
        }
        atomic_store(&table->is_compatible, set->rules.mode == DETECT_COMPATIBLE);
        atomic_store(&table->has_days, set->rules.has_days);
        atomic_store(&table->current, set);
        if (old) {
            old->tag = atomic_fetch_add(&table->epoch, 1);
            old->next = table->waiting;
            table->waiting = old;
            table->waiting_count++;
            sweep(table);
        }
    }
    pthread_mutex_unlock(&table->lock);
    if (!has_room) {
        free(set);
    }
    return has_room;
}
