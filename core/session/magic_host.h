/* SPDX-License-Identifier: Apache-2.0 */
/*
 * magic_host: the host whose pages weir answers itself when they are asked for through it, in
 * explicit HTTP: how to trust its CA, the CA, and proxy.pac (core/admin/pages.h). It is never
 * looked up, and has nothing of what the admin listener tells alone.
 */
#ifndef WEIR_SESSION_MAGIC_HOST_H
#define WEIR_SESSION_MAGIC_HOST_H

#include "core/session/answer.h"

/* host: as struct http_authority has it. */
bool magic_host_is(const struct session *session, const char *host);

/* The answer to a request; its body is in the worker's scratch. `path` is a view of the target. */
void magic_host_answer(struct session *session, const struct http_head *head, struct span path,
                       struct answer *answer);

#endif
