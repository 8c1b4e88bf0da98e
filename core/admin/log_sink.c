/* SPDX-License-Identifier: Apache-2.0 */
#include "core/admin/log_sink.h"

#include "core/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PIECE_BYTES = 4096,  /* what a pipe takes without waiting when it is writable at all */
    LOOK_MS = 200,       /* how soon the end is noticed while a reader is slow */
    LAST_WAIT_MS = 1000, /* for a reader that takes nothing, at the end */
    NAP_MS = 10,         /* behind lines: those that come meanwhile are written together */
    NAP_BYTES = LOG_SINK_RING_BYTES / 2, /* but so many are not waited for */
};

/* Of the sink's thread. Waking it takes a worker two system calls and a switch of threads, which is
 * more than the line. */
enum { SINK_AWAKE, SINK_NAPPING, SINK_ASLEEP };

/* One worker's ring. Positions only grow; the index is the position modulo the size. */
struct line_ring {
    _Atomic uint64_t written; /* by the worker */
    _Atomic uint64_t read;    /* by the sink's thread */
    _Atomic uint64_t dropped;
    char *bytes;
};

struct log_sink {
    char *path;
    int fd;
    int wake_fd;
    _Atomic int state;
    _Atomic bool ending;
    _Atomic bool reopen;
    bool failing;  /* the last write failed: said once */
    bool is_file;  /* else its reader may be slow, or none */
    bool given_up; /* at the end: nobody reads */
    pthread_t thread;
    uint32_t worker_count;
    struct line_ring *rings;
};

static int open_path(const char *path)
{
    int fd;

    if (strcmp(path, "-") == 0) {
        return dup(STDOUT_FILENO);
    }
    /* A FIFO must not hold up whoever opens it: one that nobody reads yet is opened for both. */
    fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0640);
    if (fd < 0 && errno == ENXIO) {
        fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    }
    return fd;
}

