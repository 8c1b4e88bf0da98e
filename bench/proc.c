/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/proc.h"

#include "core/base/clock.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PATH_CAP = 96, STAT_CAP = 1024 };

struct parentage {
    pid_t pid, parent;
};

/* The whole of a small file, with a NUL. False: it is not there. */
static bool read_small(const char *path, char *text, size_t cap)
{
    FILE *file = fopen(path, "re");
    size_t len;

    if (!file) {
        return false;
    }
    len = fread(text, 1, cap - 1, file);
    text[len] = '\0';
    fclose(file);
    return len > 0;
}

/* What stands behind the name, which may hold anything, even ")". */
static const char *behind_name(const char *stat)
{
    const char *end = strrchr(stat, ')');
    return end && end[1] ? end + 2 : NULL;
}

static pid_t parent_of(pid_t pid)
{
    char path[PATH_CAP], stat[STAT_CAP];
    const char *rest;
    int parent;
    char state;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    if (!read_small(path, stat, sizeof(stat)) || !(rest = behind_name(stat)) ||
        sscanf(rest, "%c %d", &state, &parent) != 2 || state == 'Z') {
        return -1;
    }
    return parent;
}

void proc_list(pid_t root, struct proc_tree *tree)
{
    enum { PROCESSES_MAX = 65536 };
    struct parentage *all = calloc(PROCESSES_MAX, sizeof(*all));
    DIR *folder = opendir("/proc");
    unsigned all_count = 0;
    struct dirent *entry;

    tree->count = 1;
    tree->pids[0] = root;
    while (all && folder && (entry = readdir(folder)) && all_count < PROCESSES_MAX) {
        if (isdigit((unsigned char)entry->d_name[0])) {
            pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
            all[all_count++] = (struct parentage){pid, parent_of(pid)};
        }
    }
    for (unsigned i = 0; i < tree->count; i++) {
        for (unsigned j = 0; j < all_count && tree->count < PROC_TREE_MAX; j++) {
            if (all[j].parent == tree->pids[i]) {
                tree->pids[tree->count++] = all[j].pid;
            }
        }
    }
    if (folder) {
        closedir(folder);
    }
    free(all);
}

/* Of all its threads, also those that have ended. False: there is no such process. */
static bool add_cpu(pid_t pid, struct proc_usage *usage)
{
    struct timespec time;
    clockid_t clock;

    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &time) != 0) {
        return false;
    }
    usage->cpu_ns += time.tv_sec * NS_PER_S + time.tv_nsec;
    usage->process_count++;
    return true;
}

static void add_memory(pid_t pid, struct proc_usage *usage)
{
    char path[PATH_CAP], line[256];
    long long kib;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
    file = fopen(path, "re");
    while (file && fgets(line, sizeof(line), file)) {
        if (sscanf(line, "Anonymous: %lld kB", &kib) == 1 ||
            sscanf(line, "Swap: %lld kB", &kib) == 1) {
            usage->anonymous_kib += kib;
        }
    }
    if (file) {
        fclose(file);
    }
}

bool proc_read_cpu(const struct proc_tree *tree, struct proc_usage *usage)
{
    *usage = (struct proc_usage){0};
    if (!add_cpu(tree->pids[0], usage)) {
        return false;
    }
    for (unsigned i = 1; i < tree->count; i++) {
        (void)add_cpu(tree->pids[i], usage); /* it may have ended */
    }
    return true;
}

bool proc_read_usage(pid_t root, struct proc_usage *usage)
{
    struct proc_tree tree;

    proc_list(root, &tree);
    if (!proc_read_cpu(&tree, usage)) {
        return false;
    }
    for (unsigned i = 0; i < tree.count; i++) {
        add_memory(tree.pids[i], usage);
    }
    return true;
}

/* False: there are more threads than there is room for. */
static bool add_waits(struct proc_waits *waits, pid_t pid)
{
    char path[PATH_CAP];
    struct dirent *entry;
    DIR *folder;
    bool has_room = true;

    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    folder = opendir(path);
    while (folder && has_room && (entry = readdir(folder))) {
        int file;

        if (!isdigit((unsigned char)entry->d_name[0])) {
            continue;
        }
        snprintf(path, sizeof(path), "/proc/%d/task/%.20s/schedstat", (int)pid, entry->d_name);
        file = open(path, O_RDONLY | O_CLOEXEC);
        has_room = file < 0 || waits->count < PROC_WAITS_MAX; /* it may have ended */
        if (file >= 0 && has_room) {
            waits->files[waits->count++] = file;
        } else if (file >= 0) {
            close(file);
        }
    }
    if (folder) {
        closedir(folder);
    }
    return has_room;
}

void proc_waits_open(struct proc_waits *waits, const struct proc_tree *tree)
{
    waits->count = 0;
    for (unsigned i = 0; i < tree->count; i++) {
        if (!add_waits(waits, tree->pids[i])) {
            proc_waits_close(waits);
            return;
        }
    }
}

int64_t proc_waits_read(const struct proc_waits *waits)
{
    bool is_told = false; /* a kernel that does not count has zeros alone */
    int64_t sum_ns = 0;

    for (unsigned i = 0; i < waits->count; i++) {
        char text[PATH_CAP];
        ssize_t len = pread(waits->files[i], text, sizeof(text) - 1, 0);
        long long ran_ns, waited_ns;

        text[len > 0 ? len : 0] = '\0';
        if (sscanf(text, "%lld %lld", &ran_ns, &waited_ns) == 2) { /* it may have ended */
            is_told |= ran_ns > 0;
            sum_ns += waited_ns;
        }
    }
    return is_told ? sum_ns : -1;
}

void proc_waits_close(struct proc_waits *waits)
{
    while (waits->count) {
        close(waits->files[--waits->count]);
    }
}

bool proc_pin(int core)
{
    return proc_pin_to(&core, 1);
}

bool proc_pin_to(const int *cores, int count)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    for (int i = 0; i < count; i++) {
        CPU_SET((size_t)cores[i], &set);
    }
    return sched_setaffinity(0, sizeof(set), &set) == 0;
}

bool proc_add_core(int core, struct proc_core *sum)
{
    const int64_t tick_ns = NS_PER_S / sysconf(_SC_CLK_TCK);
    FILE *file = fopen("/proc/stat", "re");
    bool found = false;
    char line[256];

    while (file && !found && fgets(line, sizeof(line), file)) {
        unsigned long long user, nice, system, idle, wait, irq, softirq, stolen;
        int number;

        if (sscanf(line, "cpu%d %llu %llu %llu %llu %llu %llu %llu %llu", &number, &user, &nice,
                   &system, &idle, &wait, &irq, &softirq, &stolen) == 9 &&
            number == core) {
            sum->busy_ns += (int64_t)(user + nice + system + irq + softirq) * tick_ns;
            sum->stolen_ns += (int64_t)stolen * tick_ns;
            found = true;
        }
    }
    if (file) {
        fclose(file);
    }
    return found;
}

int proc_cores(int *cores, int cap)
{
    cpu_set_t set;
    int count = 0;

    if (sched_getaffinity(0, sizeof(set), &set) < 0) {
        return 0;
    }
    for (int core = 0; core < CPU_SETSIZE && count < cap; core++) {
        if (CPU_ISSET((size_t)core, &set)) {
            cores[count++] = core;
        }
    }
    return count;
}
