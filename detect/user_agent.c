/* SPDX-License-Identifier: Apache-2.0 */
/* The compatible rules, in the order in which the original asks, and the names. */
#include "detect/user_agent_private.h"

static void system_linux(struct ua_fingerprint *fp, const struct ua_scan *s)
{
    if (ua_has(s, MARK_KINDLE) || ua_group_has_fire(s)) {
        ua_set_system(fp, UA_PLATFORM_LINUX, UA_OS_KINDLE);
        (void)ua_version_in_group(&fp->os_version, s, "android ");
    } else if (ua_has(s, MARK_ANDROID) || ua_has(s, MARK_GOOGLETV)) {
        ua_set_system(fp, UA_PLATFORM_LINUX, UA_OS_ANDROID);
        (void)ua_version_in_group(&fp->os_version, s, "android ");
    } else if (ua_has(s, MARK_CROS)) {
        ua_set_system(fp, UA_PLATFORM_LINUX, UA_OS_CHROME_OS);
    } else if (ua_has(s, MARK_WEBOS) || ua_has(s, MARK_HPWOS)) {
        ua_set_system(fp, UA_PLATFORM_LINUX, UA_OS_WEBOS);
    } else {
        ua_set_system(fp, UA_PLATFORM_LINUX, UA_OS_LINUX);
    }
}

static void system_windows(struct ua_fingerprint *fp, const struct ua_scan *s)
{
    if (ua_has(s, MARK_XBOX)) {
        ua_set_system(fp, UA_PLATFORM_XBOX, UA_OS_XBOX);
        if (!ua_version_after(&fp->os_version, s, MARK_WINDOWS_NT)) {
            fp->os_version.major = 6;
        }
    } else if (ua_version_after(&fp->os_version, s, MARK_WINDOWS_NT)) {
        ua_set_system(fp, UA_PLATFORM_WINDOWS, UA_OS_WINDOWS);
    } else if (ua_has(s, MARK_WINDOWS_XP)) {
        ua_set_system(fp, UA_PLATFORM_WINDOWS, UA_OS_WINDOWS);
        fp->os_version = (struct ua_version){5, 1, 0};
    } else {
        ua_set_system(fp, UA_PLATFORM_WINDOWS, UA_OS_UNKNOWN);
    }
}

static void system_mac(struct ua_fingerprint *fp, const struct ua_scan *s)
{
    ua_set_system(fp, UA_PLATFORM_MAC, UA_OS_UNKNOWN);
    if (ua_has(s, MARK_OS_X_10)) {
        fp->os = UA_OS_MACOS;
        (void)ua_version_read(&fp->os_version, s->raw, s->after[MARK_OS_X_10] - strlen("10"));
    }
}

static void system_ios(struct ua_fingerprint *fp, const struct ua_scan *s,
                       enum ua_platform platform)
{
    size_t after = ua_find_after(s->group, "cpu iphone os ");

    ua_set_system(fp, platform, UA_OS_IOS);
    if (!after) {
        after = ua_find_after(s->group, "cpu os ");
    }
    (void)ua_version_read(&fp->os_version, s->group, after);
}

static void system_windows_phone(struct ua_fingerprint *fp, const struct ua_scan *s)
{
    ua_set_system(fp, UA_PLATFORM_WINDOWS_PHONE, UA_OS_UNKNOWN);
    if (ua_version_in_group(&fp->os_version, s, "windows phone os ") ||
        ua_version_in_group(&fp->os_version, s, "windows phone ")) {
        fp->os = UA_OS_WINDOWS_PHONE;
    }
}

