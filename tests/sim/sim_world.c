/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/session/json_check.h"
#include "tests/sim/sim_world.h"

#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/base/log.h"
#include "core/engine/idle.h"
#include "core/engine/own_address.h"
#include "core/session/session.h"
#include "tests/certs/make_certs.h"
#include "tests/sim/resolve_sim.h"
#include "tests/sim/sim_heap.h"
#include "tls/ca.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum {
    MARK = 7,         /* of the sockets that the worker dials with */
    LIVENESS_S = 900, /* of virtual time: longer than any script and its last deadline */
    LAST_LINES = 12,
};

#define WALL_S INT64_C(1800000000) /* the simulated kernel's clock starts here */
#define DAY_S  INT64_C(86400)

enum {
    CERT_GOOD,
    CERT_OTHER,
    CERT_EXPIRED,
    CERT_WRONG,
    CERT_SELF,
    CERT_UNKNOWN,
    CERT_EARLY,
    CERT_RSA
};

const struct host sim_hosts[] = {
    {"h0.test", "20.0.0.1", HOST_GOOD, CERT_GOOD},
    {"h1.test", "2600::1 20.0.0.2", HOST_GOOD, CERT_GOOD},
    {"h2.test", "20.0.0.3", HOST_GOOD, CERT_RSA},
    {"h3.test", "20.0.0.4 2600::2", HOST_GOOD, CERT_OTHER},
    {"flip.test", "20.0.0.5", HOST_FLIPS, CERT_GOOD},
    {"pass.test", "20.0.0.6", HOST_PASSES, CERT_GOOD},
    {"expired.test", "20.0.1.1", HOST_BAD_CERTIFICATE, CERT_EXPIRED},
    {"wrong.test", "20.0.1.2", HOST_BAD_CERTIFICATE, CERT_WRONG},
    {"self.test", "20.0.1.3", HOST_BAD_CERTIFICATE, CERT_SELF},
    {"unknown.test", "20.0.1.4", HOST_BAD_CERTIFICATE, CERT_UNKNOWN},
    {"early.test", "20.0.1.5", HOST_BAD_CERTIFICATE, CERT_EARLY},
    {"stall.test", "20.0.1.6", HOST_TLS_STALLS, -1},
    {"garbage.test", "20.0.1.7", HOST_TLS_GARBAGE, -1},
    {"ends.test", "20.0.1.8", HOST_TLS_ENDS, -1},
    {"resets.test", "20.0.1.9", HOST_TLS_RESETS, -1},
    {"refused.test", "20.0.1.10", HOST_REFUSED, -1},
    {"hangs.test", "20.0.1.11 20.0.1.12", HOST_HANGS, -1},
    {"private.test", "10.0.0.1", HOST_PRIVATE, -1},
    {"nx.test", "", HOST_UNKNOWN, -1},
    {"slow.test", "", HOST_SLOW_NAME, -1},
    {"refuse.test", "20.0.0.1", HOST_FORBIDDEN, CERT_GOOD},
    {"snirefuse.test", "20.0.0.1", HOST_SNI_FORBIDDEN, CERT_GOOD},
};
const size_t sim_host_count = COUNT_OF(sim_hosts);

/* ---- time and chance, as libraries ask for them ---- */

static uint64_t random_state = 1;

void world_set_random(uint64_t seed)
{
    random_state = seed;
}

static uint64_t next_random(void)
{
    uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static struct world *the_world;

static int64_t wall_ns(void)
{
    return WALL_S * NS_PER_S + (the_world && the_world->sim ? sim_now(the_world->sim) : 0);
}

static int64_t wall_s(void)
{
    return wall_ns() / NS_PER_S;
}

/* Named by the linker's --wrap. */
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);
long __real_syscall(long number, ...);
int __wrap_gettimeofday(struct timeval *value, void *zone);
time_t __wrap_time(time_t *value);
int __wrap_clock_gettime(clockid_t id, struct timespec *value);
int __real_clock_gettime(clockid_t id, struct timespec *value);

long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
    if (number != SYS_getrandom) {
        return __real_syscall(number, a, b, c, d, e, f);
    }
    uint8_t *memory = (uint8_t *)a;
    for (long i = 0; i < b; i++) {
        memory[i] = (uint8_t)next_random();
    }
    return b;
}

