/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/micro.h"

#include "bench/measure_report.h"
#include "bench/micro_rows.h"
#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "tls/engine.h"

#include <stdlib.h>
#include <string.h>

enum {
    SECONDS_DEFAULT = 20,
    COUNTED_OPERATIONS = 64, /* times a step, to count allocations */
    TERMS_MAX = 4,
};

static const struct {
    const char *name;
    const char *what;
} rows[MICRO_ROW_COUNT] = {
    [MICRO_HELLO_PARSE] = {"hello_parse", "a ClientHello of 1843 bytes: gathered, parsed"},
    [MICRO_HELLO_KEY] = {"hello_key", "the same, and request fingerprint, key and its hash"},
    [MICRO_VERDICT_HIT] = {"verdict_hit", "its remembered verdict, with asking"},
    [MICRO_VERDICT_TUNNEL] = {"verdict_tunnel",
                              "that of the hello alone, its extensions in another order each time"},
    [MICRO_USER_AGENT] = {"user_agent", "a browser's User-Agent: parsed"},
    [MICRO_USER_AGENT_KNOWN] = {"user_agent_known", "the same one again"},
    [MICRO_P256_SIGN] = {"p256_sign", "library: an ECDSA signature of a digest"},
    [MICRO_P256_VERIFY] = {"p256_verify", "library: the look at one"},
    [MICRO_X25519_BASE] = {"x25519_base", "library: a key pair, random bytes included"},
    [MICRO_X25519_SHARED] = {"x25519_shared", "library: the shared secret"},
    [MICRO_AES128_SEAL_1K] = {"aes128_seal_1k", "library: AES-128-GCM, 1 KiB"},
    [MICRO_AES128_SEAL_16K] = {"aes128_seal_16k", "the same, 16 KiB"},
    [MICRO_AES128_OPEN_1K] = {"aes128_open_1k", "library: AES-128-GCM, 1 KiB"},
    [MICRO_AES128_OPEN_16K] = {"aes128_open_16k", "the same, 16 KiB"},
    [MICRO_AES256_SEAL_1K] = {"aes256_seal_1k", "library: AES-256-GCM, 1 KiB"},
    [MICRO_AES256_SEAL_16K] = {"aes256_seal_16k", "the same, 16 KiB"},
    [MICRO_AES256_OPEN_1K] = {"aes256_open_1k", "library: AES-256-GCM, 1 KiB"},
    [MICRO_AES256_OPEN_16K] = {"aes256_open_16k", "the same, 16 KiB"},
    [MICRO_CHACHA_SEAL_1K] = {"chacha_seal_1k", "library: ChaCha20-Poly1305, 1 KiB"},
    [MICRO_CHACHA_SEAL_16K] = {"chacha_seal_16k", "the same, 16 KiB"},
    [MICRO_CHACHA_OPEN_1K] = {"chacha_open_1k", "library: ChaCha20-Poly1305, 1 KiB"},
    [MICRO_CHACHA_OPEN_16K] = {"chacha_open_16k", "the same, 16 KiB"},
    [MICRO_SHA256_16K] = {"sha256_16k", "library: SHA-256 of 16 KiB"},
    [MICRO_LEAF_MINT] = {"leaf_mint", "a leaf like a server's certificate of 9 names, P-256 CA"},
    [MICRO_CHAIN_VERIFY] = {"chain_verify",
                            "such a certificate of a root, seen first: one signature"},
    [MICRO_CHAIN_KNOWN] = {"chain_known", "the same one again"},
    [MICRO_CONNECT_FULL] = {"connect_full",
                            "a TLS 1.3 handshake with a server whose chain is known, our end"},
    [MICRO_ACCEPT_FULL] = {"accept_full",
                           "a TLS 1.3 handshake with a client, tickets included, our end"},
    [MICRO_CONNECT_RESUMED] = {"connect_resumed", "the same as connect_full with a ticket"},
    [MICRO_ACCEPT_RESUMED] = {"accept_resumed", "the same as accept_full with a ticket"},
    [MICRO_RECORD_SEAL_1K] = {"record_seal_1k", "a record sealed by an engine, 1 KiB"},
    [MICRO_RECORD_SEAL_16K] = {"record_seal_16k", "the same, 16 KiB"},
    [MICRO_RECORD_OPEN_1K] = {"record_open_1k", "a record opened by an engine, 1 KiB"},
    [MICRO_RECORD_OPEN_16K] = {"record_open_16k", "the same, 16 KiB"},
    [MICRO_REQUEST_CURL] = {"request_curl", "head of curl's request to a proxy: found, parsed"},
    [MICRO_REQUEST_BROWSER] = {"request_browser", "the same of a browser, 1 KiB"},
    [MICRO_REWRITE_CURL] = {"rewrite_curl", "curl's head as it goes on, its target read"},
    [MICRO_REWRITE_BROWSER] = {"rewrite_browser", "the browser's"},
    [MICRO_RESPONSE] = {"response", "head of a response: found, parsed"},
    [MICRO_REWRITE_RESPONSE] = {"rewrite_response", "that head as it goes on"},
    [MICRO_TAP_H1] = {"tap_h1", "an exchange read along, HTTP/1: browser's head, 1 KiB of body"},
    [MICRO_TAP_H2] = {"tap_h2", "the same exchange in HTTP/2, fields in the header tables"},
    [MICRO_LOG_LINE] = {"log_line", "a line of the access log about a request, not written"},
    [MICRO_TURN_POLL_1] = {"turn_poll_1", "a turn of the ring: 1 poll started and completed"},
    [MICRO_TURN_POLL_8] = {"turn_poll_8", "the same, 8 polls"},
    [MICRO_TURN_POLL_64] = {"turn_poll_64", "the same, 64 polls"},
    [MICRO_TURN_SEND_1] = {"turn_send_1", "1 byte sent and received over a pair of sockets"},
    [MICRO_TURN_SEND_8] = {"turn_send_8", "the same over 8 pairs in one turn"},
    [MICRO_TURN_SEND_64] = {"turn_send_64", "the same over 64 pairs in one turn"},
};

