/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns_server: where to ask, as a person writes it in weir's configuration and as resolv.conf(5)
 * does. Pure functions; any thread.
 */
#ifndef WEIR_ENGINE_DNS_SERVER_H
#define WEIR_ENGINE_DNS_SERVER_H

#include "core/base/assert.h"
#include "core/engine/address.h"

enum { DNS_SERVERS_MAX = 8, DNS_PORT = 53 };

/* "address", "address:port" or "[address]:port". */
bool dns_server_parse(struct address *server, struct span text) MUST_CHECK;

/* The nameserver lines of resolv.conf; the other lines have no meaning here. Addresses that cannot
 * be used (names, zones) are logged under `path`. Returns how many there are. */
size_t dns_servers_read(struct span file, const char *path,
                        struct address servers[DNS_SERVERS_MAX]) MUST_CHECK;

#endif
