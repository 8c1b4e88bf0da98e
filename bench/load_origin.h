/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_origin: the server of the load harness, on loopback: HTTP/1.1 in the clear and with TLS, and
 * a DNS server that answers 127.0.0.1 for every name. One thread on io_uring, and one for DNS.
 *
 *     GET /bytes/N     N bytes of the pattern (load_plan.h); ?chunked without a length; ?delay_ms=D
 *                      after that time; both may be given, with &
 *     POST /sink       reads a body of any length; 200 and its length when it was the pattern, else
 *                      422 and where it differs first
 * Anything else is 404.
 */
#ifndef WEIR_BENCH_LOAD_ORIGIN_H
#define WEIR_BENCH_LOAD_ORIGIN_H

#include "core/base/assert.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct load_pki;

/* Port 0 becomes the one that the system picked. */
struct load_ports {
    uint16_t clear, tls, dns;
};

struct load_listeners {
    int clear_fd, tls_fd, dns_fd; /* -1: none */
};

/* Binds, before the process of the origin is made. False, with nothing open: a sentence. The first
 * of several has the ports alone until then, and answers DNS; the others have its ports. */
bool load_origin_bind(struct load_ports *ports, bool is_first, struct load_listeners *listeners,
                      char *error, size_t error_cap) MUST_CHECK;
void load_origin_unbind(struct load_listeners *listeners);

enum { LOAD_ORIGIN_FAULT_MAX = 512 };

/* What an origin says of itself, in memory that others see. */
struct load_origin_state {
    _Atomic int is_ready;              /* it can be asked */
    _Atomic int64_t looked_ns;         /* that it had nothing to do; grows while it never sleeps */
    char fault[LOAD_ORIGIN_FAULT_MAX]; /* why it could not begin */
};

/* Serves until the process ends; returns, with a fault, if it cannot. Takes the descriptors. */
void load_origin_serve(const struct load_listeners *listeners, struct load_pki *pki, bool is_awake,
                       struct load_origin_state *state);

#endif
