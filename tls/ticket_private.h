/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of the ticket store, for the engine. */
#ifndef WEIR_TLS_TICKET_PRIVATE_H
#define WEIR_TLS_TICKET_PRIVATE_H

#include "tls/ticket.h"
#include "tls/ticket_keys.h"

#include <openssl/base.h>

/* Keeps `session`, taking the caller's reference. The oldest of the key goes if it has
 * TICKETS_PER_KEY_MAX. False, and the reference stays the caller's, when memory is exhausted. */
bool ticket_store_put(struct ticket_store *store, const uint8_t key[TICKET_KEY_LEN],
                      SSL_SESSION *session) MUST_CHECK;

/*
 * The newest session of the key that is usable at now_s, with a reference for the caller, or null.
 * One that may be used once only is removed. Expired ones are dropped on the way.
 */
SSL_SESSION *ticket_store_take(struct ticket_store *store, const uint8_t key[TICKET_KEY_LEN],
                               int64_t now_s);

/* Forgets all sessions of the key: the server did not take one. */
void ticket_store_drop(struct ticket_store *store, const uint8_t key[TICKET_KEY_LEN]);

/* Our end towards clients seals and opens its tickets with `keys` from now on; borrowed, and must
 * outlive it. */
bool ticket_keys_install(struct ticket_keys *keys, SSL_CTX *accept) MUST_CHECK;

#endif
