/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/micro_rows.h"
#include "core/base/clock.h"
#include "http/authority.h"
#include "http/h1.h"
#include "http/h1_rewrite.h"
#include "http/tap.h"

#include <nghttp2/nghttp2.h>
#include <string.h>

enum {
    BODY_LEN = 1024,
    OUT_CAP = 4096,
    WIRE_CAP = 4096,
    FRAME_HEADER_LEN = 9, /* RFC 9113 4.1 */
    STREAM_ID_AT = 5,     /* in it */
    STREAM_ID_MAX = 0x7ffffff0,
    TABLE_MAX = 4096, /* bytes of header table, as both sides say in their settings */
};

static const struct h1_limits limits = {
    .head_bytes = 64 * 1024, .line_bytes = 16 * 1024, .field_count = HTTP_FIELDS_MAX};

#define HOST   "www.example.com"
#define TARGET "http://" HOST "/assets/app/main.js?v=20261122"
#define CURL_FIELDS                                                                                \
    "Host: " HOST "\r\n"                                                                           \
    "User-Agent: curl/7.88.1\r\n"                                                                  \
    "Accept: */*\r\n"
#define USER_AGENT                                                                                 \
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "            \
    "Chrome/131.0.0.0 Safari/537.36"
#define BRANDS "\"Google Chrome\";v=\"131\", \"Chromium\";v=\"131\", \"Not_A Brand\";v=\"24\""
#define ACCEPT                                                                                     \
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
#define COOKIE                                                                                     \
    "session=Zm9vYmFyYmF6cXV4Y29ycmdlZ3JhdWx0Z2FycGx5d2FsZG9mcmVk; consent=analytics%3Dno; "       \
    "theme=dark; visitor=5f2b6c1e-97f4-4a3b-9d0c-1e2f3a4b5c6d; last=2026-11-22T06%3A30%3A00Z; "    \
    "basket=3x1187%2C1x20443%2C1x9913; experiment=checkout-b.header-a.search-c; "                  \
    "timezone=Europe%2FBerlin"
#define BROWSER_FIELDS                                                                             \
    "Host: " HOST "\r\n"                                                                           \
    "Connection: keep-alive\r\n"                                                                   \
    "sec-ch-ua: " BRANDS "\r\n"                                                                    \
    "sec-ch-ua-mobile: ?0\r\n"                                                                     \
    "sec-ch-ua-platform: \"Windows\"\r\n"                                                          \
    "Upgrade-Insecure-Requests: 1\r\n"                                                             \
    "User-Agent: " USER_AGENT "\r\n"                                                               \
    "Accept: " ACCEPT "\r\n"                                                                       \
    "Sec-Fetch-Site: same-origin\r\n"                                                              \
    "Sec-Fetch-Mode: navigate\r\n"                                                                 \
    "Sec-Fetch-User: ?1\r\n"                                                                       \
    "Sec-Fetch-Dest: document\r\n"                                                                 \
    "Referer: http://" HOST "/products/overview.html\r\n"                                          \
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"                                                 \
    "Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n"                                                 \
    "Cookie: " COOKIE "\r\n"
#define RESPONSE                                                                                   \
    "HTTP/1.1 200 OK\r\n"                                                                          \
    "Server: nginx\r\n"                                                                            \
    "Date: Sun, 22 Nov 2026 06:30:00 GMT\r\n"                                                      \
    "Content-Type: text/html; charset=utf-8\r\n"                                                   \
    "Content-Length: 1024\r\n"                                                                     \
    "Connection: keep-alive\r\n"                                                                   \
    "Last-Modified: Sat, 21 Nov 2026 10:00:00 GMT\r\n"                                             \
    "ETag: \"65a1b2c3-400\"\r\n"                                                                   \
    "Cache-Control: max-age=600\r\n"                                                               \
    "Accept-Ranges: bytes\r\n\r\n"

static const struct span curl_request =
    SPAN_LITERAL("GET " TARGET " HTTP/1.1\r\n" CURL_FIELDS "Proxy-Connection: Keep-Alive\r\n\r\n");
