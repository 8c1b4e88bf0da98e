/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/request_fingerprint.h"

#include "detect/fields.h"

const char *request_field_name(enum request_field field)
{
    static const char *const names[REQUEST_FIELD_COUNT] = {
        "version", "cipher", "extension", "curve", "ecpointfmt", "header", "quirk"};
    ASSERT(field < REQUEST_FIELD_COUNT);
    return names[field];
}

bool request_version_parse(uint16_t *version, struct span text)
{
    *version = 0;
    if (text.len == 0) {
        return true;
    }
    if (!fields_hex(version, text)) {
        return false;
    }
    if (*version == 2) {
        *version = 0x200;
    }
    return *version == 0x200 || (*version >= 0x300 && *version <= 0x304);
}

void request_version_print(struct text *out, uint16_t version)
{
    if (version) {
        fields_print_hex(out, version);
    }
}

bool number_list_parse(struct number_list *list, struct span text, struct detect_fault *fault)
{
    struct span rest = text;

    list->count = 0;
    if (text.len == 0) {
        return true;
    }
    while (rest.data) {
        struct span item = fields_next(&rest, ',');
        if (list->count == FINGERPRINT_LIST_MAX) {
            return fields_fault(fault, text, item, "at most 512 numbers");
        }
        if (!fields_hex(&list->items[list->count], item)) {
            return fields_fault(fault, text, item, "a hex number up to ffff");
        }
        list->count++;
    }
    return true;
}

void number_list_print(struct text *out, const struct number_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        if (i) {
            text_char(out, ',');
        }
        fields_print_hex(out, list->items[i]);
    }
}

/* Numbers of two bytes in network byte order. */
static void number_list_take(struct number_list *list, struct span wire)
{
    list->count = wire.len / 2;
    for (size_t i = 0; i < list->count; i++) {
        list->items[i] = (uint16_t)(wire.data[2 * i] << 8 | wire.data[2 * i + 1]);
    }
}

_Static_assert((int)CLIENT_HELLO_EXTENSIONS_MAX <= (int)FINGERPRINT_LIST_MAX &&
                   UINT8_MAX <= FINGERPRINT_LIST_MAX,
               "all extensions and point formats fit");

bool request_fingerprint_from_hello(struct request_fingerprint *fp,
                                    const struct client_hello *hello)
{
    if (!fingerprint_is_bounded(hello)) {
        return false;
    }
    fp->version = hello->legacy_version;
    number_list_take(&fp->ciphers, hello->ciphers);
    fp->extensions.count = hello->extension_count;
    for (size_t i = 0; i < hello->extension_count; i++) {
        fp->extensions.items[i] = hello->extensions[i].type;
    }
    number_list_take(&fp->curves, hello->groups);
    fp->point_formats.count = hello->point_formats.len;
    for (size_t i = 0; i < hello->point_formats.len; i++) {
        fp->point_formats.items[i] = hello->point_formats.data[i];
    }
    fp->headers.count = 0;
    fp->quirks.count = 0;
    return hello->compressions.len <= 1 || word_list_add(&fp->quirks, SPAN_LITERAL("compr"));
}

bool request_fingerprint_parse(struct request_fingerprint *fp, struct span text,
                               struct detect_fault *fault)
{
    struct number_list *const numbers[] = {&fp->ciphers, &fp->extensions, &fp->curves,
                                           &fp->point_formats};
    struct span parts[REQUEST_FIELD_COUNT];

    fault->expected = "seven fields separated by ':'";
    if (!fields_split(parts, REQUEST_FIELD_COUNT, text, ':', &fault->offset)) {
        return false;
    }
    if (!request_version_parse(&fp->version, parts[REQUEST_VERSION])) {
        return fields_fault(fault, text, parts[REQUEST_VERSION], "a TLS version: 200, 300 to 304");
    }
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        struct span part = parts[REQUEST_CIPHERS + i];
        if (!number_list_parse(numbers[i], part, fault)) {
            return fields_fault_within(fault, text, part);
        }
    }
    if (!word_list_parse(&fp->headers, parts[REQUEST_HEADERS], fault)) {
        return fields_fault_within(fault, text, parts[REQUEST_HEADERS]);
    }
    return word_list_parse(&fp->quirks, parts[REQUEST_QUIRKS], fault) ||
           fields_fault_within(fault, text, parts[REQUEST_QUIRKS]);
}

void request_fingerprint_print_field(struct text *out, const struct request_fingerprint *fp,
                                     enum request_field field)
{
    switch (field) {
    case REQUEST_VERSION:
        request_version_print(out, fp->version);
        break;
    case REQUEST_CIPHERS:
        number_list_print(out, &fp->ciphers);
        break;
    case REQUEST_EXTENSIONS:
        number_list_print(out, &fp->extensions);
        break;
    case REQUEST_CURVES:
        number_list_print(out, &fp->curves);
        break;
    case REQUEST_POINT_FORMATS:
        number_list_print(out, &fp->point_formats);
        break;
    case REQUEST_HEADERS:
        word_list_print(out, &fp->headers);
        break;
    case REQUEST_QUIRKS:
        word_list_print(out, &fp->quirks);
        break;
    case REQUEST_FIELD_COUNT:
        break;
    }
}

void request_fingerprint_print(struct text *out, const struct request_fingerprint *fp)
{
    for (int field = 0; field < REQUEST_FIELD_COUNT; field++) {
        if (field) {
            text_char(out, ':');
        }
        request_fingerprint_print_field(out, fp, (enum request_field)field);
    }
}

/* Was there any? */
static bool clean_list(struct number_list *to, const struct number_list *from,
                       enum detect_mode mode)
{
    size_t count = 0;

    for (size_t i = 0; i < from->count; i++) {
        to->items[count] = from->items[i];
        count += !request_is_grease(from->items[i], mode);
    }
    to->count = count;
    return count != from->count;
}

bool request_fingerprint_clean(struct request_fingerprint *to,
                               const struct request_fingerprint *from, enum detect_mode mode)
{
    static const struct span grease = {(const uint8_t *)"grease", 6};
    bool found = clean_list(&to->ciphers, &from->ciphers, mode);

    found |= clean_list(&to->extensions, &from->extensions, mode);
    found |= clean_list(&to->curves, &from->curves, mode);
    to->version = from->version;
    to->point_formats.count = from->point_formats.count;
    memcpy(to->point_formats.items, from->point_formats.items,
           from->point_formats.count * sizeof(from->point_formats.items[0]));
    word_list_copy(&to->headers, &from->headers);
    word_list_copy(&to->quirks, &from->quirks);
    return !found || word_list_add(&to->quirks, grease);
}
