/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/load_options.h"

#include "core/base/text.h"
#include "core/config/suggest.h"
#include "core/options.h"

#include <stddef.h>
#include <stdlib.h>

enum value_kind {
    VALUE_FLAG,
    VALUE_NUMBER,
    VALUE_SECONDS,
    VALUE_TEXT,
    VALUE_MODES,
    VALUE_PROFILES,
    VALUE_VARIANTS,
    VALUE_CLOSER,
    VALUE_WORKERS,
    VALUE_PORTS,
    VALUE_REQUIRE,
    VALUE_FIND_MAX,
    VALUE_CURVES,
    VALUE_POINTS,
};

enum {
    ON_RUN = 1 << LOAD_VERB_RUN,
    ON_ORIGIN = 1 << LOAD_VERB_ORIGIN,
    ON_GROW = 1 << LOAD_VERB_GROW,
};

struct option_row {
    const char *name;
    const char *value_name; /* null: none is taken */
    enum value_kind kind;
    unsigned verbs;
    size_t offset; /* in the options: flag, number or text */
    unsigned max;  /* of a number; its least is 1 */
    const char *sentence;
};

#define AT(field) offsetof(struct load_options, field)

static const struct option_row rows[] = {
    {"curves", "LIST", VALUE_CURVES, ON_GROW, 0, 0,
     "of forward, connect, intercept, hosts, leaf, remembered, genuine,\n"
     "unknown, which the table explains (all)"},
    {"points", "LIST", VALUE_POINTS, ON_GROW, 0, 0,
     "as 10,100,1000: what is counted, for all curves (to 9000 connections,\n"
     "100000 hosts, 1000000 records)"},
    {"modes", "LIST", VALUE_MODES, ON_RUN, 0, 0,
     "of forward, connect, connect-tls, intercept (all but connect-tls), and\n"
     "transparent, transparent-tls, which need root or user namespaces, and nft;\n"
     "direct and direct-tls, which they are compared with, are added"},
    {"profiles", "LIST", VALUE_PROFILES, ON_RUN, 0, 0,
     "of small, new, resumed, hosts, down, up, idle, slow, mix, or all (small,new)"},
    {"connections", "N", VALUE_NUMBER, ON_RUN, AT(connections), LOAD_CONNECTIONS_MAX,
     "at the same time (16)"},
    {"idle-connections", "N", VALUE_NUMBER, ON_RUN, AT(idle_connections), LOAD_CONNECTIONS_MAX,
     "that idle holds (4000)"},
    {"clients", "N", VALUE_NUMBER, ON_RUN, AT(clients), LOAD_CLIENTS_MAX,
     "processes that share the connections and the rate: one cannot fill a\n"
     "weir with several workers (1)"},
    {"origins", "N", VALUE_NUMBER, ON_RUN, AT(origins), LOAD_ORIGINS_MAX,
     "processes on the same ports; the kernel gives each connection to one of\n"
     "them by a hash, so few connections are shared unevenly (1)"},
    {"rate", "N", VALUE_NUMBER, ON_RUN, AT(rate_hz), 10000000,
     "requests a second whatever happens (open loop); without it each\n"
     "connection asks again when it was answered (closed loop)"},
    {"rate", "N", VALUE_NUMBER, ON_GROW, AT(rate_hz), 1000000,
     "requests a second, however many connections there are (4000)"},
    {"poisson", NULL, VALUE_FLAG, ON_RUN, AT(is_poisson), 0,
     "with --rate: random times, as of many clients, and not regular ones"},
    {"closes", "WHO", VALUE_CLOSER, ON_RUN, 0, 0,
     "client or origin: who ends a connection that served its one request; for\n"
     "the origin that request says Connection: close (client)"},
    {"seconds", "N", VALUE_SECONDS, ON_RUN | ON_GROW, 0, 0, "that a trial is measured, as 0.5 (2)"},
    {"warm-up-ms", "N", VALUE_NUMBER, ON_RUN | ON_GROW, AT(warm_up_ms), 60000,
     "before that; over the first half connections begin one by one (500)"},
    {"rounds", "N", VALUE_NUMBER, ON_RUN | ON_GROW, AT(rounds), LOAD_ROUNDS_MAX,
     "trials of each case, in turn with the others (3)"},
    {"bytes", "N", VALUE_NUMBER, ON_RUN | ON_GROW, AT(small_bytes), 1 << 30,
     "of a small body (1024)"},
    {"bulk-kib", "N", VALUE_NUMBER, ON_RUN, AT(bulk_kib), 4 << 20,
     "KiB of a body of down and up (16384)"},
    {"cores", "LIST", VALUE_TEXT, ON_RUN | ON_GROW, AT(cores), 0,
     "of proxy, client and origin, as 0,1,1, or several for each, as\n"
     "0-7/8-11/12,13; none: no pinning (by what there is)"},
    {"steady", NULL, VALUE_FLAG, ON_RUN, AT(is_steady), 0,
     "on a machine whose cores are near each other at times and at others far:\n"
     "waits until they are as in the round's first trial, and makes a trial\n"
     "again in which that changed; with --rate also one in which the host took\n"
     "more than 2 % of a core away"},
    {"awake", NULL, VALUE_FLAG, ON_RUN, AT(is_awake), 0,
     "client and origin look for work without end, and give way to each other:\n"
     "what it takes to wake them is in no latency"},
    {"core-latency", "NS", VALUE_NUMBER, ON_RUN, AT(core_latency_ns), 100000,
     "with --steady: as now, not as in the first trial; a cache line's way\n"
     "from the proxy's core to the client's (core_latency_ns in the results)"},
    {"workers", "LIST", VALUE_WORKERS, ON_RUN, 0, LOAD_WORKERS_MAX,
     "of weir; each number is measured, in turn with the others, as 1,2 (1)"},
    {"variants", "LIST", VALUE_VARIANTS, ON_RUN, 0, 0,
     "of weir, in turn: plain, logs (writes an access log), blind (judges no\n"
     "ClientHello) (plain)"},
    {"together", NULL, VALUE_FLAG, ON_RUN, AT(is_together), 0,
     "each of --variants with each of --workers at the same time, on the same\n"
     "cores, with clients of its own: what the machine does hits them alike, and\n"
     "small differences in CPU time show; latencies and requests a second are\n"
     "those of cores that are shared; implies --alone"},
    {"proxy", "ADDRESS", VALUE_TEXT, ON_RUN, AT(proxy), 0,
     "another proxy than the weir that is started, as 127.0.0.1:3128"},
    {"proxy-pid", "PID", VALUE_NUMBER, ON_RUN, AT(proxy_pid), 1 << 30,
     "its process, for CPU time and memory"},
    {"proxy-ca", "FILE", VALUE_TEXT, ON_RUN, AT(proxy_ca), 0,
     "what its certificates are signed with, in PEM"},
    {"host", "NAME", VALUE_TEXT, ON_RUN, AT(host), 0,
     "of the origin, as that proxy can look it up (localhost)"},
    {"fixed", NULL, VALUE_FLAG, ON_RUN, AT(is_fixed), 0,
     "that proxy has one destination and is asked as the origin is: no CONNECT,\n"
     "GET /... and not GET http://..."},
    {"alone", NULL, VALUE_FLAG, ON_RUN, AT(is_alone), 0,
     "without direct and direct-tls beside it: no figure of what is added"},
    {"ports", "LIST", VALUE_PORTS, ON_RUN | ON_ORIGIN, 0, 0,
     "of the origin: HTTP, HTTPS and DNS, as 8000,8443,5353 (any free ones)"},
    {"ca-dir", "DIR", VALUE_TEXT, ON_RUN | ON_ORIGIN, AT(ca_dir), 0,
     "the origin's authority, weir-ca-cert.pem; made if there is none"},
    {"json", "FILE", VALUE_TEXT, ON_RUN | ON_GROW, AT(json_file), 0,
     "write everything there; - is output"},
    {"html", "FILE", VALUE_TEXT, ON_RUN | ON_GROW, AT(html_file), 0,
     "write a page with curves there"},
    {"commit", "TEXT", VALUE_TEXT, ON_RUN | ON_GROW, AT(commit), 0,
     "what is measured, for the results"},
    {"require", "BOUND", VALUE_REQUIRE, ON_RUN, 0, 0,
     "exit with 99 if it does not hold, as 'p99<5ms' or\n'intercept/new/cpu_us<900'; "
     "may be repeated"},
    {"find-max", "BOUND", VALUE_FIND_MAX, ON_RUN, 0, 0,
     "search for the highest rate at which this holds, and nothing else"},
    {"help", NULL, VALUE_FLAG, ON_RUN | ON_ORIGIN | ON_GROW | 1 << LOAD_VERB_COMPARE, 0, 0,
     "this text"},
};

