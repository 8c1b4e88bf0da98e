/* SPDX-License-Identifier: Apache-2.0 */
#include "core/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { ARGUMENTS_MAX = 40 };

struct parsed {
    int status;
    struct options options;
    char *out, *err;
};

/* `line` is split at spaces; "" as an argument is written as ''. */
static struct parsed parse(const char *line)
{
    static char copy[512];
    struct parsed p = {0};
    char *argv[ARGUMENTS_MAX + 1] = {NULL}, *save = NULL;
    int argc = 0;
    size_t out_len, err_len;
    FILE *out = open_memstream(&p.out, &out_len), *err = open_memstream(&p.err, &err_len);

    snprintf(copy, sizeof(copy), "%s", line);
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        assert_true(argc < ARGUMENTS_MAX);
        argv[argc++] = strcmp(word, "''") == 0 ? word + 2 : word;
    }
    p.status = options_parse_to(argc, argv, &p.options, out, err);
    fclose(out);
    fclose(err);
    return p;
}

static void parsed_free(struct parsed *p)
{
    free(p->out);
    free(p->err);
}

static void test_good(void **state)
{
    static const struct {
        const char *line;
        enum command command;
        const char *config_file;
        bool json;
    } rows[] = {
        {"weir run", COMMAND_RUN, NULL, false},
        {"weir run --config a.yaml", COMMAND_RUN, "a.yaml", false},
        {"weir run --config=a=b.yaml", COMMAND_RUN, "a=b.yaml", false},
        {"weir run -c a.yaml", COMMAND_RUN, "a.yaml", false},
        {"weir run --config -x", COMMAND_RUN, "-x", false},
        {"weir check --config a.yaml", COMMAND_CHECK, "a.yaml", false},
        {"weir run --pid-file x --config a.yaml", COMMAND_RUN, "a.yaml", false},
        {"weir upgrade --pid 4711", COMMAND_UPGRADE, NULL, false},
        {"weir config example", COMMAND_CONFIG_EXAMPLE, NULL, false},
        {"weir version", COMMAND_VERSION, NULL, false},
        {"weir detect mends", COMMAND_DETECT_MENDS, NULL, false},
        {"weir detect mends --json", COMMAND_DETECT_MENDS, NULL, true},
        {"weir version --json", COMMAND_VERSION, NULL, true},
        {"weir --version", COMMAND_VERSION, NULL, false},
        {"weir bench micro", COMMAND_BENCH_MICRO, NULL, false},
        {"weir bench micro leaf --json", COMMAND_BENCH_MICRO, NULL, true},
        {"weir bench run --any thing", COMMAND_BENCH_RUN, NULL, false}, /* read elsewhere */
        {"weir bench compare a b", COMMAND_BENCH_COMPARE, NULL, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct parsed p = parse(rows[i].line);

        assert_int_equal(p.status, -1);
        assert_int_equal(p.options.command, rows[i].command);
        assert_string_equal(p.options.config_file ? p.options.config_file : "none",
                            rows[i].config_file ? rows[i].config_file : "none");
        assert_int_equal(p.options.json, rows[i].json);
        assert_string_equal(p.out, "");
        assert_string_equal(p.err, "");
        parsed_free(&p);
    }
}

static void test_bad(void **state)
{
    static const struct {
        const char *line, *message;
    } rows[] = {
        {"weir", "Usage: weir COMMAND"},
        {"weir rn", "weir: unknown command \"rn\"; did you mean \"run\"?\n"},
        {"weir chekc", "weir: unknown command \"chekc\"; did you mean \"check\"?\n"},
        {"weir hepl", "weir: unknown command \"hepl\"; did you mean \"help\"?\n"},
        {"weir serve", "weir: unknown command \"serve\"\nweir --help lists the commands\n"},
        {"weir ''", "weir: unknown command \"\"\n"},
        {"weir signatures", "Usage: weir COMMAND"},
        {"weir signatures macth",
         "unknown command \"signatures macth\"; did you mean \"signatures match\"?\n"},
        {"weir signatures match -", "weir signatures: --json is missing\n"},
        {"weir signatures merge a", "weir signatures: --out DIR or --json is missing\n"},
        {"weir signatures merge a b --out c", "weir signatures: one DIR expected\n"},
        {"weir signatures import a", "weir signatures: --out DIR is missing\n"},
        {"weir signatures show", "weir signatures: one DIR expected\n"},
        {"weir signatures show a --brwser x", "did you mean \"--browser\"?\n"},
        {"weir signatures lint", "weir signatures: FILE is missing; - is standard input\n"},
        {"weir signatures fetch --database d", "weir signatures: --from SOURCE is missing\n"},
        {"weir signatures fetch --from s", "weir signatures: --database DIR is missing\n"},
        {"weir signatures fetch --from s --database d x", "unexpected argument \"x\"\n"},
        {"weir signatures fetch --timeout 0",
         "--timeout 0: a number from 1 to 1000000000 expected"},
        {"weir signatures lnit", "did you mean \"signatures lint\"?\n"},
        {"weir user-agent --json", "weir user-agent: FILE is missing; - is standard input\n"},
        {"weir user-agent --json --count 1 -", "weir user-agent: unknown option \"--count\"\n"},
        {"weir fingerprint --compatible x", "weir fingerprint: unknown option \"--compatible\"\n"},
        {"weir fingerprint", "weir fingerprint: one of FILE, --hex TEXT and --live ADDRESS"},
        {"weir fingerprint ''", "weir fingerprint: unexpected argument \"\"\n"},
        {"weir fingerprint x --hex 16", "weir fingerprint: one of FILE, --hex TEXT and"},
        {"weir fingerprint --hex 16 --live 1", "weir fingerprint: one of FILE, --hex TEXT and"},
        {"weir fingerprint x --serve", "--serve, --count and --seconds need --live ADDRESS\n"},
        {"weir fingerprint --live a --count 0",
         "weir fingerprint: --count 0: a number from 1 to 1000000000 expected\n"},
        {"weir fingerprint --live a --count 1x", "--count 1x: a number from 1 to"},
        {"weir fingerprint --live a --seconds 1000000001", "--seconds 1000000001: a number from"},
        {"weir fingerprint --live a --seconds 99999999999", "a number from 1 to"},
        {"weir fingerprint --live a --count", "weir fingerprint: --count needs a value"},
        {"weir fingerprint --hexx 1", "unknown option \"--hexx\"; did you mean \"--hex\"?\n"},
        {"weir detect -", "weir detect: --json is missing\n"},
        {"weir detect --json --compatible -", "weir detect: --compatible needs --database DIR: "},
        {"weir detect --json", "weir detect: FILE is missing"},
        {"weir detect --database d --json", "weir detect: FILE is missing"},
        {"weir bench", "Usage: weir COMMAND"},
        {"weir bench dtect", "did you mean \"bench detect\"?\n"},
        {"weir bench detect x", "weir bench: unexpected argument \"x\"\n"},
        {"weir bench detect --threads 0", "weir bench: --threads 0: a number from 1 to"},
        {"weir bench detect --compatible", "weir bench: unknown option \"--compatible\""},
        {"weir detect", "weir detect: --json is missing\n"},
        {"weir detect mends -", "weir detect: unexpected argument \"-\"\n"},
        {"weir --config a.yaml", "weir: unknown option \"--config\"; a command comes first\n"},
        {"weir --version --json", "weir: unknown option \"--version\"; a command comes first\n"},
        {"weir \x1b[31m", "weir: unknown command \"\\u001b[31m\""},
        {"weir run --confg a.yaml",
         "weir run: unknown option \"--confg\"; did you mean \"--config\"?\nweir run --help "
         "explains it\n"},
        {"weir run --json", "weir run: unknown option \"--json\"\n"},
        {"weir run -x", "weir run: unknown option \"-x\"\n"},
        {"weir run -cx", "weir run: unknown option \"-cx\"\n"},
        {"weir run --", "weir run: unknown option \"--\"\n"},
        {"weir run -", "weir run: unexpected argument \"-\"\n"},
        {"weir run ''", "weir run: unexpected argument \"\"\n"},
        {"weir run a.yaml", "weir run: unexpected argument \"a.yaml\"\n"},
        {"weir run --config", "weir run: --config needs a value: --config FILE\n"},
        {"weir run --config=", "weir run: --config needs a value: --config FILE\n"},
        {"weir run --config ''", "weir run: --config needs a value: --config FILE\n"},
        {"weir run --config a -c b", "weir run: --config is given twice\n"},
        {"weir check", "weir check: --config FILE is missing\n"},
        {"weir upgrade", "weir upgrade: one of --pid PID and --pid-file FILE expected\n"},
        {"weir upgrade --pid 1 --pid-file x",
         "weir upgrade: one of --pid PID and --pid-file FILE expected\n"},
        {"weir upgrade --pid 0", "weir upgrade: --pid 0: a number from 1 to 1000000000 expected\n"},
        {"weir check a.yaml", "weir check: unexpected argument \"a.yaml\"\n"},
        {"weir version --json=yes", "weir version: --json takes no value\n"},
        {"weir version --json --json", "weir version: --json is given twice\n"},
        {"weir version --jsn",
         "weir version: unknown option \"--jsn\"; did you mean \"--json\"?\n"},
        {"weir config", "Usage: weir COMMAND"},
        {"weir config exampel",
         "weir: unknown command \"config exampel\"; did you mean \"config example\"?\n"},
        {"weir config run", "weir: unknown command \"config run\"\n"},
        {"weir config example x", "unexpected argument \"x\"\nweir config example --help explains"},
        {"weir help rnu", "weir: unknown command \"rnu\"; did you mean \"run\"?\n"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct parsed p = parse(rows[i].line);

        if (p.status != EXIT_STATUS_USAGE || !strstr(p.err, rows[i].message) || p.out[0]) {
            fail_msg("[%s]: %d\n%s%s", rows[i].line, p.status, p.err, p.out);
        }
        parsed_free(&p);
    }
}

static void test_fingerprint(void **state)
{
    struct parsed p = parse("weir fingerprint a - --json -- --hex --");

    (void)state;
    assert_int_equal(p.status, -1);
    assert_int_equal(p.options.command, COMMAND_FINGERPRINT);
    assert_true(p.options.json);
    assert_int_equal(p.options.input_count, 4);
    assert_string_equal(p.options.inputs[0], "a");
    assert_string_equal(p.options.inputs[1], "-");
    assert_string_equal(p.options.inputs[2], "--hex");
    assert_string_equal(p.options.inputs[3], "--");
    parsed_free(&p);
    p = parse("weir fingerprint --live=[::1]:0 --serve --count 1000000000 --seconds 7");
    assert_int_equal(p.status, -1);
    assert_string_equal(p.options.live, "[::1]:0");
    assert_true(p.options.serve);
    assert_int_equal(p.options.count, 1000000000);
    assert_int_equal(p.options.seconds, 7);
    parsed_free(&p);
    p = parse("weir fingerprint --hex 1603");
    assert_int_equal(p.status, -1);
    assert_string_equal(p.options.hex, "1603");
    parsed_free(&p);
}

static void test_many_inputs(void **state)
{
    static char *argv[OPTIONS_INPUTS_MAX + 4] = {"weir", "fingerprint"};
    struct options options;
    FILE *none = fopen("/dev/null", "w");

    (void)state;
    assert_non_null(none);
    for (size_t i = 2; i < COUNT_OF(argv) - 1; i++) {
        argv[i] = "x";
    }
    assert_int_equal(options_parse_to(OPTIONS_INPUTS_MAX + 2, argv, &options, none, none), -1);
    assert_int_equal(options.input_count, OPTIONS_INPUTS_MAX);
    assert_int_equal(options_parse_to(OPTIONS_INPUTS_MAX + 3, argv, &options, none, none),
                     EXIT_STATUS_USAGE);
    fclose(none);
}

/* Help goes to standard output with status 0, shows an example, and names what it is about. */
static void test_help(void **state)
{
    static const struct {
        const char *line, *usage;
    } rows[] = {
        {"weir --help", "Usage: weir COMMAND [OPTION...]\n"},
        {"weir -h", "Usage: weir COMMAND [OPTION...]\n"},
        {"weir help", "Usage: weir COMMAND [OPTION...]\n"},
        {"weir help --help", "Usage: weir COMMAND [OPTION...]\n"},
        {"weir config --help", "Usage: weir COMMAND [OPTION...]\n"},
        {"weir run --help", "Usage: weir run [--config FILE] [--pid-file FILE]\n"},
        {"weir run --config x -h", "Usage: weir run [--config FILE] [--pid-file FILE]\n"},
        {"weir upgrade -h", "Usage: weir upgrade [--pid PID] [--pid-file FILE]\n"},
        {"weir check --help", "Usage: weir check --config FILE\n"},
        {"weir help check", "Usage: weir check --config FILE\n"},
        {"weir config example --help", "Usage: weir config example\n"},
        {"weir help config example", "Usage: weir config example\n"},
        {"weir version --help", "Usage: weir version [--json]\n"},
        {"weir detect mends -h", "Usage: weir detect mends [--json]\n"},
        {"weir detect -h", "Usage: weir detect --json [--compatible] [--database DIR] [FILE...]\n"},
        {"weir user-agent --help", "Usage: weir user-agent --json [--compatible] [FILE...]\n"},
        {"weir help signatures match", "Usage: weir signatures match --json [--compatible]"},
        {"weir signatures merge -h", "merge [--json] [--compatible] [--out DIR] [DIR|FILE...]"},
        {"weir signatures lint -h", "Usage: weir signatures lint [--json] [DIR|FILE...]\n"},
        {"weir signatures import -h", "import [--json] --out DIR [DIR]\n"},
        {"weir help signatures export", "export [--json] --out DIR [DIR]\n"},
        {"weir signatures show -h", "show [--json] [--browser NAME] [--product NAME] [DIR]\n"},
        {"weir signatures fetch -h",
         "fetch [--json] --database DIR --from SOURCE [--sha256 HEX] ["},
        {"weir fingerprint x --help", "[--count N] [--seconds N] [FILE...]\n"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct parsed p = parse(rows[i].line);

        if (p.status != EXIT_STATUS_OK || !strstr(p.out, rows[i].usage) ||
            !strstr(p.out, "\nExample:\n  weir ") || p.err[0]) {
            fail_msg("[%s]: %d\n%s%s", rows[i].line, p.status, p.err, p.out);
        }
        parsed_free(&p);
    }
}

/* Scripts rely on these. */
static void test_statuses(void **state)
{
    (void)state;
    assert_int_equal(EXIT_STATUS_OK, 0);
    assert_int_equal(EXIT_STATUS_RUNTIME, 1);
    assert_int_equal(EXIT_STATUS_USAGE, 64);
    assert_int_equal(EXIT_STATUS_DATA, 65);
    assert_int_equal(EXIT_STATUS_UNAVAILABLE, 69);
    assert_int_equal(EXIT_STATUS_KERNEL, 71);
    assert_int_equal(EXIT_STATUS_CANNOT_CREATE, 73);
    assert_int_equal(EXIT_STATUS_TEMPORARY, 75);
    assert_int_equal(EXIT_STATUS_PERMISSION, 77);
    assert_int_equal(EXIT_STATUS_CONFIG, 78);
}

static void test_transparent(void **state)
{
    struct parsed p =
        parse("weir transparent setup -c a.yaml --interface x --interface y --ports 80 --local");
    char line[512] = "weir transparent print";

    (void)state;
    assert_int_equal(p.status, -1);
    assert_int_equal(p.options.command, COMMAND_TRANSPARENT_SETUP);
    assert_int_equal(p.options.interface_count, 2);
    assert_string_equal(p.options.interfaces[0], "x");
    assert_string_equal(p.options.interfaces[1], "y");
    assert_string_equal(p.options.ports, "80");
    assert_true(p.options.local);
    parsed_free(&p);
    p = parse("weir transparent setup -c a.yaml --user x");
    assert_int_equal(p.status, EXIT_STATUS_USAGE);
    assert_non_null(strstr(p.err, "weir transparent: --user needs --local\n"));
    parsed_free(&p);
    p = parse("weir transparent undo -c a.yaml");
    assert_int_equal(p.status, EXIT_STATUS_USAGE);
    parsed_free(&p);
    for (size_t i = 0, len = strlen(line); i <= OPTIONS_INTERFACES_MAX; i++) {
        len += (size_t)snprintf(line + len, sizeof(line) - len, " --interface=x");
    }
    p = parse(line);
    assert_int_equal(p.status, EXIT_STATUS_USAGE);
    assert_non_null(strstr(p.err, "weir transparent: more than 32 interfaces\n"));
    parsed_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_transparent), cmocka_unit_test(test_fingerprint),
        cmocka_unit_test(test_many_inputs), cmocka_unit_test(test_help),
        cmocka_unit_test(test_statuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
