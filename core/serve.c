/* SPDX-License-Identifier: Apache-2.0 */
/* serve: what main does while the workers serve: signals, and what they ask for. */
#include "core/process.h"
#include "core/process_private.h"

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/notify.h"
#include "core/pid_file.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

enum { LOOK_MS = 1000 /* between two looks at files that may change */ };

enum order_kind { ORDER_PUBLISH, ORDER_DRAIN, ORDER_END };

/* A message from main to one worker. */
struct order {
    struct letter letter;
    struct thread *thread;
    enum order_kind kind;
    struct snapshot *snapshot;  /* to be published, with a reference */
    uint32_t idle_ms, grace_ms; /* ORDER_END */
};

/* ---- orders to the workers ---- */

static void obey(struct letter *letter)
{
    struct order *order = CONTAINER_OF(letter, struct order, letter);
    struct session_worker *w = &order->thread->worker;

    switch (order->kind) {
    case ORDER_PUBLISH:
        session_worker_publish(w, order->snapshot);
        snapshot_put(order->snapshot);
        break;
    case ORDER_DRAIN:
        session_worker_drain(w);
        break;
    case ORDER_END:
        session_worker_end(w, order->idle_ms, order->grace_ms);
        break;
    }
    free(order);
}

static void order_all(struct process *p, const struct order *what)
{
    for (uint32_t i = 0; i < p->thread_count; i++) {
        struct order *order = malloc(sizeof(*order));
        if (!order) {
            log_write(LOG_ERROR, "out of memory: worker %u was not told", i);
            continue;
        }
        *order = *what;
        order->letter.deliver = obey;
        order->thread = &p->threads[i];
        if (order->snapshot) {
            atomic_fetch_add(&order->snapshot->references, 1);
        }
        worker_post(&p->threads[i].worker.engine, &order->letter);
    }
}

/* ---- signals ---- */

int process_open_signals(struct process *p)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGUSR2);
    signal(SIGPIPE, SIG_IGN);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    p->signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
    return p->signal_fd < 0 ? EXIT_STATUS_RUNTIME : EXIT_STATUS_OK;
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

/* ---- reload ---- */

bool process_publish_database(struct process *p, struct database *db)
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
    next->snapshot = process_make_snapshot(p, next->config, error, sizeof(error));
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
    if (!renewal_init(&next, p) || (next.db && !process_publish_database(p, next.db))) {
        log_write(LOG_ERROR, "reload failed, the old configuration stays in force");
        renewal_fini(&next);
        return;
    }
    fixed = config_first_difference(p->config, next.config, true);
    if (fixed) {
        log_write(LOG_WARN, "reload: %s was changed; that takes effect at the next start", fixed);
    }
    log_set_level((enum log_level)next.config->log.level);
    const struct order publish = {.kind = ORDER_PUBLISH, .snapshot = next.snapshot};
    order_all(p, &publish);
    if (p->admin) {
        admin_set_config(p->admin, next.config);
    }
    snapshot_put(p->snapshot);
    p->snapshot = next.snapshot;
    config_put(next.config);
    log_write(LOG_INFO, "configuration reloaded");
}

/* ---- the end, and the next process ---- */

/* The second signal does not wait for anybody. */
static void *wait_for_second_signal(void *argument)
{
    int number;

    do {
        number = next_signal(argument);
    } while (number == SIGHUP || number == SIGUSR2);
    log_write(LOG_WARN, "second signal: ending at once");
    _exit(128 + number);
}

static void watch_for_second_signal(struct process *p)
{
    p->has_second = pthread_create(&p->second, NULL, wait_for_second_signal, p) == 0;
}

static void order_end(struct process *p, uint32_t idle_ms, uint32_t grace_ms)
{
    const struct order end = {.kind = ORDER_END, .idle_ms = idle_ms, .grace_ms = grace_ms};

    if (p->admin) {
        admin_forget_workers(p->admin);
    }
    order_all(p, &end);
}

/* Not ready, but still accepting; then not accepting; then, with the workers' ends, over. */
static void drain(struct process *p)
{
    static const struct order tell = {.kind = ORDER_DRAIN};
    uint32_t delay_ms = p->snapshot->config->drain.delay_ms;
    uint32_t grace_ms = p->snapshot->config->drain.grace_ms;
    struct timespec delay = {.tv_sec = delay_ms / 1000, .tv_nsec = delay_ms % 1000 * NS_PER_MS};

    upgrade_cancel(&p->upgrade);
    notify_stopping();
    if (p->admin) {
        admin_set_state(p->admin, ADMIN_DRAINING);
    }
    watch_for_second_signal(p);
    if (delay_ms) {
        log_write(LOG_INFO, "draining: not ready any more, accepting for another %u ms", delay_ms);
        order_all(p, &tell);
        nanosleep(&delay, NULL);
    }
    log_write(LOG_INFO,
              "draining: accepting no more, up to %u ms for what is under way; a second signal "
              "ends at once",
              grace_ms);
    order_end(p, 0, grace_ms);
}

