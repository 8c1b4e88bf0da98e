/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ticket: sessions that servers gave us, to resume with them. One store a worker, never shared;
 * bounded, least recently used goes first. A session is used only for exactly what it was given
 * for: the key digests address, port, SNI, ALPN offers and verification policy. TLS 1.3 tickets are
 * used once (RFC 8446 C.4), so a host that many clients visit at the same time needs many of them:
 * each visit takes one and brings one or two, at its end.
 */
#ifndef WEIR_TLS_TICKET_H
#define WEIR_TLS_TICKET_H

#include "core/base/assert.h"
#include "core/base/span.h"

enum { TICKET_KEY_LEN = 32, TICKETS_PER_KEY_MAX = 32 };

struct ticket_store;

struct ticket_store *ticket_store_new(uint32_t cap) MUST_CHECK;
void ticket_store_free(struct ticket_store *store);
uint32_t ticket_store_count(const struct ticket_store *store);

#endif
