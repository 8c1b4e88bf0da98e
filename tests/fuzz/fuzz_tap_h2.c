/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Input: a byte that chooses the cuts, then the pieces of an HTTP/2 conversation (tap_fuzz.h), the
 * client's preface and the settings of both sides being said already.
 */
#include "tests/fuzz/tap_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SETTINGS "\0\0\0\4\0\0\0\0\0"

static void check(const struct http_exchange *done)
{
    ASSERT((done->status >= 200 && done->status <= 999) || done->status == 0);
    ASSERT(done->http_major == 2 && done->http_minor == 0);
}

static void hear(struct tap_outcome *out, struct span input, size_t step)
{
    struct http_tap *tap = http_tap_new(SPAN_LITERAL("h2"));

    ASSERT(tap);
    out->count = out->body_bytes = 0;
    out->first_ns = 0;
    tap_fuzz_feed(tap, HTTP_TAP_CLIENT, SPAN_LITERAL("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" SETTINGS),
                  1, out);
    tap_fuzz_feed(tap, HTTP_TAP_SERVER, SPAN_LITERAL(SETTINGS), 1, out);
    tap_fuzz_hear(out, tap, input, step);
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
    return 0;
}
