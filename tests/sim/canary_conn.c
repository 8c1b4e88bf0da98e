/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection with a mistake put in on purpose, WEIR_CANARY says which: the simulator must find
 * it. Each is made by giving one call another meaning while conn.c is compiled.
 */
#include "core/engine/conn.h"

/* Now and then, so that most of a run is as it should be. */
static bool canary_is_due(void)
{
    static unsigned count;

    return ++count % 64 == 0;
}

#if WEIR_CANARY == 1 /* closes the descriptor while operations are in flight */
#define ring_cancel(ring, kind, owner) (ring_cancel(ring, kind, owner), ring_close(ring, c->fd))
#elif WEIR_CANARY == 2 /* forgets buffers */
#define buf_put(cache, b) (canary_is_due() ? (void)0 : buf_put(cache, b))
#elif WEIR_CANARY == 3 /* sends the last byte again */
#define buf_queue_consume(queue, cache, len)                                                       \
    buf_queue_consume(queue, cache, (len) - (size_t)(canary_is_due() && (len) > 1))
#elif WEIR_CANARY == 4 /* does not count a receive */
#define ring_recv_into(ring, fd, owner, memory, len)                                               \
    (c->in_flight--, ring_recv_into(ring, fd, owner, memory, len))
#elif WEIR_CANARY == 5 /* loses a wake-up */
#define actor_ready(actor) (canary_is_due() ? (void)0 : actor_ready(actor))
#endif

#include "core/engine/conn.c"

/* For those that do not use it. */
bool canary_is_there(void);
bool canary_is_there(void)
{
    return canary_is_due();
}
