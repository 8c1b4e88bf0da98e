/* SPDX-License-Identifier: Apache-2.0 */
/* What the load harness is told: its command line, and thresholds. */
#include "bench/load_options.h"
#include "core/options.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

/* ---- thresholds ---- */

static void good_bounds(void **state)
{
    static const struct {
        const char *text;
        int mode, profile;
        enum load_figure figure;
        double bound;
        double holds, fails;
    } rows[] = {
        {"p99<5ms", -1, -1, FIGURE_P99_US, 5000, 4999, 5000},
        {"p99_us<=5", -1, -1, FIGURE_P99_US, 5, 5, 5.1},
        {"intercept/new/cpu_us<900", LOAD_INTERCEPT, LOAD_NEW, FIGURE_CPU_US, 900, 899, 901},
        {"direct-tls/p50<1s", LOAD_DIRECT_TLS, -1, FIGURE_P50_US, 1e6, 1, 2e6},
        {"idle/idle_bytes<=1024", -1, LOAD_IDLE, FIGURE_IDLE_BYTES, 1024, 1024, 1025},
        {"errors<=0", -1, -1, FIGURE_ERRORS, 0, 0, 1},
        {"rate>100.5", -1, -1, FIGURE_RATE_HZ, 100.5, 101, 100},
        {"rate>=100/s", -1, -1, FIGURE_RATE_HZ, 100, 100, 99},
        {"scaling>=0.9", -1, -1, FIGURE_SCALING, 0.9, 0.9, 0.89},
        {"gib_cpu_ms<2s", -1, -1, FIGURE_GIB_CPU_MS, 2000, 1999, 2001},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct load_require require;
        char error[256];

        assert_true(load_require_parse(&require, rows[i].text, error, sizeof(error)));
        assert_int_equal(require.mode, rows[i].mode);
        assert_int_equal(require.profile, rows[i].profile);
        assert_int_equal(require.figure, rows[i].figure);
        assert_true(fabs(require.bound - rows[i].bound) < 1e-9 * (1 + rows[i].bound));
        assert_true(load_require_holds(&require, rows[i].holds));
        assert_false(load_require_holds(&require, rows[i].fails));
        assert_false(load_require_holds(&require, NAN));
    }
}

static void bad_bounds(void **state)
{
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"", "byte 0: the name of a figure expected"},
        {"p98<1", "byte 0: the name of a figure expected"},
        {"intercept/p98<1", "byte 10: the name of a figure expected"},
        {"tunnel/p99<1", "byte 0: the name of a figure expected"},
        {"p99", "byte 3: < or > expected"},
        {"p99=1", "byte 0: the name of a figure expected"},
        {"p99<", "byte 4: a number expected"},
        {"p99<x", "byte 4: a number expected"},
        {"p99<nan", "byte 4: a number expected"},
        {"p99<5m", "byte 5: us, or another unit of time expected behind the number"},
        {"errors<5ms", "byte 8: nothing expected behind the number"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct load_require require;
        char error[256];

        assert_false(load_require_parse(&require, rows[i].text, error, sizeof(error)));
        assert_non_null(strstr(error, rows[i].message));
    }
}

/* Without a mode a bound is for the proxy, not for the direct way. */
static void bounds_concern(void **state)
{
    struct load_require require;
    char error[256];

    (void)state;
    assert_true(load_require_parse(&require, "p99<5ms", error, sizeof(error)));
    assert_true(load_require_concerns(&require, LOAD_FORWARD, LOAD_NEW));
    assert_false(load_require_concerns(&require, LOAD_DIRECT, LOAD_NEW));
    assert_true(load_require_parse(&require, "direct/new/p99<5ms", error, sizeof(error)));
    assert_true(load_require_concerns(&require, LOAD_DIRECT, LOAD_NEW));
    assert_false(load_require_concerns(&require, LOAD_DIRECT, LOAD_SMALL));
}

/* ---- the command line ---- */

struct parsed {
    int status;
    struct load_options options;
    char *err;
};

static struct parsed parse(enum load_verb verb, const char *line)
{
    static char copy[512];
    struct parsed p = {0};
    char *words[16], *save = NULL, *out;
    size_t count = 0, out_len, err_len;
    FILE *out_file = open_memstream(&out, &out_len), *err = open_memstream(&p.err, &err_len);

