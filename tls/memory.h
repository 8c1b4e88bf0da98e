/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory: the allocator behind the TLS library. Blocks of a connection's size (512 bytes to 32 KiB)
 * are kept on short free lists of the thread, so that connections that come and go, and records
 * that are opened and sealed, do not reach the heap. Everything is wiped when it is given back.
 */
#ifndef WEIR_TLS_MEMORY_H
#define WEIR_TLS_MEMORY_H

/* Called before the library is used; any thread, any number of times. That it is called is also
 * what links the allocator into the program: the library refers to it only weakly. */
void tls_memory_prepare(void);

#endif
