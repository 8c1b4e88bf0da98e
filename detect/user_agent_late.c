/* SPDX-License-Identifier: Apache-2.0 */
/* What came after the compatible rules: today's browsers and systems, programs and libraries. */
#include "detect/user_agent_private.h"

/* An app's web view, and Chrome, Firefox and Edge of an iPad that asks for the sites of a Mac. */
static bool is_ipad_in_disguise(const struct ua_fingerprint *fp, const struct ua_scan *s)
{
    static const uint8_t marks[] = {MARK_MOBILE_SLASH, MARK_CRIOS, MARK_FXIOS_VERSION, MARK_EDGIOS};

    return ua_fold_equal(s->spec, "macintosh") && fp->platform == UA_PLATFORM_MAC &&
           ua_has(s, MARK_APPLEWEBKIT) && ua_has_any(s, marks, COUNT_OF(marks));
}

/* "CrOS x86_64 14541.0.0" */
static void extend_chrome_os(struct ua_fingerprint *fp, const struct ua_scan *s)
{
    struct span rest = span_skip(s->group, ua_find_after(s->group, "cros "));
    (void)ua_version_read(&fp->os_version, rest, span_find(rest, ' ') + 1);
}

static void extend_linux(struct ua_fingerprint *fp, const struct ua_scan *s)
{
    if (ua_has(s, MARK_TIZEN)) {
        fp->os = UA_OS_TIZEN;
        (void)ua_version_after(&fp->os_version, s, MARK_TIZEN);
    } else if (ua_has(s, MARK_FREEBSD)) {
        ua_set_system(fp, UA_PLATFORM_BSD, UA_OS_FREEBSD);
    } else if (ua_has(s, MARK_OPENBSD)) {
        ua_set_system(fp, UA_PLATFORM_BSD, UA_OS_OPENBSD);
    } else if (ua_has(s, MARK_NETBSD)) {
        ua_set_system(fp, UA_PLATFORM_BSD, UA_OS_NETBSD);
    }
}

static void extend_unknown(struct ua_fingerprint *fp, const struct ua_scan *s)
{
    if (ua_has(s, MARK_FUCHSIA)) {
        ua_set_system(fp, UA_PLATFORM_FUCHSIA, UA_OS_FUCHSIA);
    } else if (ua_has(s, MARK_OPENHARMONY)) {
        ua_set_system(fp, UA_PLATFORM_HARMONY, UA_OS_HARMONY_OS);
        (void)ua_version_after(&fp->os_version, s, MARK_OPENHARMONY);
        if (ua_fold_equal(s->spec, "pc")) {
            fp->device = UA_DEVICE_COMPUTER;
        }
    } else if (ua_has(s, MARK_KAIOS)) {
        ua_set_system(fp, UA_PLATFORM_LINUX, UA_OS_KAIOS);
        (void)ua_version_after(&fp->os_version, s, MARK_KAIOS);
    }
}

static void extend_system(struct ua_fingerprint *fp, const struct ua_scan *s)
{
    if (is_ipad_in_disguise(fp, s)) {
        ua_set_system(fp, UA_PLATFORM_IPAD, UA_OS_IOS);
        fp->device = UA_DEVICE_TABLET;
        /* The system's version is a Mac's; Safari's is that of the iPad's. */
        fp->os_version = (struct ua_version){0, 0, 0};
        (void)ua_version_after(&fp->os_version, s, MARK_VERSION);
    } else if (fp->platform == UA_PLATFORM_MAC && fp->os == UA_OS_UNKNOWN) {
        if (ua_version_in_group(&fp->os_version, s, "mac os x ")) {
            fp->os = UA_OS_MACOS;
        }
    } else if (fp->os == UA_OS_CHROME_OS) {
        extend_chrome_os(fp, s);
    } else if (fp->os == UA_OS_LINUX) {
        extend_linux(fp, s);
    } else if (fp->platform == UA_PLATFORM_UNKNOWN) {
        extend_unknown(fp, s);
    }
}

/* The first row with a version behind its mark wins; they all are built on others' engines, and
 * those that others build on come last. */
static const struct browser_row late_browser_rows[] = {
    {MARK_EDG, UA_BROWSER_EDGE},
    {MARK_EDGA, UA_BROWSER_EDGE},
    {MARK_EDGIOS, UA_BROWSER_EDGE},
    {MARK_OPR, UA_BROWSER_OPERA},
    {MARK_OPT, UA_BROWSER_OPERA},
    {MARK_OPX, UA_BROWSER_OPERA},
    {MARK_OPIOS, UA_BROWSER_OPERA},
    {MARK_SAMSUNGBROWSER, UA_BROWSER_SAMSUNG},
    {MARK_UCBROWSER_VERSION, UA_BROWSER_UC},
    {MARK_VIVALDI, UA_BROWSER_VIVALDI},
    {MARK_BRAVE, UA_BROWSER_BRAVE},
    {MARK_BRAVE_CHROME, UA_BROWSER_BRAVE},
    {MARK_YABROWSER, UA_BROWSER_YANDEX},
    {MARK_DUCKDUCKGO, UA_BROWSER_DUCK_DUCK_GO},
    {MARK_DDG, UA_BROWSER_DUCK_DUCK_GO},
    {MARK_HUAWEIBROWSER, UA_BROWSER_HUAWEI},
    {MARK_MIUIBROWSER, UA_BROWSER_MIUI},
    {MARK_WHALE, UA_BROWSER_WHALE},
    {MARK_COC_COC, UA_BROWSER_COC_COC},
    {MARK_QQBROWSER, UA_BROWSER_QQ},
    {MARK_MAXTHON, UA_BROWSER_MAXTHON},
    {MARK_METASR, UA_BROWSER_SOGOU},
    {MARK_ELECTRON, UA_BROWSER_ELECTRON},
    {MARK_HEADLESSCHROME, UA_BROWSER_HEADLESS_CHROME},
};

