/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tap_heap: the heap of a test program, counted, and with failures on demand. The sanitizers have
 * allocators of their own: there HEAP_IS_COUNTED is 0.
 */
#ifndef WEIR_TEST_TAP_HEAP_H
#define WEIR_TEST_TAP_HEAP_H

#include <malloc.h>
#include <stdlib.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HEAP_IS_COUNTED 0
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HEAP_IS_COUNTED 0
#endif

static size_t heap_bytes __attribute__((unused)); /* in use, as malloc_usable_size() has them */
static size_t heap_blocks;                        /* in use */
static size_t heap_asked;                         /* times that memory was asked for */
static size_t heap_fails_at; /* the value of heap_asked that fails; 0: none does */

#ifndef HEAP_IS_COUNTED
#define HEAP_IS_COUNTED 1

/* The C library's own, under the names that it keeps for those who replace them. */
void *__libc_malloc(size_t len);
void *__libc_calloc(size_t count, size_t len);
void *__libc_realloc(void *block, size_t len);
void __libc_free(void *block);

static void *heap_count(void *block)
{
    if (block) {
        heap_bytes += malloc_usable_size(block);
        heap_blocks++;
    }
    return block;
}

static void heap_discount(void *block)
{
    if (block) {
        heap_bytes -= malloc_usable_size(block);
        heap_blocks--;
    }
}

void *malloc(size_t size)
{
    return ++heap_asked == heap_fails_at ? NULL : heap_count(__libc_malloc(size));
}

void *calloc(size_t nmemb, size_t size)
{
    return ++heap_asked == heap_fails_at ? NULL : heap_count(__libc_calloc(nmemb, size));
}

void *realloc(void *ptr, size_t size)
{
    void *moved;

    if (++heap_asked == heap_fails_at) {
        return NULL;
    }
    heap_discount(ptr);
    moved = __libc_realloc(ptr, size);
    heap_count(moved ? moved : ptr);
    return moved;
}

void free(void *ptr)
{
    heap_discount(ptr);
    __libc_free(ptr);
}

#endif

#endif
