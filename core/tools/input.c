/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tools/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { WINDOW_CAP_MIN = 64 * 1024 };

void input_init(struct input *in, int descriptor)
{
    *in = (struct input){.descriptor = descriptor};
}

int input_open(struct input *in, const char *name)
{
    bool is_standard = strcmp(name, "-") == 0;
    int descriptor = is_standard ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC);

    if (descriptor < 0) {
        return -errno;
    }
    *in = (struct input){.descriptor = descriptor, .owns_descriptor = !is_standard};
    return 0;
}

const char *input_name(const char *name)
{
    return strcmp(name, "-") == 0 ? "standard input" : name;
}

bool input_init_memory(struct input *in, struct span bytes)
{
    *in = (struct input){.descriptor = -1, .ended = true};
    in->data = malloc(bytes.len ? bytes.len : 1);
    if (!in->data) {
        return false;
    }
    if (bytes.len) {
        memcpy(in->data, bytes.data, bytes.len);
    }
    in->end = in->cap = bytes.len;
    return true;
}

void input_fini(struct input *in)
{
    free(in->data);
    in->data = NULL;
    if (in->owns_descriptor) {
        close(in->descriptor);
        in->owns_descriptor = false;
    }
}

/* Room for `want` bytes from the window's start on. */
static bool make_room(struct input *in, size_t want)
{
    size_t cap = in->cap ? in->cap : WINDOW_CAP_MIN;
    uint8_t *data;

    if (in->start) {
        memmove(in->data, in->data + in->start, in->end - in->start);
        in->end -= in->start;
        in->start = 0;
    }
    while (cap < want) {
        cap *= 2;
    }
    if (in->cap >= cap) {
        return true;
    }
    data = realloc(in->data, cap);
    if (!data) {
        in->error = ENOMEM;
        return false;
    }
    in->data = data;
    in->cap = cap;
    return true;
}

static bool read_some(struct input *in)
{
    ssize_t got;

    if (in->flush) {
        fflush(in->flush);
    }
    do {
        got = read(in->descriptor, in->data + in->end, in->cap - in->end);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        in->error = errno;
    }
    if (got <= 0) {
        in->ended = true;
        return false;
    }
    in->end += (size_t)got;
    return true;
}

bool input_fill(struct input *in, size_t want)
{
    ASSERT(want <= INPUT_WINDOW_MAX);
    while (in->end - in->start < want) {
        if (in->ended || in->error || (in->cap - in->start < want && !make_room(in, want)) ||
            !read_some(in)) {
            return false;
        }
    }
    return true;
}

bool input_skip(struct input *in, uint64_t count)
{
    while (count) {
        size_t here = in->end - in->start;

        if (here == 0) {
            if (!input_fill(in, 1)) {
                return false;
            }
            continue;
        }
        if (here > count) {
            here = (size_t)count;
        }
        in->start += here;
        in->offset += here;
        count -= here;
    }
    return true;
}
