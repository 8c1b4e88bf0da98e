/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/load_pki.h"
#include "bench/micro_rows.h"
#include "bench/temp_folder.h"
#include "core/base/clock.h"
#include "tls/engine.h"

#include <string.h>

enum {
    SANS = 8, /* names in the server's certificate, besides its own */
    LEAF_DAYS = 7,
    TICKETS_CAP = 16,
    ROUNDS_MAX = 16, /* of a handshake, far more than it takes */
    SMALL_LEN = 1024,
    SMALL_STEP = 64, /* records that are sealed before they are opened: about 64 KiB */
    RECORD_STEP = 4,
    CHAIN_STEP = 16,
    ERROR_CAP = 512,
};

/* What all of them use. */
struct parts {
    char folder[TEMP_FOLDER_PATH_MAX];
    struct load_pki pki;
    struct trust *trust;
    struct tls_context *client; /* trusts the authority, and verifies */
    struct leaf *server_leaf;   /* a server's, with SANS + 1 names */
    struct ticket_store *tickets;
    struct buf_cache cache;
};

static const struct span server_name = SPAN_LITERAL("www.example.com");
static const uint8_t ticket_key[TICKET_KEY_LEN];

/* ---- leaf and chain ---- */

static struct leaf *mint(struct parts *parts, struct span name, struct span server_certificate)
{
    const struct leaf_request request = {.server_certificate = server_certificate,
                                         .asked_name = name,
                                         .kind = LEAF_ECDSA,
                                         .now_s = clock_wall_ns() / NS_PER_S,
                                         .days = LEAF_DAYS};
    char error[ERROR_CAP];

    return leaf_mint(parts->pki.ca, parts->pki.keys, &request, error, sizeof(error));
}

static void run_mint(void *context, size_t count)
{
    struct parts *parts = context;

    for (size_t i = 0; i < count; i++) {
        struct leaf *leaf = mint(parts, server_name, leaf_der(parts->server_leaf));

        ASSERT(leaf);
        leaf_put(leaf);
    }
}

static void check_chain(struct parts *parts, const struct leaf *leaf)
{
    const struct span chain = leaf_der(leaf);
    struct verify_fault fault;
    enum verify_class class = verify_chain(parts->trust, &chain, 1, server_name, false,
                                           clock_wall_ns() / NS_PER_S, &fault);
    ASSERT(class == VERIFY_OK);
}

static void run_known_chain(void *context, size_t count)
{
    struct parts *parts = context;

    for (size_t i = 0; i < count; i++) {
        check_chain(parts, parts->server_leaf);
    }
}

/* Good chains are remembered, so each is a new one. */
static void run_new_chain(void *context, size_t count)
{
    struct parts *parts = context;

    for (size_t i = 0; i < count; i += CHAIN_STEP) {
        struct leaf *leaves[CHAIN_STEP];

        measure_pause();
        for (size_t k = 0; k < CHAIN_STEP; k++) {
            leaves[k] = mint(parts, server_name, leaf_der(parts->server_leaf));
            ASSERT(leaves[k]);
        }
        measure_resume();
        for (size_t k = 0; k < CHAIN_STEP; k++) {
            check_chain(parts, leaves[k]);
        }
        measure_pause();
        for (size_t k = 0; k < CHAIN_STEP; k++) {
            leaf_put(leaves[k]);
        }
        measure_resume();
    }
}

/* ---- two ends ---- */

struct end {
    struct tls_engine *engine;
    struct buf_queue in;
    struct buf_queue out;
};

struct ends {
    struct parts *parts;
    struct end client;
    struct end server;
    struct ticket_store *tickets; /* null: nothing is resumed */
    bool counts_client;           /* which end's time counts */
    bool counts_server;
    bool is_counting;
    struct span plaintext; /* of the records */
};

/* From here on time counts, or not. */
static void count_time(struct ends *ends, bool counts)
{
    if (counts == ends->is_counting) {
        return;
    }
    ends->is_counting = counts;
    if (counts) {
        measure_resume();
    } else {
        measure_pause();
    }
}

static void end_fini(struct end *end, struct buf_cache *cache)
{
    tls_engine_free(end->engine);
    buf_queue_clear(&end->in, cache);
    buf_queue_clear(&end->out, cache);
    end->engine = NULL;
}

static void client_begin(struct ends *ends)
{
    const struct tls_connect_options options = {.sni = server_name,
                                                .verify_name = server_name,
                                                .alpn_offers = SPAN_LITERAL("\2h2\10http/1.1"),
                                                .tickets = ends->tickets,
                                                .ticket_key = ticket_key};

    ends->client.engine = tls_engine_connect(ends->parts->client, &options, &ends->client.in,
                                             &ends->client.out, &ends->parts->cache);
    ASSERT(ends->client.engine);
}

