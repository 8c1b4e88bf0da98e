/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pipe: one direction of a relay, from one conn to the other; a session has two. What a byte goes
 * through is visible as data and decided before: TLS on either conn or not, somebody who looks on,
 * or edits, or nobody. Where nobody looks and there is no TLS, received buffers are themselves sent
 * on, and once the stream is bulk the bytes stay in the kernel (splice).
 *
 * Back-pressure: reading from `from` goes on while less than the worker's high mark waits in `to`,
 * and starts again at the low mark.
 */
#ifndef WEIR_ENGINE_PIPE_H
#define WEIR_ENGINE_PIPE_H

#include "core/engine/conn.h"

enum pipe_end {
    PIPE_FLOWS,
    PIPE_ENDED,     /* the end of input was passed on, in order */
    PIPE_TRUNCATED, /* the same, but the TLS peer ended without close_notify */
    PIPE_FAILED,    /* a connection broke: see the conns' errors and engines' faults */
    PIPE_STOPPED,   /* by who looks on or edits */
    PIPE_LEFT,      /* the input is over, and the receiver was not told */
};

enum pipe_splice { PIPE_COPIES, PIPE_SWITCHING, PIPE_SPLICES };

struct pipe {
    struct conn *from;
    struct conn *to;
    /* Sees each run of plaintext before it goes on; null: blind. Must not change or keep it. False:
     * neither this run nor anything behind it goes on. */
    bool (*look)(struct pipe *pipe, struct span bytes);
    /* Sees each run of plaintext instead, and passes on with pipe_write() what is to go on of it,
     * now or later; an empty run: the input is over. Null: all goes on, untouched. False: nothing
     * more goes on. */
    bool (*edit)(struct pipe *pipe, struct span bytes);
    /* Asked where the input is over: true: the receiver is not to be told, for it goes on without
     * this pipe. Null: it is told. */
    bool (*leaves)(struct pipe *pipe);
    uint64_t bytes;                  /* payload moved */
    struct splice_pipe *kernel_pipe; /* the worker's, while this direction is blocked; or null */
    uint32_t splice_after;           /* bytes moved before this may be spliced; 0: never */
    uint8_t end;                     /* enum pipe_end */
    uint8_t splice;                  /* enum pipe_splice */
    uint8_t small_splices;           /* in a row */
};

void pipe_init(struct pipe *pipe, struct conn *from, struct conn *to);

/* Moves what can be moved now, and arms what it waits for. Call whenever something happened. */
void pipe_run(struct pipe *pipe);

/* The end of input was passed on, clean or not. What was queued before may still be to be sent. */
bool pipe_has_ended(const struct pipe *pipe);

/* Queues bytes for the receiver, while the pipe flows. False: they cannot be sent, and the pipe has
 * failed. conn_flush() starts it, as pipe_run() does at its end. */
bool pipe_write(struct pipe *pipe, struct span bytes) MUST_CHECK;

/* Plaintext of the sender's that was read before the pipe began goes on as if it came now. False:
 * see `end`. */
bool pipe_pass(struct pipe *pipe, struct span bytes) MUST_CHECK;

/* Gives the kernel pipe back. Before the conns are closed. */
void pipe_fini(struct pipe *pipe);

#endif
