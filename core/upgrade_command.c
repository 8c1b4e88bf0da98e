/* SPDX-License-Identifier: Apache-2.0 */
#include "core/upgrade_command.h"

#include "core/base/clock.h"
#include "core/pid_file.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define OUTCOME_NS (40 * NS_PER_S) /* longer than a new process has to serve */

/* Does it wait for SIGUSR2 as weir does, by blocking it? Whoever does not would be ended by it. */
static bool waits_for_signal(pid_t pid)
{
    char path[64];
    char line[256];
    unsigned long long blocked = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    file = fopen(path, "re");
    if (!file) {
        return false;
    }
    while (fgets(line, sizeof(line), file)) {
        if (strncmp(line, "SigBlk:", 7) == 0) {
            blocked = strtoull(line + 7, NULL, 16);
        }
    }
    fclose(file);
    return blocked & 1ULL << (SIGUSR2 - 1);
}

static int send_signal(pid_t pid, FILE *err)
{
    if (kill(pid, 0) < 0) {
        fprintf(err, "weir upgrade: process %d: %s\n", (int)pid,
                errno == ESRCH ? "there is no such process; is weir running?" : strerror(errno));
        return errno == EPERM ? EXIT_STATUS_PERMISSION : EXIT_STATUS_UNAVAILABLE;
    }
    if (!waits_for_signal(pid)) {
        fprintf(err,
                "weir upgrade: process %d does not wait for SIGUSR2: it is no weir, or one that "
                "starts or ends, or one too old for this\n",
                (int)pid);
        return EXIT_STATUS_UNAVAILABLE;
    }
    if (kill(pid, SIGUSR2) < 0) {
        fprintf(err, "weir upgrade: process %d: %s\n", (int)pid, strerror(errno));
        return EXIT_STATUS_RUNTIME;
    }
    return EXIT_STATUS_OK;
}

/* The file is written anew with every outcome. */
static int wait_for_outcome(const struct options *options, pid_t pid, const struct stat *before,
                            FILE *out, FILE *err)
{
    const struct timespec pause = {.tv_nsec = 20 * NS_PER_MS};
    int64_t give_up_ns = clock_monotonic_ns() + OUTCOME_NS;
    struct stat now;

    while (clock_monotonic_ns() < give_up_ns) {
        if (stat(options->pid_file, &now) == 0 &&
            (now.st_ino != before->st_ino || now.st_mtim.tv_sec != before->st_mtim.tv_sec ||
             now.st_mtim.tv_nsec != before->st_mtim.tv_nsec)) {
            pid_t next = pid_file_read(options->pid_file);
            if (next != pid && next != 0) {
                fprintf(out, "process %d took over from %d\n", (int)next, (int)pid);
                return EXIT_STATUS_OK;
            }
            break;
        }
        nanosleep(&pause, NULL);
    }
    fprintf(err, "weir upgrade: no new process came up; %d goes on, and its log says why\n",
            (int)pid);
    return EXIT_STATUS_RUNTIME;
}

int upgrade_command_run(const struct options *options, FILE *out, FILE *err)
{
    struct stat before = {0};
    pid_t pid = (pid_t)options->pid;
    int status;

    errno = 0;
    if (options->pid_file) {
        pid = stat(options->pid_file, &before) == 0 ? pid_file_read(options->pid_file) : 0;
        if (pid == 0) {
            fprintf(err, "weir upgrade: %s names no process: %s\n", options->pid_file,
                    errno ? strerror(errno) : "it is not a file of weir run --pid-file");
            return EXIT_STATUS_UNAVAILABLE;
        }
    }
    status = send_signal(pid, err);
    if (status != EXIT_STATUS_OK) {
        return status;
    }
    if (options->pid_file) {
        return wait_for_outcome(options, pid, &before, out, err);
    }
    fprintf(out, "process %d was told; its log says what came of it\n", (int)pid);
    return EXIT_STATUS_OK;
}