static void extend_browser(struct ua_fingerprint *fp, const struct ua_scan *s)
{
    for (size_t i = 0; i < COUNT_OF(late_browser_rows); i++) {
        if (ua_version_after(&fp->browser_version, s, late_browser_rows[i].mark)) {
            fp->browser = late_browser_rows[i].browser;
            return;
        }
    }
    /* A web view says so since Android 5; in 4.4 it gave a version, which Chrome never does. */
    if (fp->browser == UA_BROWSER_CHROME && fp->os == UA_OS_ANDROID &&
        (ua_has(s, MARK_WV) || ua_has(s, MARK_ANDROID_4_WEBVIEW))) {
        fp->browser = UA_BROWSER_ANDROID_WEBVIEW;
    }
}

/* Programs and libraries name themselves first, and alone or with a version. */
static const struct {
    const char *name;
    uint8_t browser;
} tool_rows[] = {
    {"curl", UA_BROWSER_CURL},
    {"wget", UA_BROWSER_WGET},
    {"python-urllib", UA_BROWSER_PYTHON_URLLIB},
    {"python-requests", UA_BROWSER_PYTHON_REQUESTS},
    {"python-httpx", UA_BROWSER_PYTHON_HTTPX},
    {"python", UA_BROWSER_PYTHON},
    {"go-http-client", UA_BROWSER_GO},
    {"java", UA_BROWSER_JAVA},
    {"java-http-client", UA_BROWSER_JAVA},
    {"apache-httpclient", UA_BROWSER_APACHE_HTTP},
    {"okhttp", UA_BROWSER_OKHTTP},
    {"dalvik", UA_BROWSER_DALVIK},
    {"node", UA_BROWSER_NODE},
    {"undici", UA_BROWSER_NODE},
    {"node-fetch", UA_BROWSER_NODE_FETCH},
    {"axios", UA_BROWSER_AXIOS},
    {"deno", UA_BROWSER_DENO},
    {"bun", UA_BROWSER_BUN},
    {"php", UA_BROWSER_PHP},
    {"php-soap", UA_BROWSER_PHP},
    {"guzzlehttp", UA_BROWSER_GUZZLE},
    {"ruby", UA_BROWSER_RUBY},
    {"libwww-perl", UA_BROWSER_LIBWWW_PERL},
    {"git", UA_BROWSER_GIT},
    {"pip", UA_BROWSER_PIP},
    {"npm", UA_BROWSER_NPM},
    {"cargo", UA_BROWSER_CARGO},
    {"reqwest", UA_BROWSER_REQWEST},
    {"dart", UA_BROWSER_DART},
    {"microsoft-cryptoapi", UA_BROWSER_CRYPTOAPI},
    {"docker", UA_BROWSER_DOCKER},
    {"containerd", UA_BROWSER_CONTAINERD},
    {"httpie", UA_BROWSER_HTTPIE},
    {"postmanruntime", UA_BROWSER_POSTMAN},
};

/* "name", "name/1.2" or "name 1.2" at the start. */
static bool tool_match(struct ua_version *version, struct span raw, const char *name)
{
    size_t after = ua_match_at(raw, 0, name);

    if (!after || after == raw.len) {
        return after != 0;
    }
    if (raw.data[after] != '/' && raw.data[after] != ' ') {
        return false;
    }
    return ua_version_read(version, raw, after + 1) || raw.data[after] == '/';
}

/* APT gives the version of its HTTP part first and its own in the parenthesis. */
static bool tool_apt(struct ua_fingerprint *fp, const struct ua_scan *s)
{
    if (!tool_match(&fp->browser_version, s->raw, "debian apt-http")) {
        return false;
    }
    fp->browser = UA_BROWSER_APT;
    (void)ua_version_read(&fp->browser_version, s->group, 0);
    return true;
}

static void extend_tool(struct ua_fingerprint *fp, const struct ua_scan *s)
{
    if (tool_apt(fp, s)) {
        return;
    }
    if (ua_version_after(&fp->browser_version, s, MARK_AIOHTTP)) {
        fp->browser = UA_BROWSER_AIOHTTP;
        return;
    }
    for (size_t i = 0; i < COUNT_OF(tool_rows); i++) {
        if (tool_match(&fp->browser_version, s->raw, tool_rows[i].name)) {
            fp->browser = tool_rows[i].browser;
            return;
        }
    }
    if (ua_version_after(&fp->browser_version, s, MARK_POWERSHELL)) {
        fp->browser = UA_BROWSER_POWERSHELL;
    } else if (ua_version_after(&fp->browser_version, s, MARK_CFNETWORK_VERSION)) {
        fp->browser = UA_BROWSER_CFNETWORK;
    }
}

void ua_extend(struct ua_fingerprint *fp, const struct ua_scan *s)
{
    extend_system(fp, s);
    if (ua_has(s, MARK_APPLEWEBKIT)) {
        extend_browser(fp, s);
    } else if (fp->browser == UA_BROWSER_UNKNOWN) {
        extend_tool(fp, s);
    }
}
