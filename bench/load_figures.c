/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/load_figures.h"

#include "bench/measure.h"
#include "core/base/clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define GIB (1024.0 * 1024 * 1024)

enum { ROUNDS_MAX = 64 };

const struct load_figure_row load_figure_rows[FIGURE_COUNT] = {
    [FIGURE_RATE_HZ] = {"rate_hz", "/s", 1},
    [FIGURE_MIB_S] = {"transfer_mib_s", "MiB/s", 1},
    [FIGURE_P50_US] = {"p50_us", "us", -1},
    [FIGURE_P90_US] = {"p90_us", "us", -1},
    [FIGURE_P99_US] = {"p99_us", "us", -1},
    [FIGURE_P999_US] = {"p999_us", "us", -1},
    [FIGURE_MAX_US] = {"max_us", "us", 0},
    [FIGURE_MEAN_US] = {"mean_us", "us", -1},
    [FIGURE_SENT_P50_US] = {"sent_p50_us", "us", 0},
    [FIGURE_SENT_P99_US] = {"sent_p99_us", "us", 0},
    [FIGURE_SENT_P999_US] = {"sent_p999_us", "us", 0},
    [FIGURE_P99_OF_200_US] = {"p99_of_200_us", "us", -1},
    [FIGURE_ADDED_P50_US] = {"added_p50_us", "us", -1},
    [FIGURE_ADDED_P99_US] = {"added_p99_us", "us", -1},
    [FIGURE_ADDED_P999_US] = {"added_p999_us", "us", -1},
    [FIGURE_ADDED_P99_OF_200_US] = {"added_p99_of_200_us", "us", -1},
    [FIGURE_CPU_US] = {"cpu_us", "us", -1},
    [FIGURE_CONN_CPU_US] = {"connection_cpu_us", "us", -1},
    [FIGURE_GIB_CPU_MS] = {"gib_cpu_ms", "ms", -1},
    [FIGURE_CPU_RATIO] = {"cpu_ratio", "", 0},
    [FIGURE_SCALING] = {"scaling", "", 1},
    [FIGURE_IDLE_BYTES] = {"idle_bytes", "B", -1},
    [FIGURE_PROXY_KIB] = {"proxy_kib", "KiB", 0},
    [FIGURE_PROXY_BUSY] = {"proxy_busy", "", 0},
    [FIGURE_ORIGIN_BUSY] = {"origin_busy", "", 0},
    [FIGURE_CLIENT_BUSY] = {"client_busy", "", 0},
    [FIGURE_LOAD_BUSY] = {"load_busy", "", 0},
    [FIGURE_OTHERS_BUSY] = {"others_busy", "", 0},
    [FIGURE_STOLEN] = {"stolen", "", 0},
    [FIGURE_TAKEN] = {"taken", "", 0},
    [FIGURE_CORE_LATENCY_NS] = {"core_latency_ns", "ns", 0},
    [FIGURE_RESUMED] = {"resumed", "", 0},
    [FIGURE_LATE_P99_US] = {"late_p99_us", "us", 0},
    [FIGURE_ERRORS] = {"errors", "", -1},
    [FIGURE_MISMATCHES] = {"mismatches", "", -1},
    [FIGURE_DROPPED] = {"dropped", "", -1},
};

/* ---- of a trial ---- */

void load_figures_clear(double figures[FIGURE_COUNT])
{
    for (int i = 0; i < FIGURE_COUNT; i++) {
        figures[i] = NAN;
    }
}

static double ratio(double amount, double count)
{
    return amount >= 0 && count > 0 ? amount / count : NAN;
}

static double quantile_us(const struct histogram *histogram, double share)
{
    return histogram->count ? (double)histogram_quantile(histogram, share) / NS_PER_US : NAN;
}

/* One who is not known makes the sum unknown. */
static double sum_ns(const int64_t *times_ns, unsigned count)
{
    double sum = count ? 0 : NAN;

    for (unsigned i = 0; i < count; i++) {
        sum += times_ns[i] >= 0 ? (double)times_ns[i] : NAN;
    }
    return sum;
}

static double most_ns(const int64_t *times_ns, unsigned count)
{
    double most = NAN;

    for (unsigned i = 0; i < count; i++) {
        most = times_ns[i] >= 0 ? fmax(most, (double)times_ns[i]) : most; /* NAN: the other one */
    }
    return most;
}

/* How long each had something to do; -1: not known. */
struct load_busy {
    int64_t client_ns[LOAD_CLIENTS_MAX], origin_ns[LOAD_ORIGINS_MAX];
};

