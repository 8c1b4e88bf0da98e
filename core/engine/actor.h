/* SPDX-License-Identifier: Apache-2.0 */
/*
 * actor: whatever runs when something happened to it: a session, an idle server connection. Events
 * are stored where they belong (a conn, a timer, a lookup) and make the owner ready; the worker
 * then runs each ready actor once a turn. So nothing is called from inside a completion, stacks
 * stay short, and one actor's run sees everything that happened in the turn at once.
 */
#ifndef WEIR_ENGINE_ACTOR_H
#define WEIR_ENGINE_ACTOR_H

#include "core/base/list.h"

struct actor {
    struct list_node ready_link; /* in the queue when ready */
    struct list_node *queue;     /* the worker's */
    void (*run)(struct actor *actor);
};

static inline void actor_init(struct actor *actor, struct list_node *queue,
                              void (*run)(struct actor *))
{
    list_init(&actor->ready_link);
    actor->queue = queue;
    actor->run = run;
}

static inline void actor_ready(struct actor *actor)
{
    if (!list_is_linked(&actor->ready_link)) {
        list_push_back(actor->queue, &actor->ready_link);
    }
}

/* Before an actor is freed: it is no longer run. */
static inline void actor_fini(struct actor *actor)
{
    list_remove(&actor->ready_link);
}

#endif
