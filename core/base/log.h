/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log: weir's own messages for the person who runs it, one line each on standard error:
 *     2026-11-21T10:00:00.000000Z warn worker=0 listener paused: too many open files
 * Not for what connections did, which is the access log's. Any thread. Peer bytes go through
 * text_escaped() before they come here. Start-up and configuration messages name the file, the
 * line and the remedy.
 */
#ifndef WEIR_BASE_LOG_H
#define WEIR_BASE_LOG_H

#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

void log_set_level(enum log_level level);
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* At most one line per second and call site; the next line says how many were left out. */
struct log_limit {
    int64_t next_ns;
    uint64_t suppressed;
};
void log_limited(struct log_limit *limit, int64_t now_ns, enum log_level level, const char *format,
                 ...) __attribute__((format(printf, 4, 5)));

#endif