static void use_fd(struct log_sink *sink, int fd)
{
    struct stat status;

    sink->fd = fd;
    sink->is_file = fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

static void write_failed(struct log_sink *sink)
{
    if (!sink->failing) {
        log_write(LOG_ERROR, "access log %s: %s; lines are lost until it can be written again",
                  sink->path, strerror(errno));
        sink->failing = true;
    }
}

/* Waits for a reader: as long as it takes, but at the end of the sink only for a while. */
static bool is_writable(struct log_sink *sink)
{
    while (!sink->given_up) {
        struct pollfd entry = {.fd = sink->fd, .events = POLLOUT};
        bool ending = atomic_load(&sink->ending);
        int count = poll(&entry, 1, ending ? LAST_WAIT_MS : LOOK_MS);
        if (count > 0) {
            return true;
        }
        if (count == 0 && ending) {
            errno = ETIMEDOUT;
            write_failed(sink);
            sink->given_up = true;
        }
    }
    return false;
}

/* What cannot be written is given up: the rings must not fill because of it. */
static void write_all(struct log_sink *sink, const char *bytes, size_t len)
{
    while (len) {
        size_t piece = sink->is_file || len < PIECE_BYTES ? len : PIECE_BYTES;
        ssize_t count;
        if (!sink->is_file && !is_writable(sink)) {
            return;
        }
        count = write(sink->fd, bytes, piece);
        if (count < 0 && (errno == EINTR || errno == EAGAIN)) {
            continue;
        }
        if (count <= 0) {
            write_failed(sink);
            return;
        }
        sink->failing = false;
        bytes += count;
        len -= (size_t)count;
    }
}

static bool empty_rings(struct log_sink *sink)
{
    bool any = false;

    for (uint32_t i = 0; i < sink->worker_count; i++) {
        struct line_ring *ring = &sink->rings[i];
        /* In one order with `state`, which an acquiring load alone may overtake. */
        uint64_t written = atomic_load(&ring->written);
        uint64_t read = atomic_load_explicit(&ring->read, memory_order_relaxed);
        while (read < written) {
            size_t at = read % LOG_SINK_RING_BYTES;
            size_t len = LOG_SINK_RING_BYTES - at;
            if (len > written - read) {
                len = (size_t)(written - read);
            }
            write_all(sink, ring->bytes + at, len);
            read += len;
            atomic_store_explicit(&ring->read, read, memory_order_release);
            any = true;
        }
    }
    return any;
}

static void reopen_if_asked(struct log_sink *sink)
{
    int fd;

    if (!atomic_exchange(&sink->reopen, false)) {
        return;
    }
    fd = open_path(sink->path);
    if (fd < 0) {
        log_write(LOG_ERROR, "access log %s: %s; the old file is kept", sink->path,
                  strerror(errno));
        return;
    }
    close(sink->fd);
    use_fd(sink, fd);
}

static void wait_for_wake(struct log_sink *sink, int limit_ms)
{
    struct pollfd entry = {.fd = sink->wake_fd, .events = POLLIN};
    uint64_t count;

    if (poll(&entry, 1, limit_ms) > 0 && read(sink->wake_fd, &count, sizeof(count)) < 0) {
        /* EINTR only: it is woken once more. */
    }
    atomic_store(&sink->state, SINK_AWAKE);
}

static void *run(void *argument)
{
    struct log_sink *sink = argument;

    for (;;) {
        bool ending = atomic_load(&sink->ending);
        reopen_if_asked(sink);
        if (empty_rings(sink)) {
            atomic_store(&sink->state, SINK_NAPPING);
            wait_for_wake(sink, ending ? 0 : NAP_MS);
            continue;
        }
        if (ending) {
            return NULL;
        }
        /* Announce sleep, then look once more: a line written in between is not left lying. */
        atomic_store(&sink->state, SINK_ASLEEP);
        if (!empty_rings(sink) && !atomic_load(&sink->ending)) {
            wait_for_wake(sink, -1);
        }
    }
}

static void wake(struct log_sink *sink)
{
    const uint64_t one = 1;

    if (write(sink->wake_fd, &one, sizeof(one)) < 0) {
        /* The counter is full: it is awake. */
    }
}

struct log_sink *log_sink_new(const char *path, uint32_t worker_count, char *error,
                              size_t error_cap)
{
    struct log_sink *sink = calloc(1, sizeof(*sink));
    const char *what = "out of memory";

    if (!sink) {
        goto failed;
    }
    sink->fd = -1;
    sink->wake_fd = -1;
    sink->path = strdup(path);
    sink->rings = calloc(worker_count, sizeof(*sink->rings));
    if (!sink->path || !sink->rings) {
        goto failed;
    }
    sink->worker_count = worker_count;
    for (uint32_t i = 0; i < worker_count; i++) {
        sink->rings[i].bytes = malloc(LOG_SINK_RING_BYTES);
        if (!sink->rings[i].bytes) {
            goto failed;
        }
    }
    use_fd(sink, open_path(path));
    if (sink->fd < 0) {
        what = strerror(errno);
        goto failed;
    }
    sink->wake_fd = eventfd(0, EFD_CLOEXEC);
    if (sink->wake_fd < 0 || pthread_create(&sink->thread, NULL, run, sink) != 0) {
        what = "no thread could be started";
        goto failed;
    }
    return sink;

failed:
    snprintf(error, error_cap, "access log %s: %s (log.access.path)", path, what);
    if (sink) {
        for (uint32_t i = 0; sink->rings && i < worker_count; i++) {
            free(sink->rings[i].bytes);
        }
        free(sink->rings);
        free(sink->path);
        if (sink->fd >= 0) {
            close(sink->fd);
        }
        if (sink->wake_fd >= 0) {
            close(sink->wake_fd);
        }
        free(sink);
    }
    return NULL;
}

void log_sink_write(struct log_sink *sink, uint32_t worker, struct span line)
{
    struct line_ring *ring = &sink->rings[worker];
    uint64_t written = atomic_load_explicit(&ring->written, memory_order_relaxed);
    uint64_t read = atomic_load_explicit(&ring->read, memory_order_acquire);
    size_t at = written % LOG_SINK_RING_BYTES;
    size_t first = LOG_SINK_RING_BYTES - at;
    int state;

    if (line.len > LOG_SINK_RING_BYTES - (written - read)) {
        atomic_fetch_add_explicit(&ring->dropped, 1, memory_order_relaxed);
        return;
    }
    if (first > line.len) {
        first = line.len;
    }
    memcpy(ring->bytes + at, line.data, first);
    memcpy(ring->bytes, line.data + first, line.len - first);
    /* Sequentially consistent, like `state`: either we see it asleep or it sees our line. */
    atomic_store(&ring->written, written + line.len);
    state = atomic_load(&sink->state);
    if ((state == SINK_ASLEEP ||
         (state == SINK_NAPPING && written + line.len - read > NAP_BYTES)) &&
        atomic_exchange(&sink->state, SINK_AWAKE) != SINK_AWAKE) {
        wake(sink);
    }
}

void log_sink_reopen(struct log_sink *sink)
{
    atomic_store(&sink->reopen, true);
    wake(sink);
}

uint64_t log_sink_dropped(const struct log_sink *sink)
{
    uint64_t dropped = 0;

    for (uint32_t i = 0; i < sink->worker_count; i++) {
        dropped += atomic_load_explicit(&sink->rings[i].dropped, memory_order_relaxed);
    }
    return dropped;
}

void log_sink_free(struct log_sink *sink)
{
    if (!sink) {
        return;
    }
    atomic_store(&sink->ending, true);
    wake(sink);
    pthread_join(sink->thread, NULL);
    for (uint32_t i = 0; i < sink->worker_count; i++) {
        free(sink->rings[i].bytes);
    }
    close(sink->fd);
    close(sink->wake_fd);
    free(sink->rings);
    free(sink->path);
    free(sink);
}