int __wrap_gettimeofday(struct timeval *value, void *zone)
{
    (void)zone;
    *value = (struct timeval){wall_s(), wall_ns() % NS_PER_S / 1000};
    return 0;
}

time_t __wrap_time(time_t *value)
{
    if (value) {
        *value = wall_s();
    }
    return wall_s();
}

int __wrap_clock_gettime(clockid_t id, struct timespec *value)
{
    if (id != CLOCK_REALTIME) {
        return __real_clock_gettime(id, value);
    }
    *value = (struct timespec){wall_s(), wall_ns() % NS_PER_S};
    return 0;
}

/* ---- what runs share ---- */

static char directory[64];
static char trust_file[96];
static char secret_file[96];
static struct ca *ca;
static struct leaf_keys *keys;
static struct cert *certs[CERTIFICATE_COUNT];
static SSL_CTX *client_contexts[CLIENT_TLS_KINDS];
static SSL_CTX *server_contexts[CERTIFICATE_COUNT];
static SSL_SESSION *sessions[CLIENT_TLS_KINDS]; /* the newest of weir's, a kind of client */
uint64_t world_resumed_by_servers;
uint64_t world_resumed_by_clients;

static struct cert *make_cert(const struct cert *issuer, const char *name, const char *san,
                              enum cert_key key, int64_t from_s, int64_t to_s)
{
    const char *const leaf[] = {"subjectAltName", san, "extendedKeyUsage", "serverAuth", NULL};
    const char *const root[] = {"basicConstraints", "critical,CA:TRUE", "keyUsage",
                                "critical,keyCertSign", NULL};
    const struct cert_spec spec = {.common_name = name,
                                   .issuer = issuer,
                                   .key = key,
                                   .not_before_s = WALL_S + from_s,
                                   .not_after_s = WALL_S + to_s,
                                   .extensions = san ? leaf : root};

    return cert_make(&spec);
}

static void make_certs(void)
{
    static const char names[] =
        "DNS:proxy.test,DNS:h0.test,DNS:h1.test,DNS:h2.test,DNS:h3.test,DNS:flip.test,DNS:pass."
        "test,"
        "IP:20.0.0.1,IP:20.0.0.2,IP:20.0.0.3,IP:20.0.0.4,IP:2600::1,IP:2600::2";
    struct cert *root = make_cert(NULL, "sim root", NULL, CERT_KEY_P256, -DAY_S, 100 * DAY_S);
    struct cert *stranger = make_cert(NULL, "stranger", NULL, CERT_KEY_P256, -DAY_S, 100 * DAY_S);

    certs[CERT_GOOD] = make_cert(root, "good", names, CERT_KEY_P256, -DAY_S, DAY_S);
    certs[CERT_OTHER] = make_cert(root, "other", names, CERT_KEY_P256, -DAY_S, DAY_S);
    certs[CERT_RSA] = make_cert(root, "rsa", names, CERT_KEY_RSA_2048, -DAY_S, DAY_S);
    certs[CERT_EXPIRED] =
        make_cert(root, "x", "DNS:expired.test", CERT_KEY_P256, -2 * DAY_S, -DAY_S);
    certs[CERT_EARLY] = make_cert(root, "x", "DNS:early.test", CERT_KEY_P256, DAY_S, 2 * DAY_S);
    certs[CERT_WRONG] = make_cert(root, "x", "DNS:else.test", CERT_KEY_P256, -DAY_S, DAY_S);
    certs[CERT_SELF] = make_cert(NULL, "x", "DNS:self.test", CERT_KEY_P256, -DAY_S, DAY_S);
    certs[CERT_UNKNOWN] =
        make_cert(stranger, "x", "DNS:unknown.test", CERT_KEY_P256, -DAY_S, DAY_S);
    cert_write_pem(root, trust_file, false);
    cert_free(root);
    cert_free(stranger);
}

