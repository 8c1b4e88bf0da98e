/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uring_abi: what the kernel's io_uring interface has and the oldest supported liburing (2.3, whose
 * constants end with Linux 6.1) does not name, each with the version that brought it. Used by
 * the ring alone, and only after it has seen that it works. The assertions pin the layouts that the
 * kernel promises, since the ring fills queues and buffer rings itself. No other header of ours
 * includes liburing.
 */
#ifndef WEIR_ENGINE_URING_ABI_H
#define WEIR_ENGINE_URING_ABI_H

#include <liburing.h>

#include <stddef.h>
#include <stdint.h>

/*
 * Linux 6.17: sqe->optlen of a multishot RECV, the number of bytes after which the operation ends
 * by itself (at the end of the buffer in which the number is reached). It lies where other
 * operations have file_index; older kernels answer EINVAL when it is not 0.
 */
static inline void uring_sqe_set_optlen(struct io_uring_sqe *sqe, uint32_t len)
{
    sqe->file_index = len;
}

/* Linux 5.19: the highest number of entries of a buffer ring, and of buffer ids in all of ours. */
enum { URING_BUF_RING_ENTRIES_MAX = 32768, URING_BUFFER_IDS_MAX = 65536 };

_Static_assert(sizeof(struct io_uring_sqe) == 64, "submission queue entry");
_Static_assert(offsetof(struct io_uring_sqe, file_index) == 44, "optlen lies over file_index");
_Static_assert(sizeof(struct io_uring_cqe) == 16, "completion queue entry");
_Static_assert(sizeof(struct io_uring_buf) == 16, "buffer ring entry");
_Static_assert(offsetof(struct io_uring_buf_ring, tail) == 14, "buffer ring tail");
_Static_assert(sizeof(struct io_uring_buf_reg) == 40, "buffer ring registration");
_Static_assert(sizeof(struct io_uring_getevents_arg) == 24, "wait argument");
_Static_assert(sizeof(struct io_uring_restriction) == 16, "restriction");

#endif