/* Who never sleeps uses CPU time without anything to do. */
static int64_t busy_ns(const struct load_plan *plan, const struct load_result *r, int64_t cpu_ns,
                       int64_t looked_ns)
{
    if (!plan->is_awake) {
        return cpu_ns;
    }
    return r->window_ns > looked_ns ? r->window_ns - looked_ns
                                    : 0; /* read a little earlier or later */
}

static struct load_busy take_busy(const struct load_plan *plan, const struct load_result *r)
{
    struct load_busy busy;

    for (unsigned i = 0; i < load_plan_all_clients(plan); i++) {
        busy.client_ns[i] = busy_ns(plan, r, r->client_cpu_ns[i], r->client_looked_ns[i]);
    }
    for (unsigned i = 0; i < plan->origins; i++) {
        busy.origin_ns[i] = busy_ns(plan, r, r->origin_cpu_ns[i], r->origin_looked_ns[i]);
    }
    return busy;
}

/* Times of all that are on this core; -1: any, and nobody is known to be there. */
static double on_core_ns(const struct load_plan *plan, const int64_t *clients_ns,
                         const int64_t *origins_ns, int core)
{
    double sum = 0;

    for (unsigned i = 0; core >= 0 && i < load_plan_all_clients(plan); i++) {
        sum += plan->client_cores[i] == core ? fmax((double)clients_ns[i], 0) : 0;
    }
    for (unsigned i = 0; core >= 0 && i < plan->origins; i++) {
        sum += plan->origin_cores[i] == core ? fmax((double)origins_ns[i], 0) : 0;
    }
    return sum;
}

/* Of the core that clients and origins have used most. */
static double fullest_ns(const struct load_plan *plan, const struct load_busy *busy)
{
    double most = fmax(most_ns(busy->client_ns, load_plan_all_clients(plan)),
                       most_ns(busy->origin_ns, plan->origins));

    for (unsigned i = 0; i < load_plan_all_clients(plan); i++) {
        most =
            fmax(most, on_core_ns(plan, busy->client_ns, busy->origin_ns, plan->client_cores[i]));
    }
    for (unsigned i = 0; i < plan->origins; i++) {
        most =
            fmax(most, on_core_ns(plan, busy->client_ns, busy->origin_ns, plan->origin_cores[i]));
    }
    return most;
}

/* What neither we nor the proxies have used of the trial's cores. */
static double others_ns(const struct load_plan *plan, const struct load_result *r)
{
    double ours = sum_ns(r->client_cpu_ns, load_plan_all_clients(plan)) +
                  sum_ns(r->origin_cpu_ns, plan->origins);

    ours += (double)r->beside_cpu_ns + (r->proxy_cpu_ns > 0 ? (double)r->proxy_cpu_ns : 0);
    return r->cores_cpu_ns >= 0 && !isnan(ours) ? fmax((double)r->cores_cpu_ns - ours, 0) : NAN;
}

/* What this core of a client or an origin, which never sleep, has given to others. */
static double given_ns(const struct load_plan *plan, const struct load_result *r, int core)
{
    double ours_ns = on_core_ns(plan, r->client_cpu_ns, r->origin_cpu_ns, core);
    return core >= 0 ? fmax((double)r->window_ns - ours_ns, 0) : NAN;
}

/* What others had, the host among them, of that core of clients and origins of which they had most,
 * and of the proxy's while it wanted to run. None of it is counted in ticks, as what all have used
 * of a core is: single pauses of a millisecond make the tail of latencies. */
static double taken_ns(const struct load_plan *plan, const struct load_result *r)
{
    double waited_ns = load_modes[plan->mode].has_proxy ? (double)r->proxy_waited_ns : 0;
    double most = NAN; /* none of them is pinned */

    if (!plan->is_awake || plan->sides > 1 || waited_ns < 0 ||
        isnan(sum_ns(r->origin_cpu_ns, plan->origins))) {
        return NAN;
    }
    for (unsigned i = 0; i < plan->clients; i++) {
        most = fmax(most, given_ns(plan, r, plan->client_cores[i]));
    }
    for (unsigned i = 0; i < plan->origins; i++) {
        most = fmax(most, given_ns(plan, r, plan->origin_cores[i]));
    }
    return most + waited_ns;
}

