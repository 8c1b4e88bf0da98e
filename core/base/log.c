/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/log.h"

#include "core/base/clock.h"
#include "core/base/text.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

enum { LOG_LINE_CAP = 2048 };

static _Atomic int log_level = LOG_INFO;

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&log_level, (int)level, memory_order_relaxed);
}

__attribute__((format(printf, 3, 0))) static void
write_line(enum log_level level, uint64_t suppressed, const char *format, va_list arguments)
{
    static const char *const level_name[] = {"error", "warn", "info", "debug"};
    char line[LOG_LINE_CAP];
    char message[LOG_LINE_CAP - 128];
    struct text t = text_make(line, sizeof(line) - 1);

    vsnprintf(message, sizeof(message), format, arguments);
    text_time(&t, clock_wall_ns());
    text_char(&t, ' ');
    text_string(&t, level_name[level]);
    text_char(&t, ' ');
    text_string(&t, message);
    if (suppressed) {
        text_string(&t, " suppressed=");
        text_unsigned(&t, suppressed);
    }
    line[t.len++] = '\n';
    /* One write, so that lines of different threads do not mix; nobody to tell if it fails. */
    ssize_t written = write(STDERR_FILENO, line, t.len);
    (void)written;
}

void log_write(enum log_level level, const char *format, ...)
{
    va_list arguments;

    if ((int)level > atomic_load_explicit(&log_level, memory_order_relaxed)) {
        return;
    }
    va_start(arguments, format);
    write_line(level, 0, format, arguments);
    va_end(arguments);
}

void log_limited(struct log_limit *limit, int64_t now_ns, enum log_level level, const char *format,
                 ...)
{
    va_list arguments;

    if ((int)level > atomic_load_explicit(&log_level, memory_order_relaxed)) {
        return;
    }
    if (now_ns < limit->next_ns) {
        limit->suppressed++;
        return;
    }
    va_start(arguments, format);
    write_line(level, limit->suppressed, format, arguments);
    va_end(arguments);
    limit->suppressed = 0;
    limit->next_ns = now_ns + NS_PER_S;
}
