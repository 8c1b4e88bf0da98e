/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h1_body: finds the payload in the bytes that follow a head, incrementally and strictly
 * (RFC 9112 6 and 7). Used where bytes are relayed untouched, to know where a message ends, and
 * where they are re-framed.
 */
#ifndef WEIR_HTTP_H1_BODY_H
#define WEIR_HTTP_H1_BODY_H

#include "http/h1.h"

enum {
    H1_CHUNK_EXTENSION_MAX = 256,              /* bytes a chunk */
    H1_CHUNK_EXTENSIONS_TOTAL_MAX = 16 * 1024, /* bytes a message */
    H1_TRAILER_BYTES_MAX = 8 * 1024,
};

enum h1_body_result {
    H1_BODY_MORE,     /* all input consumed, the body goes on */
    H1_BODY_PAYLOAD,  /* *payload is a part of the input; call again with what is left */
    H1_BODY_TRAILERS, /* chunked, the last chunk was read: call h1_body_trailers() */
    H1_BODY_DONE,     /* the message is over; input after *consumed is not part of it */
    H1_BODY_BAD,
};

struct h1_body {
    enum http_framing framing;
    bool is_response; /* set after init: faults are the server's (502), not the client's (400) */
    uint64_t left;    /* HTTP_LENGTH, or of the current chunk: bytes */
    uint8_t state;
    uint8_t size_digits;
    uint16_t extension_len;
    uint32_t extensions_total;
    struct h1_scan trailer_scan;
};

void h1_body_init(struct h1_body *body, enum http_framing framing, uint64_t content_length);

/* Advances over `input`: *consumed bytes of it are done with (framing and *payload together). */
enum h1_body_result h1_body_feed(struct h1_body *body, struct span input, size_t *consumed,
                                 struct span *payload, struct http_fault *fault);

/*
 * The trailer section. `bytes`: everything received from its start on, contiguous. H1_DONE:
 * trailers->fields hold it (framing and routing fields in it are refused: RFC 9110 6.5.1) and
 * trailers->len bytes belong to it, the blank line included; the message is over.
 */
enum h1_result h1_body_trailers(struct h1_body *body, struct span bytes, struct http_head *trailers,
                                struct http_fault *fault);

/* HTTP_UNTIL_CLOSE ends well with the connection; everything else that is not DONE is cut short. */
bool h1_body_may_end_here(const struct h1_body *body);

#endif
