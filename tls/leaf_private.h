/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a leaf, for the files of tls/ that hand it to the TLS library. */
#ifndef WEIR_TLS_LEAF_PRIVATE_H
#define WEIR_TLS_LEAF_PRIVATE_H

#include "tls/leaf.h"

#include <openssl/base.h>
#include <stdatomic.h>

enum { LEAF_CHAIN_MAX = 4 };

struct leaf {
    _Atomic uint32_t references;
    enum leaf_kind kind;
    /* What tickets are good for that were given with it: the same for all leaves of one CA, asked
     * name, kind and server's certificate, in whichever process they were minted. */
    uint8_t ticket_context[LEAF_DIGEST_LEN];
    int64_t not_after_s;
    CRYPTO_BUFFER *chain[LEAF_CHAIN_MAX]; /* the leaf first, then the CA's intermediates */
    size_t chain_count;
    EVP_PKEY *key; /* one of the process's leaf keys, a reference of our own */
};

#endif
