/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/mitm_info.h"

#include "detect/fields.h"
#include "detect/grade.h"

#include <stdlib.h>

enum { FIELD_COUNT = 3 };

/* The first that a name has is the name. */
static const char *const vendors[] = {
    "avast",
    "avg",
    "barracuda",
    "bitdefender",
    "bluecoat",
    "bullguard",
    "chromodo",
    "ciscows",
    "citrix",
    "cybersitter",
    "drweb",
    "eset",
    "forcepoint",
    "fortigate",
    "gdata",
    "hidemyip",
    "junipersrx",
    "kaspersky",
    "keepmyfamilysecure",
    "kindergate",
    "komodiasuperfish",
    "microsofttmg",
    "netnanny",
    "pcpandora",
    "privdog",
    "qustodio",
    "sophos",
    "staffcop",
    "untangle",
    "wajam",
    "webtitan",
    "adguard",
};

const char *mitm_type_name(unsigned type)
{
    static const char *const names[MITM_TYPE_COUNT] = {
        "none", "antivirus", "fake browser", "malware", "parental control", "proxy"};
    return type < MITM_TYPE_COUNT ? names[type] : "unknown";
}

static bool has_vendor(struct span name, struct span vendor, enum detect_mode mode)
{
    if (mode == DETECT_DEFAULT) {
        return span_equal(span_sub(name, 0, vendor.len), vendor);
    }
    return name.len && memmem(name.data, name.len, vendor.data, vendor.len);
}

/* Writes the simplified name over `to`, which has room for the name; returns its end. */
static char *simplify(char *to, struct span name, enum detect_mode mode)
{
    char *end = to;
    struct span plain;

    for (size_t i = 0; i < name.len; i++) {
        uint8_t byte = name.data[i];
        if (byte != '-') {
            *end++ = (char)(byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte);
        }
    }
    plain = span_make(to, (size_t)(end - to));
    for (size_t i = 0; i < COUNT_OF(vendors); i++) {
        struct span vendor = span_from_string(vendors[i]);
        if (has_vendor(plain, vendor, mode)) {
            memcpy(to, vendor.data, vendor.len);
            return to + vendor.len;
        }
    }
    return end;
}

/* A vendor's word is never longer than the name it is found in, so the text's room is enough. */
static bool parse_names(struct mitm_info *info, struct span text, enum detect_mode mode)
{
    struct span rest = text;
    char *end;

    *info = (struct mitm_info){.names = malloc(text.len + 1)};
    if (!info->names) {
        return false;
    }
    end = info->names;
    while (text.len && rest.data) {
        struct span name = fields_next(&rest, ',');
        if (info->name_count++) {
            *end++ = ',';
        }
        end = simplify(end, name, mode);
    }
    info->names_len = (size_t)(end - info->names);
    return true;
}

bool mitm_info_parse(struct mitm_info *info, struct span text, enum detect_mode mode,
                     struct detect_fault *fault)
{
    bool strict = mode == DETECT_DEFAULT;
    struct span parts[FIELD_COUNT];
    int64_t type;
    int64_t grade;

    fault->expected = "names:type:grade";
    if (!fields_split(parts, FIELD_COUNT, text, ':', &fault->offset)) {
        return false;
    }
    if (!fields_decimal(&type, parts[1]) || (strict && (type < 0 || type >= MITM_TYPE_COUNT))) {
        return fields_fault(fault, text, parts[1], "a type from 0 to 5");
    }
    if (!fields_decimal(&grade, parts[2]) || (strict && (grade < 0 || grade > GRADE_F))) {
        return fields_fault(fault, text, parts[2], "a grade from 0 to 4");
    }
    if (!parse_names(info, parts[0], mode)) {
        return fields_fault(fault, text, parts[0], detect_fault_no_memory);
    }
    info->type = (uint8_t)type;
    info->grade = (uint8_t)grade;
    return true;
}

void mitm_info_fini(struct mitm_info *info)
{
    free(info->names);
    info->names = NULL;
}

void mitm_info_print(struct text *out, const struct mitm_info *info)
{
    text_bytes(out, mitm_info_names(info));
    text_char(out, ':');
    text_unsigned(out, info->type);
    text_char(out, ':');
    text_unsigned(out, info->grade);
}

size_t mitm_info_text_max(const struct mitm_info *info)
{
    return info->names_len + sizeof(":255:255");
}

static int compare_names(const void *a, const void *b)
{
    const struct span *left = a;
    const struct span *right = b;
    size_t common = left->len < right->len ? left->len : right->len;
    int order = common ? memcmp(left->data, right->data, common) : 0;

    return order ? order : (left->len > right->len) - (left->len < right->len);
}

static struct span *collect_names(struct span *to, const struct mitm_info *info)
{
    struct span rest = mitm_info_names(info);

    for (size_t i = 0; i < info->name_count; i++) {
        *to++ = fields_next(&rest, ',');
    }
    return to;
}

bool mitm_info_merge(struct mitm_info *merged, const struct mitm_info *a, const struct mitm_info *b)
{
    size_t count = a->name_count + b->name_count;
    struct span *names = malloc((count + 1) * sizeof(*names));
    struct text out;

    *merged = (struct mitm_info){.names = malloc(a->names_len + b->names_len + 2)};
    if (!names || !merged->names) {
        free(names);
        free(merged->names);
        return false;
    }
    collect_names(collect_names(names, a), b);
    qsort(names, count, sizeof(*names), compare_names);
    out = text_make(merged->names, a->names_len + b->names_len + 2);
    for (size_t i = 0; i < count; i++) {
        if (i && span_equal(names[i], names[i - 1])) {
            continue;
        }
        if (merged->name_count++) {
            text_char(&out, ',');
        }
        text_bytes(&out, names[i]);
    }
    ASSERT(!out.overflow);
    merged->names_len = out.len;
    merged->type = a->type == b->type ? a->type : MITM_NONE;
    merged->grade = a->grade > b->grade ? a->grade : b->grade;
    free(names);
    return true;
}

bool mitm_info_match(const struct mitm_info *a, const struct mitm_info *b)
{
    struct span rest = mitm_info_names(a);

    if (span_equal(rest, mitm_info_names(b))) {
        return true;
    }
    for (size_t i = 0; i < a->name_count; i++) {
        struct span name = fields_next(&rest, ',');
        struct span others = mitm_info_names(b);
        for (size_t k = 0; k < b->name_count; k++) {
            if (span_equal(fields_next(&others, ','), name)) {
                return true;
            }
        }
    }
    return false;
}
