/* SPDX-License-Identifier: Apache-2.0 */
/* A request head: scanned in two splits, parsed, written for the next hop, and read again. */
#include "core/base/assert.h"
#include "http/h1.h"
#include "http/h1_rewrite.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct h1_limits limits = {HTTP_HEAD_BYTES_MAX, 16 * 1024, HTTP_FIELDS_MAX};

static enum h1_result scan_split(struct span bytes, size_t step, size_t *end)
{
    struct h1_scan scan = {0, 0, 0};
    struct http_fault fault;
    enum h1_result result = H1_MORE;

    for (size_t len = step; result == H1_MORE; len += step) {
        result = h1_scan_head(&scan, span_sub(bytes, 0, len), true, &limits, &fault);
        if (len >= bytes.len) {
            break;
        }
    }
    *end = scan.offset;
    return result;
}

static void check_span(struct span inner, struct span outer)
{
    ASSERT(inner.len == 0 ||
           (inner.data >= outer.data && inner.data + inner.len <= outer.data + outer.len));
}

static void rewrite(const struct http_head *head, bool upgrade)
{
    static char memory[HTTP_HEAD_BYTES_MAX + 1024];
    struct text out = text_make(memory, sizeof(memory));
    struct h1_rewrite_options options = {.via = true,
                                         .pseudonym = "weir",
                                         .keep_alive = head->keep_alive,
                                         .upgrade = upgrade,
                                         .framing = head->framing,
                                         .content_length = head->content_length};
    enum http_scheme scheme = HTTP_SCHEME_HTTP;
    struct http_authority authority;
    struct http_head again;
    struct http_fault fault;
    struct span path = head->target;

    if (head->target.data[0] != '/' && head->target.data[0] != '*') {
        if (!authority_parse_absolute(&authority, &scheme, &path, head->target, &fault)) {
            return; /* CONNECT's */
        }
    } else if (!authority_parse_host(&authority, head->host, &fault)) {
        return; /* HTTP/1.0 without Host */
    }
    if (!h1_write_request(&out, head, &authority, scheme, path, &options, &fault)) {
        ASSERT(fault.status && fault.what);
        return;
    }
    if (out.len > HTTP_HEAD_BYTES_MAX || head->field_count + 4 > HTTP_FIELDS_MAX) {
        return;
    }
    enum h1_result result = h1_parse_request(&again, text_view(&out), &limits, &fault);
    if (result == H1_BAD && (fault.status == 414 || fault.status == 431)) {
        return; /* what we add made it too long */
    }
    ASSERT(result == H1_DONE);
    ASSERT(again.len == out.len && again.framing == head->framing);
    ASSERT(again.content_length == head->content_length);
    ASSERT(again.keep_alive == head->keep_alive);
    ASSERT(again.upgrade <= upgrade && again.upgrade <= head->upgrade);
    ASSERT(!h1_write_request(&out, &again, &authority, scheme, again.target, &options, &fault));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span bytes = span_make(data, size);
    struct http_head head;
    struct http_fault fault = {0, NULL, NULL, 0};
    size_t end;
    size_t split_end;
    enum h1_result scanned = scan_split(bytes, size + 1, &end);
    enum h1_result split = scan_split(bytes, size % 7 + 1, &split_end);

    ASSERT(scanned == split && (scanned != H1_DONE || end == split_end));
    if (h1_parse_request(&head, bytes, &limits, &fault) == H1_BAD) {
        ASSERT(fault.status >= 400 && fault.what && fault.error && fault.offset <= size);
        return 0;
    }
    ASSERT(scanned == H1_DONE && end == head.len);
    check_span(head.method, bytes);
    check_span(head.target, bytes);
    check_span(head.host, bytes);
    for (size_t i = 0; i < head.field_count; i++) {
        check_span(head.fields[i].name, bytes);
        check_span(head.fields[i].value, bytes);
    }
    rewrite(&head, size % 2);
    return 0;
}
