/* SPDX-License-Identifier: Apache-2.0 */
#include "core/admin/log_sink.h"

#include "core/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

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
    _Atomic bool asleep;
    _Atomic bool ending;
    _Atomic bool reopen;
    bool failing; /* the last write failed: said once */
    pthread_t thread;
    uint32_t worker_count;
    struct line_ring *rings;
};

static int open_path(const char *path)
{
    if (strcmp(path, "-") == 0) {
        return dup(STDOUT_FILENO);
    }
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
}

static void write_failed(struct log_sink *sink)
{
    if (!sink->failing) {
        log_write(LOG_ERROR, "access log %s: %s; lines are lost until it can be written again",
                  sink->path, strerror(errno));
        sink->failing = true;
    }
}

/* What cannot be written is given up: the rings must not fill because of it. */
static void write_all(struct log_sink *sink, const char *bytes, size_t len)
{
    while (len) {
        ssize_t count = write(sink->fd, bytes, len);
        if (count < 0 && errno == EINTR) {
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
        uint64_t written = atomic_load_explicit(&ring->written, memory_order_acquire);
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
    sink->fd = fd;
}

static void *run(void *argument)
{
    struct log_sink *sink = argument;
    uint64_t count;

    for (;;) {
        bool ending = atomic_load(&sink->ending);
        reopen_if_asked(sink);
        if (empty_rings(sink)) {
            continue;
        }
        if (ending) {
            return NULL;
        }
        /* Announce sleep, then look once more: a line written in between is not left lying. */
        atomic_store(&sink->asleep, true);
        if (!empty_rings(sink) && !atomic_load(&sink->ending) &&
            read(sink->wake_fd, &count, sizeof(count)) < 0) {
            /* EINTR only: look again. */
        }
        atomic_store(&sink->asleep, false);
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
    sink->fd = open_path(path);
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

    if (line.len > LOG_SINK_RING_BYTES - (written - read)) {
        atomic_fetch_add_explicit(&ring->dropped, 1, memory_order_relaxed);
        return;
    }
    if (first > line.len) {
        first = line.len;
    }
    memcpy(ring->bytes + at, line.data, first);
    memcpy(ring->bytes, line.data + first, line.len - first);
    /* Sequentially consistent, like `asleep`: either we see it asleep or it sees our line. */
    atomic_store(&ring->written, written + line.len);
    if (atomic_load(&sink->asleep)) {
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
