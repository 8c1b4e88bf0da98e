/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/load_readings.h"

#include "bench/load_origin.h"
#include "bench/measure.h"
#include "core/base/clock.h"
#include "core/engine/ring.h"

/* Of all the cores that the trial was given. */
static void read_cores(const struct load_plan *plan, struct load_readings *r)
{
    struct proc_core sum = {0};
    bool known = false;

    for (int i = 0; i < plan->cores.count; i++) {
        known |= proc_add_core(plan->cores.list[i], &sum);
    }
    r->cores_ns = known ? sum.busy_ns : -1;
    r->cores_stolen_ns = known ? sum.stolen_ns : -1;
}

static int64_t read_tree(const struct proc_tree *tree)
{
    struct proc_usage usage;
    return tree->count && proc_read_cpu(tree, &usage) ? usage.cpu_ns : -1;
}

static int64_t read_process(pid_t pid)
{
    const struct proc_tree alone = {.count = pid ? 1 : 0, .pids = {pid}};
    return read_tree(&alone);
}

static void list_proxy(const struct load_plan *plan, struct proc_tree *tree)
{
    tree->count = 0;
    if (plan->reads_others && plan->proxy_pid) {
        proc_list(plan->proxy_pid, tree);
    }
}

void load_readings_begin(const struct load_plan *plan, struct load_watched *proxy)
{
    list_proxy(plan, &proxy->processes);
    proc_waits_open(&proxy->waits, &proxy->processes);
}

struct load_readings load_readings_take(const struct load_plan *plan,
                                        const struct load_watched *proxy, const struct ring *own)
{
    struct load_readings r = {
        .own_ns = measure_cpu_ns(),
        .own_looked_ns = (int64_t)ring_stats(own)->looked_ns,
        .wall_ns = clock_monotonic_ns(),
    };

    if (plan->reads_others) {
        r.proxy_ns = read_tree(&proxy->processes);
        r.proxy_waited_ns = proc_waits_read(&proxy->waits);
        for (unsigned i = 0; i < plan->origins; i++) {
            r.origin_ns[i] = read_process(plan->origin_pids[i]);
            r.origin_looked_ns[i] = plan->origin_states[i].looked_ns;
        }
        read_cores(plan, &r);
    }
    return r;
}

static bool is_listed(const struct proc_tree *tree, pid_t pid)
{
    for (unsigned i = 0; i < tree->count; i++) {
        if (tree->pids[i] == pid) {
            return true;
        }
    }
    return false;
}

void load_readings_end(const struct load_plan *plan, struct load_watched *proxy,
                       struct load_readings *r)
{
    struct proc_tree now;

    list_proxy(plan, &now);
    for (unsigned i = 0; i < now.count && r->proxy_ns >= 0; i++) {
        if (!is_listed(&proxy->processes, now.pids[i])) {
            int64_t cpu_ns = read_process(now.pids[i]);
            r->proxy_ns += cpu_ns > 0 ? cpu_ns : 0; /* it may have ended */
        }
    }
    proc_waits_close(&proxy->waits);
}

static int64_t growth(int64_t from_ns, int64_t to_ns)
{
    return from_ns >= 0 && to_ns >= 0 ? to_ns - from_ns : -1;
}

void load_readings_store(const struct load_plan *plan, const struct load_readings *from,
                         const struct load_readings *to, struct load_result *result)
{
    unsigned client = load_plan_first_client(plan) + plan->client;

    result->window_ns = to->wall_ns - from->wall_ns;
    result->client_cpu_ns[client] = to->own_ns - from->own_ns;
    result->client_looked_ns[client] = to->own_looked_ns - from->own_looked_ns;
    result->proxy_cpu_ns = growth(from->proxy_ns, to->proxy_ns);
    result->proxy_waited_ns = growth(from->proxy_waited_ns, to->proxy_waited_ns);
    for (unsigned i = 0; i < plan->origins; i++) {
        result->origin_cpu_ns[i] = growth(from->origin_ns[i], to->origin_ns[i]);
        result->origin_looked_ns[i] = to->origin_looked_ns[i] - from->origin_looked_ns[i];
    }
    result->cores_cpu_ns = growth(from->cores_ns, to->cores_ns);
    result->cores_stolen_ns = growth(from->cores_stolen_ns, to->cores_stolen_ns);
}

bool load_readings_proxy(const struct load_plan *plan, struct proc_usage *usage)
{
    return plan->reads_others && plan->proxy_pid && proc_read_usage(plan->proxy_pid, usage);
}
