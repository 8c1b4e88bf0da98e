/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request_fingerprint: what one request showed, its ClientHello and its header names, as a value,
 * and its text form
 *
 *     version:ciphers:extensions:curves:ecpointformats:headers:quirks
 *
 * (fingerprint.h prints the first five of a ClientHello). No allocation; any thread.
 */
#ifndef WEIR_DETECT_REQUEST_FINGERPRINT_H
#define WEIR_DETECT_REQUEST_FINGERPRINT_H

#include "detect/fingerprint.h"
#include "detect/mode.h"
#include "detect/word_list.h"

/* The fields, in the order of the text form. */
enum request_field {
    REQUEST_VERSION,
    REQUEST_CIPHERS,
    REQUEST_EXTENSIONS,
    REQUEST_CURVES,
    REQUEST_POINT_FORMATS,
    REQUEST_HEADERS,
    REQUEST_QUIRKS,
    REQUEST_FIELD_COUNT,
    REQUEST_FIELD_NONE = REQUEST_FIELD_COUNT,
};

/* As reports call them: version, cipher, extension, curve, ecpointfmt, header, quirk. */
const char *request_field_name(enum request_field field);

/* Numbers in the order seen, duplicates kept. */
struct number_list {
    size_t count;
    uint16_t items[FINGERPRINT_LIST_MAX]; /* the first `count` are set */
};

struct request_fingerprint {
    uint16_t version; /* 0: none */
    struct number_list ciphers;
    struct number_list extensions;
    struct number_list curves;
    struct number_list point_formats;
    struct word_list headers; /* words borrowed; lower case by convention, never folded */
    struct word_list quirks;  /* words borrowed */
};

/* One of 0 (empty text), 0x200, 0x300 to 0x304; 2 is read as 0x200. */
bool request_version_parse(uint16_t *version, struct span text) MUST_CHECK;
void request_version_print(struct text *out, uint16_t version);

/* A comma list of hex numbers. False also where there are more than FINGERPRINT_LIST_MAX. */
bool number_list_parse(struct number_list *list, struct span text,
                       struct detect_fault *fault) MUST_CHECK;
void number_list_print(struct text *out, const struct number_list *list);

/* Headers are left empty; of quirks there may be `compr`. False: the hello has no fingerprint
 * (FINGERPRINT_LIST_MAX). Reads as what fingerprint_print_hello() writes. */
bool request_fingerprint_from_hello(struct request_fingerprint *fp,
                                    const struct client_hello *hello) MUST_CHECK;

/* Borrows headers and quirks from `text`. False: `fault` says where and why, `fp` is not to be
 * used. */
bool request_fingerprint_parse(struct request_fingerprint *fp, struct span text,
                               struct detect_fault *fault) MUST_CHECK;

/* Lower-case hex without leading zeros; reads back as the same value. */
void request_fingerprint_print(struct text *out, const struct request_fingerprint *fp);
void request_fingerprint_print_field(struct text *out, const struct request_fingerprint *fp,
                                     enum request_field field);

/* GREASE (RFC 8701). Compatible: everything that reads ?a?a, 1a2a too. */
static inline bool request_is_grease(uint16_t value, enum detect_mode mode)
{
    return (value & 0x0f0f) == 0x0a0a &&
           (mode == DETECT_COMPATIBLE || value >> 8 == (value & 0xff));
}

/* A copy without GREASE in ciphers, extensions and curves, and with the quirk `grease` if there was
 * any. False: no room for one more quirk. */
bool request_fingerprint_clean(struct request_fingerprint *to,
                               const struct request_fingerprint *from,
                               enum detect_mode mode) MUST_CHECK;

#endif
