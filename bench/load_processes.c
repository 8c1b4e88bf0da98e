/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/load_processes.h"

#include "bench/load_client.h"
#include "bench/load_network.h"
#include "bench/load_pki.h"
#include "bench/proc.h"
#include "core/base/clock.h"
#include "core/options.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PATH_CAP = 512 };

#define START_NS      (20 * NS_PER_S)
#define STOP_NS       (10 * NS_PER_S)
#define POLL_NS       (5 * NS_PER_MS)
#define WATCH_NS      (200 * NS_PER_MS)
#define TRIAL_MORE_NS (90 * NS_PER_S) /* than it should take */

volatile sig_atomic_t load_is_interrupted;

static void interrupt(int number)
{
    (void)number;
    load_is_interrupted = 1;
}

void load_nap(int64_t ns)
{
    const struct timespec time = {ns / NS_PER_S, ns % NS_PER_S};
    (void)nanosleep(&time, NULL);
}

/* A child that ends with its parent, on these cores; none: any. 0 in the child, -1: errno. */
static pid_t fork_on(const struct load_cores *cores)
{
    pid_t parent = getpid();
    pid_t pid = fork();

    if (pid == 0) {
        signal(SIGINT, SIG_IGN); /* of the terminal: the parent ends us */
        signal(SIGTERM, SIG_DFL);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        prctl(PR_SET_TIMERSLACK, 1UL);
        if (getppid() != parent || (cores->count && !proc_pin_to(cores->list, cores->count))) {
            _exit(EXIT_STATUS_RUNTIME);
        }
    }
    return pid;
}

/* Waits for its end; kills it behind the limit. False: it had to be. */
static bool reap(pid_t pid, int64_t limit_ns, int *status)
{
    int64_t end_ns = clock_monotonic_ns() + limit_ns;

    while (waitpid(pid, status, WNOHANG) == 0) {
        if (clock_monotonic_ns() >= end_ns) {
            kill(pid, SIGKILL);
            (void)waitpid(pid, status, 0);
            return false;
        }
        load_nap(POLL_NS);
    }
    return true;
}

/* "the client with number 2 of 8"; "the client" where there is one. */
static void say_who(const char *what, unsigned index, unsigned count, FILE *err)
{
    fprintf(err, "weir bench: the %s", what);
    if (count > 1) {
        fprintf(err, " with number %u of %u", index + 1, count);
    }
}

/* How it ended, as waitpid() has it. */
static void say_end(int status, FILE *err)
{
    if (WIFSIGNALED(status)) {
        fprintf(err, "it ended by signal %d (%s)\n", WTERMSIG(status), strsignal(WTERMSIG(status)));
    } else {
        fprintf(err, "it ended with status %d\n", WEXITSTATUS(status));
    }
}

/* ---- cores ---- */

static bool read_cores(struct load_processes *p, FILE *err)
{
    const struct load_options *o = p->options;
    struct load_crew crew = {.clients = o->clients, .origins = o->origins};
    struct load_cores allowed;
    char error[256];

    for (size_t i = 0; i < o->workers_len; i++) {
        crew.workers = o->workers[i] > crew.workers ? o->workers[i] : crew.workers;
    }
    allowed.count = proc_cores(allowed.list, LOAD_CORES_MAX);
    if (!o->cores) {
        load_cores_choose(&allowed, &crew, p->cores);
    } else if (!load_cores_parse(o->cores, &allowed, &crew, p->cores, error, sizeof(error))) {
        fprintf(err, "weir bench: --cores: %s\n", error);
        return false;
    }
    if (!o->proxy) {
        p->cores[LOAD_AT_PROXY] = load_proxy_cores(p, crew.workers);
    }
    return true;
}

struct load_cores load_proxy_cores(const struct load_processes *p, unsigned workers)
{
    struct load_cores cores = p->cores[LOAD_AT_PROXY];

    cores.count = cores.count < (int)workers ? cores.count : (int)workers;
    return cores;
}

/* That of one client or origin. */
static struct load_cores core_of(const struct load_processes *p, enum load_place place,
                                 unsigned index)
{
    const struct load_cores *cores = &p->cores[place];
    return (struct load_cores){cores->count ? 1 : 0, {load_cores_of(cores, index)}};
}

/* ---- the origins ---- */

