/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_world: one run of one worker among scripted clients and servers, all of it drawn from a seed.
 *
 * A client makes visits, one after the other, each over a connection of its own to the proxy. A
 * visit fetches by explicit HTTP, or opens a tunnel with raw bytes, TLS or HTTP in it, or does
 * something odd. The plan of a visit is known to both of its ends, so each checks what arrives
 * against what the other was to send, byte for byte. A visit is `strict` when nothing stands in its
 * way: then it must succeed, or fail exactly as planned. Any other must at least never see a wrong
 * byte, somebody else's answer, or a clean end of what is not complete.
 */
#ifndef WEIR_SIM_SIM_WORLD_H
#define WEIR_SIM_SIM_WORLD_H

#include "core/session/session_worker.h"
#include "tests/sim/sim_net.h"
#include "tests/sim/sim_wire.h"

enum { CLIENTS_MAX = 12, VISITS_MAX = 4, EXCHANGES_MAX = 6 };

struct world;
struct visit;
struct client;

enum answer_kind {
    ANSWER_LENGTH,
    ANSWER_CHUNKED,
    ANSWER_UNTIL_CLOSE,
    ANSWER_EMPTY,   /* 204 */
    ANSWER_UPGRADE, /* 101, then raw bytes */
    ANSWER_GOOD_COUNT,
    ANSWER_NONE = ANSWER_GOOD_COUNT, /* a FIN instead */
    ANSWER_SILENCE,
    ANSWER_CUT,        /* a FIN in the middle of the body */
    ANSWER_RESET,      /* an RST in the middle of the body */
    ANSWER_STALL,      /* nothing more from the middle of the body on */
    ANSWER_OPEN_STALL, /* the same, of a body that only the end of the connection ends */
    ANSWER_OPEN_RESET,
    ANSWER_GARBAGE,
    ANSWER_BAD_CHUNK,
    ANSWER_INTERIMS, /* too many 1xx */
    ANSWER_UNASKED_101,
    ANSWER_KIND_COUNT,
};

/* A request and its answer. */
struct exchange {
    struct visit *visit;
    uint32_t id;
    const char *method;
    bool up_chunked;
    size_t up_len;
    enum answer_kind answer;
    size_t down_len;
    uint8_t interims; /* 103 before the answer */
    bool expects;     /* 100-continue */
    bool http10;
    bool client_closes; /* says Connection: close */
    bool server_closes;
    bool early; /* answers before it has read the body */
    int64_t delay_ns;
    uint32_t served; /* times that a server got it */
    bool may_repeat; /* who got it had served others before, and may have said nothing */
    bool done;       /* the planned answer came whole */
    int status;      /* that the client saw */
};

enum visit_kind { VISIT_FORWARD, VISIT_RAW, VISIT_TLS, VISIT_ODD };

enum raw_end {
    RAW_BOTH,         /* each sends a FIN behind its bytes */
    RAW_CLIENT_FIRST, /* the server speaks when it has the client's FIN */
    RAW_SERVER_FIRST,
    RAW_CLIENT_RESETS,
    RAW_SERVER_RESETS,
    RAW_CLIENT_STALLS, /* reads no more */
    RAW_SERVER_STALLS,
    RAW_IDLE, /* nobody ends it */
    RAW_END_COUNT,
};

enum visit_stage { STAGE_CONNECT, STAGE_OPEN, STAGE_RAW, STAGE_REFUSED, STAGE_OVER };

/* Where a visit goes, by name or address. */
enum host_kind {
    HOST_GOOD,
    HOST_FLIPS,  /* another ALPN protocol or certificate each time */
    HOST_PASSES, /* a rule on the SNI makes it a tunnel */
    HOST_BAD_CERTIFICATE,
    HOST_TLS_STALLS,
    HOST_TLS_GARBAGE,
    HOST_TLS_ENDS,
    HOST_TLS_RESETS,
    HOST_REFUSED, /* nobody listens */
    HOST_HANGS,
    HOST_PRIVATE,
    HOST_UNKNOWN, /* no such name */
    HOST_SLOW_NAME,
    HOST_FORBIDDEN, /* by a rule on the host */
    HOST_SNI_FORBIDDEN,
    HOST_RAW,      /* of one visit: raw bytes, a tunnel by rule */
    HOST_RAW_OPEN, /* the same, not by rule */
};

