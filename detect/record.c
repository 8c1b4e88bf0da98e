/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/record.h"

#include "core/base/hash.h"
#include "detect/fields.h"

#include <stdlib.h>

enum { PART_COUNT = 3, CAP_FIRST = 16, DATE_LEN = 10 };

void record_faults_add(struct record_faults *faults, struct record_fault fault)
{
    if (faults->count < RECORD_FAULTS_MAX) {
        faults->items[faults->count] = fault;
    }
    faults->count++;
}

/* ---- days ---- */

static bool parse_digits(int *value, struct span digits)
{
    *value = 0;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.data[i] < '0' || digits.data[i] > '9') {
            return false;
        }
        *value = *value * 10 + (digits.data[i] - '0');
    }
    return true;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && is_leap);
}

/* Years begin in March here, so that the odd day is the last. */
static int32_t day_number(int year, int month, int day)
{
    int shifted = month > 2 ? month - 3 : month + 9;
    int y = month > 2 ? year : year - 1;
    return 365 * y + y / 4 - y / 100 + y / 400 + (153 * shifted + 2) / 5 + day - 1 - 719468;
}

bool record_day_parse(int32_t *day, struct span text)
{
    int y, m, d;

    if (text.len != DATE_LEN || text.data[4] != '-' || text.data[7] != '-' ||
        !parse_digits(&y, span_sub(text, 0, 4)) || !parse_digits(&m, span_sub(text, 5, 2)) ||
        !parse_digits(&d, span_sub(text, 8, 2)) || y < 1970 || m < 1 || m > 12 || d < 1 ||
        d > days_in_month(y, m)) {
        return false;
    }
    *day = day_number(y, m, d);
    return *day > 0;
}

void record_day_print(struct text *out, int32_t day)
{
    int year = 1970;
    int month = 1;

    while (day >= day_number(year + 1, 1, 1)) {
        year++;
    }
    while (month < 12 && day >= day_number(year, month + 1, 1)) {
        month++;
    }
    text_printf(out, "%04d-%02d-%02d", year, month, day - day_number(year, month, 1) + 1);
}

/* ---- one record ---- */

static bool parse_parts(struct record *record, const struct span *parts, struct span text,
                        struct words *words, enum detect_mode mode, struct detect_fault *fault)
{
    if (!ua_signature_parse(&record->ua, parts[0], words, fault)) {
        return fields_fault_within(fault, text, parts[0]);
    }
    if (!request_signature_parse(&record->request, parts[1], words, fault)) {
        ua_signature_fini(&record->ua);
        return fields_fault_within(fault, text, parts[1]);
    }
    if (!mitm_info_parse(&record->mitm, parts[2], mode, fault)) {
        ua_signature_fini(&record->ua);
        request_signature_fini(&record->request);
        return fields_fault_within(fault, text, parts[2]);
    }
    return true;
}

bool record_parse(struct record *record, struct span text, struct words *words,
                  enum detect_mode mode, struct detect_fault *fault)
{
    struct span parts[PART_COUNT + 1];
    bool has_day = false;

    record->captured_day = 0;
    record->digest = hash_bytes(text);
    fault->expected = "ua_signature|request_signature|mitm_info";
    if (!fields_split(parts, PART_COUNT, text, '|', &fault->offset)) {
        size_t at;
        has_day = mode == DETECT_DEFAULT && fields_split(parts, PART_COUNT + 1, text, '|', &at);
        if (!has_day) {
            return false;
        }
    }
    if (has_day && !record_day_parse(&record->captured_day, parts[PART_COUNT])) {
        return fields_fault(fault, text, parts[PART_COUNT], "a day, as 2026-11-21");
    }
    return parse_parts(record, parts, text, words, mode, fault);
}

void record_fini(struct record *record)
{
    ua_signature_fini(&record->ua);
    request_signature_fini(&record->request);
    mitm_info_fini(&record->mitm);
}