/* Groups, in the order of rows; each ends where the next one begins. */
static const struct {
    enum micro_row first;
    bool (*measure)(struct micro *micro);
} groups[] = {
    {MICRO_HELLO_PARSE, micro_detect}, {MICRO_P256_SIGN, micro_crypto},
    {MICRO_LEAF_MINT, micro_tls},      {MICRO_REQUEST_CURL, micro_http},
    {MICRO_LOG_LINE, micro_engine},
};

struct term {
    unsigned count; /* 0: no more terms */
    enum micro_row row;
};

/* What weir does, and what the library's operations in it take alone. */
static const struct comparison {
    const char *name;
    const char *what;
    struct term whole[TERMS_MAX];
    struct term parts[TERMS_MAX];
    double aim; /* 0: none */
} comparisons[] = {
    {"leaf", "leaf_mint / p256_sign", {{1, MICRO_LEAF_MINT}}, {{1, MICRO_P256_SIGN}}, 0},
    {"chain", "chain_verify / p256_verify", {{1, MICRO_CHAIN_VERIFY}}, {{1, MICRO_P256_VERIFY}}, 0},
    {"connect",
     "connect_full / (x25519_base + x25519_shared + p256_verify)",
     {{1, MICRO_CONNECT_FULL}},
     {{1, MICRO_X25519_BASE}, {1, MICRO_X25519_SHARED}, {1, MICRO_P256_VERIFY}},
     0},
    {"accept",
     "accept_full / (x25519_base + x25519_shared + p256_sign)",
     {{1, MICRO_ACCEPT_FULL}},
     {{1, MICRO_X25519_BASE}, {1, MICRO_X25519_SHARED}, {1, MICRO_P256_SIGN}},
     0},
    {"intercept",
     "both handshakes / all of these",
     {{1, MICRO_CONNECT_FULL}, {1, MICRO_ACCEPT_FULL}},
     {{2, MICRO_X25519_BASE},
      {2, MICRO_X25519_SHARED},
      {1, MICRO_P256_VERIFY},
      {1, MICRO_P256_SIGN}},
     1.3},
    {"resumed",
     "both resumed / (2 x25519_base + 2 x25519_shared)",
     {{1, MICRO_CONNECT_RESUMED}, {1, MICRO_ACCEPT_RESUMED}},
     {{2, MICRO_X25519_BASE}, {2, MICRO_X25519_SHARED}},
     0},
    {"records_1k",
     "record_open + record_seal / aes128_open + aes128_seal",
     {{1, MICRO_RECORD_OPEN_1K}, {1, MICRO_RECORD_SEAL_1K}},
     {{1, MICRO_AES128_OPEN_1K}, {1, MICRO_AES128_SEAL_1K}},
     0},
    {"records_16k",
     "the same of 16 KiB",
     {{1, MICRO_RECORD_OPEN_16K}, {1, MICRO_RECORD_SEAL_16K}},
     {{1, MICRO_AES128_OPEN_16K}, {1, MICRO_AES128_SEAL_16K}},
     1.25},
};