static void server_begin(struct ends *ends)
{
    const struct tls_accept_options options = {.leaf = ends->parts->server_leaf,
                                               .alpn = SPAN_LITERAL("h2")};

    ends->server.engine = tls_engine_accept(ends->parts->pki.context, &options, &ends->server.in,
                                            &ends->server.out, &ends->parts->cache);
    ASSERT(ends->server.engine);
}

/* A turn of an end: shakes hands, and takes tickets and the byte once it is open. */
static void end_turn(struct end *end)
{
    uint8_t byte;
    enum tls_status status = tls_engine_handshake(end->engine);

    ASSERT(status == TLS_HANDSHAKING || status == TLS_OPEN);
    if (status == TLS_OPEN) {
        (void)tls_engine_read(end->engine, &byte, sizeof(byte));
    }
}

static bool is_open(const struct end *end)
{
    return tls_engine_status(end->engine) == TLS_OPEN;
}

/* From making the ends until both are open and nothing is on its way. The server says one byte: its
 * tickets go with the first that it says. */
static void shake_hands(struct ends *ends)
{
    bool has_said = false;

    count_time(ends, ends->counts_client);
    client_begin(ends);
    end_turn(&ends->client);
    count_time(ends, ends->counts_server);
    server_begin(ends);
    for (unsigned round = 0; ends->client.out.len || ends->server.out.len; round++) {
        ASSERT(round < ROUNDS_MAX);
        count_time(ends, ends->counts_server);
        buf_queue_move(&ends->server.in, &ends->client.out);
        end_turn(&ends->server);
        if (is_open(&ends->server) && !has_said) {
            has_said = tls_engine_write(ends->server.engine, SPAN_LITERAL("w"));
            ASSERT(has_said);
        }
        count_time(ends, ends->counts_client);
        buf_queue_move(&ends->client.in, &ends->server.out);
        end_turn(&ends->client);
    }
    ASSERT(is_open(&ends->client) && is_open(&ends->server) && has_said);
}

static void hang_up(struct ends *ends)
{
    count_time(ends, ends->counts_client);
    end_fini(&ends->client, &ends->parts->cache);
    count_time(ends, ends->counts_server);
    end_fini(&ends->server, &ends->parts->cache);
}

static void run_handshakes(void *context, size_t count)
{
    struct ends *ends = context;

    ends->is_counting = true;
    for (size_t i = 0; i < count; i++) {
        struct tls_info info;

        shake_hands(ends);
        tls_engine_read_info(ends->client.engine, &info);
        ASSERT(info.resumed == (ends->tickets != NULL));
        hang_up(ends);
    }
    count_time(ends, true);
}

static void measure_handshakes(struct micro *micro, struct parts *parts)
{
    static struct ends ends;
    static const struct measure_work work = {run_handshakes, &ends, 1};

    ends = (struct ends){.parts = parts, .counts_client = true};
    micro_measure(micro, MICRO_CONNECT_FULL, MICRO_HEAP_LIBRARY, &work);
    ends = (struct ends){.parts = parts, .counts_server = true};
    micro_measure(micro, MICRO_ACCEPT_FULL, MICRO_HEAP_LIBRARY, &work);
    /* The first one gets tickets; those after it get a new one for each that they use. */
    ends = (struct ends){.parts = parts, .tickets = parts->tickets, .is_counting = true};
    shake_hands(&ends);
    hang_up(&ends);
    count_time(&ends, true);
    ends.counts_client = true;
    micro_measure(micro, MICRO_CONNECT_RESUMED, MICRO_HEAP_LIBRARY, &work);
    ends.counts_client = false;
    ends.counts_server = true;
    micro_measure(micro, MICRO_ACCEPT_RESUMED, MICRO_HEAP_LIBRARY, &work);
}

/* ---- records ---- */

static void seal(struct ends *ends)
{
    bool done = tls_engine_write(ends->client.engine, ends->plaintext);
    ASSERT(done);
}

static void run_seal(void *context, size_t count)
{
    struct ends *ends = context;

    for (size_t i = 0; i < count; i++) {
        seal(ends);
        buf_queue_clear(&ends->client.out, &ends->parts->cache);
    }
}

/* `count` is a multiple of the step. */
static void open_records(struct ends *ends, size_t count, size_t step)
{
    static uint8_t memory[TLS_RECORD_PLAINTEXT_MAX];

    for (size_t i = 0; i < count; i += step) {
        measure_pause();
        for (size_t k = 0; k < step; k++) {
            seal(ends);
        }
        buf_queue_move(&ends->server.in, &ends->client.out);
        measure_resume();
        for (size_t k = 0; k < step; k++) {
            size_t len = tls_engine_read(ends->server.engine, memory, ends->plaintext.len);
            ASSERT(len == ends->plaintext.len);
        }
    }
}

