/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/load_cores.h"

#include "core/base/text.h"

#include <stdio.h>
#include <string.h>

enum { CORE_DIGITS_MAX = 4 };

static bool has(const struct load_cores *cores, int core)
{
    for (int i = 0; i < cores->count; i++) {
        if (cores->list[i] == core) {
            return true;
        }
    }
    return false;
}

static void add(struct load_cores *cores, int core)
{
    cores->list[cores->count++] = core;
}

/* Workers have, from the last one on, those that nobody has. */
static void add_left(struct load_cores places[LOAD_PLACE_COUNT], const struct load_cores *allowed,
                     unsigned workers)
{
    struct load_cores *proxy = &places[LOAD_AT_PROXY];

    for (int i = allowed->count - 1; i >= 0 && proxy->count < (int)workers; i--) {
        int core = allowed->list[i];

        if (!has(proxy, core) && !has(&places[LOAD_AT_CLIENT], core) &&
            !has(&places[LOAD_AT_ORIGIN], core)) {
            add(proxy, core);
        }
    }
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

static int most(int a, int b)
{
    return a > b ? a : b;
}

void load_cores_choose(const struct load_cores *allowed, const struct load_crew *crew,
                       struct load_cores places[LOAD_PLACE_COUNT])
{
    int wanted = (int)(crew->clients + crew->origins);
    int room = most(allowed->count - (int)crew->workers, least(2, allowed->count - 1));
    int clients = (int)crew->clients;

    memset(places, 0, LOAD_PLACE_COUNT * sizeof(*places));
    if (allowed->count == 0) {
        return;
    }
    if (room < wanted) { /* by their numbers, one at least */
        clients = most(least(room * clients / wanted, room - 1), 1);
    }
    for (int i = 0; i < clients; i++) {
        add(&places[LOAD_AT_CLIENT], allowed->list[i]);
    }
    for (int i = clients; i < least(room, wanted); i++) {
        add(&places[LOAD_AT_ORIGIN], allowed->list[i]);
    }
    if (room < 2) {
        add(&places[LOAD_AT_ORIGIN], allowed->list[0]);
    }
    add(&places[LOAD_AT_PROXY], allowed->list[allowed->count - 1]);
    add_left(places, allowed, crew->workers);
}

/* One parse. */
struct parse {
    const char *text, *at;
    bool has_lists; /* "0-7/8/9", not "0,1,1" */
    const struct load_cores *allowed;
    char *error;
    size_t error_cap;
};

static bool refuse(struct parse *p, const char *what)
{
    snprintf(p->error, p->error_cap,
             "byte %zu: %s; three cores with commas expected, for proxy, client and origin, as "
             "1,0,0, or three lists with slashes, as 0-7/8-11/12,13, or none",
             (size_t)(p->at - p->text), what);
    return false;
}

static bool take_number(struct parse *p, int *number)
{
    size_t len = strspn(p->at, "0123456789");

    *number = 0;
    if (len == 0 || len > CORE_DIGITS_MAX) {
        return refuse(p, len ? "no core has such a number" : "the number of a core is missing");
    }
    for (size_t i = 0; i < len; i++) {
        *number = *number * 10 + (*p->at++ - '0');
    }
    return true;
}

/* "4", or "4-7" in a list. */
static bool take_range(struct parse *p, struct load_cores *cores)
{
    const char *start = p->at;
    int first, last;

    if (!take_number(p, &first)) {
        return false;
    }
    last = first;
    if (p->has_lists && *p->at == '-') {
        p->at++;
        if (!take_number(p, &last)) {
            return false;
        }
    }
    for (int core = first; core <= last; core++) {
        if (has(cores, core)) {
            snprintf(p->error, p->error_cap, "byte %zu: the same list has core %d already",
                     (size_t)(start - p->text), core);
            return false;
        }
        if (!has(p->allowed, core)) {
            char allowed[LOAD_CORES_TEXT_MAX];

            load_cores_print(p->allowed, allowed);
            snprintf(p->error, p->error_cap,
                     "byte %zu: this process may not use core %d, only %.100s",
                     (size_t)(start - p->text), core, allowed);
            return false;
        }
        add(cores, core);
    }
    if (last < first) {
        p->at = start;
        return refuse(p, "a range that ends before it begins");
    }
    return true;
}

static bool take_places(struct parse *p, struct load_cores places[LOAD_PLACE_COUNT])
{
    char between = p->has_lists ? '/' : ',';

    for (int i = 0; i < LOAD_PLACE_COUNT; i++) {
        char end = i == LOAD_PLACE_COUNT - 1 ? '\0' : between;

        do {
            p->at += *p->at == ',' && places[i].count;
            if (!take_range(p, &places[i])) {
                return false;
            }
        } while (p->has_lists && *p->at == ',');
        if (*p->at != end) {
            return refuse(p, end == '/'   ? "a slash expected"
                             : end == ',' ? "a comma expected"
                                          : "the end expected");
        }
        p->at++;
    }
    return true;
}

bool load_cores_parse(const char *text, const struct load_cores *allowed,
                      const struct load_crew *crew, struct load_cores places[LOAD_PLACE_COUNT],
                      char *error, size_t error_cap)
{
    struct parse p = {text, text, strchr(text, '/') != NULL, allowed, error, error_cap};

    memset(places, 0, LOAD_PLACE_COUNT * sizeof(*places));
    if (strcmp(text, "none") == 0) {
        return true;
    }
    if (!take_places(&p, places)) {
        return false;
    }
    if (!p.has_lists) {
        add_left(places, allowed, crew->workers);
    }
    return true;
}

int load_cores_of(const struct load_cores *cores, unsigned process)
{
    return cores->count ? cores->list[process % (unsigned)cores->count] : -1;
}

void load_cores_add(struct load_cores *cores, const struct load_cores *others)
{
    for (int i = 0; i < others->count; i++) {
        if (!has(cores, others->list[i])) {
            add(cores, others->list[i]);
        }
    }
}

bool load_cores_share(const struct load_cores *a, const struct load_cores *b)
{
    for (int i = 0; i < a->count; i++) {
        if (has(b, a->list[i])) {
            return true;
        }
    }
    return false;
}

void load_cores_print(const struct load_cores *cores, char text[LOAD_CORES_TEXT_MAX])
{
    struct text t = text_make(text, LOAD_CORES_TEXT_MAX - 1);

    for (int i = 0; i < cores->count; i++) {
        int first = i;

        while (i + 1 < cores->count && cores->list[i + 1] == cores->list[i] + 1) {
            i++;
        }
        text_printf(&t, "%s%d", first ? "," : "", cores->list[first]);
        if (i > first) {
            text_printf(&t, "-%d", cores->list[i]);
        }
    }
    text[t.len] = '\0';
}
