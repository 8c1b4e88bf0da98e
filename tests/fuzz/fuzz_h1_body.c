/* SPDX-License-Identifier: Apache-2.0 */
/* A body: the first byte chooses its framing, the second how it is split. Any split must find the
 * same payload and the same end as reading it all at once. */
#include "core/base/assert.h"
#include "http/h1_body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    enum h1_body_result result;
    uint64_t payload_len;
    uint64_t payload_sum; /* of the bytes, weighted by their place */
    size_t used;
    size_t field_count;
    bool may_end;
};

static void add_payload(struct outcome *out, struct span payload)
{
    for (size_t i = 0; i < payload.len; i++) {
        out->payload_sum = out->payload_sum * 31 + payload.data[i];
    }
    out->payload_len += payload.len;
}

static void read_trailers(struct outcome *out, struct h1_body *body, struct span rest, size_t step)
{
    struct http_head trailers;
    struct http_fault fault;
    enum h1_result result = H1_MORE;

    for (size_t len = 0; result == H1_MORE; len += step) {
        result = h1_body_trailers(body, span_sub(rest, 0, len), &trailers, &fault);
        if (len >= rest.len) {
            break;
        }
    }
    out->result = result == H1_DONE ? H1_BODY_DONE : result == H1_BAD ? H1_BODY_BAD : H1_BODY_MORE;
    if (result == H1_DONE) {
        ASSERT(trailers.len <= rest.len);
        out->used += trailers.len;
        out->field_count = trailers.field_count;
    }
}

static struct outcome read_body(enum http_framing framing, uint64_t length, struct span input,
                                size_t step)
{
    struct outcome out = {H1_BODY_MORE, 0, 0, 0, 0, false};
    struct h1_body body;

    h1_body_init(&body, framing, length);
    for (;;) {
        struct span part = span_sub(input, out.used, step);
        struct http_fault fault = {0, NULL, NULL, 0};
        struct span payload;
        size_t consumed;

        out.result = h1_body_feed(&body, part, &consumed, &payload, &fault);
        ASSERT(consumed <= part.len);
        out.used += consumed;
        if (out.result == H1_BODY_PAYLOAD) {
            ASSERT(payload.len && payload.data + payload.len == part.data + consumed);
            add_payload(&out, payload);
        } else if (out.result == H1_BODY_TRAILERS) {
            read_trailers(&out, &body, span_skip(input, out.used), step);
            break;
        } else if (out.result != H1_BODY_MORE || part.len == 0) {
            ASSERT(out.result != H1_BODY_BAD || fault.what);
            break;
        }
    }
    out.may_end = h1_body_may_end_here(&body);
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum http_framing framings[] = {HTTP_CHUNKED, HTTP_CHUNKED, HTTP_LENGTH,
                                                 HTTP_UNTIL_CLOSE, HTTP_NO_BODY};
    enum http_framing framing;
    struct outcome whole;
    struct outcome split;
    struct span input;

    if (size < 2) {
        return 0;
    }
    framing = framings[data[0] % COUNT_OF(framings)];
    input = span_make(data + 2, size - 2);
    whole = read_body(framing, data[1], input, size);
    split = read_body(framing, data[1], input, data[1] % 13 + 1u);
    ASSERT(whole.result == split.result);
    if (whole.result != H1_BODY_BAD) {
        ASSERT(whole.payload_len == split.payload_len && whole.payload_sum == split.payload_sum);
        ASSERT(whole.used == split.used && whole.field_count == split.field_count);
        ASSERT(whole.may_end == split.may_end);
    }
    ASSERT(whole.payload_len <= input.len);
    return 0;
}
