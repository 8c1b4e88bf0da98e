/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/assert.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void (*panic_describe)(void);

void panic_set_hook(void (*describe)(void))
{
    panic_describe = describe;
}

_Noreturn void panic(const char *file, int line, const char *format, ...)
{
    static __thread int panicking;
    va_list arguments;

    fprintf(stderr, "weir: panic at %s:%d: ", file, line);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    if (!panicking && panic_describe) {
        panicking = 1;
        panic_describe();
    }
    fflush(stderr);
    abort();
}
