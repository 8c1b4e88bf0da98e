/* SPDX-License-Identifier: Apache-2.0 */
/*
 * micro_rows: the rows of bench micro, and the functions that measure them, a group each. A group
 * makes what its operations need, hands each of them to micro_measure(), and takes everything down.
 * One thread.
 */
#ifndef WEIR_BENCH_MICRO_ROWS_H
#define WEIR_BENCH_MICRO_ROWS_H

#include "bench/measure.h"

#include <stdio.h>

/* In the order in which they are measured and shown. */
enum micro_row {
    MICRO_HELLO_PARSE,
    MICRO_HELLO_KEY,
    MICRO_VERDICT_HIT,
    MICRO_VERDICT_TUNNEL,
    MICRO_USER_AGENT,
    MICRO_USER_AGENT_KNOWN,
    MICRO_P256_SIGN,
    MICRO_P256_VERIFY,
    MICRO_X25519_BASE,
    MICRO_X25519_SHARED,
    MICRO_AES128_SEAL_1K, /* SEAL_1K, SEAL_16K, OPEN_1K, OPEN_16K of each, in this order */
    MICRO_AES128_SEAL_16K,
    MICRO_AES128_OPEN_1K,
    MICRO_AES128_OPEN_16K,
    MICRO_AES256_SEAL_1K,
    MICRO_AES256_SEAL_16K,
    MICRO_AES256_OPEN_1K,
    MICRO_AES256_OPEN_16K,
    MICRO_CHACHA_SEAL_1K,
    MICRO_CHACHA_SEAL_16K,
    MICRO_CHACHA_OPEN_1K,
    MICRO_CHACHA_OPEN_16K,
    MICRO_SHA256_16K,
    MICRO_LEAF_MINT,
    MICRO_CHAIN_VERIFY,
    MICRO_CHAIN_KNOWN,
    MICRO_CONNECT_FULL,
    MICRO_ACCEPT_FULL,
    MICRO_CONNECT_RESUMED,
    MICRO_ACCEPT_RESUMED,
    MICRO_RECORD_SEAL_1K,
    MICRO_RECORD_SEAL_16K,
    MICRO_RECORD_OPEN_1K,
    MICRO_RECORD_OPEN_16K,
    MICRO_REQUEST_CURL,
    MICRO_REQUEST_BROWSER,
    MICRO_REWRITE_CURL,
    MICRO_REWRITE_BROWSER,
    MICRO_RESPONSE,
    MICRO_REWRITE_RESPONSE,
    MICRO_TAP_H1,
    MICRO_TAP_H2,
    MICRO_LOG_LINE,
    MICRO_TURN_POLL_1,
    MICRO_TURN_POLL_8,
    MICRO_TURN_POLL_64,
    MICRO_TURN_SEND_1,
    MICRO_TURN_SEND_8,
    MICRO_TURN_SEND_64,
    MICRO_ROW_COUNT,
};

struct micro_result {
    struct measure_result times;
    enum measure_heap heap;
    double library_allocs; /* of the TLS library, an operation; below 0: not counted */
};

struct micro {
    bool is_wanted[MICRO_ROW_COUNT];
    int64_t share_ns; /* of time, for one row */
    FILE *err;
    struct micro_result results[MICRO_ROW_COUNT]; /* of those that are wanted */
};

/* How an operation's use of the heap is found out. */
enum micro_heap {
    MICRO_HEAP_LOOK,    /* measure_heap() */
    MICRO_HEAP_LIBRARY, /* by counting what the TLS library takes from it, when lists are warm */
    MICRO_HEAP_NO_LOOK, /* it may only be run by the thread that made it */
};

/* Measures one if it is wanted. */
void micro_measure(struct micro *micro, enum micro_row row, enum micro_heap heap,
                   const struct measure_work *work);

/* A group each. False: it could not be made, and `micro->err` was told. */
bool micro_detect(struct micro *micro) MUST_CHECK; /* HELLO_PARSE to USER_AGENT_KNOWN */
bool micro_crypto(struct micro *micro) MUST_CHECK; /* P256_SIGN to SHA256_16K */
bool micro_tls(struct micro *micro) MUST_CHECK;    /* LEAF_MINT to RECORD_OPEN_16K */
bool micro_http(struct micro *micro) MUST_CHECK;   /* REQUEST_CURL to TAP_H2 */
bool micro_engine(struct micro *micro) MUST_CHECK; /* LOG_LINE to TURN_SEND_64 */

#endif
