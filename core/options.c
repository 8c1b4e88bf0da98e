/* SPDX-License-Identifier: Apache-2.0 */
#include "core/options_private.h"

#include "core/base/text.h"
#include "core/config/suggest.h"

enum { OPTION_NUMBER_MAX = 1000000000 };

/* One parse. */
struct parse {
    int argc;
    char **argv;
    int at;
    struct options *options;
    const struct command_row *command;
    uint64_t given; /* bits of option_kind */
    FILE *out, *err;
};

static void print_overview(FILE *out)
{
    fputs("weir is an intercepting forward proxy.\n\nUsage: weir COMMAND [OPTION...]\n\n", out);
    for (size_t i = 0; i < command_row_count; i++) {
        const struct command_row *row = &command_rows[i];
        int len = fprintf(out, "  %s%s%s", row->name, row->subname ? " " : "",
                          row->subname ? row->subname : "");
        fprintf(out, "%*s%s\n", 22 - len, "", row->summary);
    }
    fputs("  help COMMAND        explain a command\n\nExample:\n  weir run\n"
          "  curl --proxy http://127.0.0.1:8080 --cacert ~/.weir/weir-ca-cert.pem "
          "https://example.com/\n",
          out);
}

static void print_command(FILE *out, const struct command_row *row)
{
    fprintf(out, "weir %s%s%s: %s\n\nUsage: weir %s%s%s", row->name, row->subname ? " " : "",
            row->subname ? row->subname : "", row->summary, row->name, row->subname ? " " : "",
            row->subname ? row->subname : "");
    for (size_t i = 0; i < option_row_count; i++) {
        const struct option_row *option = &option_rows[i];
        bool required = row->required & (1ULL << option->kind);

        if (row->options & (1ULL << option->kind)) {
            fprintf(out, " %s--%s%s%s%s", required ? "" : "[", option->name,
                    option->value_name ? " " : "", option->value_name ? option->value_name : "",
                    required ? "" : "]");
        }
    }
    fprintf(out, "%s%s%s", row->operands ? " [" : "", row->operands ? row->operands : "",
            row->operands ? "]" : "");
    fprintf(out, "\n\n%s\nOptions:\n", row->details);
    for (size_t i = 0; i < option_row_count; i++) {
        const struct option_row *option = &option_rows[i];
        int len;

        if (!(row->options & (1ULL << option->kind)) && option->kind != OPTION_HELP) {
            continue;
        }
        len = option->letter ? fprintf(out, "  -%c, --%s", option->letter, option->name)
                             : fprintf(out, "      --%s", option->name);
        len += option->value_name ? fprintf(out, " %s", option->value_name) : 0;
        fprintf(out, "%*s%s\n", 24 - len, "", option->sentence);
    }
    fprintf(out, "\nExample:\n%s", row->example);
}

/* An argument as a message shows it. */
struct shown {
    char text[96];
};

static struct shown show(struct span argument)
{
    struct shown shown;
    struct text t = text_make(shown.text, sizeof(shown.text) - 1);

    text_escaped(&t, argument);
    shown.text[t.len] = '\0';
    return shown;
}

static int usage_error(const struct parse *p)
{
    const struct command_row *row = p->command;

    if (row) {
        fprintf(p->err, "weir %s%s%s --help explains it\n", row->name, row->subname ? " " : "",
                row->subname ? row->subname : "");
    } else {
        fputs("weir --help lists the commands\n", p->err);
    }
    return EXIT_STATUS_USAGE;
}

static void offer_command(struct suggest *suggest, const char *before)
{
    for (size_t i = 0; i < command_row_count; i++) {
        const struct command_row *row = &command_rows[i];

        if (!before) {
            suggest_offer(suggest, span_from_string(row->name));
        } else if (row->subname && strcmp(row->name, before) == 0) {
            suggest_offer(suggest, span_from_string(row->subname));
        }
    }
    if (!before) {
        suggest_offer(suggest, SPAN_LITERAL("help"));
    }
}

