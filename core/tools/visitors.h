/* SPDX-License-Identifier: Apache-2.0 */
/*
 * visitors: listens on one address and reads the ClientHello of whoever connects; what happens then
 * is the caller's. One thread, plain sockets and poll(): for tools at a desk, not a part of the
 * proxy. All waits are bounded, and so is the number of connections.
 */
#ifndef WEIR_TOOLS_VISITORS_H
#define WEIR_TOOLS_VISITORS_H

#include "core/tools/hello_output.h"

enum {
    VISITORS_MAX = 64,         /* at a time; the others wait in the kernel's queue */
    VISITORS_HELLO_MS = 10000, /* for the whole hello */
};

struct visitor {
    int descriptor;
    short events;        /* of poll(); POLLIN until it is changed */
    int64_t deadline_ns; /* on the monotonic clock; the caller may set another one */
    struct hello_origin origin;
    uint8_t *bytes; /* what came up to the hello's end, perhaps more; RECORD_BYTES_MAX of room */
    size_t len;
    struct record_scan scan;
    bool had_hello; /* `bytes` are settled */
    void *visit;    /* the caller's; null: it has nothing to do with this one any more */
};

struct visitors_options {
    const char *command; /* "fingerprint"; messages begin with it */
    const char *option;  /* "--live", whose value the address is */
    const char *address; /* "127.0.0.1:8443", "[::1]:8443"; port 0: any free one */
    bool loopback_only;
    unsigned seconds; /* 0: no bound */
    FILE *err;
    void *context;

    /* How many connections may be open now, VISITORS_MAX at most; 0 ends the run. */
    unsigned (*room)(void *context);

    /* The hello is whole, or it will not come. False: the connection is over. */
    bool (*take_hello)(void *context, struct visitor *visitor);

    /* It is ready for what it waits for, or its deadline has passed. False: it is over. Not asked
     * for where take_hello() never keeps one. */
    bool (*go_on)(void *context, struct visitor *visitor, bool is_late);

    /* The run ends, and this one, which has a visit, is over with it. May be null, as above. */
    void (*drop)(void *context, struct visitor *visitor);
};

/* Says where it listens on `err`, and returns the status to exit with. */
int visitors_run(const struct visitors_options *options) MUST_CHECK;

#endif
