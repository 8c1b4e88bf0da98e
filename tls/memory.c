/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The TLS library calls OPENSSL_memory_alloc() and its two sisters, where a program defines them,
 * for each of its allocations, on any thread, also in destructors of threads. So nothing here may
 * call the library, and a thread whose lists were already emptied goes straight to the heap.
 *
 * A block has a header that tells its size and class. It belongs to no thread: whoever frees it
 * keeps it. Counters belong to a thread and have one writer, so that counting costs no shared
 * cache line; the reader adds them up under a lock that is otherwise taken only when a thread
 * starts or ends.
 */
#include "tls/memory.h"

#include "core/base/assert.h"
#include "core/base/list.h"
#include "tls/engine.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define MEMORY_POISON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MEMORY_POISON 1
#endif
#endif
#ifdef MEMORY_POISON
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size)   ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

/* The names that the library knows; in no header of its own. */
void *OPENSSL_memory_alloc(size_t size);
void OPENSSL_memory_free(void *pointer);
size_t OPENSSL_memory_get_size(void *pointer);

/* Two handshakes take four hundred blocks of a few sizes, most of them small. The heap's own thread
 * cache has room for seven of a size. */
enum {
    MEMORY_SMALL_STEP = 32,
    MEMORY_SMALL_MAX = 512, /* up to here the classes lie a step apart */
    MEMORY_SMALL_COUNT = MEMORY_SMALL_MAX / MEMORY_SMALL_STEP,
    MEMORY_SMALL_BYTES_KEPT = 32 * 1024, /* of each of these classes, a thread */
    MEMORY_LARGE_COUNT = 10,
    MEMORY_CLASS_COUNT = MEMORY_SMALL_COUNT + MEMORY_LARGE_COUNT,
    MEMORY_CLASS_NONE = 0xff, /* too large for a free list */
};

static const struct {
    uint32_t cap;
    uint32_t keep; /* blocks kept, a thread */
} memory_large[MEMORY_LARGE_COUNT] = {
    {768, 64},  {1024, 64},     {1536, 64},      {2048, 64},      {3072, 32},
    {4096, 32}, {6 * 1024, 16}, {10 * 1024, 16}, {17 * 1024, 16}, {34 * 1024, 4},
};

struct block {
    uint32_t size; /* as asked for */
    uint32_t size_class;
    struct block *next;
} __attribute__((aligned(16)));

struct memory_thread {
    struct list_node link;
    _Atomic uint64_t allocs;
    _Atomic int64_t bytes_live; /* below zero where another thread allocated */
    bool known;                 /* in the list of threads */
    bool ended;                 /* the lists were emptied for good */
    struct block *free[MEMORY_CLASS_COUNT];
    uint32_t free_count[MEMORY_CLASS_COUNT];
};

static _Thread_local struct memory_thread memory_here;

static pthread_once_t memory_once = PTHREAD_ONCE_INIT;
static pthread_key_t memory_key;
static bool memory_key_made;

static pthread_mutex_t memory_lock = PTHREAD_MUTEX_INITIALIZER;
static struct list_node memory_threads = {&memory_threads, &memory_threads};
static uint64_t memory_ended_allocs; /* of threads that are no more; under the lock */
static int64_t memory_ended_bytes;

static void count(struct memory_thread *here, uint64_t allocs, int64_t bytes)
{
    uint64_t allocs_before = atomic_load_explicit(&here->allocs, memory_order_relaxed);
    int64_t bytes_before = atomic_load_explicit(&here->bytes_live, memory_order_relaxed);

    atomic_store_explicit(&here->allocs, allocs_before + allocs, memory_order_relaxed);
    atomic_store_explicit(&here->bytes_live, bytes_before + bytes, memory_order_relaxed);
}

static size_t class_cap(uint32_t size_class)
{
    return size_class < MEMORY_SMALL_COUNT ? (size_class + 1) * MEMORY_SMALL_STEP
                                           : memory_large[size_class - MEMORY_SMALL_COUNT].cap;
}

/* Enough of them are kept. */
static bool class_is_full(const struct memory_thread *here, uint32_t size_class)
{
    uint32_t count = here->free_count[size_class];

    return size_class < MEMORY_SMALL_COUNT
               ? count * class_cap(size_class) >= MEMORY_SMALL_BYTES_KEPT
               : count >= memory_large[size_class - MEMORY_SMALL_COUNT].keep;
}

static size_t block_cap(const struct block *block)
{
    return block->size_class == MEMORY_CLASS_NONE ? block->size : class_cap(block->size_class);
}

static void block_to_heap(struct memory_thread *here, struct block *block)
{
    ASAN_UNPOISON_MEMORY_REGION(block + 1, block_cap(block));
    count(here, 0, -(int64_t)(sizeof(*block) + block_cap(block)));
    free(block);
}

