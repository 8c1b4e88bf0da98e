/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tools/program.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATH_CAP = 64, SIGNAL_STATUS = 128 };

FILE *program_file(void)
{
    int fd = memfd_create("weir", MFD_CLOEXEC);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w+");

    if (!file && fd >= 0) {
        close(fd);
    }
    return file;
}

static int add_stream(posix_spawn_file_actions_t *actions, int fd, FILE *file)
{
    if (!file) {
        return posix_spawn_file_actions_addopen(actions, fd, "/dev/null", O_RDWR, 0);
    }
    return posix_spawn_file_actions_adddup2(actions, fileno(file), fd);
}

static int spawn(const struct program *program, const char *path, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    /* posix_spawn() takes them as if it changed them. */
    char *const *arguments = (char *const *)(uintptr_t)program->arguments;
    int failed = posix_spawn_file_actions_init(&actions);

    if (failed) {
        return failed;
    }
    failed = add_stream(&actions, STDIN_FILENO, program->input);
    failed = failed ? failed : add_stream(&actions, STDOUT_FILENO, program->output);
    if (!failed && program->quiet) {
        failed = add_stream(&actions, STDERR_FILENO, NULL);
    }
    failed = failed ? failed : posix_spawnp(pid, path, &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    return failed;
}

int program_run(const struct program *program)
{
    static const char *const folders[] = {"", "/usr/sbin/", "/sbin/"};
    char path[PATH_CAP];
    int failed = ENOENT;
    int status;
    pid_t pid = 0;

    if (program->input) {
        fflush(program->input);
        rewind(program->input);
    }
    for (size_t i = 0; i < COUNT_OF(folders) && failed == ENOENT; i++) {
        snprintf(path, sizeof(path), "%s%s", folders[i], program->arguments[0]);
        failed = spawn(program, path, &pid);
    }
    if (failed) {
        return -failed;
    }
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            return -errno;
        }
    }
    if (program->output) {
        rewind(program->output);
    }
    return WIFSIGNALED(status) ? SIGNAL_STATUS + WTERMSIG(status) : WEXITSTATUS(status);
}
