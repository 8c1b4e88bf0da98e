/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin: the listener on which weir tells load balancers, supervisors and people about itself: a
 * thread with an engine worker of its own, so that it answers while the workers are busy or stuck.
 * HTTP/1.1, GET and HEAD; everybody who reaches the address may ask. Against pages that rebind a
 * name of theirs to this address, requests are answered only if their Host is an IP address or
 * localhost.
 *
 *     /livez    200 while every worker turns; 503 with those that did not for two seconds
 *     /readyz   200 while connections may be sent here; 503 before, and from the first signal to
 *               stop
 *     and what pages.h has
 *
 * Thread: the functions below belong to main.
 */
#ifndef WEIR_ADMIN_ADMIN_H
#define WEIR_ADMIN_ADMIN_H

#include "core/admin/pages.h"
#include "core/engine/worker.h"

enum admin_state {
    ADMIN_STARTING,
    ADMIN_READY,
    ADMIN_DRAINING,
    ADMIN_HANDED_OVER, /* another process answers at this address now, and is ready */
};

struct admin;

/* What the process consists of, once it serves. Borrowed until admin_forget_workers(). */
struct admin_service {
    struct worker **workers;
    uint32_t worker_count;
    const struct sockaddr_storage *bound; /* of each listener of the configuration */
};

struct admin_options {
    int fd;                   /* bound and listening; becomes the admin's, also on failure */
    const struct page_ca *ca; /* borrowed */
    struct config *config;    /* a reference is taken */
    const struct admin_service *service; /* null: ADMIN_STARTING */
};

/* Null with a sentence in error. */
struct admin *admin_new(const struct admin_options *options, char *error,
                        size_t error_cap) MUST_CHECK;

/* ADMIN_READY from then on. False: out of memory. */
bool admin_set_service(struct admin *admin, const struct admin_service *service) MUST_CHECK;
/* Before the workers end: /livez does not ask them any more. */
void admin_forget_workers(struct admin *admin);

/* After a reload; a reference is taken. */
void admin_set_config(struct admin *admin, struct config *config);

/* ADMIN_HANDED_OVER: stops accepting; who is there already is answered as the other process would
 * answer. */
void admin_set_state(struct admin *admin, enum admin_state state);

/* Ends the thread. False: something stayed in flight (a bug). */
bool admin_free(struct admin *admin);

#endif