static const struct verb_row {
    const char *name, *operands, *summary, *details, *example;
} verbs[] = {
    [LOAD_VERB_RUN] =
        {"run", "", "measure a proxy under load",
         "Starts an origin, a weir with one worker and a client, each on a core of its own where\n"
         "there are enough, and measures what the proxy costs and adds against the same work\n"
         "without it. Everything is on loopback. The configuration of weir is made; another proxy\n"
         "is measured with --proxy. Latency counts from the intended time of a request.\n"
         "Exits with 99 if a --require does not hold, 65 if a body came back as another one, 1 if\n"
         "a trial could not be made.\n",
         "  weir bench run\n"
         "  weir bench run --modes intercept --profiles new,resumed,hosts --rounds 5\n"
         "  weir bench run --rate 5000 --poisson --require 'p99<5ms' --html load.html\n"},
    [LOAD_VERB_ORIGIN] =
        {"origin", "", "be the origin of the load harness",
         "Serves HTTP and HTTPS on loopback, and DNS that says 127.0.0.1 to every name, until it\n"
         "is ended; prints the ports as an object in JSON. GET /bytes/N[?chunked][&delay_ms=D]\n"
         "answers N bytes of a pattern, POST /sink says whether it was sent that pattern.\n",
         "  weir bench origin\n"
         "  weir bench origin --ports 8000,8443,5353 --ca-dir origin-ca\n"},
    [LOAD_VERB_COMPARE] =
        {"compare", " A.json B.json", "tell whether B is faster than A",
         "Of two results of weir bench run --json. A figure has changed when the rounds of A and "
         "B\n"
         "do not overlap and the medians are 3 % apart or more. Exits with 99 if something became\n"
         "worse.\n",
         "  weir bench compare before.json after.json\n"},
    [LOAD_VERB_GROW] =
        {"grow", "", "show how costs grow with what there is",
         "CPU time of weir for a request over 10 to 9000 connections, for a new connection to one\n"
         "of 10 to 100000 known hosts, for a lookup among that many leaves, and for a verdict "
         "with\n"
         "100 to 1000000 records. Requests come at the same rate however many connections there\n"
         "are, new connections at a sixteenth of it: the busier weir is, the less a request "
         "costs.\n"
         "A curve bends upward if it ends more than a quarter above its beginning and rises more\n"
         "a decade at its end than anywhere before, beyond the spread of the rounds, and by more\n"
         "than a few loads from memory. Exits with 99 if one does.\n",
         "  weir bench grow --html grow.html\n"
         "  weir bench grow --curves leaf,genuine --rounds 5\n"},
};

