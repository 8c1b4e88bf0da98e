/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/signature_draft.h"

#include "detect/check.h"
#include "detect/fields.h"
#include "detect/user_agent.h"

#include <stdlib.h>

enum {
    EXTENSION_SERVER_NAME = 0,
    EXTENSION_PADDING = 21,
    EXTENSION_PRE_SHARED_KEY = 41,
    EXTENSION_EARLY_DATA = 42,
    EXTENSION_PSK_KEY_EXCHANGE_MODES = 45,
    EXTENSION_APPLICATION_SETTINGS_OLD = 17513,
    EXTENSION_APPLICATION_SETTINGS = 17613,

    TAIL_MAX = 16, /* what is put behind the extensions of all visits */
};

/*
 * Extensions that a client sends in one visit and not in the next: no server name to an address
 * (RFC 6066 3); padding by the length of the rest (RFC 7685); early data only on resumption
 * (RFC 8446 4.2.10); application settings only where h2 is offered, so not for a WebSocket. The
 * pre-shared key is one of them as well, but it is always the last (RFC 8446 4.2.11), so that it
 * can be put in its place without having been seen.
 */
static const uint16_t sometimes[] = {
    EXTENSION_SERVER_NAME,          EXTENSION_PADDING,
    EXTENSION_EARLY_DATA,           EXTENSION_APPLICATION_SETTINGS_OLD,
    EXTENSION_APPLICATION_SETTINGS,
};

void signature_draft_init(struct signature_draft *draft, struct words *words, bool is_product)
{
    *draft = (struct signature_draft){.words = words, .is_product = is_product};
}

void signature_draft_fini(struct signature_draft *draft)
{
    if (draft->visit_count) {
        request_signature_fini(&draft->request);
    }
    draft->visit_count = 0;
}

static bool is_sometimes(uint16_t extension)
{
    for (size_t i = 0; i < COUNT_OF(sometimes); i++) {
        if (sometimes[i] == extension) {
            return true;
        }
    }
    return false;
}

static void print_extensions(struct text *out, const struct number_list *list)
{
    const char *separator = "";

    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i] != EXTENSION_PRE_SHARED_KEY) {
            text_string(out, separator);
            text_string(out, is_sometimes(list->items[i]) ? "?" : "");
            fields_print_hex(out, list->items[i]);
            separator = ",";
        }
    }
}

/*
 * The check adds quirks of its own. `grease` is optional, since clients take to it and leave it
 * without other changes. Of products nothing is refused: one that adds a bad header is still the
 * product.
 */
static void print_quirks(struct text *out, const struct word_list *quirks, bool is_product)
{
    const char *separator = "";

    if (is_product) {
        text_char(out, '*');
    }
    for (size_t i = 0; i < quirks->count; i++) {
        bool is_grease = span_equal(quirks->items[i], SPAN_LITERAL("grease"));

        if (is_grease && is_product) {
            continue;
        }
        text_string(out, separator);
        text_string(out, is_grease ? "?" : "");
        text_bytes(out, quirks->items[i]);
        separator = ",";
    }
}

/* One visit as a signature's text. */
static void print_visit(struct text *out, const struct request_fingerprint *fp, bool is_product)
{
    for (int field = REQUEST_VERSION; field < REQUEST_FIELD_COUNT; field++) {
        text_string(out, field == REQUEST_VERSION ? "" : ":");
        if (field == REQUEST_EXTENSIONS) {
            print_extensions(out, &fp->extensions);
        } else if (field == REQUEST_HEADERS) {
            text_char(out, '*');
        } else if (field == REQUEST_QUIRKS) {
            print_quirks(out, &fp->quirks, is_product);
        } else {
            request_fingerprint_print_field(out, fp, (enum request_field)field);
        }
    }
}

/* Room for one visit, whose numbers take six characters each, and quirks. */
static size_t visit_text_max(const struct request_fingerprint *fp)
{
    size_t len = 64 + LIST_SIGNATURE_ITEM_MAX * (fp->ciphers.count + fp->extensions.count +
                                                 fp->curves.count + fp->point_formats.count);

    for (size_t i = 0; i < fp->quirks.count; i++) {
        len += fp->quirks.items[i].len + LIST_SIGNATURE_ITEM_MAX;
    }
    return len;
}

static bool make_visit(struct signature_draft *draft, struct request_signature *sig,
                       const struct request_fingerprint *fp)
{
    size_t cap = visit_text_max(fp);
    char *room = malloc(cap);
    struct text t = text_make(room, cap);
    struct detect_fault fault;
    bool done = false;

    if (room) {
        print_visit(&t, fp, draft->is_product);
        done = !t.overflow && request_signature_parse(sig, text_view(&t), draft->words, &fault);
    }
    free(room);
    return done;
}

