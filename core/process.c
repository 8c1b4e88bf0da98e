/* SPDX-License-Identifier: Apache-2.0 */
#include "core/process.h"

#include "core/admin/log_sink.h"
#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/base/log.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "core/engine/listener.h"
#include "core/engine/own_address.h"
#include "core/session/session_worker.h"
#include "core/tools/database_folder.h"
#include "tls/ca.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum {
    DESCRIPTORS_RESERVED = 64, /* rings, listeners, logs, the resolver's sockets */
    CONNS_PER_WORKER_MAX = 1 << 20,
};

/* A message from main to one worker. */
struct order {
    struct letter letter;
    struct thread *thread;
    struct snapshot *snapshot; /* publish this one, with a reference; or null: drain */
    uint32_t grace_ms;
};

struct thread {
    struct session_worker worker;
    pthread_t handle;
    struct process *process;
    uint32_t index;
    int cpu; /* to be pinned to; negative: none */
    int *listen_fds;
    int status; /* exit status; EXIT_STATUS_OK unless it could not start */
    bool clean;
};

struct process {
    const struct options *options;
    struct config *config; /* the one it was started with, for what a reload cannot change */
    struct snapshot *snapshot;
    struct session_shared shared;
    struct ca *ca;
    struct leaf_keys *keys;
    struct own_addresses *own;
    struct thread *threads;
    uint32_t thread_count;
    uint32_t threads_running;
    uint32_t conn_cap;
    uint64_t serial;
    int signal_fd;
    pthread_t second; /* waits for the second signal, while draining */
    bool has_second;
    pthread_barrier_t ready;
};

static struct process *the_process; /* for a panic only */

static void describe_process(void)
{
    for (uint32_t i = 0; the_process && i < the_process->thread_count; i++) {
        session_worker_describe(&the_process->threads[i].worker);
    }
}

/* ---- worker threads ---- */

static void pin(const struct thread *thread)
{
    cpu_set_t set;

    if (thread->cpu < 0) {
        return;
    }
    CPU_ZERO(&set);
    CPU_SET((size_t)thread->cpu, &set);
    if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set) != 0) {
        log_write(LOG_WARN, "worker=%u cannot be pinned to cpu %d", thread->index, thread->cpu);
    }
}

static void *run_thread(void *argument)
{
    struct thread *thread = argument;
    struct process *p = thread->process;
    const struct session_worker_options options = {
        .index = thread->index,
        .conn_cap = p->conn_cap,
        .shared = &p->shared,
        .snapshot = p->snapshot,
        .listen_fds = thread->listen_fds,
        .listen_fd_count = p->config->listener_count,
        .own = p->own,
    };
    char error[512];
    char name[16];
    int result;

    snprintf(name, sizeof(name), "weir-%u", thread->index);
    prctl(PR_SET_NAME, name);
    pin(thread);
    result = session_worker_init(&thread->worker, &options, error, sizeof(error));
    if (result < 0) {
        log_write(LOG_ERROR, "%s", error);
        thread->status = EXIT_STATUS_KERNEL;
    }
    pthread_barrier_wait(&p->ready);
    if (result < 0) {
        return NULL;
    }
    session_worker_run(&thread->worker);
    thread->clean = session_worker_fini(&thread->worker);
    return NULL;
}

/* The CPUs we may use, in order; a worker each. */
static int nth_cpu(const cpu_set_t *allowed, uint32_t n)
{
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET((size_t)cpu, allowed) && n-- == 0) {
            return cpu;
        }
    }
    return -1;
}

/* ---- orders to the workers ---- */

static void obey(struct letter *letter)
{
    struct order *order = CONTAINER_OF(letter, struct order, letter);
    struct session_worker *w = &order->thread->worker;

    if (order->snapshot) {
        session_worker_publish(w, order->snapshot);
        snapshot_put(order->snapshot);
    } else {
        session_worker_drain(w, order->grace_ms);
    }
    free(order);
}

static void order_all(struct process *p, struct snapshot *snapshot, uint32_t grace_ms)
{
    for (uint32_t i = 0; i < p->thread_count; i++) {
        struct order *order = calloc(1, sizeof(*order));
        if (!order) {
            log_write(LOG_ERROR, "out of memory: worker %u was not told", i);
            continue;
        }
        order->letter.deliver = obey;
        order->thread = &p->threads[i];
        order->snapshot = snapshot;
        order->grace_ms = grace_ms;
        if (snapshot) {
            atomic_fetch_add(&snapshot->references, 1);
        }
        worker_post(&p->threads[i].worker.engine, &order->letter);
    }
}

/* ---- start ---- */

