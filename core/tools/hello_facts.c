/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tools/hello_facts.h"

#include <stdarg.h>
#include <stdlib.h>

enum {
    CONTENT_HANDSHAKE = 22,
    MESSAGE_TYPE_CLIENT_HELLO = 1,
    SSLV2_CLIENT_HELLO = 1,
    ESCAPED_BYTE_MAX = 6, /* \u00ff */
};

enum hello_form hello_form_recognise(struct span first_bytes)
{
    const uint8_t *b = first_bytes.data;

    if (first_bytes.len < 3) {
        return HELLO_FORM_NONE;
    }
    if (b[0] == CONTENT_HANDSHAKE && b[1] == 3) {
        return HELLO_FORM_RECORDS;
    }
    if (b[0] == MESSAGE_TYPE_CLIENT_HELLO && b[1] == 0) {
        return HELLO_FORM_MESSAGE; /* CLIENT_HELLO_MAX is 64 KiB */
    }
    if (b[0] & 0x80 && b[2] == SSLV2_CLIENT_HELLO && first_bytes.len >= 5 &&
        ((b[3] == 0 && b[4] == 2) || b[3] == 3)) {
        return HELLO_FORM_SSLV2;
    }
    return HELLO_FORM_NONE;
}

size_t hello_sslv2_len(struct span first_bytes)
{
    return 2 + ((size_t)(first_bytes.data[0] & 0x7f) << 8 | first_bytes.data[1]);
}

static bool fail(struct hello_facts *facts, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool fail(struct hello_facts *facts, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(facts->error, sizeof(facts->error), format, arguments);
    va_end(arguments);
    return false;
}

static void end(struct text *t)
{
    t->data[t->len] = '\0';
}

static bool print_all(struct hello_facts *facts)
{
    struct text ja3 = text_make(facts->ja3_full, sizeof(facts->ja3_full) - 1);
    struct text ja4 = text_make(facts->ja4_r, sizeof(facts->ja4_r) - 1);
    struct text request =
        text_make(facts->request_fingerprint, sizeof(facts->request_fingerprint) - 1);
    const struct span none = {NULL, 0};

    if (!ja3_compute(facts->ja3, &facts->hello) || !ja4_compute(facts->ja4, &facts->hello) ||
        !ja3_print(&ja3, &facts->hello) || !ja4_print_raw(&ja4, &facts->hello) ||
        !fingerprint_print(&request, &facts->hello, none, none)) {
        return fail(facts, "a list has more than %d values: such a ClientHello has no fingerprint",
                    FINGERPRINT_LIST_MAX);
    }
    end(&ja3);
    end(&ja4);
    end(&request);
    return true;
}

static bool gather_message(struct hello_facts *facts, struct span message)
{
    struct client_hello_fault fault;

    if (!client_hello_parse(&facts->hello, message, &fault)) {
        return fail(facts, "%s is malformed at byte %zu of the handshake message", fault.field,
                    fault.offset);
    }
    return print_all(facts);
}

static bool gather_records(struct hello_facts *facts, struct span wire)
{
    struct record_scan scan = {0};
    struct span message;

    switch (record_gather_hello(&scan, wire, facts->join, &message)) {
    case RECORD_MORE:
        return fail(facts, "the ClientHello is cut short at byte %zu: at least %zu bytes expected",
                    wire.len, scan.want);
    case RECORD_BAD:
        return fail(facts, "%s is malformed at byte %zu of the TLS records", scan.fault.field,
                    scan.fault.offset);
    case RECORD_DONE:
        break;
    }
    return gather_message(facts, message);
}

bool hello_facts_gather(struct hello_facts *facts, struct span bytes)
{
    facts->error[0] = '\0';
    if (bytes.len == 0) {
        return fail(facts, "no bytes: a ClientHello expected");
    }
    switch (hello_form_recognise(bytes)) {
    case HELLO_FORM_RECORDS:
        return gather_records(facts, bytes);
    case HELLO_FORM_SSLV2:
        return fail(facts, "an SSLv2-format ClientHello (version %x): it has no fingerprint",
                    bytes.data[3] << 8 | bytes.data[4]);
    case HELLO_FORM_MESSAGE:
        return gather_message(facts, bytes);
    case HELLO_FORM_NONE:
        break;
    }
    if (record_recognise(bytes) != RECORD_BAD) {
        return gather_records(facts, bytes);
    }
    if (bytes.data[0] == MESSAGE_TYPE_CLIENT_HELLO) {
        return gather_message(facts, bytes);
    }
    return fail(facts, "byte 0 is 0x%02x: a TLS record (0x16) or a ClientHello (0x01) expected",
                bytes.data[0]);
}

static void print_escaped(FILE *out, struct span bytes)
{
    char room[SNI_MAX * ESCAPED_BYTE_MAX];
    struct text t = text_make(room, sizeof(room));

    text_escaped(&t, bytes);
    fwrite(room, 1, t.len, out);
}

static void print_alpn(FILE *out, struct span list)
{
    const char *separator = "";
    struct span name;

    fputs("  alpn                 ", out);
    if (list.len == 0) {
        fputs("none", out);
    }
    while (alpn_next(&list, &name)) {
        fputs(separator, out);
        print_escaped(out, name);
        separator = ", ";
    }
    fputc('\n', out);
}

void hello_facts_print(FILE *out, const struct hello_facts *facts)
{
    if (facts->error[0]) {
        fprintf(out, "  error                %s\n", facts->error);
        return;
    }
    fputs("  sni                  ", out);
    print_escaped(out, facts->hello.sni.len ? facts->hello.sni : SPAN_LITERAL("none"));
    fputc('\n', out);
    print_alpn(out, facts->hello.alpn);
    fprintf(out, "  ja4                  %s\n  ja4_r                %s\n", facts->ja4,
            facts->ja4_r);
    fprintf(out, "  ja3                  %s\n  ja3_full             %s\n", facts->ja3,
            facts->ja3_full);
    fprintf(out, "  request_fingerprint  %s\n", facts->request_fingerprint);
}

json_t *json_from_bytes(struct span bytes)
{
    size_t cap = bytes.len * ESCAPED_BYTE_MAX + 2; /* with the quotes */
    char *room = malloc(cap);
    struct text t = text_make(room, cap);
    json_t *string;

    if (!room) {
        return NULL;
    }
    text_json(&t, bytes);
    string = json_loadb(room, t.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    free(room);
    return string;
}

static json_t *alpn_to_json(struct span list)
{
    json_t *names = json_array();
    struct span name;

    while (names && alpn_next(&list, &name)) {
        if (json_array_append_new(names, json_from_bytes(name)) != 0) {
            json_decref(names);
            names = NULL;
        }
    }
    return names;
}

bool hello_facts_set(const struct hello_facts *facts, json_t *object)
{
    if (facts->error[0]) {
        return json_object_set_new(object, "error", json_string(facts->error)) == 0;
    }
    return json_object_set_new(object, "ja3", json_string(facts->ja3)) == 0 &&
           json_object_set_new(object, "ja3_full", json_string(facts->ja3_full)) == 0 &&
           json_object_set_new(object, "ja4", json_string(facts->ja4)) == 0 &&
           json_object_set_new(object, "ja4_r", json_string(facts->ja4_r)) == 0 &&
           json_object_set_new(object, "sni",
                               facts->hello.sni.len ? json_from_bytes(facts->hello.sni)
                                                    : json_null()) == 0 &&
           json_object_set_new(object, "alpn", alpn_to_json(facts->hello.alpn)) == 0 &&
           json_object_set_new(object, "request_fingerprint",
                               json_string(facts->request_fingerprint)) == 0;
}
