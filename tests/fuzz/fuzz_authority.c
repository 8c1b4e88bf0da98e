/* SPDX-License-Identifier: Apache-2.0 */
/* Authorities in their three places. What is accepted holds only bytes that a name may have, and
 * reads the same when it is written again. */
#include "core/base/assert.h"
#include "core/base/text.h"
#include "http/authority.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct http_authority *authority, bool port_needed)
{
    char memory[HTTP_HOST_MAX + 16];
    struct text out = text_make(memory, sizeof(memory));
    struct http_authority again;
    struct http_fault fault;

    ASSERT(authority->host_len > 0 && authority->host_len <= 253);
    ASSERT(strlen(authority->host) == authority->host_len);
    for (size_t i = 0; i < authority->host_len; i++) {
        ASSERT(strchr("abcdefghijklmnopqrstuvwxyz0123456789-_.:", authority->host[i]));
    }
    ASSERT(authority->is_ip || !authority->is_ipv6);
    ASSERT(authority->port || !port_needed);
    text_string(&out, authority->is_ipv6 ? "[" : "");
    text_string(&out, authority->host);
    text_string(&out, authority->is_ipv6 ? "]" : "");
    if (authority->port) {
        text_char(&out, ':');
        text_unsigned(&out, authority->port);
    }
    ASSERT(authority_parse_host(&again, text_view(&out), &fault));
    ASSERT(strcmp(again.host, authority->host) == 0 && again.port == authority->port);
    ASSERT(again.is_ip == authority->is_ip && again.is_ipv6 == authority->is_ipv6);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_make(data, size);
    struct http_authority authority;
    enum http_scheme scheme;
    struct http_fault fault = {0, NULL, NULL, 0};
    struct span path;
    bool as_host = authority_parse_host(&authority, text, &fault);

    if (as_host) {
        check(&authority, false);
    } else {
        ASSERT(fault.what && fault.status == 400 && fault.offset <= size);
    }
    if (authority_parse_connect(&authority, text, &fault)) {
        ASSERT(as_host);
        check(&authority, true);
    }
    if (authority_parse_absolute(&authority, &scheme, &path, text, &fault)) {
        check(&authority, true);
        ASSERT(path.len == 0 || path.data[0] == '/' || path.data[0] == '?');
        ASSERT(path.len == 0 || path.data + path.len == data + size);
    }
    return 0;
}
