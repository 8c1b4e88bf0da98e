/* SPDX-License-Identifier: Apache-2.0 */
/* Input: a pcapng file. */
#include "tests/fuzz/capture_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    capture_fuzz(span_make(data, size), CAPTURE_FORMAT_PCAPNG);
    return 0;
}
