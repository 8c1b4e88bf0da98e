/* SPDX-License-Identifier: Apache-2.0 */
/*
 * credentials: what a client says of itself in Proxy-Authorization (RFC 9110 11.7.2), with the
 * scheme Basic (RFC 7617). Nothing of it is kept here. Any thread.
 */
#ifndef WEIR_HTTP_CREDENTIALS_H
#define WEIR_HTTP_CREDENTIALS_H

#include "http/message.h"

enum http_credentials {
    HTTP_CREDENTIALS_NONE,
    HTTP_CREDENTIALS_BASIC,
    HTTP_CREDENTIALS_BAD, /* another scheme, no base64, no colon, said twice, or too long */
};

struct http_basic {
    struct span name; /* no colon in it; may be empty */
    struct span password;
};

/* BASIC: `basic` points into `memory`, of `cap` bytes, where name, colon and password have to fit.
 */
enum http_credentials http_read_basic(struct http_basic *basic, const struct http_head *head,
                                      uint8_t *memory, size_t cap);

#endif
