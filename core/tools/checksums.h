/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checksums: reads what sha256sum(1) writes: a line "HEX  NAME" a file, or "HEX *NAME". Comments
 * (#) and empty lines are allowed, and "./" before a name. Looks at text alone.
 */
#ifndef WEIR_TOOLS_CHECKSUMS_H
#define WEIR_TOOLS_CHECKSUMS_H

#include "core/base/assert.h"
#include "tls/digest.h"

/* A line that could not be read. */
struct checksums_fault {
    size_t line;          /* from 1 */
    size_t column;        /* byte of the line, from 1 */
    const char *expected; /* lives for ever */
};

/* Looks `name` up; every line is read. False: `fault` says which one is bad. */
bool checksums_find(struct span text, struct span name, uint8_t digest[DIGEST_LEN], bool *is_there,
                    struct checksums_fault *fault) MUST_CHECK;

/* 64 digits of either case. */
bool checksums_digest(uint8_t digest[DIGEST_LEN], struct span text) MUST_CHECK;

#endif