static int unknown_command(const struct parse *p, const char *before, const char *word)
{
    struct suggest suggest = suggest_make(span_from_string(word));

    offer_command(&suggest, before);
    fprintf(p->err, "weir: unknown command \"%s%s%s\"", before ? before : "", before ? " " : "",
            show(span_from_string(word)).text);
    if (suggest.best.len) {
        fprintf(p->err, "; did you mean \"%s%s%.*s\"?", before ? before : "", before ? " " : "",
                SPAN_PRINTF(suggest.best));
    }
    fputc('\n', p->err);
    return usage_error(p);
}

static int unknown_option(const struct parse *p, struct span name, struct span argument)
{
    struct suggest suggest = suggest_make(name);

    for (size_t i = 0; i < option_row_count; i++) {
        if (option_rows[i].kind == OPTION_HELP ||
            (p->command->options & (1ULL << option_rows[i].kind))) {
            suggest_offer(&suggest, span_from_string(option_rows[i].name));
        }
    }
    fprintf(p->err, "weir %s: unknown option \"%s\"", p->command->name, show(argument).text);
    if (suggest.best.len) {
        fprintf(p->err, "; did you mean \"--%.*s\"?", SPAN_PRINTF(suggest.best));
    }
    fputc('\n', p->err);
    return usage_error(p);
}

static const struct option_row *option_find(const struct command_row *command, struct span argument,
                                            struct span *name)
{
    bool is_long = argument.len > 2 && argument.data[1] == '-';

    *name = span_skip(argument, is_long ? 2 : 1);
    *name = span_sub(*name, 0, is_long ? span_find(*name, '=') : name->len);
    for (size_t i = 0; i < option_row_count; i++) {
        const struct option_row *row = &option_rows[i];
        bool same = is_long
                        ? span_equal(*name, span_from_string(row->name))
                        : name->len == 1 && row->letter && name->data[0] == (uint8_t)row->letter;

        if (same && (row->kind == OPTION_HELP || (command->options & (1ULL << row->kind)))) {
            return row;
        }
    }
    return NULL;
}

/* The value is what stands behind "=", or the next argument. Null, with a message: there is none.
 */
static const char *option_value(struct parse *p, const struct option_row *row)
{
    const char *argument = p->argv[p->at];
    const char *equals = argument[1] == '-' ? strchr(argument, '=') : NULL;
    const char *value = NULL;

    if (equals) {
        value = equals + 1;
    } else if (p->at + 1 < p->argc) {
        value = p->argv[++p->at];
    }
    if (!value || !*value) {
        fprintf(p->err, "weir %s: --%s needs a value: --%s %s\n", p->command->name, row->name,
                row->name, row->value_name);
        return NULL;
    }
    return value;
}

/* 1 to OPTION_NUMBER_MAX. False, with a message: the value is none. */
static bool option_number(struct parse *p, const struct option_row *row, unsigned *number)
{
    const char *value = option_value(p, row);

    if (!value) {
        return false;
    }
    *number = 0;
    for (const char *c = value; *c; c++) {
        if (*c < '0' || *c > '9' || *number > OPTION_NUMBER_MAX / 10) {
            *number = 0;
            break;
        }
        *number = *number * 10 + (unsigned)(*c - '0');
    }
    if (*number == 0 || *number > OPTION_NUMBER_MAX) {
        fprintf(p->err, "weir %s: --%s %s: a number from 1 to %d expected\n", p->command->name,
                row->name, show(span_from_string(value)).text, OPTION_NUMBER_MAX);
        return false;
    }
    return true;
}

static bool take_text(struct parse *p, const struct option_row *row, const char **text)
{
    *text = option_value(p, row);
    return *text != NULL;
}

static bool take_interface(struct parse *p, const struct option_row *row)
{
    const char *value = option_value(p, row);

    if (value && p->options->interface_count == OPTIONS_INTERFACES_MAX) {
        fprintf(p->err, "weir %s: more than %d interfaces\n", p->command->name,
                OPTIONS_INTERFACES_MAX);
        return false;
    }
    if (value) {
        p->options->interfaces[p->options->interface_count++] = value;
    }
    return value != NULL;
}

