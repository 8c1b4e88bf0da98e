/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message: the facts of one HTTP/1 head, as spans into the bytes received, and the record of one
 * exchange (request and response) for logs. Plain data; no code.
 */
#ifndef WEIR_HTTP_MESSAGE_H
#define WEIR_HTTP_MESSAGE_H

#include "core/base/span.h"

enum {
    HTTP_FIELDS_MAX = 128,
    HTTP_HEAD_BYTES_MAX = 64 * 1024,
    HTTP_METHOD_MAX = 32,
    HTTP_HOST_MAX = 255,
};

enum http_version { HTTP_VERSION_1_0, HTTP_VERSION_1_1 };

/* How the end of a body is known (RFC 9112 6.3). */
enum http_framing { HTTP_NO_BODY, HTTP_LENGTH, HTTP_CHUNKED, HTTP_UNTIL_CLOSE };

struct http_field {
    struct span name;  /* as sent, case kept */
    struct span value; /* without white space at the ends */
    /* Where a parser of http/ filled this: */
    uint8_t id;    /* enum field_id of http/field.h */
    bool is_plain; /* it came as name, ": ", value and CR LF: as it would be written */
};

enum http_scheme { HTTP_SCHEME_HTTP, HTTP_SCHEME_HTTPS };

struct http_authority {
    char host[HTTP_HOST_MAX + 1]; /* lower case, without brackets or a trailing dot; NUL after */
    size_t host_len;
    bool is_ip; /* host is an IPv4 dotted quad or an IPv6 address */
    bool is_ipv6;
    uint16_t port; /* 1 to 65535; 0 where none was written and none is implied */
};

/* The forms of a request-target (RFC 9112 3.2); authority-form is CONNECT's, and only that. */
enum http_form { HTTP_FORM_ORIGIN, HTTP_FORM_ABSOLUTE, HTTP_FORM_AUTHORITY, HTTP_FORM_ASTERISK };

/* What a request-target says. */
struct http_target {
    enum http_form form;
    enum http_scheme scheme;         /* HTTP_FORM_ABSOLUTE */
    struct http_authority authority; /* HTTP_FORM_ABSOLUTE and HTTP_FORM_AUTHORITY */
    struct span path; /* HTTP_FORM_ABSOLUTE: the rest; empty, or with its first '/' or '?' */
};

struct http_head {
    struct span method;       /* requests */
    struct span target;       /* requests: the request-target as sent */
    struct http_target parts; /* requests: of the target */
    uint16_t status;          /* responses */
    struct span reason;       /* responses; may be empty */
    enum http_version version;
    struct http_field fields[HTTP_FIELDS_MAX];
    size_t field_count;
    size_t len; /* bytes of the head with its blank line: the body starts here */

    /* What the fields say, judged together and found unambiguous. */
    enum http_framing framing;
    uint64_t content_length; /* HTTP_LENGTH */
    bool keep_alive;         /* the sender is willing to keep the connection (RFC 9112 9.3) */
    bool upgrade;            /* Connection names it, and Upgrade a protocol other than h2c */
    bool expect_continue;    /* Expect: 100-continue */
    struct span host;        /* the one Host field; empty if there is none (HTTP/1.0) */
};

/* Why a message was refused. All strings are static, for the log, the page and Proxy-Status. */
struct http_fault {
    uint16_t status;   /* 400, 414, 417, 431, 501, 505; 502 for responses */
    const char *what;  /* a sentence: what is wrong and what was expected */
    const char *error; /* RFC 9209 2.3 error type: "http_request_error", ... */
    size_t offset;     /* bytes from the start of the head, or of the bytes fed */
};

/* One request and its response, copied out of the stream for the log. */
struct http_exchange {
    char method[HTTP_METHOD_MAX + 1];
    char authority[HTTP_HOST_MAX + 8]; /* host[:port] as the request said; empty: unknown */
    char path[512];                    /* cut when longer */
    char user_agent[256];              /* cut when longer */
    uint8_t http_major;                /* 1 or 2 */
    uint8_t http_minor;
    uint16_t status; /* 0: no response */
    bool upgraded;
    uint64_t request_bytes; /* body, without framing */
    uint64_t response_bytes;
    int64_t begin_ns;      /* ring time: request head seen */
    int64_t first_byte_ns; /* response head seen; 0: never */
    int64_t end_ns;        /* both done */
};

#endif
