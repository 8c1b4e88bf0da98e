/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record: gathers the ClientHello out of TLS records (RFC 8446 5.1) however it is split: over any
 * number of records and any number of reads. Looks only; the received bytes stay where they are,
 * for the handshake that follows.
 */
#ifndef WEIR_TLS_RECORD_H
#define WEIR_TLS_RECORD_H

#include "tls/client_hello.h"

enum record_result {
    RECORD_MORE, /* not decided yet: give more bytes; `want` says how many are needed at least */
    RECORD_DONE, /* the message is whole */
    RECORD_BAD,  /* not a TLS ClientHello: `fault` */
};

enum { RECORD_BYTES_MAX = 96 * 1024 }; /* wire bytes looked at for one ClientHello */

/* Progress between calls, so that a hello that comes a byte at a time is not scanned anew. All
 * zero at the start. */
struct record_scan {
    size_t offset;      /* of the first record that is not whole yet */
    size_t message_len; /* handshake bytes in the records before it */
    size_t record_count;
    size_t empty_count;              /* of them without any content */
    size_t message_total;            /* bytes of the message as its header says; 0: not known yet */
    size_t want;                     /* wire bytes needed before the next call can get further */
    struct client_hello_fault fault; /* offset counts wire bytes here */
};

/* Could these first bytes (1 or more) be the start of a TLS handshake record? MORE, DONE = yes. */
enum record_result record_recognise(struct span first_bytes);

/*
 * `wire`: everything received so far, contiguous. When DONE, *message is the handshake message: a
 * view of `wire` if it lies in one record, else joined into `join`, which must have
 * CLIENT_HELLO_MAX bytes of room.
 */
enum record_result record_gather_hello(struct record_scan *scan, struct span wire, uint8_t *join,
                                       struct span *message);

#endif
