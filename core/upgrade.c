/* SPDX-License-Identifier: Apache-2.0 */
#include "core/upgrade.h"

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    SOCKETS_MAX = 1025 * 64, /* listeners of all workers, and the admin's */
    WORD_MAX = ADDRESS_TEXT_MAX + 32,
};

#define READY_NS (30 * NS_PER_S)

static const char variable[] = "WEIR_UPGRADE";

/* ---- the new process ---- */

/* A decimal number of at most 9 digits at the front of *text, which is moved past it; -1: none. */
static int32_t take_number(const char **text)
{
    int32_t number = 0;
    int digits = 0;

    while (**text >= '0' && **text <= '9' && digits < 9) {
        number = number * 10 + (*(*text)++ - '0');
        digits++;
    }
    return digits ? number : -1;
}

static bool take_prefix(const char **text, const char *prefix)
{
    size_t len = strlen(prefix);

    if (strncmp(*text, prefix, len) != 0) {
        return false;
    }
    *text += len;
    return true;
}

static bool address_of(int fd, struct address *address)
{
    struct sockaddr_storage name;
    socklen_t len = sizeof(name);

    if (getsockname(fd, (struct sockaddr *)&name, &len) < 0) {
        return false;
    }
    *address = address_from_storage(&name);
    return true;
}

/* "FD=ADDRESS/N": is that descriptor a listening socket of that address? */
static bool take_socket(const char **text, struct upgrade_socket *socket)
{
    char expected[ADDRESS_TEXT_MAX];
    int listening = 0;
    socklen_t len = sizeof(listening);

    socket->fd = take_number(text);
    socket->taken = false;
    if (socket->fd < 3 || !take_prefix(text, "=") || !address_of(socket->fd, &socket->address) ||
        getsockopt(socket->fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) < 0 || !listening) {
        return false;
    }
    address_format(&socket->address, expected);
    if (!take_prefix(text, expected) || !take_prefix(text, "/")) {
        return false;
    }
    socket->listener = take_prefix(text, "admin") ? UPGRADE_ADMIN : take_number(text);
    return socket->listener >= UPGRADE_ADMIN && fcntl(socket->fd, F_SETFD, FD_CLOEXEC) == 0;
}

static bool take_words(struct inheritance *in, const char *text)
{
    if (!take_prefix(&text, "parent=") || take_number(&text) != getppid() ||
        !take_prefix(&text, " ready=")) {
        return false;
    }
    in->ready_fd = take_number(&text);
    if (in->ready_fd < 3 || fcntl(in->ready_fd, F_SETFD, FD_CLOEXEC) < 0) {
        return false;
    }
    while (take_prefix(&text, " ")) {
        if (in->count == SOCKETS_MAX || !take_socket(&text, &in->sockets[in->count])) {
            return false;
        }
        in->count++;
    }
    return *text == '\0';
}

bool inheritance_init(struct inheritance *in, char *error, size_t error_cap)
{
    const char *text = getenv(variable);
    size_t words = 1;
    bool good;

    *in = (struct inheritance){.ready_fd = -1};
    if (!text) {
        return true;
    }
    for (const char *c = text; *c; c++) {
        words += *c == ' ';
    }
    in->sockets = calloc(words, sizeof(*in->sockets));
    good = in->sockets && take_words(in, text);
    unsetenv(variable);
    if (!good) {
        snprintf(error, error_cap,
                 "%s in the environment does not fit: it is for a process that a running weir "
                 "starts; unset it",
                 variable);
        inheritance_fini(in);
    }
    return good;
}

/* Port 0 of the configuration became some port. */
static bool fits(const struct upgrade_socket *socket, const struct config_address *configured,
                 int32_t listener)
{
    struct address wanted = address_from_storage(&configured->socket_address);

    if ((socket->listener == UPGRADE_ADMIN) != (listener == UPGRADE_ADMIN)) {
        return false;
    }
    if (address_port(&wanted) == 0) {
        address_set_port(&wanted, address_port(&socket->address));
        return socket->listener == listener && address_equal(&wanted, &socket->address);
    }
    return address_equal(&wanted, &socket->address);
}