static bool number_list_has(const struct number_list *list, uint16_t number)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i] == number) {
            return true;
        }
    }
    return false;
}

bool signature_draft_add(struct signature_draft *draft, const struct request_fingerprint *fp)
{
    struct request_fingerprint *seen = malloc(sizeof(*seen));
    struct request_signature visit;
    struct request_signature merged;
    bool done;

    done = seen && request_fingerprint_clean(seen, fp, DETECT_DEFAULT) &&
           make_visit(draft, &visit, seen);
    free(seen);
    if (!done) {
        return false;
    }
    if (draft->visit_count) {
        done =
            request_signature_merge(&merged, &draft->request, &visit, DETECT_DEFAULT, draft->words);
        request_signature_fini(&visit);
        if (!done) {
            return false;
        }
        request_signature_fini(&draft->request);
        visit = merged;
    }
    draft->request = visit;
    draft->visit_count++;
    draft->has_server_name |= number_list_has(&fp->extensions, EXTENSION_SERVER_NAME);
    return true;
}

bool signature_draft_is_one_client(const struct signature_draft *draft)
{
    return request_signature_list(&draft->request, REQUEST_CIPHERS)->is_ordered;
}

/* Among the ones that are required or optional. */
static bool list_has(const struct list_signature *list, uint16_t number)
{
    const uint16_t *items = list_signature_required(list);

    for (size_t i = 0; i < list->required_count + list->optional_count; i++) {
        if (items[i] == number) {
            return true;
        }
    }
    return false;
}

/* Padding comes last but for the pre-shared key, which a client may only send that says how it
 * would use one (RFC 8446 4.2.9). */
static void print_tail(struct text *out, const struct list_signature *extensions)
{
    if (extensions->required_count + extensions->optional_count == 0) {
        return;
    }
    if (!list_has(extensions, EXTENSION_PADDING)) {
        text_string(out, ",?15");
    }
    if (list_has(extensions, EXTENSION_PSK_KEY_EXCHANGE_MODES)) {
        text_string(out, ",?29");
    }
}

bool signature_draft_print(struct text *out, const struct signature_draft *draft)
{
    for (int field = REQUEST_VERSION; field < REQUEST_FIELD_COUNT; field++) {
        text_string(out, field == REQUEST_VERSION ? "" : ":");
        request_signature_print_field(out, &draft->request, (enum request_field)field, draft->words,
                                      DETECT_DEFAULT);
        if (field == REQUEST_EXTENSIONS) {
            print_tail(out, request_signature_list(&draft->request, REQUEST_EXTENSIONS));
        }
    }
    return !out->overflow;
}

size_t signature_draft_text_max(const struct signature_draft *draft)
{
    return request_signature_text_max(&draft->request, draft->words) + TAIL_MAX;
}

/* ---- user agents ---- */

/* How much of the system's version makes a difference: Windows 6.1 and 6.3, macOS 10.15. */
static bool is_minor_system(int64_t platform)
{
    return platform == UA_PLATFORM_WINDOWS || platform == UA_PLATFORM_MAC;
}

static void print_version(struct text *out, struct ua_version version, bool with_minor)
{
    version.minor = with_minor ? version.minor : UA_VERSION_ANY;
    version.patch = UA_VERSION_ANY;
    ua_version_print(out, version);
}

bool signature_of_header_print(struct text *out, struct span raw_ua)
{
    struct ua_fingerprint fp;
    unsigned quirks = detect_header_quirks(raw_ua);
    const char *separator = "";

    user_agent_parse(&fp, raw_ua, USER_AGENT_DEFAULT);
    if (fp.browser == UA_BROWSER_UNKNOWN) {
        return false;
    }
    text_printf(out, "%lld:", (long long)fp.browser);
    /* A program's major version may stand for years. */
    print_version(out, fp.browser_version, fp.browser >= UA_BROWSER_TOOL_MIN);
    text_printf(out, ":%lld:%lld:", (long long)fp.platform, (long long)fp.os);
    if (fp.os_version.major || fp.os_version.minor) {
        print_version(out, fp.os_version, is_minor_system(fp.platform));
    }
    text_printf(out, ":%lld:", (long long)fp.device);
    for (unsigned i = 0; detect_header_quirk_name(i); i++) {
        if (quirks >> i & 1) {
            text_string(out, separator);
            text_string(out, detect_header_quirk_name(i));
            separator = ",";
        }
    }
    return !out->overflow;
}