/* Waits until it can be asked. */
static bool start_origin(struct load_processes *p, unsigned index, struct load_pki *pki, FILE *err)
{
    struct load_origin_state *state = &p->shared->origins[index];
    struct load_cores core = core_of(p, LOAD_AT_ORIGIN, index);
    int64_t end_ns = clock_monotonic_ns() + START_NS;
    struct load_listeners listeners;
    pid_t pid;

    if (!load_origin_bind(&p->ports, index == 0, &listeners, state->fault, sizeof(state->fault))) {
        fprintf(err, "weir bench: origin: %s\n", state->fault);
        return false;
    }
    pid = fork_on(&core);
    if (pid == 0) {
        load_origin_serve(&listeners, pki, p->options->is_awake, state);
        _exit(EXIT_STATUS_RUNTIME);
    }
    p->origin_pids[index] = pid > 0 ? pid : 0;
    load_origin_unbind(&listeners);
    while (p->origin_pids[index] && !state->is_ready && clock_monotonic_ns() < end_ns) {
        if (waitpid(pid, NULL, WNOHANG) != 0) {
            p->origin_pids[index] = 0;
        } else {
            load_nap(POLL_NS);
        }
    }
    if (!state->is_ready) {
        say_who("origin", index, p->options->origins, err);
        fprintf(err, " does not start: %s\n", state->fault[0] ? state->fault : strerror(errno));
    }
    return state->is_ready;
}

/* Several are one server to whoever asks them. */
static bool share_pki(const struct load_processes *p, struct load_pki *pki, char *error, size_t cap)
{
    const char *const names[LOAD_PKI_SHARED_MAX] = {load_options_host(p->options, LOAD_INTERCEPT),
                                                    load_options_host(p->options, LOAD_CONNECT)};

    return p->options->origins == 1 || load_pki_share(pki, names, error, cap);
}

static bool start_origins(struct load_processes *p, FILE *err)
{
    const char *ca_dir = p->options->ca_dir;
    struct load_pki pki = {.ca = NULL};
    char folder[PATH_CAP], error[LOAD_FAULT_MAX];
    bool done;

    snprintf(folder, sizeof(folder), "%s/origin-ca", p->folder);
    ca_dir = ca_dir ? ca_dir : folder;
    snprintf(p->origin_ca, sizeof(p->origin_ca), "%s/weir-ca-cert.pem", ca_dir);
    p->ports = p->options->ports;
    if (!load_pki_open(&pki, ca_dir, error, sizeof(error))) {
        fprintf(err, "weir bench: the origin does not start: %s\n", error);
        return false;
    }
    done = share_pki(p, &pki, error, sizeof(error));
    if (!done) {
        fprintf(err, "weir bench: the origin does not start: %s\n", error);
    }
    for (unsigned i = 0; i < p->options->origins && done; i++) {
        done = start_origin(p, i, &pki, err);
    }
    load_pki_close(&pki);
    return done;
}

/* False: one has ended, which nobody asked it to do; said so. */
static bool origins_are_there(struct load_processes *p, FILE *err)
{
    for (unsigned i = 0; i < p->options->origins; i++) {
        int status = 0;

        if (waitpid(p->origin_pids[i], &status, WNOHANG) != 0) {
            p->origin_pids[i] = 0;
            say_who("origin", i, p->options->origins, err);
            fputs(" is gone: ", err);
            say_end(status, err);
            return false;
        }
    }
    return true;
}

/* ---- the proxy ---- */

/* HOST:PORT; loopback alone: the harness is no weapon. */
static bool parse_proxy(struct load_processes *p, const char *text, FILE *err)
{
    const char *colon = strrchr(text, ':');
    struct span host = span_make(text, colon ? (size_t)(colon - text) : 0);
    char *end = NULL;
    unsigned long port = colon ? strtoul(colon + 1, &end, 10) : 0;

    if (host.len > 1 && host.data[0] == '[' && host.data[host.len - 1] == ']') {
        host = span_sub(host, 1, host.len - 2);
    }
    if (!colon || !*(colon + 1) || *end || port < 1 || port > UINT16_MAX ||
        !address_parse_ip(&p->proxy, host, (uint16_t)port)) {
        fputs("weir bench: --proxy: an IP address and a port expected, as 127.0.0.1:3128\n", err);
        return false;
    }
    if (p->proxy.u.any.sa_family == AF_INET6 ? !IN6_IS_ADDR_LOOPBACK(&p->proxy.u.v6.sin6_addr)
                                             : ntohl(p->proxy.u.v4.sin_addr.s_addr) >> 24 != 127) {
        fputs("weir bench: --proxy: only proxies on loopback are put under load\n", err);
        return false;
    }
    return true;
}

