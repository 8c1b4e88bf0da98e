/* SPDX-License-Identifier: Apache-2.0 */
/* The text forms of request and user-agent fingerprints: what is read writes a text that reads as
 * the same value, and cleaning leaves no GREASE. */
#include "detect/request_fingerprint.h"
#include "detect/user_agent_fingerprint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 1 << 16 };

static char memory[2][TEXT_MAX];

static void check_request(struct span text)
{
    static struct request_fingerprint fp, again, clean;
    struct text out = text_make(memory[0], TEXT_MAX);
    struct text twice = text_make(memory[1], TEXT_MAX);
    struct detect_fault fault = {SIZE_MAX, NULL};

    if (!request_fingerprint_parse(&fp, text, &fault)) {
        ASSERT(fault.offset <= text.len && fault.expected);
        return;
    }
    request_fingerprint_print(&out, &fp);
    if (out.overflow) {
        return;
    }
    ASSERT(request_fingerprint_parse(&again, text_view(&out), &fault));
    request_fingerprint_print(&twice, &again);
    ASSERT(span_equal(text_view(&out), text_view(&twice)));
    ASSERT(again.ciphers.count == fp.ciphers.count && again.version == fp.version);
    for (int mode = DETECT_DEFAULT; mode <= DETECT_COMPATIBLE; mode++) {
        if (!request_fingerprint_clean(&clean, &fp, (enum detect_mode)mode)) {
            ASSERT(fp.quirks.count == WORD_LIST_MAX);
            continue;
        }
        ASSERT(clean.quirks.count - fp.quirks.count <= 1);
        for (size_t i = 0; i < clean.ciphers.count; i++) {
            ASSERT(clean.ciphers.items[i] != 0x1a1a);
        }
    }
}

static void check_user_agent(struct span text)
{
    static struct ua_fingerprint fp, again;
    struct text out = text_make(memory[0], TEXT_MAX);
    struct detect_fault fault = {SIZE_MAX, NULL};

    if (!ua_fingerprint_parse(&fp, text, &fault)) {
        ASSERT(fault.offset <= text.len && fault.expected);
        return;
    }
    ua_fingerprint_print(&out, &fp);
    if (!out.overflow) {
        ASSERT(ua_fingerprint_parse(&again, text_view(&out), &fault));
        ASSERT(again.browser == fp.browser && again.device == fp.device && again.os == fp.os);
        ASSERT(again.quirks.count == fp.quirks.count);
        ASSERT(again.browser_version.major == fp.browser_version.major);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_request(span_make(data, size));
    check_user_agent(span_make(data, size));
    return 0;
}