static int choose_alpn(SSL *ssl, const uint8_t **out, uint8_t *out_len, const uint8_t *in,
                       unsigned in_len, void *argument)
{
    static const uint8_t prefers[2][12] = {"\x08http/1.1", "\x02h2"};
    bool flipped = SSL_get_app_data(ssl) != NULL;
    const uint8_t *first = prefers[flipped];

    (void)argument;
    if (SSL_select_next_proto((uint8_t **)out, out_len, first, first[0] + 1u, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_NOACK;
    }
    return SSL_TLSEXT_ERR_OK;
}

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    int kind = (int)(intptr_t)SSL_get_app_data(ssl);

    SSL_SESSION_free(sessions[kind]);
    sessions[kind] = session;
    return 1;
}

static X509 *parse_certificate(struct span der)
{
    const uint8_t *data = der.data;
    X509 *x509 = d2i_X509(NULL, &data, (long)der.len);

    ASSERT(x509);
    return x509;
}

/* 0: as browsers do; 1: TLS 1.2 alone; 2: no ALPN; 3: no ECDSA; 4: HTTP/2 or nothing. */
static void make_client_contexts(void)
{
    static const uint16_t rsa_only[] = {SSL_SIGN_RSA_PSS_RSAE_SHA256, SSL_SIGN_RSA_PKCS1_SHA256};
    static const uint8_t both[] = "\x02h2\x08http/1.1";

    for (int i = 0; i < CLIENT_TLS_KINDS; i++) {
        SSL_CTX *ctx = SSL_CTX_new(TLS_method());
        X509 *weir = parse_certificate(ca_certificate_der(ca));
        ASSERT(ctx);
        X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), weir);
        X509_free(weir);
        SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
        SSL_CTX_set_max_proto_version(ctx, i == 1 ? TLS1_2_VERSION : TLS1_3_VERSION);
        SSL_CTX_set_grease_enabled(ctx, i == 0);
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(ctx, keep_session);
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
        if (i == 3) {
            SSL_CTX_set_verify_algorithm_prefs(ctx, rsa_only, COUNT_OF(rsa_only));
        }
        if (i != 2) {
            SSL_CTX_set_alpn_protos(ctx, both, i == 4 ? 3 : sizeof(both) - 1);
        }
        client_contexts[i] = ctx;
    }
}

static void make_server_contexts(void)
{
    for (int i = 0; i < CERTIFICATE_COUNT; i++) {
        SSL_CTX *ctx = SSL_CTX_new(TLS_method());
        ASSERT(ctx);
        SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
        SSL_CTX_set_max_proto_version(ctx, i == CERT_OTHER ? TLS1_2_VERSION : TLS1_3_VERSION);
        if (SSL_CTX_use_certificate(ctx, cert_x509(certs[i])) != 1 ||
            SSL_CTX_use_PrivateKey(ctx, cert_key(certs[i])) != 1) {
            panic(__FILE__, __LINE__, "certificate %d", i);
        }
        SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, NULL);
        server_contexts[i] = ctx;
    }
}

/* The slow one is made once, before the runs. */
static void warm_rsa_key(void)
{
    const struct leaf_request request = {
        .asked_name = SPAN_LITERAL("warm.test"), .kind = LEAF_RSA, .now_s = WALL_S, .days = 1};
    char error[256];
    struct leaf *leaf = leaf_mint(ca, keys, &request, error, sizeof(error));

    ASSERT(leaf);
    leaf_put(leaf);
}

void world_prepare(void)
{
    char error[512];
    bool created;

    snprintf(directory, sizeof(directory), "/tmp/weir-sim-XXXXXX");
    ASSERT(mkdtemp(directory));
    snprintf(trust_file, sizeof(trust_file), "%s/trust.pem", directory);
    snprintf(secret_file, sizeof(secret_file), "%s/secret", directory);
    FILE *secret = fopen(secret_file, "we");
    ASSERT(secret && fputs(SIM_SECRET "\n", secret) >= 0 && fclose(secret) == 0);
    char ca_directory[96];
    snprintf(ca_directory, sizeof(ca_directory), "%s/ca", directory);
    ca = ca_open(ca_directory, WALL_S, &created, error, sizeof(error));
    if (!ca) {
        panic(__FILE__, __LINE__, "%s", error);
    }
    keys = leaf_keys_new();
    ASSERT(keys);
    warm_rsa_key();
    make_certs();
    make_client_contexts();
    make_server_contexts();
    log_set_level(LOG_ERROR);
}