static const struct span browser_request =
    SPAN_LITERAL("GET " TARGET " HTTP/1.1\r\n" BROWSER_FIELDS "\r\n");
static const struct span response = SPAN_LITERAL(RESPONSE);

/* ---- heads ---- */

struct head_work {
    struct span wire;
    struct http_head head;
    char out[OUT_CAP];
};

static void run_request(void *context, size_t count)
{
    struct head_work *work = context;

    for (size_t i = 0; i < count; i++) {
        struct h1_scan scan = {0};
        struct http_fault fault;
        bool done = h1_read_request(&work->head, &scan, work->wire, &limits, &fault) == H1_DONE;
        ASSERT(done);
        measure_keep(work);
    }
}

static void run_response(void *context, size_t count)
{
    struct head_work *work = context;

    for (size_t i = 0; i < count; i++) {
        struct h1_scan scan = {0};
        struct http_fault fault;
        bool done = h1_read_response(&work->head, &scan, work->wire, SPAN_LITERAL("GET"), &limits,
                                     &fault) == H1_DONE;
        ASSERT(done);
        measure_keep(work);
    }
}

/* Of the head that was parsed last. */
static void run_rewrite_request(void *context, size_t count)
{
    struct head_work *work = context;
    const struct h1_rewrite_options options = {
        .via = true, .pseudonym = "weir-0123456789", .keep_alive = true};

    for (size_t i = 0; i < count; i++) {
        struct text out = text_make(work->out, sizeof(work->out));
        struct http_authority authority;
        enum http_scheme scheme;
        struct span path;
        struct http_fault fault;
        bool done =
            authority_parse_absolute(&authority, &scheme, &path, work->head.target, &fault) &&
            h1_write_request(&out, &work->head, &authority, scheme, path, &options, &fault);
        ASSERT(done);
        measure_keep(work->out);
    }
}

static void run_rewrite_response(void *context, size_t count)
{
    struct head_work *work = context;
    const struct h1_rewrite_options options = {.via = true,
                                               .pseudonym = "weir-0123456789",
                                               .keep_alive = true,
                                               .framing = HTTP_LENGTH,
                                               .content_length = BODY_LEN,
                                               .peer_version = HTTP_VERSION_1_1};

    for (size_t i = 0; i < count; i++) {
        struct text out = text_make(work->out, sizeof(work->out));
        struct http_fault fault;
        bool done = h1_write_response(&out, &work->head, &options, &fault);
        ASSERT(done);
        measure_keep(work->out);
    }
}

static void measure_heads(struct micro *micro)
{
    static const struct {
        const struct span *wire;
        enum micro_row parse_row, rewrite_row;
        void (*parse)(void *context, size_t count);
        void (*rewrite)(void *context, size_t count);
    } rows[] = {
        {&curl_request, MICRO_REQUEST_CURL, MICRO_REWRITE_CURL, run_request, run_rewrite_request},
        {&browser_request, MICRO_REQUEST_BROWSER, MICRO_REWRITE_BROWSER, run_request,
         run_rewrite_request},
        {&response, MICRO_RESPONSE, MICRO_REWRITE_RESPONSE, run_response, run_rewrite_response},
    };
    static struct head_work work;

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct measure_work parse = {rows[i].parse, &work, 1},
                                  rewrite = {rows[i].rewrite, &work, 1};

        work.wire = *rows[i].wire;
        rows[i].parse(&work, 1);
        micro_measure(micro, rows[i].parse_row, MICRO_HEAP_LOOK, &parse);
        micro_measure(micro, rows[i].rewrite_row, MICRO_HEAP_LOOK, &rewrite);
    }
}

/* ---- taps ---- */

/* One exchange on a connection that has had others. */
struct tap_work {
    struct http_tap *tap;
    size_t lens[2]; /* by enum http_tap_side */
    uint8_t wire[2][WIRE_CAP];
    uint32_t stream_id; /* HTTP/2 */
    int64_t now_ns;
    bool is_h2;
};