int inheritance_take(struct inheritance *in, const struct config_address *address, int32_t listener)
{
    for (size_t i = 0; i < in->count; i++) {
        struct upgrade_socket *socket = &in->sockets[i];

        if (!socket->taken && fits(socket, address, listener)) {
            socket->taken = true;
            return socket->fd;
        }
    }
    return -1;
}

void inheritance_drop_rest(struct inheritance *in)
{
    for (size_t i = 0; i < in->count; i++) {
        if (!in->sockets[i].taken) {
            close(in->sockets[i].fd);
            in->sockets[i].taken = true;
        }
    }
}

void inheritance_say_ready(struct inheritance *in)
{
    if (in->ready_fd >= 0) {
        ssize_t written = write(in->ready_fd, "r", 1);
        (void)written; /* an old process that is gone has nothing more to drain */
        close(in->ready_fd);
        in->ready_fd = -1;
    }
}

void inheritance_fini(struct inheritance *in)
{
    free(in->sockets);
    in->sockets = NULL;
    in->count = 0;
}

/* ---- the old process ---- */

static char *absolute(const char *path)
{
    char folder[PATH_MAX];
    char *made = NULL;

    if (path[0] == '/') {
        return strdup(path);
    }
    if (!getcwd(folder, sizeof(folder)) || asprintf(&made, "%s/%s", folder, path) < 0) {
        return NULL;
    }
    return made;
}

char *upgrade_program(const char *argv0)
{
    static const char deleted[] = " (deleted)";
    struct stat self, named;
    char path[PATH_MAX];
    ssize_t len;

    if (strchr(argv0, '/') && stat("/proc/self/exe", &self) == 0 && stat(argv0, &named) == 0 &&
        self.st_dev == named.st_dev && self.st_ino == named.st_ino) {
        return absolute(argv0);
    }
    len = readlink("/proc/self/exe", path, sizeof(path) - 1);
    if (len <= 0) {
        return NULL;
    }
    path[len] = '\0';
    if ((size_t)len > sizeof(deleted) - 1 &&
        strcmp(path + len - (sizeof(deleted) - 1), deleted) == 0) {
        path[len - (ssize_t)(sizeof(deleted) - 1)] = '\0';
    }
    return strdup(path);
}

/* "WEIR_UPGRADE=parent=... ready=... FD=ADDRESS/N ..." */
static char *write_variable(int ready_fd, const struct upgrade_socket *sockets, size_t count)
{
    size_t cap = 128 + count * WORD_MAX;
    char *memory = malloc(cap);
    struct text t = text_make(memory, cap - 1);
    char address[ADDRESS_TEXT_MAX];

    if (!memory) {
        return NULL;
    }
    text_printf(&t, "%s=parent=%d ready=%d", variable, (int)getpid(), ready_fd);
    for (size_t i = 0; i < count; i++) {
        address_format(&sockets[i].address, address);
        text_printf(&t, " %d=%s/", sockets[i].fd, address);
        if (sockets[i].listener == UPGRADE_ADMIN) {
            text_string(&t, "admin");
        } else {
            text_signed(&t, sockets[i].listener);
        }
    }
    ASSERT(!t.overflow);
    memory[t.len] = '\0';
    return memory;
}

/* The environment with one more variable; the array is the caller's, the strings are not. */
static char **extend_environment(char *more)
{
    size_t count = 0;
    char **made;

    while (environ[count]) {
        count++;
    }
    made = calloc(count + 2, sizeof(*made));
    if (made) {
        memcpy(made, environ, count * sizeof(*made));
        made[count] = more;
    }
    return made;
}