static int raise_descriptor_limit(struct process *p)
{
    struct rlimit limit;
    uint64_t usable;
    uint64_t wanted = p->config->limits.connections;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    getrlimit(RLIMIT_NOFILE, &limit);
    usable = limit.rlim_cur > DESCRIPTORS_RESERVED + 64ull * p->thread_count
                 ? limit.rlim_cur - DESCRIPTORS_RESERVED - 64ull * p->thread_count
                 : 64;
    /* Two connections a session. */
    if (wanted && wanted * 2 > usable) {
        log_write(LOG_WARN,
                  "limits.connections is %llu, but with %llu open files allowed only %llu are "
                  "possible: raise the limit (LimitNOFILE, ulimit -n)",
                  (unsigned long long)wanted, (unsigned long long)limit.rlim_cur,
                  (unsigned long long)(usable / 2));
    }
    if (wanted && wanted * 2 < usable) {
        usable = wanted * 2;
    }
    usable /= p->thread_count;
    p->conn_cap = (uint32_t)(usable < CONNS_PER_WORKER_MAX ? usable : CONNS_PER_WORKER_MAX);
    if (p->conn_cap < 2) {
        p->conn_cap = 2;
    }
    return EXIT_STATUS_OK;
}

static int open_ca(struct process *p)
{
    char error[512];
    bool created = false;
    char fingerprint[65];
    uint8_t digest[32];
    struct text t = text_make(fingerprint, sizeof(fingerprint) - 1);

    p->ca = ca_open(p->config->intercept.ca_dir, clock_wall_ns() / NS_PER_S, &created, error,
                    sizeof(error));
    if (!p->ca) {
        log_write(LOG_ERROR, "%s", error);
        return EXIT_STATUS_CANNOT_CREATE;
    }
    ca_fingerprint(p->ca, digest);
    text_hex(&t, span_make(digest, sizeof(digest)));
    fingerprint[t.len] = '\0';
    log_write(LOG_INFO, "CA %s: %s, SHA-256 %s, in %s", created ? "made" : "loaded",
              ca_subject(p->ca), fingerprint, p->config->intercept.ca_dir);
    return EXIT_STATUS_OK;
}

struct database *process_load_database(const struct config *config, const char *command)
{
    const struct database_folders folders = {
        .command = command,
        .dirs = (const char *const *)config->detect.databases,
        .count = config->detect.database_count,
        .mode = config->detect.compatible ? DETECT_COMPATIBLE : DETECT_DEFAULT,
        .age_max_days = (int32_t)(config->detect.age_max_s / S_PER_DAY),
        /* A set that is not whole would call others' connections intercepted. */
        .strict = true,
    };
    return database_folders_load(&folders, stderr);
}

/* Workers ask the new set from now on; it is taken. False: they go on with the old one. */
static bool publish_database(struct process *p, struct database *db)
{
    size_t browsers = database_browsers(db)->count;
    size_t products = database_products(db)->count;

    if (!verdict_table_publish(p->shared.verdicts, db)) {
        log_write(LOG_ERROR, "detection: no memory for the new signatures");
        database_free(db);
        return false;
    }
    log_write(LOG_INFO, "detection: %zu browser signatures, %zu of products", browsers, products);
    return true;
}

/* Also where nothing is judged: a reload may change that. */
static int make_verdicts(struct process *p)
{
    struct database *db;

    p->shared.verdicts = verdict_table_new(p->config->detect.verdict_count);
    if (!p->shared.verdicts) {
        log_write(LOG_ERROR, "out of memory at start");
        return EXIT_STATUS_RUNTIME;
    }
    if (p->config->detect.database_count == 0) {
        return EXIT_STATUS_OK;
    }
    db = process_load_database(p->config, "run");
    if (!db) {
        return EXIT_STATUS_CONFIG;
    }
    return publish_database(p, db) ? EXIT_STATUS_OK : EXIT_STATUS_RUNTIME;
}

static struct snapshot *make_snapshot(struct process *p, struct config *config, char *error,
                                      size_t error_cap)
{
    const struct snapshot_options options = {.serial = ++p->serial,
                                             .own_ca_der = ca_certificate_der(p->ca),
                                             .doorman = p->shared.doorman};

    return snapshot_new(config_get(config), &options, error, error_cap);
}

