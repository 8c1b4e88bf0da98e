/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options: the command line of the weir program. Knows commands and options, prints their help and
 * says what is wrong with them; it opens no file and does nothing else.
 */
#ifndef WEIR_OPTIONS_H
#define WEIR_OPTIONS_H

#include "core/base/assert.h"

#include <stdbool.h>
#include <stdio.h>

/* sysexits.h has most of them; scripts rely on the numbers. */
enum exit_status {
    EXIT_STATUS_OK = 0,
    EXIT_STATUS_RUNTIME = 1,
    EXIT_STATUS_USAGE = 64,
    EXIT_STATUS_DATA = 65,          /* what was fetched is not what it should be */
    EXIT_STATUS_UNAVAILABLE = 69,   /* a service that weir needs */
    EXIT_STATUS_KERNEL = 71,        /* the kernel lacks or forbids io_uring */
    EXIT_STATUS_CANNOT_CREATE = 73, /* or bind */
    EXIT_STATUS_TEMPORARY = 75,     /* somebody else is at it; later it may go */
    EXIT_STATUS_PERMISSION = 77,
    EXIT_STATUS_CONFIG = 78,
};

enum { OPTIONS_INPUTS_MAX = 256, OPTIONS_INTERFACES_MAX = 32 };

enum command {
    COMMAND_RUN,
    COMMAND_CHECK,
    COMMAND_UPGRADE,
    COMMAND_CONFIG_EXAMPLE,
    COMMAND_VERSION,
    COMMAND_FINGERPRINT,
    COMMAND_USER_AGENT,
    COMMAND_DETECT,
    COMMAND_DETECT_MENDS,
    COMMAND_SIGNATURES_MATCH,
    COMMAND_SIGNATURES_MERGE,
    COMMAND_SIGNATURES_LINT,
    COMMAND_SIGNATURES_SHOW,
    COMMAND_SIGNATURES_IMPORT,
    COMMAND_SIGNATURES_EXPORT,
    COMMAND_SIGNATURES_CAPTURE,
    COMMAND_SIGNATURES_FETCH,
    COMMAND_BENCH_DETECT,
    COMMAND_BENCH_MICRO,
    COMMAND_BENCH_RUN,
    COMMAND_BENCH_ORIGIN,
    COMMAND_BENCH_COMPARE,
    COMMAND_BENCH_GROW,
    COMMAND_TRANSPARENT_SETUP,
    COMMAND_TRANSPARENT_UNDO,
    COMMAND_TRANSPARENT_PRINT,
};

struct options {
    enum command command;
    const char *config_file; /* borrowed from argv; null: the embedded default */
    const char *pid_file;    /* run, upgrade; null: none; borrowed from argv */
    unsigned pid;            /* upgrade; 0: not given */
    bool json;
    const char *database_dir; /* detect, signatures capture and fetch; borrowed from argv */
    bool compatible;          /* MITMEngine's answers, faults included */
    const char *out_dir;      /* signatures; borrowed from argv, like the two names */
    const char *browser;      /* signatures show: null shows all */
    const char *product;      /* signatures show: null shows all; capture: null is a browser */
    /* signatures capture; borrowed from argv. type and grade: null is none. */
    const char *listen;
    const char *client;
    const char *system;
    const char *command_line;
    const char *type;
    const char *grade;
    const char *ca_dir; /* null: ~/.weir */
    bool any_address;
    /* signatures fetch; all borrowed from argv. */
    const char *from;
    const char *sha256;  /* null: none given */
    const char *ca_file; /* null: the system's */
    const char *helper;  /* null: beside weir */
    bool checksums;      /* they must be there */
    bool lenient;        /* bad lines are warnings */
    bool dry_run;
    bool path_style; /* S3 */
    bool allow_http; /* to other hosts */
    /* fingerprint: exactly one of inputs, hex and live is there. All borrowed from argv. */
    const char *inputs[OPTIONS_INPUTS_MAX]; /* "-" is standard input */
    size_t input_count;
    const char *hex;
    const char *live;
    bool serve;           /* live: answer nothing */
    unsigned count;       /* live, capture: connections; 0: not given */
    unsigned seconds;     /* live, capture, 0: no bound; signatures fetch, bench, 0: their own */
    const char *mix_file; /* bench; null: made up; borrowed from argv */
    unsigned threads;     /* bench; 0: its own */
    /* transparent; borrowed from argv. */
    const char *ports;                              /* null: its own */
    const char *user;                               /* null: none given */
    const char *interfaces[OPTIONS_INTERFACES_MAX]; /* none: any */
    size_t interface_count;
    bool local;
    /* bench run, origin, compare and grow: what is behind these words; bench/load_options.h has it.
     */
    char *const *rest;
    size_t rest_count;
};

/*
 * Returns -1 to go on with what is in `options`, or the status to exit with: 0 after help, which
 * goes to standard output, EXIT_STATUS_USAGE after a message on standard error. argv must stay.
 */
int options_parse(int argc, char **argv, struct options *options) MUST_CHECK;

/* The same, with the two streams named. */
int options_parse_to(int argc, char **argv, struct options *options, FILE *out,
                     FILE *err) MUST_CHECK;

#endif
