/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/verdict_key.h"

#include "core/base/hash.h"

static void put_u16(struct text *out, size_t value)
{
    uint16_t narrow = (uint16_t)value;
    text_bytes(out, span_make(&narrow, sizeof(narrow)));
}

static void put_number(struct text *out, int64_t value)
{
    text_bytes(out, span_make(&value, sizeof(value)));
}

static void put_numbers(struct text *out, const struct number_list *list)
{
    put_u16(out, list->count);
    text_bytes(out, span_make(list->items, list->count * sizeof(list->items[0])));
}

static void put_sorted(struct text *out, const struct number_list *list)
{
    struct number_list sorted;

    sorted.count = list->count;
    for (size_t i = 0; i < list->count; i++) {
        size_t at = i;
        for (; at && sorted.items[at - 1] > list->items[i]; at--) {
            sorted.items[at] = sorted.items[at - 1];
        }
        sorted.items[at] = list->items[i];
    }
    put_numbers(out, &sorted);
}

static void put_words(struct text *out, const struct word_list *list)
{
    put_u16(out, list->count);
    for (size_t i = 0; i < list->count; i++) {
        put_number(out, (int64_t)list->items[i].len);
        text_bytes(out, list->items[i]);
    }
}

static void put_version(struct text *out, struct ua_version version)
{
    put_number(out, version.major);
    put_number(out, version.minor);
    put_number(out, version.patch);
}

static void put_user_agent(struct text *out, const struct ua_fingerprint *ua)
{
    put_number(out, ua->browser);
    put_number(out, ua->platform);
    put_number(out, ua->os);
    put_number(out, ua->device);
    put_version(out, ua->browser_version);
    put_version(out, ua->os_version);
    put_words(out, &ua->quirks);
}

static void put_request(struct text *out, const struct request_fingerprint *request,
                        enum verdict_key_form form)
{
    put_u16(out, request->version);
    put_numbers(out, &request->ciphers);
    if (form == VERDICT_KEY_SORTED) {
        put_sorted(out, &request->extensions);
    } else {
        put_numbers(out, &request->extensions);
    }
    put_numbers(out, &request->curves);
    put_numbers(out, &request->point_formats);
    put_words(out, &request->headers);
    put_words(out, &request->quirks);
}

bool verdict_key_make(struct verdict_key *key, enum verdict_key_form form,
                      const struct database *db, const struct detect_question *question,
                      const struct request_fingerprint *request)
{
    struct text out = text_make(key->bytes, sizeof(key->bytes));

    put_u16(&out, form);
    put_u16(&out, detect_header_quirks(question->raw_ua));
    put_number(&out, database_age_max_days(db) ? question->today : 0);
    put_user_agent(&out, question->ua);
    put_request(&out, request, form);
    key->len = out.len;
    key->hash = hash_bytes(verdict_key_view(key));
    return !out.overflow;
}
