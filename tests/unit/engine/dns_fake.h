/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns_fake: a DNS server for tests, in a thread of its own, on UDP and TCP of one loopback port.
 * What it answers is told by the first label of the name; the test counts what was asked.
 */
#ifndef WEIR_TESTS_DNS_FAKE_H
#define WEIR_TESTS_DNS_FAKE_H

#include <stdbool.h>
#include <stdint.h>

struct dns_fake;

/* Port 0: any. Null when the address or port cannot be had. */
struct dns_fake *dns_fake_start(const char *address, uint16_t port);
void dns_fake_stop(struct dns_fake *fake);
uint16_t dns_fake_port(const struct dns_fake *fake);
/* Questions with that first label (all with null), over UDP and TCP. */
unsigned dns_fake_asked(struct dns_fake *fake, const char *label);
unsigned dns_fake_asked_tcp(struct dns_fake *fake);

#endif