void world_tidy(void)
{
    static const char *const names[] = {"ca/weir-ca.pem",      "ca/weir-ca-cert.pem",
                                        "ca/weir-ca-cert.cer", "ca/weir-ca-cert.p12",
                                        "trust.pem",           "secret"};
    char path[160];

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
        unlink(path);
    }
    snprintf(path, sizeof(path), "%s/ca", directory);
    rmdir(path);
    rmdir(directory);
}

SSL *world_client_ssl(struct visit *v)
{
    SSL *ssl = SSL_new(client_contexts[v->tls_kind]);
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    struct address address;
    char text[64];

    SSL_set_app_data(ssl, (void *)(intptr_t)v->tls_kind);
    SSL_set_connect_state(ssl);
    X509_VERIFY_PARAM_set_time(param, WALL_S);
    if (v->by_address) {
        snprintf(text, sizeof(text), "%s", v->target[0] == '[' ? v->target + 1 : v->target);
        text[strcspn(text, "]")] = '\0';
        bool good = address_parse_ip(&address, span_from_string(text), 443);
        ASSERT(good && X509_VERIFY_PARAM_set1_ip_asc(param, text));
    } else {
        X509_VERIFY_PARAM_set1_host(param, v->target, strlen(v->target));
    }
    if (v->with_sni) {
        SSL_set_tlsext_host_name(ssl, v->target);
    }
    if (v->distrusts) {
        X509_STORE *empty = X509_STORE_new();
        SSL_set0_verify_cert_store(ssl, empty);
    } else if (v->host->kind == HOST_PASSES && v->with_sni) {
        /* It is the server's own certificate that comes, and nobody else's. */
        X509_STORE *store = X509_STORE_new();
        X509 *own = parse_certificate(cert_der(certs[CERT_GOOD]));
        X509_STORE_add_cert(store, own);
        X509_free(own);
        X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
        SSL_set0_verify_cert_store(ssl, store);
    } else if (v->resumes && sessions[v->tls_kind]) {
        SSL_set_session(ssl, sessions[v->tls_kind]);
    }
    return ssl;
}

SSL *world_server_ssl(struct world *world, int certificate, bool flipped)
{
    SSL *ssl =
        SSL_new(server_contexts[flipped && world_chance(world, 50) ? CERT_OTHER : certificate]);

    SSL_set_app_data(ssl, flipped ? ssl : NULL);
    SSL_set_accept_state(ssl);
    return ssl;
}

/* ---- failures ---- */

static void describe_world(const struct world *world)
{
    uint64_t count = world->log_lines < LAST_LINES ? world->log_lines : LAST_LINES;

    fprintf(stderr, "sim: at %.6f s, way %d, bad way %d\n", (double)sim_now(world->sim) / 1e9,
            (int)world->way, (int)world->bad_way);
    for (uint64_t i = world->log_lines - count; i < world->log_lines; i++) {
        fprintf(stderr, "  log: %s\n", world->last_lines[i % LAST_LINES]);
    }
    session_worker_describe(&world->worker);
}

void world_fail(struct world *world, const struct visit *v, const char *format, ...)
{
    va_list arguments;

    fprintf(stderr, "sim: FAILED seed %llu profile %s: ", (unsigned long long)world->seed,
            world->profile->name);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    if (v) {
        visit_describe(v);
    }
    describe_world(world);
    abort();
}

static void describe_panic(void)
{
    if (the_world) {
        fprintf(stderr, "sim: FAILED seed %llu profile %s\n", (unsigned long long)the_world->seed,
                the_world->profile->name);
        describe_world(the_world);
    }
}

/* ---- the log ---- */

static bool print_lines;

static void on_log_line(void *context, struct span line)
{
    struct world *world = context;
    char *kept = world->last_lines[world->log_lines++ % LAST_LINES];

    if (line.len && line.data[line.len - 1] == '\n') {
        line.len--;
    }
    snprintf(kept, sizeof(world->last_lines[0]), "%.*s", (int)line.len, (const char *)line.data);
    if (print_lines) {
        fprintf(stderr, "log: %.*s\n", (int)line.len, (const char *)line.data);
    }
    if (!line.len || line.data[0] != '{' || !json_is_valid(line)) {
        world_fail(world, NULL, "a line of the log is no JSON: %s", kept);
    }
}

