/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tools/fetch_helper.h"

#include "core/base/text.h"
#include "core/options.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 20, NUMBER_CAP = 24, ANSWER_CAP = 2048 };

static const char helper_name[] = "weir-fetch";

bool fetch_helper_find(char path[FETCH_HELPER_PATH_CAP], FILE *err)
{
    size_t room = FETCH_HELPER_PATH_CAP - sizeof(helper_name);
    ssize_t len = readlink("/proc/self/exe", path, room);

    if (len <= 0 || (size_t)len == room) {
        fputs("weir signatures fetch: /proc/self/exe does not say where weir is: name the helper "
              "with --helper PATH\n",
              err);
        return false;
    }
    while (len && path[len - 1] != '/') {
        len--;
    }
    memcpy(path + len, helper_name, sizeof(helper_name));
    if (access(path, X_OK) != 0) {
        fprintf(err,
                "weir signatures fetch: %s: %s; it belongs beside weir, or name it with --helper "
                "PATH\n",
                path, strerror(errno));
        return false;
    }
    return true;
}

struct arguments {
    char *items[ARGUMENTS_MAX + 1]; /* the last one stays null */
    size_t count;
};

/* posix_spawn() takes them as if it changed them. */
static void add(struct arguments *arguments, const char *argument)
{
    ASSERT(arguments->count < ARGUMENTS_MAX);
    arguments->items[arguments->count++] = (char *)(uintptr_t)argument;
}

static void add_pair(struct arguments *arguments, const char *name, const char *value)
{
    if (value) {
        add(arguments, name);
        add(arguments, value);
    }
}

/* Returns 0 or an errno. What the helper prints comes through `output`. */
static int spawn(const struct fetch_request *request, int output, pid_t *pid)
{
    struct arguments arguments = {.count = 0};
    posix_spawn_file_actions_t actions;
    char seconds[NUMBER_CAP];
    char bytes[NUMBER_CAP];
    int failed;

    snprintf(seconds, sizeof(seconds), "%u", request->seconds);
    snprintf(bytes, sizeof(bytes), "%zu", request->bytes_max);
    add(&arguments, request->helper);
    add_pair(&arguments, "--ca-file", request->ca_file);
    add_pair(&arguments, "--etag", request->etag);
    add_pair(&arguments, "--last-modified", request->last_modified);
    add_pair(&arguments, "--aws-region", request->region);
    add_pair(&arguments, "--seconds", request->seconds ? seconds : NULL);
    add_pair(&arguments, "--max-bytes", bytes);
    if (request->allow_http) {
        add(&arguments, "--allow-http");
    }
    add_pair(&arguments, "--", request->url);
    add(&arguments, request->path);

    failed = posix_spawn_file_actions_init(&actions);
    if (failed) {
        return failed;
    }
    failed = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    failed = failed ? failed : posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    failed = failed ? failed
                    : posix_spawn(pid, request->helper, &actions, NULL, arguments.items, environ);
    posix_spawn_file_actions_destroy(&actions);
    return failed;
}

/* Until the end, or until `answer` is full. */
static size_t read_answer(int input, char answer[ANSWER_CAP])
{
    size_t len = 0;
    ssize_t count = 1;

    while (len < ANSWER_CAP && (count > 0 || (count < 0 && errno == EINTR))) {
        count = read(input, answer + len, ANSWER_CAP - len);
        len += count > 0 ? (size_t)count : 0;
    }
    return len;
}

static int wait_for(pid_t pid)
{
    int status;

    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            return -1;
        }
    }
    return status;
}

static bool take_line(struct span line, const char *name, struct span *value)
{
    struct span wanted = span_from_string(name);

    *value = span_skip(line, wanted.len);
    return span_equal(span_sub(line, 0, wanted.len), wanted);
}

static void copy_field(char field[FETCH_FIELD_CAP], struct span value)
{
    struct text t = text_make(field, FETCH_FIELD_CAP - 1);

    text_bytes(&t, value);
    field[t.overflow ? 0 : t.len] = '\0';
}

/* False: not what the helper writes. */
static bool parse_answer(struct fetch_reply *reply, struct span answer)
{
    *reply = (struct fetch_reply){.status = 0};
    while (answer.len) {
        struct span line = span_sub(answer, 0, span_find(answer, '\n'));
        struct span value;

        answer = span_skip(answer, line.len + 1);
        if (take_line(line, "status ", &value)) {
            for (size_t i = 0; i < value.len && i < 3; i++) {
                reply->status = reply->status * 10 + (value.data[i] - '0');
            }
        } else if (take_line(line, "etag ", &value)) {
            copy_field(reply->etag, value);
        } else if (take_line(line, "last-modified ", &value)) {
            copy_field(reply->last_modified, value);
        }
    }
    return reply->status >= 100 && reply->status <= 999;
}

int fetch_helper_run(const struct fetch_request *request, struct fetch_reply *reply, FILE *err)
{
    char answer[ANSWER_CAP];
    size_t len = 0;
    int ends[2];
    int status = 0;
    int failed;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) != 0) {
        fprintf(err, "weir signatures fetch: pipe: %s\n", strerror(errno));
        return EXIT_STATUS_RUNTIME;
    }
    failed = spawn(request, ends[1], &pid);
    close(ends[1]);
    if (!failed) {
        len = read_answer(ends[0], answer);
        close(ends[0]);
        status = wait_for(pid);
    } else {
        close(ends[0]);
        fprintf(err, "weir signatures fetch: %s: %s\n", request->helper, strerror(failed));
        return EXIT_STATUS_RUNTIME;
    }
    if (WIFSIGNALED(status)) {
        fprintf(err, "weir signatures fetch: %s: %s was ended by signal %d\n", request->url,
                helper_name, WTERMSIG(status));
        return EXIT_STATUS_UNAVAILABLE;
    }
    if (WEXITSTATUS(status) != 0) {
        return WEXITSTATUS(status);
    }
    if (!parse_answer(reply, span_make(answer, len))) {
        fprintf(err, "weir signatures fetch: %s is no %s of this version\n", request->helper,
                helper_name);
        return EXIT_STATUS_RUNTIME;
    }
    return 0;
}