/* Only these descriptors: a duplicate onto itself is not closed at exec (POSIX). */
static int spawn(pid_t *pid, const char *program, char *const *argv, char **environment,
                 int ready_fd, const struct upgrade_socket *sockets, size_t count)
{
    posix_spawn_file_actions_t actions;
    int result = posix_spawn_file_actions_init(&actions);

    if (result != 0) {
        return result;
    }
    result = posix_spawn_file_actions_adddup2(&actions, ready_fd, ready_fd);
    for (size_t i = 0; i < count && result == 0; i++) {
        result = posix_spawn_file_actions_adddup2(&actions, sockets[i].fd, sockets[i].fd);
    }
    if (result == 0) {
        result = posix_spawn(pid, program, &actions, NULL, argv, environment);
    }
    posix_spawn_file_actions_destroy(&actions);
    return result;
}

bool upgrade_begin(struct upgrade *upgrade, const char *program, char *const *argv,
                   const struct upgrade_socket *sockets, size_t count)
{
    int fds[2];
    int result = ENOMEM;

    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0) {
        log_write(LOG_ERROR, "upgrade: %s; this process goes on", strerror(errno));
        return false;
    }
    char *more = write_variable(fds[1], sockets, count);
    char **environment = more ? extend_environment(more) : NULL;
    if (environment) {
        result = spawn(&upgrade->pid, program, argv, environment, fds[1], sockets, count);
    }
    free(environment);
    free(more);
    close(fds[1]);
    if (result != 0) {
        log_write(LOG_ERROR, "upgrade: cannot start %s: %s; this process goes on", program,
                  strerror(result));
        close(fds[0]);
        upgrade->pid = 0;
        return false;
    }
    upgrade->ready_fd = fds[0];
    upgrade->deadline_ns = clock_monotonic_ns() + READY_NS;
    log_write(LOG_INFO, "upgrade: started %s as process %d", program, (int)upgrade->pid);
    return true;
}

static void report_failure(const struct upgrade *upgrade, int status, bool was_late)
{
    int pid = (int)upgrade->pid;

    if (was_late) {
        log_write(LOG_ERROR,
                  "upgrade: process %d did not serve within %lld s and was ended; this one goes on",
                  pid, (long long)(READY_NS / NS_PER_S));
    } else if (WIFSIGNALED(status)) {
        log_write(LOG_ERROR, "upgrade: process %d was ended by signal %d (%s); this one goes on",
                  pid, WTERMSIG(status), strsignal(WTERMSIG(status)));
    } else {
        log_write(LOG_ERROR,
                  "upgrade: process %d ended with status %d before it served; this one goes on",
                  pid, WEXITSTATUS(status));
    }
}

/* Returns the process's wait status. */
static int end_process(const struct upgrade *upgrade)
{
    int status = 0;

    kill(upgrade->pid, SIGKILL);
    while (waitpid(upgrade->pid, &status, 0) < 0 && errno == EINTR) {
    }
    close(upgrade->ready_fd);
    return status;
}

enum upgrade_outcome upgrade_look(struct upgrade *upgrade)
{
    char byte;
    ssize_t len = read(upgrade->ready_fd, &byte, 1);
    bool is_late = clock_monotonic_ns() >= upgrade->deadline_ns;
    int status;

    if (len == 1) {
        close(upgrade->ready_fd);
        return UPGRADE_DONE;
    }
    if (len < 0 && (errno == EAGAIN || errno == EINTR) && !is_late) {
        return UPGRADE_PENDING;
    }
    /* The pipe's other end is closed: it is ending, which no signal changes any more; or it is
     * late, or no weir. */
    status = end_process(upgrade);
    report_failure(upgrade, status, len < 0);
    upgrade->pid = 0;
    return UPGRADE_FAILED;
}

void upgrade_cancel(struct upgrade *upgrade)
{
    if (upgrade->pid) {
        end_process(upgrade);
        log_write(LOG_WARN, "upgrade: given up, process %d was ended", (int)upgrade->pid);
        upgrade->pid = 0;
    }
}
