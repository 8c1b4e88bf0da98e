/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h1_rewrite: writes the head that goes on to the other side of an explicit proxy: request-target
 * in origin-form, Host from the authority (RFC 9112 3.2.2), hop-by-hop fields and those that
 * Connection names left out (RFC 9110 7.6.1), Via added (7.6.3), framing fields written anew by us,
 * everything else as it came, in its order and case.
 */
#ifndef WEIR_HTTP_H1_REWRITE_H
#define WEIR_HTTP_H1_REWRITE_H

#include "core/base/text.h"
#include "http/authority.h"

struct h1_rewrite_options {
    bool via;                       /* add ourselves to Via */
    const char *pseudonym;          /* our name in it */
    bool keep_alive;                /* the next hop's connection stays open after this message */
    bool upgrade;                   /* pass Upgrade and Connection: upgrade on */
    enum http_framing framing;      /* how we frame what follows */
    uint64_t content_length;        /* HTTP_LENGTH */
    enum http_version peer_version; /* responses: the client's version */
    struct span without; /* fields like this name (field_is_like()) are left out; empty: none */
};

/*
 * A request for a server. False with a fault if it may not be forwarded: Connection names a field
 * that must not be dropped or has more than 32 options, our own pseudonym is in Via (a loop: status
 * 508; so give every installation its own), Max-Forwards of an OPTIONS or TRACE is used up (501),
 * or `out` is too small (431). `path` empty: "/" (or "*" for OPTIONS); a query alone gets its "/".
 * Of TE, "trailers" is passed on; Upgrade loses h2c; an Expect that head->expect_continue does not
 * count is dropped. head->method is not CONNECT, and framing not HTTP_UNTIL_CLOSE.
 */
bool h1_write_request(struct text *out, const struct http_head *head,
                      const struct http_authority *authority, enum http_scheme scheme,
                      struct span path, const struct h1_rewrite_options *options,
                      struct http_fault *fault);

/*
 * The front of a request that h1_write_request() wrote, as an HTTP proxy wants it: the request line
 * in absolute-form (RFC 9112 3.2.2; `*` becomes a URL without a path, 3.2.4), and
 * Proxy-Authorization where there is one. `authority` is what Host says. Returns how many bytes of
 * `head` that stands for: the fields behind them follow as they are. 0: `head` is no request, or
 * `out` is too small.
 */
size_t h1_write_for_proxy(struct text *out, struct span head, struct span authority,
                          const char *authorization);

/*
 * A response for a client. False with a fault (502) as above, and for a 101 unless options->upgrade
 * is set and the response names a protocol. An interim response (1xx) says nothing about the
 * connection. With HTTP_NO_BODY, Content-Length is kept where it states a fact (answers to HEAD,
 * 304). HTTP_CHUNKED is never for a client of HTTP/1.0, HTTP_UNTIL_CLOSE never with keep_alive.
 */
bool h1_write_response(struct text *out, const struct http_head *head,
                       const struct h1_rewrite_options *options, struct http_fault *fault);

/* The trailer section after a last chunk, with its blank line; `without` as above. */
void h1_write_trailers(struct text *out, const struct http_head *trailers, struct span without);

/* "1a2b\r\n": the line before a chunk's payload. At most 18 bytes. */
void h1_write_chunk_head(struct text *out, uint64_t len);

#endif
