/* SPDX-License-Identifier: Apache-2.0 */
/*
 * minter: makes leaves for sessions without holding a worker up. The CA key is used on the minter's
 * thread only; workers ask and are told by letter, so the signer can move to another process
 * without a change to a session. One request for a key serves everybody who waits for it.
 */
#ifndef WEIR_SESSION_MINTER_H
#define WEIR_SESSION_MINTER_H

#include "core/engine/worker.h"
#include "tls/ca.h"
#include "tls/leaf_cache.h"

enum { MINTER_QUEUE_MAX = 4096 /* requests that wait; more are refused */ };

struct minter;

struct minter_options {
    struct ca *ca;            /* borrowed */
    struct leaf_keys *keys;   /* borrowed */
    struct leaf_cache *cache; /* borrowed */
    bool inline_only;         /* no thread: mint within the call (the simulator) */
};

struct minter *minter_new(const struct minter_options *options) MUST_CHECK;
void minter_free(struct minter *minter); /* workers must have ended */

/* One session's wish. */
struct mint {
    struct leaf_waiter waiter;
    struct letter letter;
    struct worker *worker;
    struct actor *owner; /* null: nobody wants it any more */
    bool done;
    struct leaf *leaf; /* done: a reference, or null when minting failed */
    bool hit;          /* answered from the cache */
    int64_t begin_ns;
    int64_t end_ns;
};

/*
 * Asks for the leaf of `key`, valid for `days`. server_certificate: DER, copied. Null when out of
 * memory or when too many are being minted. If the result is not `done` at once, the owner is made
 * ready when it is.
 */
struct mint *minter_ask(struct minter *minter, struct worker *worker, struct actor *owner,
                        const struct leaf_key *key, bool asked_is_ip, uint32_t days,
                        struct span server_certificate);

/* Lets go of a wish, done or not. A leaf that was not taken (set to null) is put back. */
void mint_drop(struct mint *mint);

#endif
