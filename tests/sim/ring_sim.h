/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_sim: the second link target of core/engine/ring.h, a kernel with faults in user space, and
 * the scripted far ends of its connections. Everything follows from a seed: the same seed and the
 * same program give the same events at the same virtual times, and the same trace hash.
 *
 * The clock moves in ring_turn() alone. Bytes take time to arrive and socket buffers are small, so
 * that back-pressure occurs. Peers run inside ring_turn(), through their callbacks.
 *
 * The simulated kernel checks what ring.h asks of its caller and ends the process, with the seed
 * and the last events, when it is broken: two receives or two sends at a time on one descriptor, a
 * payload that changed while it was being sent, a buffer given back twice, while it was being sent
 * or never, a descriptor that is unknown, closed, left open, or closed with an operation in flight,
 * a turn that would sleep for ever, and turns that run without time moving.
 *
 * One simulation a thread: sim_new() makes it the thread's current one, and ring_new() takes that.
 * Set WEIR_SIM_TRACE=1 to see every event on standard error.
 */
#ifndef WEIR_SIM_RING_SIM_H
#define WEIR_SIM_RING_SIM_H

#include "core/base/span.h"

#include <sys/socket.h>

/* Chances are in thousandths, drawn for each operation, completion or connection they name. */
struct sim_profile {
    const char *name;
    int64_t latency_min_ns; /* of bytes on the way; at least 1 us */
    int64_t latency_max_ns;
    int64_t completion_max_ns;  /* longest delay of a completion: different ones change order */
    uint32_t socket_buffer_min; /* bytes in flight and unread, one direction; at least 1 */
    uint32_t socket_buffer_max;
    uint32_t short_recv;    /* fewer bytes than there are */
    uint32_t multishot_end; /* an end without need, with the bytes or with ENOBUFS */
    uint32_t recv_error;    /* ENOMEM; the connection lives on */
    uint32_t send_error;    /* ENOMEM, ENOBUFS, or part of the bytes and then death */
    uint32_t accept_error;  /* EMFILE, ENFILE, ENOMEM: ends the accept, keeps the client */
    uint32_t socket_error;  /* EMFILE, ENFILE, ENOMEM */
    uint32_t connect_error; /* ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, ETIMEDOUT, ... */
    uint32_t connect_hang;  /* no answer ever */
    uint32_t pipe_error;    /* EMFILE, EPERM */
    uint32_t death;         /* a connection dies within 200 ms: ECONNRESET, ETIMEDOUT, ... */
    uint32_t deaf_recv;     /* one that took data with a death behind it is not told of that */
    uint32_t oversleep;     /* a turn that slept goes on up to 700 ms late: no processor for it */
    bool without_recv_cap;  /* as a kernel before 6.17 */
};

extern const struct sim_profile sim_profile_calm;  /* no faults, but delays and small buffers */
extern const struct sim_profile sim_profile_rough; /* short, reordered, ended early; no death */
extern const struct sim_profile sim_profile_storm; /* everything */

struct sim;
struct sim_peer;

struct sim *sim_new(uint64_t seed, const struct sim_profile *profile);
/* Checks that no descriptor is left open. The ring must have been freed. Peers end with it. */
void sim_free(struct sim *sim);

uint64_t sim_trace_hash(const struct sim *sim);  /* over every event so far */
uint64_t sim_random(struct sim *sim);            /* for scripts: part of the same sequence */
int64_t sim_now(const struct sim *sim);          /* virtual, the clock of ring_now() */
uint64_t sim_fault_count(const struct sim *sim); /* faults injected so far */

/* Calls back once, `delay_ns` from now. */
void sim_after(struct sim *sim, int64_t delay_ns, void (*callback)(void *context), void *context);

/* A listening descriptor for ring_accept(); close it with ring_close(). A client reaches it by its
 * exact address, or by its port alone when it listens on the unspecified address. */
int sim_listen(struct sim *sim, const struct sockaddr *address, socklen_t address_len);

/*
 * What a peer does when something happens to it. Each may be null. None is called from within a
 * sim_peer_ function, nor after sim_peer_reset() or sim_peer_close(). Bytes that on_data leaves are
 * not told of again until more happens: who reads late asks sim_peer_view() from sim_after().
 */
struct sim_peer_ops {
    void (*on_open)(struct sim_peer *peer, void *context); /* sim_connect(): it is connected */
    void (*on_data)(struct sim_peer *peer, void *context); /* more to read */
    void (*on_sent)(struct sim_peer *peer, void *context); /* nothing unsent is left */
    void (*on_eof)(struct sim_peer *peer, void *context);  /* all was delivered, then a FIN */
    void (*on_reset)(struct sim_peer *peer, void *context, int error); /* or refused; it is over */
};

/* A client of weir's. The answer comes with on_open or on_reset. */
struct sim_peer *sim_connect(struct sim *sim, const struct sockaddr *to, socklen_t to_len,
                             const struct sim_peer_ops *ops, void *context);

/* Netfilter's part, right after sim_connect(): the client meant to go there. */
void sim_peer_redirected(struct sim_peer *peer, const struct sockaddr *original,
                         socklen_t original_len);
/* From now on a socket that connects without this mark is a fault. */
void sim_expect_mark(struct sim *sim, uint32_t mark);

enum { SIM_HANG = 1 };

/*
 * A server that weir may dial at exactly this address. The callback says what becomes of a dial: 0
 * to accept it (ops and context of the new peer filled in), a negative errno to refuse it, SIM_HANG
 * never to answer. Without a server, a dial is refused.
 */
typedef int (*sim_on_connect_fn)(void *context, struct sim_peer *peer,
                                 const struct sim_peer_ops **ops, void **peer_context);
void sim_on_connect(struct sim *sim, const struct sockaddr *address, socklen_t address_len,
                    sim_on_connect_fn callback, void *context);

/* Queues bytes (copied, any number); they leave as the socket buffer has room. */
void sim_peer_send(struct sim_peer *peer, struct span bytes);
size_t sim_peer_unsent(const struct sim_peer *peer);
/* The bytes that arrived and were not consumed; valid until the next call of any peer's. */
struct span sim_peer_view(const struct sim_peer *peer);
void sim_peer_consume(struct sim_peer *peer, size_t len);
void sim_peer_shutdown(struct sim_peer *peer); /* a FIN after what is queued */
void sim_peer_reset(struct sim_peer *peer);
void sim_peer_close(struct sim_peer *peer); /* as close(2): a reset if bytes are unread */
struct sim *sim_peer_sim(const struct sim_peer *peer);

#endif
