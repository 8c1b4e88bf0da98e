/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tools/transparent.h"

#include "core/config/config.h"
#include "core/tools/program.h"
#include "core/tools/transparent_plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { IP_ARGUMENTS_MAX = 16 };

/* What TPROXY needs besides the nft table, a family's rule and its route, as ip is told them. */
enum routing { ROUTING_ROUTE, ROUTING_RULE, ROUTING_COUNT };

static const char *const ip_families[FAMILY_COUNT] = {"-4", "-6"};
static const char *const routing_objects[ROUTING_COUNT] = {"route", "rule"};
static const char *const routing_items[ROUTING_COUNT][8] = {
    {"local", "default", "dev", "lo", "table", TRANSPARENT_ROUTES, NULL},
    {"priority", TRANSPARENT_PRIORITY, "fwmark", TRANSPARENT_MARK, "lookup", TRANSPARENT_ROUTES,
     NULL},
};
/* How ip shows them, and the words by which ours is known there. */
static const char *const routing_shows[ROUTING_COUNT][4] = {
    {"show", "table", TRANSPARENT_ROUTES, NULL},
    {"show", NULL},
};
static const char *const routing_words[ROUTING_COUNT] = {
    "local default dev lo",
    "fwmark " TRANSPARENT_MARK " lookup " TRANSPARENT_ROUTES,
};

/* ---- nft and ip ---- */

/* 0 or the status to exit with, after a message that names the program. */
static int explain(int result, const char *name, const char *package, FILE *err)
{
    if (result == 0) {
        return EXIT_STATUS_OK;
    }
    if (result == -ENOENT) {
        fprintf(err,
                "weir transparent: the program %s is not there: it comes with the package %s\n",
                name, package);
        return EXIT_STATUS_UNAVAILABLE;
    }
    if (result < 0) {
        fprintf(err, "weir transparent: the program %s could not be run: %s\n", name,
                strerror(-result));
        return EXIT_STATUS_RUNTIME;
    }
    fprintf(err, "weir transparent: %s failed (status %d)%s\n", name, result,
            geteuid() == 0 ? "" : "; it needs CAP_NET_ADMIN: run weir transparent as root");
    return geteuid() == 0 ? EXIT_STATUS_RUNTIME : EXIT_STATUS_PERMISSION;
}

/* A script of one transaction. `plan` null: the one that undoes. */
static int run_nft(const struct transparent_plan *plan, FILE *err)
{
    static const char *const arguments[] = {"nft", "-f", "-", NULL};
    struct program program = {.arguments = arguments, .input = program_file()};
    int result;

    if (!program.input) {
        return explain(-errno, "nft", "nftables", err);
    }
    if (plan) {
        transparent_plan_write_nft(plan, program.input);
    } else {
        transparent_plan_write_nft_undo(program.input);
    }
    result = program_run(&program);
    fclose(program.input);
    return explain(result, "nft", "nftables", err);
}

struct ip_arguments {
    const char *items[IP_ARGUMENTS_MAX]; /* the last one is null */
};

static struct ip_arguments ip_arguments(int family, enum routing what, const char *verb,
                                        const char *const *rest)
{
    struct ip_arguments a = {{"ip", ip_families[family], routing_objects[what]}};
    size_t count = 3;

    if (verb) {
        a.items[count++] = verb;
    }
    for (; *rest; rest++) {
        ASSERT(count < IP_ARGUMENTS_MAX - 1);
        a.items[count++] = *rest;
    }
    return a;
}

static int change_routing(int family, enum routing what, const char *verb, FILE *err)
{
    struct ip_arguments a = ip_arguments(family, what, verb, routing_items[what]);
    const struct program program = {.arguments = a.items};

    return explain(program_run(&program), "ip", "iproute2", err);
}

static bool has_line_with(FILE *file, const char *words)
{
    char *line = NULL;
    size_t cap = 0;
    bool found = false;

    while (!found && getline(&line, &cap, file) >= 0) {
        found = strstr(line, words) != NULL;
    }
    free(line);
    return found;
}

/* Whether ours is there. `ip` fails quietly where there is no such table, or no such family. */
static bool has_routing(int family, enum routing what)
{
    struct ip_arguments a = ip_arguments(family, what, NULL, routing_shows[what]);
    struct program program = {.arguments = a.items, .output = program_file(), .quiet = true};
    bool found;

    if (!program.output) {
        return false;
    }
    found = program_run(&program) == 0 && has_line_with(program.output, routing_words[what]);
    fclose(program.output);
    return found;
}

/* ---- setup and undo ---- */

/* What is to be as it was, if not all can be done. */
struct change {
    bool added[FAMILY_COUNT][ROUTING_COUNT];
};