/* Who is connected and quiet may ask once more, and is told then: nobody of them knows that there
 * is another process now. */
static void hand_over(struct process *p)
{
    uint32_t grace_ms = p->snapshot->config->drain.grace_ms;

    log_write(LOG_INFO,
              "upgrade: process %d serves; this one ends, up to %u ms for what is under way",
              (int)p->upgrade.pid, grace_ms);
    if (p->admin) {
        admin_set_state(p->admin, ADMIN_HANDED_OVER);
    }
    watch_for_second_signal(p);
    order_end(p, grace_ms, grace_ms);
}

/* All listening sockets, in the order in which they are dealt out again. Null: no memory. */
static struct upgrade_socket *list_sockets(const struct process *p, size_t *count)
{
    size_t cap = 1;
    struct upgrade_socket *sockets;

    *count = 0;
    for (uint32_t i = 0; i < p->thread_count; i++) {
        cap += p->threads[i].socket_count;
    }
    sockets = calloc(cap, sizeof(*sockets));
    for (size_t j = 0; sockets && j < p->config->listener_count; j++) {
        for (uint32_t i = 0; i < p->thread_count; i++) {
            const struct thread *thread = &p->threads[i];
            for (size_t k = 0; k < thread->socket_count; k++) {
                if (thread->sockets[k].listener == j) {
                    sockets[(*count)++] =
                        (struct upgrade_socket){.fd = thread->sockets[k].fd,
                                                .listener = (int32_t)j,
                                                .address = address_from_storage(&p->bound[j])};
                }
            }
        }
    }
    if (sockets && p->admin) {
        sockets[(*count)++] =
            (struct upgrade_socket){.fd = p->admin_fd,
                                    .listener = UPGRADE_ADMIN,
                                    .address = address_from_storage(&p->admin_bound)};
    }
    return sockets;
}

static void begin_upgrade(struct process *p)
{
    struct upgrade_socket *sockets;
    size_t count;
    bool begun;

    if (p->upgrade.pid) {
        log_write(LOG_WARN, "upgrade: one is under way");
        return;
    }
    sockets = list_sockets(p, &count);
    if (sockets && p->program) {
        begun = upgrade_begin(&p->upgrade, p->program, p->argv, sockets, count);
    } else {
        begun = false;
        log_write(LOG_ERROR, "upgrade: %s; this process goes on",
                  sockets ? "the program's path is not known" : "out of memory");
    }
    free(sockets);
    if (!begun) {
        pid_file_write(p->options->pid_file); /* who waits for the outcome looks there */
    }
}

/* In ms; -1: until something happens. */
static int time_to_wait(const struct process *p)
{
    bool has_files = doorman_has_files(p->shared.doorman) || p->snapshot->ticket_keys;
    int64_t left_ms = (p->upgrade.deadline_ns - clock_monotonic_ns()) / NS_PER_MS + 1;

    if (!p->upgrade.pid) {
        return has_files ? LOOK_MS : -1;
    }
    left_ms = has_files && left_ms > LOOK_MS ? LOOK_MS : left_ms;
    return left_ms > 0 ? (int)left_ms : 0;
}

/* The next signal, or 0: the upgrade is to be looked at. Meanwhile files that are followed are. */
static int next_event(const struct process *p)
{
    for (;;) {
        struct pollfd fds[2] = {
            {.fd = p->signal_fd, .events = POLLIN},
            {.fd = p->upgrade.pid ? p->upgrade.ready_fd : -1, .events = POLLIN}};
        int count = poll(fds, COUNT_OF(fds), time_to_wait(p));

        if (fds[0].revents) {
            return next_signal(p);
        }
        if (count == 0) {
            doorman_look_at_files(p->shared.doorman);
            snapshot_look_at_files(p->snapshot);
        }
        if (p->upgrade.pid) {
            return 0;
        }
    }
}

void process_serve(struct process *p)
{
    for (;;) {
        switch (next_event(p)) {
        case SIGHUP:
            reload(p);
            break;
        case SIGUSR2:
            begin_upgrade(p);
            break;
        case 0:
            switch (upgrade_look(&p->upgrade)) {
            case UPGRADE_DONE:
                hand_over(p);
                return;
            case UPGRADE_FAILED:
                pid_file_write(p->options->pid_file);
                break;
            case UPGRADE_PENDING:
                break;
            }
            break;
        default:
            if (p->upgrade.pid && upgrade_look(&p->upgrade) == UPGRADE_DONE) {
                kill(p->upgrade.pid, SIGTERM); /* it came too late: what was meant is the service */
                hand_over(p);
            } else {
                drain(p);
            }
            return;
        }
    }
}
