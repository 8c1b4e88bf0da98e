/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_wire: the end of a connection that a script holds, client or server, with real TLS inside
 * where it wants it: plaintext in, plaintext out, paced as the script says (bytes sent in pieces,
 * read slowly, or no longer at all). Also a reader of HTTP/1 messages, which shares no code with
 * weir's own.
 *
 * Wires and messages live until sim_wires_free(); all memory is the process's to lose on failure.
 */
#ifndef WEIR_SIM_SIM_WIRE_H
#define WEIR_SIM_SIM_WIRE_H

#include "core/base/span.h"
#include "tests/sim/ring_sim.h"

#include <openssl/ssl.h>

struct bytes {
    uint8_t *data;
    size_t len;
    size_t cap;
};

void bytes_append(struct bytes *bytes, struct span more);
void bytes_consume(struct bytes *bytes, size_t len);
void bytes_free(struct bytes *bytes);

struct wire;

/* What happens on a wire. on_data: `in` grew. on_end: no more will come, cleanly when clean_end.
 * on_gone: it is over, by a reset or failed TLS (see `error` and `tls_error`). Each may be null;
 * none is called from within a wire_ function. */
struct wire_ops {
    void (*on_open)(struct wire *wire);   /* connected */
    void (*on_secure)(struct wire *wire); /* the TLS handshake is done */
    void (*on_data)(struct wire *wire);
    void (*on_end)(struct wire *wire);
    void (*on_gone)(struct wire *wire);
};

struct wire {
    struct wire *next; /* of all */
    struct sim *sim;
    struct sim_peer *peer;
    const struct wire_ops *ops;
    void *context;
    struct bytes in;      /* plaintext, received and not consumed */
    struct bytes waiting; /* as they go over the wire, to be sent in pieces */
    SSL *ssl;             /* null: clear text */
    BIO *ssl_in;
    BIO *ssl_out;
    SSL *outer; /* TLS below that, of a proxy; null: none */
    BIO *outer_in;
    BIO *outer_out;
    size_t piece_max;  /* bytes sent at a time; 0: all at once */
    size_t read_max;   /* bytes read at a time; 0: all at once */
    int64_t pace_ns;   /* between pieces and between reads */
    size_t halt_after; /* bytes, then nothing for halt_ns, once; 0: no halt */
    int64_t halt_ns;
    int error;          /* errno of a reset */
    uint32_t tls_error; /* of ERR_get_error(), when TLS failed */
    bool secure;
    bool clean_end; /* a FIN, and before it close_notify where there is TLS */
    bool ended;     /* on_end was called */
    bool gone;      /* over: by on_gone, or closed by ourselves */
    bool silent;    /* neither reads nor sends any more */
    bool fin_wanted;
    bool sending_paced;
    bool reading_paced;
    bool fin_seen;
};

extern const struct sim_peer_ops wire_peer_ops; /* with the wire as context */

struct wire *wire_new(struct sim *sim, const struct wire_ops *ops, void *context);
void sim_wires_free(void);

/* Begins TLS: takes over `ssl`, which has its side and names set. */
void wire_start_tls(struct wire *wire, SSL *ssl);

/* Puts TLS below everything else: before anything was sent or received. As the server. */
void wire_start_outer(struct wire *wire, SSL *ssl);

void wire_send(struct wire *wire, struct span bytes);
void wire_send_raw(struct wire *wire, struct span bytes); /* past TLS */
void wire_finish(struct wire *wire);                      /* close_notify where there is TLS; FIN */
void wire_fin_only(struct wire *wire);                    /* a FIN without close_notify */
void wire_close(struct wire *wire);                       /* as close(2), after what was sent */
void wire_reset(struct wire *wire);
bool wire_is_over(const struct wire *wire);

/* ---- patterns: what is sent says by whom and where it belongs ---- */

uint8_t pattern_at(uint64_t id, size_t at);
void pattern_fill(uint64_t id, size_t at, uint8_t *memory, size_t len);
/* How many bytes are right, from the front. */
size_t pattern_match(uint64_t id, size_t at, struct span bytes);

/* ---- HTTP/1 messages ---- */

enum message_phase {
    MESSAGE_HEAD,
    MESSAGE_BODY, /* `left` bytes */
    MESSAGE_CHUNK_HEAD,
    MESSAGE_CHUNK_DATA,
    MESSAGE_CHUNK_END,
    MESSAGE_TRAILERS,
    MESSAGE_UNTIL_CLOSE,
    MESSAGE_DONE,
    MESSAGE_BAD,
};

enum { MESSAGE_HEAD_MAX = 80 * 1024 };

struct message {
    enum message_phase phase;
    char *head; /* NUL-terminated, once phase is past MESSAGE_HEAD; owned */
    size_t left;
    size_t body_len;    /* so far */
    uint64_t pattern;   /* that the body must follow */
    bool body_is_wrong; /* it did not */
    bool checks_body;
    bool is_request;
    bool no_body; /* the answer to HEAD */
    int status;
};

/* Of memory that is zero, or of a message that was used. */
void message_init(struct message *message, bool is_request);
void message_free(struct message *message);
/* Reads on; true when the head has just become whole: look at it, set pattern and no_body, and call
 * again. */
bool message_read(struct message *message, struct bytes *in);
/* A field's value into `value`; false when there is none. */
bool message_field(const struct message *message, const char *name, char *value, size_t cap);

#endif