static bool take_option(struct parse *p, const struct option_row *row)
{
    struct options *options = p->options;

    switch (row->kind) {
    case OPTION_CONFIG:
        return take_text(p, row, &options->config_file);
    case OPTION_PID:
        return option_number(p, row, &options->pid);
    case OPTION_PID_FILE:
        return take_text(p, row, &options->pid_file);
    case OPTION_DATABASE:
        return take_text(p, row, &options->database_dir);
    case OPTION_OUT:
        return take_text(p, row, &options->out_dir);
    case OPTION_BROWSER:
        return take_text(p, row, &options->browser);
    case OPTION_PRODUCT:
        return take_text(p, row, &options->product);
    case OPTION_HEX:
        return take_text(p, row, &options->hex);
    case OPTION_LIVE:
        return take_text(p, row, &options->live);
    case OPTION_LISTEN:
        return take_text(p, row, &options->listen);
    case OPTION_CLIENT:
        return take_text(p, row, &options->client);
    case OPTION_SYSTEM:
        return take_text(p, row, &options->system);
    case OPTION_COMMAND:
        return take_text(p, row, &options->command_line);
    case OPTION_CAPTURED_PRODUCT:
        return take_text(p, row, &options->product);
    case OPTION_TYPE:
        return take_text(p, row, &options->type);
    case OPTION_GRADE:
        return take_text(p, row, &options->grade);
    case OPTION_CA_DIR:
        return take_text(p, row, &options->ca_dir);
    case OPTION_COUNT:
        return option_number(p, row, &options->count);
    case OPTION_SECONDS:
        return option_number(p, row, &options->seconds);
    case OPTION_FROM:
        return take_text(p, row, &options->from);
    case OPTION_SHA256:
        return take_text(p, row, &options->sha256);
    case OPTION_CA_FILE:
        return take_text(p, row, &options->ca_file);
    case OPTION_HELPER:
        return take_text(p, row, &options->helper);
    case OPTION_TIMEOUT:
        return option_number(p, row, &options->seconds);
    case OPTION_CHECKSUMS:
        options->checksums = true;
        return true;
    case OPTION_LENIENT:
        options->lenient = true;
        return true;
    case OPTION_DRY_RUN:
        options->dry_run = true;
        return true;
    case OPTION_PATH_STYLE:
        options->path_style = true;
        return true;
    case OPTION_ALLOW_HTTP:
        options->allow_http = true;
        return true;
    case OPTION_MIX:
        return take_text(p, row, &options->mix_file);
    case OPTION_THREADS:
        return option_number(p, row, &options->threads);
    case OPTION_PORTS:
        return take_text(p, row, &options->ports);
    case OPTION_INTERFACE:
        return take_interface(p, row);
    case OPTION_LOCAL:
        options->local = true;
        return true;
    case OPTION_USER:
        return take_text(p, row, &options->user);
    case OPTION_JSON:
        options->json = true;
        return true;
    case OPTION_COMPATIBLE:
        options->compatible = true;
        return true;
    case OPTION_SERVE:
        options->serve = true;
        return true;
    case OPTION_ANY_ADDRESS:
        options->any_address = true;
        return true;
    case OPTION_HELP:
        break;
    }
    return false;
}

/* -1: go on. */
static int parse_option(struct parse *p)
{
    struct span argument = span_from_string(p->argv[p->at]);
    struct span name;
    const struct option_row *row = option_find(p->command, argument, &name);

    if (!row) {
        return unknown_option(p, name, argument);
    }
    if (!row->value_name && span_find(argument, '=') < argument.len) {
        fprintf(p->err, "weir %s: --%s takes no value\n", p->command->name, row->name);
        return usage_error(p);
    }
    if (row->kind == OPTION_HELP) {
        print_command(p->out, p->command);
        return EXIT_STATUS_OK;
    }
    if (row->kind != OPTION_INTERFACE && (p->given & (1ULL << row->kind))) {
        fprintf(p->err, "weir %s: --%s is given twice\n", p->command->name, row->name);
        return usage_error(p);
    }
    p->given |= 1ULL << row->kind;
    return take_option(p, row) ? -1 : usage_error(p);
}

