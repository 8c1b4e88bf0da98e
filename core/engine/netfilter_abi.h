/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netfilter_abi: the socket options that tell where a connection was going before netfilter sent it
 * here. The kernel's own headers cannot be included beside those of the C library everywhere, so
 * the two numbers, which never change, are named here.
 */
#ifndef WEIR_ENGINE_NETFILTER_ABI_H
#define WEIR_ENGINE_NETFILTER_ABI_H

enum {
    NETFILTER_ORIGINAL_DST_V4 = 80, /* SO_ORIGINAL_DST, linux/netfilter_ipv4.h; level SOL_IP */
    NETFILTER_ORIGINAL_DST_V6 = 80, /* IP6T_SO_ORIGINAL_DST, linux/netfilter_ipv6/ip6_tables.h;
                                       level SOL_IPV6 */
};

#endif
