/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded into weir by test_allocations.py: counts every allocation of the process in a file that
 * the test reads while weir runs. The file's name is in WEIR_ALLOCATION_COUNTER.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static _Atomic uint64_t before_start;
static _Atomic uint64_t *counter = &before_start;

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *pointer, size_t size);

__attribute__((constructor)) static void open_counter(void)
{
    const char *path = getenv("WEIR_ALLOCATION_COUNTER");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *memory;

    if (fd < 0) {
        return;
    }
    memory = mmap(NULL, sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (memory != MAP_FAILED) {
        counter = memory;
    }
}

void *malloc(size_t size)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
    return __libc_calloc(count, size);
}

void *realloc(void *pointer, size_t size)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
    return __libc_realloc(pointer, size);
}
