/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/readers.h"

#include "core/base/clock.h"
#include "core/options.h"
#include "detect/verdict_table.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

enum { LOOKUPS_A_LOOK = 16 }; /* between two looks at whether the slice is over */

struct reader {
    struct readers *readers;
    struct verdict_reader *reader;
    struct mix_room room;
    pthread_t thread; /* of a slice */
    /* Of the last slice. */
    uint64_t lookup_count;
    uint64_t miss_count;
    int64_t cpu_ns;
};

/* The main thread begins and ends slices, and publishes in every other one. */
struct readers {
    const struct readers_plan *plan;
    struct verdict_table *table;
    atomic_bool is_over; /* the slice */
    struct database *prepared[READERS_PREPARED];
    unsigned made_count;
    struct reader items[READERS_MAX];
};

/* ---- the readers ---- */

static size_t look_up(struct reader *reader, size_t at, size_t count)
{
    const struct readers_plan *plan = reader->readers->plan;
    struct verdict_report report;

    for (size_t i = 0; i < count; i++) {
        bool found;

        mix_ask(&reader->room, plan->items[at]);
        found = verdict_lookup(reader->reader, &reader->room.question, &report);
        ASSERT(found);
        measure_keep(&report);
        at = at + 1 < plan->count ? at + 1 : 0;
    }
    return at;
}

/* Once through the questions first, so that what they need is in the caches. */
static void *run_slice(void *context)
{
    struct reader *reader = context;
    size_t at = look_up(reader, 0, reader->readers->plan->count);
    uint64_t misses = verdict_reader_counts(reader->reader)->misses;
    int64_t start = measure_cpu_ns();

    reader->lookup_count = 0;
    do {
        at = look_up(reader, at, LOOKUPS_A_LOOK);
        reader->lookup_count += LOOKUPS_A_LOOK;
    } while (!atomic_load_explicit(&reader->readers->is_over, memory_order_relaxed));
    reader->cpu_ns = measure_cpu_ns() - start;
    reader->miss_count = verdict_reader_counts(reader->reader)->misses - misses;
    return NULL;
}

/* Returns how many were started; stops at one that cannot be. */
static unsigned start_readers(struct readers *readers)
{
    unsigned count = 0;

    while (count < readers->plan->thread_count &&
           pthread_create(&readers->items[count].thread, NULL, run_slice, &readers->items[count]) ==
               0) {
        count++;
    }
    return count;
}

/* ---- the publisher ---- */

static void sleep_until(int64_t at_ns)
{
    struct timespec at = {at_ns / NS_PER_S, at_ns % NS_PER_S};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR) {
    }
}

static struct database *make_set(struct readers *readers, FILE *err)
{
    const struct readers_plan *plan = readers->plan;

    return plan->like ? mix_database_with(plan->dir, plan->like, readers->made_count++, err)
                      : mix_database(plan->dir, DETECT_DEFAULT, err);
}

static bool prepare(struct readers *readers, FILE *err)
{
    for (size_t i = 0; i < READERS_PREPARED; i++) {
        if (!readers->prepared[i]) {
            readers->prepared[i] = make_set(readers, err);
        }
        if (!readers->prepared[i]) {
            return false;
        }
    }
    return true;
}

/* A set that waits for readers is left for the next slice. */
static size_t publish_prepared(struct readers *readers)
{
    int64_t start = clock_monotonic_ns();
    size_t count = 0;

    for (size_t i = 0; i < READERS_PREPARED; i++) {
        sleep_until(start + (int64_t)i * NS_PER_S / READERS_PUBLISH_HZ);
        if (verdict_table_publish(readers->table, readers->prepared[i])) {
            readers->prepared[i] = NULL;
            count++;
        }
    }
    return count;
}

/* What slices of one kind came to. */
struct series {
    bool is_publishing;
    double cpu_ns[READERS_SLICES_MAX]; /* a lookup */
    uint64_t lookup_count;
    uint64_t miss_count;
    uint64_t publish_count;
    int64_t wall_ns;
};