struct host {
    const char *name;
    const char *addresses;
    enum host_kind kind;
    int certificate; /* index, or -1 */
};
enum { SIM_HOST_FLIPS = 4, SIM_HOST_SLOW = 19 };
extern const struct host sim_hosts[];
extern const size_t sim_host_count;

struct visit {
    struct client *client;
    enum visit_kind kind;
    enum visit_stage stage;
    const struct host *host;
    struct host own_host; /* of a raw visit: nobody else goes there */
    char own_name[16];
    char own_address[16];
    char target[64]; /* name or address */
    bool by_address;
    bool strict;
    bool again;        /* goes where others go, and mostly leaves the server's connection to them */
    int expect_status; /* of weir's own answer; 0: none is expected */
    struct wire *wire;
    struct message message;
    /* TLS */
    int tls_kind; /* of the client's contexts */
    bool with_sni;
    bool resumes;
    bool distrusts; /* does not know weir's CA */
    bool raw_inside;
    /* raw bytes, also inside TLS and after an upgrade */
    uint32_t id;
    size_t up_len, down_len;
    size_t up_seen, down_seen;
    size_t stop_at; /* for RAW_..._RESETS and _STALLS */
    enum raw_end end;
    bool eager; /* does not wait for the answer to CONNECT */
    bool waits; /* the client speaks after the server */
    bool server_began;
    bool client_began;
    uint8_t lead_len;
    char lead[16]; /* the first bytes of the client's */
    bool may_cut;  /* ends by time, where a tunnel has no word for it */
    /* HTTP */
    struct exchange exchanges[EXCHANGES_MAX];
    size_t exchange_count;
    size_t sent;     /* requests */
    size_t answered; /* responses */
    bool pipelined;
    int64_t think_ns;
    const char *odd; /* what an odd client sends */
    /* the client's way */
    size_t piece_max, read_max;
    size_t halt_after;
    int64_t halt_ns;
    int64_t pace_ns;
    int64_t vanish_ns; /* 0: never */
    int vanish_how;
    int leave_how; /* when done: 0 FIN, 1 RST, 2 wait for weir to end it */
};

/* What stands between weir and the servers. */
enum way_kind { WAY_DIRECT, WAY_HTTP, WAY_HTTPS, WAY_SOCKS, WAY_COUNT };

/* The ports of proxy.test say which kind of proxy is there; each has the kind's number added. */
enum {
    PROXY_PORT = 3000,     /* good ones */
    PROXY_PORT_BAD = 3100, /* those that misbehave */
};

struct client {
    struct world *world;
    uint32_t index;
    struct visit visits[VISITS_MAX];
    size_t visit_count;
    size_t current;
    bool finished;
};

struct world {
    uint64_t seed;
    const struct sim_profile *profile;
    struct sim *sim;
    struct session_worker worker;
    struct session_shared shared;
    struct own_addresses *own;
    struct snapshot *snapshot;
    struct client clients[CLIENTS_MAX];
    size_t client_count;
    uint32_t next_id;
    bool is_kind;   /* the kernel's faults are none that a connection ends by */
    bool drains;    /* before everything is done */
    bool idle_fins; /* servers end idle connections */
    enum way_kind way;
    enum way_kind bad_way; /* tried first, and never to be had; WAY_DIRECT: none is */
    bool is_crowded;       /* few connections are allowed, and they are held up */
    bool is_hungry;        /* memory runs out now and then */
    bool edits;            /* heads get the field with the verdict */
    bool revisits;         /* most visits are alike, one behind the other */
    bool refuses;          /* servers take some connections only */
    uint8_t usual_host;    /* of those */
    uint8_t usual_tls;
    uint64_t log_lines;
    char (*last_lines)[1024];
};

