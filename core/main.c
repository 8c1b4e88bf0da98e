/* SPDX-License-Identifier: Apache-2.0 */
/* main: options, configuration, start, signals. The only place that exits the process. */
#include "core/process.h"
#include "core/options.h"

#include "bench/detect.h"
#include "bench/load_run.h"
#include "bench/micro.h"
#include "core/base/log.h"
#include "core/config/config.h"
#include "core/tools/detect_lines.h"
#include "core/tools/detect_mends.h"
#include "core/tools/fingerprint.h"
#include "core/tools/signatures.h"
#include "core/tools/signatures_capture.h"
#include "core/tools/signatures_database.h"
#include "core/tools/transparent.h"
#include "core/tools/user_agent_lines.h"
#include "core/upgrade_command.h"
#include "detect/database.h"
#include "tls/context.h"

#include <stdio.h>

static int check_config(const struct options *options)
{
    struct config_report report = {.out = stderr};
    struct config *config = config_load(options->config_file, &report);

    if (!config) {
        return EXIT_STATUS_CONFIG;
    }
    if (config->detect.database_count) {
        struct database *db = process_load_database(config, "check");
        if (!db) {
            config_put(config);
            return EXIT_STATUS_CONFIG;
        }
        database_free(db);
    }
    config_put(config);
    printf("%s: ok\n", options->config_file);
    return EXIT_STATUS_OK;
}

static int print_version(const struct options *options)
{
    if (options->json) {
        printf("{\"weir\":\"%s\",\"tls\":\"%s\"}\n", WEIR_VERSION, tls_library_version());
    } else {
        printf("weir %s, %s\n", WEIR_VERSION, tls_library_version());
    }
    return EXIT_STATUS_OK;
}

int main(int argc, char **argv)
{
    struct options options;
    int status = options_parse(argc, argv, &options);

    if (status >= 0) {
        return status;
    }
    switch (options.command) {
    case COMMAND_RUN:
        return process_run(&options, argv);
    case COMMAND_UPGRADE:
        return upgrade_command_run(&options, stdout, stderr);
    case COMMAND_CHECK:
        return check_config(&options);
    case COMMAND_VERSION:
        return print_version(&options);
    case COMMAND_CONFIG_EXAMPLE:
        config_write_example(stdout);
        return EXIT_STATUS_OK;
    case COMMAND_FINGERPRINT:
        return fingerprint_run(&options, stdout, stderr);
    case COMMAND_USER_AGENT:
        return user_agent_lines_run(&options, stdout, stderr);
    case COMMAND_DETECT:
        return detect_lines_run(&options, stdout, stderr);
    case COMMAND_BENCH_DETECT:
        return bench_detect_run(&options, stdout, stderr);
    case COMMAND_BENCH_MICRO:
        return bench_micro_run(&options, stdout, stderr);
    case COMMAND_BENCH_RUN:
        return load_command_run(LOAD_VERB_RUN, options.rest, options.rest_count, stdout, stderr);
    case COMMAND_BENCH_ORIGIN:
        return load_command_run(LOAD_VERB_ORIGIN, options.rest, options.rest_count, stdout, stderr);
    case COMMAND_BENCH_COMPARE:
        return load_command_run(LOAD_VERB_COMPARE, options.rest, options.rest_count, stdout,
                                stderr);
    case COMMAND_BENCH_GROW:
        return load_command_run(LOAD_VERB_GROW, options.rest, options.rest_count, stdout, stderr);
    case COMMAND_DETECT_MENDS:
        return detect_mends_run(&options, stdout, stderr);
    case COMMAND_SIGNATURES_MATCH:
        return signatures_match_run(&options, stdout, stderr);
    case COMMAND_SIGNATURES_MERGE:
        return options.out_dir ? signatures_merge_database_run(&options, stdout, stderr)
                               : signatures_merge_run(&options, stdout, stderr);
    case COMMAND_SIGNATURES_LINT:
        return signatures_lint_run(&options, stdout, stderr);
    case COMMAND_SIGNATURES_SHOW:
        return signatures_show_run(&options, stdout, stderr);
    case COMMAND_SIGNATURES_IMPORT:
        return signatures_import_run(&options, stdout, stderr);
    case COMMAND_SIGNATURES_EXPORT:
        return signatures_export_run(&options, stdout, stderr);
    case COMMAND_SIGNATURES_CAPTURE:
        return signatures_capture_run(&options, stdout, stderr);
    case COMMAND_SIGNATURES_FETCH:
        return signatures_fetch_run(&options, stdout, stderr);
    case COMMAND_TRANSPARENT_SETUP:
        return transparent_setup_run(&options, stderr);
    case COMMAND_TRANSPARENT_UNDO:
        return transparent_undo_run(stderr);
    case COMMAND_TRANSPARENT_PRINT:
        return transparent_print_run(&options, stdout, stderr);
    }
    return EXIT_STATUS_USAGE;
}
