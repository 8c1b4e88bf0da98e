/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_pki: certificates of the load harness's origin: an authority in a folder, made when there is
 * none, and a leaf for each name that is asked for, ECDSA P-256, as every proxy under test has it.
 * One thread.
 */
#ifndef WEIR_BENCH_LOAD_PKI_H
#define WEIR_BENCH_LOAD_PKI_H

#include "tls/ca.h"
#include "tls/context.h"
#include "tls/leaf.h"

enum { LOAD_PKI_SHARED_MAX = 2 };

struct load_leaf {
    struct leaf *leaf; /* null: none */
    char name[LEAF_NAME_MAX + 1];
};

struct load_pki {
    struct ca *ca;
    struct leaf_keys *keys;
    struct load_leaf last; /* that was asked for; most trials have one name */
    struct load_leaf shared[LOAD_PKI_SHARED_MAX];
    struct tls_context *context; /* of the server's end */
};

/* The authority's certificate is then DIR/weir-ca-cert.pem. False, and nothing owned: a sentence.
 */
bool load_pki_open(struct load_pki *pki, const char *dir, char *error, size_t error_cap) MUST_CHECK;
void load_pki_close(struct load_pki *pki);

/*
 * Before processes are forked, so that a client takes them for one server: they open each other's
 * tickets, and have the same leaf for these names. Null is none of them. False: a sentence.
 */
bool load_pki_share(struct load_pki *pki, const char *const names[LOAD_PKI_SHARED_MAX], char *error,
                    size_t error_cap) MUST_CHECK;

/* Borrowed until the next call. Null: no name for a certificate, or no memory. */
struct leaf *load_pki_leaf(struct load_pki *pki, struct span name) MUST_CHECK;

/* For a client that trusts one authority alone; null: a sentence. */
struct tls_context *load_pki_client(const char *trust_file, char *error,
                                    size_t error_cap) MUST_CHECK;

#endif
