/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a SHA256SUMS: what is found is written there, and a fault is in one of its lines. */
#include "core/tools/checksums.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_make(data, size);
    struct checksums_fault fault = {0};
    uint8_t digest[DIGEST_LEN];
    bool is_there = false;
    size_t line_count = size > 0;

    for (size_t i = 0; i + 1 < size; i++) {
        line_count += data[i] == '\n';
    }
    if (checksums_find(text, SPAN_LITERAL("mitm.txt"), digest, &is_there, &fault)) {
        ASSERT(!is_there || size >= 2 * DIGEST_LEN + 2 + strlen("mitm.txt"));
    } else {
        ASSERT(fault.expected && fault.line >= 1 && fault.line <= line_count && fault.column >= 1);
    }
    return 0;
}
