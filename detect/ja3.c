/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/ja3.h"

#include "detect/md5.h"

/* One item of a list that began where the text had `list_start` bytes. */
static void print_item(struct text *out, size_t list_start, uint16_t value)
{
    if (tls_is_grease(value)) {
        return;
    }
    if (out->len != list_start) {
        text_char(out, '-');
    }
    text_unsigned(out, value);
}

static void print_list(struct text *out, struct span list)
{
    size_t start = out->len;

    for (size_t at = 0; at + 2 <= list.len; at += 2) {
        print_item(out, start, (uint16_t)(list.data[at] << 8 | list.data[at + 1]));
    }
}

bool ja3_print(struct text *out, const struct client_hello *hello)
{
    size_t start;

    if (!fingerprint_is_bounded(hello)) {
        return false;
    }
    text_unsigned(out, hello->legacy_version);
    text_char(out, ',');
    print_list(out, hello->ciphers);
    text_char(out, ',');
    start = out->len;
    for (size_t i = 0; i < hello->extension_count; i++) {
        print_item(out, start, hello->extensions[i].type);
    }
    text_char(out, ',');
    print_list(out, hello->groups);
    text_char(out, ',');
    start = out->len;
    for (size_t i = 0; i < hello->point_formats.len; i++) {
        print_item(out, start, hello->point_formats.data[i]);
    }
    return !out->overflow;
}

bool ja3_compute(char hash[JA3_LEN + 1], const struct client_hello *hello)
{
    char memory[JA3_TEXT_MAX];
    uint8_t digest[MD5_LEN];
    struct text full = text_make(memory, sizeof(memory));
    struct text hex = text_make(hash, JA3_LEN);

    if (!ja3_print(&full, hello)) {
        return false;
    }
    md5(digest, text_view(&full));
    text_hex(&hex, span_make(digest, sizeof(digest)));
    hash[JA3_LEN] = '\0';
    return true;
}
