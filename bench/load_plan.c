/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/load_plan.h"

#include "core/base/clock.h"

enum { PERIOD = 65521 /* a prime */ };

static uint8_t pattern[PERIOD + LOAD_PATTERN_LEN_MAX];

const struct load_mode_row load_modes[LOAD_MODE_COUNT] = {
    [LOAD_DIRECT] = {"direct", .baseline = LOAD_DIRECT},
    [LOAD_DIRECT_TLS] = {"direct-tls", .has_tls = true, .baseline = LOAD_DIRECT_TLS},
    [LOAD_FORWARD] = {"forward", .has_proxy = true, .baseline = LOAD_DIRECT},
    [LOAD_CONNECT] = {"connect", .has_proxy = true, .baseline = LOAD_DIRECT, .says_connect = true},
    [LOAD_CONNECT_TLS] = {"connect-tls", .has_proxy = true, .has_tls = true,
                          .baseline = LOAD_DIRECT_TLS, .says_connect = true},
    [LOAD_INTERCEPT] = {"intercept", .has_proxy = true, .has_tls = true,
                        .baseline = LOAD_DIRECT_TLS, .says_connect = true, .is_opened = true},
    [LOAD_TRANSPARENT] = {"transparent", .has_proxy = true, .baseline = LOAD_DIRECT,
                          .is_transparent = true},
    [LOAD_TRANSPARENT_TLS] = {"transparent-tls", .has_proxy = true, .has_tls = true,
                              .baseline = LOAD_DIRECT_TLS, .is_opened = true,
                              .is_transparent = true},
};

const char *const load_closers[LOAD_CLOSER_COUNT] = {
    [LOAD_CLIENT_CLOSES] = "client",
    [LOAD_ORIGIN_CLOSES] = "origin",
};

const char *const load_variants[LOAD_VARIANT_COUNT] = {
    [LOAD_PLAIN] = "plain",
    [LOAD_LOGS] = "logs",
    [LOAD_BLIND] = "blind",
};

const struct load_profile_row load_profiles[LOAD_PROFILE_COUNT] = {
    [LOAD_SMALL] = {"small", "small bodies on kept connections"},
    [LOAD_NEW] = {"new", "a new connection for each request"},
    [LOAD_RESUMED] = {"resumed", "the same, resuming TLS"},
    [LOAD_HOSTS] = {"hosts", "a new connection to a new host for each request"},
    [LOAD_DOWN] = {"down", "large bodies from the origin"},
    [LOAD_UP] = {"up", "large bodies to the origin"},
    [LOAD_IDLE] = {"idle", "connections that are held and do nothing"},
    [LOAD_SLOW] = {"slow", "small requests beside clients that read slowly"},
    [LOAD_MIX] = {"mix", "small, medium, uploads, and every tenth on a new connection"},
};

bool load_is_case(enum load_mode mode, enum load_profile profile)
{
    return (profile != LOAD_RESUMED || load_modes[mode].has_tls) &&
           (profile != LOAD_IDLE || load_modes[mode].has_proxy);
}

/* The first of `amount` things that the client with this number has. */
static unsigned share(unsigned amount, unsigned client, unsigned clients)
{
    return (unsigned)((uint64_t)amount * client / clients);
}

struct load_plan load_plan_part(const struct load_plan *plan, unsigned client)
{
    struct load_plan part = *plan;

    part.client = client;
    part.first_connection = share(plan->connections, client, plan->clients);
    part.connections = share(plan->connections, client + 1, plan->clients) - part.first_connection;
    part.rate_hz = plan->rate_hz / plan->clients;
    part.first_ns = plan->rate_hz > 0 ? (int64_t)((double)NS_PER_S / plan->rate_hz * client) : 0;
    part.seed = plan->seed + client * UINT64_C(0x9e3779b97f4a7c15);
    part.reads_others = client == 0;
    return part;
}

unsigned load_plan_all_clients(const struct load_plan *plan)
{
    return plan->clients * plan->sides;
}

unsigned load_plan_first_client(const struct load_plan *plan)
{
    return plan->clients * plan->side;
}

static void merge_ns(int64_t *into, const int64_t *from, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        into[i] += from[i];
    }
}

/* Windows are the same but for what it takes to look at a clock. */
void load_result_merge(struct load_result *into, const struct load_result *from)
{
    into->units += from->units;
    into->connections += from->connections;
    into->resumed += from->resumed;
    into->down_bytes += from->down_bytes;
    into->up_bytes += from->up_bytes;
    into->errors += from->errors;
    into->mismatches += from->mismatches;
    into->dropped += from->dropped;
    into->window_ns = from->window_ns > into->window_ns ? from->window_ns : into->window_ns;
    merge_ns(into->client_cpu_ns, from->client_cpu_ns, LOAD_CLIENTS_MAX);
    merge_ns(into->client_looked_ns, from->client_looked_ns, LOAD_CLIENTS_MAX);
    merge_ns(into->origin_cpu_ns, from->origin_cpu_ns, LOAD_ORIGINS_MAX);
    merge_ns(into->origin_looked_ns, from->origin_looked_ns, LOAD_ORIGINS_MAX);
    into->proxy_cpu_ns += from->proxy_cpu_ns;
    into->proxy_waited_ns += from->proxy_waited_ns;
    into->cores_cpu_ns += from->cores_cpu_ns;
    into->cores_stolen_ns += from->cores_stolen_ns;
    into->proxy_idle_kib += from->proxy_idle_kib;
    into->proxy_kib += from->proxy_kib;
    into->idle_count += from->idle_count;
    into->out_of_ports |= from->out_of_ports;
    into->out_of_descriptors |= from->out_of_descriptors;
    into->has_one_source |= from->has_one_source;
    into->dialled += from->dialled;
    if (!into->first_error[0]) {
        memcpy(into->first_error, from->first_error, sizeof(into->first_error));
    }
    histogram_merge(&into->latency, &from->latency);
    histogram_merge(&into->uncorrected, &from->uncorrected);
    histogram_merge(&into->late, &from->late);
    histogram_merge(&into->tails, &from->tails);
    into->slot_count = from->slot_count > into->slot_count ? from->slot_count : into->slot_count;
    for (unsigned i = 0; i < LOAD_SLOTS_MAX; i++) {
        into->slots[i] += from->slots[i];
    }
}

void load_result_add_side(struct load_result *into, const struct load_result *beside)
{
    merge_ns(into->client_cpu_ns, beside->client_cpu_ns, LOAD_CLIENTS_MAX);
    merge_ns(into->client_looked_ns, beside->client_looked_ns, LOAD_CLIENTS_MAX);
    into->beside_cpu_ns += beside->proxy_cpu_ns > 0 ? beside->proxy_cpu_ns : 0;
}

void load_pattern_init(void)
{
    uint32_t state = 1;

    for (size_t i = 0; i < sizeof(pattern); i++) {
        state = state * 1664525 + 1013904223;
        pattern[i] = i < PERIOD ? (uint8_t)(state >> 24) : pattern[i - PERIOD];
    }
}

struct span load_pattern(uint64_t offset, size_t len)
{
    return span_make(pattern + offset % PERIOD, len);
}

bool load_pattern_matches(uint64_t offset, struct span bytes)
{
    while (bytes.len) {
        struct span piece = span_sub(bytes, 0, LOAD_PATTERN_LEN_MAX);

        if (!span_equal(piece, load_pattern(offset, piece.len))) {
            return false;
        }
        offset += piece.len;
        bytes = span_skip(bytes, piece.len);
    }
    return true;
}
