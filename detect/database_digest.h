/* SPDX-License-Identifier: Apache-2.0 */
/*
 * database_digest: what the answer to a question depends on in a database, as one number a part of
 * it, so that an answer that is remembered of one database can be known to be another's, too. A
 * part has all records that a check of its questions may look at, in their order, and more: parts
 * are shared by what has the same hash, and a record of any browser is in all.
 *
 * Digests are XXH3 of the lines with the seed of the process: two parts that differ have the same
 * one by chance alone, once in 2^64, and none is of use outside the process. Values; any thread.
 */
#ifndef WEIR_DETECT_DATABASE_DIGEST_H
#define WEIR_DETECT_DATABASE_DIGEST_H

#include "detect/record.h"

enum {
    DIGEST_PARTS = 256,
    DIGEST_NAME_PARTS = 64,
    /* For what is genuine no product is looked at, and no newest version. */
    DIGEST_NO_PRODUCTS = DIGEST_PARTS,
    DIGEST_NO_NEWEST = DIGEST_NAME_PARTS,
};

struct database_digest {
    uint64_t browsers[DIGEST_PARTS];        /* by name, system and version */
    uint64_t names[DIGEST_NAME_PARTS];      /* by name alone: of any system, or any version */
    uint64_t newest[DIGEST_NAME_PARTS + 1]; /* versions, by name */
    uint64_t products[DIGEST_PARTS + 1];    /* by ciphers */
};

/* Where an answer comes from. */
struct digest_part {
    uint8_t browsers;
    uint8_t names;
    uint8_t newest;
    uint16_t products;
};

/* `common`: of all else that answers depend on, but for the newest versions. */
void database_digest_make(struct database_digest *digest, const struct record_list *browsers,
                          const struct record_list *products, uint64_t common);
/* Behind that: the newest major version of a browser. The order of browsers counts. */
void database_digest_add_newest(struct database_digest *digest, int64_t browser, int64_t major);

/* `ciphers` without GREASE; null: the check looked for no product. */
struct digest_part database_digest_part(const struct ua_fingerprint *ua,
                                        const struct number_list *ciphers);

static inline uint64_t database_digest_at(const struct database_digest *digest,
                                          struct digest_part part)
{
    return digest->browsers[part.browsers] + digest->names[part.names] +
           digest->newest[part.newest] + digest->products[part.products];
}

/* Do they give the same answers to all questions? */
bool database_digest_equal(const struct database_digest *a, const struct database_digest *b);

#endif
