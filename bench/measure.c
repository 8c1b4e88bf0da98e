/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/measure.h"

#include "core/base/clock.h"

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum { BATCH_NS_MIN = 2000000, WARM_UP_SHARE = 10, PROBE_LEN = 100 };

/* Operations of a batch; more take two milliseconds, unless they take no time at all. */
#define BATCH_COUNT_MAX ((size_t)1 << 40)

/* What did not count so far, and since when nothing counts. */
static struct {
    int64_t cpu_ns, wall_ns;
    int64_t cpu_begin_ns, wall_begin_ns;
} pauses;

int64_t measure_cpu_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * NS_PER_S + now.tv_nsec;
}

void measure_pause(void)
{
    pauses.wall_begin_ns = clock_monotonic_ns();
    pauses.cpu_begin_ns = measure_cpu_ns();
}

void measure_resume(void)
{
    pauses.cpu_ns += measure_cpu_ns() - pauses.cpu_begin_ns;
    pauses.wall_ns += clock_monotonic_ns() - pauses.wall_begin_ns;
}

static int compare_values(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;

    return (a > b) - (a < b);
}

struct measure_figure measure_summarise(double *values, size_t count)
{
    ASSERT(count);
    qsort(values, count, sizeof(*values), compare_values);
    return (struct measure_figure){
        .median = count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2,
        .min = values[0],
        .low = values[count / 10],
        .high = values[count - 1 - count / 10],
        .max = values[count - 1],
    };
}

/* How many operations a batch has; warms up on the way. */
static size_t choose_count(const struct measure_work *work, int64_t until_ns)
{
    size_t count = work->step;

    for (;;) {
        int64_t start = clock_monotonic_ns();
        int64_t end;

        work->run(work->context, count);
        end = clock_monotonic_ns();
        if (end - start < BATCH_NS_MIN && count <= BATCH_COUNT_MAX / 2) {
            count *= 2;
        } else if (end >= until_ns) {
            return count;
        }
    }
}

struct measure_result measure_run(const struct measure_work *work, int64_t budget_ns)
{
    static double cpu[MEASURE_BATCHES_MAX], wall[MEASURE_BATCHES_MAX];
    struct measure_result result = {0};
    int64_t start = clock_monotonic_ns();
    size_t count = choose_count(work, start + budget_ns / WARM_UP_SHARE);
    size_t batch = 0;

    while (batch < MEASURE_BATCHES_MAX &&
           (batch < MEASURE_BATCHES_MIN || clock_monotonic_ns() - start < budget_ns)) {
        int64_t wall_start = clock_monotonic_ns();
        int64_t cpu_start = measure_cpu_ns();
        int64_t cpu_ns, wall_ns;

        pauses.cpu_ns = pauses.wall_ns = 0;
        work->run(work->context, count);
        cpu_ns = measure_cpu_ns() - cpu_start - pauses.cpu_ns;
        wall_ns = clock_monotonic_ns() - wall_start - pauses.wall_ns;
        cpu[batch] = (double)cpu_ns / (double)count;
        wall[batch] = (double)wall_ns / (double)count;
        batch++;
    }
    result.operation_count = (uint64_t)batch * count;
    result.batch_count = batch;
    result.cpu = measure_summarise(cpu, batch);
    result.wall = measure_summarise(wall, batch);
    return result;
}

/* ---- the heap ---- */

struct heap_probe {
    const struct measure_work *work;
    bool is_touched;
};

size_t measure_heap_in_use(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static void *run_probe(void *context)
{
    struct heap_probe *probe = context;
    size_t before = measure_heap_in_use();

    probe->work->run(probe->work->context, probe->work->step);
    probe->is_touched = measure_heap_in_use() != before;
    return NULL;
}

/* False: no thread could be had. */
static bool probe_heap(struct heap_probe *probe)
{
    pthread_t thread;

    return pthread_create(&thread, NULL, run_probe, probe) == 0 && pthread_join(thread, NULL) == 0;
}

static void allocate_once(void *context, size_t count)
{
    void *memory = malloc(PROBE_LEN);

    (void)context;
    (void)count;
    measure_keep(memory);
    free(memory);
}

enum measure_heap measure_heap(const struct measure_work *work)
{
    static const struct measure_work control_work = {allocate_once, NULL, 1};
    struct heap_probe control = {&control_work, false};
    struct heap_probe probe = {work, false};

    if (!probe_heap(&control) || !control.is_touched || !probe_heap(&probe)) {
        return MEASURE_HEAP_UNKNOWN;
    }
    return probe.is_touched ? MEASURE_HEAP_TOUCHED : MEASURE_HEAP_UNTOUCHED;
}
