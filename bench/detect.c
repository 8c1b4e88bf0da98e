/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/detect.h"

#include "bench/detect_work.h"
#include "bench/measure_report.h"
#include "bench/readers.h"
#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/base/random.h"
#include "core/tools/hello_facts.h"

#include <stdlib.h>

enum {
    SECONDS_DEFAULT = 10,
    READERS_COUNT = 5,
    READERS_SHARE = 4,        /* times the time of another case, each of them */
    READERS_TABLE_CAP = 8192, /* slots, for ASKED_QUESTIONS and what they were in older sets */
    HOT_QUESTIONS = 16,
    ASKED_QUESTIONS = 256, /* by readers; far more than a table of one bucket remembers */
    TABLE_SPARE = 8,       /* slots an entry, so that hardly any bucket is too small */
    CASE_COUNT = 16,       /* besides readers */
};

/* One line of the answer. */
struct measurement {
    const char *name;
    const char *what;
    unsigned bound_ns; /* of CPU time, median, without `asking_ns`; 0: none */
    double asking_ns;  /* what putting the question together takes of it */
    enum measure_heap heap;
    struct measure_result result;
};

/* One kind of readers. */
struct reader_measurement {
    const char *name;
    const char *what;
    struct readers_result result;
};

struct bench {
    const struct options *options;
    FILE *err;
    int64_t share_ns;                     /* of time, for one case */
    struct database *compatible, *mended; /* the second in default mode */
    struct mix mix;
    struct measurement measurements[CASE_COUNT];
    size_t count;
    size_t hit_count; /* questions of the mix that are remembered */
    struct reader_measurement readers[READERS_COUNT];
};

/* ---- checks and lookups ---- */

struct check_work {
    const struct database *db;
    const struct mix *mix;
    struct mix_room room;
    struct detect_report report;
};

static void run_check(void *context, size_t count)
{
    struct check_work *work = context;

    for (size_t i = 0, at = 0; i < count; i++) {
        mix_ask(&work->room, work->mix->items[at]);
        detect_check(work->db, &work->room.question, &work->report);
        measure_keep(&work->report);
        at = at + 1 < work->mix->count ? at + 1 : 0;
    }
}

/* ---- what is measured ---- */

static void measure(struct bench *bench, const char *name, const char *what, unsigned bound_ns,
                    const struct measure_work *work)
{
    struct measurement *measurement = &bench->measurements[bench->count++];

    ASSERT(bench->count <= CASE_COUNT);
    *measurement = (struct measurement){.name = name, .what = what, .bound_ns = bound_ns};
    work->run(work->context, work->step);
    measurement->heap = measure_heap(work);
    measurement->result = measure_run(work, bench->share_ns);
}

/* A measurement that is part of the next one. */
static double measure_asking(struct bench *bench, const char *name, struct lookup_work *work)
{
    struct measure_work ask = {lookup_work_run_ask, work, work->count};

    measure(bench, name, "the questions of the next one put together, not asked", 0, &ask);
    return bench->measurements[bench->count - 1].result.cpu.median;
}

static void measure_hit(struct bench *bench, const char *asking_name, const char *name,
                        const char *what, struct lookup_work *work)
{
    struct measure_work hit = {lookup_work_run_lookup, work, work->count};
    double asking_ns = measure_asking(bench, asking_name, work);

    measure(bench, name, what, 100, &hit);
    bench->measurements[bench->count - 1].asking_ns = asking_ns;
}

static void measure_hello(struct bench *bench, enum sample_hello which)
{
    static const struct {
        const char *name;
        const char *what;
        unsigned bound_ns;
        void (*run)(void *context, size_t count);
    } rows[][4] = {
        {{"parse_517", "a ClientHello of 517 bytes: record, parse", 0, hello_work_run_parse},
         {"key_517", "the same, and request fingerprint, key and its hash", 500,
          hello_work_run_key},
         {"ja3_517", "its JA3", 0, hello_work_run_ja3},
         {"ja4_517", "its JA4", 0, hello_work_run_ja4}},
        {{"parse_1843", "a ClientHello of 1843 bytes: record, parse", 0, hello_work_run_parse},
         {"key_1843", "the same, and request fingerprint, key and its hash", 1000,
          hello_work_run_key},
         {"ja3_1843", "its JA3", 0, hello_work_run_ja3},
         {"ja4_1843", "its JA4", 0, hello_work_run_ja4}},
    };
    static struct hello_work work;

    hello_work_init(&work, bench->mended, which);
    for (size_t i = 0; i < COUNT_OF(rows[which]); i++) {
        struct measure_work one = {rows[which][i].run, &work, 1};

        measure(bench, rows[which][i].name, rows[which][i].what, rows[which][i].bound_ns, &one);
    }
}