/* ---- a run ---- */

struct order {
    struct letter letter;
    struct world *world;
};

static struct config *make_config(struct world *world)
{
    struct config_report report = {.out = stderr};
    char ways[512];
    struct text t = text_make(ways, sizeof(ways) - 1);
    char text[4096];
    struct config *config;
    uint32_t high = 16384u << world_below(world, 3);

    proxies_write_config(&t, world, secret_file);
    ways[t.len] = '\0';
    snprintf(text, sizeof(text),
             "listeners: [{address: \":8080\"}]\n"
             "transparent: {mark: %d}\n"
             "intercept:\n"
             "  rules:\n"
             "    - {name: tun, host: [\"*.tun\"], action: tunnel}\n"
             "    - {name: no, host: [refuse.test], action: refuse}\n"
             "    - {name: sni-pass, sni: [pass.test], action: tunnel}\n"
             "    - {name: sni-no, sni: [snirefuse.test], action: refuse}\n"
             "upstream:\n"
             "  system_trust: false\n"
             "%s"
             "  trust_files: [\"%s\"]\n"
             "  idle_connections: %u\n"
             "  idle_timeout: %ums\n"
             "log: {access: {path: \"\"}}\n"
             "detect: {header: \"%s\", header_to: both}\n"
             "limits:\n"
             "  head_bytes: 16KiB\n"
             "  line_bytes: 8KiB\n"
             "  head_timeout: 8s\n"
             "  hello_timeout: 5s\n"
             "  connect_timeout: 3s\n"
             "  handshake_timeout: 8s\n"
             "  keepalive_timeout: 6s\n"
             "  tunnel_idle_timeout: %us\n"
             "  send_stall_timeout: %us\n"
             "  buffer_high: %u\n"
             "  buffer_low: %u\n"
             "  splice: %u\n",
             MARK, ways, trust_file, (unsigned)(world_below(world, 6) + 2 * world->revisits),
             (unsigned)(200 + world_below(world, 5000)), world->edits ? "Weir-Verdict" : "",
             (unsigned)(20 + world_below(world, 30)), (unsigned)(10 + world_below(world, 10)), high,
             high / 4, world_chance(world, 30) ? 0 : (unsigned)(20000 + world_below(world, 60000)));
    config = config_load_text("sim", span_from_string(text), &report);
    ASSERT(config);
    return config;
}

static struct snapshot *make_snapshot(struct world *world, uint64_t serial)
{
    char error[512];
    const struct snapshot_options options = {
        .serial = serial, .own_ca_der = ca_certificate_der(ca), .wall_s = wall_s};
    struct snapshot *snapshot = snapshot_new(make_config(world), &options, error, sizeof(error));

    if (!snapshot) {
        panic(__FILE__, __LINE__, "%s", error);
    }
    return snapshot;
}

static void make_hungry(struct world *world)
{
    if (world->is_hungry) {
        sim_heap_set(4 + (uint32_t)world_below(world, 60), sim_random(world->sim));
    }
}

static void deliver_publish(struct letter *letter)
{
    struct order *order = CONTAINER_OF(letter, struct order, letter);
    struct world *world = order->world;
    struct snapshot *snapshot;

    sim_heap_set(0, 0);
    snapshot = make_snapshot(world, world->snapshot->serial + 1);
    make_hungry(world);
    session_worker_publish(&world->worker, snapshot);
    snapshot_put(world->snapshot);
    world->snapshot = snapshot;
    free(order);
}

static void drain(void *context);

static void deliver_drain(struct letter *letter)
{
    struct order *order = CONTAINER_OF(letter, struct order, letter);
    struct world *world = order->world;

    free(order);
    if (!world->worker.draining && world_chance(world, 50)) {
        session_worker_drain(&world->worker);
        sim_after(world->sim, world_below(world, 2000) * NS_PER_MS, drain, world);
        return;
    }
    session_worker_end(&world->worker, (uint32_t)world_below(world, 1000),
                       (uint32_t)world_below(world, 5000));
}

