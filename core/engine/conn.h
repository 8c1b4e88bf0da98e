/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn: one TCP connection, whichever side it is on. It receives into `rx`, sends from `tx`, and
 * remembers what happened; it never decides anything. Whoever owns it (a session, the idle pool) is
 * made ready when something changed, looks, and says what to do next.
 *
 * Life: conn_accepted() or conn_dial(), then conn_close(), after which the owner must not touch it:
 * the conn flushes if asked to, and is freed by itself once nothing of it is left in the kernel.
 * Closing has three acts, never mixed: stop (shut down or cancel), join (every operation's last
 * event is back), free (close the descriptor, then the memory).
 */
#ifndef WEIR_ENGINE_CONN_H
#define WEIR_ENGINE_CONN_H

#include "core/engine/own_address.h"
#include "core/engine/worker.h"
#include "tls/engine.h"

enum conn_state { CONN_CONNECTING, CONN_OPEN, CONN_FLUSHING, CONN_LINGERING, CONN_CLOSING };

enum conn_receiving {
    CONN_RECV_IDLE,
    CONN_RECV_ARMED,
    CONN_RECV_CANCELLING, /* its last event is still to come */
    CONN_RECV_STARVED,    /* in the worker's starved list */
    CONN_RECV_PRIVATE,    /* armed, into memory of its own */
    CONN_RECV_ENDED,      /* FIN or error seen */
};

/*
 * TLS below everything else: to a proxy that is itself spoken to in TLS. The conn's rx and tx then
 * hold what goes through it, as if it were the wire.
 */
struct conn_transport {
    struct tls_engine *tls;
    struct buf_queue rx; /* received, not yet opened */
    struct buf_queue tx; /* sealed, to be sent */
    size_t sealed_bytes; /* of the conn's tx: they stay there until their records have left */
    bool is_finished;    /* close_notify was written */
};

/*
 * What a conn needs to act by itself: while it waits for a buffer, or for room after the peer's
 * FIN, and while it closes. Few do so at a time.
 */
struct conn_self {
    struct conn *conn;
    struct actor actor;
    struct timer retry; /* while half_open: instead of a poll for room */
    struct timer timer; /* starvation while open, time limits while closing */
    struct list_node starved_link;
    int64_t starved_ns;      /* when it first found no buffer, since it last received; 0: not so */
    struct buf *private_buf; /* CONN_RECV_PRIVATE: where the kernel writes */
};

struct conn {
    struct pool_slot pool;
    struct worker *worker;
    struct actor *owner; /* never null: after conn_close() it is `self`, or the worker's reaper */
    struct conn_self *self;           /* null: it did not act by itself yet; owned */
    struct tls_engine *tls;           /* null: clear text; owned */
    struct conn_transport *transport; /* null: rx and tx are what is on the wire; owned */
    struct buf_queue rx;              /* received, not consumed; ciphertext when tls */
    struct buf_queue tx;              /* to be sent; the front may be in flight */
    struct own_dialled *own;          /* while it is one that was dialled, and that matters */
    struct address peer;

    int fd;
    int error; /* 0, or the errno that ended it */
    uint16_t in_flight;
    uint8_t state;     /* enum conn_state */
    uint8_t receiving; /* enum conn_receiving */
    bool sending : 1;
    bool polling_in : 1;
    bool polling_out : 1;
    bool half_open : 1;  /* the peer's FIN is there: any poll would tell that at once */
    bool send_waits : 1; /* for room */
    bool hung_up : 1;    /* error or hang-up was seen */
    bool look_again : 1; /* the end came: receive anew as soon as the armed receive has ended */
    bool watching : 1;   /* a poll for the end of the connection is armed */
    bool eof : 1;        /* the peer's FIN was seen, or the transport's end */
    bool truncated : 1;  /* eof, but the transport did not say so */
    bool fin_wanted : 1; /* send ours once tx is empty */
    bool fin_sent : 1;
    bool acks_late : 1;  /* as its listener: until something is sent, or more is wanted first */
    bool owes_ack : 1;   /* dialled: the last word of the handshake waits for the first bytes */
    bool bulk : 1;       /* receive into big buffers */
    bool was_capped : 1; /* the last receive ended because its cap was full: more is waiting */
    uint32_t arm_bytes;  /* received by the current or last armed receive */
    uint32_t arm_count;
    uint32_t rx_limit; /* kernels without a receive cap: cancel above this many bytes in rx */
    uint32_t tx_wake;  /* a send wakes the owner once tx is below this; 0: none; UINT32_MAX: any */
    int64_t send_since_ns; /* when the send in flight was started; 0: none */
    int64_t sent_ns;       /* when a send last came back; 0: none did */
};

/* Both return null when the pool is full or no descriptor is to be had (*error: -errno). `source`:
 * an address, not necessarily this machine's, to dial from, of the same family; null: the system's.
 */
struct conn *conn_accepted(struct worker *worker, int fd, struct actor *owner);
struct conn *conn_dial(struct worker *worker, const struct address *address,
                       const struct address *source, struct actor *owner, int *error);

/* Hands the conn to another owner. */
void conn_set_owner(struct conn *conn, struct actor *owner);

/* From now on an end is seen that no receive would see; by young.h, once. */
void conn_watch_end(struct conn *conn);

/* An event of this conn's; by the worker. */
void conn_on_event(struct conn *conn, const struct ring_event *event);

/*
 * Wants to have up to `limit` bytes in rx: arms a receive for what is missing, if none is armed.
 * Nothing is taken back when the limit is lower than before.
 */
void conn_receive(struct conn *conn, size_t limit);
/* Stops an armed receive; bytes already on their way still arrive. */
void conn_receive_stop(struct conn *conn);

/* Queue for sending; conn_flush() starts it. False when memory is exhausted (the conn then carries
 * ENOMEM as its error). */
bool conn_write(struct conn *conn, struct span bytes) MUST_CHECK;
void conn_push(struct conn *conn, struct buf *buf);
void conn_flush(struct conn *conn);
/* Starts sending what is queued so far, with a FIN behind it. With TLS the caller has written
 * close_notify before. */
void conn_finish(struct conn *conn);

/*
 * Puts TLS under an open conn that was not used yet, or in clear alone; what lies in tx is sent
 * first. The owner then calls conn_shake_transport() whenever something happened, until it is
 * TLS_OPEN: then rx and tx are what is inside. False: out of memory.
 */
bool conn_start_transport(struct conn *conn, struct tls_context *context,
                          const struct tls_connect_options *options) MUST_CHECK;
enum tls_status conn_shake_transport(struct conn *conn);

/* Copies what stays in rx out of ring buffers when those are getting few. At the end of a run. */
void conn_park(struct conn *conn);

/* For splicing: one-shot readiness; the owner is made ready. */
void conn_poll(struct conn *conn, bool in);

enum conn_close_how {
    CONN_CLOSE_FLUSH, /* close_notify with TLS, send what is queued, FIN, wait a little for the
                         peer's */
    CONN_CLOSE_NOW,   /* FIN at once; RST if something queued is dropped, or there was an error */
    CONN_CLOSE_RESET, /* RST */
};
void conn_close(struct conn *conn, enum conn_close_how how);

/* Can anything still be received, or is it over (FIN or error, and rx empty)? */
static inline bool conn_is_drained(const struct conn *conn)
{
    return conn->receiving == CONN_RECV_ENDED && conn->rx.len == 0;
}

/* The worker's, once a turn: gives buffers to conns that had none. */
void conn_serve_starved(struct worker *worker);

/* Ends the conns that were closed when there was no memory for their `self`. In the worker. */
void conn_reaper_init(struct worker *worker);

#endif
