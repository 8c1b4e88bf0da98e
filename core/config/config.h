/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config: the settings of a run, as one immutable value. Made from YAML by config_load(), published
 * to the workers by main, freed when the last session that began with it has ended.
 *
 * config_fields.def is the only source of names, types, bounds, defaults and prose: the reader, the
 * checker, config.example.yaml and the documentation are made from it.
 */
#ifndef WEIR_CONFIG_CONFIG_H
#define WEIR_CONFIG_CONFIG_H

#include "core/base/span.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>

enum decision { DECISION_INTERCEPT, DECISION_TUNNEL, DECISION_REFUSE };
/* To whom the field with the verdict goes: bits. */
enum header_to { HEADER_TO_SERVER = 1, HEADER_TO_CLIENT = 2, HEADER_TO_BOTH = 3 };
enum log_format { LOG_FORMAT_JSON };

/* How a listener's clients say where they want to go. */
enum listener_mode {
    LISTENER_FORWARD,     /* HTTP: CONNECT, or whole URLs */
    LISTENER_SOCKS5,      /* RFC 1928 */
    LISTENER_TRANSPARENT, /* not at all: the kernel knows */
    LISTENER_REVERSE,     /* not at all: the configuration says */
};

const char *listener_mode_name(enum listener_mode mode); /* as the file has it; static */

/* Whether a connection begins with a PROXY protocol header. */
enum proxy_protocol { PROXY_PROTOCOL_OFF, PROXY_PROTOCOL_OPTIONAL, PROXY_PROTOCOL_REQUIRED };
enum send_proxy_protocol { SEND_PROXY_OFF, SEND_PROXY_V1, SEND_PROXY_V2 };

enum target_scheme { TARGET_NONE, TARGET_TCP, TARGET_TLS };
enum upstream_scheme { UPSTREAM_NONE, UPSTREAM_HTTP, UPSTREAM_HTTPS, UPSTREAM_SOCKS5 };

struct config_address {
    char *text; /* as written; ":8080" is [::]:8080, to be bound for IPv4 too; "" is none */
    struct sockaddr_storage socket_address;
    socklen_t socket_address_len; /* 0: none */
};

enum { CONFIG_HOST_MAX = 253 };

/* scheme://host:port */
struct config_url {
    char *text;                     /* as written; "" is none */
    int scheme;                     /* one of the field's words */
    uint16_t port;                  /* of the scheme, where none was written */
    char host[CONFIG_HOST_MAX + 1]; /* a name, or an address without brackets */
};

struct config_listener {
    struct config_address address;
    enum listener_mode mode;
    char **clients; /* networks that may connect; none: all */
    size_t client_count;
    enum proxy_protocol proxy_protocol;
    char **balancers; /* networks whose PROXY headers are believed */
    size_t balancer_count;
    char *users;              /* an htpasswd file; "": nobody is asked */
    bool tproxy;              /* transparent: by TPROXY, not by REDIRECT */
    bool spoof;               /* transparent: the client's address is shown to the server */
    struct config_url target; /* reverse */
    enum send_proxy_protocol send_proxy_protocol; /* to servers that are dialled directly */
};

/* A proxy that weir goes through. */
struct config_upstream {
    char *name;
    struct config_url url;
    char *credentials; /* a file with user:password; "": none are sent */
    enum send_proxy_protocol send_proxy_protocol;
};

/* A rule matches when every pattern that it has matches. The first rule that matches decides. */
struct config_rule {
    char *name;   /* for the log; "rule N" when not given */
    char **hosts; /* patterns on the target's host; none: any */
    size_t host_count;
    char **snis; /* patterns on the ClientHello's SNI; none: any; "" matches no SNI */
    size_t sni_count;
    uint16_t *ports; /* none: any */
    size_t port_count;
    char **ja3s; /* of the ClientHello, as these and the next; none: any */
    size_t ja3_count;
    char **ja4s;
    size_t ja4_count;
    char **verdicts; /* names, as detect_verdict_name() has them */
    size_t verdict_count;
    char **products; /* of interception; case does not matter */
    size_t product_count;
    char **clients; /* networks of the client; none: any */
    size_t client_count;
    char **mismatches; /* "sni", "host": names that disagree with the target; none: any */
    size_t mismatch_count;
    char **via; /* names of upstream proxies, or "direct"; none: upstream.via */
    size_t via_count;
    enum decision action;
};

struct config {
    _Atomic uint32_t references;
    char *file; /* where it was read from; null: the embedded default */