static void take_loop(const struct load_plan *plan, const struct load_result *r, double *figures)
{
    struct load_busy busy = take_busy(plan, r);
    double seconds = (double)r->window_ns / NS_PER_S;
    double bytes = (double)r->down_bytes + (double)r->up_bytes;
    bool has_proxy = load_modes[plan->mode].has_proxy;
    double cpu_us = has_proxy ? (double)r->proxy_cpu_ns / NS_PER_US : NAN;
    bool is_bulk = plan->profile == LOAD_DOWN || plan->profile == LOAD_UP;
    bool is_new =
        plan->profile == LOAD_NEW || plan->profile == LOAD_RESUMED || plan->profile == LOAD_HOSTS;

    figures[FIGURE_RATE_HZ] = (double)r->units / seconds;
    figures[FIGURE_MIB_S] = bytes / seconds / (1024 * 1024);
    figures[FIGURE_P50_US] = quantile_us(&r->latency, 0.5);
    figures[FIGURE_P90_US] = quantile_us(&r->latency, 0.9);
    figures[FIGURE_P99_US] = quantile_us(&r->latency, 0.99);
    figures[FIGURE_P999_US] = quantile_us(&r->latency, 0.999);
    figures[FIGURE_MAX_US] = quantile_us(&r->latency, 1);
    figures[FIGURE_MEAN_US] = r->latency.count ? histogram_mean(&r->latency) / NS_PER_US : NAN;
    figures[FIGURE_SENT_P50_US] = quantile_us(&r->uncorrected, 0.5);
    figures[FIGURE_SENT_P99_US] = quantile_us(&r->uncorrected, 0.99);
    figures[FIGURE_SENT_P999_US] = quantile_us(&r->uncorrected, 0.999);
    figures[FIGURE_P99_OF_200_US] = quantile_us(&r->tails, 0.5);
    figures[FIGURE_CPU_US] = ratio(cpu_us, (double)r->units);
    figures[FIGURE_CONN_CPU_US] = is_new ? ratio(cpu_us, (double)r->connections) : NAN;
    figures[FIGURE_GIB_CPU_MS] = is_bulk ? ratio(cpu_us / 1000, bytes / GIB) : NAN;
    figures[FIGURE_PROXY_BUSY] = has_proxy ? ratio(cpu_us / 1e6, seconds) : NAN;
    figures[FIGURE_ORIGIN_BUSY] = ratio(most_ns(busy.origin_ns, plan->origins) / NS_PER_S, seconds);
    figures[FIGURE_CLIENT_BUSY] =
        ratio(most_ns(busy.client_ns, load_plan_all_clients(plan)) / NS_PER_S, seconds);
    figures[FIGURE_LOAD_BUSY] = ratio(fullest_ns(plan, &busy) / NS_PER_S, seconds);
    figures[FIGURE_OTHERS_BUSY] = ratio(others_ns(plan, r) / NS_PER_S, seconds);
    figures[FIGURE_STOLEN] =
        r->cores_stolen_ns >= 0 ? ratio((double)r->cores_stolen_ns / NS_PER_S, seconds) : NAN;
    figures[FIGURE_TAKEN] = ratio(taken_ns(plan, r) / NS_PER_S, seconds);
    figures[FIGURE_RESUMED] = load_modes[plan->mode].has_tls && is_new
                                  ? ratio((double)r->resumed, (double)r->connections)
                                  : NAN;
    figures[FIGURE_LATE_P99_US] = quantile_us(&r->late, 0.99);
}

void load_figures_take(const struct load_plan *plan, const struct load_result *r,
                       double figures[FIGURE_COUNT])
{
    load_figures_clear(figures);
    if (plan->profile == LOAD_IDLE) {
        figures[FIGURE_IDLE_BYTES] = r->proxy_kib && r->idle_count
                                         ? (double)r->proxy_idle_kib * 1024 / (double)r->idle_count
                                         : NAN;
    } else {
        take_loop(plan, r, figures);
    }
    if (load_modes[plan->mode].has_proxy && r->proxy_kib) {
        figures[FIGURE_PROXY_KIB] = (double)r->proxy_kib;
    }
    figures[FIGURE_ERRORS] = (double)r->errors;
    figures[FIGURE_MISMATCHES] = (double)r->mismatches;
    figures[FIGURE_DROPPED] = (double)r->dropped;
}

void load_figures_add(double figures[FIGURE_COUNT], const double baseline[FIGURE_COUNT])
{
    figures[FIGURE_ADDED_P50_US] = figures[FIGURE_P50_US] - baseline[FIGURE_P50_US];
    figures[FIGURE_ADDED_P99_US] = figures[FIGURE_P99_US] - baseline[FIGURE_P99_US];
    figures[FIGURE_ADDED_P999_US] = figures[FIGURE_P999_US] - baseline[FIGURE_P999_US];
    figures[FIGURE_ADDED_P99_OF_200_US] =
        figures[FIGURE_P99_OF_200_US] - baseline[FIGURE_P99_OF_200_US];
}

void load_figures_relate(double figures[FIGURE_COUNT], const double reference[FIGURE_COUNT])
{
    figures[FIGURE_CPU_RATIO] = ratio(figures[FIGURE_CPU_US], reference[FIGURE_CPU_US]);
}

void load_figures_scale(double figures[FIGURE_COUNT], const double base[FIGURE_COUNT],
                        double more_workers)
{
    figures[FIGURE_SCALING] = ratio(figures[FIGURE_RATE_HZ], base[FIGURE_RATE_HZ] * more_workers);
}

