/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transparent_plan: what the kernel has to be told so that connections come to the transparent
 * listeners of a configuration, made from it and from the command line, and as the text that nft
 * reads. Everything of ours has a name or a number of its own, by which it is found again without
 * the configuration: one nft table, one routing table, one rule a family.
 */
#ifndef WEIR_TOOLS_TRANSPARENT_PLAN_H
#define WEIR_TOOLS_TRANSPARENT_PLAN_H

#include "core/config/config.h"
#include "core/options.h"

#include <stdint.h>

/* As the programs are told them. The mark spells "weir", and is beyond transparent.mark's bound. */
#define TRANSPARENT_NFT_TABLE "inet weir"
#define TRANSPARENT_MARK      "0x77656972"
#define TRANSPARENT_ROUTES    "77656" /* routing table */
#define TRANSPARENT_PRIORITY  "7765"  /* of the rule that leads there */

enum { FAMILY_V4, FAMILY_V6, FAMILY_COUNT };

struct transparent_plan {
    const struct config_listener *listeners[FAMILY_COUNT]; /* null: that family is not taken */
    uint8_t ports[65536 / 8];                              /* bits: the ones that are taken */
    const char *const *interfaces;                         /* of the clients; none: any */
    size_t interface_count;
    bool local;    /* this machine's own connections, too */
    uint32_t mark; /* of weir's connections; 0: none */
    bool has_user;
    uint32_t user; /* that weir runs as */
};

/* 0, or the status to exit with after a message on `err`. The plan refers to what it is made of. */
int transparent_plan_make(struct transparent_plan *plan, const struct config *config,
                          const struct options *options, FILE *err) MUST_CHECK;

/* Whether connections of this family come by TPROXY: then they need a rule and a route. */
bool transparent_plan_routes(const struct transparent_plan *plan, int family);

/* The script for nft that puts the table there, in the place of one that is there already. */
void transparent_plan_write_nft(const struct transparent_plan *plan, FILE *out);
/* And the one that removes it; it may be absent. */
void transparent_plan_write_nft_undo(FILE *out);

#endif
