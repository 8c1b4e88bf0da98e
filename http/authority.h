/* SPDX-License-Identifier: Apache-2.0 */
/*
 * authority: host and port out of what a client wrote: CONNECT's authority-form, the absolute-form
 * of a request-target, a Host field (RFC 9112 3.2, RFC 3986 3.2, RFC 9110 7.2). Strict: whatever
 * two parsers could read differently is refused.
 */
#ifndef WEIR_HTTP_AUTHORITY_H
#define WEIR_HTTP_AUTHORITY_H

#include "core/base/text.h"
#include "http/message.h"

/*
 * "host:port" with the port required (CONNECT). IPv6 in brackets, without a zone (*authority has it
 * in the one spelling of RFC 5952). A host is a DNS name (letters, digits, '-', '_' and '.', labels
 * of 63 bytes at most, 253 in all), or an IPv4 address in four plain decimal numbers; a name whose
 * last label is all digits, or 0x-prefixed, and which is no such address, is refused. Ports: 1 to 5
 * digits without sign or leading zero.
 */
bool authority_parse_connect(struct http_authority *authority, struct span text,
                             struct http_fault *fault);

/* A Host field's value: as above with the port optional (then 0). */
bool authority_parse_host(struct http_authority *authority, struct span text,
                          struct http_fault *fault);

/* An absolute http or https URI: scheme, authority (userinfo refused, a missing port implied), and
 * the rest as origin-form: *path is a view of the target, empty when the URI has no path, and
 * beginning with '?' when it has a query alone. A fragment is refused. */
bool authority_parse_absolute(struct http_authority *authority, enum http_scheme *scheme,
                              struct span *path, struct span target, struct http_fault *fault);

/* "host:port"; brackets for an IPv6 address, which a host with a colon is. */
void authority_write(struct text *out, const char *host, uint16_t port);

#endif
