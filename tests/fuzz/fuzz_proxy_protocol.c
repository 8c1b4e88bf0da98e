/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A PROXY protocol header. However its bytes are cut, the same is said of them, and something is
 * said within the bound; what is kept lies within the header; what is written from what was read,
 * with the options that it had, is read back as the same.
 */
#include "core/base/assert.h"
#include "core/session/proxy_protocol.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 512 };

static bool is_within(struct span outer, struct span view)
{
    return !view.data ||
           (view.data >= outer.data && view.data + view.len <= outer.data + outer.len);
}

static void check_views(struct span bytes, const struct proxy_header *header)
{
    const struct span views[] = {
        header->alpn,
        header->authority,
        header->unique_id,
        header->netns,
        header->ssl.version,
        header->ssl.common_name,
        header->ssl.cipher,
        header->ssl.signature_algorithm,
        header->ssl.key_algorithm,
    };

    ASSERT(header->len > 0 && header->len <= bytes.len);
    ASSERT(header->version == 1 || header->version == 2);
    ASSERT(header->version == 2 || header->len <= PROXY_HEADER_V1_BYTES_MAX);
    ASSERT(header->has_addresses == (header->from.len > 0 && header->to.len > 0));
    ASSERT(!header->is_local || !header->has_addresses);
    ASSERT(header->unique_id.len <= PROXY_HEADER_UNIQUE_ID_MAX);
    for (size_t i = 0; i < COUNT_OF(views); i++) {
        ASSERT(is_within(span_sub(bytes, 0, header->len), views[i]));
    }
}

/* The bytes as a copy of their exact size, so that a sanitizer sees a read past the end. */
static enum proxy_header_result parse_copy(struct span bytes, struct proxy_header *header,
                                           struct proxy_header_fault *fault)
{
    uint8_t *copy = malloc(bytes.len ? bytes.len : 1);
    enum proxy_header_result result;

    ASSERT(copy);
    if (bytes.len) {
        memcpy(copy, bytes.data, bytes.len);
    }
    result = proxy_header_parse(span_make(copy, bytes.len), header, fault);
    if (result == PROXY_HEADER_DONE) {
        check_views(span_make(copy, bytes.len), header);
    }
    free(copy);
    return result;
}

static void check_cuts(struct span bytes, enum proxy_header_result whole,
                       const struct proxy_header *header, const struct proxy_header_fault *fault)
{
    struct proxy_header part;
    struct proxy_header_fault part_fault;
    enum proxy_header_result said = PROXY_HEADER_MORE;

    for (size_t len = 0; len <= bytes.len; len++) {
        enum proxy_header_result result = parse_copy(span_sub(bytes, 0, len), &part, &part_fault);

        ASSERT(said == PROXY_HEADER_MORE || result == said);
        said = result;
        ASSERT(said == PROXY_HEADER_MORE || said == whole);
        ASSERT(said != PROXY_HEADER_DONE || part.len == header->len);
        ASSERT(said != PROXY_HEADER_BAD ||
               (part_fault.what == fault->what && part_fault.offset == fault->offset));
    }
    ASSERT(said == whole);
}

static struct span clip(struct span view)
{
    return span_sub(view, 0, PROXY_HEADER_OPTION_MAX);
}

static void check_written(const struct proxy_header *header)
{
    const struct proxy_header_options options = {
        .authority = clip(header->authority),
        .alpn = clip(header->alpn),
        .unique_id = header->unique_id,
        .add_crc32c = header->has_crc32c,
    };
    uint8_t memory[PROXY_HEADER_WRITE_MAX];
    struct text text = text_make(memory, sizeof(memory));
    struct proxy_header again;
    struct proxy_header_fault fault;

    proxy_header_write_v2(&text, &header->from, &header->to, &options);
    ASSERT(!text.overflow);
    ASSERT(proxy_header_parse(text_view(&text), &again, &fault) == PROXY_HEADER_DONE);
    ASSERT(again.len == text.len && again.has_addresses == header->has_addresses);
    if (header->has_addresses) {
        ASSERT(address_equal(&again.from, &header->from) && address_equal(&again.to, &header->to));
        ASSERT(span_equal(again.authority, options.authority));
        ASSERT(span_equal(again.alpn, options.alpn));
        ASSERT(span_equal(again.unique_id, options.unique_id));
        ASSERT(again.has_crc32c == options.add_crc32c);
    }
    text = text_make(memory, PROXY_HEADER_V1_BYTES_MAX);
    proxy_header_write_v1(&text, &header->from, &header->to);
    ASSERT(!text.overflow);
    ASSERT(proxy_header_parse(text_view(&text), &again, &fault) == PROXY_HEADER_DONE);
    ASSERT(again.len == text.len && again.has_addresses == header->has_addresses);
    ASSERT(!header->has_addresses ||
           (address_equal(&again.from, &header->from) && address_equal(&again.to, &header->to)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span bytes = span_make(data, size < INPUT_MAX ? size : INPUT_MAX);
    struct proxy_header header;
    struct proxy_header_fault fault;
    enum proxy_header_result result = proxy_header_parse(bytes, &header, &fault);

    check_cuts(bytes, result, &header, &fault);
    if (result == PROXY_HEADER_DONE) {
        check_views(bytes, &header);
        check_written(&header);
    }
    return 0;
}
