/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_sessions: runs worlds (sim_world.h) from seeds, each in a process of its own, so that each is
 * the same whichever went before, and one that fails does not end the others.
 *
 *     sim_sessions [--from N] [--count N] [--profile calm|rough|storm|rough-old] [--verify]
 * [--first] sim_sessions --seed N [--profile P] [--trace] [--log]
 *
 * Without a profile the seed picks it. --verify runs each seed twice and compares the traces;
 * --first stops at the first one that fails.
 */
#include "tests/sim/sim_world.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FAILURES_MAX = 10, RUN_SECONDS_MAX = 120 };

struct arguments {
    uint64_t from;
    uint64_t count;
    const struct sim_profile *profile;
    bool one;
    bool trace;
    bool log;
    bool verify;
    bool first;
};

static struct sim_profile profiles[4];

static const struct sim_profile *profile_named(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(profiles); i++) {
        if (strcmp(profiles[i].name, name) == 0) {
            return &profiles[i];
        }
    }
    fprintf(stderr, "no such profile: %s\n", name);
    exit(64);
}

static void make_profiles(void)
{
    profiles[0] = sim_profile_calm;
    profiles[1] = sim_profile_rough;
    profiles[2] = sim_profile_storm;
    profiles[3] = sim_profile_rough; /* as kernels before 6.17 */
    profiles[3].name = "rough-old";
    profiles[3].without_recv_cap = true;
}

static const struct sim_profile *profile_of(const struct arguments *a, uint64_t seed)
{
    return a->profile ? a->profile : &profiles[seed % COUNT_OF(profiles)];
}

static struct arguments parse(int argc, char **argv)
{
    struct arguments a = {.from = 1, .count = 100};

    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "0";
        if (strcmp(argv[i], "--trace") == 0) {
            a.trace = true;
        } else if (strcmp(argv[i], "--log") == 0) {
            a.log = true;
        } else if (strcmp(argv[i], "--verify") == 0) {
            a.verify = true;
        } else if (strcmp(argv[i], "--first") == 0) {
            a.first = true;
        } else if (strcmp(argv[i], "--from") == 0) {
            a.from = strtoull(value, NULL, 10), i++;
        } else if (strcmp(argv[i], "--count") == 0) {
            a.count = strtoull(value, NULL, 10), i++;
        } else if (strcmp(argv[i], "--profile") == 0) {
            a.profile = profile_named(value), i++;
        } else if (strcmp(argv[i], "--seed") == 0) {
            a.from = strtoull(value, NULL, 10), a.count = 1, a.one = true, i++;
        } else {
            fprintf(stderr, "unknown option: %s\n", argv[i]);
            exit(64);
        }
    }
    return a;
}

static void add(struct world_result *sum, const struct world_result *one)
{
    uint64_t *to = (uint64_t *)sum;
    const uint64_t *from = (const uint64_t *)one;

    for (size_t i = 0; i < sizeof(*sum) / sizeof(uint64_t); i++) {
        to[i] += from[i];
    }
}

/* In a child. True when it went well. */
static bool run_apart(const struct arguments *a, uint64_t seed, struct world_result *shared)
{
    int status;
    pid_t pid;

    memset(shared, 0, sizeof(*shared));
    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        alarm(RUN_SECONDS_MAX);
        world_run(seed, profile_of(a, seed), a->log, shared);
        exit(0);
    }
    ASSERT(pid > 0);
    waitpid(pid, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        return true;
    }
    fprintf(stderr, "FAILED: seed %llu profile %s (%s %d)\n", (unsigned long long)seed,
            profile_of(a, seed)->name, WIFSIGNALED(status) ? "signal" : "status",
            WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    return false;
}