/* One parse. */
struct parse {
    enum load_verb verb;
    char *const *arguments;
    size_t count, at;
    struct load_options *options;
    FILE *err;
};

static void print_help(enum load_verb verb, FILE *out)
{
    fprintf(out, "weir bench %s: %s\n\nUsage: weir bench %s [OPTION...]%s\n\n%s\nOptions:\n",
            verbs[verb].name, verbs[verb].summary, verbs[verb].name, verbs[verb].operands,
            verbs[verb].details);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char *line = rows[i].sentence;
        int len;

        if (!(rows[i].verbs & 1U << verb)) {
            continue;
        }
        len = fprintf(out, "  --%s%s%s", rows[i].name, rows[i].value_name ? " " : "",
                      rows[i].value_name ? rows[i].value_name : "");
        while (line) {
            const char *end = strchr(line, '\n');

            fprintf(out, "%*s%.*s\n", 24 - len, "", (int)(end ? end - line : (long)strlen(line)),
                    line);
            line = end ? end + 1 : NULL;
            len = 0;
        }
    }
    fprintf(out, "\nExample:\n%s", verbs[verb].example);
}

static int usage_error(const struct parse *p)
{
    fprintf(p->err, "weir bench %s --help explains it\n", verbs[p->verb].name);
    return EXIT_STATUS_USAGE;
}

