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
enum listener_mode { LISTENER_FORWARD };
/* To whom the field with the verdict goes: bits. */
enum header_to { HEADER_TO_SERVER = 1, HEADER_TO_CLIENT = 2, HEADER_TO_BOTH = 3 };
enum log_format { LOG_FORMAT_JSON };

struct config_listener {
    char *address; /* as written; ":8080" is [::]:8080, to be bound for IPv4 too */
    struct sockaddr_storage socket_address;
    socklen_t socket_address_len;
    enum listener_mode mode;
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
    enum decision action;
};

struct config {
    _Atomic uint32_t references;
    char *file; /* where it was read from; null: the embedded default */

    uint32_t workers; /* 0: one a core */
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
    } upstream;

    struct {
        uint16_t *ports; /* that CONNECT may name */
        size_t port_count;
        bool allow_private; /* also loopback, link-local and private destinations */
    } connect;

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
        uint32_t connections;       /* client connections of the process; 0: from RLIMIT_NOFILE */
        uint32_t buffer_high_bytes; /* queued a direction before reading stops */
        uint32_t buffer_low_bytes;  /* and goes on */
        uint32_t splice_bytes;      /* moved one way before a tunnel is spliced; 0: never */
    } limits;

    struct {
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

/* Writes the commented example: every key with its default and its sentence. */
void config_write_example(FILE *out);

/* The embedded default, as YAML. */
extern const char config_default_text[];

#endif
