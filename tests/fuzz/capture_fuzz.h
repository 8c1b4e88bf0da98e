/* SPDX-License-Identifier: Apache-2.0 */
/*
 * capture_fuzz: a capture from its bytes to the facts of each ClientHello. What a packet sent twice
 * says must be what it says once.
 */
#ifndef WEIR_TESTS_CAPTURE_FUZZ_H
#define WEIR_TESTS_CAPTURE_FUZZ_H

#include "core/tools/hello_facts.h"
#include "core/tools/streams.h"

#include <stdlib.h>

static inline void capture_fuzz_compare(const struct stream_hello *once,
                                        const struct stream_hello *twice)
{
    static struct hello_facts facts;

    ASSERT(once->wire.len > 0 && once->wire.len <= RECORD_BYTES_MAX);
    ASSERT(span_equal(once->wire, twice->wire));
    ASSERT(once->packet_number == twice->packet_number);
    if (!hello_facts_gather(&facts, once->wire)) {
        ASSERT(facts.error[0] && strlen(facts.error) < sizeof(facts.error));
    }
}

static inline void capture_fuzz_packet(struct streams *once, struct streams *twice,
                                       const struct capture_packet *packet)
{
    struct packet_segment segment;
    struct stream_hello a;
    struct stream_hello b;
    bool found;

    if (packet_read(packet, &segment) != PACKET_TCP) {
        return;
    }
    ASSERT(segment.payload.len < packet->bytes.len);
    found = streams_feed(once, &segment, packet, &a);
    ASSERT(found == streams_feed(twice, &segment, packet, &b));
    if (found) {
        capture_fuzz_compare(&a, &b);
    }
    ASSERT(!streams_feed(twice, &segment, packet, &b));
}

static inline void capture_fuzz(struct span bytes, enum capture_format format)
{
    struct capture *capture = malloc(sizeof(*capture));
    struct streams *once = streams_new();
    struct streams *twice = streams_new();
    struct capture_packet packet;
    struct stream_hello a;
    struct stream_hello b;
    struct input in;
    uint64_t number = 0;
    enum capture_result result = CAPTURE_BAD;

    ASSERT(capture && once && twice && input_init_memory(&in, bytes));
    if (capture_recognise(bytes) == format && capture_start(capture, &in)) {
        while ((result = capture_next(capture, &packet)) == CAPTURE_PACKET) {
            ASSERT(packet.number == ++number && packet.bytes.len <= CAPTURE_PACKET_MAX);
            capture_fuzz_packet(once, twice, &packet);
        }
        ASSERT(result == CAPTURE_END || strncmp(capture->fault, "byte ", 5) == 0);
        while (streams_flush(once, &a)) {
            ASSERT(streams_flush(twice, &b));
            capture_fuzz_compare(&a, &b);
        }
        ASSERT(!streams_flush(twice, &b));
    }
    input_fini(&in);
    streams_free(twice);
    streams_free(once);
    free(capture);
}

#endif
