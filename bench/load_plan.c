/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/load_plan.h"

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