/* When the group does not begin with a system. */
static void system_anywhere(struct ua_fingerprint *fp, const struct ua_scan *s)
{
    if (ua_has(s, MARK_BLACKBERRY) || ua_has(s, MARK_PLAYBOOK)) {
        ua_set_system(fp, UA_PLATFORM_BLACKBERRY, UA_OS_BLACKBERRY);
    } else if (ua_find_after(s->group, "windows phone ")) {
        system_windows_phone(fp, s);
    } else if (ua_has(s, MARK_WINDOWS) || ua_has(s, MARK_MICROSOFT_CRYPTOAPI)) {
        system_windows(fp, s);
    } else if (ua_has(s, MARK_KINDLE_VERSION) || ua_group_has_fire(s)) {
        ua_set_system(fp, UA_PLATFORM_LINUX, UA_OS_KINDLE);
    } else if (ua_has(s, MARK_LINUX)) {
        system_linux(fp, s);
    } else if (ua_has(s, MARK_WEBOS) || ua_has(s, MARK_HPWOS)) {
        ua_set_system(fp, UA_PLATFORM_LINUX, UA_OS_WEBOS);
    } else if (ua_has(s, MARK_NINTENDO)) {
        ua_set_system(fp, UA_PLATFORM_NINTENDO, UA_OS_NINTENDO);
    } else if (ua_has(s, MARK_PLAYSTATION) || ua_has(s, MARK_VITA) || ua_has(s, MARK_PSP)) {
        ua_set_system(fp, UA_PLATFORM_PLAYSTATION, UA_OS_PLAYSTATION);
    } else if (ua_has(s, MARK_ANDROID)) {
        system_linux(fp, s);
    } else if (ua_has(s, MARK_CFNETWORK) && ua_has(s, MARK_DARWIN)) {
        system_mac(fp, s);
    }
}

static void parse_system(struct ua_fingerprint *fp, const struct ua_scan *s)
{
    struct span spec = s->spec;

    if (ua_fold_equal(spec, "android") || ua_fold_equal(spec, "x11") ||
        ua_fold_equal(spec, "linux")) {
        system_linux(fp, s);
    } else if (ua_fold_equal(spec, "bb10") || ua_fold_equal(spec, "playbook")) {
        ua_set_system(fp, UA_PLATFORM_BLACKBERRY, UA_OS_BLACKBERRY);
    } else if (ua_fold_equal(spec, "ipad")) {
        system_ios(fp, s, UA_PLATFORM_IPAD);
    } else if (ua_fold_equal(spec, "iphone")) {
        system_ios(fp, s, UA_PLATFORM_IPHONE);
    } else if (ua_fold_equal(spec, "ipod touch") || ua_fold_equal(spec, "ipod")) {
        system_ios(fp, s, UA_PLATFORM_IPOD);
    } else if (ua_fold_equal(spec, "macintosh")) {
        system_mac(fp, s);
    } else {
        system_anywhere(fp, s);
    }
}

static enum ua_browser browser_of(const struct ua_scan *s, const struct browser_row *rows,
                                  size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (ua_has(s, rows[i].mark)) {
            return rows[i].browser;
        }
    }
    return UA_BROWSER_UNKNOWN;
}

static const struct browser_row webkit_rows[] = {
    {MARK_OPR, UA_BROWSER_OPERA},
    {MARK_OPIOS, UA_BROWSER_OPERA},
    {MARK_SILK, UA_BROWSER_SILK},
    {MARK_EDGE, UA_BROWSER_IE},
    {MARK_IEMOBILE, UA_BROWSER_IE},
    {MARK_MSIE_VERSION, UA_BROWSER_IE},
    {MARK_UCBROWSER_VERSION, UA_BROWSER_UC},
    {MARK_UCWEB, UA_BROWSER_UC},
    {MARK_CHROME, UA_BROWSER_CHROME},
    {MARK_CRIOS, UA_BROWSER_CHROME},
    {MARK_CHROMIUM, UA_BROWSER_CHROME},
    {MARK_CRMO, UA_BROWSER_CHROME},
};

static const struct browser_row webkit_later_rows[] = {
    {MARK_FXIOS, UA_BROWSER_FIREFOX},
    {MARK_SPACE_SPOTIFY, UA_BROWSER_SPOTIFY},
    {MARK_APPLEBOT, UA_BROWSER_APPLE_BOT},
};

static const struct browser_row webkit_last_rows[] = {
    {MARK_IPHONE, UA_BROWSER_SAFARI},
    {MARK_IPAD, UA_BROWSER_SAFARI},
    {MARK_GSA, UA_BROWSER_SAFARI},
};

