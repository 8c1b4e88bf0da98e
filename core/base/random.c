/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/random.h"

#include "core/base/assert.h"

#include <sys/random.h>

uint64_t random_seed(void)
{
    uint64_t value;

    ASSERT(getrandom(&value, sizeof(value), 0) == (long)sizeof(value));
    return value;
}