/* False: not all readers could be started. */
static bool measure_slice(struct readers *readers, struct series *series, size_t slice)
{
    uint64_t lookup_count = 0;
    int64_t cpu_ns = 0;
    int64_t start = clock_monotonic_ns();
    unsigned started;

    atomic_store(&readers->is_over, false);
    started = start_readers(readers);
    if (series->is_publishing) {
        series->publish_count += publish_prepared(readers);
    }
    sleep_until(start + READERS_SLICE_MS * NS_PER_MS);
    series->wall_ns += clock_monotonic_ns() - start;
    atomic_store(&readers->is_over, true);
    for (unsigned i = 0; i < started; i++) {
        pthread_join(readers->items[i].thread, NULL);
        lookup_count += readers->items[i].lookup_count;
        series->miss_count += readers->items[i].miss_count;
        cpu_ns += readers->items[i].cpu_ns;
    }
    series->lookup_count += lookup_count;
    series->cpu_ns[slice] = started ? (double)cpu_ns / (double)lookup_count : 0;
    return started == readers->plan->thread_count;
}

static double part(uint64_t count, uint64_t of)
{
    return of ? (double)count / (double)of : 0;
}

static int measure_slices(struct readers *readers, struct readers_result *result, FILE *err)
{
    static struct series alone, publishing;
    int64_t start = clock_monotonic_ns();
    size_t count = 0;

    alone = (struct series){.is_publishing = false};
    publishing = (struct series){.is_publishing = true};
    while (
        count < READERS_SLICES_MAX &&
        (count < READERS_SLICES_MIN || clock_monotonic_ns() - start < readers->plan->budget_ns)) {
        if (!prepare(readers, err)) {
            return EXIT_STATUS_CONFIG;
        }
        if (!measure_slice(readers, &alone, count) || !measure_slice(readers, &publishing, count)) {
            fputs("weir bench: no thread could be started\n", err);
            return EXIT_STATUS_RUNTIME;
        }
        count++;
    }
    *result = (struct readers_result){
        .alone = measure_summarise(alone.cpu_ns, count),
        .publishing = measure_summarise(publishing.cpu_ns, count),
        .slice_count = count,
        .lookup_count = alone.lookup_count + publishing.lookup_count,
        .alone_misses = part(alone.miss_count, alone.lookup_count),
        .publishing_misses = part(publishing.miss_count, publishing.lookup_count),
        .publish_count = publishing.publish_count,
        .publish_hz = (double)publishing.publish_count * 1e9 / (double)publishing.wall_ns,
    };
    return EXIT_STATUS_OK;
}

/* ---- life ---- */

/* False: no memory. */
static bool open_readers(struct readers *readers)
{
    for (unsigned i = 0; i < readers->plan->thread_count; i++) {
        readers->items[i].readers = readers;
        readers->items[i].reader = verdict_reader_new(readers->table);
        if (!readers->items[i].reader) {
            return false;
        }
    }
    return true;
}

static void close_readers(struct readers *readers)
{
    for (unsigned i = 0; i < readers->plan->thread_count; i++) {
        verdict_reader_free(readers->items[i].reader);
    }
    for (size_t i = 0; i < READERS_PREPARED; i++) {
        database_free(readers->prepared[i]);
    }
    verdict_table_free(readers->table);
}

int readers_run(const struct readers_plan *plan, struct readers_result *result, FILE *err)
{
    struct readers *readers = calloc(1, sizeof(*readers));
    int status = EXIT_STATUS_RUNTIME;

    if (!readers) {
        fputs("weir bench: out of memory\n", err);
        return status;
    }
    readers->plan = plan;
    readers->table = verdict_table_new(plan->table_cap);
    if (!readers->table || !open_readers(readers)) {
        fputs("weir bench: out of memory\n", err);
    } else if (prepare(readers, err)) {
        (void)publish_prepared(readers); /* lookups need a set from the first one on */
        status = measure_slices(readers, result, err);
    }
    close_readers(readers);
    free(readers);
    return status;
}