static void feed(struct tap_work *work)
{
    struct http_exchange done;
    size_t count = 0;

    work->now_ns += NS_PER_US;
    for (unsigned side = HTTP_TAP_CLIENT; side <= HTTP_TAP_SERVER; side++) {
        struct span bytes = span_make(work->wire[side], work->lens[side]);

        while (http_tap_feed(work->tap, side, work->now_ns, &bytes, &done)) {
            count++;
        }
    }
    ASSERT(count == 1);
}

static void run_tap_h1(void *context, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        feed(context);
    }
}

static void put(struct tap_work *work, enum http_tap_side side, const void *bytes, size_t len)
{
    ASSERT(work->lens[side] + len <= WIRE_CAP);
    memcpy(work->wire[side] + work->lens[side], bytes, len);
    work->lens[side] += len;
}

static void put_frame(struct tap_work *work, enum http_tap_side side, uint8_t type, uint8_t flags,
                      const void *payload, size_t len)
{
    const uint8_t header[FRAME_HEADER_LEN] = {(uint8_t)(len >> 16), (uint8_t)(len >> 8),
                                              (uint8_t)len, type, flags};

    put(work, side, header, sizeof(header));
    put(work, side, payload, len);
}

/* Into all frames of an exchange. */
static void set_stream_id(struct tap_work *work, uint32_t id)
{
    for (unsigned side = HTTP_TAP_CLIENT; side <= HTTP_TAP_SERVER; side++) {
        uint8_t *frame = work->wire[side];

        while (frame < work->wire[side] + work->lens[side]) {
            size_t len = (size_t)frame[0] << 16 | (size_t)frame[1] << 8 | frame[2];

            for (unsigned i = 0; i < sizeof(id); i++) {
                frame[STREAM_ID_AT + i] = (uint8_t)(id >> (8 * (sizeof(id) - 1 - i)));
            }
            frame += FRAME_HEADER_LEN + len;
        }
    }
}

#define FIELD(name, value)                                                                         \
    {                                                                                              \
        (uint8_t *)(name), (uint8_t *)(value), sizeof(name) - 1, sizeof(value) - 1, 0              \
    }

static void put_headers(struct tap_work *work, enum http_tap_side side, uint8_t flags,
                        nghttp2_hd_deflater *deflater, const nghttp2_nv *fields, size_t count)
{
    uint8_t block[WIRE_CAP];
    ssize_t len = nghttp2_hd_deflate_hd(deflater, block, sizeof(block), fields, count);

    ASSERT(len >= 0);
    put_frame(work, side, NGHTTP2_HEADERS, flags | NGHTTP2_FLAG_END_HEADERS, block, (size_t)len);
}

/* Once a header table has the fields that repeat, the same bytes say the same each time. */
static void put_exchange(struct tap_work *work, nghttp2_hd_deflater *const deflaters[2])
{
    static const nghttp2_nv request[] = {
        FIELD(":method", "GET"),
        FIELD(":authority", HOST),
        FIELD(":scheme", "https"),
        FIELD(":path", "/assets/app/main.js?v=20261122"),
        FIELD("sec-ch-ua", BRANDS),
        FIELD("sec-ch-ua-mobile", "?0"),
        FIELD("sec-ch-ua-platform", "\"Windows\""),
        FIELD("upgrade-insecure-requests", "1"),
        FIELD("user-agent", USER_AGENT),
        FIELD("accept", ACCEPT),
        FIELD("sec-fetch-site", "same-origin"),
        FIELD("sec-fetch-mode", "navigate"),
        FIELD("sec-fetch-user", "?1"),
        FIELD("sec-fetch-dest", "document"),
        FIELD("referer", "https://" HOST "/products/overview.html"),
        FIELD("accept-encoding", "gzip, deflate, br, zstd"),
        FIELD("accept-language", "en-GB,en;q=0.9,de;q=0.8"),
        FIELD("cookie", COOKIE),
    };
    static const nghttp2_nv answer[] = {
        FIELD(":status", "200"),
        FIELD("server", "nginx"),
        FIELD("date", "Sun, 22 Nov 2026 06:30:00 GMT"),
        FIELD("content-type", "text/html; charset=utf-8"),
        FIELD("content-length", "1024"),
        FIELD("last-modified", "Sat, 21 Nov 2026 10:00:00 GMT"),
        FIELD("etag", "\"65a1b2c3-400\""),
        FIELD("cache-control", "max-age=600"),
        FIELD("accept-ranges", "bytes"),
    };
    static const uint8_t body[BODY_LEN];

    work->lens[HTTP_TAP_CLIENT] = work->lens[HTTP_TAP_SERVER] = 0;
    put_headers(work, HTTP_TAP_CLIENT, NGHTTP2_FLAG_END_STREAM, deflaters[HTTP_TAP_CLIENT], request,
                COUNT_OF(request));
    put_headers(work, HTTP_TAP_SERVER, NGHTTP2_FLAG_NONE, deflaters[HTTP_TAP_SERVER], answer,
                COUNT_OF(answer));
    put_frame(work, HTTP_TAP_SERVER, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, body, sizeof(body));
}

