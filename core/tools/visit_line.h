/* SPDX-License-Identifier: Apache-2.0 */
/*
 * visit_line: what one visit showed and how it was brought about, as a line of a database's
 * metadata.jsonl. Besides the columns of metadata_line.h: time and visit (its number in the
 * capture), the facts of hello_facts.h with the header names in request_fingerprint, client_hello
 * in hexadecimal digits, tls and protocol as negotiated, raw_ua and headers of the first request
 * (raw_ua_cut, headers_cut: true where they are longer), ending (why the visit was over), record
 * (the file that got a record of it, or null).
 *
 * So the line is a question to `weir detect` and to `weir fingerprint` as well.
 */
#ifndef WEIR_TOOLS_VISIT_LINE_H
#define WEIR_TOOLS_VISIT_LINE_H

#include "core/options.h"
#include "core/tools/hello_facts.h"
#include "core/tools/visit.h"

/* Room for a fingerprint with header names. */
enum { VISIT_FINGERPRINT_MAX = HELLO_FINGERPRINT_MAX + HTTP_FIRST_NAMES_MAX };

/* What is known as soon as the hello is there. Null: no memory. */
json_t *visit_line_new(const struct options *options, const struct hello_facts *facts,
                       int64_t time_ns) MUST_CHECK;

/* And what is known when the visit is over. The fingerprint goes to `fingerprint` as well. False:
 * no memory. */
bool visit_line_end(json_t *line, const struct visit *visit, struct text *fingerprint) MUST_CHECK;

#endif