    snprintf(copy, sizeof(copy), "%s", line);
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        assert_true(count < COUNT_OF(words));
        words[count++] = word;
    }
    p.status = load_options_parse(verb, words, count, &p.options, out_file, err);
    fclose(out_file);
    fclose(err);
    free(out);
    return p;
}

static void good_options(void **state)
{
    struct parsed p = parse(LOAD_VERB_RUN, "--modes intercept,forward --profiles=all --rate 5000 "
                                           "--poisson --ports 1,0,65535 --require p99<5ms");

    (void)state;
    assert_int_equal(p.status, -1);
    assert_true(p.options.has_mode[LOAD_INTERCEPT] && p.options.has_mode[LOAD_FORWARD]);
    assert_false(p.options.has_mode[LOAD_CONNECT]);
    assert_true(p.options.has_profile[LOAD_SMALL] && p.options.has_profile[LOAD_MIX]);
    assert_int_equal(p.options.rate_hz, 5000);
    assert_int_equal(p.options.ports.tls, 0);
    assert_int_equal(p.options.ports.dns, 65535);
    assert_int_equal(p.options.require_count, 1);
    assert_true(p.options.has_variant[LOAD_PLAIN] && !p.options.has_variant[LOAD_LOGS]);
    assert_int_equal(p.options.workers_len, 1);
    assert_int_equal(p.options.clients, 1);
    assert_int_equal(p.options.origins, 1);
    assert_int_equal(p.options.closer, LOAD_CLIENT_CLOSES);
    assert_false(load_options_need_network(&p.options));
    free(p.err);
    p = parse(LOAD_VERB_RUN, "--workers 1,2,64 --variants logs,blind --modes transparent-tls");
    assert_int_equal(p.status, -1);
    assert_int_equal(p.options.workers_len, 3);
    assert_int_equal(p.options.workers[2], 64);
    assert_true(p.options.has_variant[LOAD_LOGS] && p.options.has_variant[LOAD_BLIND]);
    assert_false(p.options.has_variant[LOAD_PLAIN]);
    assert_true(load_options_need_network(&p.options));
    free(p.err);
    p = parse(LOAD_VERB_RUN, "--clients 64 --origins 64 --connections 64 --closes origin");
    assert_int_equal(p.status, -1);
    assert_int_equal(p.options.closer, LOAD_ORIGIN_CLOSES);
    assert_int_equal(p.options.clients, 64);
    assert_int_equal(p.options.origins, 64);
    free(p.err);
    p = parse(LOAD_VERB_RUN, "--together --variants all --clients 21 --connections 64");
    assert_int_equal(p.status, -1);
    assert_true(p.options.is_together && p.options.is_alone);
    assert_int_equal(load_options_sides(&p.options), 3);
    free(p.err);
    p = parse(LOAD_VERB_RUN, "--together --variants plain,logs --workers 1,2,4,8");
    assert_int_equal(p.status, -1);
    assert_int_equal(load_options_sides(&p.options), LOAD_SIDES_MAX);
    free(p.err);
    p = parse(LOAD_VERB_RUN, "--variants plain,logs --workers 1,2");
    assert_int_equal(p.status, -1);
    assert_int_equal(load_options_sides(&p.options), 1);
    free(p.err);
    p = parse(LOAD_VERB_COMPARE, "a b");
    assert_int_equal(p.status, -1);
    assert_string_equal(p.options.operands[1], "b");
    free(p.err);
    p = parse(LOAD_VERB_RUN, "--help");
    assert_int_equal(p.status, EXIT_STATUS_OK);
    free(p.err);
}

