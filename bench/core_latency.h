/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core_latency: how long a cache line takes from one core to another. On loopback the proxy's core
 * and the client's hand sockets and segments to each other, so this decides what the kernel's part
 * of a request costs. On a virtual machine it changes while it runs: its cores are neighbours at
 * times, and at others they are not.
 */
#ifndef WEIR_BENCH_CORE_LATENCY_H
#define WEIR_BENCH_CORE_LATENCY_H

#include <stdbool.h>

/* Nanoseconds, one way: the least of some batches, so that what else runs there hardly counts.
 * Takes some milliseconds of both cores. NAN: they are the same, or one may not be used. Any
 * thread; makes two of its own. */
double core_latency_ns(int one, int other);

/* Whether trials at these two can be compared. One that is not known is like any. */
bool core_latency_alike(double a_ns, double b_ns);

#endif
