/* SPDX-License-Identifier: Apache-2.0 */
/*
 * live: listens, and writes the ClientHello of whoever connects. One thread, plain sockets and
 * poll(): a tool for a desk, not a part of the proxy.
 */
#ifndef WEIR_TOOLS_LIVE_H
#define WEIR_TOOLS_LIVE_H

#include "core/options.h"
#include "core/tools/hello_output.h"

enum {
    LIVE_CONNECTIONS_MAX = 64, /* at a time; the others wait in the kernel's queue */
    LIVE_HELLO_MS = 10000,     /* for the whole hello */
};

/* Until options->count connections are answered, options->seconds have passed (0: no bound), or a
 * signal ends the process. Returns the status to exit with. `facts` is room to work in. */
int live_run(const struct options *options, struct hello_output *output, struct hello_facts *facts,
             FILE *err) MUST_CHECK;

#endif