static void report(const struct world_result *r)
{
    printf("runs %llu, events %llu, sessions %llu, requests logged %llu, log lines %llu, faults "
           "%llu, failures of the heap %llu\n",
           (unsigned long long)r->runs, (unsigned long long)r->events,
           (unsigned long long)r->sessions, (unsigned long long)r->requests,
           (unsigned long long)r->log_lines, (unsigned long long)r->faults,
           (unsigned long long)r->heap_failures);
    printf("visits %llu (%llu strict), exchanges %llu (%llu whole), raw bytes %llu, spliced %llu\n",
           (unsigned long long)r->visits, (unsigned long long)r->strict_visits,
           (unsigned long long)r->exchanges, (unsigned long long)r->exchanges_whole,
           (unsigned long long)r->raw_bytes, (unsigned long long)r->spliced_bytes);
    printf("parked %llu, starved %llu, private receives %llu, accept pauses %llu\n",
           (unsigned long long)r->parked_bytes, (unsigned long long)r->starved,
           (unsigned long long)r->private_receives, (unsigned long long)r->accept_pauses);
    printf("leaf hits %llu, recalls %llu, resumed with servers %llu, by clients %llu, %llu s of "
           "virtual time\n",
           (unsigned long long)r->leaf_hits, (unsigned long long)r->recalls,
           (unsigned long long)r->server_resumptions, (unsigned long long)r->client_resumptions,
           (unsigned long long)(r->virtual_ns / 1000000000u));
    printf("server connections taken over %llu, requests sent again %llu\n",
           (unsigned long long)r->taken_over, (unsigned long long)r->sent_again);
    for (int i = 1; i < CLOSE_REASON_COUNT; i++) {
        printf("  %-20s %llu\n", close_reason_name((enum close_reason)i),
               (unsigned long long)r->closed[i]);
    }
}

static void report_completions(const struct world_result *r)
{
    static const char *const kinds[SIM_KINDS] = {
        [RING_ACCEPT] = "accept",       [RING_RECV] = "recv",
        [RING_RECV_INTO] = "recv_into", [RING_SEND] = "send",
        [RING_POLL_IN] = "poll in",     [RING_POLL_OUT] = "poll out",
        [RING_CONNECT] = "connect",     [RING_POLL_BROKEN] = "poll broken",
    };

    for (int i = 0; i < SIM_KINDS; i++) {
        for (int j = 0; j < SIM_ERRNOS; j++) {
            if (r->completions[i][j]) {
                printf("  %-11s %-14s %llu\n", kinds[i] ? kinds[i] : "?",
                       j ? strerrorname_np(j) : "good", (unsigned long long)r->completions[i][j]);
            }
        }
    }
}

/* Chance from the processor would come past the seed: hidden before the library looks. */
static void hide_processor_random(char **argv)
{
    static const char name[] = "OPENSSL_ia32cap";

    if (!getenv(name)) {
        setenv(name, "~0x4000000000000000:~0x40000", 1);
        execv("/proc/self/exe", argv);
    }
}

int main(int argc, char **argv)
{
    struct arguments a;
    struct world_result *shared;
    struct world_result sum = {0};
    int failures = 0;

    hide_processor_random(argv);
    signal(SIGPIPE, SIG_IGN); /* a reader that has seen enough leaves no files behind */
    make_profiles();
    a = parse(argc, argv);
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT(shared != MAP_FAILED);
    world_set_random(1);
    world_prepare();
    if (a.trace) {
        setenv("WEIR_SIM_TRACE", "1", 1);
    }
    for (uint64_t seed = a.from; seed < a.from + a.count && failures < (a.first ? 1 : FAILURES_MAX);
         seed++) {
        bool good = run_apart(&a, seed, shared);
        uint64_t hash = shared->trace_hash;
        if (good && a.verify) {
            good = run_apart(&a, seed, shared) && shared->trace_hash == hash;
            if (!good) {
                fprintf(stderr, "FAILED: seed %llu is not reproducible\n",
                        (unsigned long long)seed);
            }
        }
        failures += !good;
        if (good) {
            add(&sum, shared);
        }
        if (a.one) {
            printf("seed %llu profile %s: trace %016llx\n", (unsigned long long)seed,
                   profile_of(&a, seed)->name, (unsigned long long)hash);
        }
    }
    report(&sum);
    report_completions(&sum);
    world_tidy();
    return failures ? 1 : 0;
}
