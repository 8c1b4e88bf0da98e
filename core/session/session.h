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
    STEP_REUSE,        /* the first request over a connection that has served others */
    STEP_RELAY,        /* bytes, both ways */
    STEP_FORWARD,      /* explicit HTTP: exchanges, see forward.h */
    STEP_ERROR_PAGE,   /* one answer of our own inside the client's TLS, or in clear */
    STEP_COUNT,
    STEP_WAIT = 0x100, /* a step's result: something must happen first */
    STEP_END,          /* a step's result: the session was closed */
};

enum { SESSION_TRAIL_LEN = 16 };

/* Times of a session, those of its TLS apart. All but its begin are session_moment(); 0: did not
 * happen. */
struct session_times {
    int64_t begin_ns; /* of ring_now() */
    uint32_t hello;   /* ClientHello whole */
    uint32_t dial_begin;
    uint32_t resolved;
    uint32_t connected;
    uint32_t first_byte; /* first byte of the server's that the client was sent */
};

/* What TLS with one side turned out to be: static strings, and moments as in session_times. */
struct session_tls_side {
    const char *version;
    const char *cipher;
    const char *group;
    uint32_t begin; /* of the handshake */
    uint32_t end;
    bool resumed;
};

/* Of a session whose TLS is ended here, on either side. */
struct session_tls {
    struct session_tls_side server;
    struct session_tls_side client;
    uint32_t mint_begin;
    uint32_t mint_end;
    char alpn[VISIT_ALPN_MAX + 1];
    bool was_taken;   /* the connection to the server has served others before; see reuse.h */
    bool is_reusable; /* others may have it when nothing is under way; the next two say who */
    uint8_t reuse_key[VISIT_KEY_LEN];
    uint64_t reuse_hash;
};

/* What a client's hello said; for what is needed until the relay see the talk. */
struct session_hello {
    char ja3[JA3_LEN + 1]; /* empty: lists too long for any real client, or nobody asks */
    char ja4[JA4_LEN + 1];
    bool sni_invalid;
    char sni[]; /* empty: none */
};

struct user_check;

/* Of a session whose listener asks who its clients are. */
struct session_user {
    char *name;                 /* owned; null: nobody yet */
    struct user_check *check;   /* of a password, under way */
    uint64_t generation;        /* of the file that was looked into */
    uint8_t digest[DIGEST_LEN]; /* of the credentials of `name` */
    uint8_t wrong_tries;
};

enum leaf_source { LEAF_NONE, LEAF_FROM_CACHE, LEAF_MINTED, LEAF_RECALLED, LEAF_FOR_ERROR };

/* Needed until the relay begins, or until the first answer does where its request may have to be
 * sent again; then freed. */
struct session_talk {
    struct record_scan record_scan;
    struct route route;
    struct address dialled; /* len 0: nothing yet */
    struct mint *mint;
    struct leaf *leaf;
    bool tunnel_answer_owed; /* CONNECT is answered when the server is there */
    bool error_mode;         /* the client's TLS will carry only an error page */
    bool was_recalled;       /* leaf and ALPN are last time's; the server has yet to confirm */
    bool visit_known;        /* `visit` is filled */
    bool wants_own;          /* no connection to the server that has served others */
    uint8_t place;           /* of the way to the server in the list of upstream proxies */
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
    struct h1_scan first_scan;
    struct buf_queue first_request; /* plaintext that the client sent and nobody has answered */
};

enum { SESSION_BALANCER_TEXT_MAX = 255 /* bytes; longer ones are cut */ };

/* What a PROXY protocol header said beside the client's address; texts are owned, null: not sent.
 */
struct session_balancer {
    uint8_t version;
    struct address client;      /* who connected there */
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

    uint32_t trail_count;
    uint8_t trail[SESSION_TRAIL_LEN]; /* the last steps, newest at trail_count % LEN */
    uint8_t step;                     /* enum step */
    uint8_t reason;                   /* enum close_reason */
    uint16_t listener;
    uint16_t status;     /* of our own answer to CONNECT; 0: none */
    uint16_t port;       /* of the target */
    uint8_t decision;    /* enum decision */
    uint8_t protocol;    /* enum protocol: what the client speaks inside */
    uint8_t leaf_source; /* enum leaf_source */
    bool is_connect;     /* CONNECT or what is like it: one line in the log for all of it */
    bool relaying;
    bool told; /* the client was given an answer of our own */
    bool target_is_ip;
    bool sni_mismatch;  /* it is not, or does not resolve to, where the client wanted to go */
    bool host_mismatch; /* the same of the Host of clear HTTP */

    char *target;                   /* host as asked for; owned */
    struct session_hello *hello;    /* owned; null: no TLS was seen */
    char *http_host;                /* the name in Host, of clear HTTP that was sent here; owned */
    const char *rule;               /* lives as long as the hold, as the next two */
    const struct upstream_via *via; /* the ways to the target that may be tried */
    const char *upstream;           /* the proxy that was gone through; null: none */
    const char *error;              /* RFC 9209 error type; static; null: none */
    char *fault;                    /* a sentence about what went wrong; owned; null: none */
    struct session_times times;
    uint64_t requests; /* logged for this session */

    struct session_tls *tls;           /* owned; null: all TLS goes through */
    struct session_balancer *balancer; /* owned; null: there was no PROXY protocol header */
    struct session_user *user;         /* owned; null: nobody is asked */
    struct detection *detection;       /* null: nothing is judged */
    struct session_talk *talk;         /* null while relaying, but for reuse_await_answer() */
    struct forward *forward;           /* explicit HTTP; null otherwise */
    struct http_tap *tap;              /* null: blind */
    int64_t leave_ns;                  /* draining: when the client was told to leave; 0: not yet */
    struct pipe up;                    /* client to server */
    struct pipe down;                  /* server to client */
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

/* The client's address: of the peer, or what its PROXY header says. */
static inline const struct address *session_client(const struct session *session)
{
    return session->balancer ? &session->balancer->client : &session->client->peer;
}

/* The name in the client's hello; null: none. */
static inline const char *session_sni(const struct session *session)
{
    return session->hello && session->hello->sni[0] ? session->hello->sni : NULL;
}

/* What is spoken in TLS that is ended here; "": it was not said, or is none. */
static inline const char *session_alpn(const struct session *session)
{
    return session->tls ? session->tls->alpn : "";
}

/* The address that was connected to for what the session is doing; null: none. */
const struct address *session_dialled(const struct session *session);

/* Transparent: where the client wanted to go. False: it is not so, or not known. */
bool session_original(const struct session *session, struct address *original);

/* All that rules can ask, if there are any. `client` has room for what the question views. */
void session_ask(const struct session *session, struct policy_question *question,
                 char client[ADDRESS_TEXT_MAX]);

static inline int64_t session_now(const struct session *session)
{
    return worker_now(&session->worker->engine);
}

/* A time of ring_now() as session_times has it: microseconds since the begin, and one more. 0 for a
 * time before it, UINT32_MAX for all that is more than 71 minutes behind it. */
uint32_t session_moment(const struct session *session, int64_t time_ns);

static inline uint32_t session_moment_now(const struct session *session)
{
    return session_moment(session, session_now(session));
}

/* The step table's driver; defined in session_steps.c. */
void session_run(struct actor *actor);
const char *step_name(enum step step);

#endif
