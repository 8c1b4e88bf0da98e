/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/fingerprint.h"

#include "detect/fields.h"

bool fingerprint_is_bounded(const struct client_hello *hello)
{
    return hello->ciphers.len / 2 <= FINGERPRINT_LIST_MAX &&
           hello->groups.len / 2 <= FINGERPRINT_LIST_MAX &&
           hello->signature_algorithms.len / 2 <= FINGERPRINT_LIST_MAX;
}

/* Numbers of `item_len` bytes, 1 or 2. */
static void print_list(struct text *out, struct span list, size_t item_len)
{
    for (size_t at = 0; at + item_len <= list.len; at += item_len) {
        if (at) {
            text_char(out, ',');
        }
        fields_print_hex(out, item_len == 1 ? list.data[at]
                                            : (uint16_t)(list.data[at] << 8 | list.data[at + 1]));
    }
}

bool fingerprint_print_hello(struct text *out, const struct client_hello *hello)
{
    if (!fingerprint_is_bounded(hello)) {
        return false;
    }
    fields_print_hex(out, hello->legacy_version);
    text_char(out, ':');
    print_list(out, hello->ciphers, 2);
    text_char(out, ':');
    for (size_t i = 0; i < hello->extension_count; i++) {
        if (i) {
            text_char(out, ',');
        }
        fields_print_hex(out, hello->extensions[i].type);
    }
    text_char(out, ':');
    print_list(out, hello->groups, 2);
    text_char(out, ':');
    print_list(out, hello->point_formats, 1);
    return !out->overflow;
}

bool fingerprint_print(struct text *out, const struct client_hello *hello, struct span headers,
                       struct span quirks)
{
    if (!fingerprint_print_hello(out, hello)) {
        return false;
    }
    text_char(out, ':');
    text_bytes(out, headers);
    text_char(out, ':');
    if (hello->compressions.len > 1) {
        text_string(out, quirks.len ? "compr," : "compr");
    }
    text_bytes(out, quirks);
    return !out->overflow;
}
