/* SPDX-License-Identifier: Apache-2.0 */
/*
 * user_agent: what a User-Agent header says: browser, platform, system, device and versions. One
 * pass over the bytes, whatever they are; no allocation; any thread.
 *
 * It is what the header says, not what is so. Some of it no longer moves: Windows 10 and 11 both
 * say "NT 10.0", macOS since 10.15.7 says "10_15_7", Chrome says "120.0.0.0" and "Android 10; K",
 * and Safari of an iPad says that it is a Mac's. Such values come out as they were written.
 */
#ifndef WEIR_DETECT_USER_AGENT_H
#define WEIR_DETECT_USER_AGENT_H

#include "detect/user_agent_fingerprint.h"

enum user_agent_mode {
    /*
     * What MITMEngine's demo makes of a header, for use with its databases: the answers of the Go
     * library uasurfer as of 2018-03-01, faults included. Only numbers below UA_EXTENSION_MIN.
     */
    USER_AGENT_COMPATIBLE,

    /*
     * The same, then what came later: browsers built on others' engines under their own name and
     * version, systems, an iPad that says Macintosh and betrays itself, programs and libraries.
     * A header that shows none of these gives the compatible answer.
     */
    USER_AGENT_DEFAULT,
};

enum {
    UA_EXTENSION_MIN = 100,   /* numbers from here on are not MITMEngine's */
    UA_BROWSER_TOOL_MIN = 200 /* browsers from here on are programs and libraries */
};

/*
 * Always gives an answer: what is not said is UA_..._UNKNOWN and version 0.0.0. Leaves the quirks
 * empty, as they are found with the check. Linear in `raw`, which may have any length and bytes.
 */
void user_agent_parse(struct ua_fingerprint *fp, struct span raw, enum user_agent_mode mode);

/* The number of a name as ua_browser_name() and its like write it, in any case of letters. */
bool ua_browser_find(int64_t *number, struct span name) MUST_CHECK;
bool ua_platform_find(int64_t *number, struct span name) MUST_CHECK;
bool ua_os_find(int64_t *number, struct span name) MUST_CHECK;
bool ua_device_find(int64_t *number, struct span name) MUST_CHECK;

#endif
