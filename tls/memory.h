/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory: the allocator behind the TLS library. Blocks of up to 34 KiB are kept on short free lists
 * of the thread, so that connections that come and go, and records that are opened and sealed,
 * seldom reach the heap. Everything is wiped when it is given back.
 */
#ifndef WEIR_TLS_MEMORY_H
#define WEIR_TLS_MEMORY_H

/* Called before the library is used; any thread, any number of times. That it is called is also
 * what links the allocator into the program: the library refers to it only weakly. */
void tls_memory_prepare(void);

/* The thread keeps nothing from now on: each block comes from the heap and goes back there. For
 * tests of what happens when the heap has none. */
void tls_memory_keep_nothing(void);

#endif