static void bad_options(void **state)
{
    static const struct {
        enum load_verb verb;
        const char *line, *message;
    } rows[] = {
        {LOAD_VERB_RUN, "--mods x", "unknown option \"--mods\"; did you mean \"--modes\"?\n"},
        {LOAD_VERB_RUN, "--modes forwrd", "--modes: \"forwrd\" is none of them; did you mean"},
        {LOAD_VERB_RUN, "--rate", "--rate needs a value\n"},
        {LOAD_VERB_RUN, "--rate 0", "--rate: a number from 1 to 10000000 expected\n"},
        {LOAD_VERB_RUN, "--rate 99999999999999999999", "--rate: a number from 1 to"},
        {LOAD_VERB_RUN, "--seconds 601", "--seconds: a number from 0.1 to 600 expected\n"},
        {LOAD_VERB_RUN, "--seconds 0.01", "--seconds: a number from"},
        {LOAD_VERB_RUN, "--seconds 1x", "--seconds: a number from"},
        {LOAD_VERB_RUN, "--seconds 1.2.3", "--seconds: a number from"},
        {LOAD_VERB_RUN, "--poisson=1", "--poisson takes no value\n"},
        {LOAD_VERB_RUN, "--poisson", "--poisson needs --rate N\n"},
        {LOAD_VERB_RUN, "--ports 1,2", "--ports: three numbers"},
        {LOAD_VERB_RUN, "--ports 1,2,3,4", "--ports: three numbers"},
        {LOAD_VERB_RUN, "--ports 1,2,65536", "--ports: three numbers"},
        {LOAD_VERB_RUN, "--require p99", "--require: byte 3: < or > expected\n"},
        {LOAD_VERB_RUN, "--clients 0", "--clients: a number from 1 to 64 expected\n"},
        {LOAD_VERB_RUN, "--clients 65", "--clients: a number from 1 to 64 expected\n"},
        {LOAD_VERB_RUN, "--origins 65", "--origins: a number from 1 to 64 expected\n"},
        {LOAD_VERB_RUN, "--clients 17", "--clients N needs N --connections and --idle-connections"},
        {LOAD_VERB_RUN, "--clients 2 --idle-connections 1", "--clients N needs N --connections"},
        {LOAD_VERB_RUN, "--closes proxy", "--closes: client or origin expected\n"},
        {LOAD_VERB_RUN, "--closes", "--closes needs a value\n"},
        {LOAD_VERB_GROW, "--closes client", "unknown option \"--closes\""},
        {LOAD_VERB_GROW, "--clients 2", "unknown option \"--clients\""},
        {LOAD_VERB_RUN, "--workers 0", "--workers: at most 8 numbers from 1 to 64 with commas"},
        {LOAD_VERB_RUN, "--workers 65", "--workers: at most"},
        {LOAD_VERB_RUN, "--workers 1,", "--workers: at most"},
        {LOAD_VERB_RUN, "--workers 1,2,3,4,5,6,7,8,9", "--workers: at most"},
        {LOAD_VERB_RUN, "--variants logs,blnd",
         "\"blnd\" is none of them; did you mean \"blind\"?"},
        {LOAD_VERB_RUN, "--proxy 127.0.0.1:1 --workers 2", "are for weir alone\n"},
        {LOAD_VERB_RUN, "--proxy 127.0.0.1:1 --variants plain,logs", "are for weir alone\n"},
        {LOAD_VERB_RUN, "--proxy 127.0.0.1:1 --modes transparent", "are for weir alone: no other"},
        {LOAD_VERB_RUN, "--proxy-pid 1", "need --proxy ADDRESS\n"},
        {LOAD_VERB_RUN, "--proxy 127.0.0.1:1 --modes intercept", "needs --proxy-ca FILE\n"},
        {LOAD_VERB_RUN, "--find-max p99<1 --rate 5", "without --rate\n"},
        {LOAD_VERB_RUN, "--together", "--together needs two or more of --variants,"},
        {LOAD_VERB_RUN, "--together --variants all --modes direct", "is for forward, connect,"},
        {LOAD_VERB_RUN, "--together --variants all --modes transparent",
         "is for forward, connect,"},
        {LOAD_VERB_RUN, "--together --variants all --workers 1,2,4", "at most 8\n"},
        {LOAD_VERB_RUN, "--together --variants all --clients 22 --connections 64", "too many"},
        {LOAD_VERB_RUN, "--together --variants all --find-max p99<1", "without --together\n"},
        {LOAD_VERB_RUN, "x", "unexpected argument \"x\"\n"},
        {LOAD_VERB_ORIGIN, "--rounds 1", "unknown option \"--rounds\""},
        {LOAD_VERB_COMPARE, "a", "two files expected\n"},
        {LOAD_VERB_COMPARE, "a b c", "unexpected argument \"c\"\n"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct parsed p = parse(rows[i].verb, rows[i].line);

        assert_int_equal(p.status, EXIT_STATUS_USAGE);
        if (!strstr(p.err, rows[i].message)) {
            fail_msg("%s: %s", rows[i].line, p.err);
        }
        free(p.err);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_bounds),    cmocka_unit_test(bad_bounds),
        cmocka_unit_test(bounds_concern), cmocka_unit_test(good_options),
        cmocka_unit_test(bad_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
