/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session: one client connection, from accept to close. Its story is session_steps.c: a table of
 * steps in the order of time. This header holds what a session knows; session.c its life.
 *
 * Owned by a worker, touched by its thread only. Ends with exactly one close_reason; the first one
 * given wins.
 */
#ifndef WEIR_SESSION_SESSION_H
#define WEIR_SESSION_SESSION_H

#include "core/base/text.h"
#include "core/engine/pipe.h"
#include "core/session/policy.h"
#include "core/session/recognise.h"
#include "core/session/route.h"
#include "core/session/session_worker.h"
#include "detect/ja3.h"
#include "detect/ja4.h"
#include "http/authority.h"
#include "http/h1.h"
#include "http/tap.h"
#include "tls/digest.h"
#include "tls/record.h"

enum step {
    STEP_GREET,        /* who is it, and by which way does it come in */
    STEP_PROXY_HEADER, /* what a load balancer says of it */
    STEP_OPENING,      /* does it speak to this listener as this listener is spoken to */
    STEP_REQUEST,      /* read a request head: CONNECT, or absolute-form */
    STEP_AUTHORIZE,    /* is the password right: a thread looks, the request waits */
    STEP_SOCKS,        /* or the messages of SOCKS5 */
    STEP_HELLO,        /* inside: what is spoken, and the whole ClientHello */
    STEP_DECIDE,       /* intercept, tunnel or refuse */
    STEP_DIAL,         /* wait for the connection to the server */
    STEP_SERVER_TLS,   /* our handshake with the server; its certificate is verified */
    STEP_LEAF,         /* a certificate for the client, from the cache or minted */
    STEP_CLIENT_TLS,   /* the client's handshake goes on */
    STEP_RELAY,        /* bytes, both ways */
    STEP_FORWARD,      /* explicit HTTP: exchanges, see forward.h */
    STEP_ERROR_PAGE,   /* one answer of our own inside the client's TLS, or in clear */
    STEP_COUNT,
    STEP_WAIT = 0x100, /* a step's result: something must happen first */
    STEP_END,          /* a step's result: the session was closed */
};

enum { SESSION_TRAIL_LEN = 16 };

/* Times of a session, nanoseconds of ring_now(); 0: did not happen. */
struct session_times {
    int64_t begin;
    int64_t hello; /* ClientHello whole */
    int64_t dial_begin;
    int64_t resolved;
    int64_t connected;
    int64_t server_tls_begin;
    int64_t server_tls_end;
    int64_t mint_begin;
    int64_t mint_end;
    int64_t client_tls_begin;
    int64_t client_tls_end;
    int64_t first_byte; /* first byte of the server's that the client was sent */
    int64_t end;
};

/* What one end of TLS turned out to be; static strings. */
struct session_tls {
    const char *version;
    const char *cipher;
    const char *group;
    bool resumed;
};

enum leaf_source { LEAF_NONE, LEAF_FROM_CACHE, LEAF_MINTED, LEAF_RECALLED, LEAF_FOR_ERROR };

/* Needed until the relay begins, then freed. */
struct session_talk {
    struct record_scan record_scan;
    struct route route;
    struct mint *mint;
    struct leaf *leaf;
    bool tunnel_answer_owed; /* CONNECT is answered when the server is there */
    bool error_mode;         /* the client's TLS will carry only an error page */
    bool was_recalled;       /* leaf and ALPN are last time's; the server has yet to confirm */
    bool visit_known;        /* `visit` is filled */
    bool opening_seen;       /* the time for an undecided opening is running */
    bool is_refused;         /* already, and it is said as soon as it is known how */
    bool opens_client;       /* decided: the client's TLS is ended here */
    bool opens_server;       /* decided: the connection to the server is TLS of ours */
    bool waits_to_dial;      /* the hello will tell which way to go, or the client's silence */
    uint8_t socks_phase;
    struct resolve *names; /* of the name that the client gave; null: nothing is looked up */
    enum leaf_kind leaf_kind;
    uint8_t server_digest[LEAF_DIGEST_LEN];
    uint8_t visit[VISIT_KEY_LEN];
    uint8_t recalled_alpn_len;
    uint8_t recalled_alpn[VISIT_ALPN_MAX];
    size_t alpn_offers_len;
    uint8_t
        alpn_offers[256];  /* wire form, as the client sent it; longer lists are not offered on */
    char *user_agent;      /* of the CONNECT; owned; null: none */
    uint16_t error_status; /* of the page that is owed; the session's fault is its detail */
    struct h1_scan page_scan;
    struct buf_queue page_request; /* plaintext of the request that the page answers */
};

enum { SESSION_BALANCER_TEXT_MAX = 255 /* bytes; longer ones are cut */ };

/* What a PROXY protocol header said beside the client's address; texts are owned, null: not sent.
 */
