/* SPDX-License-Identifier: Apache-2.0 */
/*
 * access_log: what connections did, one JSON object a line: "kind":"request" for each HTTP exchange
 * that weir forwarded or read along with, "kind":"tunnel" for each CONNECT, whatever became of it.
 * Every value is escaped; bodies, cookies, credentials and query strings are never written.
 */
#ifndef WEIR_SESSION_ACCESS_LOG_H
#define WEIR_SESSION_ACCESS_LOG_H

#include "core/session/session.h"

/* Is anybody there to read it? */
bool access_log_is_read(const struct session *session);

void access_log_request(struct session *session, const struct http_exchange *exchange);
/* end_ns: of ring_now(). */
void access_log_tunnel(struct session *session, int64_t end_ns);

#endif
