/* SPDX-License-Identifier: Apache-2.0 */
/* live: listens, and writes the ClientHello of whoever connects. */
#ifndef WEIR_TOOLS_LIVE_H
#define WEIR_TOOLS_LIVE_H

#include "core/options.h"
#include "core/tools/hello_output.h"

/* Until options->count connections are answered, options->seconds have passed (0: no bound), or a
 * signal ends the process. Returns the status to exit with. `facts` is room to work in. */
int live_run(const struct options *options, struct hello_output *output, struct hello_facts *facts,
             FILE *err) MUST_CHECK;

#endif