/* Ends the line of a complaint. */
static void say_suggestion(const struct parse *p, const struct suggest *suggest, const char *dashes)
{
    if (suggest->best.len) {
        fprintf(p->err, "; did you mean \"%s%.*s\"?", dashes, SPAN_PRINTF(suggest->best));
    }
    fputc('\n', p->err);
}

/* What is called so at that index; null behind the last. */
typedef const char *(*name_at)(size_t index);

static const char *mode_name(size_t index)
{
    return index < LOAD_MODE_COUNT ? load_modes[index].name : NULL;
}

static const char *profile_name(size_t index)
{
    return index < LOAD_PROFILE_COUNT ? load_profiles[index].name : NULL;
}

static const char *curve_name(size_t index)
{
    return index < GROW_CURVE_COUNT ? grow_curves[index].name : NULL;
}

static const char *variant_name(size_t index)
{
    return index < LOAD_VARIANT_COUNT ? load_variants[index] : NULL;
}

/* Comma by comma. */
static bool take_list(struct parse *p, const struct option_row *row, const char *value,
                      name_at names, bool *has)
{
    struct span rest = span_from_string(value);

    for (size_t i = 0; names(i); i++) {
        has[i] = span_equal(rest, SPAN_LITERAL("all"));
    }
    while (rest.len && !span_equal(rest, SPAN_LITERAL("all"))) {
        struct span word = span_sub(rest, 0, span_find(rest, ','));
        struct suggest suggest = suggest_make(word);
        size_t i = 0;

        while (names(i) && !span_equal(word, span_from_string(names(i)))) {
            suggest_offer(&suggest, span_from_string(names(i++)));
        }
        if (!names(i)) {
            char shown[64];
            struct text t = text_make(shown, sizeof(shown));

            text_escaped(&t, word);
            fprintf(p->err, "weir bench: --%s: \"%.*s\" is none of them", row->name, (int)t.len,
                    shown);
            say_suggestion(p, &suggest, "");
            return false;
        }
        has[i] = true;
        rest = span_skip(rest, word.len + 1);
    }
    return true;
}

/* Decimal, 1 or 0 (`least`) to max. */
static bool read_number(const char *text, size_t len, unsigned least, unsigned max,
                        unsigned *number)
{
    uint64_t value = 0;

    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9' || value > max) {
            return false;
        }
        value = value * 10 + (unsigned)(text[i] - '0');
    }
    *number = (unsigned)value;
    return len && value >= least && value <= max;
}

/* With a point, if it is wanted. */
static bool take_seconds(struct parse *p, const char *value)
{
    char *end;
    double seconds = strtod(value, &end);

    /* Neither signs nor "inf". */
    if (*end || value[strspn(value, "0123456789.")] || seconds * 1000 < LOAD_WINDOW_MS_MIN ||
        seconds * 1000 > LOAD_WINDOW_MS_MAX) {
        fputs("weir bench: --seconds: a number from 0.1 to 600 expected\n", p->err);
        return false;
    }
    p->options->window_ms = (unsigned)(seconds * 1000);
    return true;
}