static void post(struct world *world, void (*deliver)(struct letter *letter))
{
    struct order *order = calloc(1, sizeof(*order));

    ASSERT(order);
    order->letter.deliver = deliver;
    order->world = world;
    worker_post(&world->worker.engine, &order->letter);
}

static void publish(void *context)
{
    struct world *world = context;

    if (!world->worker.ending) {
        post(world, deliver_publish);
    }
}

static void drain(void *context)
{
    struct world *world = context;

    if (!world->worker.ending) {
        post(world, deliver_drain);
    }
}

/* Everything has ended by itself, or is overdue. */
static void watch(void *context)
{
    struct world *world = context;
    bool finished = world->worker.sessions.live_count == 0;

    for (size_t i = 0; i < world->client_count; i++) {
        finished &= world->clients[i].finished;
    }
    if (finished || world->worker.ending) {
        drain(world);
        return;
    }
    if (sim_now(world->sim) > LIVENESS_S * NS_PER_S) {
        world_fail(world, NULL, "something lives longer than its deadlines allow");
    }
    sim_after(world->sim, 100 * NS_PER_MS, watch, world);
}

static void overdue(void *context)
{
    world_fail(context, NULL, "the worker does not come to its end");
}

static void start_worker(struct world *world)
{
    static const struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = 0x901f};
    const struct ring_options ring = {
        .sq_entries = 8u << world_below(world, 6),
        .cq_entries = 1024,
        .group = {{.count = 4u << world_below(world, 5), .size = 256u << world_below(world, 5)},
                  {.count = 2u << world_below(world, 4), .size = 4096u << world_below(world, 3)}},
        .without_recv_cap = world->profile->without_recv_cap,
    };
    const struct listen_socket socket = {
        sim_listen(world->sim, (const struct sockaddr *)&address, sizeof(address)), 0};
    const struct session_worker_options options = {
        .conn_cap = world->is_crowded ? 4 + (uint32_t)world_below(world, 3) : 64,
        .ring = &ring,
        .shared = &world->shared,
        .snapshot = world->snapshot,
        .own = world->own,
    };
    char error[512] = "out of memory";

    if (session_worker_init(&world->worker, &options, error, sizeof(error)) < 0 ||
        worker_listen(&world->worker.engine, &socket, 1) < 0) {
        panic(__FILE__, __LINE__, "%s", error);
    }
}

/* Records that judge some of the visits, so that their requests are judged, too. */
static struct verdict_table *make_verdicts(void)
{
    const struct database_options options = {
        .browsers = {SPAN_LITERAL("0::0:0::0:|303:*:*:*:*:*host:*|:0:0\n"), "browsers"},
        .products = {SPAN_LITERAL("0::0:0::0:|303:*:*:*:*:*x-none:*|nobody:5:0\n"), "products"},
        .bad_headers = {SPAN_LITERAL("via\n"), "headers"},
    };
    struct record_faults faults;
    struct verdict_table *table = verdict_table_new(64);
    struct database *db = database_new(&options, &faults);

    ASSERT(table && db && faults.count == 0);
    if (!verdict_table_publish(table, db)) {
        panic(__FILE__, __LINE__, "the signatures could not be published");
    }
    return table;
}

static void start_shared(struct world *world)
{
    const struct minter_options minter = {.ca = ca, .keys = keys, .inline_only = true};
    struct minter_options with_cache = minter;

    world->shared.leaves = leaf_cache_new(16 + (uint32_t)world_below(world, 100));
    with_cache.cache = world->shared.leaves;
    world->shared.minter = minter_new(&with_cache);
    world->shared.verdicts = make_verdicts();
    world->shared.on_log_line = on_log_line;
    world->shared.on_log_line_context = world;
    world->shared.id_seed = world->seed;
    ASSERT(world->shared.leaves && world->shared.minter);
}

