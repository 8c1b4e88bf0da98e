/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/load_processes.h"

#include "bench/load_client.h"
#include "bench/load_network.h"
#include "bench/proc.h"
#include "core/base/clock.h"
#include "core/options.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CORES_MAX = 64, PATH_CAP = 512 };

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

static void nap(int64_t ns)
{
    const struct timespec time = {ns / NS_PER_S, ns % NS_PER_S};
    (void)nanosleep(&time, NULL);
}

/* A child that ends with its parent, on these cores; -1 and none: any. 0 in the child, -1: errno.
 */
static pid_t fork_on(const int *cores, int count)
{
    pid_t parent = getpid();
    pid_t pid = fork();

    if (pid == 0) {
        signal(SIGINT, SIG_IGN); /* of the terminal: the parent ends us */
        signal(SIGTERM, SIG_DFL);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        prctl(PR_SET_TIMERSLACK, 1UL);
        if (getppid() != parent || (count && cores[0] >= 0 && !proc_pin_to(cores, count))) {
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
        nap(POLL_NS);
    }
    return true;
}

/* ---- cores ---- */

/* By what there is: the proxy has the last one for itself. */
static void choose_cores(int cores[3])
{
    int allowed[CORES_MAX];
    int count = proc_cores(allowed, CORES_MAX);

    cores[0] = count ? allowed[count - 1] : -1;
    cores[1] = count ? allowed[0] : -1;
    cores[2] = count > 2 ? allowed[1] : cores[1];
}

static bool read_cores(const char *text, int cores[3], FILE *err)
{
    int end = 0;

    if (!text) {
        choose_cores(cores);
        return true;
    }
    if (strcmp(text, "none") == 0) {
        cores[0] = cores[1] = cores[2] = -1;
        return true;
    }
    if (sscanf(text, "%4d,%4d,%4d%n", &cores[0], &cores[1], &cores[2], &end) != 3 || text[end] ||
        cores[0] < 0 || cores[1] < 0 || cores[2] < 0) {
        fputs("weir bench: --cores: three numbers with commas expected, as 1,0,0, or none\n", err);
        return false;
    }
    for (int i = 0; i < 3; i++) {
        int allowed[CORES_MAX];
        int count = proc_cores(allowed, CORES_MAX);
        bool is_there = false;

        for (int j = 0; j < count; j++) {
            is_there |= allowed[j] == cores[i];
        }
        if (!is_there) {
            fprintf(err, "weir bench: --cores: this process may not use core %d\n", cores[i]);
            return false;
        }
    }
    return true;
}

int load_proxy_cores(const struct load_processes *p, unsigned workers, int cores[LOAD_WORKERS_MAX])
{
    int allowed[CORES_MAX];
    int allowed_count = proc_cores(allowed, CORES_MAX);
    int count = 0;

    if (p->cores[0] < 0) {
        return 0;
    }
    cores[count++] = p->cores[0];
    for (int i = allowed_count - 1; i >= 0 && count < (int)workers; i--) {
        if (allowed[i] != p->cores[0] && allowed[i] != p->cores[1] && allowed[i] != p->cores[2]) {
            cores[count++] = allowed[i];
        }
    }
    return count;
}

/* ---- the origin ---- */

static bool start_origin(struct load_processes *p, FILE *err)
{
    char folder[PATH_CAP];
    const char *ca_dir = p->options->ca_dir;
    struct load_listeners listeners;
    int64_t end_ns = clock_monotonic_ns() + START_NS;
    char error[512];

    snprintf(folder, sizeof(folder), "%s/origin-ca", p->folder);
    ca_dir = ca_dir ? ca_dir : folder;
    snprintf(p->origin_ca, sizeof(p->origin_ca), "%s/weir-ca-cert.pem", ca_dir);
    p->ports = p->options->ports;
    if (!load_origin_bind(&p->ports, &listeners, error, sizeof(error))) {
        fprintf(err, "weir bench: origin: %s\n", error);
        return false;
    }
    p->origin_pid = fork_on(&p->cores[2], 1);
    if (p->origin_pid == 0) {
        load_origin_serve(&listeners, ca_dir, &p->shared->origin_is_ready, p->shared->error,
                          sizeof(p->shared->error));
        _exit(EXIT_STATUS_RUNTIME);
    }
    load_origin_unbind(&listeners);
    while (p->origin_pid > 0 && !p->shared->origin_is_ready && clock_monotonic_ns() < end_ns &&
           waitpid(p->origin_pid, NULL, WNOHANG) == 0) {
        nap(POLL_NS);
    }
    if (!p->shared->origin_is_ready) {
        fprintf(err, "weir bench: the origin does not start: %s\n",
                p->shared->error[0] ? p->shared->error : strerror(errno));
    }
    return p->shared->origin_is_ready;
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

static bool write_config(const struct load_processes *p, const struct load_plan *plan,
                         const char *path)
{
    bool is_transparent = load_modes[plan->mode].is_transparent;
    FILE *file = fopen(path, "we");

    if (!file) {
        return false;
    }
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
            "    path: \"%s%s\"\n"
            "drain:\n"
            "  grace: 0s\n",
            plan->workers, is_transparent ? LOAD_NETWORK_PORT : 0,
            is_transparent ? "transparent" : "forward", p->folder, p->origin_ca, p->ports.clear,
            p->ports.tls, p->ports.dns, plan->variant == LOAD_LOGS ? p->folder : "",
            plan->variant == LOAD_LOGS ? "/access.log" : "");
    if (plan->variant == LOAD_BLIND) {
        fputs("detect:\n  databases: []\n", file);
    }
    return fclose(file) == 0;
}

static _Noreturn void exec_proxy(const struct load_processes *p, const char *config,
                                 const char *log)
{
    char *const arguments[] = {"weir", "run", "--config", (char *)(uintptr_t)config, NULL};
    int out = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    (void)p;
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
static bool start_weir(struct load_processes *p, const struct load_plan *plan, FILE *err)
{
    char config[PATH_CAP], log[PATH_CAP];
    int cores[LOAD_WORKERS_MAX];
    int64_t end_ns = clock_monotonic_ns() + START_NS;
    uint16_t port = 0;

    snprintf(config, sizeof(config), "%s/weir.yaml", p->folder);
    snprintf(log, sizeof(log), "%s/weir.log", p->folder);
    (void)unlink(log);
    if (!write_config(p, plan, config)) {
        fprintf(err, "weir bench: %s: %s\n", config, strerror(errno));
        return false;
    }
    p->proxy_pid = fork_on(cores, load_proxy_cores(p, plan->workers, cores));
    if (p->proxy_pid == 0) {
        exec_proxy(p, config, log);
    }
    while (p->proxy_pid > 0 && (port = read_port(log)) == 0) {
        if (clock_monotonic_ns() >= end_ns || waitpid(p->proxy_pid, NULL, WNOHANG) != 0) {
            fputs("weir bench: weir does not start:\n", err);
            say_log(log, err);
            return false;
        }
        nap(POLL_NS);
    }
    return address_parse_ip(&p->proxy, SPAN_LITERAL("127.0.0.1"), port) && p->proxy_pid > 0;
}

bool load_proxy_start(struct load_processes *p, struct load_plan *plan, FILE *err)
{
    if (p->options->proxy) {
        p->proxy_pid = (pid_t)p->options->proxy_pid;
    } else if (!start_weir(p, plan, err)) {
        return false;
    }
    plan->proxy = p->proxy;
    plan->proxy_pid = p->proxy_pid;
    return true;
}

bool load_proxy_stop(struct load_processes *p, FILE *err)
{
    char log[PATH_CAP];
    int status = 0;
    bool has_ended;

    if (p->options->proxy || p->proxy_pid <= 0) {
        return true;
    }
    snprintf(log, sizeof(log), "%s/weir.log", p->folder);
    has_ended = waitpid(p->proxy_pid, &status, WNOHANG) != 0;
    if (!has_ended) {
        kill(p->proxy_pid, SIGTERM);
        has_ended = !reap(p->proxy_pid, STOP_NS, &status);
    }
    p->proxy_pid = 0;
    if (has_ended || status != 0) {
        fputs("weir bench: weir ended by itself, badly, or not at all:\n", err);
        say_log(log, err);
        return false;
    }
    return true;
}

/* ---- a trial ---- */

bool load_trial_run(struct load_processes *p, const struct load_plan *plan,
                    void (*watch)(void *context, const struct load_result *result), void *context,
                    FILE *err)
{
    struct load_shared *shared = p->shared;
    int64_t start_ns = clock_monotonic_ns();
    int64_t limit_ns = plan->warmup_ns + plan->window_ns + TRIAL_MORE_NS;
    int64_t watched_ns = start_ns;
    int status = 0;
    pid_t pid;

    memset(&shared->result, 0, sizeof(shared->result));
    shared->error[0] = '\0';
    pid = fork_on(&plan->core, 1);
    if (pid == 0) {
        bool done = load_client_run(plan, &shared->result, shared->error, sizeof(shared->error));
        _exit(done ? EXIT_STATUS_OK : EXIT_STATUS_RUNTIME);
    }
    while (pid > 0 && waitpid(pid, &status, WNOHANG) == 0) {
        int64_t now_ns = clock_monotonic_ns();

        if (now_ns - start_ns > limit_ns || load_is_interrupted) {
            kill(pid, SIGKILL);
            (void)waitpid(pid, &status, 0);
            fputs(load_is_interrupted ? "weir bench: interrupted\n"
                                      : "weir bench: a trial does not end\n",
                  err);
            return false;
        }
        if (now_ns - watched_ns > WATCH_NS) {
            watched_ns = now_ns;
            watch(context, &shared->result);
        }
        nap(POLL_NS);
    }
    if (pid < 0 || status != 0) {
        fprintf(err, "weir bench: the client could not work: %s\n",
                shared->error[0] ? shared->error : "it ended by a signal");
        return false;
    }
    return true;
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
    return read_cores(options->cores, p->cores, err) &&
           (!options->proxy || parse_proxy(p, options->proxy, err));
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
        return start_origin(p, err);
    }
    return load_network_enter(err) && start_origin(p, err) && load_network_redirect(&p->ports, err);
}

void load_processes_end(struct load_processes *p)
{
    int status;

    if (p->proxy_pid > 0 && !p->options->proxy) {
        kill(p->proxy_pid, SIGKILL);
        (void)reap(p->proxy_pid, STOP_NS, &status);
    }
    if (p->origin_pid > 0) {
        kill(p->origin_pid, SIGKILL);
        (void)reap(p->origin_pid, STOP_NS, &status);
    }
    temp_folder_remove(p->folder);
    if (p->shared) {
        munmap(p->shared, sizeof(*p->shared));
    }
}
