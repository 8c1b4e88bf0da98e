/* SPDX-License-Identifier: Apache-2.0 */
/* Input: a byte that chooses the cuts, then the pieces of an HTTP/1 conversation (tap_fuzz.h). */
#include "tests/fuzz/tap_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct http_exchange *done)
{
    ASSERT((done->status >= 200 && done->status <= 599) || done->status == 0 ||
           (done->status == 101 && done->upgraded));
}

static void hear(struct tap_outcome *out, struct span input, size_t step)
{
    struct http_tap *tap = http_tap_new(span_make(NULL, 0));

    ASSERT(tap);
    out->count = out->body_bytes = 0;
    out->first_ns = 0;
    tap_fuzz_hear(out, tap, input, step);
}

/* Exchanges end in the order of their requests: the first one is that of the first request. */
static void check_first(const struct http_first_request *first, const struct http_exchange *done)
{
    size_t len = strlen(done->user_agent);

    ASSERT(len == first->user_agent_len || len == sizeof(done->user_agent) - 1);
    ASSERT(len <= first->user_agent_len && memcmp(first->user_agent, done->user_agent, len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tap_outcome whole = {.check = check};
    static struct tap_outcome cut = {.check = check, .drops_first = true};
    struct span input = span_skip(span_make(data, size), 1);

    if (size == 0) {
        return 0;
    }
    hear(&whole, input, SIZE_MAX / 2);
    hear(&cut, input, 1 + data[0] % 16);
    ASSERT(whole.body_bytes <= size);
    tap_fuzz_compare(&whole, &cut);
    if (whole.count) {
        ASSERT(whole.first_ns == whole.done[0].begin_ns);
        check_first(&whole.first, &whole.done[0]);
    }
    return 0;
}