static bool take_ports(struct parse *p, const char *value)
{
    unsigned ports[3];
    const char *at = value;
    size_t count = 0;

    while (count < COUNT_OF(ports) &&
           read_number(at, strcspn(at, ","), 0, UINT16_MAX, &ports[count])) {
        at += strcspn(at, ",");
        count++;
        at += *at == ',';
    }
    if (count != COUNT_OF(ports) || *at) {
        fputs("weir bench: --ports: three numbers from 0 to 65535 with commas expected, as "
              "8000,8443,5353\n",
              p->err);
        return false;
    }
    p->options->ports =
        (struct load_ports){(uint16_t)ports[0], (uint16_t)ports[1], (uint16_t)ports[2]};
    return true;
}

static bool take_points(struct parse *p, const char *value)
{
    struct load_options *options = p->options;
    unsigned before = 0;
    const char *at = value;

    options->point_count = 0;
    while (options->point_count < GROW_POINTS_MAX &&
           read_number(at, strcspn(at, ","), before + 1, GROW_POINT_MAX,
                       &options->points[options->point_count])) {
        before = options->points[options->point_count++];
        at += strcspn(at, ",");
        if (!*at) {
            return true;
        }
        at++;
    }
    fprintf(p->err,
            "weir bench: --points: up to %d numbers from 1 to %d with commas expected, each above "
            "the one before\n",
            GROW_POINTS_MAX, GROW_POINT_MAX);
    return false;
}

static bool take_workers(struct parse *p, const struct option_row *row, const char *value)
{
    struct load_options *options = p->options;
    const char *at = value;

    options->workers_len = 0;
    for (;;) {
        size_t len = strcspn(at, ",");
        size_t index = options->workers_len;

        if (index == COUNT_OF(options->workers) ||
            !read_number(at, len, 1, row->max, &options->workers[index])) {
            fprintf(p->err,
                    "weir bench: --workers: at most %d numbers from 1 to %u with commas expected, "
                    "as 1,2\n",
                    LOAD_WORKER_COUNTS_MAX, row->max);
            return false;
        }
        options->workers_len++;
        if (!at[len]) {
            return true;
        }
        at += len + 1;
    }
}

static bool take_closer(struct parse *p, const char *value)
{
    for (int i = 0; i < LOAD_CLOSER_COUNT; i++) {
        if (strcmp(value, load_closers[i]) == 0) {
            p->options->closer = (enum load_closer)i;
            return true;
        }
    }
    fputs("weir bench: --closes: client or origin expected\n", p->err);
    return false;
}

static bool take_require(struct parse *p, const struct option_row *row, const char *value,
                         struct load_require *require)
{
    char error[256];

    if (load_require_parse(require, value, error, sizeof(error))) {
        return true;
    }
    fprintf(p->err, "weir bench: --%s: %s\n", row->name, error);
    return false;
}

