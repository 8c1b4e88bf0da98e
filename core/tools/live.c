/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tools/live.h"

#include "core/tools/visitors.h"

#include <sys/socket.h>

struct live {
    const struct options *options;
    struct hello_output *output;
    struct hello_facts *facts;
    FILE *err;
    unsigned answered;
};

static unsigned room(void *context)
{
    const struct live *live = context;
    unsigned left = live->options->count ? live->options->count - live->answered : VISITORS_MAX;

    if (ferror(live->output->out)) {
        return 0;
    }
    return left < VISITORS_MAX ? left : VISITORS_MAX;
}

/* Writes what came, and ends the connection. */
static bool answer(void *context, struct visitor *visitor)
{
    static const uint8_t handshake_failure[] = {21, 3, 1, 0, 2, 2, 40}; /* RFC 8446 6.2 */
    struct live *live = context;
    struct span wire = span_make(visitor->bytes, visitor->len);

    hello_facts_gather(live->facts, wire);
    if (!hello_output_write(live->output, &visitor->origin, live->facts)) {
        fputs("weir fingerprint: out of memory\n", live->err);
    }
    fflush(live->output->out);
    if (!live->options->serve && wire.len && record_recognise(wire) == RECORD_DONE) {
        /* A client that has gone does not hear it. */
        (void)!send(visitor->descriptor, handshake_failure, sizeof(handshake_failure),
                    MSG_NOSIGNAL);
    }
    live->answered++;
    return false;
}

int live_run(const struct options *options, struct hello_output *output, struct hello_facts *facts,
             FILE *err)
{
    struct live live = {options, output, facts, err, 0};
    const struct visitors_options visitors = {
        .command = "fingerprint",
        .option = "--live",
        .address = options->live,
        .seconds = options->seconds,
        .err = err,
        .context = &live,
        .room = room,
        .take_hello = answer,
    };

    return visitors_run(&visitors);
}