static void run_open_small(void *context, size_t count)
{
    open_records(context, count, SMALL_STEP);
}

static void run_open(void *context, size_t count)
{
    open_records(context, count, RECORD_STEP);
}

static void measure_records(struct micro *micro, struct parts *parts)
{
    static const uint8_t bytes[TLS_RECORD_PLAINTEXT_MAX];
    static struct ends ends;
    static const struct measure_work seal_work = {run_seal, &ends, 1},
                                     open_small = {run_open_small, &ends, SMALL_STEP},
                                     open_full = {run_open, &ends, RECORD_STEP};

    /* An end that has sealed is of no use to one that opens: it missed the records between. */
    for (unsigned opens = 0; opens < 2; opens++) {
        ends = (struct ends){.parts = parts, .is_counting = true};
        shake_hands(&ends);
        count_time(&ends, true);
        ends.plaintext = span_make(bytes, SMALL_LEN);
        micro_measure(micro, opens ? MICRO_RECORD_OPEN_1K : MICRO_RECORD_SEAL_1K,
                      MICRO_HEAP_LIBRARY, opens ? &open_small : &seal_work);
        ends.plaintext = span_make(bytes, sizeof(bytes));
        micro_measure(micro, opens ? MICRO_RECORD_OPEN_16K : MICRO_RECORD_SEAL_16K,
                      MICRO_HEAP_LIBRARY, opens ? &open_full : &seal_work);
        hang_up(&ends);
        count_time(&ends, true);
    }
}

/* ---- life ---- */

static bool parts_fail(struct micro *micro, const char *error)
{
    fprintf(micro->err, "weir bench: %s\n", error);
    return false;
}

/* As a server of some names has it: each is minted after the one before. */
static bool make_server_leaf(struct parts *parts)
{
    for (unsigned i = 0; i <= SANS; i++) {
        struct span before = parts->server_leaf ? leaf_der(parts->server_leaf) : span_make(NULL, 0);
        char name[32];
        struct leaf *leaf;

        snprintf(name, sizeof(name), "site%u.example.com", i);
        leaf = mint(parts, i == SANS ? server_name : span_from_string(name), before);
        if (parts->server_leaf) {
            leaf_put(parts->server_leaf);
        }
        parts->server_leaf = leaf;
        if (!leaf) {
            return false;
        }
    }
    return true;
}

static bool parts_init(struct parts *parts, struct micro *micro)
{
    char error[ERROR_CAP] = "out of memory";
    char ca_file[TEMP_FOLDER_PATH_MAX + 32];
    const char *file = ca_file;

    *parts = (struct parts){.trust = NULL};
    buf_cache_init(&parts->cache);
    if (!temp_folder_make(parts->folder, micro->err)) {
        return false;
    }
    if (!load_pki_open(&parts->pki, parts->folder, error, sizeof(error))) {
        parts->pki = (struct load_pki){.ca = NULL};
        return parts_fail(micro, error);
    }
    snprintf(ca_file, sizeof(ca_file), "%s/weir-ca-cert.pem", parts->folder);
    parts->trust = trust_new(false, &file, 1, span_make(NULL, 0), error, sizeof(error));
    parts->client = parts->trust ? load_pki_client(file, error, sizeof(error)) : NULL;
    if (!parts->client) {
        return parts_fail(micro, error);
    }
    parts->tickets = ticket_store_new(TICKETS_CAP);
    return (parts->tickets && make_server_leaf(parts)) || parts_fail(micro, "out of memory");
}

static void parts_fini(struct parts *parts)
{
    if (parts->server_leaf) {
        leaf_put(parts->server_leaf);
    }
    ticket_store_free(parts->tickets);
    if (parts->client) {
        tls_context_put(parts->client);
    }
    if (parts->trust) {
        trust_put(parts->trust);
    }
    if (parts->pki.ca) {
        load_pki_close(&parts->pki);
    }
    buf_cache_fini(&parts->cache);
    temp_folder_remove(parts->folder);
}

bool micro_tls(struct micro *micro)
{
    static struct parts parts;
    static const struct measure_work mint_work = {run_mint, &parts, 1},
                                     new_chain = {run_new_chain, &parts, CHAIN_STEP},
                                     known_chain = {run_known_chain, &parts, 1};
    bool done = parts_init(&parts, micro);

    if (done) {
        micro_measure(micro, MICRO_LEAF_MINT, MICRO_HEAP_LIBRARY, &mint_work);
        micro_measure(micro, MICRO_CHAIN_VERIFY, MICRO_HEAP_NO_LOOK, &new_chain);
        micro_measure(micro, MICRO_CHAIN_KNOWN, MICRO_HEAP_LIBRARY, &known_chain);
        measure_handshakes(micro, &parts);
        measure_records(micro, &parts);
    }
    parts_fini(&parts);
    return done;
}