/* ---- measuring ---- */

static uint64_t library_allocs(void)
{
    uint64_t allocs, bytes;

    tls_memory_stats(&allocs, &bytes);
    return allocs;
}

void micro_measure(struct micro *micro, enum micro_row row, enum micro_heap heap,
                   const struct measure_work *work)
{
    struct micro_result *result = &micro->results[row];

    if (!micro->is_wanted[row]) {
        return;
    }
    work->run(work->context, work->step);
    result->heap = heap == MICRO_HEAP_LOOK ? measure_heap(work) : MEASURE_HEAP_UNKNOWN;
    result->times = measure_run(work, micro->share_ns);
    result->library_allocs = -1;
    if (heap == MICRO_HEAP_LIBRARY) {
        size_t count = work->step * COUNTED_OPERATIONS;
        uint64_t before = library_allocs();

        work->run(work->context, count);
        result->library_allocs = (double)(library_allocs() - before) / (double)count;
    }
}

static bool measure_all(struct micro *micro)
{
    for (size_t i = 0; i < COUNT_OF(groups); i++) {
        size_t end = i + 1 < COUNT_OF(groups) ? groups[i + 1].first : MICRO_ROW_COUNT;
        bool is_wanted = false;

        for (size_t row = groups[i].first; row < end; row++) {
            is_wanted |= micro->is_wanted[row];
        }
        if (is_wanted && !groups[i].measure(micro)) {
            return false;
        }
    }
    return true;
}

/* False: `err` was told. */
static bool choose_rows(struct micro *micro, const struct options *options)
{
    for (size_t i = 0; i < options->input_count; i++) {
        const char *name = options->inputs[i];
        bool is_found = false;

        for (size_t row = 0; row < MICRO_ROW_COUNT; row++) {
            if (strncmp(rows[row].name, name, strlen(name)) == 0) {
                micro->is_wanted[row] = is_found = true;
            }
        }
        if (!is_found) {
            char shown[128];
            struct text t = text_make(shown, sizeof(shown));

            text_escaped(&t, span_from_string(name));
            fprintf(micro->err, "weir bench: no row begins with \"%.*s\"; there are:\n ",
                    (int)t.len, shown);
            for (size_t row = 0; row < MICRO_ROW_COUNT; row++) {
                fprintf(micro->err, " %s", rows[row].name);
            }
            fputc('\n', micro->err);
            return false;
        }
    }
    for (size_t row = 0; row < MICRO_ROW_COUNT; row++) {
        micro->is_wanted[row] |= options->input_count == 0;
    }
    return true;
}

/* ---- what is said ---- */

/* Of medians, ns; 0: not all of them were measured. */
static double sum(const struct micro *micro, const struct term terms[TERMS_MAX])
{
    double ns = 0;

    for (size_t i = 0; i < TERMS_MAX && terms[i].count; i++) {
        if (!micro->is_wanted[terms[i].row]) {
            return 0;
        }
        ns += terms[i].count * micro->results[terms[i].row].times.cpu.median;
    }
    return ns;
}

static void print_heap(const struct micro_result *result, FILE *out)
{
    if (result->library_allocs >= 0) {
        fprintf(out, "%9.1f\n", result->library_allocs);
    } else {
        fprintf(out, "%9s\n",
                result->heap == MEASURE_HEAP_UNKNOWN ? "" : measure_heap_name(result->heap));
    }
}

static void print_comparisons(const struct micro *micro, FILE *out)
{
    bool is_first = true;

    for (size_t i = 0; i < COUNT_OF(comparisons); i++) {
        const struct comparison *one = &comparisons[i];
        double whole = sum(micro, one->whole), parts = sum(micro, one->parts);

        if (whole <= 0 || parts <= 0) {
            continue;
        }
        if (is_first) {
            fputs("\n                       whole     library   ratio    aim\n", out);
        }
        is_first = false;
        fprintf(out, "%-17s %10.1f  %10.1f  %6.2f", one->name, whole, parts, whole / parts);
        if (one->aim > 0) {
            fprintf(out, " %6.2f\n", one->aim);
        } else {
            fputc('\n', out);
        }
    }
}

