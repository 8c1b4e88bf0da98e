/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/user_agent_fingerprint.h"

#include "detect/fields.h"

enum { FIELD_COUNT = 7, COMPONENT_COUNT = 3 };

bool ua_version_parse(struct ua_version *version, struct span text, struct detect_fault *fault)
{
    int64_t components[COMPONENT_COUNT] = {UA_VERSION_ANY, UA_VERSION_ANY, UA_VERSION_ANY};
    struct span rest = text;

    for (size_t i = 0; rest.data; i++) {
        struct span part = fields_next(&rest, '.');
        if (i == COMPONENT_COUNT) {
            return fields_fault(fault, text, part, "at most three version numbers");
        }
        if (part.len && !fields_decimal(&components[i], part)) {
            return fields_fault(fault, text, part, "a decimal version number");
        }
    }
    *version = (struct ua_version){components[0], components[1], components[2]};
    return true;
}

void ua_version_print(struct text *out, struct ua_version version)
{
    const int64_t components[COMPONENT_COUNT] = {version.major, version.minor, version.patch};

    for (size_t i = 0; i < COMPONENT_COUNT && components[i] != UA_VERSION_ANY; i++) {
        if (i) {
            text_char(out, '.');
        }
        text_signed(out, components[i]);
    }
}

bool ua_fingerprint_parse(struct ua_fingerprint *fp, struct span text, struct detect_fault *fault)
{
    struct span parts[FIELD_COUNT];
    int64_t *const numbers[FIELD_COUNT] = {&fp->browser, NULL,        &fp->platform, &fp->os,
                                           NULL,         &fp->device, NULL};

    fault->expected = "seven fields separated by ':'";
    if (!fields_split(parts, FIELD_COUNT, text, ':', &fault->offset) ||
        !fields_decimals(numbers, parts, FIELD_COUNT, text, fault)) {
        return false;
    }
    if (!ua_version_parse(&fp->browser_version, parts[1], fault)) {
        return fields_fault_within(fault, text, parts[1]);
    }
    if (!ua_version_parse(&fp->os_version, parts[4], fault)) {
        return fields_fault_within(fault, text, parts[4]);
    }
    return word_list_parse(&fp->quirks, parts[6], fault) ||
           fields_fault_within(fault, text, parts[6]);
}

void ua_fingerprint_print(struct text *out, const struct ua_fingerprint *fp)
{
    text_signed(out, fp->browser);
    text_char(out, ':');
    ua_version_print(out, fp->browser_version);
    text_char(out, ':');
    text_signed(out, fp->platform);
    text_char(out, ':');
    text_signed(out, fp->os);
    text_char(out, ':');
    ua_version_print(out, fp->os_version);
    text_char(out, ':');
    text_signed(out, fp->device);
    text_char(out, ':');
    word_list_print(out, &fp->quirks);
}

void ua_fingerprint_copy(struct ua_fingerprint *to, const struct ua_fingerprint *from)
{
    to->browser = from->browser;
    to->platform = from->platform;
    to->os = from->os;
    to->device = from->device;
    to->browser_version = from->browser_version;
    to->os_version = from->os_version;
    word_list_copy(&to->quirks, &from->quirks);
}

// clang-format off
const char *ua_browser_name(int64_t number)
{
    switch (number) {
#define UA_BROWSER(constant, number, name) case number: return name;
#include "detect/user_agent_names.def"
    }
    return "Unknown";
}

const char *ua_platform_name(int64_t number)
{
    switch (number) {
#define UA_PLATFORM(constant, number, name) case number: return name;
#include "detect/user_agent_names.def"
    }
    return "Unknown";
}

const char *ua_os_name(int64_t number)
{
    switch (number) {
#define UA_OS(constant, number, name) case number: return name;
#include "detect/user_agent_names.def"
    }
    return "Unknown";
}

const char *ua_device_name(int64_t number)
{
    switch (number) {
#define UA_DEVICE(constant, number, name) case number: return name;
#include "detect/user_agent_names.def"
    }
    return "Unknown";
}
// clang-format on
