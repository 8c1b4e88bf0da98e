/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_sink: takes lines from the workers and writes them to a file, on a thread of its own, so that
 * a slow disk or a pipe that nobody reads never holds up a connection. One ring of bytes a worker,
 * with one writer and one reader; a line that does not fit is dropped and counted. A line is in the
 * file at once after a pause, and within 10 ms behind others.
 */
#ifndef WEIR_ADMIN_LOG_SINK_H
#define WEIR_ADMIN_LOG_SINK_H

#include "core/base/assert.h"
#include "core/base/span.h"

enum { LOG_SINK_RING_BYTES = 1 << 20 /* a worker */ };

struct log_sink;

/* path: a file, which is appended to (mode 0640), a FIFO, which need not have a reader yet, or "-"
 * for standard output. Null with a sentence in error that names the file. */
struct log_sink *log_sink_new(const char *path, uint32_t worker_count, char *error,
                              size_t error_cap) MUST_CHECK;

/* From that worker's thread: a whole line with its line feed. */
void log_sink_write(struct log_sink *sink, uint32_t worker, struct span line);

/* After rotation: opens the path again. Any thread. */
void log_sink_reopen(struct log_sink *sink);

uint64_t log_sink_dropped(const struct log_sink *sink);

/* Writes what is left and ends the thread; what a pipe's reader has not begun to take within a
 * second is lost. The workers must have ended. */
void log_sink_free(struct log_sink *sink);

#endif
