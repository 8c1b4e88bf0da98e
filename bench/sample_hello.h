/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sample_hello: ClientHellos as Chrome sends them, the same bytes each time: GREASE, permuted
 * extensions, key shares. One TLS record.
 */
#ifndef WEIR_BENCH_SAMPLE_HELLO_H
#define WEIR_BENCH_SAMPLE_HELLO_H

#include "core/base/span.h"

enum {
    SAMPLE_HELLO_SMALL_LEN = 517,  /* bytes of the record with its header: padded, X25519 */
    SAMPLE_HELLO_LARGE_LEN = 1843, /* 1.8 KiB: X25519MLKEM768 and X25519, GREASE ECH */
    SAMPLE_HELLO_MAX = SAMPLE_HELLO_LARGE_LEN,
};

enum sample_hello { SAMPLE_HELLO_SMALL, SAMPLE_HELLO_LARGE };

/* The record, in `room`. */
struct span sample_hello_make(uint8_t room[SAMPLE_HELLO_MAX], enum sample_hello which);

#endif
