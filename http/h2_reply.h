/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2_reply: what a server must say for a client to get one text over HTTP/2 (RFC 9113), and be
 * done: the server's preface, and the answer to the first request. Nothing is decoded but the
 * frames' headers; who the request is from tells a tap (tap.h). Pure functions; any thread.
 */
#ifndef WEIR_HTTP_H2_REPLY_H
#define WEIR_HTTP_H2_REPLY_H

#include "core/base/text.h"

#include <stdint.h>

enum { H2_REPLY_MAX = 128 }; /* bytes that each writer needs at most, without the body */

/* SETTINGS with nothing in them: the first thing that a server says. */
void h2_write_preface(struct text *out);

/* The stream of the first request, found in all that the client sent from its preface on. 0: its
 * HEADERS frame has not come, or what came is not HTTP/2. */
uint32_t h2_first_stream(struct span bytes);

/* Acknowledges the client's SETTINGS, answers the stream with 200 and a text of at most 999 bytes,
 * and says that no other stream will be answered. head_only: without the text. */
void h2_write_text(struct text *out, uint32_t stream, struct span body, bool head_only);

#endif
