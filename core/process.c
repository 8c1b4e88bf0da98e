/* SPDX-License-Identifier: Apache-2.0 */
#include "core/process.h"
#include "core/process_private.h"

#include "core/admin/log_sink.h"
#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/base/log.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "core/engine/listener.h"
#include "core/engine/own_address.h"
#include "core/notify.h"
#include "core/pid_file.h"
#include "core/tools/database_folder.h"
#include "tls/ca.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    DESCRIPTORS_RESERVED = 64, /* rings, listeners, logs, the resolver's sockets */
    ADMIN_DESCRIPTORS = 192,
    CONNS_PER_WORKER_MAX = 1 << 20,
};

static struct process *the_process; /* for a panic only */

static void describe_process(void)
{
    for (uint32_t i = 0; the_process && i < the_process->thread_count; i++) {
        session_worker_describe(&the_process->threads[i].worker);
    }
}

/* ---- worker threads ---- */

/* Workers that share cores do not interrupt each other: who was woken waits until the other sleeps.
 * Otherwise most wake-ups of a busy weir were an interrupt and a switch (sched(7), SCHED_BATCH). */
static void share_cores(const struct thread *thread)
{
    const struct sched_param param = {.sched_priority = 0};

    if (sched_setscheduler(0, SCHED_BATCH, &param) < 0) {
        log_write(LOG_INFO, "worker=%u stays in its scheduling class: %s", thread->index,
                  strerror(errno));
    }
}

static void pin(const struct thread *thread)
{
    cpu_set_t set;

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
        .own = p->own,
    };
    char error[512];
    char name[16];
    int result;

    snprintf(name, sizeof(name), "weir-%u", thread->index);
    prctl(PR_SET_NAME, name);
    if (thread->cpu >= 0) {
        pin(thread);
    } else {
        share_cores(thread);
    }
    result = session_worker_init(&thread->worker, &options, error, sizeof(error));
    if (result < 0) {
        log_write(LOG_ERROR, "%s", error);
        thread->status = EXIT_STATUS_KERNEL;
    }
    pthread_barrier_wait(&p->ready);
    if (result < 0) {
        return NULL;
    }
    pthread_barrier_wait(&p->ready); /* until there are sockets */
    if (worker_listen(&thread->worker.engine, thread->sockets, thread->socket_count) < 0) {
        log_write(LOG_ERROR, "worker %u: out of memory at start", thread->index);
        thread->status = EXIT_STATUS_RUNTIME;
    }
    pthread_barrier_wait(&p->ready);
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

/* ---- start ---- */

static int raise_descriptor_limit(struct process *p)
{
    struct rlimit limit;
    uint64_t reserved, usable;
    uint64_t wanted = p->config->limits.connections;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    getrlimit(RLIMIT_NOFILE, &limit);
    reserved = DESCRIPTORS_RESERVED + 64ull * p->thread_count +
               (p->config->admin.address.socket_address_len ? ADMIN_DESCRIPTORS : 0);
    usable = limit.rlim_cur > reserved ? limit.rlim_cur - reserved : 64;
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
    p->page_ca = (struct page_ca){.der = ca_certificate_der(p->ca),
                                  .subject = ca_subject(p->ca),
                                  .not_after_s = ca_not_after_s(p->ca)};
    memcpy(p->page_ca.sha256, digest, sizeof(digest));
    p->shared.page_ca = &p->page_ca;
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
    return process_publish_database(p, db) ? EXIT_STATUS_OK : EXIT_STATUS_RUNTIME;
}

struct snapshot *process_make_snapshot(struct process *p, struct config *config, char *error,
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
    p->snapshot = process_make_snapshot(p, p->config, error, sizeof(error));
    if (!p->snapshot) {
        log_write(LOG_ERROR, "%s", error);
        return EXIT_STATUS_CONFIG;
    }
    return make_verdicts(p);
}

/* ---- sockets ---- */

static bool give_socket(struct thread *thread, int fd, size_t listener)
{
    struct listen_socket *more =
        reallocarray(thread->sockets, thread->socket_count + 1, sizeof(*more));

    if (!more) {
        log_write(LOG_ERROR, "out of memory at start");
        return false;
    }
    more[thread->socket_count++] = (struct listen_socket){fd, (uint32_t)listener};
    thread->sockets = more;
    return true;
}

/* The sockets that the process before this one has for the address are dealt out to the workers;
 * who is left without gets a new one. */