static bool take_operand(struct parse *p, const char *argument)
{
    if (!p->command->operands || !argument[0]) {
        fprintf(p->err, "weir %s: unexpected argument \"%s\"\n", p->command->name,
                show(span_from_string(argument)).text);
        return false;
    }
    if (p->options->input_count == OPTIONS_INPUTS_MAX) {
        fprintf(p->err, "weir %s: more than %d arguments\n", p->command->name, OPTIONS_INPUTS_MAX);
        return false;
    }
    p->options->inputs[p->options->input_count++] = argument;
    return true;
}

/* Of signatures merge: a database with --out, else JSON Lines. */
static bool is_one_folder(const struct parse *p)
{
    return strcmp(p->command->operands, "DIR") == 0 ||
           (p->command->command == COMMAND_SIGNATURES_MERGE && p->options->out_dir);
}

static bool check_operands(const struct parse *p)
{
    const struct options *options = p->options;

    if (p->command->command == COMMAND_SIGNATURES_MERGE && !options->out_dir && !options->json) {
        fputs("weir signatures: --out DIR or --json is missing\n", p->err);
        return false;
    }
    if (is_one_folder(p) && options->input_count != 1) {
        fprintf(p->err, "weir %s: one DIR expected\n", p->command->name);
        return false;
    }
    /* The built-in ones have days, which MITMEngine's format does not. */
    if (p->command->command == COMMAND_DETECT && options->compatible && !options->database_dir) {
        fputs("weir detect: --compatible needs --database DIR: MITMEngine could not read the "
              "built-in signatures\n",
              p->err);
        return false;
    }
    if (options->input_count == 0 && p->command->command != COMMAND_BENCH_MICRO) {
        fprintf(p->err, "weir %s: FILE is missing; - is standard input\n", p->command->name);
    }
    return options->input_count != 0 || p->command->command == COMMAND_BENCH_MICRO;
}

/* What belongs together, and what does not. */
static bool check_together(const struct parse *p)
{
    const struct options *options = p->options;
    uint64_t live_alone = 1ULL << OPTION_SERVE | 1ULL << OPTION_COUNT | 1ULL << OPTION_SECONDS;

    if (p->command->operands && p->command->command != COMMAND_FINGERPRINT) {
        return check_operands(p);
    }
    if (!options->product && (options->type || options->grade)) {
        fputs("weir signatures: --type and --grade need --product NAME\n", p->err);
        return false;
    }
    if (p->command->command == COMMAND_UPGRADE && !options->pid == !options->pid_file) {
        fputs("weir upgrade: one of --pid PID and --pid-file FILE expected\n", p->err);
        return false;
    }
    if (options->user && !options->local) {
        fputs("weir transparent: --user needs --local\n", p->err);
        return false;
    }
    if (p->command->command != COMMAND_FINGERPRINT) {
        return true;
    }
    if ((options->input_count != 0) + (options->hex != NULL) + (options->live != NULL) != 1) {
        fputs("weir fingerprint: one of FILE, --hex TEXT and --live ADDRESS expected\n", p->err);
        return false;
    }
    if (!options->live && (p->given & live_alone)) {
        fputs("weir fingerprint: --serve, --count and --seconds need --live ADDRESS\n", p->err);
        return false;
    }
    return true;
}

/* Commands whose arguments are read elsewhere. */
static bool is_handed_over(enum command command)
{
    return command == COMMAND_BENCH_RUN || command == COMMAND_BENCH_ORIGIN ||
           command == COMMAND_BENCH_COMPARE || command == COMMAND_BENCH_GROW;
}