static const struct browser_row other_rows[] = {
    {MARK_PRESTO, UA_BROWSER_OPERA},
    {MARK_OPERA, UA_BROWSER_OPERA},
    {MARK_UCBROWSER, UA_BROWSER_UC},
    {MARK_APPLEBOT, UA_BROWSER_APPLE_BOT},
    {MARK_BAIDUSPIDER, UA_BROWSER_BAIDU_BOT},
    {MARK_ADIDXBOT, UA_BROWSER_BING_BOT},
    {MARK_BINGBOT, UA_BROWSER_BING_BOT},
    {MARK_BINGPREVIEW, UA_BROWSER_BING_BOT},
    {MARK_DUCKDUCKBOT, UA_BROWSER_DUCK_DUCK_BOT},
    {MARK_FACEBOT, UA_BROWSER_FACEBOOK_BOT},
    {MARK_FACEBOOKEXTERNALHIT, UA_BROWSER_FACEBOOK_BOT},
    {MARK_GOOGLEBOT, UA_BROWSER_GOOGLE_BOT},
    {MARK_LINKEDINBOT, UA_BROWSER_LINKEDIN_BOT},
    {MARK_MSNBOT, UA_BROWSER_MSN_BOT},
    {MARK_PINGDOM, UA_BROWSER_PINGDOM_BOT},
    {MARK_TWITTERBOT, UA_BROWSER_TWITTER_BOT},
    {MARK_YANDEX, UA_BROWSER_YANDEX_BOT},
    {MARK_YADIRECTFETCHER, UA_BROWSER_YANDEX_BOT},
    {MARK_YAHOO, UA_BROWSER_YAHOO_BOT},
    {MARK_PHANTOMJS, UA_BROWSER_BOT},
};

static bool is_safari(const struct ua_scan *s)
{
    static const uint8_t others[] = {MARK_LINUX, MARK_ANDROID, MARK_BROWSER, MARK_OS_SLASH};

    return ua_has(s, MARK_LIKE_GECKO) && ua_has(s, MARK_MOZILLA) && ua_has(s, MARK_SAFARI) &&
           !ua_has_any(s, others, COUNT_OF(others));
}

static enum ua_browser webkit_browser(const struct ua_scan *s)
{
    enum ua_browser browser = browser_of(s, webkit_rows, COUNT_OF(webkit_rows));

    if (browser) {
        return browser;
    }
    if (ua_has(s, MARK_ANDROID) && ua_has(s, MARK_VERSION) && !ua_has(s, MARK_LIKE_ANDROID)) {
        return UA_BROWSER_ANDROID;
    }
    browser = browser_of(s, webkit_later_rows, COUNT_OF(webkit_later_rows));
    if (browser) {
        return browser;
    }
    return is_safari(s) ? UA_BROWSER_SAFARI
                        : browser_of(s, webkit_last_rows, COUNT_OF(webkit_last_rows));
}

static enum ua_browser other_browser(const struct ua_scan *s)
{
    static const uint8_t gecko[] = {MARK_FIREFOX, MARK_ICEWEASEL, MARK_SEAMONKEY, MARK_ICECAT};

    if (ua_has(s, MARK_MSIE) || ua_has(s, MARK_TRIDENT)) {
        return UA_BROWSER_IE;
    }
    if (ua_has(s, MARK_GECKO) && ua_has_any(s, gecko, COUNT_OF(gecko))) {
        return UA_BROWSER_FIREFOX;
    }
    return browser_of(s, other_rows, COUNT_OF(other_rows));
}

static enum ua_browser parse_browser(const struct ua_scan *s)
{
    static const uint8_t blackberry[] = {MARK_BLACKBERRY, MARK_PLAYBOOK, MARK_BB10, MARK_RIM};
    enum ua_browser browser = UA_BROWSER_UNKNOWN;

    if (ua_has_any(s, blackberry, COUNT_OF(blackberry))) {
        return UA_BROWSER_BLACKBERRY;
    }
    if (ua_has(s, MARK_APPLEWEBKIT)) {
        browser = webkit_browser(s);
    }
    return browser ? browser : other_browser(s);
}

