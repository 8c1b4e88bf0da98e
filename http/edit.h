/* SPDX-License-Identifier: Apache-2.0 */
/*
 * edit: what a tap inserts into the bytes of a side, all the rest of which goes on as it came:
 *
 * - one field into each head that opens a request, or that answers one for good: not into
 *   trailers, 1xx and promises, nor, in HTTP/1, into a 2xx to CONNECT. HTTP/1: its last line.
 *   HTTP/2: the last of the header block, a literal without indexing (RFC 7541 6.2.2), so that the
 *   dynamic tables of the two ends stay in step; before padding, or in a CONTINUATION of its own
 *   where the frame has no room for it.
 * - the word that a client is to leave: Connection: close in the final responses of HTTP/1
 *   (RFC 9112 9.6), GOAWAY between two frames of HTTP/2 (RFC 9113 6.8).
 *
 * A field is worth nothing if others can send it too. So a side whose editor has a name stops for
 * good when a field of that name comes from it, in whatever letters, with '_' for '-' (CGI does not
 * tell them apart), in a head, a promise or trailers; when Connection names it, by which the next
 * hop would drop it; and when the tap loses track, since then it may come unseen. Two kinds of
 * bytes go on without a promise: those behind a switch of protocols, and a connection whose first
 * byte cannot begin HTTP.
 *
 * A head, or the last frame of a header block, goes on when it is whole; until then it is held,
 * HTTP_HEAD_BYTES_MAX bytes at most. Nothing else is held, copied or allocated.
 */
#ifndef WEIR_HTTP_EDIT_H
#define WEIR_HTTP_EDIT_H

#include "core/base/assert.h"
#include "http/tap.h"

enum { HTTP_EDIT_NAME_MAX = 64, HTTP_EDIT_VALUE_MAX = 320 }; /* bytes */

struct http_editor {
    struct span name; /* a token that outlives the tap; empty: no field is inserted or refused */
    /* A head that gets the field is whole: its value, empty for none, valid until the next call.
     * False: neither this head nor anything behind it may go on. Not called without a name. */
    bool (*value)(void *context, struct span *value);
    /* What goes on, in order. False: it could not be sent; nothing more will be emitted. */
    bool (*emit)(void *context, struct span bytes);
    void *context;
};

/*
 * From now on the bytes of this side are emitted as they are fed. An editor with a name comes
 * before the first byte of its side; one without may come at any time. At most one a side. False:
 * no memory.
 */
bool http_tap_edit(struct http_tap *tap, enum http_tap_side side,
                   const struct http_editor *editor) MUST_CHECK;

/* Nothing more of this side goes on; http_tap_read_stats() may say why. */
bool http_tap_edit_stopped(const struct http_tap *tap, enum http_tap_side side);

/* The input of this side is over, or the tap blind: what is held goes on, unless the editor has a
 * name and the head could still become one. */
void http_tap_edit_end(struct http_tap *tap, enum http_tap_side side);

/*
 * The client is to leave; the server's side has an editor. HTTP/2: asked a second time, when
 * nothing is under way, it says which request was the last one that counts.
 */
void http_tap_leave(struct http_tap *tap);

#endif
