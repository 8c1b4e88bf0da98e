/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine: one side of one TLS connection as a function from bytes to bytes. It takes ciphertext
 * from the queue `in`, appends ciphertext to the queue `out`, and knows no socket. What is in `out`
 * must be sent even after a failure (it holds the alert). One thread, the one that owns the queues.
 *
 * Names: tls_engine_accept() makes our end towards a client, tls_engine_connect() our end towards a
 * server.
 */
#ifndef WEIR_TLS_ENGINE_H
#define WEIR_TLS_ENGINE_H

#include "core/base/buf.h"
#include "tls/context.h"
#include "tls/leaf.h"
#include "tls/ticket.h"

enum {
    TLS_RECORD_PLAINTEXT_MAX = 16 * 1024,
    TLS_CONFIRM_MAX_S = 3600, /* from a handshake until its connection has to be made anew */
};

enum tls_status {
    TLS_HANDSHAKING, /* needs more bytes in `in` */
    TLS_OPEN,        /* handshake done, data may flow */
    TLS_CLOSED,      /* the peer sent close_notify and everything before it was read */
    TLS_FAILED,      /* tls_engine_fault() tells; the alert is in `out` */
};

struct tls_fault {
    enum verify_class verify; /* VERIFY_OK unless the server's certificate was the reason */
    uint8_t alert_sent;       /* TLS AlertDescription (RFC 8446 6), 0: none */
    uint8_t alert_received;   /* 0: none */
    char text[224];           /* a sentence, printable ASCII */
};

struct tls_info {
    const char *version; /* "TLSv1.3"; static */
    const char *cipher;  /* "TLS_AES_128_GCM_SHA256"; static */
    const char *group;   /* "X25519"; static; null when there was none */
    bool resumed;
    struct span alpn; /* chosen protocol; lives as long as the engine */
};

struct tls_engine;

struct tls_accept_options {
    struct leaf *leaf;    /* a reference is taken */
    struct span alpn;     /* the protocol to choose if the client offers it; empty: none */
    bool without_tickets; /* for connections that only carry an error page */
};

struct tls_connect_options {
    struct span sni;         /* sent as server_name; empty: no extension */
    struct span verify_name; /* host name or text of an IP address */
    bool verify_name_is_ip;
    struct span alpn_offers;      /* wire form of the ALPN list; empty: no extension */
    struct ticket_store *tickets; /* null: no resumption; must outlive the engine */
    const uint8_t *ticket_key;    /* TICKET_KEY_LEN bytes, copied */
};

/* Both return null when memory is exhausted. Queues and cache are borrowed for the engine's life.
 */
struct tls_engine *tls_engine_accept(struct tls_context *context,
                                     const struct tls_accept_options *options, struct buf_queue *in,
                                     struct buf_queue *out, struct buf_cache *cache) MUST_CHECK;
struct tls_engine *tls_engine_connect(struct tls_context *context,
                                      const struct tls_connect_options *options,
                                      struct buf_queue *in, struct buf_queue *out,
                                      struct buf_cache *cache) MUST_CHECK;
void tls_engine_free(struct tls_engine *engine); /* null is allowed */

/* Goes on with the handshake as far as the bytes in `in` allow. */
enum tls_status tls_engine_handshake(struct tls_engine *engine);
enum tls_status tls_engine_status(const struct tls_engine *engine);

/*
 * Towards a server, open: would the handshake be accepted now, for that name? What was verified is
 * verified again, at the time that it is now; one that is older than TLS_CONFIRM_MAX_S is not
 * accepted. For a connection that goes on with somebody else.
 */
bool tls_engine_confirm(const struct tls_engine *engine, struct span verify_name,
                        bool verify_name_is_ip);

/* Plaintext into `memory`: its length; 0 when there is none now (ask the status why). */
size_t tls_engine_read(struct tls_engine *engine, uint8_t *memory, size_t cap);

/* Seals all of `plaintext` into `out`, in records of at most 16 KiB. False: failed. */
bool tls_engine_write(struct tls_engine *engine, struct span plaintext) MUST_CHECK;

/* Appends close_notify; nothing may be written after it. Idempotent. */
void tls_engine_shutdown(struct tls_engine *engine);

/* In.flight input: has the engine taken bytes from `in` that are not yet a whole record? */
bool tls_engine_has_partial_record(const struct tls_engine *engine);

void tls_engine_read_info(const struct tls_engine *engine, struct tls_info *info);
const struct tls_fault *tls_engine_fault(const struct tls_engine *engine);

/* The server's leaf certificate (DER), also after a resumption and after a failed verification;
 * empty if none came. Lives as long as the engine. */
struct span tls_engine_peer_certificate(const struct tls_engine *engine);

/* Bytes that this library took from the heap since the start of the process, and how often: flat
 * while data flows. Any thread. */
void tls_memory_stats(uint64_t *allocs, uint64_t *bytes_live);

#endif
