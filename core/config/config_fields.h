/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_fields: config_fields.def as an array, and what can be done with one field whatever it is:
 * read its text, compare, free, print its bounds. Only core/config uses this.
 */
#ifndef WEIR_CONFIG_FIELDS_H
#define WEIR_CONFIG_FIELDS_H

#include "core/base/assert.h"
#include "core/config/config.h"

enum config_type {
    CONFIG_SECTION, /* a map of fields; the others are stored as: */
    CONFIG_BOOL,
    CONFIG_INTEGER,        /* uint32_t */
    CONFIG_BYTES,          /* uint32_t */
    CONFIG_DURATION,       /* uint32_t, milliseconds */
    CONFIG_DURATION_S,     /* uint32_t, seconds */
    CONFIG_ENUM,           /* int, or an enum of that size */
    CONFIG_STRING,         /* char *, UTF-8 without control characters */
    CONFIG_TOKEN,          /* char *, RFC 9110 5.6.2 */
    CONFIG_PATH,           /* char *, a leading ~/ expanded */
    CONFIG_URL,            /* struct config_url; the field's words are the schemes */
    CONFIG_LISTEN_ADDRESS, /* struct config_address */
    CONFIG_PORT_LIST,      /* uint16_t * */
    CONFIG_PATH_LIST,      /* char ** from here on */
    CONFIG_HOST_LIST,
    CONFIG_SNI_LIST,
    CONFIG_NETWORK_LIST, /* addresses and CIDR blocks */
    CONFIG_SERVER_LIST,
    CONFIG_WORD_LIST, /* some of the field's words */
    CONFIG_TEXT_LIST, /* UTF-8 without control characters, not empty */
    CONFIG_JA3_LIST,
    CONFIG_JA4_LIST,
    CONFIG_MAP_LIST, /* an array of structs */
};

enum config_change { CONFIG_RELOAD, CONFIG_RESTART, CONFIG_REQUIRED };

struct config_word {
    const char *name;
    int value;
    bool supported; /* false: another version's, so that the error can say so */
};

struct config_field {
    const char *path;
    enum config_type type;
    size_t offset;
    size_t count_offset; /* lists: of the size_t beside the pointer */
    size_t item_size;
    int64_t min, max;
    const struct config_word *words; /* ends with a null name */
    const char *default_text;
    enum config_change change;
    const char *example;
    const char *sentence;
};

enum {
    CONFIG_FIELD_COUNT = 0
#define FIELD(...)   +1
#define SECTION(...) +1
#include "core/config/config_fields.def"
#undef FIELD
#undef SECTION
};

extern const struct config_field config_fields[CONFIG_FIELD_COUNT];

/* The field of a path that is in the table. */
const struct config_field *config_field_at(const char *path);

/* The last part of the path: "head_bytes". */
const char *config_field_name(const struct config_field *field);

/*
 * The fields of a struct: those of `struct config` for a null list, else those of the list's
 * element. Sections are among them.
 */
bool config_field_is_in(const struct config_field *field, const struct config_field *list);

static inline bool config_field_is_list(const struct config_field *field)
{
    return field->type >= CONFIG_PORT_LIST;
}

/* A list of scalars has one of these types an item; a map list has none. */
enum { CONFIG_VALUE_ERROR_MAX = 384 };

/*
 * Reads one scalar, or one item of a list of scalars, into `place`. False, with a sentence in
 * `error`, when it is not valid; `place` is then untouched.
 */
bool config_value_read(const struct config_field *field, struct span text, void *place,
                       char error[CONFIG_VALUE_ERROR_MAX]) MUST_CHECK;

/* "0 to 1024", "100ms to 10m", "forward"; empty when there is nothing to say. */
void config_value_bounds(const struct config_field *field, char *memory, size_t cap);

/* A number as one would write it in the file: "64KiB", "10m". */
void config_value_number(const struct config_field *field, uint32_t value, char *memory,
                         size_t cap);

/* restart_only: parts of a list's element that a reload can change are not looked at. */
bool config_field_equal(const struct config_field *field, const void *base_a, const void *base_b,
                        bool restart_only);

/* Frees what the fields of one struct own, not the struct. */
void config_fields_free(const struct config_field *list, void *base);

#endif