static void print_text(const struct micro *micro, FILE *out)
{
    fprintf(out,
            "weir %s, bench micro, %s\n\n"
            "%sNanoseconds of CPU time of the thread an operation, over batches. Wall is the "
            "median\n"
            "of wall time. Heap: a number is what the TLS library allocates.\n\n"
            "                      median         min         max        wall      heap\n",
            WEIR_VERSION, tls_library_version(),
            measure_has_slow_checks() ? "This build has slow checks: do not quote its figures.\n\n"
                                      : "");
    for (size_t row = 0; row < MICRO_ROW_COUNT; row++) {
        const struct micro_result *result = &micro->results[row];

        if (micro->is_wanted[row]) {
            fprintf(out, "%-17s %10.1f  %10.1f  %10.1f  %10.1f ", rows[row].name,
                    result->times.cpu.median, result->times.cpu.min, result->times.cpu.max,
                    result->times.wall.median);
            print_heap(result, out);
        }
    }
    print_comparisons(micro, out);
    fputc('\n', out);
    for (size_t row = 0; row < MICRO_ROW_COUNT; row++) {
        if (micro->is_wanted[row]) {
            fprintf(out, "%-17s %s\n", rows[row].name, rows[row].what);
        }
    }
    for (size_t i = 0; i < COUNT_OF(comparisons); i++) {
        if (sum(micro, comparisons[i].whole) > 0 && sum(micro, comparisons[i].parts) > 0) {
            fprintf(out, "%-17s %s\n", comparisons[i].name, comparisons[i].what);
        }
    }
}

static json_t *pack_row(const struct micro *micro, size_t row)
{
    const struct micro_result *result = &micro->results[row];
    json_t *allocs = result->library_allocs >= 0 ? json_real(result->library_allocs) : json_null();

    return json_pack("{s:s,s:s,s:o,s:o,s:I,s:I,s:s,s:o}", "name", rows[row].name, "what",
                     rows[row].what, "cpu_ns", measure_pack_figure(&result->times.cpu), "wall_ns",
                     measure_pack_figure(&result->times.wall), "operations",
                     (json_int_t)result->times.operation_count, "batches",
                     (json_int_t)result->times.batch_count, "heap", measure_heap_name(result->heap),
                     "library_allocs", allocs);
}

/* False: no memory. */
static bool print_json(const struct micro *micro, FILE *out)
{
    json_t *measurements = json_array();
    json_t *ratios = json_array();
    json_t *answer;
    bool done = true;

    for (size_t row = 0; row < MICRO_ROW_COUNT; row++) {
        done &=
            !micro->is_wanted[row] || !json_array_append_new(measurements, pack_row(micro, row));
    }
    for (size_t i = 0; i < COUNT_OF(comparisons); i++) {
        const struct comparison *one = &comparisons[i];
        double whole = sum(micro, one->whole), parts = sum(micro, one->parts);

        if (whole > 0 && parts > 0) {
            done &= !json_array_append_new(
                ratios, json_pack("{s:s,s:s,s:f,s:f,s:f,s:o}", "name", one->name, "what", one->what,
                                  "whole_ns", whole, "library_ns", parts, "ratio", whole / parts,
                                  "aim", one->aim > 0 ? json_real(one->aim) : json_null()));
        }
    }
    answer = json_pack("{s:s,s:s,s:b,s:o,s:o}", "weir", WEIR_VERSION, "tls", tls_library_version(),
                       "slow_checks", measure_has_slow_checks(), "measurements", measurements,
                       "comparisons", ratios);
    done = done && answer && json_dumpf(answer, out, JSON_COMPACT | JSON_REAL_PRECISION(6)) == 0;
    fputc('\n', out);
    json_decref(answer);
    return done;
}

/* ---- life ---- */

int bench_micro_run(const struct options *options, FILE *out, FILE *err)
{
    struct micro *micro = calloc(1, sizeof(*micro));
    unsigned seconds = options->seconds ? options->seconds : SECONDS_DEFAULT;
    int status = EXIT_STATUS_RUNTIME;
    int64_t count = 0;

    if (!micro) {
        fputs("weir bench: out of memory\n", err);
        return status;
    }
    micro->err = err;
    if (!choose_rows(micro, options)) {
        free(micro);
        return EXIT_STATUS_USAGE;
    }
    for (size_t row = 0; row < MICRO_ROW_COUNT; row++) {
        count += micro->is_wanted[row];
    }
    hash_set_seed(random_seed());
    micro->share_ns = seconds * NS_PER_S / count;
    if (measure_all(micro)) {
        status = EXIT_STATUS_OK;
        if (!options->json) {
            print_text(micro, out);
        } else if (!print_json(micro, out)) {
            fputs("weir bench: out of memory\n", err);
            status = EXIT_STATUS_RUNTIME;
        }
    }
    free(micro);
    return status;
}