void record_print(struct text *out, const struct record *record, const struct words *words,
                  enum detect_mode mode)
{
    ua_signature_print(out, &record->ua, words, mode);
    text_char(out, '|');
    request_signature_print(out, &record->request, words, mode);
    text_char(out, '|');
    mitm_info_print(out, &record->mitm);
    if (mode == DETECT_DEFAULT && record->captured_day) {
        text_char(out, '|');
        record_day_print(out, record->captured_day);
    }
}

size_t record_text_max(const struct record *record, const struct words *words)
{
    return ua_signature_text_max(&record->ua, words) +
           request_signature_text_max(&record->request, words) + mitm_info_text_max(&record->mitm) +
           3 + DATE_LEN;
}

bool record_merge(struct record *merged, const struct record *a, const struct record *b,
                  const struct words *words, enum detect_mode mode)
{
    if (!ua_signature_merge(&merged->ua, &a->ua, &b->ua, mode, words)) {
        return false;
    }
    if (!request_signature_merge(&merged->request, &a->request, &b->request, mode, words)) {
        ua_signature_fini(&merged->ua);
        return false;
    }
    if (!mitm_info_merge(&merged->mitm, &a->mitm, &b->mitm)) {
        ua_signature_fini(&merged->ua);
        request_signature_fini(&merged->request);
        return false;
    }
    merged->digest = 0;
    merged->captured_day = a->captured_day < b->captured_day ? a->captured_day : b->captured_day;
    return true;
}

/* ---- lists ---- */

void record_list_init(struct record_list *list, struct words *words, enum detect_mode mode)
{
    *list = (struct record_list){.words = words, .mode = mode};
}

void record_list_fini(struct record_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        record_fini(&list->items[i]);
    }
    free(list->items);
    list->items = NULL;
    list->count = 0;
    list->cap = 0;
}

bool record_list_add(struct record_list *list, struct record *record)
{
    if (list->count == RECORD_LIST_MAX) {
        return false;
    }
    if (list->count == list->cap) {
        size_t cap = list->cap ? 2 * list->cap : CAP_FIRST;
        struct record *bigger = realloc(list->items, cap * sizeof(*bigger));
        if (!bigger) {
            return false;
        }
        list->items = bigger;
        list->cap = cap;
    }
    list->items[list->count++] = *record;
    return true;
}

void record_list_remove(struct record_list *list, size_t index)
{
    ASSERT(index < list->count);
    record_fini(&list->items[index]);
    list->count--;
    memmove(&list->items[index], &list->items[index + 1],
            (list->count - index) * sizeof(*list->items));
}

/* ---- files ---- */

bool record_line_next(struct span *rest, struct span *line)
{
    size_t len = span_find(*rest, '\n');

    if (rest->len == 0) {
        return false;
    }
    *line = span_sub(*rest, 0, len);
    *rest = span_skip(*rest, len + 1);
    if (len <= RECORD_LINE_MAX && line->len && line->data[line->len - 1] == '\r') {
        line->len--;
    }
    return true;
}

/* White space of more than one byte, in UTF-8 (Unicode's White_Space). */
static const struct span wide_spaces[] = {
    {(const uint8_t *)"\xc2\x85", 2},     {(const uint8_t *)"\xc2\xa0", 2},
    {(const uint8_t *)"\xe1\x9a\x80", 3}, {(const uint8_t *)"\xe2\x80\x80", 3},
    {(const uint8_t *)"\xe2\x80\x81", 3}, {(const uint8_t *)"\xe2\x80\x82", 3},
    {(const uint8_t *)"\xe2\x80\x83", 3}, {(const uint8_t *)"\xe2\x80\x84", 3},
    {(const uint8_t *)"\xe2\x80\x85", 3}, {(const uint8_t *)"\xe2\x80\x86", 3},
    {(const uint8_t *)"\xe2\x80\x87", 3}, {(const uint8_t *)"\xe2\x80\x88", 3},
    {(const uint8_t *)"\xe2\x80\x89", 3}, {(const uint8_t *)"\xe2\x80\x8a", 3},
    {(const uint8_t *)"\xe2\x80\xa8", 3}, {(const uint8_t *)"\xe2\x80\xa9", 3},
    {(const uint8_t *)"\xe2\x80\xaf", 3}, {(const uint8_t *)"\xe2\x81\x9f", 3},
    {(const uint8_t *)"\xe3\x80\x80", 3},
};

