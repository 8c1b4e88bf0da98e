/* SPDX-License-Identifier: Apache-2.0 */
/*
 * field: what the files of http/ share about fields, and nobody else needs: the alphabets of
 * RFC 9110 5.5 and 5.6, the names that framing and forwarding turn on, comma lists, and the reader
 * of a field section. Pure functions over received bytes; any thread.
 */
#ifndef WEIR_HTTP_FIELD_H
#define WEIR_HTTP_FIELD_H

#include "core/base/assert.h"
#include "http/h1.h"

enum field_char {
    CHAR_TOKEN = 1, /* RFC 9110 5.6.2: tchar */
    CHAR_DIGIT = 2,
    CHAR_HEX = 4,
    CHAR_TARGET = 8, /* may stand in a request-target */
    CHAR_NAME = 16,  /* may stand in a DNS name, the dot aside */
    CHAR_QUOTED = 32 /* RFC 9110 5.6.4: qdtext */
};

extern const uint8_t field_char_classes[256];

static inline bool char_is(uint8_t c, unsigned classes)
{
    return (field_char_classes[c] & classes) != 0;
}

/* At least one byte, and all of them in `classes`. */
bool span_is_all(struct span text, unsigned classes);

enum field_id {
    FIELD_OTHER,
    FIELD_HOST,
    FIELD_CONNECTION,
    FIELD_CONTENT_LENGTH,
    FIELD_TRANSFER_ENCODING,
    FIELD_EXPECT,
    FIELD_UPGRADE,
    FIELD_VIA,
    FIELD_TE,
    FIELD_TRAILER,
    FIELD_KEEP_ALIVE,
    FIELD_MAX_FORWARDS,
    FIELD_HTTP2_SETTINGS,
    FIELD_PROXY_CONNECTION,
    FIELD_PROXY_AUTHENTICATE,
    FIELD_PROXY_AUTHORIZATION,
    FIELD_PROXY_AUTHENTICATION_INFO,
    FIELD_DISGUISED, /* Transfer_Encoding, Content_Length: the framing fields of a CGI's eyes */
};

/* `name` must be a token. */
enum field_id field_identify(struct span name);

/* The same name but for case and for '_' in the place of '-', as a CGI reads them both. */
bool field_is_like(struct span name, struct span other);

/* The next element of a comma list, without white space; empty ones are skipped (RFC 9110 5.6.1).
 */
bool list_next(struct span *rest, struct span *item);

/* As list_next for Upgrade, without h2c: that would change the protocol of the connection between
 * us and the next hop under our feet, and RFC 9113 3.1 has given it up. */
bool upgrade_next(struct span *rest, struct span *protocol);

/* RFC 9110 8.6, strict: digits alone, no leading zero, at most 2^63 - 1. */
bool content_length_parse(uint64_t *length, struct span text);

struct field_section {
    struct span bytes;   /* from the first field line on; more may follow the blank line */
    size_t base;         /* offset of `bytes` in the head, for faults */
    uint32_t line_bytes; /* a field line at most */
    uint32_t count_max;  /* fields at most; HTTP_FIELDS_MAX holds too */
    bool is_request;     /* what faults say */
};

/*
 * Reads field lines up to the blank line into fields, field_count and, as the length of the section
 * with its blank line, *section_len. Every line ends with CR LF, no line is folded, names are
 * tokens with the colon right after them, values hold no control character.
 */
bool field_section_read(struct http_head *head, const struct field_section *section,
                        size_t *section_len, struct http_fault *fault);

/*
 * The second opinion: does llhttp, reading `section` (all of it, with its blank line), find exactly
 * the fields of `head`, and nothing wrong? To be asked last, since llhttp judges framing too.
 */
bool field_section_confirm(const struct http_head *head, struct span section);

/* The end of a field section over several reads; lines are counted from scan->offset on. */
enum h1_result field_section_scan(struct h1_scan *scan, struct span bytes, uint32_t line_bytes,
                                  uint32_t section_bytes, bool is_request,
                                  struct http_fault *fault);

/*
 * Fills *fault; returns false. `status` is the one that a request is refused with; for a response
 * it becomes 502, and what it stood for goes into the error type.
 */
bool fault_set(struct http_fault *fault, bool is_request, uint16_t status, size_t offset,
               const char *what);

#endif