/* `count` of the mix, evenly spread, or all if there are fewer. Returns how many. */
static size_t pick(const struct mix *mix, struct mix_question **items, size_t count)
{
    count = count < mix->count ? count : mix->count;
    for (size_t i = 0; i < count; i++) {
        items[i] = mix->items[i * mix->count / count];
    }
    return count;
}

static bool is_hit(struct verdict_reader *reader, const struct mix_question *item)
{
    static struct mix_room room;
    struct verdict_report report;
    uint64_t hits = verdict_reader_counts(reader)->hits;

    mix_ask(&room, item);
    return verdict_lookup(reader, &room.question, &report) &&
           verdict_reader_counts(reader)->hits > hits;
}

/* Those that are remembered; returns how many. One that is not takes the place of another, perhaps
 * of one that was kept, so until all are. */
static size_t keep_hits(struct verdict_reader *reader, struct mix_question **items, size_t count)
{
    size_t asked;

    do {
        asked = count;
        count = 0;
        for (size_t i = 0; i < asked; i++) {
            if (is_hit(reader, items[i])) {
                items[count++] = items[i];
            }
        }
    } while (count < asked);
    return count;
}

/* `items` are those of the work, to be changed. */
static void measure_remembered(struct bench *bench, struct lookup_work *work,
                               struct mix_question **items)
{
    bench->hit_count = work->count;
    if (work->count == 0) {
        fputs(
            "weir bench: no question of the mix can be remembered: hit_mix, hit_hot are left out\n",
            bench->err);
        return;
    }
    measure_hit(bench, "ask_mix", "hit_mix",
                "a remembered verdict, each question of the mix in turn", work);
    work->count = pick(&(struct mix){items, work->count}, items, HOT_QUESTIONS);
    measure_hit(bench, "ask_hot", "hit_hot",
                "a remembered verdict, 16 questions of the mix in turn", work);
}

/* Remembers the mix, and asks what is remembered: what found no room is left out. */
static int measure_hits(struct bench *bench)
{
    struct database *db = mix_database(bench->options->database_dir, DETECT_DEFAULT, bench->err);
    struct mix_question **items = calloc(bench->mix.count, sizeof(struct mix_question *));
    static struct lookup_work work;
    struct asked_table asked = {NULL, NULL};
    int status = EXIT_STATUS_RUNTIME;

    if (!items) {
        fputs("weir bench: out of memory\n", bench->err);
        database_free(db);
        return status;
    }
    if (asked_table_init(&asked, db, bench->mix.count * TABLE_SPARE, bench->err)) {
        work.items = items;
        work.reader = asked.reader;
        for (size_t i = 0; i < bench->mix.count; i++) {
            (void)is_hit(asked.reader, bench->mix.items[i]);
        }
        work.count = keep_hits(asked.reader, items, pick(&bench->mix, items, bench->mix.count));
        measure_remembered(bench, &work, items);
        status = EXIT_STATUS_OK;
    }
    asked_table_fini(&asked);
    free(items);
    return status;
}

static int measure_chrome_hit(struct bench *bench)
{
    static struct chrome_work work;
    int status = EXIT_STATUS_RUNTIME;

    if (chrome_work_init(&work, bench->mended, bench->err)) {
        measure_hit(bench, "ask_chrome", "hit_chrome",
                    "a remembered verdict of the 1843 bytes' request", &work.lookup);
        status = EXIT_STATUS_OK;
    }
    chrome_work_fini(&work);
    return status;
}

static void measure_checks(struct bench *bench)
{
    static struct check_work work;
    struct measure_work all = {run_check, &work, bench->mix.count};

    work.mix = &bench->mix;
    work.db = bench->compatible;
    if (work.db) {
        measure(bench, "check_compatible", "a check, no memory of verdicts, as MITMEngine answers",
                0, &all);
    }
    work.db = bench->mended;
    measure(bench, "check_default", "a check, no memory of verdicts, default mode", 0, &all);
}

