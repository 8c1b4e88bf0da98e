/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hello_output: writes what was found, a block of text or a line of JSON for each ClientHello.
 */
#ifndef WEIR_TOOLS_HELLO_OUTPUT_H
#define WEIR_TOOLS_HELLO_OUTPUT_H

#include "core/tools/hello_facts.h"

enum { HELLO_ENDPOINT_MAX = 64 };

/* Where a hello is from; what is null, empty or 0 is not written. */
struct hello_origin {
    const char *file;
    uint64_t packet_number;
    int64_t time_ns;
    char client[HELLO_ENDPOINT_MAX];
    char server[HELLO_ENDPOINT_MAX];
};

struct hello_output {
    FILE *out;
    bool json;
    uint64_t hello_count;
    uint64_t error_count; /* hellos without fingerprints */
};

/* False: out of heap. A stream that cannot be written to is seen by ferror() at the end. */
bool hello_output_write(struct hello_output *output, const struct hello_origin *origin,
                        const struct hello_facts *facts) MUST_CHECK;

#endif