/* A connection from its first byte to behind its first exchange. False: no memory. */
static bool begin_h2(struct tap_work *work)
{
    nghttp2_hd_deflater *deflaters[2] = {NULL, NULL};
    struct span preface[2] = {
        SPAN_LITERAL(NGHTTP2_CLIENT_MAGIC "\0\0\0\4\0\0\0\0\0"),
        SPAN_LITERAL("\0\0\0\4\0\0\0\0\0\0\0\0\4\1\0\0\0\0"),
    };
    struct http_exchange done;
    bool made;

    http_tap_free(work->tap);
    work->tap = http_tap_new(SPAN_LITERAL("h2"));
    made = work->tap && nghttp2_hd_deflate_new(&deflaters[0], TABLE_MAX) == 0 &&
           nghttp2_hd_deflate_new(&deflaters[1], TABLE_MAX) == 0;
    if (made) {
        for (unsigned side = HTTP_TAP_CLIENT; side <= HTTP_TAP_SERVER; side++) {
            (void)http_tap_feed(work->tap, side, ++work->now_ns, &preface[side], &done);
        }
        put_exchange(work, deflaters);
        set_stream_id(work, work->stream_id = 1);
        feed(work);
        http_tap_drop_first(work->tap);
        put_exchange(work, deflaters);
    }
    for (unsigned side = 0; side < COUNT_OF(deflaters); side++) {
        if (deflaters[side]) {
            nghttp2_hd_deflate_del(deflaters[side]);
        }
    }
    return made;
}

static void run_tap_h2(void *context, size_t count)
{
    struct tap_work *work = context;

    for (size_t i = 0; i < count; i++) {
        if (work->stream_id >= STREAM_ID_MAX) {
            bool made = begin_h2(work);
            ASSERT(made);
        }
        set_stream_id(work, work->stream_id += 2);
        feed(work);
    }
}

static bool measure_taps(struct micro *micro)
{
    static struct tap_work work;
    static const struct measure_work h1 = {run_tap_h1, &work, 1}, h2 = {run_tap_h2, &work, 1};
    static const struct span get =
        SPAN_LITERAL("GET /assets/app/main.js?v=20261122 HTTP/1.1\r\n" BROWSER_FIELDS "\r\n");
    static const uint8_t body[BODY_LEN];
    bool made;

    work = (struct tap_work){.tap = http_tap_new(SPAN_LITERAL("http/1.1"))};
    if (!work.tap) {
        return false;
    }
    put(&work, HTTP_TAP_CLIENT, get.data, get.len);
    put(&work, HTTP_TAP_SERVER, response.data, response.len);
    put(&work, HTTP_TAP_SERVER, body, sizeof(body));
    feed(&work);
    http_tap_drop_first(work.tap);
    micro_measure(micro, MICRO_TAP_H1, MICRO_HEAP_LOOK, &h1);
    made = begin_h2(&work);
    if (made) {
        micro_measure(micro, MICRO_TAP_H2, MICRO_HEAP_LOOK, &h2);
    }
    http_tap_free(work.tap);
    return made;
}

bool micro_http(struct micro *micro)
{
    measure_heads(micro);
    if (!measure_taps(micro)) {
        fputs("weir bench: out of memory\n", micro->err);
        return false;
    }
    return true;
}