struct load_spread load_spread_of(const double *values, size_t count)
{
    double known[ROUNDS_MAX];
    size_t known_count = 0;
    struct measure_figure figure;

    for (size_t i = 0; i < count && known_count < ROUNDS_MAX; i++) {
        if (!isnan(values[i])) {
            known[known_count++] = values[i];
        }
    }
    if (known_count == 0) {
        return (struct load_spread){NAN, NAN, NAN};
    }
    figure = measure_summarise(known, known_count);
    return (struct load_spread){figure.median, known[0], known[known_count - 1]};
}

/* ---- thresholds ---- */

static bool take_word(const char **at, const char *word)
{
    size_t len = strlen(word);
    bool is_there = strncmp(*at, word, len) == 0 && (*at)[len] == '/';

    *at += is_there ? len + 1 : 0;
    return is_there;
}

/* With or without its unit: "p99" is "p99_us". */
static bool find_figure(struct span name, enum load_figure *figure)
{
    for (int i = 0; i < FIGURE_COUNT; i++) {
        struct span full = span_from_string(load_figure_rows[i].name);
        struct span rest = span_skip(full, name.len);

        if (span_equal(name, span_sub(full, 0, name.len)) &&
            (rest.len == 0 || span_equal(rest, SPAN_LITERAL("_us")) ||
             span_equal(rest, SPAN_LITERAL("_hz")) || span_equal(rest, SPAN_LITERAL("_mib_s")))) {
            *figure = (enum load_figure)i;
            return name.len != 0;
        }
    }
    return false;
}

/* What one of `unit` is in the figure's own; 0: it is no unit of it. */
static double unit_factor(const char *own, const char *unit)
{
    static const struct {
        const char *name;
        double ns;
    } times[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}};
    double own_ns = 0;
    double unit_ns = 0;

    if (!unit[0] || strcmp(own, unit) == 0) {
        return 1;
    }
    for (size_t i = 0; i < COUNT_OF(times); i++) {
        own_ns = strcmp(times[i].name, own) == 0 ? times[i].ns : own_ns;
        unit_ns = strcmp(times[i].name, unit) == 0 ? times[i].ns : unit_ns;
    }
    return own_ns > 0 ? unit_ns / own_ns : 0;
}

bool load_require_parse(struct load_require *require, const char *text, char *error,
                        size_t error_cap)
{
    const char *at = text;
    size_t len;
    char *end;
    double factor;

    *require = (struct load_require){.text = text, .mode = -1, .profile = -1};
    for (int i = 0; i < LOAD_MODE_COUNT && require->mode < 0; i++) {
        require->mode = take_word(&at, load_modes[i].name) ? i : -1;
    }
    for (int i = 0; i < LOAD_PROFILE_COUNT && require->profile < 0; i++) {
        require->profile = take_word(&at, load_profiles[i].name) ? i : -1;
    }
    len = strcspn(at, "<>");
    if (!find_figure(span_make(at, len), &require->figure)) {
        snprintf(error, error_cap,
                 "byte %zu: the name of a figure expected, as p99, cpu_us, errors or rate, with "
                 "MODE/ and PROFILE/ before it if wanted",
                 (size_t)(at - text));
        return false;
    }
    at += len;
    if (!*at) {
        snprintf(error, error_cap, "byte %zu: < or > expected", (size_t)(at - text));
        return false;
    }
    require->is_above = *at++ == '>';
    require->may_be_equal = *at == '=';
    at += require->may_be_equal;
    require->bound = strtod(at, &end);
    if (end == at || !isfinite(require->bound)) {
        snprintf(error, error_cap, "byte %zu: a number expected", (size_t)(at - text));
        return false;
    }
    factor = unit_factor(load_figure_rows[require->figure].unit, end);
    if (factor == 0) {
        const char *own = load_figure_rows[require->figure].unit;
        snprintf(error, error_cap, "byte %zu: %s%s expected behind the number",
                 (size_t)(end - text), own[0] ? own : "nothing",
                 strcmp(own, "us") == 0 || strcmp(own, "ms") == 0 ? ", or another unit of time"
                                                                  : "");
        return false;
    }
    require->bound *= factor;
    return true;
}

bool load_require_concerns(const struct load_require *require, enum load_mode mode,
                           enum load_profile profile)
{
    return (require->mode < 0 ? load_modes[mode].has_proxy : require->mode == (int)mode) &&
           (require->profile < 0 || require->profile == (int)profile);
}

bool load_require_holds(const struct load_require *require, double value)
{
    return (require->is_above ? value > require->bound : value < require->bound) ||
           (require->may_be_equal && value == require->bound);
}