/* For each browser the first row with a version behind its mark. */
static const struct browser_row version_rows[] = {
    {MARK_CHROME, UA_BROWSER_CHROME},
    {MARK_CRIOS, UA_BROWSER_CHROME},
    {MARK_CRMO, UA_BROWSER_CHROME},
    {MARK_MSIE_VERSION, UA_BROWSER_IE},
    {MARK_EDGE, UA_BROWSER_IE},
    {MARK_FIREFOX_VERSION, UA_BROWSER_FIREFOX},
    {MARK_FXIOS_VERSION, UA_BROWSER_FIREFOX},
    {MARK_UCBROWSER_VERSION, UA_BROWSER_UC},
    {MARK_OPR, UA_BROWSER_OPERA},
    {MARK_OPIOS, UA_BROWSER_OPERA},
    {MARK_OPERA_VERSION, UA_BROWSER_OPERA},
    {MARK_SILK, UA_BROWSER_SILK},
    {MARK_SPOTIFY, UA_BROWSER_SPOTIFY},
};

static void parse_browser_version(struct ua_fingerprint *fp, const struct ua_scan *s)
{
    struct ua_version *version = &fp->browser_version;

    if (fp->browser != UA_BROWSER_CHROME && ua_version_after(version, s, MARK_VERSION)) {
        return;
    }
    for (size_t i = 0; i < COUNT_OF(version_rows); i++) {
        if (fp->browser == version_rows[i].browser &&
            ua_version_after(version, s, version_rows[i].mark)) {
            return;
        }
    }
    if (fp->browser == UA_BROWSER_IE && ua_version_after(version, s, MARK_TRIDENT_VERSION)) {
        version->major += version->major >= 3 && version->major <= 7 ? 4 : 0;
    } else if (fp->browser == UA_BROWSER_SAFARI) {
        *version = fp->os_version;
        version->major += version->major >= 1 && version->major <= 3 ? 1 : 0;
    }
}

static bool is_bot(int64_t browser)
{
    return browser >= UA_BROWSER_BOT && browser <= UA_BROWSER_YAHOO_BOT;
}

/* Of the texts that tell a television, those that do not contain "tv". */
static const uint8_t tv_marks[] = {MARK_TV,    MARK_CRKEY, MARK_AFTB,  MARK_ADT,     MARK_ROKU,
                                   MARK_VIERA, MARK_AQUOS, MARK_TUNER, MARK_NETCAST, MARK_VIZIO};

/* One that says "tablet" is one on any system and does not come here. */
static enum ua_device android_device(const struct ua_scan *s)
{
    static const uint8_t tablets[] = {MARK_NEXUS_7, MARK_NEXUS_9, MARK_NEXUS_10, MARK_XOOM};

    return !ua_has(s, MARK_MOBILE) && ua_has_any(s, tablets, COUNT_OF(tablets)) ? UA_DEVICE_TABLET
                                                                                : UA_DEVICE_PHONE;
}

/* When the platform does not settle it. */
static enum ua_device device_anywhere(const struct ua_fingerprint *fp, const struct ua_scan *s)
{
    static const uint8_t wearables[] = {MARK_GLASS, MARK_WATCH, MARK_SM_V};
    static const uint8_t phones[] = {MARK_MOBILE, MARK_TOUCH, MARK_MOBI, MARK_WEBOS};

    if (ua_has_any(s, tv_marks, COUNT_OF(tv_marks))) {
        return UA_DEVICE_TV;
    }
    if (fp->os == UA_OS_ANDROID) {
        return android_device(s);
    }
    if (fp->platform >= UA_PLATFORM_PLAYSTATION && fp->platform <= UA_PLATFORM_NINTENDO) {
        return UA_DEVICE_CONSOLE;
    }
    if (ua_has_any(s, wearables, COUNT_OF(wearables))) {
        return UA_DEVICE_WEARABLE;
    }
    if (fp->browser == UA_BROWSER_SILK || (fp->os == UA_OS_KINDLE && !ua_has(s, MARK_SD4930UR))) {
        return UA_DEVICE_TABLET;
    }
    if (ua_has_any(s, phones, COUNT_OF(phones))) {
        return UA_DEVICE_PHONE;
    }
    return fp->os == UA_OS_LINUX ? UA_DEVICE_COMPUTER : UA_DEVICE_UNKNOWN;
}

