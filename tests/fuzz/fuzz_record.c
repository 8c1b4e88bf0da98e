/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Input: a byte that chooses the split, then wire bytes. However the bytes come, the verdict, the
 * message and the fault must be the same.
 */
#include "core/base/assert.h"
#include "tls/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    enum record_result result;
    struct record_scan scan;
    struct span message;
};

static struct outcome feed(struct span wire, size_t step, uint8_t *join)
{
    struct outcome out = {RECORD_MORE, {0}, {NULL, 0}};
    size_t len = 0;

    while (out.result == RECORD_MORE && len < wire.len) {
        len = wire.len - len < step ? wire.len : len + step;
        if (len < out.scan.want) {
            continue; /* nobody asks then */
        }
        out.result = record_gather_hello(&out.scan, span_make(wire.data, len), join, &out.message);
        if (out.result == RECORD_MORE) {
            ASSERT(out.scan.want > len && out.scan.want <= RECORD_BYTES_MAX);
        }
    }
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t join_whole[CLIENT_HELLO_MAX];
    static uint8_t join_split[CLIENT_HELLO_MAX];
    struct span wire = span_skip(span_make(data, size), 1);
    struct outcome whole;
    struct outcome split;

    if (wire.len == 0) {
        return 0;
    }
    whole = feed(wire, wire.len, join_whole);
    split = feed(wire, 1 + data[0] % 32, join_split);
    ASSERT(whole.result == split.result);
    if (whole.result == RECORD_BAD) {
        ASSERT(whole.scan.fault.field == split.scan.fault.field);
        ASSERT(whole.scan.fault.offset == split.scan.fault.offset);
        ASSERT(whole.scan.fault.alert == split.scan.fault.alert);
        ASSERT(whole.scan.fault.offset <= RECORD_BYTES_MAX);
    }
    if (whole.result == RECORD_DONE) {
        struct client_hello_fault fault;
        static struct client_hello hello;
        ASSERT(span_equal(whole.message, split.message));
        ASSERT(whole.message.len >= 4 && whole.message.len <= CLIENT_HELLO_MAX);
        ASSERT(record_recognise(span_sub(wire, 0, 5)) == RECORD_DONE);
        (void)client_hello_parse(&hello, whole.message, &fault);
    }
    return 0;
}
