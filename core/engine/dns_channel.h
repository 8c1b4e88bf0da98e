/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns_channel: questions to DNS servers, one name and type each, through c-ares, which only this
 * module sees. c-ares knows about retries, servers, truncation and TCP, but of sockets only what it
 * is let do here (dns_socket.h), and of time only what our timer tells it.
 *
 * Each question is answered exactly once, by a call from inside dns_channel_ask(), _set_servers(),
 * _on_event() and _stop(), or from the channel's own actor. What is called must not call the
 * channel back. One owner, one thread, the ring's.
 */
#ifndef WEIR_ENGINE_DNS_CHANNEL_H
#define WEIR_ENGINE_DNS_CHANNEL_H

#include "core/base/list.h"
#include "core/base/span.h"
#include "core/engine/address.h"
#include "core/engine/dns_answer.h"
#include "core/engine/ring.h"
#include "core/engine/timer.h"

/* What became of a question. Of two that failed, the later one here is the better reason. */
enum dns_outcome {
    DNS_OUTCOME_OPEN,      /* nothing yet; the channel never says this */
    DNS_OUTCOME_ADDRESSES, /* the channel's: a message came that may have some */
    DNS_OUTCOME_NO_NAME,
    DNS_OUTCOME_NO_DATA,
    DNS_OUTCOME_TIMEOUT,
    DNS_OUTCOME_BAD,    /* the answer cannot be read */
    DNS_OUTCOME_SERVER, /* the server failed, refused, or was given up */
    DNS_OUTCOME_MEMORY,
};

/* One question, embedded by who asks; it must stay until it is answered. `message` is empty but for
 * DNS_OUTCOME_ADDRESSES, and valid during the call. */
struct dns_question {
    void (*on_answer)(struct dns_question *question, enum dns_outcome outcome, struct span message);
};

struct dns_channel;

/* Null: no memory. The ring, wheel and ready queue are borrowed. A question is given up after
 * timeout_ns, all tries included. mark: SO_MARK of the sockets, 0 is none. */
struct dns_channel *dns_channel_new(struct ring *ring, struct timer_wheel *wheel,
                                    struct list_node *ready_queue, int64_t timeout_ns,
                                    uint32_t mark) MUST_CHECK;
/* Answers what is open and asks no more. */
void dns_channel_stop(struct dns_channel *channel);
/* Polls that were not over yet when the channel was stopped; at 0 it may be freed. */
uint32_t dns_channel_in_flight(const struct dns_channel *channel);
void dns_channel_free(struct dns_channel *channel); /* null is fine */

/* Up to DNS_SERVERS_MAX. Questions under way are given up first: c-ares changes its servers only
 * when it has none. Returns 0 or -ENOMEM. */
int dns_channel_set_servers(struct dns_channel *channel, const struct address *servers,
                            size_t count) MUST_CHECK;

void dns_channel_ask(struct dns_channel *channel, struct dns_question *question, const char *name,
                     enum dns_type type);

/* A RING_RESOLVE event; also after the stop. */
void dns_channel_on_event(struct dns_channel *channel, const struct ring_event *event);

#endif