struct session_balancer {
    uint8_t version;
    struct address peer;        /* who sent it */
    struct address destination; /* where the client connected to */
    char *authority;
    char *alpn;
    char *unique_id;
    char *tls_version;
    char *common_name; /* of the client's certificate */
};
void session_balancer_free(struct session_balancer *balancer); /* null is allowed */

struct forward;
struct detection;

struct session {
    struct pool_slot pool;
    struct actor actor;
    struct session_worker *worker;
    struct snapshot_hold *hold;
    uint64_t id;

    struct conn *client;
    struct conn *server;   /* null until dialled */
    struct timer deadline; /* of the current step */
    struct h1_scan request_scan;

    uint8_t step;                     /* enum step */
    uint8_t trail[SESSION_TRAIL_LEN]; /* the last steps, newest at trail_count % LEN */
    uint32_t trail_count;
    uint8_t reason;  /* enum close_reason */
    bool is_connect; /* CONNECT or what is like it: one line in the log for all of it */
    bool relaying;
    bool told; /* the client was given an answer of our own */

    struct address client_address; /* of the peer, or what its PROXY header says */
    struct address original;       /* transparent: where the client wanted to go; len 0: not so */
    uint16_t listener;
    uint8_t decision; /* enum decision */
    uint8_t protocol; /* enum protocol: what the client speaks inside */
    uint8_t leaf_source;
    uint16_t status; /* of our own answer to CONNECT; 0: none */
    uint16_t port;
    bool target_is_ip;
    bool sni_invalid;
    bool sni_mismatch;  /* it is not, or does not resolve to, where the client wanted to go */
    bool host_mismatch; /* the same of the Host of clear HTTP */

    char *target;                   /* host as asked for; owned */
    char *sni;                      /* owned; null: none */
    char *http_host;                /* the name in Host, of clear HTTP that was sent here; owned */
    const char *rule;               /* lives as long as the hold, as the next two */
    const struct upstream_via *via; /* the ways to the target that may be tried */
    const char *upstream;           /* the proxy that was gone through; null: none */
    const char *error;              /* RFC 9209 error type; static; null: none */
    char *fault;                    /* a sentence about what went wrong; owned; null: none */
    struct address dialled;
    char alpn[VISIT_ALPN_MAX + 1];
    char ja3[JA3_LEN + 1]; /* of the client's hello; empty: none */
    char ja4[JA4_LEN + 1];
    struct session_tls server_tls;
    struct session_tls client_tls;
    struct session_times times;
    uint64_t requests; /* logged for this session */

    struct session_balancer *balancer; /* owned; null: there was no PROXY protocol header */
    struct detection *detection;       /* null: nothing is judged */

    char *user;                      /* who the client is; owned; null: nobody was asked */
    struct user_check *user_check;   /* of a password, under way */
    uint64_t user_generation;        /* of the file that was looked into */
    uint8_t user_digest[DIGEST_LEN]; /* of the credentials of `user` */
    uint8_t wrong_tries;

    struct session_talk *talk; /* null while relaying */
    struct forward *forward;   /* explicit HTTP; null otherwise */
    struct http_tap *tap;      /* null: blind */
    int64_t leave_ns;          /* draining: when the client was told to leave; 0: not yet */
    struct pipe up;            /* client to server */
    struct pipe down;          /* server to client */
};

/* The worker's `accepted`. */
void session_accept(struct worker *engine, struct listener *listener, int fd);

/* Gives the reason (the first one wins), logs, closes both connections, frees the session. */
void session_close(struct session *session, enum close_reason reason);

/* Where nothing is judged nobody may send the field with the verdict to that side: its name. */
struct span session_forbidden_field(const struct session *session, enum header_to to);

/* Draining, at times: tells the client to leave. */
void session_ask_to_leave(struct session *session);
/* The same, and ends the session if nothing is under way on it. */
void session_end_if_idle(struct session *session);

/* Sentence and RFC 9209 type of a fault, kept for the log and the page; the first one wins. */
void session_fault(struct session *session, const char *error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* When a send last came back, on either side; 0: never. */
int64_t session_sent_ns(const struct session *session);
/* A send to either side has waited for limits.send_stall_timeout. */
bool session_send_is_stalled(const struct session *session);

/* The step's deadline; 0: none. */
void session_set_deadline(struct session *session, uint32_t ms);

static inline const struct config *session_config(const struct session *session)
{
    return session->hold->snapshot->config;
}

static inline const struct config_listener *session_listener(const struct session *session)
{
    return &session_config(session)->listeners[session->listener];
}

/* All that rules can ask, if there are any. `client` has room for what the question views. */
void session_ask(const struct session *session, struct policy_question *question,
                 char client[ADDRESS_TEXT_MAX]);

static inline int64_t session_now(const struct session *session)
{
    return worker_now(&session->worker->engine);
}

/* The step table's driver; defined in session_steps.c. */
void session_run(struct actor *actor);
const char *step_name(enum step step);

#endif
