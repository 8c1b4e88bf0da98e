/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hosts: the hosts file (hosts(5)) as a sorted table in memory, so that a lookup reads no file. One
 * owner, one thread. A line of the file is an address and its names, '#' starts a comment; lines
 * that cannot be read and names that are no host names are skipped, as everybody does.
 */
#ifndef WEIR_ENGINE_HOSTS_H
#define WEIR_ENGINE_HOSTS_H

#include "core/base/assert.h"
#include "core/base/span.h"

enum {
    HOSTS_BYTES_MAX = 1024 * 1024, /* of the file; what is beyond is left out */
    HOSTS_NAMES_MAX = 64 * 1024,
};

struct hosts_row {
    uint32_t name_offset; /* in text */
    uint16_t name_len;
    uint8_t address_len; /* 4 or 16 */
    uint8_t address[16]; /* network order */
};

struct hosts {
    uint8_t *text;          /* the file, in lower case */
    struct hosts_row *rows; /* by name, then by place in the file */
    size_t count;
    bool is_clipped; /* the file was larger than the bounds */
};

/* Takes a copy of the file's bytes. Returns 0, or -ENOMEM with *hosts empty. */
int hosts_init(struct hosts *hosts, struct span file) MUST_CHECK;
void hosts_fini(struct hosts *hosts);

/* The rows of a name in lower case: their number, the first in *rows. */
size_t hosts_find(const struct hosts *hosts, struct span name, const struct hosts_row **rows);

#endif