/* One of a weir's own. */
static void name_file(const struct load_processes *p, const struct load_plan *plan,
                      const char *name, char path[PATH_CAP])
{
    snprintf(path, PATH_CAP, "%s/%u-%s", p->folder, plan->side, name);
}

static bool write_config(const struct load_processes *p, const struct load_plan *plan,
                         const char *path)
{
    bool is_transparent = load_modes[plan->mode].is_transparent;
    FILE *file = fopen(path, "we");
    char access_log[PATH_CAP];

    if (!file) {
        return false;
    }
    name_file(p, plan, "access.log", access_log);
    fprintf(file,
            "workers: %u\n"
            "listeners:\n"
            "  - {address: \"127.0.0.1:%d\", mode: %s}\n"
            "intercept:\n"
            "  default: intercept\n"
            "  ca_dir: %s/proxy-ca\n"
            "  leaf_cache: 1000000\n"
            "  rules:\n"
            "    - {name: tunnel, host: [.tunnel.bench.test], action: tunnel}\n"
            "upstream:\n"
            "  system_trust: false\n"
            "  trust_files: [\"%s\"]\n"
            "connect:\n"
            "  ports: [%u, %u]\n"
            "  allow_private: true\n"
            "dns:\n"
            "  servers: [\"127.0.0.1:%u\"]\n"
            "  cache: 1000000\n"
            "log:\n"
            "  access:\n"
            "    path: \"%s\"\n"
            "drain:\n"
            "  grace: 0s\n",
            plan->workers, is_transparent ? LOAD_NETWORK_PORT : 0,
            is_transparent ? "transparent" : "forward", p->folder, p->origin_ca, p->ports.clear,
            p->ports.tls, p->ports.dns, plan->variant == LOAD_LOGS ? access_log : "");
    if (plan->variant == LOAD_BLIND) {
        fputs("detect:\n  databases: []\n", file);
    }
    return fclose(file) == 0;
}

