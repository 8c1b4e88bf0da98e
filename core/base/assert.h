/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks that stay in release builds. A broken assumption of ours is a bug and ends the process
 * through panic(); whatever a peer, the network or a limit can cause is a value, never an assert.
 */
#ifndef WEIR_BASE_ASSERT_H
#define WEIR_BASE_ASSERT_H

/*
 * Prints what was expected and where, lets the hook describe what the process was doing, aborts.
 * Any thread; never returns.
 */
_Noreturn void panic(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Installed once by main: prints the state of every worker. Must only read. */
void panic_set_hook(void (*describe)(void));

#define ASSERT(condition)                                                                          \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0)) {                                                   \
            panic(__FILE__, __LINE__, "assertion failed: %s", #condition);                         \
        }                                                                                          \
    } while (0)

/* For checks that cost more than a compare: debug, simulator and fuzz builds only. */
#ifdef WEIR_SLOW_CHECKS
#define ASSERT_SLOW(condition) ASSERT(condition)
#else
#define ASSERT_SLOW(condition) ((void)sizeof(condition))
#endif

#define MUST_CHECK __attribute__((warn_unused_result))

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* The object that embeds `member` at `pointer`. */
#define CONTAINER_OF(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer) - __builtin_offsetof(type, member)))

#endif