static enum ua_device parse_device(const struct ua_fingerprint *fp, const struct ua_scan *s)
{
    int64_t platform = fp->platform;

    if (platform == UA_PLATFORM_WINDOWS || platform == UA_PLATFORM_MAC ||
        fp->os == UA_OS_CHROME_OS) {
        return ua_has(s, MARK_MOBILE) || ua_has(s, MARK_TOUCH) ? UA_DEVICE_TABLET
                                                               : UA_DEVICE_COMPUTER;
    }
    if (platform == UA_PLATFORM_IPAD || platform == UA_PLATFORM_IPOD || ua_has(s, MARK_TABLET) ||
        ua_has(s, MARK_KINDLE_VERSION) || ua_has(s, MARK_PLAYBOOK)) {
        return UA_DEVICE_TABLET;
    }
    if (platform == UA_PLATFORM_IPHONE || platform == UA_PLATFORM_BLACKBERRY ||
        ua_has(s, MARK_PHONE)) {
        return UA_DEVICE_PHONE;
    }
    return device_anywhere(fp, s);
}

static void parse_compatible(struct ua_fingerprint *fp, const struct ua_scan *s)
{
    parse_system(fp, s);
    fp->browser = parse_browser(s);
    if (is_bot(fp->browser)) {
        ua_set_system(fp, UA_PLATFORM_BOT, UA_OS_BOT);
        fp->device = UA_DEVICE_COMPUTER;
        return;
    }
    parse_browser_version(fp, s);
    fp->device = parse_device(fp, s);
}

void user_agent_parse(struct ua_fingerprint *fp, struct span raw, enum user_agent_mode mode)
{
    struct ua_scan s;

    /* All but the room for quirks, which is large. */
    fp->browser = UA_BROWSER_UNKNOWN;
    fp->device = UA_DEVICE_UNKNOWN;
    ua_set_system(fp, UA_PLATFORM_UNKNOWN, UA_OS_UNKNOWN);
    fp->browser_version = (struct ua_version){0, 0, 0};
    fp->os_version = (struct ua_version){0, 0, 0};
    fp->quirks.count = 0;
    if (raw.len == 0) {
        return;
    }
    ua_scan_read(&s, raw);
    parse_compatible(fp, &s);
    if (mode == USER_AGENT_DEFAULT && !is_bot(fp->browser)) {
        ua_extend(fp, &s);
    }
}

struct name_row {
    const char *name;
    int64_t number;
};

static bool name_find(int64_t *number, struct span name, const struct name_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (span_equal_nocase(name, span_from_string(rows[i].name))) {
            *number = rows[i].number;
            return true;
        }
    }
    return false;
}

// clang-format off
bool ua_browser_find(int64_t *number, struct span name)
{
    static const struct name_row rows[] = {
#define UA_BROWSER(constant, value, text) {text, value},
#include "detect/user_agent_names.def"
    };
    return name_find(number, name, rows, COUNT_OF(rows));
}

bool ua_platform_find(int64_t *number, struct span name)
{
    static const struct name_row rows[] = {
#define UA_PLATFORM(constant, value, text) {text, value},
#include "detect/user_agent_names.def"
    };
    return name_find(number, name, rows, COUNT_OF(rows));
}

bool ua_os_find(int64_t *number, struct span name)
{
    static const struct name_row rows[] = {
#define UA_OS(constant, value, text) {text, value},
#include "detect/user_agent_names.def"
    };
    return name_find(number, name, rows, COUNT_OF(rows));
}

bool ua_device_find(int64_t *number, struct span name)
{
    static const struct name_row rows[] = {
#define UA_DEVICE(constant, value, text) {text, value},
#include "detect/user_agent_names.def"
    };
    return name_find(number, name, rows, COUNT_OF(rows));
}
// clang-format on