static int make_shared(struct process *p)
{
    const struct config *config = p->config;
    char error[512];

    p->shared.id_seed = random_seed() & 0xffffffffffff;
    p->keys = leaf_keys_new();
    p->shared.leaves = leaf_cache_new(config->intercept.leaf_cache_count);
    if (!p->keys || !p->shared.leaves) {
        log_write(LOG_ERROR, "out of memory at start");
        return EXIT_STATUS_RUNTIME;
    }
    const struct minter_options minter = {.ca = p->ca, .keys = p->keys, .cache = p->shared.leaves};
    p->shared.minter = minter_new(&minter);
    if (!p->shared.minter) {
        log_write(LOG_ERROR, "the minter's thread could not be started");
        return EXIT_STATUS_RUNTIME;
    }
    if (config->log.access_path[0]) {
        p->shared.access_log =
            log_sink_new(config->log.access_path, p->thread_count, error, sizeof(error));
        if (!p->shared.access_log) {
            log_write(LOG_ERROR, "%s", error);
            return EXIT_STATUS_CANNOT_CREATE;
        }
    }
    p->shared.doorman = doorman_new();
    if (!p->shared.doorman) {
        log_write(LOG_ERROR, "the thread that checks passwords could not be started");
        return EXIT_STATUS_RUNTIME;
    }
    p->snapshot = make_snapshot(p, p->config, error, sizeof(error));
    if (!p->snapshot) {
        log_write(LOG_ERROR, "%s", error);
        return EXIT_STATUS_CONFIG;
    }
    return make_verdicts(p);
}

/* All addresses for all workers before any worker runs: the order of a SO_REUSEPORT group is then
 * the order of the workers, and a port that is taken is found before anything was served. */
static int bind_for(struct process *p, const struct config_listener *listener, size_t index)
{
    struct sockaddr_storage address = listener->address.socket_address;
    struct listener_options options = {
        .address = (struct sockaddr *)&address,
        .address_len = listener->address.socket_address_len,
        .transparent = listener->tproxy,
    };
    char error[256];

    for (uint32_t i = 0; i < p->thread_count; i++) {
        options.first = i == 0;
        int fd = listener_bind(&options, error, sizeof(error));
        if (fd < 0) {
            log_write(LOG_ERROR, "%s", error);
            return fd == -EPERM ? EXIT_STATUS_PERMISSION : EXIT_STATUS_CANNOT_CREATE;
        }
        p->threads[i].listen_fds[index] = fd;
        /* Port 0 asks for any port: the other workers share the one that was given. */
        getsockname(fd, (struct sockaddr *)&address, &options.address_len);
    }
    return own_addresses_add(p->own, &address) ? EXIT_STATUS_OK : EXIT_STATUS_RUNTIME;
}

/* Found now, not when the first connection is dialled. */
static int check_mark(struct process *p)
{
    uint32_t mark = p->config->transparent.mark;
    int status = EXIT_STATUS_OK;
    int fd = mark ? socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;

    if (fd < 0) {
        return EXIT_STATUS_OK;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) < 0) {
        log_write(LOG_ERROR,
                  "transparent.mark is %u, but connections cannot be marked: %s; that needs "
                  "CAP_NET_ADMIN: run as root, or with AmbientCapabilities=CAP_NET_ADMIN in the "
                  "unit of systemd",
                  mark, strerror(errno));
        status = EXIT_STATUS_PERMISSION;
    }
    close(fd);
    return status;
}

static bool has_transparent_listener(const struct config *config)
{
    for (size_t i = 0; i < config->listener_count; i++) {
        if (config->listeners[i].mode == LISTENER_TRANSPARENT) {
            return true;
        }
    }
    return false;
}

static int bind_listeners(struct process *p)
{
    int status = EXIT_STATUS_OK;

    p->own = own_addresses_new(has_transparent_listener(p->config));
    if (!p->own) {
        return EXIT_STATUS_RUNTIME;
    }

    for (uint32_t i = 0; i < p->thread_count; i++) {
        p->threads[i].listen_fds = calloc(p->config->listener_count, sizeof(int));
        if (!p->threads[i].listen_fds) {
            return EXIT_STATUS_RUNTIME;
        }
    }
    for (size_t j = 0; j < p->config->listener_count && status == EXIT_STATUS_OK; j++) {
        status = bind_for(p, &p->config->listeners[j], j);
    }
    return status;
}

static int start_threads(struct process *p)
{
    cpu_set_t allowed;
    bool may_pin = sched_getaffinity(0, sizeof(allowed), &allowed) == 0 &&
                   (uint32_t)CPU_COUNT(&allowed) >= p->thread_count;

    pthread_barrier_init(&p->ready, NULL, p->thread_count + 1);
    for (uint32_t i = 0; i < p->thread_count; i++) {
        struct thread *thread = &p->threads[i];
        thread->process = p;
        thread->index = i;
        thread->cpu = may_pin ? nth_cpu(&allowed, i) : -1;
        if (pthread_create(&thread->handle, NULL, run_thread, thread) != 0) {
            /* The others wait at the barrier for one that will never come. */
            log_write(LOG_ERROR, "worker %u: no thread could be started: %s", i, strerror(errno));
            _exit(EXIT_STATUS_RUNTIME);
        }
        p->threads_running++;
    }
    pthread_barrier_wait(&p->ready);
    for (uint32_t i = 0; i < p->thread_count; i++) {
        if (p->threads[i].status != EXIT_STATUS_OK) {
            return p->threads[i].status;
        }
    }
    return EXIT_STATUS_OK;
}

