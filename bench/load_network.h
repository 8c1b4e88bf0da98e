/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_network: a network of the run's own, for the transparent modes: a namespace with nothing but
 * the loopback interface, in which the kernel redirects what comes from the client's address to
 * weir. It goes with the last process in it. Without root a user namespace comes around it.
 */
#ifndef WEIR_BENCH_LOAD_NETWORK_H
#define WEIR_BENCH_LOAD_NETWORK_H

#include "bench/load_origin.h"

#include <stdio.h>

/* Where transparent clients connect from, as whom nobody else does; and weir's listener. */
#define LOAD_NETWORK_CLIENT "127.0.0.3"
enum { LOAD_NETWORK_PORT = 8081 };

/* The calling process, which must have one thread, and what it starts from now on. False: said
 * what is missing on err. */
bool load_network_enter(FILE *err) MUST_CHECK;

/* The rule: from the client's address to the origin's ports. False: as above. */
bool load_network_redirect(const struct load_ports *ports, FILE *err) MUST_CHECK;

#endif
