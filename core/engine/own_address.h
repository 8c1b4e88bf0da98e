/* SPDX-License-Identifier: Apache-2.0 */
/*
 * own_address: how this process knows itself on the network, so that it never becomes its own
 * client: the addresses that it listens on, and, where a listener is transparent, the connections
 * that it has dialled, since the kernel may send one of those back here.
 *
 * Addresses are added before the workers run and never change. The rest is for any thread: one lock
 * for each connection dialled and each one closed, none on the path of bytes.
 */
#ifndef WEIR_ENGINE_OWN_ADDRESS_H
#define WEIR_ENGINE_OWN_ADDRESS_H

#include "core/engine/address.h"
#include "core/engine/ring.h"

enum { OWN_ADDRESSES_MAX = 128 };

struct own_addresses;
struct own_dialled; /* a dialled connection in the set, or soon in it */

/* remembers_dialled: a listener is transparent. Null: no memory. */
struct own_addresses *own_addresses_new(bool remembers_dialled) MUST_CHECK;
void own_addresses_free(struct own_addresses *own); /* null is fine */

/* An address that is listened on, with its real port. False: there are too many. */
bool own_addresses_add(struct own_addresses *own, const struct sockaddr_storage *name) MUST_CHECK;

/* Whether whoever connects to this address comes here. A null `own` knows nothing, here and below.
 */
bool own_addresses_listen_on(const struct own_addresses *own, struct ring *ring,
                             const struct address *address);

/* For a connection that is going to be dialled; owned by the caller. Null: no memory. */
struct own_dialled *own_dialled_new(void) MUST_CHECK;
/* It is open, from `local` to `peer`. */
void own_addresses_opened(struct own_addresses *own, struct own_dialled *dialled,
                          const struct address *local, const struct address *peer);
/* It is about to be closed: out of the set, and freed. Null is fine. */
void own_addresses_closed(struct own_addresses *own, struct own_dialled *dialled);

/* Whether a connection from `client` that was on its way to `target` is one that was dialled here.
 */
bool own_addresses_dialled(struct own_addresses *own, const struct address *client,
                           const struct address *target);
/* Whether anything is remembered about dialled connections: else none needs to be told. */
bool own_addresses_remember_dialled(const struct own_addresses *own);

#endif