static bool take_value(struct parse *p, const struct option_row *row, const char *value)
{
    struct load_options *options = p->options;
    void *field = (char *)options + row->offset;

    if (row->kind == VALUE_FLAG) {
        *(bool *)field = true;
        return true;
    }
    ASSERT(value); /* as parse_option() has it of all the others */
    switch (row->kind) {
    case VALUE_FLAG:
        break;
    case VALUE_TEXT:
        *(const char **)field = value;
        return true;
    case VALUE_NUMBER:
        if (!read_number(value, strlen(value), 1, row->max, field)) {
            fprintf(p->err, "weir bench: --%s: a number from 1 to %u expected\n", row->name,
                    row->max);
            return false;
        }
        return true;
    case VALUE_SECONDS:
        return take_seconds(p, value);
    case VALUE_MODES:
        return take_list(p, row, value, mode_name, options->has_mode);
    case VALUE_PROFILES:
        return take_list(p, row, value, profile_name, options->has_profile);
    case VALUE_VARIANTS:
        return take_list(p, row, value, variant_name, options->has_variant);
    case VALUE_CLOSER:
        return take_closer(p, value);
    case VALUE_WORKERS:
        return take_workers(p, row, value);
    case VALUE_PORTS:
        return take_ports(p, value);
    case VALUE_CURVES:
        return take_list(p, row, value, curve_name, options->has_curve);
    case VALUE_POINTS:
        return take_points(p, value);
    case VALUE_FIND_MAX:
        options->has_find_max = true;
        return take_require(p, row, value, &options->find_max);
    case VALUE_REQUIRE:
        if (options->require_count == LOAD_REQUIRES_MAX) {
            fprintf(p->err, "weir bench: more than %d times --require\n", LOAD_REQUIRES_MAX);
            return false;
        }
        return take_require(p, row, value, &options->requires[options->require_count++]);
    }
    return false;
}

static const struct option_row *find_row(struct parse *p, struct span name)
{
    struct suggest suggest = suggest_make(name);
    char shown[64];
    struct text t = text_make(shown, sizeof(shown));

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (!(rows[i].verbs & 1U << p->verb)) {
            continue;
        }
        if (span_equal(name, span_from_string(rows[i].name))) {
            return &rows[i];
        }
        suggest_offer(&suggest, span_from_string(rows[i].name));
    }
    text_escaped(&t, name);
    fprintf(p->err, "weir bench: unknown option \"--%.*s\"", (int)t.len, shown);
    say_suggestion(p, &suggest, "--");
    return NULL;
}

static bool parse_option(struct parse *p)
{
    struct span argument = span_skip(span_from_string(p->arguments[p->at++]), 2);
    struct span name = span_sub(argument, 0, span_find(argument, '='));
    const struct option_row *row = find_row(p, name);
    const char *value = NULL;

    if (!row) {
        return false;
    }
    if (name.len < argument.len) {
        value = (const char *)argument.data + name.len + 1;
    } else if (row->value_name && p->at < p->count) {
        value = p->arguments[p->at++];
    }
    if (!row->value_name != !value || (value && !*value)) {
        fprintf(p->err, "weir bench: --%s %s\n", row->name,
                row->value_name ? "needs a value" : "takes no value");
        return false;
    }
    return take_value(p, row, value);
}

static bool is_plain(const struct load_options *options)
{
    return options->workers_len == 1 && options->workers[0] == 1 &&
           !options->has_variant[LOAD_LOGS] && !options->has_variant[LOAD_BLIND];
}

/* What there is no sense in beside --together; null: nothing. */
static const char *fault_of_together(const struct load_options *options)
{
    for (int i = 0; i < LOAD_MODE_COUNT; i++) {
        if (options->has_mode[i] && (!load_modes[i].has_proxy || load_modes[i].is_transparent)) {
            return "--together is for forward, connect, connect-tls and intercept: only of these "
                   "there can be several";
        }
    }
    if (load_options_sides(options) < 2) {
        return "--together needs two or more of --variants, as plain,blind, or of --workers, as "
               "1,2";
    }
    if (load_options_sides(options) > LOAD_SIDES_MAX) {
        return "--together has a weir for each of --variants with each of --workers: at most 8";
    }
    if (options->clients * load_options_sides(options) > LOAD_CLIENTS_MAX) {
        return "--together has --clients for each weir: too many of them";
    }
    return options->has_find_max ? "--find-max searches in one case: without --together" : NULL;
}

