/* SPDX-License-Identifier: Apache-2.0 */
/* User-Agent headers of any bytes, in both modes. The compatible mode knows only the first numbers,
 * the default mode leaves its crawlers alone, and letters mean the same in either case. */
#include "core/base/assert.h"
#include "core/base/text.h"
#include "detect/user_agent.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool versions_equal(struct ua_version a, struct ua_version b)
{
    return a.major == b.major && a.minor == b.minor && a.patch == b.patch;
}

static bool equal(const struct ua_fingerprint *a, const struct ua_fingerprint *b)
{
    return a->browser == b->browser && a->platform == b->platform && a->os == b->os &&
           a->device == b->device && versions_equal(a->browser_version, b->browser_version) &&
           versions_equal(a->os_version, b->os_version);
}

static void check_compatible(const struct ua_fingerprint *fp)
{
    ASSERT(fp->browser >= 0 && fp->browser <= UA_BROWSER_YAHOO_BOT);
    ASSERT(fp->platform >= 0 && fp->platform <= UA_PLATFORM_BOT);
    ASSERT(fp->os >= 0 && fp->os <= UA_OS_BOT);
    ASSERT(fp->device >= 0 && fp->device <= UA_DEVICE_TV);
    /* A bot is one in all three, and its version is not told. */
    ASSERT((fp->platform == UA_PLATFORM_BOT) == (fp->browser >= UA_BROWSER_BOT));
    ASSERT((fp->os == UA_OS_BOT) == (fp->browser >= UA_BROWSER_BOT));
    ASSERT(fp->browser < UA_BROWSER_BOT || fp->browser_version.major == 0);
}

/* What is written can be read again, unless a number became the one that means "not given". */
static void check_text(const struct ua_fingerprint *fp)
{
    char memory[256];
    struct text out = text_make(memory, sizeof(memory));
    struct ua_fingerprint again;
    struct detect_fault fault;

    ua_fingerprint_print(&out, fp);
    ASSERT(!out.overflow && fp->quirks.count == 0);
    ASSERT(ua_fingerprint_parse(&again, text_view(&out), &fault));
    ASSERT(again.browser == fp->browser && again.platform == fp->platform);
    ASSERT(again.os == fp->os && again.device == fp->device);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *upper = malloc(size ? size : 1);
    struct ua_fingerprint compatible;
    struct ua_fingerprint today;
    struct ua_fingerprint folded;

    ASSERT(upper != NULL);
    for (size_t i = 0; i < size; i++) {
        upper[i] = data[i] >= 'a' && data[i] <= 'z' ? data[i] & 0xdf : data[i];
    }
    user_agent_parse(&compatible, span_make(data, size), USER_AGENT_COMPATIBLE);
    check_compatible(&compatible);
    check_text(&compatible);
    user_agent_parse(&folded, span_make(upper, size), USER_AGENT_COMPATIBLE);
    ASSERT(equal(&compatible, &folded));
    user_agent_parse(&today, span_make(data, size), USER_AGENT_DEFAULT);
    check_text(&today);
    ASSERT(compatible.browser < UA_BROWSER_BOT || equal(&compatible, &today));
    user_agent_parse(&folded, span_make(upper, size), USER_AGENT_DEFAULT);
    ASSERT(equal(&today, &folded));
    free(upper);
    return 0;
}
