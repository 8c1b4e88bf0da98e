/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/load_json.h"

#include "core/base/clock.h"
#include "core/tools/hello_facts.h"
#include "tls/context.h"

#include <math.h>

static json_t *number(double value)
{
    return isnan(value) ? json_null() : json_real(value);
}

json_t *load_json_text(const char *text)
{
    return text ? json_from_bytes(span_from_string(text)) : json_null();
}

json_t *load_json_machine(const struct load_machine *machine)
{
    return json_pack("{s:o,s:s,s:i,s:I}", "cpu", load_json_text(machine->cpu), "kernel",
                     machine->kernel, "cores", machine->core_count, "memory_mib",
                     (json_int_t)machine->memory_mib);
}

json_t *load_json_warnings(const struct load_results *results)
{
    json_t *warnings = json_array();

    for (size_t i = 0; i < results->warning_count; i++) {
        json_array_append_new(warnings, load_json_text(results->warnings[i]));
    }
    return warnings;
}

bool load_json_write(json_t *answer, FILE *out)
{
    bool done = answer && json_dumpf(answer, out, JSON_INDENT(1) | JSON_REAL_PRECISION(7)) == 0 &&
                fputc('\n', out) != EOF;

    json_decref(answer);
    return done;
}

static json_t *pack_figures(const struct load_case *one)
{
    json_t *figures = json_object();

    for (int i = 0; i < FIGURE_COUNT; i++) {
        struct load_spread spread = load_case_spread(one, (enum load_figure)i);
        json_t *rounds = json_array();

        if (isnan(spread.median)) {
            json_decref(rounds);
            continue;
        }
        for (size_t r = 0; r < one->rounds; r++) {
            json_array_append_new(rounds, number(one->figures[r][i]));
        }
        json_object_set_new(figures, load_figure_rows[i].name,
                            json_pack("{s:o,s:o,s:o,s:o}", "median", number(spread.median), "min",
                                      number(spread.min), "max", number(spread.max), "rounds",
                                      rounds));
    }
    return figures;
}

/* Another proxy has not told us, and the direct way has none. */
static json_t *pack_workers(const struct load_results *results, const struct load_case *one)
{
    return results->options->proxy || !load_modes[one->mode].has_proxy
               ? json_null()
               : json_integer((json_int_t)one->workers);
}

static json_t *pack_case(const struct load_results *results, const struct load_case *one)
{
    json_t *curve = json_array();
    json_t *throughput = json_array();

    for (size_t i = 0; one->latency.count && i < LOAD_CURVE_POINTS; i++) {
        double us =
            (double)histogram_quantile(&one->latency, load_curve_shares[i]) / (double)NS_PER_US;
        json_array_append_new(curve, json_pack("[f,f]", load_curve_shares[i], us));
    }
    for (unsigned i = 0; i < one->slot_count; i++) {
        json_array_append_new(throughput, json_real(one->throughput_hz[i]));
    }
    return json_pack("{s:s,s:s,s:s,s:o,s:o,s:o,s:o,s:o}", "mode", load_modes[one->mode].name,
                     "profile", load_profiles[one->profile].name, "variant",
                     load_variants[one->variant], "workers", pack_workers(results, one), "figures",
                     pack_figures(one), "latency_share_us", curve, "throughput_hz_100ms",
                     throughput, "first_error",
                     load_json_text(one->first_error[0] ? one->first_error : NULL));
}

/* As --cores takes it. */
static json_t *pack_cores(const struct load_results *results)
{
    char texts[LOAD_PLACE_COUNT][LOAD_CORES_TEXT_MAX];

    for (int i = 0; i < LOAD_PLACE_COUNT; i++) {
        load_cores_print(&results->cores[i], texts[i]);
    }
    return results->cores[LOAD_AT_PROXY].count
               ? json_sprintf("%s/%s/%s", texts[LOAD_AT_PROXY], texts[LOAD_AT_CLIENT],
                              texts[LOAD_AT_ORIGIN])
               : json_null();
}

static json_t *pack_configuration(const struct load_results *results)
{
    const struct load_options *o = results->options;

    return json_pack(
        "{s:i,s:i,s:i,s:b,s:b,s:b,s:s,s:i,s:i,s:i,s:i,s:I,s:b,s:[i,i,i],s:o,s:b,s:i,s:i,s:o}",
        "connections", (int)o->connections, "idle_connections", (int)o->idle_connections, "rate_hz",
        (int)o->rate_hz, "poisson", o->is_poisson, "awake", o->is_awake, "together", o->is_together,
        "closes", load_closers[o->closer], "window_ms", (int)o->window_ms, "warm_up_ms",
        (int)o->warm_up_ms, "rounds", (int)o->rounds, "small_bytes", (int)o->small_bytes,
        "bulk_bytes", (json_int_t)o->bulk_kib * 1024, "own_network", load_options_need_network(o),
        "cores_proxy_client_origin", load_cores_of(&results->cores[LOAD_AT_PROXY], 0),
        load_cores_of(&results->cores[LOAD_AT_CLIENT], 0),
        load_cores_of(&results->cores[LOAD_AT_ORIGIN], 0), "proxy", load_json_text(o->proxy),
        "fixed", o->is_fixed, "clients", (int)o->clients, "origins", (int)o->origins, "cores",
        pack_cores(results));
}

static json_t *pack_units(void)
{
    json_t *units = json_object();

    for (int i = 0; i < FIGURE_COUNT; i++) {
        json_object_set_new(units, load_figure_rows[i].name,
                            load_json_text(load_figure_rows[i].unit));
    }
    return units;
}

bool load_results_write_json(const struct load_results *results, FILE *out)
{
    char sentence[2048], time[40] = "";
    struct text t = text_make(time, sizeof(time) - 1);
    json_t *cases = json_array();

    text_time(&t, results->wall_ns);
    load_results_sentence(results, sentence, sizeof(sentence));
    for (size_t i = 0; i < results->case_count; i++) {
        json_array_append_new(cases, pack_case(results, &results->cases[i]));
    }
    return load_json_write(
        json_pack("{s:s,s:o,s:s,s:o,s:s,s:o,s:s,s:o,s:o,s:o,s:o,s:o,s:o}", "schema",
                  LOAD_JSON_SCHEMA, "sentence", load_json_text(sentence), "weir", WEIR_VERSION,
                  "commit", load_json_text(results->options->commit), "tls", tls_library_version(),
                  "proxy", load_json_text(results->proxy), "time", time, "machine",
                  load_json_machine(&results->machine), "configuration",
                  pack_configuration(results), "units", pack_units(), "cases", cases, "warnings",
                  load_json_warnings(results), "max_rate_hz", number(results->max_rate_hz)),
        out);
}
