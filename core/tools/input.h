/* SPDX-License-Identifier: Apache-2.0 */
/*
 * input: the bytes of a file, a pipe or a piece of memory, read as they come and looked at through
 * a window that grows to what a reader needs at once. One thread. It blocks: for tools only.
 */
#ifndef WEIR_TOOLS_INPUT_H
#define WEIR_TOOLS_INPUT_H

#include "core/base/assert.h"
#include "core/base/span.h"

#include <stdio.h>

enum { INPUT_WINDOW_MAX = 2 * 1024 * 1024 }; /* bytes that may be asked for at once */

struct input {
    int descriptor; /* -1: memory alone */
    bool owns_descriptor;
    uint8_t *data; /* owned */
    size_t start;  /* the window is data[start, end) */
    size_t end;
    size_t cap;
    uint64_t offset; /* of the window's first byte in the whole input */
    bool ended;      /* no byte comes after the window */
    int error;       /* errno of the read that failed, ENOMEM included; 0: none */
    FILE *flush;     /* flushed before every read, so that answers are out when input pauses */
};

void input_init(struct input *in, int descriptor); /* borrowed */

/* A file, or standard input where it is "-". Returns 0 or a negative errno. */
int input_open(struct input *in, const char *name) MUST_CHECK;

/* As messages call it. */
const char *input_name(const char *name);

/* Over a copy of `bytes`. False: the heap is exhausted. */
bool input_init_memory(struct input *in, struct span bytes) MUST_CHECK;
void input_fini(struct input *in);

/* Makes the window hold at least `want` bytes (at most INPUT_WINDOW_MAX). False: the input ends
 * before, or `error` says why not; the window holds what is there. */
bool input_fill(struct input *in, size_t want);

/* Valid until the next call with this input. */
static inline struct span input_window(const struct input *in)
{
    return span_make(in->data ? in->data + in->start : NULL, in->end - in->start);
}

/* Drops `count` bytes, which may be more than the window holds. False: the input ends before. */
bool input_skip(struct input *in, uint64_t count);

#endif