static int bind_for(struct process *p, size_t index)
{
    const struct config_listener *listener = &p->config->listeners[index];
    struct sockaddr_storage *bound = &p->bound[index];
    struct listener_options options = {
        .address = (struct sockaddr *)bound,
        .address_len = listener->address.socket_address_len,
        .transparent = listener->tproxy,
    };
    char error[256];
    int fd;

    *bound = listener->address.socket_address;
    for (uint32_t count = 0;; count++) {
        fd = inheritance_take(&p->inheritance, &listener->address, (int32_t)index);
        if (fd < 0 && count >= p->thread_count) {
            break;
        }
        if (fd >= 0 && listener_is_transparent(fd) != listener->tproxy) {
            /* The process before this one has the socket still: it is not to be changed. */
            log_write(LOG_ERROR,
                      "tproxy of the listener %s was changed: that needs a stop and a start",
                      listener->address.text);
            return EXIT_STATUS_CANNOT_CREATE;
        }
        if (fd < 0) {
            options.first = count == 0;
            fd = listener_bind(&options, error, sizeof(error));
        }
        if (fd < 0) {
            log_write(LOG_ERROR, "%s", error);
            return fd == -EPERM ? EXIT_STATUS_PERMISSION : EXIT_STATUS_CANNOT_CREATE;
        }
        if (!give_socket(&p->threads[count % p->thread_count], fd, index)) {
            return EXIT_STATUS_RUNTIME;
        }
        /* Port 0 asks for any port: the other workers share the one that was given. */
        options.address_len = sizeof(*bound);
        getsockname(fd, (struct sockaddr *)bound, &options.address_len);
    }
    return own_addresses_add(p->own, bound) ? EXIT_STATUS_OK : EXIT_STATUS_RUNTIME;
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

/* All addresses for all workers when these can serve and do not yet: a port that is taken is found
 * before anything was served, and nobody waits in the queue of a socket that is never read. */
static int bind_listeners(struct process *p)
{
    int status = EXIT_STATUS_OK;

    p->bound = calloc(p->config->listener_count, sizeof(*p->bound));
    if (!p->bound) {
        return EXIT_STATUS_RUNTIME;
    }
    for (size_t j = 0; j < p->config->listener_count && status == EXIT_STATUS_OK; j++) {
        status = bind_for(p, j);
    }
    return status;
}

/* Before the workers know which addresses are weir's own. */
static int bind_admin(struct process *p)
{
    const struct config_address *configured = &p->config->admin.address;
    const struct listener_options options = {
        .address = (const struct sockaddr *)&configured->socket_address,
        .address_len = configured->socket_address_len,
        .first = true,
    };
    socklen_t len = sizeof(p->admin_bound);
    char error[256];

    p->own = own_addresses_new(has_transparent_listener(p->config));
    if (!p->own) {
        return EXIT_STATUS_RUNTIME;
    }
    p->admin_fd = -1;
    if (!configured->socket_address_len) {
        return EXIT_STATUS_OK;
    }
    p->admin_fd = inheritance_take(&p->inheritance, configured, UPGRADE_ADMIN);
    if (p->admin_fd < 0) {
        p->admin_fd = listener_bind(&options, error, sizeof(error));
    }
    if (p->admin_fd < 0) {
        log_write(LOG_ERROR, "%s", error);
        return EXIT_STATUS_CANNOT_CREATE;
    }
    getsockname(p->admin_fd, (struct sockaddr *)&p->admin_bound, &len);
    return own_addresses_add(p->own, &p->admin_bound) ? EXIT_STATUS_OK : EXIT_STATUS_RUNTIME;
}

static int start_admin(struct process *p, const struct admin_service *service)
{
    char error[512];

    if (p->admin_fd < 0) {
        return EXIT_STATUS_OK;
    }
    const struct admin_options options = {
        .fd = p->admin_fd, .ca = &p->page_ca, .config = p->config, .service = service};
    p->admin = admin_new(&options, error, sizeof(error));
    if (!p->admin) {
        log_write(LOG_ERROR, "%s", error);
        return EXIT_STATUS_KERNEL;
    }
    return EXIT_STATUS_OK;
}

/* While this process starts its answer is "starting"; but where another one serves at this address
 * still, the answer is left to that. */
static int start_admin_early(struct process *p)
{
    return p->inheritance.ready_fd < 0 ? start_admin(p, NULL) : EXIT_STATUS_OK;
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

/* The workers take their sockets. */
static int open_for_clients(struct process *p)
{
    pthread_barrier_wait(&p->ready);
    pthread_barrier_wait(&p->ready);
    for (uint32_t i = 0; i < p->thread_count; i++) {
        if (p->threads[i].status != EXIT_STATUS_OK) {
            return p->threads[i].status;
        }
    }
    return EXIT_STATUS_OK;
}

static int say_ready(struct process *p)
{
    struct admin_service service = {.worker_count = p->thread_count, .bound = p->bound};
    int status = EXIT_STATUS_OK;

    p->workers = calloc(p->thread_count, sizeof(struct worker *));
    if (!p->workers) {
        return EXIT_STATUS_RUNTIME;
    }
    for (uint32_t i = 0; i < p->thread_count; i++) {
        p->workers[i] = &p->threads[i].worker.engine;
    }
    service.workers = p->workers;
    if (!p->admin) {
        status = start_admin(p, &service);
    } else if (!admin_set_service(p->admin, &service)) {
        status = EXIT_STATUS_RUNTIME;
    }
    if (status == EXIT_STATUS_OK && !pid_file_write(p->options->pid_file)) {
        status = EXIT_STATUS_CANNOT_CREATE;
    }
    if (status == EXIT_STATUS_OK) {
        notify_ready();
        inheritance_drop_rest(&p->inheritance);
        inheritance_say_ready(&p->inheritance);
    }
    return status;
}

/* With the real port, also where the configuration asked for any (port 0). */
static void say_listening(const struct process *p)
{
    char shown[ADDRESS_TEXT_MAX];
    struct address address;

    for (size_t j = 0; j < p->config->listener_count; j++) {
        address = address_from_storage(&p->bound[j]);
        address_format(&address, shown);
        log_write(LOG_INFO, "listening on %s (%s), %u worker%s", shown,
                  listener_mode_name(p->config->listeners[j].mode), p->thread_count,
                  p->thread_count == 1 ? "" : "s");
    }
    if (p->admin) {
        address = address_from_storage(&p->admin_bound);
        address_format(&address, shown);
        log_write(LOG_INFO, "admin on http://%s/", shown);
    }
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

static bool free_shared(struct process *p)
{
    bool clean = !p->admin || admin_free(p->admin);

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
        free(p->threads[i].sockets);
    }
    free(p->threads);
    free(p->workers);
    free(p->bound);
    free(p->program);
    inheritance_fini(&p->inheritance);
    config_put(p->config);
    return clean;
}

static uint32_t worker_count(const struct config *config)
{
    cpu_set_t allowed;

    if (config->workers) {
        return config->workers;
    }
    return sched_getaffinity(0, sizeof(allowed), &allowed) == 0 ? (uint32_t)CPU_COUNT(&allowed) : 1;
}

/* What was inherited, and the configuration. */
static int prepare(struct process *p)
{
    struct config_report report = {.out = stderr};
    char error[512];

    if (!inheritance_init(&p->inheritance, error, sizeof(error))) {
        log_write(LOG_ERROR, "%s", error);
        return EXIT_STATUS_RUNTIME;
    }
    p->program = upgrade_program(p->argv[0]);
    hash_set_seed(random_seed());
    p->config = config_load(p->options->config_file, &report);
    if (!p->config) {
        return EXIT_STATUS_CONFIG;
    }
    log_set_level((enum log_level)p->config->log.level);
    if (ring_self_test(error, sizeof(error)) < 0) {
        log_write(LOG_ERROR, "%s", error);
        return EXIT_STATUS_KERNEL;
    }
    log_write(LOG_INFO, "%s", error);
    p->thread_count = worker_count(p->config);
    p->threads = calloc(p->thread_count, sizeof(*p->threads));
    return p->threads ? EXIT_STATUS_OK : EXIT_STATUS_RUNTIME;
}

static int start(struct process *p)
{
    /* Signals first: every thread made later inherits that it does not take them. */
    int (*const act[])(struct process *) = {
        process_open_signals, prepare,        raise_descriptor_limit, open_ca,
        check_mark,           bind_admin,     start_admin_early,      make_shared,
        start_threads,        bind_listeners, open_for_clients,       say_ready};
    int status = EXIT_STATUS_OK;

    for (size_t i = 0; i < COUNT_OF(act) && status == EXIT_STATUS_OK; i++) {
        status = act[i](p);
    }
    return status;
}

int process_run(const struct options *options, char **argv)
{
    struct process process = {.options = options, .argv = argv};
    bool clean;
    int status;

    status = start(&process);
    if (status != EXIT_STATUS_OK) {
        /* Workers that did start are inside the kernel: the end of the process ends them. */
        if (process.threads_running) {
            fflush(stderr);
            _exit(status);
        }
        (void)free_shared(&process);
        return status;
    }
    the_process = &process;
    panic_set_hook(describe_process);
    say_listening(&process);
    process_serve(&process);
    clean = end_threads(&process);
    pid_file_remove(options->pid_file);
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
    clean = free_shared(&process);
    log_write(LOG_INFO, "ended");
    return clean ? EXIT_STATUS_OK : EXIT_STATUS_RUNTIME;
}
