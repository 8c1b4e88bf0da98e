/* SPDX-License-Identifier: Apache-2.0 */
/* tap_script_h2: writes conversations in HTTP/2, for tap_script.h to hear. */
#ifndef WEIR_TEST_TAP_SCRIPT_H2_H
#define WEIR_TEST_TAP_SCRIPT_H2_H

#include "tests/unit/http/tap_script.h"

#include <nghttp2/nghttp2.h>

enum {
    LINES_MAX = 400,
    WIRE_CAP = 1 << 20,
    DATA = NGHTTP2_DATA,
    HEADERS = NGHTTP2_HEADERS,
    RST = NGHTTP2_RST_STREAM,
    SETTINGS = NGHTTP2_SETTINGS,
    PROMISE = NGHTTP2_PUSH_PROMISE,
    CONTINUATION = NGHTTP2_CONTINUATION,
    END_STREAM = NGHTTP2_FLAG_END_STREAM,
    END_HEADERS = NGHTTP2_FLAG_END_HEADERS,
    PADDED = NGHTTP2_FLAG_PADDED,
    PRIORITY = NGHTTP2_FLAG_PRIORITY,
    ACK = NGHTTP2_FLAG_ACK,
};

/* A conversation being written. Each side has an encoder, as real ones do. */
struct script {
    struct line lines[LINES_MAX];
    size_t count;
    nghttp2_hd_deflater *deflaters[2];
    size_t len;
    uint8_t wire[WIRE_CAP];
};

static struct script script; /* one at a time */

static void add_bytes(const void *data, size_t len)
{
    assert_true(script.len + len <= WIRE_CAP && script.count > 0);
    if (len) {
        memcpy(script.wire + script.len, data, len);
    }
    script.len += len;
    script.lines[script.count - 1].bytes.len += len;
}

/* What follows is sent by that side. */
static void say(enum http_tap_side side)
{
    assert_true(script.count < LINES_MAX);
    script.lines[script.count++] = (struct line){side, span_make(script.wire + script.len, 0)};
}

static void add_frame(uint8_t type, uint8_t flags, uint32_t id, const void *payload, size_t len)
{
    const uint8_t header[] = {
        (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len,       type,       flags,
        (uint8_t)(id >> 24),  (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id};

    add_bytes(header, sizeof(header));
    add_bytes(payload, len);
}

static void script_fini(void)
{
    for (size_t i = 0; i < 2; i++) {
        if (script.deflaters[i]) {
            nghttp2_hd_deflate_del(script.deflaters[i]);
            script.deflaters[i] = NULL;
        }
    }
}

/* Also behind a test that failed. */
static int script_teardown(void **state)
{
    (void)state;
    script_fini();
    return 0;
}

/* A new conversation: preface and settings of both sides, in two lines. */
static void script_init(void)
{
    script_fini();
    script.count = script.len = 0;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(nghttp2_hd_deflate_new(&script.deflaters[i], 64 * 1024), 0);
    }
    say(C);
    add_bytes(NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
    add_frame(SETTINGS, 0, 0, "\0\3\0\0\0\100\0\4\0\1\0\0", 12);
    add_frame(NGHTTP2_WINDOW_UPDATE, 0, 0, "\0\1\0\0", 4);
    say(S);
    add_frame(SETTINGS, 0, 0, NULL, 0);
    add_frame(SETTINGS, ACK, 0, NULL, 0);
}

#define FIELD(name, value)                                                                         \
    {                                                                                              \
        (uint8_t *)(name), (uint8_t *)(value), sizeof(name) - 1, sizeof(value) - 1, 0              \
    }

static struct span deflate(enum http_tap_side side, const nghttp2_nv *fields, size_t count)
{
    static uint8_t block[200 * 1024];
    ssize_t len =
        nghttp2_hd_deflate_hd(script.deflaters[side], block, sizeof(block), fields, count);

    assert_true(len >= 0);
    return span_make(block, (size_t)len);
}

static void add_headers(uint8_t flags, uint32_t id, const nghttp2_nv *fields, size_t count)
{
    struct span block = deflate(script.lines[script.count - 1].side, fields, count);

    add_frame(HEADERS, flags | END_HEADERS, id, block.data, block.len);
}

static void add_get(uint32_t id, const char *path, uint8_t flags)
{
    const nghttp2_nv fields[] = {
        FIELD(":method", "GET"),
        FIELD(":scheme", "https"),
        FIELD(":authority", "example.org"),
        {(uint8_t *)":path", (uint8_t *)path, 5, strlen(path), 0},
        FIELD("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101"),
        FIELD("accept", "*/*"),
    };

    add_headers(flags, id, fields, COUNT_OF(fields));
}

static void add_status(uint32_t id, const char *status, uint8_t flags)
{
    const nghttp2_nv fields[] = {
        {(uint8_t *)":status", (uint8_t *)status, 7, strlen(status), 0},
        FIELD("server", "test"),
    };

    add_headers(flags, id, fields, COUNT_OF(fields));
}

static struct heard heard __attribute__((unused));

#define FOR_EACH_CUT(alpn)                                                                         \
    for (size_t cut = 0; cut < COUNT_OF(steps) &&                                                  \
                         (hear(&heard, alpn, script.lines, script.count, steps[cut]), true);       \
         cut++)

#endif