static void thread_end(void *argument)
{
    struct memory_thread *here = argument;

    for (int i = 0; i < MEMORY_CLASS_COUNT; i++) {
        while (here->free[i]) {
            struct block *block = here->free[i];
            here->free[i] = block->next;
            block_to_heap(here, block);
        }
        here->free_count[i] = 0;
    }
    pthread_mutex_lock(&memory_lock);
    list_remove(&here->link);
    memory_ended_allocs += atomic_exchange(&here->allocs, 0);
    memory_ended_bytes += atomic_exchange(&here->bytes_live, 0);
    pthread_mutex_unlock(&memory_lock);
    here->known = false;
    here->ended = true;
}

static void make_key(void)
{
    memory_key_made = pthread_key_create(&memory_key, thread_end) == 0;
}

void tls_memory_prepare(void)
{
    pthread_once(&memory_once, make_key);
}

/* Makes the thread known to the reader and its end known to us. Without the latter nothing may be
 * kept, or it would be lost with the thread. */
static void thread_begin(struct memory_thread *here)
{
    tls_memory_prepare();
    if (!memory_key_made || pthread_setspecific(memory_key, here) != 0) {
        here->ended = true;
    }
    if (here->ended) {
        return;
    }
    here->known = true;
    pthread_mutex_lock(&memory_lock);
    list_init(&here->link);
    list_push_back(&memory_threads, &here->link);
    pthread_mutex_unlock(&memory_lock);
}

static struct memory_thread *thread_here(void)
{
    struct memory_thread *here = &memory_here;

    if (!here->known && !here->ended) {
        thread_begin(here);
    }
    return here;
}

void tls_memory_keep_nothing(void)
{
    struct memory_thread *here = thread_here();

    if (here->known) {
        pthread_setspecific(memory_key, NULL);
        thread_end(here);
    }
}

/* What a thread without lists counts goes to the common sum. */
static void count_ended(struct memory_thread *here)
{
    if (here->ended) {
        pthread_mutex_lock(&memory_lock);
        memory_ended_allocs += atomic_exchange(&here->allocs, 0);
        memory_ended_bytes += atomic_exchange(&here->bytes_live, 0);
        pthread_mutex_unlock(&memory_lock);
    }
}

static uint32_t class_of(size_t size)
{
    if (size <= MEMORY_SMALL_MAX) {
        return size ? (uint32_t)(size - 1) / MEMORY_SMALL_STEP : 0;
    }
    for (uint32_t i = 0; i < MEMORY_LARGE_COUNT; i++) {
        if (size <= memory_large[i].cap) {
            return MEMORY_SMALL_COUNT + i;
        }
    }
    return MEMORY_CLASS_NONE;
}

void *OPENSSL_memory_alloc(size_t size)
{
    struct memory_thread *here = thread_here();
    uint32_t size_class = class_of(size);
    struct block *block = NULL;

    if (size_class != MEMORY_CLASS_NONE && here->free[size_class]) {
        block = here->free[size_class];
        here->free[size_class] = block->next;
        here->free_count[size_class]--;
    } else {
        size_t cap = size_class == MEMORY_CLASS_NONE ? size : class_cap(size_class);
        if (size > UINT32_MAX) {
            return NULL;
        }
        block = malloc(sizeof(*block) + cap);
        if (!block) {
            return NULL;
        }
        block->size_class = size_class;
        count(here, 1, (int64_t)(sizeof(*block) + cap));
        count_ended(here);
    }
    block->size = (uint32_t)size;
    block->next = NULL;
    ASAN_UNPOISON_MEMORY_REGION(block + 1, size);
    return block + 1;
}

void OPENSSL_memory_free(void *pointer)
{
    struct memory_thread *here = thread_here();
    struct block *block = (struct block *)pointer - 1;
    uint32_t size_class = block->size_class;

    explicit_bzero(pointer, block->size); /* the library leaves the wiping to us */
    if (size_class == MEMORY_CLASS_NONE || here->ended || class_is_full(here, size_class)) {
        block_to_heap(here, block);
        count_ended(here);
        return;
    }
    block->next = here->free[size_class];
    here->free[size_class] = block;
    here->free_count[size_class]++;
    ASAN_POISON_MEMORY_REGION(pointer, class_cap(size_class));
}

size_t OPENSSL_memory_get_size(void *pointer)
{
    return ((struct block *)pointer - 1)->size;
}

void tls_memory_stats(uint64_t *allocs, uint64_t *bytes_live)
{
    int64_t bytes;

    pthread_mutex_lock(&memory_lock);
    *allocs = memory_ended_allocs;
    bytes = memory_ended_bytes;
    LIST_FOREACH (node, &memory_threads) {
        struct memory_thread *thread = CONTAINER_OF(node, struct memory_thread, link);
        *allocs += atomic_load_explicit(&thread->allocs, memory_order_relaxed);
        bytes += atomic_load_explicit(&thread->bytes_live, memory_order_relaxed);
    }
    pthread_mutex_unlock(&memory_lock);
    *bytes_live = bytes > 0 ? (uint64_t)bytes : 0;
}
