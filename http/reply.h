/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reply: the answers that weir gives itself: errors with a page that says what was wrong, where and
 * what to do, a Proxy-Status field (RFC 9209) with the same error type as the log, any other body
 * that it is given, and the answer to CONNECT. HTTP/1.1; the caller says whether the connection
 * goes on. Pages run no script and load nothing.
 */
#ifndef WEIR_HTTP_REPLY_H
#define WEIR_HTTP_REPLY_H

#include "core/base/text.h"
#include "http/message.h"

enum { HTTP_REPLY_MAX = 10 * 1024 };

struct http_reply {
    uint16_t status;
    const char *error;      /* RFC 9209 error type, or null for none */
    struct span detail;     /* a sentence; escaped wherever it is written */
    struct span target;     /* what was asked for: host:port or URL; may be empty; escaped */
    const char *pseudonym;  /* our name; null: no trace of us is left in the fields */
    uint64_t session_id;    /* shown on the page, to be found in the log */
    uint32_t retry_after_s; /* Retry-After (RFC 9110 10.2.3); 0: not said */
    bool keep_alive;
    bool head_only; /* the request was HEAD */
    enum http_version version;
    const char *allow; /* methods, of a 405; else null */
    const char *type;  /* of the body; null: the page about the error is written */
    struct span body;
};

/* Writes the whole answer; at most HTTP_REPLY_MAX bytes and the body. Detail and target are cut
 * when longer than a few hundred bytes. A 407 asks for Basic credentials. */
void http_write_reply(struct text *out, const struct http_reply *reply);

/* The start of an HTML page, to the end of its heading; the title is escaped. */
void http_begin_page(struct text *out, struct span title);
extern const char http_html_type[];

/* "HTTP/1.1 200 Connection established\r\n\r\n", and nothing else: fields break some clients. */
void http_write_connect_reply(struct text *out);

/* The reason phrase of RFC 9110 15; "" for an unknown status. */
const char *http_reason(uint16_t status);

#endif