static void say_listening(const struct process *p)
{
    for (size_t j = 0; j < p->config->listener_count; j++) {
        struct sockaddr_storage name;
        socklen_t len = sizeof(name);
        char shown[ADDRESS_TEXT_MAX] = "?";
        /* The real port, also where the configuration asked for any (port 0). */
        if (getsockname(p->threads[0].listen_fds[j], (struct sockaddr *)&name, &len) == 0) {
            struct address address = address_from_storage(&name);
            address_format(&address, shown);
        }
        log_write(LOG_INFO, "listening on %s (%s), %u worker%s", shown,
                  listener_mode_name(p->config->listeners[j].mode), p->thread_count,
                  p->thread_count == 1 ? "" : "s");
    }
}

/* ---- signals ---- */

/* Workers inherit the mask: signals come to main only, and only when it asks. */
static int open_signals(struct process *p)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    signal(SIGPIPE, SIG_IGN);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    p->signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
    return p->signal_fd < 0 ? EXIT_STATUS_RUNTIME : EXIT_STATUS_OK;
}

enum { LOOK_MS = 1000 /* between two looks at files that may change */ };

/* Waits for a signal; meanwhile files that are followed are looked at. */
static void follow_files(const struct process *p)
{
    struct pollfd signals = {.fd = p->signal_fd, .events = POLLIN};

    while ((doorman_has_files(p->shared.doorman) || p->snapshot->ticket_keys) &&
           poll(&signals, 1, LOOK_MS) == 0) {
        doorman_look_at_files(p->shared.doorman);
        snapshot_look_at_files(p->snapshot);
    }
}

static int next_signal(const struct process *p)
{
    struct signalfd_siginfo info;

    for (;;) {
        ssize_t len = read(p->signal_fd, &info, sizeof(info));
        if (len == (ssize_t)sizeof(info)) {
            return (int)info.ssi_signo;
        }
        if (len < 0 && errno != EINTR) {
            return SIGTERM;
        }
    }
}

/* What a reload makes before anything is changed: all of it, or nothing. */
struct renewal {
    struct config *config;
    struct snapshot *snapshot;
    struct database *db; /* null: nothing is to be judged */
};

static bool renewal_init(struct renewal *next, struct process *p)
{
    struct config_report report = {.out = stderr};
    char error[512];

    *next = (struct renewal){.config = config_load(p->options->config_file, &report)};
    if (!next->config) {
        return false;
    }
    if (!config_has_same_listeners(p->config, next->config)) {
        log_write(LOG_ERROR, "reload: listeners were added, taken out or changed in address or "
                             "mode; that needs a new process");
        return false;
    }
    next->snapshot = make_snapshot(p, next->config, error, sizeof(error));
    if (!next->snapshot) {
        log_write(LOG_ERROR, "%s", error);
        return false;
    }
    if (next->config->detect.database_count) {
        next->db = process_load_database(next->config, "run");
    }
    return next->db || !next->config->detect.database_count;
}

static void renewal_fini(struct renewal *next)
{
    if (next->snapshot) {
        snapshot_put(next->snapshot);
    }
    if (next->config) {
        config_put(next->config);
    }
}

static void reload(struct process *p)
{
    struct renewal next;
    const char *fixed;

    if (p->shared.access_log) {
        log_sink_reopen(p->shared.access_log);
    }
    if (!renewal_init(&next, p) || (next.db && !publish_database(p, next.db))) {
        log_write(LOG_ERROR, "reload failed, the old configuration stays in force");
        renewal_fini(&next);
        return;
    }
    fixed = config_first_difference(p->config, next.config, true);
    if (fixed) {
        log_write(LOG_WARN, "reload: %s was changed; that takes effect at the next start", fixed);
    }
    log_set_level((enum log_level)next.config->log.level);
    order_all(p, next.snapshot, 0);
    snapshot_put(p->snapshot);
    p->snapshot = next.snapshot;
    config_put(next.config);
    log_write(LOG_INFO, "configuration reloaded");
}

