/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn_transport: the TLS below a conn's rx and tx, to a proxy that is itself spoken to in TLS. The
 * part of conn.c that seals and opens; nobody else calls it. What an owner calls to have one is in
 * conn.h: conn_start_transport(), conn_shake_transport(). All but the last two need one.
 */
#ifndef WEIR_ENGINE_CONN_TRANSPORT_H
#define WEIR_ENGINE_CONN_TRANSPORT_H

#include "core/engine/conn.h"

/* Opens what has arrived into rx. While the handshake is under way it stays for that. */
void conn_transport_open(struct conn *conn);
/* Makes records of the front of tx, once those before have left. */
void conn_transport_seal(struct conn *conn);
/* Records have left; with the last of them, what is in them. */
void conn_transport_consume(struct conn *conn, size_t len);
/* Its own end goes before the FIN. True: it has left, or there is no transport. */
bool conn_transport_has_ended(struct conn *conn);
void conn_transport_free(struct conn *conn); /* one that there is not, too */

#endif