static bool is_space(uint8_t byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

/* How many bytes of white space begin the text, or end it. */
static size_t space_len(struct span text, bool at_end)
{
    if (text.len == 0) {
        return 0;
    }
    if (is_space(text.data[at_end ? text.len - 1 : 0])) {
        return 1;
    }
    for (size_t i = 0; i < COUNT_OF(wide_spaces); i++) {
        size_t len = wide_spaces[i].len;
        if (len <= text.len &&
            span_equal(span_sub(text, at_end ? text.len - len : 0, len), wide_spaces[i])) {
            return len;
        }
    }
    return 0;
}

struct span record_trim(struct span text)
{
    size_t len;

    while ((len = space_len(text, false)) > 0) {
        text = span_skip(text, len);
    }
    while ((len = space_len(text, true)) > 0) {
        text.len -= len;
    }
    return text;
}

static struct span trim_quotes(struct span text)
{
    while (text.len && text.data[0] == '"') {
        text = span_skip(text, 1);
    }
    while (text.len && text.data[text.len - 1] == '"') {
        text.len--;
    }
    return text;
}

static struct span skip_tab(struct span line)
{
    size_t tab = span_find(line, '\t');
    return tab == line.len ? line : span_skip(line, tab + 1);
}

/* The record of a line, or nothing. */
static struct span strip_line(struct span line, enum detect_mode mode)
{
    size_t before;

    if (mode == DETECT_COMPATIBLE) {
        line = skip_tab(line);
        line = span_sub(line, 0, span_find(line, '#'));
        return trim_quotes(record_trim(line));
    }
    line = skip_tab(span_sub(line, 0, span_find(line, '#')));
    do {
        before = line.len;
        line = trim_quotes(record_trim(line));
    } while (line.len != before);
    return line;
}

/* Adds the record of a line. False: a fault, which is noted. */
static bool load_line(struct record_list *list, struct span line, struct record_fault at,
                      struct record_faults *faults)
{
    struct span text = strip_line(line, list->mode);
    struct detect_fault fault = {0, NULL};
    struct record record;

    if (text.len == 0) {
        return true;
    }
    if (!record_parse(&record, text, list->words, list->mode, &fault)) {
        at.column = fields_offset(line, text) + fault.offset + 1;
        at.expected = fault.expected;
        record_faults_add(faults, at);
        return false;
    }
    if (!record_list_add(list, &record)) {
        record_fini(&record);
        at.expected =
            list->count == RECORD_LIST_MAX ? "at most 1048576 records" : detect_fault_no_memory;
        record_faults_add(faults, at);
        return false;
    }
    return true;
}

static struct span skip_byte_order_mark(struct span text)
{
    static const struct span mark = {(const uint8_t *)"\xef\xbb\xbf", 3};
    return span_equal(span_sub(text, 0, mark.len), mark) ? span_skip(text, mark.len) : text;
}

static bool lacks_memory(const struct record_faults *faults)
{
    size_t last = faults->count < RECORD_FAULTS_MAX ? faults->count : RECORD_FAULTS_MAX;
    return last && faults->items[last - 1].expected == detect_fault_no_memory;
}

bool record_list_load(struct record_list *list, struct span text, const char *source,
                      struct record_faults *faults)
{
    bool strict = list->mode == DETECT_COMPATIBLE;
    struct record_fault at = {source, 0, 1, NULL};
    struct span rest = strict ? text : skip_byte_order_mark(text);
    struct span line;

    while (record_line_next(&rest, &line)) {
        at.line++;
        if (line.len > RECORD_LINE_MAX) {
            if (strict) {
                return true; /* MITMEngine stops reading here, and says nothing */
            }
            at.expected = "a line of at most 65535 bytes";
            record_faults_add(faults, at);
        } else if (!load_line(list, line, at, faults) && (strict || lacks_memory(faults))) {
            return false;
        }
    }
    return true;
}
