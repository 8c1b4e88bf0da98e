/* SPDX-License-Identifier: Apache-2.0 */
/* What is said over HTTP/2, as nghttp2's client understands it. */
#include "http/h2_reply.h"

#include "core/base/assert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <cmocka.h>

/* What the client has understood. */
struct answer {
    char fields[256]; /* ":status=200;..." */
    char body[64];
    size_t body_len;
    uint32_t close_code;
    bool is_closed;
    bool has_goaway;
};

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *context)
{
    struct answer *answer = context;
    size_t len = strlen(answer->fields);

    (void)session, (void)frame, (void)flags;
    snprintf(answer->fields + len, sizeof(answer->fields) - len, "%.*s=%.*s;", (int)name_len,
             (const char *)name, (int)value_len, (const char *)value);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data,
                   size_t len, void *context)
{
    struct answer *answer = context;

    (void)session, (void)flags, (void)stream;
    assert_true(answer->body_len + len < sizeof(answer->body));
    memcpy(answer->body + answer->body_len, data, len);
    answer->body_len += len;
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    struct answer *answer = context;

    (void)session;
    answer->has_goaway |= frame->hd.type == NGHTTP2_GOAWAY;
    return 0;
}

static int on_close(nghttp2_session *session, int32_t stream, uint32_t code, void *context)
{
    struct answer *answer = context;

    (void)session, (void)stream;
    answer->is_closed = true;
    answer->close_code = code;
    return 0;
}

static nghttp2_session *new_client(struct answer *answer)
{
    nghttp2_session_callbacks *callbacks;
    nghttp2_session *client;

    assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    assert_int_equal(nghttp2_session_client_new(&client, callbacks, answer), 0);
    nghttp2_session_callbacks_del(callbacks);
    return client;
}

static nghttp2_nv field(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
                        strlen(value), NGHTTP2_NV_FLAG_NONE};
}

/* All that the client sends with its first request. */
static size_t ask(nghttp2_session *client, const char *method, uint8_t *out, size_t cap)
{
    const nghttp2_nv fields[] = {field(":method", method), field(":scheme", "https"),
                                 field(":authority", "localhost"), field(":path", "/")};
    size_t len = 0;
    const uint8_t *data;
    ssize_t got;

    assert_int_equal(nghttp2_submit_settings(client, NGHTTP2_FLAG_NONE, NULL, 0), 0);
    assert_int_equal(nghttp2_submit_window_update(client, NGHTTP2_FLAG_NONE, 0, 1000), 0);
    assert_true(nghttp2_submit_request(client, NULL, fields, COUNT_OF(fields), NULL, NULL) > 0);
    while ((got = nghttp2_session_mem_send(client, &data)) > 0) {
        assert_true(len + (size_t)got <= cap);
        memcpy(out + len, data, (size_t)got);
        len += (size_t)got;
    }
    assert_int_equal(got, 0);
    return len;
}

static void say(nghttp2_session *client, const struct text *out)
{
    struct span bytes = text_view(out);

    assert_false(out->overflow);
    assert_int_equal(nghttp2_session_mem_recv(client, bytes.data, bytes.len), bytes.len);
}

static void check(const char *method, int32_t stream, bool head_only)
{
    uint8_t asked[1024];
    char room[2 * H2_REPLY_MAX];
    struct answer answer = {.fields = ""};
    nghttp2_session *client = new_client(&answer);
    struct text out = text_make(room, H2_REPLY_MAX);
    struct span body = SPAN_LITERAL("some words\n");
    size_t len;

    assert_int_equal(nghttp2_session_set_next_stream_id(client, stream), 0);
    len = ask(client, method, asked, sizeof(asked));
    for (size_t i = 0; i + 9 < len; i++) {
        uint32_t found = h2_first_stream(span_make(asked, i));
        assert_true(found == 0 || found == (uint32_t)stream);
    }
    assert_int_equal(h2_first_stream(span_make(asked, len)), stream);
    h2_write_preface(&out);
    say(client, &out);
    out = text_make(room, H2_REPLY_MAX + body.len);
    h2_write_text(&out, (uint32_t)stream, body, head_only);
    say(client, &out);
    assert_string_equal(answer.fields, ":status=200;content-type=text/plain;content-length=11;");
    assert_int_equal(answer.body_len, head_only ? 0 : body.len);
    assert_memory_equal(answer.body, body.data, answer.body_len);
    assert_true(answer.is_closed && answer.has_goaway);
    assert_int_equal(answer.close_code, NGHTTP2_NO_ERROR);
    nghttp2_session_del(client);
}

static void test_answers(void **state)
{
    (void)state;
    check("GET", 1, false);
    check("GET", 15, false);
    check("HEAD", 1, true);
    check("GET", 0x7fffffff, false);
}

static void test_no_request(void **state)
{
    const uint8_t endless[64] = {0};

    (void)state;
    assert_int_equal(h2_first_stream(span_make(NULL, 0)), 0);
    assert_int_equal(h2_first_stream(span_make(endless, sizeof(endless))), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_no_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