static int measure_readers(struct bench *bench)
{
    static const struct {
        const char *name;
        const char *what;
        size_t count;
        size_t table_cap;
        bool is_same;
    } rows[READERS_COUNT] = {
        {"readers_hit",
         "lookups of one question, remembered; each set has a record more, of its own", 1,
         READERS_TABLE_CAP, false},
        {"readers_mix",
         "lookups of 256 questions, remembered; each set has a record more, of its own",
         ASKED_QUESTIONS, READERS_TABLE_CAP, false},
        {"readers_mix_same",
         "lookups of 256 questions, remembered; the same set is published again", ASKED_QUESTIONS,
         READERS_TABLE_CAP, true},
        {"readers_check",
         "lookups of 256 questions in a table for 4; each set has a record more, of its own",
         ASKED_QUESTIONS, 1, false},
        {"readers_same",
         "lookups of 256 questions in a table for 4; the same set is published again",
         ASKED_QUESTIONS, 1, true},
    };
    struct mix_question *items[ASKED_QUESTIONS];
    bool has_browsers = database_browsers(bench->mended)->count > 0;
    int status = EXIT_STATUS_OK;

    for (size_t i = 0; i < READERS_COUNT && !status; i++) {
        struct readers_plan plan = {
            .dir = bench->options->database_dir,
            .like = rows[i].is_same || !has_browsers ? NULL : bench->mended,
            .items = items,
            .count = pick(&bench->mix, items, rows[i].count),
            .table_cap = rows[i].table_cap,
            .thread_count = bench->options->threads ? bench->options->threads : 1,
            .budget_ns = bench->share_ns * READERS_SHARE,
        };
        struct reader_measurement *one = &bench->readers[i];

        *one = (struct reader_measurement){.name = rows[i].name, .what = rows[i].what};
        status = readers_run(&plan, &one->result, bench->err);
    }
    return status;
}

/* ---- what is said ---- */

static double change_percent(const struct readers_result *result)
{
    return (result->publishing.median / result->alone.median - 1) * 100;
}

static const char *database_name(const struct bench *bench)
{
    return bench->options->database_dir ? bench->options->database_dir : "made up";
}

static const char *mix_name(const struct bench *bench)
{
    return bench->options->mix_file ? bench->options->mix_file : "made up";
}

static void print_text(const struct bench *bench, FILE *out)
{
    fprintf(
        out,
        "weir %s, bench detect\n"
        "database   %s, %zu browsers, %zu products\n"
        "mix        %s, %zu questions, %zu of them remembered at once\n\n"
        "%sNanoseconds of CPU time an operation, over batches; a tenth of them is below low, a\n"
        "tenth above high. Wall is the median of wall time. A bound of a hit is without the "
        "asking.\n"
        "\n"
        "                    median      min      low     high     wall    bound  heap\n",
        WEIR_VERSION, database_name(bench), database_browsers(bench->mended)->count,
        database_products(bench->mended)->count, mix_name(bench), bench->mix.count,
        bench->hit_count,
        measure_has_slow_checks() ? "This build has slow checks: do not quote its figures.\n\n"
                                  : "");
    for (size_t i = 0; i < bench->count; i++) {
        const struct measurement *one = &bench->measurements[i];
        const struct measure_figure *cpu = &one->result.cpu;

        fprintf(out, "%-17s %8.1f %8.1f %8.1f %8.1f %8.1f ", one->name, cpu->median, cpu->min,
                cpu->low, cpu->high, one->result.wall.median);
        if (one->bound_ns) {
            fprintf(out, "%8u%s", one->bound_ns,
                    cpu->median - one->asking_ns > one->bound_ns ? " missed" : "");
        } else {
            fprintf(out, "%8s", "");
        }
        fprintf(out, "  %s\n", measure_heap_name(one->heap));
    }
    fprintf(out,
            "\nReaders, %u: the same while nobody publishes, and while sets are published.\n\n"
            "                     alone  publishing  change  checked     sets/s\n",
            bench->options->threads ? bench->options->threads : 1);
    for (size_t i = 0; i < COUNT_OF(bench->readers); i++) {
        const struct readers_result *result = &bench->readers[i].result;

        fprintf(out, "%-17s %8.1f %11.1f %6.1f%% %7.2f%% %10.0f\n", bench->readers[i].name,
                result->alone.median, result->publishing.median, change_percent(result),
                result->publishing_misses * 100, result->publish_hz);
    }
    fputc('\n', out);
    for (size_t i = 0; i < bench->count; i++) {
        fprintf(out, "%-17s %s\n", bench->measurements[i].name, bench->measurements[i].what);
    }
    for (size_t i = 0; i < COUNT_OF(bench->readers); i++) {
        fprintf(out, "%-17s %s\n", bench->readers[i].name, bench->readers[i].what);
    }
}

static json_t *pack_measurement(const struct measurement *one)
{
    json_t *bound = one->bound_ns ? json_integer(one->bound_ns) : json_null();

    return json_pack("{s:s,s:s,s:o,s:o,s:I,s:I,s:o,s:f,s:s}", "name", one->name, "what", one->what,
                     "cpu_ns", measure_pack_figure(&one->result.cpu), "wall_ns",
                     measure_pack_figure(&one->result.wall), "operations",
                     (json_int_t)one->result.operation_count, "batches",
                     (json_int_t)one->result.batch_count, "bound_ns", bound, "asking_ns",
                     one->asking_ns, "heap", measure_heap_name(one->heap));
}