struct world_result {
    uint64_t runs;
    uint64_t events;
    uint64_t faults;
    uint64_t heap_failures;
    uint64_t sessions;
    uint64_t requests;
    uint64_t log_lines;
    uint64_t exchanges_whole;
    uint64_t exchanges;
    uint64_t strict_visits;
    uint64_t visits;
    uint64_t raw_bytes;
    uint64_t spliced_bytes;
    uint64_t parked_bytes;
    uint64_t starved;
    uint64_t private_receives;
    uint64_t accept_pauses;
    uint64_t recalls;
    uint64_t taken_over;
    uint64_t sent_again;
    uint64_t server_resumptions;
    uint64_t client_resumptions;
    uint64_t leaf_hits;
    uint64_t virtual_ns;
    uint64_t trace_hash;
    uint64_t closed[CLOSE_REASON_COUNT];
    uint64_t completions[SIM_KINDS][SIM_ERRNOS]; /* operations by what they came to */
};

/* What runs share: authorities, keys, certificates, TLS settings of the peers. Before any run. */
void world_prepare(void);
void world_tidy(void); /* removes the files */

/* One run; ends the process when something is wrong. */
void world_run(uint64_t seed, const struct sim_profile *profile, bool print_log,
               struct world_result *result);

/* Ends the process: says what is wrong, with the seed, the plan and the last lines of the log. */
_Noreturn void world_fail(struct world *world, const struct visit *visit, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* For determinism: time and chance as the libraries ask the system for them. */
void world_set_random(uint64_t seed);

/* sim_clients.c */
void client_plan(struct world *world, uint32_t index);
void client_start(struct client *client);
void visit_check_strict(const struct visit *visit);

/* The credentials that proxies want, and as HTTP says them. */
#define SIM_SECRET         "user:pass:word"
#define SIM_SECRET_ENCODED "Basic dXNlcjpwYXNzOndvcmQ="

/* sim_visits.c */
void visit_describe(const struct visit *visit);
void exchange_plan_simple(struct visit *visit, struct exchange *x, size_t down_len);
/* What came over a server's connection. */
struct past {
    struct exchange *last;      /* that came before the one being served; null: this is the first */
    struct exchange *taken_for; /* the last one that came with another visit than those before */
    bool is_spent;              /* nobody else's requests may follow */
};
/* A request has come, which must not be wrong there. */
void past_add(struct world *world, struct past *past, struct exchange *x, bool is_secure);
/* True: the server has ended instead of answering. */
bool server_ends_instead(struct wire *wire, struct exchange *x);

/* sim_servers.c */
void servers_prepare(struct world *world);
void servers_tidy(void);

/* sim_proxies.c */
/* What belongs to the section `upstream`. */
void proxies_write_config(struct text *text, const struct world *world, const char *secret_file);
/* One that fails is not always one that nobody minds. */
bool proxies_get_in_the_way(const struct visit *visit);
/* By name or by one of its addresses. */
bool host_is_at(const struct host *host, const char *name);
/* "host:port" at the front of `text`, which is changed. Returns the port; 80 where there is none.
 */
uint16_t proxy_split_authority(char *text, char **host);
/* The length of the SOCKS message at the front, or 0: it is not whole. `step` counts them. */
size_t proxy_socks_len(const struct bytes *in, int step);

/* Peers' TLS, of world_prepare(). */
enum { CLIENT_TLS_KINDS = 5, CERTIFICATE_COUNT = 8 };
SSL *world_client_ssl(struct visit *visit);
SSL *world_server_ssl(struct world *world, int certificate, bool flipped);
extern uint64_t world_resumed_by_servers, world_resumed_by_clients;

static inline uint64_t world_below(struct world *world, uint64_t bound)
{
    return sim_random(world->sim) % bound;
}

static inline bool world_chance(struct world *world, uint32_t percent)
{
    return world_below(world, 100) < percent;
}

#endif