static int parse_options(struct parse *p)
{
    bool has_ended = false; /* the options have, with "--" */

    if (is_handed_over(p->command->command)) {
        p->options->command = p->command->command;
        p->options->rest = p->argv + p->at;
        p->options->rest_count = (size_t)(p->argc - p->at);
        return -1;
    }
    for (; p->at < p->argc; p->at++) {
        const char *argument = p->argv[p->at];
        int status;

        if (!has_ended && p->command->operands && strcmp(argument, "--") == 0) {
            has_ended = true;
            continue;
        }
        if (has_ended || argument[0] != '-' || !argument[1]) {
            if (!take_operand(p, argument)) {
                return usage_error(p);
            }
            continue;
        }
        status = parse_option(p);
        if (status >= 0) {
            return status;
        }
    }
    for (size_t i = 0; i < option_row_count; i++) {
        const struct option_row *row = &option_rows[i];

        if (p->command->required & ~p->given & (1ULL << row->kind)) {
            fprintf(p->err, "weir %s: --%s%s%s is missing\n", p->command->name, row->name,
                    row->value_name ? " " : "", row->value_name ? row->value_name : "");
            return usage_error(p);
        }
    }
    p->options->command = p->command->command;
    return check_together(p) ? -1 : usage_error(p);
}

static bool is_help(const char *argument)
{
    return strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0;
}

/* Finds the command at p->at and goes behind it. -1: found. */
static int parse_command(struct parse *p)
{
    const char *word = p->argv[p->at];
    bool is_group = false;

    for (size_t i = 0; i < command_row_count; i++) {
        const struct command_row *row = &command_rows[i];

        if (strcmp(row->name, word) != 0) {
            continue;
        }
        is_group = row->subname != NULL;
        if (!is_group || (p->at + 1 < p->argc && strcmp(p->argv[p->at + 1], row->subname) == 0)) {
            p->command = row;
            p->at += is_group ? 2 : 1;
            return -1;
        }
    }
    if (is_group && (p->at + 1 >= p->argc || is_help(p->argv[p->at + 1]))) {
        FILE *stream = p->at + 1 < p->argc ? p->out : p->err;
        print_overview(stream);
        return stream == p->out ? EXIT_STATUS_OK : EXIT_STATUS_USAGE;
    }
    return is_group ? unknown_command(p, word, p->argv[p->at + 1]) : unknown_command(p, NULL, word);
}

static int help_command(struct parse *p)
{
    int status;

    p->at++;
    if (p->at >= p->argc || is_help(p->argv[p->at])) {
        print_overview(p->out);
        return EXIT_STATUS_OK;
    }
    status = parse_command(p);
    if (status < 0) {
        print_command(p->out, p->command);
        status = EXIT_STATUS_OK;
    }
    return status;
}

int options_parse_to(int argc, char **argv, struct options *options, FILE *out, FILE *err)
{
    struct parse p = {.argc = argc, .argv = argv, .at = 1, .options = options};
    int status;

    p.out = out;
    p.err = err;
    *options = (struct options){.command = COMMAND_RUN};
    if (argc < 2) {
        print_overview(err);
        return EXIT_STATUS_USAGE;
    }
    if (is_help(argv[1])) {
        print_overview(out);
        return EXIT_STATUS_OK;
    }
    if (strcmp(argv[1], "help") == 0) {
        return help_command(&p);
    }
    if (strcmp(argv[1], "--version") == 0 && argc == 2) {
        options->command = COMMAND_VERSION;
        return -1;
    }
    if (argv[1][0] == '-') {
        fprintf(err, "weir: unknown option \"%s\"; a command comes first\n",
                show(span_from_string(argv[1])).text);
        return usage_error(&p);
    }
    status = parse_command(&p);
    return status < 0 ? parse_options(&p) : status;
}

int options_parse(int argc, char **argv, struct options *options)
{
    return options_parse_to(argc, argv, options, stdout, stderr);
}