static int add_routing(const struct transparent_plan *plan, struct change *change, FILE *err)
{
    for (int family = 0; family < FAMILY_COUNT; family++) {
        for (int what = 0; what < ROUTING_COUNT; what++) {
            int status;
            if (!transparent_plan_routes(plan, family) || has_routing(family, (enum routing)what)) {
                continue;
            }
            status = change_routing(family, (enum routing)what, "add", err);
            if (status != EXIT_STATUS_OK) {
                return status;
            }
            change->added[family][what] = true;
        }
    }
    return EXIT_STATUS_OK;
}

static void take_back(const struct change *change, FILE *err)
{
    for (int family = 0; family < FAMILY_COUNT; family++) {
        for (int what = ROUTING_COUNT - 1; what >= 0; what--) {
            if (change->added[family][what] &&
                change_routing(family, (enum routing)what, "del", err) != EXIT_STATUS_OK) {
                fputs("weir transparent: not all could be taken back; try weir transparent undo\n",
                      err);
                return;
            }
        }
    }
}

/* Of families that `plan` does not route; null: of all. Goes on after a failure. */
static int remove_routing(const struct transparent_plan *plan, FILE *err)
{
    int status = EXIT_STATUS_OK;

    for (int family = 0; family < FAMILY_COUNT; family++) {
        for (int what = ROUTING_COUNT - 1; what >= 0; what--) {
            if ((!plan || !transparent_plan_routes(plan, family)) &&
                has_routing(family, (enum routing)what)) {
                int result = change_routing(family, (enum routing)what, "del", err);
                status = status == EXIT_STATUS_OK ? result : status;
            }
        }
    }
    return status;
}

static void warn(const struct transparent_plan *plan, FILE *err)
{
    static const char *const names[FAMILY_COUNT] = {"IPv4", "IPv6"};

    for (int family = 0; family < FAMILY_COUNT; family++) {
        if (!plan->listeners[family]) {
            fprintf(err,
                    "weir transparent: warning: no transparent listener serves %s, so those "
                    "connections pass by\n",
                    names[family]);
        }
    }
}

static struct config *load_plan(const struct options *options, struct transparent_plan *plan,
                                int *status, FILE *err)
{
    struct config_report report = {.out = err};
    struct config *config = config_load(options->config_file, &report);

    *status = config ? transparent_plan_make(plan, config, options, err) : EXIT_STATUS_CONFIG;
    if (*status == EXIT_STATUS_OK) {
        warn(plan, err);
    }
    return config;
}

/* The nft table comes last, in one piece: before, nothing of it has any effect. */
static int apply(const struct transparent_plan *plan, FILE *err)
{
    struct change change = {{{false}}};
    int status = add_routing(plan, &change, err);

    status = status == EXIT_STATUS_OK ? run_nft(plan, err) : status;
    if (status != EXIT_STATUS_OK) {
        take_back(&change, err);
        return status;
    }
    return remove_routing(plan, err);
}

int transparent_setup_run(const struct options *options, FILE *err)
{
    struct transparent_plan plan;
    int status;
    struct config *config = load_plan(options, &plan, &status, err);

    if (status == EXIT_STATUS_OK) {
        status = apply(&plan, err);
    }
    if (config) {
        config_put(config);
    }
    return status;
}

int transparent_undo_run(FILE *err)
{
    int nft = run_nft(NULL, err);
    int ip = remove_routing(NULL, err);

    return nft != EXIT_STATUS_OK ? nft : ip;
}

/* ---- print ---- */

static void print_script(const struct transparent_plan *plan, FILE *out)
{
    fputs("#!/bin/sh\n"
          "# What weir transparent setup does; weir transparent undo takes it back.\n"
          "# Connections to other ports, and those of other programs, pass only if this machine\n"
          "# forwards, which is left to you:\n"
          "#   sysctl -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1\n",
          out);
    for (int family = 0; family < FAMILY_COUNT; family++) {
        for (int what = 0; what < ROUTING_COUNT && transparent_plan_routes(plan, family); what++) {
            struct ip_arguments a =
                ip_arguments(family, (enum routing)what, "add", routing_items[what]);
            for (size_t i = 0; a.items[i]; i++) {
                fprintf(out, "%s%s", i ? " " : "", a.items[i]);
            }
            fputc('\n', out);
        }
    }
    fputs("nft -f - <<'END'\n", out);
    transparent_plan_write_nft(plan, out);
    fputs("END\n", out);
}

int transparent_print_run(const struct options *options, FILE *out, FILE *err)
{
    struct transparent_plan plan;
    int status;
    struct config *config = load_plan(options, &plan, &status, err);

    if (status == EXIT_STATUS_OK) {
        print_script(&plan, out);
    }
    if (config) {
        config_put(config);
    }
    return status;
}