    uint32_t workers; /* 0: one a core */
    uint32_t busy_poll_us;
    struct config_listener *listeners;
    size_t listener_count;

    struct {
        enum decision default_decision;
        char *ca_dir;
        struct config_rule *rules;
        size_t rule_count;
        uint32_t leaf_days;        /* validity of minted certificates */
        uint32_t leaf_cache_count; /* entries */
    } intercept;

    struct {
        char *ticket_keys; /* a file; "": keys of this process */
    } tls;

    struct {
        char **databases; /* folders, or "builtin"; none: nothing is judged */
        size_t database_count;
        bool compatible;
        uint32_t age_max_s;
        uint32_t verdict_count; /* remembered */
        char *header;           /* the name of the field with the verdict; empty: none */
        enum header_to header_to;
    } detect;

    struct {
        char **trust_files; /* PEM bundles, in addition to the system's roots */
        size_t trust_file_count;
        bool system_trust;
        bool verify;
        uint32_t idle_count; /* idle connections kept, a worker */
        uint32_t idle_ms;
        struct config_upstream *proxies;
        size_t proxy_count;
        char **via; /* in the order in which they are tried; none: direct */
        size_t via_count;
        uint32_t retry_ms; /* for so long a proxy that failed comes last */
    } upstream;

    struct {
        uint16_t *ports; /* that CONNECT may name */
        size_t port_count;
        bool allow_private; /* also loopback, link-local and private destinations */
    } connect;

    struct {
        uint32_t mark; /* SO_MARK of weir's own connections; 0: none */
    } transparent;

    struct {
        bool via;        /* add Via (RFC 9110 7.6.3) */
        char *pseudonym; /* our name in Via and Proxy-Status; empty: made from the CA's */
    } http;

    struct {
        char **servers; /* address or address:port; none: /etc/resolv.conf */
        size_t server_count;
        char *hosts_file;
        uint32_t timeout_ms;  /* of one lookup, all tries included */
        uint32_t cache_count; /* names, a worker */
        uint32_t ttl_max_s;
        uint32_t negative_ttl_s;
    } dns;

    struct {
        char *access_path; /* "-": standard output; "": none */
        enum log_format access_format;
        int level; /* enum log_level */
    } log;

    struct {
        uint32_t head_bytes;
        uint32_t line_bytes;
        uint32_t field_count;
        uint32_t head_ms;      /* to receive a whole request head */
        uint32_t hello_ms;     /* to receive a whole ClientHello */
        uint32_t connect_ms;   /* per address */
        uint32_t handshake_ms; /* TLS, either side */
        uint32_t keepalive_ms; /* idle client connection between requests */
        uint32_t tunnel_idle_ms;
        uint32_t send_stall_ms;     /* no progress on a pending send */
        uint32_t password_ms;       /* a request's wait for the doorman */
        uint32_t connections;       /* client connections of the process; 0: from RLIMIT_NOFILE */
        uint32_t buffer_high_bytes; /* queued a direction before reading stops */
        uint32_t buffer_low_bytes;  /* and goes on */
        uint32_t splice_bytes;      /* moved one way before a tunnel is spliced; 0: never */
    } limits;

    struct {
        struct config_address address;
        char *magic_host; /* "": none */
        struct config_url pac_proxy;
    } admin;

    struct {
        uint32_t delay_ms; /* not ready any more, still accepting */
        uint32_t grace_ms;
    } drain;
};

/* Where the text of errors goes: "file:line:column: error: ...", the source line, a caret. */
struct config_report {
    FILE *out;
    uint32_t error_count;
    uint32_t warning_count;
};

/*
 * Reads a file (path null: the embedded default) and checks all of it. Every error of the file is
 * reported in one run. Returns the configuration with one reference, or null if there were errors.
 */
struct config *config_load(const char *path, struct config_report *report);
struct config *config_load_text(const char *name, struct span text, struct config_report *report);

struct config *config_get(struct config *config); /* one more reference; any thread */
void config_put(struct config *config);           /* one less; the last frees it */

/*
 * The path of the first key in which two configurations differ, in the order of the table, or null.
 * With restart_only it looks only at the keys that a reload cannot change: what it then names, the
 * running process goes on without.
 */
const char *config_first_difference(const struct config *a, const struct config *b,
                                    bool restart_only);

/* Whether a reload can go from one to the other: connections find their listener by its place. */
bool config_has_same_listeners(const struct config *a, const struct config *b);

/* Writes the commented example: every key with its default and its sentence. */
void config_write_example(FILE *out);

/* The embedded default, as YAML. */
extern const char config_default_text[];

#endif
