/* SPDX-License-Identifier: Apache-2.0 */
/*
 * user_agent_fingerprint: what one User-Agent header says, as a value, and its text form
 *
 *     browser:browser_version:platform:os:os_version:device:quirks
 *
 * Integers are decimal, a version is up to three of them with dots, quirks are a comma list. No
 * allocation; any thread.
 */
#ifndef WEIR_DETECT_USER_AGENT_FINGERPRINT_H
#define WEIR_DETECT_USER_AGENT_FINGERPRINT_H

#include "detect/word_list.h"

// clang-format off
#define UA_BROWSER(constant, number, name) UA_BROWSER_##constant = (number),
enum ua_browser {
#include "detect/user_agent_names.def"
};
#define UA_PLATFORM(constant, number, name) UA_PLATFORM_##constant = (number),
enum ua_platform {
#include "detect/user_agent_names.def"
};
#define UA_OS(constant, number, name) UA_OS_##constant = (number),
enum ua_os {
#include "detect/user_agent_names.def"
};
#define UA_DEVICE(constant, number, name) UA_DEVICE_##constant = (number),
enum ua_device {
#include "detect/user_agent_names.def"
};
// clang-format on

/* A version component that was not given; in a signature's bound, anything. */
#define UA_VERSION_ANY INT64_C(-1)

struct ua_version {
    int64_t major;
    int64_t minor;
    int64_t patch;
};

/*
 * The numbers are 64 bits wide because their text form is: what a header claims is not bounded, and
 * numbers that no enum above knows are kept and compared. A parser of User-Agent headers sets all
 * but the quirks, which the check finds in the header itself, and leaves unknown versions 0.0.0.
 */
struct ua_fingerprint {
    int64_t browser; /* enum ua_browser, or another number */
    int64_t platform;
    int64_t os;
    int64_t device;
    struct ua_version browser_version;
    struct ua_version os_version;
    struct word_list quirks; /* words borrowed */
};

/* Borrows the quirks from `text`. False: `fault` says where and why, `fp` is not to be used. */
bool ua_fingerprint_parse(struct ua_fingerprint *fp, struct span text,
                          struct detect_fault *fault) MUST_CHECK;

/* Versions are written up to their first component that was not given. */
void ua_fingerprint_print(struct text *out, const struct ua_fingerprint *fp);

/* Copies the quirks that are there, not the room behind them. */
void ua_fingerprint_copy(struct ua_fingerprint *to, const struct ua_fingerprint *from);

/* "5.0.1": empty text is all UA_VERSION_ANY, and so is an empty component. */
bool ua_version_parse(struct ua_version *version, struct span text,
                      struct detect_fault *fault) MUST_CHECK;
void ua_version_print(struct text *out, struct ua_version version);

/* Names for people; "Unknown" for numbers that have none. */
const char *ua_browser_name(int64_t number);
const char *ua_platform_name(int64_t number);
const char *ua_os_name(int64_t number);
const char *ua_device_name(int64_t number);

#endif