/* Nothing may be left of what the sessions used. */
static void check_worker(struct world *world)
{
    const struct session_worker *w = &world->worker;
    uint64_t closed = 0;

    for (int i = 0; i < CLOSE_REASON_COUNT; i++) {
        closed += w->stats.closed[i];
    }
    const struct {
        const char *what;
        uint64_t count;
    } left[] = {
        {"sessions", w->sessions.live_count},
        {"forwards", w->forwards.live_count},
        {"dials", w->engine.dials.live_count},
        {"idle connections", idle_pool_count(w->engine.idle)},
        {"sessions of the snapshot", w->hold->sessions},
        {"sessions without a reason", w->stats.sessions - closed},
        {"stale events", w->engine.stats.stale_events},
        {"overdue closes", w->engine.stats.close_overdue},
    };
    for (size_t i = 0; i < COUNT_OF(left); i++) {
        if (left[i].count) {
            world_fail(world, NULL, "%llu %s left at the end", (unsigned long long)left[i].count,
                       left[i].what);
        }
    }
}

/* The same of the engine, once its closing connections and letters had their time. */
static void check_engine(struct world *world)
{
    struct worker *w = &world->worker.engine;
    int64_t end_ns = sim_now(world->sim) + 60 * NS_PER_S;

    while ((w->conns.live_count || w->letters_expected) && sim_now(world->sim) < end_ns) {
        worker_turn_within(w, NS_PER_S);
    }
    const struct {
        const char *what;
        uint64_t count;
    } left[] = {
        {"connections", w->conns.live_count},
        {"letters", w->letters_expected},
        {"buffers", w->bufs.live_count},
        {"timers", w->timers.count - (w->young.first != w->young.end)},
        {"starved connections", !list_is_empty(&w->starved)},
        {"stale events", w->stats.stale_events},
        {"overdue closes", w->stats.close_overdue},
        {"cancels by descriptor", ring_stats(w->ring)->fd_cancels},
    };
    for (size_t i = 0; i < COUNT_OF(left); i++) {
        if (left[i].count) {
            world_fail(world, NULL, "%llu %s left at the end", (unsigned long long)left[i].count,
                       left[i].what);
        }
    }
    /* What is still on its way to peers that read slowly. */
    end_ns = sim_now(world->sim) + 60 * NS_PER_S;
    while (sim_now(world->sim) < end_ns) {
        worker_turn_within(w, 10 * NS_PER_S);
    }
}

static void count_run(struct world *world, struct world_result *result)
{
    const struct session_worker *w = &world->worker;
    struct leaf_cache_stats leaves;

    leaf_cache_read_stats(world->shared.leaves, &leaves);
    result->runs++;
    result->events += world->sim->trace_count;
    result->faults += sim_fault_count(world->sim);
    result->heap_failures += sim_heap_failures();
    result->sessions += w->stats.sessions;
    result->requests += w->stats.requests;
    result->taken_over += w->stats.taken_over;
    result->sent_again += w->stats.sent_again;
    result->log_lines += world->log_lines;
    result->spliced_bytes += w->engine.stats.spliced_bytes;
    result->parked_bytes += w->engine.stats.parked_bytes;
    result->starved += w->engine.stats.starved;
    result->private_receives += w->engine.stats.private_receives;
    result->accept_pauses += w->engine.stats.accept_pauses;
    result->recalls += leaves.recalls;
    result->leaf_hits += leaves.hits;
    result->server_resumptions += world_resumed_by_servers;
    result->client_resumptions += world_resumed_by_clients;
    result->virtual_ns += (uint64_t)sim_now(world->sim);
    for (int i = 0; i < CLOSE_REASON_COUNT; i++) {
        result->closed[i] += w->stats.closed[i];
    }
    for (int i = 0; i < SIM_KINDS; i++) {
        for (int j = 0; j < SIM_ERRNOS; j++) {
            result->completions[i][j] += world->sim->completions[i][j];
        }
    }
    for (size_t i = 0; i < world->client_count; i++) {
        for (size_t j = 0; j < world->clients[i].visit_count; j++) {
            const struct visit *v = &world->clients[i].visits[j];
            result->visits++;
            result->strict_visits += v->strict;
            result->raw_bytes += v->up_seen + v->down_seen;
            result->exchanges += v->exchange_count;
            for (size_t k = 0; k < v->exchange_count; k++) {
                result->exchanges_whole += v->exchanges[k].done;
            }
        }
    }
}