static _Noreturn void exec_proxy(const char *config, const char *log)
{
    char *const arguments[] = {"weir", "run", "--config", (char *)(uintptr_t)config, NULL};
    int out = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (out >= 0 && dup2(out, STDERR_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0) {
        signal(SIGINT, SIG_DFL);
        execv("/proc/self/exe", arguments);
    }
    _exit(EXIT_STATUS_RUNTIME);
}

/* "listening on 127.0.0.1:40001 (forward), ..." of the log so far. */
static uint16_t read_port(const char *log)
{
    static const char words[] = "listening on 127.0.0.1:";
    FILE *file = fopen(log, "re");
    unsigned long port = 0;
    char line[512];

    while (file && port == 0 && fgets(line, sizeof(line), file)) {
        const char *at = strstr(line, words);
        port = at && strchr(line, '\n') ? strtoul(at + sizeof(words) - 1, NULL, 10) : 0;
    }
    if (file) {
        fclose(file);
    }
    return (uint16_t)port;
}

static void say_log(const char *log, FILE *err)
{
    FILE *file = fopen(log, "re");
    char line[512];

    while (file && fgets(line, sizeof(line), file)) {
        fprintf(err, "  %s", line);
    }
    if (file) {
        fclose(file);
    }
}

/* Waits until it listens. */
static bool start_weir(struct load_processes *p, struct load_plan *plan, FILE *err)
{
    char config[PATH_CAP], log[PATH_CAP];
    struct load_cores cores = load_proxy_cores(p, plan->workers);
    int64_t end_ns = clock_monotonic_ns() + START_NS;
    uint16_t port = 0;
    pid_t pid;

    name_file(p, plan, "weir.yaml", config);
    name_file(p, plan, "weir.log", log);
    (void)unlink(log);
    if (!write_config(p, plan, config)) {
        fprintf(err, "weir bench: %s: %s\n", config, strerror(errno));
        return false;
    }
    pid = fork_on(&cores);
    if (pid == 0) {
        exec_proxy(config, log);
    }
    if (pid < 0) {
        fprintf(err, "weir bench: no process for weir: %s\n", strerror(errno));
        return false;
    }
    p->proxy_pids[plan->side] = pid;
    while ((port = read_port(log)) == 0) {
        bool has_ended = waitpid(pid, NULL, WNOHANG) != 0;

        if (has_ended || clock_monotonic_ns() >= end_ns) {
            p->proxy_pids[plan->side] = has_ended ? 0 : pid;
            fputs("weir bench: weir does not start:\n", err);
            say_log(log, err);
            return false;
        }
        load_nap(POLL_NS);
    }
    plan->proxy_pid = pid;
    return address_parse_ip(&plan->proxy, SPAN_LITERAL("127.0.0.1"), port);
}

bool load_proxy_start(struct load_processes *p, struct load_plan *plan, FILE *err)
{
    if (!p->options->proxy) {
        return start_weir(p, plan, err);
    }
    plan->proxy = p->proxy;
    plan->proxy_pid = (pid_t)p->options->proxy_pid;
    return true;
}

bool load_proxy_stop(struct load_processes *p, const struct load_plan *plan, FILE *err)
{
    char log[PATH_CAP];
    int status = 0;
    bool has_ended;

    if (p->options->proxy) {
        return true;
    }
    has_ended = waitpid(plan->proxy_pid, &status, WNOHANG) != 0;
    if (!has_ended) {
        kill(plan->proxy_pid, SIGTERM);
        has_ended = !reap(plan->proxy_pid, STOP_NS, &status);
    }
    if (p->proxy_pids[plan->side] == plan->proxy_pid) {
        p->proxy_pids[plan->side] = 0;
    }
    if (has_ended || status != 0) {
        name_file(p, plan, "weir.log", log);
        fputs("weir bench: weir ended by itself, badly, or not at all:\n", err);
        say_log(log, err);
        return false;
    }
    return true;
}

/* ---- a trial ---- */

static bool start_client(struct load_processes *p, const struct load_plan *plan, unsigned client,
                         FILE *err)
{
    struct load_cores core = core_of(p, LOAD_AT_CLIENT, client);
    unsigned index = load_plan_first_client(plan) + client;
    struct load_shared *shared = p->shared;
    pid_t pid;

    memset(&shared->results[index], 0, sizeof(shared->results[index]));
    shared->faults[index][0] = '\0';
    pid = fork_on(&core);
    if (pid == 0) {
        struct load_plan part = load_plan_part(plan, client);
        bool done = load_client_run(&part, shared->meetings, &shared->results[index],
                                    shared->faults[index], LOAD_FAULT_MAX);
        _exit(done ? EXIT_STATUS_OK : EXIT_STATUS_RUNTIME);
    }
    if (pid < 0) {
        fprintf(err, "weir bench: no process for a client: %s\n", strerror(errno));
        return false;
    }
    p->client_pids[index] = pid;
    return true;
}

static void kill_clients(struct load_processes *p)
{
    int status;

    for (unsigned i = 0; i < LOAD_CLIENTS_MAX; i++) {
        if (p->client_pids[i]) {
            kill(p->client_pids[i], SIGKILL);
        }
    }
    for (unsigned i = 0; i < LOAD_CLIENTS_MAX; i++) {
        if (p->client_pids[i]) {
            (void)waitpid(p->client_pids[i], &status, 0);
            p->client_pids[i] = 0;
        }
    }
}

/* How many are at work. -1: one could not; said why. */
static int count_clients(struct load_processes *p, unsigned clients, FILE *err)
{
    int count = 0;

    for (unsigned i = 0; i < clients; i++) {
        int status = 0;

        if (!p->client_pids[i]) {
            continue;
        }
        if (waitpid(p->client_pids[i], &status, WNOHANG) == 0) {
            count++;
            continue;
        }
        p->client_pids[i] = 0;
        if (status != 0) {
            say_who("client", i, clients, err);
            fputs(" could not work: ", err);
            if (p->shared->faults[i][0]) {
                fprintf(err, "%s\n", p->shared->faults[i]);
            } else {
                say_end(status, err);
            }
            return -1;
        }
    }
    return count;
}

static void merge_results(struct load_processes *p, const struct load_plan *plans)
{
    memset(p->results, 0, sizeof(p->results));
    for (unsigned i = 0; i < load_plan_all_clients(plans); i++) {
        for (unsigned side = 0; side < plans->sides; side++) {
            if (i / plans->clients == side) {
                load_result_merge(&p->results[side], &p->shared->results[i]);
            } else {
                load_result_add_side(&p->results[side], &p->shared->results[i]);
            }
        }
    }
}

static void add_up_live(const struct load_processes *p, unsigned clients, struct load_live *live)
{
    *live = (struct load_live){.phase = p->shared->results[0].phase};
    for (unsigned i = 0; i < clients; i++) {
        live->units += p->shared->results[i].live_units;
        live->errors += p->shared->results[i].errors;
    }
}

/* Sleeps until a client of those at work has ended, WATCH_NS at most: each time that the harness
 * wakes, it takes a core from what is measured there. */
static void nap_with_client(const struct load_processes *p)
{
    struct pollfd end = {.fd = -1, .events = POLLIN};

    for (unsigned i = 0; i < LOAD_CLIENTS_MAX && end.fd < 0; i++) {
        if (p->client_pids[i]) {
            end.fd = pidfd_open(p->client_pids[i], 0);
        }
    }
    if (end.fd < 0) {
        load_nap(POLL_NS);
        return;
    }
    (void)poll(&end, 1, (int)(WATCH_NS / NS_PER_MS));
    close(end.fd);
}

static bool await_clients(struct load_processes *p, const struct load_plan *plans,
                          load_watch_fn *watch, void *context, FILE *err)
{
    unsigned clients = load_plan_all_clients(plans);
    int64_t start_ns = clock_monotonic_ns();
    int64_t limit_ns = plans->warmup_ns + plans->window_ns + TRIAL_MORE_NS;
    struct load_live live;
    int count;

    while ((count = count_clients(p, clients, err)) > 0) {
        if (clock_monotonic_ns() - start_ns > limit_ns || load_is_interrupted) {
            fputs(load_is_interrupted ? "weir bench: interrupted\n"
                                      : "weir bench: a trial does not end\n",
                  err);
            return false;
        }
        if (!origins_are_there(p, err)) {
            return false;
        }
        nap_with_client(p);
        add_up_live(p, clients, &live);
        watch(context, &live);
    }
    return count == 0 && origins_are_there(p, err);
}

bool load_trial_run(struct load_processes *p, const struct load_plan *plans, load_watch_fn *watch,
                    void *context, FILE *err)
{
    bool done = true;

    memset(p->shared->meetings, 0, sizeof(p->shared->meetings));
    for (unsigned i = 0; i < load_plan_all_clients(plans) && done; i++) {
        done = start_client(p, &plans[i / plans->clients], i % plans->clients, err);
    }
    done = done && await_clients(p, plans, watch, context, err);
    kill_clients(p);
    merge_results(p, plans);
    return done;
}

/* ---- life ---- */

static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

bool load_processes_init(struct load_processes *p, const struct load_options *options, FILE *err)
{
    *p = (struct load_processes){.options = options};
    return read_cores(p, err) && (!options->proxy || parse_proxy(p, options->proxy, err));
}

bool load_processes_begin(struct load_processes *p, FILE *err)
{
    const struct load_options *options = p->options;
    const struct sigaction action = {.sa_handler = interrupt};

    p->shared =
        mmap(NULL, sizeof(*p->shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p->shared == MAP_FAILED) {
        p->shared = NULL;
        fputs("weir bench: out of memory\n", err);
        return false;
    }
    if (!temp_folder_make(p->folder, err)) {
        return false;
    }
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    raise_descriptor_limit();
    if (options->proxy) {
        snprintf(p->proxy_ca, sizeof(p->proxy_ca), "%s",
                 options->proxy_ca ? options->proxy_ca : "");
    } else {
        snprintf(p->proxy_ca, sizeof(p->proxy_ca), "%s/proxy-ca/weir-ca-cert.pem", p->folder);
    }
    if (!load_options_need_network(options)) {
        return start_origins(p, err);
    }
    return load_network_enter(err) && start_origins(p, err) &&
           load_network_redirect(&p->ports, err);
}

void load_processes_end(struct load_processes *p)
{
    int status;

    for (unsigned i = 0; i < LOAD_SIDES_MAX; i++) {
        if (p->proxy_pids[i]) {
            kill(p->proxy_pids[i], SIGKILL);
            (void)reap(p->proxy_pids[i], STOP_NS, &status);
        }
    }
    for (unsigned i = 0; i < LOAD_ORIGINS_MAX; i++) {
        if (p->origin_pids[i]) {
            kill(p->origin_pids[i], SIGKILL);
            (void)reap(p->origin_pids[i], STOP_NS, &status);
        }
    }
    temp_folder_remove(p->folder);
    if (p->shared) {
        munmap(p->shared, sizeof(*p->shared));
    }
}