static bool check_all(struct parse *p)
{
    const struct load_options *options = p->options;
    const char *fault = NULL;

    if (p->verb == LOAD_VERB_COMPARE && options->operand_count != 2) {
        fault = "two files expected";
    } else if (options->connections < options->clients ||
               options->idle_connections < options->clients) {
        fault = "--clients N needs N --connections and --idle-connections or more: one each";
    } else if (options->is_poisson && !options->rate_hz && !options->has_find_max) {
        fault = "--poisson needs --rate N";
    } else if (!options->proxy &&
               (options->proxy_pid || options->proxy_ca || options->host || options->is_fixed)) {
        fault = "--proxy-pid, --proxy-ca, --host and --fixed need --proxy ADDRESS";
    } else if (options->proxy && !is_plain(options)) {
        fault = "--workers and --variants are for weir alone";
    } else if (options->proxy && load_options_need_network(options)) {
        fault = "transparent modes are for weir alone: no other proxy is in the network of the run";
    } else if (options->proxy && options->has_mode[LOAD_INTERCEPT] && !options->proxy_ca) {
        fault = "--modes intercept needs --proxy-ca FILE";
    } else if (options->core_latency_ns && !options->is_steady) {
        fault = "--core-latency needs --steady";
    } else if (options->has_find_max && options->rate_hz) {
        fault = "--find-max chooses the rate: without --rate";
    } else if (options->is_together) {
        fault = fault_of_together(options);
    }
    if (fault) {
        fprintf(p->err, "weir bench: %s\n", fault);
    }
    return !fault;
}

const char *load_options_host(const struct load_options *options, enum load_mode mode)
{
    bool is_tunnel = mode == LOAD_CONNECT || mode == LOAD_CONNECT_TLS;

    if (options->proxy) {
        return options->host ? options->host : "localhost";
    }
    return is_tunnel ? "origin.tunnel.bench.test" : "origin.bench.test";
}

unsigned load_options_sides(const struct load_options *options)
{
    unsigned variants = 0;

    for (int i = 0; i < LOAD_VARIANT_COUNT; i++) {
        variants += options->has_variant[i];
    }
    return options->is_together ? variants * (unsigned)options->workers_len : 1;
}

bool load_options_need_network(const struct load_options *options)
{
    for (int i = 0; i < LOAD_MODE_COUNT; i++) {
        if (options->has_mode[i] && load_modes[i].is_transparent) {
            return true;
        }
    }
    return false;
}

int load_options_parse(enum load_verb verb, char *const *arguments, size_t count,
                       struct load_options *options, FILE *out, FILE *err)
{
    struct parse p = {verb, arguments, count, 0, options, err};

    *options = (struct load_options){
        .has_mode = {[LOAD_FORWARD] = true, [LOAD_CONNECT] = true, [LOAD_INTERCEPT] = true},
        .has_profile = {[LOAD_SMALL] = true, [LOAD_NEW] = true},
        .has_variant = {[LOAD_PLAIN] = true},
        .workers = {1},
        .workers_len = 1,
        .clients = 1,
        .origins = 1,
        .connections = 16,
        .idle_connections = 4000,
        .window_ms = 2000,
        .warm_up_ms = 500,
        .rounds = 3,
        .small_bytes = 1024,
        .bulk_kib = 16 * 1024,
    };
    for (int i = 0; i < GROW_CURVE_COUNT; i++) {
        options->has_curve[i] = true;
    }
    while (p.at < count) {
        const char *argument = arguments[p.at];

        if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0) {
            print_help(verb, out);
            return EXIT_STATUS_OK;
        }
        if (strncmp(argument, "--", 2) == 0) {
            if (!parse_option(&p)) {
                return usage_error(&p);
            }
        } else if (!verbs[verb].operands[0] || options->operand_count == LOAD_OPERANDS_MAX) {
            char shown[64];
            struct text t = text_make(shown, sizeof(shown));

            text_escaped(&t, span_from_string(argument));
            fprintf(err, "weir bench: unexpected argument \"%.*s\"\n", (int)t.len, shown);
            return usage_error(&p);
        } else {
            options->operands[options->operand_count++] = argument;
            p.at++;
        }
    }
    options->is_alone |= options->is_together;
    return check_all(&p) ? -1 : usage_error(&p);
}
