/* SPDX-License-Identifier: Apache-2.0 */
/*
 * streams: puts the TCP segments of many connections together, each direction for itself, as far as
 * it takes to see the ClientHellos in them: the one at the start of a connection however it is
 * split and reordered, and those that begin a segment later (behind a CONNECT request, after a
 * HelloRetryRequest, or where the capture has gaps). Where segments overlap, the first one counts.
 */
#ifndef WEIR_TOOLS_STREAMS_H
#define WEIR_TOOLS_STREAMS_H

#include "core/tools/packet.h"

enum {
    STREAMS_MAX = 16384,                  /* directions at a time; the least used one is given up */
    STREAMS_BYTES_MAX = 64 * 1024 * 1024, /* held for all of them together */
    STREAM_HOLES_MAX = 32,                /* in what is received of one hello */
};

/* One ClientHello, whole or not, as bytes on the wire. */
struct stream_hello {
    struct packet_flow flow;
    uint64_t
        packet_number; /* the packet that completed it; of a cut one, the last that gave bytes */
    int64_t time_ns;
    struct span wire; /* valid until the next call; for hello_facts_gather() */
};

struct streams;

struct streams *streams_new(void) MUST_CHECK; /* null: out of heap */
void streams_free(struct streams *streams);

/* True: with this segment a hello is whole, or known to be malformed, and *hello is filled. */
bool streams_feed(struct streams *streams, const struct packet_segment *segment,
                  const struct capture_packet *packet, struct stream_hello *hello);

/* At the end of the capture: true for each hello that began and never became whole. */
bool streams_flush(struct streams *streams, struct stream_hello *hello);

/* Hellos that began and were given up because of the bounds. */
uint64_t streams_lost_count(const struct streams *streams);

#endif
