/* SPDX-License-Identifier: Apache-2.0 */
/* A response head; the first byte says to which method. Scanned, parsed, rewritten, read again. */
#include "core/base/assert.h"
#include "http/h1.h"
#include "http/h1_rewrite.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct h1_limits limits = {HTTP_HEAD_BYTES_MAX, 16 * 1024, HTTP_FIELDS_MAX};

static void rewrite(const struct http_head *head, struct span method)
{
    static char memory[HTTP_HEAD_BYTES_MAX + 1024];
    struct text out = text_make(memory, sizeof(memory));
    struct h1_rewrite_options options = {.keep_alive = head->keep_alive,
                                         .upgrade = head->status == 101,
                                         .framing = head->framing,
                                         .content_length = head->content_length,
                                         .peer_version = HTTP_VERSION_1_1};
    struct http_head again;
    struct http_fault fault;

    if (!h1_write_response(&out, head, &options, &fault)) {
        ASSERT(fault.status == 502 && fault.what);
        return;
    }
    if (out.len > HTTP_HEAD_BYTES_MAX || head->field_count + 4 > HTTP_FIELDS_MAX) {
        return;
    }
    if (h1_parse_response(&again, text_view(&out), method, &limits, &fault) == H1_BAD) {
        ASSERT(strstr(fault.what, "too long"));
        return;
    }
    ASSERT(again.len == out.len && again.status == head->status);
    ASSERT(again.framing == head->framing && again.content_length == head->content_length);
    ASSERT(again.keep_alive == head->keep_alive || head->status < 200);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct span methods[] = {SPAN_LITERAL("GET"), SPAN_LITERAL("HEAD"),
                                          SPAN_LITERAL("CONNECT"), SPAN_LITERAL("POST")};
    struct span bytes;
    struct span method;
    struct http_head head;
    struct http_fault fault = {0, NULL, NULL, 0};
    struct h1_scan scan = {0, 0, 0};
    enum h1_result scanned;

    if (size == 0) {
        return 0;
    }
    method = methods[data[0] % COUNT_OF(methods)];
    bytes = span_make(data + 1, size - 1);
    scanned = h1_scan_head(&scan, bytes, false, &limits, &fault);
    if (h1_parse_response(&head, bytes, method, &limits, &fault) == H1_BAD) {
        ASSERT(fault.status == 502 && fault.what && fault.error && fault.offset <= size);
        return 0;
    }
    ASSERT(scanned == H1_DONE && scan.offset == head.len);
    ASSERT(head.status >= 100 && head.status <= 599);
    if (!span_equal(method, SPAN_LITERAL("CONNECT"))) {
        rewrite(&head, method);
    }
    return 0;
}