/* The second signal does not wait for anybody. */
static void *wait_for_second_signal(void *argument)
{
    int number;

    do {
        number = next_signal(argument);
    } while (number == SIGHUP);
    log_write(LOG_WARN, "second signal: ending at once");
    _exit(128 + number);
}

static void serve(struct process *p)
{
    uint32_t grace_ms;

    for (;;) {
        follow_files(p);
        if (next_signal(p) != SIGHUP) {
            break;
        }
        reload(p);
    }
    grace_ms = p->snapshot->config->drain.grace_ms;
    log_write(LOG_INFO, "draining for up to %u ms; a second signal ends at once", grace_ms);
    p->has_second = pthread_create(&p->second, NULL, wait_for_second_signal, p) == 0;
    order_all(p, NULL, grace_ms);
}

/* ---- end ---- */

static bool end_threads(struct process *p)
{
    bool clean = true;

    for (uint32_t i = 0; i < p->threads_running; i++) {
        pthread_join(p->threads[i].handle, NULL);
        clean &= p->threads[i].clean;
    }
    if (p->has_second) {
        pthread_cancel(p->second); /* it waits in read(2), a cancellation point */
        pthread_join(p->second, NULL);
    }
    return clean;
}

static void free_shared(struct process *p)
{
    if (p->shared.minter) {
        minter_free(p->shared.minter);
    }
    log_sink_free(p->shared.access_log);
    if (p->shared.leaves) {
        leaf_cache_free(p->shared.leaves);
    }
    verdict_table_free(p->shared.verdicts);
    if (p->keys) {
        leaf_keys_free(p->keys);
    }
    if (p->ca) {
        ca_free(p->ca);
    }
    if (p->snapshot) {
        snapshot_put(p->snapshot);
    }
    own_addresses_free(p->own);
    if (p->shared.doorman) {
        doorman_free(p->shared.doorman); /* behind the snapshots: they have its files */
    }
    for (uint32_t i = 0; p->threads && i < p->thread_count; i++) {
        free(p->threads[i].listen_fds);
    }
    free(p->threads);
    config_put(p->config);
}

static uint32_t worker_count(const struct config *config)
{
    cpu_set_t allowed;

    if (config->workers) {
        return config->workers;
    }
    return sched_getaffinity(0, sizeof(allowed), &allowed) == 0 ? (uint32_t)CPU_COUNT(&allowed) : 1;
}

static int start(struct process *p)
{
    /* Signals first: every thread made later inherits that it does not take them. */
    int (*const act[])(struct process *) = {
        open_signals, raise_descriptor_limit, open_ca,      make_shared,
        check_mark,   bind_listeners,         start_threads};
    int status = EXIT_STATUS_OK;

    for (size_t i = 0; i < COUNT_OF(act) && status == EXIT_STATUS_OK; i++) {
        status = act[i](p);
    }
    return status;
}

int process_run(const struct options *options)
{
    struct config_report report = {.out = stderr};
    struct process process = {.options = options};
    char error[512];
    bool clean;
    int status;

    hash_set_seed(random_seed());
    process.config = config_load(options->config_file, &report);
    if (!process.config) {
        return EXIT_STATUS_CONFIG;
    }
    log_set_level((enum log_level)process.config->log.level);
    if (ring_self_test(error, sizeof(error)) < 0) {
        log_write(LOG_ERROR, "%s", error);
        config_put(process.config);
        return EXIT_STATUS_KERNEL;
    }
    log_write(LOG_INFO, "%s", error);
    process.thread_count = worker_count(process.config);
    process.threads = calloc(process.thread_count, sizeof(*process.threads));
    if (!process.threads) {
        config_put(process.config);
        return EXIT_STATUS_RUNTIME;
    }
    status = start(&process);
    if (status != EXIT_STATUS_OK) {
        /* Workers that did start are inside the kernel: the end of the process ends them. */
        if (process.threads_running) {
            fflush(stderr);
            _exit(status);
        }
        free_shared(&process);
        return status;
    }
    the_process = &process;
    panic_set_hook(describe_process);
    say_listening(&process);
    serve(&process);
    clean = end_threads(&process);
    the_process = NULL;
    if (process.shared.access_log && log_sink_dropped(process.shared.access_log)) {
        log_write(LOG_WARN,
                  "%llu access log lines were dropped: the log could not be written as "
                  "fast as they came",
                  (unsigned long long)log_sink_dropped(process.shared.access_log));
    }
    if (!clean) {
        log_write(LOG_ERROR, "something was still in flight at the end");
        _exit(EXIT_STATUS_RUNTIME);
    }
    free_shared(&process);
    log_write(LOG_INFO, "ended");
    return EXIT_STATUS_OK;
}
