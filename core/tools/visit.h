/* SPDX-License-Identifier: Apache-2.0 */
/*
 * visit: the server that a client visits so that it can be looked at: it completes the TLS
 * handshake with a certificate of weir's own authority, reads the first request, answers it with a
 * few words, and ends. From bytes to bytes, like a tls_engine: the caller has the socket. One
 * thread.
 */
#ifndef WEIR_TOOLS_VISIT_H
#define WEIR_TOOLS_VISIT_H

#include "http/tap.h"
#include "tls/ca.h"
#include "tls/client_hello.h"
#include "tls/engine.h"

enum {
    VISIT_REQUEST_MAX = 96 * 1024, /* bytes up to the end of the first request's head */
    VISIT_ENDING_MAX = 320,
};

struct visit_server {
    struct ca *ca;
    struct leaf_keys *keys;
    struct leaf *local; /* localhost, 127.0.0.1 and ::1: every leaf has these names as well */
    struct tls_context *context;
    struct buf_cache cache;
};

/* Makes the authority if there is none in the folder. False, and nothing owned: a sentence in
 * `error`. */
bool visit_server_open(struct visit_server *server, const char *ca_dir, char *error,
                       size_t error_cap) MUST_CHECK;
void visit_server_close(struct visit_server *server); /* behind its last visit */

struct visit {
    struct visit_server *server; /* borrowed */
    struct tls_engine *engine;
    struct buf_queue in;
    struct buf_queue out; /* to be sent, also when the visit is over */
    bool is_open;         /* the handshake is done, and `info` filled */
    bool is_over;         /* nothing is to be read any more */
    struct tls_info info;
    struct http_tap *tap;
    uint8_t *plain; /* all that the client sent */
    size_t plain_len;
    char ending[VISIT_ENDING_MAX]; /* why it is over; "answered" if all went well */
};

/* For the client that said `wire`, in which `hello` is, to `own_ip`. Null: a sentence in `error`.
 */
struct visit *visit_new(struct visit_server *server, const struct client_hello *hello,
                        struct span wire, const char *own_ip, char *error,
                        size_t error_cap) MUST_CHECK;
void visit_free(struct visit *visit); /* null is allowed */

void visit_take(struct visit *visit, struct span bytes);

/* No more bytes will come. */
void visit_end(struct visit *visit, const char *why);

/* Null: it has not come. */
const struct http_first_request *visit_request(const struct visit *visit);

#endif
