/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listener: one worker's share of a listening address. Every worker has a socket of its own on the
 * same address (SO_REUSEPORT), so the kernel spreads connections and no worker waits for another.
 * Accepting pauses when descriptors or connections run out; the kernel's backlog then holds the
 * clients, and nobody spins.
 */
#ifndef WEIR_ENGINE_LISTENER_H
#define WEIR_ENGINE_LISTENER_H

#include "core/engine/worker.h"

struct listener {
    struct worker *worker;
    struct actor actor;
    struct timer resume; /* while paused */
    int fd;
    uint32_t index; /* in the configuration; several sockets may have the same */
    bool accepting; /* the operation is armed */
    bool closing;
};

struct listener_options {
    const struct sockaddr *address;
    socklen_t address_len;
    bool first; /* nobody may have this address yet, not even who shares it, as another weir */
    bool transparent; /* takes connections to any address, that TPROXY sends; needs CAP_NET_ADMIN */
};

/*
 * Binds and listens; start-up, before the workers run. A descriptor, or -errno with a sentence that
 * names the address and the remedy; -EPERM is a lack of CAP_NET_ADMIN.
 */
int listener_bind(const struct listener_options *options, char *error, size_t error_cap) MUST_CHECK;

/* Of a socket that another process has bound. */
bool listener_is_transparent(int fd);

void listener_init(struct listener *listener, struct worker *worker, int fd, uint32_t index);
void listener_on_event(struct listener *listener, const struct ring_event *event);

/* Stops accepting, takes what the backlog still holds, closes. Idempotent. */
void listener_close(struct listener *listener);
static inline bool listener_is_closed(const struct listener *listener)
{
    return listener->fd < 0;
}

#endif