static void plan(struct world *world)
{
    world->is_kind = strcmp(world->profile->name, "storm") != 0;
    world->drains = world_chance(world, 25);
    world->idle_fins = world_chance(world, 30);
    world->is_hungry = strcmp(world->profile->name, "storm") == 0 && world_chance(world, 50);
    world->is_crowded = world_chance(world, 12);
    world->edits = world->seed % 3 == 0;
    world->revisits = !world->is_crowded && world_chance(world, 25);
    world->refuses = world->revisits && world_chance(world, 10);
    world->usual_host = (uint8_t)world_below(world, SIM_HOST_FLIPS + 1);
    world->usual_tls = (uint8_t)world_below(world, CLIENT_TLS_KINDS);
    world->way =
        world_chance(world, 40) ? (enum way_kind)world_below(world, WAY_COUNT) : WAY_DIRECT;
    if (world->way != WAY_DIRECT && world_chance(world, 40)) {
        world->bad_way = (enum way_kind)(1 + world_below(world, WAY_COUNT - 1));
    }
    world->client_count = world->revisits ? CLIENTS_MAX : 1 + world_below(world, CLIENTS_MAX);
    for (size_t i = 0; i < world->client_count; i++) {
        client_plan(world, (uint32_t)i);
    }
    sim_reset(world->seed);
    servers_prepare(world);
}

static void start_clients(struct world *world)
{
    for (size_t i = 0; i < world->client_count; i++) {
        client_start(&world->clients[i]);
    }
    while (world_chance(world, 25)) {
        sim_after(world->sim, (int64_t)world_below(world, 8 * NS_PER_S), publish, world);
    }
    if (world->drains) {
        sim_after(world->sim, (int64_t)world_below(world, 6 * NS_PER_S), drain, world);
    }
    sim_after(world->sim, 100 * NS_PER_MS, watch, world);
    sim_after(world->sim, (LIVENESS_S + 60) * NS_PER_S, overdue, world);
}

void world_run(uint64_t seed, const struct sim_profile *profile, bool print_log,
               struct world_result *result)
{
    struct world *world = calloc(1, sizeof(*world));

    ASSERT(world);
    world->last_lines = calloc(LAST_LINES, sizeof(*world->last_lines));
    ASSERT(world->last_lines);
    print_lines = print_log;
    the_world = world;
    panic_set_hook(describe_panic);
    hash_set_seed(seed);
    world_set_random(seed);
    world->seed = seed;
    world->profile = profile;
    world->sim = sim_new(seed, profile);
    sim_expect_mark(world->sim, MARK);
    world->own = own_addresses_new(true);
    ASSERT(world->own);
    plan(world);
    start_shared(world);
    world->snapshot = make_snapshot(world, 1);
    start_worker(world);
    start_clients(world);
    make_hungry(world);

    session_worker_run(&world->worker);
    sim_heap_set(0, 0);
    idle_pool_close_all(world->worker.engine.idle);
    check_worker(world);
    check_engine(world);
    for (size_t i = 0; i < world->client_count; i++) {
        for (size_t j = 0; j < world->clients[i].visit_count; j++) {
            visit_check_strict(&world->clients[i].visits[j]);
        }
    }
    count_run(world, result);
    if (!session_worker_fini(&world->worker)) {
        world_fail(world, NULL, "the worker did not end cleanly");
    }
    if (atomic_load(&world->snapshot->references) != 1) {
        world_fail(world, NULL, "somebody still holds the snapshot");
    }
    own_addresses_free(world->own);
    minter_free(world->shared.minter);
    leaf_cache_free(world->shared.leaves);
    verdict_table_free(world->shared.verdicts);
    snapshot_put(world->snapshot);
    result->trace_hash = sim_trace_hash(world->sim);
    sim_free(world->sim);
    the_world = NULL;
    sim_wires_free();
    servers_tidy();
    for (size_t i = 0; i < world->client_count; i++) {
        for (size_t j = 0; j < world->clients[i].visit_count; j++) {
            message_free(&world->clients[i].visits[j].message);
        }
    }
    free(world->last_lines);
    free(world);
}
