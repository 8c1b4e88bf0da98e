/* SPDX-License-Identifier: Apache-2.0 */
/* wire.h: the words that wire_cases.def is written in, and the limits of the tests. */
#ifndef WEIR_TEST_WIRE_H
#define WEIR_TEST_WIRE_H

#include "http/h1.h"

#define GET(fields)  "GET / HTTP/1.1\r\nHost: a\r\n" fields "\r\n"
#define POST(fields) "POST /p HTTP/1.1\r\nHost: a\r\n" fields "\r\n"

#define DIGITS_10 "1234567890"
#define DIGITS_100                                                                                 \
    DIGITS_10 DIGITS_10 DIGITS_10 DIGITS_10 DIGITS_10 DIGITS_10 DIGITS_10 DIGITS_10 DIGITS_10      \
        DIGITS_10
#define DIGITS_1000                                                                                \
    DIGITS_100 DIGITS_100 DIGITS_100 DIGITS_100 DIGITS_100 DIGITS_100 DIGITS_100 DIGITS_100        \
        DIGITS_100 DIGITS_100

static const struct h1_limits wire_limits = {HTTP_HEAD_BYTES_MAX, 16 * 1024, HTTP_FIELDS_MAX};

struct wire_case {
    int line; /* in wire_cases.def */
    struct span bytes;
    const char *method; /* responses: of the request; null: this is a request */
    uint16_t status;    /* of the refusal; 0: accepted */
    const char *words;  /* of the reason */
    enum http_framing framing;
    uint64_t content_length;
    bool keep_alive;
};

#define REQUEST(text, framed, length, keep)                                                        \
    {__LINE__, SPAN_LITERAL(text), NULL, 0, NULL, framed, length, keep},
#define REQUEST_BAD(code, reason, text)                                                            \
    {__LINE__, SPAN_LITERAL(text), NULL, code, reason, HTTP_NO_BODY, 0, false},
#define RESPONSE(to, text, framed, length, keep)                                                   \
    {__LINE__, SPAN_LITERAL(text), to, 0, NULL, framed, length, keep},
#define RESPONSE_BAD(to, reason, text)                                                             \
    {__LINE__, SPAN_LITERAL(text), to, 502, reason, HTTP_NO_BODY, 0, false},

#endif
