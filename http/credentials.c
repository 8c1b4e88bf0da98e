/* SPDX-License-Identifier: Apache-2.0 */
#include "http/credentials.h"

#include "core/base/base64.h"
#include "http/field.h"

/* "Basic", spaces, base64. */
static bool decode(struct span value, uint8_t *memory, size_t cap, size_t *len)
{
    size_t space = span_find(value, ' ');
    struct span text = span_skip(value, space);

    while (text.len && text.data[0] == ' ') {
        text = span_skip(text, 1);
    }
    return span_equal_nocase(span_sub(value, 0, space), SPAN_LITERAL("Basic")) &&
           base64_decode(text, memory, cap, len);
}

enum http_credentials http_read_basic(struct http_basic *basic, const struct http_head *head,
                                      uint8_t *memory, size_t cap)
{
    const struct http_field *found = NULL;
    struct span all;
    size_t colon;
    size_t len;

    for (size_t i = 0; i < head->field_count; i++) {
        if (field_identify(head->fields[i].name) != FIELD_PROXY_AUTHORIZATION) {
            continue;
        }
        if (found) {
            return HTTP_CREDENTIALS_BAD;
        }
        found = &head->fields[i];
    }
    if (!found) {
        return HTTP_CREDENTIALS_NONE;
    }
    if (!decode(found->value, memory, cap, &len)) {
        return HTTP_CREDENTIALS_BAD;
    }
    all = span_make(memory, len);
    colon = span_find(all, ':');
    if (colon == len) {
        return HTTP_CREDENTIALS_BAD;
    }
    basic->name = span_sub(all, 0, colon);
    basic->password = span_skip(all, colon + 1);
    return HTTP_CREDENTIALS_BASIC;
}