static json_t *pack_readers(const struct reader_measurement *one)
{
    const struct readers_result *result = &one->result;

    return json_pack("{s:s,s:s,s:o,s:o,s:f,s:f,s:f,s:I,s:I,s:f}", "name", one->name, "what",
                     one->what, "alone_cpu_ns", measure_pack_figure(&result->alone),
                     "publishing_cpu_ns", measure_pack_figure(&result->publishing),
                     "change_percent", change_percent(result), "alone_checked",
                     result->alone_misses, "publishing_checked", result->publishing_misses,
                     "lookups", (json_int_t)result->lookup_count, "slices",
                     (json_int_t)result->slice_count, "published_a_second", result->publish_hz);
}

/* False: no memory. */
static bool print_json(const struct bench *bench, FILE *out)
{
    json_t *measurements = json_array();
    json_t *readers = json_array();
    json_t *answer;
    bool done = true;

    for (size_t i = 0; i < bench->count; i++) {
        done &= !json_array_append_new(measurements, pack_measurement(&bench->measurements[i]));
    }
    for (size_t i = 0; i < COUNT_OF(bench->readers); i++) {
        done &= !json_array_append_new(readers, pack_readers(&bench->readers[i]));
    }
    answer =
        json_pack("{s:s,s:b,s:{s:o,s:I,s:I},s:{s:o,s:I,s:I},s:I,s:o,s:o}", "weir", WEIR_VERSION,
                  "slow_checks", measure_has_slow_checks(), "database", "name",
                  json_from_bytes(span_from_string(database_name(bench))), "browsers",
                  (json_int_t)database_browsers(bench->mended)->count, "products",
                  (json_int_t)database_products(bench->mended)->count, "mix", "name",
                  json_from_bytes(span_from_string(mix_name(bench))), "questions",
                  (json_int_t)bench->mix.count, "remembered", (json_int_t)bench->hit_count,
                  "threads", (json_int_t)(bench->options->threads ? bench->options->threads : 1),
                  "measurements", measurements, "readers", readers);
    done = done && answer && json_dumpf(answer, out, JSON_COMPACT | JSON_REAL_PRECISION(6)) == 0;
    fputc('\n', out);
    json_decref(answer);
    return done;
}

/* ---- life ---- */

/* MITMEngine's answers are not measured with a database that it cannot read, as one with days. */
static int load(struct bench *bench)
{
    const struct options *options = bench->options;
    int status = EXIT_STATUS_OK;

    bench->mended = mix_database(options->database_dir, DETECT_DEFAULT, bench->err);
    if (!bench->mended) {
        return EXIT_STATUS_CONFIG;
    }
    bench->compatible = mix_database(options->database_dir, DETECT_COMPATIBLE, bench->err);
    if (!bench->compatible) {
        fputs("weir bench: MITMEngine could not read this: check_compatible is left out\n",
              bench->err);
    }
    if (options->mix_file) {
        status = mix_load(&bench->mix, options->mix_file, bench->err);
    } else if (!mix_make_up(&bench->mix)) {
        fputs("weir bench: out of memory\n", bench->err);
        status = EXIT_STATUS_RUNTIME;
    }
    return status;
}

static int measure_all(struct bench *bench)
{
    int status;

    measure_hello(bench, SAMPLE_HELLO_SMALL);
    measure_hello(bench, SAMPLE_HELLO_LARGE);
    status = measure_hits(bench);
    status = status ? status : measure_chrome_hit(bench);
    if (!status) {
        measure_checks(bench);
        status = measure_readers(bench);
    }
    return status;
}

int bench_detect_run(const struct options *options, FILE *out, FILE *err)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    unsigned seconds = options->seconds ? options->seconds : SECONDS_DEFAULT;
    int status;

    if (options->threads > READERS_MAX) {
        fprintf(err, "weir bench: --threads %u: at most %d expected\n", options->threads,
                READERS_MAX);
        free(bench);
        return EXIT_STATUS_USAGE;
    }
    if (!bench) {
        fputs("weir bench: out of memory\n", err);
        return EXIT_STATUS_RUNTIME;
    }
    hash_set_seed(random_seed());
    bench->options = options;
    bench->err = err;
    bench->share_ns = seconds * NS_PER_S / (CASE_COUNT + READERS_COUNT * READERS_SHARE);
    status = load(bench);
    status = status ? status : measure_all(bench);
    if (!status && !options->json) {
        print_text(bench, out);
    } else if (!status && !print_json(bench, out)) {
        fputs("weir bench: out of memory\n", err);
        status = EXIT_STATUS_RUNTIME;
    }
    database_free(bench->compatible);
    database_free(bench->mended);
    mix_fini(&bench->mix);
    free(bench);
    return status;
}
