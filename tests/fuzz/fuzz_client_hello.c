/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Input: a ClientHello message. What parses must lie within the input, must be printable by every
 * fingerprint within its documented room, and must read the same a second time.
 */
#include "core/base/assert.h"
#include "detect/fingerprint.h"
#include "detect/ja3.h"
#include "detect/ja4.h"
#include "tls/client_hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_within(struct span part, struct span whole)
{
    ASSERT(part.len == 0 ||
           (part.data >= whole.data && part.data + part.len <= whole.data + whole.len));
}

static void check_spans(const struct client_hello *hello, struct span message)
{
    const struct span views[] = {
        hello->random,
        hello->session_id,
        hello->ciphers,
        hello->sni,
        hello->groups,
        hello->compressions,
        hello->alpn,
        hello->key_shares,
        hello->point_formats,
        hello->message,
        hello->supported_versions,
        hello->signature_algorithms,
    };

    for (size_t i = 0; i < COUNT_OF(views); i++) {
        check_within(views[i], message);
    }
    ASSERT(hello->extension_count <= CLIENT_HELLO_EXTENSIONS_MAX);
    for (size_t i = 0; i < hello->extension_count; i++) {
        check_within(hello->extensions[i].body, message);
        ASSERT(client_hello_has(hello, hello->extensions[i].type));
    }
    ASSERT(hello->random.len == 32 && hello->session_id.len <= 32);
    ASSERT(hello->ciphers.len >= 2 && hello->ciphers.len % 2 == 0);
    ASSERT(hello->groups.len % 2 == 0 && hello->signature_algorithms.len % 2 == 0);
    ASSERT(hello->sni.len <= SNI_MAX && !(hello->sni.len && hello->sni_invalid));
}

static void check_alpn(const struct client_hello *hello)
{
    struct span list = hello->alpn;
    struct span name;
    size_t len = 0;

    while (alpn_next(&list, &name)) {
        ASSERT(name.len > 0);
        check_within(name, hello->alpn);
        len += 1 + name.len;
    }
    ASSERT(len == hello->alpn.len);
}

static void check_fingerprints(const struct client_hello *hello)
{
    bool bounded = fingerprint_is_bounded(hello);
    char memory[JA3_TEXT_MAX + JA4_RAW_MAX + FINGERPRINT_HELLO_MAX];
    char ja3[JA3_LEN + 1];
    char ja4[JA4_LEN + 1];
    struct text out = text_make(memory, JA3_TEXT_MAX);

    ASSERT(ja3_print(&out, hello) == bounded);
    out = text_make(memory, JA4_RAW_MAX);
    ASSERT(ja4_print_raw(&out, hello) == bounded);
    out = text_make(memory, FINGERPRINT_HELLO_MAX);
    ASSERT(fingerprint_print_hello(&out, hello) == bounded);
    ASSERT(ja3_compute(ja3, hello) == bounded);
    ASSERT(ja4_compute(ja4, hello) == bounded);
    ASSERT(!bounded || (strlen(ja3) == JA3_LEN && strlen(ja4) == JA4_LEN));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct client_hello hello;
    struct span message = span_make(data, size);
    struct client_hello_fault fault = {NULL, 0, 0};

    memset(&hello, 1, sizeof(hello)); /* the parse must not count on what was there */
    if (!client_hello_parse(&hello, message, &fault)) {
        ASSERT(fault.field && fault.alert && fault.offset <= size);
        return 0;
    }
    check_spans(&hello, message);
    check_alpn(&hello);
    check_fingerprints(&hello);
    (void)client_hello_accepts_ecdsa(&hello);
    return 0;
}
