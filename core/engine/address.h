/* SPDX-License-Identifier: Apache-2.0 */
/*
 * address: socket addresses as values and as text, and the guard that keeps weir from being used to
 * reach what only its own machine or network may reach.
 */
#ifndef WEIR_ENGINE_ADDRESS_H
#define WEIR_ENGINE_ADDRESS_H

#include "core/base/span.h"

#include <netinet/in.h>
#include <sys/socket.h>

enum { ADDRESS_TEXT_MAX = 64 }; /* "[ipv6]:port" with its NUL */

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } u;
    socklen_t len; /* 0: none */
};

/* An IPv4 dotted quad (four plain decimal numbers) or an IPv6 address without brackets and zone. */
bool address_parse_ip(struct address *address, struct span text, uint16_t port);
void address_set_port(struct address *address, uint16_t port);
uint16_t address_port(const struct address *address);
struct address address_from_storage(const struct sockaddr_storage *storage);
/* A v4-mapped IPv6 address as the IPv4 address that it is; anything else as it is. */
struct address address_unmapped(const struct address *address);
bool address_equal(const struct address *a, const struct address *b);

/* "192.0.2.1:443" or "[2001:db8::1]:443"; v4-mapped IPv6 is written as IPv4. */
void address_format(const struct address *address, char text[ADDRESS_TEXT_MAX]);
/* The same without port and brackets. */
void address_format_ip(const struct address *address, char text[ADDRESS_TEXT_MAX]);

/*
 * Why this address may not be dialled (a static sentence), or null. Checked on the address that is
 * then connected, after resolution, so that no name can smuggle one in.
 *
 * Always refused: unspecified (0.0.0.0/8, ::), multicast, broadcast, Teredo, and space that is
 * reserved or assigned to no host (240.0.0.0/4, 192.0.0.0/24, 192.88.99.0/24, 2001::/23, all IPv6
 * outside 2000::/3 that is not named here). Refused unless allow_private: loopback, link-local (the
 * cloud metadata services live there), site-local, private and unique local space, carrier-grade
 * NAT, local-use NAT64 64:ff9b:1::/48, and the documentation and benchmarking ranges, which only
 * somebody's own network can route. IPv4 addresses inside IPv6 (mapped, NAT64 64:ff9b::/96, 6to4
 * 2002::/16) are judged by the IPv4 rules.
 */
const char *address_refusal(const struct address *address, bool allow_private);

#endif
