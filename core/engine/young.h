/* SPDX-License-Identifier: Apache-2.0 */
/*
 * young: the conns of a worker that are so new that their connect is not acknowledged by itself yet
 * (10 ms), nor their end watched (50 ms). Many have sent, or are over, before, and are spared the
 * segment and the operation; the others get a young_end_handshake() and a conn_watch_end() then, or
 * sooner where WORKER_YOUNG_MAX are waiting. It remembers slot and generation, so a conn that ends
 * has nothing to take back. In the worker.
 */
#ifndef WEIR_ENGINE_YOUNG_H
#define WEIR_ENGINE_YOUNG_H

#include "core/engine/worker.h"

void young_init(struct worker *worker);

/* Once a conn, when it is open. */
void young_add(struct conn *conn);

/* The last word of a dialled conn's handshake leaves now, if it is still owed: behind the first
 * bytes that were sent, or when they do not come. */
void young_end_handshake(struct conn *conn);

#endif
