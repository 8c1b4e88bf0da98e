/* SPDX-License-Identifier: Apache-2.0 */
/* options_private: the tables of commands and of their options (options_rows.c), which options.c
 * reads command lines by. */
#ifndef WEIR_OPTIONS_PRIVATE_H
#define WEIR_OPTIONS_PRIVATE_H

#include "core/options.h"

#include <stdint.h>

/* What an option does to the options; the value is null where none is taken. */
enum option_kind {
    OPTION_CONFIG,
    OPTION_PID,
    OPTION_PID_FILE,
    OPTION_JSON,
    OPTION_COMPATIBLE,
    OPTION_DATABASE,
    OPTION_OUT,
    OPTION_BROWSER,
    OPTION_PRODUCT,
    OPTION_HEX,
    OPTION_LIVE,
    OPTION_SERVE,
    OPTION_COUNT,
    OPTION_SECONDS,
    OPTION_LISTEN,
    OPTION_ANY_ADDRESS,
    OPTION_CLIENT,
    OPTION_SYSTEM,
    OPTION_COMMAND,
    OPTION_CAPTURED_PRODUCT,
    OPTION_TYPE,
    OPTION_GRADE,
    OPTION_CA_DIR,
    OPTION_FROM,
    OPTION_SHA256,
    OPTION_CHECKSUMS,
    OPTION_CA_FILE,
    OPTION_LENIENT,
    OPTION_DRY_RUN,
    OPTION_TIMEOUT,
    OPTION_PATH_STYLE,
    OPTION_ALLOW_HTTP,
    OPTION_HELPER,
    OPTION_MIX,
    OPTION_THREADS,
    OPTION_PORTS,
    OPTION_INTERFACE,
    OPTION_LOCAL,
    OPTION_USER,
    OPTION_HELP,
};

_Static_assert(OPTION_HELP < 64, "commands have their options as bits");

struct option_row {
    enum option_kind kind;
    char letter;
    const char *name;
    const char *value_name; /* null: takes none */
    const char *sentence;
};

struct command_row {
    const char *name;
    const char *subname; /* a second word, or null */
    enum command command;
    uint64_t options;  /* bits 1 << option_kind that it takes, besides help */
    uint64_t required; /* of these, the ones that must be there */
    const char *summary;
    const char *details;
    const char *example;
    const char *operands; /* what may stand without an option, or null */
};

extern const struct option_row option_rows[];
extern const size_t option_row_count;
extern const struct command_row command_rows[];
extern const size_t command_row_count;

#endif
