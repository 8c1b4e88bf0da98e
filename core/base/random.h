/* SPDX-License-Identifier: Apache-2.0 */
/* random: seeds and jitter from the kernel. Keys and certificate serials come from tls/ instead. */
#ifndef WEIR_BASE_RANDOM_H
#define WEIR_BASE_RANDOM_H

#include <stdint.h>

uint64_t random_seed(void); /* 64 bits from getrandom(2); any thread */

#endif
