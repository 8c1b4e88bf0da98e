/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h1: HTTP/1 heads. llhttp in strict mode reads them, behind a gate of our own that refuses what
 * llhttp lets through and a proxy must not: anything that two parsers could frame differently
 * (RFC 9112, RFC 9110). A head is parsed once, when it is whole, from contiguous bytes.
 *
 * h1_read_request() and h1_read_response() are the way in: one walk over a head that came in one
 * piece. h1_scan_head() and h1_parse_*() are what they are made of.
 */
#ifndef WEIR_HTTP_H1_H
#define WEIR_HTTP_H1_H

#include "http/message.h"

enum h1_result { H1_MORE, H1_DONE, H1_BAD };

struct h1_limits {
    uint32_t head_bytes;  /* whole head: 431, or 502 from a server */
    uint32_t line_bytes;  /* request line: 414; a field line: 431 */
    uint32_t field_count; /* more than HTTP_FIELDS_MAX is taken for that */
};

/* Search for the end of a head over several reads. Zero before the first. */
struct h1_scan {
    size_t offset;
    uint32_t line_length; /* bytes of the line that is not over yet */
    uint8_t state;
};

/*
 * Both read the head at the front of `bytes`, which is everything received of this message so far.
 * MORE: also where there is nothing, for want of bytes or of memory to gather them. DONE: `head` is
 * filled, its spans point into `bytes`. BAD: the first fault of h1_scan_head(), or of h1_parse_*()
 * where that finds none. Any token is a method.
 */
enum h1_result h1_read_request(struct http_head *head, struct h1_scan *scan, struct span bytes,
                               const struct h1_limits *limits, struct http_fault *fault);
/* request_method decides whether there is a body (HEAD, CONNECT). */
enum h1_result h1_read_response(struct http_head *head, struct h1_scan *scan, struct span bytes,
                                struct span request_method, const struct h1_limits *limits,
                                struct http_fault *fault);

/*
 * `bytes`: everything received of this message so far, from the same start at each call. DONE: the
 * head is whole. BAD: too long, or the first bytes cannot be HTTP (a TLS record, say: the fault
 * says so). Empty lines before a request line are skipped, at most 4 (RFC 9112 2.2).
 */
enum h1_result h1_scan_head(struct h1_scan *scan, struct span bytes, bool is_request,
                            const struct h1_limits *limits, struct http_fault *fault);

/* Both parse a whole head at the front of `bytes`. DONE or BAD, never MORE. */
enum h1_result h1_parse_request(struct http_head *head, struct span bytes,
                                const struct h1_limits *limits, struct http_fault *fault);
enum h1_result h1_parse_response(struct http_head *head, struct span bytes,
                                 struct span request_method, const struct h1_limits *limits,
                                 struct http_fault *fault);

/* The first field of that name, or null. */
const struct http_field *http_find_field(const struct http_head *head, struct span name);

/* Is `token` in the comma list of any field called `name`? Compared without case. */
bool http_has_token(const struct http_head *head, struct span name, struct span token);

/* Methods that a server may see twice without harm (RFC 9110 9.2.2), as far as clients use them. */
bool http_is_idempotent(struct span method);

/* Does a field called `name` authenticate the connection and not the request (RFC 4559 6)? Then
 * nobody else may use it. */
bool http_binds_connection(const struct http_head *head, struct span name);

#endif
