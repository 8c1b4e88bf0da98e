/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hello_facts: everything that the tools say about one ClientHello, or what is wrong with it and
 * where; as text and as JSON.
 */
#ifndef WEIR_TOOLS_HELLO_FACTS_H
#define WEIR_TOOLS_HELLO_FACTS_H

#include "core/base/text.h"
#include "detect/fingerprint.h"
#include "detect/ja3.h"
#include "detect/ja4.h"
#include "tls/record.h"

#include <jansson.h>
#include <stdio.h>

enum { HELLO_ERROR_MAX = 256, HELLO_FINGERPRINT_MAX = FINGERPRINT_HELLO_MAX + 8 };

/* About 170 KiB: allocate it. */
struct hello_facts {
    char error[HELLO_ERROR_MAX]; /* empty: none, and all that follows is filled */
    struct client_hello hello;   /* views of the bytes that were given, or of `join` */
    char ja3[JA3_LEN + 1];
    char ja3_full[JA3_TEXT_MAX + 1];
    char ja4[JA4_LEN + 1];
    char ja4_r[JA4_RAW_MAX + 1];
    char request_fingerprint[HELLO_FINGERPRINT_MAX + 1];
    uint8_t join[CLIENT_HELLO_MAX];
};

/*
 * The wire forms of a ClientHello: TLS records (what comes after the hello in them is ignored), the
 * handshake message from its type byte, or the SSLv2 form, which has no fingerprints.
 */
enum hello_form { HELLO_FORM_NONE, HELLO_FORM_MESSAGE, HELLO_FORM_RECORDS, HELLO_FORM_SSLV2 };

/* By the first bytes, 6 at best. */
enum hello_form hello_form_recognise(struct span first_bytes);

/* Bytes of an SSLv2 record with its header; `first_bytes` has at least 2. */
size_t hello_sslv2_len(struct span first_bytes);

/* True: the facts are filled. False: facts->error says what is wrong and at which byte. */
bool hello_facts_gather(struct hello_facts *facts, struct span bytes);

/* One line a fact, indented; or the error. */
void hello_facts_print(FILE *out, const struct hello_facts *facts);

/* Sets ja3, ja3_full, ja4, ja4_r, sni (null: none), alpn (a list of names, empty: none) and
 * request_fingerprint; or error alone. False: the heap is exhausted. */
bool hello_facts_set(const struct hello_facts *facts, json_t *object) MUST_CHECK;

/* A JSON string; bytes that are no UTF-8 become U+0080 to U+00FF, one each. Null: out of heap. */
json_t *json_from_bytes(struct span bytes);

#endif
